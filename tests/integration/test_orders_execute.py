"""executeOrders: whose fault a failure is, who is paid, and that neither gas, hint nor neighbour decides anything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple, replace
from typing import Any

import pytest
from tests.support.orders import (
    ASSET,
    CLOCK_SKEW,
    FEE,
    MARKET,
    RESULTS,
    RULES,
    WAD,
    Desk,
    Order,
    account_of,
    desk,
    error_data,
)
from tests.support.reverts import reverts_with

from plimsoll.chain.errors import RpcError

DELAY, WINDOW = RULES[1], RULES[3]
NORMAL, REVERT, BURN, BURN_INSIDE, CALL = range(5)
HUB_REVERT, HUB_BURN = 1, 2
INVALID, UNCERTAIN = 1, 2


@pytest.fixture(scope="module")
def shared() -> Iterator[Desk]:
    with desk() as running:
        yield running


@pytest.fixture
def d(shared: Desk) -> Iterator[Desk]:
    with shared.anvil.snapshot():
        yield shared


@pytest.fixture
def order(d: Desk) -> Order:
    return d.place()


@pytest.fixture
def due(d: Desk, order: Order) -> int:
    """The order's price is published exactly at its price time, which this is."""
    d.price(order.placed_at + DELAY)
    return order.placed_at + DELAY


def hint(number: int) -> bytes:
    return number.to_bytes(32, "big")


def untouched(d: Desk, order: Order) -> bool:
    """The order is pending, first, and its fee in escrow."""
    return d.book.call("positionsOf", [astuple(order)]) == [1] and d.house.call("escrow") == order.keeper_fee


# ── filling ──────────────────────────────────────────────────────────────────


def test_fill_passes_on_the_order_and_its_price_and_pays_the_keeper(d: Desk) -> None:
    order = d.place(size=-5 * WAD, limit=123, fee=3 * FEE, reduce_only=True)
    d.price(order.placed_at + DELAY + 2, price=777, flags=UNCERTAIN)
    results, receipt = d.run(order, time=order.placed_at + DELAY + 5)
    spot = 777 | (order.placed_at + DELAY + 2) << 176 | UNCERTAIN << 208
    asked = receipt.event("FillAsked")["order"]
    assert results == ["Filled"]
    assert asked == (d.account, MARKET, -5 * WAD, 123, True, spot, 3 * FEE, d.keeper_account, 1)
    assert (d.fee_of(d.keeper_account), d.house.call("escrow"), d.pending()) == (3 * FEE, 0, (1, 0))


def test_an_order_ends_once(d: Desk, order: Order, due: int) -> None:
    """INV-29."""
    assert d.run(order, order, time=due)[0] == ["Filled", "NotPending"]
    assert d.run(order)[0] == ["NotPending"]
    assert d.run(order, fn="expireOrders", time=order.expiry + 1)[0] == ["NotPending"]
    assert d.fee_of(d.keeper_account) == FEE


def test_only_the_first_price_at_or_after_the_price_time_is_admissible(d: Desk, order: Order) -> None:
    """INV-30."""
    price_time = order.placed_at + DELAY
    for number, offset in enumerate((-1, 3, 4)):
        d.price(price_time + offset, price=1_000 + number)
    for wrong in (0, 2, 3):
        results, receipt = d.run(order, time=price_time + 5, hints=(hint(wrong),))
        assert results == ["NotFirstPrice"]
        reason = error_data("NotFirstPrice(uint256,uint256,uint256)", ASSET, price_time, wrong)
        assert receipt.event("OrderSkipped")["reason"] == reason
        assert untouched(d, order)
    _, receipt = d.run(order, time=d.anvil.now() + 1, hints=(hint(1),))
    assert receipt.event("FillAsked")["order"].spot & (1 << 88) - 1 == 1_001


def test_a_price_before_the_price_time_does_not_count(d: Desk, order: Order) -> None:
    d.price(order.placed_at + DELAY - 1)
    results, receipt = d.run(order, time=order.placed_at + DELAY + 1)
    assert results == ["NoPriceYet"]
    assert receipt.event("OrderSkipped")["result"] == 5
    assert untouched(d, order)


def test_a_price_known_at_placement_never_counts(d: Desk) -> None:
    d.book.transact("setMarket", MARKET, (ASSET, CLOCK_SKEW, CLOCK_SKEW, WINDOW, 0, 0))
    d.price(d.anvil.now() + 2)
    order = d.place()
    assert order.placed_at == d.anvil.now()
    assert d.run(order, time=order.placed_at + CLOCK_SKEW)[0] == ["NoPriceYet"]


def test_the_window_counts_from_publication(d: Desk, order: Order, due: int) -> None:
    with d.anvil.snapshot():
        assert d.run(order, time=due + WINDOW)[0] == ["Filled"]
    assert d.run(order, time=due + WINDOW + 1)[0] == ["Expired"]


def test_an_order_fills_up_to_its_expiry(d: Desk) -> None:
    order = d.place(life=60)
    d.price(order.expiry - 1)
    with d.anvil.snapshot():
        assert d.run(order, time=order.expiry)[0] == ["Filled"]
    assert d.run(order, time=order.expiry + 1)[0] == ["Expired"]


# ── one queue per account and market ─────────────────────────────────────────


def test_orders_execute_in_id_order(d: Desk) -> None:
    first, second, third = d.place(), d.place(), d.place()
    d.price(third.placed_at + DELAY)
    time = third.placed_at + DELAY
    assert d.run(third, second, time=time)[0] == ["NotHead", "NotHead"]
    results, receipt = d.run(second, first, third, second, third)
    assert results == ["NotHead", "Filled", "NotHead", "Filled", "Filled"]
    assert [event["order"].id for event in receipt.named("FillAsked")] == [1, 2, 3]


def test_another_account_or_market_does_not_wait(d: Desk, order: Order) -> None:
    d.book.transact("setMarket", MARKET + 1, RULES)
    others = [d.place(account=account_of(d.trader.address, sub=1)), d.place(market=MARKET + 1)]
    d.price(d.anvil.now() + DELAY)
    assert d.run(*others, time=d.anvil.now() + DELAY)[0] == ["Filled", "Filled"]
    assert untouched(d, order)


def test_one_bad_item_leaves_the_others_alone(d: Desk, order: Order) -> None:
    faulty, refused, good = (account_of(d.trader.address, sub=sub) for sub in (1, 2, 3))
    batch = [d.place(account=account) for account in (faulty, refused, good)]
    d.fill_fails(REVERT, error_data("InsufficientMargin(int256,uint256)", -1, 1), faulty)
    d.fill_fails(REVERT, b"", refused)
    d.price(d.anvil.now() + DELAY)
    forged = replace(order, id=9)
    results, receipt = d.run(forged, *batch, order, time=d.anvil.now() + DELAY)
    assert results == ["NotPending", "Cancelled", "Refused", "Filled", "Filled"]
    assert d.house.call("escrow") == FEE
    assert d.fee_of(d.keeper_account) == 3 * FEE
    assert [event["id"] for event in receipt.named("OrderSkipped")] == [9, 1]


# ── whose fault ──────────────────────────────────────────────────────────────

TRADERS = [
    error_data("InsufficientMargin(int256,uint256)", -5, 7),
    error_data("NothingToReduce(bytes32,uint24)", bytes(32), MARKET),
    error_data("BelowMinNotional(uint256,uint256)", 1, 2),
    error_data("PositionTooLarge(uint256,uint256)", 2, 1),
    error_data("TooManyMarkets(uint256,uint256)", 9, 8),
]
OTHERS = [
    error_data("PriceLimit(uint256,uint256)", 2, 1),
    error_data("OpenInterestCap(uint256,uint256)", 2, 1),
    error_data("SkewCap(uint256,uint256)", 2, 1),
    error_data("IncreasePaused(uint16)", 1),
    error_data("ReduceOnlyMarket(uint24)", MARKET),
    error_data("MarketSettled(uint24)", MARKET),
    error_data("PoolInsolvent(uint16,int256)", 1, -1),
    error_data("PriceRefused(uint256,uint256)", ASSET, 1),
    error_data("UtilisationLimit(uint256,uint256)", 2, 1),
    error_data("BorrowPaused(uint16)", 1),
    error_data("Panic(uint256)", 17),
    error_data("InsufficientMargin(uint256)", 7),
    TRADERS[0][:3],
    b"",
]


@pytest.mark.parametrize("reason", TRADERS, ids=range(5))
@pytest.mark.parametrize("reduce_only", [False, True])
def test_the_traders_own_doing_cancels_and_pays_the_keeper(d: Desk, reason: bytes, reduce_only: bool) -> None:
    order = d.place(reduce_only=reduce_only)
    d.price(order.placed_at + DELAY)
    d.fill_fails(REVERT, reason)
    results, receipt = d.run(order, time=order.placed_at + DELAY)
    assert results == ["Cancelled"]
    assert receipt.event("OrderCancelled").args == {
        "account": d.account,
        "market": MARKET,
        "id": 1,
        "feeTo": d.keeper_account,
        "reason": reason,
    }
    assert (d.fee_of(d.keeper_account), d.fee_of(d.account), d.pending()) == (FEE, 0, (1, 0))
    assert d.house.call("pendingOrders", d.account) == 0


@pytest.mark.parametrize("reason", OTHERS, ids=range(len(OTHERS)))
def test_every_other_failure_leaves_the_order_pending(d: Desk, order: Order, due: int, reason: bytes) -> None:
    """INV-29."""
    d.fill_fails(REVERT, reason)
    results, receipt = d.run(order, time=due)
    assert results == ["Refused"]
    assert receipt.event("OrderSkipped").args == {
        "account": d.account,
        "market": MARKET,
        "id": 1,
        "result": 9,
        "reason": reason,
    }
    assert untouched(d, order)
    d.fill_fails(NORMAL)
    assert d.run(order)[0] == ["Filled"]


def test_an_invalid_price_fills_nothing(d: Desk, order: Order) -> None:
    """INV-27, INV-29."""
    due = order.placed_at + DELAY
    d.price(due, flags=INVALID)
    assert d.run(order, time=due)[0] == ["PriceInvalid"]
    assert d.run(order, time=due + WINDOW)[0] == ["PriceInvalid"]
    assert untouched(d, order)
    assert d.run(order, time=due + WINDOW + 1)[0] == ["Expired"]


def test_an_unknown_failure_of_the_hub_leaves_the_order_pending(d: Desk, order: Order, due: int) -> None:
    d.hub_fails(HUB_REVERT, error_data("UnknownAsset(uint256)", ASSET))
    assert d.run(order, time=due)[0] == ["PriceFailed"]
    assert untouched(d, order)


def test_a_fee_that_cannot_be_released_leaves_the_order_pending(d: Desk, order: Order, due: int) -> None:
    d.house.transact("setReleaseError", error_data("Panic(uint256)", 17))
    d.fill_fails(REVERT, TRADERS[0])
    results, receipt = d.run(order, time=due)
    assert results == ["Refused"]
    assert receipt.event("OrderSkipped")["reason"] == error_data("Panic(uint256)", 17)
    assert d.run(order, fn="expireOrders", time=order.expiry + 1)[0] == ["Refused"]
    assert untouched(d, order)


# ── gas decides nothing ──────────────────────────────────────────────────────


@pytest.mark.parametrize("mode", [BURN, BURN_INSIDE])
@pytest.mark.parametrize("reason", [b"", TRADERS[0], OTHERS[0]])
def test_a_fill_without_gas_reverts_the_batch(d: Desk, order: Order, due: int, mode: int, reason: bytes) -> None:
    d.fill_fails(mode, reason)
    d.at(due)
    with reverts_with("NotEnoughGas", ...):
        d.run(order, time=due)
    assert untouched(d, order)


@pytest.mark.parametrize("lapsed", [False, True])
def test_a_price_without_gas_reverts_the_batch(d: Desk, order: Order, due: int, lapsed: bool) -> None:
    for mode, data in ((HUB_BURN, b""), (HUB_REVERT, error_data("FeedNeedsMoreGas(uint256,uint256)", 1, 2))):
        d.hub_fails(mode, data)
        with reverts_with("NotEnoughGas", ...):
            d.run(order, time=order.expiry + 1 if lapsed else due)
    assert untouched(d, order)


def test_a_fill_whose_feed_lacks_gas_reverts_the_batch(d: Desk, order: Order, due: int) -> None:
    d.fill_fails(REVERT, error_data("FeedNeedsMoreGas(uint256,uint256)", 1, 2))
    with reverts_with("NotEnoughGas", ...):
        d.run(order, time=due)


@pytest.mark.parametrize(("mode", "reason", "end"), [(NORMAL, b"", "Filled"), (REVERT, TRADERS[0], "Cancelled")])
def test_at_every_gas_limit_the_order_ends_as_it_should_or_nothing_happens(
    d: Desk, order: Order, due: int, mode: int, reason: bytes, end: str
) -> None:
    d.fill_fails(mode, reason)
    d.anvil.advance(due + 1 - d.anvil.now())
    data = d.book.encode("executeOrders", [(astuple(order), b"")], d.keeper_account)
    request = {"from": d.keeper.address, "to": d.book.address, "data": data}
    endings = set()
    for gas in range(40_000, 260_000, 1_000):
        try:
            answer = d.anvil.rpc.request("eth_call", [{**request, "gas": hex(gas)}, "latest"])
        except RpcError:
            endings.add("reverted")
            continue
        endings.add(RESULTS[int(answer[-64:], 16)])
    assert endings == {"reverted", end}


# ── the caller ───────────────────────────────────────────────────────────────


def test_a_keeper_account_without_owner_is_refused(d: Desk, order: Order, due: int) -> None:
    with reverts_with("ZeroAddress"):
        d.run(order, time=due, keeper=account_of("0x" + "00" * 20))


def test_value_pays_for_updates_and_the_rest_returns(d: Desk, order: Order) -> None:
    other = d.place(account=account_of(d.trader.address, sub=1))
    d.price(other.placed_at + DELAY)
    d.hub.transact("setUpdateFee", 1_000)
    time = other.placed_at + DELAY
    assert d.run(order, time=time, value=999)[0] == ["PriceFailed"]
    before = int(d.anvil.rpc.request("eth_getBalance", [d.keeper.address, "latest"]), 16)
    results, receipt = d.run(order, other, value=5_000)
    after = int(d.anvil.rpc.request("eth_getBalance", [d.keeper.address, "latest"]), 16)
    assert results == ["Filled", "Filled"]
    assert before - after == 2_000 + receipt.gas_used * receipt.effective_gas_price
    assert int(d.anvil.rpc.request("eth_getBalance", [d.book.address, "latest"]), 16) == 0
    assert int(d.anvil.rpc.request("eth_getBalance", [d.hub.address, "latest"]), 16) == 2_000


def test_a_caller_that_takes_no_refund_is_refused(d: Desk, order: Order, due: int) -> None:
    hub = d.anvil.impersonate(d.hub)
    with reverts_with("RefundRefused", d.hub.address, 5):
        d.run(order, time=due, value=5, sender=hub)
    assert d.run(order, time=due + 1, sender=hub)[0] == ["Filled"]


def test_the_refund_comes_when_the_lock_is_free_again(d: Desk, order: Order, due: int) -> None:
    assert d.run(order, time=due, value=5, sender=d.anvil.impersonate(d.house))[0] == ["Filled"]
    assert (d.house.call("received"), d.house.call("receivedWhileLocked")) == (5, False)


def test_only_the_hub_sends_ether(d: Desk) -> None:
    request = {"from": d.outsider.address, "to": d.book.address, "value": "0x1"}
    with pytest.raises(RpcError) as caught:
        d.anvil.rpc.request("eth_call", [request, "latest"])
    revert = d.book.errors.from_rpc(caught.value)
    assert str(revert) == f"NotHub(caller={d.outsider.address})"


# ── re-entrancy ──────────────────────────────────────────────────────────────


def entries(d: Desk, order: Order) -> dict[str, str]:
    """A call of every state-changing function that would succeed for somebody if the lock were free."""
    items: Any = [(astuple(order), b"")]
    house = account_of(d.house.address)
    place = (house, MARKET, WAD, 0, d.anvil.now() + 900, FEE, False, bytes(32))
    return {
        "placeOrder": d.book.encode("placeOrder", *place),
        "cancelOrder": d.book.encode("cancelOrder", astuple(replace(order, account=house))),
        "executeOrders": d.book.encode("executeOrders", items, d.keeper_account),
        "expireOrders": d.book.encode("expireOrders", items, d.keeper_account),
        "setMarket": d.book.encode("setMarket", MARKET, RULES),
        "transferOwnership": d.book.encode("transferOwnership", d.outsider.address),
        "acceptOwnership": d.book.encode("acceptOwnership"),
        "renounceOwnership": d.book.encode("renounceOwnership"),
    }


def test_every_entry_is_locked_while_a_fill_runs(d: Desk, order: Order, due: int) -> None:
    """INV-34."""
    changing = {
        item["name"]
        for item in d.book.abi
        if item["type"] == "function" and item["stateMutability"] not in ("view", "pure")
    }
    calls = entries(d, order)
    assert set(calls) == changing
    d.book.transact("transferOwnership", d.house.address)
    d.anvil.impersonate(d.house)
    d.book.transact("acceptOwnership", sender=d.house.address)
    d.house.transact("setTarget", d.book.address)
    for name, data in calls.items():
        with d.anvil.snapshot():
            d.fill_fails(CALL, bytes.fromhex(data[2:]))
            assert d.run(order, time=due + 3)[0] == ["Filled"], name
            assert (d.house.call("called"), d.house.call("answer")) == (False, error_data("Locked()")), name
