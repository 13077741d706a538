"""Bad debt, deleveraging, and the grace after an outage."""

from __future__ import annotations

from collections.abc import Iterator

from plimsoll.fuzz.invariants.closing import CLOSED
from plimsoll.fuzz.invariants.registry import Transition, after_each
from plimsoll.fuzz.invariants.sums import event_of, profit_since, side_of
from plimsoll.model import pricing, side
from plimsoll.model.engine.books import load_market, load_pool
from plimsoll.model.engine.draft import Draft
from plimsoll.model.engine.health import below, better, health_of
from plimsoll.model.engine.liquidation import LiquidationResult
from plimsoll.model.engine.state import Market, State, market_id, pool_of
from plimsoll.units import PPM, UNIT

__all__ = ["deleveraged"]

# ── the waterfall ────────────────────────────────────────────────────────────


@after_each("INV-24")
def _layers_in_order(t: Transition) -> Iterator[str]:
    """Bad debt takes a layer only when the one above is used up, and nothing from accounts without positions."""
    if not t.done or t.name not in ("liquidate", "buy_collateral", "deleverage", "close_settled"):
        return
    for pool, left in t.after.junior.items():
        if left < t.before.junior.get(pool, 0) and len(_accounts_of(t)) == 1 and t.after.pools[pool].insurance:
            yield f"pool {pool}: junior capital paid while insurance had {t.after.pools[pool].insurance}"
    named = set(_accounts_of(t))
    for account, a in t.after.accounts.items():
        old = t.before.accounts.get(account)
        if old is not a and old is not None and account not in named and a.raw_cash < old.raw_cash:
            yield f"{t.name} took {old.raw_cash - a.raw_cash} from {account:#x}"


def _accounts_of(t: Transition) -> tuple[int, ...]:
    args = t.step.action.args
    if t.name == "liquidate":
        return tuple(args[0])
    if t.name == "close_settled":
        return tuple(args[1])
    return (int(args[0]),) if t.name == "buy_collateral" else ()


@after_each("INV-24")
def _winners_pay_before_their_share_is_fixed(t: Transition) -> Iterator[str]:
    """After a deleveraging a pool lacks only what no side of its markets is ahead by."""
    if t.name != "deleverage" or not t.done:
        return
    d = Draft(t.after)
    p = load_pool(d, int(t.step.action.args[0]) >> 8)
    if p.nav >= 0:
        return
    for index in range(p.terms.settlement.market_count):
        m = load_market(d, market_id(p.id, index))
        for one in (m.long, m.short):
            if m.side_profit(one) > 0:
                yield f"NAV is {p.nav} while a side of {m.id:#x} is ahead by {m.side_profit(one)}"


# ── deleveraging ─────────────────────────────────────────────────────────────


@after_each("INV-25")
def _as_a_loop_would(t: Transition) -> Iterator[str]:
    """What deleveraging did to a side in one step equals a loop over its positions; the other side is untouched."""
    if t.name != "deleverage" or not t.done or t.before.events is t.after.events:
        return
    yield from deleveraged(t, int(t.step.action.args[0]))


def deleveraged(t: Transition, market: int) -> Iterator[str]:
    """Compares every position of the market before and after, at the price and index of the call."""
    before, after = t.before.markets[market], t.after.markets[market]
    grown = [long for long in (True, False) if side_of(after, long).events != side_of(before, long).events]
    if len(grown) != 1 or side_of(after, grown[0]).events != side_of(before, grown[0]).events + 1:
        return
    long = grown[0]
    if _skew(t.before, market, before) * (1 if long else -1) <= 0:
        yield f"market {market:#x}: the side that has not the skew was deleveraged"
    old = event_of(t.before, market, long, side_of(before, long).events)
    new = event_of(t.after, market, long, side_of(after, long).events)
    closed = new.epoch != old.epoch
    scale = 0 if closed else new.scale
    if not closed and new.scale > old.scale:
        yield f"market {market:#x}: deleveraging made a side larger: {old.scale} to {new.scale}"
    gains: list[tuple[int, int]] = []
    for (account, index), position in t.before.positions.items():
        if market_id(pool_of(account), index) != market:
            continue
        if event_of(t.before, market, position.shares > 0, position.last_event).epoch != _epoch(
            t.before, market, position.shares > 0
        ):
            continue
        was = profit_since(
            t.before, market, position.shares, position.entry, position.last_event, after.price, after.index
        )
        now = profit_since(
            t.after, market, position.shares, position.entry, position.last_event, after.price, after.index
        )
        if (position.shares > 0) != long:
            if was != now:
                yield f"market {market:#x}: {account:#x} on the other side went from {was} to {now}"
            continue
        shares = abs(position.shares)
        loop = side.size_of(shares, old.scale) * scale // old.scale
        if abs((0 if closed else side.size_of(shares, new.scale)) - loop) > 1:
            yield f"market {market:#x}: {account:#x} has not the size {loop} of a loop"
        gains.append((shares, now - was))
    if t.after.positions is not t.before.positions:
        yield f"market {market:#x}: deleveraging wrote to positions"
    yield from _freed(t, market, gains, closed=closed)


def _freed(t: Transition, market: int, gains: list[tuple[int, int]], *, closed: bool) -> Iterator[str]:
    """The side gets the premium that its shrinking sets free, less what the pool lacks, and each position its part."""
    price, scale = t.after.markets[market].price, t.after.market_terms[market].trade.skew_scale
    old, new = (_skew(s, market, s.markets[market]) for s in (t.before, t.after))
    released = pricing.premium(price, old, scale) - pricing.premium(price, new, scale)
    if not closed:
        released = max(released, 0)
    total = sum(shares for shares, _ in gains)
    # Each floors its profit before and after, and the value per share moves in units of 1e-24, rounded down.
    slack = 2 * len(gains) + 2 + 2 * total // UNIT
    freed = sum(gain for _, gain in gains)
    nav = load_pool(Draft(t.after), market >> 8).nav
    if nav < 0:
        released = min(released, 0)
    elif nav <= slack and 0 <= freed < released:
        # The pool kept what it lacked before.
        released = freed
    if abs(freed - released) > slack:
        yield f"market {market:#x}: {released} of premium were set free, positions gained {freed}"
    for shares, gain in gains:
        if total and abs(gain - released * shares // total) > slack:
            yield f"market {market:#x}: a position of {shares} gained {gain} of {released}, not its part"


def _epoch(s: State, market: int, long: bool) -> int:
    return event_of(s, market, long, side_of(s.markets[market], long).events).epoch


def _skew(s: State, market: int, m: Market) -> int:
    total = 0
    for long in (True, False):
        one = side_of(m, long)
        size = side.size_of(one.shares, event_of(s, market, long, one.events).scale)
        total += size if long else -size
    return total


# ── grace ────────────────────────────────────────────────────────────────────


@after_each("INV-28")
def _grace(t: Transition) -> Iterator[str]:
    """While the sequencer is down, or was until a moment ago: no liquidation of accounts that are not far below the
    line, and no position grows."""
    feed, now = t.before.sequencer, t.after.time
    if not t.done or not feed.feed or t.name not in ("liquidate", "execute_orders"):
        return
    answered = feed.answers and 0 < feed.since <= now
    if answered and not feed.down and now - feed.since >= feed.grace:
        return
    if t.name == "execute_orders":
        for key, position in t.after.positions.items():
            old = t.before.positions.get(key)
            shares = old.shares if old else 0
            grew = abs(position.shares) > abs(shares) or (position.shares > 0) != (shares > 0)
            if old is not position and grew and t.before.events is t.after.events:
                yield f"position {key} grew from {shares} to {position.shares} during grace"
        return
    if not t.step.action.args[0]:
        return
    account, result = t.step.action.args[0][0], t.result.value[0]
    if result not in CLOSED or account not in t.before.accounts:
        return
    d = Draft(t.before)
    d.time, d.base_fee = now, t.after.base_fee
    d.begin()
    p = load_pool(d, pool_of(account))
    a = d.accounts[account]
    h = better(d, account, a, p, health_of(d, account, a, p))
    line = h.required * p.terms.liquidation.grace_health_ppm
    if below(h) and h.grace and h.equity * PPM >= line:
        yield f"account {account:#x} ({h.equity} of {h.required}) was {LiquidationResult(result).name} during grace"
