"""What a node leaves out, invents or mixes up is found, and where possible made good."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from tests.keeper.node.following import Change, Following, busy
from tests.support.faults.proxy import FaultProxy
from tests.support.protocol import Protocol

from plimsoll.chain.errors import RpcError
from plimsoll.keeper.errors import UnsafeStateError
from plimsoll.keeper.node.errors import BadAnswerError, HeadMovedError, IncompleteLogsError, UndecodableLogError
from plimsoll.keeper.node.steps import BlockTaken, Resynced

Logs = list[dict[str, Any]]
SECOND = "0x2"
"""Index of the second deposit's log: each comes before the transfer of its token."""


@pytest.fixture
def following(protocol: Protocol) -> Iterator[Following]:
    found = Following(protocol)
    found.run()
    yield found
    found.close()


def with_logs(edit: Callable[[Logs], Any], *methods: str) -> Change:
    """Changes lists of logs, of `eth_getLogs` unless told otherwise."""

    def change(method: str, params: Sequence[Any], answer: Any) -> Any:
        if method in (methods or ("eth_getLogs",)) and isinstance(answer, list) and answer:
            if method == "eth_getBlockReceipts":
                return [{**receipt, "logs": edit(receipt["logs"])} for receipt in answer]
            return edit(answer)
        return answer

    return change


def deposits_in_a_block(p: Protocol, *subs: int) -> None:
    """Logs of the same kind in one block: its bloom cannot tell whether one is missing."""
    p.mint("USDC", p.trader, 1_000)
    p.approve("USDC", p.trader)
    p.anvil.set_automine(False)
    try:
        for sub in subs:
            account = p.account(p.trader, sub=sub)
            p.clearinghouse.submit("deposit", account, p.tokens["USDC"].address, 10**6, sender=p.trader)
        p.anvil.mine()
    finally:
        p.anvil.set_automine(True)


# ── left out ─────────────────────────────────────────────────────────────────


def test_logs_left_out_are_found_in_the_receipts(protocol: Protocol) -> None:
    with FaultProxy(protocol.anvil.url) as proxy:
        following = Following(protocol, urls=[proxy.url])
        following.run()
        proxy.hide_logs = True
        busy(protocol)
        following.run()
        proofs = following.follower.reader.proofs
        assert proofs.doubted == proofs.repaired > 0
        assert proxy.counts["eth_getBlockReceipts"] == proofs.doubted
        proxy.heal()
        following.check()
        following.close()


def test_a_node_without_block_receipts_is_asked_for_each(protocol: Protocol, following: Following) -> None:
    hidden = with_logs(lambda logs: [])

    def change(method: str, params: Sequence[Any], answer: Any) -> Any:
        if method == "eth_getBlockReceipts":
            return RpcError(-32601, "the method does not exist", None, method=method)
        return hidden(method, params, answer)

    following.client.change = change
    busy(protocol)
    following.run()
    assert following.client.asked("eth_getTransactionReceipt")
    following.check()


@pytest.mark.parametrize("kept", [slice(1, None), slice(0, -1)])
def test_one_of_several_kinds_of_logs_is_missed_by_the_bloom(
    protocol: Protocol, following: Following, kept: slice
) -> None:
    busy(protocol)
    following.client.change = with_logs(lambda logs: logs[kept] if len(logs) > 1 else logs)
    following.run()
    following.check()


def test_one_of_two_like_logs_is_missed_by_its_account(protocol: Protocol, following: Following) -> None:
    deposits_in_a_block(protocol, 3, 4)
    following.client.change = with_logs(lambda logs: logs[:1] if len(logs) == 2 else logs)
    steps = following.run()
    assert len(steps[-1].logs if isinstance(steps[-1], BlockTaken) else ()) == 1
    # the other account's version jumps with its next log
    following.client.change = None
    protocol.deposit(protocol.account(protocol.trader, sub=4), 5)
    steps = following.run()
    assert any(isinstance(step, Resynced) for step in steps)
    assert following.follower.stats.gaps == 1
    following.check()


def test_a_gap_within_a_block_is_closed_by_its_receipts(protocol: Protocol, following: Following) -> None:
    deposits_in_a_block(protocol, 3, 3, 3)
    following.client.change = with_logs(lambda logs: [logs[0], logs[2]] if len(logs) == 3 else logs)
    steps = following.run()
    assert not any(isinstance(step, Resynced) for step in steps)
    assert (following.follower.stats.gaps, following.follower.reader.proofs.repaired) == (1, 1)
    following.check()


def test_a_gap_that_nothing_closes_is_unsafe(protocol: Protocol, following: Following) -> None:
    deposits_in_a_block(protocol, 3, 4)
    protocol.deposit(protocol.account(protocol.trader, sub=4), 5)
    protocol.anvil.mine(70)
    following.client.change = with_logs(
        lambda logs: [log for log in logs if log["logIndex"] != SECOND or len(log["topics"]) != 4]
    )
    with pytest.raises(UnsafeStateError, match="use a node that keeps all logs"):
        following.run()
    fresh = Following(protocol)
    fresh.client.change = following.client.change
    with pytest.raises(UnsafeStateError, match="use a node that keeps all logs"):
        fresh.run()
    fresh.client.change = None
    fresh.run()
    fresh.check()
    fresh.close()


def test_receipts_that_are_incomplete_too_are_refused(protocol: Protocol, following: Following) -> None:
    busy(protocol)
    following.client.change = with_logs(lambda logs: [], "eth_getLogs", "eth_getBlockReceipts")
    with pytest.raises(IncompleteLogsError, match="not those of its bloom"):
        following.run()
    following.client.change = None
    following.run()
    following.check()


def test_a_block_with_more_logs_than_the_node_gives_is_read_from_receipts(
    protocol: Protocol, following: Following
) -> None:
    def change(method: str, params: Sequence[Any], answer: Any) -> Any:
        return RpcError(-32005, "query returned more than 10 results", None) if method == "eth_getLogs" else answer

    busy(protocol)
    following.client.change = change
    following.run()
    following.check()


# ── invented or mixed up ─────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "edit",
    [
        lambda logs: [{**log, "blockHash": "0x" + "12" * 32} for log in logs],
        lambda logs: [*logs, logs[0]],
        lambda logs: logs[::-1] if len(logs) > 1 else [*logs, *logs],
        lambda logs: [{**log, "topics": ["0x" + "ee" * 32, *log["topics"][1:]]} for log in logs],
        lambda logs: [{**log, "address": "0x" + "ee" * 20} for log in logs],
        lambda logs: [{**log, "removed": True} for log in logs],
        lambda logs: [{**log, "logIndex": None} for log in logs],
        lambda logs: {"logs": logs},
        lambda logs: [None],
    ],
)
def test_logs_that_cannot_be_of_the_block_are_refused(
    protocol: Protocol, following: Following, edit: Callable[[Logs], Any]
) -> None:
    busy(protocol)
    following.client.change = with_logs(edit)
    with pytest.raises(BadAnswerError):
        following.run()
    assert following.follower.reader.proofs.refused == 1
    following.client.change = None
    following.run()
    following.check()


@pytest.mark.parametrize(
    "edit",
    [
        lambda logs: logs[::-1],
        lambda logs: [{**log, "blockNumber": "0xffff"} for log in logs],
        lambda logs: [{**log, "blockNumber": "0x0"} for log in logs],
        lambda logs: [*logs[:-1], {**logs[-2], "blockHash": "0x" + "12" * 32, "logIndex": "0xfff"}],
        lambda logs: [{**log, "blockNumber": 5} for log in logs],
    ],
)
def test_old_logs_out_of_order_are_refused(protocol: Protocol, edit: Callable[[Logs], Any]) -> None:
    fresh = Following(protocol, settled=5)
    fresh.client.change = with_logs(edit)
    with pytest.raises(BadAnswerError):
        fresh.run()
    fresh.client.change = None
    fresh.run()
    fresh.check()
    fresh.close()


def test_a_log_that_the_abi_does_not_know_stops_everything(protocol: Protocol, following: Following) -> None:
    busy(protocol)
    following.client.change = with_logs(lambda logs: [{**log, "data": log["data"][:-64]} for log in logs])
    with pytest.raises(UndecodableLogError) as caught:
        following.run()
    assert caught.value.exit_code == 3


def test_a_block_told_in_two_ways_is_refused(protocol: Protocol, following: Following) -> None:
    def change(method: str, params: Sequence[Any], answer: Any) -> Any:
        return {**answer, "gasUsed": "0x1"} if method == "eth_getBlockByHash" else answer

    protocol.anvil.mine()
    following.client.change = change
    with pytest.raises(BadAnswerError, match="told in two ways"):
        following.run()


def test_a_block_that_is_gone_when_it_is_read_is_no_harm(protocol: Protocol, following: Following) -> None:
    busy(protocol)
    following.client.change = lambda method, _, answer: None if method == "eth_getBlockByHash" else answer
    with pytest.raises(HeadMovedError):
        following.run()
    following.client.change = None
    following.run()
    following.check()
