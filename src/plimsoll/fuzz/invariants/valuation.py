"""What only a valuation of all accounts shows."""

from __future__ import annotations

from collections.abc import Iterator

from plimsoll.fuzz.invariants.registry import Transition, now_and_then
from plimsoll.fuzz.invariants.sums import event_of, market_loss, profit_since, side_of
from plimsoll.model import pricing, side
from plimsoll.model.engine.books import load_pool
from plimsoll.model.engine.draft import Draft
from plimsoll.model.engine.health import below, health_of
from plimsoll.model.engine.state import State, market_id, pool_of

__all__ = ["EXEMPT"]

# ── now and then ─────────────────────────────────────────────────────────────

EXEMPT = (
    "liquidate",
    "deleverage",
    "multicall",
    "set_pool",
    "set_market",
    "set_collateral",
    "settle_market",
    "close_settled",
    "push_round",
    "set_feed_answers",
)


@now_and_then("INV-11")
def _no_third_party_harm(t: Transition) -> Iterator[str]:
    """No call turns another account from healthy to liquidatable."""
    if not t.done or t.name in EXEMPT or t.before.events is not t.after.events:
        return
    touched = {key for key, a in t.after.accounts.items() if t.before.accounts.get(key) is not a}
    before, after = Draft(t.before), Draft(t.after)
    before.time = t.after.time
    for account, a in t.after.accounts.items():
        if account in touched or not (a.markets or a.raw_cash < 0):
            continue
        was = health_of(before, account, a, load_pool(before, pool_of(account)))
        now = health_of(after, account, a, load_pool(after, pool_of(account)))
        if not below(was) and below(now):
            yield f"{t.name} turned {account:#x} from {was.equity}/{was.required} to {now.equity}/{now.required}"


@now_and_then("INV-05", "INV-22")
def _honest_nav(t: Transition) -> Iterator[str]:
    """Σ of what accounts would get is what the pool owes, to a wei for each position: NAV is what closing all
    leaves."""
    s = t.after
    owed = dict.fromkeys(s.markets, 0)
    counts = dict.fromkeys(s.markets, 0)
    for (account, index), position in s.positions.items():
        market = market_id(pool_of(account), index)
        m = s.markets[market]
        owed[market] += profit_since(s, market, position.shares, position.entry, position.last_event, m.price, m.index)
        counts[market] += 1
    for market, total in owed.items():
        m = s.markets[market]
        skew = _skew(s, market)
        premium = pricing.premium(m.price, skew, s.market_terms[market].trade.skew_scale)
        slack = market_loss(s, market, m) - premium - total
        events = m.long.events + m.short.events
        if not -events * (counts[market] + 1) <= slack <= (counts[market] + 2) * (1 + events):
            yield f"market {market:#x}: the pool counts {slack} more than accounts would get"


def _skew(s: State, market: int) -> int:
    m, total = s.markets[market], 0
    for long in (True, False):
        one = side_of(m, long)
        size = side.size_of(one.shares, event_of(s, market, long, one.events).scale)
        total += size if long else -size
    return total
