"""Signed prices that the keeper brings on chain, and money that pools owe."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.keeper.service.conftest import Hire
from tests.keeper.service.stage import is_below, leveraged, liquidations, ordered, rounds
from tests.support.faults.proxy import FaultProxy
from tests.support.hermes import Hermes
from tests.support.protocol import Protocol
from tests.support.pyth import PythAsset, move_to_pyth

from plimsoll.deploy.deployment import Deployment

UNIT = 10**8


@pytest.fixture
def hermes() -> Iterator[Hermes]:
    """A price service at work in a thread of its own."""
    made, loop = Hermes(), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(made.__aenter__(), loop).result(30)
    yield made
    asyncio.run_coroutine_threadsafe(made.__aexit__(None, None, None), loop).result(30)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(30)
    loop.close()


def priced_by_pyth(protocol: Protocol, pyth: PythAsset) -> Deployment:
    """The deployment as its parameters would tell it."""
    parameters = protocol.deployment.parameters
    assets = parameters.assets
    moved = assets[pyth.asset].model_copy(update={"kind": "pyth", "pyth_id": "0x" + pyth.feed_id.hex()})
    told = parameters.model_copy(update={"assets": {**assets, pyth.asset: moved}})
    return replace(protocol.deployment, parameters=told)


def publish(hermes: Hermes, pyth: PythAsset, dollars: int, time: int, previous: int | None = None) -> None:
    """Signs a price that only the service has."""
    data = pyth.update(dollars, time, previous=previous)
    hermes.publish(pyth.feed_id, time, dollars * UNIT, data, previous=previous)


def test_a_price_that_flips_an_account_comes_on_chain_with_its_liquidation(
    protocol: Protocol, proxy: FaultProxy, hire: Hire, hermes: Hermes
) -> None:
    account, safe = leveraged(protocol), leveraged(protocol, sub=1, cash="5000")
    pyth = move_to_pyth(protocol)
    keeper = hire(deployment=priced_by_pyth(protocol, pyth), service=hermes.url)
    keeper.tick()
    assert proxy.sent == []
    since = protocol.anvil.block_number()
    publish(hermes, pyth, 1_990, protocol.now())
    protocol.anvil.mine()
    rounds(protocol, 2, keeper)
    assert hermes.requests > 0
    assert proxy.sent == [], "nobody flips, nothing is sent"
    publish(hermes, pyth, 1_900, protocol.now())
    assert not is_below(protocol, account)
    keeper.tick()
    (sent,) = proxy.sent
    relay = protocol.deployment.relay
    assert (sent.to, sent.data[:10]) == (
        relay.address.lower(),
        relay.encode("updateAndLiquidate", [], [account], account)[:10],
    )
    assert sent.value > 0, "Pyth is paid"
    assert [event["account"] for event in liquidations(protocol, since)] == [account]
    assert not is_below(protocol, safe)
    rounds(protocol, 3, keeper)
    assert len(proxy.sent) == 1


def test_an_order_is_filled_with_the_update_that_proves_its_price(
    protocol: Protocol, proxy: FaultProxy, hire: Hire, hermes: Hermes
) -> None:
    pyth = move_to_pyth(protocol)
    account = protocol.account(protocol.trader)
    protocol.deposit(account, "1000")
    order, _ = protocol.place(account, "ETH", "1")
    keeper = hire(deployment=priced_by_pyth(protocol, pyth), service=hermes.url)
    time = protocol.price_time(order)
    protocol.anvil.advance(max(time - protocol.now(), 1) + 1)
    rounds(protocol, 1, keeper)
    assert proxy.sent == [], "without the update there is no price"
    publish(hermes, pyth, 2_003, time, previous=time - 2)
    report = keeper.tick()
    assert report.executed == 1
    (sent,) = proxy.sent
    assert pyth.update(2_003, time, previous=time - 2).hex() in sent.data
    assert protocol.position_word(account, "ETH").shares == 10**18


def test_a_price_service_that_fails_stops_no_other_job(
    protocol: Protocol, proxy: FaultProxy, hire: Hire, hermes: Hermes, lines: list[str]
) -> None:
    account = leveraged(protocol)
    pyth = move_to_pyth(protocol)
    keeper = hire(deployment=priced_by_pyth(protocol, pyth), service=hermes.url)
    keeper.tick()
    hermes.answer = ["nonsense"]
    pyth.publish(1_900)
    rounds(protocol, 2, keeper)
    assert not is_below(protocol, account)
    assert any("prices failed" in line for line in lines)
    assert len(proxy.sent) == 1


def test_the_keeper_takes_its_own_claim(protocol: Protocol, hire: Hire) -> None:
    # Whoever pays himself to an account of another pool gets a claim instead.
    foreign = protocol.account(protocol.keeper, "longtail")
    weak = leveraged(protocol)
    protocol.set_price("ETH", "1900")
    protocol.liquidate(weak, keeper=foreign)
    owed = protocol.claim_of(protocol.keeper)
    assert owed > 10**18
    before = protocol.balance("USDC", protocol.keeper)
    keeper = hire()
    rounds(protocol, 3, keeper)
    assert protocol.claim_of(protocol.keeper) < 10**12, "less than the smallest unit of the token stays"
    assert protocol.balance("USDC", protocol.keeper) - before == owed // 10**12


def test_the_keeper_takes_redemptions_for_those_who_made_it_their_operator(
    protocol: Protocol, proxy: FaultProxy, hire: Hire
) -> None:
    lp, token = protocol.pools["majors"].lp, protocol.pools["majors"]
    shares = int(token.lp.call("balanceOf", protocol.lp)) // 10
    lp.transact("requestRedeem", shares, protocol.lp, protocol.lp, sender=protocol.lp)
    protocol.strike()
    owed = int(lp.call("maxWithdraw", protocol.lp))
    assert owed > 0
    keeper = hire(claim_for=protocol.lp)
    before = protocol.balance("USDC", protocol.lp)
    rounds(protocol, 2, keeper)
    assert protocol.balance("USDC", protocol.lp) == before, "nobody allowed it"
    assert all(one.to != lp.address.lower() for one in proxy.sent)
    lp.transact("setOperator", protocol.keeper, True, sender=protocol.lp)
    rounds(protocol, 3, keeper)
    assert abs(protocol.balance("USDC", protocol.lp) - before - owed) <= 1
    assert sum(one.to == lp.address.lower() for one in proxy.sent) == 1


def test_orders_of_a_feed_are_filled_as_before_beside_a_market_of_pyth(
    protocol: Protocol, hire: Hire, hermes: Hermes
) -> None:
    pyth = move_to_pyth(protocol, "BTC")
    keeper = hire(deployment=priced_by_pyth(protocol, pyth), service=hermes.url)
    account = ordered(protocol)
    assert keeper.tick().executed == 1
    assert protocol.position_word(account, "ETH").shares == 10**18
