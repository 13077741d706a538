"""Health of an account at the prices that count in liquidation."""

from __future__ import annotations

from dataclasses import dataclass, field

from plimsoll.model import margin
from plimsoll.model.engine.books import (
    MarketBook,
    PoolBook,
    load_market,
)
from plimsoll.model.engine.draft import Draft
from plimsoll.model.engine.ledger import (
    bits_of,
    cash_of,
    get_position,
    profit_of,
    size_of,
)
from plimsoll.model.engine.margin import maintenance_requirement
from plimsoll.model.engine.prices import observe
from plimsoll.model.engine.state import Account, Position, market_id
from plimsoll.model.oracle import PriceFlags
from plimsoll.model.oracle_words import Spot, Trend
from plimsoll.units import PPM, mul_div_up

__all__ = ["Health", "Leg", "below", "better", "health_of"]

INVALID = int(PriceFlags.INVALID)
DEVIATED = int(PriceFlags.DEVIATED)
DEVIATED_LONG = int(PriceFlags.DEVIATED_LONG)
SEQUENCER = int(PriceFlags.SEQUENCER_DOWN | PriceFlags.SEQUENCER_GRACE)


@dataclass(slots=True)
class Leg:
    """One position of the account. `price` values it, `close_price` closes it: the better for the account while the
    sources deviate. `requirement` is 0 when it may not be closed."""

    market: MarketBook
    index: int
    position: Position
    size: int
    price: int = 0
    close_price: int = 0
    market_price: int = 0
    profit: int = 0
    requirement: int = 0
    closable: bool = True
    done: bool = False


@dataclass(slots=True)
class Health:
    """The account at one set of prices: equity^M (`collateral` of it is collateral), MM with the keeper floor, newest
    publish time used."""

    equity: int
    legs: list[Leg] = field(default_factory=list)
    collateral: int = 0
    required: int = 0
    newest: int = 0
    grace: bool = False
    deviated: bool = False
    open: bool = False


def below(h: Health) -> bool:
    """equity^M < MM"""
    return h.equity < h.required


def health_of(d: Draft, account: int, a: Account, p: PoolBook, *, secondary: bool = False) -> Health:
    """Values the account for liquidation.

    An invalid price becomes the bound that favours the account, and such a leg has no requirement; while the sources
    deviate `secondary` decides which of them is used.
    """
    h = Health(cash_of(a, p))
    for index in bits_of(a.markets):
        m = load_market(d, market_id(p.id, index))
        position = get_position(d, account, index)
        leg = Leg(m, index, position, size_of(d, m, position), market_price=m.price)
        h.legs.append(leg)
        _price_leg(d, leg, h, secondary)
        leg.profit = profit_of(d, m, position, leg.price)
        h.equity += leg.profit
        if leg.closable and leg.size:
            h.open = True
            leg.requirement = maintenance_requirement(m.terms.margin, abs(leg.size), leg.price)
            h.required += leg.requirement
    if h.open:
        h.required += p.terms.risk.keeper_floor
    for index in bits_of(a.collaterals):
        terms = d.collaterals[p.id, index].terms
        spot, trend = observe(d, terms.asset)
        price = _price_for(spot, trend, h, secondary, long=True)[0]
        balance = d.collateral.get((account, index), 0)
        h.collateral += margin.collateral_value(balance, terms.decimals, price, terms.weight_maintenance_ppm)
    h.equity += h.collateral
    return h


def _price_leg(d: Draft, leg: Leg, h: Health, secondary: bool) -> None:
    m = leg.market
    if m.settled:
        leg.price = leg.close_price = m.price
        return
    spot, trend = observe(d, m.terms.margin.asset)
    leg.price, leg.close_price = _price_for(spot, trend, h, secondary, long=leg.size > 0)
    leg.closable = not spot.flags & INVALID
    if leg.closable:
        leg.market_price = spot.price


def _price_for(spot: Spot, trend: Trend, h: Health, secondary: bool, *, long: bool) -> tuple[int, int]:
    """Price of a valuation and of a close, for something the account is long of, or short of."""
    price, flags = spot.price, spot.flags
    if flags & SEQUENCER:
        h.grace = True
    if flags & INVALID:
        bound = trend.bound_ppm
        price = mul_div_up(price, PPM + bound, PPM) if long else price * (PPM - bound) // PPM
        return price, price
    h.newest = max(h.newest, spot.publish_time)
    if not flags & DEVIATED or flags & DEVIATED_LONG:
        return price, price
    h.deviated = True
    other = spot.other
    close = max(price, other) if long else min(price, other)
    return (other if secondary else price), close


def better(d: Draft, account: int, a: Account, p: PoolBook, h: Health) -> Health:
    """While sources deviate the account must be below the line at both: the valuation that is better for it."""
    if not h.deviated or not below(h):
        return h
    second = health_of(d, account, a, p, secondary=True)
    return second if not below(second) or second.equity > h.equity else h
