"""The two margin checks, and what an owner may take out.

equity^I against IM for everything that raises risk or takes value out, equity^M against MM for reductions and
liquidation.
"""

from __future__ import annotations

from dataclasses import dataclass

from plimsoll.model import margin
from plimsoll.model.config_words import MarginWord
from plimsoll.model.engine.books import MarketBook, PoolBook, load_market, load_pool, save_pool
from plimsoll.model.engine.draft import Draft, Refusal, require, to_int
from plimsoll.model.engine.ledger import (
    add_cash,
    bits_of,
    borrowable,
    cash_of,
    collateral_index,
    get_account,
    get_position,
    profit_of,
    size_of,
    store_account,
    wad,
)
from plimsoll.model.engine.prices import observe, observe_for
from plimsoll.model.engine.state import Account, market_id, pool_of
from plimsoll.model.oracle import Action

__all__ = [
    "Initial",
    "end_sale",
    "initial_margin",
    "initial_requirement",
    "maintenance_margin",
    "maintenance_requirement",
    "require_initial",
    "require_margin",
    "set_collateral",
    "take_out_of",
    "with_collateral",
    "with_last_check",
]

NO_MARKET = 256
ANY_FLAG = -1


@dataclass(slots=True)
class Initial:
    """equity^I and IM without the keeper floor; newest publish time used; whether a position was among them; the last
    collateral asset that counted zero because of its price, with the price's flags."""

    equity: int
    required: int = 0
    newest: int = 0
    any: bool = False
    zeroed_asset: int = 0
    zeroed_flags: int = 0


def initial_requirement(m: MarketBook, size: int, price: int, variance: int) -> int:
    """⌈n·P·imr(n)⌉ with the volatility factor; `size` ≥ 0."""
    one, trade = m.terms.margin, m.terms.trade
    factor = margin.volatility_factor(variance, trade.sigma_ref, one.vol_cap)
    ratio = margin.ratio(one.im_base_ppm, one.im_slope, size)
    return margin.requirement(size, price, margin.scaled_ratio(ratio, factor))


def maintenance_requirement(terms: MarginWord, size: int, price: int) -> int:
    """⌈n·P·(mmr(n) + λ)⌉; `size` ≥ 0."""
    ratio = margin.ratio(terms.mm_base_ppm + terms.penalty_ppm, terms.mm_slope, size)
    return margin.requirement(size, price, ratio)


def initial_margin(
    d: Draft, account: int, a: Account, p: PoolBook, weight_ppm: int, skip: int, refused: int = ANY_FLAG
) -> Initial:
    """equity^I and IM of everything but market `skip`, at the latest prices.

    :param weight_ppm: part of unrealised profit that counts.
    :param refused: collateral whose price has one of these flags counts zero.
    :raises Refusal: PriceRefused, when the price of a position is not fit for a risk increase.
    """
    c = Initial(cash_of(a, p))
    for index in bits_of(a.markets):
        if index == skip:
            continue
        m = load_market(d, market_id(p.id, index))
        price, variance, time = m.price, 0, 0
        if not m.settled:
            spot, trend = observe_for(d, Action.INCREASE_RISK, m.terms.margin.asset)
            price, variance, time = spot.price, trend.variance, spot.publish_time
        c.newest = max(c.newest, time)
        position = get_position(d, account, index)
        size = size_of(d, m, position)
        c.equity += margin.weighted_profit(profit_of(d, m, position, price), weight_ppm)
        c.required += initial_requirement(m, abs(size), price, variance)
        c.any = c.any or size != 0
    for index in bits_of(a.collaterals):
        terms = d.collaterals[p.id, index].terms
        spot, trend = observe(d, terms.asset)
        if spot.flags & refused:
            c.zeroed_asset, c.zeroed_flags = terms.asset, int(spot.flags)
            continue
        c.newest = max(c.newest, spot.publish_time)
        price = min(spot.price, trend.ema)
        balance = d.collateral.get((account, index), 0)
        c.equity += margin.collateral_value(balance, terms.decimals, price, terms.weight_initial_ppm)
    return c


def require_margin(c: Initial, required: int) -> None:
    """equity^I ≥ IM. When it fails and a collateral's price was refused, that is what is said."""
    if c.equity >= required:
        return
    require(c.zeroed_flags == 0, "PriceRefused", c.zeroed_asset, c.zeroed_flags)
    raise Refusal("InsufficientMargin", c.equity, required)


def require_initial(d: Draft, account: int, a: Account, p: PoolBook) -> Account:
    """equity^I ≥ IM for the whole account; gives it with `last_check` moved to the newest publish time used."""
    c = initial_margin(d, account, a, p, 0, NO_MARKET)
    require_margin(c, c.required + (p.terms.risk.keeper_floor if c.any else 0))
    if a.collaterals:
        end_sale(d, account)
    return with_last_check(a, c.newest)


def maintenance_margin(d: Draft, account: int, a: Account, p: PoolBook, skip: int) -> tuple[int, int, bool]:
    """equity^M, MM without the keeper floor, and whether a position is open, of everything but market `skip`, at the
    last valid prices: for reductions, which an invalid price of another market must not block."""
    equity, required, any_open = cash_of(a, p), 0, False
    for index in bits_of(a.markets):
        if index == skip:
            continue
        m = load_market(d, market_id(p.id, index))
        price = m.price if m.settled else observe(d, m.terms.margin.asset)[0].price
        position = get_position(d, account, index)
        size = size_of(d, m, position)
        equity += profit_of(d, m, position, price)
        required += maintenance_requirement(m.terms.margin, abs(size), price)
        any_open = any_open or size != 0
    for index in bits_of(a.collaterals):
        terms = d.collaterals[p.id, index].terms
        price = observe(d, terms.asset)[0].price
        balance = d.collateral.get((account, index), 0)
        equity += margin.collateral_value(balance, terms.decimals, price, terms.weight_maintenance_ppm)
    return equity, required, any_open


def with_last_check(a: Account, time: int) -> Account:
    """The account with `last_check` not before `time`."""
    latest = max(a.last_check, time)
    return Account(a.raw_cash, a.markets, a.collaterals, a.version, latest, a.pending_orders)


def with_collateral(a: Account, index: int, held: bool) -> Account:
    """The account with or without a balance of a collateral."""
    kinds = a.collaterals | 1 << index if held else a.collaterals & ~(1 << index)
    return Account(a.raw_cash, a.markets, kinds, a.version, a.last_check, a.pending_orders)


def end_sale(d: Draft, account: int) -> None:
    """Takes the account's collateral off sale, if it was."""
    if account in d.sales:
        d.drop("sales", account)
        pool = pool_of(account)
        d.put("open_sales", pool, d.open_sales.get(pool, 0) - 1)


def take_out_of(d: Draft, account: int, token: int, amount: int) -> None:
    """Debits an account (native units) by its owner's will: no pending orders, margin afterwards, borrowing within
    limits."""
    pool = pool_of(account)
    a = get_account(d, account)
    require(a.pending_orders == 0, "OrdersPending", account, a.pending_orders)
    terms = d.pool_terms.get(pool)
    if terms is None:
        raise Refusal("UnknownPool", pool)
    if token == terms.token:
        debit = to_int(wad(amount, terms))
        if a.raw_cash >= debit and a.markets == 0:
            # No debt and no position: equity^I ≥ 0 = IM whatever prices are.
            store_account(d, account, add_cash(a, load_pool(d, pool), -debit))
            return
        p = load_pool(d, pool)
        a = add_cash(a, p, -debit)
        if a.raw_cash < 0:
            borrowable(p)
        a = require_initial(d, account, a, p)
        save_pool(d, p)
    else:
        index = collateral_index(d, pool, token)
        balance = d.collateral.get((account, index), 0)
        require(balance >= amount, "InsufficientBalance", balance, amount)
        balance -= amount
        set_collateral(d, account, index, balance)
        if balance == 0:
            a = with_collateral(a, index, False)
        if a.collaterals == 0:
            end_sale(d, account)
        if a.markets or a.raw_cash < 0:
            a = require_initial(d, account, a, load_pool(d, pool))
    store_account(d, account, a)


def set_collateral(d: Draft, account: int, index: int, balance: int) -> None:
    """Stores a balance, native units."""
    if balance:
        d.put("collateral", (account, index), balance)
    else:
        d.drop("collateral", (account, index))
