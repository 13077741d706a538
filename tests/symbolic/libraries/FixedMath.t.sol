// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Cast} from "../../../contracts/libraries/Cast.sol";
import {FixedMath} from "../../../contracts/libraries/FixedMath.sol";
import {Symbolic} from "../Symbolic.sol";

/// @notice Directed division, and checked narrowing.
contract FixedMathProofs is Symbolic {
    /// @notice mulDivDown is ⌊a·b/d⌋
    /// @custom:bound a, b < 2^128, d any but 0
    function check_mulDivDown_is_the_floor(uint128 a, uint128 b, uint256 d) public pure {
        vm.assume(d != 0);
        uint256 q = FixedMath.mulDivDown(a, b, d);
        unchecked {
            uint256 product = uint256(a) * b;
            assert(q * d <= product && product - q * d < d);
        }
    }

    /// @notice mulDivUp is ⌈a·b/d⌉
    /// @custom:bound a, b < 2^127, 0 < d < 2^254
    function check_mulDivUp_is_the_ceiling(uint128 a, uint128 b, uint256 d) public pure {
        vm.assume(d != 0 && d < 1 << 254 && a < 1 << 127 && b < 1 << 127);
        uint256 q = FixedMath.mulDivUp(a, b, d);
        unchecked {
            uint256 product = uint256(a) * b;
            assert(q == 0 ? product == 0 : (q - 1) * d < product);
            assert(q * d >= product && q * d - product < d);
        }
    }

    /// @notice mulDivFloor is ⌊a·b/d⌋ of a signed a
    /// @custom:bound |a| < 2^127, b < 2^127, 0 < d < 2^254
    function check_mulDivFloor_is_the_floor(int128 a, uint128 b, uint256 d) public pure {
        vm.assume(d != 0 && d < 1 << 254 && b < 1 << 127 && a > type(int128).min);
        int256 q = FixedMath.mulDivFloor(a, b, d);
        unchecked {
            int256 product = int256(a) * int256(uint256(b));
            int256 rest = product - q * int256(d);
            assert(rest >= 0 && rest < int256(d));
        }
    }

    /// @notice mulDivCeil is ⌈a·b/d⌉ of a signed a
    /// @custom:bound |a| < 2^127, b < 2^127, 0 < d < 2^254
    function check_mulDivCeil_is_the_ceiling(int128 a, uint128 b, uint256 d) public pure {
        vm.assume(d != 0 && d < 1 << 254 && b < 1 << 127 && a > type(int128).min);
        int256 q = FixedMath.mulDivCeil(a, b, d);
        unchecked {
            int256 product = int256(a) * int256(uint256(b));
            int256 rest = q * int256(d) - product;
            assert(rest >= 0 && rest < int256(d));
        }
    }

    /// @notice divUp is ⌈a/d⌉
    /// @custom:bound every a, every d but 0
    function check_divUp_is_the_ceiling(uint256 a, uint256 d) public pure {
        vm.assume(d != 0);
        uint256 q = FixedMath.divUp(a, d);
        unchecked {
            if (a == 0) assert(q == 0);
            else assert(q != 0 && (q - 1) * d < a && a - (q - 1) * d <= d);
        }
    }

    /// @notice divFloor is ⌊a/d⌋ of a signed a
    /// @custom:bound every a above −2^255, 0 < d < 2^255
    function check_divFloor_is_the_floor(int256 a, uint256 d) public pure {
        vm.assume(d != 0 && d < 1 << 255 && a > type(int256).min);
        int256 q = FixedMath.divFloor(a, d);
        unchecked {
            uint256 rest = uint256(a) - uint256(q) * d;
            assert(rest < d);
            assert(a >= 0 ? q >= 0 : q < 0);
        }
    }

    /// @notice divCeil is ⌈a/d⌉ of a signed a
    /// @custom:bound every a above −2^255, 0 < d < 2^255
    function check_divCeil_is_the_ceiling(int256 a, uint256 d) public pure {
        vm.assume(d != 0 && d < 1 << 255 && a > type(int256).min);
        int256 q = FixedMath.divCeil(a, d);
        unchecked {
            uint256 rest = uint256(q) * d - uint256(a);
            assert(rest < d);
            assert(a > 0 ? q > 0 : q <= 0);
        }
    }

    /// @notice Up is down, or one more
    /// @custom:bound a, b < 2^128, 0 < d < 2^255
    function check_up_exceeds_down_by_at_most_one(uint128 a, uint128 b, uint256 d) public pure {
        vm.assume(d != 0 && d < 1 << 255);
        uint256 down = FixedMath.mulDivDown(a, b, d);
        uint256 up = FixedMath.mulDivUp(a, b, d);
        assert(up == down || up == down + 1);
    }

    /// @notice Floor and ceiling mirror each other: ⌈−a·b/d⌉ = −⌊a·b/d⌋
    /// @custom:bound |a| < 2^127, b < 2^127, 0 < d < 2^254
    function check_ceil_of_the_negative_is_minus_floor(int128 a, uint128 b, uint256 d) public pure {
        vm.assume(d != 0 && d < 1 << 254 && b < 1 << 127 && a > type(int128).min);
        unchecked {
            assert(FixedMath.mulDivCeil(-int256(a), b, d) == -FixedMath.mulDivFloor(a, b, d));
        }
    }

    /// @notice abs, min, max and positivePart are what their names say
    /// @custom:bound every a above −2^255, every b
    function check_abs_min_max_positivePart(int256 a, uint256 b) public pure {
        vm.assume(a > type(int256).min);
        uint256 size = FixedMath.abs(a);
        assert(a >= 0 ? int256(size) == a : -int256(size) == a);
        uint256 least = FixedMath.min(size, b);
        uint256 most = FixedMath.max(size, b);
        assert(least <= size && least <= b && (least == size || least == b));
        assert(most >= size && most >= b && (most == size || most == b));
        assert(FixedMath.positivePart(a) == (a > 0 ? size : 0));
    }

    /// @notice A division by zero is refused, never answered
    /// @custom:bound every a but 0, every b but 0
    function check_division_by_zero_is_refused(uint256 a, uint256 b) public view {
        vm.assume(a != 0 && b != 0);
        (bool down,) = address(this).staticcall(abi.encodeCall(this.mulDivDown, (a, b, 0)));
        (bool up,) = address(this).staticcall(abi.encodeCall(this.mulDivUp, (a, b, 0)));
        (bool one,) = address(this).staticcall(abi.encodeCall(this.divUp, (a, 0)));
        assert(!down && !up && !one);
    }

    /// @notice checkUint returns its argument when it fits, and refuses everything else
    /// @custom:bound every value, 0 to 255 bits
    function check_checkUint_passes_what_fits_and_nothing_else(uint256 value, uint8 bits) public view {
        try this.checkUint(value, bits) returns (uint256 same) {
            assert(same == value && fits(value, bits));
        } catch {
            assert(!fits(value, bits));
        }
    }

    /// @notice checkInt returns its argument when it fits, and refuses everything else
    /// @custom:bound every value, 1 to 255 bits
    function check_checkInt_passes_what_fits_and_nothing_else(int256 value, uint8 bits) public view {
        vm.assume(bits != 0);
        try this.checkInt(value, bits) returns (int256 same) {
            assert(same == value && fitsSigned(value, bits));
        } catch {
            assert(!fitsSigned(value, bits));
        }
    }

    /// @notice toInt keeps the value, and refuses 2^255 and above
    /// @custom:bound every value
    function check_toInt_keeps_the_value_or_refuses(uint256 value) public view {
        try this.toInt(value) returns (int256 same) {
            assert(same >= 0 && uint256(same) == value);
        } catch {
            assert(value >= 1 << 255);
        }
    }

    function mulDivDown(uint256 a, uint256 b, uint256 d) external pure returns (uint256) {
        return FixedMath.mulDivDown(a, b, d);
    }

    function mulDivUp(uint256 a, uint256 b, uint256 d) external pure returns (uint256) {
        return FixedMath.mulDivUp(a, b, d);
    }

    function divUp(uint256 a, uint256 d) external pure returns (uint256) {
        return FixedMath.divUp(a, d);
    }

    function checkUint(uint256 value, uint256 bits) external pure returns (uint256) {
        return Cast.checkUint(value, bits);
    }

    function checkInt(int256 value, uint256 bits) external pure returns (int256) {
        return Cast.checkInt(value, bits);
    }

    function toInt(uint256 value) external pure returns (int256) {
        return Cast.toInt(value);
    }
}
