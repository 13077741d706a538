"""placeOrder, cancelOrder and the queue: refusals in code order, then what an order leaves behind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple, replace
from typing import Any

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak
from tests.support.orders import FEE, MARKET, NO_LIMIT, RULES, WAD, Desk, Order, account_of, desk
from tests.support.reverts import reverts_with

DELAY, CANCEL_MARGIN, EXEC_WINDOW, MIN_FEE = RULES[1], RULES[2], RULES[3], RULES[5]
KINDS = ["bytes32", "uint24", "uint256", "uint256", "int256", "uint256", "uint256", "uint256", "bool", "bytes32"]


@pytest.fixture(scope="module")
def shared() -> Iterator[Desk]:
    with desk() as running:
        yield running


@pytest.fixture
def d(shared: Desk) -> Iterator[Desk]:
    with shared.anvil.snapshot():
        yield shared


def queue_hash(order: Order) -> bytes:
    return keccak(encode(KINDS, astuple(order)))


# ── placing: refusals ────────────────────────────────────────────────────────


def test_place_refuses_no_size(d: Desk) -> None:
    with reverts_with("ZeroSize"):
        d.try_place(size=0, market=MARKET + 1)


def test_place_refuses_a_market_without_rules(d: Desk) -> None:
    with reverts_with("UnknownMarket", MARKET + 1):
        d.try_place(market=MARKET + 1, life=0)


@pytest.mark.parametrize("life", [0, -1])
def test_place_refuses_an_expiry_that_has_passed(d: Desk, life: int) -> None:
    time = d.anvil.now() + 1
    with reverts_with("ExpiryPassed", time + life, time):
        d.try_place(life=life, fee=0)


def test_place_refuses_a_life_under_a_minute(d: Desk) -> None:
    time = d.anvil.now() + 1
    with reverts_with("ExpiryTooEarly", time + 59, time + 60):
        d.try_place(life=59, fee=0)
    d.place(life=60)


def test_place_refuses_an_expiry_before_the_price_time(d: Desk) -> None:
    d.book.transact("setMarket", MARKET, (RULES[0], 100, *RULES[2:]))
    time = d.anvil.now() + 1
    with reverts_with("ExpiryTooEarly", time + 99, time + 100):
        d.try_place(life=99, fee=0)
    d.place(life=100)


def test_place_refuses_a_life_over_an_hour(d: Desk) -> None:
    time = d.anvil.now() + 1
    with reverts_with("ExpiryTooLate", time + 3601, time + 3600):
        d.try_place(life=3601, fee=0)
    d.place(life=3600)


def test_place_refuses_a_fee_below_the_least(d: Desk) -> None:
    with reverts_with("KeeperFeeTooLow", MIN_FEE - 1, MIN_FEE):
        d.try_place(fee=MIN_FEE - 1)
    d.place(fee=MIN_FEE)


def test_no_least_fee_stands_in_the_way_of_closing(d: Desk) -> None:
    d.place(fee=0, reduce_only=True)


def test_place_refuses_the_ninth_pending_order(d: Desk) -> None:
    for _ in range(8):
        d.place()
    with reverts_with("QueueFull", d.account, MARKET, 8):
        d.try_place()
    d.place(account=account_of(d.trader.address, sub=1))


def test_place_refuses_everyone_but_the_owner_of_the_account(d: Desk) -> None:
    """INV-32."""
    with reverts_with("NotAccountOwner", d.account, d.outsider.address):
        d.try_place(sender=d.outsider)
    assert d.pending() == (0, 0)


# ── placing: success ─────────────────────────────────────────────────────────


def test_place_tells_every_parameter_and_keeps_their_hash_and_the_price_time(d: Desk) -> None:
    options: dict[str, Any] = {
        "size": -3 * WAD,
        "limit": 5,
        "fee": 7 * FEE,
        "reduce_only": True,
        "client_id": b"c" * 32,
    }
    receipt = d.try_place(life=900, **options)
    time = d.anvil.now()
    placed = receipt.event("OrderPlaced")
    order = Order(d.account, MARKET, 1, time, -3 * WAD, 5, time + 900, 7 * FEE, True, b"c" * 32)
    assert Order.of(placed) == order
    assert placed["priceTime"] == time + DELAY
    assert receipt.event("FeeReserved").args == {
        "account": d.account,
        "market": MARKET,
        "fee": 7 * FEE,
        "reduceOnly": True,
    }
    expected = int.from_bytes(queue_hash(order), "big") >> 72 << 72 | (time + DELAY) << 40
    assert d.book.call("orderWords", d.account, MARKET) == [expected]
    assert d.book.call("hashOrder", astuple(order)) == queue_hash(order)
    assert d.book.call("queues", [d.account], [MARKET]) == [expected | 1 << 32 | 1]
    assert (d.house.call("escrow"), d.house.call("pendingOrders", d.account)) == (7 * FEE, 0)


def test_place_counts_ids_per_account_and_market(d: Desk) -> None:
    d.book.transact("setMarket", MARKET + 1, RULES)
    other = account_of(d.trader.address, sub=1)
    ids = [d.place().id, d.place().id, d.place(market=MARKET + 1).id, d.place(account=other).id, d.place().id]
    assert ids == [1, 2, 1, 1, 3]
    assert (d.pending(), d.pending(other)) == ((3, 3), (1, 1))
    pairs = d.book.call("queues", [d.account, other], [MARKET, MARKET])
    assert [word & 0xFFFFFFFFFF for word in pairs] == [3 << 32 | 3, 1 << 32 | 1]
    with reverts_with("LengthMismatch", 2, 1):
        d.book.call("queues", [d.account, other], [MARKET])


def test_price_time_stays_when_the_rules_change(d: Desk) -> None:
    order = d.place()
    d.book.transact("setMarket", MARKET, (RULES[0], 500, *RULES[2:]))
    d.price(order.placed_at + DELAY)
    assert d.run(order, time=order.placed_at + DELAY)[0] == ["Filled"]


# ── cancelling ───────────────────────────────────────────────────────────────


def cancel(d: Desk, order: Order, time: int | None = None, **options: Any) -> Any:
    if time is not None:
        d.at(time)
    return d.book.transact("cancelOrder", astuple(order), sender=options.get("sender", d.trader))


def test_cancel_refuses_everyone_but_the_owner(d: Desk) -> None:
    """INV-32."""
    order = d.place()
    with reverts_with("NotAccountOwner", d.account, d.keeper.address):
        cancel(d, order, sender=d.keeper)


CHANGES: list[dict[str, Any]] = [
    {"market": MARKET + 1},
    {"id": 2},
    {"placed_at": 5},
    {"size_delta": -WAD},
    {"limit_price": 1},
    {"expiry": 5},
    {"keeper_fee": FEE + 1},
    {"reduce_only": True},
    {"client_id": b"x" * 32},
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
def test_every_parameter_is_bound(d: Desk, change: dict[str, Any]) -> None:
    order = d.place()
    forged = replace(order, **change)
    with reverts_with("OrderNotPending", forged.account, forged.market, forged.id):
        cancel(d, forged)
    d.price(order.placed_at + DELAY)
    results, receipt = d.run(forged, time=order.placed_at + DELAY)
    assert results == ["NotPending"]
    assert [event.name for event in receipt.events] == ["OrderSkipped"]
    assert d.pending() == (1, 1)


def test_the_account_is_bound(d: Desk) -> None:
    order = d.place()
    forged = replace(order, account=account_of(d.trader.address, sub=5))
    with reverts_with("OrderNotPending", forged.account, MARKET, 1):
        cancel(d, forged)


def test_cancel_refuses_an_order_in_the_middle(d: Desk) -> None:
    d.book.transact("setMarket", MARKET, (RULES[0], 100, *RULES[2:]))
    first, middle, last = d.place(), d.place(), d.place()
    with reverts_with("OrderInTheMiddle", d.account, MARKET, middle.id):
        cancel(d, middle)
    cancel(d, last)
    cancel(d, middle)
    cancel(d, first)
    assert d.pending() == (3, 0)


def test_cancel_ends_a_margin_before_the_price_time(d: Desk) -> None:
    order = d.place()
    until = order.placed_at + DELAY - CANCEL_MARGIN
    with d.anvil.snapshot():
        cancel(d, order, until - 1)
    for time in (until, order.placed_at + DELAY, order.expiry):
        with d.anvil.snapshot(), reverts_with("CancelTooLate", time, until, order.expiry):
            cancel(d, order, time)
    cancel(d, order, order.expiry + 1)
    assert d.fee_of(d.account) == FEE


@pytest.mark.parametrize("reduce_only", [False, True])
def test_cancel_returns_the_whole_fee_and_frees_the_account(d: Desk, reduce_only: bool) -> None:
    order = d.place(reduce_only=reduce_only)
    assert d.house.call("pendingOrders", d.account) == (0 if reduce_only else 1)
    receipt = cancel(d, order)
    assert receipt.event("OrderCancelled").args == {
        "account": d.account,
        "market": MARKET,
        "id": 1,
        "feeTo": d.account,
        "reason": b"",
    }
    assert (d.fee_of(d.account), d.house.call("escrow"), d.house.call("pendingOrders", d.account)) == (FEE, 0, 0)
    with reverts_with("OrderNotPending", d.account, MARKET, 1):
        cancel(d, order)


def test_an_id_is_never_used_again(d: Desk) -> None:
    first, second = d.place(), d.place()
    cancel(d, second)
    again = d.place()
    cancel(d, first)
    assert (first.id, second.id, again.id) == (1, 2, 3)
    cancel(d, again)
    assert d.place().id == 4
    assert d.pending() == (4, 1)


# ── the queue ────────────────────────────────────────────────────────────────


def test_the_queue_keeps_its_order_through_many_turns_of_the_ring(d: Desk) -> None:
    """Places, cancels at both ends and executes in a fixed mixture; a list is the model."""
    model: list[Order] = []
    prices: list[int] = []
    steps = "pppppppp" + "hhh" + "ppp" + "lhl" + "pphphhph" * 3 + "pppppllhhhhhh" + "hp"
    for step in steps:
        if step == "p":
            if len(model) == 8:
                with reverts_with("QueueFull", d.account, MARKET, 8):
                    d.try_place()
            else:
                model.append(d.place(limit=NO_LIMIT))
        elif step == "h" and model:
            order = model.pop(0)
            price_time = order.placed_at + DELAY
            if all(published < price_time for published in prices):
                prices.append(max(price_time, d.anvil.now() + 1))
                d.price(prices[-1])
            time = max(d.anvil.now(), prices[-1]) + 1
            on_time = time <= min(published for published in prices if published >= price_time) + EXEC_WINDOW
            results, _ = d.run(order, time=time)
            assert results == ["Filled" if on_time else "Expired"]
        elif step == "l" and model and d.anvil.now() + 1 < model[-1].placed_at + DELAY - CANCEL_MARGIN:
            cancel(d, model.pop())
        assert d.book.call("positionsOf", [astuple(order) for order in model]) == [*range(1, len(model) + 1)]
        assert d.pending()[1] == len(model)
        words = d.book.call("orderWords", d.account, MARKET)
        assert [word >> 72 for word in words] == [int.from_bytes(queue_hash(order), "big") >> 72 for order in model]
    assert sorted({order.id for order in model}) == [order.id for order in model]
