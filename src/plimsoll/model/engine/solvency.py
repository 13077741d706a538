"""Whole pools: deleveraging and socialisation in O(1) per side, settled markets, claims, and the money of liquidity
epochs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from plimsoll.model import pricing, side
from plimsoll.model.config_words import Pause
from plimsoll.model.engine import tokens
from plimsoll.model.engine.books import (
    MarketBook,
    PoolBook,
    SideBook,
    commit,
    load_market,
    load_pool,
    mark,
    reprice,
    save_market,
    save_pool,
    unsound,
)
from plimsoll.model.engine.draft import Draft, check_int, check_uint, require, to_int
from plimsoll.model.engine.ledger import (
    MAX_256,
    add_cash,
    add_claim,
    get_account,
    get_position,
    pay,
    profit_of,
    put_in,
    set_held,
    size_of,
    store_account,
    store_position,
    take_out,
    with_market,
)
from plimsoll.model.engine.prices import observe_for
from plimsoll.model.engine.state import Event, market_id, pool_of
from plimsoll.model.oracle import Action
from plimsoll.units import ONE, PPM, UNIT, div_ceil, div_up, mul_div_up

__all__ = [
    "StrikeState",
    "claim",
    "close_settled",
    "deleverage",
    "fund_insurance",
    "lp_claim",
    "lp_deposit",
    "lp_settle",
    "lp_strike",
    "pool_nav",
    "protect",
    "socialise",
]

LEAST_SCALE = ONE // 10**6
"""A side whose A would fall below this closes its epoch instead."""


@dataclass(frozen=True, slots=True)
class StrikeState:
    """What an epoch is struck at, WAD: NAV for those who come and for those who leave, the most that may leave,
    fees."""

    nav_entry: int
    nav_exit: int
    payable: int
    fees: int


# ── deleveraging and socialisation ───────────────────────────────────────────


def protect(d: Draft, p: PoolBook, m: MarketBook) -> None:
    """Before profit of a market (priced and marked) is credited: socialises what the pool lacks, then deleverages the
    market if triggered."""
    save_market(d, m)
    save_pool(d, p)
    save_market(d, _secure(d, p, m.id))
    save_pool(d, p)


def deleverage(d: Draft, market: int) -> None:
    """Deleverages the winning side of a market when its net open loss exceeds adlTrigger·NAV."""
    d.begin()
    p = load_pool(d, market >> 8)
    _revalue(d, p)
    socialise(d, p)
    m = load_market(d, market)
    total = m.open_profit(m.long) + m.open_profit(m.short)
    threshold = max(p.nav, 0) * p.terms.risk.adl_trigger_ppm // PPM
    require(total > threshold and _deleverage(d, p, m), "NothingToDeleverage", market, total, threshold)
    save_market(d, m)
    save_pool(d, p)
    commit(d)


def _revalue(d: Draft, p: PoolBook) -> None:
    """Values every market of the pool at the latest price; an invalid one counts at its last valid value."""
    for index in range(p.terms.settlement.market_count):
        m = load_market(d, market_id(p.id, index))
        reprice(d, p, m)
        save_market(d, m)


def _secure(d: Draft, p: PoolBook, market: int) -> MarketBook:
    """Socialises a negative NAV, then deleverages a market whose profit may still not be credited. In this order: what
    a closing epoch owes its positions is fixed, and no later socialisation reaches it."""
    socialise(d, p)
    m = load_market(d, market)
    if unsound(p, m):
        _deleverage(d, p, m)
    return m


def _deleverage(d: Draft, p: PoolBook, m: MarketBook) -> bool:
    """Shrinks the winning side of the skew by one fraction, so that the net open loss falls to target; whether it
    did."""
    skew = m.skew
    one = m.long if skew > 0 else m.short
    won = m.open_profit(one)
    if skew == 0 or won <= 0:
        return False
    total = m.open_profit(m.long) + m.open_profit(m.short)
    nav = p.nav
    excess = total - max(nav, 0) * p.terms.risk.adl_target_ppm // PPM
    if excess <= 0:
        return False
    fraction = side.deleverage_fraction(excess, won, abs(skew), one.interest, nav <= 0)
    scale = side.scale_after(one.scale, fraction)
    # What the pool lacks it keeps of the premium that is set free.
    deficit = max(-nav, 0)
    if scale < LEAST_SCALE:
        _close_epoch(d, m, one, deficit)
    else:
        _shrink(d, m, one, scale, deficit)
    mark(p, m)
    return True


def _shrink(d: Draft, m: MarketBook, one: SideBook, scale: int, deficit: int) -> None:
    """A' and C' of the next event."""
    value, before = m.value(one, m.price), m.premium
    one.scale = scale
    released = max(before - m.premium - deficit, 0)
    offset = side.offset_after(value, scale, m.price, m.index, released, one.shares, one.long)
    _next_event(d, m, one, scale, offset)


def _close_epoch(d: Draft, m: MarketBook, one: SideBook, deficit: int) -> None:
    """Deleverages a whole side: its positions keep C_end as their value, and the market owes it to them."""
    value, before = m.value(one, m.price), m.premium
    signed, shares = one.signed, one.shares
    one.shares = 0
    later = m.premium
    # Closing more than the skew may turn it over and raise the premium: the side pays that.
    released, raised = max(before - later - deficit, 0), max(later - before, 0)
    gain = side.unit_gain(released, shares) - side.unit_loss(raised, shares)
    end = value + gain if one.long else value - gain
    m.owed += div_ceil(signed * end - one.entry_sum, UNIT)
    d.put("epoch_ends", (m.id, one.long, one.epoch), end)
    one.epoch += 1
    one.entry_sum = one.open_entry_sum = 0
    _next_event(d, m, one, ONE, 0)


def _next_event(d: Draft, m: MarketBook, one: SideBook, scale: int, offset: int) -> None:
    # Until its first event a side's Y is its Z.
    if one.events == 0:
        one.open_entry_sum = one.entry_sum
    one.events += 1
    one.scale, one.offset = scale, offset
    check_uint(scale, 120)
    check_int(offset, 120)
    d.put("events", (m.id, one.long, one.events), Event(scale, offset, one.epoch))


def socialise(d: Draft, p: PoolBook) -> None:
    """Takes a negative NAV from the winning sides of the pool's markets, pro rata to their profit. What they have not
    got stays."""
    if p.nav >= 0:
        return
    _revalue(d, p)
    deficit = -p.nav
    if deficit <= 0:
        return
    books = [load_market(d, market_id(p.id, index)) for index in range(p.terms.settlement.market_count)]
    profits = sum(max(m.side_profit(m.long), 0) + max(m.side_profit(m.short), 0) for m in books)
    if profits == 0:
        return
    taken = min(deficit, profits)
    for m in books:
        changed = _take_from(d, m, m.long, taken, profits)
        changed = _take_from(d, m, m.short, taken, profits) or changed
        if changed:
            mark(p, m)
            save_market(d, m)


def _take_from(d: Draft, m: MarketBook, one: SideBook, taken: int, profits: int) -> bool:
    """C −= d/R: a side pays its part of `taken`."""
    profit = max(m.side_profit(one), 0)
    if profit == 0:
        return False
    loss = side.unit_loss(min(mul_div_up(taken, profit, profits), profit), one.shares)
    _next_event(d, m, one, one.scale, one.offset - loss if one.long else one.offset + loss)
    return True


# ── settled markets, insurance, claims ───────────────────────────────────────


def close_settled(d: Draft, market: int, accounts: Sequence[int]) -> None:
    """Closes positions of a settled market at its final price, and collects those of closed epochs anywhere."""
    d.begin()
    p = load_pool(d, market >> 8)
    m = load_market(d, market)
    index = market & 0xFF
    reprice(d, p, m)
    if unsound(p, m):
        save_market(d, m)
        m = _secure(d, p, market)
    for account in accounts:
        require(pool_of(account) == p.id, "OtherPool", account, p.id)
        position = get_position(d, account, index)
        if position.shares == 0:
            continue
        size = size_of(d, m, position)
        require(m.settled or size == 0, "MarketNotSettled", market)
        profit = profit_of(d, m, position, m.price)
        take_out(d, p, m, position, profit)
        a = with_market(add_cash(get_account(d, account), p, profit), index, False)
        store_position(d, account, index, put_in(m, 0, m.price))
        store_account(d, account, a)
    mark(p, m)
    save_market(d, m)
    save_pool(d, p)
    commit(d)


def fund_insurance(d: Draft, caller: int, pool: int, amount: int) -> None:
    """Pulls settlement asset (native units) from the caller into a pool's insurance."""
    d.begin()
    require(amount != 0, "ZeroAmount")
    p = load_pool(d, pool)
    credit = _credit(p, amount)
    require(p.insurance + credit <= MAX_256, "Panic", 0x11)
    p.insurance += credit
    save_pool(d, p)
    set_held(d, pool, p.terms.token, credit)
    tokens.pull(d, p.terms.token, caller, amount)
    commit(d)


def claim(d: Draft, caller: int, pool: int, token: int, to: int) -> int:
    """Pays the caller's whole claim to `to`; gives the native units."""
    d.begin()
    require(to != 0, "ZeroAddress")
    amount = _pay_claim(d, pool, token, caller, MAX_256)
    tokens.push(d, token, to, amount)
    commit(d)
    return amount


def _credit(p: PoolBook, amount: int) -> int:
    credit = amount * p.terms.settlement.unit
    require(credit <= MAX_256, "Panic", 0x11)
    return credit


def _pay_claim(d: Draft, pool: int, token: int, owner: int, most: int) -> int:
    """Takes up to `most` native units out of a claim; the fraction of a native unit stays."""
    terms = d.pool_terms.get(pool)
    # A pool that does not exist has neither claims nor a settlement asset.
    unit = terms.settlement.unit if terms is not None and token == terms.token else 1
    owed = d.claims.get((pool, token, owner), 0)
    amount: int = min(owed // unit, most)
    require(amount != 0, "NothingToClaim", pool, token, owner)
    paid = amount * unit
    d.put("claims", (pool, token, owner), owed - paid)
    d.put("claim_totals", (pool, token), d.claim_totals[pool, token] - paid)
    set_held(d, pool, token, -paid)
    return amount


# ── liquidity epochs, for the pool's share token ─────────────────────────────


def pool_nav(d: Draft, pool: int) -> int:
    """NAV at the loss of each market's last priced call, interest accrued."""
    return load_pool(d, pool).nav


def lp_deposit(d: Draft, pool: int, source: int, amount: int) -> None:
    """Pulls a deposit request (native units) into the pool's escrow."""
    require(amount != 0, "ZeroAmount")
    terms = d.pool_terms[pool]
    require(not terms.risk.pause_flags & Pause.LP_DEPOSIT, "LpDepositPaused", pool)
    credit = amount * terms.settlement.unit
    require(credit <= MAX_256, "Panic", 0x11)
    _set_escrow(d, pool, d.lp_escrow.get(pool, 0) + credit)
    set_held(d, pool, terms.token, credit)
    tokens.pull(d, terms.token, source, amount)
    commit(d)


def lp_strike(d: Draft, pool: int) -> StrikeState:
    """Revalues all markets and gives what the epoch is struck at; refused while a price is, or bad debt is on sale."""
    require(d.open_sales.get(pool, 0) == 0, "BadDebtOnSale", pool)
    p = load_pool(d, pool)
    _revalue(d, p)
    save_pool(d, p)
    nav = p.nav
    config = p.terms.liquidity
    interest_value, needed, collectable = 0, 0, nav
    for index in range(p.terms.settlement.market_count):
        m = load_market(d, market_id(pool, index))
        _require_strike_price(d, m, config.lp_gap_ppm)
        collectable -= _uncollectable(m, m.long) + _uncollectable(m, m.short)
        interest_value += pricing.notional_up(m.long.interest + m.short.interest, m.price)
        needed = max(needed, _nav_needed(p, m))
    reserve = div_up(interest_value * config.reserve_factor_ppm, PPM)
    liquid = max(p.cash - p.total_debt, 0)
    payable = min(max(liquid - reserve, 0), max(max(nav, 0) - needed, 0))
    commit(d)
    return StrikeState(nav, collectable, payable, p.fees)


def lp_settle(d: Draft, pool: int, deposited: int, refunded: int, redeemed: int, reward: int, keeper: int) -> None:
    """Settles an epoch, WAD: `deposited` goes from escrow to V, `refunded` from escrow and `redeemed` from V to a
    claim of the share token, `reward` from protocol fees to the keeper."""
    p = load_pool(d, pool)
    left = d.lp_escrow.get(pool, 0) - deposited - refunded
    require(left >= 0, "Panic", 0x11)
    _set_escrow(d, pool, left)
    p.cash += to_int(deposited) - to_int(redeemed)
    require(p.fees >= reward, "Panic", 0x11)
    p.fees -= reward
    if refunded + redeemed:
        add_claim(d, pool, p.terms.token, d.lps[pool].address, refunded + redeemed)
    pay(d, p, keeper, reward)
    save_pool(d, p)
    commit(d)


def lp_claim(d: Draft, pool: int, to: int, amount: int) -> None:
    """Pays native units out of the share token's claim."""
    require(to != 0, "ZeroAddress")
    token = d.pool_terms[pool].token
    paid = _pay_claim(d, pool, token, d.lps[pool].address, amount)
    require(paid == amount, "InsufficientBalance", paid, amount)
    tokens.push(d, token, to, amount)


def _set_escrow(d: Draft, pool: int, amount: int) -> None:
    d.put("lp_escrow", pool, check_uint(amount, 128))


def _require_strike_price(d: Draft, m: MarketBook, gap_ppm: int) -> None:
    """Every price must be fit to strike at, and near its EMA."""
    if m.settled:
        return
    asset = m.terms.margin.asset
    spot, trend = observe_for(d, Action.STRIKE, asset)
    near = abs(spot.price - trend.ema) * PPM <= trend.ema * gap_ppm
    require(near, "LpGap", asset, spot.price, trend.ema)


def _uncollectable(m: MarketBook, one: SideBook) -> int:
    """The pool's unrealised gain on a side beyond imBase·OI·P: losses beyond margin are not collectable."""
    gain = max(-m.side_profit(one), 0)
    held = pricing.notional_down(one.interest, m.price) * m.terms.margin.im_base_ppm // PPM
    return max(gain - held, 0)


def _nav_needed(p: PoolBook, m: MarketBook) -> int:
    """NAV that must stay for one market: its deleveraging metric at most at target, and oiCap·P ≤ m·NAV."""
    total = max(m.open_profit(m.long) + m.open_profit(m.short), 0)
    for_target = mul_div_up(total, PPM, p.terms.risk.adl_target_ppm)
    cap_value = pricing.notional_up(m.terms.limits.oi_cap, m.price)
    return max(for_target, mul_div_up(cap_value, PPM, m.terms.limits.nav_multiple_ppm))
