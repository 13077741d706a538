// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice Owner (20 bytes) | pool (2) | sub-account (10). Needs no storage to know its owner.
type AccountId is bytes32;
/// @notice An isolated margin universe, 1 … 65535.
type PoolId is uint16;
/// @notice Pool (16 bits) | index of the market in its pool (8 bits).
type MarketId is uint24;

function sameAccount(AccountId a, AccountId b) pure returns (bool) {
    return AccountId.unwrap(a) == AccountId.unwrap(b);
}

function samePool(PoolId a, PoolId b) pure returns (bool) {
    return PoolId.unwrap(a) == PoolId.unwrap(b);
}

using {sameAccount as ==} for AccountId global;
using {samePool as ==} for PoolId global;
using IdLib for AccountId global;
using IdLib for MarketId global;

/// @notice Takes ids apart and puts them together.
library IdLib {
    function toAccount(address owner_, PoolId pool_, uint80 sub) internal pure returns (AccountId) {
        return AccountId.wrap(bytes32(uint256(uint160(owner_)) << 96 | uint256(PoolId.unwrap(pool_)) << 80 | sub));
    }

    function owner(AccountId id) internal pure returns (address) {
        return address(uint160(uint256(AccountId.unwrap(id)) >> 96));
    }

    function pool(AccountId id) internal pure returns (PoolId) {
        return PoolId.wrap(uint16(uint256(AccountId.unwrap(id)) >> 80));
    }

    function toMarket(PoolId pool_, uint256 index_) internal pure returns (MarketId) {
        return MarketId.wrap(uint24(uint256(PoolId.unwrap(pool_)) << 8 | (index_ & 0xff)));
    }

    function pool(MarketId id) internal pure returns (PoolId) {
        return PoolId.wrap(uint16(MarketId.unwrap(id) >> 8));
    }

    function index(MarketId id) internal pure returns (uint256) {
        return MarketId.unwrap(id) & 0xff;
    }
}
