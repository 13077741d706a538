"""Liquidation: closing, penalty and reward, bad debt. Collateral sales are in `sale`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from plimsoll.model import liquidation, margin, pricing
from plimsoll.model.config_words import PoolLiquidationWord
from plimsoll.model.engine.books import (
    PoolBook,
    commit,
    load_pool,
    mark,
    save_market,
    save_pool,
    unsound,
)
from plimsoll.model.engine.draft import Draft
from plimsoll.model.engine.health import Health, Leg, below, better, health_of
from plimsoll.model.engine.ledger import (
    add_cash,
    cash_of,
    get_account,
    pay,
    profit_of,
    put_in,
    store_account,
    store_position,
    take_out,
    with_market,
)
from plimsoll.model.engine.margin import end_sale, maintenance_requirement
from plimsoll.model.engine.prices import observe
from plimsoll.model.engine.sale import absorb, give_dust, is_dust, sale_equity, start_sale
from plimsoll.model.engine.solvency import protect, socialise
from plimsoll.model.engine.state import Account, pool_of
from plimsoll.units import PPM, WAD, div_up, mul_div_up

__all__ = ["LiquidationResult", "liquidate"]


class LiquidationResult(IntEnum):
    """What became of one account."""

    HEALTHY = 0
    PARTIAL = 1
    FULL = 2
    SALE_STARTED = 3
    BAD_DEBT = 4
    COOL_OFF = 5
    GRACE = 6
    PRICE_REFUSED = 7
    ON_SALE = 8


@dataclass(slots=True)
class Tally:
    """What closing adds up to: penalties, Σ ⌊rewardRate·notional⌋, change of Π."""

    penalty: int = 0
    rate_part: int = 0
    premium: int = 0
    closed: bool = False


# ── liquidate ────────────────────────────────────────────────────────────────


def liquidate(d: Draft, accounts: Sequence[int], keeper: int) -> list[LiquidationResult]:
    """Liquidates every liquidatable account of the list and skips the others; one result each."""
    d.begin()
    batch = Batch()
    results = [_liquidate(d, account, keeper, batch) for account in accounts]
    batch.turn_to(d, None)
    commit(d)
    return results


class Batch:
    """The pool that a batch works on; stored once, when another pool's turn comes or at the end."""

    def __init__(self) -> None:
        self.pool: PoolBook | None = None
        self.changed = False

    def turn_to(self, d: Draft, p: PoolBook | None) -> None:
        """Stores the pool of the accounts before, unless it goes on with the same."""
        if p is self.pool:
            return
        if self.pool is not None and self.changed:
            save_pool(d, self.pool)
        self.pool, self.changed = p, False


def _liquidate(d: Draft, account: int, keeper: int, batch: Batch) -> LiquidationResult:
    a = get_account(d, account)
    if a.markets == 0 and a.raw_cash >= 0:
        end_sale(d, account)
        return LiquidationResult.HEALTHY
    p = load_pool(d, pool_of(account))
    batch.turn_to(d, p)
    h = health_of(d, account, a, p)
    if not below(h):
        # A sale that the account outgrew is over.
        if a.markets == 0 and account in d.sales and sale_equity(d, account, a, p) >= 0:
            end_sale(d, account)
        return LiquidationResult.HEALTHY
    if h.newest != 0 and h.newest <= a.last_check:
        return LiquidationResult.COOL_OFF
    if h.deviated:
        h = better(d, account, a, p, h)
        if not below(h):
            return LiquidationResult.HEALTHY
    config = p.terms.liquidation
    if h.grace and h.equity * PPM >= h.required * config.grace_health_ppm:
        return LiquidationResult.GRACE
    if a.markets == 0:
        return _without_positions(d, account, a, p, keeper, batch)
    if _protect(d, p, h):
        batch.changed = False
        h = better(d, account, a, p, health_of(d, account, a, p))
        if not below(h):
            return LiquidationResult.HEALTHY
    return _close(d, account, a, p, h, config, keeper, batch)


def _without_positions(d: Draft, account: int, a: Account, p: PoolBook, keeper: int, batch: Batch) -> LiquidationResult:
    """An account below zero without positions: its collateral goes on sale; what is not worth a sale goes to the
    keeper; when nothing is left the debt is bad."""
    if a.collaterals:
        if not is_dust(d, account, a, p):
            return LiquidationResult.SALE_STARTED if start_sale(d, account) else LiquidationResult.ON_SALE
        a = give_dust(d, account, a, keeper)
    a = absorb(d, a, p)
    store_account(d, account, a)
    _socialise(d, p, batch)
    return LiquidationResult.BAD_DEBT


def _socialise(d: Draft, p: PoolBook, batch: Batch) -> None:
    """Ends the liquidation of an account: the pool has changed, and a negative NAV is socialised at once."""
    batch.changed = True
    if p.nav < 0:
        save_pool(d, p)
        socialise(d, p)
        save_pool(d, p)
        batch.changed = False


def _protect(d: Draft, p: PoolBook, h: Health) -> bool:
    """Deleverages and socialises when a close would credit profit of an unsound market; whether it acted."""
    acted = False
    for leg in h.legs:
        if leg.profit <= 0 or not leg.closable:
            continue
        m = leg.market
        before = m.price, m.loss, p.loss_sum
        m.price = leg.market_price
        mark(p, m)
        if unsound(p, m):
            protect(d, p, m)
            acted = True
        else:
            m.price, m.loss, p.loss_sum = before
    return acted


# ── closing ──────────────────────────────────────────────────────────────────


def _close(
    d: Draft, account: int, a: Account, p: PoolBook, h: Health, config: PoolLiquidationWord, keeper: int, batch: Batch
) -> LiquidationResult:
    t = Tally()
    a = _close_legs(d, account, a, p, h, config, t)
    if not t.closed:
        return LiquidationResult.PRICE_REFUSED
    floor = p.terms.risk.keeper_floor
    # The penalties of the closing loop are charged once, here.
    charged = liquidation.charged(t.penalty, floor, h.equity + t.penalty)
    gas = _gas_cost(d, config, t.rate_part, floor)
    reward = liquidation.reward(charged, p.insurance, floor, config.reward_max, t.rate_part, gas)
    a = add_cash(a, p, -charged)
    _distribute(p, charged, reward, t.premium)
    result = LiquidationResult.PARTIAL if a.markets else LiquidationResult.FULL
    if a.markets == 0 and cash_of(a, p) < 0:
        if a.collaterals == 0:
            a = absorb(d, a, p)
            result = LiquidationResult.BAD_DEBT
        elif cash_of(a, p) + h.collateral < 0:
            start_sale(d, account)
            result = LiquidationResult.SALE_STARTED
    store_account(d, account, a)
    pay(d, p, keeper, reward)
    _socialise(d, p, batch)
    return result


def _close_legs(
    d: Draft, account: int, a: Account, p: PoolBook, h: Health, config: PoolLiquidationWord, t: Tally
) -> Account:
    """Closes positions, the largest requirement first, until health is at its target or none is left."""
    target = config.target_health_ppm * (WAD // PPM)
    while True:
        leg = _largest(h)
        if leg is None:
            return a
        shortfall = mul_div_up(h.required, target, WAD) - h.equity
        # What is below the line without a requirement of its own (a closed epoch's value) is only collected.
        if shortfall <= 0 and t.closed:
            return a
        leg.done = True
        amount = _amount(p, h, leg, shortfall, target) if leg.size else 0
        a = _close_leg(d, account, a, p, leg, amount, t)
        _account(p, h, leg, amount, t)
        if amount < abs(leg.size):
            return a


def _largest(h: Health) -> Leg | None:
    """The open leg with the largest requirement, the first of equals."""
    best: Leg | None = None
    for leg in h.legs:
        if leg.done or not (leg.closable or leg.size == 0):
            continue
        if best is None or leg.requirement > best.requirement:
            best = leg
    return best


def _amount(p: PoolBook, h: Health, leg: Leg, shortfall: int, target: int) -> int:
    """How much to close: the least that reaches the target; all when part cannot help or the rest would be dust."""
    size = abs(leg.size)
    one, unit = leg.market.terms.margin, WAD // PPM
    penalty = one.penalty_ppm * unit
    base, slope = one.mm_base_ppm, one.mm_slope
    ratio = margin.ratio(base, slope, size) + penalty
    if shortfall <= 0 or not liquidation.part_helps(h.equity, h.required, penalty, ratio):
        return size
    amount = liquidation.least_close(size, leg.price, shortfall, base * unit, slope, penalty, target)
    amount = max(amount, liquidation.floor_size(p.terms.risk.keeper_floor, penalty, leg.price))
    if amount >= size or pricing.notional_down(size - amount, leg.price) < p.terms.risk.min_notional:
        return size
    return amount


def _close_leg(d: Draft, account: int, a: Account, p: PoolBook, leg: Leg, amount: int, t: Tally) -> Account:
    """Touches the position at its closing price, closes `amount` of it, and settles the premium in the tally."""
    m = leg.market
    m.price = leg.market_price
    before = mark(p, m)
    profit = leg.profit
    if leg.close_price != leg.price:
        profit = profit_of(d, m, leg.position, leg.close_price)
    take_out(d, p, m, leg.position, profit)
    rest = leg.size - amount if leg.size > 0 else leg.size + amount
    position = put_in(m, rest, leg.close_price)
    t.premium += mark(p, m) - before
    t.closed = True
    # What the better of two deviating prices gives belongs to the account.
    leg.profit = profit - leg.profit
    a = with_market(add_cash(a, p, profit), leg.index, rest != 0)
    store_position(d, account, leg.index, position)
    save_market(d, m)
    return a


def _account(p: PoolBook, h: Health, leg: Leg, amount: int, t: Tally) -> None:
    """Moves the provisional equity and requirement past a close."""
    one = leg.market.terms.margin
    penalty = div_up(pricing.notional_up(amount, leg.close_price) * one.penalty_ppm, PPM)
    t.penalty += penalty
    t.rate_part += pricing.notional_down(amount, leg.close_price) * one.reward_rate_ppm // PPM
    h.equity += leg.profit - penalty
    h.required -= leg.requirement
    rest = abs(leg.size) - amount
    if rest:
        h.required += maintenance_requirement(one, rest, leg.price)
    elif h.open and not any(other.requirement for other in h.legs if not other.done):
        h.open = False
        h.required -= p.terms.risk.keeper_floor


def _gas_cost(d: Draft, config: PoolLiquidationWord, rate_part: int, floor: int) -> int:
    """gasUnits·basefee·price of the gas token + l1Fee; asked for only when it can matter."""
    if rate_part >= floor:
        return 0
    if config.gas_asset == 0:
        return config.l1_fee
    price = observe(d, config.gas_asset)[0].price
    cost: int = config.l1_fee + config.gas_units * d.base_fee * price // WAD
    return cost


def _distribute(p: PoolBook, charged: int, reward: int, premium: int) -> None:
    """The penalty pays the keeper, then the premium that the close added to V, then insurance; a premium set free goes
    from V to insurance. What the penalty cannot pay of the reward comes from insurance."""
    from_charged = min(reward, charged)
    rest = charged - from_charged
    p.insurance -= reward - from_charged
    if premium >= 0:
        to_pool = min(rest, premium)
        p.cash += to_pool
        p.insurance += rest - to_pool
    else:
        p.cash += premium
        p.insurance += rest - premium
