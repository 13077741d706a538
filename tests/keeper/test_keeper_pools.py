"""Deleveraging, LP epochs and accrual, on a chain."""

from __future__ import annotations

import pytest
from tests.keeper.conftest import Employ
from tests.support.protocol import Protocol

from plimsoll.keeper.node.transport import HttpTransport


def test_a_market_is_deleveraged_when_its_open_loss_endangers_the_pool(protocol: Protocol, employ: Employ) -> None:
    for sub in range(2):
        account = protocol.account(protocol.trader, sub=sub)
        protocol.deposit(account, "1_000_000")
        protocol.trade(account, "ETH", "2450")
    keeper = employ()
    protocol.set_price("ETH", "2600")
    assert keeper.tick().planned == 0
    protocol.set_price("ETH", "3400")
    before = protocol.lens.call("market", protocol.market("ETH")).longInterest
    report = keeper.tick()
    assert (report.deleveraged, report.reverts, len(report.hashes)) == (1, 0, 1)
    assert protocol.lens.call("market", protocol.market("ETH")).longInterest < before
    assert keeper.tick().planned == 0
    protocol.assert_identity()


def test_a_due_epoch_is_struck_and_pays_the_keeper(protocol: Protocol, employ: Employ) -> None:
    trader = protocol.account(protocol.trader)
    protocol.deposit(trader, "100_000")
    protocol.trade(trader, "ETH", "500")
    protocol.trade(trader, "ETH", "-500")
    lp = protocol.pools["majors"].lp
    units = protocol.mint("USDC", protocol.other_lp, "1000")
    protocol.approve("USDC", protocol.other_lp, units)
    lp.transact("requestDeposit", units, protocol.other_lp, protocol.other_lp, sender=protocol.other_lp)
    keeper = employ()
    assert keeper.tick().struck == 0
    protocol.warp_to(lp.call("strikeTime", lp.call("currentEpoch")))
    report = keeper.tick()
    assert (report.struck, report.reverts) == (1, 0)
    assert report.rewards > 0
    assert lp.call("maxMint", protocol.other_lp) > 0
    assert keeper.tick().struck == 0


def test_an_epoch_that_cannot_be_priced_waits_and_is_reported_once(
    protocol: Protocol, employ: Employ, lines: list[str]
) -> None:
    lp = protocol.pools["majors"].lp
    units = protocol.mint("USDC", protocol.other_lp, "1000")
    protocol.approve("USDC", protocol.other_lp, units)
    lp.transact("requestDeposit", units, protocol.other_lp, protocol.other_lp, sender=protocol.other_lp)
    keeper = employ()
    protocol.warp_to(lp.call("strikeTime", lp.call("currentEpoch")), publish=False)
    for _ in range(2):
        protocol.anvil.mine()
        report = keeper.tick()
        assert (report.refused, report.hashes) == (1, [])
    said = [line for line in lines if "strike majors: PriceRefused" in line]
    assert len(said) == 1, lines
    assert "(price moved)" in said[0]
    protocol.publish()
    assert keeper.tick().struck == 1


def test_a_market_with_positions_is_accrued_every_hour(protocol: Protocol, employ: Employ) -> None:
    trader = protocol.account(protocol.trader)
    protocol.deposit(trader, "10_000")
    protocol.trade(trader, "ETH", "1")
    keeper = employ()
    protocol.warp(3_500)
    assert keeper.tick().accrued == 0
    protocol.warp(200)
    assert keeper.tick().accrued == 1
    assert protocol.reader.funding(protocol.market("ETH")).time == protocol.now()
    assert keeper.tick().planned == 0


def test_an_idle_pass_costs_five_round_trips(
    protocol: Protocol, employ: Employ, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Head, block and logs, nonce and balance, prices, pools; however many accounts there are."""
    for sub in range(10):
        account = protocol.account(protocol.trader, sub=sub)
        protocol.deposit(account, "1000")
        protocol.trade(account, "ETH", "0.5")
    keeper = employ(**{"audit.every": 0})
    keeper.tick()
    protocol.anvil.mine()
    payloads: list[bytes] = []
    exchange = HttpTransport.exchange

    async def counted(self: HttpTransport, payload: bytes, timeout: float) -> object:
        payloads.append(payload)
        return await exchange(self, payload, timeout)

    monkeypatch.setattr(HttpTransport, "exchange", counted)
    assert keeper.tick().planned == 0
    assert len(payloads) == 5
    keeper.tick()
    assert len(payloads) == 6, "the same block again costs one"
