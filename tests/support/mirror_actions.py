"""What the Clearinghouse does in a fill, a liquidation, a deleveraging and a socialisation, on a `PoolMirror`."""

from __future__ import annotations

from dataclasses import dataclass

from plimsoll.model import liquidation, margin, pricing, side
from plimsoll.model.oracle_words import Spot
from plimsoll.model.words import EventWord, PositionWord
from plimsoll.units import ONE, PPM, UNIT, WAD, div_ceil, div_up, mul_div_up, positive_part
from tests.support.books import MarketBook, SideBook
from tests.support.ledger_mirror import PoolMirror

__all__ = ["Closing", "Filling", "deleverage", "fill", "liquidate", "protect", "socialise"]

LEAST_SCALE = ONE // 10**6
DEVIATED = 4


@dataclass(frozen=True, slots=True)
class Filling:
    """What a fill comes to, fields as in `Filled`."""

    size_delta: int
    size_after: int
    fill_price: int
    profit: int
    cost: int
    fee: int


def fill(
    mirror: PoolMirror,
    account: bytes,
    market: int,
    delta: int,
    *,
    reduce_only: bool = False,
    keeper: bytes | None = None,
    keeper_fee: int = 0,
    order: Spot | None = None,
) -> Filling:
    """A fill that is not refused, at the order's price (the latest unless given)."""
    m = mirror.markets[market]
    spot = mirror.reprice(m)
    order = order if order is not None else spot
    book = mirror.accounts[account]
    position = book.positions[market & 0xFF]
    before, profit = mirror.value_of(m, position, order.price)
    if profit > 0 and unsound(mirror, m):
        protect(mirror, market)
        before, _ = mirror.value_of(m, position, order.price)
    if reduce_only:
        assert before * delta < 0
        delta = max(delta, -before) if before > 0 else min(delta, -before)
    after = before + delta
    if after and pricing.notional_down(abs(after), order.price) < mirror.risk.min_notional:
        delta, after = -before, 0
    skew, scale = m.skew, m.trade.skew_scale
    bound = order.high if delta > 0 else order.low
    if spot.flags & DEVIATED:
        bound = max(bound, spot.other) if delta > 0 else min(bound, spot.other)
    price = pricing.fill_price(bound, skew, delta, scale)
    cost = pricing.fill_cost(bound, order.price, skew, delta, scale)
    fee = pricing.fee(order.price, skew, delta, m.trade.maker_ppm, m.trade.taker_ppm)
    _, profit = mirror.take_out(m, position, order.price)
    mirror.add_cash(account, profit - cost - fee)
    mirror.cash += cost
    insured, pooled = fee * mirror.risk.insurance_share_ppm // PPM, fee * mirror.risk.lp_share_ppm // PPM
    mirror.insurance += insured
    mirror.cash += pooled
    mirror.fees += fee - insured - pooled
    mirror.place_position(account, m, after, order.price)
    mirror.mark(m)
    mirror.escrow -= keeper_fee
    if keeper is not None and keeper in mirror.accounts:
        mirror.add_cash(keeper, keeper_fee)
    return Filling(delta, after, price, profit, cost, fee)


# ── liquidation ────────────────────────────────────────────────────────────


@dataclass(slots=True)
class Leg:
    """One position under liquidation."""

    market: MarketBook
    position: PositionWord
    size: int
    profit: int
    price: int
    close_price: int
    requirement: int
    closable: bool
    done: bool = False


@dataclass(frozen=True, slots=True)
class Closing:
    """What a liquidation comes to, fields as in `Liquidated`, and the sizes closed per market."""

    equity: int
    maintenance: int
    charged: int
    reward: int
    closed: dict[int, int]
    bad_debt: tuple[int, int, int] | None
    """From insurance, junior tranche and pool."""


def health(mirror: PoolMirror, account: bytes, *, secondary: bool = False) -> tuple[list[Leg], int, int]:
    """Positions, equity^M and MM at the prices that count in liquidation."""
    legs: list[Leg] = []
    equity, required = mirror.cash_of(account), 0
    for number, m in mirror.markets.items():
        position = mirror.accounts[account].positions[number & 0xFF]
        if not position.shares:
            continue
        size, _ = mirror.value_of(m, position, 0)
        price, close, closable = _price(mirror, m, m.margin.asset, size > 0, secondary)
        _, profit = mirror.value_of(m, position, price)
        need = mirror.maintenance_requirement(m, size, price) if closable and size else 0
        legs.append(Leg(m, position, size, profit, price, close, need, closable))
        equity += profit
        required += need
    if any(leg.requirement for leg in legs):
        required += mirror.risk.keeper_floor
    for index, balance in mirror.accounts[account].collateral.items():
        one = mirror.collaterals[index]
        if balance:
            price = _price(mirror, None, one.asset, True, secondary)[0]
            equity += margin.collateral_value(balance, one.decimals, price, one.weight_maintenance_ppm)
    return legs, equity, required


def _price(mirror: PoolMirror, m: MarketBook | None, asset: int, long: bool, secondary: bool) -> tuple[int, int, bool]:
    if m is not None and m.settled:
        return m.price, m.price, True
    spot = mirror.spots[asset]
    price = spot.price
    if spot.flags & 1:
        bound = mirror.trends[asset].bound_ppm
        price = mul_div_up(price, PPM + bound, PPM) if long else price * (PPM - bound) // PPM
        return price, price, False
    if not spot.flags & DEVIATED or spot.flags & 32:
        return price, price, True
    close = max(price, spot.other) if long else min(price, spot.other)
    return (spot.other if secondary else price), close, True


def liquidate(
    mirror: PoolMirror, account: bytes, keeper: bytes | None, *, secondary: bool = False, base_fee: int = 0
) -> Closing:
    """A liquidation of an account with positions, below the line; `secondary` when that valuation is the better one."""
    legs, equity, required = health(mirror, account, secondary=secondary)
    for leg in legs:
        if leg.profit > 0 and leg.closable:
            before = mirror.loss_sum, leg.market.price, leg.market.loss
            mirror.reprice(leg.market)
            if unsound(mirror, leg.market):
                protect(mirror, leg.market.id)
            else:
                mirror.loss_sum, leg.market.price, leg.market.loss = before
    legs, equity, required = health(mirror, account, secondary=secondary)
    first = equity, required
    target = mirror.liquidation.target_health_ppm * (WAD // PPM)
    penalty = rate_part = moved = 0
    closed: dict[int, int] = {}
    while True:
        open_legs = [leg for leg in legs if not leg.done and (leg.closable or leg.size == 0)]
        if not open_legs:
            break
        leg = max(open_legs, key=lambda one: one.requirement)
        shortfall = mul_div_up(required, target, WAD) - equity
        if shortfall <= 0 and closed:
            break
        leg.done = True
        amount = _amount(mirror, leg, shortfall, target, equity, required) if leg.size else 0
        extra, premium = _close_leg(mirror, account, leg, amount)
        moved += premium
        closed[leg.market.id] = amount
        cost = div_up(pricing.notional_up(amount, leg.close_price) * leg.market.margin.penalty_ppm, PPM)
        penalty += cost
        rate_part += pricing.notional_down(amount, leg.close_price) * leg.market.margin.reward_rate_ppm // PPM
        equity += extra - cost
        required += mirror.maintenance_requirement(leg.market, abs(leg.size) - amount, leg.price) - leg.requirement
        if amount < abs(leg.size):
            break
        if leg.size and not any(one.requirement for one in legs if not one.done):
            required -= mirror.risk.keeper_floor
    floor = mirror.risk.keeper_floor
    charged = liquidation.charged(penalty, floor, equity + penalty)
    gas = _gas(mirror, rate_part, floor, base_fee)
    reward = liquidation.reward(charged, mirror.insurance, floor, mirror.liquidation.reward_max, rate_part, gas)
    mirror.add_cash(account, -charged)
    _distribute(mirror, charged, reward, moved)
    bad = _end(mirror, account, equity + penalty)
    if keeper is not None and keeper in mirror.accounts:
        mirror.add_cash(keeper, reward)
    if mirror.nav < 0:
        socialise(mirror)
    return Closing(*first, charged, reward, closed, bad)


def _amount(mirror: PoolMirror, leg: Leg, shortfall: int, target: int, equity: int, required: int) -> int:
    size, one = abs(leg.size), leg.market.margin
    unit = WAD // PPM
    penalty = one.penalty_ppm * unit
    ratio = margin.ratio(one.mm_base_ppm, one.mm_slope, size) + penalty
    if shortfall <= 0 or not liquidation.part_helps(equity, required, penalty, ratio):
        return size
    least = liquidation.least_close(size, leg.price, shortfall, one.mm_base_ppm * unit, one.mm_slope, penalty, target)
    least = max(least, liquidation.floor_size(mirror.risk.keeper_floor, penalty, leg.price))
    if least >= size or pricing.notional_down(size - least, leg.price) < mirror.risk.min_notional:
        return size
    return least


def _close_leg(mirror: PoolMirror, account: bytes, leg: Leg, amount: int) -> tuple[int, int]:
    m = leg.market
    mirror.reprice(m)
    before = m.premium
    _, profit = mirror.take_out(m, leg.position, leg.close_price)
    rest = leg.size + (-amount if leg.size > 0 else amount)
    mirror.place_position(account, m, rest, leg.close_price)
    mirror.mark(m)
    mirror.add_cash(account, profit)
    return profit - leg.profit, m.premium - before


def _gas(mirror: PoolMirror, rate_part: int, floor: int, base_fee: int) -> int:
    config = mirror.liquidation
    if rate_part >= floor:
        return 0
    price = mirror.spots[config.gas_asset].price if config.gas_asset else 0
    return config.l1_fee + config.gas_units * base_fee * price // WAD


def _distribute(mirror: PoolMirror, charged: int, reward: int, premium: int) -> None:
    paid = min(reward, charged)
    mirror.insurance -= reward - paid
    to_pool = min(charged - paid, premium) if premium >= 0 else premium
    mirror.cash += to_pool
    mirror.insurance += charged - paid - to_pool


def _end(mirror: PoolMirror, account: bytes, equity: int) -> tuple[int, int, int] | None:
    book = mirror.accounts[account]
    if book.word.markets or mirror.cash_of(account) >= 0:
        return None
    if book.word.collaterals:
        if equity < 0:
            book.sale = mirror.protocol.now()
            mirror.open_sales += 1
        return None
    return absorb(mirror, account)


def absorb(mirror: PoolMirror, account: bytes) -> tuple[int, int, int]:
    """The debt of an account that has nothing left: insurance, junior tranche, pool."""
    debt = -mirror.cash_of(account)
    insured = min(debt, mirror.insurance)
    junior = min(debt - insured, mirror.junior)
    mirror.insurance -= insured
    mirror.junior -= junior
    mirror.cash -= debt - insured - junior
    mirror.add_cash(account, debt)
    return insured, junior, debt - insured - junior


# ── whole pools ────────────────────────────────────────────────────────────


def unsound(mirror: PoolMirror, m: MarketBook) -> bool:
    """Whether profit may not be credited yet."""
    if mirror.nav < 0:
        return True
    total = m.open_profit(m.long) + m.open_profit(m.short)
    winner = m.open_profit(m.side(m.skew > 0))
    return total > 0 and total * PPM > mirror.nav * mirror.risk.adl_trigger_ppm and winner > 0


def protect(mirror: PoolMirror, market: int) -> None:
    """Socialisation and deleveraging before profit is credited."""
    socialise(mirror)
    if unsound(mirror, mirror.markets[market]):
        deleverage(mirror, market)


def deleverage(mirror: PoolMirror, market: int, *, revalue: bool = False) -> int | None:
    """Shrinks the winning side of the skew; the fraction (1e-36), or None when nothing is done.

    :param revalue: as the entry point does: all markets at the latest price, and a negative NAV is socialised first.
    """
    m = mirror.markets[market]
    if revalue:
        for other in mirror.markets.values():
            mirror.reprice(other)
        socialise(mirror)
    one = m.side(m.skew > 0)
    won = m.open_profit(one)
    total = m.open_profit(m.long) + m.open_profit(m.short)
    excess = total - positive_part(mirror.nav) * mirror.risk.adl_target_ppm // PPM
    if m.skew == 0 or won <= 0 or excess <= 0:
        return None
    fraction = side.deleverage_fraction(excess, won, abs(m.skew), one.interest, mirror.nav <= 0)
    scale = side.scale_after(one.scale, fraction)
    # The pool keeps of the freed premium what it lacks.
    value, before = m.value(one, m.price), m.premium - positive_part(-mirror.nav)
    if scale < LEAST_SCALE:
        fraction = ONE
        _close_epoch(mirror, m, one, value, before)
    else:
        one.scale = scale
        released = max(before - m.premium, 0)
        offset = side.offset_after(value, scale, m.price, m.index, released, one.shares, one.long)
        _next_event(mirror, m, one, scale, offset)
    mirror.mark(m)
    return fraction


def _close_epoch(mirror: PoolMirror, m: MarketBook, one: SideBook, value: int, before: int) -> None:
    shares, total = one.shares, one.signed
    one.shares = 0
    gain = side.unit_gain(max(before - m.premium, 0), shares)
    end = value + gain if one.long else value - gain
    m.owed += div_ceil(total * end - one.entry_sum, UNIT)
    mirror.ends[m.id, one.long, one.epoch] = end
    one.epoch += 1
    one.entry_sum = one.open_sum = 0
    _next_event(mirror, m, one, ONE, 0)


def _next_event(mirror: PoolMirror, m: MarketBook, one: SideBook, scale: int, offset: int) -> None:
    if one.number == 0:
        one.open_sum = one.entry_sum
    one.number += 1
    one.scale, one.offset = scale, offset
    mirror.events[m.id, one.long, one.number] = EventWord(scale, offset, one.epoch)


def socialise(mirror: PoolMirror) -> int:
    """Takes a negative NAV from the winning sides, pro rata to their profit; what was taken."""
    if mirror.nav >= 0:
        return 0
    for m in mirror.markets.values():
        mirror.reprice(m)
    deficit = -mirror.nav
    sides = [(m, one) for m in mirror.markets.values() for one in (m.long, m.short)]
    profits = sum(positive_part(m.side_profit(one)) for m, one in sides)
    if deficit <= 0 or not profits:
        return 0
    taken = min(deficit, profits)
    for m, one in sides:
        profit = positive_part(m.side_profit(one))
        if not profit:
            continue
        loss = side.unit_loss(min(mul_div_up(taken, profit, profits), profit), one.shares)
        _next_event(mirror, m, one, one.scale, one.offset - loss if one.long else one.offset + loss)
    for m in mirror.markets.values():
        mirror.mark(m)
    return taken
