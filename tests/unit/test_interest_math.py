"""InterestMath against exact rationals: the borrower pays every rounding."""

from __future__ import annotations

import math
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st
from tests.support.harness import Cases, Harness

from plimsoll.model import interest
from plimsoll.units import PPM, WAD

COUNT = 3000
DEBT = 2**112 - 1
INDEX = 2**96 - 1
CASH = 2**103 - 1
RATE = 2**40 - 1
TIME = 2**32 - 1


def test_utilisation_is_rounded_up_and_at_most_one(maths: Harness) -> None:
    cases = Cases("utilisation")
    rows = [(cases.uint(DEBT), cases.int(CASH)) for _ in range(COUNT)]
    rows += [(cases.near(abs(cash)), cash) for _, cash in rows] + [(0, 0), (0, -1), (1, 0), (1, -1), (1, 1)]
    partial = 0
    for (debt, cash), result in zip(rows, maths.check("utilisation", interest.utilisation, rows), strict=True):
        if debt == 0:
            assert result == 0
        elif cash <= 0:
            assert result == WAD
        else:
            assert result == min(math.ceil(Fraction(debt * WAD, cash)), WAD)
        partial += 0 < result < WAD
    assert partial > COUNT // 10


def test_rate_follows_the_kink_and_is_rounded_up(maths: Harness) -> None:
    cases = Cases("rate")
    rows = [
        (cases.uint(WAD), cases.uint(RATE), cases.uint(RATE), cases.uint(RATE), cases.uint(PPM)) for _ in range(COUNT)
    ]
    rows += [(cases.near(kink * WAD // PPM), *curve, kink) for _, *curve, kink in rows]
    above = 0
    for (u, base, slope1, slope2, kink), result in zip(rows, maths.check("rate", interest.rate, rows), strict=True):
        share, bend = Fraction(u, WAD), Fraction(kink, PPM)
        assert result == math.ceil(base + slope1 * min(share, bend) + slope2 * max(share - bend, 0))
        above += share > bend
    assert COUNT // 4 < above < 2 * COUNT


@given(
    st.lists(st.integers(0, WAD), min_size=2, max_size=6), st.tuples(*[st.integers(0, RATE)] * 3), st.integers(0, PPM)
)
def test_rate_never_falls_as_utilisation_rises(us: list[int], curve: tuple[int, int, int], kink: int) -> None:
    rates = [interest.rate(u, *curve, kink) for u in sorted(us)]
    assert rates == sorted(rates)


def test_index_never_falls_and_is_rounded_up(maths: Harness) -> None:
    """INV-07."""
    cases = Cases("index")
    rows = [(cases.uint(INDEX, WAD), cases.uint(3 * RATE), cases.uint(TIME)) for _ in range(COUNT)]
    rows += [(INDEX, 3 * RATE, TIME), (WAD, 0, TIME), (WAD, RATE, 0)]
    for (index, rate, seconds), result in zip(rows, maths.check("indexAfter", interest.index_after, rows), strict=True):
        assert result == math.ceil(index * (1 + Fraction(rate * seconds, WAD)))
        assert result >= index


def test_accruing_more_often_never_lowers_the_debt() -> None:
    """Simple interest within an accrual compounds at each: more accruals can only raise the index."""
    cases = Cases("compound")
    for _ in range(COUNT):
        index, rate = cases.uint(2**70, WAD), cases.uint(10**11)
        first, second = cases.uint(10**7), cases.uint(10**7)
        twice = interest.index_after(interest.index_after(index, rate, first), rate, second)
        once = interest.index_after(index, rate, first + second)
        assert twice >= once


def test_rates_up_to_250_percent_a_year_fit_the_index_for_ten_years() -> None:
    """INV-07."""
    year = 365 * 86_400
    rate = 5 * WAD // (2 * year)
    index = WAD
    for _ in range(10 * 365):
        index = interest.index_after(index, rate, 86_400)
    assert index < INDEX
    assert interest.index_after(index, 3 * RATE, year) > index


def test_debt_rounds_up_for_an_account_and_down_for_all(maths: Harness) -> None:
    cases = Cases("debt")
    rows = [(cases.uint(DEBT), cases.uint(INDEX, WAD)) for _ in range(COUNT)]
    own = maths.check("debtOf", interest.debt_of, rows)
    total = maths.check("totalDebt", interest.total_debt, rows)
    for (scaled, index), up, down in zip(rows, own, total, strict=True):
        exact = Fraction(scaled * index, WAD)
        assert (down, up) == (math.floor(exact), math.ceil(exact))


def test_total_is_below_the_sum_of_debts_by_less_than_a_wei_per_debtor() -> None:
    """INV-02."""
    cases = Cases("sum")
    for _ in range(COUNT):
        index = cases.uint(INDEX, WAD)
        scaled = [cases.uint(2**104) for _ in range(cases.random.randint(1, 8))]
        gap = sum(interest.debt_of(one, index) for one in scaled) - interest.total_debt(sum(scaled), index)
        assert 0 <= gap <= len(scaled)


def test_stored_debt_is_rounded_up_and_reads_back_as_at_least_the_debt(maths: Harness) -> None:
    cases = Cases("scaled")
    rows = [(cases.uint(2**111), cases.uint(INDEX, WAD)) for _ in range(COUNT)]
    for (debt, index), result in zip(rows, maths.check("scaledFor", interest.scaled_for, rows), strict=True):
        assert result == math.ceil(Fraction(debt * WAD, index))
        # One unit of scaled debt is index/WAD wei: that is what rounding it up can add.
        assert 0 <= interest.debt_of(result, index) - debt <= math.ceil(Fraction(index, WAD))
