"""Small numbers and the places where a formula branches: cases in which a change of one is seen.

Random cases hardly ever hit such a place exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any

from tests.mutants.calls import Call, call, words

from plimsoll import units
from plimsoll.model import funding, interest, liquidation, margin, oracle, pool, pricing, side
from plimsoll.units import ONE, PPM, WAD

__all__ = ["edges"]

NONE, TWO, THREE = (0,), (0, 1, 2), (0, 1, 2, 3)
SOME, BOTH = (1, 2, 3), (-3, -2, -1, 0, 1, 2, 3)
LARGE = 10**26
RAY = 10**27
MOST = 2**128 - 1

Grid = tuple[str, Callable[..., Any], tuple[Sequence[int], ...]]
"""Signature, its mirror, and the values of each parameter: every combination is a case."""

FIXED: tuple[Grid, ...] = (
    ("mulDivDown(uint256,uint256,uint256)", units.mul_div_down, (THREE, THREE, SOME)),
    ("mulDivUp(uint256,uint256,uint256)", units.mul_div_up, (THREE, THREE, SOME)),
    ("mulDivFloor(int256,uint256,uint256)", units.mul_div_floor, (BOTH, THREE, SOME)),
    ("mulDivCeil(int256,uint256,uint256)", units.mul_div_ceil, (BOTH, THREE, SOME)),
    ("divUp(uint256,uint256)", units.div_up, (THREE, SOME)),
    ("divFloor(int256,uint256)", units.div_floor, (BOTH, SOME)),
    ("divCeil(int256,uint256)", units.div_ceil, (BOTH, SOME)),
    ("abs(int256)", abs, (BOTH,)),
    ("min(uint256,uint256)", min, (THREE, THREE)),
    ("max(uint256,uint256)", max, (THREE, THREE)),
    ("positivePart(int256)", units.positive_part, (BOTH,)),
)
FUNDING: tuple[Grid, ...] = (
    (
        "drift(int256,int256,uint256,uint256,uint256,uint256)",
        funding.drift,
        ((-1, 0, 1, 2), BOTH, (1, 2, 4), (0, 5), (0, 1, 7), (0, 1, PPM // 2, PPM)),
    ),
    ("integrate(int256,int256,int256,uint256)", funding.integrate, (BOTH, BOTH, BOTH, (0, 1, 2, 5))),
    ("indexGrowth(int256,uint256)", funding.index_growth, (BOTH, (0, 1, WAD, 2 * WAD))),
)
PRICING: tuple[Grid, ...] = (
    ("factor(int256,int256,uint256)", pricing.factor, (BOTH, BOTH, SOME)),
    ("fillPrice(uint256,int256,int256,uint256)", pricing.fill_price, ((0, 1, 5, LARGE), BOTH, BOTH, SOME)),
    (
        "fillCost(uint256,uint256,int256,int256,uint256)",
        pricing.fill_cost,
        ((1, LARGE), (1, LARGE), (-1, 0, 1), (-1, 0, 1), (2, 3)),
    ),
    ("premium(uint256,int256,uint256)", pricing.premium, ((0, 1, LARGE), BOTH, SOME)),
    (
        "fee(uint256,int256,int256,uint256,uint256)",
        pricing.fee,
        ((1, LARGE), BOTH, BOTH, (0, 1, 60_000), (0, 2, 65_535)),
    ),
)
SIDE: tuple[Grid, ...] = (
    (
        "deleverageFraction(uint256,uint256,uint256,uint256,bool)",
        side.deleverage_fraction,
        (SOME, SOME, THREE, SOME, (0, 1)),
    ),
    ("scaleAfter(uint256,uint256)", side.scale_after, ((1, 2, ONE - 1, ONE), (0, 1, ONE - 1, ONE))),
    ("sizeOf(uint256,uint256)", side.size_of, (THREE, (1, ONE // 2, ONE - 1, ONE))),
    ("sharesFor(uint256,uint256)", side.shares_for, (THREE, (1, ONE // 2, ONE - 1, ONE))),
)
MARGIN: tuple[Grid, ...] = (
    (
        "volatilityFactor(uint256,uint256,uint256)",
        margin.volatility_factor,
        ((0, 1, 2, 3, 4, 5, 9, 10), THREE, (0, WAD, WAD + 1, 5 * WAD)),
    ),
    ("weightedProfit(int256,uint256)", margin.weighted_profit, (BOTH, (0, 1, PPM // 2, PPM - 1, PPM))),
    ("scaledRatio(uint256,uint256)", margin.scaled_ratio, ((0, 1, WAD - 1, WAD, WAD + 1), (WAD, WAD + 1, 2 * WAD))),
)
INTEREST: tuple[Grid, ...] = (
    ("utilisation(uint256,int256)", interest.utilisation, (THREE, BOTH)),
    ("rate(uint256,uint256,uint256,uint256,uint256)", interest.rate, ((0, 1, WAD), TWO, TWO, TWO, (0, 1, PPM))),
    ("indexAfter(uint256,uint256,uint256)", interest.index_after, ((WAD, WAD + 1), TWO, TWO)),
)
LIQUIDATION: tuple[Grid, ...] = (
    ("partHelps(int256,uint256,uint256,uint256)", liquidation.part_helps, (BOTH, THREE, SOME, SOME)),
    ("charged(uint256,uint256,int256)", liquidation.charged, (THREE, THREE, BOTH)),
    ("reward(uint256,uint256,uint256,uint256,uint256,uint256)", liquidation.reward, (TWO, TWO, TWO, TWO, TWO, TWO)),
    ("discount(uint256,uint256,uint256)", liquidation.discount, (THREE, THREE, (0, 1, 7, PPM))),
    ("saleValue(uint256,uint256,uint256)", liquidation.sale_value, (SOME, (0, 1, PPM // 2), (0, 1, PPM // 2, PPM))),
    *(
        ("leastClose(uint256,uint256,uint256,uint256,uint256,uint256,uint256)", liquidation.least_close, row)
        for row in (
            # closing all would pay the shortfall exactly, rounded down
            ((WAD // 2,), (37 * WAD,), (18, 19), (1,), (0, 1), NONE, (WAD,)),
            # the square root meets zero, or a square
            ((WAD // 2,), (WAD * WAD,), (125_274_669_209_642_794,), NONE, (1,), (2,), (WAD,)),
            ((9_773_352_056_787_238_864,), (68 * WAD,), (12_274,), NONE, (1,), NONE, (2 * WAD,)),
            ((24_250 * WAD // 1000,), (10**25,), (488_213_132_530,), (1,), (83,), (1,), (WAD,)),
            ((WAD // 2,), (10**25,), (4_541_458,), (1,), (5,), (3,), (11 * WAD // 10,)),
        )
    ),
)
SHARES = (1, 2, 1999, 2000)
POOL: tuple[Grid, ...] = (
    ("sharesDown(uint256,uint256,uint256)", pool.shares_down, ((0, 1, WAD), SHARES, SHARES)),
    ("assetsDown(uint256,uint256,uint256)", pool.assets_down, ((0, 1, WAD), SHARES, SHARES)),
    ("sharesUp(uint256,uint256,uint256)", pool.shares_up, ((0, 1, WAD), SHARES, SHARES)),
    (
        "minted(uint256,int256,uint256,uint256,uint256)",
        pool.minted,
        (
            (WAD, 3 * WAD),
            (-1, 0, 1, 2, WAD),
            (1, 2, WAD - 1, WAD),
            (0, 1, 2, WAD, WAD + 1),
            (19_999, 20_000, 20_001, WAD),
        ),
    ),
    (
        "minted(uint256,int256,uint256,uint256,uint256)",
        pool.minted,
        ((WAD - 1, WAD, WAD + 1), (MOST - WAD,), (MOST - WAD,), (0, WAD), (WAD - 1,)),
    ),
    ("redeemed(uint256,int256,uint256,uint256,uint256)", pool.redeemed, (SOME, (-1, 0, 1, 2, 3), THREE, THREE, (1, 2))),
    (
        "redeemed(uint256,int256,uint256,uint256,uint256)",
        pool.redeemed,
        (
            (10**27, 2 * 10**27),
            (10**27, 2 * 10**27),
            (10**27, 2 * 10**27),
            (1, 10**27 - 1, 10**27, 2 * 10**27 - 1),
            (1,),
        ),
    ),
    (
        "pay(uint256,uint128,uint64,uint64,uint256,uint256)",
        lambda p, s, r, c, burnt, paid: _paid(pool.Queue(p, s, r, c), burnt, paid),
        ((10**27, 2 * 10**27 + 1, 3 * 10**27, 10**54), (3, 4), (1, 2), (0, 1), THREE, TWO),
    ),
    (
        "waitingOf(uint256,uint256,uint64,uint64,uint256,uint64,uint64)",
        lambda s, mp, mr, mc, p, r, c: pool.waiting_of(s, pool.Mark(mp, 0, mr, mc), pool.Queue(p, 0, r, c)),
        ((10**28,), (10**54,), (1, 2), THREE, (10**27, 10**54 - 1), (1, 2), (0, 1, 2, 3, 4)),
    ),
    ("emptyQueue()", lambda: (pool.QUEUE_ONE, 0, 1, 0), ()),
)
EMA: tuple[Grid, ...] = (
    ("oneMinusExp(uint256,uint256)", oracle.one_minus_exp, ((0, 1, 2, 3, 100, 2**32 - 1), (*range(1, 60), 2**17 - 1))),
    ("foldEma(uint256,uint256,uint256)", oracle.fold_ema, (THREE, THREE, (0, 1, WAD // 2, WAD - 1))),
    ("squaredReturn(uint256,uint256)", oracle.squared_return, ((0, 1, 2, 3, 4, WAD, 2 * WAD), (1, 2, 3, WAD, 10**10))),
    (
        "foldVariance(uint256,uint256,uint256,uint256)",
        oracle.fold_variance,
        ((0, 1, oracle.MAX_VARIANCE - 1, oracle.MAX_VARIANCE), (0, 1, WAD), (0, 1, WAD - 1), TWO),
    ),
    ("boundPpm(uint256,uint256,uint256,uint256)", oracle.bound_ppm, ((0, 1, 3599, 3600, 3601), TWO, TWO, (0, 2, 9))),
)
GRIDS: dict[str, tuple[Grid, ...]] = {
    "FixedMath": FIXED,
    "FundingMath": FUNDING,
    "PricingMath": PRICING,
    "SideMath": SIDE,
    "MarginMath": MARGIN,
    "InterestMath": INTEREST,
    "LiquidationMath": LIQUIDATION,
    "PoolMath": POOL,
    "EmaMath": EMA,
}


def edges(library: str) -> Iterator[list[Call]]:
    """The cases of a library, by function."""
    for signature, mirror, values in GRIDS.get(library, ()):
        found = []
        for args in product(*values):
            answer = mirror(*args)
            found.append(Call(call(signature, *args), words(*(answer if isinstance(answer, tuple) else (answer,)))))
        yield found


def _paid(queue: pool.Queue, burnt: int, paid: int) -> tuple[int, ...]:
    following, growth = pool.pay(queue, burnt, paid)
    return following.product, following.shares, following.round, following.scale, growth
