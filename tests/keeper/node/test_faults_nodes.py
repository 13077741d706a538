"""Following while nodes fail: transport faults, sockets, laggards, strangers, and very full blocks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from tests.keeper.node.following import Following, busy, kinds
from tests.support.faults.kinds import TransportFaults
from tests.support.faults.proxy import FaultProxy
from tests.support.protocol import Protocol

from plimsoll.chain.abi import FunctionAbi
from plimsoll.keeper.node.errors import IncompleteLogsError, NoProviderError
from plimsoll.keeper.node.heads import Heads
from plimsoll.keeper.node.steps import BlockTaken
from plimsoll.keeper.rows import Kind

DEPOSITS_PER_CALL = 250


@pytest.fixture
def proxies(protocol: Protocol) -> Iterator[list[FaultProxy]]:
    with ExitStack() as stack:
        yield [stack.enter_context(FaultProxy(protocol.anvil.url, seed=seed)) for seed in (1, 2)]


def follow(following: Following, *, tries: int) -> int:
    """Follows until the head of the chain is reached; how often it took."""
    head = following.protocol.anvil.block_number()
    for attempt in range(1, tries + 1):
        following.try_run()
        reached = following.follower.head
        if reached is not None and reached.number == head:
            return attempt
    raise AssertionError(f"block {head} was not reached in {tries} attempts")


@pytest.mark.parametrize("count", [1, 2])
def test_f1_a_third_of_all_answers_broken(protocol: Protocol, proxies: list[FaultProxy], count: int) -> None:
    used = proxies[:count]
    following = Following(protocol, urls=[proxy.url for proxy in used], timeout=0.15, settled=10, longest=20)
    for proxy in used:
        proxy.transport = TransportFaults.all_kinds(0.3)
    follow(following, tries=200)
    for sub in range(4):
        busy(protocol, sub=sub)
        follow(following, tries=100)
    failed = sum((proxy.failed for proxy in used), start=type(used[0].failed)())
    assert set(failed) == {"timeout", "rate_limited", "server_error", "cut"}
    assert following.follower.stats.resyncs == 0
    following.check()
    following.close()


def test_f2_blocks_are_taken_whatever_the_socket_does(protocol: Protocol, proxies: list[FaultProxy]) -> None:
    proxy = proxies[0]
    following = Following(protocol, urls=[proxy.url])
    following.run()

    async def blocks() -> list[float]:
        """Seconds until a new block was taken, while the socket suffers one fault after the other."""
        heads = Heads([proxy.ws_url], heartbeat=0.5)
        heads.start()
        waited = []
        try:
            async with following.rpc:
                for fault in ("none", "polite", "reset", "dark", "refused", "none"):
                    if fault == "polite":
                        await asyncio.to_thread(proxy.close_sockets_politely)
                    elif fault == "reset":
                        await asyncio.to_thread(proxy.reset_sockets)
                    proxy.sockets.black_hole = fault == "dark"
                    proxy.sockets.refuse = fault == "refused"
                    await asyncio.to_thread(protocol.anvil.mine)
                    began = time.monotonic()
                    while not await following.once():
                        await heads.wait(0.3)
                    heads.saw(following.follower.head.hash if following.follower.head else "")
                    waited.append(time.monotonic() - began)
        finally:
            await heads.close()
        return waited

    assert max(asyncio.run(blocks())) < 3
    following.check()
    following.close()


def test_f10_a_laggard_and_a_stranger_are_not_read(protocol: Protocol, proxies: list[FaultProxy]) -> None:
    first, second = proxies
    following = Following(protocol, urls=[first.url, second.url])
    following.run()
    first.lag = 5
    busy(protocol)
    assert kinds(following.run()) == ["BlockTaken"]
    before = first.counts["eth_getLogs"]
    protocol.anvil.mine(2)
    following.run()
    assert first.counts["eth_getLogs"] == before
    first.heal()
    first.chain_id = 10
    first.down = True
    following.try_run()
    first.down = False
    busy(protocol, sub=1)
    assert kinds(following.run()) == ["BlockTaken"]
    assert [view.state for view in following.rpc.status()] == ["wrong chain", "ok"]
    second.chain_id = 10
    second.down = True
    following.try_run()
    second.down = False
    with pytest.raises(NoProviderError, match="is of chain 10"):
        following.run()
    for proxy in proxies:
        proxy.heal()
    following.run()
    assert following.follower.stats.reorgs == 0
    following.check()
    following.close()


def test_f10_a_frozen_node_is_left_and_its_old_head_does_no_harm(protocol: Protocol, proxies: list[FaultProxy]) -> None:
    first, second = proxies
    following = Following(protocol, urls=[first.url, second.url])
    following.run()
    first.freeze()
    for sub in range(3):
        busy(protocol, sub=sub)
        following.run()
    assert following.follower.head is not None
    assert following.follower.head.number == protocol.anvil.block_number()
    assert following.follower.stats.reorgs == 0
    following.check()
    following.close()


def test_a_node_that_leaves_logs_and_receipts_out_is_left_itself(protocol: Protocol, proxies: list[FaultProxy]) -> None:
    liar, other = proxies
    following = Following(protocol, urls=[liar.url, other.url])
    following.run()
    liar.hide_logs = liar.hide_receipts = True
    busy(protocol)
    with pytest.raises(IncompleteLogsError, match="not those of its bloom"):
        following.run()
    assert kinds(following.run()) == ["BlockTaken"]
    assert [view.used for view in following.rpc.status()] == [False, True]
    following.check()
    following.close()


def full_block(p: Protocol, logs: int) -> None:
    """One block with so many deposits, each to an account of its own."""
    limit = hex(3_000_000_000)
    p.rpc.request("evm_setBlockGasLimit", [limit])
    p.mint("USDC", p.trader, logs)
    p.approve("USDC", p.trader)
    deposit = FunctionAbi.of(next(item for item in p.clearinghouse.abi if item.get("name") == "deposit"))
    token = p.tokens["USDC"].address
    p.anvil.set_automine(False)
    try:
        for start in range(0, logs, DEPOSITS_PER_CALL):
            subs = range(1_000 + start, 1_000 + min(start + DEPOSITS_PER_CALL, logs))
            calls = [bytes.fromhex(deposit.encode([p.account(p.trader, sub=sub), token, 10**6])[2:]) for sub in subs]
            p.clearinghouse.submit("multicall", calls, sender=p.trader, gas=100_000 * len(subs))
        p.anvil.mine()
    finally:
        p.anvil.set_automine(True)


def test_f13_five_thousand_logs_in_one_block(protocol: Protocol, proxies: list[FaultProxy]) -> None:
    following = Following(protocol, urls=[protocol.anvil.url], timeout=30.0)
    following.run()
    full_block(protocol, 5_000)
    following.run(until=lambda step: isinstance(step, BlockTaken) and len(step.transactions) == 1)
    began = time.process_time()
    steps = following.run()
    seconds = time.process_time() - began
    last = steps[-1]
    assert isinstance(last, BlockTaken)
    assert len(last.logs) == 5_000
    assert sum(kind == Kind.ACCOUNT for kind, _, _ in last.rows) == 5_000
    assert seconds < 3, f"{seconds * 1000:.0f} ms"
    assert following.follower.reader.proofs.doubted == 0, "a bloom that is full is no evidence"
    following.check()
    following.close()
