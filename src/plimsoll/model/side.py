"""One side of a market: unit value, shares, profit, deleveraging and socialisation in O(1); mirrors `SideMath`.

Shares, sizes, prices and money WAD; unit values and offsets 1e-24 settlement units; scales and fractions 1e-36. Shares
and sums of shares × unit value (1e-42) are signed, negative for shorts, where a function takes no `long`.
"""

from __future__ import annotations

from plimsoll.units import FINE, ONE, UNIT, div_ceil, div_floor, div_up, mul_div_ceil, mul_div_down, mul_div_up

__all__ = [
    "deleverage_fraction",
    "offset_after",
    "open_entry",
    "open_profit",
    "profit",
    "scale_after",
    "shares_for",
    "side_profit",
    "size_of",
    "unit_gain",
    "unit_loss",
    "unit_value",
    "value_at",
]


def unit_value(scale: int, offset: int, price: int, funding_index: int, long: bool) -> int:
    """W = A·(P − F)/ONE + C: floor for longs, ceil for shorts."""
    return value_at(scale, offset, (price - funding_index) * FINE, long)


def value_at(scale: int, offset: int, base: int, long: bool) -> int:
    """W of `base` = P − F, 1e-24."""
    product = base * scale
    return offset + (div_floor(product, ONE) if long else div_ceil(product, ONE))


def size_of(shares: int, scale: int) -> int:
    """⌊|r|·A/ONE⌋"""
    return shares * scale // ONE


def shares_for(size: int, scale: int) -> int:
    """⌈|s|·ONE/A⌉: the shares that hold size s."""
    return div_up(size * ONE, scale)


def profit(shares: int, value: int, entry: int) -> int:
    """⌊r·(W − w)⌋: profit of a position since its last touch, funding included."""
    return div_floor(shares * (value - entry), UNIT)


def side_profit(shares: int, value: int, entry_sum: int) -> int:
    """⌈R·W − Z⌉: profit of a whole side, as the pool owes it."""
    return div_ceil(shares * value - entry_sum, UNIT)


def open_entry(entry: int, scale: int, offset: int) -> int:
    """x = ⌊(w − C_k)·ONE/A_k⌋: entry of a position in prices, derived from the event that it carries."""
    return div_floor((entry - offset) * ONE, scale)


def open_profit(shares: int, scale: int, price: int, funding_index: int, open_entry_sum: int) -> int:
    """⌈A·(R·(P − F) − Y)/ONE⌉: profit of a side that no earlier event locked."""
    return mul_div_ceil(shares * (price - funding_index) * FINE - open_entry_sum, scale, ONE * UNIT)


def deleverage_fraction(excess: int, open_: int, skew: int, interest: int, cap_only: bool) -> int:
    """f = min(⌈excess/open⌉, ⌊skew/interest⌋, 1) in 1e-36: the part of a side that deleveraging closes.

    :param excess: U − adlTarget·NAV, > 0.
    :param open_: Uopen of the side, > 0.
    :param skew: |skew|.
    :param interest: open interest of the side, > 0.
    :param cap_only: NAV ≤ 0: take the cap.
    """
    fraction = min(mul_div_down(skew, ONE, interest), ONE)
    if not cap_only and excess < open_:
        fraction = min(fraction, mul_div_up(excess, ONE, open_))
    return fraction


def scale_after(scale: int, fraction: int) -> int:
    """A' = ⌈A·(1 − f)⌉"""
    return mul_div_up(scale, ONE - fraction, ONE)


def offset_after(
    value: int, new_scale: int, price: int, funding_index: int, released: int, shares: int, long: bool
) -> int:
    """C' = W − A'·(P − F)/ONE + ΔΠ/R, rounded against the trader (floor for longs, ceil for shorts).

    :param released: ΔΠ = Π before − after, ≥ 0.
    :param shares: R of the side, magnitude, > 0.
    """
    product = (price - funding_index) * FINE * new_scale
    gain = unit_gain(released, shares)
    return value - div_ceil(product, ONE) + gain if long else value - div_floor(product, ONE) - gain


def unit_gain(amount: int, shares: int) -> int:
    """⌊amount/R⌋ per share, 1e-24: what each share gets of `amount`."""
    return mul_div_down(amount, UNIT, shares)


def unit_loss(amount: int, shares: int) -> int:
    """⌈amount/R⌉ per share, 1e-24: what each share pays of `amount`."""
    return mul_div_up(amount, UNIT, shares)
