"""OracleHub: listing, moving average, validity of the primary source, configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest
from tests.support.oracle import ETH, NO_MAX, ZERO, Observation, OracleWorld, oracle_world
from tests.support.reverts import reverts_with

from plimsoll.chain.contract import Contract
from plimsoll.chain.errors import RpcError
from plimsoll.model import oracle
from plimsoll.model.oracle import MAX_PRICE, WAD, PriceFlags
from plimsoll.model.oracle_words import Spot, StateWord

PRICE = 2000 * 10**8


@pytest.fixture(scope="module")
def chain() -> Iterator[OracleWorld]:
    with oracle_world() as world:
        yield world


@pytest.fixture
def world(chain: OracleWorld) -> Iterator[OracleWorld]:
    with chain.anvil.snapshot():
        yield chain


@pytest.fixture
def feed(world: OracleWorld) -> Contract:
    """A feed at 2,000, listed as ETH in the same second."""
    feed = world.feed()
    world.push(feed, PRICE)
    world.at(1)
    world.list_asset(ETH, world.config(feed))
    return feed


# ── listing ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_listing_starts_the_average_and_reads_everything_back(world: OracleWorld) -> None:
    feed, secondary = world.feed(), world.feed(18)
    feed.transact("setBounds", 10**6, 10**13)
    published = world.push(feed, PRICE)
    config = world.config(feed, secondary=secondary.address, minAnswer=10**7, maxAnswer=10**14)
    receipt = world.list_asset(7, config)
    assert [event.name for event in receipt.events] == ["AssetListed", "Observed"]
    listed, observed = receipt.events
    assert listed["asset"] == 7
    assert observed.args == {
        "asset": 7,
        "state": StateWord(2000 * WAD, 2000 * WAD, 0, world.now()).pack(),
        "spot": Spot(price=2000 * WAD, publish_time=published).pack(),
    }
    assert world.hub.call("assetConfig", 7)._asdict() == config
    assert listed["config"]._asdict() == config
    assert tuple(world.hub.call("pinned", 7)) == (8, 18, 10**7, 10**13)
    assert world.state(7) == (2000 * WAD, 2000 * WAD, 0, world.now(), 0)
    assert world.hub.call("listedAssets") == [7]


BAD: list[tuple[dict[str, Any], str, tuple[Any, ...]]] = [
    ({"maxAge": 0}, "MaxAgeOutOfRange", (0, 172_800)),
    ({"maxAge": 172_801}, "MaxAgeOutOfRange", (172_801, 172_800)),
    ({"maxUncertaintyPpm": 100_001}, "UncertaintyOutOfRange", (100_001, 100_000)),
    ({"bandPpm": 20_001}, "BandOutOfRange", (20_001, 20_000)),
    ({"tau": 59}, "TauOutOfRange", (59, 60, 86_400)),
    ({"tau": 86_401}, "TauOutOfRange", (86_401, 60, 86_400)),
    ({"boundBasePpm": 400_001}, "BoundOutOfRange", (400_001, 100_000, 400_000)),
    ({"boundCapPpm": 1_000_001}, "BoundOutOfRange", (50_000, 100_000, 1_000_001)),
    ({"boundPerHourPpm": 1_000_001}, "BoundOutOfRange", (50_000, 1_000_001, 400_000)),
    ({"latency": 3601}, "LatencyOutOfRange", (3601, 3600)),
    ({"kind": 0}, "FeedKindMissing", (9,)),
    ({"kind": 2}, "PythMismatch", (..., ZERO)),
    ({"kind": 3}, "FeedNotAllowed", (3, ...)),
    ({"kind": 3, "feed": ZERO}, "FixedPriceOutOfRange", (0, MAX_PRICE)),
    ({"kind": 3, "feed": ZERO, "fixedPrice": MAX_PRICE + 1}, "FixedPriceOutOfRange", (MAX_PRICE + 1, MAX_PRICE)),
    ({"fixedPrice": 1}, "FixedPriceOutOfRange", (1, 0)),
    ({"pythId": b"\1" * 32}, "PythIdNotAllowed", (1, b"\1" * 32)),
    ({"feed": ZERO}, "FeedUnreadable", (ZERO,)),
    ({"minAnswer": 10, "maxAnswer": 10}, "AnswerBoundsOutOfRange", (10, 10)),
    ({"kind": 3, "feed": ZERO, "fixedPrice": 1, "maxAnswer": 1}, "AnswerBoundsOutOfRange", (0, 1)),
]


@pytest.mark.parametrize(("changes", "error", "args"), BAD)
def test_listing_refuses_each_field_out_of_range(
    world: OracleWorld, changes: dict[str, Any], error: str, args: tuple[Any, ...]
) -> None:
    feed = world.feed()
    world.push(feed, PRICE)
    expected = tuple(feed.address if arg is ... else arg for arg in args)
    with reverts_with(error, *expected):
        world.list_asset(9, world.config(feed) | changes)


def test_listing_refuses_a_bad_secondary(world: OracleWorld) -> None:
    feed, other = world.feed(), world.feed()
    world.push(feed, PRICE)
    for changes, error, args in [
        ({"secondaryMaxAge": 0}, "SecondaryMaxAgeOutOfRange", (0, 172_800)),
        ({"secondaryMaxAge": 172_801}, "SecondaryMaxAgeOutOfRange", (172_801, 172_800)),
        ({"maxDeviationPpm": 0}, "DeviationOutOfRange", (0, 500_000)),
        ({"maxDeviationPpm": 500_001}, "DeviationOutOfRange", (500_001, 500_000)),
        ({"deviationTimeout": 59}, "DeviationTimeoutOutOfRange", (59, 60, 86_400)),
        ({"deviationTimeout": 86_401}, "DeviationTimeoutOutOfRange", (86_401, 60, 86_400)),
        ({"secondary": feed.address}, "SecondaryIsPrimary", (feed.address,)),
        ({"secondary": world.owner.address}, "FeedUnreadable", (world.owner.address,)),
        ({"kind": 3, "feed": ZERO, "fixedPrice": 1}, "FeedNotAllowed", (3, other.address)),
    ]:
        with reverts_with(error, *args):
            world.list_asset(9, world.config(feed, secondary=other.address) | changes)


def test_listing_refuses_wrong_ids_twice_listed_assets_odd_decimals_and_silent_feeds(world: OracleWorld) -> None:
    feed = world.feed()
    with reverts_with("PriceNotValid", 9, int(PriceFlags.INVALID)):
        world.list_asset(9, world.config(feed))
    world.push(feed, PRICE)
    for asset in (0, 256):
        with reverts_with("AssetOutOfRange", asset, 255):
            world.list_asset(asset, world.config(feed))
    with reverts_with("DecimalsOutOfRange", 19, 18):
        world.list_asset(9, world.config(world.feed(19)))
    world.list_asset(255, world.config(feed))
    with reverts_with("AssetAlreadyListed", 255):
        world.list_asset(255, world.config(feed))
    for call in ("observe", "peek", "assetConfig", "pinned", "assetState", "invalidFor"):
        with reverts_with("UnknownAsset", 9):
            world.hub.call(call, 9)
    with reverts_with("UnknownAsset", 9):
        world.hub.transact("setAsset", 9, world.config(feed))


def test_only_the_owner_configures_and_hands_over_in_two_steps(world: OracleWorld, feed: Contract) -> None:
    stranger = world.stranger
    for fn, args in [
        ("listAsset", (2, world.config(feed))),
        ("setAsset", (ETH, world.config(feed))),
        ("setSequencer", (ZERO, 0)),
        ("setPyth", (ZERO,)),
        ("transferOwnership", (stranger.address,)),
    ]:
        with reverts_with("OwnableUnauthorizedAccount", stranger.address):
            world.hub.transact(fn, *args, sender=stranger)
    world.hub.transact("transferOwnership", stranger.address)
    assert world.hub.call("owner") == world.owner.address
    world.hub.transact("acceptOwnership", sender=stranger)
    world.hub.transact("setPyth", ZERO, sender=stranger)


# ── moving average ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_observations_follow_the_model_and_peek_says_what_observe_does(world: OracleWorld, feed: Contract) -> None:
    rng = Random(7)
    price, ema, variance, time, _ = world.state()
    state = oracle.OracleState(price, ema, variance, time)
    answer = PRICE
    for _ in range(40):
        answer = max(1, int(answer * rng.uniform(0.8, 1.25)))
        published = world.push(feed, answer, after=rng.choice([1, 2, 13, 600, 3000, 86_400]))
        seen = world.peek()
        assert seen == world.would_observe()
        state = oracle.fold(state, answer * 10**10, world.now() + 1, 1800)
        event = world.observe().event("Observed")
        assert world.state() == (state.price, state.ema, state.variance, state.time, 0)
        # peek was one second earlier, so it is checked at the time of the observation too
        now = world.peek()
        assert event.args == {
            "asset": ETH,
            "state": StateWord(state.price, state.ema, state.variance, state.time).pack(),
            "spot": now.spot.pack(),
        }
        assert now == Observation(type(now.spot)(state.price, 0, published, 0, 1500), now.trend)
        assert (now.trend.ema, now.trend.variance, now.trend.bound_ppm) == (state.ema, state.variance, 0)
        assert seen.spot == now.spot


def test_same_second_changes_neither_average_nor_variance(world: OracleWorld, feed: Contract) -> None:
    world.push(feed, PRICE * 11 // 10)
    world.observe()
    _, ema, variance, time, _ = world.state()
    world.anvil.set_automine(False)
    later = world.at(60)
    hashes = [
        world.hub.submit("observe", ETH),
        feed.submit("push", PRICE * 2, later),
        world.hub.submit("observe", ETH),
        world.hub.submit("observe", ETH),
    ]
    world.anvil.mine()
    world.anvil.set_automine(True)
    receipts = [world.hub.receipt_of(tx) for tx in hashes]
    assert [len(r.named("Observed")) if r else None for r in receipts] == [1, 0, 1, 0]
    words = [receipts[i].event("Observed")["state"] for i in (0, 2)]  # type: ignore[union-attr]
    first, second = map(StateWord.unpack, words)
    assert (second.ema, second.variance) == (first.ema, first.variance)
    assert world.state()[0] == 4000 * WAD
    assert (ema, variance) != (first.ema, first.variance)
    assert time < later


# ── validity ────────────────────────────────────────────────────────────────────────────────────────────────────────

Spoil = Callable[[OracleWorld, Contract], Any]


def _push(answer: int, age: int = 0) -> Spoil:
    return lambda world, feed: feed.transact("push", answer, world.now() - age)


def _mode(mode: int) -> Spoil:
    return lambda world, feed: feed.transact("setMode", mode)


SPOILED: dict[str, Spoil] = {
    "zero": _push(0),
    "negative": _push(-1),
    "at the least answer": _push(10**6),
    "below the least answer": _push(10**6 - 1),
    "at the largest answer": _push(10**13),
    "above the largest answer": _push(10**13 + 1),
    "in the future": _push(PRICE, age=-100_000),
    "without a time": lambda world, feed: feed.transact("setRound", 9, PRICE, 1, 0, 9),
    "time too large": lambda world, feed: feed.transact("setRound", 9, PRICE, 1, 1 << 32, 9),
    "answered in an earlier round": lambda world, feed: feed.transact("setRound", 9, PRICE, 1, world.now(), 8),
    "reverting": _mode(1),
    "burning gas": _mode(2),
    "short answer": _mode(3),
    "gone": lambda world, feed: world.anvil.rpc.request("anvil_setCode", [feed.address, "0x"]),
    # published before the last observation, which did not see it
    "gone back": _push(PRICE + 1, age=600),
}


@pytest.mark.parametrize("how", SPOILED)
def test_invalid_price_keeps_the_last_valid_one_and_never_reverts(world: OracleWorld, how: str) -> None:
    """INV-27."""
    feed = world.feed()
    feed.transact("setBounds", 10**6, 10**13)
    world.push(feed, PRICE)
    world.list_asset(ETH, world.config(feed))
    observed = world.at(50)
    world.hub.transact("observe", ETH)
    before = world.state()
    SPOILED[how](world, feed)
    world.warp(1800)
    receipt = world.observe(after=1)
    assert receipt.logs == []
    # a feed that burns what it gets costs FEED_GAS and no more
    assert receipt.gas_used < 21_000 + 100_000 + 25_000
    assert world.state() == before
    spot, trend = world.peek()
    age = world.now() - observed
    assert (spot.price, spot.publish_time, spot.flags, spot.band_ppm) == (2000 * WAD, observed, 1, 1500)
    assert (trend.ema, trend.variance) == before[1:3]
    assert trend.bound_ppm == oracle.bound_ppm(age, 50_000, 100_000, 400_000) > 50_000
    assert world.hub.call("invalidFor", ETH) == age


def test_long_answer_is_read_only_as_far_as_needed(world: OracleWorld, feed: Contract) -> None:
    feed.transact("setMode", 4)
    receipt = world.observe()
    assert receipt.gas_used < 80_000
    assert world.peek().spot.flags == PriceFlags.INVALID


def test_price_beyond_the_largest_is_invalid_and_the_largest_is_not(world: OracleWorld) -> None:
    feed = world.feed(18)
    world.push(feed, MAX_PRICE)
    world.list_asset(ETH, world.config(feed))
    assert world.peek().spot.price == MAX_PRICE
    world.push(feed, MAX_PRICE + 1)
    assert world.peek().spot.flags == PriceFlags.INVALID
    assert tuple(world.hub.call("pinned", ETH)) == (18, 0, 0, NO_MAX)


def test_price_older_than_max_age_keeps_its_answer_until_a_new_one(world: OracleWorld, feed: Contract) -> None:
    published = world.push(feed, PRICE + 5)
    world.warp(3600)
    assert world.peek().spot.flags == 0
    assert world.hub.call("invalidFor", ETH) == 0
    world.warp(1)
    spot, trend = world.peek()
    assert (spot.flags, spot.price, spot.publish_time) == (PriceFlags.INVALID, (PRICE + 5) * 10**10, published)
    assert trend.bound_ppm == 50_000 + 100_028  # 3601 s of 100,000 per hour, rounded up
    world.warp(7 * 86_400)
    assert world.peek().trend.bound_ppm == 400_000
    assert world.observe().logs == []
    world.push(feed, PRICE)
    assert world.peek().spot.flags == 0
    assert len(world.observe().named("Observed")) == 1


def test_little_gas_cannot_make_a_good_feed_look_bad(world: OracleWorld, feed: Contract) -> None:
    data = world.hub.encode("peek", ETH)
    outcomes = {"answered": 0, "refused": 0}
    for gas in range(22_000, 200_000, 500):
        request = {"to": world.hub.address, "data": data, "gas": hex(gas)}
        try:
            answer = world.anvil.rpc.request("eth_call", [request, "latest"])
        except RpcError:
            outcomes["refused"] += 1
            continue
        outcomes["answered"] += 1
        assert (int(answer[2:66], 16) >> 208) & 0xFFFF == 0, gas
    assert min(outcomes.values()) > 10


def test_bad_feed_with_little_gas_names_the_gas_it_needs(world: OracleWorld, feed: Contract) -> None:
    feed.transact("setMode", 1)
    request = {"to": world.hub.address, "data": world.hub.encode("peek", ETH), "gas": hex(90_000)}
    with reverts_with("FeedNeedsMoreGas", ...):
        try:
            world.anvil.rpc.request("eth_call", [request, "latest"])
        except RpcError as error:
            raise world.hub.errors.from_rpc(error) or error from None


def test_fixed_price_is_always_fresh(world: OracleWorld) -> None:
    world.list_asset(3, world.config(kind=3, fixedPrice=5 * WAD))
    time = world.warp(10**6)
    spot, _ = world.peek(3)
    assert (spot.price, spot.flags, spot.publish_time) == (5 * WAD, 0, time)
    assert world.first_after(3, time - 10).publish_time == time - 10
    with reverts_with("NoPriceYet", 3, time + 1):
        world.first_after(3, time + 1)


# ── configuration of a listed asset ─────────────────────────────────────────────────────────────────────────────────


def test_setting_folds_the_past_first_and_pins_again(world: OracleWorld, feed: Contract) -> None:
    """INV-27."""
    world.push(feed, PRICE * 2)
    feed.transact("setDecimals", 9)
    price, ema, variance, time, _ = world.state()
    changed = world.config(feed, tau=60, maxAge=100)
    later = world.at(400)
    receipt = world.hub.transact("setAsset", ETH, changed)
    expected = oracle.fold(oracle.OracleState(price, ema, variance, time), 4000 * WAD, later, 1800)
    assert [event.name for event in receipt.events] == ["Observed", "AssetSet"]
    assert world.state()[:4] == (expected.price, expected.ema, expected.variance, later)
    assert world.hub.call("pinned", ETH)[0] == 9
    assert world.hub.call("assetConfig", ETH)._asdict() == changed
    assert world.peek().spot.flags == PriceFlags.INVALID  # 400 s are too old now


def test_new_source_takes_over_at_its_price_also_from_a_broken_one(world: OracleWorld, feed: Contract) -> None:
    replacement = world.feed(6)
    with reverts_with("PriceNotValid", ETH, 1):
        world.hub.transact("setAsset", ETH, world.config(replacement))
    published = world.push(replacement, 1900 * 10**6)
    feed.transact("setMode", 1)
    world.observe(after=100)
    price, ema, variance, time, _ = world.state()
    later = world.at(500)
    world.hub.transact("setAsset", ETH, world.config(replacement))
    expected = oracle.fold(oracle.OracleState(price, ema, variance, time), 1900 * WAD, later, 1800)
    assert world.state()[:4] == (1900 * WAD, expected.ema, expected.variance, later)
    spot, _ = world.peek()
    assert (spot.price, spot.flags, spot.publish_time) == (1900 * WAD, 0, published)
