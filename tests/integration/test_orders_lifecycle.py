"""Orders through the real Clearinghouse and OracleHub: where the money is, and that nobody decides about the price."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.protocol import OrderResult, Protocol
from tests.support.reverts import reverts_with

from plimsoll.chain.errors import RpcError
from plimsoll.units import WAD

FEE = WAD // 2
PAUSE_INCREASE = 1
WINDOW = 30


def cash(p: Protocol, account: bytes) -> int:
    return p.account_word(account).raw_cash


def escrow(p: Protocol, pool: str = "majors") -> int:
    return p.ledger(pool).escrow


def ready(p: Protocol, deposit: str = "10_000", sub: int = 0) -> bytes:
    account = p.account(p.trader, sub=sub)
    p.deposit(account, deposit)
    return account


def reach(p: Protocol, order: dict[str, Any]) -> None:
    """Publishes the market's price exactly at the order's price time."""
    p.anvil.advance(max(p.price_time(order) - p.now() - 1, 1))
    p.publish(p.asset_of(order["market"]))


def reason(p: Protocol, receipt: Any, event: str) -> str:
    return str(p.deployment.errors.decode(receipt.event(event)["reason"])).partition("(")[0]


def test_the_fee_goes_into_escrow_and_back(protocol: Protocol) -> None:
    """INV-18."""
    p = protocol
    account = ready(p)
    order, _ = p.place(account, "ETH", 1, keeper_fee="0.5")
    assert (cash(p, account), escrow(p), p.account_word(account).pending_orders) == (10_000 * WAD - FEE, FEE, 1)
    p.assert_identity()
    with reverts_with("OrdersPending", account, 1):
        p.withdraw(account, 1)
    p.order_book.transact("cancelOrder", order, sender=p.trader)
    assert (cash(p, account), escrow(p), p.account_word(account).pending_orders) == (10_000 * WAD, 0, 0)
    p.withdraw(account, 10_000)
    p.assert_identity()


def test_a_fill_pays_the_keeper_out_of_escrow(protocol: Protocol) -> None:
    p = protocol
    account = ready(p)
    fill = p.trade(account, "ETH", 2, keeper_fee="0.5")
    assert (fill.size_delta, escrow(p), cash(p, p.account(p.keeper))) == (2 * WAD, 0, FEE)
    assert p.account_word(account).pending_orders == 0
    p.assert_identity()


def test_a_keeper_of_another_pool_gets_a_claim(protocol: Protocol) -> None:
    p = protocol
    order, _ = p.place(ready(p), "ETH", 1, keeper_fee="0.5")
    reach(p, order)
    assert p.execute(order, keeper=p.account(p.keeper, "longtail"))[0] == [OrderResult.FILLED]
    assert p.claim_of(p.keeper) == FEE
    p.assert_identity()


def test_a_missing_margin_cancels_and_pays_the_keeper(protocol: Protocol) -> None:
    p = protocol
    account = ready(p, "1_000")
    p.trade(account, "ETH", 5)
    before = cash(p, account)
    order, _ = p.place(account, "ETH", 20, keeper_fee="0.5")
    reach(p, order)
    results, receipt = p.execute(order)
    assert results == [OrderResult.CANCELLED]
    assert reason(p, receipt, "OrderCancelled") == "InsufficientMargin"
    assert (cash(p, account), escrow(p), p.account_word(account).pending_orders) == (before - FEE, 0, 0)
    p.assert_identity()


def test_a_second_close_finds_nothing_to_reduce(protocol: Protocol) -> None:
    p = protocol
    account = ready(p)
    p.trade(account, "ETH", 2)
    first, _ = p.place(account, "ETH", -5, reduce_only=True, keeper_fee="0.5")
    second, _ = p.place(account, "ETH", -5, reduce_only=True, keeper_fee="0.5")
    reach(p, second)
    results, receipt = p.execute(second, first, second)
    assert results == [OrderResult.NOT_HEAD, OrderResult.FILLED, OrderResult.CANCELLED]
    assert receipt.event("Filled")["sizeDelta"] == -2 * WAD
    assert reason(p, receipt, "OrderCancelled") == "NothingToReduce"
    p.assert_identity()


def test_a_price_limit_waits_until_the_window_ends(protocol: Protocol) -> None:
    """INV-29."""
    p = protocol
    account = ready(p)
    order, _ = p.place(account, "ETH", 1, limit=1, keeper_fee="0.5")
    reach(p, order)
    results, receipt = p.execute(order)
    assert (results, reason(p, receipt, "OrderSkipped")) == ([OrderResult.REFUSED], "PriceLimit")
    round_id, previous = p.hub.call("searchRound", asset_number(p, order), p.price_time(order))
    p.anvil.advance(WINDOW + 1)
    hint = round_id.to_bytes(32, "big") + previous.to_bytes(32, "big")
    assert p.execute(order, hint=hint)[0] == [OrderResult.EXPIRED]
    assert (cash(p, p.account(p.keeper)), escrow(p)) == (FEE, 0)
    p.assert_identity()


def test_a_pause_leaves_the_order_pending(protocol: Protocol) -> None:
    p = protocol
    account = ready(p)
    order, _ = p.place(account, "ETH", 1)
    reach(p, order)
    pool = p.pools["majors"].id
    p.clearinghouse.transact("setPause", pool, PAUSE_INCREASE, sender=p.guardian)
    results, receipt = p.execute(order)
    assert (results, reason(p, receipt, "OrderSkipped")) == ([OrderResult.REFUSED], "IncreasePaused")
    p.clearinghouse.transact("setPause", pool, 0, sender=p.owner)
    assert p.execute(order)[0] == [OrderResult.FILLED]


def asset_number(p: Protocol, order: dict[str, Any]) -> int:
    return int(p.order_book.call("rulesOf", order["market"]).asset)


def test_only_the_first_round_after_the_price_time_fills(protocol: Protocol) -> None:
    """INV-30."""
    p = protocol
    order, _ = p.place(ready(p), "ETH", 1)
    p.anvil.advance(p.price_time(order) - p.now() + 1)
    for price in (2_001, 2_002, 2_003):
        p.set_price("ETH", price)
    first, previous = p.hub.call("searchRound", asset_number(p, order), p.price_time(order))
    for other in (first - 1, first + 1, first + 2, 0):
        hint = other.to_bytes(32, "big") if other else b""
        assert p.execute(order, hint=hint)[0] == [OrderResult.NOT_FIRST_PRICE]
    hint = first.to_bytes(32, "big") + previous.to_bytes(32, "big")
    results, receipt = p.execute(order, hint=hint)
    assert results == [OrderResult.FILLED]
    assert receipt.event("Filled")["spot"] & ((1 << 88) - 1) == 2_001 * WAD
    p.assert_identity()


def test_a_straddle_cannot_fill_only_its_winner(protocol: Protocol) -> None:
    """Both legs wait for the market to move after their price; by the time that it has, neither can be filled."""
    p = protocol
    legs = [p.place(ready(p, sub=sub), "ETH", size, keeper_fee="0.5")[0] for sub, size in ((0, 3), (1, -3))]
    reach(p, legs[1])
    rounds = [p.hub.call("searchRound", asset_number(p, leg), p.price_time(leg)) for leg in legs]
    p.anvil.advance(WINDOW + 1)
    p.set_price("ETH", 2_200)
    for leg, (round_id, previous) in zip(legs, rounds, strict=True):
        hint = round_id.to_bytes(32, "big") + previous.to_bytes(32, "big")
        assert p.execute(leg, hint=hint)[0] == [OrderResult.EXPIRED]
        assert p.account_word(leg["account"]).markets == 0
        assert cash(p, leg["account"]) == 10_000 * WAD - FEE
    p.assert_identity()


def test_past_expiry_without_its_price_the_fee_returns(protocol: Protocol) -> None:
    p = protocol
    account = ready(p)
    order, _ = p.place(account, "ETH", 1, expiry=90, keeper_fee="0.5")
    p.anvil.advance(100)
    assert p.execute(order)[0] == [OrderResult.EXPIRED]
    assert (cash(p, account), escrow(p), p.account_word(account).pending_orders) == (10_000 * WAD, 0, 0)
    p.assert_identity()


@pytest.mark.parametrize("fault", [False, True], ids=["good", "short of margin"])
def test_no_gas_limit_changes_how_an_order_ends(protocol: Protocol, fault: bool) -> None:
    """The account holds collateral and another market, so a fill reads three feeds, each of which could run dry."""
    p = protocol
    account = ready(p, "2_000")
    p.deposit(account, 1, token="WETH")
    p.trade(account, "BTC", "0.2")
    order, _ = p.place(account, "ETH", 60 if fault else 1)
    reach(p, order)
    items = [{"order": order, "hint": b""}]
    data = p.order_book.encode("executeOrders", items, p.account(p.keeper))
    request = {"from": p.keeper, "to": p.order_book.address, "data": data}
    endings = set()
    for gas in range(60_000, 500_000, 4_000):
        try:
            answer = p.rpc.request("eth_call", [{**request, "gas": hex(gas)}, "latest"])
        except RpcError:
            endings.add("reverted")
            continue
        endings.add(OrderResult(int(answer[-64:], 16)).name)
    assert endings == {"reverted", "CANCELLED" if fault else "FILLED"}
