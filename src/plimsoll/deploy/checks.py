"""Every inequality between parameters, checked before anything is sent; all violations are reported at once.

The same integers and rounding as `ParameterChecks`, `AssetRules`, `OrderBook.setMarket` and the constructor of
`LiquidityPool`, so that what passes here is not refused on chain; a few checks go further and say so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from plimsoll.deploy.document import ParameterError
from plimsoll.deploy.limits import asset_problems, liquidity_problems, order_problems, width_problems
from plimsoll.deploy.parameters import Collateral, Market, Parameters, Pool
from plimsoll.deploy.structs import market_params
from plimsoll.model.margin import ratio
from plimsoll.units import PPM, WAD, div_up, format_units, mul_div_up

__all__ = ["check", "problems"]

DAY = 86_400
LARGEST_GRACE = 1_800
PPM_TO_WAD = WAD // PPM
GAP_LIMIT_PPM = 900_000
LARGEST_FEE_PPM = PPM // 20


def check(parameters: Parameters) -> None:
    """Refuses parameters that break an inequality.

    :raises ParameterError: one line per violation, with the inequality and both sides.
    """
    found = list(problems(parameters))
    if found:
        raise ParameterError("\n".join(found))


def problems(parameters: Parameters) -> Iterator[str]:
    """One line per violated inequality."""
    if parameters.sequencer is not None:
        grace = parameters.sequencer.grace.value
        found = _false(grace <= LARGEST_GRACE, "grace ≤ 30 min", f"{grace} s", f"{LARGEST_GRACE} s")
        yield from _placed(parameters, "sequencer", found)
    for name, asset in parameters.assets.items():
        yield from _placed(parameters, f"assets.{name}", asset_problems(asset))
    for name, pool in parameters.pools.items():
        at = f"pools.{name}"
        yield from _placed(parameters, at, _pool(pool))
        decimals = parameters.tokens[pool.settlement].decimals
        yield from _placed(parameters, f"{at}.liquidity", liquidity_problems(pool.liquidity, decimals))
        share = pool.adl_target.value
        for key, market in pool.markets.items():
            where = f"{at}.markets.{key}"
            yield from _placed(parameters, where, width_problems(market_params(parameters, market)))
            yield from _placed(parameters, where, _market(parameters, pool, market))
            yield from _placed(parameters, where, order_problems(parameters, market, decimals))
            share += _gap_share(parameters, pool, market)
        yield from _placed(
            parameters,
            f"{at}.markets",
            _false(share <= GAP_LIMIT_PPM, "adl_target + Σ skew_cap·price·gap/NAV ≤ 90 %", _p(share), "90 %"),
        )
        for key, item in pool.collateral.items():
            yield from _placed(parameters, f"{at}.collateral.{key}", _collateral(parameters, pool, item))


def _placed(parameters: Parameters, at: str, found: Iterator[str]) -> Iterator[str]:
    for problem in found:
        yield f"{parameters.source.where(at)}: {at}: {problem}"


def _false(holds: bool, inequality: str, left: str, right: str) -> Iterator[str]:
    if not holds:
        yield f"{inequality} does not hold: left {left}, right {right}"


def _p(ppm: int) -> str:
    return f"{format_units(ppm, 4)} %"


def _r(wad: int) -> str:
    return f"{format_units(wad, 16)} %"


def _m(wad: int) -> str:
    return f"${format_units(wad)}"


# ── pool ───────────────────────────────────────────────────────────────────


def _pool(q: Pool) -> Iterator[str]:
    target, trigger = q.adl_target.value, q.adl_trigger.value
    yield from _false(0 < target < trigger, "0 < adl_target < adl_trigger", _p(target), _p(trigger))
    t, grace = q.target_health.value, q.grace_health.value
    yield from _false(PPM < t <= 2 * PPM, "100 % < target_health ≤ 200 %", _p(t), "200 %")
    yield from _false(PPM // 2 <= grace <= PPM, "50 % ≤ grace_health ≤ 100 %", _p(grace), "100 %")
    yield from _false(q.sale_time.value > 0, "sale_time > 0", f"{q.sale_time.value} s", "0 s")
    discount = q.discount_max.value
    yield from _false(0 < discount < PPM, "0 < discount_max < 100 %", _p(discount), "100 %")
    shares = q.insurance_share.value + q.lp_share.value
    yield from _false(shares <= PPM, "insurance_share + lp_share ≤ 100 %", _p(shares), "100 %")
    for name, value in (
        ("adl_trigger", trigger),
        ("profit_weight", q.profit_weight.value),
        ("utilisation_limit", q.utilisation_limit.value),
        ("interest.kink", q.interest.kink.value),
        ("lp_gap", q.lp_gap.value),
    ):
        yield from _false(value <= PPM, f"{name} ≤ 100 %", _p(value), "100 %")
    yield from _false(q.reference_nav.value > 0, "reference_nav > 0", _m(q.reference_nav.value), "$0")
    markets, collaterals = q.max_markets.value, q.max_collaterals.value
    yield from _false(0 < markets <= 32, "0 < max_markets ≤ 32", str(markets), "32")
    yield from _false(collaterals <= 16, "max_collaterals ≤ 16", str(collaterals), "16")
    yield from _false(len(q.markets) <= 32, "number of markets ≤ 32", str(len(q.markets)), "32")
    yield from _false(len(q.collateral) <= 16, "number of collaterals ≤ 16", str(len(q.collateral)), "16")


# ── market ─────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Rates:
    """Initial margin, and maintenance margin with the penalty, at one size; WAD."""

    where: str
    imr: int
    mmr: int


def _market(parameters: Parameters, pool: Pool, q: Market) -> Iterator[str]:
    params = market_params(parameters, q)
    penalty, reward, mm = q.penalty.value, q.reward_rate.value, q.maintenance_margin.value
    yield from _false(0 < reward < penalty, "0 < reward_rate < penalty", _p(reward), _p(penalty))
    yield from _false(penalty < mm, "penalty < maintenance_margin", _p(penalty), _p(mm))
    for name in ("initial_margin", "maintenance_margin"):
        low, high = getattr(q, name).value, getattr(q, f"{name}_at_max").value
        yield from _false(low <= high, f"{name} ≤ {name}_at_max", _p(low), _p(high))
    for size, where in ((0, "at size 0"), (params["maxPosition"], "at max_position")):
        imr = ratio(q.initial_margin.value, params["imSlope"], size)
        mmr = ratio(mm + penalty, params["mmSlope"], size)
        yield from _rates(pool, q, _Rates(where, imr, mmr), size)
    yield from _trading(q, params["oiCap"], params["skewScale"])
    yield from _funding(q)
    yield from _in_pool(parameters, pool, q)


def _rates(pool: Pool, q: Market, at: _Rates, size: int) -> Iterator[str]:
    if size:
        yield from _false(at.mmr < WAD, f"maintenance + penalty < 100 % {at.where}", _r(at.mmr), "100 %")
    t = pool.target_health.value
    required = div_up(at.mmr * t, PPM)
    text = f"initial margin ≥ target_health·(maintenance margin + penalty) {at.where}"
    yield from _false(at.imr >= required, text, _r(at.imr), _r(required))
    buffer, move = max(at.imr - at.mmr, 0), q.move.value * PPM_TO_WAD
    text = f"initial margin − maintenance margin − penalty ≥ move {at.where}"
    yield from _false(buffer >= move, text, _r(buffer), _r(move))


def _trading(q: Market, oi_cap: int, depth: int) -> Iterator[str]:
    maker, taker, band = q.maker_fee.value, q.taker_fee.value, q.max_half_band.value
    yield from _false(maker <= taker, "maker_fee ≤ taker_fee", _p(maker), _p(taker))
    yield from _false(taker <= LARGEST_FEE_PPM, "taker_fee ≤ 5 %", _p(taker), _p(LARGEST_FEE_PPM))
    yield from _false(q.skew_cap.value <= q.oi_cap.value, "skew_cap ≤ oi_cap", _m(q.skew_cap.value), _m(q.oi_cap.value))
    if depth == 0:
        yield from _false(False, "depth > 0", _m(q.depth.value), "$0")
        return
    premium = mul_div_up(oi_cap, WAD, depth)
    cost = q.reward_rate.value + taker + band
    room = max(q.penalty.value - cost, 0) * PPM_TO_WAD
    text = "oi_cap/depth ≤ penalty − reward_rate − taker_fee − max_half_band (else liquidating oneself pays)"
    yield from _false(premium <= room, text, _r(premium), _r(room))
    total = premium + (taker + band) * PPM_TO_WAD
    limit = (q.maintenance_margin.value + q.penalty.value) * PPM_TO_WAD
    text = "taker_fee + oi_cap/depth + max_half_band < maintenance_margin + penalty"
    yield from _false(total < limit, text, _r(total), _r(limit))


def _funding(q: Market) -> Iterator[str]:
    per_day, half = q.max_funding.value * DAY, q.maintenance_margin.value * PPM_TO_WAD // 2
    yield from _false(per_day <= half, "max_funding in a day ≤ maintenance_margin/2", _r(per_day), _r(half))
    decay = q.funding_velocity.value * q.dead_band.value // PPM
    text = "funding_velocity·dead_band ≥ 1e-18 per s² (else the rate never decays)"
    yield from _false(decay != 0, text, f"{decay}e-18", "1e-18")


def _in_pool(parameters: Parameters, pool: Pool, q: Market) -> Iterator[str]:
    params = market_params(parameters, q)
    price = parameters.assets[q.asset].price.value
    least = pool.min_notional.value * q.initial_margin.value // PPM
    floor = pool.keeper_floor.value
    yield from _false(least >= floor, "min_notional·initial_margin ≥ keeper_floor", _m(least), _m(floor))
    nav = pool.reference_nav.value
    value, limit = div_up(params["oiCap"] * price, WAD), nav * q.nav_multiple.value // PPM
    yield from _false(value <= limit, "oi_cap·price ≤ nav_multiple·reference_nav", _m(value), _m(limit))
    product = pool.reserve_factor.value * q.nav_multiple.value // PPM
    yield from _false(product <= PPM, "reserve_factor·nav_multiple ≤ 100 %", _p(product), "100 %")
    depth = div_up(params["skewScale"] * price, WAD)
    if q.funding_velocity.value == 0:
        yield from _false(False, "funding_velocity > 0", "0", "0")
        return
    pump = mul_div_up(depth, q.max_funding.value**2, 2 * q.funding_velocity.value * WAD)
    text = "depth·max_funding²/(2·funding_velocity) ≤ 0.5 % of reference_nav"
    yield from _false(pump <= nav // 200, text, _m(pump), _m(nav // 200))


def _gap_share(parameters: Parameters, pool: Pool, q: Market) -> int:
    """skewCap·P·gap/NAV in ppm, rounded up."""
    params = market_params(parameters, q)
    value = div_up(params["skewCap"] * parameters.assets[q.asset].price.value, WAD)
    return mul_div_up(value, q.gap.value, max(pool.reference_nav.value, 1))


# ── collateral ─────────────────────────────────────────────────────────────


def _collateral(parameters: Parameters, pool: Pool, q: Collateral) -> Iterator[str]:
    low, high, move = q.weight_initial.value, q.weight_maintenance.value, q.move.value
    yield from _false(low < high, "weight_initial < weight_maintenance", _p(low), _p(high))
    yield from _false(high < PPM, "weight_maintenance < 100 %", _p(high), "100 %")
    yield from _false(high - low >= move, "weight_maintenance − weight_initial ≥ move", _p(high - low), _p(move))
    discount, limit = pool.discount_max.value, PPM - high
    yield from _false(discount < limit, "discount_max < 100 % − weight_maintenance", _p(discount), _p(limit))
    deviation = parameters.assets[q.asset].deviation.value
    text = "move ≥ deviation of the feed (this file's own rule)"
    yield from _false(move >= deviation, text, _p(move), _p(deviation))
