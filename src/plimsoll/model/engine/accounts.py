"""Deposits, withdrawals, transfers, keeper fees in escrow: entry points on one or two accounts. Amounts are native
units."""

from __future__ import annotations

from plimsoll.model.config_words import Pause
from plimsoll.model.engine import tokens
from plimsoll.model.engine.books import commit, load_market, load_pool, reprice, save_market, save_pool
from plimsoll.model.engine.draft import Draft, Refusal, require, to_int
from plimsoll.model.engine.ledger import (
    MAX_256,
    add_cash,
    borrowable,
    collateral_index,
    get_account,
    pay,
    payable,
    set_held,
    store_account,
    wad,
    with_cash,
)
from plimsoll.model.engine.margin import (
    NO_MARKET,
    initial_margin,
    maintenance_margin,
    require_initial,
    set_collateral,
    take_out_of,
    with_collateral,
)
from plimsoll.model.engine.state import Account, PoolTerms, owner_of, pool_of
from plimsoll.units import NANO

__all__ = ["accrue", "deposit", "release_fee", "reserve_fee", "transfer", "with_pending_orders", "withdraw"]

MAX_PENDING = 8
NO_INCREASE = int(Pause.INCREASE)


def deposit(d: Draft, caller: int, account: int, token: int, amount: int) -> None:
    """Pulls tokens from the caller into an account of anyone."""
    d.begin()
    require(amount != 0, "ZeroAmount")
    require(owner_of(account) != 0, "ZeroAddress")
    pool = pool_of(account)
    terms = _terms(d, pool)
    a = get_account(d, account)
    credit = amount
    if token == terms.token:
        credit = wad(amount, terms)
        if a.raw_cash >= 0:
            a = with_cash(a, a.raw_cash + to_int(credit))
        else:
            p = load_pool(d, pool)
            a = add_cash(a, p, to_int(credit))
            save_pool(d, p)
    else:
        a = _add_collateral(d, caller, account, a, token, amount)
    store_account(d, account, a)
    set_held(d, pool, token, credit)
    tokens.pull(d, token, caller, amount)
    commit(d)


def _add_collateral(d: Draft, caller: int, account: int, a: Account, token: int, amount: int) -> Account:
    pool = pool_of(account)
    index = collateral_index(d, pool, token)
    balance = d.collateral.get((account, index), 0) + amount
    require(balance <= MAX_256, "Panic", 0x11)
    total = d.held.get((pool, token), 0) - d.claim_totals.get((pool, token), 0) + amount
    require(total <= MAX_256, "Panic", 0x11)
    cap = d.collaterals[pool, index].cap
    if total > cap:
        # Beyond the cap only an account below its initial margin may top up.
        p = load_pool(d, pool)
        c = initial_margin(d, account, a, p, 0, NO_MARKET)
        required = c.required + (p.terms.risk.keeper_floor if c.any else 0)
        require(c.equity < required, "CollateralCap", token, total, cap)
    if balance == amount:
        # Anyone may top up, but only the owner adds a kind of collateral: each one costs gas in liquidation.
        require(owner_of(account) == caller, "NotAccountOwner", account, caller)
        a = with_collateral(a, index, True)
        _require_few(a, d.pool_terms[pool])
    set_collateral(d, account, index, balance)
    return a


def _require_few(a: Account, terms: PoolTerms) -> None:
    count, most = a.collaterals.bit_count(), terms.settlement.max_collaterals
    require(count <= most, "TooManyCollaterals", count, most)


def withdraw(d: Draft, caller: int, account: int, token: int, amount: int, to: int) -> None:
    """Pays tokens out of the caller's account."""
    d.begin()
    require(amount != 0, "ZeroAmount")
    require(to != 0, "ZeroAddress")
    require(owner_of(account) == caller, "NotAccountOwner", account, caller)
    take_out_of(d, account, token, amount)
    pool = pool_of(account)
    terms = d.pool_terms[pool]
    debit = amount
    if token == terms.token:
        debit = wad(amount, terms)
        payable(d, pool, token, debit)
    set_held(d, pool, token, -debit)
    tokens.push(d, token, to, amount)
    commit(d)


def transfer(d: Draft, caller: int, source: int, to: int, token: int, amount: int) -> None:
    """Moves tokens between two of the caller's sub-accounts in one pool."""
    d.begin()
    require(amount != 0, "ZeroAmount")
    require(source != to, "SameAccount", source)
    require(owner_of(source) == caller, "NotAccountOwner", source, caller)
    require(owner_of(to) == caller, "OtherOwner", source, to)
    pool = pool_of(source)
    require(pool_of(to) == pool, "OtherPool", to, pool)
    take_out_of(d, source, token, amount)
    a = get_account(d, to)
    terms = d.pool_terms[pool]
    if token == terms.token:
        p = load_pool(d, pool)
        a = add_cash(a, p, to_int(wad(amount, terms)))
        save_pool(d, p)
    else:
        index = collateral_index(d, pool, token)
        a = with_collateral(a, index, True)
        _require_few(a, terms)
        set_collateral(d, to, index, d.collateral.get((to, index), 0) + amount)
    store_account(d, to, a)
    commit(d)


def accrue(d: Draft, market: int) -> None:
    """Accrues interest and funding of a market and stores its price and loss."""
    d.begin()
    p = load_pool(d, market >> 8)
    m = load_market(d, market)
    reprice(d, p, m)
    save_market(d, m)
    save_pool(d, p)
    commit(d)


# ── keeper fees, for the order book ──────────────────────────────────────────


def reserve_fee(d: Draft, account: int, market: int, caller: int, fee: int, reduce_only: bool) -> None:
    """Takes the keeper fee (WAD) of a new order into escrow.

    An order that raises risk needs equity^I ≥ IM after the fee and counts as pending; a reduce-only one needs a
    position and equity ≥ fee + keeper floor: what is left must still pay a liquidation.
    """
    require(owner_of(account) == caller, "NotAccountOwner", account, caller)
    pool = pool_of(account)
    require(market >> 8 == pool, "OtherPool", account, market >> 8)
    p = load_pool(d, pool)
    floor = p.terms.risk.keeper_floor
    require(fee % NANO == 0 and fee % p.terms.settlement.unit == 0, "FeeGranularity", fee)
    require(fee <= floor, "KeeperFeeTooHigh", fee, floor)
    require(market in d.market_terms, "UnknownMarket", market)
    a = get_account(d, account)
    if reduce_only:
        require(bool(a.markets >> (market & 0xFF) & 1), "NothingToReduce", account, market)
        equity = maintenance_margin(d, account, a, p, NO_MARKET)[0]
        require(equity >= fee + floor, "InsufficientMargin", equity, fee + floor)
        a = add_cash(a, p, -fee)
    else:
        require(not p.terms.risk.pause_flags & NO_INCREASE, "IncreasePaused", pool)
        a = add_cash(a, p, -fee)
        if a.raw_cash < 0:
            borrowable(p)
        if a.markets or a.collaterals or a.raw_cash < 0:
            a = require_initial(d, account, a, p)
        count = a.pending_orders + 1
        require(count <= MAX_PENDING, "TooManyOrders", count, MAX_PENDING)
        a = with_pending_orders(a, count)
    p.escrow += fee
    store_account(d, account, a)
    save_pool(d, p)
    commit(d)


def release_fee(d: Draft, account: int, fee: int, reduce_only: bool, to_keeper: bool, keeper: int) -> None:
    """Ends an order that is not filled: its fee (WAD) goes back, or to the keeper."""
    p = load_pool(d, pool_of(account))
    a = get_account(d, account)
    if not reduce_only:
        require(a.pending_orders > 0, "Panic", 0x11)
        a = with_pending_orders(a, a.pending_orders - 1)
    p.escrow -= fee
    if not to_keeper:
        a = add_cash(a, p, fee)
    store_account(d, account, a)
    if to_keeper:
        pay(d, p, keeper, fee)
    save_pool(d, p)
    commit(d)


def with_pending_orders(a: Account, count: int) -> Account:
    """The account with so many orders pending that raise risk."""
    return Account(a.raw_cash, a.markets, a.collaterals, a.version, a.last_check, count)


def _terms(d: Draft, pool: int) -> PoolTerms:
    terms: PoolTerms | None = d.pool_terms.get(pool)
    if terms is None:
        raise Refusal("UnknownPool", pool)
    return terms
