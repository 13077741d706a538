"""EmaMath, PriceMatrix, the conversions of prices and the packed words of the oracle, against exact numbers."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.support.reverts import reverts_with

from plimsoll.chain.anvil import Anvil
from plimsoll.chain.artifacts import compile_contracts
from plimsoll.chain.contract import Contract, batch_call, deploy
from plimsoll.model import oracle
from plimsoll.model.oracle import MAX_PRICE, MAX_SQUARED_RETURN, MAX_VARIANCE, PPM, WAD, Action, PriceFlags

TAUS = st.integers(1, (1 << 17) - 1)
TIMES = st.one_of(st.integers(0, 7200), st.integers(0, (1 << 32) - 1))
PRICES = st.one_of(st.integers(1, MAX_PRICE), st.integers(1, 10**6), st.integers(10**16, 10**24))
WEIGHTS = st.integers(0, WAD - 1)
VARIANCES = st.integers(0, MAX_VARIANCE)
SQUARES = st.one_of(st.integers(0, MAX_SQUARED_RETURN), st.integers(0, WAD))


@pytest.fixture(scope="module")
def harness() -> Iterator[Contract]:
    artifact = compile_contracts(only=("contracts/mocks/harness/OracleMathHarness.sol",), quiet=True).artifact(
        "OracleMathHarness"
    )
    with Anvil() as anvil:
        yield deploy(artifact, sender=anvil.sender())


def exact_weight(elapsed: int, tau: int) -> Decimal:
    """(1 − e^(−elapsed/tau)) · 1e18 to 60 digits."""
    with localcontext() as context:
        context.prec = 80
        return (1 - (-(Decimal(elapsed) / tau)).exp()) * WAD


@given(TIMES, TAUS)
@example(0, 1800)
@example(1, (1 << 17) - 1)
@example((1 << 32) - 1, 1)
@example(1800, 1800)
def test_weight_equals_the_model_and_is_rounded_down_by_less_than_3e_18(
    harness: Contract, elapsed: int, tau: int
) -> None:
    weight = harness.call("oneMinusExp", elapsed, tau)
    assert weight == oracle.one_minus_exp(elapsed, tau)
    assert 0 <= exact_weight(elapsed, tau) - weight < 3
    assert weight < WAD


@pytest.mark.parametrize("tau", [1, 60, 61, 1800, 86_400, (1 << 17) - 1])
def test_weight_never_falls_with_time_also_around_each_halving(harness: Contract, tau: int) -> None:
    halving = [tau * 693147 * n // 10**6 for n in range(1, 66)]
    times = sorted({t + d for t in [0, tau, *halving] for d in range(-3, 4) if t + d >= 0} | {50 * tau, 10**9})
    weights = batch_call([(harness, "oneMinusExp", (t, tau)) for t in times])
    assert weights == sorted(weights)
    assert weights == [oracle.one_minus_exp(t, tau) for t in times]
    assert weights[0] == 0
    assert weights[-1] == WAD - 1


@given(TIMES, TAUS, TAUS)
def test_weight_never_falls_when_the_time_constant_shrinks(elapsed: int, tau_a: int, tau_b: int) -> None:
    slow, fast = max(tau_a, tau_b), min(tau_a, tau_b)
    assert oracle.one_minus_exp(elapsed, slow) <= oracle.one_minus_exp(elapsed, fast)


@given(PRICES, PRICES, WEIGHTS)
@example(MAX_PRICE, 1, WAD - 1)
@example(1, MAX_PRICE, WAD - 1)
@example(5, 5, 1)
def test_average_equals_the_model_and_steps_toward_the_price_rounded_down(
    harness: Contract, ema: int, previous: int, weight: int
) -> None:
    folded = harness.call("foldEma", ema, previous, weight)
    assert folded == oracle.fold_ema(ema, previous, weight)
    step = Fraction(abs(previous - ema) * weight, WAD)
    assert 0 <= step - abs(folded - ema) < 1
    assert min(ema, previous) <= folded <= max(ema, previous)


@given(PRICES, PRICES)
@example(MAX_PRICE, 1)
@example(1, MAX_PRICE)
@example(10**18 + 1, 10**18)
def test_squared_return_equals_the_model_and_is_rounded_up(harness: Contract, price: int, previous: int) -> None:
    squared = harness.call("squaredReturn", price, previous)
    assert squared == oracle.squared_return(price, previous)
    exact = Fraction((price - previous) ** 2 * WAD, previous**2)
    assert 0 <= squared - exact < 1 if exact <= MAX_SQUARED_RETURN else squared == MAX_SQUARED_RETURN


@given(VARIANCES, SQUARES, WEIGHTS, TIMES)
@example(MAX_VARIANCE, MAX_SQUARED_RETURN, WAD - 1, 1)
@example(MAX_VARIANCE, MAX_SQUARED_RETURN, WAD - 1, (1 << 32) - 1)
@example(MAX_VARIANCE, 0, WAD - 1, 1)
@example(7, 9, 5, 0)
def test_variance_equals_the_model_and_is_rounded_up(
    harness: Contract, variance: int, squared: int, weight: int, elapsed: int
) -> None:
    folded = harness.call("foldVariance", variance, squared, weight, elapsed)
    assert folded == oracle.fold_variance(variance, squared, weight, elapsed)
    if elapsed == 0:
        assert folded == variance
        return
    exact = variance + Fraction((squared - variance * elapsed) * weight, WAD * elapsed)
    assert 0 <= folded - exact < 2 if exact <= MAX_VARIANCE - 2 else folded >= MAX_VARIANCE - 2
    assert folded <= MAX_VARIANCE


@given(TAUS, TIMES.filter(bool))
def test_saturated_return_always_saturates_the_variance(tau: int, elapsed: int) -> None:
    weight = oracle.one_minus_exp(elapsed, tau)
    assert oracle.fold_variance(0, MAX_SQUARED_RETURN, weight, elapsed) == MAX_VARIANCE


@given(TIMES, st.integers(0, PPM), st.integers(0, PPM), st.integers(0, PPM))
@example(3600, 50_000, 100_000, 500_000)
@example(1, 0, 1, PPM)
def test_bound_equals_the_model_and_is_rounded_up_to_its_cap(
    harness: Contract, age: int, base: int, per_hour: int, cap: int
) -> None:
    bound = harness.call("boundPpm", age, base, per_hour, cap)
    assert bound == oracle.bound_ppm(age, base, per_hour, cap)
    exact = base + Fraction(per_hour * age, 3600)
    assert bound == cap if exact >= cap else 0 <= bound - exact < 1


def test_one_spike_after_silence_does_not_move_the_average() -> None:
    before = oracle.OracleState(price=2000 * WAD, ema=2000 * WAD, variance=0, time=0)
    spiked = oracle.fold(before, 3000 * WAD, now=10 * 3600, tau=1800)
    assert spiked.ema == 2000 * WAD
    # 0.5² / 36,000 s · (1 − e^(−20)) = 6.94444443013087…e-6 per second
    assert spiked.variance == 6_944_444_430_131


@given(PRICES, PRICES, st.integers(1, 10**5), st.integers(1, 10**5), st.integers(60, 86_400))
def test_average_hardly_depends_on_how_often_it_is_observed(
    ema: int, price: int, first: int, second: int, tau: int
) -> None:
    start = oracle.OracleState(price, ema, 0, 0)
    once = oracle.fold(start, price, first + second, tau)
    twice = oracle.fold(oracle.fold(start, price, first, tau), price, first + second, tau)
    assert abs(once.ema - twice.ema) <= 2 + 10 * abs(price - ema) // WAD


REFUSED: dict[Action, dict[PriceFlags, bool]] = {
    Action.INCREASE_RISK: dict.fromkeys(PriceFlags, True),
    Action.REDUCE_RISK: {
        PriceFlags.INVALID: True,
        PriceFlags.UNCERTAIN: False,
        PriceFlags.DEVIATED: False,
        PriceFlags.SEQUENCER_DOWN: True,
        PriceFlags.SEQUENCER_GRACE: False,
        PriceFlags.DEVIATED_LONG: False,
    },
    Action.LIQUIDATE: {
        PriceFlags.INVALID: False,
        PriceFlags.UNCERTAIN: False,
        PriceFlags.DEVIATED: False,
        PriceFlags.SEQUENCER_DOWN: True,
        PriceFlags.SEQUENCER_GRACE: True,
        PriceFlags.DEVIATED_LONG: False,
    },
    Action.STRIKE: dict.fromkeys(PriceFlags, True),
}


@pytest.mark.parametrize("action", list(Action))
def test_matrix_is_the_table_for_every_combination_of_flags(harness: Contract, action: Action) -> None:
    """INV-27."""
    answers = batch_call([(harness, "tolerates", (int(action), flags)) for flags in range(64)])
    for flags, answer in enumerate(answers):
        assert answer is not any(refuses for flag, refuses in REFUSED[action].items() if flags & flag), flags
        assert answer is oracle.tolerates(action, flags)


ANSWERS = st.one_of(st.integers(-(1 << 255), (1 << 255) - 1), st.integers(-10, 10**14), st.integers(1, MAX_PRICE))


@given(ANSWERS, st.integers(0, 18), st.integers(0, 10**10), st.integers(1, (1 << 128) - 1))
@example(MAX_PRICE, 18, 0, (1 << 128) - 1)
@example(MAX_PRICE + 1, 18, 0, (1 << 128) - 1)
@example(5, 8, 5, 10)
@example(10, 8, 5, 10)
@example(6, 8, 5, 10)
@example(9, 8, 5, 10)
def test_chainlink_answer_converts_exactly_or_to_nothing(
    harness: Contract, answer: int, decimals: int, least: int, largest: int
) -> None:
    price = harness.call("chainlinkToWad", answer, decimals, least, largest)
    assert price == oracle.chainlink_to_wad(answer, decimals, least, largest)
    if price:
        assert Fraction(price, WAD) == Fraction(answer, 10**decimals)
        assert least < answer < largest
        assert price <= MAX_PRICE


@given(
    st.one_of(st.integers(-(1 << 63), (1 << 63) - 1), st.integers(-(1 << 255), (1 << 255) - 1)),
    st.one_of(st.integers(0, (1 << 64) - 1), st.integers(0, (1 << 256) - 1)),
    st.one_of(st.integers(-50, 14), st.integers(-(1 << 255), (1 << 255) - 1)),
)
@example(200_000_000_000, 100_000_000, -8)
@example(1, 1, -18)
@example(1, 1, -19)
@example((1 << 63) - 1, 1, -20)
@example((1 << 63) - 1, (1 << 64) - 1, -48)
@example(1, 0, 12)
@example(0, 5, -8)
@example(-1, 5, -8)
def test_pyth_price_rounds_down_and_its_band_up(harness: Contract, raw: int, conf: int, expo: int) -> None:
    price, band = harness.call("pythConvert", raw, conf, expo)
    assert (price, band) == oracle.pyth_convert(raw, conf, expo)
    if price:
        exact = Fraction(raw) * Fraction(10) ** expo * WAD
        assert 0 <= exact - price < 1
        assert exact == price or expo < -18
        assert 0 <= band - min(Fraction(conf * PPM, raw), PPM) < 1


ADDRESS = "0x" + "fE" * 20
FEED_LARGEST = [3, 31, (1 << 18) - 1, (1 << 17) - 1, (1 << 17) - 1, (1 << 17) - 1]
SECONDARY_LARGEST = [31, (1 << 18) - 1, (1 << 20) - 1, (1 << 17) - 1, (1 << 32) - 1]
STATE_LARGEST = [(1 << 88) - 1, (1 << 88) - 1, (1 << 48) - 1, (1 << 32) - 1]


def one_hot(largest: list[int]) -> list[list[int]]:
    """All zero, all at the maximum, and each field alone at its maximum."""
    alone = [[top if i == j else 0 for j, top in enumerate(largest)] for i in range(len(largest))]
    return [[0] * len(largest), largest, *alone]


@pytest.mark.parametrize("fields", one_hot(FEED_LARGEST))
@pytest.mark.parametrize(("flags", "min_small"), [(0, 0), (1, 0), (2, 0), (4, 0), (7, 65_535)])
def test_feed_word_keeps_every_field_apart(harness: Contract, fields: list[int], flags: int, min_small: int) -> None:
    found: Any = harness.call("feedRoundTrip", ADDRESS, fields, flags, min_small)
    assert (found[0].lower(), list(found[1]), found[2], found[3]) == (ADDRESS.lower(), fields, flags, min_small)


@pytest.mark.parametrize("fields", one_hot(SECONDARY_LARGEST))
def test_secondary_word_keeps_every_field_apart(harness: Contract, fields: list[int]) -> None:
    found: Any = harness.call("secondaryRoundTrip", ADDRESS, fields)
    assert (found[0].lower(), list(found[1])) == (ADDRESS.lower(), fields)


@pytest.mark.parametrize("fields", one_hot(STATE_LARGEST))
def test_state_word_keeps_every_field_apart(harness: Contract, fields: list[int]) -> None:
    assert list(harness.call("stateRoundTrip", fields)) == fields


def test_words_refuse_every_field_one_beyond_its_maximum(harness: Contract) -> None:
    for index, top in enumerate(FEED_LARGEST):
        fields = [top + 1 if i == index else 0 for i in range(len(FEED_LARGEST))]
        with reverts_with("UintTooLarge", top + 1, (top + 1).bit_length() - 1):
            harness.call("feedRoundTrip", ADDRESS, fields, 0, 0)
    with reverts_with("UintTooLarge", 65_536, 16):
        harness.call("feedRoundTrip", ADDRESS, [0] * 6, 0, 65_536)
    for index, top in enumerate(SECONDARY_LARGEST):
        fields = [top + 1 if i == index else 0 for i in range(len(SECONDARY_LARGEST))]
        with reverts_with("UintTooLarge", top + 1, (top + 1).bit_length() - 1):
            harness.call("secondaryRoundTrip", ADDRESS, fields)
    for index, top in enumerate(STATE_LARGEST):
        fields = [top + 1 if i == index else 0 for i in range(len(STATE_LARGEST))]
        with reverts_with("StateOutOfRange", *fields):
            harness.call("stateRoundTrip", fields)
