"""The oracle's formulas in exact integers: `EmaMath`, `PriceMatrix`, and what the hub does with them.

Each function gives the same integer as the Solidity function of the same name. Numbers are not negative where they are
divided, so `//` rounds down as the EVM does; a leading minus on both sides of a division rounds it up. Prices are WAD
below 2^87, weights WAD in [0, 1), variances 1e-18 per second, times seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag

__all__ = [
    "MAX_PRICE",
    "MAX_SQUARED_RETURN",
    "MAX_VARIANCE",
    "Action",
    "OracleState",
    "PriceFlags",
    "bound_ppm",
    "chainlink_to_wad",
    "deviates",
    "fold",
    "fold_ema",
    "fold_variance",
    "one_minus_exp",
    "pyth_convert",
    "refused",
    "squared_return",
    "tolerates",
]

WAD = 10**18
PPM = 10**6
MAX_PRICE = (1 << 87) - 1
MAX_VARIANCE = (1 << 48) - 1
MAX_SQUARED_RETURN = 1 << 112
MAX_CHAINLINK_DECIMALS = 18
LN2_UP_Q64 = 12786308645202655660
"""⌈ln 2 · 2^64⌉"""


class PriceFlags(IntFlag):
    """What is wrong with a price; the bits of a `Spot`."""

    INVALID = 1
    UNCERTAIN = 2
    DEVIATED = 4
    SEQUENCER_DOWN = 8
    SEQUENCER_GRACE = 16
    DEVIATED_LONG = 32


class Action(IntEnum):
    """What a caller is about to do with a price."""

    INCREASE_RISK = 0
    REDUCE_RISK = 1
    LIQUIDATE = 2
    STRIKE = 3


@dataclass(frozen=True, slots=True)
class OracleState:
    """The stored state of an asset: last valid price, moving average, variance, time of the last observation."""

    price: int
    ema: int
    variance: int
    time: int


def one_minus_exp(elapsed: int, tau: int) -> int:
    """1 − e^(−elapsed/tau), WAD, rounded down: below the exact value by less than 3e-18.

    Never falls when elapsed/tau grows. `EmaMath.oneMinusExp` explains the steps.
    """
    if elapsed == 0:
        return 0
    halvings, y = divmod((elapsed << 64) // tau, LN2_UP_Q64)
    total = (1 << 64) + y
    term = y
    k = 2
    while term := ((term * y) >> 64) // k:
        total += term
        k += 1
    remains = (((1 << 128) // total) >> halvings) + 1
    return (((1 << 64) - remains) * WAD) >> 64


def fold_ema(ema: int, previous: int, weight: int) -> int:
    """ema + (previous − ema)·weight; the step is rounded toward 0."""
    if previous >= ema:
        return ema + (previous - ema) * weight // WAD
    return ema - (ema - previous) * weight // WAD


def squared_return(price: int, previous: int) -> int:
    """((price − previous)/previous)², 1e-18, rounded up, saturating at `MAX_SQUARED_RETURN`."""
    difference = price - previous
    return min(-(-difference * difference * WAD // (previous * previous)), MAX_SQUARED_RETURN)


def fold_variance(variance: int, squared: int, weight: int, elapsed: int) -> int:
    """variance·(1 − weight) + squared·weight/elapsed, both rounded up, saturating at `MAX_VARIANCE`."""
    if elapsed == 0:
        return variance
    decayed = variance - variance * weight // WAD
    return min(decayed - (-squared * weight // (elapsed * WAD)), MAX_VARIANCE)


def bound_ppm(age: int, base_ppm: int, per_hour_ppm: int, cap_ppm: int) -> int:
    """g(age) = min(base + per_hour·age/3600, cap), 1e-6, rounded up."""
    return min(base_ppm - (-per_hour_ppm * age // 3600), cap_ppm)


def fold(state: OracleState | None, price: int, now: int, tau: int) -> OracleState:
    """The state after an observation of the valid `price` at `now`.

    The time since the last one, during which the stored price held, goes into average and variance; then the price is
    stored. The first price starts the average.
    """
    if state is None:
        return OracleState(price, price, 0, now)
    elapsed = now - state.time
    weight = one_minus_exp(elapsed, tau)
    squared = squared_return(price, state.price)
    return OracleState(
        price,
        fold_ema(state.ema, state.price, weight),
        fold_variance(state.variance, squared, weight, elapsed),
        now,
    )


def deviates(price: int, other: int, max_deviation_ppm: int) -> bool:
    """Whether two prices differ by more than the limit, relative to the lower one."""
    return abs(price - other) * PPM > min(price, other) * max_deviation_ppm


def refused(action: Action) -> int:
    """The flags that an action refuses, as a mask; -1 is all of them."""
    if action is Action.REDUCE_RISK:
        return PriceFlags.INVALID | PriceFlags.SEQUENCER_DOWN
    if action is Action.LIQUIDATE:
        return PriceFlags.SEQUENCER_DOWN | PriceFlags.SEQUENCER_GRACE
    return -1


REFUSED = tuple(int(refused(action)) for action in Action)


def tolerates(action: Action, flags: int) -> bool:
    """Whether an action may go ahead with a price that carries `flags`, under the conditions of `PriceMatrix`."""
    return flags & REFUSED[action] == 0


def chainlink_to_wad(answer: int, decimals: int, least: int, largest: int) -> int:
    """The WAD price of a feed's answer, exact; 0 when it is not positive, at or beyond a bound, or too large."""
    price = answer * 10 ** (MAX_CHAINLINK_DECIMALS - decimals)
    return price if answer > 0 and least < answer < largest and price <= MAX_PRICE else 0


def pyth_convert(raw_price: int, conf: int, expo: int) -> tuple[int, int]:
    """WAD price (rounded down) and band (1e-6, rounded up, at most 1e6) of a raw Pyth price; (0, 0) if it is none."""
    if not 0 < raw_price < 1 << 63 or conf >= 1 << 64 or not -48 <= expo <= 12:
        return 0, 0
    price = raw_price * 10 ** (18 + expo) if expo >= -18 else raw_price // 10 ** (-18 - expo)
    if price > MAX_PRICE:
        return 0, 0
    return price, min(-(-conf * PPM // raw_price), PPM)
