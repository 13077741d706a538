// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Cast} from "../libraries/Cast.sol";

/// @notice Funding of a market.
/// | bits      | field | meaning |
/// |-----------|-------|---------|
/// | 0 – 95    | index | int96 F, WAD settlement units per unit of size; longs pay its growth |
/// | 96 – 135  | rate  | int40, 1e-18 of notional per second |
/// | 136 – 167 | time  | of the last accrual, seconds |
/// | 168 – 255 | price | u88 WAD, the valid price stored at the last accrual |
type FundingWord is uint256;

/// @notice Shares of both sides and the number of their last event.
/// | bits      | field       |
/// |-----------|-------------|
/// | 0 – 103   | longShares  | u104 WAD |
/// | 104 – 207 | shortShares | u104 WAD, magnitude |
/// | 208 – 231 | longEvent   |
/// | 232 – 255 | shortEvent  |
type SidesWord is uint256;

/// @notice One change of a side's (A, C), by deleveraging or socialisation.
/// | bits      | field  | meaning |
/// |-----------|--------|---------|
/// | 0 – 119   | scale  | u120 A, 1e36 = ONE |
/// | 120 – 239 | offset | int120 C, 1e-24 settlement units |
/// | 240 – 255 | epoch  | grows when the whole side was deleveraged |
type EventWord is uint256;

using FundingWordLib for FundingWord global;
using SidesWordLib for SidesWord global;
using EventWordLib for EventWord global;

library FundingWordLib {
    function pack(int256 index_, int256 rate_, uint256 time_, uint256 price_) internal pure returns (FundingWord) {
        return FundingWord.wrap(
            (uint256(Cast.checkInt(index_, 96)) & ((1 << 96) - 1))
                | ((uint256(Cast.checkInt(rate_, 40)) & ((1 << 40) - 1)) << 96) | (Cast.checkUint(time_, 32) << 136)
                | (Cast.checkUint(price_, 88) << 168)
        );
    }

    function index(FundingWord w) internal pure returns (int256) {
        return int256(int96(uint96(FundingWord.unwrap(w))));
    }

    function rate(FundingWord w) internal pure returns (int256) {
        return int256(int40(uint40(FundingWord.unwrap(w) >> 96)));
    }

    function time(FundingWord w) internal pure returns (uint256) {
        return uint32(FundingWord.unwrap(w) >> 136);
    }

    function price(FundingWord w) internal pure returns (uint256) {
        return FundingWord.unwrap(w) >> 168;
    }
}

library SidesWordLib {
    function pack(uint256 long_, uint256 short_, uint256 longEvent_, uint256 shortEvent_)
        internal
        pure
        returns (SidesWord)
    {
        return SidesWord.wrap(
            Cast.checkUint(long_, 104) | (Cast.checkUint(short_, 104) << 104) | (Cast.checkUint(longEvent_, 24) << 208)
                | (Cast.checkUint(shortEvent_, 24) << 232)
        );
    }

    function longShares(SidesWord w) internal pure returns (uint256) {
        return uint104(SidesWord.unwrap(w));
    }

    function shortShares(SidesWord w) internal pure returns (uint256) {
        return uint104(SidesWord.unwrap(w) >> 104);
    }

    function longEvent(SidesWord w) internal pure returns (uint256) {
        return uint24(SidesWord.unwrap(w) >> 208);
    }

    function shortEvent(SidesWord w) internal pure returns (uint256) {
        return SidesWord.unwrap(w) >> 232;
    }
}

library EventWordLib {
    function pack(uint256 scale_, int256 offset_, uint256 epoch_) internal pure returns (EventWord) {
        return EventWord.wrap(
            Cast.checkUint(scale_, 120) | ((uint256(Cast.checkInt(offset_, 120)) & ((1 << 120) - 1)) << 120)
                | (Cast.checkUint(epoch_, 16) << 240)
        );
    }

    function scale(EventWord w) internal pure returns (uint256) {
        return uint120(EventWord.unwrap(w));
    }

    function offset(EventWord w) internal pure returns (int256) {
        return int256(int120(uint120(EventWord.unwrap(w) >> 120)));
    }

    function epoch(EventWord w) internal pure returns (uint256) {
        return EventWord.unwrap(w) >> 240;
    }
}
