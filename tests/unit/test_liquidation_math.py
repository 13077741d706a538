"""LiquidationMath: the least closing amount, penalties, rewards and collateral sales against exact rationals."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.harness import Case, Cases, Harness

from plimsoll.model import liquidation, margin, pricing
from plimsoll.units import PPM, WAD, mul_div_up

COUNT = 3000
PRICE = 2**87 - 1
SIZE = 2**103 - 1
SLOPE = 2**64 - 1
MONEY = 2**111
ULP = Fraction(1, WAD)
STEP = WAD // PPM


def close_case(cases: Cases, *, slope_high: int = SLOPE) -> Case:
    """(size, price, shortfall, a, b, λ, t) with λ < a and shortfalls from nothing to more than a full close mends."""
    size, price = cases.uint(SIZE, 1), cases.uint(PRICE, 1)
    penalty = cases.uint(PPM // 20, 1)
    base = cases.uint(PPM // 5, penalty)
    # The slope adds up to a few times the whole ratio at this size.
    slope = min(cases.uint(WAD * WAD // size + 1), slope_high)
    target = WAD + cases.uint(PPM) * STEP
    case = (base * STEP, slope, penalty * STEP, target)
    whole = math.ceil(gain(size, size, price, *case) * WAD)
    shortfall = {
        0: lambda: cases.near(whole, low=1),
        1: lambda: cases.uint(MONEY, 1),
        2: lambda: cases.uint(max(whole // 10**6, 1), 1),
    }.get(cases.random.randrange(6), lambda: cases.uint(whole + whole // 10 + 1, 1))()
    return size, price, shortfall, *case


def slope_and_net(size: int, a: int, b: int, penalty: int, target: int) -> tuple[Fraction, Fraction]:
    """t·b and B = t(a + λ + 2bn) − λ, exact, in real units."""
    t = target * ULP
    return t * b * ULP, t * (a + penalty + 2 * b * Fraction(size, WAD)) * ULP - penalty * ULP


def gain(x: int, size: int, price: int, a: int, b: int, penalty: int, target: int) -> Fraction:
    """By how much closing x lowers t·MM − equity, in real money: P·x·(B − tbx)."""
    tb, net = slope_and_net(size, a, b, penalty, target)
    return Fraction(price, WAD) * Fraction(x, WAD) * (net - tb * Fraction(x, WAD))


def direct_gain(x: int, size: int, price: int, a: int, b: int, penalty: int, target: int) -> Fraction:
    """The same from the definitions of MM and penalty."""
    p, n, closed = Fraction(price, WAD), Fraction(size, WAD), Fraction(x, WAD)

    def requirement(left: Fraction) -> Fraction:
        return left * p * (a + b * left + penalty) * ULP

    return target * ULP * (requirement(n) - requirement(n - closed)) - penalty * ULP * p * closed


def rounding_slack(result: int, size: int, price: int, shortfall: int, case: Case) -> int:
    """By how many wei rounding may lift the answer x above the least solution.

    x is 2S/(P·(B + √disc)) ceiled. B is floored twice, so it is low by less than δ = (t + 1)·1e-18. Then B² is low by
    less than 2Bδ and the discriminant by ε = 2Bδ + 1e-36 (its term is ceiled), so its root by less than
    min(ε/√disc, √ε) and 1e-18 for its own floor. The relative error of x is the divisor's; ceiling adds a wei.
    """
    tb, net = slope_and_net(size, *case)
    disc = net * net - 4 * tb * Fraction(shortfall, price)
    delta = (case[3] * ULP + 1) * ULP
    epsilon = 2 * net * delta + ULP * ULP
    root_error = Fraction(math.isqrt(math.ceil(epsilon * 10**60)) + 1, 10**30)
    if disc > 0:
        root_below = Fraction(math.isqrt(math.floor(disc * 10**72)), 10**36)
        if root_below:
            root_error = min(root_error, epsilon / root_below)
    return math.ceil(result * (delta + root_error + ULP) / (net - delta)) + 1


def test_gain_of_closing_agrees_with_the_definitions() -> None:
    cases = Cases("gain")
    for _ in range(300):
        size, price, _, *case = close_case(cases)
        x = cases.uint(size)
        assert gain(x, size, price, *case) == direct_gain(x, size, price, *case)


@pytest.mark.parametrize("slope_high", [SLOPE, 1000, 1, 0], ids=lambda high: f"slope-to-{high}")
def test_least_close_restores_health_and_less_does_not(maths: Harness, slope_high: int) -> None:
    """INV-14."""
    cases = Cases(f"close {slope_high}")
    rows = [close_case(cases, slope_high=slope_high) for _ in range(COUNT)]
    partial = 0
    for (size, price, shortfall, *case), result in zip(
        rows, maths.check("leastClose", liquidation.least_close, rows), strict=True
    ):
        need = Fraction(shortfall, WAD)
        assert 0 < result <= size
        if result < size:
            partial += 1
            assert gain(result, size, price, *case) >= need, "health is not restored"
        less = result - 1 - rounding_slack(result, size, price, shortfall, tuple(case))
        if less > 0:
            assert gain(less, size, price, *case) < need, "less would have done"
    assert partial > COUNT // 3


def test_rounding_lifts_the_closing_amount_by_little(maths: Harness) -> None:
    """With ratios of a few percent the answer exceeds the least solution by less than 1e-12 of itself and a few wei."""
    cases = Cases("slack")
    seen = 0
    for _ in range(COUNT):
        size, price, shortfall, *case = close_case(cases)
        if case[0] < WAD // 100:
            continue
        result = liquidation.least_close(size, price, shortfall, *case)
        if result < size:
            seen += 1
            assert rounding_slack(result, size, price, shortfall, tuple(case)) <= result // 10**12 + 3
    assert seen > COUNT // 10


def test_a_tiny_slope_closes_no_more_than_none(maths: Harness) -> None:
    """The answer is continuous in the slope: nothing cancels when it is small."""
    flat = (2_000 * WAD, 2_000 * WAD, 10**15, 2 * WAD // 100, 0, WAD // 100, 11 * WAD // 10)
    sloped = (*flat[:4], 1, *flat[5:])
    without, with_slope = maths.check("leastClose", liquidation.least_close, [flat, sloped])
    assert 0 <= without - with_slope < without // 10**9 + 2


def test_least_close_never_panics_within_the_words(maths: Harness) -> None:
    """INV-39."""
    sizes, prices, shortfalls = (1, 10**18, SIZE), (1, 10**18, PRICE), (1, 10**18, MONEY, 2**160)
    ratios = [(0, 0, 1), (0, 1, 0), (PPM * STEP, SLOPE, PPM * STEP), (1, SLOPE, 0), (0, 0, 0), (STEP, 0, 16 * WAD)]
    rows = [
        (size, price, shortfall, *ratio, target)
        for size in sizes
        for price in (0, *prices)
        for shortfall in shortfalls
        for ratio in ratios
        for target in (WAD, (2**24 - 1) * STEP)
    ]
    assert all(0 < result <= row[0] for row, result in zip(rows, maths.check("leastClose", least, rows), strict=True))


def least(*args: int) -> int:
    return liquidation.least_close(*args)


def test_closing_that_amount_brings_an_account_to_its_target() -> None:
    """INV-14: with the rounded requirements of the chain, health reaches t up to their rounding.

    MM' exceeds the exact one by less than n'·P·1e-18 (ratio ceiled) + 1 wei, the penalty by less than 2 wei.
    """
    cases = Cases("account")
    partial = 0
    for _ in range(COUNT):
        size, price, _, a, b, penalty, target = close_case(cases)
        base_ppm, penalty_ppm = a // STEP, penalty // STEP
        rest = cases.uint(10**24)

        def maintenance(
            left: int, price: int = price, base: int = base_ppm + penalty_ppm, slope: int = b, rest: int = rest
        ) -> int:
            return rest + margin.requirement(left, price, margin.ratio(base, slope, left))

        before = maintenance(size)
        equity = cases.random.randint(0, before)
        shortfall = mul_div_up(before, target, WAD) - equity
        x = liquidation.least_close(size, price, shortfall, a, b, penalty, target)
        if x == size:
            continue
        partial += 1
        left = equity - mul_div_up(pricing.notional_up(x, price), penalty_ppm, PPM)
        short = Fraction(maintenance(size - x) * target, WAD) - left
        assert short <= Fraction(target, WAD) * (1 + Fraction((size - x) * price, WAD * WAD)) + 2
    assert partial > COUNT // 20


def test_part_helps_exactly_when_health_exceeds_the_marginal_one(maths: Harness) -> None:
    """INV-14."""
    cases = Cases("part")
    rows: list[Case] = []
    for _ in range(COUNT):
        maintenance, penalty = cases.uint(2**130), cases.uint(WAD // 10, 1)
        ratio = penalty + cases.uint(WAD // 2)
        equity = cases.near(maintenance * penalty // ratio, low=-3) if cases.flag() else cases.int(2**130)
        rows.append((equity, maintenance, penalty, ratio))
    rows += [(10, 100, 1, 10), (11, 100, 1, 10), (0, 0, 1, 1), (1, 0, 1, 1)]
    results = maths.check("partHelps", liquidation.part_helps, rows)
    for (equity, maintenance, penalty, ratio), result in zip(rows, results, strict=True):
        assert result == (equity > 0 and equity > maintenance * Fraction(penalty, ratio))
    assert COUNT // 10 < sum(results) < COUNT * 9 // 10


def test_floor_size_is_the_least_whose_penalty_pays_the_floor(maths: Harness) -> None:
    cases = Cases("floor")
    rows = [
        (cases.uint((2**64 - 1) * 10**9), cases.uint(2**24 - 1, 1) * STEP, cases.uint(PRICE, 1)) for _ in range(COUNT)
    ]
    for (floor, penalty, price), result in zip(
        rows, maths.check("floorSize", liquidation.floor_size, rows), strict=True
    ):
        per_wei = Fraction(penalty * price, WAD * WAD)
        assert result * per_wei >= floor
        assert result == 0 or (result - 1) * per_wei < floor


def test_charged_and_reward_follow_their_definitions(maths: Harness) -> None:
    """INV-16."""
    cases = Cases("reward")
    high = 2**100
    charges = [(cases.uint(high), cases.uint(high), cases.int(high)) for _ in range(COUNT)]
    for (penalties, floor, equity), result in zip(
        charges, maths.check("charged", liquidation.charged, charges), strict=True
    ):
        wanted = max(penalties, floor)
        assert result == (wanted if wanted <= equity else max(equity, 0))
    rows = [tuple(cases.uint(high) for _ in range(6)) for _ in range(COUNT)]
    rows += [tuple(cases.near(10**20) for _ in range(6)) for _ in range(COUNT)]
    for row, result in zip(rows, maths.check("reward", liquidation.reward, rows), strict=True):
        charged, insurance, floor, cap, rate_part, gas = row
        from_insurance = max(result - charged, 0)
        assert result <= cap
        assert result <= max(rate_part, min(gas, floor))
        assert from_insurance <= min(insurance, max(floor - charged, 0))
        # It is the most that these four bounds allow.
        more = result + 1
        assert (
            more > cap
            or more > max(rate_part, min(gas, floor))
            or more - charged > min(insurance, max(floor - charged, 0))
        )


def test_discount_rises_evenly_to_its_limit(maths: Harness) -> None:
    cases = Cases("discount")
    rows = [(cases.uint(2**32), cases.uint(2**16 - 1), cases.uint(PPM)) for _ in range(COUNT)]
    rows += [(cases.near(duration), duration, most) for _, duration, most in rows] + [(0, 0, 7), (0, 9, 7), (9, 9, 7)]
    for (elapsed, duration, most), result in zip(
        rows, maths.check("discount", liquidation.discount, rows), strict=True
    ):
        share = min(Fraction(elapsed, duration), Fraction(1)) if duration else Fraction(1)
        assert result == math.floor(most * share)


def test_sale_value_is_the_least_that_covers_the_gap(maths: Harness) -> None:
    cases = Cases("sale")
    rows = [(cases.uint(2**130, 1), cases.uint(PPM // 2), cases.uint(PPM)) for _ in range(COUNT)]
    rows += [
        (gap, max(PPM - weight + step, 0), weight) for gap, _, weight in rows[:200] for step in (-1, 0, 1) if weight
    ]
    everything = 0
    for (gap, discount, weight), result in zip(
        rows, maths.check("saleValue", liquidation.sale_value, rows), strict=True
    ):
        kept = 1 - Fraction(discount + weight, PPM)
        if kept <= 0:
            assert result == liquidation.EVERYTHING
            everything += 1
            continue
        assert result * kept >= gap
        assert (result - 1) * kept < gap
    assert everything > 100


def test_buyers_pay_rounded_up(maths: Harness) -> None:
    cases = Cases("buyer")
    rows = [
        (cases.uint(2**120), cases.random.randrange(37), cases.uint(2**88 - 1), cases.uint(PPM)) for _ in range(COUNT)
    ]
    for (amount, decimals, price, discount), result in zip(
        rows, maths.check("salePrice", liquidation.sale_price, rows), strict=True
    ):
        assert result == math.ceil(Fraction(amount * price, 10**decimals) * (1 - Fraction(discount, PPM)))


@given(
    st.lists(st.integers(1, 10**30), min_size=1, max_size=5),
    st.integers(0, 36),
    st.integers(1, PRICE),
    st.integers(0, PPM),
)
def test_splitting_a_purchase_never_makes_it_cheaper(
    parts: list[int], decimals: int, price: int, discount: int
) -> None:
    whole = liquidation.sale_price(sum(parts), decimals, price, discount)
    split = sum(liquidation.sale_price(part, decimals, price, discount) for part in parts)
    assert 0 <= split - whole <= len(parts) - 1
