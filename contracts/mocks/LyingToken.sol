// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {MockToken} from "./MockToken.sol";

/// @title A token whose transfers misbehave on demand
contract LyingToken is MockToken {
    enum Mode {
        Honest,
        /// returns true and moves nothing
        MoveNothing,
        ReturnFalse,
        Revert,
        /// uses up all gas it is given
        BurnGas
    }

    error Refused();

    Mode public mode;

    constructor(string memory name_, string memory symbol_, uint8 decimals_) MockToken(name_, symbol_, decimals_) {}

    function setMode(Mode mode_) external {
        mode = mode_;
    }

    function transfer(address to, uint256 amount) public override returns (bool) {
        return _misbehaves() ? mode == Mode.MoveNothing : super.transfer(to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) public override returns (bool) {
        return _misbehaves() ? mode == Mode.MoveNothing : super.transferFrom(from, to, amount);
    }

    function _misbehaves() private view returns (bool) {
        require(mode != Mode.Revert, Refused());
        if (mode == Mode.BurnGas) {
            assembly ("memory-safe") {
                invalid()
            }
        }
        return mode != Mode.Honest;
    }
}
