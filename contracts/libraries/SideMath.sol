// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {FixedMath, ONE, UNIT, FINE} from "./FixedMath.sol";

/// @notice One side of a market: unit value, shares, profit, deleveraging and socialisation in O(1).
/// Shares and sizes are WAD, unit values and offsets 1e-24 settlement units, scales 1e-36, money WAD.
/// @dev Unchecked. Widths: shares < 2^104, prices − index < 2^97 as stored (< 2^102 while a call works), hence 1e-24 values < 2^128,
/// scales < 2^120, sums of entries < 2^252: no product reaches 2^254.
library SideMath {
    using FixedMath for int256;

    /// @notice W = A·(P − F)/ONE + C: floor for longs, ceil for shorts.
    function unitValue(uint256 scale, int256 offset, uint256 price, int256 fundingIndex, bool long)
        internal
        pure
        returns (int256)
    {
        unchecked {
            return valueAt(scale, offset, (int256(price) - fundingIndex) * FINE, long);
        }
    }

    /// @notice W of `base` = P − F, 1e-24.
    function valueAt(uint256 scale, int256 offset, int256 base, bool long) internal pure returns (int256) {
        unchecked {
            if (scale == ONE) return base + offset;
            int256 product = base * int256(scale);
            return offset + (long ? product.divFloor(ONE) : product.divCeil(ONE));
        }
    }

    /// @notice ⌊|r|·A/ONE⌋
    function sizeOf(uint256 shares, uint256 scale) internal pure returns (uint256) {
        unchecked {
            return scale == ONE ? shares : shares * scale / ONE;
        }
    }

    /// @notice ⌈|s|·ONE/A⌉: the shares that hold size s.
    function sharesFor(uint256 size, uint256 scale) internal pure returns (uint256) {
        unchecked {
            return scale == ONE ? size : FixedMath.divUp(size * ONE, scale);
        }
    }

    /// @notice ⌊r·(W − w)⌋: profit of a position since its last touch, funding included.
    function profit(int256 shares, int256 value, int256 entry) internal pure returns (int256) {
        unchecked {
            return (shares * (value - entry)).divFloor(UNIT);
        }
    }

    /// @notice ⌈R·W − Z⌉: profit of a whole side, as the pool owes it.
    function sideProfit(int256 shares, int256 value, int256 entrySum) internal pure returns (int256) {
        unchecked {
            return (shares * value - entrySum).divCeil(UNIT);
        }
    }

    /// @notice x = ⌊(w − C_k)·ONE/A_k⌋: entry of a position in prices, derived from the event it carries.
    function openEntry(int256 entry, uint256 scale, int256 offset) internal pure returns (int256) {
        unchecked {
            return scale == ONE ? entry - offset : ((entry - offset) * int256(ONE)).divFloor(scale);
        }
    }

    /// @notice ⌈A·(R·(P − F) − Y)/ONE⌉: profit of a side that no earlier event locked.
    function openProfit(int256 shares, uint256 scale, uint256 price, int256 fundingIndex, int256 openEntrySum)
        internal
        pure
        returns (int256)
    {
        unchecked {
            int256 raw = shares * ((int256(price) - fundingIndex) * FINE) - openEntrySum;
            return scale == ONE ? raw.divCeil(UNIT) : raw.mulDivCeil(scale, ONE * UNIT);
        }
    }

    /// @notice f = min(⌈(U − target)/Uopen⌉, ⌊skew/OI⌋), in 1e-36: the part of a side that deleveraging closes.
    /// @param excess U − adlTarget·NAV, WAD, > 0
    /// @param open Uopen of the side, WAD, > 0
    /// @param skew |skew|, WAD
    /// @param interest open interest of the side, WAD, > 0
    /// @param capOnly NAV ≤ 0: take the cap
    function deleverageFraction(uint256 excess, uint256 open, uint256 skew, uint256 interest, bool capOnly)
        internal
        pure
        returns (uint256 fraction)
    {
        unchecked {
            fraction = FixedMath.min(FixedMath.mulDivDown(skew, ONE, interest), ONE);
            if (!capOnly && excess < open) fraction = FixedMath.min(fraction, FixedMath.mulDivUp(excess, ONE, open));
        }
    }

    /// @notice A' = ⌈A·(1 − f)⌉
    function scaleAfter(uint256 scale, uint256 fraction) internal pure returns (uint256) {
        unchecked {
            return FixedMath.mulDivUp(scale, ONE - fraction, ONE);
        }
    }

    /// @notice C' = W − A'·(P − F)/ONE + ΔΠ/R, rounded against the trader (floor for longs, ceil for shorts).
    /// @param released ΔΠ = Π before − after, WAD, ≥ 0
    /// @param shares R of the side, magnitude, > 0
    function offsetAfter(
        int256 value,
        uint256 newScale,
        uint256 price,
        int256 fundingIndex,
        uint256 released,
        uint256 shares,
        bool long
    ) internal pure returns (int256) {
        unchecked {
            int256 base = (int256(price) - fundingIndex) * FINE;
            int256 product = base * int256(newScale);
            int256 gain = unitGain(released, shares);
            return long ? value - product.divCeil(ONE) + gain : value - product.divFloor(ONE) - gain;
        }
    }

    /// @notice ⌊amount/R⌋ per share, 1e-24: what each share gets of `amount`.
    function unitGain(uint256 amount, uint256 shares) internal pure returns (int256) {
        unchecked {
            return int256(FixedMath.mulDivDown(amount, UNIT, shares));
        }
    }

    /// @notice ⌈amount/R⌉ per share, 1e-24: what each share pays of `amount`.
    function unitLoss(uint256 amount, uint256 shares) internal pure returns (int256) {
        unchecked {
            return int256(FixedMath.mulDivUp(amount, UNIT, shares));
        }
    }
}
