"""A fill, step by step: accrue → protection of the pool → touch → premium and fees → new position → keeper → margin."""

from __future__ import annotations

from dataclasses import dataclass

from plimsoll.model import pricing
from plimsoll.model.config_words import MarketFlags, Pause
from plimsoll.model.engine import solvency
from plimsoll.model.engine.accounts import with_pending_orders
from plimsoll.model.engine.books import (
    MarketBook,
    PoolBook,
    commit,
    load_market,
    load_pool,
    mark,
    save_market,
    save_pool,
    take_price,
    unsound,
)
from plimsoll.model.engine.draft import Draft, require
from plimsoll.model.engine.ledger import (
    MAX_256,
    add_cash,
    borrowable,
    get_account,
    get_position,
    pay,
    profit_of,
    put_in,
    size_of,
    store_account,
    store_position,
    take_out,
    with_market,
)
from plimsoll.model.engine.margin import (
    end_sale,
    initial_margin,
    initial_requirement,
    maintenance_margin,
    maintenance_requirement,
    require_margin,
    with_last_check,
)
from plimsoll.model.engine.state import Account, pool_of
from plimsoll.model.oracle import Action, PriceFlags, tolerates
from plimsoll.model.oracle_words import Spot
from plimsoll.units import PPM, WAD

__all__ = ["FillOrder", "FillResult", "fill"]

INVALID = int(PriceFlags.INVALID)
DEVIATED = int(PriceFlags.DEVIATED)
NO_INCREASE = int(Pause.INCREASE)
REDUCE_ONLY = int(MarketFlags.REDUCE_ONLY)
MAX_INT = 2**255 - 1


@dataclass(frozen=True, slots=True)
class FillOrder:
    """An order that is due, and its price. Size WAD units signed; limit WAD per unit; fee WAD."""

    account: int
    market: int
    size_delta: int
    limit_price: int
    reduce_only: bool
    spot: Spot
    keeper_fee: int
    keeper: int


@dataclass(frozen=True, slots=True)
class FillResult:
    """What was traded (WAD units), at what price; profit that was settled, and the fee, WAD."""

    size_delta: int
    fill_price: int
    profit: int
    fee: int


@dataclass(slots=True)
class Work:
    """What a fill works with beside pool and market. `skew` is before the trade; `cost` is half-band and premium,
    WAD."""

    account: Account
    price: int
    variance: int
    before: int
    after: int = 0
    delta: int = 0
    skew: int = 0
    cost: int = 0
    fee: int = 0
    reducing: bool = False


def fill(d: Draft, order: FillOrder) -> FillResult:
    """Fills an order."""
    pool = order.market >> 8
    require(pool == pool_of(order.account), "OtherPool", order.account, pool)
    p = load_pool(d, pool)
    m = load_market(d, order.market)
    index = order.market & 0xFF
    spot, trend = take_price(d, m)
    position = get_position(d, order.account, index)
    price = order.spot.price
    w = Work(get_account(d, order.account), price, trend.variance, size_of(d, m, position))
    profit = profit_of(d, m, position, price)
    if profit > 0:
        mark(p, m)
        if unsound(p, m):
            solvency.protect(d, p, m)
            w.before = size_of(d, m, position)
            profit = profit_of(d, m, position, price)
    _shape(order, p, m, w, held=position.shares != 0)
    _admit(order, spot, p, m, w)
    w.skew = m.skew
    fill_price = _price(order, spot, m, w)
    trade = m.terms.trade
    w.fee = pricing.fee(price, w.skew, w.delta, trade.maker_ppm, trade.taker_ppm)
    take_out(d, p, m, position, profit)
    w.account = add_cash(w.account, p, profit - w.cost - w.fee)
    p.cash += w.cost
    _split_fee(p, w.fee)
    position = put_in(m, w.after, price)
    w.account = with_market(w.account, index, w.after != 0)
    mark(p, m)
    if not order.reduce_only:
        require(w.account.pending_orders > 0, "Panic", 0x11)
        w.account = with_pending_orders(w.account, w.account.pending_orders - 1)
    if not w.reducing:
        _check_increase(p, m, w)
    store_position(d, order.account, index, position)
    _check_margin(d, order, p, m, w)
    store_account(d, order.account, w.account)
    require(p.escrow >= order.keeper_fee, "Panic", 0x11)
    p.escrow -= order.keeper_fee
    pay(d, p, order.keeper, order.keeper_fee)
    save_market(d, m)
    save_pool(d, p)
    commit(d)
    return FillResult(w.delta, fill_price, profit, w.fee)


def _shape(order: FillOrder, p: PoolBook, m: MarketBook, w: Work, *, held: bool) -> None:
    """What the order does to the position: clamps a reduce-only order, closes what would be left as dust."""
    before, w.delta = w.before, order.size_delta
    if order.reduce_only and before == 0 and held:
        # Deleveraging closed the position: there is nothing left to trade, only its value to collect.
        w.delta, w.reducing = 0, True
        return
    if order.reduce_only:
        opposite = before != 0 and (before > 0) != (w.delta > 0)
        require(opposite, "NothingToReduce", order.account, order.market)
        if abs(w.delta) > abs(before):
            w.delta = -before
    after = before + w.delta
    require(-MAX_INT - 1 <= after <= MAX_INT, "Panic", 0x11)
    w.reducing = before != 0 and (before > 0) != (w.delta > 0) and abs(w.delta) <= abs(before)
    minimum = p.terms.risk.min_notional
    require(abs(after) * w.price <= MAX_256, "Panic", 0x11)
    notional = pricing.notional_down(abs(after), w.price)
    if after != 0 and notional < minimum:
        require(w.reducing, "BelowMinNotional", notional, minimum)
        after, w.delta = 0, -before
    w.after = after
    if not w.reducing:
        most = m.terms.limits.max_position
        require(abs(after) <= most, "PositionTooLarge", abs(after), most)


def _admit(order: FillOrder, spot: Spot, p: PoolBook, m: MarketBook, w: Work) -> None:
    """Refusals that leave the order pending: settled, paused, prices."""
    require(not m.settled, "MarketSettled", m.id)
    asset = m.terms.margin.asset
    if w.reducing:
        # Closing needs the order's own price; that the newest one is invalid does not matter.
        flags = order.spot.flags | spot.flags & ~INVALID
        require(tolerates(Action.REDUCE_RISK, flags), "PriceRefused", asset, flags)
        return
    require(not p.terms.risk.pause_flags & NO_INCREASE, "IncreasePaused", p.id)
    require(not m.terms.margin.flags & REDUCE_ONLY, "ReduceOnlyMarket", m.id)
    flags = order.spot.flags | spot.flags
    require(tolerates(Action.INCREASE_RISK, flags), "PriceRefused", asset, flags)


def _price(order: FillOrder, spot: Spot, m: MarketBook, w: Work) -> int:
    """Price per unit, and the cost in `w`; while the sources deviate a reduction happens at the worse of them."""
    if w.delta == 0:
        return w.price
    buy = w.delta > 0
    band = order.spot.high if buy else order.spot.low
    if spot.flags & DEVIATED:
        band = max(band, spot.other) if buy else min(band, spot.other)
    scale = m.terms.trade.skew_scale
    price = pricing.fill_price(band, w.skew, w.delta, scale)
    within = price <= order.limit_price if buy else price >= order.limit_price
    require(within, "PriceLimit", price, order.limit_price)
    w.cost = pricing.fill_cost(band, w.price, w.skew, w.delta, scale)
    return price


def _split_fee(p: PoolBook, fee: int) -> None:
    """insuranceShare to insurance, lpShare to V, the rest to protocol fees."""
    to_insurance = fee * p.terms.risk.insurance_share_ppm // PPM
    to_pool = fee * p.terms.risk.lp_share_ppm // PPM
    p.insurance += to_insurance
    p.cash += to_pool
    p.fees += fee - to_insurance - to_pool


def _check_increase(p: PoolBook, m: MarketBook, w: Work) -> None:
    """Caps of a risk increase, after the trade."""
    nav = p.nav
    require(nav > 0, "PoolInsolvent", p.id, nav)
    limits = m.terms.limits
    one = m.long if w.after > 0 else m.short
    cap = min(limits.oi_cap, nav * limits.nav_multiple_ppm * (WAD // PPM) // m.price)
    require(one.interest <= cap, "OpenInterestCap", one.interest, cap)
    skew = abs(m.skew)
    require(skew <= limits.skew_cap or skew <= abs(w.skew), "SkewCap", skew, limits.skew_cap)
    if w.before == 0:
        count, most = w.account.markets.bit_count(), p.terms.risk.max_markets
        require(count <= most, "TooManyMarkets", count, most)


def _check_margin(d: Draft, order: FillOrder, p: PoolBook, m: MarketBook, w: Work) -> None:
    """A reduction passes when equity ≥ 0 and health does not fall; everything else needs equity^I ≥ IM, its own market
    at the order's price, the others at the latest."""
    if w.reducing and _keeps_health(d, order.account, p, m, w):
        return
    weight = p.terms.risk.profit_weight_ppm
    c = initial_margin(d, order.account, w.account, p, weight, m.id & 0xFF)
    required = c.required
    if w.after:
        required += initial_requirement(m, abs(w.after), w.price, w.variance)
    if c.any or w.after:
        required += p.terms.risk.keeper_floor
    require_margin(c, required)
    w.account = with_last_check(w.account, max(c.newest, order.spot.publish_time))
    if w.account.collaterals:
        end_sale(d, order.account)
    # Fee and premium of an increase are voluntary debt; a settled loss is not.
    if w.account.raw_cash < 0 and w.cost + w.fee > 0:
        borrowable(p)


def _keeps_health(d: Draft, account: int, p: PoolBook, m: MarketBook, w: Work) -> bool:
    """equity ≥ 0 and E'·MM ≥ E·MM', both at the prices of this fill."""
    equity, required, any_open = maintenance_margin(d, account, w.account, p, m.id & 0xFF)
    floor, terms = p.terms.risk.keeper_floor, m.terms.margin
    before = required + floor + maintenance_requirement(terms, abs(w.before), w.price)
    later = required + maintenance_requirement(terms, abs(w.after), w.price)
    later += floor if any_open or w.after else 0
    equity_before = equity + w.cost + w.fee
    return equity_before >= 0 and equity * before >= equity_before * later
