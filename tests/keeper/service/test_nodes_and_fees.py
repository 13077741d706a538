"""The service behind a node that fails, a chain that is reorganised, and a base fee that leaps."""

from __future__ import annotations

import asyncio

import pytest
from tests.keeper.service.conftest import Hire
from tests.keeper.service.stage import (
    FALLEN,
    attempt,
    is_below,
    leveraged,
    liquidations,
    next_nonce,
    ordered,
    rounds,
)
from tests.support.faults.chain import leap_base_fee, reorg
from tests.support.faults.proxy import FaultProxy, Sends, TransportFaults
from tests.support.keepers import config_of
from tests.support.protocol import Protocol
from tests.support.running import key_of

from plimsoll.chain.errors import NodeUnavailable
from plimsoll.keeper.errors import ConfigurationError
from plimsoll.keeper.node.errors import NoProviderError
from plimsoll.keeper.operations.log import DecisionLog
from plimsoll.keeper.operations.telemetry import Telemetry
from plimsoll.keeper.service.service import KeeperService, Parts
from plimsoll.keeper.storage.errors import DatabaseLockedError

GWEI = 10**9


def test_f1_with_a_third_of_all_answers_broken_what_is_due_lands_once(
    protocol: Protocol, proxy: FaultProxy, hire: Hire
) -> None:
    account, order = leveraged(protocol), ordered(protocol)
    keeper = hire(**{"node.timeout": 0.4})
    keeper.tick()
    protocol.set_price("ETH", FALLEN)
    since, nonce = protocol.anvil.block_number(), next_nonce(protocol, protocol.keeper)
    due = ordered(protocol, sub=1)
    proxy.transport = TransportFaults.all_kinds(0.3)
    for _ in range(60):
        attempt(keeper)
        protocol.anvil.mine()
        if not is_below(protocol, account) and protocol.position_word(due, "ETH").shares:
            break
    assert sum(proxy.failed.values()) > 5
    proxy.heal()
    rounds(protocol, 3, keeper)
    assert [event["account"] for event in liquidations(protocol, since)] == [account]
    assert [protocol.position_word(one, "ETH").shares for one in (order, due)] == [10**18] * 2
    assert next_nonce(protocol, protocol.keeper) - nonce == len({one.nonce for one in proxy.sent if one.nonce >= nonce})
    assert keeper.in_flight == ()


def test_f4_a_reorganisation_while_a_liquidation_waits_in_the_pool(
    protocol: Protocol, proxy: FaultProxy, hire: Hire, lines: list[str]
) -> None:
    account = leveraged(protocol)
    keeper = hire()
    keeper.tick()
    protocol.set_price("ETH", FALLEN)
    protocol.anvil.mine(5)
    since = protocol.anvil.block_number() - 4
    proxy.sends = Sends.HOLD
    keeper.tick(collect=False)
    assert len(proxy.sent) == 1
    reorg(protocol.anvil, 4)
    assert attempt(keeper) is not None
    proxy.sends = Sends.PASS
    proxy.release()
    rounds(protocol, 4, keeper)
    assert any("4 blocks above" in line for line in lines), lines
    assert [event["account"] for event in liquidations(protocol, since)] == [account]
    assert keeper.in_flight == ()
    assert keeper.keeper.status().halts == (), "the audit of each block agreed"


def test_f5_what_a_pool_drops_is_handed_over_again(protocol: Protocol, proxy: FaultProxy, hire: Hire) -> None:
    account = leveraged(protocol)
    keeper = hire()
    keeper.tick()
    protocol.set_price("ETH", FALLEN)
    proxy.sends = Sends.DROP
    keeper.tick(collect=False)
    proxy.sends = Sends.PASS
    rounds(protocol, 8, keeper)
    assert not is_below(protocol, account)
    assert {one.nonce for one in proxy.sent} == {proxy.sent[0].nonce}


def test_f6_a_base_fee_twenty_times_as_high_is_followed_within_the_worth(
    by_hand: Protocol, proxy: FaultProxy, hire: Hire
) -> None:
    protocol = by_hand
    protocol.anvil.set_automine(True)
    account = leveraged(protocol)
    protocol.anvil.set_automine(False)
    keeper = hire(objective="profit")
    protocol.anvil.set_base_fee(2 * GWEI)
    protocol.anvil.mine()
    keeper.tick()
    answer = 1900 * 10**8
    protocol.feeds["ETH"].submit("push", answer, protocol.now() + 1, sender=protocol.deployer, gas=200_000)
    protocol.anvil.mine()
    attempt(keeper)
    (sent,) = proxy.sent
    high = leap_base_fee(protocol.anvil)
    assert sent.max_fee < high, "the leap is higher than what was offered"
    since = protocol.anvil.block_number()
    rounds(protocol, 1, keeper)
    assert is_below(protocol, account), "nobody takes it at this price"
    rounds(protocol, 12, keeper)
    (event,) = liquidations(protocol, since)
    receipt = protocol.rpc.request("eth_getTransactionReceipt", [event.tx_hash])
    cost = int(receipt["gasUsed"], 16) * int(receipt["effectiveGasPrice"], 16)
    worth = event["reward"] * 10**18 // (1900 * 10**18)
    assert 0 < cost <= worth
    assert {one.nonce for one in proxy.sent} == {sent.nonce}
    assert sent.sender == str(key_of(5).address).lower()


def test_f10_a_keeper_with_two_nodes_leaves_the_one_that_falls_behind(
    protocol: Protocol, proxy: FaultProxy, hire: Hire
) -> None:
    account = leveraged(protocol)
    with FaultProxy(protocol.anvil.url) as other:
        keeper = hire(**{"node.providers": f"{proxy.url},{other.url}"})
        keeper.tick()
        proxy.freeze()
        protocol.anvil.mine(5)
        protocol.set_price("ETH", FALLEN)
        rounds(protocol, 3, keeper)
        assert keeper.keeper.status().head.number >= protocol.anvil.block_number() - 1
        assert {one.state for one in keeper.keeper.status().providers} == {"lagging", "ok"}
    assert not is_below(protocol, account)


def test_nodes_that_are_silent_at_the_start_are_waited_for() -> None:
    lines: list[str] = []
    tries: list[Exception] = [NoProviderError("no node tells a head"), NodeUnavailable("there", "gone", "start it")]

    async def make() -> Parts:
        raise tries.pop(0) if tries else ConfigurationError("it answered")

    async def wake(seconds: float) -> None:
        raise AssertionError(seconds)

    service = KeeperService(config_of({}), make, wake, DecisionLog(lines.append), Telemetry(), owner="one")
    with pytest.raises(ConfigurationError, match="it answered"):
        asyncio.run(service.run(asyncio.Event()))
    assert len(lines) == 2
    assert "next try in 0.25 s" in lines[0]
    assert "next try in 0.5 s" in lines[1]


def test_who_waits_for_a_node_at_the_start_ends_when_asked_to() -> None:
    stop = asyncio.Event()

    async def make() -> Parts:
        stop.set()
        raise NoProviderError("no node tells a head")

    async def wake(seconds: float) -> None:
        raise AssertionError(seconds)

    service = KeeperService(config_of({}), make, wake, DecisionLog(lambda _: None), Telemetry(), owner="one")
    asyncio.run(service.run(stop))
    assert service.parts is None


@pytest.mark.parametrize("shared", [True, False])
def test_a_shared_database_that_is_locked_at_the_start_is_waited_for(*, shared: bool) -> None:
    lines: list[str] = []
    tries: list[Exception] = [DatabaseLockedError("the database is locked"), ConfigurationError("it could be opened")]

    async def make() -> Parts:
        raise tries.pop(0)

    async def wake(seconds: float) -> None:
        raise AssertionError(seconds)

    config = config_of({"ha.enabled": "yes" if shared else "no"})
    service = KeeperService(config, make, wake, DecisionLog(lines.append), Telemetry(), owner="one")
    with pytest.raises(ConfigurationError if shared else DatabaseLockedError):
        asyncio.run(service.run(asyncio.Event()))
    assert ["next try in" in line for line in lines] == [True] * shared
