"""Requests and entries of the journal are counted where they pass."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.keeper.operations.examples import SENDER

from plimsoll.chain.anvil import Anvil
from plimsoll.chain.errors import NodeUnavailable, RpcError
from plimsoll.keeper.operations.measured import MeasuredJournal, measured_rpc
from plimsoll.keeper.operations.telemetry import Telemetry
from plimsoll.keeper.sending.ports import JournalPort
from plimsoll.keeper.storage.journal import JournalEntry
from plimsoll.keeper.storage.opening import open_repository

NOBODY = "http://127.0.0.1:9"


def test_requests_are_counted_by_provider_method_and_outcome() -> None:
    telemetry = Telemetry()

    async def work(url: str) -> None:
        async with measured_rpc(url, telemetry, timeout=10) as node:
            await node.request("eth_chainId")
            await node.batch([("eth_chainId", []), ("eth_blockNumber", [])])
            await node.batch([("eth_getCode", [SENDER, "latest"])] * 2)
            with pytest.raises(RpcError):
                await node.request("eth_nothing")
        async with measured_rpc(NOBODY, telemetry, timeout=1) as nobody:
            with pytest.raises(NodeUnavailable):
                await nobody.request("eth_chainId")

    with Anvil() as anvil:
        asyncio.run(work(anvil.url))
        url = anvil.url
    text = telemetry.exposition().decode()
    for provider, method, outcome in (
        (url, "eth_chainId", "ok"),
        (url, "batch", "ok"),
        (url, "eth_getCode", "ok"),
        (url, "eth_nothing", "error"),
        (NOBODY, "eth_chainId", "unavailable"),
    ):
        labels = f'method="{method}",outcome="{outcome}",provider="{provider}"'
        assert f"plimsoll_keeper_rpc_requests_total{{{labels}}} 1.0" in text
    assert f'plimsoll_keeper_rpc_seconds_count{{provider="{url}"}} 4.0' in text


def test_entries_of_the_journal_are_timed(tmp_path: Path) -> None:
    telemetry = Telemetry()
    repository = open_repository(tmp_path / "keeper.sqlite", "test")
    grant = repository.lease.acquire("test", 60)
    assert grant is not None
    journal: JournalPort = MeasuredJournal(repository.journal, telemetry)
    entry = JournalEntry(
        0, "a", SENDER, 1, b"\x01", "0x" + "12" * 32, 2, 1, 21_000, SENDER, b"", 0, "intended", None, 7, "", grant.epoch
    )
    number = journal.add(entry)
    journal.set(number, "broadcast")
    assert [one.status for one in journal.open(SENDER)] == ["broadcast"]
    repository.close()
    assert 'plimsoll_keeper_commit_seconds_count{what="journal"} 1.0' in telemetry.exposition().decode()
