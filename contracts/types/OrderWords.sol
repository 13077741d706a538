// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Cast} from "../libraries/Cast.sol";

/// @notice One pending order.
/// | bits     | field     | meaning |
/// |----------|-----------|---------|
/// | 40 – 71  | priceTime | the first price published at or after it is the order's price, seconds |
/// | 72 – 255 | tag       | upper 184 bits of the hash of all parameters |
type OrderWord is uint256;

/// @notice The queue of one account in one market: the order word of its head, and in the 40 free bits where the others are.
/// While `count` is 0 there is no head and the upper bits mean nothing.
/// | bits     | field  | meaning |
/// |----------|--------|---------|
/// | 0 – 31   | lastId | id of the newest order ever placed here, 0 for none; ids are never used again |
/// | 32 – 35  | count  | pending orders, 0 … 8 |
/// | 36 – 39  | first  | place of the head in the ring; the k-th order behind it is at place (first + k) mod 8 |
/// | 40 – 255 |        | order word of the head |
type QueueWord is uint256;

/// @notice What the OrderBook knows about a market. All zero: takes no orders.
/// | bits     | field           | meaning |
/// |----------|-----------------|---------|
/// | 0 – 7    | asset           | of the OracleHub |
/// | 8 – 23   | settlementDelay | seconds from placement to price time |
/// | 24 – 39  | cancelMargin    | seconds before the price time at which cancelling ends |
/// | 40 – 55  | execWindow      | seconds after the price's publication in which the order may be filled |
/// | 56 – 71  | latency         | seconds that the feed may lag behind the market |
/// | 72 – 135 | minKeeperFee    | unit 1e-9 |
type RulesWord is uint256;

using OrderWordLib for OrderWord global;
using QueueWordLib for QueueWord global;
using RulesWordLib for RulesWord global;

library OrderWordLib {
    uint256 internal constant LOW_BITS = 40;
    uint256 private constant TAG_SHIFT = 72;

    /// @param hash of all parameters of the order
    function pack(bytes32 hash, uint256 priceTime_) internal pure returns (OrderWord) {
        uint256 tag = uint256(hash) >> TAG_SHIFT << TAG_SHIFT;
        return OrderWord.wrap(tag | (Cast.checkUint(priceTime_, 32) << LOW_BITS));
    }

    function priceTime(OrderWord w) internal pure returns (uint256) {
        return uint32(OrderWord.unwrap(w) >> LOW_BITS);
    }

    /// @notice Whether the word is that of the order with this hash.
    function isOf(OrderWord w, bytes32 hash) internal pure returns (bool) {
        return (OrderWord.unwrap(w) ^ uint256(hash)) >> TAG_SHIFT == 0;
    }
}

library QueueWordLib {
    uint256 internal constant SIZE = 8;
    uint256 private constant LOW_MASK = (1 << OrderWordLib.LOW_BITS) - 1;
    uint256 private constant COUNT_MASK = 15 << 32;

    function pack(OrderWord head_, uint256 lastId_, uint256 count_, uint256 first_) internal pure returns (QueueWord) {
        return QueueWord.wrap(
            (OrderWord.unwrap(head_) & ~LOW_MASK) | Cast.checkUint(lastId_, 32) | (Cast.checkUint(count_, 4) << 32)
                | (Cast.checkUint(first_, 4) << 36)
        );
    }

    function lastId(QueueWord w) internal pure returns (uint256) {
        return uint32(QueueWord.unwrap(w));
    }

    function count(QueueWord w) internal pure returns (uint256) {
        return (QueueWord.unwrap(w) >> 32) & 15;
    }

    function first(QueueWord w) internal pure returns (uint256) {
        return (QueueWord.unwrap(w) >> 36) & 15;
    }

    /// @notice Order word of the head; means nothing when `count` is 0.
    function head(QueueWord w) internal pure returns (OrderWord) {
        return OrderWord.wrap(QueueWord.unwrap(w) & ~LOW_MASK);
    }

    /// @notice Place in the ring of the order `behind` the head (0 is the head itself, which is not kept there).
    function place(QueueWord w, uint256 behind) internal pure returns (uint256) {
        return (first(w) + behind) % SIZE;
    }

    function withCount(QueueWord w, uint256 count_) internal pure returns (QueueWord) {
        return QueueWord.wrap((QueueWord.unwrap(w) & ~COUNT_MASK) | (Cast.checkUint(count_, 4) << 32));
    }
}

library RulesWordLib {
    uint256 private constant NANO = 1e9;

    /// @param minKeeperFee_ WAD, multiple of 1e9
    function pack(
        uint256 asset_,
        uint256 settlementDelay_,
        uint256 cancelMargin_,
        uint256 execWindow_,
        uint256 latency_,
        uint256 minKeeperFee_
    ) internal pure returns (RulesWord) {
        return RulesWord.wrap(
            Cast.checkUint(asset_, 8) | (Cast.checkUint(settlementDelay_, 16) << 8)
                | (Cast.checkUint(cancelMargin_, 16) << 24) | (Cast.checkUint(execWindow_, 16) << 40)
                | (Cast.checkUint(latency_, 16) << 56) | (Cast.checkUint(minKeeperFee_ / NANO, 64) << 72)
        );
    }

    function asset(RulesWord w) internal pure returns (uint256) {
        return uint8(RulesWord.unwrap(w));
    }

    function settlementDelay(RulesWord w) internal pure returns (uint256) {
        return uint16(RulesWord.unwrap(w) >> 8);
    }

    function cancelMargin(RulesWord w) internal pure returns (uint256) {
        return uint16(RulesWord.unwrap(w) >> 24);
    }

    function execWindow(RulesWord w) internal pure returns (uint256) {
        return uint16(RulesWord.unwrap(w) >> 40);
    }

    function latency(RulesWord w) internal pure returns (uint256) {
        return uint16(RulesWord.unwrap(w) >> 56);
    }

    /// @return WAD
    function minKeeperFee(RulesWord w) internal pure returns (uint256) {
        unchecked {
            return uint64(RulesWord.unwrap(w) >> 72) * NANO;
        }
    }
}
