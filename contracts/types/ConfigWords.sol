// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Cast} from "../libraries/Cast.sol";

// Ratios are in ppm (1e-6), money and sizes in units of 1e-9 ("nano"), rates per second in 1e-18. Accessors return WAD; the field
// they scale has at most 64 bits, so they do it unchecked.

/// @notice What margin and liquidation of a market need.
/// | bits | field | | bits | field |
/// |---|---|---|---|---|
/// | 0 – 23 | imBase ppm | | 200 – 215 | volCap percent |
/// | 24 – 47 | mmBase ppm | | 216 – 223 | oracle asset |
/// | 48 – 71 | λ penalty ppm | | 224 – 231 | flags: 1 listed, 2 reduce-only, 4 settled |
/// | 72 – 135 | imSlope WAD per unit | | 232 – 255 | ρ rewardRate ppm |
/// | 136 – 199 | mmSlope WAD per unit | | | |
type MarginWord is uint256;

/// @notice What every use of a market needs beside margin: its funding, its depth, its fees.
/// | bits | field | | bits | field |
/// |---|---|---|---|---|
/// | 0 – 63 | skewScale K nano units | | 168 – 183 | maker fee ppm |
/// | 64 – 103 | rMax 1e-18 per s, 39 bits used | | 184 – 199 | taker fee ppm |
/// | 104 – 143 | vMax 1e-18 per s² | | 200 – 231 | sigmaRef 1e-9 per √s |
/// | 144 – 167 | deadBand ppm of K | | 232 – 251 | gap assumed in one jump ppm, for the parameter checks |
type TradeWord is uint256;

/// @notice Limits of risk increases, which nothing else reads, and what the parameter checks assume of the market's prices.
/// | bits | field | | bits | field |
/// |---|---|---|---|---|
/// | 0 – 63 | oiCap nano units | | 192 – 219 | NAV multiple m ppm: open interest ≤ m·NAV |
/// | 64 – 127 | skewCap nano units | | 220 – 235 | û largest half band ppm |
/// | 128 – 191 | maxPosition n̂ nano units | | 236 – 255 | move within the feed's maxAge ppm |
type LimitsWord is uint256;

/// @notice What every trade needs of its pool.
/// | bits | field | | bits | field |
/// |---|---|---|---|---|
/// | 0 – 63 | keeperFloor nano | | 168 – 187 | lpShare of fees ppm |
/// | 64 – 127 | minNotional nano | | 188 – 211 | adlTrigger ppm of NAV |
/// | 128 – 147 | profitWeight ppm | | 212 – 231 | adlTarget ppm of NAV |
/// | 148 – 167 | insuranceShare of fees ppm | | 232 – 239 | maxMarkets per account |
/// | 240 – 247 | decimals of the settlement token | | 248 – 255 | pause flags, see `Pause` |
type PoolRiskWord is uint256;

/// @notice What liquidation needs of its pool.
/// | bits | field | | bits | field |
/// |---|---|---|---|---|
/// | 0 – 23 | targetHealth t ppm | | 184 – 191 | oracle asset of the chain's gas token, 0 none |
/// | 24 – 87 | rewardMax nano | | 192 – 215 | graceHealth ppm |
/// | 88 – 119 | gasUnits | | 216 – 239 | discountMax δmax ppm |
/// | 120 – 183 | l1Fee nano | | 240 – 255 | saleSeconds to reach δmax |
type PoolLiquidationWord is uint256;

/// @notice Settlement asset and limits of a pool.
/// | bits | field | | bits | field |
/// |---|---|---|---|---|
/// | 0 – 159 | settlement token | | 176 – 183 | collaterals listed |
/// | 160 – 167 | decimals | | 192 – 199 | maxCollaterals per account |
/// | 168 – 175 | markets listed | | 200 – 223 | utilisation limit ppm |
type PoolSettlementWord is uint256;

/// @notice Kinked borrow curve: rate(u) = base + slope1·min(u, kink) + slope2·max(u − kink, 0).
/// | bits | field | | bits | field |
/// |---|---|---|---|---|
/// | 0 – 39 | base 1e-18 per s | | 80 – 119 | slope2 1e-18 per s at u = 1 |
/// | 40 – 79 | slope1 1e-18 per s at u = 1 | | 120 – 143 | kink ppm |
/// | 144 – 207 | referenceNav nano, the NAV that the parameters are made for | | | |
type PoolInterestWord is uint256;

/// @notice Liquidity side of a pool.
/// | bits | field | | bits | field |
/// |---|---|---|---|---|
/// | 0 – 159 | share token | | 184 – 207 | lpGap ppm |
/// | 160 – 183 | reserveFactor ppm | | | |
type PoolLiquidityWord is uint256;

/// @notice A collateral token of a pool.
/// | bits | field | | bits | field |
/// |---|---|---|---|---|
/// | 0 – 159 | token | | 176 – 199 | weightInitial w^I ppm |
/// | 160 – 167 | decimals | | 200 – 223 | weightMaintenance w^M ppm |
/// | 168 – 175 | oracle asset | | | |
type CollateralWord is uint256;

using MarginWordLib for MarginWord global;
using TradeWordLib for TradeWord global;
using LimitsWordLib for LimitsWord global;
using PoolRiskWordLib for PoolRiskWord global;
using PoolLiquidationWordLib for PoolLiquidationWord global;
using PoolSettlementWordLib for PoolSettlementWord global;
using PoolInterestWordLib for PoolInterestWord global;
using PoolLiquidityWordLib for PoolLiquidityWord global;
using CollateralWordLib for CollateralWord global;

/// @notice Pause flags of a pool. None of them can block closing, topping up or liquidation.
library Pause {
    uint256 internal constant INCREASE = 1;
    uint256 internal constant LP_DEPOSIT = 2;
    uint256 internal constant BORROW = 4;
    uint256 internal constant ALL = 7;
}

/// @notice Flags of a market.
library MarketFlags {
    uint256 internal constant LISTED = 1;
    uint256 internal constant REDUCE_ONLY = 2;
    uint256 internal constant SETTLED = 4;
}

/// @dev Reads `bits` bits of `word` from `shift`.
function field(uint256 word, uint256 shift, uint256 bits) pure returns (uint256) {
    return (word >> shift) & ((1 << bits) - 1);
}

/// @dev `value` at `shift`; reverts if it needs more than `bits` bits.
function place(uint256 value, uint256 shift, uint256 bits) pure returns (uint256) {
    return Cast.checkUint(value, bits) << shift;
}

/// @dev WAD per native unit of a token: 10^(18 − decimals).
function unitOf(uint256 decimals) pure returns (uint256) {
    uint256 exponent = 18 - decimals;
    unchecked {
        return 10 ** exponent;
    }
}

library MarginWordLib {
    function imBasePpm(MarginWord w) internal pure returns (uint256) {
        return field(MarginWord.unwrap(w), 0, 24);
    }

    function mmBasePpm(MarginWord w) internal pure returns (uint256) {
        return field(MarginWord.unwrap(w), 24, 24);
    }

    function penaltyPpm(MarginWord w) internal pure returns (uint256) {
        return field(MarginWord.unwrap(w), 48, 24);
    }

    function imSlope(MarginWord w) internal pure returns (uint256) {
        return field(MarginWord.unwrap(w), 72, 64);
    }

    function mmSlope(MarginWord w) internal pure returns (uint256) {
        return field(MarginWord.unwrap(w), 136, 64);
    }

    function volCap(MarginWord w) internal pure returns (uint256) {
        unchecked {
            return field(MarginWord.unwrap(w), 200, 16) * 1e16;
        }
    }

    function asset(MarginWord w) internal pure returns (uint256) {
        return field(MarginWord.unwrap(w), 216, 8);
    }

    function flags(MarginWord w) internal pure returns (uint256) {
        return field(MarginWord.unwrap(w), 224, 8);
    }

    function rewardRatePpm(MarginWord w) internal pure returns (uint256) {
        return field(MarginWord.unwrap(w), 232, 24);
    }

    function has(MarginWord w, uint256 mask) internal pure returns (bool) {
        return flags(w) & mask != 0;
    }

    function withFlags(MarginWord w, uint256 flags_) internal pure returns (MarginWord) {
        return MarginWord.wrap((MarginWord.unwrap(w) & ~(uint256(0xff) << 224)) | place(flags_, 224, 8));
    }
}

library TradeWordLib {
    function skewScale(TradeWord w) internal pure returns (uint256) {
        unchecked {
            return field(TradeWord.unwrap(w), 0, 64) * 1e9;
        }
    }

    function rMax(TradeWord w) internal pure returns (uint256) {
        return field(TradeWord.unwrap(w), 64, 40);
    }

    function vMax(TradeWord w) internal pure returns (uint256) {
        return field(TradeWord.unwrap(w), 104, 40);
    }

    function deadBandPpm(TradeWord w) internal pure returns (uint256) {
        return field(TradeWord.unwrap(w), 144, 24);
    }

    function makerPpm(TradeWord w) internal pure returns (uint256) {
        return field(TradeWord.unwrap(w), 168, 16);
    }

    function takerPpm(TradeWord w) internal pure returns (uint256) {
        return field(TradeWord.unwrap(w), 184, 16);
    }

    function sigmaRef(TradeWord w) internal pure returns (uint256) {
        return field(TradeWord.unwrap(w), 200, 32);
    }

    function gapPpm(TradeWord w) internal pure returns (uint256) {
        return field(TradeWord.unwrap(w), 232, 20);
    }
}

library LimitsWordLib {
    function oiCap(LimitsWord w) internal pure returns (uint256) {
        unchecked {
            return field(LimitsWord.unwrap(w), 0, 64) * 1e9;
        }
    }

    function skewCap(LimitsWord w) internal pure returns (uint256) {
        unchecked {
            return field(LimitsWord.unwrap(w), 64, 64) * 1e9;
        }
    }

    function maxPosition(LimitsWord w) internal pure returns (uint256) {
        unchecked {
            return field(LimitsWord.unwrap(w), 128, 64) * 1e9;
        }
    }

    function navMultiplePpm(LimitsWord w) internal pure returns (uint256) {
        return field(LimitsWord.unwrap(w), 192, 28);
    }

    function halfBandPpm(LimitsWord w) internal pure returns (uint256) {
        return field(LimitsWord.unwrap(w), 220, 16);
    }

    function movePpm(LimitsWord w) internal pure returns (uint256) {
        return LimitsWord.unwrap(w) >> 236;
    }
}

library PoolRiskWordLib {
    function keeperFloor(PoolRiskWord w) internal pure returns (uint256) {
        unchecked {
            return field(PoolRiskWord.unwrap(w), 0, 64) * 1e9;
        }
    }

    function minNotional(PoolRiskWord w) internal pure returns (uint256) {
        unchecked {
            return field(PoolRiskWord.unwrap(w), 64, 64) * 1e9;
        }
    }

    function profitWeightPpm(PoolRiskWord w) internal pure returns (uint256) {
        return field(PoolRiskWord.unwrap(w), 128, 20);
    }

    function insuranceSharePpm(PoolRiskWord w) internal pure returns (uint256) {
        return field(PoolRiskWord.unwrap(w), 148, 20);
    }

    function lpSharePpm(PoolRiskWord w) internal pure returns (uint256) {
        return field(PoolRiskWord.unwrap(w), 168, 20);
    }

    function adlTriggerPpm(PoolRiskWord w) internal pure returns (uint256) {
        return field(PoolRiskWord.unwrap(w), 188, 24);
    }

    function adlTargetPpm(PoolRiskWord w) internal pure returns (uint256) {
        return field(PoolRiskWord.unwrap(w), 212, 20);
    }

    function maxMarkets(PoolRiskWord w) internal pure returns (uint256) {
        return field(PoolRiskWord.unwrap(w), 232, 8);
    }

    function decimals(PoolRiskWord w) internal pure returns (uint256) {
        return field(PoolRiskWord.unwrap(w), 240, 8);
    }

    function pauseFlags(PoolRiskWord w) internal pure returns (uint256) {
        return PoolRiskWord.unwrap(w) >> 248;
    }

    function paused(PoolRiskWord w, uint256 mask) internal pure returns (bool) {
        return pauseFlags(w) & mask != 0;
    }

    function withPauseFlags(PoolRiskWord w, uint256 flags_) internal pure returns (PoolRiskWord) {
        return PoolRiskWord.wrap((PoolRiskWord.unwrap(w) & ((1 << 248) - 1)) | place(flags_, 248, 8));
    }
}

library PoolLiquidationWordLib {
    function targetHealthPpm(PoolLiquidationWord w) internal pure returns (uint256) {
        return field(PoolLiquidationWord.unwrap(w), 0, 24);
    }

    function rewardMax(PoolLiquidationWord w) internal pure returns (uint256) {
        unchecked {
            return field(PoolLiquidationWord.unwrap(w), 24, 64) * 1e9;
        }
    }

    function gasUnits(PoolLiquidationWord w) internal pure returns (uint256) {
        return field(PoolLiquidationWord.unwrap(w), 88, 32);
    }

    function l1Fee(PoolLiquidationWord w) internal pure returns (uint256) {
        unchecked {
            return field(PoolLiquidationWord.unwrap(w), 120, 64) * 1e9;
        }
    }

    function gasAsset(PoolLiquidationWord w) internal pure returns (uint256) {
        return field(PoolLiquidationWord.unwrap(w), 184, 8);
    }

    function graceHealthPpm(PoolLiquidationWord w) internal pure returns (uint256) {
        return field(PoolLiquidationWord.unwrap(w), 192, 24);
    }

    function discountMaxPpm(PoolLiquidationWord w) internal pure returns (uint256) {
        return field(PoolLiquidationWord.unwrap(w), 216, 24);
    }

    function saleSeconds(PoolLiquidationWord w) internal pure returns (uint256) {
        return PoolLiquidationWord.unwrap(w) >> 240;
    }
}

library PoolSettlementWordLib {
    function token(PoolSettlementWord w) internal pure returns (address) {
        return address(uint160(PoolSettlementWord.unwrap(w)));
    }

    function decimals(PoolSettlementWord w) internal pure returns (uint256) {
        return field(PoolSettlementWord.unwrap(w), 160, 8);
    }

    function marketCount(PoolSettlementWord w) internal pure returns (uint256) {
        return field(PoolSettlementWord.unwrap(w), 168, 8);
    }

    function collateralCount(PoolSettlementWord w) internal pure returns (uint256) {
        return field(PoolSettlementWord.unwrap(w), 176, 8);
    }

    function maxCollaterals(PoolSettlementWord w) internal pure returns (uint256) {
        return field(PoolSettlementWord.unwrap(w), 192, 8);
    }

    function utilisationLimitPpm(PoolSettlementWord w) internal pure returns (uint256) {
        return field(PoolSettlementWord.unwrap(w), 200, 24);
    }

    function withMarketCount(PoolSettlementWord w, uint256 count) internal pure returns (PoolSettlementWord) {
        return PoolSettlementWord.wrap((PoolSettlementWord.unwrap(w) & ~(uint256(0xff) << 168)) | place(count, 168, 8));
    }

    function withCollateralCount(PoolSettlementWord w, uint256 count) internal pure returns (PoolSettlementWord) {
        return PoolSettlementWord.wrap((PoolSettlementWord.unwrap(w) & ~(uint256(0xff) << 176)) | place(count, 176, 8));
    }

    /// @notice WAD per native unit of the settlement token: 10^(18 − decimals).
    function unit(PoolSettlementWord w) internal pure returns (uint256) {
        return unitOf(decimals(w));
    }
}

library PoolInterestWordLib {
    function base(PoolInterestWord w) internal pure returns (uint256) {
        return field(PoolInterestWord.unwrap(w), 0, 40);
    }

    function slope1(PoolInterestWord w) internal pure returns (uint256) {
        return field(PoolInterestWord.unwrap(w), 40, 40);
    }

    function slope2(PoolInterestWord w) internal pure returns (uint256) {
        return field(PoolInterestWord.unwrap(w), 80, 40);
    }

    function kinkPpm(PoolInterestWord w) internal pure returns (uint256) {
        return field(PoolInterestWord.unwrap(w), 120, 24);
    }

    function referenceNav(PoolInterestWord w) internal pure returns (uint256) {
        unchecked {
            return field(PoolInterestWord.unwrap(w), 144, 64) * 1e9;
        }
    }
}

library PoolLiquidityWordLib {
    function shareToken(PoolLiquidityWord w) internal pure returns (address) {
        return address(uint160(PoolLiquidityWord.unwrap(w)));
    }

    function reserveFactorPpm(PoolLiquidityWord w) internal pure returns (uint256) {
        return field(PoolLiquidityWord.unwrap(w), 160, 24);
    }

    function lpGapPpm(PoolLiquidityWord w) internal pure returns (uint256) {
        return field(PoolLiquidityWord.unwrap(w), 184, 24);
    }

    function withShareToken(PoolLiquidityWord w, address token) internal pure returns (PoolLiquidityWord) {
        return PoolLiquidityWord.wrap((PoolLiquidityWord.unwrap(w) & ~uint256(type(uint160).max)) | uint160(token));
    }
}

library CollateralWordLib {
    function token(CollateralWord w) internal pure returns (address) {
        return address(uint160(CollateralWord.unwrap(w)));
    }

    function decimals(CollateralWord w) internal pure returns (uint256) {
        return field(CollateralWord.unwrap(w), 160, 8);
    }

    function asset(CollateralWord w) internal pure returns (uint256) {
        return field(CollateralWord.unwrap(w), 168, 8);
    }

    function weightInitialPpm(CollateralWord w) internal pure returns (uint256) {
        return field(CollateralWord.unwrap(w), 176, 24);
    }

    function weightMaintenancePpm(CollateralWord w) internal pure returns (uint256) {
        return field(CollateralWord.unwrap(w), 200, 24);
    }
}
