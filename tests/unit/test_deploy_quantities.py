"""Quantities as people write them become exactly the integers that contracts take, or are refused."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.deploy import quantities as q
from plimsoll.units import WAD

Parser = Callable[[object], object]


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (q.ppm, "4 %", 40_000),
        (q.ppm, "0.0001%", 1),
        (q.ppm, "15 bp", 1_500),
        (q.ppm, "0.01 bp", 1),
        (q.ppm, "100 ppm", 100),
        (q.ppm, "1_200 %", 12_000_000),
        (q.money, "$0.5", WAD // 2),
        (q.money, "$20M", 20_000_000 * WAD),
        (q.money, "$4bn", 4 * 10**9 * WAD),
        (q.money, "$ 200k", 200_000 * WAD),
        (q.money, "$0.000000001", 10**9),
        (q.seconds, "30 s", 30),
        (q.seconds, "15 min", 900),
        (q.seconds, "1.5 h", 5_400),
        (q.seconds, "2 d", 172_800),
        (q.count, "8", 8),
        (q.count, "350_000", 350_000),
        (q.tokens, "5000", Decimal(5000)),
        (q.tokens, "2.5k", Decimal(2500)),
        (q.tokens, "0.00000001", Decimal("1e-8")),
        # 0.005·1e18/86400 and 6·1e18/86400², rounded down
        (q.daily_rate, "0.5 % / d", 57_870_370_370),
        (q.daily_velocity, "600 % / d²", 803_755_144),
        (q.annual_rate, "5 % / y", 1_585_489_599),
        # 0.8/√31536000 in 1e-9
        (q.volatility, "80 % / √y", 142_457),
    ],
)
def test_text_becomes_the_contracts_integer(parse: Parser, text: str, value: object) -> None:
    assert parse(text) == value


@pytest.mark.parametrize(
    ("parse", "text", "reason"),
    [
        (q.ppm, "4", "is not a ratio"),
        (q.ppm, "-4 %", "is not a ratio"),
        (q.ppm, "0.00001 %", "no multiple of 1 ppm"),
        (q.ppm, 0.04, "is not text"),
        (q.ppm, "1e-3 %", "is not a ratio"),
        (q.money, "20M", "is not an amount"),
        (q.money, "$0.0000000001", "no multiple of \\$1e-9"),
        (q.money, "$1,000", "is not an amount"),
        (q.seconds, "30", "is not a time|has no unit"),
        (q.seconds, "0.5 s", "no multiple of 1 s"),
        (q.seconds, "1 week", "is not a time"),
        (q.count, "1.5", "no multiple of 1"),
        (q.count, "8 s", "is not a whole number"),
        (q.daily_rate, "0.5 %", "per unit of time"),
        (q.daily_rate, "0.5 % / y", "per unit of time"),
        (q.daily_velocity, "600 % / d", "per unit of time"),
        (q.volatility, "80 %", "per unit of time"),
        (q.tokens, "$5", "is not an amount of tokens"),
        (q.bytes32, "0x12", "is not an id"),
    ],
)
def test_other_text_is_refused_with_its_reason(parse: Parser, text: object, reason: str) -> None:
    with pytest.raises(q.QuantityError, match=reason) as caught:
        parse(text)
    assert "\n" not in str(caught.value)


@given(st.integers(0, 10**9), st.integers(0, 9))
def test_ratios_and_money_are_exact_for_every_number_of_decimals(digits: int, decimals: int) -> None:
    text = f"{digits // 10**decimals}.{digits % 10**decimals:0{max(decimals, 1)}d}" if decimals else str(digits)
    exact = Fraction(digits, 10**decimals)
    assert q.money(f"${text}") == exact * WAD
    share = exact / 100 * 10**6
    if share.denominator == 1:
        assert q.ppm(f"{text} %") == share
    else:
        with pytest.raises(q.QuantityError):
            q.ppm(f"{text} %")


@given(st.integers(0, 10**7))
def test_rates_are_rounded_down_by_less_than_one_unit(ppm: int) -> None:
    share = Fraction(ppm, 10**6)
    assert 0 <= share * WAD / 86_400 - q.daily_rate(f"{ppm} ppm / d") < 1
    assert 0 <= share * WAD / 86_400**2 - q.daily_velocity(f"{ppm} ppm / d²") < 1
    assert 0 <= share * WAD / (365 * 86_400) - q.annual_rate(f"{ppm} ppm / y") < 1
    sigma = q.volatility(f"{ppm} ppm / √y")
    assert sigma**2 <= share**2 * WAD / (365 * 86_400) < (sigma + 1) ** 2
