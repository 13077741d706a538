"""The people of a replay: seeded traders of various habits, and liquidity providers. They decide; others send.

Everybody's choices come from integers of one seeded source, so a replay can be repeated. Money, prices and sizes WAD.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from plimsoll.deploy.deployment import Deployment, PoolHandles
from plimsoll.deploy.parameters import Market
from plimsoll.model.words import AccountId
from plimsoll.units import NANO, PPM, WAD

__all__ = [
    "Act",
    "Habit",
    "Move",
    "Provider",
    "Trader",
    "View",
    "actor_address",
    "decide",
    "provider_wish",
    "traders",
]

MEDIAN_DEPOSIT = 5_000 * WAD
USUAL_CROWD = 300
"""Number of accounts for which the median deposit is as above; a larger crowd has less each."""
LEAST_DEPOSIT = 150 * WAD
STEP_PERCENT = 109
"""Deposits are the median times a power of this: the powers are normal, so deposits are log-normal."""
LEAST_LEVERAGE = 200
MOST_OF_MARGIN = 92
"""Percent of their equity that the boldest put up as initial margin; the rest pays fees and the premium."""
LONG_PERCENT = 70
LONG_TAIL_PERCENT = 15
COLLATERAL_PERCENT = 18
SECOND_MARKET_PERCENT = 20
EARLY_PERCENT = 65
"""Part of the crowd that is in before the first price moves."""
SIXTEEN = 1 << 16


class Habit(Enum):
    """What a trader does about a position."""

    HOLD = "holds until the end, or until liquidated"
    CAUTIOUS = "closes when margin gets thin"
    FAITHFUL = "adds margin twice when it gets thin"
    GREEDY = "takes a profit of half the deposit, and half the money out"
    RESTLESS = "closes now and then, and turns round"
    BORROWER = "borrows against collateral and never trades"


HABITS = (Habit.HOLD,) * 6 + (Habit.CAUTIOUS,) * 5 + (Habit.FAITHFUL,) * 4 + (Habit.GREEDY,) * 3 + (Habit.RESTLESS,) * 2


class Move(Enum):
    """What can be done by an owner."""

    ORDER = "order"
    DEPOSIT = "deposit"
    WITHDRAW = "withdraw"


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that a trader does now. `amount` is a signed size for an order, money otherwise."""

    move: Move
    amount: int
    market: int = 0
    reduce_only: bool = False
    limit_price: int | None = None
    expiry: int = 600


@dataclass(slots=True)
class Trader:
    """An account, its owner and what they are up to.

    :param markets: numbers of the markets it trades, and the symbols of their prices.
    :param leverage: percent of equity, per market; 1000 is ten times.
    :param enter_at: step before which it stays out.
    :param collateral: token and native units put up beside the deposit.
    :param borrow: what a borrower takes out at the beginning.
    """

    name: str
    owner: str
    account: bytes
    pool: str
    habit: Habit
    deposit: int
    markets: tuple[tuple[int, str], ...]
    long: bool
    leverage: int
    enter_at: int
    collateral: tuple[str, int] | None = None
    borrow: int = 0
    top_ups: int = 2
    entries: int = 0
    wants_in: bool = True


@dataclass(slots=True)
class Provider:
    """A liquidity provider of one pool."""

    name: str
    owner: str
    pool: str
    stake: int


@dataclass(frozen=True, slots=True)
class View:
    """What a trader sees of the last block: prices by symbol, and its own account."""

    step: int
    steps: int
    prices: Mapping[str, int]
    equity: int
    required: int
    cash: int
    sizes: Mapping[int, int]
    pending: bool


def actor_address(kind: str, seed: int, number: int) -> str:
    """An address that the node can speak for and nobody has a key of."""
    return str(to_checksum_address(keccak(f"plimsoll {kind} {seed} {number}".encode())[-20:]))


def traders(deployment: Deployment, prices: Mapping[str, int], count: int, seed: int, steps: int) -> list[Trader]:
    """The crowd. Most lean long."""
    pools = list(deployment.pools.values())
    main, tail = pools[0], pools[1:]
    found = []
    for number in range(count):
        source = random.Random(f"plimsoll trader {seed} {number}")
        pool = tail[0] if tail and percent(source, LONG_TAIL_PERCENT) else main
        found.append(_trader(deployment, pool, prices, number, seed, count, steps, source))
    return found


def _trader(
    deployment: Deployment,
    pool: PoolHandles,
    prices: Mapping[str, int],
    number: int,
    seed: int,
    count: int,
    steps: int,
    source: random.Random,
) -> Trader:
    parameters = deployment.parameters.pools[pool.name]
    owner = actor_address("trader", seed, number)
    names = list(pool.markets)
    source.shuffle(names)
    if len(names) > 1 and not percent(source, SECOND_MARKET_PERCENT):
        names = names[:1]
    chosen = names[:2]
    markets = tuple((pool.markets[name], parameters.markets[name].asset) for name in chosen)
    most = min(100 * PPM // parameters.markets[name].initial_margin.value for name in chosen) * MOST_OF_MARGIN // 100
    deposit = max(_log_normal(source) * USUAL_CROWD // max(count, USUAL_CROWD), LEAST_DEPOSIT)
    room = min(parameters.markets[name].max_position.value for name in chosen)
    habit = HABITS[source.getrandbits(16) % len(HABITS)]
    trader = Trader(
        name=f"trader {number}",
        owner=owner,
        account=AccountId(owner, pool.id, 0).to_bytes(),
        pool=pool.name,
        habit=habit,
        deposit=deposit,
        markets=markets,
        long=percent(source, LONG_PERCENT),
        leverage=_leverage(source, most),
        enter_at=0 if percent(source, EARLY_PERCENT) else source.getrandbits(32) % max(steps // 2, 1),
    )
    # Nobody plans more than a third of the largest position that a market takes.
    if deposit * trader.leverage // 100 > room // 3:
        trader.deposit = room * 100 // (3 * trader.leverage)
    if pool.collateral and percent(source, COLLATERAL_PERCENT):
        _with_collateral(trader, deployment, pool, prices, source)
    trader.leverage //= len(markets)
    while any(_margin(parameters.markets[name], trader) > MOST_OF_MARGIN for name in chosen):
        trader.leverage = trader.leverage * 19 // 20
    return trader


def _margin(market: Market, trader: Trader) -> int:
    """Percent of the deposit that the planned position needs as initial margin; large positions need more."""
    notional = trader.deposit * trader.leverage // 100
    low, high = market.initial_margin.value, market.initial_margin_at_max.value
    ratio = low + (high - low) * notional // max(market.max_position.value, 1)
    return trader.leverage * ratio // PPM


def _with_collateral(
    trader: Trader, deployment: Deployment, pool: PoolHandles, prices: Mapping[str, int], source: random.Random
) -> None:
    """Most of the deposit is another token; some then borrow against it instead of trading."""
    names = list(pool.collateral)
    token = names[source.getrandbits(8) % len(names)]
    item = deployment.parameters.pools[pool.name].collateral[token]
    decimals = deployment.parameters.tokens[token].decimals
    value = trader.deposit * 9 // 10
    trader.collateral = (token, value * 10**decimals // prices[item.asset])
    trader.deposit -= value
    trader.leverage = trader.leverage * 7 // 10
    if percent(source, 40):
        trader.habit = Habit.BORROWER
        used = 60 + source.getrandbits(16) % 36
        trader.borrow = trader.deposit + value * item.weight_initial.value // PPM * used // 100
        trader.enter_at = 0


def _log_normal(source: random.Random) -> int:
    """Median 5000, standard deviation of the logarithm about 1.2, in whole cents."""
    normal = sum(source.getrandbits(16) for _ in range(12)) - 6 * (SIXTEEN - 1)
    power = max(-30, min(normal * 14 // SIXTEEN, 30))
    cent = WAD // 100
    cents = MEDIAN_DEPOSIT // cent
    for _ in range(abs(power)):
        cents = cents * STEP_PERCENT // 100 if power > 0 else cents * 100 // STEP_PERCENT
    return cents * cent


def _leverage(source: random.Random, most: int) -> int:
    """Percent: one in ten takes the most, the others lean to less."""
    if percent(source, 10):
        return most
    draw = source.getrandbits(16)
    return LEAST_LEVERAGE + (most - LEAST_LEVERAGE) * draw * draw // (SIXTEEN * SIXTEEN)


def percent(source: random.Random, chance: int) -> bool:
    """True so many times in a hundred."""
    return source.getrandbits(32) % 100 < chance


def decide(trader: Trader, view: View, source: random.Random) -> Sequence[Act]:
    """What the owner of an account does now; usually nothing."""
    if view.pending or (trader.habit is Habit.BORROWER and trader.entries):
        return ()
    if trader.habit is Habit.BORROWER:
        trader.entries = 1
        return (Act(Move.WITHDRAW, trader.borrow),)
    open_ = {market: size for market, size in view.sizes.items() if size}
    if not open_:
        return _flat(trader, view, source)
    thin = view.required > 0 and view.equity * 10 < view.required * 14
    if trader.habit is Habit.CAUTIOUS and thin and percent(source, 50):
        return _close(trader, open_, view)
    if trader.habit is Habit.FAITHFUL and thin and trader.top_ups and percent(source, 60):
        trader.top_ups -= 1
        return (Act(Move.DEPOSIT, max(trader.deposit * 3 // 10, LEAST_DEPOSIT)),)
    if trader.habit is Habit.GREEDY and view.equity * 2 > trader.deposit * 3 and trader.collateral is None:
        trader.wants_in = percent(source, 50)
        return _close(trader, open_, view)
    if trader.habit is Habit.RESTLESS and source.getrandbits(32) % max(view.steps // 3, 1) == 0:
        trader.long = not trader.long
        return _close(trader, open_, view)
    return ()


def _flat(trader: Trader, view: View, source: random.Random) -> Sequence[Act]:
    """Without a position: goes in at its time, once more a while after that, takes gains home, or brings new money."""
    if view.step < trader.enter_at:
        return ()
    if trader.entries == 0:
        return _enter(trader, view, source)
    if trader.habit is Habit.GREEDY and view.cash > trader.deposit * 6 // 5 and trader.collateral is None:
        return (Act(Move.WITHDRAW, view.cash // 2),)
    # About half of those who are out come back during a replay.
    if not trader.wants_in or source.getrandbits(32) % max(2 * view.steps, 1) >= 4:
        return ()
    if view.equity < trader.deposit // 4:
        return (Act(Move.DEPOSIT, trader.deposit), *_enter(trader, view, source, trader.deposit))
    return _enter(trader, view, source)


def _enter(trader: Trader, view: View, source: random.Random, more: int = 0) -> Sequence[Act]:
    equity = view.equity + more
    if equity <= 0:
        return ()
    if trader.entries:
        # Who was refused or thrown out is less bold the next time.
        trader.long = percent(source, 60)
        trader.leverage = max(trader.leverage * 4 // 5, LEAST_LEVERAGE // 2)
    trader.entries += 1
    acts = []
    for market, symbol in trader.markets:
        price = view.prices[symbol]
        size = equity * trader.leverage // 100 * WAD // price // NANO * NANO
        limit = None
        if percent(source, 30):
            # Some accept half a percent of slippage, no more.
            limit = price * (1_005 if trader.long else 995) // 1_000
        expiry = 300 + source.getrandbits(16) % 3_000
        acts.append(Act(Move.ORDER, size if trader.long else -size, market, limit_price=limit, expiry=expiry))
    return [act for act in acts if act.amount]


def _close(trader: Trader, open_: Mapping[int, int], view: View) -> Sequence[Act]:
    return [Act(Move.ORDER, -size, market, reduce_only=True, expiry=3_000) for market, size in open_.items()]


def provider_wish(provider: Provider, steps: int, source: random.Random) -> int:
    """Money to bring (> 0), percent of the shares to take out (< 0), or nothing: about two wishes in a replay."""
    draw = source.getrandbits(32) % max(steps, 1)
    if draw == 0:
        return provider.stake // 20
    return -(5 + source.getrandbits(8) % 20) if draw == 1 else 0
