"""Parameters, listings, pauses, roles: the entry points of owner and guardian.

A setter accrues first, writes, then checks every inequality it can touch, at the stored prices of the markets. Prices,
sizes and money are WAD; addresses and markets are numbers.
"""

from __future__ import annotations

import dataclasses

from plimsoll.model.config_words import MarketFlags, Pause
from plimsoll.model.engine.books import PoolBook, commit, load_market, load_pool, mark, reprice, save_market, save_pool
from plimsoll.model.engine.draft import Draft, Refusal, require
from plimsoll.model.engine.ledger import add_claim, collateral_index
from plimsoll.model.engine.parameters import (
    MAX_COLLATERALS,
    MAX_MARKETS,
    CollateralParams,
    MarketParams,
    PoolParams,
    blank_terms,
    check_collateral,
    check_pool,
    check_together,
    checked,
    collateral_terms,
    kept_amount,
    market_terms,
    pool_terms,
)
from plimsoll.model.engine.prices import invalid_for, observe_for, peek
from plimsoll.model.engine.state import Market, MarketTerms, Pool, PoolTerms, market_id
from plimsoll.model.oracle import Action
from plimsoll.model.word import ZERO_ADDRESS, checksum
from plimsoll.units import PPM

__all__ = [
    "create_pool",
    "list_collateral",
    "list_market",
    "lower_caps",
    "offer_ownership",
    "set_collateral",
    "set_guardian",
    "set_market",
    "set_pause",
    "set_pool",
    "set_reduce_only",
    "set_share_token",
    "settle_market",
    "sweep_fees",
    "take_ownership",
]

LISTED = int(MarketFlags.LISTED)
REDUCE_ONLY = int(MarketFlags.REDUCE_ONLY)
SETTLED = int(MarketFlags.SETTLED)
SETTLE_AFTER = 86_400
SETTLE_BAND_PPM = 200_000


def _owner(d: Draft, caller: int) -> None:
    require(caller == d.owner, "NotOwner", caller)


def _guardian(d: Draft, caller: int) -> None:
    require(caller in (d.owner, d.guardian), "NotGuardian", caller)


def _terms(d: Draft, pool: int) -> PoolTerms:
    terms: PoolTerms | None = d.pool_terms.get(pool)
    if terms is None:
        raise Refusal("UnknownPool", pool)
    return terms


def _listed(d: Draft, market: int) -> MarketTerms:
    terms: MarketTerms | None = d.market_terms.get(market)
    if terms is None:
        raise Refusal("UnknownMarket", market)
    return terms


def _decimals(d: Draft, token: int) -> int:
    """What the token says of itself; an address without a token behind it reverts without saying why."""
    if token not in d.tokens:
        raise Refusal("BareRevert")
    decimals: int = d.tokens[token].decimals
    return decimals


def _check_pool(d: Draft, pool: int) -> None:
    """Every inequality that ties markets and collateral to their pool, at the prices stored now."""
    terms = _terms(d, pool)
    ids = [market_id(pool, index) for index in range(terms.settlement.market_count)]
    markets = [(d.market_terms[market], d.markets[market].price) for market in ids]
    items = [d.collaterals[pool, index].terms for index in range(terms.settlement.collateral_count)]
    check_together(terms, markets, [item.weight_maintenance_ppm for item in items])


# ── pools ────────────────────────────────────────────────────────────────────


def create_pool(d: Draft, caller: int, pool: int, q: PoolParams) -> None:
    """Creates a pool, 1 … 65535, without markets, collateral or share token."""
    d.begin()
    _owner(d, caller)
    require(pool != 0 and q.settlement_token != 0, "ZeroAddress")
    require(pool not in d.pools, "PoolExists", pool)
    decimals = _decimals(d, q.settlement_token)
    require(2 <= decimals <= 18, "TokenDecimals", q.settlement_token, decimals)
    _check_gas_asset(d, q)
    d.put("pool_terms", pool, pool_terms(q, blank_terms(q.settlement_token, decimals)))
    d.put("pools", pool, Pool(debt_time=d.time))
    commit(d)


def set_pool(d: Draft, caller: int, pool: int, q: PoolParams) -> None:
    """Changes the parameters of a pool; interest until now is at the old ones."""
    d.begin()
    _owner(d, caller)
    p = load_pool(d, pool)
    save_pool(d, p)
    require(q.settlement_token == p.terms.token, "UnknownToken", pool, q.settlement_token)
    _check_gas_asset(d, q)
    d.put("pool_terms", pool, pool_terms(q, p.terms))
    _check_pool(d, pool)
    commit(d)


def _check_gas_asset(d: Draft, q: PoolParams) -> None:
    """Every liquidation may ask for the price of gas: an asset that the hub does not know would block it."""
    check_pool(q)
    if q.gas_asset:
        peek(d, q.gas_asset)


def set_share_token(d: Draft, caller: int, pool: int, token: int) -> None:
    """Registers the LP token of a pool, once."""
    d.begin()
    _owner(d, caller)
    require(token != 0, "ZeroAddress")
    terms = _terms(d, pool)
    present = terms.liquidity.share_token
    require(present == ZERO_ADDRESS, "ShareTokenSet", int(present, 16))
    liquidity = dataclasses.replace(terms.liquidity, share_token=checksum(token))
    d.put("pool_terms", pool, dataclasses.replace(terms, liquidity=liquidity))
    commit(d)


# ── markets ──────────────────────────────────────────────────────────────────


def list_market(d: Draft, caller: int, pool: int, q: MarketParams, expected_price: int, tolerance_ppm: int) -> int:
    """Lists a market, whose price must be valid and near the expected one; gives its number."""
    d.begin()
    _owner(d, caller)
    terms = _terms(d, pool)
    count = terms.settlement.market_count
    require(count < MAX_MARKETS, "TooMany", count + 1, MAX_MARKETS)
    market = market_id(pool, count)
    price = observe_for(d, Action.STRIKE, q.asset)[0].price
    gap = checked(abs(price - expected_price) * PPM)
    near = gap <= checked(expected_price * tolerance_ppm)
    require(near, "PriceSanity", price, expected_price, tolerance_ppm)
    settlement = dataclasses.replace(terms.settlement, market_count=count + 1)
    d.put("pool_terms", pool, dataclasses.replace(terms, settlement=settlement))
    d.put("markets", market, Market(time=d.time, price=price))
    d.put("market_terms", market, market_terms(q, LISTED))
    _check_pool(d, pool)
    commit(d)
    return market


def set_market(d: Draft, caller: int, market: int, q: MarketParams) -> None:
    """Changes the parameters of a market after accruing it at the old ones.

    A new K changes the premium outstanding: insurance pays what it grows, as far as it can, and gets what it shrinks.
    """
    d.begin()
    _owner(d, caller)
    p = load_pool(d, market >> 8)
    m = load_market(d, market)
    reprice(d, p, m)
    require(q.asset == m.terms.margin.asset, "UnknownMarket", market)
    before = m.premium
    m.terms = market_terms(q, m.terms.margin.flags)
    d.put("market_terms", market, m.terms)
    m.rate = max(min(m.rate, q.r_max), -q.r_max)
    _move_insurance(p, mark(p, m) - before)
    save_market(d, m)
    save_pool(d, p)
    _check_pool(d, p.id)
    commit(d)


def _move_insurance(p: PoolBook, change: int) -> None:
    """Settles a change of premium between V and insurance: NAV does not move while insurance lasts."""
    moved = min(change, p.insurance)
    p.insurance -= moved
    p.cash += moved


# ── collateral ───────────────────────────────────────────────────────────────


def list_collateral(d: Draft, caller: int, pool: int, q: CollateralParams) -> None:
    """Lists a collateral token, whose price must be valid."""
    d.begin()
    _owner(d, caller)
    terms = _terms(d, pool)
    count = terms.settlement.collateral_count
    tokens = [d.collaterals[pool, index].token for index in range(count)]
    require(q.token != terms.token and q.token not in tokens, "TokenListed", q.token)
    require(count < MAX_COLLATERALS, "TooMany", count + 1, MAX_COLLATERALS)
    observe_for(d, Action.STRIKE, q.asset)
    settlement = dataclasses.replace(terms.settlement, collateral_count=count + 1)
    d.put("pool_terms", pool, dataclasses.replace(terms, settlement=settlement))
    _write_collateral(d, pool, count, q)
    commit(d)


def set_collateral(d: Draft, caller: int, pool: int, q: CollateralParams) -> None:
    """Changes weights and cap of a collateral token."""
    d.begin()
    _owner(d, caller)
    index = collateral_index(d, pool, q.token)
    require(q.asset == d.collaterals[pool, index].terms.asset, "UnknownToken", pool, q.token)
    _write_collateral(d, pool, index, q)
    commit(d)


def _write_collateral(d: Draft, pool: int, index: int, q: CollateralParams) -> None:
    check_collateral(q, d.pool_terms[pool].liquidation.discount_max_ppm)
    d.put("collaterals", (pool, index), collateral_terms(q, _decimals(d, q.token)))


# ── guardian: only less risk ─────────────────────────────────────────────────


def set_pause(d: Draft, caller: int, pool: int, flags: int) -> None:
    """Sets the `Pause` flags of a pool; the guardian may only add some."""
    d.begin()
    _guardian(d, caller)
    terms = _terms(d, pool)
    require(flags <= Pause.ALL, "TooMany", flags, int(Pause.ALL))
    present = terms.risk.pause_flags
    require(caller == d.owner or flags & present == present, "GuardianMayOnlyReduce")
    d.put("pool_terms", pool, dataclasses.replace(terms, risk=dataclasses.replace(terms.risk, pause_flags=flags)))
    commit(d)


def set_reduce_only(d: Draft, caller: int, market: int, reduce_only: bool) -> None:
    """Makes a market reduce-only; only the owner may undo it."""
    d.begin()
    _guardian(d, caller)
    require(caller == d.owner or reduce_only, "GuardianMayOnlyReduce")
    flags = _listed(d, market).margin.flags
    _set_flags(d, market, flags | REDUCE_ONLY if reduce_only else flags & ~REDUCE_ONLY)
    commit(d)


def _set_flags(d: Draft, market: int, flags: int) -> None:
    terms = _listed(d, market)
    margin = dataclasses.replace(terms.margin, flags=int(flags))
    d.put("market_terms", market, dataclasses.replace(terms, margin=margin))


def lower_caps(d: Draft, caller: int, market: int, oi_cap: int, skew_cap: int) -> None:
    """Lowers the caps of a market, units."""
    d.begin()
    _guardian(d, caller)
    terms = _listed(d, market)
    lower = oi_cap <= terms.limits.oi_cap and skew_cap <= terms.limits.skew_cap
    require(lower, "GuardianMayOnlyReduce")
    require(skew_cap <= oi_cap, "SkewCapAboveOiCap", skew_cap, oi_cap)
    limits = dataclasses.replace(terms.limits, oi_cap=kept_amount(oi_cap), skew_cap=kept_amount(skew_cap))
    d.put("market_terms", market, dataclasses.replace(terms, limits=limits))
    commit(d)


# ── settlement of a market whose feed is dead ────────────────────────────────


def settle_market(d: Draft, caller: int, market: int, price: int) -> None:
    """Fixes the price of a market whose feed has been invalid for a day, near its moving average; funding ends."""
    d.begin()
    _owner(d, caller)
    p = load_pool(d, market >> 8)
    m = load_market(d, market)
    require(not m.settled, "MarketSettled", market)
    dead = invalid_for(d, m.terms.margin.asset)
    require(dead >= SETTLE_AFTER, "FeedNotDead", dead, SETTLE_AFTER)
    ema = reprice(d, p, m)[1].ema
    gap = checked(abs(price - ema) * PPM)
    require(gap <= ema * SETTLE_BAND_PPM, "SettlementPriceBand", price, ema, SETTLE_BAND_PPM)
    _set_flags(d, market, m.terms.margin.flags | SETTLED | REDUCE_ONLY)
    m.price = price
    mark(p, m)
    save_market(d, m)
    save_pool(d, p)
    commit(d)


# ── fees and roles ───────────────────────────────────────────────────────────


def sweep_fees(d: Draft, caller: int, pool: int, to: int) -> None:
    """Turns the protocol fees of a pool into a claim of `to`."""
    d.begin()
    _owner(d, caller)
    require(to != 0, "ZeroAddress")
    p = load_pool(d, pool)
    amount = p.fees
    require(amount != 0, "ZeroAmount")
    p.fees = 0
    add_claim(d, pool, p.terms.token, to, amount)
    save_pool(d, p)
    commit(d)


def offer_ownership(d: Draft, caller: int, to: int) -> None:
    """Offers ownership; it moves when `to` takes it. Zero withdraws the offer."""
    d.begin()
    _owner(d, caller)
    d.pending_owner = to


def take_ownership(d: Draft, caller: int) -> None:
    """Takes ownership that was offered."""
    d.begin()
    require(caller == d.pending_owner, "NotOwner", caller)
    d.owner, d.pending_owner = caller, 0


def set_guardian(d: Draft, caller: int, guardian: int) -> None:
    """Names the guardian; zero for none."""
    d.begin()
    _owner(d, caller)
    d.guardian = guardian
