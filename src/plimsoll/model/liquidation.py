"""How much to close, what it costs, whom it pays; mirrors `LiquidationMath`.

Money, sizes and prices WAD, rates ppm unless said otherwise.
"""

from __future__ import annotations

from plimsoll.units import PPM, WAD, mul_div_down, mul_div_up, sqrt_down

__all__ = [
    "EVERYTHING",
    "charged",
    "discount",
    "floor_size",
    "least_close",
    "part_helps",
    "reward",
    "sale_price",
    "sale_value",
]

EVERYTHING = 2**256 - 1
"""What `sale_value` answers when no part of the collateral is enough."""


def least_close(size: int, price: int, shortfall: int, a: int, b: int, penalty: int, target: int) -> int:
    """The least size whose closing brings health to t, or `size` when part cannot help.

    With mmr(n) = a + b·n, S = t·MM − equity, B = t(a + λ + 2bn) − λ it is the least solution of x·(B − tbx) = S/P,
    2S/(P·(B + √(B² − 4tbS/P))). B and the square root are floored, the division ceiled.

    :param shortfall: S, money, > 0.
    :param a: mmBase, WAD ratio.
    :param b: mmSlope, WAD ratio per unit.
    :param penalty: λ, WAD ratio.
    :param target: t, WAD, ≥ 1.
    """
    gain = target * (a + penalty + 2 * b * size // WAD) // WAD
    if gain <= penalty:
        return size
    net = gain - penalty
    if mul_div_down(size * price, net, WAD * WAD) < shortfall:
        return size
    term = mul_div_up(4 * target * b, shortfall, price)
    if term > net * net:
        return size
    root = sqrt_down(net * net - term)
    return min(mul_div_up(2 * shortfall, WAD * WAD, price * (net + root)), size)


def part_helps(equity: int, maintenance: int, penalty: int, ratio: int) -> bool:
    """Whether closing part of a position can raise health: equity/MM > λ/(mmr + λ).

    :param penalty: λ, WAD ratio.
    :param ratio: mmr(n) + λ, WAD ratio.
    """
    return equity > 0 and equity * ratio > maintenance * penalty


def floor_size(keeper_floor: int, penalty: int, price: int) -> int:
    """⌈keeperFloor/(λ·P)⌉: the least size whose penalty pays the floor; λ is a WAD ratio."""
    return mul_div_up(keeper_floor, WAD * WAD, penalty * price)


def charged(penalty_sum: int, keeper_floor: int, equity: int) -> int:
    """min(max(λ·closed, keeperFloor), max(equity, 0)).

    :param penalty_sum: Σ ⌈λ·closed notional⌉ over the positions closed.
    """
    return min(max(penalty_sum, keeper_floor), max(equity, 0))


def reward(charged_: int, insurance: int, keeper_floor: int, cap: int, rate_part: int, gas_cost: int) -> int:
    """The keeper's pay: min(charged + allowance, cap, max(rate part, min(gas cost, keeperFloor))) with
    allowance = min(insurance, max(keeperFloor − charged, 0)).

    :param rate_part: Σ ⌊rewardRate·closed notional⌋.
    :param gas_cost: gasUnits·basefee·price of the gas token + l1Fee.
    """
    allowance = min(insurance, max(keeper_floor - charged_, 0))
    return min(charged_ + allowance, cap, max(rate_part, min(gas_cost, keeper_floor)))


def discount(elapsed: int, duration: int, max_ppm: int) -> int:
    """Reverse Dutch discount, ppm, rising from 0 to `max_ppm` over `duration` seconds, rounded down."""
    return max_ppm if elapsed >= duration else max_ppm * elapsed // duration


def sale_value(gap: int, discount_ppm: int, weight_initial_ppm: int) -> int:
    """y = ⌈gap/(1 − δ − w^I)⌉: value of collateral, at P, whose sale makes debt ≤ C^I; `EVERYTHING` when none does.

    :param gap: debt − C^I, > 0.
    """
    taken = discount_ppm + weight_initial_ppm
    return EVERYTHING if taken >= PPM else mul_div_up(gap, PPM, PPM - taken)


def sale_price(amount: int, decimals: int, price: int, discount_ppm: int) -> int:
    """⌈amount·P·(1 − δ)⌉: what a buyer pays for `amount` native units of a token with so many `decimals`."""
    return mul_div_up(amount * (PPM - discount_ppm), price, PPM * 10**decimals)
