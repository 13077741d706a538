"""Parameters as the setters take them, the inequalities between them, and the words that keep them.

Chapter 12 of `docs/protocol.md` says what goes wrong without each inequality. Money, prices and sizes are WAD (the
parameters among them multiples of 1e-9), ratios ppm, rates 1e-18 per second, slopes WAD per unit, times seconds;
addresses are numbers. Of several things that are wrong, the first in the order of the contracts is named.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeVar

from plimsoll.model.config_words import (
    PERCENT,
    CollateralWord,
    LimitsWord,
    MarginWord,
    PoolInterestWord,
    PoolLiquidationWord,
    PoolLiquidityWord,
    PoolRiskWord,
    PoolSettlementWord,
    TradeWord,
)
from plimsoll.model.engine.draft import Refusal, check_uint, require
from plimsoll.model.engine.state import Collateral, MarketTerms, PoolTerms
from plimsoll.model.margin import ratio
from plimsoll.model.pricing import notional_up
from plimsoll.model.word import Word, checksum, layout
from plimsoll.units import NANO, PPM, WAD, div_up, mul_div_up

__all__ = [
    "CollateralParams",
    "MarketParams",
    "PoolParams",
    "blank_terms",
    "check_collateral",
    "check_margin",
    "check_market_in_pool",
    "check_pool",
    "check_together",
    "check_trading",
    "checked",
    "collateral_terms",
    "gap_share",
    "kept_amount",
    "market_terms",
    "pool_terms",
]

PPM_TO_WAD = WAD // PPM
DAY = 86_400
MAX_RATE = 25 * 10**17 // (365 * DAY)
"""250 % a year, 1e-18 per second."""
MAX_MARKETS = 32
MAX_COLLATERALS = 16
GAP_LIMIT_PPM = 900_000
ENDLESS = 2**128 - 1
"""Premium at a depth of zero, WAD ratio."""
Kept = TypeVar("Kept", bound=Word)
ADDRESSES = frozenset(("settlement_token", "token"))


class Params:
    """What the three records of parameters have in common."""

    __slots__: tuple[str, ...] = ()

    @classmethod
    def _among(cls, *words: Word) -> dict[str, int]:
        """The fields that words have under the same names."""
        names = [(word, place.name) for word in words for place in layout(type(word))]
        return {name: getattr(word, name) for word, name in names if name in cls.__slots__}

    @classmethod
    def from_struct(cls, values: Mapping[str, Any]) -> Self:
        """From the fields of the contracts' struct, by their names there."""
        fields = {re.sub("[A-Z]", lambda found: f"_{found[0].lower()}", name): value for name, value in values.items()}
        return cls(**{name: int(value, 16) if name in ADDRESSES else value for name, value in fields.items()})

    def to_struct(self) -> dict[str, Any]:
        """The fields of the contracts' struct."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return {
            re.sub("_(.)", lambda found: found[1].upper(), name): checksum(value) if name in ADDRESSES else value
            for name, value in values.items()
        }


@dataclass(frozen=True, slots=True)
class PoolParams(Params):
    """Parameters of a pool. `reference_nav` is the NAV that they are made for."""

    settlement_token: int
    max_markets: int
    max_collaterals: int
    utilisation_limit_ppm: int
    keeper_floor: int
    min_notional: int
    profit_weight_ppm: int
    insurance_share_ppm: int
    lp_share_ppm: int
    adl_trigger_ppm: int
    adl_target_ppm: int
    target_health_ppm: int
    reward_max: int
    gas_units: int
    l1_fee: int
    gas_asset: int
    grace_health_ppm: int
    discount_max_ppm: int
    sale_seconds: int
    interest_base: int
    interest_slope1: int
    interest_slope2: int
    interest_kink_ppm: int
    reserve_factor_ppm: int
    lp_gap_ppm: int
    reference_nav: int

    @classmethod
    def of(cls, terms: PoolTerms) -> PoolParams:
        """The parameters that give these terms."""
        curve = terms.interest
        return cls(
            settlement_token=terms.token,
            interest_base=curve.base,
            interest_slope1=curve.slope1,
            interest_slope2=curve.slope2,
            interest_kink_ppm=curve.kink_ppm,
            **cls._among(terms.settlement, terms.risk, terms.liquidation, curve, terms.liquidity),
        )


@dataclass(frozen=True, slots=True)
class MarketParams(Params):
    """Parameters of a market: K, caps and the largest position in units; `sigma_ref` 1e-9 per √second."""

    asset: int
    im_base_ppm: int
    mm_base_ppm: int
    penalty_ppm: int
    reward_rate_ppm: int
    im_slope: int
    mm_slope: int
    vol_cap_percent: int
    sigma_ref: int
    skew_scale: int
    oi_cap: int
    skew_cap: int
    max_position: int
    maker_ppm: int
    taker_ppm: int
    r_max: int
    v_max: int
    dead_band_ppm: int
    nav_multiple_ppm: int
    half_band_ppm: int
    move_ppm: int
    gap_ppm: int

    @property
    def vol_cap(self) -> int:
        """Largest volatility factor, WAD."""
        return self.vol_cap_percent * PERCENT

    @classmethod
    def of(cls, terms: MarketTerms) -> MarketParams:
        """The parameters that give these terms; flags are no parameters."""
        shared = cls._among(terms.margin, terms.trade, terms.limits)
        return cls(vol_cap_percent=terms.margin.vol_cap // PERCENT, **shared)


@dataclass(frozen=True, slots=True)
class CollateralParams(Params):
    """Parameters of a collateral token: `cap` in native units; `move_ppm`, what its price may hide, is only checked."""

    token: int
    asset: int
    weight_initial_ppm: int
    weight_maintenance_ppm: int
    cap: int
    move_ppm: int

    @classmethod
    def of(cls, item: Collateral, move_ppm: int = 0) -> CollateralParams:
        """The parameters that give this collateral, which does not remember the move they were checked with."""
        terms = item.terms
        weights = (terms.weight_initial_ppm, terms.weight_maintenance_ppm)
        return cls(item.token, terms.asset, *weights, cap=item.cap, move_ppm=move_ppm)


def checked(value: int) -> int:
    """`value` ≥ 0 unless 256 bits do not hold it, which panics."""
    if value >> 256:
        raise Refusal("Panic", 0x11)
    return value


def _share(part: int, factor: int, whole: int) -> int:
    """⌈part·factor/whole⌉; a whole of zero panics."""
    if whole == 0:
        raise Refusal("Panic", 0x12)
    return mul_div_up(part, factor, whole)


# ── inequalities ─────────────────────────────────────────────────────────────


def check_pool(q: PoolParams) -> None:
    """What holds for a pool by itself."""
    require(0 < q.adl_target_ppm < q.adl_trigger_ppm <= PPM, "DeleveragingOrder", q.adl_target_ppm, q.adl_trigger_ppm)
    require(PPM < q.target_health_ppm <= 2 * PPM, "TargetHealthRange", q.target_health_ppm)
    require(PPM // 2 <= q.grace_health_ppm <= PPM, "GraceHealthRange", q.grace_health_ppm)
    require(q.sale_seconds != 0, "SaleSecondsRange", q.sale_seconds)
    require(0 < q.discount_max_ppm < PPM, "DiscountOutOfRange", q.discount_max_ppm, PPM)
    shares = checked(q.insurance_share_ppm + q.lp_share_ppm)
    fractions = (shares, q.profit_weight_ppm, q.utilisation_limit_ppm, q.interest_kink_ppm, q.lp_gap_ppm)
    for fraction in fractions:
        require(fraction <= PPM, "FractionAboveOne", fraction)
    rate = checked(q.interest_base + q.interest_slope1 + q.interest_slope2)
    require(rate <= MAX_RATE, "InterestTooHigh", rate, MAX_RATE)
    require(q.reference_nav != 0, "ReferenceNavMissing")


def check_margin(w: MarginWord, f: LimitsWord, target_health_ppm: int) -> None:
    """What holds for the margin ratios of a market under a target health."""
    require(
        0 < w.reward_rate_ppm < w.penalty_ppm < w.mm_base_ppm,
        "RewardPenaltyOrder",
        w.reward_rate_ppm,
        w.penalty_ppm,
        w.mm_base_ppm,
    )
    top = ratio(w.mm_base_ppm + w.penalty_ppm, w.mm_slope, f.max_position)
    require(top < WAD, "MaintenanceTooHigh", top)
    for size in (0, f.max_position):
        _check_buffer(w, size, target_health_ppm, f.move_ppm * PPM_TO_WAD)


def _check_buffer(w: MarginWord, size: int, target_health_ppm: int, move: int) -> None:
    """Initial margin against the target of liquidation, and against the move (WAD) that a stale price can hide."""
    imr = min(ratio(w.im_base_ppm, w.im_slope, size), WAD)
    mmr = ratio(w.mm_base_ppm + w.penalty_ppm, w.mm_slope, size)
    required = div_up(mmr * target_health_ppm, PPM)
    require(imr >= required, "InitialBelowTarget", size, imr, required)
    buffer = max(imr - mmr, 0)
    require(buffer >= move, "BufferBelowMove", size, buffer, move)


def check_trading(w: MarginWord, t: TradeWord, f: LimitsWord) -> None:
    """What holds for the cost of trading against the pool."""
    require(t.maker_ppm <= t.taker_ppm <= PPM // 20, "FeeOrder", t.maker_ppm, t.taker_ppm)
    require(f.skew_cap <= f.oi_cap, "SkewCapAboveOiCap", f.skew_cap, f.oi_cap)
    premium = mul_div_up(f.oi_cap, WAD, t.skew_scale) if t.skew_scale else ENDLESS
    room = max(w.penalty_ppm - w.reward_rate_ppm - t.taker_ppm - f.half_band_ppm, 0) * PPM_TO_WAD
    require(premium <= room, "SelfLiquidationPays", premium, room)
    cost = premium + (t.taker_ppm + f.half_band_ppm) * PPM_TO_WAD
    limit = (w.mm_base_ppm + w.penalty_ppm) * PPM_TO_WAD
    require(cost < limit, "TradeCostTooHigh", cost, limit)
    per_day = t.r_max * DAY
    most = w.mm_base_ppm * PPM_TO_WAD // 2
    require(per_day <= most, "FundingTooFast", per_day, most)
    decay = t.v_max * t.dead_band_ppm // PPM
    require(decay != 0, "FundingTooSlow", decay)


def check_market_in_pool(
    w: MarginWord,
    t: TradeWord,
    f: LimitsWord,
    risk: PoolRiskWord,
    interest: PoolInterestWord,
    liquidity: PoolLiquidityWord,
    price: int,
) -> None:
    """What holds between a market and its pool, at a price and the reference NAV."""
    least = risk.min_notional * min(w.im_base_ppm, PPM) // PPM
    require(least >= risk.keeper_floor, "MinNotionalTooSmall", least, risk.keeper_floor)
    nav = interest.reference_nav
    cap_value = notional_up(f.oi_cap, price)
    limit = nav * f.nav_multiple_ppm // PPM
    require(cap_value <= limit, "OiCapBeyondNav", cap_value, limit)
    product = liquidity.reserve_factor_ppm * f.nav_multiple_ppm // PPM
    require(product <= PPM and f.nav_multiple_ppm != 0, "ReserveUnreachable", product)
    depth = notional_up(t.skew_scale, price)
    pump = _share(depth, t.r_max * t.r_max, 2 * t.v_max * WAD)
    require(pump <= nav // 200, "FundingPumpTooLarge", pump, nav // 200)


def gap_share(t: TradeWord, f: LimitsWord, price: int, nav: int) -> int:
    """⌈skewCap·P·gap/NAV⌉ in ppm: a market's part of what one gap may cost."""
    return _share(notional_up(f.skew_cap, price), t.gap_ppm, nav)


def check_collateral(q: CollateralParams, discount_max_ppm: int) -> None:
    """What holds for a collateral token of a pool with this largest discount."""
    low, high = q.weight_initial_ppm, q.weight_maintenance_ppm
    require(low < high < PPM and high - low >= q.move_ppm, "WeightOrder", low, high, q.move_ppm)
    require(discount_max_ppm < PPM - high, "DiscountOutOfRange", discount_max_ppm, PPM - high)


def check_together(pool: PoolTerms, markets: Sequence[tuple[MarketTerms, int]], weights: Sequence[int]) -> None:
    """Every inequality that ties markets and collateral to their pool.

    :param markets: terms and stored price of each market, in order of their index.
    :param weights: maintenance weight of each collateral, ppm.
    """
    total = pool.risk.adl_target_ppm
    for terms, price in markets:
        w, t, f = terms.margin, terms.trade, terms.limits
        check_margin(w, f, pool.liquidation.target_health_ppm)
        check_market_in_pool(w, t, f, pool.risk, pool.interest, pool.liquidity, price)
        total += gap_share(t, f, price, pool.interest.reference_nav)
    require(total <= GAP_LIMIT_PPM, "GapBeyondNav", total, GAP_LIMIT_PPM)
    discount = pool.liquidation.discount_max_ppm
    for weight in weights:
        require(discount < PPM - weight, "DiscountOutOfRange", discount, PPM - weight)


# ── words ────────────────────────────────────────────────────────────────────


def _kept(value: int, bits: int, unit: int) -> int:
    """`value` if a field of so many bits, in this unit, can keep it."""
    require(value % unit == 0, "NotMultiple", value, unit)
    check_uint(value // unit, bits)
    return value


def kept_amount(value: int) -> int:
    """A WAD amount if a word can keep it: a multiple of 1e-9."""
    return _kept(value, 64, NANO)


def _word(kind: type[Kept], params: Params, **others: Any) -> Kept:
    """A word: fields from `others`, else the parameters of the same names; the first that does not fit is refused.

    Amounts are kept in whole 1e-9. A funding rate has a sign, its largest magnitude one bit less.
    """
    values: dict[str, Any] = {}
    for place in layout(kind):
        if place.name in others:
            values[place.name] = others[place.name]
            continue
        value: int = getattr(params, place.name)
        bits = place.bits - 1 if place.name == "r_max" else place.bits
        values[place.name] = _kept(value, bits, place.scale)
    return kind(**values)


def blank_terms(token: int, decimals: int) -> PoolTerms:
    """Terms of a pool before its first parameters."""
    settlement = PoolSettlementWord(token=checksum(token), decimals=decimals)
    return PoolTerms(PoolRiskWord(), PoolLiquidationWord(), settlement, PoolInterestWord(), PoolLiquidityWord())


def pool_terms(q: PoolParams, before: PoolTerms) -> PoolTerms:
    """Terms with new parameters; settlement asset, counts, pause flags and share token stay as they were."""
    check_pool(q)
    require(0 < q.max_markets <= MAX_MARKETS, "TooMany", q.max_markets, MAX_MARKETS)
    require(q.max_collaterals <= MAX_COLLATERALS, "TooMany", q.max_collaterals, MAX_COLLATERALS)
    settlement = dataclasses.replace(
        before.settlement,
        max_collaterals=q.max_collaterals,
        utilisation_limit_ppm=q.utilisation_limit_ppm,
    )
    decimals = before.settlement.decimals
    risk = _word(PoolRiskWord, q, decimals=decimals, pause_flags=before.risk.pause_flags)
    liquidation = _word(PoolLiquidationWord, q)
    interest = _word(
        PoolInterestWord,
        q,
        base=q.interest_base,
        slope1=q.interest_slope1,
        slope2=q.interest_slope2,
        kink_ppm=q.interest_kink_ppm,
    )
    liquidity = _word(PoolLiquidityWord, q, share_token=before.liquidity.share_token)
    return PoolTerms(risk, liquidation, settlement, interest, liquidity)


def market_terms(q: MarketParams, flags: int) -> MarketTerms:
    """Terms of a market with these `MarketFlags`; the cost of trading is checked, what ties it to its pool is not."""
    margin = _word(MarginWord, q, flags=flags)
    terms = MarketTerms(margin, _word(TradeWord, q), _word(LimitsWord, q))
    check_trading(terms.margin, terms.trade, terms.limits)
    return terms


def collateral_terms(q: CollateralParams, decimals: int) -> Collateral:
    """A collateral token with so many decimals; `check_collateral` comes first."""
    require(decimals <= 18, "TokenDecimals", q.token, decimals)
    terms = _word(CollateralWord, q, token=checksum(q.token), decimals=decimals)
    return Collateral(terms, q.token, q.cap)
