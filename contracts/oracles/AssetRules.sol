// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AggregatorV3Interface} from "@chainlink/contracts/src/v0.8/interfaces/AggregatorV3Interface.sol";
import {AssetConfig, FeedKind, IAssetConfig} from "../interfaces/IAssetConfig.sol";
import {ObservationLib} from "../types/Observation.sol";
import {ChainlinkFeed, IPhasedFeed} from "./ChainlinkFeed.sol";
import {FeedCall} from "./FeedCall.sol";

/// @title What the configuration of an asset must satisfy, and what its feeds say about themselves
library AssetRules {
    uint256 internal constant NO_MAX = type(uint128).max;
    uint256 internal constant LARGEST_MAX_AGE = 2 days;
    uint256 internal constant LARGEST_UNCERTAINTY_PPM = 100_000;
    uint256 internal constant LARGEST_DEVIATION_PPM = 500_000;
    uint256 internal constant LEAST_DEVIATION_TIMEOUT = 1 minutes;
    uint256 internal constant LARGEST_DEVIATION_TIMEOUT = 1 days;
    uint256 internal constant LEAST_TAU = 1 minutes;
    uint256 internal constant LARGEST_TAU = 1 days;
    uint256 internal constant LARGEST_LATENCY = 1 hours;
    uint256 private constant PPM = 1e6;

    /// @notice Refuses a number outside its range.
    function checkRanges(AssetConfig calldata c) internal pure {
        require(c.maxAge != 0 && c.maxAge <= LARGEST_MAX_AGE, IAssetConfig.MaxAgeOutOfRange(c.maxAge, LARGEST_MAX_AGE));
        require(
            c.maxUncertaintyPpm <= LARGEST_UNCERTAINTY_PPM,
            IAssetConfig.UncertaintyOutOfRange(c.maxUncertaintyPpm, LARGEST_UNCERTAINTY_PPM)
        );
        require(c.bandPpm <= c.maxUncertaintyPpm, IAssetConfig.BandOutOfRange(c.bandPpm, c.maxUncertaintyPpm));
        require(c.tau >= LEAST_TAU && c.tau <= LARGEST_TAU, IAssetConfig.TauOutOfRange(c.tau, LEAST_TAU, LARGEST_TAU));
        require(
            c.boundBasePpm <= c.boundCapPpm && c.boundCapPpm <= PPM && c.boundPerHourPpm <= PPM,
            IAssetConfig.BoundOutOfRange(c.boundBasePpm, c.boundPerHourPpm, c.boundCapPpm)
        );
        require(c.latency <= LARGEST_LATENCY, IAssetConfig.LatencyOutOfRange(c.latency, LARGEST_LATENCY));
        if (c.secondary == address(0)) return;
        require(
            c.secondaryMaxAge != 0 && c.secondaryMaxAge <= LARGEST_MAX_AGE,
            IAssetConfig.SecondaryMaxAgeOutOfRange(c.secondaryMaxAge, LARGEST_MAX_AGE)
        );
        require(
            c.maxDeviationPpm != 0 && c.maxDeviationPpm <= LARGEST_DEVIATION_PPM,
            IAssetConfig.DeviationOutOfRange(c.maxDeviationPpm, LARGEST_DEVIATION_PPM)
        );
        require(
            c.deviationTimeout >= LEAST_DEVIATION_TIMEOUT && c.deviationTimeout <= LARGEST_DEVIATION_TIMEOUT,
            IAssetConfig.DeviationTimeoutOutOfRange(
                c.deviationTimeout, LEAST_DEVIATION_TIMEOUT, LARGEST_DEVIATION_TIMEOUT
            )
        );
    }

    /// @notice Each kind has exactly the fields that it needs; a field of another kind is a mistake, not to be ignored.
    function checkSource(uint256 asset, AssetConfig calldata c, address pyth) internal pure {
        require(c.kind != FeedKind.None, IAssetConfig.FeedKindMissing(asset));
        if (c.kind == FeedKind.Pyth) {
            require(c.feed != address(0) && c.feed == pyth, IAssetConfig.PythMismatch(c.feed, pyth));
            require(c.pythId != 0, IAssetConfig.PythIdMissing(asset));
        } else {
            require(c.pythId == 0, IAssetConfig.PythIdNotAllowed(c.kind, c.pythId));
        }
        if (c.kind == FeedKind.Fixed) {
            require(c.feed == address(0), IAssetConfig.FeedNotAllowed(c.kind, c.feed));
            require(c.secondary == address(0), IAssetConfig.FeedNotAllowed(c.kind, c.secondary));
            require(
                c.fixedPrice != 0 && c.fixedPrice <= ObservationLib.MAX_PRICE,
                IAssetConfig.FixedPriceOutOfRange(c.fixedPrice, ObservationLib.MAX_PRICE)
            );
        } else {
            require(c.fixedPrice == 0, IAssetConfig.FixedPriceOutOfRange(c.fixedPrice, 0));
            require(c.secondary == address(0) || c.secondary != c.feed, IAssetConfig.SecondaryIsPrimary(c.feed));
        }
        require(
            c.kind == FeedKind.Chainlink || (c.minAnswer == 0 && c.maxAnswer == 0),
            IAssetConfig.AnswerBoundsOutOfRange(c.minAnswer, c.maxAnswer)
        );
    }

    /// @notice The decimals of a feed's answers.
    function decimals(address feed) internal view returns (uint256 found) {
        bool ok;
        (ok, found) = FeedCall.word(feed, AggregatorV3Interface.decimals.selector);
        require(ok, IAssetConfig.FeedUnreadable(feed));
        require(found <= ChainlinkFeed.MAX_DECIMALS, IAssetConfig.DecimalsOutOfRange(found, ChainlinkFeed.MAX_DECIMALS));
    }

    /// @notice The tighter of the configured bounds and the aggregator's own, where it offers any. A largest answer above every
    /// price that the hub accepts is none.
    function answerRange(AssetConfig calldata config, uint256 feedDecimals)
        internal
        view
        returns (uint256 least, uint256 largest)
    {
        (bool ok, uint256 answer) = FeedCall.word(config.feed, IPhasedFeed.aggregator.selector);
        address aggregator = ok && answer != 0 ? address(uint160(answer)) : config.feed;
        least = config.minAnswer;
        (ok, answer) = FeedCall.word(aggregator, IPhasedFeed.minAnswer.selector);
        if (ok && int256(answer) > 0 && answer > least) least = answer;
        largest = config.maxAnswer == 0 ? NO_MAX : config.maxAnswer;
        (ok, answer) = FeedCall.word(aggregator, IPhasedFeed.maxAnswer.selector);
        if (ok && int256(answer) > 0 && answer < largest) largest = answer;
        require(least < largest, IAssetConfig.AnswerBoundsOutOfRange(least, largest));
        if (largest * 10 ** (ChainlinkFeed.MAX_DECIMALS - feedDecimals) > ObservationLib.MAX_PRICE) largest = NO_MAX;
    }
}
