// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Spot} from "../types/Observation.sol";
import {StateWord} from "../types/OracleWords.sol";

/// @notice Where the price of an asset comes from. `Fixed` is for tests and local chains.
enum FeedKind {
    None,
    Chainlink,
    Pyth,
    Fixed
}

/// @notice Everything governance sets for one asset, as given; what a feed itself says (decimals, bounds) is pinned beside it.
/// @param kind source of the price
/// @param feed Chainlink: the feed (proxy). Pyth: the Pyth contract of the hub. Fixed: zero
/// @param secondary Chainlink-style feed that the price is compared with, zero for none
/// @param pythId price id, Pyth only
/// @param fixedPrice WAD, Fixed only
/// @param minAnswer answers at or below are invalid, in the feed's units; 0 for none. Chainlink: the tighter of this and the
/// aggregator's own is pinned. Chainlink only
/// @param maxAnswer answers at or above are invalid, in the feed's units; 0 for none. As `minAnswer`
/// @param maxAge seconds after its publication at which a price becomes invalid
/// @param bandPpm half width of the uncertainty band, 1e-6 of the price; Pyth: the least one
/// @param maxUncertaintyPpm a half width above it is UNCERTAIN, 1e-6
/// @param secondaryMaxAge seconds after which the secondary is ignored
/// @param maxDeviationPpm a difference above it, relative to the lower price, is DEVIATED, 1e-6
/// @param deviationTimeout seconds after which DEVIATED becomes DEVIATED_LONG too
/// @param tau time constant of moving average and variance, seconds
/// @param boundBasePpm g(0), see `EmaMath.boundPpm`
/// @param boundPerHourPpm growth of g per hour
/// @param boundCapPpm largest g
/// @param latency seconds that the feed's publication may lag behind the market
struct AssetConfig {
    FeedKind kind;
    address feed;
    address secondary;
    bytes32 pythId;
    uint96 fixedPrice;
    uint128 minAnswer;
    uint128 maxAnswer;
    uint32 maxAge;
    uint32 bandPpm;
    uint32 maxUncertaintyPpm;
    uint32 secondaryMaxAge;
    uint32 maxDeviationPpm;
    uint32 deviationTimeout;
    uint32 tau;
    uint32 boundBasePpm;
    uint32 boundPerHourPpm;
    uint32 boundCapPpm;
    uint32 latency;
}

/// @title Listing and configuration of the OracleHub
interface IAssetConfig {
    event AssetListed(uint256 indexed asset, AssetConfig config);
    event AssetSet(uint256 indexed asset, AssetConfig config);
    event SequencerSet(address feed, uint256 grace);
    event PythSet(address pyth);
    /// @notice Emitted whenever the stored state of an asset changes, with all of it.
    /// @param state as it is stored
    /// @param spot the price that was read, with its publish time and flags
    event Observed(uint256 indexed asset, StateWord state, Spot spot);
    /// @notice Primary and secondary began to differ at `since`, or agree again (`since` 0).
    event DeviationChanged(uint256 indexed asset, uint256 since);

    error AssetOutOfRange(uint256 asset, uint256 largest);
    error AssetAlreadyListed(uint256 asset);
    error FeedKindMissing(uint256 asset);
    /// @notice `feed` has no code, or did not answer `decimals()` or `latestRoundData()`.
    error FeedUnreadable(address feed);
    error FeedNotAllowed(FeedKind kind, address feed);
    error PythMismatch(address feed, address pyth);
    error PythIdMissing(uint256 asset);
    error PythIdNotAllowed(FeedKind kind, bytes32 pythId);
    error SecondaryIsPrimary(address feed);
    error DecimalsOutOfRange(uint256 decimals, uint256 largest);
    error AnswerBoundsOutOfRange(uint256 minAnswer, uint256 maxAnswer);
    error FixedPriceOutOfRange(uint256 price, uint256 largest);
    error MaxAgeOutOfRange(uint256 maxAge, uint256 largest);
    error UncertaintyOutOfRange(uint256 maxUncertaintyPpm, uint256 largest);
    error BandOutOfRange(uint256 bandPpm, uint256 maxUncertaintyPpm);
    error SecondaryMaxAgeOutOfRange(uint256 maxAge, uint256 largest);
    error DeviationOutOfRange(uint256 maxDeviationPpm, uint256 largest);
    error DeviationTimeoutOutOfRange(uint256 timeout, uint256 least, uint256 largest);
    error TauOutOfRange(uint256 tau, uint256 least, uint256 largest);
    error BoundOutOfRange(uint256 basePpm, uint256 perHourPpm, uint256 capPpm);
    error LatencyOutOfRange(uint256 latency, uint256 largest);
    error GraceOutOfRange(uint256 grace, uint256 largest);
    /// @notice The feed has no valid price now; list it when it has.
    error PriceNotValid(uint256 asset, uint256 flags);
    error PythNotSet();
    error UpdateFeeMissing(uint256 value, uint256 required);
    error RefundRefused(address to, uint256 value);

    /// @notice Lists `asset` (1 … 255) and starts its moving average at the present price.
    /// @custom:reverts AssetOutOfRange, AssetAlreadyListed, PriceNotValid, and one error for each bound of `AssetConfig`
    function listAsset(uint256 asset, AssetConfig calldata config) external;

    /// @notice Replaces the configuration of a listed asset; what has passed is folded into its moving average first. Decimals
    /// and the feed's own bounds are pinned again. A different source must have a valid price now.
    function setAsset(uint256 asset, AssetConfig calldata config) external;

    /// @notice Sets the L2 sequencer uptime feed (zero: none) and the grace after it came up, seconds.
    function setSequencer(address feed, uint256 grace) external;

    /// @notice Sets the Pyth contract of the hub. Assets already listed keep theirs until they are set again.
    function setPyth(address pyth) external;

    /// @notice Passes price updates on to Pyth; whatever exceeds Pyth's fee is returned to the caller.
    function updatePyth(bytes[] calldata updateData) external payable;

    /// @notice The configuration of `asset` as given.
    function assetConfig(uint256 asset) external view returns (AssetConfig memory);

    /// @notice What was pinned when `asset` was listed or set: the feed's decimals, and the answers at or beyond which it is
    /// invalid, in the feed's units (largest: 2^128 − 1 for none).
    function pinned(uint256 asset)
        external
        view
        returns (uint256 decimals, uint256 secondaryDecimals, uint256 minAnswer, uint256 maxAnswer);

    /// @notice The stored state of `asset`: last valid price and moving average (WAD), variance (1e-18 per second), time of the
    /// last observation, and since when primary and secondary differ (0: they agree).
    function assetState(uint256 asset)
        external
        view
        returns (uint256 price, uint256 ema, uint256 variance, uint256 time, uint256 deviatedSince);

    /// @notice The ids of all listed assets, ascending.
    function listedAssets() external view returns (uint256[] memory);

    /// @notice The sequencer uptime feed (zero: none) and its grace, seconds.
    function sequencer() external view returns (address feed, uint256 grace);

    /// @notice For keepers: the rounds that the hint of `firstAfter` needs, `abi.encode(roundId, previousRoundId)`.
    /// @return roundId the round of the first price published at or after `notBefore`
    /// @return previousRoundId the round before it, 0 when there is none
    /// @custom:reverts NoPriceYet when there is none yet, FeedNotAllowed when the asset has no Chainlink feed
    function searchRound(uint256 asset, uint256 notBefore)
        external
        view
        returns (uint80 roundId, uint80 previousRoundId);
}
