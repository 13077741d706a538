"""Worth and fees: exact integers, and nothing is ever offered above the worth."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from plimsoll.keeper.node.headers import Header, next_base_fee
from plimsoll.keeper.sending.fees import FeePolicy, Fees, bucket, first_offer, raised, worst_base_fee
from plimsoll.keeper.sending.value import Terms
from plimsoll.units import PPM

GWEI = 10**9
wei = st.integers(0, 10**22)
price = st.integers(0, 10**14)
chance = st.integers(0, PPM)
gas = st.integers(21_000, 30_000_000)
terms = st.builds(Terms, wei, chance, gas, wei, chance, gas, wei)
fees = st.tuples(price, price).map(lambda pair: Fees(max(pair), min(pair)))


def test_every_term_is_in_the_value() -> None:
    one = Terms(10**16, 900_000, 50_000, 10**14, 50_000, 30_000, 7)
    valuation = one.at(20 * GWEI, 2 * GWEI)
    assert valuation.expected_reward == 9 * 10**15
    assert valuation.gas_cost == 50_000 * 22 * GWEI
    assert valuation.revert_cost == 1_500 * 22 * GWEI
    assert valuation.value == 9 * 10**15 - 50_000 * 22 * GWEI - 10**14 - 1_500 * 22 * GWEI + 7
    assert valuation.shown()["reward"] == 10**16


@given(terms, price)
def test_the_value_is_negative_exactly_above_the_break_even_price(one: Terms, at: int) -> None:
    assert (one.at(at, 0).value >= 0) == (at <= one.break_even())
    edge = one.break_even()
    if edge >= 0:
        assert one.at(edge, 0).value >= 0
        assert one.at(edge + 1, 0).value < 0


@given(terms, price, price, st.none() | price, st.none() | price, chance, st.integers(1, 20), st.booleans())
def test_an_offer_is_within_worth_and_ceiling_and_can_land_next(
    one: Terms,
    base: int,
    proposed: int,
    ceiling: int | None,
    tip: int | None,
    bid: int,
    safety: int,
    urgent: bool,
) -> None:
    limit = one.break_even()
    offer = first_offer(FeePolicy(ceiling, tip, bid, safety), base, proposed, limit, urgent=urgent)
    if offer is None:
        wanted = proposed if tip is None else tip
        assert base + wanted > (limit if ceiling is None else min(limit, ceiling))
        return
    assert base + offer.tip <= offer.max_fee <= limit
    assert ceiling is None or offer.max_fee <= ceiling
    assert offer.max_fee <= worst_base_fee(base, safety) + offer.tip
    # Whatever the base fee comes to be: if it lands, it is not at a loss.
    for later in (base, worst_base_fee(base, safety), offer.max_fee):
        assert one.at(offer.price(later), 0).value >= 0


@given(fees, st.none() | fees, st.none() | price)
def test_a_raise_is_taken_by_geth_or_not_made(old: Fees, fresh: Fees | None, limit: int | None) -> None:
    new = raised(old, fresh, limit)
    if new is None:
        assert limit is not None
        return
    assert new.replaces(old)
    assert new.max_fee * 8 >= old.max_fee * 9
    assert new.tip * 8 >= old.tip * 9
    assert limit is None or new.max_fee <= limit


@given(st.integers(0, 10**13), st.integers(1, 12))
def test_no_chain_of_full_blocks_exceeds_the_worst_base_fee(base: int, blocks: int) -> None:
    header = Header(1, "", "", 0, base, 30_000_000, 30_000_000, b"")
    fee = next_base_fee(header)
    first = fee
    for _ in range(blocks):
        fee = next_base_fee(Header(1, "", "", 0, fee, 30_000_000, 30_000_000, b""))
    assert fee <= worst_base_fee(first, blocks)


def test_the_worst_base_fee_is_what_full_blocks_come_to() -> None:
    assert worst_base_fee(800, 1) == 900
    assert worst_base_fee(7, 2) == 9
    assert worst_base_fee(0, 1) == 1


@given(st.integers(0, 10**14), st.integers(0, 10**14))
def test_buckets_of_fees_are_ordered_and_narrow(one: int, other: int) -> None:
    low, high = sorted((one, other))
    assert bucket(low) <= bucket(high)
    if bucket(low) == bucket(high):
        assert high * 4 < low * 5 + 5
    assume(high >= 2 * low + 2)
    assert bucket(low) < bucket(high)


def test_a_tip_above_the_cap_is_no_fee() -> None:
    with pytest.raises(ValueError, match="between 0 and the cap"):
        Fees(1, 2)


def test_urgent_intents_bid_a_share_of_what_is_to_be_gained() -> None:
    policy = FeePolicy(bid_ppm=100_000)
    calm = first_offer(policy, 10 * GWEI, GWEI, 110 * GWEI)
    urgent = first_offer(policy, 10 * GWEI, GWEI, 110 * GWEI, urgent=True)
    assert calm == Fees(worst_base_fee(10 * GWEI, 3) + GWEI, GWEI)
    assert urgent == Fees(worst_base_fee(10 * GWEI, 3) + 10 * GWEI, 10 * GWEI)
