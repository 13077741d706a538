"""PricingMath against exact rationals: path independence, round trips, fees and rounding."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st
from tests.support.harness import Case, Cases, Harness

from plimsoll.model import pricing
from plimsoll.units import NANO, PPM, WAD

COUNT = 3000
PRICE = 2**87 - 1
SIZE = 2**103
SCALE = (2**64 - 1) * NANO
RATE = 2**16 - 1


def trade(cases: Cases) -> tuple[int, int, int]:
    """(skew, delta, K) with both skews, before and after, within K."""
    scale = cases.uint(SCALE, 10**9)
    skew = max(-scale, min(cases.int(scale), scale))
    after = max(-scale, min(cases.near(-skew, 0, skew, low=-scale) if cases.flag() else cases.int(scale), scale))
    return (skew, after - skew, scale) if after != skew else (0, scale, scale)


def band(cases: Cases, price: int, buy: bool) -> int:
    """The far side of an uncertainty band around the price."""
    half = cases.uint(PPM // 5)
    return -(-price * (PPM + half) // PPM) if buy else price * (PPM - half) // PPM


def true_price(side: int, skew: int, delta: int, scale: int) -> Fraction:
    return side * (1 + Fraction(2 * skew + delta, 2 * scale))


def test_factor_is_positive_within_the_scale(maths: Harness) -> None:
    cases = Cases("factor")
    trades = [trade(cases) for _ in range(COUNT)]
    assert all(result > 0 for result in maths.check("factor", pricing.factor, trades))
    beyond = [(-scale - step, -1, scale) for _, _, scale in trades[:200] for step in (0, 1, scale)]
    assert 0 in maths.check("factor", pricing.factor, beyond)


def test_fill_price_rounds_against_the_trader(maths: Harness) -> None:
    cases = Cases("price")
    rows: list[Case] = []
    for _ in range(COUNT):
        skew, delta, scale = trade(cases)
        rows.append((band(cases, cases.uint(PRICE // 2), delta > 0), skew, delta, scale))
    for (side, skew, delta, scale), result in zip(
        rows, maths.check("fillPrice", pricing.fill_price, rows), strict=True
    ):
        exact = true_price(side, skew, delta, scale)
        assert result == (math.ceil(exact) if delta > 0 else math.floor(exact))


def test_fill_cost_is_ceiled_and_so_never_below_the_exact_cost(maths: Harness) -> None:
    cases = Cases("cost")
    rows: list[Case] = []
    for _ in range(COUNT):
        skew, delta, scale = trade(cases)
        price = cases.uint(PRICE // 2)
        rows.append((band(cases, price, delta > 0), price, skew, delta, scale))
    signs = set()
    for (side, price, skew, delta, scale), result in zip(
        rows, maths.check("fillCost", pricing.fill_cost, rows), strict=True
    ):
        assert result == math.ceil(delta * (true_price(side, skew, delta, scale) - price) / WAD)
        signs.add((delta > 0, result > 0))
    assert len(signs) == 4, "buys and sells that pay and that receive must all occur"


def test_words_at_their_limits_do_not_overflow(maths: Harness) -> None:
    prices, sizes, scales = (1, PRICE, 2**88 - 1), (1, SIZE), (10**9, SCALE)
    rows = [
        (side, price, skew, delta, scale)
        for side, price, size, scale in itertools.product(prices, prices, sizes, scales)
        for skew, delta in itertools.product((-size, 0, size), (-2 * size, -size, size, 2 * size))
    ]
    maths.check("fillCost", pricing.fill_cost, rows)
    maths.check("fillPrice", pricing.fill_price, [(side, skew, delta, k) for side, _, skew, delta, k in rows])
    maths.check("premium", pricing.premium, [(price, skew, k) for _, price, skew, _, k in rows])
    maths.check("fee", pricing.fee, [(price, skew, delta, RATE, RATE) for _, price, skew, delta, _ in rows])


def check_split(side: int, price: int, skew: int, steps: list[int], scale: int) -> None:
    """The costs of the steps sum to the cost of the whole, from which ceiling lifts them by less than a wei each."""
    whole = pricing.fill_cost(side, price, skew, sum(steps), scale)
    parts = 0
    for step in steps:
        parts += pricing.fill_cost(side, price, skew, step, scale)
        skew += step
    assert 0 <= parts - whole <= len(steps) - 1


def test_split_fills_never_cost_less_than_the_whole() -> None:
    """INV-19."""
    cases = Cases("split")
    for _ in range(COUNT):
        skew, delta, scale = trade(cases)
        price = cases.uint(PRICE // 2)
        cuts = sorted({cases.random.randint(1, abs(delta)) for _ in range(6)} | {abs(delta)})
        steps = [(b - a) * (1 if delta > 0 else -1) for a, b in itertools.pairwise([0, *cuts])]
        assert sum(steps) == delta
        check_split(band(cases, price, delta > 0), price, skew, steps, scale)


SMALL = st.integers(10**9, 10**24)


@given(
    SMALL, st.integers(0, PPM // 5), st.fractions(-1, 1), st.lists(st.fractions(0, 1), min_size=1, max_size=6), SMALL
)
def test_round_trip_at_one_price_never_profits(
    price: int, half: int, share: Fraction, opens: list[Fraction], scale: int
) -> None:
    """INV-18: any way up and any other way down, with the band, gives back at most what was paid."""
    high, low = -(-price * (PPM + half) // PPM), price * (PPM - half) // PPM
    start = skew = int(share * scale)
    paid = 0
    for part in opens:
        step = int(part * (scale - skew))
        if step:
            paid += pricing.fill_cost(high, price, skew, step, scale)
        skew += step
    back = skew - start
    for step in (back // 3, back - back // 3):
        if step:
            paid += pricing.fill_cost(low, price, skew, -step, scale)
        skew -= step
    assert skew == start
    assert paid >= 0


def test_round_trips_in_bulk_never_profit_and_cost_dust_without_a_band() -> None:
    cases = Cases("trip")
    for _ in range(COUNT):
        skew, delta, scale = trade(cases)
        price = cases.uint(PRICE // 2)
        out, back = band(cases, price, delta > 0), band(cases, price, delta < 0)
        after = skew + delta
        banded = pricing.fill_cost(out, price, skew, delta, scale)
        banded += pricing.fill_cost(back, price, after, -delta, scale)
        plain = pricing.fill_cost(price, price, skew, delta, scale)
        plain += pricing.fill_cost(price, price, after, -delta, scale)
        assert banded >= plain >= 0
        assert plain <= 1


def test_premium_is_ceiled_and_fills_pay_its_change(maths: Harness) -> None:
    cases = Cases("premium")
    rows = [(cases.uint(PRICE), cases.int(SIZE), cases.uint(SCALE, 1)) for _ in range(COUNT)]
    rows += [(price, 0, scale) for price, _, scale in rows[:20]]
    for (price, skew, scale), result in zip(rows, maths.check("premium", pricing.premium, rows), strict=True):
        assert result == math.ceil(Fraction(price * skew * skew, 2 * scale * WAD))
    for _ in range(COUNT):
        skew, delta, scale = trade(cases)
        price = cases.uint(PRICE // 2)
        change = pricing.premium(price, skew + delta, scale) - pricing.premium(price, skew, scale)
        # Both ends of Π are ceiled, and so is the cost: the three errors are below a wei each.
        assert -1 <= pricing.fill_cost(price, price, skew, delta, scale) - change <= 1


def test_fee_charges_maker_for_what_shrinks_the_skew_and_rounds_up(maths: Harness) -> None:
    cases = Cases("fee")
    rows: list[Case] = []
    for _ in range(COUNT):
        skew, delta, _ = trade(cases)
        rows.append((cases.uint(PRICE), skew, delta, cases.uint(RATE), cases.uint(RATE)))
    rows += [(10**18, 0, delta, 1, 2) for delta in (1, -1)]
    crossings = 0
    for (price, skew, delta, maker, taker), result in zip(rows, maths.check("fee", pricing.fee, rows), strict=True):
        after = skew + delta
        shrinks = max(abs(skew) - abs(after), 0) if skew * after >= 0 else abs(skew)
        crossings += skew * after < 0
        grows = abs(delta) - shrinks
        assert result == math.ceil(Fraction((shrinks * maker + grows * taker) * price, WAD * PPM))
    assert crossings > COUNT // 20


def test_notional_rounds_as_named(maths: Harness) -> None:
    cases = Cases("notional")
    rows = [(cases.uint(SIZE), cases.uint(PRICE)) for _ in range(COUNT)]
    up = maths.check("notionalUp", pricing.notional_up, rows)
    down = maths.check("notionalDown", pricing.notional_down, rows)
    for (size, price), above, below in zip(rows, up, down, strict=True):
        exact = Fraction(size * price, WAD)
        assert (below, above) == (math.floor(exact), math.ceil(exact))
