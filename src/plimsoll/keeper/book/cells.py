"""Prices for the search: what a unit of each kind of leg is worth now, and what it demands.

A *cell* is a kind of leg whose units are all worth the same: a side of a market, a collateral token of a pool, the debt
of a pool. Legs of a cell are of one sign. In a cell a leg is worth `fixed + size·X − demand·R`:

* side of a market: X = P − F with funding to this moment, R = P. While the price is invalid, P is the bound that
  favours the account and R = 0. A settled market has its final price.
* collateral: X = its price, R = 0. Debt: X = the borrow index to this moment, R = 0.

**Margin of error.** Each leg is valued a little worse than it is: X is moved against its holder by ε of the magnitudes
that it was made from, R is raised by ε of itself, and `legs` and `search` do the same with what they write, with
ε = 2⁻⁴⁰. Let u = 2⁻⁵³. Every number here and there is made of exact integers by at most a dozen operations (conversion,
scaling, product, sum of two), each of relative error ≤ u of the magnitudes that go into it, so it is within 16·u of the
sum of the magnitudes of its parts. A valuation adds three terms for each of at most 32 + 16 + 1 legs and two for the
account, by at most 150 additions, which err by at most 150·u of the sum of the magnitudes. In all the valuation is
within 200·u < ε/40 of the sum over all parts of their magnitudes, while it is moved down by at least ε of this sum.
What the contracts round is less. Per leg: 1 wei of profit, 1 wei of requirement or 1 wei of collateral or debt, and
1e-24 of unit value per share, which is 1e-11 with the most shares that a word holds; the absolute margin of 1e-9 for
each leg and each account covers them. The slope's part of a ratio is rounded up by at most 1e-18, which `legs` adds.
So a valuation that is not negative proves that the account is not below its line.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from plimsoll.keeper.book.columns import COLLATERAL, DEBT, NONE, Floats
from plimsoll.keeper.book.mirror import Mirror
from plimsoll.model.engine.books import MarketBook, SideBook, load_market, load_pool
from plimsoll.model.engine.draft import Draft
from plimsoll.model.oracle import PriceFlags
from plimsoll.model.oracle_words import Spot, Trend
from plimsoll.units import PPM, WAD, mul_div_up

__all__ = ["EPSILON", "TINY", "Cells", "Prices"]

EPSILON = 2.0**-40
"""Relative margin of error."""
TINY = 1e-9
"""Absolute margin of error of each leg and each account, settlement units."""
INVALID = int(PriceFlags.INVALID)
FAR = 1e30
"""X of a leg whose asset was not observed: nobody can liquidate its holder."""
CODES = DEBT + 1
Name: TypeAlias = tuple[int, int, int]
"""Pool, code of the leg, and 1 for shorts."""
Shape: TypeAlias = tuple[float, float, float, float, int, int]
"""What legs of a cell are made with: scale A, offset C (settlement units), base and slope of the ratio, epoch; or
weight per unit of balance. And the number of the side's events."""


@dataclass(slots=True)
class Prices:
    """X and R of each cell, both moved by the margin of error; which cells were not observed."""

    x: Floats
    r: Floats
    blind: npt.NDArray[np.bool_]


@dataclass(slots=True)
class Cells:
    """The cells of a deployment. `sign` is 1 where legs gain when X rises, −1 where they lose."""

    mirror: Mirror
    names: list[Name] = field(default_factory=list)
    shapes: list[Shape | None] = field(default_factory=list)
    """How the legs were made that are there now; None: there are none yet."""
    sign: Floats = field(default_factory=lambda: np.empty(0))
    floor: Floats = field(default_factory=lambda: np.full(1 << 16, np.nan))
    """Keeper floor by pool, settlement units, rounded up; not a number for a pool that is not known."""
    _numbers: dict[Name, int] = field(default_factory=dict)
    _pools: npt.NDArray[np.int32] = field(default_factory=lambda: np.full(1 << 16, NONE, np.int32))
    _lookup: npt.NDArray[np.int32] = field(default_factory=lambda: np.full((0, CODES, 2), NONE, np.int32))

    def number(
        self, pool: npt.NDArray[np.uint16], code: npt.NDArray[np.int16], short: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.int32]:
        """Cells of legs; `NONE` where there is no such cell."""
        if not len(self._lookup):
            return np.full(len(pool), NONE, np.int32)
        place = self._pools[pool]
        found = self._lookup[place, code, short.astype(np.intp)]
        return np.where(place == NONE, np.int32(NONE), found)

    def update(self, draft: Draft) -> tuple[Prices, list[int], list[int]]:
        """Prices at the draft's time and observations; cells and pools whose legs and accounts are to be made anew."""
        self._learn()
        changed: list[int] = []
        x, r = np.zeros(len(self.names)), np.zeros(len(self.names))
        blind = np.zeros(len(self.names), bool)
        for cell, worth, demand, shape in self._values(draft):
            if worth is None:
                x[cell], blind[cell] = self.sign[cell] * FAR, True
            else:
                x[cell], r[cell] = worth, demand
            if shape != self.shapes[cell]:
                self.shapes[cell] = shape
                changed.append(cell)
        return Prices(x, r, blind), changed, self._changed_pools()

    def _changed_pools(self) -> list[int]:
        changed = []
        for pool, terms in self.mirror.pool_terms.items():
            floor = terms.risk.keeper_floor / WAD * (1 + EPSILON)
            if self.floor[pool] != floor:
                self.floor[pool] = floor
                changed.append(pool)
        return changed

    def _learn(self) -> None:
        """Takes in markets, collateral and pools that are new."""
        mirror = self.mirror
        for pool in mirror.pools:
            if pool in mirror.pool_terms:
                self._add((pool, DEBT, 1), -1.0)
        for market in mirror.market_terms:
            if market in mirror.markets:
                self._add((market >> 8, market & 0xFF, 0), 1.0)
                self._add((market >> 8, market & 0xFF, 1), -1.0)
        for pool, index in mirror.collaterals:
            self._add((pool, COLLATERAL + index, 0), 1.0)

    def _add(self, name: Name, sign: float) -> None:
        if name in self._numbers:
            return
        pool, code, short = name
        if self._pools[pool] == NONE:
            self._pools[pool] = len(self._lookup)
            self._lookup = np.concatenate([self._lookup, np.full((1, CODES, 2), NONE, np.int32)])
        self._numbers[name] = self._lookup[self._pools[pool], code, short] = len(self.names)
        self.names.append(name)
        self.shapes.append(None)
        self.sign = np.append(self.sign, sign)

    def _values(self, draft: Draft) -> Iterator[tuple[int, float | None, float, Shape]]:
        """X (None: not observed), R and shape of each cell."""
        mirror, numbers = self.mirror, self._numbers
        seen: dict[int, tuple[Spot, Trend]] = draft.prices
        for (pool, code, short), cell in numbers.items():
            if code == DEBT:
                index = load_pool(draft, pool).borrow_index / WAD
                yield cell, index * (1 + EPSILON), 0.0, (1.0, 0.0, 0.0, 0.0, 0, 0)
            elif code >= COLLATERAL:
                terms = mirror.collaterals[pool, code - COLLATERAL].terms
                weight = terms.weight_maintenance_ppm / (PPM * 10**terms.decimals)
                answer = seen.get(terms.asset)
                worth = None if answer is None else _bounded(*answer, True) / WAD * (1 - EPSILON)
                yield cell, worth, 0.0, (weight, 0.0, 0.0, 0.0, 0, 0)
            else:
                market = load_market(draft, pool << 8 | code)
                side = market.short if short else market.long
                yield cell, *_market_prices(market, seen, bool(short)), _shape(market, side)


def _market_prices(m: MarketBook, seen: dict[int, tuple[Spot, Trend]], short: bool) -> tuple[float | None, float]:
    price = demanded = m.price
    if not m.settled:
        answer = seen.get(m.terms.margin.asset)
        if answer is None:
            return None, 0.0
        price = _bounded(*answer, not short)
        demanded = 0 if answer[0].flags & INVALID else price
    margin = EPSILON * (price + abs(m.index)) / WAD
    worth = (price - m.index) / WAD
    return worth + margin if short else worth - margin, demanded / WAD * (1 + EPSILON)


def _bounded(spot: Spot, trend: Trend, long: bool) -> int:
    """The price of a valuation, for something the account is long of, or short of."""
    if not spot.flags & INVALID:
        return spot.price
    bound = trend.bound_ppm
    return mul_div_up(spot.price, PPM + bound, PPM) if long else spot.price * (PPM - bound) // PPM


def _shape(m: MarketBook, side: SideBook) -> Shape:
    terms = m.terms.margin
    ratio = (terms.mm_base_ppm + terms.penalty_ppm) / PPM
    return side.scale / 10**36, side.offset / 10**24, ratio, terms.mm_slope / WAD, side.epoch, side.events
