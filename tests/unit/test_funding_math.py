"""FundingMath against exact integration, and its independence of when it is called."""

from __future__ import annotations

import math
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st
from tests.support.harness import Case, Cases, Harness

from plimsoll.model.funding import drift, index_growth, integrate
from plimsoll.units import NANO, PPM, WAD

COUNT = 3000
RATE = 2**39 - 1  # int40
CONFIG = 2**40 - 1  # u40
SKEW = 2**104
SCALE = (2**64 - 1) * NANO
PRICE = 2**88 - 1
TIME = 2**32 - 1
TEN_YEARS = 10 * 365 * 86_400


def drift_cases(seed: str) -> list[Case]:
    cases = Cases(seed)
    found: list[Case] = []
    for _ in range(COUNT):
        scale, band = cases.uint(SCALE, 1), cases.uint(2**24 - 1)
        skew = cases.int(SKEW)
        if cases.random.randrange(2):
            skew = cases.near(band * scale // PPM, scale, 0) * cases.random.choice((-1, 1))
        found.append((cases.int(RATE), skew, scale, cases.uint(RATE), cases.uint(CONFIG), band))
    return found


def exact(rate: int, velocity: int, bound: int, seconds: int) -> tuple[Fraction, Fraction]:
    """Rate and twice its integral by the definition: a straight line until the bound, then constant."""
    way = bound - rate
    if velocity == 0 or way == 0:
        return Fraction(rate), Fraction(2 * rate * seconds)
    if (way > 0) != (velocity > 0):
        return Fraction(bound), Fraction(2 * bound * seconds)
    moving = min(Fraction(way, velocity), Fraction(seconds))
    end = rate + velocity * moving
    return end, (rate + end) * moving + 2 * bound * (seconds - moving)


def run(rate: int, skew: int, config: tuple[int, int, int, int], seconds: int) -> tuple[int, int]:
    """An accrual: where the rate goes at this skew, and by how much it has moved the index."""
    scale, r_max, v_max, band = config
    velocity, bound = drift(rate, skew, scale, r_max, v_max, band)
    return integrate(rate, velocity, bound, seconds)


def test_drift_is_the_clamped_share_of_the_skew(maths: Harness) -> None:
    cases = drift_cases("drift")
    inside = 0
    for (rate, skew, scale, r_max, v_max, band), (velocity, bound) in zip(
        cases, maths.check("drift", drift, cases), strict=True
    ):
        share = min(Fraction(abs(skew), scale), Fraction(1))
        if share <= Fraction(band, PPM):
            inside += 1
            assert bound == 0
            assert abs(velocity) == max(math.ceil(Fraction(band * v_max, PPM)), 1)
            assert velocity * rate <= 0, "inside the dead-band the rate must fall"
        else:
            assert bound == (r_max if skew > 0 else -r_max)
            assert abs(velocity) == math.floor(share * v_max)
            assert velocity * skew >= 0
    assert 0.2 * COUNT < inside < 0.8 * COUNT


def test_decay_inside_the_dead_band_is_no_slower_than_growth_just_outside() -> None:
    cases = Cases("decay")
    for _ in range(COUNT):
        scale, v_max, band = cases.uint(SCALE, 10**12), cases.uint(CONFIG), cases.uint(PPM - 1)
        edge = band * scale // PPM
        decay, _ = drift(1, edge, scale, RATE, v_max, band)
        growth, _ = drift(1, edge + 1, scale, RATE, v_max, band)
        assert -decay >= growth


def integrate_cases(seed: str) -> list[Case]:
    cases = Cases(seed)
    found: list[Case] = []
    for _ in range(COUNT):
        rate, bound, velocity = cases.int(RATE), cases.int(RATE), cases.int(CONFIG)
        seconds = cases.uint(TIME)
        if cases.random.randrange(2) and velocity:
            velocity = abs(velocity) if bound > rate else -abs(velocity)
            seconds = min(cases.near((bound - rate) // velocity), TIME)
        found.append((rate, velocity, bound, seconds))
    return found


def test_integral_is_exact_through_the_moment_of_clamping(maths: Harness) -> None:
    cases = integrate_cases("integrate")
    clamped = free = 0
    for case, (end, twice) in zip(cases, maths.check("integrate", integrate, cases), strict=True):
        true_end, true_twice = exact(*case)
        assert end == true_end
        rate, velocity, bound, _ = case
        if true_twice.denominator == 1:
            assert twice == true_twice
        else:
            # Only (bound − rate)²/velocity is rounded, toward zero: the integral errs to the side of the bound.
            assert twice == (math.ceil(true_twice) if bound > rate else math.floor(true_twice))
        moved = velocity != 0 and rate != bound
        clamped += moved and end == bound
        free += moved and end != bound
        assert min(rate, bound) <= end <= max(rate, bound)
    assert clamped > COUNT // 10
    assert free > COUNT // 10


CONFIGS = st.tuples(st.integers(10**9, SCALE), st.integers(0, RATE), st.integers(0, 2**32), st.integers(0, 2 * PPM))


@given(
    st.integers(-RATE, RATE),
    st.fractions(-2, 2),
    CONFIGS,
    st.lists(st.one_of(st.integers(0, 100), st.integers(0, 10**7)), min_size=1, max_size=8),
)
def test_splitting_an_interval_changes_nothing(
    rate: int, share: Fraction, config: tuple[int, int, int, int], parts: list[int]
) -> None:
    """INV-06."""
    skew = int(share * config[0])
    whole = run(rate, skew, config, sum(parts))
    total = 0
    for seconds in parts:
        rate, twice = run(rate, skew, config, seconds)
        total += twice
    assert (rate, total) == whole


def test_splitting_at_random_points_changes_nothing_in_bulk() -> None:
    """INV-06."""
    cases = Cases("split")
    clamped = 0
    for rate, skew, scale, r_max, v_max, band in drift_cases("split"):
        config = (scale, r_max, v_max, band)
        velocity, bound = drift(rate, skew, scale, r_max, v_max, band)
        toward = abs(bound - rate) // abs(velocity) if velocity else 0
        seconds = min(cases.near(toward, toward // 2, 3 * toward, low=1), TIME)
        cuts = sorted(cases.random.randint(0, seconds) for _ in range(5))
        parts = [b - a for a, b in zip([0, *cuts], [*cuts, seconds], strict=True)]
        whole = run(rate, skew, config, seconds)
        now, total = rate, 0
        for part in parts:
            now, twice = run(now, skew, config, part)
            total += twice
        assert (now, total) == whole
        clamped += now == bound
    assert COUNT // 4 < clamped < COUNT


def test_no_time_is_no_change_and_no_skew_decays_to_zero() -> None:
    """INV-06."""
    cases = Cases("still")
    for rate, skew, scale, r_max, v_max, band in drift_cases("still"):
        seconds = cases.uint(TIME)
        velocity, bound = drift(rate, skew, scale, r_max, v_max, band)
        if (bound - rate) * velocity > 0:
            assert integrate(rate, velocity, bound, 0) == (rate, 0)
        decay, zero = drift(rate, 0, scale, r_max, v_max, band)
        end, twice = integrate(rate, decay, zero, seconds)
        assert abs(end) == max(abs(rate) - abs(decay) * seconds, 0)
        assert twice * rate >= 0


def test_rate_within_its_cap_stays_within_it() -> None:
    """INV-06."""
    cases = Cases("cap")
    for rate, skew, scale, r_max, v_max, band in drift_cases("cap"):
        start = max(-r_max, min(rate, r_max))
        end, twice = run(start, skew, (scale, r_max, v_max, band), seconds := cases.uint(TIME))
        assert abs(end) <= r_max
        assert abs(twice) <= 2 * r_max * seconds


def growth_cases(seed: str) -> list[Case]:
    cases = Cases(seed)
    return [(cases.int(2 * RATE * TIME), cases.uint(PRICE)) for _ in range(COUNT)]


def test_index_growth_is_floored(maths: Harness) -> None:
    cases = growth_cases("growth")
    for (twice, price), result in zip(cases, maths.check("indexGrowth", index_growth, cases), strict=True):
        assert result == math.floor(Fraction(twice * price, 2 * WAD))


def test_split_index_lags_by_less_than_one_unit_per_accrual() -> None:
    """INV-06."""
    cases = Cases("lag")
    for _ in range(COUNT):
        price = cases.uint(PRICE)
        parts = [cases.int(2 * RATE * 10**6) for _ in range(cases.random.randint(1, 9))]
        whole = index_growth(sum(parts), price)
        split = sum(index_growth(part, price) for part in parts)
        assert 0 <= whole - split <= len(parts) - 1


def test_largest_rate_and_price_fit_the_word_for_ten_years(maths: Harness) -> None:
    """INV-07."""
    largest_price = 2**87 - 1
    (growth,) = maths.check("indexGrowth", index_growth, [(2 * RATE * TEN_YEARS, largest_price)])
    assert growth < 2**95
    maths.check("integrate", integrate, [(-RATE, CONFIG, RATE, TIME), (RATE, -1, -RATE, TIME), (0, 1, RATE, TIME)])
