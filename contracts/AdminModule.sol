// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {MarketConfig, PoolConfig} from "./ClearinghouseStorage.sol";
import {Ledger, Market, Pool} from "./Ledger.sol";
import {CollateralParams, IClearinghouseAdmin, MarketParams, PoolParams} from "./interfaces/IClearinghouseAdmin.sol";
import {IOracleHub} from "./interfaces/IOracleHub.sol";
import {FixedMath, PPM, WAD} from "./libraries/FixedMath.sol";
import {ParameterChecks} from "./libraries/ParameterChecks.sol";
import {Action} from "./libraries/PriceMatrix.sol";
import {
    CollateralWord,
    LimitsWord,
    MarginWord,
    MarketFlags,
    Pause,
    PoolInterestWord,
    PoolLiquidationWord,
    PoolLiquidityWord,
    PoolRiskWord,
    PoolSettlementWord,
    TradeWord,
    place
} from "./types/ConfigWords.sol";
import {IdLib, MarketId, PoolId} from "./types/Ids.sol";
import {FundingWordLib} from "./types/MarketWords.sol";
import {Spot, Trend} from "./types/Observation.sol";
import {DebtWordLib, PoolDuesWordLib, PoolFlags} from "./types/PoolWords.sol";

/// @title Administration: the module of the Clearinghouse for parameters, pauses and roles
/// @notice Runs by delegatecall in the Clearinghouse; natspec is on `IClearinghouseAdmin`. Setters accrue first, then check.
contract AdminModule is Ledger, IClearinghouseAdmin {
    using FixedMath for int256;

    uint256 private constant NANO = 1e9;
    uint256 private constant MAX_MARKETS = 32;
    uint256 private constant MAX_COLLATERALS = 16;
    uint256 private constant SETTLE_AFTER = 1 days;
    uint256 private constant SETTLE_BAND_PPM = 200_000;
    uint256 private constant GAP_LIMIT_PPM = 900_000;

    constructor(IOracleHub hub, address orderBook) Ledger(hub, orderBook) {}

    modifier onlyOwner() {
        require(msg.sender == owner_, NotOwner(msg.sender));
        _;
    }

    modifier onlyGuardian() {
        require(msg.sender == owner_ || msg.sender == guardian_, NotGuardian(msg.sender));
        _;
    }

    // ── pools ──────────────────────────────────────────────────────────────

    function createPool(PoolId pool, PoolParams calldata params) external onlyOwner locked {
        require(PoolId.unwrap(pool) != 0 && params.settlementToken != address(0), ZeroAddress());
        require(pools_[pool].debt.borrowIndex() == 0, PoolExists(pool));
        pools_[pool].debt = DebtWordLib.pack(0, WAD, block.timestamp);
        pools_[pool].dues = PoolDuesWordLib.pack(0, 0, 0, PoolFlags.OPEN | PoolFlags.CLEAR);
        uint256 decimals = IERC20Metadata(params.settlementToken).decimals();
        require(decimals >= 2 && decimals <= 18, TokenDecimals(params.settlementToken, decimals));
        poolConfigs_[pool].settlement =
            PoolSettlementWord.wrap(uint256(uint160(params.settlementToken)) | place(decimals, 160, 8));
        _writePool(pool, params);
        emit PoolSet(pool, pools_[pool].money, pools_[pool].dues);
        emit DebtSet(pool, pools_[pool].debt);
    }

    function setPool(PoolId pool, PoolParams calldata params) external onlyOwner locked {
        Pool memory p = _loadPool(pool);
        _storePool(p);
        address token = poolConfigs_[pool].settlement.token();
        require(params.settlementToken == token, UnknownToken(pool, params.settlementToken));
        _writePool(pool, params);
        _checkPool(pool);
    }

    function _writePool(PoolId pool, PoolParams calldata q) private {
        ParameterChecks.pool(q);
        // Every liquidation may ask for the price of gas: an asset that the hub does not know would block it.
        if (q.gasAsset != 0) HUB.peek(q.gasAsset);
        PoolConfig storage config = poolConfigs_[pool];
        uint256 settlement = PoolSettlementWord.unwrap(config.settlement) & ((1 << 184) - 1);
        require(q.maxMarkets != 0 && q.maxMarkets <= MAX_MARKETS, TooMany(q.maxMarkets, MAX_MARKETS));
        require(q.maxCollaterals <= MAX_COLLATERALS, TooMany(q.maxCollaterals, MAX_COLLATERALS));
        config.settlement = PoolSettlementWord.wrap(
            settlement | place(q.maxCollaterals, 192, 8) | place(q.utilisationLimitPpm, 200, 24)
        );
        config.risk = PoolRiskWord.wrap(
            place(_nano(q.keeperFloor), 0, 64) | place(_nano(q.minNotional), 64, 64) | place(q.profitWeightPpm, 128, 20)
                | place(q.insuranceSharePpm, 148, 20) | place(q.lpSharePpm, 168, 20) | place(q.adlTriggerPpm, 188, 24)
                | place(q.adlTargetPpm, 212, 20) | place(q.maxMarkets, 232, 8)
                | place(config.settlement.decimals(), 240, 8) | (config.risk.pauseFlags() << 248)
        );
        config.liquidation = PoolLiquidationWord.wrap(
            place(q.targetHealthPpm, 0, 24) | place(_nano(q.rewardMax), 24, 64) | place(q.gasUnits, 88, 32)
                | place(_nano(q.l1Fee), 120, 64) | place(q.gasAsset, 184, 8) | place(q.graceHealthPpm, 192, 24)
                | place(q.discountMaxPpm, 216, 24) | place(q.saleSeconds, 240, 16)
        );
        config.interest = PoolInterestWord.wrap(
            place(q.interestBase, 0, 40) | place(q.interestSlope1, 40, 40) | place(q.interestSlope2, 80, 40)
                | place(q.interestKinkPpm, 120, 24) | place(_nano(q.referenceNav), 144, 64)
        );
        config.liquidity = PoolLiquidityWord.wrap(
            uint256(uint160(config.liquidity.shareToken())) | place(q.reserveFactorPpm, 160, 24)
                | place(q.lpGapPpm, 184, 24)
        );
        emit PoolConfigured(pool, q);
    }

    function setShareToken(PoolId pool, address token) external onlyOwner locked {
        require(token != address(0), ZeroAddress());
        PoolConfig storage config = poolConfigs_[pool];
        require(config.settlement.token() != address(0), UnknownPool(pool));
        require(config.liquidity.shareToken() == address(0), ShareTokenSet(config.liquidity.shareToken()));
        config.liquidity = config.liquidity.withShareToken(token);
        isPeer_[token] = true;
        emit ShareTokenConfigured(pool, token);
    }

    // ── markets ────────────────────────────────────────────────────────────

    function listMarket(PoolId pool, MarketParams calldata params, uint256 expectedPrice, uint256 tolerancePpm)
        external
        onlyOwner
        locked
        returns (MarketId market)
    {
        PoolConfig storage config = poolConfigs_[pool];
        PoolSettlementWord settlement = config.settlement;
        require(settlement.token() != address(0), UnknownPool(pool));
        uint256 count = settlement.marketCount();
        require(count < MAX_MARKETS, TooMany(count + 1, MAX_MARKETS));
        market = IdLib.toMarket(pool, count);
        (Spot spot,) = _observeFor(Action.Strike, params.asset);
        uint256 price = spot.price();
        uint256 gap = price > expectedPrice ? price - expectedPrice : expectedPrice - price;
        require(gap * PPM <= expectedPrice * tolerancePpm, PriceSanity(price, expectedPrice, tolerancePpm));
        config.settlement = settlement.withMarketCount(count + 1);
        markets_[market].funding = FundingWordLib.pack(0, 0, block.timestamp, price);
        _writeMarket(market, params, MarketFlags.LISTED);
        _checkPool(pool);
        _storeMarket(_loadMarketToChange(market));
    }

    function setMarket(MarketId market, MarketParams calldata params) external onlyOwner locked {
        Pool memory p = _loadPool(market.pool());
        Market memory m = _loadMarketToChange(market);
        _reprice(p, m);
        require(params.asset == m.margin.asset(), UnknownMarket(market));
        uint256 before = _premium(m);
        _writeMarket(market, params, m.margin.flags());
        m.trade = marketConfigs_[market].trade;
        int256 rMax = int256(params.rMax);
        if (m.rate > rMax) m.rate = rMax;
        if (m.rate < -rMax) m.rate = -rMax;
        _mark(p, m);
        _moveInsurance(p, int256(_premium(m)) - int256(before));
        _storeMarket(m);
        _storePool(p);
        _checkPool(market.pool());
    }

    /// @notice A larger premium outstanding is paid by insurance to V, a smaller one by V to insurance: NAV does not move.
    function _moveInsurance(Pool memory p, int256 change) private pure {
        uint256 paid = change > 0 ? FixedMath.min(uint256(change), p.insurance) : 0;
        if (change < 0) {
            p.insurance += uint256(-change);
            p.cash += change;
        } else {
            p.insurance -= paid;
            p.cash += int256(paid);
        }
    }

    function _writeMarket(MarketId market, MarketParams calldata q, uint256 flags) private {
        MarketConfig storage config = marketConfigs_[market];
        config.margin = MarginWord.wrap(
            place(q.imBasePpm, 0, 24) | place(q.mmBasePpm, 24, 24) | place(q.penaltyPpm, 48, 24)
                | place(q.imSlope, 72, 64) | place(q.mmSlope, 136, 64) | place(q.volCapPercent, 200, 16)
                | place(q.asset, 216, 8) | place(flags, 224, 8) | place(q.rewardRatePpm, 232, 24)
        );
        config.trade = TradeWord.wrap(
            place(_nano(q.skewScale), 0, 64) | place(q.rMax, 64, 39) | place(q.vMax, 104, 40)
                | place(q.deadBandPpm, 144, 24) | place(q.makerPpm, 168, 16) | place(q.takerPpm, 184, 16)
                | place(q.sigmaRef, 200, 32) | place(q.gapPpm, 232, 20)
        );
        config.limits = LimitsWord.wrap(
            place(_nano(q.oiCap), 0, 64) | place(_nano(q.skewCap), 64, 64) | place(_nano(q.maxPosition), 128, 64)
                | place(q.navMultiplePpm, 192, 28) | place(q.halfBandPpm, 220, 16) | place(q.movePpm, 236, 20)
        );
        ParameterChecks.trading(config.margin, config.trade, config.limits);
        emit MarketConfigured(market, q);
    }

    /// @notice Every inequality that ties markets to their pool, for all markets of the pool.
    function _checkPool(PoolId pool) private view {
        PoolConfig storage config = poolConfigs_[pool];
        uint256 count = config.settlement.marketCount();
        uint256 nav = config.interest.referenceNav();
        uint256 sum = config.risk.adlTargetPpm();
        for (uint256 i; i < count; ++i) {
            MarketId market = IdLib.toMarket(pool, i);
            MarketConfig storage c = marketConfigs_[market];
            uint256 price = markets_[market].funding.price();
            ParameterChecks.margin(c.margin, c.limits, config.liquidation.targetHealthPpm());
            ParameterChecks.marketInPool(
                c.margin, c.trade, c.limits, config.risk, config.interest, config.liquidity, price
            );
            sum += ParameterChecks.gapShare(c.trade, c.limits, price, nav);
        }
        require(sum <= GAP_LIMIT_PPM, GapBeyondNav(sum, GAP_LIMIT_PPM));
        count = config.settlement.collateralCount();
        uint256 discount = config.liquidation.discountMaxPpm();
        for (uint256 i; i < count; ++i) {
            uint256 limit = PPM - collateralConfigs_[pool][i].weightMaintenancePpm();
            require(discount < limit, DiscountOutOfRange(discount, limit));
        }
    }

    /// @dev Amounts of configuration words are kept in 1e-9.
    function _nano(uint256 value) private pure returns (uint256) {
        require(value % NANO == 0, NotMultiple(value, NANO));
        return value / NANO;
    }

    // ── collateral ─────────────────────────────────────────────────────────

    function listCollateral(PoolId pool, CollateralParams calldata params) external onlyOwner locked {
        PoolConfig storage config = poolConfigs_[pool];
        PoolSettlementWord settlement = config.settlement;
        require(settlement.token() != address(0), UnknownPool(pool));
        require(
            params.token != settlement.token() && collateralIndex_[pool][params.token] == 0, TokenListed(params.token)
        );
        uint256 count = settlement.collateralCount();
        require(count < MAX_COLLATERALS, TooMany(count + 1, MAX_COLLATERALS));
        config.settlement = settlement.withCollateralCount(count + 1);
        collateralIndex_[pool][params.token] = count + 1;
        _observeFor(Action.Strike, params.asset);
        _writeCollateral(pool, count, params);
    }

    function setCollateral(PoolId pool, CollateralParams calldata params) external onlyOwner locked {
        uint256 index = _collateralIndex(pool, params.token);
        uint256 asset = collateralConfigs_[pool][index].asset();
        require(params.asset == asset, UnknownToken(pool, params.token));
        _writeCollateral(pool, index, params);
    }

    function _writeCollateral(PoolId pool, uint256 index, CollateralParams calldata q) private {
        ParameterChecks.collateral(q, poolConfigs_[pool].liquidation.discountMaxPpm());
        uint256 decimals = IERC20Metadata(q.token).decimals();
        require(decimals <= 18, TokenDecimals(q.token, decimals));
        collateralConfigs_[pool][index] = CollateralWord.wrap(
            uint256(uint160(q.token)) | place(decimals, 160, 8) | place(q.asset, 168, 8)
                | place(q.weightInitialPpm, 176, 24) | place(q.weightMaintenancePpm, 200, 24)
        );
        collateralCaps_[pool][index] = q.cap;
        emit CollateralConfigured(pool, index, q);
    }

    // ── guardian: only less risk ───────────────────────────────────────────

    function setPause(PoolId pool, uint256 flags) external onlyGuardian locked {
        require(poolConfigs_[pool].settlement.token() != address(0), UnknownPool(pool));
        PoolRiskWord risk = poolConfigs_[pool].risk;
        require(flags <= Pause.ALL, TooMany(flags, Pause.ALL));
        bool adds = flags & risk.pauseFlags() == risk.pauseFlags();
        require(msg.sender == owner_ || adds, GuardianMayOnlyReduce());
        poolConfigs_[pool].risk = risk.withPauseFlags(flags);
        emit PauseSet(pool, flags, msg.sender);
    }

    function setReduceOnly(MarketId market, bool reduceOnly) external onlyGuardian locked {
        require(msg.sender == owner_ || reduceOnly, GuardianMayOnlyReduce());
        MarginWord margin = _requireListed(market);
        uint256 flags = margin.flags();
        flags = reduceOnly ? flags | MarketFlags.REDUCE_ONLY : flags & ~MarketFlags.REDUCE_ONLY;
        marketConfigs_[market].margin = margin.withFlags(flags);
        emit MarketFlagsSet(market, flags, msg.sender);
    }

    function lowerCaps(MarketId market, uint256 oiCap, uint256 skewCap) external onlyGuardian locked {
        _requireListed(market);
        LimitsWord limits = marketConfigs_[market].limits;
        require(oiCap <= limits.oiCap() && skewCap <= limits.skewCap(), GuardianMayOnlyReduce());
        require(skewCap <= oiCap, SkewCapAboveOiCap(skewCap, oiCap));
        uint256 kept = LimitsWord.unwrap(limits) & ~uint256(type(uint128).max);
        marketConfigs_[market].limits =
            LimitsWord.wrap(kept | place(_nano(oiCap), 0, 64) | place(_nano(skewCap), 64, 64));
        emit CapsLowered(market, oiCap, skewCap, msg.sender);
    }

    function _requireListed(MarketId market) private view returns (MarginWord margin) {
        margin = marketConfigs_[market].margin;
        require(margin.has(MarketFlags.LISTED), UnknownMarket(market));
    }

    // ── settlement of a market whose feed is dead ──────────────────────────

    function settleMarket(MarketId market, uint256 price) external onlyOwner locked {
        Pool memory p = _loadPool(market.pool());
        Market memory m = _loadMarketToChange(market);
        require(!m.margin.has(MarketFlags.SETTLED), MarketSettled(market));
        uint256 asset = m.margin.asset();
        uint256 dead = HUB.invalidFor(asset);
        require(dead >= SETTLE_AFTER, FeedNotDead(dead, SETTLE_AFTER));
        (, Trend trend) = _reprice(p, m);
        uint256 ema = trend.ema();
        uint256 gap = price > ema ? price - ema : ema - price;
        require(gap * PPM <= ema * SETTLE_BAND_PPM, SettlementPriceBand(price, ema, SETTLE_BAND_PPM));
        uint256 flags = m.margin.flags() | MarketFlags.SETTLED | MarketFlags.REDUCE_ONLY;
        marketConfigs_[market].margin = m.margin.withFlags(flags);
        m.price = price;
        _mark(p, m);
        _storeMarket(m);
        _storePool(p);
        emit MarketFlagsSet(market, flags, msg.sender);
        emit Settled(market, price);
    }

    // ── fees and roles ─────────────────────────────────────────────────────

    function sweepFees(PoolId pool, address to) external onlyOwner locked {
        require(to != address(0), ZeroAddress());
        Pool memory p = _loadPool(pool);
        uint256 amount = p.fees;
        require(amount != 0, ZeroAmount());
        p.fees = 0;
        _addClaim(pool, poolConfigs_[pool].settlement.token(), to, amount);
        _storePool(p);
        emit FeesSwept(pool, to, amount);
    }

    function offerOwnership(address to) external onlyOwner locked {
        pendingOwner_ = to;
        emit OwnershipOffered(owner_, to);
    }

    function takeOwnership() external locked {
        require(msg.sender == pendingOwner_, NotOwner(msg.sender));
        (owner_, pendingOwner_) = (msg.sender, address(0));
        emit OwnershipTaken(msg.sender);
    }

    function setGuardian(address newGuardian) external onlyOwner locked {
        guardian_ = newGuardian;
        emit GuardianSet(newGuardian);
    }

    function owner() external view returns (address) {
        return owner_;
    }

    function pendingOwner() external view returns (address) {
        return pendingOwner_;
    }

    function guardian() external view returns (address) {
        return guardian_;
    }
}
