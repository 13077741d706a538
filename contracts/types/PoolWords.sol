// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Cast} from "../libraries/Cast.sol";

/// @notice The pool's money.
/// | bits      | field     | meaning |
/// |-----------|-----------|---------|
/// | 0 – 103   | cash      | int104 V, WAD: the pool's cash claim, debts of accounts included |
/// | 104 – 199 | insurance | u96 WAD |
type PoolMoneyWord is uint256;

/// @notice What the pool keeps for others, the sum of what it owes traders, and whether its other words matter.
/// | bits      | field   | meaning |
/// |-----------|---------|---------|
/// | 0 – 87    | fees    | u88 WAD, protocol fees not yet swept |
/// | 88 – 191  | lossSum | int104 WAD, Σ over markets of the loss of their last priced call |
/// | 192 – 253 | escrow  | u62, 1e-9 settlement units: keeper fees of pending orders |
/// | 254 – 255 | flags   | see `PoolFlags` |
type PoolDuesWord is uint256;

/// @notice Debt of all accounts of the pool.
/// | bits      | field       | meaning |
/// |-----------|-------------|---------|
/// | 0 – 111   | scaledDebt  | u112 WAD, Σ of scaled debts |
/// | 112 – 207 | borrowIndex | u96 WAD, starts at 1e18, never falls |
/// | 208 – 239 | time        | of the last accrual, seconds |
type DebtWord is uint256;

using PoolMoneyWordLib for PoolMoneyWord global;
using PoolDuesWordLib for PoolDuesWord global;
using DebtWordLib for DebtWord global;

/// @notice Flags of a pool.
library PoolFlags {
    /// the pool was created
    uint256 internal constant OPEN = 1;
    /// no account owes anything and V ≥ 0: the debt word need not be read, and all cash of accounts is there
    uint256 internal constant CLEAR = 2;
}

library PoolMoneyWordLib {
    function pack(int256 cash_, uint256 insurance_) internal pure returns (PoolMoneyWord) {
        return PoolMoneyWord.wrap(
            (uint256(Cast.checkInt(cash_, 104)) & ((1 << 104) - 1)) | (Cast.checkUint(insurance_, 96) << 104)
        );
    }

    function cash(PoolMoneyWord w) internal pure returns (int256) {
        return int256(int104(uint104(PoolMoneyWord.unwrap(w))));
    }

    function insurance(PoolMoneyWord w) internal pure returns (uint256) {
        return uint96(PoolMoneyWord.unwrap(w) >> 104);
    }
}

library PoolDuesWordLib {
    /// Escrow is kept in this unit: what enters it must be a multiple.
    uint256 internal constant ESCROW_UNIT = 1e9;

    function pack(uint256 fees_, int256 lossSum_, uint256 escrow_, uint256 flags_)
        internal
        pure
        returns (PoolDuesWord)
    {
        return PoolDuesWord.wrap(
            Cast.checkUint(fees_, 88) | ((uint256(Cast.checkInt(lossSum_, 104)) & ((1 << 104) - 1)) << 88)
                | (Cast.checkUint(escrow_ / ESCROW_UNIT, 62) << 192) | (Cast.checkUint(flags_, 2) << 254)
        );
    }

    function fees(PoolDuesWord w) internal pure returns (uint256) {
        return uint88(PoolDuesWord.unwrap(w));
    }

    function lossSum(PoolDuesWord w) internal pure returns (int256) {
        return int256(int104(uint104(PoolDuesWord.unwrap(w) >> 88)));
    }

    /// @return WAD
    function escrow(PoolDuesWord w) internal pure returns (uint256) {
        unchecked {
            return (PoolDuesWord.unwrap(w) >> 192 & ((1 << 62) - 1)) * ESCROW_UNIT;
        }
    }

    function flags(PoolDuesWord w) internal pure returns (uint256) {
        return PoolDuesWord.unwrap(w) >> 254;
    }

    function has(PoolDuesWord w, uint256 flag) internal pure returns (bool) {
        return flags(w) & flag != 0;
    }

    /// @notice The word with another escrow and all else as it was.
    function withEscrow(PoolDuesWord w, uint256 escrow_) internal pure returns (PoolDuesWord) {
        uint256 bits = Cast.checkUint(escrow_ / ESCROW_UNIT, 62) << 192;
        return PoolDuesWord.wrap((PoolDuesWord.unwrap(w) & ~(uint256((1 << 62) - 1) << 192)) | bits);
    }
}

library DebtWordLib {
    function pack(uint256 scaledDebt_, uint256 borrowIndex_, uint256 time_) internal pure returns (DebtWord) {
        return DebtWord.wrap(
            Cast.checkUint(scaledDebt_, 112) | (Cast.checkUint(borrowIndex_, 96) << 112)
                | (Cast.checkUint(time_, 32) << 208)
        );
    }

    function scaledDebt(DebtWord w) internal pure returns (uint256) {
        return uint112(DebtWord.unwrap(w));
    }

    function borrowIndex(DebtWord w) internal pure returns (uint256) {
        return uint96(DebtWord.unwrap(w) >> 112);
    }

    function time(DebtWord w) internal pure returns (uint256) {
        return uint32(DebtWord.unwrap(w) >> 208);
    }
}
