"""Quantities as people write them, and the integers that contracts take.

Text is parsed as an exact decimal, never as a float. What the contract's unit cannot hold exactly is refused, except
where a unit of time is divided out (rates, volatilities): those are rounded down, as each function says.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any

from pydantic import BeforeValidator

from plimsoll.errors import PlimsollError
from plimsoll.units import NANO, PPM, WAD

__all__ = [
    "AnnualRate",
    "Bytes32",
    "Count",
    "DailyRate",
    "DailyVelocity",
    "Money",
    "Ppm",
    "QuantityError",
    "Seconds",
    "Tokens",
    "Volatility",
    "annual_rate",
    "count",
    "daily_rate",
    "daily_velocity",
    "money",
    "ppm",
    "seconds",
    "tokens",
    "volatility",
]

DAY = 86_400
YEAR = 365 * DAY
SCALES = {"": 1, "k": 10**3, "M": 10**6, "bn": 10**9}
SHARES = {"%": Fraction(1, 100), "bp": Fraction(1, 10_000), "ppm": Fraction(1, PPM)}
TIMES = {"s": 1, "min": 60, "h": 3600, "d": DAY}
NUMBER = r"(\d[\d_]*(?:\.\d+)?)"


class QuantityError(PlimsollError, ValueError):
    """Text that is not a quantity of the wanted kind, or one that the contract's unit cannot hold."""


def ppm(text: Any) -> int:
    """A ratio (`4 %`, `15 bp`, `100 ppm`) in ppm, exact."""
    return _whole(text, _share(text) * PPM, "1 ppm")


def money(text: Any) -> int:
    """An amount (`$0.5`, `$20M`, `$4bn`) of settlement units, WAD, a multiple of 1e-9."""
    number, unit = _split(text, r"\$\s*", "|".join(SCALES), "an amount such as $0.5, $20M or $4bn")
    return _whole(text, number * SCALES[unit] * WAD / NANO, "$1e-9") * NANO


def seconds(text: Any) -> int:
    """A time (`30 s`, `15 min`, `1 h`, `2 d`) in seconds, exact."""
    number, unit = _split(text, "", "|".join(TIMES), "a time such as 30 s, 15 min, 1 h or 2 d")
    if not unit and number:
        raise QuantityError(f"{text!r} has no unit; write s, min, h or d behind it")
    return _whole(text, number * TIMES.get(unit, 1), "1 s")


def daily_rate(text: Any) -> int:
    """A rate of notional a day (`0.5 % / d`) in 1e-18 per second, rounded down by less than 1e-13 a day."""
    return math.floor(_share(_per(text, "d")) * WAD / DAY)


def daily_velocity(text: Any) -> int:
    """A change of a daily rate a day (`600 % / d²`) in 1e-18 per second², rounded down by less than 1e-8 a day²."""
    return math.floor(_share(_per(text, "d²")) * WAD / (DAY * DAY))


def annual_rate(text: Any) -> int:
    """An interest rate a year of 365 days (`5 % / y`) in 1e-18 per second, rounded down by less than 1e-10 a year."""
    return math.floor(_share(_per(text, "y")) * WAD / YEAR)


def volatility(text: Any) -> int:
    """A volatility of a year (`80 % / √y`) in 1e-9 per √second, rounded down: a lower one raises margin earlier."""
    share = _share(_per(text, "√y"))
    return math.isqrt(math.floor(share * share * WAD / YEAR))


def count(text: Any) -> int:
    """A whole number without a unit."""
    number, _ = _split(text, "", "", "a whole number such as 8")
    return _whole(text, number, "1")


def tokens(text: Any) -> Decimal:
    """An amount of tokens (`5000`, `2.5k`), converted by the token's decimals later."""
    number, unit = _split(text, "", "|".join(SCALES), "an amount of tokens such as 5000 or 2.5k")
    scaled = number * SCALES[unit]
    return Decimal(scaled.numerator) / Decimal(scaled.denominator)


def bytes32(text: Any) -> str:
    """Hex text of 32 bytes."""
    if not isinstance(text, str) or not re.fullmatch(r"0x[0-9a-fA-F]{64}", text):
        raise QuantityError(f"{text!r} is not an id; write 0x and 64 hex digits")
    return text.lower()


def _split(text: Any, before: str, units: str, wanted: str) -> tuple[Fraction, str]:
    if not isinstance(text, str):
        raise QuantityError(f"{text!r} is not text; write {wanted} in quotes")
    match = re.fullmatch(rf"\s*{before}{NUMBER}\s*({units})\s*", text)
    if match is None:
        raise QuantityError(f"{text!r} is not {wanted}")
    return Fraction(match.group(1).replace("_", "")), match.group(2)


def _share(text: Any) -> Fraction:
    number, unit = _split(text, "", "%|bp|ppm", "a ratio such as 4 %, 15 bp or 100 ppm")
    return number * SHARES[unit]


def _per(text: Any, period: str) -> str:
    if not isinstance(text, str) or not re.search(rf"/\s*{period}\s*$", text):
        raise QuantityError(f"{text!r} is not a rate; write it per unit of time, such as 0.5 % / {period}")
    return text.rpartition("/")[0]


def _whole(text: Any, value: Fraction, unit: str) -> int:
    if value.denominator != 1:
        raise QuantityError(f"{text!r} is no multiple of {unit}, the unit that the contracts keep; round it first")
    return value.numerator


Ppm = Annotated[int, BeforeValidator(ppm)]
Money = Annotated[int, BeforeValidator(money)]
Seconds = Annotated[int, BeforeValidator(seconds)]
DailyRate = Annotated[int, BeforeValidator(daily_rate)]
DailyVelocity = Annotated[int, BeforeValidator(daily_velocity)]
AnnualRate = Annotated[int, BeforeValidator(annual_rate)]
Volatility = Annotated[int, BeforeValidator(volatility)]
Count = Annotated[int, BeforeValidator(count)]
Tokens = Annotated[Decimal, BeforeValidator(tokens)]
Bytes32 = Annotated[str, BeforeValidator(bytes32)]
