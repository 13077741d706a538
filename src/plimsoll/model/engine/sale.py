"""Collateral on sale, and the debt of an account that has nothing left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from plimsoll.model import liquidation, margin
from plimsoll.model.config_words import CollateralWord
from plimsoll.model.engine import tokens
from plimsoll.model.engine.books import PoolBook, commit, load_pool, save_pool
from plimsoll.model.engine.draft import Draft, Refusal, require, to_int
from plimsoll.model.engine.ledger import (
    add_cash,
    add_claim,
    bits_of,
    cash_of,
    collateral_index,
    get_account,
    set_held,
    store_account,
)
from plimsoll.model.engine.margin import NO_MARKET, end_sale, initial_margin, set_collateral, with_collateral
from plimsoll.model.engine.prices import observe, observe_for
from plimsoll.model.engine.solvency import socialise
from plimsoll.model.engine.state import Account, owner_of, pool_of
from plimsoll.model.oracle import Action, PriceFlags
from plimsoll.units import PPM, div_up, mul_div_up

__all__ = ["absorb", "buy_collateral", "give_dust", "is_dust", "sale_equity", "start_sale"]

INVALID = int(PriceFlags.INVALID)


@dataclass(slots=True)
class Sale:
    """A token on sale: its index and terms, price (WAD per unit) and discount."""

    index: int
    terms: CollateralWord
    price: int
    discount_ppm: int


def sale_equity(d: Draft, account: int, a: Account, p: PoolBook) -> int:
    """equity^I of an account without positions, for its sale: every price that is not invalid counts."""
    return initial_margin(d, account, a, p, 0, NO_MARKET, INVALID).equity


def start_sale(d: Draft, account: int) -> bool:
    """Puts collateral on sale from now on; whether it was not yet."""
    if account in d.sales:
        return False
    d.put("sales", account, d.time)
    pool = pool_of(account)
    d.put("open_sales", pool, d.open_sales.get(pool, 0) + 1)
    return True


def is_dust(d: Draft, account: int, a: Account, p: PoolBook) -> bool:
    """Whether all collateral together is worth less than the keeper floor, each token at a valid price."""
    value = 0
    for index in bits_of(a.collaterals):
        terms = d.collaterals[p.id, index].terms
        spot, _ = observe(d, terms.asset)
        if spot.flags & INVALID:
            return False
        price = max(spot.price, spot.other)
        value += margin.collateral_value(d.collateral.get((account, index), 0), terms.decimals, price, PPM)
    return value < p.terms.risk.keeper_floor


def give_dust(d: Draft, account: int, a: Account, keeper: int) -> Account:
    """Hands collateral that nobody would buy to the keeper, as a claim."""
    pool = pool_of(account)
    for index in bits_of(a.collaterals):
        balance = d.collateral.get((account, index), 0)
        set_collateral(d, account, index, 0)
        a = with_collateral(a, index, False)
        add_claim(d, pool, d.collaterals[pool, index].token, owner_of(keeper), balance)
    end_sale(d, account)
    return a


def absorb(d: Draft, a: Account, p: PoolBook) -> Account:
    """Sends the debt of an account that has nothing left down the waterfall: insurance → junior → V."""
    cash = cash_of(a, p)
    if cash >= 0:
        return a
    debt = -cash
    junior = d.junior.get(p.id, 0)
    insured = min(debt, p.insurance)
    from_junior = min(debt - insured, junior)
    p.insurance -= insured
    p.cash -= debt - insured - from_junior
    if from_junior:
        d.put("junior", p.id, junior - from_junior)
    return add_cash(a, p, debt)


def buy_collateral(
    d: Draft,
    caller: int,
    account: int,
    token: int,
    amount: int,
    max_price: int,
    callback: Callable[[Draft, int, int], None] | None = None,
) -> tuple[int, int]:
    """Buys up to `amount` (native units) of collateral on sale; gives what was bought and what it cost, native units.

    :param max_price: WAD per unit.
    :param callback: what the buyer does between the tokens' arrival and the payment, given both amounts.
    """
    d.begin()
    require(amount != 0, "ZeroAmount")
    if account not in d.sales:
        raise Refusal("NotOnSale", account)
    p = load_pool(d, pool_of(account))
    a = get_account(d, account)
    sale = _sale(d, account, p, token)
    unit_price = mul_div_up(sale.price, PPM - sale.discount_ppm, PPM)
    require(unit_price <= max_price, "SalePrice", unit_price, max_price)
    bought, a = _take_for_sale(d, account, a, p, sale, token, amount)
    unit = p.terms.settlement.unit
    cost = liquidation.sale_price(bought, sale.terms.decimals, sale.price, sale.discount_ppm)
    paid = div_up(cost, unit)
    credit = paid * unit
    a = add_cash(a, p, to_int(credit))
    if a.collaterals == 0:
        end_sale(d, account)
        a = absorb(d, a, p)
    elif sale_equity(d, account, a, p) >= 0:
        end_sale(d, account)
    store_account(d, account, a)
    save_pool(d, p)
    pay_token = p.terms.token
    set_held(d, p.id, token, -bought)
    set_held(d, p.id, pay_token, credit)
    if p.nav < 0:
        socialise(d, p)
        save_pool(d, p)
    tokens.push(d, token, caller, bought)
    if callback is not None:
        callback(d, bought, paid)
    tokens.pull(d, pay_token, caller, paid)
    commit(d)
    return bought, paid


def _sale(d: Draft, account: int, p: PoolBook, token: int) -> Sale:
    """Price and discount of a token on sale; while the sources deviate, the better for the account."""
    index = collateral_index(d, p.id, token)
    terms = d.collaterals[p.id, index].terms
    spot, _ = observe_for(d, Action.LIQUIDATE, terms.asset)
    require(not spot.flags & INVALID, "PriceRefused", terms.asset, spot.flags)
    price = spot.price
    if spot.flags & PriceFlags.DEVIATED and not spot.flags & PriceFlags.DEVIATED_LONG:
        price = max(price, spot.other)
    config = p.terms.liquidation
    elapsed = d.time - d.sales[account]
    return Sale(index, terms, price, liquidation.discount(elapsed, config.sale_seconds, config.discount_max_ppm))


def _take_for_sale(
    d: Draft, account: int, a: Account, p: PoolBook, sale: Sale, token: int, amount: int
) -> tuple[int, Account]:
    """Takes the tokens out of the account: at most the least amount that brings equity^I to zero."""
    equity = sale_equity(d, account, a, p)
    require(equity < 0, "NothingOnSale", account, token)
    value = liquidation.sale_value(-equity, sale.discount_ppm, sale.terms.weight_initial_ppm)
    most = balance = d.collateral.get((account, sale.index), 0)
    if value != liquidation.EVERYTHING:
        most = min(balance, mul_div_up(value, 10**sale.terms.decimals, sale.price))
    bought = min(amount, most)
    require(bought != 0, "NothingOnSale", account, token)
    balance -= bought
    set_collateral(d, account, sale.index, balance)
    if balance == 0:
        a = with_collateral(a, sale.index, False)
    return bought, a
