"""OracleHub with Pyth: stored prices, updates passed on, the first price after a time; against the SDK's own mock."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest
from eth_abi.abi import encode
from tests.support.oracle import ETH, ZERO, OracleWorld, oracle_world
from tests.support.reverts import reverts_with

from plimsoll.chain.contract import Contract
from plimsoll.model import oracle
from plimsoll.model.oracle import MAX_PRICE, WAD, PriceFlags

FEED_ID = b"\x11" * 32
OTHER_ID = b"\x22" * 32
FEE = 7
"""wei for each update"""
PRICE = 2000 * 10**8


class PythWorld(NamedTuple):
    """The hub, the SDK's mock, and the one in front of it that proves uniqueness."""

    world: OracleWorld
    sdk: Contract
    strict: Contract

    def update(
        self,
        price: int,
        time: int,
        *,
        conf: int = 10**8,
        expo: int = -8,
        previous: int | None = None,
        feed_id: bytes = FEED_ID,
    ) -> bytes:
        """A signed update as the mock understands it."""
        before = time - 1 if previous is None else previous
        data: bytes = self.sdk.call("createPriceFeedUpdateData", feed_id, price, conf, expo, price, conf, time, before)
        return data

    def store(self, price: int, *, after: int = 1, conf: int = 10**8, expo: int = -8) -> int:
        """Puts a price on chain through the hub, in the block of its publication."""
        data = self.update(price, self.world.now() + after, conf=conf, expo=expo)
        time = self.world.at(after)
        self.world.hub.transact("updatePyth", [data], value=FEE)
        return time


@pytest.fixture(scope="module")
def chain() -> Iterator[PythWorld]:
    with oracle_world() as world:
        sdk = world.deploy("SdkMockPyth", 60, FEE)
        yield PythWorld(world, sdk, world.deploy("StrictPyth", sdk.address))


@pytest.fixture
def pyth(chain: PythWorld) -> Iterator[PythWorld]:
    """ETH listed on Pyth at 2,000 ± 1."""
    with chain.world.anvil.snapshot():
        chain.world.hub.transact("setPyth", chain.strict.address)
        chain.store(PRICE)
        chain.world.list_asset(ETH, chain.world.config(chain.strict, kind=2, pythId=FEED_ID))
        yield chain


def balance(world: OracleWorld, address: str) -> int:
    return int(world.anvil.rpc.request("eth_getBalance", [address, "latest"]), 16)


def hint(*updates: bytes) -> bytes:
    return encode(["bytes[]"], [list(updates)])


# ── stored prices ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_stored_price_carries_its_time_and_its_band(pyth: PythWorld) -> None:
    world = pyth.world
    time = pyth.store(2100 * 10**8, conf=21 * 10**8)
    spot, trend = world.peek()
    assert (spot.price, spot.publish_time, spot.flags) == (2100 * WAD, time, 0)
    assert spot.band_ppm == 10_000
    assert world.peek() == world.would_observe()
    assert trend.bound_ppm == 0


@pytest.mark.parametrize(
    ("raw", "conf", "expo"),
    [
        (2000_12345678, 3_00000001, -8),
        (5, 1, 0),
        (7, 1, 3),
        (123_456_789_012, 55, -18),
        (123_456_789_012_345_678, 55, -20),
        (9_223_372_036_854_775_807, 1, -17),
        (MAX_PRICE // 10**18, 0, 0),
    ],
)
def test_conversion_rounds_the_price_down_and_the_band_up(pyth: PythWorld, raw: int, conf: int, expo: int) -> None:
    pyth.store(raw, conf=conf, expo=expo)
    spot, _ = pyth.world.peek()
    price, band = oracle.pyth_convert(raw, conf, expo)
    assert price > 0
    assert spot.price == price
    assert spot.band_ppm == max(band, 1500)
    assert spot.flags == (PriceFlags.UNCERTAIN if band > 20_000 else 0)


def test_band_is_never_below_the_static_one_and_a_wide_one_is_uncertain(pyth: PythWorld) -> None:
    world = pyth.world
    for conf, band, flags in [
        (0, 1500, 0),
        (3 * 10**8, 1500, 0),
        (3 * 10**8 + 1, 1501, 0),
        (40 * 10**8, 20_000, 0),
        (40 * 10**8 + 1, 20_001, PriceFlags.UNCERTAIN),
        (5000 * 10**8, 1_000_000, PriceFlags.UNCERTAIN),
    ]:
        pyth.store(PRICE, conf=conf)
        spot, _ = world.peek()
        assert (spot.band_ppm, spot.flags, spot.price) == (band, flags, 2000 * WAD)


@pytest.mark.parametrize(
    ("raw", "expo"), [(0, -8), (-1, -8), (MAX_PRICE // 10**18 + 1, 0), (1, -19), (1, 13), (PRICE, -49)]
)
def test_what_is_no_price_is_invalid(pyth: PythWorld, raw: int, expo: int) -> None:
    world = pyth.world
    before = world.state()
    pyth.store(raw, expo=expo)
    spot, _ = world.peek()
    assert (spot.flags, spot.price, spot.publish_time) == (PriceFlags.INVALID, 2000 * WAD, before[3])
    assert world.observe().logs == []
    assert world.state() == before


def test_stored_price_grows_old_and_one_from_the_future_is_invalid(pyth: PythWorld) -> None:
    world = pyth.world
    time = pyth.store(PRICE)
    world.anvil.advance(time + 3600 - world.now())
    assert world.peek().spot.flags == 0
    world.warp(1)
    assert world.peek().spot.flags == PriceFlags.INVALID
    assert world.hub.call("invalidFor", ETH) == 3601
    future = pyth.update(PRICE, world.now() + 1000)
    world.hub.transact("updatePyth", [future], value=FEE)
    assert world.peek().spot.flags == PriceFlags.INVALID


def test_price_that_landed_after_an_observation_counts_although_published_before(pyth: PythWorld) -> None:
    world = pyth.world
    data = pyth.update(2050 * 10**8, world.now() + 5)
    world.observe(after=10)
    world.at(1)
    world.hub.transact("updatePyth", [data], value=FEE)
    spot, _ = world.peek()
    assert (spot.price, spot.flags) == (2050 * WAD, 0)
    assert spot.publish_time < world.state()[3]
    # an older one is not stored by Pyth, so the publish time never falls
    old = pyth.update(1000 * 10**8, spot.publish_time - 1)
    world.hub.transact("updatePyth", [old], value=FEE)
    assert world.peek().spot == spot


def test_pyth_that_does_not_answer_is_invalid(pyth: PythWorld) -> None:
    world = pyth.world
    world.anvil.rpc.request("anvil_setCode", [pyth.strict.address, "0x"])
    assert world.peek().spot.flags == PriceFlags.INVALID
    assert world.observe().logs == []


# ── listing and updates ─────────────────────────────────────────────────────────────────────────────────────────────


def test_listing_on_pyth_is_checked(pyth: PythWorld) -> None:
    world = pyth.world
    good = world.config(pyth.strict, kind=2, pythId=FEED_ID)
    for changes, error, args in [
        ({"feed": pyth.sdk.address}, "PythMismatch", (pyth.sdk.address, pyth.strict.address)),
        ({"feed": ZERO}, "PythMismatch", (ZERO, pyth.strict.address)),
        ({"pythId": bytes(32)}, "PythIdMissing", (2,)),
        ({"minAnswer": 1}, "AnswerBoundsOutOfRange", (1, 0)),
        ({"pythId": OTHER_ID}, "PriceNotValid", (2, 1)),
    ]:
        with reverts_with(error, *args):
            world.list_asset(2, good | changes)
    with reverts_with("FeedUnreadable", world.owner.address):
        world.hub.transact("setPyth", world.owner.address)


def test_updates_are_passed_on_and_the_rest_is_returned(pyth: PythWorld) -> None:
    world, hub = pyth.world, pyth.world.hub
    updates = [pyth.update(PRICE + 1, world.now()), pyth.update(5, world.now(), feed_id=OTHER_ID)]
    sender = world.stranger
    before = balance(world, sender.address)
    world.at(1)
    receipt = hub.transact("updatePyth", updates, value=1000, sender=sender)
    assert before - balance(world, sender.address) == 2 * FEE + receipt.gas_used * receipt.effective_gas_price
    assert (balance(world, hub.address), balance(world, pyth.strict.address)) == (0, 0)
    assert pyth.sdk.call("getPriceUnsafe", OTHER_ID)[0] == 5
    with reverts_with("UpdateFeeMissing", 2 * FEE - 1, 2 * FEE):
        hub.transact("updatePyth", updates, value=2 * FEE - 1)
    hub.transact("setPyth", ZERO)
    with reverts_with("PythNotSet"):
        hub.transact("updatePyth", updates, value=1000)


# ── first price after a time ────────────────────────────────────────────────────────────────────────────────────────


def test_first_update_after_the_time_is_the_price(pyth: PythWorld) -> None:
    world = pyth.world
    now = world.warp(100)
    # published at now − 50, the one before it at now − 60
    data = pyth.update(2100 * 10**8, now - 50, previous=now - 60, conf=63 * 10**8)
    for not_before in (now - 59, now - 50):
        spot = world.first_after(ETH, not_before, hint(data), value=FEE)
        assert (spot.price, spot.publish_time, spot.band_ppm) == (2100 * WAD, now - 50, 30_000)
        assert spot.flags == PriceFlags.UNCERTAIN
    for not_before in (now - 60, now - 61, now - 49):
        with reverts_with("NotFirstPrice", ETH, not_before, 0):
            world.first_after(ETH, not_before, hint(data), value=FEE)
    with reverts_with("NoPriceYet", ETH, now + 1):
        world.first_after(ETH, now + 1, hint(data), value=FEE)


def test_one_update_of_a_stream_at_most_is_admissible(pyth: PythWorld) -> None:
    world = pyth.world
    now = world.warp(100)
    published = [now - 90, now - 70, now - 69, now - 40, now - 1]
    stream = [pyth.update(PRICE + i, time, previous=[now - 95, *published][i]) for i, time in enumerate(published)]
    for not_before in range(now - 94, now + 1):
        wanted = next((i for i, time in enumerate(published) if time >= not_before), None)
        for i, data in enumerate(stream):
            if i == wanted:
                assert world.first_after(ETH, not_before, hint(data), value=FEE).publish_time == published[i]
                continue
            with reverts_with("NotFirstPrice", ETH, not_before, 0):
                world.first_after(ETH, not_before, hint(data), value=FEE)


def test_update_of_another_feed_or_from_the_future_is_refused(pyth: PythWorld) -> None:
    world = pyth.world
    now = world.warp(100)
    for data in (
        pyth.update(PRICE, now - 5, previous=now - 20, feed_id=OTHER_ID),
        pyth.update(PRICE, now + 5, previous=now - 20),
    ):
        with reverts_with("NotFirstPrice", ETH, now - 10, 0):
            world.first_after(ETH, now - 10, hint(data), value=FEE)


def test_malformed_hints_are_refused_by_name(pyth: PythWorld) -> None:
    world = pyth.world
    now = world.warp(100)
    good = hint(pyth.update(PRICE, now - 5, previous=now - 20))
    truncated, misplaced = good[:-64], (64).to_bytes(32) + good[32:]
    huge = good[:32] + b"\xff" * 32 + good[64:]
    for bad in (b"", b"\1", good[:32], truncated, misplaced, huge, hint(b"garbage"), hint()):
        with reverts_with("NotFirstPrice", ETH, now - 10, 0):
            world.first_after(ETH, now - 10, bad, value=FEE)
    assert world.first_after(ETH, now - 10, good, value=FEE).publish_time == now - 5


def test_fee_is_paid_from_the_value_and_the_rest_returned(pyth: PythWorld) -> None:
    world, hub = pyth.world, pyth.world.hub
    now = world.warp(100)
    data = hint(pyth.update(PRICE, now - 5, previous=now - 20))
    with reverts_with("UpdateFeeMissing", FEE - 1, FEE):
        hub.transact("firstAfter", ETH, now - 10, data, value=FEE - 1)
    sender = world.stranger
    before, state = balance(world, sender.address), world.state()
    receipt = hub.transact("firstAfter", ETH, now - 10, data, value=1000, sender=sender)
    assert before - balance(world, sender.address) == FEE + receipt.gas_used * receipt.effective_gas_price
    assert balance(world, hub.address) == 0
    assert [log for log in receipt.logs if log["address"].lower() == hub.address.lower()] == []
    assert world.state() == state


def test_price_that_is_none_is_invalid_with_the_last_valid_one(pyth: PythWorld) -> None:
    world = pyth.world
    now = world.warp(100)
    data = hint(pyth.update(-5, now - 5, previous=now - 20))
    spot = world.first_after(ETH, now - 10, data, value=FEE)
    assert (spot.flags, spot.price, spot.publish_time) == (PriceFlags.INVALID, 2000 * WAD, now - 5)


def test_mock_of_the_sdk_itself_serves_reads_updates_and_parsing(chain: PythWorld) -> None:
    """The mock without the strict one in front of it; it does not look at the previous publish time."""
    world, hub = chain.world, chain.world.hub
    with world.anvil.snapshot():
        hub.transact("setPyth", chain.sdk.address)
        chain.store(PRICE)
        world.list_asset(ETH, world.config(chain.sdk, kind=2, pythId=FEED_ID))
        time = chain.store(2100 * 10**8)
        assert world.peek().spot.price == 2100 * WAD
        data = hint(chain.update(2050 * 10**8, time, previous=time - 5))
        assert world.first_after(ETH, time - 3, data, value=FEE).price == 2050 * WAD
        with reverts_with("NotFirstPrice", ETH, time + 1, 0):
            world.warp(10)
            world.first_after(ETH, time + 1, data, value=FEE)
