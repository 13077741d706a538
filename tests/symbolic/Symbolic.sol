// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice The cheat codes that properties need.
interface Cheats {
    /// @notice Drops the path unless `condition` holds.
    function assume(bool condition) external pure;
    /// @notice The next call comes from `sender`.
    function prank(address sender) external;
    function load(address target, bytes32 slot) external view returns (bytes32);
    function store(address target, bytes32 slot, bytes32 value) external;
    function warp(uint256 time) external;
}

/// @title What the symbolic properties share
/// @notice A property is a function `check_…`. Its parameters are all values of their type at once; it holds when no path reaches a
/// failed assertion or any panic. Its natspec is the statement; the tag `bound` names ranges and assumptions, the tag `slow` keeps
/// it out of the quick run.
abstract contract Symbolic {
    Cheats internal constant vm = Cheats(0x7109709ECfa91a80626fF3989D68f67F5b1DD12D);

    /// @notice Whether `value` fits `bits` bits.
    function fits(uint256 value, uint256 bits) internal pure returns (bool) {
        return value >> bits == 0;
    }

    /// @notice Whether `value` fits `bits` bits with sign.
    function fitsSigned(int256 value, uint256 bits) internal pure returns (bool) {
        return value >= -int256(1 << (bits - 1)) && value < int256(1 << (bits - 1));
    }
}
