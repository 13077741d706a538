// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title A settable L2 sequencer uptime feed
/// @notice `answer` 0: up, 1: down. `startedAt`: since when; 0: no status yet.
contract MockSequencerFeed {
    error Broken();

    int256 public answer;
    uint256 public startedAt;
    bool public broken;
    uint80 private _round = 1;

    constructor(uint256 startedAt_) {
        startedAt = startedAt_;
    }

    function set(int256 answer_, uint256 startedAt_) external {
        (answer, startedAt) = (answer_, startedAt_);
        ++_round;
    }

    function setBroken(bool broken_) external {
        broken = broken_;
    }

    function latestRoundData() external view returns (uint80, int256, uint256, uint256, uint80) {
        require(!broken, Broken());
        return (_round, answer, startedAt, startedAt, _round);
    }
}
