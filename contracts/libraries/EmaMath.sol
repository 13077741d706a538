// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Moving average, variance and the bound of a lost price
/// @notice Pure formulas of the OracleHub. Prices are WAD below 2^87, weights are WAD in [0, 1), variances are 1e-18 per
/// second, times are seconds. Each function names its rounding.
library EmaMath {
    uint256 internal constant WAD = 1e18;
    uint256 internal constant PPM = 1e6;
    /// The variance saturates here: 2.8e-4 per second, a standard deviation of 1.7 % every second.
    uint256 internal constant MAX_VARIANCE = (1 << 48) - 1;
    /// A squared return saturates here. Even spread over 2^32 seconds it still saturates the variance.
    uint256 internal constant MAX_SQUARED_RETURN = 1 << 112;
    uint256 internal constant MAX_ELAPSED = (1 << 32) - 1;
    uint256 internal constant MAX_TAU = (1 << 17) - 1;

    uint256 private constant ONE_Q64 = 1 << 64;
    /// ⌈ln 2 · 2^64⌉
    uint256 private constant LN2_UP_Q64 = 12_786_308_645_202_655_660;

    /// @notice The weight 1 − e^(−elapsed/tau), WAD, rounded down: below the exact value by less than 3e-18.
    /// Never falls when elapsed/tau grows; 0 at elapsed 0, at most WAD − 1.
    /// @dev With x = elapsed/tau = n·ln 2 + y, 0 ≤ y < ln 2: e^(−x) = 2^(−n) / e^y in 64 fractional bits. x and each term of
    /// the series of e^y are rounded down and ln 2 up, so that e^(−x) is only ever too large: y and the (at most 21) terms
    /// by 2^-64 each, n·ln 2 by n·2^-64, halved n times; the last bit is rounded up. The relative error stays below 2^-57,
    /// two quotients elapsed/tau of one tau ≤ 2^17 are at least 2^-17 apart: hence monotone.
    /// @param elapsed seconds, at most MAX_ELAPSED
    /// @param tau seconds, 1 … MAX_TAU
    function oneMinusExp(uint256 elapsed, uint256 tau) internal pure returns (uint256) {
        if (elapsed == 0) return 0;
        // Widths: x < 2^96, y < 2^64, term < 2^64 and term·y < 2^128.
        unchecked {
            uint256 x = (elapsed << 64) / tau;
            uint256 halvings = x / LN2_UP_Q64;
            uint256 y = x - halvings * LN2_UP_Q64;
            uint256 sum = ONE_Q64 + y;
            uint256 term = y;
            for (uint256 k = 2;; ++k) {
                term = ((term * y) >> 64) / k;
                if (term == 0) break;
                sum += term;
            }
            uint256 remains = (((1 << 128) / sum) >> halvings) + 1;
            return ((ONE_Q64 - remains) * WAD) >> 64;
        }
    }

    /// @notice ema + (previous − ema)·weight; the step is rounded toward 0, so the average never overshoots.
    /// @param ema WAD, below 2^88
    /// @param previous the price that held during the interval, WAD, below 2^88
    /// @param weight `oneMinusExp` of the interval
    function foldEma(uint256 ema, uint256 previous, uint256 weight) internal pure returns (uint256) {
        // Widths: difference < 2^88, weight < 2^60, and the step is at most the difference.
        unchecked {
            if (previous >= ema) return ema + (previous - ema) * weight / WAD;
            return ema - (ema - previous) * weight / WAD;
        }
    }

    /// @notice ((price − previous)/previous)², 1e-18, rounded up, saturating at MAX_SQUARED_RETURN.
    /// @param price WAD, below 2^88
    /// @param previous WAD, 1 … 2^88 − 1
    function squaredReturn(uint256 price, uint256 previous) internal pure returns (uint256) {
        // Widths: difference² < 2^176, times WAD < 2^236.
        unchecked {
            uint256 difference = price > previous ? price - previous : previous - price;
            if (difference == 0) return 0;
            uint256 squared = (difference * difference * WAD - 1) / (previous * previous) + 1;
            return squared < MAX_SQUARED_RETURN ? squared : MAX_SQUARED_RETURN;
        }
    }

    /// @notice variance + (squared − variance·elapsed)·weight/elapsed = variance·(1 − weight) + squared·weight/elapsed,
    /// both terms rounded up, saturating at MAX_VARIANCE; unchanged when elapsed is 0.
    /// @param variance 1e-18 per second, at most MAX_VARIANCE
    /// @param squared `squaredReturn` of the interval
    /// @param weight `oneMinusExp` of the interval
    /// @param elapsed seconds, at most MAX_ELAPSED
    function foldVariance(uint256 variance, uint256 squared, uint256 weight, uint256 elapsed)
        internal
        pure
        returns (uint256)
    {
        if (elapsed == 0) return variance;
        // Widths: variance·weight < 2^108, squared·weight < 2^172, elapsed·WAD < 2^92.
        unchecked {
            uint256 decayed = variance - variance * weight / WAD;
            uint256 scale = elapsed * WAD;
            uint256 folded = decayed + (squared * weight + scale - 1) / scale;
            return folded < MAX_VARIANCE ? folded : MAX_VARIANCE;
        }
    }

    /// @notice g(age) = min(base + perHour·age/3600, cap): how far a price may have moved since it was valid; 1e-6, rounded up.
    /// @param age seconds since the price was published
    /// @param basePpm 1e-6
    /// @param perHourPpm 1e-6 per hour
    /// @param capPpm 1e-6
    function boundPpm(uint256 age, uint256 basePpm, uint256 perHourPpm, uint256 capPpm)
        internal
        pure
        returns (uint256)
    {
        uint256 grown = basePpm + (perHourPpm * age + 3599) / 3600;
        return grown < capPpm ? grown : capPpm;
    }
}
