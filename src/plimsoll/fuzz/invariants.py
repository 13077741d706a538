"""The invariants of `docs/invariants.md` that one state, or one action, can show; by id.

They read model states, which equal the chain's word by word. `check` gives one line per violation. Identities are
checked after every action on what it touched; what needs a valuation of all accounts (`deep`) is checked now and then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from plimsoll.fuzz.session import Step
from plimsoll.model import interest, margin, pricing, side
from plimsoll.model.config_words import Pause
from plimsoll.model.engine import solvency
from plimsoll.model.engine.actions import Result
from plimsoll.model.engine.draft import Draft, Refusal
from plimsoll.model.engine.ledger import cash_of, load_market, load_pool, size_of
from plimsoll.model.engine.liquidation import Health, LiquidationResult, below, better, health_of
from plimsoll.model.engine.state import Event, Market, Side, State, market_id, owner_of, pool_of
from plimsoll.units import ONE, WAD

__all__ = ["INVARIANTS", "Transition", "check", "deep", "ledger_identities"]


@dataclass(frozen=True, slots=True)
class Transition:
    """One action: the states before and after it, and what it gave."""

    before: State
    after: State
    step: Step
    result: Result

    @property
    def name(self) -> str:
        """Name of the action."""
        return self.step.action.name

    @property
    def done(self) -> bool:
        """Whether it was not refused."""
        return self.result.refusal is None


Check = Callable[[Transition], Iterator[str]]
INVARIANTS: dict[str, Check] = {}
"""By id: what is checked after every action."""
DEEP: dict[str, Check] = {}
"""By id: what is checked now and then."""


def _after_each(*ids: str) -> Callable[[Check], Check]:
    def register(check_: Check) -> Check:
        for one in ids:
            INVARIANTS[one] = check_
        return check_

    return register


def _now_and_then(*ids: str) -> Callable[[Check], Check]:
    def register(check_: Check) -> Check:
        for one in ids:
            DEEP[one] = check_
        return check_

    return register


def check(t: Transition) -> list[str]:
    """Every violation that the action shows, each with its id."""
    return _run(INVARIANTS, t)


def deep(t: Transition) -> list[str]:
    """Violations that only a valuation of all accounts shows."""
    return _run(DEEP, t)


def _run(checks: Mapping[str, Check], t: Transition) -> list[str]:
    found: list[str] = []
    for run in dict.fromkeys(checks.values()):
        name = ", ".join(one for one, other in checks.items() if other is run)
        found += [f"{name}: {problem}" for problem in run(t)]
    return found


# ── the ledger adds up ───────────────────────────────────────────────────────


@_after_each("INV-01", "INV-02")
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


@_after_each("INV-08")
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


@_after_each("INV-03", "INV-04")
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
        one = _side(s.markets[market], long)
        seen = _event(s, market, long, position.last_event)
        if seen.epoch != _event(s, market, long, one.events).epoch:
            continue
        total = sums[market, long]
        total[0] += abs(position.shares)
        total[1] += position.shares * position.entry
        total[2] += position.shares * side.open_entry(position.entry, seen.scale, seen.offset)
    for (market, long), (shares, entries, opened) in sums.items():
        one = _side(s.markets[market], long)
        if one.shares != shares or one.entry_sum != entries:
            yield f"{_name(market, long)}: R, Z are {one}, positions have {shares}, {entries}"
        if one.events and one.open_entry_sum != opened:
            yield f"{_name(market, long)}: Y is {one.open_entry_sum}, positions have {opened}"


def _name(market: int, long: bool) -> str:
    return f"market {market:#x} {'long' if long else 'short'}"


def market_loss(s: State, market: int, m: Market) -> int:
    """U_long + U_short + Π + owed at the stored price and index."""
    total, skew = m.owed, 0
    for long in (True, False):
        one = _side(m, long)
        event = _event(s, market, long, one.events)
        size = side.size_of(one.shares, event.scale)
        skew += size if long else -size
        if one.shares:
            value = side.unit_value(event.scale, event.offset, m.price, m.index, long)
            total += side.side_profit(one.shares if long else -one.shares, value, one.entry_sum)
    return total + pricing.premium(m.price, skew, s.market_terms[market].trade.skew_scale)


def _side(m: Market, long: bool) -> Side:
    return m.long if long else m.short


def _event(s: State, market: int, long: bool, number: int) -> Event:
    return s.events[market, long, number] if number else Event(ONE)


@_after_each("INV-06", "INV-07")
def _time_and_indices(t: Transition) -> Iterator[str]:
    """Rates stay within their bound, indices and times never fall, and no time lies ahead."""
    for market, m in t.after.markets.items():
        old = t.before.markets.get(market)
        if old is m or old is None:
            continue
        bound = max(t.after.market_terms[market].funding.r_max, t.before.market_terms[market].funding.r_max)
        if abs(m.rate) > bound:
            yield f"market {market:#x}: funding rate {m.rate} is beyond {bound}"
        if not old.time <= m.time <= t.after.time:
            yield f"market {market:#x}: time went from {old.time} to {m.time}"
    for pool, p in t.after.pools.items():
        before = t.before.pools.get(pool)
        if before is not None and before is not p and not before.borrow_index <= p.borrow_index:
            yield f"pool {pool}: borrow index fell from {before.borrow_index} to {p.borrow_index}"


@_after_each("INV-27")
def _prices_move_forward(t: Transition) -> Iterator[str]:
    """Observations never go back in time, and a stored price is positive."""
    for asset, state in t.after.asset_states.items():
        old = t.before.asset_states.get(asset)
        if old is not None and old is not state and (state.time < old.time or state.price <= 0):
            yield f"asset {asset}: observation went from {old} to {state}"


# ── what owners, keepers and thieves may do ──────────────────────────────────


@_after_each("INV-09")
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
        profit = _profit(s, m.id, position.shares, position.entry, position.last_event, price, m.index)
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


def _profit(s: State, market: int, shares: int, entry: int, last: int, price: int, index: int) -> int:
    long = shares > 0
    now, seen = _event(s, market, long, _side(s.markets[market], long).events), _event(s, market, long, last)
    if now.epoch != seen.epoch:
        return side.profit(shares, s.epoch_ends[market, long, seen.epoch], entry)
    return side.profit(shares, side.unit_value(now.scale, now.offset, price, index, long), entry)


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


@_after_each("INV-32")
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


@_after_each("INV-33")
def _guardian_reduces(t: Transition) -> Iterator[str]:
    """What the guardian does only reduces risk."""
    if not t.done or t.step.action.caller != t.before.guardian or t.before.guardian == t.before.owner:
        return
    for market, terms in t.after.market_terms.items():
        old = t.before.market_terms[market]
        if old is terms:
            continue
        if terms.trade.oi_cap > old.trade.oi_cap or terms.trade.skew_cap > old.trade.skew_cap:
            yield f"the guardian raised a cap of market {market:#x}"
        if old.margin.flags & ~terms.margin.flags:
            yield f"the guardian lifted a flag of market {market:#x}"
    for pool, one in t.after.pool_terms.items():
        if t.before.pool_terms[pool].risk.pause_flags & ~one.risk.pause_flags:
            yield f"the guardian lifted a pause of pool {pool}"


@_after_each("INV-36")
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


@_after_each("INV-29")
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


@_after_each("INV-37")
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


@_after_each("INV-38")
def _caps(t: Transition) -> Iterator[str]:
    """A side that an order made larger is within its cap."""
    if t.name != "execute_orders" or t.before.markets is t.after.markets:
        return
    for market, m in t.after.markets.items():
        for long in (True, False):
            one, old = _side(m, long), _side(t.before.markets[market], long)
            if one.shares <= old.shares or one.events != old.events:
                continue
            size = side.size_of(one.shares, _event(t.after, market, long, one.events).scale)
            cap = t.after.market_terms[market].trade.oi_cap
            if size > cap:
                yield f"market {market:#x}: open interest {size} is beyond its cap {cap}"


NO_PANIC = ("liquidate", "deleverage", "close_settled", "buy_collateral", "claim", "strike", "accrue")


@_after_each("INV-39")
def _no_panic(t: Transition) -> Iterator[str]:
    """Calls that must always be possible never panic, nor fail because a number does not fit."""
    refusal = t.result.refusal
    sane = t.name == "withdraw" and t.step.action.args[2] < 1 << 90
    if refusal is None or not (sane or t.name in NO_PANIC):
        return
    if refusal.name in ("Panic", "IntOutOfRange", "UintTooLarge"):
        yield f"{t.name} failed with {refusal}"


@_after_each("INV-26")
def _insurance_falls_only_in_need(t: Transition) -> Iterator[str]:
    """Insurance falls only where bad debt, a keeper's allowance, or a change of K can take it."""
    if t.name in ("liquidate", "buy_collateral", "set_market", "multicall"):
        return
    for pool, p in t.after.pools.items():
        old = t.before.pools[pool]
        if p.insurance < old.insurance:
            yield f"insurance of pool {pool} fell by {old.insurance - p.insurance} in {t.name}"


# ── liquidation ──────────────────────────────────────────────────────────────

CLOSED = (LiquidationResult.PARTIAL, LiquidationResult.FULL, LiquidationResult.BAD_DEBT, LiquidationResult.SALE_STARTED)


@_after_each("INV-12", "INV-13")
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


@_after_each("INV-14", "INV-15")
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


@_after_each("INV-16")
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


@_after_each("INV-20", "INV-23")
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


@_now_and_then("INV-11")
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


@_now_and_then("INV-05", "INV-22")
def _honest_nav(t: Transition) -> Iterator[str]:
    """Σ of what accounts would get is what the pool owes, to a wei for each position: NAV is what closing all
    leaves."""
    s = t.after
    owed = dict.fromkeys(s.markets, 0)
    counts = dict.fromkeys(s.markets, 0)
    for (account, index), position in s.positions.items():
        market = market_id(pool_of(account), index)
        m = s.markets[market]
        owed[market] += _profit(s, market, position.shares, position.entry, position.last_event, m.price, m.index)
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
        one = _side(m, long)
        size = side.size_of(one.shares, _event(s, market, long, one.events).scale)
        total += size if long else -size
    return total
