// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IClearinghouseAdmin as E, CollateralParams, PoolParams} from "../interfaces/IClearinghouseAdmin.sol";
import {
    LimitsWord,
    MarginWord,
    PoolInterestWord,
    PoolLiquidityWord,
    PoolRiskWord,
    TradeWord
} from "../types/ConfigWords.sol";
import {FixedMath, PPM, WAD} from "./FixedMath.sol";
import {MarginMath} from "./MarginMath.sol";
import {PricingMath} from "./PricingMath.sol";

/// @notice The inequalities between parameters. Each keeps a way to lose money shut; each has its own error.
library ParameterChecks {
    uint256 private constant PPM_TO_WAD = WAD / PPM;
    /// 250 % a year: ten years of it fit the borrow index
    uint256 private constant MAX_RATE = uint256(25e17) / 365 days;

    /// @notice What holds for a pool by itself.
    function pool(PoolParams memory q) internal pure {
        require(
            q.adlTargetPpm < q.adlTriggerPpm && q.adlTriggerPpm <= PPM && q.adlTargetPpm != 0,
            E.DeleveragingOrder(q.adlTargetPpm, q.adlTriggerPpm)
        );
        require(q.targetHealthPpm > PPM && q.targetHealthPpm <= 2 * PPM, E.TargetHealthRange(q.targetHealthPpm));
        require(q.graceHealthPpm >= PPM / 2 && q.graceHealthPpm <= PPM, E.GraceHealthRange(q.graceHealthPpm));
        require(q.saleSeconds != 0, E.SaleSecondsRange(q.saleSeconds));
        require(q.discountMaxPpm != 0 && q.discountMaxPpm < PPM, E.DiscountOutOfRange(q.discountMaxPpm, PPM));
        uint256 shares = q.insuranceSharePpm + q.lpSharePpm;
        require(shares <= PPM, E.FractionAboveOne(shares));
        require(q.profitWeightPpm <= PPM, E.FractionAboveOne(q.profitWeightPpm));
        require(q.utilisationLimitPpm <= PPM, E.FractionAboveOne(q.utilisationLimitPpm));
        require(q.interestKinkPpm <= PPM, E.FractionAboveOne(q.interestKinkPpm));
        require(q.lpGapPpm <= PPM, E.FractionAboveOne(q.lpGapPpm));
        uint256 rate = q.interestBase + q.interestSlope1 + q.interestSlope2;
        require(rate <= MAX_RATE, E.InterestTooHigh(rate, MAX_RATE));
        require(q.referenceNav != 0, E.ReferenceNavMissing());
    }

    /// @notice What holds for margin rates of a market under a target health.
    function margin(MarginWord w, LimitsWord f, uint256 targetHealthPpm) internal pure {
        uint256 penalty = w.penaltyPpm();
        require(
            0 < w.rewardRatePpm() && w.rewardRatePpm() < penalty && penalty < w.mmBasePpm(),
            E.RewardPenaltyOrder(w.rewardRatePpm(), penalty, w.mmBasePpm())
        );
        uint256 most = f.maxPosition();
        uint256 top = MarginMath.ratio(w.mmBasePpm() + penalty, w.mmSlope(), most);
        require(top < WAD, E.MaintenanceTooHigh(top));
        _buffer(w, 0, targetHealthPpm, f.movePpm());
        _buffer(w, most, targetHealthPpm, f.movePpm());
    }

    /// @dev Initial margin against the target of liquidation and against the move a stale price can hide, at one size.
    function _buffer(MarginWord w, uint256 size, uint256 targetHealthPpm, uint256 movePpm) private pure {
        uint256 imr = FixedMath.min(MarginMath.ratio(w.imBasePpm(), w.imSlope(), size), WAD);
        uint256 mmr = MarginMath.ratio(w.mmBasePpm() + w.penaltyPpm(), w.mmSlope(), size);
        uint256 required = FixedMath.divUp(mmr * targetHealthPpm, PPM);
        require(imr >= required, E.InitialBelowTarget(size, imr, required));
        uint256 buffer = imr > mmr ? imr - mmr : 0;
        require(buffer >= movePpm * PPM_TO_WAD, E.BufferBelowMove(size, buffer, movePpm * PPM_TO_WAD));
    }

    /// @notice What holds for the cost of trading against the pool.
    function trading(MarginWord w, TradeWord t, LimitsWord f) internal pure {
        require(t.makerPpm() <= t.takerPpm() && t.takerPpm() <= PPM / 20, E.FeeOrder(t.makerPpm(), t.takerPpm()));
        require(f.skewCap() <= f.oiCap(), E.SkewCapAboveOiCap(f.skewCap(), f.oiCap()));
        uint256 premium = t.skewScale() == 0 ? type(uint128).max : FixedMath.mulDivUp(f.oiCap(), WAD, t.skewScale());
        uint256 cost = w.rewardRatePpm() + t.takerPpm() + f.halfBandPpm();
        uint256 room = w.penaltyPpm() > cost ? (w.penaltyPpm() - cost) * PPM_TO_WAD : 0;
        require(premium <= room, E.SelfLiquidationPays(premium, room));
        uint256 total = premium + (t.takerPpm() + f.halfBandPpm()) * PPM_TO_WAD;
        uint256 limit = (w.mmBasePpm() + w.penaltyPpm()) * PPM_TO_WAD;
        require(total < limit, E.TradeCostTooHigh(total, limit));
        uint256 perDay = t.rMax() * 1 days;
        require(perDay <= w.mmBasePpm() * PPM_TO_WAD / 2, E.FundingTooFast(perDay, w.mmBasePpm() * PPM_TO_WAD / 2));
        uint256 decay = t.vMax() * t.deadBandPpm() / PPM;
        require(decay != 0, E.FundingTooSlow(decay));
    }

    /// @notice What holds between a market and its pool, at price `price` and the reference NAV.
    function marketInPool(
        MarginWord w,
        TradeWord t,
        LimitsWord f,
        PoolRiskWord risk,
        PoolInterestWord interest,
        PoolLiquidityWord liquidity,
        uint256 price
    ) internal pure {
        uint256 least = risk.minNotional() * FixedMath.min(w.imBasePpm(), PPM) / PPM;
        require(least >= risk.keeperFloor(), E.MinNotionalTooSmall(least, risk.keeperFloor()));
        uint256 nav = interest.referenceNav();
        uint256 capValue = PricingMath.notionalUp(f.oiCap(), price);
        uint256 limit = nav * f.navMultiplePpm() / PPM;
        require(capValue <= limit, E.OiCapBeyondNav(capValue, limit));
        uint256 product = liquidity.reserveFactorPpm() * f.navMultiplePpm() / PPM;
        require(product <= PPM && f.navMultiplePpm() != 0, E.ReserveUnreachable(product));
        uint256 depth = PricingMath.notionalUp(t.skewScale(), price);
        // K·P·rMax²/(2·vMax), rMax²/vMax is 1e-18 of notional
        uint256 pump = FixedMath.mulDivUp(depth, t.rMax() * t.rMax(), 2 * t.vMax() * WAD);
        require(pump <= nav / 200, E.FundingPumpTooLarge(pump, nav / 200));
    }

    /// @notice skewCap·P·gap/NAV in ppm, rounded up: a market's part of what one gap may cost.
    function gapShare(TradeWord t, LimitsWord f, uint256 price, uint256 nav) internal pure returns (uint256) {
        return FixedMath.mulDivUp(PricingMath.notionalUp(f.skewCap(), price), t.gapPpm(), nav);
    }

    /// @notice What holds for a collateral token of a pool.
    function collateral(CollateralParams memory c, uint256 discountMaxPpm) internal pure {
        require(
            c.weightInitialPpm < c.weightMaintenancePpm && c.weightMaintenancePpm < PPM
                && c.weightMaintenancePpm - c.weightInitialPpm >= c.movePpm,
            E.WeightOrder(c.weightInitialPpm, c.weightMaintenancePpm, c.movePpm)
        );
        uint256 limit = PPM - c.weightMaintenancePpm;
        require(discountMaxPpm < limit, E.DiscountOutOfRange(discountMaxPpm, limit));
    }
}
