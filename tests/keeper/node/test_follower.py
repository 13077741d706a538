"""Following a real chain: forward, backward, from the beginning, and after an absence."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.keeper.node.following import Following, busy, kinds
from tests.support.protocol import Protocol

from plimsoll.chain.errors import NodeTimeout, NodeUnavailable, RpcError
from plimsoll.keeper.errors import UnsafeStateError
from plimsoll.keeper.node.errors import HeadMovedError
from plimsoll.keeper.node.steps import BlockTaken, ChunkTaken, Reorged, Resynced, Step
from plimsoll.keeper.rows import Kind
from plimsoll.keeper.storage.errors import DatabaseFullError


@pytest.fixture
def following(protocol: Protocol) -> Iterator[Following]:
    found = Following(protocol)
    yield found
    found.close()


# ── forward ──────────────────────────────────────────────────────────────────


def test_new_blocks_are_taken_one_by_one(protocol: Protocol, following: Following) -> None:
    following.run()
    assert following.run() == []
    busy(protocol)
    steps = following.run()
    assert kinds(steps) == ["BlockTaken"]
    assert isinstance(steps[-1], BlockTaken)
    assert steps[-1].header.number == protocol.anvil.block_number()
    assert len(steps[-1].transactions) == 1
    assert any(kind == Kind.POSITION for kind, _, _ in steps[-1].rows)
    following.check()


def test_a_known_parent_costs_one_round_trip(protocol: Protocol, following: Following) -> None:
    following.run()
    protocol.deposit(protocol.account(protocol.trader), 1_000)
    head = protocol.anvil.block_number()
    while following.follower.head is None or following.follower.head.number < head - 1:
        following.run(until=lambda step: isinstance(step, BlockTaken) and step.header.number == head - 1)
    following.client.seen.clear()
    following.run()
    assert [method for method, _ in following.client.seen] == ["eth_getLogs", "eth_getBlockByHash"]


def test_logs_are_asked_for_by_hash_only(protocol: Protocol, following: Following) -> None:
    following.run()
    busy(protocol)
    following.client.seen.clear()
    following.run()
    queries = following.client.asked("eth_getLogs")
    assert queries
    assert all(set(query) == {"blockHash", "address"} for query in queries)


def test_a_restart_reads_nothing_older_than_its_cursor(protocol: Protocol, tmp_path: Path) -> None:
    first = Following(protocol, tmp_path / "db")
    first.run()
    reached = first.follower.head
    assert reached is not None
    first.close()
    busy(protocol)
    second = Following(protocol, tmp_path / "db")
    assert second.follower.head is None
    second.sink.reload(second.follower.load())
    assert second.sink.rows == first.sink.rows
    assert second.follower.head == reached
    second.run()
    asked = [int(number, 16) for number in second.client.asked("eth_getBlockByNumber")]
    assert min(asked, default=reached.number + 1) > reached.number
    assert all("blockHash" in query for query in second.client.asked("eth_getLogs"))
    second.check()
    second.close()


# ── from the beginning ───────────────────────────────────────────────────────


def test_a_cold_start_ends_before_the_head_and_goes_on_block_by_block(protocol: Protocol) -> None:
    protocol.anvil.mine(50)
    following = Following(protocol, settled=20, longest=30)
    steps = following.run()
    assert kinds(steps) == ["ChunkTaken", "BlockTaken"]
    chunks = [step for step in steps if isinstance(step, ChunkTaken)]
    assert sum(step.blocks for step in chunks) + 20 + following.follower._first == protocol.anvil.block_number() + 1
    assert max(step.blocks for step in chunks) == 30
    assert len(steps) - len(chunks) == 20
    following.check()
    following.close()


def test_a_cold_start_goes_on_where_it_was_interrupted(protocol: Protocol, tmp_path: Path) -> None:
    protocol.anvil.mine(60)
    options: dict[str, Any] = {"settled": 20, "longest": 9}
    whole = Following(protocol, **options)
    whole.run()
    asked: list[int] = []
    for attempt in range(200):
        part = Following(protocol, tmp_path / "db", **options)
        left = 1 + attempt % 3

        def enough(_: Step) -> bool:
            nonlocal left
            left -= 1
            return left == 0

        steps = part.run(until=enough)
        asked += [int(q["fromBlock"], 16) for q in part.client.asked("eth_getLogs") if "fromBlock" in q]
        part.close()
        if not steps or isinstance(steps[-1], BlockTaken):
            break
    assert len(set(asked)) == len(asked), "no range is read twice"
    last = Following(protocol, tmp_path / "db", **options)
    last.run()
    assert last.repository.state_hash() == whole.repository.state_hash()
    assert last.sink.rows == whole.sink.rows
    last.close()
    whole.close()


def test_a_follower_killed_again_and_again_ends_where_one_left_alone_does(protocol: Protocol, tmp_path: Path) -> None:
    options: dict[str, Any] = {"settled": 20, "longest": 9}
    killed = 0
    for turn, seconds in enumerate((0.01, 0.02, 0.05, 0.1, 0.15, 0.2)):
        busy(protocol, sub=turn)
        protocol.anvil.mine(15)
        child = os.fork()
        if child == 0:
            try:
                Following(protocol, tmp_path / "db", **options).run()
            finally:
                os._exit(0)
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
        killed += os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert killed
    last = Following(protocol, tmp_path / "db", **options)
    last.run()
    last.check()
    whole = Following(protocol, **options)
    whole.run()
    assert last.repository.state_hash() == whole.repository.state_hash()
    last.close()
    whole.close()


def test_an_interrupted_cold_start_begins_anew_on_another_history(protocol: Protocol, tmp_path: Path) -> None:
    snapshot = protocol.anvil.take_snapshot()
    busy(protocol)
    protocol.anvil.mine(40)
    following = Following(protocol, tmp_path / "db", settled=20, longest=9)
    following.run(until=lambda step: isinstance(step, ChunkTaken))
    following.close()
    protocol.anvil.revert(snapshot)
    busy(protocol, sub=1)
    protocol.anvil.mine(50)
    following = Following(protocol, tmp_path / "db", settled=20, longest=9)
    steps = following.run()
    assert kinds(steps) == ["Resynced", "ChunkTaken", "BlockTaken"]
    following.check()
    following.close()


def test_before_the_deployment_there_is_nothing_to_follow(protocol: Protocol) -> None:
    following = Following(protocol, first_block=10**6)
    with pytest.raises(HeadMovedError, match="the deployment begins in 1000000"):
        following.run()
    following.close()


# ── after an absence ─────────────────────────────────────────────────────────


def test_a_long_absence_is_made_up_for_in_chunks(protocol: Protocol, following: Following) -> None:
    following.run()
    busy(protocol)
    protocol.anvil.mine(400)
    busy(protocol, sub=1)
    steps = following.run()
    assert kinds(steps) == ["ChunkTaken", "BlockTaken"]
    assert len([step for step in steps if isinstance(step, BlockTaken)]) == 256
    following.check()


@pytest.mark.parametrize(
    ("most", "words"),
    [
        (40, RpcError(-32005, "query exceeds the range", None)),
        (100, NodeUnavailable("a gateway", "HTTP 504", "wait")),
        (40, NodeTimeout("a node", "no answer", "wait")),
    ],
)
def test_ranges_grow_and_shrink_to_what_the_node_bears(protocol: Protocol, most: int, words: Exception) -> None:
    protocol.anvil.mine(300)

    def narrow(method: str, params: Any, answer: Any) -> Any:
        if method == "eth_getLogs" and "fromBlock" in params[0]:
            span = int(params[0]["toBlock"], 16) - int(params[0]["fromBlock"], 16) + 1
            if span > most:
                return words
        return answer

    following = Following(protocol, settled=20)
    following.client.change = narrow
    spans = [step.blocks for step in following.run() if isinstance(step, ChunkTaken)]
    assert max(spans) <= most
    assert len(spans) < 30
    following.close()


@pytest.mark.parametrize("words", [RpcError(-32005, "no", None), NodeUnavailable("a node", "HTTP 503", "wait")])
def test_a_node_that_gives_no_logs_at_all_is_given_up(protocol: Protocol, words: Exception) -> None:
    protocol.anvil.mine(300)
    following = Following(protocol, settled=20)
    following.client.change = lambda method, _, answer: words if method == "eth_getLogs" else answer
    with pytest.raises(type(words)):
        following.run()
    asked = following.client.asked("eth_getLogs")
    assert len(asked) < 15
    following.client.change = None
    following.run()
    following.check()
    following.close()


# ── backward ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("depth", [1, 2, 17, 60])
def test_another_history_replaces_the_last_blocks(protocol: Protocol, following: Following, depth: int) -> None:
    busy(protocol)
    protocol.anvil.mine(70)
    snapshot = protocol.anvil.take_snapshot()
    start = protocol.anvil.block_number()
    protocol.clearinghouse.transact("accrue", protocol.market("ETH"), sender=protocol.keeper)
    for _ in range(depth - 1):
        protocol.anvil.mine()
    following.run()
    protocol.anvil.revert(snapshot)
    protocol.deposit(protocol.account(protocol.other_trader), 3_000)
    protocol.anvil.mine(depth)
    steps = following.run()
    assert kinds(steps) == ["Reorged", "BlockTaken"]
    assert isinstance(steps[0], Reorged)
    assert (steps[0].to.number, steps[0].depth) == (start, depth)
    assert following.follower.stats.deepest_reorg == depth
    following.check()


def test_a_shorter_history_that_differs_is_followed_at_once(protocol: Protocol, following: Following) -> None:
    protocol.anvil.mine(70)
    snapshot = protocol.anvil.take_snapshot()
    busy(protocol)
    following.run()
    protocol.anvil.revert(snapshot)
    protocol.deposit(protocol.account(protocol.other_trader), 3_000)
    assert kinds(following.run()) == ["Reorged", "BlockTaken"]
    following.check()


def test_a_node_that_went_back_is_believed_the_third_time(protocol: Protocol, following: Following) -> None:
    protocol.anvil.mine(70)
    snapshot = protocol.anvil.take_snapshot()
    busy(protocol)
    following.run()
    protocol.anvil.revert(snapshot)
    assert following.run() == []
    assert following.run() == []
    steps = following.run()
    assert kinds(steps) == ["Reorged"]
    following.check()
    assert following.run() == []


def test_a_head_that_is_merely_late_changes_nothing(protocol: Protocol, following: Following) -> None:
    protocol.anvil.mine(70)
    following.run()
    head = following.follower.head
    assert head is not None
    late = following.repository.headers()[-3]

    async def follow_late() -> list[Step]:
        async with following.rpc:
            return [step async for step in following.follower.follow(late)]

    for _ in range(5):
        assert asyncio.run(follow_late()) == []
    assert following.follower.head == head


def test_a_history_deeper_than_what_can_be_undone_is_read_from_the_beginning(protocol: Protocol) -> None:
    snapshot = protocol.anvil.take_snapshot()
    busy(protocol)
    protocol.anvil.mine(40)
    following = Following(protocol, settled=5)
    following.run()
    protocol.anvil.revert(snapshot)
    busy(protocol, sub=1)
    protocol.anvil.mine(40)
    steps = following.run()
    assert kinds(steps) == ["Resynced", "ChunkTaken", "BlockTaken"]
    assert isinstance(steps[0], Resynced)
    assert following.follower.stats.resyncs == 1
    following.check()
    following.close()


def test_another_history_during_a_long_absence(protocol: Protocol, following: Following) -> None:
    protocol.anvil.mine(70)
    snapshot = protocol.anvil.take_snapshot()
    busy(protocol)
    following.run()
    protocol.anvil.revert(snapshot)
    protocol.deposit(protocol.account(protocol.other_trader), 3_000)
    protocol.anvil.mine(400)
    assert kinds(following.run()) == ["Reorged", "ChunkTaken", "BlockTaken"]
    following.check()


# ── a database that refuses ──────────────────────────────────────────────────


def test_a_block_that_the_database_refuses_is_not_given_to_the_mirror_twice(
    protocol: Protocol, following: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    following.run()
    busy(protocol)

    def full(*_: Any) -> None:
        raise DatabaseFullError("no room")

    with monkeypatch.context() as patch:
        patch.setattr(type(following.repository), "save_block", full)
        for _ in range(3):
            with pytest.raises(DatabaseFullError):
                following.run()
    assert kinds(following.run()) == ["BlockTaken"]
    following.check()


def test_a_block_refused_and_then_replaced_is_undone_in_the_mirror(
    protocol: Protocol, following: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    following.run()
    snapshot = protocol.anvil.take_snapshot()
    protocol.deposit(protocol.account(protocol.trader), 2_000)

    def full(*_: Any) -> None:
        raise DatabaseFullError("no room")

    with monkeypatch.context() as patch:
        patch.setattr(type(following.repository), "save_block", full)
        with pytest.raises(DatabaseFullError):
            following.run()
    protocol.anvil.revert(snapshot)
    protocol.deposit(protocol.account(protocol.trader), 4_000)
    following.run()
    following.check()


def test_unsafe_states_have_their_own_exit_code() -> None:
    assert issubclass(DatabaseFullError, UnsafeStateError)
