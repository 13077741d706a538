"""What owners, keepers, guardians and thieves may do."""

from __future__ import annotations

from collections.abc import Iterator

from plimsoll.fuzz.invariants.registry import Transition, after_each
from plimsoll.fuzz.invariants.sums import event_of, profit_since, side_of
from plimsoll.model import interest, margin, side
from plimsoll.model.config_words import Pause
from plimsoll.model.engine.books import load_market
from plimsoll.model.engine.draft import Draft
from plimsoll.model.engine.ledger import size_of
from plimsoll.model.engine.state import State, market_id, owner_of, pool_of

__all__ = ["initial_margin_of"]

# ── what owners, keepers and thieves may do ──────────────────────────────────


@after_each("INV-09")
def _margin_after_taking_out(t: Transition) -> Iterator[str]:
    """After a call that takes value out of an account, or commits it to an order, equity^I ≥ IM at the prices used."""
    if not t.done or t.name not in ("withdraw", "transfer", "place_order"):
        return
    if t.name == "place_order" and t.step.action.args[6]:
        return
    account = int(t.step.action.args[0])
    equity, required = initial_margin_of(t.after, account)
    if equity < required:
        yield f"account {account:#x} ended with equity^I {equity} below IM {required}"


def initial_margin_of(s: State, account: int) -> tuple[int, int]:
    """equity^I (no weight on profit) and IM at the last observed prices, from the definitions of design section 4."""
    pool, a = pool_of(account), s.accounts[account]
    p = s.pools[pool]
    equity = a.raw_cash if a.raw_cash >= 0 else -interest.debt_of(-a.raw_cash, p.borrow_index)
    required, held = 0, False
    d = Draft(s)
    for index in range(32):
        if not a.markets >> index & 1:
            continue
        m = load_market(d, market_id(pool, index))
        position = s.positions[account, index]
        state = s.asset_states[m.terms.margin.asset]
        price = m.price if m.settled else state.price
        size = abs(size_of(d, m, position))
        profit = profit_since(s, m.id, position.shares, position.entry, position.last_event, price, m.index)
        equity += min(profit, 0)
        trade, terms = m.terms.trade, m.terms.margin
        factor = margin.volatility_factor(0 if m.settled else state.variance, trade.sigma_ref, terms.vol_cap)
        ratio = margin.scaled_ratio(margin.ratio(terms.im_base_ppm, terms.im_slope, size), factor)
        required += margin.requirement(size, price, ratio)
        held = held or size != 0
    for index in range(16):
        if a.collaterals >> index & 1:
            one = s.collaterals[pool, index].terms
            state = s.asset_states[one.asset]
            price = min(state.price, state.ema)
            balance = s.collateral[account, index]
            equity += margin.collateral_value(balance, one.decimals, price, one.weight_initial_ppm)
    return equity, required + (s.pool_terms[pool].risk.keeper_floor if held else 0)


ROLES = {
    "set_pool": "owner",
    "set_market": "owner",
    "set_collateral": "owner",
    "settle_market": "owner",
    "sweep_fees": "owner",
    "offer_ownership": "owner",
    "set_guardian": "owner",
    "set_pause": "guardian",
    "set_reduce_only": "guardian",
    "lower_caps": "guardian",
}


@after_each("INV-32")
def _roles(t: Transition) -> Iterator[str]:
    """Nobody without the role changes a parameter; nobody takes out of another's account."""
    if not t.done:
        return
    caller, role = t.step.action.caller, ROLES.get(t.name)
    allowed = {t.before.owner} | ({t.before.guardian} if role == "guardian" else set())
    if role is not None and caller not in allowed:
        yield f"{caller:#x} did {t.name} without being {role}"
    if t.name in ("withdraw", "transfer", "place_order") and owner_of(int(t.step.action.args[0])) != caller:
        yield f"{caller:#x} did {t.name} on another's account"


@after_each("INV-33")
def _guardian_reduces(t: Transition) -> Iterator[str]:
    """What the guardian does only reduces risk."""
    if not t.done or t.step.action.caller != t.before.guardian or t.before.guardian == t.before.owner:
        return
    for market, terms in t.after.market_terms.items():
        old = t.before.market_terms[market]
        if old is terms:
            continue
        if terms.limits.oi_cap > old.limits.oi_cap or terms.limits.skew_cap > old.limits.skew_cap:
            yield f"the guardian raised a cap of market {market:#x}"
        if old.margin.flags & ~terms.margin.flags:
            yield f"the guardian lifted a flag of market {market:#x}"
    for pool, one in t.after.pool_terms.items():
        if t.before.pool_terms[pool].risk.pause_flags & ~one.risk.pause_flags:
            yield f"the guardian lifted a pause of pool {pool}"


@after_each("INV-36")
def _pauses(t: Transition) -> Iterator[str]:
    """A pause stops what it names."""
    if not t.done:
        return
    if t.name == "place_order" and not t.step.action.args[6]:
        pool = pool_of(int(t.step.action.args[0]))
        if t.before.pool_terms[pool].risk.pause_flags & Pause.INCREASE:
            yield f"an order was placed while increases of pool {pool} are paused"
    if t.name == "request_deposit":
        pool = int(t.step.action.args[0])
        if t.before.pool_terms[pool].risk.pause_flags & Pause.LP_DEPOSIT:
            yield f"a deposit was requested while those of pool {pool} are paused"
    if t.name in ("withdraw", "transfer"):
        account = int(t.step.action.args[0])
        a = t.after.accounts[account]
        paused = t.before.pool_terms[pool_of(account)].risk.pause_flags & Pause.BORROW
        if paused and a.raw_cash < 0 and a.raw_cash < t.before.accounts[account].raw_cash:
            yield f"account {account:#x} borrowed while borrowing is paused"


@after_each("INV-29")
def _order_lifecycle(t: Transition) -> Iterator[str]:
    """Ids of orders only grow, and one that is no longer pending never comes back."""
    if t.before.queues is t.after.queues:
        return
    for key, queue in t.after.queues.items():
        old = t.before.queues.get(key)
        if old is queue:
            continue
        ids = [order.id for order, _ in queue.orders]
        known = {order.id for order, _ in old.orders} if old else set()
        last = old.last_id if old else 0
        if ids != sorted(set(ids)) or queue.last_id < last:
            yield f"queue {key}: ids {ids}, last {queue.last_id} after {last}"
        if any(one not in known and one <= last for one in ids):
            yield f"queue {key}: an order came back: {ids}, before {sorted(known)}"


@after_each("INV-37")
def _bounded(t: Transition) -> Iterator[str]:
    """Nobody's lists grow beyond their limits, nor by another's hand."""
    for account, a in t.after.accounts.items():
        old = t.before.accounts.get(account)
        if old is a:
            continue
        if a.markets >= 1 << 32 or a.collaterals >= 1 << 16 or a.pending_orders > 8:
            yield f"account {account:#x} has too much: {a}"
        added = a.collaterals & ~(old.collaterals if old else 0)
        if added and owner_of(account) != t.step.action.caller:
            yield f"account {account:#x} got a new kind of collateral from {t.step.action.caller:#x}"


@after_each("INV-38")
def _caps(t: Transition) -> Iterator[str]:
    """A side that an order made larger is within its cap."""
    if t.name != "execute_orders" or t.before.markets is t.after.markets:
        return
    for market, m in t.after.markets.items():
        for long in (True, False):
            one, old = side_of(m, long), side_of(t.before.markets[market], long)
            if one.shares <= old.shares or one.events != old.events:
                continue
            size = side.size_of(one.shares, event_of(t.after, market, long, one.events).scale)
            cap = t.after.market_terms[market].limits.oi_cap
            if size > cap:
                yield f"market {market:#x}: open interest {size} is beyond its cap {cap}"


NO_PANIC = ("liquidate", "deleverage", "close_settled", "buy_collateral", "claim", "strike", "accrue")


@after_each("INV-39")
def _no_panic(t: Transition) -> Iterator[str]:
    """Calls that must always be possible never panic, nor fail because a number does not fit."""
    refusal = t.result.refusal
    sane = t.name == "withdraw" and t.step.action.args[2] < 1 << 90
    if refusal is None or not (sane or t.name in NO_PANIC):
        return
    if refusal.name in ("Panic", "IntOutOfRange", "UintTooLarge"):
        yield f"{t.name} failed with {refusal}"


@after_each("INV-26")
def _insurance_falls_only_in_need(t: Transition) -> Iterator[str]:
    """Insurance falls only where bad debt, a keeper's allowance, or a change of K can take it."""
    if t.name in ("liquidate", "buy_collateral", "set_market", "multicall"):
        return
    for pool, p in t.after.pools.items():
        old = t.before.pools[pool]
        if p.insurance < old.insurance:
            yield f"insurance of pool {pool} fell by {old.insurance - p.insurance} in {t.name}"
