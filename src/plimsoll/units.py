"""Units of on-chain quantities and integer division that names its direction.

Down and up are of magnitudes (arguments ≥ 0), floor and ceil of signed numbers. Python's `//` floors, the EVM truncates
toward zero: on-chain quantities are divided by these functions only. No function takes or gives a float.
"""

from __future__ import annotations

import math
from decimal import Decimal, InvalidOperation

from plimsoll.errors import PlimsollError

__all__ = [
    "FINE",
    "NANO",
    "ONE",
    "PPM",
    "UNIT",
    "WAD",
    "UnitsError",
    "div_ceil",
    "div_floor",
    "div_up",
    "format_units",
    "mul_div_ceil",
    "mul_div_down",
    "mul_div_floor",
    "mul_div_up",
    "parse_units",
    "positive_part",
    "sqrt_down",
    "sqrt_up",
]

WAD = 10**18
PPM = 10**6
NANO = 10**9
"""WAD per unit of 1e-9, in which configuration words keep money and sizes."""
ONE = 10**36
"""Scale of a side's A before any event."""
FINE = 10**6
"""Unit values are kept at 1e24: this times a WAD price."""
UNIT = 10**24
"""Shares (WAD) × unit value (1e24) / this = money (WAD)."""


class UnitsError(PlimsollError, ValueError):
    """An amount cannot be written exactly in the wanted unit."""


def mul_div_down(a: int, b: int, d: int) -> int:
    """⌊a·b/d⌋ of numbers ≥ 0, d > 0."""
    return a * b // d


def mul_div_up(a: int, b: int, d: int) -> int:
    """⌈a·b/d⌉ of numbers ≥ 0, d > 0."""
    return -(-a * b // d)


def mul_div_floor(a: int, b: int, d: int) -> int:
    """⌊a·b/d⌋ of a signed a, b ≥ 0, d > 0."""
    return a * b // d


def mul_div_ceil(a: int, b: int, d: int) -> int:
    """⌈a·b/d⌉ of a signed a, b ≥ 0, d > 0."""
    return -(-a * b // d)


def div_up(a: int, d: int) -> int:
    """⌈a/d⌉ of a ≥ 0, d > 0; 0 for a = 0 whatever d is, as on chain."""
    return 0 if a == 0 else (a - 1) // d + 1


def div_floor(a: int, d: int) -> int:
    """⌊a/d⌋ of a signed a, d > 0."""
    return a // d


def div_ceil(a: int, d: int) -> int:
    """⌈a/d⌉ of a signed a, d > 0."""
    return -(-a // d)


def positive_part(a: int) -> int:
    """max(a, 0)"""
    return max(a, 0)


def sqrt_down(a: int) -> int:
    """⌊√a⌋, a ≥ 0."""
    return math.isqrt(a)


def sqrt_up(a: int) -> int:
    """⌈√a⌉, a ≥ 0."""
    return 0 if a == 0 else math.isqrt(a - 1) + 1


def parse_units(amount: str | int | Decimal, decimals: int = 18) -> int:
    """The integer that stands for `amount` with so many decimals: `parse_units("1.5", 6) == 1_500_000`.

    Text may hold underscores or an exponent (`"1_000"`, `"1e-6"`).

    :raises UnitsError: it is no finite number, or has more decimals than the unit.
    :raises TypeError: it is a float, which is not exact; give text.
    """
    if isinstance(amount, bool | float) or not isinstance(amount, str | int | Decimal):
        raise TypeError(f"{amount!r} is a {type(amount).__name__}; give an amount as text, int or Decimal")
    if not 0 <= decimals <= 77:
        raise UnitsError(f"{decimals} decimals are not possible; give 0 to 77")
    try:
        sign, digits, exponent = Decimal(amount).as_tuple()
    except InvalidOperation:
        raise UnitsError(f"{amount!r} is not a number; give one such as 12.5") from None
    if not isinstance(exponent, int):
        raise UnitsError(f"{amount!r} is not finite; give a number such as 12.5")
    magnitude = int("".join(map(str, digits)))
    shift = exponent + decimals
    if abs(shift) > 400:
        if magnitude:
            raise UnitsError(f"{amount!r} is too large or too small for an amount; check its exponent")
        return 0
    if shift < 0:
        magnitude, rest = divmod(magnitude, 10**-shift)
        if rest:
            raise UnitsError(f"{amount!r} has more than {decimals} decimals; round it first")
        shift = 0
    value: int = magnitude * 10**shift
    return -value if sign else value


def format_units(value: int, decimals: int = 18) -> str:
    """The exact decimal text of an integer with so many decimals, without trailing zeros; inverse of `parse_units`."""
    if decimals < 0:
        raise UnitsError(f"{decimals} decimals are not possible; give 0 or more")
    whole, part = divmod(abs(value), 10**decimals)
    text = f"{part:0{decimals}d}".rstrip("0") if part else ""
    return f"{'-' if value < 0 else ''}{whole}{'.' if text else ''}{text}"
