"""Clearing orders that are too late, and the rules of a market: who gets the fee, what the owner may set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.orders import ASSET, CLOCK_SKEW, FEE, MARKET, RULES, Desk, Order, desk
from tests.support.reverts import reverts_with

from plimsoll.chain.artifacts import compile_contracts
from plimsoll.chain.contract import deploy

DELAY, WINDOW = RULES[1], RULES[3]
INVALID = 1
CALLS = ["executeOrders", "expireOrders"]
ZERO = "0x" + "00" * 20


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
    return d.place(life=60)


def expired(d: Desk, order: Order, fn: str, time: int, fee_to: bytes) -> None:
    """Clearing it at `time` ends the order and gives the fee to `fee_to`, and to nobody else."""
    results, receipt = d.run(order, fn=fn, time=time)
    assert results == ["Expired"]
    assert receipt.event("OrderExpired").args == {
        "account": d.account,
        "market": MARKET,
        "id": order.id,
        "feeTo": fee_to,
    }
    released = receipt.event("FeeReleased")
    assert (released["toKeeper"], released["fee"]) == (fee_to == d.keeper_account, FEE)
    other = d.account if fee_to == d.keeper_account else d.keeper_account
    assert (d.fee_of(fee_to), d.fee_of(other), d.house.call("escrow"), d.pending()) == (FEE, 0, 0, (order.id, 0))
    assert d.house.call("pendingOrders", d.account) == 0


@pytest.mark.parametrize("fn", CALLS)
def test_after_the_window_the_shown_price_earns_the_fee(d: Desk, order: Order, fn: str) -> None:
    d.price(order.placed_at + DELAY)
    expired(d, order, fn, order.placed_at + DELAY + WINDOW + 1, d.keeper_account)


@pytest.mark.parametrize("fn", CALLS)
def test_an_invalid_price_expires_like_any_other(d: Desk, order: Order, fn: str) -> None:
    d.price(order.placed_at + DELAY, flags=INVALID)
    expired(d, order, fn, order.placed_at + DELAY + WINDOW + 1, d.keeper_account)


@pytest.mark.parametrize("fn", CALLS)
def test_before_its_expiry_nobody_clears_an_order_without_its_price(d: Desk, order: Order, fn: str) -> None:
    price_time = order.placed_at + DELAY
    d.price(price_time)
    d.price(price_time + 1)
    wrong = (1).to_bytes(32, "big")
    for time in (price_time + WINDOW + 1, order.expiry):
        results, receipt = d.run(order, fn=fn, time=time, hints=(wrong,))
        assert results == ["NotFirstPrice"]
        assert [event.name for event in receipt.events] == ["OrderSkipped"]
    expired(d, order, fn, order.expiry + 1, d.keeper_account)


@pytest.mark.parametrize("fn", CALLS)
def test_past_expiry_without_its_price_the_fee_returns(d: Desk, order: Order, fn: str) -> None:
    assert d.run(order, fn=fn, time=order.expiry)[0] == ["NoPriceYet"]
    expired(d, order, fn, order.expiry + 1, d.account)


@pytest.mark.parametrize("fn", CALLS)
@pytest.mark.parametrize("late", [0, 1])
def test_past_expiry_only_a_price_published_by_then_earns_the_fee(d: Desk, order: Order, fn: str, late: int) -> None:
    d.price(order.expiry + late)
    expired(d, order, fn, order.expiry + 1, d.account if late else d.keeper_account)


@pytest.mark.parametrize("fn", CALLS)
def test_past_expiry_a_wrong_hint_earns_nothing(d: Desk, order: Order, fn: str) -> None:
    d.price(order.placed_at + DELAY)
    results, receipt = d.run(order, fn=fn, time=order.expiry + 1, hints=((9).to_bytes(32, "big"),))
    assert results == ["Expired"]
    assert receipt.event("OrderExpired")["feeTo"] == d.account


def test_expire_never_ends_an_order_that_can_be_filled(d: Desk, order: Order) -> None:
    due = order.placed_at + DELAY
    d.price(due)
    for time in (due, due + WINDOW):
        results, receipt = d.run(order, fn="expireOrders", time=time)
        assert results == ["StillOpen"]
        assert receipt.event("OrderSkipped")["result"] == 10
    assert d.pending() == (1, 1)


def test_expire_takes_only_the_head(d: Desk, order: Order) -> None:
    second = d.place(life=60)
    results, _ = d.run(second, order, second, fn="expireOrders", time=second.expiry + 1)
    assert results == ["NotHead", "Expired", "Expired"]
    assert d.pending() == (2, 0)


def test_a_trader_who_clears_his_own_order_gets_its_fee_once(d: Desk, order: Order) -> None:
    d.price(order.placed_at + DELAY)
    results, _ = d.run(order, time=order.expiry + 1, keeper=d.account, sender=d.trader)
    assert results == ["Expired"]
    assert (d.fee_of(d.account), d.house.call("escrow")) == (FEE, 0)


def test_the_window_of_pending_orders_follows_the_rules(d: Desk, order: Order) -> None:
    d.price(order.placed_at + DELAY)
    d.book.transact("setMarket", MARKET, (*RULES[:3], 5, *RULES[4:]))
    expired(d, order, "executeOrders", order.placed_at + DELAY + 6, d.keeper_account)


# ── rules ────────────────────────────────────────────────────────────────────

RULE_NAMES = ("asset", "settlementDelay", "cancelMargin", "execWindow", "latency", "minKeeperFee")
NANO_MAX = ((1 << 64) - 1) * 10**9
REFUSED: list[tuple[dict[str, int], str, tuple[int, ...]]] = [
    ({"asset": 0}, "AssetOutOfRange", (0, 255)),
    ({"asset": 256}, "AssetOutOfRange", (256, 255)),
    ({"asset": ASSET + 1}, "AssetFixed", (MARKET, ASSET)),
    ({"execWindow": 0}, "ExecWindowOutOfRange", (0, 60)),
    ({"execWindow": 61}, "ExecWindowOutOfRange", (61, 60)),
    ({"settlementDelay": 3571}, "SettlementDelayTooLong", (3571, 3570)),
    ({"settlementDelay": 7}, "SettlementDelayTooShort", (7, 6, CLOCK_SKEW)),
    ({"latency": 9}, "SettlementDelayTooShort", (10, 9, CLOCK_SKEW)),
    ({"latency": (1 << 256) - 1}, "SettlementDelayTooShort", (10, (1 << 256) - 1, CLOCK_SKEW)),
    ({"cancelMargin": CLOCK_SKEW - 1}, "CancelMarginTooShort", (CLOCK_SKEW - 1, CLOCK_SKEW)),
    ({"cancelMargin": 11}, "CancelMarginTooLong", (11, 10)),
    ({"minKeeperFee": 10**9 + 1}, "FeeGranularity", (10**9 + 1,)),
    ({"minKeeperFee": NANO_MAX + 10**9}, "MinKeeperFeeTooHigh", (NANO_MAX + 10**9, NANO_MAX)),
]
ACCEPTED: list[dict[str, int]] = [
    {"execWindow": 1},
    {"execWindow": 60},
    {"settlementDelay": 3570},
    {"settlementDelay": 8},
    {"latency": 8},
    {"cancelMargin": CLOCK_SKEW},
    {"cancelMargin": 10},
    {"minKeeperFee": 0},
    {"minKeeperFee": NANO_MAX},
]


def changed(change: dict[str, int]) -> tuple[int, ...]:
    return tuple(change.get(name, value) for name, value in zip(RULE_NAMES, RULES, strict=True))


@pytest.mark.parametrize(("change", "error", "values"), REFUSED)
def test_rules_out_of_bounds_are_refused(d: Desk, change: dict[str, int], error: str, values: tuple[int, ...]) -> None:
    with reverts_with(error, *values):
        d.book.transact("setMarket", MARKET, changed(change))
    assert tuple(d.book.call("rulesOf", MARKET)) == RULES


@pytest.mark.parametrize("change", ACCEPTED)
def test_rules_at_the_bounds_are_kept_and_told(d: Desk, change: dict[str, int]) -> None:
    rules = changed(change)
    receipt = d.book.transact("setMarket", MARKET, rules)
    assert tuple(d.book.call("rulesOf", MARKET)) == rules
    event = receipt.event("MarketRulesSet")
    assert (event["market"], tuple(event["rules"])) == (MARKET, rules)


def test_only_the_owner_sets_rules_and_hands_over(d: Desk) -> None:
    calls: list[tuple[str, tuple[Any, ...]]] = [
        ("setMarket", (MARKET, RULES)),
        ("transferOwnership", (d.outsider.address,)),
        ("acceptOwnership", ()),
        ("renounceOwnership", ()),
    ]
    for fn, args in calls:
        with reverts_with("OwnableUnauthorizedAccount", d.outsider.address):
            d.book.transact(fn, *args, sender=d.outsider)


def test_ownership_moves_in_two_steps(d: Desk) -> None:
    d.book.transact("transferOwnership", d.outsider.address)
    assert (d.book.call("owner"), d.book.call("pendingOwner")) == (d.owner.address, d.outsider.address)
    d.book.transact("acceptOwnership", sender=d.outsider)
    assert (d.book.call("owner"), d.book.call("pendingOwner")) == (d.outsider.address, ZERO)


@pytest.mark.parametrize(
    ("change", "error", "values"),
    [
        ({0: ZERO}, "ZeroAddress", ()),
        ({1: ZERO}, "ZeroAddress", ()),
        ({2: 0}, "ClockSkewOutOfRange", (0, 60)),
        ({2: 61}, "ClockSkewOutOfRange", (61, 60)),
        ({3: ZERO}, "OwnableInvalidOwner", (ZERO,)),
    ],
)
def test_the_constructor_refuses(d: Desk, change: dict[int, Any], error: str, values: tuple[Any, ...]) -> None:
    artifact = compile_contracts(only=("contracts/OrderBook.sol",), quiet=True).artifact("OrderBook")
    args = [change.get(i, value) for i, value in enumerate((d.house, d.hub, CLOCK_SKEW, d.owner))]
    with reverts_with(error, *values):
        deploy(artifact, *args, sender=d.owner)
