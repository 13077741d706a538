"""What every action shares: pools and markets while a call works on them, cash, positions, what a market owes.

A call loads a pool or a market once (interest and funding accrue then), works on the book it got, and saves it; what is
not saved is as if it had not happened. Within a call the same pool or market is always the same book.
"""

from __future__ import annotations

from plimsoll.model import funding, interest, pricing, side
from plimsoll.model.config_words import MarketFlags, Pause
from plimsoll.model.engine.draft import Draft, Refusal, check_int, check_uint, require
from plimsoll.model.engine.prices import observe
from plimsoll.model.engine.state import (
    NO_ACCOUNT,
    NO_POSITION,
    Account,
    Event,
    Market,
    MarketTerms,
    Pool,
    PoolTerms,
    Position,
    Side,
    owner_of,
    pool_of,
)
from plimsoll.model.oracle import PriceFlags
from plimsoll.model.oracle_words import Spot, Trend
from plimsoll.units import NANO, ONE, PPM

__all__ = [
    "MarketBook",
    "PoolBook",
    "SideBook",
    "add_cash",
    "add_claim",
    "bits_of",
    "borrowable",
    "cash_of",
    "collateral_index",
    "commit",
    "get_account",
    "get_position",
    "load_market",
    "load_pool",
    "mark",
    "pay",
    "payable",
    "profit_of",
    "put_in",
    "reprice",
    "save_market",
    "save_pool",
    "set_held",
    "size_of",
    "store_account",
    "store_position",
    "take_out",
    "take_price",
    "unsound",
    "wad",
    "with_cash",
    "with_market",
]

INVALID = int(PriceFlags.INVALID)
MAX_256 = 2**256 - 1


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
        return bool(self.terms.margin.flags & MarketFlags.SETTLED)

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


def borrowable(p: PoolBook) -> None:
    """Refuses voluntary debt while paused, or beyond the pool's cash or the utilisation limit."""
    require(not p.terms.risk.pause_flags & Pause.BORROW, "BorrowPaused", p.id)
    debt = p.total_debt
    limit = max(p.cash, 0) * p.terms.settlement.utilisation_limit_ppm // PPM
    require(debt <= limit, "UtilisationLimit", debt, limit)


def payable(d: Draft, pool: int, token: int, amount: int) -> None:
    """Refuses to pay `amount` of settlement asset out of buckets that belong to others."""
    p = d.pools[pool]
    if p.scaled_debt == 0 and p.cash >= 0:
        return
    reserved = p.insurance + p.fees + p.escrow + d.junior.get(pool, 0) + d.lp_escrow.get(pool, 0)
    reserved += d.claim_totals.get((pool, token), 0)
    free = max(d.held.get((pool, token), 0) - reserved, 0)
    require(amount <= free, "InsufficientPoolLiquidity", free, amount)


# ── money ────────────────────────────────────────────────────────────────────


def wad(amount: int, terms: PoolTerms) -> int:
    """Native units of the settlement asset in WAD; an amount that no token has is refused."""
    return check_uint(amount, 128) * terms.settlement.unit


def get_account(d: Draft, account: int) -> Account:
    """An account; empty if it was never used."""
    found: Account = d.accounts.get(account, NO_ACCOUNT)
    return found


def store_account(d: Draft, account: int, a: Account) -> None:
    """Stores an account with its next version."""
    version = (a.version + 1) % 2**32
    d.put(
        "accounts",
        account,
        Account(a.raw_cash, a.markets, a.collaterals, version, a.last_check, a.pending_orders),
    )


def with_cash(a: Account, raw: int) -> Account:
    """The account with another raw cash."""
    check_int(raw, 112)
    return Account(raw, a.markets, a.collaterals, a.version, a.last_check, a.pending_orders)


def with_market(a: Account, index: int, held: bool) -> Account:
    """The account with or without a position in a market."""
    check_uint(index, 5)
    markets = a.markets | 1 << index if held else a.markets & ~(1 << index)
    return Account(a.raw_cash, markets, a.collaterals, a.version, a.last_check, a.pending_orders)


def cash_of(a: Account, p: PoolBook) -> int:
    """Q: cash, or minus the debt, rounded up."""
    return a.raw_cash if a.raw_cash >= 0 else -interest.debt_of(-a.raw_cash, p.borrow_index)


def add_cash(a: Account, p: PoolBook, delta: int) -> Account:
    """Adds to Q. Debt is kept rounded up; what rounding leaves over goes to V, so that the ledger adds up to the
    wei."""
    raw = a.raw_cash
    if raw >= 0 and raw + delta >= 0:
        return with_cash(a, raw + delta)
    cash = cash_of(a, p)
    after = cash + delta
    effect = max(after, 0) - max(cash, 0) + p.total_debt
    scaled = interest.scaled_for(-after, p.borrow_index) if after < 0 else 0
    p.scaled_debt += scaled - max(-raw, 0)
    effect -= p.total_debt
    p.cash += delta - effect
    return with_cash(a, -scaled if after < 0 else after)


def pay(d: Draft, p: PoolBook, beneficiary: int, amount: int) -> None:
    """Credits an account of the pool, or else its owner with a claim."""
    if amount == 0:
        return
    if pool_of(beneficiary) == p.id:
        store_account(d, beneficiary, add_cash(get_account(d, beneficiary), p, amount))
    else:
        add_claim(d, p.id, p.terms.token, owner_of(beneficiary), amount)


def add_claim(d: Draft, pool: int, token: int, owner: int, amount: int) -> None:
    """Adds to what `owner` may claim, in the unit of `held`."""
    d.put("claims", (pool, token, owner), d.claims.get((pool, token, owner), 0) + amount)
    d.put("claim_totals", (pool, token), d.claim_totals.get((pool, token), 0) + amount)


def set_held(d: Draft, pool: int, token: int, change: int) -> None:
    """Adds to (or takes from) what a pool holds of a token; more than there is cannot be taken."""
    held = d.held.get((pool, token), 0) + change
    require(held >= 0, "Panic", 0x11)
    d.put("held", (pool, token), held)


def collateral_index(d: Draft, pool: int, token: int) -> int:
    """Index of a collateral token in its pool."""
    for index in range(d.pool_terms[pool].settlement.collateral_count if pool in d.pool_terms else 0):
        if d.collaterals[pool, index].token == token:
            return index
    raise Refusal("UnknownToken", pool, token)


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
    c = m.terms.funding
    scale = m.terms.trade.skew_scale
    velocity, bound = funding.drift(m.rate, m.skew, scale, c.r_max, c.v_max, c.dead_band_ppm)
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


# ── positions ────────────────────────────────────────────────────────────────


def get_position(d: Draft, account: int, index: int) -> Position:
    """A position; empty if there is none."""
    found: Position = d.positions.get((account, index), NO_POSITION)
    return found


def store_position(d: Draft, account: int, index: int, position: Position) -> None:
    """Stores a position; an empty one is removed."""
    if position.shares or position.entry or position.last_event:
        d.put("positions", (account, index), position)
    else:
        d.drop("positions", (account, index))


def event_of(d: Draft, m: MarketBook, one: SideBook, position: Position) -> tuple[int, int, int]:
    """(A, C, epoch) of the event that a position has last seen."""
    number = position.last_event
    if number == one.events:
        return one.scale, one.offset, one.epoch
    if number == 0:
        return ONE, 0, 0
    event = d.events[m.id, one.long, number]
    return event.scale, event.offset, event.epoch


def size_of(d: Draft, m: MarketBook, position: Position) -> int:
    """Signed size, units; 0 in a closed epoch."""
    shares = position.shares
    if shares == 0:
        return 0
    one = m.long if shares > 0 else m.short
    if one.events and event_of(d, m, one, position)[2] != one.epoch:
        return 0
    size = side.size_of(abs(shares), one.scale)
    return size if shares > 0 else -size


def profit_of(d: Draft, m: MarketBook, position: Position, price: int) -> int:
    """Profit since the last touch at a price, rounded down."""
    shares = position.shares
    if shares == 0:
        return 0
    one = m.long if shares > 0 else m.short
    if one.events:
        epoch = event_of(d, m, one, position)[2]
        if epoch != one.epoch:
            return side.profit(shares, d.epoch_ends[m.id, one.long, epoch], position.entry)
    return side.profit(shares, m.value(one, price), position.entry)


def take_out(d: Draft, p: PoolBook, m: MarketBook, position: Position, profit: int) -> None:
    """Takes a position out of its market: V pays `profit`, its profit now. The caller credits the account."""
    shares = position.shares
    if shares == 0:
        return
    one = m.long if shares > 0 else m.short
    scale, offset, epoch = event_of(d, m, one, position)
    p.cash -= profit
    if epoch != one.epoch:
        m.owed -= profit
        return
    require(one.shares >= abs(shares), "Panic", 0x11)
    one.shares -= abs(shares)
    one.entry_sum -= shares * position.entry
    if one.events:
        one.open_entry_sum -= shares * side.open_entry(position.entry, scale, offset)


def put_in(m: MarketBook, size: int, price: int) -> Position:
    """Puts a position of `size` into its market at `price`, W now as its entry."""
    if size == 0:
        return NO_POSITION
    one = m.long if size > 0 else m.short
    magnitude = side.shares_for(abs(size), one.scale)
    entry = m.value(one, price)
    shares = magnitude if size > 0 else -magnitude
    one.shares += magnitude
    one.entry_sum += shares * entry
    if one.events:
        one.open_entry_sum += shares * side.open_entry(entry, one.scale, one.offset)
    check_int(shares, 104)
    check_int(entry, 128)
    return Position(shares, entry, one.events)


def bits_of(bitmap: int) -> list[int]:
    """Indices of the set bits, ascending."""
    found = []
    while bitmap:
        low = bitmap & -bitmap
        found.append(low.bit_length() - 1)
        bitmap ^= low
    return found
