"""Keepers as processes: a leader and a standby on one database, killed, stopped and asked to end."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.keeper.conftest import ROOT, START
from tests.keeper.service.stage import FALLEN, is_below, leveraged
from tests.support.faults.proxy import FaultProxy, Sends, TransportFaults
from tests.support.processes import KEY_VARIABLE, KeeperProcess, write_config
from tests.support.protocol import Protocol

from plimsoll.chain.anvil import Anvil
from plimsoll.deploy.book import book_path
from plimsoll.deploy.deploy import deploy
from plimsoll.deploy.parameters import Parameters

LEASE = 3.0


@dataclass
class House:
    """A deployed system with its files, and the processes that a test starts."""

    protocol: Protocol
    folder: Path
    network: Path
    started: list[KeeperProcess] = field(default_factory=list)

    def start(self, name: str, proxy: FaultProxy, *more: str, **sections: Any) -> KeeperProcess:
        """A keeper behind a proxy; all of a test share one database."""
        usual: dict[str, Any] = {
            "network": str(self.network),
            "objective": "solvency",
            "node": {"providers": [proxy.url], "poll": "0.1 s", "timeout": "2 s"},
            "key": {"key_env": KEY_VARIABLE},
            "database": {"url": str(self.folder / "keeper.sqlite")},
        }
        config = write_config(self.folder / f"{name}.yaml", **{**usual, **sections})
        self.started.append(KeeperProcess(config, *more))
        return self.started[-1]

    def available(self, name: str, proxy: FaultProxy) -> KeeperProcess:
        """As `start`, one of several of which one leads."""
        return self.start(name, proxy, ha={"enabled": True, "owner": name, "lease": f"{LEASE} s"})

    def wait_for_liquidation(self, account: bytes) -> None:
        """Waits until an account is above the line."""
        deadline = time.monotonic() + 60
        while is_below(self.protocol, account):
            assert time.monotonic() < deadline, [one.lines[-5:] for one in self.started]
            time.sleep(0.1)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """For `house` only."""
    folder = tmp_path_factory.mktemp("house")
    network = folder / "local.yaml"
    shutil.copy(ROOT / "deployments" / "local.yaml", network)
    with Anvil(timestamp=START, block_interval=1, keep_states=64) as anvil:
        protocol = Protocol(anvil, deploy(anvil.sender(0), Parameters.load(network), book=book_path(network)))
        protocol.publish()
        protocol.lp_deposit(protocol.lp, "5_000_000")
        yield House(protocol, folder, network)


@pytest.fixture
def house(built: House, tmp_path: Path) -> Iterator[House]:
    """The system as it was built; processes of the test end with it."""
    with built.protocol.snapshot():
        made = House(built.protocol, tmp_path, built.network)
        try:
            yield made
        finally:
            for process in made.started:
                process.kill()


def test_f12_a_standby_takes_over_within_two_lease_periods_of_a_killed_leader(house: House) -> None:
    account = leveraged(house.protocol)
    with FaultProxy(house.protocol.anvil.url) as first, FaultProxy(house.protocol.anvil.url) as second:
        leader = house.available("one", first)
        leader.wait_to_lead()
        standby = house.available("two", second)
        standby.wait_to_stand_by()
        time.sleep(0.5)
        leader.kill()
        house.protocol.set_price("ETH", FALLEN)
        assert standby.wait_to_lead() <= 2 * LEASE
        house.wait_for_liquidation(account)
        assert first.total_sends == 0
        assert len(second.sent) == 1
        code, took = standby.terminate()
    assert (code, took < 10) == (0, True)


def test_f12_a_stopped_leader_that_wakes_broadcasts_nothing_and_ends(house: House) -> None:
    account, again = leveraged(house.protocol), leveraged(house.protocol, sub=1, cash="2000")
    with FaultProxy(house.protocol.anvil.url) as first, FaultProxy(house.protocol.anvil.url) as second:
        leader = house.available("one", first)
        leader.wait_to_lead()
        standby = house.available("two", second)
        standby.wait_to_stand_by()
        leader.pause()
        standby.wait_to_lead()
        house.protocol.set_price("ETH", FALLEN)
        house.wait_for_liquidation(account)
        house.protocol.set_price("ETH", "1760")
        assert is_below(house.protocol, again)
        leader.resume()
        assert leader.wait_to_end() == 4
        house.wait_for_liquidation(again)
        assert first.total_sends == 0
        assert any("lease" in line for line in leader.lines[-3:]), leader.lines[-3:]
        assert standby.alive


def test_asked_to_end_in_the_middle_of_everything_it_ends_within_ten_seconds(house: House) -> None:
    leveraged(house.protocol)
    with FaultProxy(house.protocol.anvil.url) as proxy:
        keeper = house.start("one", proxy)
        keeper.wait_to_lead()
        keeper.wait_for(lambda: proxy.counts["eth_getBlockByNumber"] > 10)
        proxy.sends = Sends.HOLD
        house.protocol.set_price("ETH", FALLEN)
        keeper.wait_for(lambda: bool(proxy.sent))
        proxy.transport = TransportFaults.all_kinds(0.8)
        house.protocol.anvil.mine(3)
        time.sleep(0.5)
        code, took = keeper.terminate()
    assert (code, took < 10) == (0, True), keeper.lines[-5:]
    assert keeper.events("stop")


def test_killed_with_a_transaction_in_the_pool_the_next_run_takes_it_over(house: House) -> None:
    account = leveraged(house.protocol)
    with FaultProxy(house.protocol.anvil.url) as proxy:
        keeper = house.start("one", proxy)
        keeper.wait_to_lead()
        proxy.sends = Sends.HOLD
        house.protocol.set_price("ETH", FALLEN)
        keeper.wait_for(lambda: bool(proxy.sent))
        keeper.kill()
        proxy.drop_held()
        proxy.sends = Sends.PASS
        house.start("two", proxy).wait_to_lead()
        house.wait_for_liquidation(account)
    assert {one.nonce for one in proxy.sent} == {proxy.sent[0].nonce}
    assert len({one.hash for one in proxy.sent}) == 1


def test_a_wrong_configuration_is_exit_code_two(house: House) -> None:
    with FaultProxy(house.protocol.anvil.url, chain_id=1234) as proxy:
        keeper = house.start("one", proxy, sending={"gas_bugdet": 1})
        assert keeper.wait_to_end() == 2
        keeper = house.start("two", proxy)
        assert keeper.wait_to_end() == 2
        assert "1234" in keeper.lines[-1]


def test_a_chain_that_becomes_another_is_exit_code_three(house: House) -> None:
    with FaultProxy(house.protocol.anvil.url) as proxy:
        keeper = house.start("one", proxy)
        keeper.wait_to_lead()
        keeper.wait_for(lambda: proxy.counts["eth_getBlockByNumber"] > 5)
        proxy.down = True
        keeper.wait_for(lambda: bool(keeper.events("node")))
        proxy.chain_id = 1234
        proxy.down = False
        assert keeper.wait_to_end() == 3
        assert "not the chain that local was deployed on" in keeper.lines[-1]


def test_a_first_node_that_does_not_serve_keeps_nobody_from_starting(house: House) -> None:
    with FaultProxy("http://127.0.0.1:9") as dead, FaultProxy(house.protocol.anvil.url) as proxy:
        nodes = {"providers": [dead.url, proxy.url], "poll": "0.1 s", "timeout": "2 s"}
        keeper = house.start("one", proxy, node=nodes)
        keeper.wait_to_lead()
        assert keeper.terminate()[0] == 0
        alone = house.start("two", dead)
        assert alone.wait_to_end() == 2
        assert "wait until the node serves" in alone.lines[-1]
