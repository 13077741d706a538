// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {FixedMath, WAD, PPM} from "./FixedMath.sol";

/// @notice Requirements of positions and value of collateral. All WAD. Requirements round up, values down.
/// @dev Unchecked but for collateral, whose balances have no bound of their own. Widths: sizes < 2^104, prices < 2^88, slopes < 2^64,
/// factors < 2^70, variances < 2^48, profits < 2^160: no product outside `mulDivUp` reaches 2^193.
library MarginMath {
    /// @notice base + ⌈slope·n⌉, WAD ratio.
    /// @param slope WAD per whole unit
    function ratio(uint256 basePpm, uint256 slope, uint256 size) internal pure returns (uint256) {
        unchecked {
            return basePpm * (WAD / PPM) + FixedMath.divUp(slope * size, WAD);
        }
    }

    /// @notice min(⌈ratio·factor⌉, 1), WAD.
    function scaledRatio(uint256 ratio_, uint256 factor) internal pure returns (uint256) {
        unchecked {
            return FixedMath.min(FixedMath.divUp(ratio_ * factor, WAD), WAD);
        }
    }

    /// @notice ⌈n·P·ratio⌉, WAD money.
    function requirement(uint256 size, uint256 price, uint256 ratio_) internal pure returns (uint256) {
        unchecked {
            return FixedMath.mulDivUp(size * price, ratio_, WAD * WAD);
        }
    }

    /// @notice clamp(⌈σ/σ_ref⌉, 1, cap), WAD.
    /// @param variance 1e-18 per second
    /// @param sigmaRef 1e-9 per √second; 0 switches the factor off
    function volatilityFactor(uint256 variance, uint256 sigmaRef, uint256 cap) internal pure returns (uint256) {
        unchecked {
            if (sigmaRef == 0 || variance <= sigmaRef * sigmaRef) return WAD;
            return FixedMath.min(FixedMath.divUp(FixedMath.sqrtUp(variance) * WAD, sigmaRef), FixedMath.max(cap, WAD));
        }
    }

    /// @notice ⌊b·p·w⌋, WAD money.
    /// @param balance native units
    /// @param decimals of the token
    /// @param weightPpm 1 − haircut
    function collateralValue(uint256 balance, uint256 decimals, uint256 price, uint256 weightPpm)
        internal
        pure
        returns (uint256)
    {
        return FixedMath.mulDivDown(balance * weightPpm, price, PPM * 10 ** decimals);
    }

    /// @notice ⌊profit·weight⌋ of a gain; a loss counts whole.
    function weightedProfit(int256 profit, uint256 weightPpm) internal pure returns (int256) {
        unchecked {
            return profit <= 0 ? profit : int256(uint256(profit) * weightPpm / PPM);
        }
    }
}
