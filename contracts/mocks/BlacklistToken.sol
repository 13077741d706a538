// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {MockToken} from "./MockToken.sol";

/// @title A token that refuses transfers from and to listed holders
contract BlacklistToken is MockToken {
    error Blacklisted(address holder);

    mapping(address holder => bool) public blacklisted;

    constructor(string memory name_, string memory symbol_, uint8 decimals_) MockToken(name_, symbol_, decimals_) {}

    function setBlacklisted(address holder, bool listed) external {
        blacklisted[holder] = listed;
    }

    function _update(address from, address to, uint256 amount) internal override {
        require(!blacklisted[from], Blacklisted(from));
        require(!blacklisted[to], Blacklisted(to));
        super._update(from, to, amount);
    }
}
