"""MarginMath against exact rationals: requirements up, collateral down."""

from __future__ import annotations

import math
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st
from tests.support.harness import Cases, Harness

from plimsoll.model import margin
from plimsoll.units import PPM, WAD

COUNT = 3000
PRICE = 2**88 - 1
SIZE = 2**104 - 1
SLOPE = 2**64 - 1
RATIO_PPM = 2**24 - 1
VARIANCE = 2**48 - 1
SIGMA = 2**32 - 1


def test_ratio_is_base_plus_slope_rounded_up(maths: Harness) -> None:
    cases = Cases("ratio")
    rows = [(cases.uint(2 * RATIO_PPM), cases.uint(SLOPE), cases.uint(SIZE)) for _ in range(COUNT)]
    for (base, slope, size), result in zip(rows, maths.check("ratio", margin.ratio, rows), strict=True):
        assert result == math.ceil(Fraction(base * WAD, PPM) + Fraction(slope * size, WAD))


def test_scaled_ratio_is_rounded_up_and_at_most_one(maths: Harness) -> None:
    cases = Cases("scaled")
    rows = [(cases.uint(2 * WAD), cases.uint(700 * WAD, WAD)) for _ in range(COUNT)]
    rows += [(cases.near(WAD * WAD // factor), factor) for _, factor in rows]
    capped = 0
    for (ratio, factor), result in zip(rows, maths.check("scaledRatio", margin.scaled_ratio, rows), strict=True):
        assert result == min(math.ceil(Fraction(ratio * factor, WAD)), WAD)
        capped += result == WAD
    assert COUNT // 10 < capped < 2 * COUNT


def test_requirement_is_rounded_up(maths: Harness) -> None:
    cases = Cases("requirement")
    rows = [(cases.uint(SIZE), cases.uint(PRICE), cases.uint(2**110)) for _ in range(COUNT)]
    rows += [(SIZE, PRICE, 2**110), (0, PRICE, WAD), (SIZE, 0, WAD), (SIZE, PRICE, 0), (1, 1, 1)]
    for (size, price, ratio), result in zip(rows, maths.check("requirement", margin.requirement, rows), strict=True):
        assert result == math.ceil(Fraction(size * price * ratio, WAD**3) * WAD)


def test_requirement_is_never_below_the_exact_one_and_above_it_by_its_two_roundings(maths: Harness) -> None:
    """ratio is rounded up by less than 1e-18, the product by less than a wei: together n·P·1e-18 + 1 wei."""
    cases = Cases("maintenance")
    rows = [(cases.uint(2**103), cases.uint(PRICE), cases.uint(10**6), cases.uint(10**15)) for _ in range(COUNT)]
    ratios = maths.check("ratio", margin.ratio, [(base, slope, size) for size, _, base, slope in rows])
    products = [(size, price, ratio) for (size, price, _, _), ratio in zip(rows, ratios, strict=True)]
    for (size, price, base, slope), result in zip(
        rows, maths.check("requirement", margin.requirement, products), strict=True
    ):
        exact = Fraction(size * price, WAD) * (Fraction(base, PPM) + Fraction(slope * size, WAD * WAD))
        assert 0 <= result - exact < 1 + Fraction(size * price, WAD * WAD)


def test_volatility_factor_is_rounded_up_within_its_clamp(maths: Harness) -> None:
    cases = Cases("volatility")
    rows = []
    for _ in range(COUNT):
        sigma = cases.uint(SIGMA if cases.flag() else 2**24)
        around = min(cases.near(sigma * sigma, 4 * sigma * sigma, reach=2), VARIANCE)
        variance = cases.uint(VARIANCE) if cases.flag() else around
        rows.append((variance, sigma, cases.random.randrange(2**16) * WAD // 100))
    plain = 0
    for (variance, sigma, cap), result in zip(
        rows, maths.check("volatilityFactor", margin.volatility_factor, rows), strict=True
    ):
        highest = max(cap, WAD)
        if sigma == 0 or variance <= sigma * sigma:
            assert result == WAD
            continue
        assert WAD <= result <= highest
        sigma_up = math.isqrt(variance - 1) + 1
        exact = Fraction(sigma_up * WAD, sigma)
        if result == highest:
            assert highest == WAD or exact > highest - 1
            continue
        plain += 1
        assert result == math.ceil(exact)
        assert result**2 * sigma**2 >= variance * WAD**2, "the factor must not be below σ/σ_ref"
    assert plain > COUNT // 20


def test_volatility_factor_at_its_edges(maths: Harness) -> None:
    assert maths.one("volatilityFactor", 10**6, 1000, 4 * WAD) == WAD
    assert maths.one("volatilityFactor", 10**6 + 1, 1000, 4 * WAD) == 1001 * WAD // 1000
    assert maths.one("volatilityFactor", 4 * 10**6, 1000, 4 * WAD) == 2 * WAD
    assert maths.one("volatilityFactor", 2**48 - 1, 1000, 4 * WAD) == 4 * WAD
    assert maths.one("volatilityFactor", 2**48 - 1, 1000, 0) == WAD
    assert maths.one("volatilityFactor", 2**48 - 1, 0, 4 * WAD) == WAD


def test_collateral_value_is_rounded_down(maths: Harness) -> None:
    cases = Cases("collateral")
    rows = [(cases.uint(2**120), cases.random.randrange(37), cases.uint(PRICE), cases.uint(PPM)) for _ in range(COUNT)]
    for (balance, decimals, price, weight), result in zip(
        rows, maths.check("collateralValue", margin.collateral_value, rows), strict=True
    ):
        assert result == math.floor(Fraction(balance, 10**decimals) * Fraction(weight, PPM) * price)


@given(st.integers(0, 2**100), st.integers(0, 2**100), st.integers(0, 30), st.integers(0, PRICE), st.integers(0, PPM))
def test_splitting_collateral_never_adds_value(a: int, b: int, decimals: int, price: int, weight: int) -> None:
    whole = margin.collateral_value(a + b, decimals, price, weight)
    parts = margin.collateral_value(a, decimals, price, weight) + margin.collateral_value(b, decimals, price, weight)
    assert 0 <= whole - parts <= 1


def test_gains_are_weighed_down_and_losses_count_whole(maths: Harness) -> None:
    cases = Cases("weighted")
    rows = [(cases.int(2**160), cases.uint(PPM)) for _ in range(COUNT)]
    for (profit, weight), result in zip(rows, maths.check("weightedProfit", margin.weighted_profit, rows), strict=True):
        assert result == (profit if profit < 0 else math.floor(Fraction(profit * weight, PPM)))
