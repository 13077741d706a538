// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title A Chainlink-style feed without a proxy, every word of which can be set
/// @notice Rounds are stored as given. `mode` makes every read misbehave.
contract MockAggregator {
    enum Mode {
        Normal,
        Revert,
        BurnGas,
        ShortAnswer,
        LongAnswer
    }

    struct Round {
        int256 answer;
        uint256 startedAt;
        uint256 updatedAt;
        uint80 answeredInRound;
    }

    error NoDataPresent(uint80 roundId);
    error Broken();

    uint8 public decimals;
    Mode public mode;
    /// Reading a round that does not exist reverts; otherwise it answers zeros.
    bool public revertsOnMissing;
    bool public offersBounds;
    int192 private _minAnswer;
    int192 private _maxAnswer;
    uint80 public latestRound;
    mapping(uint80 roundId => Round) private _rounds;

    constructor(uint8 decimals_) {
        decimals = decimals_;
    }

    /// @notice Publishes the next round.
    function push(int256 answer, uint256 updatedAt) external returns (uint80 roundId) {
        roundId = ++latestRound;
        _rounds[roundId] = Round(answer, updatedAt, updatedAt, roundId);
    }

    /// @notice Writes any round with any words, and makes it the newest if its id is the highest.
    function setRound(uint80 roundId, int256 answer, uint256 startedAt, uint256 updatedAt, uint80 answeredInRound)
        external
    {
        _rounds[roundId] = Round(answer, startedAt, updatedAt, answeredInRound);
        if (roundId > latestRound) latestRound = roundId;
    }

    function setLatestRound(uint80 roundId) external {
        latestRound = roundId;
    }

    function setMode(Mode mode_) external {
        mode = mode_;
    }

    function setDecimals(uint8 decimals_) external {
        decimals = decimals_;
    }

    function setRevertsOnMissing(bool reverts) external {
        revertsOnMissing = reverts;
    }

    /// @notice Offers `minAnswer()` and `maxAnswer()` from now on.
    function setBounds(int192 least, int192 largest) external {
        (offersBounds, _minAnswer, _maxAnswer) = (true, least, largest);
    }

    function minAnswer() external view returns (int192) {
        require(offersBounds, Broken());
        return _minAnswer;
    }

    function maxAnswer() external view returns (int192) {
        require(offersBounds, Broken());
        return _maxAnswer;
    }

    function latestRoundData() external view returns (uint80, int256, uint256, uint256, uint80) {
        return _answer(latestRound);
    }

    function getRoundData(uint80 roundId) external view returns (uint80, int256, uint256, uint256, uint80) {
        return _answer(roundId);
    }

    function description() external pure returns (string memory) {
        return "mock";
    }

    function version() external pure returns (uint256) {
        return 1;
    }

    function _answer(uint80 roundId) private view returns (uint80, int256, uint256, uint256, uint80) {
        if (mode != Mode.Normal) _misbehave();
        Round memory r = _rounds[roundId];
        require(r.updatedAt != 0 || !revertsOnMissing, NoDataPresent(roundId));
        return (roundId, r.answer, r.startedAt, r.updatedAt, r.answeredInRound);
    }

    function _misbehave() private view {
        require(mode != Mode.Revert, Broken());
        if (mode == Mode.BurnGas) {
            assembly ("memory-safe") {
                invalid()
            }
        }
        uint256 size = mode == Mode.ShortAnswer ? 64 : 50_000;
        assembly ("memory-safe") {
            return(0, size)
        }
    }
}
