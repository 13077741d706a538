// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {MarketId, PoolId} from "../types/Ids.sol";

/// @notice Parameters of a pool. Money WAD (multiples of 1e9 wei), ratios ppm, rates 1e-18 per second.
struct PoolParams {
    address settlementToken;
    uint256 maxMarkets;
    uint256 maxCollaterals;
    uint256 utilisationLimitPpm;
    uint256 keeperFloor;
    uint256 minNotional;
    uint256 profitWeightPpm;
    uint256 insuranceSharePpm;
    uint256 lpSharePpm;
    uint256 adlTriggerPpm;
    uint256 adlTargetPpm;
    uint256 targetHealthPpm;
    uint256 rewardMax;
    uint256 gasUnits;
    uint256 l1Fee;
    uint256 gasAsset;
    uint256 graceHealthPpm;
    uint256 discountMaxPpm;
    uint256 saleSeconds;
    uint256 interestBase;
    uint256 interestSlope1;
    uint256 interestSlope2;
    uint256 interestKinkPpm;
    uint256 reserveFactorPpm;
    uint256 lpGapPpm;
    uint256 referenceNav;
}

/// @notice Parameters of a market. Sizes WAD units (multiples of 1e9 wei), slopes WAD per unit, ratios ppm, rates 1e-18 per second.
struct MarketParams {
    uint256 asset;
    uint256 imBasePpm;
    uint256 mmBasePpm;
    uint256 penaltyPpm;
    uint256 rewardRatePpm;
    uint256 imSlope;
    uint256 mmSlope;
    uint256 volCapPercent;
    uint256 sigmaRef;
    uint256 skewScale;
    uint256 oiCap;
    uint256 skewCap;
    uint256 maxPosition;
    uint256 makerPpm;
    uint256 takerPpm;
    uint256 rMax;
    uint256 vMax;
    uint256 deadBandPpm;
    uint256 navMultiplePpm;
    uint256 halfBandPpm;
    uint256 movePpm;
    uint256 gapPpm;
}

/// @notice Parameters of a collateral token. `cap` native units.
struct CollateralParams {
    address token;
    uint256 asset;
    uint256 weightInitialPpm;
    uint256 weightMaintenancePpm;
    uint256 cap;
    /// feed deviation + move within its maxAge, ppm
    uint256 movePpm;
}

/// @title Administration of the Clearinghouse
/// @notice Owner sets parameters, guardian only reduces risk. Every setter accrues first and checks the inequalities between parameters,
/// each with its own error that carries both sides.
interface IClearinghouseAdmin {
    error PoolExists(PoolId pool);
    error NotMultiple(uint256 value, uint256 unit);
    error TokenDecimals(address token, uint256 decimals);
    error TooMany(uint256 count, uint256 most);
    error PriceSanity(uint256 price, uint256 expected, uint256 tolerancePpm);
    error ShareTokenSet(address token);
    error TokenListed(address token);
    error GuardianMayOnlyReduce();
    error FeedNotDead(uint256 invalidFor, uint256 settleAfter);
    error SettlementPriceBand(uint256 price, uint256 ema, uint256 bandPpm);

    // inequalities; left and right as the text says, ppm, WAD ratio or WAD money
    /// @notice 0 < ρ < λ < mmBase
    error RewardPenaltyOrder(uint256 rewardRate, uint256 penalty, uint256 mmBase);
    /// @notice mmr(n̂) + λ < 1
    error MaintenanceTooHigh(uint256 ratio);
    /// @notice min(imr(n), 1) ≥ t·(mmr(n) + λ) at 0 and n̂
    error InitialBelowTarget(uint256 size, uint256 imr, uint256 required);
    /// @notice min(imr(n), 1) − mmr(n) − λ ≥ move within maxAge, at 0 and n̂
    error BufferBelowMove(uint256 size, uint256 buffer, uint256 move);
    /// @notice oiCap/K ≤ λ − ρ − taker − û, else liquidating oneself with a partner pays
    error SelfLiquidationPays(uint256 premium, uint256 room);
    /// @notice taker + oiCap/K + û < mmBase + λ
    error TradeCostTooHigh(uint256 cost, uint256 limit);
    /// @notice skewCap ≤ oiCap
    error SkewCapAboveOiCap(uint256 skewCap, uint256 oiCap);
    /// @notice maker ≤ taker, and both at most 5 %
    error FeeOrder(uint256 maker, uint256 taker);
    /// @notice minNotional·imBase ≥ keeperFloor
    error MinNotionalTooSmall(uint256 margin, uint256 keeperFloor);
    /// @notice adlTarget < adlTrigger ≤ 1
    error DeleveragingOrder(uint256 target, uint256 trigger);
    /// @notice adlTarget + Σ skewCap·P·gap/NAV ≤ 0.9
    error GapBeyondNav(uint256 sum, uint256 limit);
    /// @notice oiCap·P ≤ m·NAV at the reference NAV
    error OiCapBeyondNav(uint256 capValue, uint256 limit);
    /// @notice reserveFactor·m ≤ 1
    error ReserveUnreachable(uint256 product);
    /// @notice K·P·rMax²/(2·vMax) ≤ 0.5 % of NAV
    error FundingPumpTooLarge(uint256 amount, uint256 limit);
    /// @notice rMax·1d ≤ mmBase/2, and the dead-band's decay is at least 1
    error FundingTooFast(uint256 perDay, uint256 limit);
    error FundingTooSlow(uint256 decay);
    /// @notice 0 < δmax < 1 − w^M
    error DiscountOutOfRange(uint256 discountMax, uint256 limit);
    /// @notice w^I < w^M < 1 and w^M − w^I ≥ move
    error WeightOrder(uint256 weightInitial, uint256 weightMaintenance, uint256 move);
    error FractionAboveOne(uint256 ppm);
    /// @notice 1 < t ≤ 2
    error TargetHealthRange(uint256 targetHealth);
    /// @notice graceHealth ≥ 0.5: never protects an account below half its MM
    error GraceHealthRange(uint256 graceHealth);
    error SaleSecondsRange(uint256 saleSeconds);
    /// @notice base + slope1 + slope2 of the borrow curve ≤ 250 % a year, 1e-18 per second
    error InterestTooHigh(uint256 rate, uint256 limit);
    /// @notice referenceNav > 0: the inequalities that are relative to NAV need one
    error ReferenceNavMissing();

    event PoolConfigured(PoolId indexed pool, PoolParams params);
    event MarketConfigured(MarketId indexed market, MarketParams params);
    event CollateralConfigured(PoolId indexed pool, uint256 indexed index, CollateralParams params);
    event ShareTokenConfigured(PoolId indexed pool, address token);
    event PauseSet(PoolId indexed pool, uint256 flags, address by);
    event MarketFlagsSet(MarketId indexed market, uint256 flags, address by);
    event CapsLowered(MarketId indexed market, uint256 oiCap, uint256 skewCap, address by);
    event OwnershipOffered(address indexed owner, address indexed pendingOwner);
    event OwnershipTaken(address indexed owner);
    event GuardianSet(address indexed guardian);
    event FeesSwept(PoolId indexed pool, address indexed to, uint256 amount);

    function createPool(PoolId pool, PoolParams calldata params) external;
    function setPool(PoolId pool, PoolParams calldata params) external;
    /// @notice Registers the pool's LP token; once.
    function setShareToken(PoolId pool, address token) external;
    /// @notice Lists a market with all its parameters and caps; its price must be valid and within `tolerancePpm` of `expectedPrice`.
    function listMarket(PoolId pool, MarketParams calldata params, uint256 expectedPrice, uint256 tolerancePpm)
        external
        returns (MarketId market);
    /// @notice Changes a market after accruing it; what a new K does to the premium outstanding goes through insurance.
    function setMarket(MarketId market, MarketParams calldata params) external;
    function listCollateral(PoolId pool, CollateralParams calldata params) external;
    function setCollateral(PoolId pool, CollateralParams calldata params) external;
    /// @notice Sets the pause flags of a pool; the guardian may only add flags.
    function setPause(PoolId pool, uint256 flags) external;
    /// @notice Makes a market reduce-only; only the owner may undo it.
    function setReduceOnly(MarketId market, bool reduceOnly) external;
    /// @notice Guardian or owner: lowers caps.
    function lowerCaps(MarketId market, uint256 oiCap, uint256 skewCap) external;
    /// @notice Settles a market whose feed has been invalid for a day, at a price within 20 % of its EMA.
    function settleMarket(MarketId market, uint256 price) external;
    /// @notice Turns the protocol fees of a pool into a claim of `to`.
    function sweepFees(PoolId pool, address to) external;
    function offerOwnership(address to) external;
    function takeOwnership() external;
    function setGuardian(address guardian_) external;
    function owner() external view returns (address);
    function pendingOwner() external view returns (address);
    function guardian() external view returns (address);
}
