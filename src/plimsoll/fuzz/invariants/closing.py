"""Liquidation and liquidity: the right accounts, by the right amount, at a fair price."""

from __future__ import annotations

from collections.abc import Iterator

from plimsoll.fuzz.invariants.registry import Transition, after_each
from plimsoll.model.engine import solvency
from plimsoll.model.engine.books import load_market, load_pool
from plimsoll.model.engine.draft import Draft, Refusal
from plimsoll.model.engine.health import Health, below, better, health_of
from plimsoll.model.engine.ledger import cash_of, size_of
from plimsoll.model.engine.liquidation import LiquidationResult
from plimsoll.model.engine.state import market_id, owner_of, pool_of
from plimsoll.units import WAD

__all__ = ["CLOSED"]

# ── liquidation ──────────────────────────────────────────────────────────────

CLOSED = (LiquidationResult.PARTIAL, LiquidationResult.FULL, LiquidationResult.BAD_DEBT, LiquidationResult.SALE_STARTED)


@after_each("INV-12", "INV-13")
def _the_right_accounts(t: Transition) -> Iterator[str]:
    """The first account of a batch was acted on exactly if it was below the line at the prices that count."""
    if t.name != "liquidate" or not t.done or not t.step.action.args[0]:
        return
    account, result = t.step.action.args[0][0], t.result.value[0]
    a = t.before.accounts.get(account)
    if a is None:
        if result is not LiquidationResult.HEALTHY:
            yield f"account {account:#x} does not exist and was {result.name}"
        return
    h = _health(t, account)
    unhealthy = below(h)
    if result in CLOSED and not unhealthy:
        yield f"account {account:#x} was healthy ({h.equity} of {h.required}) and was {result.name}"
    protected = result in (LiquidationResult.COOL_OFF, LiquidationResult.GRACE, LiquidationResult.ON_SALE)
    if unhealthy and result is LiquidationResult.HEALTHY and not _profitable(h):
        yield f"account {account:#x} was below the line ({h.equity} of {h.required}) and was left alone"
    if result is LiquidationResult.PRICE_REFUSED and any(leg.closable or not leg.size for leg in h.legs):
        yield f"account {account:#x} could have been closed and was {result.name}"
    if protected and result is LiquidationResult.COOL_OFF and h.newest > a.last_check:
        yield f"account {account:#x} cooled off although a newer price was there"


def _health(t: Transition, account: int) -> Health:
    """The first account's health right before the batch, at its time."""
    d = Draft(t.before)
    d.time, d.base_fee = t.after.time, t.after.base_fee
    d.begin()
    p = load_pool(d, pool_of(account))
    a = d.accounts[account]
    return better(d, account, a, p, health_of(d, account, a, p))


def _profitable(h: Health) -> bool:
    """Whether protection of the pool may have changed the account's health."""
    return any(leg.profit > 0 for leg in h.legs)


@after_each("INV-14", "INV-15")
def _liquidation_helps(t: Transition) -> Iterator[str]:
    """Sizes only shrink and never flip; no dust stays; without positions nothing is owed that is not on sale."""
    if t.name != "liquidate" or not t.done:
        return
    d = Draft(t.after)
    for account in dict.fromkeys(t.step.action.args[0]):
        a = t.after.accounts.get(account)
        if a is None or a is t.before.accounts.get(account):
            continue
        pool = pool_of(account)
        for (owner, index), position in t.before.positions.items():
            if owner != account:
                continue
            rest = t.after.positions.get((account, index))
            if rest is None:
                continue
            market = market_id(pool, index)
            m = load_market(d, market)
            size = size_of(d, m, rest)
            if (size > 0) != (position.shares > 0) and size:
                yield f"account {account:#x}: its position in {market:#x} flipped"
            if rest is not position and abs(size) * m.price // WAD < t.after.pool_terms[pool].risk.min_notional // 2:
                yield f"account {account:#x}: dust of {size} stays in {market:#x}"
        p = load_pool(d, pool)
        if a.markets == 0 and cash_of(a, p) < 0 and account not in t.after.sales:
            h = health_of(d, account, a, p)
            if h.equity < 0:
                yield f"account {account:#x} owes {-a.raw_cash} (scaled) and nothing is on sale"


@after_each("INV-16")
def _reward_bounded(t: Transition) -> Iterator[str]:
    """A batch pays at most the cap for each account that it acted on, and nothing for the others."""
    if t.name != "liquidate" or not t.done:
        return
    acted: dict[int, int] = {}
    for account, result in zip(t.step.action.args[0], t.result.value, strict=True):
        if result in CLOSED:
            acted[pool_of(account)] = acted.get(pool_of(account), 0) + 1
    keeper = t.step.action.args[1]
    for pool in t.after.pools:
        token = t.after.pool_terms[pool].token
        key = (pool, token, owner_of(keeper))
        paid = t.after.claims.get(key, 0) - t.before.claims.get(key, 0)
        most = acted.get(pool, 0) * t.after.pool_terms[pool].liquidation.reward_max
        if paid > most:
            yield f"pool {pool} paid a keeper {paid}, at most {most} is due"


# ── liquidity ────────────────────────────────────────────────────────────────


@after_each("INV-20", "INV-23")
def _strike_is_fair(t: Transition) -> Iterator[str]:
    """A strike lowers no share's price, and leaves the reserve."""
    if not t.done or t.name not in ("strike", "request_deposit", "request_redeem"):
        return
    pool = int(t.step.action.args[0])
    before, after = t.before.lps[pool], t.after.lps[pool]
    nav_after = t.after.pools[pool].cash - t.after.pools[pool].loss_sum
    d = Draft(t.before)
    d.time = t.after.time
    d.begin()
    if t.name != "strike":
        nav = load_pool(d, pool).nav
        if load_pool(Draft(t.after), pool).nav < nav or before.supply != after.supply:
            yield f"{t.name} moved NAV from {nav} to {nav_after}, supply from {before.supply} to {after.supply}"
        return
    try:
        state = solvency.lp_strike(d, pool)
    except Refusal as refusal:
        yield f"a strike went through although {refusal}"
        return
    if state.nav_entry > 0 and nav_after * before.supply < state.nav_entry * after.supply - after.supply:
        yield f"share price fell: NAV {state.nav_entry} to {nav_after}, supply {before.supply} to {after.supply}"
    paid = state.nav_entry - nav_after
    if paid > 0 and paid > state.payable:
        yield f"a strike paid {paid}, payable were {state.payable}"
