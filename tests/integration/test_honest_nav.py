"""INV-22: what the pool says it is worth is what it has when everybody is gone."""

from __future__ import annotations

import pytest
from tests.integration.test_setters import market_of
from tests.support.core import traded
from tests.support.protocol import Protocol

SIZES = (900, -350, 120, -1_000, 77)


@pytest.mark.parametrize("price", ["2000", "2311.17", "1874.3"])
def test_closing_everything_without_fees_leaves_cash_of_nav(protocol: Protocol, price: str) -> None:
    """INV-22: several accounts on both sides close at one price in one block; NAV becomes cash to the wei it tolerates.

    Fees and the band are 0, so that the pool gets premium and profit alone.
    """
    p = protocol
    market = p.market("ETH")
    config = p.hub.call("assetConfig", 1)._asdict() | {"bandPpm": 0}
    p.hub.transact("setAsset", 1, config, sender=p.owner)
    p.clearinghouse.transact("setMarket", market, market_of(p, makerPpm=0, takerPpm=0), sender=p.owner)
    accounts = [p.account(p.trader, sub=sub) for sub in range(len(SIZES))]
    for account, size in zip(accounts, SIZES, strict=True):
        p.deposit(account, 600_000)
        traded(p, account, "ETH", size, *accounts)
    p.warp(40_000)
    orders = [
        p.place(account, "ETH", -size, reduce_only=True)[0] for account, size in zip(accounts, SIZES, strict=True)
    ]
    p.anvil.advance(8)
    p.set_price("ETH", price)
    items = [
        {
            "order": order,
            "hint": b"".join(n.to_bytes(32, "big") for n in p.hub.call("searchRound", 1, p.price_time(order))),
        }
        for order in orders
    ]
    at = p.now() + 1
    with p.snapshot():
        p.anvil.set_next_timestamp(at)
        p.clearinghouse.transact("accrue", market, sender=p.attacker)
        nav = p.nav()
    p.anvil.set_next_timestamp(at)
    receipt = p.order_book.transact("executeOrders", items, p.account(p.keeper), sender=p.keeper)
    assert len(receipt.named("Filled")) == len(SIZES)
    ledger = p.ledger()
    assert all(p.account_word(account).markets == 0 for account in accounts)
    assert 0 <= ledger.cash - nav <= len(SIZES) + 3
    p.assert_identity()
