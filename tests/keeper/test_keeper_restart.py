"""Restarts, on a chain: of the keeper, of the node with the same, an older and another chain; and reorganisations."""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.keeper.conftest import ROOT, START, Employ
from tests.support.protocol import Protocol

from plimsoll.chain.anvil import Anvil
from plimsoll.chain.errors import NodeUnavailable, RpcError
from plimsoll.chain.rpc import Rpc
from plimsoll.chain.signer import UnlockedSender
from plimsoll.deploy.deploy import deploy
from plimsoll.deploy.deployment import handles
from plimsoll.deploy.parameters import Parameters
from plimsoll.keeper.errors import ConfigurationError, UnsafeStateError
from plimsoll.keeper.keeper import Keeper
from plimsoll.keeper.log import KeeperLog
from plimsoll.keeper.options import Options
from plimsoll.keeper.report import TickReport
from plimsoll.keeper.runner import StopSignals, run


def due_order(protocol: Protocol, sub: int = 0) -> bytes:
    """Places an order whose price is published; gives its account."""
    account = protocol.account(protocol.trader, sub=sub)
    protocol.deposit(account, "1000")
    order, _ = protocol.place(account, "ETH", "1")
    protocol.anvil.advance(max(protocol.price_time(order) - protocol.now(), 1))
    protocol.publish("ETH")
    return account


@contextmanager
def log_queries(rpc: Rpc) -> Iterator[list[str]]:
    """First blocks of the log queries that are sent."""
    found: list[str] = []
    batch = rpc.batch

    def watched(requests: Any, **options: Any) -> list[Any]:
        listed = list(requests)
        found.extend(params[0]["fromBlock"] for method, params in listed if method == "eth_getLogs")
        return batch(listed, **options)

    rpc.batch = watched  # type: ignore[method-assign]
    try:
        yield found
    finally:
        rpc.batch = batch  # type: ignore[method-assign]


# ── the keeper ─────────────────────────────────────────────────────────────


def test_a_restarted_keeper_goes_on_at_its_cursor(protocol: Protocol, employ: Employ, tmp_path: Path) -> None:
    database = tmp_path / "keeper.sqlite"
    first = employ(database=database, dry_run=True)
    due_order(protocol)
    assert first.tick().simulated == 1
    reached = protocol.anvil.block_number()
    state = [dict(table) for table in first.mirror.tables]
    first.close()
    due_order(protocol, sub=1)
    with log_queries(protocol.rpc) as queries:
        second = employ(database=database)
        assert [dict(table) for table in second.mirror.tables] == state
        report = second.tick()
    assert queries == [hex(reached + 1)]
    assert (report.executed, report.rebuilt) == (2, False)


def test_history_is_read_in_chunks_and_resumed(protocol: Protocol, employ: Employ, tmp_path: Path) -> None:
    due_order(protocol)
    whole, pieces = employ(), employ(log_chunk=7, database=tmp_path / "keeper.sqlite", dry_run=True)
    whole.tick()
    with log_queries(protocol.rpc) as queries:
        pieces.tick()
    assert len(queries) > 5
    whole.tick()
    pieces.tick()
    assert [dict(t) for t in pieces.mirror.tables] == [dict(t) for t in whole.mirror.tables]


def test_a_node_that_limits_log_queries_is_asked_for_less(protocol: Protocol, employ: Employ) -> None:
    due_order(protocol)
    keeper = employ()
    batch = protocol.rpc.batch
    spans: list[int] = []

    def limited(requests: Any, **options: Any) -> list[Any]:
        listed = list(requests)
        answers = batch(listed, **options)
        for i, (method, params) in enumerate(listed):
            if method == "eth_getLogs":
                spans.append(int(params[0]["toBlock"], 16) - int(params[0]["fromBlock"], 16) + 1)
                if spans[-1] > 20:
                    answers[i] = RpcError(-32005, "query returned more than 10000 results")
        return answers

    protocol.rpc.batch = limited  # type: ignore[method-assign]
    try:
        report = keeper.tick()
    finally:
        protocol.rpc.batch = batch  # type: ignore[method-assign]
    assert report.executed == 1
    assert max(spans) > 20 >= min(spans)


def test_a_missing_log_is_noticed(protocol: Protocol, employ: Employ, lines: list[str]) -> None:
    keeper = employ()
    keeper.tick()
    account = protocol.account(protocol.trader)
    protocol.deposit(account, "1")
    keeper.mirror.accounts.put(account, keeper.mirror.accounts.get(account, 0) + (7 << 184))
    report = keeper.tick()
    assert report.rebuilt
    assert any("is at version 1 in block" in line and "reading all logs again" in line for line in lines)
    assert keeper.mirror.account(account).version == 1


# ── history ────────────────────────────────────────────────────────────────


def test_a_reorganisation_is_noticed_and_read_again(protocol: Protocol, employ: Employ, lines: list[str]) -> None:
    keeper = employ(dry_run=True)
    keeper.tick()
    with protocol.anvil.snapshot():
        gone = due_order(protocol)
        assert keeper.tick().simulated == 1
        assert gone in keeper.mirror.accounts
    protocol.anvil.mine(40)
    stays = due_order(protocol, sub=3)
    report = keeper.tick()
    assert report.rebuilt
    assert any("is another one now" in line for line in lines)
    assert gone not in keeper.mirror.accounts
    assert stays in keeper.mirror.accounts


def test_a_chain_that_went_back_is_noticed(protocol: Protocol, employ: Employ, lines: list[str]) -> None:
    keeper = employ()
    keeper.tick()
    with protocol.anvil.snapshot():
        due_order(protocol)
        assert keeper.tick().executed == 1
    report = keeper.tick()
    assert (report.rebuilt, report.executed) == (True, 0)
    assert any("the chain went back from block" in line for line in lines)
    due_order(protocol)
    assert keeper.tick().executed == 1


# ── the node ───────────────────────────────────────────────────────────────


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def node(port: int, state: Path | None = None, timestamp: int = START) -> Anvil:
    return Anvil(timestamp=timestamp, block_interval=1, port=port, state=state)


def deployed_on(anvil: Anvil) -> Protocol:
    """Deployed, with some liquidity."""
    parameters = Parameters.load(ROOT / "deployments" / "local.yaml")
    protocol = Protocol(anvil, deploy(anvil.sender(0), parameters))
    protocol.publish()
    protocol.lp_deposit(protocol.lp, "1_000_000")
    return protocol


class Service:
    """A keeper that runs in a thread, through its own HTTP connection."""

    def __init__(self, protocol: Protocol, database: Path) -> None:
        self.lines: list[str] = []
        self.error: Exception | None = None
        self.total = TickReport()
        self.stop = StopSignals()
        rpc = Rpc.connect(protocol.anvil.url, timeout=10)
        log = KeeperLog(self.lines.append)
        sender = UnlockedSender(rpc, protocol.keeper)
        self.keeper = Keeper(rpc, protocol.deployment, sender, Options(database=database), log)
        self._log = log
        self._thread = threading.Thread(target=self._work)

    def _work(self) -> None:
        try:
            run(self.keeper, self._log, poll=0.05, stop=self.stop, on_tick=self._add)
        except Exception as error:
            self.error = error

    def _add(self, report: TickReport) -> None:
        self.total += report

    def __enter__(self) -> Service:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.stop()
        self._thread.join(60)
        self.keeper.close()
        assert not self._thread.is_alive()

    def wait_for(self, what: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not what():
            assert time.monotonic() < deadline, (self.error, self.lines[-5:])
            time.sleep(0.02)


def test_the_keeper_survives_a_restarted_node_and_one_with_an_older_state(tmp_path: Path) -> None:
    port, state, older = free_port(), tmp_path / "state.json", tmp_path / "older.json"
    anvil = node(port, state)
    with anvil:
        protocol = deployed_on(anvil)
    shutil.copy(state, older)
    with node(port, state) as anvil:
        protocol = _moved(protocol, anvil)
        service = Service(protocol, tmp_path / "keeper.sqlite")
        with service:
            due_order(protocol)
            service.wait_for(lambda: service.total.executed == 1)
            anvil.stop()
            service.wait_for(lambda: any("next try in" in line for line in service.lines))
            with node(port, state) as again:
                protocol = _moved(protocol, again)
                due_order(protocol, sub=1)
                service.wait_for(lambda: service.total.executed == 2)
            assert not service.total.rebuilt
            service.wait_for(lambda: "next try in" in service.lines[-1])
            with node(port, older) as back:
                protocol = _moved(protocol, back)
                due_order(protocol, sub=2)
                service.wait_for(lambda: service.total.executed == 3)
            assert service.total.rebuilt
        assert service.error is None


def _moved(protocol: Protocol, anvil: Anvil) -> Protocol:
    """The system on another process of the same chain, whose clock goes on after the last block."""
    known = protocol.deployment
    anvil.advance(1)
    return Protocol(anvil, handles(anvil.rpc, known.parameters, known.book, known.artifacts))


@pytest.mark.parametrize(
    ("timestamp", "reason"),
    [(START, "has no code at 0x"), (START + 1, "runs another instance of chain 31337")],
    ids=["same genesis", "other genesis"],
)
def test_the_keeper_stops_when_the_node_comes_back_with_another_chain(
    tmp_path: Path, timestamp: int, reason: str
) -> None:
    port = free_port()
    with node(port) as anvil:
        protocol = deployed_on(anvil)
        service = Service(protocol, tmp_path / "keeper.sqlite")
        with service:
            service.wait_for(lambda: service.total.block > 0)
            anvil.stop()
            with node(port, timestamp=timestamp) as fresh:
                fresh.mine(100)
                service.wait_for(lambda: service.error is not None)
    assert isinstance(service.error, UnsafeStateError)
    assert reason in str(service.error)
    assert "run `plimsoll deploy` and start the keeper again" in str(service.error)


def test_another_chain_id_is_refused_at_the_start(protocol: Protocol) -> None:
    with Anvil(chain_id=1234) as other:
        said = "runs chain 1234, local is deployed on chain 31337; name another node"
        with pytest.raises(ConfigurationError, match=said):
            Keeper(other.rpc, protocol.deployment, other.sender())


def test_one_pass_does_not_wait_for_a_node_that_is_gone(protocol: Protocol, employ: Employ) -> None:
    keeper = employ()
    address = protocol.rpc.transport
    protocol.rpc.transport = Rpc.connect(f"http://127.0.0.1:{free_port()}").transport
    try:
        with pytest.raises(NodeUnavailable, match="start the node, or correct the address"):
            run(keeper, KeeperLog.silent(), poll=0.05, once=True)
    finally:
        protocol.rpc.transport = address
