"""Prices for the search: what a unit of each kind of leg is worth now, and what it demands.

A *cell* is a kind of leg whose units are all worth the same: a side of a market, a collateral token of a pool, the debt
of a pool. Legs of a cell are of one sign. In a cell a leg is worth `fixed + size·X − demand·R`:

* side of a market: X = P − F with funding to this moment, R = P. While the price is invalid, P is the bound that
  favours the account and R = 0. A settled market has its final price.
* collateral: X = its price, R = 0. Debt: X = the borrow index to this moment, R = 0.

**Margin of error.** Each leg is valued a little worse than it is: X is moved against its holder by ε of the magnitudes
that it was made from, R is raised by ε of itself, and `legs` and `search` do the same with what they write, with
ε = 2⁻³⁴. Let u = 2⁻⁵³. Every number here and there is made of exact integers by at most a dozen operations (conversion,
scaling, product, sum of two), each of relative error ≤ u of the magnitudes that go into it, so it is within 16·u of the
sum of the magnitudes of its parts. A valuation adds three terms for each of at most 32 + 16 + 1 legs and two for the
account, by at most 150 additions, which err by at most 150·u of the sum of the magnitudes. In all the valuation is
within 200·u of the sum over all parts of their magnitudes, while it is moved down by at least ε = 2¹⁹·u of this sum
(half of which `search` needs for what it adds up over time).
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

from plimsoll.keeper.book.columns import COLLATERAL, DEBT, FREE, NONE, Floats
from plimsoll.keeper.book.mirror import Mirror
from plimsoll.model.config_words import MarginWord, MarketFlags
from plimsoll.model.engine.books import load_pool
from plimsoll.model.engine.draft import Draft
from plimsoll.model.engine.state import Event, Market, Side
from plimsoll.model.funding import drift, index_growth, integrate
from plimsoll.model.oracle import PriceFlags
from plimsoll.model.oracle_words import Spot, Trend
from plimsoll.model.side import size_of
from plimsoll.units import PPM, WAD, mul_div_up

__all__ = ["EPSILON", "TINY", "Cells", "Prices"]

EPSILON = 2.0**-34
"""Relative margin of error."""
TINY = 1e-9
"""Absolute margin of error of each leg and each account, settlement units."""
INVALID, SETTLED = int(PriceFlags.INVALID), int(MarketFlags.SETTLED)
NO_EVENT = Event()
FAR = 1e30
"""X of a leg whose asset was not observed: nobody can liquidate its holder."""
CODES = DEBT + 1
Name: TypeAlias = tuple[int, int, int]
"""Pool, code of the leg, and 1 for shorts."""
Shape: TypeAlias = tuple[float, float, float, float, int, int, int]
"""What legs of a cell are made with: scale A, offset C (settlement units), base and slope of the ratio, epoch; or
weight per unit of balance. Then the number of the side's events, and how often the market's events were written."""

OF_DEBT: Shape = (1.0, 0.0, 0.0, 0.0, 0, 0, 0)


@dataclass(slots=True)
class Prices:
    """X and R of each cell, both moved by the margin of error; which cells were not observed."""

    x: Floats
    r: Floats
    blind: npt.NDArray[np.bool_]


@dataclass(slots=True)
class Cells:
    """The cells of a deployment. `sign` is 1 where legs gain when X rises, −1 where they lose. Cell 0 is that of legs
    without one; nothing there has a price."""

    mirror: Mirror
    names: list[Name] = field(default_factory=lambda: [(0, FREE, 0)])
    shapes: list[Shape | None] = field(default_factory=lambda: [None])
    """How the legs were made that are there now; None: there are none yet."""
    sign: Floats = field(default_factory=lambda: np.ones(1))
    floor: Floats = field(default_factory=lambda: np.full(1 << 16, np.nan))
    """Keeper floor by pool, settlement units, rounded up; not a number for a pool that is not known."""
    _numbers: dict[Name, int] = field(default_factory=dict)
    _kept: dict[int, tuple[tuple[int, int, int, MarginWord], tuple[Shape, Shape]]] = field(default_factory=dict)
    """Shapes of both sides by market, and what they were made of."""
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
        mirror, seen = self.mirror, draft.prices
        for (pool, code, short), cell in self._numbers.items():
            if code == DEBT:
                index = load_pool(draft, pool).borrow_index / WAD
                yield cell, index * (1 + EPSILON), 0.0, OF_DEBT
            elif code >= COLLATERAL:
                terms = mirror.collaterals[pool, code - COLLATERAL].terms
                weight = terms.weight_maintenance_ppm / (PPM * 10**terms.decimals)
                answer = seen.get(terms.asset)
                worth = None if answer is None else _bounded(*answer, True) / WAD * (1 - EPSILON)
                yield cell, worth, 0.0, (weight, 0.0, 0.0, 0.0, 0, 0, 0)
            elif not short:
                # Both sides of a market at once.
                market = pool << 8 | code
                m, margin = mirror.markets[market], mirror.market_terms[market].margin
                long_shape, short_shape = self._shapes_of(market, m, margin)
                index = self._funding(market, m, draft.time, margin)
                settled, answer = bool(margin.flags & SETTLED), seen.get(margin.asset)
                yield cell, *_market_prices(m.price, settled, index, answer, False), long_shape
                yield self._numbers[pool, code, 1], *_market_prices(m.price, settled, index, answer, True), short_shape

    def _shapes_of(self, market: int, m: Market, margin: MarginWord) -> tuple[Shape, Shape]:
        known = self._kept.get(market)
        written = self.mirror.histories.get(market, 0)
        made = (m.long.events, m.short.events, written, margin)
        if known is not None and known[0] == made:
            return known[1]
        shapes = (
            _shape(self._event(market, True, m), margin, m.long, written),
            _shape(self._event(market, False, m), margin, m.short, written),
        )
        self._kept[market] = made, shapes
        return shapes

    def _event(self, market: int, long: bool, m: Market) -> Event:
        number = m.long.events if long else m.short.events
        return self.mirror.events[market, long, number] if number else NO_EVENT

    def _funding(self, market: int, m: Market, time: int, margin: MarginWord) -> int:
        """The funding index at a time, as `load_market` accrues it."""
        if time == m.time or margin.flags & SETTLED:
            return m.index
        t = self.mirror.market_terms[market].trade
        long = size_of(m.long.shares, self._event(market, True, m).scale)
        short = size_of(m.short.shares, self._event(market, False, m).scale)
        velocity, bound = drift(m.rate, long - short, t.skew_scale, t.r_max, t.v_max, t.dead_band_ppm)
        return m.index + index_growth(integrate(m.rate, velocity, bound, time - m.time)[1], m.price)


def _market_prices(
    stored: int, settled: bool, index: int, answer: tuple[Spot, Trend] | None, short: bool
) -> tuple[float | None, float]:
    price = demanded = stored
    if not settled:
        if answer is None:
            return None, 0.0
        price = demanded = answer[0].price
        if answer[0].flags & INVALID:
            price, demanded = _bounded(*answer, not short), 0
    margin = EPSILON * (price + abs(index)) / WAD
    worth = (price - index) / WAD
    return worth + margin if short else worth - margin, demanded / WAD * (1 + EPSILON)


def _bounded(spot: Spot, trend: Trend, long: bool) -> int:
    """The price of a valuation, for something the account is long of, or short of."""
    if not spot.flags & INVALID:
        return spot.price
    bound = trend.bound_ppm
    return mul_div_up(spot.price, PPM + bound, PPM) if long else spot.price * (PPM - bound) // PPM


def _shape(event: Event, margin: MarginWord, side: Side, written: int) -> Shape:
    ratio = (margin.mm_base_ppm + margin.penalty_ppm) / PPM
    return event.scale / 10**36, event.offset / 10**24, ratio, margin.mm_slope / WAD, event.epoch, side.events, written
