// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {MockToken} from "./MockToken.sol";

/// @title A token whose balances are shares of a supply that can be scaled
contract RebasingToken is MockToken {
    /// Balance per share, 1e-18.
    uint256 public multiplier = 1e18;

    constructor(string memory name_, string memory symbol_, uint8 decimals_) MockToken(name_, symbol_, decimals_) {}

    /// @notice Scales every balance to `multiplier_` per share.
    function setMultiplier(uint256 multiplier_) external {
        multiplier = multiplier_;
    }

    function balanceOf(address holder) public view override returns (uint256) {
        return super.balanceOf(holder) * multiplier / 1e18;
    }

    function totalSupply() public view override returns (uint256) {
        return super.totalSupply() * multiplier / 1e18;
    }

    function _update(address from, address to, uint256 amount) internal override {
        super._update(from, to, amount * 1e18 / multiplier);
    }
}
