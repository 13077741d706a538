"""SideMath against exact rationals, over the whole ranges of the words."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st
from tests.support.harness import Case, Cases, Harness

from plimsoll.model import side
from plimsoll.units import FINE, ONE, UNIT

COUNT = 3000
PRICE = 2**88 - 1
INDEX = 2**95 - 1
SHARES = 2**104 - 1
OFFSET = 2**119 - 1
ENTRY = 2**127 - 1
LEAST = ONE // 10**6
MONEY = 2**127
# Σ r·w and Σ r·x of a side whose shares and entries fit their words.
SUM = SHARES * ENTRY


def scale(cases: Cases) -> int:
    """A side's A: ONE before any event, never below a millionth of it after."""
    return ONE if cases.random.randrange(4) == 0 else cases.uint(ONE, LEAST)


def against(exact: Fraction, long: bool) -> int:
    """A unit value rounded so that the trader does not gain."""
    return math.floor(exact) if long else math.ceil(exact)


def market(cases: Cases) -> tuple[int, int]:
    return cases.uint(PRICE), cases.int(INDEX)


def test_unit_value_is_rounded_against_the_trader(maths: Harness) -> None:
    cases = Cases("unit value")
    rows: list[Case] = [(scale(cases), cases.int(OFFSET), *market(cases), cases.flag()) for _ in range(COUNT)]
    edges = itertools.product((ONE, LEAST, ONE - 1), (-OFFSET, OFFSET), (0, PRICE), (-INDEX, INDEX), (True, False))
    rows += edges
    rounded = 0
    for (a, offset, price, index, long), result in zip(
        rows, maths.check("unitValue", side.unit_value, rows), strict=True
    ):
        exact = Fraction(a * (price - index) * FINE, ONE) + offset
        assert result == against(exact, long)
        rounded += exact.denominator != 1
        assert abs(result) <= ENTRY, "every unit value fits the entry of a position"
    assert rounded > COUNT // 3
    maths.check("valueAt", side.value_at, [(a, c, (p - f) * FINE, long) for a, c, p, f, long in rows])


def test_size_is_floored_and_shares_hold_exactly_the_size_asked_for(maths: Harness) -> None:
    cases = Cases("size")
    rows = [(cases.uint(SHARES), scale(cases)) for _ in range(COUNT)]
    rows += [(SHARES, a) for a in (ONE, ONE - 1, LEAST)]
    for (shares, a), result in zip(rows, maths.check("sizeOf", side.size_of, rows), strict=True):
        assert result == math.floor(Fraction(shares * a, ONE))
    for (size, a), shares in zip(rows, maths.check("sharesFor", side.shares_for, rows), strict=True):
        assert shares == math.ceil(Fraction(size * ONE, a))
        assert side.size_of(shares, a) == size
        assert size == 0 or side.size_of(shares - 1, a) < size, "no fewer shares hold the size"


@given(st.integers(0, SHARES), st.integers(LEAST, ONE))
def test_putting_back_what_is_left_never_takes_more_shares(shares: int, a: int) -> None:
    assert side.shares_for(side.size_of(shares, a), a) <= shares


def test_profits_are_floored_for_positions_and_ceiled_for_sides(maths: Harness) -> None:
    cases = Cases("profit")
    rows: list[Case] = [(cases.int(SHARES >> 1), cases.int(ENTRY), cases.int(ENTRY)) for _ in range(COUNT)]
    rows += itertools.product((-(2**103), 2**103 - 1), (-ENTRY - 1, ENTRY), (-ENTRY - 1, ENTRY))
    for (shares, value, entry), result in zip(rows, maths.check("profit", side.profit, rows), strict=True):
        assert result == math.floor(Fraction(shares * (value - entry), UNIT))
    sums: list[Case] = [(cases.int(SHARES), cases.int(ENTRY), cases.int(SUM)) for _ in range(COUNT)]
    sums += itertools.product((-SHARES, SHARES), (-ENTRY, ENTRY), (-SUM, SUM))
    for (shares, value, entries), result in zip(sums, maths.check("sideProfit", side.side_profit, sums), strict=True):
        assert result == math.ceil(Fraction(shares * value - entries, UNIT))


@given(
    st.lists(st.tuples(st.integers(1, 2**90), st.integers(-(2**100), 2**100)), min_size=1, max_size=6),
    st.integers(-(2**100), 2**100),
    st.booleans(),
)
def test_a_side_owes_at_least_what_its_positions_can_take(
    positions: list[tuple[int, int]], value: int, long: bool
) -> None:
    """INV-04."""
    sign = 1 if long else -1
    paid = sum(side.profit(sign * shares, value, entry) for shares, entry in positions)
    total = sign * sum(shares for shares, _ in positions)
    owed = side.side_profit(total, value, sum(sign * shares * entry for shares, entry in positions))
    assert 0 <= owed - paid <= len(positions)


def test_open_entry_is_floored_and_gives_back_the_price_of_entry(maths: Harness) -> None:
    cases = Cases("entry")
    rows: list[Case] = [(cases.int(ENTRY), scale(cases), cases.int(OFFSET)) for _ in range(COUNT)]
    rows += itertools.product((-ENTRY - 1, ENTRY), (ONE, LEAST), (-OFFSET - 1, OFFSET))
    for (entry, a, offset), result in zip(rows, maths.check("openEntry", side.open_entry, rows), strict=True):
        assert result == math.floor(Fraction((entry - offset) * ONE, a))
    for _ in range(COUNT):
        a, offset, long = scale(cases), cases.int(OFFSET), cases.flag()
        price, index = market(cases)
        entry = side.unit_value(a, offset, price, index, long)
        missed = side.open_entry(entry, a, offset) - (price - index) * FINE
        # The unit value is rounded by less than one, which A stretches.
        assert abs(missed) <= 1 + ONE // a


def test_open_profit_is_ceiled(maths: Harness) -> None:
    cases = Cases("open")
    rows: list[Case] = [(cases.int(SHARES), scale(cases), *market(cases), cases.int(SUM)) for _ in range(COUNT)]
    rows += itertools.product((-SHARES, SHARES), (ONE, LEAST), (0, PRICE), (-INDEX, INDEX), (-(2**252), 2**252))
    for (shares, a, price, index, entries), result in zip(
        rows, maths.check("openProfit", side.open_profit, rows), strict=True
    ):
        raw = shares * (price - index) * FINE - entries
        assert result == math.ceil(Fraction(a * raw, ONE * UNIT))


def test_deleveraging_takes_the_part_that_is_too_much_but_never_more_than_the_skew(maths: Harness) -> None:
    """INV-25."""
    cases = Cases("fraction")
    rows: list[Case] = []
    for _ in range(COUNT):
        interest, open_ = cases.uint(SHARES, 1), cases.uint(MONEY, 1)
        skew = cases.near(interest) if cases.random.randrange(8) == 0 else cases.uint(interest)
        excess = cases.near(open_, low=1) if cases.random.randrange(4) == 0 else cases.uint(2 * open_, 1)
        rows.append((excess, open_, skew, interest, cases.random.randrange(5) == 0))
    kinds = set()
    for (excess, open_, skew, interest, cap_only), result in zip(
        rows, maths.check("deleverageFraction", side.deleverage_fraction, rows), strict=True
    ):
        cap = min(math.floor(Fraction(skew * ONE, interest)), ONE)
        needed = math.ceil(Fraction(excess * ONE, open_))
        assert result == (cap if cap_only else min(cap, needed))
        assert result <= ONE
        kinds.add((cap_only, result == cap, result == needed))
    assert len(kinds) >= 4


def test_scale_after_is_ceiled(maths: Harness) -> None:
    cases = Cases("scale")
    rows = [(scale(cases), cases.uint(ONE)) for _ in range(COUNT)]
    rows += itertools.product((ONE, LEAST), (0, 1, ONE - 1, ONE))
    for (a, fraction), result in zip(rows, maths.check("scaleAfter", side.scale_after, rows), strict=True):
        assert result == math.ceil(a * (1 - Fraction(fraction, ONE)))
        assert result <= a


def offset_case(cases: Cases) -> Case:
    """(W, A', P, F, ΔΠ, R, long), the premium at most what its price can make it."""
    a = scale(cases)
    price, index = market(cases)
    long, shares = cases.flag(), cases.uint(SHARES, 1)
    value = side.unit_value(a, cases.int(OFFSET), price, index, long)
    return value, cases.uint(a), price, index, cases.uint(shares * price // 10**18), shares, long


def test_offset_after_moves_the_unit_value_by_the_premium_alone(maths: Harness) -> None:
    cases = Cases("offset")
    rows = [offset_case(cases) for _ in range(COUNT)]
    for (value, a, price, index, released, shares, long), result in zip(
        rows, maths.check("offsetAfter", side.offset_after, rows), strict=True
    ):
        base = Fraction((price - index) * FINE * a, ONE)
        gain = Fraction(released * UNIT, shares)
        exact = value - base + (gain if long else -gain)
        error = (exact - result) * (1 if long else -1)
        assert 0 <= error < 2, "rounded against the trader, the product and the premium by less than a unit each"
        after = side.unit_value(a, result, price, index, long)
        kept = (after - value) * (1 if long else -1)
        assert gain - 3 < kept <= gain


def test_a_share_gets_rounded_down_and_pays_rounded_up(maths: Harness) -> None:
    cases = Cases("share")
    rows = [(cases.uint(MONEY), cases.uint(SHARES, 1)) for _ in range(COUNT)]
    gains = maths.check("unitGain", side.unit_gain, rows)
    losses = maths.check("unitLoss", side.unit_loss, rows)
    for (amount, shares), gain, loss in zip(rows, gains, losses, strict=True):
        exact = Fraction(amount * UNIT, shares)
        assert (gain, loss) == (math.floor(exact), math.ceil(exact))
        # All shares together get at most the amount, and pay at least it, to a unit on every share.
        assert 0 <= amount - Fraction(gain * shares, UNIT) < Fraction(shares, UNIT)
        assert 0 <= Fraction(loss * shares, UNIT) - amount < Fraction(shares, UNIT)
