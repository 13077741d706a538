// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {FixedMath, WAD, PPM} from "./FixedMath.sol";

/// @notice Velocity funding with a cap and a dead-band that decays.
/// @dev Unchecked. Widths: rates, velocities and bounds < 2^41, seconds < 2^32, sizes < 2^106, K < 2^94, prices < 2^88: no product reaches
/// 2^196.
library FundingMath {
    using FixedMath for int256;

    /// @notice Velocity of the rate, 1e-18 per second², signed like the skew, rounded toward zero. Inside the dead-band it points
    /// toward rate zero, rounded up and at least 1: there the rate falls no slower than it rises just outside, and a frozen rate
    /// could be pumped.
    /// @param rate current rate, 1e-18 per second
    /// @param skew WAD units, longs minus shorts
    /// @param skewScale K, WAD units
    /// @return velocity change of the rate per second
    /// @return bound where the movement stops, 1e-18 per second
    function drift(int256 rate, int256 skew, uint256 skewScale, uint256 rMax, uint256 vMax, uint256 deadBandPpm)
        internal
        pure
        returns (int256 velocity, int256 bound)
    {
        unchecked {
            uint256 size = FixedMath.min(skew.abs(), skewScale);
            if (size * PPM <= deadBandPpm * skewScale) {
                uint256 decay = FixedMath.max(FixedMath.divUp(deadBandPpm * vMax, PPM), 1);
                return (rate > 0 ? -int256(decay) : int256(decay), 0);
            }
            velocity = int256(vMax * size / skewScale);
            bound = int256(rMax);
            if (skew < 0) (velocity, bound) = (-velocity, -bound);
        }
    }

    /// @notice Moves the rate for `dt` seconds and integrates it exactly, through the moment it reaches its bound.
    /// Splitting an interval gives the same rate and the same sum of integrals, to the unit.
    /// @return newRate 1e-18 per second
    /// @return twice 2·∫ rate dt, 1e-18 (twice, so that it stays an integer); at the bound (bound − rate)²/velocity is rounded down
    function integrate(int256 rate, int256 velocity, int256 bound, uint256 dt)
        internal
        pure
        returns (int256 newRate, int256 twice)
    {
        unchecked {
            int256 time = int256(dt);
            if (velocity == 0 || rate == bound) return (rate, 2 * rate * time);
            int256 way = bound - rate;
            if ((way > 0) != (velocity > 0)) {
                // Beyond the bound (the cap was lowered): back to the bound at once.
                return (bound, 2 * bound * time);
            }
            if (velocity.abs() * dt < way.abs()) {
                return (rate + velocity * time, 2 * rate * time + velocity * time * time);
            }
            int256 missed = int256(way.abs() * way.abs() / velocity.abs());
            return (bound, 2 * bound * time - (way > 0 ? missed : -missed));
        }
    }

    /// @notice ⌊r̄·P·dt⌋: growth of the funding index, WAD settlement units per unit of size.
    /// @param twice from `integrate`
    /// @param price WAD, the price stored at the previous accrual
    function indexGrowth(int256 twice, uint256 price) internal pure returns (int256) {
        unchecked {
            return FixedMath.divFloor(twice * int256(price), 2 * WAD);
        }
    }
}
