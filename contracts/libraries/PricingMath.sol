// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {FixedMath, WAD, PPM} from "./FixedMath.sol";

/// @notice Price of a fill: the oracle price, moved by the skew, on the far side of the uncertainty band.
/// @dev Unchecked but for notionals, which are taken of sizes that nobody has bounded yet. Widths: prices and sides < 2^89, sizes and
/// skews < 2^106, K < 2^94, fees < 2^16 ppm: no product outside `mulDiv` reaches 2^200.
library PricingMath {
    using FixedMath for int256;

    /// @notice 2K + 2·skew + delta: numerator of the premium factor over 2K; always positive when |skew|, |skew + delta| ≤ K.
    function factor(int256 skew, int256 delta, uint256 skewScale) internal pure returns (uint256) {
        unchecked {
            int256 f = 2 * int256(skewScale) + 2 * skew + delta;
            return f > 0 ? uint256(f) : 0;
        }
    }

    /// @notice Price per unit of a fill, WAD: side·(1 + (2·skew + delta)/(2K)), up for buys, down for sells.
    /// @param side `high` of the band for buys, `low` for sells, WAD
    function fillPrice(uint256 side, int256 skew, int256 delta, uint256 skewScale) internal pure returns (uint256) {
        unchecked {
            uint256 f = factor(skew, delta, skewScale);
            return delta > 0 ? FixedMath.mulDivUp(side, f, 2 * skewScale) : FixedMath.mulDivDown(side, f, 2 * skewScale);
        }
    }

    /// @notice ⌈delta·(fill price − price)⌉, WAD: what the trader pays (negative: receives) for band and premium.
    /// @param price oracle price of the fill, WAD
    function fillCost(uint256 side, uint256 price, int256 skew, int256 delta, uint256 skewScale)
        internal
        pure
        returns (int256)
    {
        unchecked {
            // delta·(side·f − price·2K) / (2K·WAD); side·f < 2^88·2^99, so the bracket fits.
            int256 gap = int256(side * factor(skew, delta, skewScale)) - int256(price * 2 * skewScale);
            uint256 scale = 2 * skewScale * WAD;
            return delta > 0 ? gap.mulDivCeil(uint256(delta), scale) : (-gap).mulDivCeil(uint256(-delta), scale);
        }
    }

    /// @notice Π = ⌈P·skew²/(2K)⌉, WAD: premium paid in that the pool will pay out when the skew goes back to zero.
    function premium(uint256 price, int256 skew, uint256 skewScale) internal pure returns (uint256) {
        unchecked {
            uint256 size = skew.abs();
            return size == 0 ? 0 : FixedMath.mulDivUp(price * size, size, 2 * skewScale * WAD);
        }
    }

    /// @notice ⌈fee⌉, WAD: maker for the part of the trade that shrinks |skew|, taker for the part that grows it.
    function fee(uint256 price, int256 skew, int256 delta, uint256 makerPpm, uint256 takerPpm)
        internal
        pure
        returns (uint256)
    {
        unchecked {
            uint256 size = delta.abs();
            uint256 maker = (skew > 0) != (delta > 0) ? FixedMath.min(size, skew.abs()) : 0;
            uint256 weighted = maker * makerPpm + (size - maker) * takerPpm;
            return FixedMath.mulDivUp(weighted, price, WAD * PPM);
        }
    }

    /// @notice ⌈n·P⌉, WAD.
    function notionalUp(uint256 size, uint256 price) internal pure returns (uint256) {
        return FixedMath.divUp(size * price, WAD);
    }

    /// @notice ⌊n·P⌋, WAD.
    function notionalDown(uint256 size, uint256 price) internal pure returns (uint256) {
        return size * price / WAD;
    }
}
