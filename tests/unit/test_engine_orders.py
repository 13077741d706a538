"""The engine's order book: limits of a new order, the queue, and every way in which an order ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from plimsoll.model.engine import accounts, fill, orders
from plimsoll.model.engine.draft import Draft, Refusal
from plimsoll.model.engine.feeds import PYTH, Asset, Feed, PythHint, PythPrice, Round
from plimsoll.model.engine.orders import OrderResult
from plimsoll.model.engine.state import Order, State, account_id, market_id
from plimsoll.model.order_words import RulesWord
from plimsoll.units import NANO, WAD

NOW = 1_700_000_000
ETH, FEED = 1, 0xFEED
TRADER, STRANGER, OWNER, BOOK_OWNER = 0xA11CE, 0xB0B, 0xC0, 0xD0
ACCOUNT = account_id(TRADER, 1)
KEEPER = account_id(STRANGER, 1)
MARKET = market_id(1, 0)
FEE = 10**17
RULES = RulesWord(asset=ETH, settlement_delay=40, cancel_margin=10, exec_window=30, latency=30, min_keeper_fee=FEE)


@dataclass
class Ledger:
    """Stands in for the Clearinghouse: notes its calls, and refuses what it is told to."""

    calls: list[Any] = field(default_factory=list)
    fill_refused: Refusal | None = None
    release_refused: Refusal | None = None

    def reserve(self, d: Draft, account: int, market: int, caller: int, fee: int, reduce_only: bool) -> None:
        if caller != account >> 96:
            raise Refusal("NotAccountOwner", account, caller)
        self.calls.append(("reserve", fee, reduce_only))

    def release(self, d: Draft, account: int, fee: int, reduce_only: bool, to_keeper: bool, keeper: int) -> None:
        d.put("junior", 1, 1)
        if self.release_refused:
            raise self.release_refused
        self.calls.append(("release", fee, reduce_only, to_keeper, keeper))

    def fill(self, d: Draft, order: fill.FillOrder) -> fill.FillResult:
        d.put("junior", 1, 2)
        d.prices[ETH] = (order.spot, None)  # type: ignore[assignment]
        if self.fill_refused:
            raise self.fill_refused
        self.calls.append(("fill", order.size_delta, order.spot.price, order.keeper))
        return fill.FillResult(order.size_delta, order.spot.price, 0, 0)


@pytest.fixture
def ledger(monkeypatch: pytest.MonkeyPatch) -> Ledger:
    one = Ledger()
    monkeypatch.setattr(accounts, "reserve_fee", one.reserve)
    monkeypatch.setattr(accounts, "release_fee", one.release)
    monkeypatch.setattr(fill, "fill", one.fill)
    return one


@pytest.fixture
def d() -> Draft:
    return Draft(
        State(
            time=NOW,
            order_book_owner=BOOK_OWNER,
            clock_skew=5,
            rules={MARKET: RULES},
            assets={ETH: Asset(feed=FEED, max_age=3600)},
            feeds={FEED: Feed(rounds={1: Round(2000 * 10**8, NOW - 5, 1)}, latest=1)},
        )
    )


def place(d: Draft, **changes: Any) -> Order:
    values: dict[str, Any] = {
        "account": ACCOUNT,
        "market": MARKET,
        "size_delta": WAD,
        "limit_price": 2**256 - 1,
        "expiry": d.time + 600,
        "keeper_fee": FEE,
        "reduce_only": False,
        "client_id": 7,
        **changes,
    }
    id_ = orders.place_order(d, changes.pop("caller", TRADER), **{k: v for k, v in values.items() if k != "caller"})
    values.pop("caller", None)
    return Order(id=id_, placed_at=d.time, **values)


def publish(d: Draft, time: int, answer: int = 2000 * 10**8) -> None:
    old: Feed = d.feeds[FEED]
    n = old.latest + 1
    d.put("feeds", FEED, replace(old, rounds={**old.rounds, n: Round(answer, time, n)}, latest=n))


@contextmanager
def refused(name: str, *values: Any) -> Iterator[None]:
    with pytest.raises(Refusal) as caught:
        yield
    assert (caught.value.name, caught.value.values) == (name, values)


def run(d: Draft, order: Order, hint: Any = None) -> orders.Outcome:
    return orders.execute_orders(d, [(order, hint)], KEEPER)[0]


# ── placing and cancelling ───────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("changes", "name", "values"),
    [
        ({"size_delta": 0, "market": 99}, "ZeroSize", ()),
        ({"market": 99, "expiry": 0}, "UnknownMarket", (99,)),
        ({"expiry": NOW, "keeper_fee": 0}, "ExpiryPassed", (NOW, NOW)),
        ({"expiry": NOW + 59, "keeper_fee": 0}, "ExpiryTooEarly", (NOW + 59, NOW + 60)),
        ({"expiry": NOW + 3601, "keeper_fee": 0}, "ExpiryTooLate", (NOW + 3601, NOW + 3600)),
        ({"keeper_fee": FEE - 1, "caller": STRANGER}, "KeeperFeeTooLow", (FEE - 1, FEE)),
        ({"caller": STRANGER}, "NotAccountOwner", (ACCOUNT, STRANGER)),
    ],
)
def test_a_new_order_is_refused(
    d: Draft, ledger: Ledger, changes: dict[str, Any], name: str, values: tuple[int, ...]
) -> None:
    with refused(name, *values):
        place(d, **changes)


def test_an_order_may_not_expire_before_its_price_time(d: Draft, ledger: Ledger) -> None:
    d.put("rules", MARKET, replace(RULES, settlement_delay=70))
    with refused("ExpiryTooEarly", NOW + 69, NOW + 70):
        place(d, expiry=NOW + 69)
    place(d, expiry=NOW + 70)


def test_ids_rise_and_the_queue_holds_eight(d: Draft, ledger: Ledger) -> None:
    placed = [place(d) for _ in range(8)]
    assert [order.id for order in placed] == list(range(1, 9))
    with refused("QueueFull", ACCOUNT, MARKET, 8):
        place(d)
    orders.cancel_order(d, TRADER, placed[7])
    assert place(d).id == 9


def test_only_the_first_and_the_last_may_be_cancelled_and_only_in_time(d: Draft, ledger: Ledger) -> None:
    first, second, third = place(d), place(d), place(d)
    with refused("NotAccountOwner", ACCOUNT, STRANGER):
        orders.cancel_order(d, STRANGER, first)
    with refused("OrderNotPending", ACCOUNT, MARKET, 1):
        orders.cancel_order(d, TRADER, replace(first, limit_price=1))
    with refused("OrderInTheMiddle", ACCOUNT, MARKET, 2):
        orders.cancel_order(d, TRADER, second)
    d.time = NOW + 30
    with refused("CancelTooLate", NOW + 30, NOW + 30, NOW + 600):
        orders.cancel_order(d, TRADER, first)
    d.time = NOW + 29
    orders.cancel_order(d, TRADER, third)
    d.time = NOW + 601
    orders.cancel_order(d, TRADER, first)
    assert d.queues[ACCOUNT, MARKET].orders == ((second, NOW + 40),)
    assert d.queues[ACCOUNT, MARKET].last_id == 3
    assert ledger.calls[-2:] == [("release", FEE, False, False, ACCOUNT)] * 2


# ── ends ─────────────────────────────────────────────────────────────────────


def test_a_fill_at_the_first_price_within_the_window(d: Draft, ledger: Ledger) -> None:
    first, second = place(d), place(d, reduce_only=True)
    assert run(d, first) == (OrderResult.NO_PRICE_YET, ("NoPriceYet", (ETH, NOW + 40)))
    d.time = NOW + 70
    assert run(d, first)[0] is OrderResult.NO_PRICE_YET
    publish(d, NOW + 41)
    publish(d, NOW + 50, 2001 * 10**8)
    assert run(d, first) == (OrderResult.NOT_FIRST_PRICE, ("NotFirstPrice", (ETH, NOW + 40, 3)))
    assert run(d, second, 2) == (OrderResult.NOT_HEAD, None)
    d.time = NOW + 71
    items = [(first, 2), (first, 2), (second, 2)]
    assert [result for result, _ in orders.execute_orders(d, items, KEEPER)] == [
        OrderResult.FILLED,
        OrderResult.NOT_PENDING,
        OrderResult.FILLED,
    ]
    assert ledger.calls[-2:] == [("fill", WAD, 2000 * WAD, KEEPER)] * 2
    assert d.queues[ACCOUNT, MARKET].orders == ()


@pytest.mark.parametrize(
    ("time", "published", "expiry", "fee_to"),
    [
        (NOW + 72, NOW + 41, NOW + 600, KEEPER),
        (NOW + 101, NOW + 99, NOW + 100, KEEPER),
        (NOW + 101, NOW + 100, NOW + 100, KEEPER),
        (NOW + 102, NOW + 101, NOW + 100, ACCOUNT),
        (NOW + 101, None, NOW + 100, ACCOUNT),
    ],
    ids=["window", "expiry", "price at expiry", "price after expiry", "no price"],
)
def test_expiry(d: Draft, ledger: Ledger, time: int, published: int | None, expiry: int, fee_to: int) -> None:
    order = place(d, expiry=expiry)
    if published is not None:
        publish(d, published)
    d.time = time
    assert orders.expire_orders(d, [(order, None)], KEEPER) == [(OrderResult.EXPIRED, None)]
    assert ledger.calls[-1] == ("release", FEE, False, fee_to == KEEPER, fee_to)


def test_expire_orders_fills_nothing(d: Draft, ledger: Ledger) -> None:
    order = place(d)
    publish(d, NOW + 40)
    d.time = NOW + 70
    assert orders.expire_orders(d, [(order, None)], KEEPER) == [(OrderResult.STILL_OPEN, None)]
    publish_invalid = replace(d.feeds[FEED], rounds={**d.feeds[FEED].rounds, 2: Round(0, NOW + 40, 2)})
    d.put("feeds", FEED, publish_invalid)
    assert run(d, order) == (OrderResult.PRICE_INVALID, None)
    d.drop("assets", ETH)
    assert run(d, order) == (OrderResult.PRICE_FAILED, ("UnknownAsset", (ETH,)))
    with refused("ZeroAddress"):
        orders.execute_orders(d, [], account_id(0, 1, 9))


def test_a_fill_that_is_refused_is_undone(d: Draft, ledger: Ledger) -> None:
    order = place(d)
    publish(d, NOW + 40)
    d.time = NOW + 41
    ledger.fill_refused = Refusal("PriceLimit", 2, 1)
    assert run(d, order) == (OrderResult.REFUSED, ("PriceLimit", (2, 1)))
    assert (d.junior, d.prices, orders.position_of(d.queues[ACCOUNT, MARKET], order)) == ({}, {}, 1)
    ledger.fill_refused = Refusal("InsufficientMargin", -1, 5)
    ledger.release_refused = Refusal("Panic", 0x11)
    assert run(d, order) == (OrderResult.REFUSED, ("Panic", (0x11,)))
    assert (d.junior, orders.position_of(d.queues[ACCOUNT, MARKET], order)) == ({}, 1)
    ledger.release_refused = None
    assert run(d, order) == (OrderResult.CANCELLED, ("InsufficientMargin", (-1, 5)))
    assert d.junior == {1: 1}
    assert ledger.calls[-1] == ("release", FEE, False, True, KEEPER)
    assert d.queues[ACCOUNT, MARKET].orders == ()


def test_the_fee_of_a_cancelled_order_stays_when_the_trader_is_his_own_keeper(d: Draft, ledger: Ledger) -> None:
    order = place(d)
    publish(d, NOW + 40)
    d.time = NOW + 41
    ledger.fill_refused = Refusal("TooManyMarkets", 5, 4)
    assert orders.execute_orders(d, [(order, None)], ACCOUNT)[0][0] is OrderResult.CANCELLED
    assert ledger.calls[-1] == ("release", FEE, False, False, ACCOUNT)


def test_pyth_updates_are_paid_out_of_what_was_sent(d: Draft, ledger: Ledger) -> None:
    d.put("assets", ETH, Asset(kind=PYTH, max_uncertainty_ppm=10_000))
    first, second = place(d), place(d)
    d.time = NOW + 45
    hint = PythHint(PythPrice(2000 * 10**8, 10**7, -8, NOW + 41), NOW + 39, fee=2)
    assert orders.execute_orders(d, [(first, hint), (second, hint)], KEEPER, 3) == [
        (OrderResult.FILLED, None),
        (OrderResult.PRICE_FAILED, ("UpdateFeeMissing", (1, 2))),
    ]


# ── owner ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("changes", "name", "values"),
    [
        ({"asset": 0, "exec_window": 0}, "AssetOutOfRange", (0, 255)),
        ({"asset": 256}, "AssetOutOfRange", (256, 255)),
        ({"asset": 2, "exec_window": 0}, "AssetFixed", (MARKET, 1)),
        ({"exec_window": 61, "settlement_delay": 0}, "ExecWindowOutOfRange", (61, 60)),
        ({"settlement_delay": 3571}, "SettlementDelayTooLong", (3571, 3570)),
        ({"settlement_delay": 34, "cancel_margin": 0}, "SettlementDelayTooShort", (34, 30, 5)),
        ({"cancel_margin": 4}, "CancelMarginTooShort", (4, 5)),
        ({"cancel_margin": 41, "min_keeper_fee": 1}, "CancelMarginTooLong", (41, 40)),
        ({"min_keeper_fee": 1}, "FeeGranularity", (1,)),
        ({"min_keeper_fee": 2**64 * NANO}, "MinKeeperFeeTooHigh", (2**64 * NANO, (2**64 - 1) * NANO)),
    ],
)
def test_rules_are_refused(d: Draft, changes: dict[str, int], name: str, values: tuple[int, ...]) -> None:
    with refused(name, *values):
        orders.set_rules(d, BOOK_OWNER, MARKET, replace(RULES, **changes))


def test_rules_and_ownership(d: Draft) -> None:
    with refused("OwnableUnauthorizedAccount", STRANGER):
        orders.set_rules(d, STRANGER, MARKET, RULES)
    orders.transfer_ownership(d, BOOK_OWNER, STRANGER)
    with refused("OwnableUnauthorizedAccount", OWNER):
        orders.accept_ownership(d, OWNER)
    orders.accept_ownership(d, STRANGER)
    orders.set_rules(d, STRANGER, MARKET, replace(RULES, exec_window=60))
    assert d.rules[MARKET].exec_window == 60
    orders.renounce_ownership(d, STRANGER)
    assert (d.freeze().order_book_owner, d.freeze().order_book_pending_owner) == (0, 0)
