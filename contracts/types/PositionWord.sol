// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Cast} from "../libraries/Cast.sol";

/// @notice A position, one word.
/// | bits      | field     | meaning |
/// |-----------|-----------|---------|
/// | 0 – 103   | shares    | int104 signed shares of its side, WAD; > 0 long, < 0 short |
/// | 104 – 231 | entry     | int128 unit value of the side when last touched, 1e-24 settlement units |
/// | 232 – 255 | lastEvent | number of the side's last event it has seen |
type PositionWord is uint256;

using PositionWordLib for PositionWord global;

library PositionWordLib {
    uint256 private constant MASK_104 = (1 << 104) - 1;
    uint256 private constant MASK_128 = (1 << 128) - 1;

    function pack(int256 shares_, int256 entry_, uint256 lastEvent_) internal pure returns (PositionWord) {
        return PositionWord.wrap(
            (uint256(Cast.checkInt(shares_, 104)) & MASK_104)
                | ((uint256(Cast.checkInt(entry_, 128)) & MASK_128) << 104) | (Cast.checkUint(lastEvent_, 24) << 232)
        );
    }

    function shares(PositionWord w) internal pure returns (int256) {
        return int256(int104(uint104(PositionWord.unwrap(w))));
    }

    function entry(PositionWord w) internal pure returns (int256) {
        return int256(int128(uint128(PositionWord.unwrap(w) >> 104)));
    }

    function lastEvent(PositionWord w) internal pure returns (uint256) {
        return PositionWord.unwrap(w) >> 232;
    }
}
