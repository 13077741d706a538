"""Restarts, on a chain: of the keeper, of the node with the same, an older and another chain; and reorganisations."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.keeper.conftest import ROOT, START, Employ
from tests.support.faults.chain import RestartableNode, reorg
from tests.support.faults.proxy import FaultProxy, Sends
from tests.support.keepers import Employed
from tests.support.protocol import Protocol
from tests.support.running import RecordingProxy, Running, signer

from plimsoll.chain.anvil import Anvil
from plimsoll.chain.errors import NodeUnavailable
from plimsoll.deploy.deploy import deploy
from plimsoll.deploy.deployment import handles
from plimsoll.deploy.parameters import Parameters
from plimsoll.keeper.errors import ConfigurationError, UnsafeStateError
from plimsoll.keeper.node.errors import NoProviderError
from plimsoll.keeper.rows import Kind


def due_order(protocol: Protocol, sub: int = 0) -> bytes:
    """Places an order whose price is published; gives its account."""
    account = protocol.account(protocol.trader, sub=sub)
    protocol.deposit(account, "1000")
    order, _ = protocol.place(account, "ETH", "1")
    protocol.anvil.advance(max(protocol.price_time(order) - protocol.now(), 1))
    protocol.publish("ETH")
    return account


def is_below(protocol: Protocol, account: bytes) -> bool:
    equity, required, _ = protocol.lens.call("healthBatch", [account])
    return bool(equity[0] < required[0])


def state(keeper: Employed) -> bytes:
    """Hash of everything that the keeper knows of the chain."""
    return keeper.keeper.parts.repository.state_hash()


# ── the keeper ─────────────────────────────────────────────────────────────


def test_a_restarted_keeper_goes_on_at_its_cursor(protocol: Protocol, employ: Employ, tmp_path: Path) -> None:
    database = tmp_path / "keeper.sqlite"
    with RecordingProxy(protocol.anvil.url) as proxy:
        through = {"node.providers": proxy.url}
        first = employ(database=database, dry_run=True, **through)
        due_order(protocol)
        assert first.tick().simulated == 1
        reached = protocol.anvil.block_number()
        first.close()
        due_order(protocol, sub=1)
        proxy.log_queries.clear()
        second = employ(database=database, **through)
        report = second.tick()
        alone = employ(dry_run=True, **through)
        queries = [str(one["blockHash"]) for one in proxy.log_queries]
        alone.tick()
    assert (report.executed, report.rebuilt) == (2, False)
    asked = {int(protocol.rpc.request("eth_getBlockByHash", [one, False])["number"], 16) for one in queries}
    assert asked == set(range(reached + 1, protocol.anvil.block_number() + 1))
    assert state(second) == state(alone)


def test_a_missing_log_is_noticed_and_repaired(protocol: Protocol, employ: Employ, lines: list[str]) -> None:
    keeper = employ()
    keeper.tick()
    account = protocol.account(protocol.trader)
    protocol.deposit(account, "1")
    keeper.tick()
    word = protocol.reader.word("accounts_", account)
    # As if seven more changes of the account had been met than there were.
    keeper.mirror.revert([(Kind.ACCOUNT, account, (word + (7 << 184)).to_bytes(32, "big"))])
    protocol.deposit(account, "1")
    report = keeper.tick()
    assert report.rebuilt
    assert any("reading all logs again" in line for line in lines), lines
    assert keeper.mirror.account(account).version == 2
    protocol.deposit(account, "1")
    assert not keeper.tick().rebuilt


def test_logs_that_a_node_leaves_out_are_waited_for(protocol: Protocol, employ: Employ) -> None:
    with FaultProxy(protocol.anvil.url) as proxy:
        keeper = employ(**{"node.providers": proxy.url, "node.timeout": 2})
        keeper.tick()
        reached = protocol.anvil.block_number()
        proxy.hide_logs = proxy.hide_receipts = True
        account = due_order(protocol)
        with pytest.raises((NodeUnavailable, NoProviderError)):
            keeper.tick()
        head = keeper.keeper.parts.repository.head()
        assert head is not None
        assert head.number <= reached + 4, "nothing is taken beyond the first block with logs"
        assert account not in keeper.mirror.accounts.rows
        proxy.heal()
        assert keeper.tick().executed == 1


# ── history ────────────────────────────────────────────────────────────────


def test_orders_and_liquidations_that_a_reorganisation_takes_back_are_done_again_once(
    protocol: Protocol, employ: Employ, lines: list[str]
) -> None:
    weak = protocol.account(protocol.trader, sub=8)
    protocol.deposit(weak, "1000")
    protocol.trade(weak, "ETH", "8")
    with FaultProxy(protocol.anvil.url) as proxy:
        keeper = employ(who=signer(), **{"node.providers": proxy.url})
        keeper.tick()
        filled = due_order(protocol)
        protocol.set_price("ETH", "1900")
        before = protocol.anvil.block_number()
        nonce = int(protocol.rpc.request("eth_getTransactionCount", [protocol.keeper, "latest"]), 16)
        report = keeper.tick()
        assert (report.executed, sum(report.liquidated.values())) == (1, 1)
        sent = {one.nonce for one in proxy.sent}
        depth = protocol.anvil.block_number() - before
        lost = reorg(protocol.anvil, depth)
        assert {one["hash"] for one in lost} == {one.hash for one in proxy.sent}
        assert is_below(protocol, weak)
        for _ in range(6):
            keeper.tick()
            protocol.anvil.mine()
    assert any(f"{depth} blocks above {before} are gone" in line for line in lines), lines
    assert {one.nonce for one in proxy.sent} == sent
    assert not is_below(protocol, weak)
    assert protocol.position_word(filled, "ETH").shares == 10**18
    after = int(protocol.rpc.request("eth_getTransactionCount", [protocol.keeper, "latest"]), 16)
    assert after - nonce == len(sent)
    protocol.assert_identity()


def test_a_history_that_is_undone_is_undone_here_too(protocol: Protocol, employ: Employ) -> None:
    keeper = employ(dry_run=True)
    keeper.tick()
    with protocol.anvil.snapshot():
        gone = due_order(protocol)
        assert keeper.tick().simulated == 1
        assert keeper.mirror.account(gone).version == 2
    protocol.anvil.mine(40)
    stays = due_order(protocol, sub=3)
    report = keeper.tick()
    assert report.rebuilt
    assert keeper.mirror.account(gone).version == 0
    assert keeper.mirror.account(stays).version == 2


def test_a_chain_that_went_back_is_followed_back(protocol: Protocol, employ: Employ) -> None:
    keeper = employ()
    keeper.tick()
    with protocol.anvil.snapshot():
        due_order(protocol)
        assert keeper.tick().executed == 1
    report = keeper.tick()
    assert (report.rebuilt, report.executed) == (True, 0)
    account = due_order(protocol, sub=1)
    for _ in range(6):
        keeper.tick()
        protocol.anvil.mine()
    assert protocol.position_word(account, "ETH").shares == 10**18


# ── the node ───────────────────────────────────────────────────────────────


@contextmanager
def deployed_node() -> Iterator[tuple[RestartableNode, Protocol]]:
    """A node of its own, with a deployed system and some liquidity."""
    with RestartableNode(timestamp=START, block_interval=1, keep_states=64) as node:
        parameters = Parameters.load(ROOT / "deployments" / "local.yaml")
        protocol = Protocol(node.anvil, deploy(node.anvil.sender(0), parameters))
        protocol.publish()
        protocol.lp_deposit(protocol.lp, "1_000_000")
        yield node, protocol


def moved(protocol: Protocol, anvil: Anvil) -> Protocol:
    """The system on another process of the same chain."""
    known = protocol.deployment
    return Protocol(anvil, handles(anvil.rpc, known.parameters, known.book, known.artifacts))


def test_the_keeper_survives_a_node_that_is_killed_and_one_that_comes_back_older(tmp_path: Path) -> None:
    """F3: killed with a transaction in its pool, started again with the same state, then with an older one."""
    with deployed_node() as (node, protocol), FaultProxy(node.url) as proxy:
        older = node.save()
        running = Running(protocol.deployment, proxy.url, database=tmp_path / "keeper.sqlite")
        with running:
            running.wait_to_follow()
            proxy.sends = Sends.HOLD
            first = due_order(protocol)
            running.wait_for(lambda: bool(proxy.sent))
            saved = node.save()
            node.kill()
            # A pool ends with its node.
            proxy.drop_held()
            proxy.sends = Sends.PASS
            running.wait_for(lambda: running.said("next try in"))
            protocol = moved(protocol, node.restart(saved))
            running.wait_for(lambda: running.total.executed == 1 or mined(node.anvil))
            assert protocol.position_word(first, "ETH").shares == 10**18
            assert len({one.nonce for one in proxy.sent}) == 1
            assert not running.said("are gone")
            node.kill()
            protocol = moved(protocol, node.restart(older))
            second = due_order(protocol, sub=2)
            running.wait_for(lambda: protocol.position_word(second, "ETH").shares == 10**18 or mined(node.anvil))
            assert protocol.position_word(first, "ETH").shares == 0
            assert running.said("are gone")
        assert running.error is None


def mined(anvil: Anvil) -> bool:
    """Lets a block pass, not too fast; to wait in blocks. Never true."""
    time.sleep(0.2)
    anvil.mine()
    return False


@pytest.mark.parametrize("timestamp", [START, START + 1], ids=["same genesis", "other genesis"])
def test_the_keeper_stops_when_the_node_comes_back_with_another_chain(tmp_path: Path, timestamp: int) -> None:
    with deployed_node() as (node, protocol):
        options: dict[str, Any] = {"database": tmp_path / "keeper.sqlite"}
        with Running(protocol.deployment, node.url, **options) as running:
            running.wait_to_follow()
            node.kill()
            with Anvil(timestamp=timestamp, port=node.anvil.port, block_interval=1) as fresh:
                fresh.mine(200)
                error = running.wait_to_end()
    assert isinstance(error, UnsafeStateError)
    assert error.exit_code == 3
    assert "not the chain that local was deployed on" in str(error)
    assert "run `plimsoll deploy`, and start the keeper again" in str(error)


def test_another_chain_id_is_refused_at_the_start(protocol: Protocol, employ: Employ) -> None:
    said = pytest.raises(ConfigurationError, match="1234.*not the chain that local was deployed on")
    with FaultProxy(protocol.anvil.url, chain_id=1234) as proxy, said as caught:
        employ(**{"node.providers": proxy.url}).tick()
    assert caught.value.exit_code == 2


def test_one_pass_does_not_wait_for_a_node_that_is_gone(protocol: Protocol, employ: Employ) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{probe.getsockname()[1]}"
    with pytest.raises((NodeUnavailable, NoProviderError)):
        employ(**{"node.providers": nobody}).tick()
