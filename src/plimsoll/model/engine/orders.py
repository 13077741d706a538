"""Orders in two steps: commit, then execute at a price that nobody chose.

With T = placed_at + settlement_delay, P the first price published at or after T, and t the publish time of P, an order
ends once:

* filled, while now ≤ t + exec_window and now ≤ expiry, or cancelled then, when that fails by the trader's own doing;
  the keeper is paid;
* expired, after t + exec_window or after its expiry; the keeper is paid if he shows P and t ≤ expiry, else the fee
  returns;
* cancelled by the trader, while now + cancel_margin < T or after its expiry; the fee returns.

Sizes are WAD units, fees WAD, times seconds. Gas is outside the model: on chain a batch that is sent too little of it
is refused as a whole (NotEnoughGas). Of what the caller sends for Pyth updates, only that it suffices is checked.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Any

from plimsoll.model.engine import accounts, prices
from plimsoll.model.engine import fill as fills
from plimsoll.model.engine.draft import Draft, Refusal, check_uint, require
from plimsoll.model.engine.feeds import PYTH, Hint, PythHint
from plimsoll.model.engine.fill import FillOrder
from plimsoll.model.engine.state import Order, Queue, owner_of
from plimsoll.model.oracle import PriceFlags
from plimsoll.model.oracle_words import Spot
from plimsoll.model.order_words import RulesWord
from plimsoll.units import NANO

__all__ = [
    "OrderResult",
    "Outcome",
    "Reason",
    "accept_ownership",
    "cancel_order",
    "execute_orders",
    "expire_orders",
    "place_order",
    "position_of",
    "renounce_ownership",
    "set_rules",
    "transfer_ownership",
]

MAX_PENDING = 8
MIN_EXPIRY = 60
MAX_EXPIRY = 3600
MAX_EXEC_WINDOW = 60
LARGEST_ASSET = 255
MAX_MIN_FEE = (2**64 - 1) * NANO
INVALID = int(PriceFlags.INVALID)
NO_QUEUE = Queue()
NO_RULES = RulesWord()
TRADERS_DOING = frozenset(
    ("InsufficientMargin", "NothingToReduce", "BelowMinNotional", "PositionTooLarge", "TooManyMarkets")
)
"""Only these refusals of a fill end the order and let the trader pay for it."""


class OrderResult(IntEnum):
    """What became of one item of a batch. The first three end the order, all others leave everything as it was."""

    FILLED = 0
    CANCELLED = 1
    EXPIRED = 2
    NOT_PENDING = 3
    NOT_HEAD = 4
    NO_PRICE_YET = 5
    NOT_FIRST_PRICE = 6
    PRICE_FAILED = 7
    PRICE_INVALID = 8
    REFUSED = 9
    STILL_OPEN = 10


Reason = tuple[str, tuple[Any, ...]]
"""Name and arguments of the refusal that an event carries."""
Outcome = tuple[OrderResult, Reason | None]

EXPIRED: Outcome = (OrderResult.EXPIRED, None)
FILLED: Outcome = (OrderResult.FILLED, None)


# ── trader ───────────────────────────────────────────────────────────────────


def place_order(
    d: Draft,
    caller: int,
    account: int,
    market: int,
    size_delta: int,
    limit_price: int,
    expiry: int,
    keeper_fee: int,
    reduce_only: bool,
    client_id: int = 0,
) -> int:
    """Commits an order and takes its keeper fee into escrow; gives its id among those of this account and market."""
    d.begin()
    now: int = d.time
    require(size_delta != 0, "ZeroSize")
    rules: RulesWord = d.rules.get(market, NO_RULES)
    require(rules.asset != 0, "UnknownMarket", market)
    price_time = now + rules.settlement_delay
    require(expiry > now, "ExpiryPassed", expiry, now)
    earliest = max(price_time, now + MIN_EXPIRY)
    require(expiry >= earliest, "ExpiryTooEarly", expiry, earliest)
    latest = now + MAX_EXPIRY
    require(expiry <= latest, "ExpiryTooLate", expiry, latest)
    # No fee parameter may stand in the way of closing: whoever pays less executes it himself.
    enough = reduce_only or keeper_fee >= rules.min_keeper_fee
    require(enough, "KeeperFeeTooLow", keeper_fee, rules.min_keeper_fee)
    queue: Queue = d.queues.get((account, market), NO_QUEUE)
    require(len(queue.orders) < MAX_PENDING, "QueueFull", account, market, MAX_PENDING)
    number = queue.last_id + 1
    check_uint(price_time, 32)
    check_uint(number, 32)
    order = Order(account, market, number, now, size_delta, limit_price, expiry, keeper_fee, reduce_only, client_id)
    d.put("queues", (account, market), Queue(number, (*queue.orders, (order, price_time))))
    # Here is the authority: only the owner of the account passes.
    accounts.reserve_fee(d, account, market, caller, keeper_fee, reduce_only)
    return number


def cancel_order(d: Draft, caller: int, order: Order) -> None:
    """Cancels the first or the last of the caller's pending orders in a market; the fee returns."""
    d.begin()
    account, market, now = order.account, order.market, d.time
    require(owner_of(account) == caller, "NotAccountOwner", account, caller)
    queue: Queue = d.queues.get((account, market), NO_QUEUE)
    position = position_of(queue, order)
    require(position != 0, "OrderNotPending", account, market, order.id)
    require(position in (1, len(queue.orders)), "OrderInTheMiddle", account, market, order.id)
    until = queue.orders[position - 1][1] - d.rules.get(market, NO_RULES).cancel_margin
    check_uint(until, 256)
    require(now < until or now > order.expiry, "CancelTooLate", now, until, order.expiry)
    left = queue.orders[1:] if position == 1 else queue.orders[:-1]
    d.put("queues", (account, market), Queue(queue.last_id, left))
    accounts.release_fee(d, account, order.keeper_fee, order.reduce_only, False, account)


def position_of(queue: Queue, order: Order) -> int:
    """1 for the head, 2 for the order behind it …, 0 when no pending order is this one in every parameter."""
    for behind, (pending, _) in enumerate(queue.orders):
        if pending == order:
            return behind + 1
    return 0


# ── keeper ───────────────────────────────────────────────────────────────────


def execute_orders(d: Draft, items: Sequence[tuple[Order, Hint]], keeper: int, value: int = 0) -> list[Outcome]:
    """Fills, cancels or expires orders, each with what leads to its price; one that cannot be ended disturbs no other.

    :param keeper: account that gets the fees.
    :param value: sent along to pay for Pyth updates, wei.
    :returns: per item what became of it, and the refusal that its event carries.
    """
    return _Batch(d, keeper, value, True).run(items)


def expire_orders(d: Draft, items: Sequence[tuple[Order, Hint]], keeper: int, value: int = 0) -> list[Outcome]:
    """As `execute_orders`, but fills nothing: clears orders that are too late."""
    return _Batch(d, keeper, value, False).run(items)


class _Batch:
    """Items that are handled under one lock, so that each price is read once for all of them."""

    __slots__ = ("d", "keeper", "known", "may_fill", "value")

    def __init__(self, d: Draft, keeper: int, value: int, may_fill: bool) -> None:
        self.d = d
        self.keeper = keeper
        self.value = value
        self.may_fill = may_fill
        self.known: dict[int, int] = {}

    def run(self, items: Sequence[tuple[Order, Hint]]) -> list[Outcome]:
        """What became of each item."""
        self.d.begin()
        require(owner_of(self.keeper) != 0, "ZeroAddress")
        return [self._process(order, hint) for order, hint in items]

    def _process(self, order: Order, hint: Hint) -> Outcome:
        d = self.d
        queue: Queue = d.queues.get((order.account, order.market), NO_QUEUE)
        if not queue.orders or queue.orders[0][0] != order:
            missing = position_of(queue, order) == 0
            return OrderResult.NOT_PENDING if missing else OrderResult.NOT_HEAD, None
        rules: RulesWord = d.rules.get(order.market, NO_RULES)
        lapsed = d.time > order.expiry
        try:
            price = self._price(rules.asset, queue.orders[0][1], hint)
        except Refusal as refusal:
            if lapsed:
                return self._expire(queue, order, order.account)
            return _result_of(refusal.name), (refusal.name, refusal.values)
        if lapsed or d.time > price.publish_time + rules.exec_window:
            return self._expire(queue, order, self.keeper if price.publish_time <= order.expiry else order.account)
        if not self.may_fill:
            return OrderResult.STILL_OPEN, None
        if price.flags & INVALID:
            return OrderResult.PRICE_INVALID, None
        return self._fill(queue, order, price)

    def _price(self, asset: int, price_time: int, hint: Hint) -> Spot:
        price = prices.first_after(self.d, asset, price_time, hint, self.known, self.value)
        if isinstance(hint, PythHint) and self.d.assets[asset].kind == PYTH:
            self.value -= hint.fee
        return price

    def _fill(self, queue: Queue, order: Order, price: Spot) -> Outcome:
        d = self.d
        asked = FillOrder(
            account=order.account,
            market=order.market,
            size_delta=order.size_delta,
            limit_price=order.limit_price,
            reduce_only=order.reduce_only,
            spot=price,
            keeper_fee=order.keeper_fee,
            keeper=self.keeper,
        )
        before = d.mark()
        try:
            fills.fill(d, asked)
        except Refusal as refusal:
            d.restore(before)
            reason = (refusal.name, refusal.values)
            if refusal.name not in TRADERS_DOING:
                return OrderResult.REFUSED, reason
            failure = self._release(order, self.keeper)
            if failure is not None:
                return OrderResult.REFUSED, failure
            _remove_head(d, queue, order)
            return OrderResult.CANCELLED, reason
        _remove_head(d, queue, order)
        return FILLED

    def _expire(self, queue: Queue, order: Order, fee_to: int) -> Outcome:
        failure = self._release(order, fee_to)
        if failure is not None:
            return OrderResult.REFUSED, failure
        _remove_head(self.d, queue, order)
        return EXPIRED

    def _release(self, order: Order, fee_to: int) -> Reason | None:
        """Ends the escrow of a fee; why that was refused, if it was."""
        d = self.d
        before = d.mark()
        try:
            accounts.release_fee(d, order.account, order.keeper_fee, order.reduce_only, fee_to != order.account, fee_to)
        except Refusal as refusal:
            d.restore(before)
            return refusal.name, refusal.values
        return None


def _result_of(name: str) -> OrderResult:
    """What a refusal by the oracle makes of an item."""
    if name == "NoPriceYet":
        return OrderResult.NO_PRICE_YET
    return OrderResult.NOT_FIRST_PRICE if name == "NotFirstPrice" else OrderResult.PRICE_FAILED


def _remove_head(d: Draft, queue: Queue, order: Order) -> None:
    d.put("queues", (order.account, order.market), Queue(queue.last_id, queue.orders[1:]))


# ── owner ────────────────────────────────────────────────────────────────────


def set_rules(d: Draft, caller: int, market: int, rules: RulesWord) -> None:
    """Sets how the orders of a market are handled; those already placed keep their price time. Only the owner.

    :param rules: of any numbers; times seconds, fee WAD.
    """
    _only_owner(d, caller)
    skew: int = d.clock_skew
    require(0 < rules.asset <= LARGEST_ASSET, "AssetOutOfRange", rules.asset, LARGEST_ASSET)
    # Another asset would give pending orders another price.
    asset: int = d.rules.get(market, NO_RULES).asset
    require(asset in (0, rules.asset), "AssetFixed", market, asset)
    window, delay, margin = rules.exec_window, rules.settlement_delay, rules.cancel_margin
    require(0 < window <= MAX_EXEC_WINDOW, "ExecWindowOutOfRange", window, MAX_EXEC_WINDOW)
    # An order with the longest expiry has its whole window.
    most = MAX_EXPIRY - window
    require(delay <= most, "SettlementDelayTooLong", delay, most)
    soon_enough = rules.latency <= MAX_EXPIRY and delay >= rules.latency + skew
    require(soon_enough, "SettlementDelayTooShort", delay, rules.latency, skew)
    require(margin >= skew, "CancelMarginTooShort", margin, skew)
    require(margin <= delay, "CancelMarginTooLong", margin, delay)
    require(rules.min_keeper_fee % NANO == 0, "FeeGranularity", rules.min_keeper_fee)
    require(rules.min_keeper_fee <= MAX_MIN_FEE, "MinKeeperFeeTooHigh", rules.min_keeper_fee, MAX_MIN_FEE)
    d.put("rules", market, rules)


def transfer_ownership(d: Draft, caller: int, new_owner: int) -> None:
    """Offers the order book to somebody; 0 takes the offer back."""
    _only_owner(d, caller)
    d.order_book_pending_owner = new_owner


def accept_ownership(d: Draft, caller: int) -> None:
    """Takes the order book that was offered."""
    require(d.order_book_pending_owner == caller, "OwnableUnauthorizedAccount", caller)
    d.order_book_owner, d.order_book_pending_owner = caller, 0


def renounce_ownership(d: Draft, caller: int) -> None:
    """Leaves the order book without an owner."""
    _only_owner(d, caller)
    d.order_book_owner = d.order_book_pending_owner = 0


def _only_owner(d: Draft, caller: int) -> None:
    d.begin()
    require(d.order_book_owner == caller, "OwnableUnauthorizedAccount", caller)
