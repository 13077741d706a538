"""OracleHub.firstAfter and searchRound on Chainlink feeds: one admissible round per order, across phases."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from eth_abi.abi import encode
from tests.support.oracle import ETH, ZERO, OracleWorld, oracle_world
from tests.support.reverts import reverts_with

from plimsoll.chain.contract import Contract, batch_call
from plimsoll.chain.errors import ContractRevert, Revert
from plimsoll.model.oracle import WAD, PriceFlags
from plimsoll.model.oracle_words import Spot

PRICE = 2000 * 10**8


@pytest.fixture(scope="module")
def chain() -> Iterator[OracleWorld]:
    with oracle_world() as world:
        yield world


@pytest.fixture
def world(chain: OracleWorld) -> Iterator[OracleWorld]:
    with chain.anvil.snapshot():
        yield chain


def hint(*rounds: int) -> bytes:
    """A hint with one or two round ids."""
    return encode(["uint80"] * len(rounds), rounds)


def in_phase(phase: int, n: int) -> int:
    """The proxy's id of round n of a phase."""
    return phase << 64 | n


def aggregator(world: OracleWorld, reverts_on_missing: bool) -> Contract:
    return world.deploy("ChainlinkShapeAggregator", 8, 1, 10**20, reverts_on_missing)


# ── one feed without phases ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def feed(world: OracleWorld) -> Contract:
    """ETH with rounds 1 … 5, ten seconds apart, the last one now."""
    feed = world.feed()
    for n in range(1, 6):
        world.push(feed, PRICE + n, after=10)
    world.list_asset(ETH, world.config(feed))
    return feed


def times(world: OracleWorld, feed: Contract) -> list[int]:
    """Times of rounds 1 … 5."""
    return [feed.call("getRoundData", n)[3] for n in range(1, 6)]


def test_newest_round_is_the_price_when_the_one_before_is_older(world: OracleWorld, feed: Contract) -> None:
    fourth, fifth = times(world, feed)[3:]
    for not_before in (fourth + 1, fifth):
        spot = world.first_after(ETH, not_before)
        assert (spot.price, spot.publish_time, spot.flags, spot.band_ppm) == ((PRICE + 5) * 10**10, fifth, 0, 1500)
    with reverts_with("NotFirstPrice", ETH, fourth, 5):
        world.first_after(ETH, fourth)
    with reverts_with("NoPriceYet", ETH, fifth + 1):
        world.first_after(ETH, fifth + 1)
    with reverts_with("NoPriceYet", ETH, world.now() + 1):
        world.first_after(ETH, world.now() + 1)


def test_hinted_round_is_taken_only_if_it_is_the_first(world: OracleWorld, feed: Contract) -> None:
    published = times(world, feed)
    for n in range(1, 6):
        for not_before in (published[n - 1] - 9, published[n - 1]):
            spot = world.first_after(ETH, not_before, hint(n))
            assert (spot.price, spot.publish_time) == ((PRICE + n) * 10**10, published[n - 1])
        for not_before in (published[n - 1] - 10, published[n - 1] + 1):
            if n == 1 and not_before < published[0]:
                continue  # nothing is before the first round of a feed
            with reverts_with("NotFirstPrice", ETH, not_before, n):
                world.first_after(ETH, not_before, hint(n))


def test_very_first_round_needs_none_before_it(world: OracleWorld, feed: Contract) -> None:
    assert world.first_after(ETH, 1, hint(1)).price == (PRICE + 1) * 10**10


MALFORMED = {
    "one byte": b"\1",
    "31 bytes": hint(1)[:31],
    "65 bytes": hint(1, 2) + b"\0",
    "round 0": hint(0),
    "no round id": b"\xff" * 32,
    "absent": hint(6),
    "absent phase": hint(1 << 79),
}


@pytest.mark.parametrize("bad", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_or_absent_hints_are_refused(world: OracleWorld, feed: Contract, bad: bytes) -> None:
    feed.transact("setRevertsOnMissing", True)
    for _ in range(2):
        with reverts_with("NotFirstPrice", ...):
            world.first_after(ETH, times(world, feed)[0], bad)
        feed.transact("setRevertsOnMissing", False)


@pytest.mark.parametrize("reverts", [False, True])
def test_incomplete_rounds_are_refused_and_stepped_over(world: OracleWorld, feed: Contract, reverts: bool) -> None:
    feed.transact("setRevertsOnMissing", reverts)
    fifth = times(world, feed)[4]
    now = world.warp(100)
    feed.transact("setRound", 6, PRICE, now - 50, now - 50, 5)  # answered in an earlier round
    feed.transact("setRound", 7, PRICE, now - 40, 0, 7)  # never finished
    with reverts_with("NotFirstPrice", ETH, fifth + 1, 0):
        world.first_after(ETH, fifth + 1)
    with reverts_with("NotFirstPrice", ETH, fifth + 1, 6):
        world.first_after(ETH, fifth + 1, hint(6))
    with reverts_with("NoPriceYet", ETH, fifth + 1):
        world.hub.call("searchRound", ETH, fifth + 1)
    feed.transact("setRound", 9, PRICE + 9, now, now, 9)  # round 8 is absent
    assert world.first_after(ETH, fifth + 1).price == (PRICE + 9) * 10**10
    assert world.first_after(ETH, now, hint(9)).price == (PRICE + 9) * 10**10
    assert tuple(world.hub.call("searchRound", ETH, fifth + 1)) == (9, 8)
    with reverts_with("NotFirstPrice", ETH, fifth, 9):
        world.first_after(ETH, fifth)
    assert tuple(world.hub.call("searchRound", ETH, fifth)) == (5, 4)


def test_too_many_absent_rounds_in_a_row_are_refused(world: OracleWorld, feed: Contract) -> None:
    now = world.warp(100)
    feed.transact("setRound", 14, PRICE, now, now, 14)  # 6 … 13 are absent
    with reverts_with("NotFirstPrice", ETH, now, 14):
        world.first_after(ETH, now)
    feed.transact("setRound", 13, PRICE, now, 0, 13)
    feed.transact("setLatestRound", 13)
    feed.transact("setRound", 13, PRICE, now, now, 13)
    assert world.first_after(ETH, now).publish_time == now


def test_price_itself_is_judged_but_not_its_age(world: OracleWorld, feed: Contract) -> None:
    world.warp(86_400)
    assert world.first_after(ETH, times(world, feed)[4]).flags == 0
    now = world.warp(1)
    feed.transact("push", 0, now)
    spot = world.first_after(ETH, now)
    assert (spot.flags, spot.publish_time) == (PriceFlags.INVALID, now)
    assert spot.price == (PRICE + 5) * 10**10  # the last valid one
    later = world.now() + 50_000
    feed.transact("push", PRICE, later)
    with reverts_with("NoPriceYet", ETH, now + 1):
        world.first_after(ETH, now + 1)


def test_historic_price_writes_nothing_and_returns_the_ether(world: OracleWorld, feed: Contract) -> None:
    before = world.state()
    world.warp(60)
    receipt = world.hub.transact("firstAfter", ETH, times(world, feed)[4], b"", value=12_345)
    assert receipt.logs == []
    assert world.state() == before
    assert int(world.anvil.rpc.request("eth_getBalance", [world.hub.address, "latest"]), 16) == 0
    refusing = world.anvil.impersonate(feed.address)
    with reverts_with("RefundRefused", feed.address, 5):
        world.hub.transact("firstAfter", ETH, times(world, feed)[4], b"", value=5, sender=refusing)


def test_no_rounds_are_searched_on_other_sources(world: OracleWorld) -> None:
    world.list_asset(3, world.config(kind=3, fixedPrice=WAD))
    with reverts_with("FeedNotAllowed", 3, ZERO):
        world.hub.call("searchRound", 3, world.now())


# ── phases ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def all_rounds(proxy: Contract, phases: int, per_phase: int) -> dict[int, int]:
    """Time of each round that the proxy can read."""
    ids = [in_phase(phase, n) for phase in range(1, phases + 1) for n in range(1, per_phase + 1)]
    answers = batch_call([(proxy, "getRoundData", (round_id,)) for round_id in ids])
    return {i: a[3] for i, a in zip(ids, answers, strict=True) if not isinstance(a, Revert) and a[3]}


def admissible(world: OracleWorld, not_before: int, rounds: dict[int, int], ends: list[int]) -> set[int]:
    """Every round that some hint makes the hub accept, tried with every claim for the phase before."""
    hints = [(i, hint(i)) for i in rounds]
    hints += [(i, hint(i, end)) for i in rounds if i & 0xFFFF == 1 for end in [0, *ends]]
    answers = batch_call([(world.hub, "firstAfter", (ETH, not_before, data)) for _, data in hints])
    accepted = set()
    for (round_id, _), answer in zip(hints, answers, strict=True):
        if isinstance(answer, int):
            assert Spot.unpack(answer).publish_time == rounds[round_id]
            accepted.add(round_id)
        else:
            assert isinstance(answer, ContractRevert), answer
            assert answer.name == "NotFirstPrice", answer
    return accepted


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("reverts", [False, True])
def test_one_round_at_most_is_admissible_and_the_search_finds_it(world: OracleWorld, seed: int, reverts: bool) -> None:
    rng = Random(seed)
    first = aggregator(world, reverts)
    proxy = world.deploy("ChainlinkShapeProxy", first.address)
    aggregators = [first]
    world.push(first, PRICE)
    world.list_asset(ETH, world.config(proxy))
    for _ in range(24):
        kind = rng.random()
        if kind < 0.15 and len(aggregators) < 4:
            # a new aggregator, sometimes with a history of its own, sometimes with none yet
            aggregators.append(aggregator(world, reverts))
            for _ in range(rng.choice([0, 1, 3])):
                world.push(aggregators[-1], PRICE, after=rng.choice([1, 20]))
            proxy.transact("confirmAggregator", aggregators[-1].address)
        else:
            # the present aggregator, sometimes an old one that still runs
            target = aggregators[-1] if rng.random() < 0.8 else rng.choice(aggregators)
            world.push(target, PRICE, after=rng.choice([1, 5, 20]))
    rounds = all_rounds(proxy, len(aggregators), 30)
    ends = [max(i for i in rounds if i >> 64 == phase) for phase in {i >> 64 for i in rounds}]
    latest = proxy.call("latestRoundData")[0]
    found = 0
    moments = {time + d for time in rounds.values() for d in (-1, 0, 1)}
    for not_before in sorted(t for t in moments if t <= world.now()):
        accepted = admissible(world, not_before, rounds, ends)
        assert len(accepted) <= 1, not_before
        if not accepted:
            with reverts_with("NoPriceYet", ETH, not_before):
                world.hub.call("searchRound", ETH, not_before)
            continue
        round_id, previous = world.hub.call("searchRound", ETH, not_before)
        assert accepted == {round_id}, not_before
        assert world.first_after(ETH, not_before, hint(round_id, previous)).publish_time == rounds[round_id]
        found += 1
        if round_id == latest and round_id & 0xFFFF > 1:
            assert world.first_after(ETH, not_before).publish_time == rounds[round_id]
    assert found > 10


@pytest.mark.parametrize("reverts", [False, True])
def test_first_round_of_a_phase_needs_the_last_round_before_it(world: OracleWorld, reverts: bool) -> None:
    old, new = aggregator(world, reverts), aggregator(world, reverts)
    proxy = world.deploy("ChainlinkShapeProxy", old.address)
    for n in range(3):
        last = world.push(old, PRICE + n, after=10)
    world.list_asset(ETH, world.config(proxy))
    proxy.transact("confirmAggregator", aggregator(world, reverts).address)  # phase 2 stays empty
    proxy.transact("confirmAggregator", new.address)
    opened = world.push(new, PRICE + 7, after=10)
    wanted = in_phase(3, 1)
    for not_before in (last + 1, opened):
        with reverts_with("NotFirstPrice", ETH, not_before, wanted):
            world.first_after(ETH, not_before)
        assert tuple(world.hub.call("searchRound", ETH, not_before)) == (wanted, in_phase(1, 3))
        spot = world.first_after(ETH, not_before, hint(wanted, in_phase(1, 3)))
        assert (spot.price, spot.publish_time) == ((PRICE + 7) * 10**10, opened)
    for claim in (0, in_phase(1, 2), in_phase(1, 4), in_phase(2, 1), in_phase(2, 0), in_phase(3, 1), 3):
        with reverts_with("NotFirstPrice", ETH, opened, wanted):
            world.first_after(ETH, opened, hint(wanted, claim))
    # a time that phase 1 still covers belongs to phase 1
    with reverts_with("NotFirstPrice", ETH, last, wanted):
        world.first_after(ETH, last, hint(wanted, in_phase(1, 3)))
    assert world.first_after(ETH, last, hint(in_phase(1, 3))).publish_time == last
    # once the new phase has a round before the time, rounds of the old one no longer count
    revived = world.push(old, PRICE + 9, after=10)
    assert tuple(world.hub.call("searchRound", ETH, opened)) == (in_phase(1, 4), in_phase(1, 3))
    with reverts_with("NotFirstPrice", ETH, opened + 1, in_phase(1, 4)):
        world.first_after(ETH, opened + 1, hint(in_phase(1, 4)))
    with reverts_with("NoPriceYet", ETH, opened + 1):
        world.hub.call("searchRound", ETH, opened + 1)
    assert revived > opened


Call = tuple[str, *tuple[Any, ...]]


class Transaction:
    """Several calls in one transaction: to the hub, and `push` to its feed."""

    def __init__(self, world: OracleWorld, proxy: Contract) -> None:
        self.world, self.proxy = world, proxy
        self.reader = world.deploy("MultiRead")

    def __call__(self, *calls: Call) -> tuple[list[str | bytes], list[int]]:
        """What each call returned, or the error that it reverted with, and the gas of each."""
        targets = [self.proxy if fn == "push" else self.world.hub for fn, *_ in calls]
        data = [bytes.fromhex(target.encode(*call)[2:]) for target, call in zip(targets, calls, strict=True)]
        succeeded, outputs, gas = self.reader.call("read", [target.address for target in targets], data)
        results = [
            output if ok else str(self.world.hub.errors.decode(output))
            for ok, output in zip(succeeded, outputs, strict=True)
        ]
        return results, list(gas)


@pytest.fixture
def transaction(world: OracleWorld) -> Transaction:
    """ETH on a real-shaped feed with three rounds, ten seconds apart, the last one now."""
    proxy = world.deploy("ChainlinkShapeProxy", aggregator(world, False).address)
    world.push(proxy, PRICE)
    world.push(proxy, PRICE + 1, after=10)
    world.list_asset(ETH, world.config(proxy))
    transaction = Transaction(world, proxy)
    world.push(proxy, PRICE + 2, after=10)
    return transaction


def test_feed_is_read_once_per_transaction(transaction: Transaction) -> None:
    newest = transaction.world.now()
    results, gas = transaction(
        ("firstAfter", ETH, newest, b""),
        ("firstAfter", ETH, newest, b""),
        ("firstAfter", ETH, newest - 9, hint(in_phase(1, 3))),
        ("observe", ETH),
        ("observe", ETH),
        ("peek", ETH),
    )
    assert results[0] == results[1] == results[2]
    assert results[3] == results[4] == results[5]
    assert isinstance(results[0], bytes)
    assert Spot.unpack(int.from_bytes(results[0])).publish_time == newest
    assert gas[0] > 25_000
    assert max(gas[1:3]) < 4_000
    assert max(gas[4:]) < 5_000


def test_order_after_another_one_gets_no_other_price(transaction: Transaction) -> None:
    """What was kept for the first order answers each later one exactly as a transaction of its own would."""
    newest = transaction.world.now()
    transaction.world.warp(5)
    second = transaction.proxy.call("getRoundData", in_phase(1, 2))[3]
    orders: list[Call] = [
        ("firstAfter", ETH, not_before, data)
        for not_before in (second - 1, second, second + 1, newest, newest + 1)
        for data in (b"", hint(in_phase(1, 1)), hint(in_phase(1, 2)), hint(in_phase(1, 3)))
    ]
    alone = [transaction(order)[0][0] for order in orders]
    assert sum(isinstance(result, bytes) for result in alone) == 6
    before: list[Call] = [
        ("observe", ETH),
        ("firstAfter", ETH, newest, b""),
        ("firstAfter", ETH, second, hint(in_phase(1, 2))),
    ]
    for first in before:
        together, _ = transaction(first, *orders)
        assert together[1:] == alone


def test_round_published_within_a_transaction_serves_only_the_order_that_needs_it(transaction: Transaction) -> None:
    newest = transaction.world.now()
    time = transaction.world.warp(5)
    results, _ = transaction(
        ("observe", ETH),
        ("firstAfter", ETH, newest, b""),
        ("push", PRICE * 2, time),
        ("observe", ETH),
        ("firstAfter", ETH, newest, b""),
        ("firstAfter", ETH, time, b""),
    )
    assert results[3:5] == results[:2]
    assert isinstance(results[5], bytes)
    spot = Spot.unpack(int.from_bytes(results[5]))
    assert (spot.price, spot.publish_time) == (4000 * WAD, time)
