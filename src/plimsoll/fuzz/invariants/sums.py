"""Identities of the ledger, and of the sums that markets keep."""

from __future__ import annotations

from collections.abc import Iterator

from plimsoll.fuzz.invariants.registry import Transition, after_each
from plimsoll.model import interest, pricing, side
from plimsoll.model.engine.state import Event, Market, Side, State, market_id, pool_of
from plimsoll.units import ONE

__all__ = ["event_of", "ledger_identities", "market_loss", "profit_since", "side_of"]

# ── the ledger adds up ───────────────────────────────────────────────────────


@after_each("INV-01", "INV-02")
def _ledger_adds_up(t: Transition) -> Iterator[str]:
    """Per pool, `held` is the sum of its terms exactly; per token, the balance covers what pools hold."""
    if t.before.accounts is t.after.accounts and t.before.pools is t.after.pools and t.before.held is t.after.held:
        return
    yield from ledger_identities(t.after)


def ledger_identities(s: State) -> Iterator[str]:
    """The identities of design section 2 for every pool of a state."""
    positive = dict.fromkeys(s.pools, 0)
    scaled = dict.fromkeys(s.pools, 0)
    for account, a in s.accounts.items():
        if a.raw_cash >= 0:
            positive[pool_of(account)] += a.raw_cash
        else:
            scaled[pool_of(account)] -= a.raw_cash
    for pool, p in s.pools.items():
        token = s.pool_terms[pool].token
        if scaled[pool] != p.scaled_debt:
            yield f"pool {pool}: scaled debt {p.scaled_debt}, accounts have {scaled[pool]}"
        terms = positive[pool] - interest.total_debt(p.scaled_debt, p.borrow_index) + p.cash + p.insurance + p.fees
        terms += p.escrow + s.junior.get(pool, 0) + s.lp_escrow.get(pool, 0) + s.claim_totals.get((pool, token), 0)
        if terms != s.held.get((pool, token), 0):
            yield f"pool {pool}: held {s.held.get((pool, token), 0)}, its terms add up to {terms}"
        if p.insurance < 0 or p.fees < 0 or p.escrow < 0:
            yield f"pool {pool}: a bucket is below zero: {p}"
    yield from _collateral_adds_up(s)
    for token, slack in _slack(s).items():
        if slack < 0:
            yield f"token {token:#x}: the Clearinghouse lacks {-slack} of what pools hold"


def _collateral_adds_up(s: State) -> Iterator[str]:
    owned: dict[tuple[int, int], int] = {}
    for (account, index), balance in s.collateral.items():
        key = pool_of(account), index
        owned[key] = owned.get(key, 0) + balance
    for (pool, index), one in s.collaterals.items():
        total = owned.get((pool, index), 0) + s.claim_totals.get((pool, one.token), 0)
        if total != s.held.get((pool, one.token), 0):
            yield f"pool {pool}: holds {s.held.get((pool, one.token), 0)} of {one.token:#x}, owned are {total}"


def _slack(s: State) -> dict[int, int]:
    """By token: what the Clearinghouse has beyond what pools hold, in the unit of `held` (WAD for settlement
    assets)."""
    found = {}
    settlement = {s.pool_terms[pool].token: s.pool_terms[pool].settlement.unit for pool in s.pools}
    for token in s.tokens:
        unit = settlement.get(token, 1)
        held = 0
        for (pool, other), amount in s.held.items():
            if other == token:
                held += amount if s.pool_terms[pool].token == token else amount * unit
        found[token] = s.balances.get((token, s.clearinghouse), 0) * unit - held
    return found


@after_each("INV-08")
def _nothing_appears(t: Transition) -> Iterator[str]:
    """What is in no pool's books only grows by gifts: every token that moves is booked, to the wei."""
    if t.before.balances is t.after.balances and t.before.held is t.after.held:
        return
    gift = t.name in ("give_token", "mint_token") or t.after.clearinghouse in t.step.action.args
    before, after = _slack(t.before), _slack(t.after)
    for token, slack in after.items():
        change = slack - before[token]
        if change < 0 or (change and not gift):
            yield f"token {token:#x}: {change} more in the Clearinghouse than booked"


# ── markets add up ───────────────────────────────────────────────────────────


@after_each("INV-03", "INV-04")
def _sides_add_up(t: Transition) -> Iterator[str]:
    """R, Z and Y of each side are the sums over positions, exactly; losses are what the pool counts."""
    if t.before.markets is t.after.markets and t.before.positions is t.after.positions:
        return
    s = t.after
    losses = dict.fromkeys(s.pools, 0)
    for market, m in s.markets.items():
        losses[market >> 8] += market_loss(s, market, m)
    for pool, loss in losses.items():
        if loss != s.pools[pool].loss_sum:
            yield f"pool {pool}: counts losses of {s.pools[pool].loss_sum}, its markets have {loss}"
    changed = {key for key, m in s.markets.items() if t.before.markets.get(key) is not m}
    sums = {(market, long): [0, 0, 0] for market in changed for long in (True, False)}
    for (account, index), position in s.positions.items():
        market = market_id(pool_of(account), index)
        if market not in changed:
            continue
        long = position.shares > 0
        one = side_of(s.markets[market], long)
        seen = event_of(s, market, long, position.last_event)
        if seen.epoch != event_of(s, market, long, one.events).epoch:
            continue
        total = sums[market, long]
        total[0] += abs(position.shares)
        total[1] += position.shares * position.entry
        total[2] += position.shares * side.open_entry(position.entry, seen.scale, seen.offset)
    for (market, long), (shares, entries, opened) in sums.items():
        one = side_of(s.markets[market], long)
        if one.shares != shares or one.entry_sum != entries:
            yield f"{side_name(market, long)}: R, Z are {one}, positions have {shares}, {entries}"
        if one.events and one.open_entry_sum != opened:
            yield f"{side_name(market, long)}: Y is {one.open_entry_sum}, positions have {opened}"


def side_name(market: int, long: bool) -> str:
    return f"market {market:#x} {'long' if long else 'short'}"


def market_loss(s: State, market: int, m: Market) -> int:
    """U_long + U_short + Π + owed at the stored price and index."""
    total, skew = m.owed, 0
    for long in (True, False):
        one = side_of(m, long)
        event = event_of(s, market, long, one.events)
        size = side.size_of(one.shares, event.scale)
        skew += size if long else -size
        if one.shares:
            value = side.unit_value(event.scale, event.offset, m.price, m.index, long)
            total += side.side_profit(one.shares if long else -one.shares, value, one.entry_sum)
    return total + pricing.premium(m.price, skew, s.market_terms[market].trade.skew_scale)


def side_of(m: Market, long: bool) -> Side:
    return m.long if long else m.short


def event_of(s: State, market: int, long: bool, number: int) -> Event:
    return s.events[market, long, number] if number else Event(ONE)


@after_each("INV-06", "INV-07")
def _time_and_indices(t: Transition) -> Iterator[str]:
    """Rates stay within their bound, indices and times never fall, and no time lies ahead."""
    for market, m in t.after.markets.items():
        old = t.before.markets.get(market)
        if old is m or old is None:
            continue
        bound = max(t.after.market_terms[market].trade.r_max, t.before.market_terms[market].trade.r_max)
        if abs(m.rate) > bound:
            yield f"market {market:#x}: funding rate {m.rate} is beyond {bound}"
        if not old.time <= m.time <= t.after.time:
            yield f"market {market:#x}: time went from {old.time} to {m.time}"
    for pool, p in t.after.pools.items():
        before = t.before.pools.get(pool)
        if before is not None and before is not p and not before.borrow_index <= p.borrow_index:
            yield f"pool {pool}: borrow index fell from {before.borrow_index} to {p.borrow_index}"


@after_each("INV-27")
def _prices_move_forward(t: Transition) -> Iterator[str]:
    """Observations never go back in time, and a stored price is positive."""
    for asset, state in t.after.asset_states.items():
        old = t.before.asset_states.get(asset)
        if old is not None and old is not state and (state.time < old.time or state.price <= 0):
            yield f"asset {asset}: observation went from {old} to {state}"


def profit_since(s: State, market: int, shares: int, entry: int, last: int, price: int, index: int) -> int:
    long = shares > 0
    now, seen = event_of(s, market, long, side_of(s.markets[market], long).events), event_of(s, market, long, last)
    if now.epoch != seen.epoch:
        return side.profit(shares, s.epoch_ends[market, long, seen.epoch], entry)
    return side.profit(shares, side.unit_value(now.scale, now.offset, price, index, long), entry)
