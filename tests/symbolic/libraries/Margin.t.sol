// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {MarginMath} from "../../../contracts/libraries/MarginMath.sol";
import {Symbolic} from "../Symbolic.sol";

/// @notice Requirements and collateral.
contract MarginProofs is Symbolic {
    uint256 private constant WAD = 1e18;

    /// @notice The ratio is base + ⌈slope·n⌉
    /// @custom:bound base < 2^24 ppm, slope < 2^64, size < 2^104
    function check_ratio_rounds_up(uint24 basePpm, uint64 slope, uint104 size) public pure {
        uint256 part = MarginMath.ratio(basePpm, slope, size) - uint256(basePpm) * 1e12;
        uint256 exact = uint256(slope) * size;
        assert(part * WAD >= exact && part * WAD < exact + WAD);
    }

    /// @notice A larger position never has a smaller ratio
    /// @custom:bound base < 2^24 ppm, slope < 2^64, sizes < 2^104
    function check_ratio_rises_with_size(uint24 basePpm, uint64 slope, uint104 small, uint104 large) public pure {
        vm.assume(small <= large);
        assert(MarginMath.ratio(basePpm, slope, small) <= MarginMath.ratio(basePpm, slope, large));
    }

    /// @notice The requirement is ⌈n·P·ratio⌉
    /// @custom:bound size < 2^104, price < 2^88, ratio ≤ 1
    function check_requirement_rounds_up(uint104 size, uint88 price, uint64 ratio) public pure {
        vm.assume(ratio <= WAD);
        uint256 required = MarginMath.requirement(size, price, ratio);
        uint256 exact = uint256(size) * price * ratio;
        assert(required * 1e36 >= exact && required * 1e36 < exact + 1e36);
    }

    /// @notice The scaled ratio is ⌈ratio·factor⌉ but never above 1, and never below the ratio for a factor of at least 1
    /// @custom:bound ratio < 2^70, factor < 2^70
    function check_scaled_ratio_is_capped_at_one(uint72 ratio, uint72 factor) public pure {
        vm.assume(ratio < 1 << 70 && factor < 1 << 70);
        uint256 scaled = MarginMath.scaledRatio(ratio, factor);
        assert(scaled <= WAD);
        if (scaled < WAD) {
            assert(scaled * WAD >= uint256(ratio) * factor && scaled * WAD < uint256(ratio) * factor + WAD);
        }
        if (factor >= WAD && ratio <= WAD) assert(scaled >= ratio);
    }

    /// @notice Collateral counts ⌊b·p·w⌋, never more than it is worth
    /// @custom:bound balance < 2^112 units of 18 decimals, price < 2^88, weight ≤ 1
    function check_collateral_rounds_down(uint112 balance, uint88 price, uint24 weightPpm) public pure {
        vm.assume(weightPpm <= 1e6);
        uint256 value = MarginMath.collateralValue(balance, 18, price, weightPpm);
        uint256 exact = uint256(balance) * price * weightPpm;
        assert(value * 1e24 <= exact && exact - value * 1e24 < 1e24);
        assert(value * WAD <= uint256(balance) * price);
    }

    /// @notice A loss counts whole, a gain ⌊gain·weight⌋ and never more than itself
    /// @custom:bound |profit| < 2^159, weight ≤ 1
    function check_weighted_profit(int160 profit, uint24 weightPpm) public pure {
        vm.assume(weightPpm <= 1e6);
        int256 counted = MarginMath.weightedProfit(profit, weightPpm);
        if (profit <= 0) {
            assert(counted == profit);
        } else {
            int256 exact = int256(profit) * int256(uint256(weightPpm));
            assert(counted * 1e6 <= exact && exact - counted * 1e6 < 1e6 && counted <= profit);
        }
    }

    /// @notice Initial margin covers maintenance: the same size at a higher ratio never requires less
    /// @custom:bound size < 2^104, price < 2^88, ratios ≤ 1
    function check_requirement_rises_with_the_ratio(uint104 size, uint88 price, uint64 low, uint64 high) public pure {
        vm.assume(low <= high && high <= WAD);
        assert(MarginMath.requirement(size, price, low) <= MarginMath.requirement(size, price, high));
    }

    /// @notice Without a reference, or at a variance up to its square, the volatility factor is 1
    /// @custom:bound variance < 2^48, sigmaRef < 2^32, cap < 2^70
    function check_calm_markets_have_factor_one(uint48 variance, uint32 sigmaRef, uint72 cap) public pure {
        vm.assume(sigmaRef == 0 || variance <= uint256(sigmaRef) * sigmaRef);
        assert(MarginMath.volatilityFactor(variance, sigmaRef, cap) == WAD);
    }
}
