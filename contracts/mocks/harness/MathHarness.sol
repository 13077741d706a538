// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Cast} from "../../libraries/Cast.sol";
import {FixedMath} from "../../libraries/FixedMath.sol";
import {FundingMath} from "../../libraries/FundingMath.sol";
import {PricingMath} from "../../libraries/PricingMath.sol";
import {SideMath} from "../../libraries/SideMath.sol";
import {MarginMath} from "../../libraries/MarginMath.sol";
import {InterestMath} from "../../libraries/InterestMath.sol";
import {LiquidationMath} from "../../libraries/LiquidationMath.sol";
import {Batch} from "./Batch.sol";

/// @notice The functions of the maths libraries as entry points, each under its own name.
contract MathHarness is Batch {
    // ── Cast ──

    function checkUint(uint256 value, uint256 bits) external pure returns (uint256) {
        return Cast.checkUint(value, bits);
    }

    function checkInt(int256 value, uint256 bits) external pure returns (int256) {
        return Cast.checkInt(value, bits);
    }

    function toInt(uint256 value) external pure returns (int256) {
        return Cast.toInt(value);
    }

    // ── FixedMath ──

    function mulDivDown(uint256 a, uint256 b, uint256 d) external pure returns (uint256) {
        return FixedMath.mulDivDown(a, b, d);
    }

    function mulDivUp(uint256 a, uint256 b, uint256 d) external pure returns (uint256) {
        return FixedMath.mulDivUp(a, b, d);
    }

    function mulDivFloor(int256 a, uint256 b, uint256 d) external pure returns (int256) {
        return FixedMath.mulDivFloor(a, b, d);
    }

    function mulDivCeil(int256 a, uint256 b, uint256 d) external pure returns (int256) {
        return FixedMath.mulDivCeil(a, b, d);
    }

    function divUp(uint256 a, uint256 d) external pure returns (uint256) {
        return FixedMath.divUp(a, d);
    }

    function divFloor(int256 a, uint256 d) external pure returns (int256) {
        return FixedMath.divFloor(a, d);
    }

    function divCeil(int256 a, uint256 d) external pure returns (int256) {
        return FixedMath.divCeil(a, d);
    }

    function abs(int256 a) external pure returns (uint256) {
        return FixedMath.abs(a);
    }

    function min(uint256 a, uint256 b) external pure returns (uint256) {
        return FixedMath.min(a, b);
    }

    function max(uint256 a, uint256 b) external pure returns (uint256) {
        return FixedMath.max(a, b);
    }

    function positivePart(int256 a) external pure returns (uint256) {
        return FixedMath.positivePart(a);
    }

    function sqrtDown(uint256 a) external pure returns (uint256) {
        return FixedMath.sqrtDown(a);
    }

    function sqrtUp(uint256 a) external pure returns (uint256) {
        return FixedMath.sqrtUp(a);
    }

    // ── FundingMath ──

    function drift(int256 rate_, int256 skew, uint256 skewScale, uint256 rMax, uint256 vMax, uint256 deadBandPpm)
        external
        pure
        returns (int256 velocity, int256 bound)
    {
        return FundingMath.drift(rate_, skew, skewScale, rMax, vMax, deadBandPpm);
    }

    function integrate(int256 rate_, int256 velocity, int256 bound, uint256 dt)
        external
        pure
        returns (int256 newRate, int256 twice)
    {
        return FundingMath.integrate(rate_, velocity, bound, dt);
    }

    function indexGrowth(int256 twice, uint256 price) external pure returns (int256) {
        return FundingMath.indexGrowth(twice, price);
    }

    // ── PricingMath ──

    function factor(int256 skew, int256 delta, uint256 skewScale) external pure returns (uint256) {
        return PricingMath.factor(skew, delta, skewScale);
    }

    function fillPrice(uint256 side, int256 skew, int256 delta, uint256 skewScale) external pure returns (uint256) {
        return PricingMath.fillPrice(side, skew, delta, skewScale);
    }

    function fillCost(uint256 side, uint256 price, int256 skew, int256 delta, uint256 skewScale)
        external
        pure
        returns (int256)
    {
        return PricingMath.fillCost(side, price, skew, delta, skewScale);
    }

    function premium(uint256 price, int256 skew, uint256 skewScale) external pure returns (uint256) {
        return PricingMath.premium(price, skew, skewScale);
    }

    function fee(uint256 price, int256 skew, int256 delta, uint256 makerPpm, uint256 takerPpm)
        external
        pure
        returns (uint256)
    {
        return PricingMath.fee(price, skew, delta, makerPpm, takerPpm);
    }

    function notionalUp(uint256 size, uint256 price) external pure returns (uint256) {
        return PricingMath.notionalUp(size, price);
    }

    function notionalDown(uint256 size, uint256 price) external pure returns (uint256) {
        return PricingMath.notionalDown(size, price);
    }

    // ── SideMath ──

    function unitValue(uint256 scale, int256 offset, uint256 price, int256 fundingIndex, bool long)
        external
        pure
        returns (int256)
    {
        return SideMath.unitValue(scale, offset, price, fundingIndex, long);
    }

    function valueAt(uint256 scale, int256 offset, int256 base, bool long) external pure returns (int256) {
        return SideMath.valueAt(scale, offset, base, long);
    }

    function sizeOf(uint256 shares, uint256 scale) external pure returns (uint256) {
        return SideMath.sizeOf(shares, scale);
    }

    function sharesFor(uint256 size, uint256 scale) external pure returns (uint256) {
        return SideMath.sharesFor(size, scale);
    }

    function profit(int256 shares, int256 value, int256 entry) external pure returns (int256) {
        return SideMath.profit(shares, value, entry);
    }

    function sideProfit(int256 shares, int256 value, int256 entrySum) external pure returns (int256) {
        return SideMath.sideProfit(shares, value, entrySum);
    }

    function openEntry(int256 entry, uint256 scale, int256 offset) external pure returns (int256) {
        return SideMath.openEntry(entry, scale, offset);
    }

    function openProfit(int256 shares, uint256 scale, uint256 price, int256 fundingIndex, int256 openEntrySum)
        external
        pure
        returns (int256)
    {
        return SideMath.openProfit(shares, scale, price, fundingIndex, openEntrySum);
    }

    function deleverageFraction(uint256 excess, uint256 open, uint256 skew, uint256 interest, bool capOnly)
        external
        pure
        returns (uint256 fraction)
    {
        return SideMath.deleverageFraction(excess, open, skew, interest, capOnly);
    }

    function scaleAfter(uint256 scale, uint256 fraction) external pure returns (uint256) {
        return SideMath.scaleAfter(scale, fraction);
    }

    function offsetAfter(
        int256 value,
        uint256 newScale,
        uint256 price,
        int256 fundingIndex,
        uint256 released,
        uint256 shares,
        bool long
    ) external pure returns (int256) {
        return SideMath.offsetAfter(value, newScale, price, fundingIndex, released, shares, long);
    }

    function unitGain(uint256 amount, uint256 shares) external pure returns (int256) {
        return SideMath.unitGain(amount, shares);
    }

    function unitLoss(uint256 amount, uint256 shares) external pure returns (int256) {
        return SideMath.unitLoss(amount, shares);
    }

    // ── MarginMath ──

    function ratio(uint256 basePpm, uint256 slope, uint256 size) external pure returns (uint256) {
        return MarginMath.ratio(basePpm, slope, size);
    }

    function scaledRatio(uint256 ratio_, uint256 factor_) external pure returns (uint256) {
        return MarginMath.scaledRatio(ratio_, factor_);
    }

    function requirement(uint256 size, uint256 price, uint256 ratio_) external pure returns (uint256) {
        return MarginMath.requirement(size, price, ratio_);
    }

    function volatilityFactor(uint256 variance, uint256 sigmaRef, uint256 cap) external pure returns (uint256) {
        return MarginMath.volatilityFactor(variance, sigmaRef, cap);
    }

    function collateralValue(uint256 balance, uint256 decimals, uint256 price, uint256 weightPpm)
        external
        pure
        returns (uint256)
    {
        return MarginMath.collateralValue(balance, decimals, price, weightPpm);
    }

    function weightedProfit(int256 profit_, uint256 weightPpm) external pure returns (int256) {
        return MarginMath.weightedProfit(profit_, weightPpm);
    }

    // ── InterestMath ──

    function utilisation(uint256 debt, int256 poolCash) external pure returns (uint256) {
        return InterestMath.utilisation(debt, poolCash);
    }

    function rate(uint256 u, uint256 base, uint256 slope1, uint256 slope2, uint256 kinkPpm)
        external
        pure
        returns (uint256)
    {
        return InterestMath.rate(u, base, slope1, slope2, kinkPpm);
    }

    function indexAfter(uint256 index, uint256 ratePerSecond, uint256 dt) external pure returns (uint256) {
        return InterestMath.indexAfter(index, ratePerSecond, dt);
    }

    function debtOf(uint256 scaled, uint256 index) external pure returns (uint256) {
        return InterestMath.debtOf(scaled, index);
    }

    function totalDebt(uint256 scaled, uint256 index) external pure returns (uint256) {
        return InterestMath.totalDebt(scaled, index);
    }

    function scaledFor(uint256 debt, uint256 index) external pure returns (uint256) {
        return InterestMath.scaledFor(debt, index);
    }

    // ── LiquidationMath ──

    function leastClose(
        uint256 size,
        uint256 price,
        uint256 shortfall,
        uint256 a,
        uint256 b,
        uint256 penalty,
        uint256 target
    ) external pure returns (uint256) {
        return LiquidationMath.leastClose(size, price, shortfall, a, b, penalty, target);
    }

    function partHelps(int256 equity, uint256 maintenance, uint256 penalty, uint256 ratio_)
        external
        pure
        returns (bool)
    {
        return LiquidationMath.partHelps(equity, maintenance, penalty, ratio_);
    }

    function floorSize(uint256 keeperFloor, uint256 penalty, uint256 price) external pure returns (uint256) {
        return LiquidationMath.floorSize(keeperFloor, penalty, price);
    }

    function charged(uint256 penaltySum, uint256 keeperFloor, int256 equity) external pure returns (uint256) {
        return LiquidationMath.charged(penaltySum, keeperFloor, equity);
    }

    function reward(
        uint256 charged_,
        uint256 insurance,
        uint256 keeperFloor,
        uint256 cap,
        uint256 ratePart,
        uint256 gasCost
    ) external pure returns (uint256) {
        return LiquidationMath.reward(charged_, insurance, keeperFloor, cap, ratePart, gasCost);
    }

    function discount(uint256 elapsed, uint256 duration, uint256 maxPpm) external pure returns (uint256) {
        return LiquidationMath.discount(elapsed, duration, maxPpm);
    }

    function saleValue(uint256 gap, uint256 discountPpm, uint256 weightInitialPpm) external pure returns (uint256) {
        return LiquidationMath.saleValue(gap, discountPpm, weightInitialPpm);
    }

    function salePrice(uint256 amount, uint256 decimals, uint256 price, uint256 discountPpm)
        external
        pure
        returns (uint256)
    {
        return LiquidationMath.salePrice(amount, decimals, price, discountPpm);
    }
}
