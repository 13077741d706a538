// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AggregatorV3Interface} from "@chainlink/contracts/src/v0.8/interfaces/AggregatorV3Interface.sol";
import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {IPyth} from "@pythnetwork/pyth-sdk-solidity/IPyth.sol";
import {AssetConfig, FeedKind, IAssetConfig} from "./interfaces/IAssetConfig.sol";
import {IOracleHub} from "./interfaces/IOracleHub.sol";
import {EmaMath} from "./libraries/EmaMath.sol";
import {AssetRules} from "./oracles/AssetRules.sol";
import {ChainlinkFeed} from "./oracles/ChainlinkFeed.sol";
import {FeedCall} from "./oracles/FeedCall.sol";
import {PythFeed} from "./oracles/PythFeed.sol";
import {RoundCache, RoundWord} from "./oracles/RoundCache.sol";
import {ObservationLib, PriceFlags, Spot, Trend} from "./types/Observation.sol";
import {FeedWord, FeedWordLib, SecondaryWord, SecondaryWordLib, StateWord, StateWordLib} from "./types/OracleWords.sol";

/// @title Validated prices with a moving average and a variance
/// @notice Publish times never fall: a Chainlink round that is older than the last observation, and that this observation did
/// not see, is INVALID (the feed went back, for instance to another aggregator); Pyth itself stores only newer prices.
/// A Chainlink feed and the sequencer are read once per transaction: a round that is published in the middle of one counts from the
/// next on, except where `firstAfter` cannot do without it.
/// @dev One read costs the feed, one word of configuration and one of state.
contract OracleHub is IOracleHub, IAssetConfig, Ownable2Step {
    uint256 private constant CHAINLINK = uint256(FeedKind.Chainlink);
    uint256 private constant PYTH = uint256(FeedKind.Pyth);
    uint256 private constant PPM = 1e6;
    uint256 private constant NO_MAX = AssetRules.NO_MAX;

    uint256 private constant LARGEST_ASSET = 255;
    uint256 private constant LARGEST_GRACE = 30 minutes;
    uint256 private constant SEEN = 1;

    mapping(uint256 asset => FeedWord) private _feeds;
    mapping(uint256 asset => StateWord) private _states;
    mapping(uint256 asset => SecondaryWord) private _secondaries;
    /// Least answer in the low, largest in the high 128 bits; read only when the feed word says so.
    mapping(uint256 asset => uint256) private _answerBounds;
    mapping(uint256 asset => AssetConfig) private _configs;
    address private _sequencer;
    uint64 private _grace;
    /// @notice The Pyth contract, zero for none.
    address public pyth;
    /// Sequencer flags read in this transaction, plus SEEN; 0 when not read.
    uint256 private transient _sequencerSeen;

    constructor(address owner_) Ownable(owner_) {}

    // ── prices ──────────────────────────────────────────────────────────────────────────────────────────────────────

    /// @inheritdoc IOracleHub
    function observe(uint256 asset) external returns (Spot, Trend) {
        return _observe(asset);
    }

    /// @inheritdoc IOracleHub
    function peek(uint256 asset) external view returns (Spot spot, Trend trend) {
        FeedWord feed = _listed(asset);
        (spot, trend,,) = _look(asset, feed, _states[asset], _secondary(asset, feed));
    }

    /// @inheritdoc IOracleHub
    function firstAfter(uint256 asset, uint256 notBefore, bytes calldata hint) external payable returns (Spot spot) {
        FeedWord feed = _listed(asset);
        require(notBefore <= block.timestamp, NoPriceYet(asset, notBefore));
        uint256 price;
        uint256 publishTime;
        uint256 band = feed.bandPpm();
        uint256 fee;
        if (feed.kind() == CHAINLINK) {
            (price, publishTime) = _firstRound(asset, feed, notBefore, hint);
        } else if (feed.kind() == PYTH) {
            uint256 confidence;
            (price, publishTime, confidence, fee) =
                PythFeed.firstAfter(feed.feed(), _configs[asset].pythId, asset, notBefore, hint, msg.value);
            if (confidence > band) band = confidence;
        } else {
            (price, publishTime) = (_configs[asset].fixedPrice, notBefore);
        }
        uint256 flags = band > feed.maxUncertaintyPpm() ? PriceFlags.UNCERTAIN : 0;
        if (price == 0) {
            flags |= PriceFlags.INVALID;
            price = _states[asset].price();
        }
        spot = ObservationLib.packSpot(price, 0, publishTime, flags, band);
        _refund(fee);
    }

    /// @inheritdoc IOracleHub
    function invalidFor(uint256 asset) external view returns (uint256) {
        FeedWord feed = _listed(asset);
        (Spot spot,,,) = _look(asset, feed, _states[asset], _secondary(asset, feed));
        return spot.has(PriceFlags.INVALID) ? block.timestamp - spot.publishTime() : 0;
    }

    /// @inheritdoc IAssetConfig
    function updatePyth(bytes[] calldata updateData) external payable {
        address target = pyth;
        require(target != address(0), PythNotSet());
        uint256 fee = IPyth(target).getUpdateFee(updateData);
        require(msg.value >= fee, UpdateFeeMissing(msg.value, fee));
        IPyth(target).updatePriceFeeds{value: fee}(updateData);
        _refund(fee);
    }

    /// @inheritdoc IAssetConfig
    function searchRound(uint256 asset, uint256 notBefore) external view returns (uint80, uint80) {
        FeedWord feed = _listed(asset);
        require(feed.kind() == CHAINLINK, FeedNotAllowed(FeedKind(feed.kind()), feed.feed()));
        (uint256 roundId, uint256 previousRoundId) = ChainlinkFeed.search(feed.feed(), notBefore);
        require(roundId != 0, NoPriceYet(asset, notBefore));
        return (uint80(roundId), uint80(previousRoundId));
    }

    // ── what is stored ──────────────────────────────────────────────────────────────────────────────────────────────

    /// @inheritdoc IAssetConfig
    function assetConfig(uint256 asset) external view returns (AssetConfig memory) {
        _listed(asset);
        return _configs[asset];
    }

    /// @inheritdoc IAssetConfig
    function pinned(uint256 asset) external view returns (uint256, uint256, uint256, uint256) {
        FeedWord feed = _listed(asset);
        (uint256 least, uint256 largest) = _bounds(asset, feed);
        return (feed.decimals(), _secondary(asset, feed).decimals(), least, largest);
    }

    /// @inheritdoc IAssetConfig
    function assetState(uint256 asset) external view returns (uint256, uint256, uint256, uint256, uint256) {
        SecondaryWord secondary = _secondary(asset, _listed(asset));
        StateWord state = _states[asset];
        return (state.price(), state.ema(), state.variance(), state.time(), secondary.deviatedSince());
    }

    /// @inheritdoc IAssetConfig
    function listedAssets() external view returns (uint256[] memory assets) {
        uint256 count;
        for (uint256 asset = 1; asset <= LARGEST_ASSET; ++asset) {
            if (FeedWord.unwrap(_feeds[asset]) != 0) ++count;
        }
        assets = new uint256[](count);
        for (uint256 asset = LARGEST_ASSET; count != 0; --asset) {
            if (FeedWord.unwrap(_feeds[asset]) != 0) assets[--count] = asset;
        }
    }

    /// @inheritdoc IAssetConfig
    function sequencer() external view returns (address, uint256) {
        return (_sequencer, _grace);
    }

    // ── governance ──────────────────────────────────────────────────────────────────────────────────────────────────

    /// @inheritdoc IAssetConfig
    function listAsset(uint256 asset, AssetConfig calldata config) external onlyOwner {
        require(asset != 0 && asset <= LARGEST_ASSET, AssetOutOfRange(asset, LARGEST_ASSET));
        require(FeedWord.unwrap(_feeds[asset]) == 0, AssetAlreadyListed(asset));
        _install(asset, config, 0);
        emit AssetListed(asset, config);
        _restart(asset);
    }

    /// @inheritdoc IAssetConfig
    function setAsset(uint256 asset, AssetConfig calldata config) external onlyOwner {
        _observe(asset);
        AssetConfig storage old = _configs[asset];
        bool moved = old.kind != config.kind || old.feed != config.feed || old.pythId != config.pythId
            || old.fixedPrice != config.fixedPrice;
        bool sameSecondary = !moved && old.secondary == config.secondary;
        _install(asset, config, sameSecondary ? _secondaries[asset].deviatedSince() : 0);
        emit AssetSet(asset, config);
        if (moved) _restart(asset);
    }

    /// @inheritdoc IAssetConfig
    function setSequencer(address feed, uint256 grace) external onlyOwner {
        require(grace <= LARGEST_GRACE, GraceOutOfRange(grace, LARGEST_GRACE));
        if (feed != address(0)) {
            (bool ok,,,,,) = FeedCall.fiveWords(feed, AggregatorV3Interface.latestRoundData.selector);
            require(ok, FeedUnreadable(feed));
        }
        _sequencer = feed;
        _grace = uint64(grace);
        _sequencerSeen = 0;
        for (uint256 asset = 1; asset <= LARGEST_ASSET; ++asset) {
            FeedWord word = _feeds[asset];
            if (FeedWord.unwrap(word) != 0) _feeds[asset] = word.withSequencer(feed != address(0));
        }
        emit SequencerSet(feed, grace);
    }

    /// @inheritdoc IAssetConfig
    function setPyth(address pyth_) external onlyOwner {
        require(pyth_ == address(0) || pyth_.code.length != 0, FeedUnreadable(pyth_));
        pyth = pyth_;
        emit PythSet(pyth_);
    }

    // ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────────

    function _listed(uint256 asset) private view returns (FeedWord feed) {
        feed = _feeds[asset];
        require(FeedWord.unwrap(feed) != 0, UnknownAsset(asset));
    }

    function _secondary(uint256 asset, FeedWord feed) private view returns (SecondaryWord) {
        return feed.hasSecondary() ? _secondaries[asset] : SecondaryWord.wrap(0);
    }

    function _observe(uint256 asset) private returns (Spot spot, Trend trend) {
        FeedWord feed = _listed(asset);
        StateWord state = _states[asset];
        SecondaryWord secondary = _secondary(asset, feed);
        _readOnce(asset, feed);
        StateWord nextState;
        SecondaryWord nextSecondary;
        (spot, trend, nextState, nextSecondary) = _look(asset, feed, state, secondary);
        if (SecondaryWord.unwrap(nextSecondary) != SecondaryWord.unwrap(secondary)) {
            _secondaries[asset] = nextSecondary;
            emit DeviationChanged(asset, nextSecondary.deviatedSince());
        }
        if (StateWord.unwrap(nextState) != StateWord.unwrap(state)) _store(asset, nextState, spot);
    }

    function _store(uint256 asset, StateWord state, Spot spot) private {
        _states[asset] = state;
        emit Observed(asset, state, spot);
    }

    /// @dev Everything `observe` answers and would store, without storing it.
    function _look(uint256 asset, FeedWord feed, StateWord state, SecondaryWord secondary)
        private
        view
        returns (Spot spot, Trend trend, StateWord nextState, SecondaryWord nextSecondary)
    {
        (uint256 price, uint256 publishTime, uint256 band) = _read(asset, feed, state);
        uint256 flags;
        if (price == 0) {
            flags = PriceFlags.INVALID;
            (price, publishTime, band) = (state.price(), state.time(), feed.bandPpm());
        } else if (block.timestamp - publishTime > feed.maxAge()) {
            flags = PriceFlags.INVALID;
        }
        if (band > feed.maxUncertaintyPpm()) flags |= PriceFlags.UNCERTAIN;
        (nextState, nextSecondary) = (state, secondary);
        uint256 other;
        uint256 bound;
        if (flags & PriceFlags.INVALID != 0) {
            bound = _boundPpm(asset, block.timestamp - publishTime);
        } else {
            nextState = _fold(state, price, feed.tau());
            if (feed.hasSecondary()) {
                uint256 deviation;
                (deviation, other, nextSecondary) = _compare(price, secondary);
                flags |= deviation;
            }
        }
        if (feed.hasSequencer()) flags |= _sequencerFlags();
        spot = ObservationLib.packSpot(price, other, publishTime, flags, band);
        trend = ObservationLib.packTrend(nextState.ema(), nextState.variance(), bound);
    }

    /// @dev The price of the source now, of whatever age; 0 when the source has none, it is not a price, it is published in the
    /// future, or the feed went back.
    function _read(uint256 asset, FeedWord feed, StateWord state)
        private
        view
        returns (uint256 price, uint256 publishTime, uint256 band)
    {
        uint256 kind = feed.kind();
        band = feed.bandPpm();
        if (kind == CHAINLINK) {
            RoundWord newest = RoundCache.load(asset);
            if (!newest.seen()) newest = _newestRound(asset, feed);
            (price, publishTime) = (newest.price(), newest.updatedAt());
            if (publishTime < state.time() && price != state.price()) price = 0;
        } else if (kind == PYTH) {
            uint256 confidence;
            (price, publishTime, confidence) = PythFeed.latest(feed.feed(), _configs[asset].pythId);
            if (confidence > band) band = confidence;
        } else {
            (price, publishTime) = (_configs[asset].fixedPrice, block.timestamp);
        }
        if (publishTime > block.timestamp) price = 0;
    }

    /// @dev Keeps what must be asked of other contracts for the rest of the transaction.
    function _readOnce(uint256 asset, FeedWord feed) private {
        if (feed.kind() == CHAINLINK && !RoundCache.load(asset).seen()) {
            RoundCache.store(asset, _newestRound(asset, feed));
        }
        if (feed.hasSequencer() && _sequencerSeen == 0) _sequencerSeen = _sequencerFlags() | SEEN;
    }

    function _newestRound(uint256 asset, FeedWord feed) private view returns (RoundWord) {
        (bool ok, uint256 roundId, int256 answer, uint256 updatedAt) = ChainlinkFeed.latest(feed.feed());
        return ok ? RoundCache.pack(roundId, _toWad(asset, feed, answer), updatedAt) : RoundCache.pack(0, 0, 0);
    }

    /// @dev Price (0: not valid) and time of the first round at or after `notBefore`. The round kept in this transaction serves
    /// as long as it is the one; whether a newer one exists by now does not matter, since only one can be the first.
    function _firstRound(uint256 asset, FeedWord feed, uint256 notBefore, bytes calldata hint)
        private
        returns (uint256 price, uint256 publishTime)
    {
        (uint256 hinted, uint256 claimed) = _roundHint(asset, notBefore, hint);
        RoundWord newest = RoundCache.load(asset);
        if (newest.updatedAt() < notBefore && hinted == 0) {
            newest = _newestRound(asset, feed);
            require(newest.updatedAt() != 0, NotFirstPrice(asset, notBefore, 0));
        }
        bool ok;
        if (hinted == 0 || (hinted == newest.roundId() && newest.updatedAt() >= notBefore)) {
            hinted = newest.roundId();
            publishTime = newest.updatedAt();
            require(publishTime >= notBefore && publishTime <= block.timestamp, NoPriceYet(asset, notBefore));
            publishTime = newest.previousTime();
            ok = newest.previousKnown();
            if (!ok) {
                (ok, publishTime) = ChainlinkFeed.previousTime(feed.feed(), hinted, claimed);
                if (ok) RoundCache.store(asset, newest.withPrevious(publishTime));
            }
            require(ok && publishTime < notBefore, NotFirstPrice(asset, notBefore, hinted));
            return (newest.price(), newest.updatedAt());
        }
        int256 answer;
        (ok, answer, publishTime) = ChainlinkFeed.admissible(feed.feed(), hinted, notBefore);
        require(ok, NotFirstPrice(asset, notBefore, hinted));
        uint256 previous;
        (ok, previous) = ChainlinkFeed.previousTime(feed.feed(), hinted, claimed);
        require(ok && previous < notBefore, NotFirstPrice(asset, notBefore, hinted));
        price = _toWad(asset, feed, answer);
    }

    /// @dev The round of a hint and the claimed last round of the phase before it; both 0 for the newest round.
    function _roundHint(uint256 asset, uint256 notBefore, bytes calldata hint)
        private
        pure
        returns (uint256 hinted, uint256 claimed)
    {
        if (hint.length == 0) return (0, 0);
        if (hint.length == 32 || hint.length == 64) hinted = uint256(bytes32(hint[:32]));
        if (hint.length == 64) claimed = uint256(bytes32(hint[32:]));
        require(hinted != 0 && claimed >> 80 == 0, NotFirstPrice(asset, notBefore, hinted));
    }

    /// @dev Folds the time since the last observation, during which the stored price held, and stores `price`.
    function _fold(StateWord state, uint256 price, uint256 tau) private view returns (StateWord) {
        uint256 previous = state.price();
        if (previous == 0) return StateWordLib.pack(price, price, 0, block.timestamp);
        // Stored times are past block times.
        uint256 elapsed;
        unchecked {
            elapsed = block.timestamp - state.time();
        }
        uint256 weight = EmaMath.oneMinusExp(elapsed, tau);
        uint256 squared = EmaMath.squaredReturn(price, previous);
        return StateWordLib.pack(
            price,
            EmaMath.foldEma(state.ema(), previous, weight),
            EmaMath.foldVariance(state.variance(), squared, weight, elapsed),
            block.timestamp
        );
    }

    /// @dev Compares with the secondary source. One that is missing, invalid or too old is ignored: it neither starts nor ends a
    /// deviation.
    function _compare(uint256 price, SecondaryWord secondary)
        private
        view
        returns (uint256 flags, uint256 other, SecondaryWord next)
    {
        next = secondary;
        (bool ok,, int256 answer, uint256 updatedAt) = ChainlinkFeed.latest(secondary.feed());
        if (!ok || updatedAt > block.timestamp || block.timestamp - updatedAt > secondary.maxAge()) {
            return (0, 0, next);
        }
        other = ChainlinkFeed.toWad(answer, secondary.decimals(), 0, NO_MAX);
        if (other == 0) return (0, 0, next);
        (uint256 lower, uint256 upper) = price < other ? (price, other) : (other, price);
        uint256 since = secondary.deviatedSince();
        if ((upper - lower) * PPM <= lower * secondary.maxDeviationPpm()) {
            if (since != 0) next = secondary.withDeviatedSince(0);
            return (0, 0, next);
        }
        flags = PriceFlags.DEVIATED;
        if (since == 0) next = secondary.withDeviatedSince(block.timestamp);
        else if (block.timestamp - since >= secondary.deviationTimeout()) flags |= PriceFlags.DEVIATED_LONG;
    }

    /// @dev An uptime feed that does not answer, or has no status yet, counts as a sequencer that just came up: risk cannot be
    /// raised, closing stays possible.
    function _sequencerFlags() private view returns (uint256) {
        uint256 seen = _sequencerSeen;
        if (seen != 0) return seen & ~SEEN;
        (bool ok,, uint256 down, uint256 since,,) =
            FeedCall.fiveWords(_sequencer, AggregatorV3Interface.latestRoundData.selector);
        if (!ok || since == 0 || since > block.timestamp) return PriceFlags.SEQUENCER_GRACE;
        if (down != 0) return PriceFlags.SEQUENCER_DOWN;
        return block.timestamp - since < _grace ? PriceFlags.SEQUENCER_GRACE : 0;
    }

    function _toWad(uint256 asset, FeedWord feed, int256 answer) private view returns (uint256) {
        (uint256 least, uint256 largest) = _bounds(asset, feed);
        return ChainlinkFeed.toWad(answer, feed.decimals(), least, largest);
    }

    function _bounds(uint256 asset, FeedWord feed) private view returns (uint256 least, uint256 largest) {
        if (!feed.hasBounds()) return (feed.minSmall(), NO_MAX);
        uint256 word = _answerBounds[asset];
        return (word & NO_MAX, word >> 128);
    }

    function _boundPpm(uint256 asset, uint256 age) private view returns (uint256) {
        AssetConfig storage config = _configs[asset];
        return EmaMath.boundPpm(age, config.boundBasePpm, config.boundPerHourPpm, config.boundCapPpm);
    }

    // ── listing ─────────────────────────────────────────────────────────────────────────────────────────────────────

    /// @dev Takes the present price of a new source as the stored price; the time before it is folded with the previous one.
    function _restart(uint256 asset) private {
        FeedWord feed = _feeds[asset];
        (uint256 price, uint256 publishTime,) = _read(asset, feed, StateWord.wrap(0));
        bool valid = price != 0 && block.timestamp - publishTime <= feed.maxAge();
        require(valid, PriceNotValid(asset, PriceFlags.INVALID));
        StateWord state = _fold(_states[asset], price, feed.tau());
        _store(asset, state, ObservationLib.packSpot(price, 0, publishTime, 0, 0));
    }

    /// @dev Checks a configuration, reads what the feeds say about themselves, and stores both.
    function _install(uint256 asset, AssetConfig calldata config, uint256 deviatedSince) private {
        AssetRules.checkRanges(config);
        AssetRules.checkSource(asset, config, pyth);
        uint256 decimals;
        uint256 least;
        uint256 largest = NO_MAX;
        if (config.kind == FeedKind.Chainlink) {
            decimals = AssetRules.decimals(config.feed);
            (least, largest) = AssetRules.answerRange(config, decimals);
        }
        FeedWord word = FeedWordLib.pack(
            config.feed,
            uint256(config.kind),
            decimals,
            config.maxAge,
            config.bandPpm,
            config.tau,
            config.maxUncertaintyPpm
        );
        if (least <= type(uint16).max && largest == NO_MAX) {
            word = word.withMinSmall(least);
        } else {
            word = word.withBounds();
            _answerBounds[asset] = least | (largest << 128);
        }
        if (config.secondary != address(0)) {
            word = word.withSecondary();
            _secondaries[asset] = SecondaryWordLib.pack(
                config.secondary,
                AssetRules.decimals(config.secondary),
                config.secondaryMaxAge,
                config.maxDeviationPpm,
                config.deviationTimeout,
                deviatedSince
            );
        }
        RoundCache.store(asset, RoundWord.wrap(0));
        _feeds[asset] = word.withSequencer(_sequencer != address(0));
        _configs[asset] = config;
    }

    // ── ether ───────────────────────────────────────────────────────────────────────────────────────────────────────

    /// @dev Returns what the caller sent beyond `fee`.
    function _refund(uint256 fee) private {
        uint256 rest = msg.value - fee;
        if (rest == 0) return;
        (bool ok,) = msg.sender.call{value: rest}("");
        require(ok, RefundRefused(msg.sender, rest));
    }
}
