"""INV-37: an account cannot be made too expensive to liquidate."""

from __future__ import annotations

from typing import Any

from tests.integration.test_setters import market_of
from tests.support.core import refusal
from tests.support.protocol import LiquidationResult, OrderResult, Protocol
from tests.support.reverts import reverts_with

from plimsoll.chain.contract import Contract, deploy
from plimsoll.units import WAD

QUARTER_BLOCK = 30_000_000 // 4
MARKETS, COLLATERALS = 8, 4
"""What the pool of the local network allows an account."""


def feed(p: Protocol, price: int) -> Contract:
    """A feed of its own."""
    made = deploy(p.deployment.artifacts.artifact("MockAggregator"), 8, sender=p.anvil.sender(0))
    made.transact("push", price * 10**8, p.now() + 1, sender=p.deployer)
    return made


def listed(p: Protocol, number: int, price: int) -> Contract:
    """Lists an asset like ETH, with a feed of its own."""
    made = feed(p, price)
    values = p.hub.call("assetConfig", 1)._asdict() | {"feed": made.address}
    p.hub.transact("listAsset", number, values, sender=p.owner)
    return made


def crowded(p: Protocol) -> tuple[bytes, dict[int, Contract]]:
    """An account with as many markets and kinds of collateral as are allowed; every asset has a feed of its own."""
    house, feeds = p.clearinghouse, {}
    market: dict[str, Any] = market_of(p, oiCap=100 * WAD, skewCap=50 * WAD, maxPosition=10 * WAD)
    rules = p.order_book.call("rulesOf", p.market("ETH"))._asdict()
    account = p.account(p.trader)
    p.deposit(account, MARKETS * 150)
    for index in range(MARKETS + 1):
        asset = 10 + index
        feeds[asset] = listed(p, asset, 2_000)
        number = house.call("listMarket", 1, market | {"asset": asset}, 2_000 * WAD, 50_000, sender=p.owner)
        house.transact("listMarket", 1, market | {"asset": asset}, 2_000 * WAD, 50_000, sender=p.owner)
        p.order_book.transact("setMarket", number, rules | {"asset": asset}, sender=p.owner)
    for index in range(COLLATERALS + 1):
        asset = 30 + index
        feeds[asset] = listed(p, asset, 1)
        token = deploy(p.deployment.artifacts.artifact("MockToken"), "C", "C", 18, sender=p.anvil.sender(0))
        terms = {"token": token.address, "asset": asset, "weightInitialPpm": 800_000, "weightMaintenancePpm": 880_000}
        house.transact("listCollateral", 1, terms | {"cap": 10 * WAD, "movePpm": 15_000}, sender=p.owner)
        for actor in (p.trader, p.attacker):
            token.transact("mint", actor, 10**9, sender=p.deployer)
            token.transact("approve", house.address, 10**9, sender=actor)
        if index < COLLATERALS:
            # only the owner adds a kind, so nobody else grows the list
            with reverts_with("NotAccountOwner", account, p.attacker):
                house.transact("deposit", account, token.address, 1, sender=p.attacker)
            house.transact("deposit", account, token.address, 10, sender=p.trader)
        else:
            with reverts_with("TooManyCollaterals", COLLATERALS + 1, COLLATERALS):
                house.transact("deposit", account, token.address, 1, sender=p.trader)
    return account, feeds


def push(p: Protocol, feeds: dict[int, Contract], price: int) -> None:
    """All market feeds publish."""
    p.publish()
    for asset, one in feeds.items():
        one.transact("push", (price if asset < 30 else 1) * 10**8, p.now() + 1, sender=p.deployer)


def opened(p: Protocol, feeds: dict[int, Contract], account: bytes, index: int) -> dict[str, Any]:
    """An order of 1 unit in the market with that asset, its price published."""
    terms = (account, (1 << 8) + 2 + index, WAD, 2**256 - 1, p.now() + 600, WAD // 10, False, bytes(32))
    placed = p.order_book.transact("placeOrder", *terms, sender=p.trader).event("OrderPlaced").args
    p.anvil.advance(6)
    push(p, feeds, 2_000)
    return {key: value for key, value in placed.items() if key != "priceTime"}


def test_liquidating_the_largest_account_fits_a_quarter_of_a_block(protocol: Protocol) -> None:
    """INV-37: as many markets and collaterals as allowed, each with a feed of its own, read for the first time."""
    p = protocol
    account, feeds = crowded(p)
    for index in range(MARKETS):
        results = executed(p, opened(p, feeds, account, index))
        assert results == [OrderResult.FILLED]
    word = p.account_word(account)
    assert (word.markets.bit_count(), word.collaterals.bit_count()) == (MARKETS, COLLATERALS)
    order = opened(p, feeds, account, MARKETS)
    assert refusal(p, order, hint=first_round(p, order)) == (
        OrderResult.CANCELLED,
        ("TooManyMarkets", (MARKETS + 1, MARKETS)),
    )
    push(p, feeds, 1_870)
    done = p.liquidate(account)
    assert done.results[0] in {LiquidationResult.FULL, LiquidationResult.BAD_DEBT, LiquidationResult.SALE_STARTED}
    assert len(done.receipt.named("PositionLiquidated")) == MARKETS
    assert done.receipt.gas_used <= QUARTER_BLOCK


def first_round(p: Protocol, order: dict[str, Any]) -> bytes:
    """The hint that names the order's price."""
    asset = p.order_book.call("rulesOf", order["market"]).asset
    return b"".join(n.to_bytes(32, "big") for n in p.hub.call("searchRound", asset, p.price_time(order)))


def executed(p: Protocol, order: dict[str, Any]) -> list[OrderResult]:
    """Executes an order whose market the deployment does not know by name."""
    results, _receipt = p.execute(order, hint=first_round(p, order))
    return results
