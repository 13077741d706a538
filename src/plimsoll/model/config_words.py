"""Configuration of pools and markets, one word each; mirrors `contracts/types/ConfigWords.sol`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag

from plimsoll.model.word import Word, WordError, address, bits
from plimsoll.units import NANO, WAD

__all__ = [
    "CollateralWord",
    "LimitsWord",
    "MarginWord",
    "MarketFlags",
    "Pause",
    "PoolInterestWord",
    "PoolLiquidationWord",
    "PoolLiquidityWord",
    "PoolRiskWord",
    "PoolSettlementWord",
    "TradeWord",
]

PERCENT = WAD // 100


class Pause(IntFlag):
    """Pause flags of a pool. None of them can block closing, topping up or liquidation."""

    INCREASE = 1
    LP_DEPOSIT = 2
    BORROW = 4
    ALL = 7


class MarketFlags(IntFlag):
    """Flags of a market."""

    LISTED = 1
    REDUCE_ONLY = 2
    SETTLED = 4


@dataclass(frozen=True, slots=True)
class MarginWord(Word):
    """What margin and liquidation of a market need; slopes are WAD per unit."""

    im_base_ppm: int = bits(0, 24)
    mm_base_ppm: int = bits(24, 24)
    penalty_ppm: int = bits(48, 24)
    im_slope: int = bits(72, 64)
    mm_slope: int = bits(136, 64)
    vol_cap: int = bits(200, 16, scale=PERCENT)
    asset: int = bits(216, 8)
    flags: int = bits(224, 8)
    reward_rate_ppm: int = bits(232, 24)


@dataclass(frozen=True, slots=True)
class TradeWord(Word):
    """What every use of a market needs beside margin: K (WAD units), rMax (1e-18 per second), vMax (1e-18 per second²),
    dead-band (ppm of K), fees ppm, σ_ref in 1e-9 per √second; and the gap in one jump that
    the parameter checks assume."""

    skew_scale: int = bits(0, 64, scale=NANO)
    r_max: int = bits(64, 40)
    v_max: int = bits(104, 40)
    dead_band_ppm: int = bits(144, 24)
    maker_ppm: int = bits(168, 16)
    taker_ppm: int = bits(184, 16)
    sigma_ref: int = bits(200, 32)
    gap_ppm: int = bits(232, 20)


@dataclass(frozen=True, slots=True)
class LimitsWord(Word):
    """Limits of risk increases: caps and largest position (WAD units), NAV multiple; and what the parameter checks
    assume: largest half band, move within the feed's maxAge."""

    oi_cap: int = bits(0, 64, scale=NANO)
    skew_cap: int = bits(64, 64, scale=NANO)
    max_position: int = bits(128, 64, scale=NANO)
    nav_multiple_ppm: int = bits(192, 28)
    half_band_ppm: int = bits(220, 16)
    move_ppm: int = bits(236, 20)


@dataclass(frozen=True, slots=True)
class PoolRiskWord(Word):
    """What every trade needs of its pool."""

    keeper_floor: int = bits(0, 64, scale=NANO)
    min_notional: int = bits(64, 64, scale=NANO)
    profit_weight_ppm: int = bits(128, 20)
    insurance_share_ppm: int = bits(148, 20)
    lp_share_ppm: int = bits(168, 20)
    adl_trigger_ppm: int = bits(188, 24)
    adl_target_ppm: int = bits(212, 20)
    max_markets: int = bits(232, 8)
    decimals: int = bits(240, 8)
    pause_flags: int = bits(248, 8)


@dataclass(frozen=True, slots=True)
class PoolLiquidationWord(Word):
    """What liquidation needs of its pool."""

    target_health_ppm: int = bits(0, 24)
    reward_max: int = bits(24, 64, scale=NANO)
    gas_units: int = bits(88, 32)
    l1_fee: int = bits(120, 64, scale=NANO)
    gas_asset: int = bits(184, 8)
    grace_health_ppm: int = bits(192, 24)
    discount_max_ppm: int = bits(216, 24)
    sale_seconds: int = bits(240, 16)


@dataclass(frozen=True, slots=True)
class PoolSettlementWord(Word):
    """Settlement asset and limits of a pool."""

    token: str = address()
    decimals: int = bits(160, 8)
    market_count: int = bits(168, 8)
    collateral_count: int = bits(176, 8)
    max_collaterals: int = bits(192, 8)
    utilisation_limit_ppm: int = bits(200, 24)

    @property
    def unit(self) -> int:
        """WAD per native unit of the settlement token."""
        if self.decimals > 18:
            raise WordError(f"a settlement token of {self.decimals} decimals is not possible; it takes 0 to 18")
        return int(10 ** (18 - self.decimals))


@dataclass(frozen=True, slots=True)
class PoolInterestWord(Word):
    """Kinked borrow curve, rates 1e-18 per second; and the NAV that the parameters are made for, WAD."""

    base: int = bits(0, 40)
    slope1: int = bits(40, 40)
    slope2: int = bits(80, 40)
    kink_ppm: int = bits(120, 24)
    reference_nav: int = bits(144, 64, scale=NANO)


@dataclass(frozen=True, slots=True)
class PoolLiquidityWord(Word):
    """Liquidity side of a pool."""

    share_token: str = address()
    reserve_factor_ppm: int = bits(160, 24)
    lp_gap_ppm: int = bits(184, 24)


@dataclass(frozen=True, slots=True)
class CollateralWord(Word):
    """A collateral token of a pool."""

    token: str = address()
    decimals: int = bits(160, 8)
    asset: int = bits(168, 8)
    weight_initial_ppm: int = bits(176, 24)
    weight_maintenance_ppm: int = bits(200, 24)
