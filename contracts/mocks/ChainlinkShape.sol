// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title An aggregator with the storage and call pattern of Chainlink's off-chain aggregator
/// @notice A read checks the access list (one slot), then the newest round's number (one slot), then the round (one slot).
/// Anyone may push.
contract ChainlinkShapeAggregator {
    struct Transmission {
        int192 answer;
        uint64 timestamp;
    }

    struct HotVars {
        bytes16 latestConfigDigest;
        uint40 latestEpochAndRound;
        uint8 threshold;
        uint32 latestAggregatorRoundId;
    }

    error NoAccess(address reader);
    error NoDataPresent(uint80 roundId);

    uint8 public immutable decimals;
    int192 public immutable minAnswer;
    int192 public immutable maxAnswer;
    /// Older aggregators revert for a round that does not exist, newer ones answer zeros.
    bool public immutable revertsOnMissing;

    bool public checkEnabled = true;
    mapping(address reader => bool) private _accessList;
    HotVars private _hotVars;
    mapping(uint32 roundId => Transmission) private _transmissions;

    constructor(uint8 decimals_, int192 minAnswer_, int192 maxAnswer_, bool revertsOnMissing_) {
        decimals = decimals_;
        minAnswer = minAnswer_;
        maxAnswer = maxAnswer_;
        revertsOnMissing = revertsOnMissing_;
        // Never zero, as on a real chain, so that a push costs what it costs there.
        _hotVars = HotVars(bytes16(uint128(1)), 1, 1, 0);
    }

    /// @notice Publishes the next round.
    /// @param answer in units of `decimals`
    /// @param updatedAt seconds; a real aggregator takes the time of the block
    function push(int256 answer, uint256 updatedAt) external {
        HotVars memory hot = _hotVars;
        hot.latestAggregatorRoundId += 1;
        _hotVars = hot;
        _transmissions[hot.latestAggregatorRoundId] = Transmission(int192(answer), uint64(updatedAt));
    }

    function addAccess(address reader) external {
        _accessList[reader] = true;
    }

    function latestRound() external view returns (uint256) {
        _checkAccess();
        return _hotVars.latestAggregatorRoundId;
    }

    function latestRoundData() external view returns (uint80, int256, uint256, uint256, uint80) {
        _checkAccess();
        uint32 roundId = _hotVars.latestAggregatorRoundId;
        Transmission memory t = _transmissions[roundId];
        return (roundId, t.answer, t.timestamp, t.timestamp, roundId);
    }

    function getRoundData(uint80 roundId) external view returns (uint80, int256, uint256, uint256, uint80) {
        _checkAccess();
        require(roundId <= type(uint32).max, NoDataPresent(roundId));
        Transmission memory t = _transmissions[uint32(roundId)];
        if (t.timestamp == 0) require(!revertsOnMissing, NoDataPresent(roundId));
        return (roundId, t.answer, t.timestamp, t.timestamp, roundId);
    }

    function _checkAccess() private view {
        require(_accessList[msg.sender] || !checkEnabled, NoAccess(msg.sender));
    }
}

/// @title A proxy with the storage and call pattern of Chainlink's feed proxy
/// @notice A read checks the access controller (one slot), then the current phase (one slot) or the phase's aggregator (one
/// slot), then calls the aggregator, and puts the phase in front of its round ids. Anyone may change it.
contract ChainlinkShapeProxy {
    struct Phase {
        uint16 id;
        ChainlinkShapeAggregator aggregator;
    }

    error NoAccess();
    error NoAggregator(uint16 phase);

    address public accessController;
    Phase private _currentPhase;
    mapping(uint16 phase => ChainlinkShapeAggregator) public phaseAggregators;

    constructor(ChainlinkShapeAggregator aggregator_) {
        confirmAggregator(aggregator_);
    }

    /// @notice Opens the next phase with `aggregator_`, and gives the proxy access to it.
    function confirmAggregator(ChainlinkShapeAggregator aggregator_) public {
        uint16 id = _currentPhase.id + 1;
        _currentPhase = Phase(id, aggregator_);
        phaseAggregators[id] = aggregator_;
        aggregator_.addAccess(address(this));
    }

    /// @notice Publishes the next round of the current aggregator.
    function push(int256 answer, uint256 updatedAt) external {
        _currentPhase.aggregator.push(answer, updatedAt);
    }

    function aggregator() external view returns (address) {
        return address(_currentPhase.aggregator);
    }

    function phaseId() external view returns (uint16) {
        return _currentPhase.id;
    }

    function decimals() external view returns (uint8) {
        return _currentPhase.aggregator.decimals();
    }

    function description() external pure returns (string memory) {
        return "mock";
    }

    function version() external pure returns (uint256) {
        return 4;
    }

    function latestRoundData() external view returns (uint80, int256, uint256, uint256, uint80) {
        _checkAccess();
        Phase memory phase = _currentPhase;
        (uint80 roundId, int256 answer, uint256 startedAt, uint256 updatedAt, uint80 answeredInRound) =
            phase.aggregator.latestRoundData();
        return (_withPhase(phase.id, roundId), answer, startedAt, updatedAt, _withPhase(phase.id, answeredInRound));
    }

    function getRoundData(uint80 roundId) external view returns (uint80, int256, uint256, uint256, uint80) {
        _checkAccess();
        uint16 phase = uint16(roundId >> 64);
        ChainlinkShapeAggregator target = phaseAggregators[phase];
        require(address(target) != address(0), NoAggregator(phase));
        (uint80 n, int256 answer, uint256 startedAt, uint256 updatedAt, uint80 answeredInRound) =
            target.getRoundData(uint64(roundId));
        return (_withPhase(phase, n), answer, startedAt, updatedAt, _withPhase(phase, answeredInRound));
    }

    function _checkAccess() private view {
        require(accessController == address(0), NoAccess());
    }

    function _withPhase(uint16 phase, uint80 n) private pure returns (uint80) {
        return (uint80(phase) << 64) | n;
    }
}
