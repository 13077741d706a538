"""The engine's prices: flags at their edges, what is stored, and the one admissible price of an order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from plimsoll.model.engine import prices
from plimsoll.model.engine.draft import Draft, Refusal
from plimsoll.model.engine.feeds import FIXED, PYTH, Asset, Feed, Hint, PythHint, PythPrice, Round, Sequencer
from plimsoll.model.engine.state import State
from plimsoll.model.oracle import Action, OracleState, PriceFlags
from plimsoll.units import WAD

NOW = 1_700_000_000
ETH = 1
FEED, OTHER = 0xFEED, 0xFEED2
PRICE = 2000 * 10**8
SECONDARY: dict[str, Any] = {
    "secondary": OTHER,
    "secondary_max_age": 600,
    "max_deviation_ppm": 10_000,
    "deviation_timeout": 900,
}


def rounds(*times: int, phase: int = 0, first: int = 1) -> dict[int, Round]:
    """Complete rounds at these times, answers 2000, 2001, …"""
    ids = [phase << 64 | first + i for i in range(len(times))]
    return {id_: Round(PRICE + i * 10**8, time, id_) for i, (id_, time) in enumerate(zip(ids, times, strict=True))}


def feed(*times: int, **changes: Any) -> Feed:
    return Feed(**{"rounds": rounds(*times), "latest": len(times), **changes})


def draft(one: Feed | None = None, state: OracleState | None = None, **changes: Any) -> Draft:
    """An asset with a feed that was priced 2000 a minute ago; changes of the asset, `second` is the secondary feed."""
    values = {
        "feed": FEED,
        "max_age": 3600,
        "bound_base_ppm": 10_000,
        "bound_per_hour_ppm": 36_000,
        "bound_cap_ppm": 50_000,
    }
    second, sequencer = changes.pop("second", None), changes.pop("sequencer", Sequencer())
    feeds = {FEED: one or feed(NOW - 60)}
    if second is not None:
        feeds[OTHER] = second
    return Draft(
        State(
            time=NOW,
            assets={ETH: Asset(**{**values, **changes})},
            asset_states={ETH: state or OracleState(2000 * WAD, 2000 * WAD, 0, NOW - 60)},
            feeds=feeds,
            sequencer=sequencer,
        )
    )


def flags(d: Draft) -> int:
    return prices.peek(d, ETH)[0].flags


def refusal(d: Draft, not_before: int, hint: Hint = None, **known: Any) -> tuple[Any, ...]:
    with pytest.raises(Refusal) as caught:
        prices.first_after(d, ETH, not_before, hint, **known)
    return caught.value.name, *caught.value.values


# ── observing ────────────────────────────────────────────────────────────────


def test_a_valid_price_is_folded_and_stored_once_per_lock() -> None:
    d = draft(feed(NOW - 90, NOW - 5))
    spot, trend = prices.observe(d, ETH)
    assert (spot.price, spot.publish_time, spot.flags, trend.bound_ppm) == (2001 * WAD, NOW - 5, 0, 0)
    assert d.asset_states[ETH] == OracleState(2001 * WAD, trend.ema, trend.variance, NOW)
    assert trend.ema == 2000 * WAD
    assert trend.variance > 0
    d.put("feeds", FEED, feed(NOW - 90, NOW - 5, NOW))
    assert prices.observe(d, ETH) == (spot, trend)
    d.begin()
    assert prices.observe(d, ETH)[0].price == 2002 * WAD


@pytest.mark.parametrize(
    ("age", "flag"),
    [(3600, 0), (3601, PriceFlags.INVALID), (-1, PriceFlags.INVALID)],
    ids=["oldest", "stale", "future"],
)
def test_age_of_a_price(age: int, flag: int) -> None:
    d = draft(feed(NOW - age), OracleState(2000 * WAD, 1990 * WAD, 7, NOW - 7200))
    spot, trend = prices.observe(d, ETH)
    assert spot.flags == flag
    if flag:
        assert d.asset_states[ETH].time == NOW - 7200
        assert spot.publish_time == (NOW - age if age > 0 else NOW - 7200)
        assert trend.bound_ppm == (46_010 if age > 0 else 50_000)
        assert prices.invalid_for(d, ETH) == (age if age > 0 else 7200)
    else:
        assert prices.invalid_for(d, ETH) == 0


def test_a_feed_that_went_back_is_invalid_unless_the_price_is_the_stored_one() -> None:
    assert flags(draft(feed(NOW - 61))) == 0
    assert flags(draft(feed(NOW - 61), OracleState(1999 * WAD, 1999 * WAD, 0, NOW - 60))) == PriceFlags.INVALID


@pytest.mark.parametrize(
    "one",
    [
        feed(NOW, answers=False),
        Feed(),
        Feed(rounds={1: Round(PRICE, 0, 1)}, latest=1),
        Feed(rounds={2: Round(PRICE, NOW, 1)}, latest=2),
        Feed(rounds={1: Round(PRICE, 2**32, 1)}, latest=1),
        Feed(rounds={1: Round(-1, NOW, 1)}, latest=1),
        Feed(rounds={1: Round(100, NOW, 1)}, latest=1),
        Feed(rounds={1: Round(10**15, NOW, 1)}, latest=1),
    ],
    ids=["silent", "empty", "no time", "answered before", "late", "negative", "at least", "at largest"],
)
def test_what_is_no_price_leaves_the_last_valid_one(one: Feed) -> None:
    d = draft(one, least=100, largest=10**15)
    spot, _ = prices.observe(d, ETH)
    assert (spot.price, spot.publish_time, spot.flags) == (2000 * WAD, NOW - 60, PriceFlags.INVALID)
    assert d.asset_states[ETH].time == NOW - 60


def test_an_uncertain_pyth_price() -> None:
    raw = PythPrice(2000 * 10**8, 2 * 10**8, -8, NOW - 1)
    d = draft(kind=PYTH, pyth=raw, band_ppm=500, max_uncertainty_ppm=1000)
    assert (flags(d), prices.peek(d, ETH)[0].band_ppm) == (0, 1000)
    d = draft(kind=PYTH, pyth=PythPrice(2000 * 10**8, 2 * 10**8 + 1, -8, NOW - 1), max_uncertainty_ppm=1000)
    assert flags(d) == PriceFlags.UNCERTAIN
    assert flags(draft(kind=PYTH)) == PriceFlags.INVALID


def test_deviation_begins_lasts_and_ends() -> None:
    d = draft(second=Feed(rounds={1: Round(2021 * 10**8, NOW, 1)}, latest=1), **SECONDARY)
    spot, _ = prices.observe(d, ETH)
    assert (spot.flags, spot.other, d.deviated_since) == (PriceFlags.DEVIATED, 2021 * WAD, {ETH: NOW})
    d.time = NOW + 599
    d.begin()
    assert prices.observe(d, ETH)[0].flags == PriceFlags.DEVIATED
    d.time = NOW + 900  # the secondary is too old: neither an end nor a deviation
    d.begin()
    assert (prices.observe(d, ETH)[0].flags, d.deviated_since) == (0, {ETH: NOW})
    d.put("feeds", OTHER, Feed(rounds={1: Round(2021 * 10**8, NOW + 900, 1)}, latest=1))
    assert flags(d) == PriceFlags.DEVIATED | PriceFlags.DEVIATED_LONG
    d.put("feeds", OTHER, Feed(rounds={1: Round(2020 * 10**8, NOW + 900, 1)}, latest=1))
    d.begin()
    spot, _ = prices.observe(d, ETH)
    assert (spot.flags, spot.other, d.deviated_since) == (0, 0, {})


@pytest.mark.parametrize(
    ("status", "flag"),
    [
        ({"since": NOW - 1800}, 0),
        ({"since": NOW - 1799}, PriceFlags.SEQUENCER_GRACE),
        ({"since": NOW - 9999, "down": True}, PriceFlags.SEQUENCER_DOWN),
        ({"since": 0, "down": True}, PriceFlags.SEQUENCER_GRACE),
        ({"since": NOW + 1}, PriceFlags.SEQUENCER_GRACE),
        ({"since": NOW - 9999, "answers": False}, PriceFlags.SEQUENCER_GRACE),
    ],
)
def test_sequencer(status: Mapping[str, Any], flag: int) -> None:
    d = draft(sequencer=Sequencer(feed=1, grace=1800, **status))
    assert flags(d) == flag
    for action in Action:
        refuses = {Action.REDUCE_RISK: flag == PriceFlags.SEQUENCER_DOWN}.get(action, flag != 0)
        if refuses:
            with pytest.raises(Refusal, match=rf"PriceRefused.*{ETH}.*{flag}"):
                prices.observe_for(d, action, ETH)
        else:
            prices.observe_for(d, action, ETH)


def test_unknown_asset() -> None:
    for ask in (prices.observe, prices.peek, prices.invalid_for):
        with pytest.raises(Refusal, match="UnknownAsset"):
            ask(draft(), 9)


# ── the first price ──────────────────────────────────────────────────────────


def test_the_newest_round_needs_no_hint() -> None:
    d = draft(feed(NOW - 30, NOW - 10))
    spot = prices.first_after(d, ETH, NOW - 29)
    assert (spot.price, spot.publish_time, spot.flags) == (2001 * WAD, NOW - 10, 0)
    assert refusal(d, NOW - 30) == ("NotFirstPrice", ETH, NOW - 30, 2)
    assert refusal(d, NOW - 9) == ("NoPriceYet", ETH, NOW - 9)
    assert refusal(d, NOW + 1) == ("NoPriceYet", ETH, NOW + 1)
    assert refusal(draft(feed(answers=False)), NOW) == ("NotFirstPrice", ETH, NOW, 0)
    assert d.asset_states[ETH].time == NOW - 60


def test_an_older_round_by_its_id() -> None:
    d = draft(feed(NOW - 50, NOW - 30, NOW - 10))
    for hint in (2, (2, 0), (2, 77)):
        assert prices.first_after(d, ETH, NOW - 40, hint).price == 2001 * WAD
    assert refusal(d, NOW - 40, 3) == ("NotFirstPrice", ETH, NOW - 40, 3)
    assert refusal(d, NOW - 40, 1) == ("NotFirstPrice", ETH, NOW - 40, 1)
    assert refusal(d, NOW - 40, 9) == ("NotFirstPrice", ETH, NOW - 40, 9)
    assert refusal(d, NOW - 40, (0, 2)) == ("NotFirstPrice", ETH, NOW - 40, 0)
    assert refusal(d, NOW - 40, (2, 1 << 80)) == ("NotFirstPrice", ETH, NOW - 40, 2)
    assert refusal(d, NOW - 40, 1 << 90) == ("NotFirstPrice", ETH, NOW - 40, 1 << 90)


def test_a_round_of_the_future_is_no_price_yet_only_where_the_hub_has_it() -> None:
    d = draft(feed(NOW - 50, NOW + 5))
    assert refusal(d, NOW - 40) == ("NoPriceYet", ETH, NOW - 40)
    assert refusal(d, NOW - 40, 2) == ("NotFirstPrice", ETH, NOW - 40, 2)
    prices.observe(d, ETH)
    assert refusal(d, NOW - 40, 2) == ("NoPriceYet", ETH, NOW - 40)


def test_incomplete_rounds_are_stepped_over_eight_at_a_time() -> None:
    for skipped, admissible in ((7, True), (8, False)):
        table = rounds(NOW - 50) | rounds(*[NOW - 40] * skipped, first=2) | rounds(NOW - 10, first=2 + skipped)
        table |= {2 + i: Round(PRICE, 0, 2 + i) for i in range(skipped)}
        d = draft(Feed(rounds=table, latest=2 + skipped))
        if admissible:
            assert prices.first_after(d, ETH, NOW - 45).publish_time == NOW - 10
        else:
            assert refusal(d, NOW - 45) == ("NotFirstPrice", ETH, NOW - 45, 2 + skipped)


def test_phases() -> None:
    table = rounds(NOW - 90, NOW - 60, phase=1) | rounds(NOW - 40, NOW - 20, phase=3)
    d = draft(Feed(rounds=table, latest=3 << 64 | 2, phase=3))
    first, last = 3 << 64 | 1, 1 << 64 | 2
    assert prices.first_after(d, ETH, NOW - 50, (first, last)).publish_time == NOW - 40
    for claimed in (0, last - 1, last + 1, 2 << 64 | 2):
        assert refusal(d, NOW - 50, (first, claimed)) == ("NotFirstPrice", ETH, NOW - 50, first)
    assert prices.first_after(d, ETH, NOW - 70, last).publish_time == NOW - 60
    # Phase 3 began before: a round of phase 1 is too old even if it was published late.
    late = Feed(rounds=table | {last: Round(PRICE, NOW - 30, last)}, latest=3 << 64 | 2, phase=3)
    assert refusal(draft(late), NOW - 35, last) == ("NotFirstPrice", ETH, NOW - 35, last)


def test_what_was_found_out_serves_the_next_order() -> None:
    table = rounds(NOW - 60, phase=1) | rounds(NOW - 20, phase=2)
    newest, known = 2 << 64 | 1, dict[int, int]()
    d = draft(Feed(rounds=table, latest=newest, phase=2))
    assert refusal(d, NOW - 30, (newest, 0), known=known) == ("NotFirstPrice", ETH, NOW - 30, newest)
    prices.observe(d, ETH)
    prices.first_after(d, ETH, NOW - 30, (newest, 1 << 64 | 1), known)
    assert known == {ETH: NOW - 60}
    assert prices.first_after(d, ETH, NOW - 30, (newest, 0), known).publish_time == NOW - 20
    assert refusal(d, NOW - 70, (newest, 0), known=known) == ("NotFirstPrice", ETH, NOW - 70, newest)


def test_an_invalid_first_price_carries_the_last_valid_one() -> None:
    d = draft(Feed(rounds={1: Round(0, NOW - 5, 1)}, latest=1), band_ppm=10, max_uncertainty_ppm=5)
    spot = prices.first_after(d, ETH, NOW - 10)
    assert (spot.price, spot.publish_time) == (2000 * WAD, NOW - 5)
    assert spot.flags == PriceFlags.INVALID | PriceFlags.UNCERTAIN


def test_fixed_and_pyth() -> None:
    fixed = draft(kind=FIXED, fixed_price=5 * WAD)
    assert prices.first_after(fixed, ETH, NOW - 3, 7).publish_time == NOW - 3
    d = draft(kind=PYTH, max_uncertainty_ppm=10_000)
    raw = PythPrice(2000 * 10**8, 10**8, -8, NOW - 5)
    spot = prices.first_after(d, ETH, NOW - 10, PythHint(raw, NOW - 11, fee=3), value=3)
    assert (spot.price, spot.band_ppm) == (2000 * WAD, 500)
    assert refusal(d, NOW - 10, PythHint(raw, NOW - 11, fee=3), value=2) == ("UpdateFeeMissing", 2, 3)
    for hint in (None, 7, PythHint(None), PythHint(raw, NOW - 10), PythHint(PythPrice(1, 0, 0, NOW + 1), 0)):
        assert refusal(d, NOW - 10, hint) == ("NotFirstPrice", ETH, NOW - 10, 0)
    prices.first_after(d, ETH, NOW - 10, PythHint(raw, NOW - 11, stores=True))
    assert d.assets[ETH].pyth == raw
