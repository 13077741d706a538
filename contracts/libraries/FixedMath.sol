// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Cast} from "./Cast.sol";

uint256 constant WAD = 1e18;
uint256 constant PPM = 1e6;
// Scale of a side's A before any event.
uint256 constant ONE = 1e36;
// Unit values are kept at 1e24: this times a WAD price.
int256 constant FINE = 1e6;
// shares (WAD) × unit value (1e24) / this = money (WAD).
uint256 constant UNIT = 1e24;

/// @notice Division that names its direction. Down and up are of magnitudes, floor and ceil of signed numbers.
/// @dev Unchecked: a product that wraps is noticed and done again in 512 bits; after a division there is room for one more.
library FixedMath {
    /// @notice ⌊a·b/d⌋ with a 512-bit product; reverts when the result does not fit or d = 0.
    function mulDivDown(uint256 a, uint256 b, uint256 d) internal pure returns (uint256) {
        unchecked {
            uint256 product = a * b;
            return a == 0 || product / a == b ? product / d : Math.mulDiv(a, b, d);
        }
    }

    /// @notice ⌈a·b/d⌉ with a 512-bit product; reverts when the result does not fit or d = 0.
    function mulDivUp(uint256 a, uint256 b, uint256 d) internal pure returns (uint256) {
        unchecked {
            uint256 product = a * b;
            if (a != 0 && product / a != b) return Math.mulDiv(a, b, d, Math.Rounding.Ceil);
            uint256 quotient = product / d;
            return quotient * d == product ? quotient : quotient + 1;
        }
    }

    /// @notice ⌊a·b/d⌋ of a signed a with a 512-bit product; reverts when the magnitude exceeds 2^255 − 1.
    function mulDivFloor(int256 a, uint256 b, uint256 d) internal pure returns (int256) {
        unchecked {
            return a >= 0 ? Cast.toInt(mulDivDown(uint256(a), b, d)) : -Cast.toInt(mulDivUp(uint256(-a), b, d));
        }
    }

    /// @notice ⌈a·b/d⌉ of a signed a with a 512-bit product; reverts when the magnitude exceeds 2^255 − 1.
    function mulDivCeil(int256 a, uint256 b, uint256 d) internal pure returns (int256) {
        unchecked {
            return a >= 0 ? Cast.toInt(mulDivUp(uint256(a), b, d)) : -Cast.toInt(mulDivDown(uint256(-a), b, d));
        }
    }

    /// @notice ⌈a/d⌉, d > 0; reverts for d = 0 unless a = 0, which gives 0.
    function divUp(uint256 a, uint256 d) internal pure returns (uint256) {
        unchecked {
            return a == 0 ? 0 : (a - 1) / d + 1;
        }
    }

    /// @notice ⌊a/d⌋ of a signed a, d > 0.
    function divFloor(int256 a, uint256 d) internal pure returns (int256) {
        unchecked {
            return a >= 0 ? int256(uint256(a) / d) : -int256((uint256(-a) - 1) / d + 1);
        }
    }

    /// @notice ⌈a/d⌉ of a signed a, d > 0.
    function divCeil(int256 a, uint256 d) internal pure returns (int256) {
        unchecked {
            return a > 0 ? int256((uint256(a) - 1) / d + 1) : -int256(uint256(-a) / d);
        }
    }

    /// @notice |a|
    function abs(int256 a) internal pure returns (uint256) {
        return a >= 0 ? uint256(a) : uint256(-a);
    }

    function min(uint256 a, uint256 b) internal pure returns (uint256) {
        return a < b ? a : b;
    }

    function max(uint256 a, uint256 b) internal pure returns (uint256) {
        return a > b ? a : b;
    }

    /// @notice max(a, 0)
    function positivePart(int256 a) internal pure returns (uint256) {
        return a > 0 ? uint256(a) : 0;
    }

    /// @notice ⌊√a⌋
    function sqrtDown(uint256 a) internal pure returns (uint256) {
        return Math.sqrt(a);
    }

    /// @notice ⌈√a⌉
    function sqrtUp(uint256 a) internal pure returns (uint256) {
        return Math.sqrt(a, Math.Rounding.Ceil);
    }
}
