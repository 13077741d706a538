"""Decisions from made-up states; no chain."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from plimsoll.keeper.actions import (
    Accrue,
    Action,
    BuyCollateral,
    Deleverage,
    EndSales,
    ExecuteOrders,
    Liquidate,
    Strike,
    Wait,
)
from plimsoll.keeper.book.records import Order, OrderRules
from plimsoll.keeper.decide import (
    Health,
    MarketState,
    Offer,
    PoolState,
    Quote,
    QuoteStatus,
    Sale,
    Snapshot,
    accruals,
    deleveraging,
    due,
    liquidations,
    orders,
    recoveries,
    sales,
    strikes,
)
from plimsoll.keeper.options import Limits
from plimsoll.model.words import AccountId
from plimsoll.units import WAD

NOW = 1_000_000
ETH = 1 << 8
SOL = 2 << 8


def plan(snapshot: Snapshot, limits: Limits) -> list[Action]:
    """Every kind of decision about one snapshot."""
    return [
        *liquidations(snapshot, limits),
        *recoveries(snapshot, limits),
        *deleveraging(snapshot),
        *orders(snapshot, limits),
        *sales(snapshot, limits),
        *strikes(snapshot),
        *accruals(snapshot, limits),
    ]


TERMS = {"settlement_delay": 2, "cancel_margin": 1, "exec_window": 30, "latency": 1, "min_keeper_fee": 0}
RULES = {ETH: OrderRules(asset=1, **TERMS), SOL: OrderRules(asset=3, **TERMS)}
LIMITS = Limits()


def account(sub: int = 0, pool: int = 1) -> bytes:
    return AccountId("0x" + "11" * 20, pool, sub).to_bytes()


def order(
    number: int = 1, *, sub: int = 0, market: int = ETH, price_time: int = NOW - 5, expiry: int = NOW + 500
) -> Order:
    return Order(
        account=account(sub, market >> 8),
        market=market,
        id=number,
        placed_at=price_time - 5,
        size_delta=WAD,
        limit_price=2**256 - 1,
        expiry=expiry,
        keeper_fee=WAD // 10,
        reduce_only=False,
        client_id=bytes(32),
        price_time=price_time,
    )


def ready(publish_time: int = NOW - 4, *, hint: bytes = b"", invalid: bool = False) -> Quote:
    return Quote(QuoteStatus.READY, hint, publish_time, invalid)


def of_orders(*queues: list[Order], quotes: dict[tuple[int, int], Quote], **more: Any) -> Snapshot:
    return Snapshot(block=1, time=NOW, queues=tuple(map(tuple, queues)), rules=RULES, quotes=quotes, **more)


def health(sub: int = 0, *, equity: int = 0, required: int = WAD, pool: int = 1, **more: Any) -> Health:
    fields = {"newest": NOW, "last_check": NOW - 10, "version": 1, "positions": 1, "on_sale": False} | more
    return Health(account(sub, pool), equity, required, **fields)


def of_health(*found: Health, **more: Any) -> Snapshot:
    return Snapshot(block=1, time=NOW, health=found, **more)


def sale(
    sub: int = 0, *, started: int = 450, equity: int = -1_000 * WAD, price: int = 2_000 * WAD, **more: Any
) -> Sale:
    offer = Offer("0xToken", 10 * WAD, 18, price, 800_000)
    fields: dict[str, Any] = {"offers": (offer,), "discount_max_ppm": 80_000, "sale_seconds": 900}
    fields |= {"keeper_floor": WAD // 2, "gas_price": 0}
    return Sale(account(sub), NOW - started, equity_initial=equity, **(fields | more))


def of_sales(*sales: Sale, funds: int = 10**6 * WAD, **more: Any) -> Snapshot:
    return Snapshot(block=1, time=NOW, sales=sales, funds={1: funds}, **more)


# ── orders ─────────────────────────────────────────────────────────────────


def test_an_order_is_filled_within_its_window() -> None:
    one = order()
    [action] = plan(of_orders([one], quotes={(1, one.price_time): ready(hint=b"round")}), LIMITS)
    assert isinstance(action, ExecuteOrders)
    [item] = action.items
    assert (item.order, item.hint, item.late, item.paid) == (one, b"round", False, True)


def test_an_order_waits_for_its_price() -> None:
    early, unpublished = order(price_time=NOW + 1), order(sub=1)
    quotes = {(1, unpublished.price_time): Quote(QuoteStatus.NOT_YET)}
    assert plan(of_orders([early], [unpublished], quotes=quotes), LIMITS) == []
    assert due([[early], [unpublished]], NOW) == [unpublished]


def test_the_last_second_of_the_window_still_fills() -> None:
    one = order(price_time=NOW - 40)
    for published, late in ((NOW - 30, False), (NOW - 31, True)):
        [action] = plan(of_orders([one], quotes={(1, one.price_time): ready(published)}), LIMITS)
        assert isinstance(action, ExecuteOrders)
        assert action.items[0].late is late
        assert action.items[0].paid


def test_an_order_past_its_expiry_is_cleared_and_pays_only_if_its_price_came_in_time() -> None:
    one = order(price_time=NOW - 100, expiry=NOW - 1)
    for published, paid in ((NOW - 1, True), (NOW, False)):
        [action] = plan(of_orders([one], quotes={(1, one.price_time): ready(published)}), LIMITS)
        assert isinstance(action, ExecuteOrders)
        assert (action.items[0].late, action.items[0].paid) == (True, paid)
    [action] = plan(of_orders([one], quotes={}), LIMITS)
    assert isinstance(action, ExecuteOrders)
    assert (action.items[0].late, action.items[0].paid) == (True, False)


def test_unpaid_clearing_can_be_left_to_others() -> None:
    one = order(price_time=NOW - 100, expiry=NOW - 1)
    limits = replace(LIMITS, clear_unpaid=False)
    for quotes in ({}, {(1, one.price_time): ready(NOW)}):
        [action] = plan(of_orders([one], quotes=quotes), limits)
        assert isinstance(action, Wait)
    [action] = plan(of_orders([one], quotes={(1, one.price_time): ready(NOW - 1)}), limits)
    assert isinstance(action, ExecuteOrders)


def test_at_its_expiry_an_order_is_not_yet_cleared() -> None:
    assert plan(of_orders([order(expiry=NOW)], quotes={}), LIMITS) == []


def test_an_invalid_price_fills_nothing_but_expires_the_order_later() -> None:
    one = order(price_time=NOW - 40)
    [action] = plan(of_orders([one], quotes={(1, one.price_time): ready(NOW - 5, invalid=True)}), LIMITS)
    assert isinstance(action, Wait)
    [action] = plan(of_orders([one], quotes={(1, one.price_time): ready(NOW - 31, invalid=True)}), LIMITS)
    assert isinstance(action, ExecuteOrders)


def test_a_refusing_oracle_is_reported() -> None:
    one = order()
    [action] = plan(of_orders([one], quotes={(1, one.price_time): Quote(QuoteStatus.FAILED, reason="why")}), LIMITS)
    assert isinstance(action, Wait)
    assert "why" in action.reason


def test_a_queue_stops_at_its_first_order_that_cannot_end() -> None:
    first, second, third = order(1, price_time=NOW - 20), order(2, price_time=NOW - 10), order(3, price_time=NOW - 5)
    quotes = {(1, NOW - 20): ready(NOW - 18), (1, NOW - 10): Quote(QuoteStatus.NOT_YET), (1, NOW - 5): ready()}
    [action] = plan(of_orders([first, second, third], quotes=quotes), LIMITS)
    assert isinstance(action, ExecuteOrders)
    assert [item.order.id for item in action.items] == [1]


def test_orders_of_one_queue_keep_their_order_when_price_times_do_not() -> None:
    first, second = order(1, price_time=NOW - 5), order(2, price_time=NOW - 10)
    other = order(1, sub=1, price_time=NOW - 7)
    quotes = {(1, time): ready(time + 1) for time in (NOW - 5, NOW - 10, NOW - 7)}
    [action] = plan(of_orders([first, second], [other], quotes=quotes), LIMITS)
    assert isinstance(action, ExecuteOrders)
    own = [item.order.id for item in action.items if item.order.account == first.account]
    assert own == [1, 2]
    assert len(action.items) == 3


def test_orders_are_batched_by_pool_and_by_gas() -> None:
    queues = [[order(sub=i)] for i in range(5)] + [[order(market=SOL)]]
    quotes = {(1, NOW - 5): ready(), (3, NOW - 5): ready()}
    limits = replace(LIMITS, batch_gas=1_000, order_gas=400)
    actions = plan(of_orders(*queues, quotes=quotes), limits)
    assert [(a.pool, len(a.items)) for a in actions if isinstance(a, ExecuteOrders)] == [(1, 2), (1, 2), (1, 1), (2, 1)]


def test_nothing_is_done_twice_while_a_transaction_is_under_way() -> None:
    one, two = order(1), order(2)
    busy = frozenset({("order", *one.key)})
    assert plan(of_orders([one, two], quotes={(1, NOW - 5): ready()}, busy=busy), LIMITS) == []


# ── liquidation ────────────────────────────────────────────────────────────


def test_accounts_below_the_line_are_liquidated_largest_shortfall_first() -> None:
    found = [health(1, equity=WAD - 1), health(2, equity=-5 * WAD), health(3, equity=WAD), health(4, equity=0)]
    [action] = plan(of_health(*found), LIMITS)
    assert isinstance(action, Liquidate)
    assert action.accounts == (account(2), account(4), account(1))


def test_liquidations_are_batched_by_pool_and_by_gas() -> None:
    found = [health(i, positions=1 + i % 2) for i in range(4)] + [health(9, pool=2)]
    limits = replace(LIMITS, batch_gas=1_000, account_gas=100, position_gas=300)
    actions = plan(of_health(*found), limits)
    sizes = [(a.pool, len(a.accounts)) for a in actions if isinstance(a, Liquidate)]
    assert sizes == [(1, 1), (1, 1), (1, 1), (1, 1), (2, 1)]
    sizes = [(a.pool, len(a.accounts)) for a in plan(of_health(*found), LIMITS) if isinstance(a, Liquidate)]
    assert sizes == [(1, 4), (2, 1)]


def test_cool_off_poison_and_unreadable_health_wait() -> None:
    found = [
        health(1, newest=NOW - 10),
        health(2),
        health(3, unreadable="UnknownMarket()"),
    ]
    actions = plan(of_health(*found, poisoned=frozenset({account(2)})), LIMITS)
    assert all(isinstance(action, Wait) for action in actions)
    assert len(actions) == 3


def test_accounts_without_any_price_have_no_cool_off() -> None:
    [action] = plan(of_health(health(1, equity=-1, required=0, newest=0, last_check=NOW)), LIMITS)
    assert isinstance(action, Liquidate)


def test_an_account_on_sale_is_not_liquidated_again_and_a_busy_one_neither() -> None:
    found = [health(1, on_sale=True), health(2)]
    assert plan(of_health(*found, busy=frozenset({("account", account(2))})), LIMITS) == []


# ── collateral ─────────────────────────────────────────────────────────────


def test_collateral_is_bought_once_the_discount_is_large_enough() -> None:
    [action] = plan(of_sales(sale(started=100)), LIMITS)
    assert isinstance(action, Wait)
    [action] = plan(of_sales(sale(started=450)), LIMITS)
    assert isinstance(action, BuyCollateral)
    # Half of the time: 4 %. The account lacks 1000: it sells 1000/(1 − 0.04 − 0.8) = 6250 worth, 3.125 units.
    assert action.amount == 3_125 * 10**15
    assert action.cost == 6_000 * WAD
    assert action.profit == 250 * WAD
    assert action.max_price == 1_980 * WAD


def test_the_least_discount_itself_is_enough() -> None:
    for started, kind in ((99, Wait), (100, BuyCollateral)):
        [action] = plan(of_sales(sale(started=started, sale_seconds=800)), LIMITS)
        assert isinstance(action, kind), action


def test_purchases_never_exceed_the_funds() -> None:
    [action] = plan(of_sales(sale(), funds=1_000 * WAD + 1), LIMITS)
    assert isinstance(action, BuyCollateral)
    assert 0 <= 1_000 * WAD + 1 - action.cost <= 2_000
    first, second = plan(of_sales(sale(1), sale(2, equity=-999 * WAD), funds=7_000 * WAD), LIMITS)
    assert isinstance(first, BuyCollateral)
    assert isinstance(second, BuyCollateral)
    assert (first.account, first.cost) == (account(1), 6_000 * WAD)
    assert second.cost <= 1_000 * WAD


def test_a_sale_without_funds_price_or_profit_waits() -> None:
    limits = replace(LIMITS, min_profit=WAD)
    for snapshot in (of_sales(sale(), funds=0), of_sales(sale(price=0)), of_sales(sale(), funds=20 * WAD)):
        [action] = plan(snapshot, limits)
        assert isinstance(action, Wait), action


def test_a_purchase_must_bring_more_than_its_gas() -> None:
    # It brings 250, see above, and its gas costs 300,000 times the price of gas.
    for gas_price, kind in ((249 * WAD // 300_000, BuyCollateral), (249 * WAD // 300_000 + 1, Wait)):
        [action] = plan(of_sales(sale(gas_price=gas_price)), replace(LIMITS, min_profit=WAD))
        assert isinstance(action, kind), action


def test_a_purchase_that_ends_a_sale_at_its_lowest_price_need_not_pay_its_gas() -> None:
    limits = replace(LIMITS, min_profit=WAD)
    for started, funds, kind in (
        (899, 10**6, Wait),
        (900, 10**6, BuyCollateral),
        (900, 1_000, Wait),  # it would not end the sale
    ):
        [action] = plan(of_sales(sale(started=started, gas_price=WAD), funds=funds * WAD), limits)
        assert isinstance(action, kind), action


def test_collateral_not_worth_a_sale_is_left_to_liquidation() -> None:
    below = health(equity=-5 * WAD, required=0, on_sale=True)
    for balance, kind in ((25 * WAD // 100_000 - 1, Liquidate), (25 * WAD // 100_000, BuyCollateral)):
        dust = Offer("0xToken", balance, 18, 2_000 * WAD, 800_000)
        [action] = plan(of_sales(sale(offers=(dust,)), health=(below,)), LIMITS)
        assert isinstance(action, kind), action
    unknown = Offer("0xToken", 1, 18, 0, 800_000)
    [action] = plan(of_sales(sale(offers=(unknown,)), health=(below,)), LIMITS)
    assert isinstance(action, Wait)


def test_the_most_profitable_token_is_bought_first() -> None:
    cheap = Offer("0xSmall", WAD // 10, 18, 2_000 * WAD, 800_000)
    large = Offer("0xLarge", 10**9, 8, 40_000 * WAD, 820_000)
    [action] = plan(of_sales(sale(offers=(cheap, large))), LIMITS)
    assert isinstance(action, BuyCollateral)
    assert action.token == "0xLarge"


def test_a_recovered_account_is_taken_off_sale_and_not_bought_from() -> None:
    [action] = plan(of_sales(sale(equity=0)), LIMITS)
    assert action == EndSales(1, (account(),))
    busy = frozenset({("account", account())})
    assert plan(of_sales(sale(equity=0), busy=busy), LIMITS) == []


# ── pools and markets ──────────────────────────────────────────────────────


def pool(nav: int = 1_000 * WAD, can_strike: bool = False) -> PoolState:
    return PoolState(1, nav, 450_000, can_strike)


def of_pool(state: PoolState, market: MarketState, **more: Any) -> Snapshot:
    return Snapshot(block=1, time=NOW, pools=(state,), markets=(market,), **more)


def test_a_market_is_deleveraged_above_its_trigger_only() -> None:
    at, above = MarketState(ETH, 450 * WAD, NOW, True), MarketState(ETH, 450 * WAD + 1, NOW, True)
    assert plan(of_pool(pool(), at), LIMITS) == []
    assert plan(of_pool(pool(), above), LIMITS) == [Deleverage(ETH)]
    assert plan(of_pool(pool(nav=-WAD), MarketState(ETH, 1, NOW, True)), LIMITS) == [Deleverage(ETH)]
    assert plan(of_pool(pool(), above, busy=frozenset({("deleverage", ETH)})), LIMITS) == []


def test_a_due_epoch_is_struck() -> None:
    quiet = MarketState(ETH, 0, NOW, True)
    assert plan(of_pool(pool(can_strike=True), quiet), LIMITS) == [Strike(1)]
    assert plan(of_pool(pool(can_strike=True), quiet, busy=frozenset({("strike", 1)})), LIMITS) == []


def test_a_market_with_open_positions_is_accrued_every_hour() -> None:
    assert plan(of_pool(pool(), MarketState(ETH, 0, NOW - 3_599, True)), LIMITS) == []
    assert plan(of_pool(pool(), MarketState(ETH, 0, NOW - 3_600, True)), LIMITS) == [Accrue(ETH)]
    assert plan(of_pool(pool(), MarketState(ETH, 0, NOW - 3_600, False)), LIMITS) == []
    assert plan(of_pool(pool(), MarketState(ETH, 0, 0, True)), replace(LIMITS, accrue_every=0)) == []


def test_liquidations_come_before_everything_else() -> None:
    snapshot = Snapshot(
        block=1,
        time=NOW,
        queues=((order(),),),
        rules=RULES,
        quotes={(1, NOW - 5): ready()},
        health=(health(1),),
        sales=(sale(2),),
        pools=(pool(can_strike=True),),
        markets=(MarketState(ETH, 10**6 * WAD, 0, True),),
        funds={1: 10**6 * WAD},
    )
    kinds = [type(action) for action in plan(snapshot, LIMITS)]
    assert kinds == [Liquidate, Deleverage, ExecuteOrders, BuyCollateral, Strike, Accrue]
