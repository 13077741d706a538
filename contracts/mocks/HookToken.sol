// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {MockToken} from "./MockToken.sol";

/// @title A token that calls out during every transfer
/// @notice After each `transfer` and `transferFrom` it makes the call that was set, never reverts because of it, and keeps what
/// came back. A transfer that this call itself makes does not call out again.
contract HookToken is MockToken {
    address public target;
    bytes public data;
    /// Number of calls made since the hook was set.
    uint256 public calls;
    bool public succeeded;
    bytes public returned;
    bool private _calling;

    constructor(string memory name_, string memory symbol_, uint8 decimals_) MockToken(name_, symbol_, decimals_) {}

    /// @notice Sets the call; a zero target switches the hook off. What was recorded is cleared.
    function setHook(address target_, bytes calldata data_) external {
        (target, data, calls, succeeded, returned) = (target_, data_, 0, false, "");
    }

    function _update(address from, address to, uint256 amount) internal override {
        super._update(from, to, amount);
        if (_calling || target == address(0) || from == address(0) || to == address(0)) return;
        _calling = true;
        ++calls;
        (succeeded, returned) = target.call(data);
        _calling = false;
    }
}
