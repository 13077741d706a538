// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {FixedMath, WAD, PPM} from "./FixedMath.sol";

/// @notice How much to close, what it costs, whom it pays. Money, sizes and prices WAD, rates ppm unless said otherwise.
library LiquidationMath {
    /// @notice The least size whose closing brings health to t, or `size` when part cannot help.
    /// With mmr(n) = a + b·n, S = t·MM − equity, B = t(a + λ + 2bn) − λ the answer solves x·(B − tbx) = S/P. Its least solution
    /// (B − √(B² − 4tbS/P))/(2tb) is computed as 2S/(P·(B + √(B² − 4tbS/P))), which loses no digits for a small slope and is S/(P·B)
    /// for none. B and the square root are floored, the division ceiled: the amount is never too small by rounding.
    /// @param size n, WAD
    /// @param price P, WAD
    /// @param shortfall S, WAD money, > 0
    /// @param a mmBase, WAD ratio
    /// @param b mmSlope, WAD ratio per unit
    /// @param penalty λ, WAD ratio
    /// @param target t, WAD, ≥ 1
    function leastClose(
        uint256 size,
        uint256 price,
        uint256 shortfall,
        uint256 a,
        uint256 b,
        uint256 penalty,
        uint256 target
    ) internal pure returns (uint256) {
        uint256 gain = target * (a + penalty + 2 * b * size / WAD) / WAD;
        if (gain <= penalty) return size;
        uint256 B = gain - penalty;
        // x ≥ S/(P·B) whatever the slope: if that exceeds the size, all is closed. Beyond here S/P is bounded, so nothing overflows.
        if (FixedMath.mulDivDown(size * price, B, WAD * WAD) < shortfall) return size;
        uint256 term = FixedMath.mulDivUp(4 * target * b, shortfall, price);
        if (term > B * B) return size;
        uint256 root = FixedMath.sqrtDown(B * B - term);
        return FixedMath.min(FixedMath.mulDivUp(2 * shortfall, WAD * WAD, price * (B + root)), size);
    }

    /// @notice Whether closing part of a position can raise health: equity/MM > λ/(mmr + λ), by cross-multiplication.
    /// @param ratio mmr(n) + λ, WAD
    function partHelps(int256 equity, uint256 maintenance, uint256 penalty, uint256 ratio)
        internal
        pure
        returns (bool)
    {
        unchecked {
            return equity > 0 && uint256(equity) * ratio > maintenance * penalty;
        }
    }

    /// @notice ⌈keeperFloor/(λ·P)⌉: the least size whose penalty pays the floor.
    function floorSize(uint256 keeperFloor, uint256 penalty, uint256 price) internal pure returns (uint256) {
        return FixedMath.mulDivUp(keeperFloor, WAD * WAD, penalty * price);
    }

    /// @notice min(max(λ·closed, keeperFloor), max(equity, 0)).
    /// @param penaltySum Σ ⌈λ·closed notional⌉ over the positions closed, WAD
    function charged(uint256 penaltySum, uint256 keeperFloor, int256 equity) internal pure returns (uint256) {
        unchecked {
            return FixedMath.min(FixedMath.max(penaltySum, keeperFloor), FixedMath.positivePart(equity));
        }
    }

    /// @notice The keeper's pay: min(charged + allowance, cap, max(rate part, min(gas cost, keeperFloor))) with
    /// allowance = min(insurance, max(keeperFloor − charged, 0)).
    /// @param ratePart Σ ⌊rewardRate·closed notional⌋, WAD
    /// @param gasCost gasUnits·basefee·price of the gas token + l1Fee, WAD
    function reward(
        uint256 charged_,
        uint256 insurance,
        uint256 keeperFloor,
        uint256 cap,
        uint256 ratePart,
        uint256 gasCost
    ) internal pure returns (uint256) {
        unchecked {
            uint256 allowance = keeperFloor > charged_ ? FixedMath.min(insurance, keeperFloor - charged_) : 0;
            uint256 wanted = FixedMath.max(ratePart, FixedMath.min(gasCost, keeperFloor));
            return FixedMath.min(FixedMath.min(charged_ + allowance, cap), wanted);
        }
    }

    /// @notice Reverse Dutch discount, ppm, rising from 0 to `maxPpm` over `duration` seconds, rounded down.
    function discount(uint256 elapsed, uint256 duration, uint256 maxPpm) internal pure returns (uint256) {
        unchecked {
            return elapsed >= duration ? maxPpm : maxPpm * elapsed / duration;
        }
    }

    /// @notice y = ⌈(debt − C^I)/(1 − δ − w^I)⌉: value of collateral, at P, whose sale makes debt ≤ C^I; all of it when none does.
    /// @param gap debt − C^I, WAD, > 0
    /// @return WAD value at the oracle price; type(uint256).max for everything
    function saleValue(uint256 gap, uint256 discountPpm, uint256 weightInitialPpm) internal pure returns (uint256) {
        uint256 taken = discountPpm + weightInitialPpm;
        return taken >= PPM ? type(uint256).max : FixedMath.mulDivUp(gap, PPM, PPM - taken);
    }

    /// @notice ⌈amount·P·(1 − δ)⌉ in WAD: what a buyer pays.
    function salePrice(uint256 amount, uint256 decimals, uint256 price, uint256 discountPpm)
        internal
        pure
        returns (uint256)
    {
        return FixedMath.mulDivUp(amount * (PPM - discountPpm), price, PPM * 10 ** decimals);
    }
}
