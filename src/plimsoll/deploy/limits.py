"""Ranges of single parameters: of assets, orders and LP tokens, and of the bits in which a market's words are kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from plimsoll.deploy.parameters import Asset, Liquidity, Market, Parameters
from plimsoll.units import NANO, PPM, WAD, format_units

__all__ = ["asset_problems", "liquidity_problems", "order_problems", "width_problems"]

HOUR = 3_600
DAY = 24 * HOUR
MAX_PRICE = (1 << 87) - 1
MARKET_WIDTHS = {
    "asset": (8, 1),
    "imBasePpm": (24, 1),
    "mmBasePpm": (24, 1),
    "penaltyPpm": (24, 1),
    "rewardRatePpm": (24, 1),
    "imSlope": (64, 1),
    "mmSlope": (64, 1),
    "volCapPercent": (16, 1),
    "sigmaRef": (32, 1),
    "skewScale": (64, NANO),
    "oiCap": (64, NANO),
    "skewCap": (64, NANO),
    "maxPosition": (64, NANO),
    "makerPpm": (16, 1),
    "takerPpm": (16, 1),
    "rMax": (40, 1),
    "vMax": (40, 1),
    "deadBandPpm": (24, 1),
    "navMultiplePpm": (32, 1),
    "halfBandPpm": (16, 1),
    "movePpm": (20, 1),
    "gapPpm": (20, 1),
}


def _within(name: str, value: int, least: int, most: int, decimals: int = 0, unit: str = "") -> Iterator[str]:
    if not least <= value <= most:
        low, given, high = (f"{format_units(one, decimals)}{unit}" for one in (least, value, most))
        yield f"{low} ≤ {name} ≤ {high} does not hold: it is {given}"


def width_problems(params: dict[str, Any]) -> Iterator[str]:
    """Values of `MarketParams` that do not fit their bits."""
    for name, (bits, unit) in MARKET_WIDTHS.items():
        most = ((1 << bits) - 1) * unit
        if params[name] > most:
            yield f"{name} does not fit its {bits} bits: {params[name]} is above {most}"


def asset_problems(q: Asset) -> Iterator[str]:
    """What `AssetRules` demands, and that the band an order is filled at is one the hub accepts."""
    yield from _within("id", q.id, 1, 255)
    yield from _within("feed_decimals", q.feed_decimals, 0, 18)
    yield from _within("price", q.price.value, 1, MAX_PRICE, 18, " $")
    if q.feed_decimals <= 18 and q.price.value % 10 ** (18 - q.feed_decimals):
        yield f"price ${format_units(q.price.value)} has more than the feed's {q.feed_decimals} decimals"
    yield from _within("max_age", q.max_age.value, 1, 2 * DAY, 0, " s")
    yield from _within("max_uncertainty", q.max_uncertainty.value, 0, 100_000, 4, " %")
    yield from _within("band", q.band.value, 0, q.max_uncertainty.value, 4, " %")
    yield from _within("ema_time", q.ema_time.value, 60, DAY, 0, " s")
    yield from _within("bound_cap", q.bound_cap.value, q.bound_base.value, PPM, 4, " %")
    yield from _within("bound_per_hour", q.bound_per_hour.value, 0, PPM, 4, " %")
    yield from _within("latency", q.latency.value, 0, HOUR, 0, " s")
    if (q.kind == "pyth") != (q.pyth_id is not None):
        yield "pyth_id is for kind pyth, and needed there"
    if q.kind != "chainlink" and q.feed is not None:
        yield f"feed is for kind chainlink; kind {q.kind} takes none"
    if q.secondary is None:
        return
    if q.kind == "fixed":
        yield "a fixed price takes no secondary"
    yield from _within("secondary.max_age", q.secondary.max_age.value, 1, 2 * DAY, 0, " s")
    yield from _within("secondary.max_deviation", q.secondary.max_deviation.value, 1, 500_000, 4, " %")
    yield from _within("secondary.timeout", q.secondary.timeout.value, 60, DAY, 0, " s")


def order_problems(parameters: Parameters, market: Market, decimals: int) -> Iterator[str]:
    """What `OrderBook.setMarket` demands, and that market and asset agree on band and move."""
    q, asset, skew = market.orders, parameters.assets[market.asset], parameters.clock_skew.value
    yield from _within("clock_skew", skew, 1, 60, 0, " s")
    yield from _within("orders.exec_window", q.exec_window.value, 1, 60, 0, " s")
    least = asset.latency.value + skew
    delay = q.settlement_delay.value
    if delay < least:
        yield f"orders.settlement_delay ≥ latency + clock_skew does not hold: left {delay} s, right {least} s"
    most = HOUR - q.exec_window.value
    if delay > most:
        yield f"orders.settlement_delay ≤ 1 h − exec_window does not hold: left {delay} s, right {most} s"
    yield from _within("orders.cancel_margin", q.cancel_margin.value, skew, delay, 0, " s")
    unit = 10 ** (18 - decimals)
    if q.min_keeper_fee.value % unit:
        yield f"orders.min_keeper_fee ${format_units(q.min_keeper_fee.value)} has more than {decimals} decimals"
    band, most = asset.max_uncertainty.value, market.max_half_band.value
    if band > most:
        yield (
            "max_uncertainty of the asset ≤ max_half_band does not hold (the margin would not cover the band): "
            f"left {format_units(band, 4)} %, right {format_units(most, 4)} %"
        )
    if market.move.value < asset.deviation.value:
        yield (
            "move ≥ deviation of the feed does not hold (a price may be that far off and still be valid): "
            f"left {format_units(market.move.value, 4)} %, right {format_units(asset.deviation.value, 4)} %"
        )


def liquidity_problems(q: Liquidity, decimals: int) -> Iterator[str]:
    """What the constructor of `LiquidityPool` demands."""
    yield from _within("epoch_length", q.epoch_length.value, HOUR, 30 * DAY, 0, " s")
    yield from _within("lp_delay", q.lp_delay.value, HOUR, 7 * DAY, 0, " s")
    unit = 10 ** (18 - decimals)
    for name, value in (("min_deposit", q.min_deposit.value), ("seed", q.seed.value)):
        if value % unit:
            yield f"{name} ${format_units(value)} has more than the token's {decimals} decimals"
    yield from _within("min_deposit", q.min_deposit.value, WAD // 100, 1000 * WAD, 18, " $")
    yield from _within("seed", q.seed.value, q.min_deposit.value, 10**30, 18, " $")
    yield from _within("min_share_price", q.min_share_price.value, WAD // 1000, WAD, 18, " $")
    yield from _within("strike_reward", q.strike_reward.value, 0, 1000 * WAD, 18, " $")
