// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Cast} from "../libraries/Cast.sol";

/// @notice Everything about an account that a margin check needs first, one word.
/// | bits      | field         | meaning |
/// |-----------|---------------|---------|
/// | 0 – 111   | cash          | int112, WAD; ≥ 0 is cash, < 0 is scaled debt (× borrow index / WAD, rounded up, is the debt) |
/// | 112 – 167 | markets       | bitmap of markets (by index in the pool) with a position |
/// | 168 – 183 | collaterals   | bitmap of collateral tokens with a balance |
/// | 184 – 215 | version       | grows by one with every write, wraps |
/// | 216 – 247 | lastCheck     | newest publish time that the last passed margin check used, seconds |
/// | 248 – 255 | pendingOrders | orders that may raise risk and are not executed yet |
type AccountWord is uint256;

using AccountWordLib for AccountWord global;

library AccountWordLib {
    uint256 private constant CASH_MASK = (1 << 112) - 1;
    uint256 private constant MARKETS_MASK = ((1 << 56) - 1) << 112;
    uint256 private constant COLLATERALS_MASK = ((1 << 16) - 1) << 168;
    uint256 private constant VERSION_MASK = ((1 << 32) - 1) << 184;
    uint256 private constant CHECK_MASK = ((1 << 32) - 1) << 216;

    function rawCash(AccountWord w) internal pure returns (int256) {
        return int256(int112(uint112(AccountWord.unwrap(w))));
    }

    function markets(AccountWord w) internal pure returns (uint256) {
        return (AccountWord.unwrap(w) & MARKETS_MASK) >> 112;
    }

    function collaterals(AccountWord w) internal pure returns (uint256) {
        return (AccountWord.unwrap(w) & COLLATERALS_MASK) >> 168;
    }

    function version(AccountWord w) internal pure returns (uint256) {
        return (AccountWord.unwrap(w) & VERSION_MASK) >> 184;
    }

    function lastCheck(AccountWord w) internal pure returns (uint256) {
        return (AccountWord.unwrap(w) & CHECK_MASK) >> 216;
    }

    function pendingOrders(AccountWord w) internal pure returns (uint256) {
        return AccountWord.unwrap(w) >> 248;
    }

    function withRawCash(AccountWord w, int256 cash_) internal pure returns (AccountWord) {
        uint256 bits = uint256(Cast.checkInt(cash_, 112)) & CASH_MASK;
        return AccountWord.wrap((AccountWord.unwrap(w) & ~CASH_MASK) | bits);
    }

    function withMarket(AccountWord w, uint256 index, bool held) internal pure returns (AccountWord) {
        uint256 bit = 1 << (112 + Cast.checkUint(index, 5));
        return AccountWord.wrap(held ? AccountWord.unwrap(w) | bit : AccountWord.unwrap(w) & ~bit);
    }

    function withCollateral(AccountWord w, uint256 index, bool held) internal pure returns (AccountWord) {
        uint256 bit = 1 << (168 + Cast.checkUint(index, 4));
        return AccountWord.wrap(held ? AccountWord.unwrap(w) | bit : AccountWord.unwrap(w) & ~bit);
    }

    /// @notice The next version; wraps after 2^32 writes.
    function bumped(AccountWord w) internal pure returns (AccountWord) {
        uint256 next = ((AccountWord.unwrap(w) & VERSION_MASK) + (1 << 184)) & VERSION_MASK;
        return AccountWord.wrap((AccountWord.unwrap(w) & ~VERSION_MASK) | next);
    }

    function withLastCheck(AccountWord w, uint256 time) internal pure returns (AccountWord) {
        return AccountWord.wrap((AccountWord.unwrap(w) & ~CHECK_MASK) | (Cast.checkUint(time, 32) << 216));
    }

    function withPendingOrders(AccountWord w, uint256 count) internal pure returns (AccountWord) {
        uint256 bits = Cast.checkUint(count, 8) << 248;
        return AccountWord.wrap((AccountWord.unwrap(w) & ((1 << 248) - 1)) | bits);
    }
}
