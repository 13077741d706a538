"""Cash, claims and positions: what every action does to the books of a pool and its markets."""

from __future__ import annotations

from plimsoll.model import interest, side
from plimsoll.model.config_words import Pause
from plimsoll.model.engine.books import MarketBook, PoolBook, SideBook
from plimsoll.model.engine.draft import Draft, Refusal, check_int, check_uint, require
from plimsoll.model.engine.state import (
    NO_ACCOUNT,
    NO_POSITION,
    Account,
    PoolTerms,
    Position,
    owner_of,
    pool_of,
)
from plimsoll.units import ONE, PPM

__all__ = [
    "MAX_256",
    "add_cash",
    "add_claim",
    "bits_of",
    "borrowable",
    "cash_of",
    "collateral_index",
    "get_account",
    "get_position",
    "pay",
    "payable",
    "profit_of",
    "put_in",
    "set_held",
    "size_of",
    "store_account",
    "store_position",
    "take_out",
    "wad",
    "with_cash",
    "with_market",
]

MAX_256 = 2**256 - 1
NO_BORROWING = int(Pause.BORROW)


def borrowable(p: PoolBook) -> None:
    """Refuses voluntary debt while paused, or beyond the pool's cash or the utilisation limit."""
    require(not p.terms.risk.pause_flags & NO_BORROWING, "BorrowPaused", p.id)
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
