// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice A price as the hub validated it, one word.
/// | bits      | field       | unit |
/// |-----------|-------------|------|
/// | 0 – 87    | price       | WAD settlement units per unit of the asset; the last valid price when INVALID is set |
/// | 88 – 175  | other       | WAD price of the secondary source while DEVIATED is set, else 0 |
/// | 176 – 207 | publishTime | seconds, publish time of `price` |
/// | 208 – 223 | flags       | see `PriceFlags` |
/// | 224 – 247 | bandPpm     | half width of the uncertainty band, 1e-6 of the price, rounded up |
type Spot is uint256;

/// @notice The slow view of a price, one word.
/// | bits      | field    | unit |
/// |-----------|----------|------|
/// | 0 – 87    | ema      | WAD |
/// | 88 – 135  | variance | 1e-18 per second, saturating |
/// | 136 – 159 | boundPpm | g(age), 1e-6: how far `price` may have moved since it was valid; 0 unless INVALID is set |
type Trend is uint256;

/// @notice Flags of a `Spot`; an action tolerates some of them, see `PriceMatrix`.
library PriceFlags {
    /// missing, zero, negative, at the feed's own bounds, or older than `maxAge`
    uint256 internal constant INVALID = 1;
    /// uncertainty band wider than `maxUncertainty`
    uint256 internal constant UNCERTAIN = 2;
    /// primary and secondary differ by more than `maxDeviation`
    uint256 internal constant DEVIATED = 4;
    /// L2 sequencer is down
    uint256 internal constant SEQUENCER_DOWN = 8;
    /// L2 sequencer came up less than the grace period ago
    uint256 internal constant SEQUENCER_GRACE = 16;
    /// DEVIATED for longer than `deviationTimeout`: the primary alone decides in liquidation
    uint256 internal constant DEVIATED_LONG = 32;
}

/// @notice Packs and unpacks `Spot` and `Trend`.
/// @dev The ends of the band are unchecked: prices < 2^88, and the band is at most PPM.
library ObservationLib {
    uint256 internal constant MAX_PRICE = (1 << 87) - 1;
    uint256 private constant MASK_88 = (1 << 88) - 1;
    uint256 private constant MASK_48 = (1 << 48) - 1;
    uint256 private constant MASK_32 = (1 << 32) - 1;
    uint256 private constant MASK_24 = (1 << 24) - 1;
    uint256 private constant MASK_16 = (1 << 16) - 1;
    uint256 private constant PPM = 1e6;

    error SpotOutOfRange(uint256 price, uint256 other, uint256 publishTime, uint256 flags, uint256 bandPpm);
    error TrendOutOfRange(uint256 ema, uint256 variance, uint256 boundPpm);

    function packSpot(uint256 price_, uint256 other_, uint256 publishTime_, uint256 flags_, uint256 bandPpm_)
        internal
        pure
        returns (Spot)
    {
        require(
            price_ <= MAX_PRICE && other_ <= MAX_PRICE && publishTime_ <= MASK_32 && flags_ <= MASK_16
                && bandPpm_ <= PPM,
            SpotOutOfRange(price_, other_, publishTime_, flags_, bandPpm_)
        );
        return Spot.wrap(price_ | (other_ << 88) | (publishTime_ << 176) | (flags_ << 208) | (bandPpm_ << 224));
    }

    function packTrend(uint256 ema_, uint256 variance_, uint256 boundPpm_) internal pure returns (Trend) {
        require(
            ema_ <= MAX_PRICE && variance_ <= MASK_48 && boundPpm_ <= PPM, TrendOutOfRange(ema_, variance_, boundPpm_)
        );
        return Trend.wrap(ema_ | (variance_ << 88) | (boundPpm_ << 136));
    }

    function price(Spot s) internal pure returns (uint256) {
        return Spot.unwrap(s) & MASK_88;
    }

    function other(Spot s) internal pure returns (uint256) {
        return (Spot.unwrap(s) >> 88) & MASK_88;
    }

    function publishTime(Spot s) internal pure returns (uint256) {
        return (Spot.unwrap(s) >> 176) & MASK_32;
    }

    function flags(Spot s) internal pure returns (uint256) {
        return (Spot.unwrap(s) >> 208) & MASK_16;
    }

    function bandPpm(Spot s) internal pure returns (uint256) {
        return (Spot.unwrap(s) >> 224) & MASK_24;
    }

    function has(Spot s, uint256 mask) internal pure returns (bool) {
        return flags(s) & mask != 0;
    }

    /// @notice Lower end of the uncertainty band, WAD, rounded down.
    function low(Spot s) internal pure returns (uint256) {
        unchecked {
            return price(s) * (PPM - bandPpm(s)) / PPM;
        }
    }

    /// @notice Upper end of the uncertainty band, WAD, rounded up.
    function high(Spot s) internal pure returns (uint256) {
        unchecked {
            return (price(s) * (PPM + bandPpm(s)) + PPM - 1) / PPM;
        }
    }

    function ema(Trend t) internal pure returns (uint256) {
        return Trend.unwrap(t) & MASK_88;
    }

    function variance(Trend t) internal pure returns (uint256) {
        return (Trend.unwrap(t) >> 88) & MASK_48;
    }

    function boundPpm(Trend t) internal pure returns (uint256) {
        return (Trend.unwrap(t) >> 136) & MASK_24;
    }
}

using ObservationLib for Spot global;
using ObservationLib for Trend global;
