"""Decisions: from what is known at one block to what is to be done. Nothing here reads or sends anything.

Money, prices and sizes WAD; `time` is the time of the block.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeVar

from plimsoll.keeper.actions import (
    Accrue,
    Action,
    BuyCollateral,
    Deleverage,
    EndSales,
    ExecuteOrders,
    Key,
    Liquidate,
    OrderItem,
    Strike,
    Wait,
)
from plimsoll.keeper.book.records import Order, OrderRules, pool_of
from plimsoll.keeper.options import Limits
from plimsoll.model import liquidation
from plimsoll.units import PPM, mul_div_down, mul_div_up

__all__ = [
    "Health",
    "MarketState",
    "Offer",
    "PoolState",
    "Quote",
    "QuoteStatus",
    "Sale",
    "Snapshot",
    "accruals",
    "deleveraging",
    "due",
    "is_dust",
    "liquidations",
    "orders",
    "recoveries",
    "sales",
    "strikes",
]

T = TypeVar("T")


class QuoteStatus(Enum):
    """What the oracle answers about the price of an order."""

    READY = "ready"
    NOT_YET = "not published yet"
    FAILED = "not to be had"


@dataclass(frozen=True, slots=True)
class Quote:
    """The one price of the orders with the same asset and price time, and the hint that leads to it."""

    status: QuoteStatus
    hint: bytes = b""
    publish_time: int = 0
    invalid: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Health:
    """An account at the prices that count in liquidation.

    :param newest: newest publish time among those prices.
    :param last_check: newest publish time of the account's last margin check.
    :param unreadable: why its health cannot be read, empty if it can.
    """

    account: bytes
    equity: int
    required: int
    newest: int
    last_check: int
    version: int
    positions: int
    on_sale: bool
    unreadable: str = ""


@dataclass(frozen=True, slots=True)
class Offer:
    """One token of an account on sale. `balance` native units, `price` 0 when it cannot be sold now."""

    token: str
    balance: int
    decimals: int
    price: int
    weight_initial_ppm: int


@dataclass(frozen=True, slots=True)
class Sale:
    """An account whose collateral is on sale since `start`, for as long as `equity_initial` is negative.

    :param keeper_floor: collateral worth less than it goes to the keeper who liquidates the account.
    :param gas_price: what a unit of gas costs.
    """

    account: bytes
    start: int
    equity_initial: int
    offers: tuple[Offer, ...]
    discount_max_ppm: int
    sale_seconds: int
    keeper_floor: int
    gas_price: int


@dataclass(frozen=True, slots=True)
class PoolState:
    """A pool. `can_strike` says that an epoch of its share token is due."""

    pool: int
    nav: int
    adl_trigger_ppm: int
    can_strike: bool


@dataclass(frozen=True, slots=True)
class MarketState:
    """A market: its net open loss, when it was last accrued, whether it has open positions."""

    market: int
    open_loss: int
    accrued: int
    open: bool


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that is known at one block.

    :param queues: pending orders of each account and market, in the order of execution.
    :param quotes: by asset and price time.
    :param funds: what may be spent on collateral, by pool.
    :param busy: what a transaction is under way for.
    :param poisoned: accounts whose liquidation failed at this version and these prices.
    """

    block: int
    time: int
    queues: tuple[tuple[Order, ...], ...] = ()
    rules: Mapping[int, OrderRules] = field(default_factory=dict)
    quotes: Mapping[tuple[int, int], Quote] = field(default_factory=dict)
    health: tuple[Health, ...] = ()
    sales: tuple[Sale, ...] = ()
    pools: tuple[PoolState, ...] = ()
    markets: tuple[MarketState, ...] = ()
    funds: Mapping[int, int] = field(default_factory=dict)
    busy: frozenset[Key] = frozenset()
    poisoned: frozenset[bytes] = frozenset()


def due(queues: Iterable[Iterable[Order]], time: int) -> list[Order]:
    """The orders whose price may be published: those of each queue up to the first that is not due."""
    found: list[Order] = []
    for queue in queues:
        for order in queue:
            if order.price_time > time:
                break
            found.append(order)
    return found


# ── liquidation ────────────────────────────────────────────────────────────


def liquidations(snapshot: Snapshot, limits: Limits) -> Iterable[Action]:
    """Accounts below the line, the largest shortfall first, in batches by gas."""
    below: dict[int, list[Health]] = {}
    dust = {sale.account for sale in snapshot.sales if is_dust(sale)}
    for health in snapshot.health:
        key = ("account", health.account)
        if health.unreadable:
            yield Wait(key, f"its health cannot be read: {health.unreadable}")
            continue
        if health.equity >= health.required or key in snapshot.busy:
            continue
        if health.on_sale and health.account not in dust:
            continue
        if health.newest and health.newest <= health.last_check:
            yield Wait(key, "below the line, but no price was published since its last margin check")
        elif health.account in snapshot.poisoned:
            yield Wait(key, "below the line, but its liquidation failed at these prices")
        else:
            below.setdefault(pool_of(health.account), []).append(health)
    for pool, found in below.items():
        found.sort(key=lambda health: (health.equity - health.required, health.account))
        gas = [limits.account_gas + health.positions * limits.position_gas for health in found]
        for batch in _by_gas(found, gas, limits.batch_gas):
            yield Liquidate(pool, tuple(health.account for health in batch))


def recoveries(snapshot: Snapshot, limits: Limits) -> Iterable[Action]:
    """Sales to be ended because their account has recovered."""
    recovered: dict[int, list[bytes]] = {}
    for sale in snapshot.sales:
        if sale.equity_initial >= 0 and ("account", sale.account) not in snapshot.busy:
            recovered.setdefault(pool_of(sale.account), []).append(sale.account)
    for pool, accounts in recovered.items():
        for part in _by_gas(accounts, [limits.account_gas] * len(accounts), limits.batch_gas):
            yield EndSales(pool, tuple(part))


def deleveraging(snapshot: Snapshot) -> Iterable[Action]:
    """Markets whose net open loss exceeds the trigger of their pool."""
    pools = {state.pool: state for state in snapshot.pools}
    for market in snapshot.markets:
        state = pools.get(market.market >> 8)
        if state is None:
            continue
        threshold = mul_div_down(max(state.nav, 0), state.adl_trigger_ppm, PPM)
        if market.open_loss > threshold and ("deleverage", market.market) not in snapshot.busy:
            yield Deleverage(market.market)


# ── orders ─────────────────────────────────────────────────────────────────


def orders(snapshot: Snapshot, limits: Limits) -> Iterable[Action]:
    """Orders whose price is published, to be filled or cleared, in the order of each queue."""
    ready: list[OrderItem] = []
    for queue in snapshot.queues:
        for order in queue:
            decision = _order(order, snapshot, limits)
            if isinstance(decision, OrderItem):
                ready.append(decision)
                continue
            if decision is not None:
                yield decision
            break
    # Orders of one queue keep their order: each was placed after the one before, with the later or the same price time.
    ready.sort(key=lambda item: (item.order.price_time, item.order.id))
    pools: dict[int, list[OrderItem]] = {}
    for item in _heads_first(ready):
        pools.setdefault(item.order.market >> 8, []).append(item)
    for pool, items in pools.items():
        for batch in _by_gas(items, [limits.order_gas] * len(items), limits.batch_gas):
            yield ExecuteOrders(pool, tuple(batch))


def _heads_first(items: list[OrderItem]) -> list[OrderItem]:
    """Sorted by time, but no order before an earlier one of its own queue."""
    places: dict[tuple[bytes, int], list[OrderItem]] = {}
    for item in sorted(items, key=lambda one: one.order.id):
        places.setdefault((item.order.account, item.order.market), []).append(item)
    return [places[item.order.account, item.order.market].pop(0) for item in items]


def _order(order: Order, snapshot: Snapshot, limits: Limits) -> OrderItem | Wait | None:
    """What to do about the head of a queue; None: nothing, and nothing worth a word."""
    key: Key = ("order", *order.key)
    rules = snapshot.rules.get(order.market)
    if rules is None or key in snapshot.busy or order.price_time > snapshot.time:
        return None
    quote = snapshot.quotes.get((rules.asset, order.price_time))
    lapsed = snapshot.time > order.expiry
    if quote is not None and quote.status is QuoteStatus.READY:
        late = lapsed or snapshot.time > quote.publish_time + rules.exec_window
        paid = not late or quote.publish_time <= order.expiry
        if late and not paid and not limits.clear_unpaid:
            return Wait(key, "expired; clearing it would pay nothing")
        if quote.invalid and not late:
            return Wait(key, "its price is not valid; it waits until it expires")
        return OrderItem(order, quote.hint, late, paid)
    if lapsed:
        if limits.clear_unpaid:
            return OrderItem(order, b"", True, False)
        return Wait(key, "expired; clearing it would pay nothing")
    if quote is not None and quote.status is QuoteStatus.FAILED:
        return Wait(key, f"the oracle refuses its price: {quote.reason}")
    return None


# ── collateral on sale ─────────────────────────────────────────────────────


def sales(snapshot: Snapshot, limits: Limits) -> Iterable[Action]:
    """Purchases of collateral on sale that pay."""
    funds = dict(snapshot.funds)
    for sale in sorted(snapshot.sales, key=lambda one: one.equity_initial):
        key = ("sale", sale.account)
        pool = pool_of(sale.account)
        if sale.equity_initial >= 0 or key in snapshot.busy or ("account", sale.account) in snapshot.busy:
            continue
        if is_dust(sale):
            continue
        discount = liquidation.discount(snapshot.time - sale.start, sale.sale_seconds, sale.discount_max_ppm)
        if discount < limits.min_discount_ppm:
            wanted = min(limits.min_discount_ppm, sale.discount_max_ppm)
            yield Wait(key, f"on sale since {sale.start}; bought from a discount of {wanted / 10_000:g} % on")
            continue
        bids = [bid for offer in sale.offers if (bid := _bid(sale, offer, discount, funds.get(pool, 0), limits))]
        best = max(bids, key=lambda bid: bid.profit, default=None)
        if best is None:
            yield Wait(key, "on sale, but no token of it can be priced, or nothing may be spent")
        elif not _pays(best, discount == sale.discount_max_ppm, limits):
            yield Wait(key, "on sale, but what may be bought brings less than its gas and the least profit")
        else:
            funds[pool] -= best.cost
            yield best


def _pays(bid: BuyCollateral, cheapest: bool, limits: Limits) -> bool:
    """Whether a purchase is worth its gas. One that ends a sale at its lowest price need not be: a sale that nobody
    ends keeps the pool's LP epochs from being struck."""
    return bid.profit >= limits.min_profit or (cheapest and bid.ends and bid.profit + bid.gas >= limits.min_profit)


def is_dust(sale: Sale) -> bool:
    """Whether all collateral of the account is worth too little for a sale."""
    if not all(offer.price for offer in sale.offers):
        return False
    value = sum(mul_div_down(offer.balance, offer.price, 10**offer.decimals) for offer in sale.offers)
    return value < sale.keeper_floor


def _bid(sale: Sale, offer: Offer, discount: int, funds: int, limits: Limits) -> BuyCollateral | None:
    """The most of one token that is sold and can be paid. The contract sells no more than the account lacks."""
    if offer.price == 0 or offer.balance == 0:
        return None
    unit = 10**offer.decimals
    value = liquidation.sale_value(-sale.equity_initial, discount, offer.weight_initial_ppm)
    amount = offer.balance
    if value != liquidation.EVERYTHING:
        amount = min(amount, mul_div_up(value, unit, offer.price))
    affordable = mul_div_down(funds, unit * PPM, offer.price * (PPM - discount))
    wanted = amount
    amount = min(amount, affordable)
    if amount == 0:
        return None
    cost = liquidation.sale_price(amount, offer.decimals, offer.price, discount)
    gas = limits.purchase_gas * sale.gas_price
    return BuyCollateral(
        pool=pool_of(sale.account),
        account=sale.account,
        token=offer.token,
        amount=amount,
        max_price=mul_div_up(offer.price, PPM - limits.min_discount_ppm, PPM),
        cost=cost,
        profit=mul_div_down(amount, offer.price, unit) - cost - gas,
        gas=gas,
        ends=amount == wanted,
    )


# ── the rest ───────────────────────────────────────────────────────────────


def strikes(snapshot: Snapshot) -> Iterable[Action]:
    """LP epochs that are due."""
    for state in snapshot.pools:
        if state.can_strike and ("strike", state.pool) not in snapshot.busy:
            yield Strike(state.pool)


def accruals(snapshot: Snapshot, limits: Limits) -> Iterable[Action]:
    """Markets with open positions that nobody has accrued for long."""
    for market in snapshot.markets:
        overdue = limits.accrue_every and snapshot.time - market.accrued >= limits.accrue_every
        if overdue and market.open and ("accrue", market.market) not in snapshot.busy:
            yield Accrue(market.market)


def _by_gas(items: list[T], gas: list[int], most: int) -> Iterable[list[T]]:
    """Cuts a list into batches of at most so much gas, one item at least in each."""
    batch: list[T] = []
    used = 0
    for item, needed in zip(items, gas, strict=True):
        if batch and used + needed > most:
            yield batch
            batch, used = [], 0
        batch.append(item)
        used += needed
    if batch:
        yield batch
