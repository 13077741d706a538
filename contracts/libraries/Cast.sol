// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice Checked narrowing: returns its argument if it fits, else reverts with what did not fit.
library Cast {
    error UintTooLarge(uint256 value, uint256 bits);
    error IntOutOfRange(int256 value, uint256 bits);

    function checkUint(uint256 value, uint256 bits) internal pure returns (uint256) {
        require(value >> bits == 0, UintTooLarge(value, bits));
        return value;
    }

    function checkInt(int256 value, uint256 bits) internal pure returns (int256) {
        unchecked {
            int256 sign = value >> (bits - 1);
            require(sign == 0 || sign == -1, IntOutOfRange(value, bits));
        }
        return value;
    }

    /// @notice `value` as a signed number; reverts above 2^255 − 1.
    function toInt(uint256 value) internal pure returns (int256) {
        require(value >> 255 == 0, UintTooLarge(value, 255));
        return int256(value);
    }
}
