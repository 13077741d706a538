"""Simulation of exact calls on an exact parent, causes of reverts, batches and the poison in them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.keeper.sending.stage import ARENA, NOTHING_ON_SALE, Stage, played

from plimsoll.chain.errors import BareRevert, ContractRevert, Panic, Revert, RpcError, StringRevert
from plimsoll.chain.receipt import ErrorRegistry
from plimsoll.keeper.node.rpc import Rpc
from plimsoll.keeper.sending.simulate import (
    Call,
    Cause,
    Dropped,
    Fitted,
    Simulated,
    Simulator,
    Way,
    cause_of,
    fit,
    pack,
)

SENDER = "0x00000000000000000000000000000000000000aA"


def call(number: int, gas: int = 100_000) -> Call:
    return Call(SENDER, ARENA, number.to_bytes(32, "big"), gas)


@pytest.mark.parametrize("way", list(Way))
@played
async def test_a_call_is_simulated_on_top_of_the_block_that_is_named(stage: Stage, way: Way) -> None:
    rpc = Rpc(stage.proxy.url)
    simulator = Simulator(rpc, ErrorRegistry([NOTHING_ON_SALE]))
    before = stage.header()
    assert await simulator.probe(before.hash) is Way.SIMULATE
    simulator.way = way
    stage.chain.mine()
    stage.chain.rpc.request("anvil_setStorageAt", [ARENA, "0x7", f"0x{1:064x}"])
    stage.chain.mine()
    after = stage.header()
    free, taken = await simulator.run([call(6), call(7)], after.hash, after.time + 12)
    assert free.ok
    assert free.gas_used is None or 43_000 < free.gas_used < 50_000
    assert (free.gas_used is None) == (way is not Way.SIMULATE)
    assert taken.cause is Cause.LOST_RACE
    assert isinstance(taken.revert, ContractRevert)
    assert taken.revert.name == "NothingOnSale"
    (then,) = await simulator.run([call(7)], before.hash)
    assert then.ok, "two blocks before nobody had been there"
    (starved,) = await simulator.run([call(6, gas=30_000)], after.hash)
    assert not starved.ok
    assert starved.cause is Cause.OUR_BUG
    with pytest.raises(RpcError):
        await simulator.run([call(6)], "0x" + "11" * 32)
    assert stage.proxy.total_sends == 0
    await rpc.close()


class PlainNode:
    """Knows neither overrides nor `eth_simulateV1`, as some light clients and proxies do."""

    async def request(self, method: str, params: Sequence[Any] = ()) -> Any:
        raise RpcError(-32601, "the method does not exist", method=method)

    async def batch(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        return ["0x" + "00" * 32 if method == "eth_call" else RpcError(-32601, "no such method") for method, _ in calls]


def test_a_plain_node_is_asked_plainly() -> None:
    simulator = Simulator(PlainNode(), ErrorRegistry())
    assert asyncio.run(simulator.probe("0x" + "11" * 32)) is Way.PLAIN


def named(name: str) -> Revert:
    return ContractRevert(name, {}, f"{name}()", b"")


@pytest.mark.parametrize(
    ("revert", "cause"),
    [
        (named("NothingToStrike"), Cause.LOST_RACE),
        (named("OrderNotPending"), Cause.LOST_RACE),
        (named("SalePrice"), Cause.PRICE_MOVED),
        (named("PriceRefused"), Cause.PRICE_MOVED),
        (named("OrderInTheMiddle"), Cause.STALE_MIRROR),
        (named("MarketSettled"), Cause.STALE_MIRROR),
        (named("ERC20InsufficientAllowance"), Cause.FUNDS),
        (StringRevert("ERC20: transfer amount exceeds balance"), Cause.FUNDS),
        (named("SomethingNew"), Cause.OUR_BUG),
        (Panic(0x11), Cause.OUR_BUG),
        (BareRevert(), Cause.OUR_BUG),
    ],
)
def test_a_revert_tells_whose_doing_it_is(revert: Revert, cause: Cause) -> None:
    assert cause_of(revert) is cause


def fitted(codes: dict[int, int], poison: set[int]) -> tuple[list[Fitted[int]], list[Dropped[int]], int]:
    """What `fit` makes of items whose codes are known and some of which spoil any batch; and with how many calls."""
    asked = 0

    async def run(items: Sequence[int]) -> Simulated:
        nonlocal asked
        asked += 1
        if poison & set(items):
            return Simulated(b"", None, BareRevert())
        return Simulated(bytes(codes[item] for item in items))

    batches, dropped = asyncio.run(
        fit(list(codes), run, lambda simulated: list(simulated.output), lambda _, code: code > 0)
    )
    return batches, dropped, asked


@given(st.lists(st.integers(0, 3), max_size=40), st.sets(st.integers(0, 39), max_size=4))
def test_exactly_what_acts_is_kept_and_every_drop_has_its_reason(codes: list[int], poison: set[int]) -> None:
    known = dict(enumerate(codes))
    poison &= known.keys()
    batches, dropped, asked = fitted(known, poison)
    kept = [item for batch in batches for item in batch.items]
    assert kept == [item for item, code in known.items() if code and item not in poison]
    assert {one.item for one in dropped if one.poisons} == poison
    assert {one.item: one.code for one in dropped if not one.poisons} == {
        item: 0 for item, code in known.items() if not code and item not in poison
    }
    for batch in batches:
        assert all(batch.simulated.output), "each batch is simulated as it is sent"
        assert len(batch.simulated.output) == len(batch.items)
    assert asked <= 2 + 2 * len(codes)


def test_one_poisoned_of_a_thousand_is_found_in_a_few_calls() -> None:
    _, dropped, asked = fitted(dict.fromkeys(range(1_000), 1), {617})
    assert [one.item for one in dropped] == [617]
    assert asked <= 2 * 10 + 1


@given(
    st.lists(st.tuples(st.integers(1, 10**6), st.integers(0, 10**24)), max_size=30),
    st.integers(10**5, 3 * 10**6),
    st.integers(0, 50_000),
)
def test_batches_hold_everything_once_keep_to_the_gas_and_begin_with_the_worthiest(
    items: list[tuple[int, int]], most: int, fixed: int
) -> None:
    gas, worth = [item[0] for item in items], [item[1] for item in items]
    batches = pack(range(len(items)), gas, worth, most, fixed)
    flat = [at for batch in batches for at in batch]
    assert sorted(flat) == list(range(len(items)))
    for batch in batches:
        assert len(batch) == 1 or fixed + sum(gas[at] for at in batch) <= most
    ratios = [worth[at] * 10**18 // gas[at] for at in flat]
    assert ratios == sorted(ratios, reverse=True)
