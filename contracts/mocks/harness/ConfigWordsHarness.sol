// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {
    CollateralWord,
    CollateralWordLib,
    LimitsWord,
    LimitsWordLib,
    MarginWord,
    MarginWordLib,
    PoolInterestWord,
    PoolInterestWordLib,
    PoolLiquidationWord,
    PoolLiquidationWordLib,
    PoolLiquidityWord,
    PoolLiquidityWordLib,
    PoolRiskWord,
    PoolRiskWordLib,
    PoolSettlementWord,
    PoolSettlementWordLib,
    TradeWord,
    TradeWordLib
} from "../../types/ConfigWords.sol";
import {
    FeedWord,
    FeedWordLib,
    SecondaryWord,
    SecondaryWordLib,
    StateWord,
    StateWordLib
} from "../../types/OracleWords.sol";
import {ObservationLib, Spot, Trend} from "../../types/Observation.sol";
import {OrderWord, OrderWordLib, QueueWord, QueueWordLib, RulesWord, RulesWordLib} from "../../types/OrderWords.sol";
import {Batch} from "./Batch.sol";

/// @notice The functions of the word types as entry points: `pack…`, `unpack…` with every accessor, and `with…`.
contract ConfigWordsHarness is Batch {
    // ── MarginWordLib ──

    function hasMarginWord(MarginWord w, uint256 mask) external pure returns (bool) {
        return MarginWordLib.has(w, mask);
    }

    function withFlagsMarginWord(MarginWord w, uint256 flags_) external pure returns (MarginWord) {
        return MarginWordLib.withFlags(w, flags_);
    }

    function unpackMarginWord(MarginWord marginWord_)
        external
        pure
        returns (
            uint256 imBasePpm,
            uint256 mmBasePpm,
            uint256 penaltyPpm,
            uint256 imSlope,
            uint256 mmSlope,
            uint256 volCap,
            uint256 asset,
            uint256 flags,
            uint256 rewardRatePpm
        )
    {
        imBasePpm = MarginWordLib.imBasePpm(marginWord_);
        mmBasePpm = MarginWordLib.mmBasePpm(marginWord_);
        penaltyPpm = MarginWordLib.penaltyPpm(marginWord_);
        imSlope = MarginWordLib.imSlope(marginWord_);
        mmSlope = MarginWordLib.mmSlope(marginWord_);
        volCap = MarginWordLib.volCap(marginWord_);
        asset = MarginWordLib.asset(marginWord_);
        flags = MarginWordLib.flags(marginWord_);
        rewardRatePpm = MarginWordLib.rewardRatePpm(marginWord_);
    }

    // ── TradeWordLib ──

    function unpackTradeWord(TradeWord tradeWord_)
        external
        pure
        returns (
            uint256 skewScale,
            uint256 rMax,
            uint256 vMax,
            uint256 deadBandPpm,
            uint256 makerPpm,
            uint256 takerPpm,
            uint256 sigmaRef,
            uint256 gapPpm
        )
    {
        skewScale = TradeWordLib.skewScale(tradeWord_);
        rMax = TradeWordLib.rMax(tradeWord_);
        vMax = TradeWordLib.vMax(tradeWord_);
        deadBandPpm = TradeWordLib.deadBandPpm(tradeWord_);
        makerPpm = TradeWordLib.makerPpm(tradeWord_);
        takerPpm = TradeWordLib.takerPpm(tradeWord_);
        sigmaRef = TradeWordLib.sigmaRef(tradeWord_);
        gapPpm = TradeWordLib.gapPpm(tradeWord_);
    }

    // ── LimitsWordLib ──

    function unpackLimitsWord(LimitsWord limitsWord_)
        external
        pure
        returns (
            uint256 oiCap,
            uint256 skewCap,
            uint256 maxPosition,
            uint256 navMultiplePpm,
            uint256 halfBandPpm,
            uint256 movePpm
        )
    {
        oiCap = LimitsWordLib.oiCap(limitsWord_);
        skewCap = LimitsWordLib.skewCap(limitsWord_);
        maxPosition = LimitsWordLib.maxPosition(limitsWord_);
        navMultiplePpm = LimitsWordLib.navMultiplePpm(limitsWord_);
        halfBandPpm = LimitsWordLib.halfBandPpm(limitsWord_);
        movePpm = LimitsWordLib.movePpm(limitsWord_);
    }

    // ── PoolRiskWordLib ──

    function pausedPoolRiskWord(PoolRiskWord w, uint256 mask) external pure returns (bool) {
        return PoolRiskWordLib.paused(w, mask);
    }

    function withPauseFlagsPoolRiskWord(PoolRiskWord w, uint256 flags_) external pure returns (PoolRiskWord) {
        return PoolRiskWordLib.withPauseFlags(w, flags_);
    }

    function unpackPoolRiskWord(PoolRiskWord poolRiskWord_)
        external
        pure
        returns (
            uint256 keeperFloor,
            uint256 minNotional,
            uint256 profitWeightPpm,
            uint256 insuranceSharePpm,
            uint256 lpSharePpm,
            uint256 adlTriggerPpm,
            uint256 adlTargetPpm,
            uint256 maxMarkets,
            uint256 decimals,
            uint256 pauseFlags
        )
    {
        keeperFloor = PoolRiskWordLib.keeperFloor(poolRiskWord_);
        minNotional = PoolRiskWordLib.minNotional(poolRiskWord_);
        profitWeightPpm = PoolRiskWordLib.profitWeightPpm(poolRiskWord_);
        insuranceSharePpm = PoolRiskWordLib.insuranceSharePpm(poolRiskWord_);
        lpSharePpm = PoolRiskWordLib.lpSharePpm(poolRiskWord_);
        adlTriggerPpm = PoolRiskWordLib.adlTriggerPpm(poolRiskWord_);
        adlTargetPpm = PoolRiskWordLib.adlTargetPpm(poolRiskWord_);
        maxMarkets = PoolRiskWordLib.maxMarkets(poolRiskWord_);
        decimals = PoolRiskWordLib.decimals(poolRiskWord_);
        pauseFlags = PoolRiskWordLib.pauseFlags(poolRiskWord_);
    }

    // ── PoolLiquidationWordLib ──

    function unpackPoolLiquidationWord(PoolLiquidationWord poolLiquidationWord_)
        external
        pure
        returns (
            uint256 targetHealthPpm,
            uint256 rewardMax,
            uint256 gasUnits,
            uint256 l1Fee,
            uint256 gasAsset,
            uint256 graceHealthPpm,
            uint256 discountMaxPpm,
            uint256 saleSeconds
        )
    {
        targetHealthPpm = PoolLiquidationWordLib.targetHealthPpm(poolLiquidationWord_);
        rewardMax = PoolLiquidationWordLib.rewardMax(poolLiquidationWord_);
        gasUnits = PoolLiquidationWordLib.gasUnits(poolLiquidationWord_);
        l1Fee = PoolLiquidationWordLib.l1Fee(poolLiquidationWord_);
        gasAsset = PoolLiquidationWordLib.gasAsset(poolLiquidationWord_);
        graceHealthPpm = PoolLiquidationWordLib.graceHealthPpm(poolLiquidationWord_);
        discountMaxPpm = PoolLiquidationWordLib.discountMaxPpm(poolLiquidationWord_);
        saleSeconds = PoolLiquidationWordLib.saleSeconds(poolLiquidationWord_);
    }

    // ── PoolSettlementWordLib ──

    function withMarketCountPoolSettlementWord(PoolSettlementWord w, uint256 count)
        external
        pure
        returns (PoolSettlementWord)
    {
        return PoolSettlementWordLib.withMarketCount(w, count);
    }

    function withCollateralCountPoolSettlementWord(PoolSettlementWord w, uint256 count)
        external
        pure
        returns (PoolSettlementWord)
    {
        return PoolSettlementWordLib.withCollateralCount(w, count);
    }

    function unitPoolSettlementWord(PoolSettlementWord w) external pure returns (uint256) {
        return PoolSettlementWordLib.unit(w);
    }

    function unpackPoolSettlementWord(PoolSettlementWord poolSettlementWord_)
        external
        pure
        returns (
            address token,
            uint256 decimals,
            uint256 marketCount,
            uint256 collateralCount,
            uint256 maxCollaterals,
            uint256 utilisationLimitPpm
        )
    {
        token = PoolSettlementWordLib.token(poolSettlementWord_);
        decimals = PoolSettlementWordLib.decimals(poolSettlementWord_);
        marketCount = PoolSettlementWordLib.marketCount(poolSettlementWord_);
        collateralCount = PoolSettlementWordLib.collateralCount(poolSettlementWord_);
        maxCollaterals = PoolSettlementWordLib.maxCollaterals(poolSettlementWord_);
        utilisationLimitPpm = PoolSettlementWordLib.utilisationLimitPpm(poolSettlementWord_);
    }

    // ── PoolInterestWordLib ──

    function unpackPoolInterestWord(PoolInterestWord poolInterestWord_)
        external
        pure
        returns (uint256 base, uint256 slope1, uint256 slope2, uint256 kinkPpm, uint256 referenceNav)
    {
        base = PoolInterestWordLib.base(poolInterestWord_);
        slope1 = PoolInterestWordLib.slope1(poolInterestWord_);
        slope2 = PoolInterestWordLib.slope2(poolInterestWord_);
        kinkPpm = PoolInterestWordLib.kinkPpm(poolInterestWord_);
        referenceNav = PoolInterestWordLib.referenceNav(poolInterestWord_);
    }

    // ── PoolLiquidityWordLib ──

    function withShareTokenPoolLiquidityWord(PoolLiquidityWord w, address token)
        external
        pure
        returns (PoolLiquidityWord)
    {
        return PoolLiquidityWordLib.withShareToken(w, token);
    }

    function unpackPoolLiquidityWord(PoolLiquidityWord poolLiquidityWord_)
        external
        pure
        returns (address shareToken, uint256 reserveFactorPpm, uint256 lpGapPpm)
    {
        shareToken = PoolLiquidityWordLib.shareToken(poolLiquidityWord_);
        reserveFactorPpm = PoolLiquidityWordLib.reserveFactorPpm(poolLiquidityWord_);
        lpGapPpm = PoolLiquidityWordLib.lpGapPpm(poolLiquidityWord_);
    }

    // ── CollateralWordLib ──

    function unpackCollateralWord(CollateralWord collateralWord_)
        external
        pure
        returns (address token, uint256 decimals, uint256 asset, uint256 weightInitialPpm, uint256 weightMaintenancePpm)
    {
        token = CollateralWordLib.token(collateralWord_);
        decimals = CollateralWordLib.decimals(collateralWord_);
        asset = CollateralWordLib.asset(collateralWord_);
        weightInitialPpm = CollateralWordLib.weightInitialPpm(collateralWord_);
        weightMaintenancePpm = CollateralWordLib.weightMaintenancePpm(collateralWord_);
    }

    // ── ObservationLib ──

    function packSpot(uint256 price_, uint256 other_, uint256 publishTime_, uint256 flags_, uint256 bandPpm_)
        external
        pure
        returns (Spot)
    {
        return ObservationLib.packSpot(price_, other_, publishTime_, flags_, bandPpm_);
    }

    function packTrend(uint256 ema_, uint256 variance_, uint256 boundPpm_) external pure returns (Trend) {
        return ObservationLib.packTrend(ema_, variance_, boundPpm_);
    }

    function hasObservation(Spot s, uint256 mask) external pure returns (bool) {
        return ObservationLib.has(s, mask);
    }

    function unpackSpot(Spot spot_)
        external
        pure
        returns (
            uint256 price,
            uint256 other,
            uint256 publishTime,
            uint256 flags,
            uint256 bandPpm,
            uint256 low,
            uint256 high
        )
    {
        price = ObservationLib.price(spot_);
        other = ObservationLib.other(spot_);
        publishTime = ObservationLib.publishTime(spot_);
        flags = ObservationLib.flags(spot_);
        bandPpm = ObservationLib.bandPpm(spot_);
        low = ObservationLib.low(spot_);
        high = ObservationLib.high(spot_);
    }

    function unpackTrend(Trend trend_) external pure returns (uint256 ema, uint256 variance, uint256 boundPpm) {
        ema = ObservationLib.ema(trend_);
        variance = ObservationLib.variance(trend_);
        boundPpm = ObservationLib.boundPpm(trend_);
    }

    // ── FeedWordLib ──

    function packFeedWord(
        address feed_,
        uint256 kind_,
        uint256 decimals_,
        uint256 maxAge_,
        uint256 bandPpm_,
        uint256 tau_,
        uint256 maxUncertaintyPpm_
    ) external pure returns (FeedWord) {
        return FeedWordLib.pack(feed_, kind_, decimals_, maxAge_, bandPpm_, tau_, maxUncertaintyPpm_);
    }

    function withMinSmallFeedWord(FeedWord w, uint256 minSmall_) external pure returns (FeedWord) {
        return FeedWordLib.withMinSmall(w, minSmall_);
    }

    function withBoundsFeedWord(FeedWord w) external pure returns (FeedWord) {
        return FeedWordLib.withBounds(w);
    }

    function withSecondaryFeedWord(FeedWord w) external pure returns (FeedWord) {
        return FeedWordLib.withSecondary(w);
    }

    function withSequencerFeedWord(FeedWord w, bool on) external pure returns (FeedWord) {
        return FeedWordLib.withSequencer(w, on);
    }

    function unpackFeedWord(FeedWord feedWord_)
        external
        pure
        returns (
            address feed,
            uint256 kind,
            uint256 decimals,
            uint256 maxAge,
            uint256 bandPpm,
            uint256 tau,
            uint256 maxUncertaintyPpm,
            bool hasSecondary,
            bool hasBounds,
            bool hasSequencer,
            uint256 minSmall
        )
    {
        feed = FeedWordLib.feed(feedWord_);
        kind = FeedWordLib.kind(feedWord_);
        decimals = FeedWordLib.decimals(feedWord_);
        maxAge = FeedWordLib.maxAge(feedWord_);
        bandPpm = FeedWordLib.bandPpm(feedWord_);
        tau = FeedWordLib.tau(feedWord_);
        maxUncertaintyPpm = FeedWordLib.maxUncertaintyPpm(feedWord_);
        hasSecondary = FeedWordLib.hasSecondary(feedWord_);
        hasBounds = FeedWordLib.hasBounds(feedWord_);
        hasSequencer = FeedWordLib.hasSequencer(feedWord_);
        minSmall = FeedWordLib.minSmall(feedWord_);
    }

    // ── SecondaryWordLib ──

    function packSecondaryWord(
        address feed_,
        uint256 decimals_,
        uint256 maxAge_,
        uint256 maxDeviationPpm_,
        uint256 deviationTimeout_,
        uint256 deviatedSince_
    ) external pure returns (SecondaryWord) {
        return SecondaryWordLib.pack(feed_, decimals_, maxAge_, maxDeviationPpm_, deviationTimeout_, deviatedSince_);
    }

    function withDeviatedSinceSecondaryWord(SecondaryWord w, uint256 since) external pure returns (SecondaryWord) {
        return SecondaryWordLib.withDeviatedSince(w, since);
    }

    function unpackSecondaryWord(SecondaryWord secondaryWord_)
        external
        pure
        returns (
            address feed,
            uint256 decimals,
            uint256 maxAge,
            uint256 maxDeviationPpm,
            uint256 deviationTimeout,
            uint256 deviatedSince
        )
    {
        feed = SecondaryWordLib.feed(secondaryWord_);
        decimals = SecondaryWordLib.decimals(secondaryWord_);
        maxAge = SecondaryWordLib.maxAge(secondaryWord_);
        maxDeviationPpm = SecondaryWordLib.maxDeviationPpm(secondaryWord_);
        deviationTimeout = SecondaryWordLib.deviationTimeout(secondaryWord_);
        deviatedSince = SecondaryWordLib.deviatedSince(secondaryWord_);
    }

    // ── StateWordLib ──

    function packStateWord(uint256 price_, uint256 ema_, uint256 variance_, uint256 time_)
        external
        pure
        returns (StateWord)
    {
        return StateWordLib.pack(price_, ema_, variance_, time_);
    }

    function unpackStateWord(StateWord stateWord_)
        external
        pure
        returns (uint256 price, uint256 ema, uint256 variance, uint256 time)
    {
        price = StateWordLib.price(stateWord_);
        ema = StateWordLib.ema(stateWord_);
        variance = StateWordLib.variance(stateWord_);
        time = StateWordLib.time(stateWord_);
    }

    // ── OrderWordLib ──

    function packOrderWord(bytes32 hash, uint256 priceTime_) external pure returns (OrderWord) {
        return OrderWordLib.pack(hash, priceTime_);
    }

    function isOfOrderWord(OrderWord w, bytes32 hash) external pure returns (bool) {
        return OrderWordLib.isOf(w, hash);
    }

    function unpackOrderWord(OrderWord orderWord_) external pure returns (uint256 priceTime) {
        priceTime = OrderWordLib.priceTime(orderWord_);
    }

    // ── QueueWordLib ──

    function packQueueWord(OrderWord head_, uint256 lastId_, uint256 count_, uint256 first_)
        external
        pure
        returns (QueueWord)
    {
        return QueueWordLib.pack(head_, lastId_, count_, first_);
    }

    function placeQueueWord(QueueWord w, uint256 behind) external pure returns (uint256) {
        return QueueWordLib.place(w, behind);
    }

    function withCountQueueWord(QueueWord w, uint256 count_) external pure returns (QueueWord) {
        return QueueWordLib.withCount(w, count_);
    }

    function unpackQueueWord(QueueWord queueWord_)
        external
        pure
        returns (uint256 lastId, uint256 count, uint256 first, OrderWord head)
    {
        lastId = QueueWordLib.lastId(queueWord_);
        count = QueueWordLib.count(queueWord_);
        first = QueueWordLib.first(queueWord_);
        head = QueueWordLib.head(queueWord_);
    }

    // ── RulesWordLib ──

    function packRulesWord(
        uint256 asset_,
        uint256 settlementDelay_,
        uint256 cancelMargin_,
        uint256 execWindow_,
        uint256 latency_,
        uint256 minKeeperFee_
    ) external pure returns (RulesWord) {
        return RulesWordLib.pack(asset_, settlementDelay_, cancelMargin_, execWindow_, latency_, minKeeperFee_);
    }

    function unpackRulesWord(RulesWord rulesWord_)
        external
        pure
        returns (
            uint256 asset,
            uint256 settlementDelay,
            uint256 cancelMargin,
            uint256 execWindow,
            uint256 latency,
            uint256 minKeeperFee
        )
    {
        asset = RulesWordLib.asset(rulesWord_);
        settlementDelay = RulesWordLib.settlementDelay(rulesWord_);
        cancelMargin = RulesWordLib.cancelMargin(rulesWord_);
        execWindow = RulesWordLib.execWindow(rulesWord_);
        latency = RulesWordLib.latency(rulesWord_);
        minKeeperFee = RulesWordLib.minKeeperFee(rulesWord_);
    }
}
