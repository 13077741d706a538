"""OracleHub: what a secondary source and the L2 sequencer say about a price."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.oracle import ETH, ZERO, OracleWorld, oracle_world
from tests.support.reverts import reverts_with

from plimsoll.chain.contract import Contract
from plimsoll.model import oracle
from plimsoll.model.oracle import WAD, PriceFlags

PRICE = 2000 * 10**8
GRACE = 1800


@pytest.fixture(scope="module")
def chain() -> Iterator[OracleWorld]:
    with oracle_world() as world:
        yield world


@pytest.fixture
def world(chain: OracleWorld) -> Iterator[OracleWorld]:
    with chain.anvil.snapshot():
        yield chain


@pytest.fixture
def pair(world: OracleWorld) -> tuple[Contract, Contract]:
    """ETH with a secondary source of 18 decimals that agrees."""
    feed, secondary = world.feed(), world.feed(18)
    world.push(feed, PRICE)
    world.push(secondary, 2000 * WAD)
    world.list_asset(ETH, world.config(feed, secondary=secondary.address))
    return feed, secondary


@pytest.mark.parametrize(
    ("primary", "other"),
    [(2000, 2040), (2040, 2000), (2000, 2000), (2041, 2000), (2000, 2041), (1, 2000), (2000, 1)],
)
def test_sources_deviate_beyond_two_percent_of_the_lower(
    world: OracleWorld, pair: tuple[Contract, Contract], primary: int, other: int
) -> None:
    feed, secondary = pair
    world.push(feed, primary * 10**8)
    world.push(secondary, other * WAD)
    spot, trend = world.peek()
    differs = oracle.deviates(primary * WAD, other * WAD, 20_000)
    assert differs == (abs(primary - other) > 40)
    assert (spot.price, spot.flags, spot.other) == (
        primary * WAD,
        PriceFlags.DEVIATED if differs else 0,
        other * WAD if differs else 0,
    )
    assert trend.bound_ppm == 0


def test_deviation_counts_from_when_it_was_first_observed_and_ends_when_they_agree(
    world: OracleWorld, pair: tuple[Contract, Contract]
) -> None:
    feed, secondary = pair
    world.push(secondary, 1900 * WAD)
    world.warp(1000)
    assert world.peek().spot.flags == PriceFlags.DEVIATED
    since = world.at(1)
    assert world.hub.transact("observe", ETH).event("DeviationChanged").args == {"asset": ETH, "since": since}
    assert world.state()[4] == since
    world.anvil.set_next_timestamp(since + 899)
    world.push(feed, PRICE, after=899)
    assert world.now() == since + 899
    assert world.peek().spot.flags == PriceFlags.DEVIATED
    world.warp(1)
    assert world.peek().spot.flags == PriceFlags.DEVIATED | PriceFlags.DEVIATED_LONG
    assert world.peek() == world.would_observe()
    assert world.observe().named("DeviationChanged") == []
    world.push(secondary, 2001 * WAD)
    assert world.peek().spot.flags == 0
    assert world.observe().event("DeviationChanged")["since"] == 0
    world.push(secondary, 1900 * WAD)
    assert world.peek().spot.flags == PriceFlags.DEVIATED


@pytest.mark.parametrize("mode", [1, 2, 3])
def test_silent_secondary_is_ignored_and_does_not_end_a_deviation(
    world: OracleWorld, pair: tuple[Contract, Contract], mode: int
) -> None:
    _, secondary = pair
    world.push(secondary, 1900 * WAD)
    world.observe()
    since = world.state()[4]
    assert since != 0
    secondary.transact("setMode", mode)
    assert world.peek().spot.flags == 0
    assert world.observe().named("DeviationChanged") == []
    assert world.state()[4] == since


def test_secondary_that_is_old_from_the_future_or_no_price_is_ignored(
    world: OracleWorld, pair: tuple[Contract, Contract]
) -> None:
    feed, secondary = pair
    pushed = world.push(secondary, 1900 * WAD)
    world.push(feed, PRICE, after=7200 - 1)
    world.anvil.advance(pushed + 7200 - world.now())
    assert world.peek().spot.flags == PriceFlags.DEVIATED
    world.warp(1)
    assert world.peek().spot.flags == 0
    for answer, time in [(1900 * WAD, world.now() + 1000), (0, world.now()), (-1, world.now()), (1 << 88, world.now())]:
        secondary.transact("push", answer, time)
        assert world.peek().spot.flags == 0
    world.push(secondary, 1900 * WAD)
    assert world.peek().spot.flags == PriceFlags.DEVIATED


def test_deviation_says_nothing_about_an_invalid_primary(world: OracleWorld, pair: tuple[Contract, Contract]) -> None:
    feed, secondary = pair
    world.push(secondary, 1000 * WAD)
    feed.transact("setMode", 1)
    spot, _ = world.peek()
    assert (spot.flags, spot.other) == (PriceFlags.INVALID, 0)
    assert world.observe().logs == []


def test_new_secondary_forgets_the_deviation_and_other_changes_keep_it(
    world: OracleWorld, pair: tuple[Contract, Contract]
) -> None:
    feed, secondary = pair
    world.push(secondary, 1900 * WAD)
    world.observe()
    since = world.state()[4]
    world.hub.transact("setAsset", ETH, world.config(feed, secondary=secondary.address, latency=5))
    assert world.state()[4] == since
    replacement = world.feed(18)
    world.push(replacement, 1900 * WAD)
    world.hub.transact("setAsset", ETH, world.config(feed, secondary=replacement.address))
    assert world.state()[4] == 0
    world.hub.transact("setAsset", ETH, world.config(feed))
    assert world.peek().spot.flags == 0
    assert tuple(world.hub.call("pinned", ETH))[:2] == (8, 0)


# ── sequencer ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def sequencer(world: OracleWorld) -> Contract:
    """ETH (1) and a fixed asset (2) on a chain whose sequencer has been up for long."""
    feed = world.feed()
    world.push(feed, PRICE)
    world.list_asset(ETH, world.config(feed, maxAge=172_800))
    sequencer = world.deploy("MockSequencerFeed", world.now() - 10**6)
    receipt = world.hub.transact("setSequencer", sequencer.address, GRACE)
    assert receipt.event("SequencerSet").args == {"feed": sequencer.address, "grace": GRACE}
    assert tuple(world.hub.call("sequencer")) == (sequencer.address, GRACE)
    world.list_asset(2, world.config(kind=3, fixedPrice=WAD))
    return sequencer


def flags(world: OracleWorld) -> set[int]:
    """The flags of both assets, by peek and by observe."""
    return {read(asset).spot.flags for asset in (ETH, 2) for read in (world.peek, world.would_observe)}


def test_sequencer_down_then_grace_then_up(world: OracleWorld, sequencer: Contract) -> None:
    assert flags(world) == {0}
    sequencer.transact("set", 1, world.now())
    assert flags(world) == {PriceFlags.SEQUENCER_DOWN}
    up = world.warp(3600)
    sequencer.transact("set", 0, up)
    assert flags(world) == {PriceFlags.SEQUENCER_GRACE}
    world.anvil.advance(up + GRACE - 1 - world.now())
    assert flags(world) == {PriceFlags.SEQUENCER_GRACE}
    world.warp(1)
    assert flags(world) == {0}


def test_sequencer_flags_come_with_the_flags_of_the_price(world: OracleWorld, sequencer: Contract) -> None:
    sequencer.transact("set", 1, world.now())
    world.warp(172_801)
    assert world.peek().spot.flags == PriceFlags.INVALID | PriceFlags.SEQUENCER_DOWN


def test_uptime_feed_that_says_nothing_counts_as_just_up(world: OracleWorld, sequencer: Contract) -> None:
    for broken, since in [(True, world.now()), (False, 0), (False, world.now() + 100_000)]:
        sequencer.transact("setBroken", broken)
        sequencer.transact("set", 0, since)
        assert flags(world) == {PriceFlags.SEQUENCER_GRACE}


def test_sequencer_can_be_removed_and_is_checked_when_set(world: OracleWorld, sequencer: Contract) -> None:
    sequencer.transact("set", 1, world.now())
    with reverts_with("GraceOutOfRange", 1801, 1800):
        world.hub.transact("setSequencer", sequencer.address, 1801)
    with reverts_with("FeedUnreadable", world.owner.address):
        world.hub.transact("setSequencer", world.owner.address, GRACE)
    world.hub.transact("setSequencer", ZERO, 0)
    assert flags(world) == {0}
    assert tuple(world.hub.call("sequencer")) == (ZERO, 0)
    world.hub.transact("setSequencer", sequencer.address, 0)
    assert flags(world) == {PriceFlags.SEQUENCER_DOWN}
