"""Pools and markets while a call works on them.

A call loads a pool or a market once (interest and funding accrue then), works on the book it got, and saves it; what is
not saved is as if it had not happened. Within a call the same pool or market is always the same book.
"""

from __future__ import annotations

from plimsoll.model import funding, interest, pricing, side
from plimsoll.model.config_words import MarketFlags
from plimsoll.model.engine.draft import Draft, Refusal, check_int, check_uint
from plimsoll.model.engine.prices import observe
from plimsoll.model.engine.state import (
    Event,
    Market,
    MarketTerms,
    Pool,
    PoolTerms,
    Side,
)
from plimsoll.model.oracle import PriceFlags
from plimsoll.model.oracle_words import Spot, Trend
from plimsoll.units import NANO, PPM

__all__ = [
    "MarketBook",
    "PoolBook",
    "SideBook",
    "commit",
    "load_market",
    "load_pool",
    "mark",
    "reprice",
    "save_market",
    "save_pool",
    "take_price",
    "unsound",
]

INVALID = int(PriceFlags.INVALID)
SETTLED = int(MarketFlags.SETTLED)


class PoolBook:
    """A pool while a call works on it; fields as in `Pool`."""

    __slots__ = (
        "borrow_index",
        "cash",
        "debt_time",
        "escrow",
        "fees",
        "id",
        "insurance",
        "loss_sum",
        "scaled_debt",
        "stored_debt",
        "terms",
    )

    def __init__(self, id_: int, pool: Pool, terms: PoolTerms) -> None:
        self.id = id_
        self.terms = terms
        self.cash = pool.cash
        self.insurance = pool.insurance
        self.fees = pool.fees
        self.loss_sum = pool.loss_sum
        self.escrow = pool.escrow
        self.scaled_debt = pool.scaled_debt
        self.stored_debt = pool.scaled_debt
        self.borrow_index = pool.borrow_index
        self.debt_time = pool.debt_time

    @property
    def nav(self) -> int:
        """V − Σ of the losses of each market's last priced call."""
        return self.cash - self.loss_sum

    @property
    def total_debt(self) -> int:
        """D, rounded down."""
        return interest.total_debt(self.scaled_debt, self.borrow_index)


class SideBook:
    """One side of a market while a call works on it; (A, C, epoch) of its last event included."""

    __slots__ = ("entry_sum", "epoch", "events", "long", "offset", "open_entry_sum", "scale", "shares")

    def __init__(self, long: bool, stored: Side, event: Event) -> None:
        self.long = long
        self.shares = stored.shares
        self.events = stored.events
        self.entry_sum = stored.entry_sum
        self.open_entry_sum = stored.open_entry_sum
        self.scale = event.scale
        self.offset = event.offset
        self.epoch = event.epoch

    @property
    def signed(self) -> int:
        """R"""
        return self.shares if self.long else -self.shares

    @property
    def interest(self) -> int:
        """Open interest, units."""
        return side.size_of(self.shares, self.scale)


class MarketBook:
    """A market while a call works on it; `loss` is what the pool's sum counts for it."""

    __slots__ = ("id", "index", "long", "loss", "owed", "price", "rate", "short", "terms", "time")

    def __init__(self, id_: int, stored: Market, terms: MarketTerms, long: SideBook, short: SideBook) -> None:
        self.id = id_
        self.terms = terms
        self.index = stored.index
        self.rate = stored.rate
        self.time = stored.time
        self.price = stored.price
        self.owed = stored.owed
        self.long = long
        self.short = short
        self.loss = self.worth(self.premium)

    @property
    def settled(self) -> bool:
        """Whether its price is final."""
        return bool(self.terms.margin.flags & SETTLED)

    @property
    def skew(self) -> int:
        """Longs minus shorts, units."""
        return self.long.interest - self.short.interest

    @property
    def premium(self) -> int:
        """Π at `price`."""
        return pricing.premium(self.price, self.skew, self.terms.trade.skew_scale)

    def value(self, one: SideBook, price: int) -> int:
        """W of a side at a price."""
        return side.unit_value(one.scale, one.offset, price, self.index, one.long)

    def side_profit(self, one: SideBook) -> int:
        """U_X at `price`, rounded up."""
        if one.shares == 0:
            return 0
        return side.side_profit(one.signed, self.value(one, self.price), one.entry_sum)

    def open_profit(self, one: SideBook) -> int:
        """Uopen_X at `price`, rounded up."""
        if one.shares == 0:
            return 0
        total = one.open_entry_sum if one.events else one.entry_sum
        return side.open_profit(one.signed, one.scale, self.price, self.index, total)

    def worth(self, premium: int) -> int:
        """U_long + U_short + Π + owed at `price`: what the pool owes the traders of the market."""
        return self.side_profit(self.long) + self.side_profit(self.short) + premium + self.owed


# ── pools ────────────────────────────────────────────────────────────────────


def load_pool(d: Draft, pool: int) -> PoolBook:
    """The book of a pool, interest accrued: V grows by what D grows."""
    p = d.pool_books.get(pool)
    if p is not None:
        return p
    stored = d.pools.get(pool)
    if stored is None:
        raise Refusal("UnknownPool", pool)
    p = d.pool_books[pool] = PoolBook(pool, stored, d.pool_terms[pool])
    seconds = d.time - p.debt_time
    if p.scaled_debt == 0 or seconds == 0:
        return p
    curve = p.terms.interest
    before = p.total_debt
    u = interest.utilisation(before, p.cash)
    rate = interest.rate(u, curve.base, curve.slope1, curve.slope2, curve.kink_ppm)
    p.borrow_index = interest.index_after(p.borrow_index, rate, seconds)
    p.cash += p.total_debt - before
    return p


def save_pool(d: Draft, p: PoolBook) -> None:
    """Stores a pool. Time and index of accrual are kept only while there is, or was, debt."""
    check_int(p.cash, 104)
    check_uint(p.insurance, 96)
    check_uint(p.fees, 88)
    check_int(p.loss_sum, 104)
    check_uint(p.escrow // NANO, 64)
    index, time = p.borrow_index, p.debt_time
    if p.scaled_debt or p.stored_debt:
        check_uint(p.scaled_debt, 112)
        check_uint(index, 96)
        time = p.debt_time = d.time
        p.stored_debt = p.scaled_debt
    d.put("pools", p.id, Pool(p.cash, p.insurance, p.fees, p.loss_sum, p.escrow, p.scaled_debt, index, time))


# ── markets ──────────────────────────────────────────────────────────────────


def load_market(d: Draft, market: int) -> MarketBook:
    """The book of a market, funding accrued with the price of the previous accrual."""
    m = d.market_books.get(market)
    if m is not None:
        return m
    stored = d.markets.get(market)
    if stored is None:
        raise Refusal("UnknownMarket", market)
    sides = []
    for long, one in ((True, stored.long), (False, stored.short)):
        event = d.events[market, long, one.events] if one.events else Event()
        sides.append(SideBook(long, one, event))
    m = d.market_books[market] = MarketBook(market, stored, d.market_terms[market], *sides)
    seconds = d.time - m.time
    m.time = d.time
    if seconds == 0 or m.settled:
        return m
    t = m.terms.trade
    velocity, bound = funding.drift(m.rate, m.skew, t.skew_scale, t.r_max, t.v_max, t.dead_band_ppm)
    m.rate, twice = funding.integrate(m.rate, velocity, bound, seconds)
    m.index += funding.index_growth(twice, m.price)
    return m


def save_market(d: Draft, m: MarketBook) -> None:
    """Stores a market."""
    long, short = m.long, m.short
    check_int(m.index, 96)
    check_int(m.rate, 40)
    check_uint(m.price, 88)
    check_uint(long.shares, 104)
    check_uint(short.shares, 104)
    check_uint(long.events, 24)
    check_uint(short.events, 24)
    stored = Market(
        m.index,
        m.rate,
        m.time,
        m.price,
        m.owed,
        Side(long.shares, long.events, long.entry_sum, long.open_entry_sum),
        Side(short.shares, short.events, short.entry_sum, short.open_entry_sum),
    )
    d.put("markets", m.id, stored)


def commit(d: Draft) -> None:
    """Ends a call: books that were not saved are forgotten."""
    d.pool_books.clear()
    d.market_books.clear()


def take_price(d: Draft, m: MarketBook) -> tuple[Spot, Trend]:
    """Takes the latest valid price into a market."""
    spot, trend = observe(d, m.terms.margin.asset)
    if not spot.flags & INVALID and not m.settled:
        m.price = spot.price
    return spot, trend


def reprice(d: Draft, p: PoolBook, m: MarketBook) -> tuple[Spot, Trend]:
    """Takes the latest valid price into a market and values it for its pool."""
    seen = take_price(d, m)
    mark(p, m)
    return seen


def mark(p: PoolBook, m: MarketBook) -> int:
    """Values a market at its price and moves the pool's sum of losses by the change; gives Π."""
    premium = m.premium
    loss = m.worth(premium)
    p.loss_sum += loss - m.loss
    m.loss = loss
    return premium


def unsound(p: PoolBook, m: MarketBook) -> bool:
    """Whether profit may not be credited before deleveraging or socialisation: NAV < 0, or the net open loss is beyond
    the trigger and the side of the skew is winning."""
    nav = p.nav
    if nav < 0:
        return True
    total = m.open_profit(m.long) + m.open_profit(m.short)
    if total <= 0 or total * PPM <= nav * p.terms.risk.adl_trigger_ppm:
        return False
    return m.open_profit(m.long if m.skew > 0 else m.short) > 0
