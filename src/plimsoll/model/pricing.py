"""Price of a fill, premium and fees; mirrors `PricingMath`. Prices, sizes and money WAD, fee rates ppm."""

from __future__ import annotations

from plimsoll.units import PPM, WAD, div_up, mul_div_ceil, mul_div_down, mul_div_up

__all__ = ["factor", "fee", "fill_cost", "fill_price", "notional_down", "notional_up", "premium"]


def factor(skew: int, delta: int, skew_scale: int) -> int:
    """max(2K + 2·skew + delta, 0): numerator of the price factor over 2K."""
    return max(2 * skew_scale + 2 * skew + delta, 0)


def fill_price(side: int, skew: int, delta: int, skew_scale: int) -> int:
    """Price per unit of a fill: side·(1 + (2·skew + delta)/(2K)), up for buys, down for sells.

    :param side: `high` of the uncertainty band for buys, `low` for sells.
    """
    divide = mul_div_up if delta > 0 else mul_div_down
    return divide(side, factor(skew, delta, skew_scale), 2 * skew_scale)


def fill_cost(side: int, price: int, skew: int, delta: int, skew_scale: int) -> int:
    """⌈delta·(fill price − price)⌉: what the trader pays (negative: receives) for band and premium."""
    gap = side * factor(skew, delta, skew_scale) - price * 2 * skew_scale
    return mul_div_ceil(gap if delta > 0 else -gap, abs(delta), 2 * skew_scale * WAD)


def premium(price: int, skew: int, skew_scale: int) -> int:
    """Π = ⌈P·skew²/(2K)⌉: premium paid in, which the pool pays out when the skew goes back to zero."""
    return 0 if skew == 0 else mul_div_up(price * abs(skew), abs(skew), 2 * skew_scale * WAD)


def fee(price: int, skew: int, delta: int, maker_ppm: int, taker_ppm: int) -> int:
    """⌈fee⌉: maker for the part of the trade that shrinks |skew|, taker for the part that grows it."""
    size = abs(delta)
    maker = min(size, abs(skew)) if (skew > 0) != (delta > 0) else 0
    weighted = maker * maker_ppm + (size - maker) * taker_ppm
    return mul_div_up(weighted, price, WAD * PPM)


def notional_up(size: int, price: int) -> int:
    """⌈n·P⌉"""
    return div_up(size * price, WAD)


def notional_down(size: int, price: int) -> int:
    """⌊n·P⌋"""
    return size * price // WAD
