"""The search for accounts that may be below their line: fast, in floats, and never missing one.

An account is one of three kinds. Without position and debt it cannot be below. With one position and nothing else it
is found by its threshold (`thresholds`). Any other has a *radius*: how far the prices of its cells may move against it,
as a part of what they were when the radius was measured, before its valuation can be negative; only accounts whose
radius is used up are valued. `anchor` measures all radii anew.

All valuations are lowered by the margin of error (`cells`), so what is not found is healthy; what is found is to be
confirmed in exact integers.

**Radius.** Let B ≥ 0 be the valuation at prices (X₀, R₀), U = |X₀| + R₀ of a cell, θ its largest demand per size. From
(X₀, R₀) to (X, R) a leg of the cell loses |size|·(∓ΔX) + demand·ΔR (− for longs), with demand between 0 and θ·|size|:
at most |size|·U·d with d = max(0, ∓ΔX, ∓ΔX + θ·ΔR)/U. All legs together lose at most D·max d with D = Σ |size|·U, and
as long as that is less than B the valuation stays positive: the radius is B/D. It is kept a little smaller than it is,
which covers the rounding of B, D and d.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from plimsoll.keeper.book.cells import EPSILON, TINY, Cells, Prices
from plimsoll.keeper.book.columns import COLLATERAL, DEBT, NONE, Floats, Index
from plimsoll.keeper.book.exact import draft_of
from plimsoll.keeper.book.legs import HOPELESS, account_cash, make_legs
from plimsoll.keeper.book.mirror import Mirror
from plimsoll.keeper.book.observations import Observations
from plimsoll.keeper.book.thresholds import Thresholds
from plimsoll.model.engine.draft import Draft

__all__ = ["Search", "Standing"]

CROWD = 30_000
"""So many accounts with a used-up radius make it cheaper to measure all anew."""
BATCH = 1 << 17
"""Accounts made anew at once, which bounds the memory that takes."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How accounts stand at one set of prices, approximately.

    :param rows: accounts with a position or a debt.
    :param equity: settlement units, as `required`.
    :param distance: how far all prices of the account may move against it until it is at its line, as a part of them;
        negative below the line.
    """

    rows: Index
    equity: Floats
    required: Floats
    distance: Floats


class Search:
    """Finds candidates in a mirror. Follows its changes by itself."""

    def __init__(self, mirror: Mirror) -> None:
        self.mirror = mirror
        self.cells = Cells(mirror)
        self.thresholds: dict[int, Thresholds] = {}
        self._anchor: Prices | None = None
        self._unit: Floats = np.empty(0)
        self._steep: Floats = np.empty(0)
        self.suspects = 0
        """Accounts that the last search valued because their radius was used up."""
        self.drift = 0.0
        """Largest move of a cell against its holders since radii were measured, as a part of its price."""

    # ── searching ──────────────────────────────────────────────────────────

    def candidates(self, observations: Observations, draft: Draft | None = None) -> Index:
        """Rows of all accounts that may be below their line, ascending: every one that is, and hardly any other.

        :param draft: of `draft_of` for the same observations, if there is one already.
        """
        prices = self.follow(observations, draft)
        found = [
            threshold.below(float(prices.x[cell]), float(prices.r[cell])) for cell, threshold in self.thresholds.items()
        ]
        found.append(self._used_up(prices))
        return np.sort(np.concatenate(found))

    def follow(self, observations: Observations, draft: Draft | None = None) -> Prices:
        """Takes in what changed in the mirror; gives the prices of all cells."""
        mirror = self.mirror
        prices, cells, pools = self.cells.update(draft if draft is not None else draft_of(mirror, observations))
        anchor = self._anchor
        other = anchor is None or len(anchor.x) != len(prices.x) or bool((anchor.blind != prices.blind).any())
        if other:
            self._set_anchor(prices)
        rows = self._changed(cells, pools)
        for start in range(0, len(rows), BATCH):
            self._make(rows[start : start + BATCH])
        if other:
            self._measure(prices)
        return prices

    def anchor(self, observations: Observations) -> None:
        """Measures all radii at the present prices. The search does it by itself when it must; done between blocks, it
        takes no time from them."""
        self._measure(self.follow(observations))

    def _changed(self, cells: list[int], pools: list[int]) -> Index:
        """Rows to be made anew."""
        mirror = self.mirror
        accounts, legs = mirror.accounts, mirror.legs
        if mirror.fresh:
            mirror.fresh = False
            mirror.changed.clear()
            return np.arange(accounts.count)
        rows = np.fromiter(mirror.changed, np.intp, len(mirror.changed))
        mirror.changed.clear()
        parts = [rows]
        if cells:
            of = np.isin(legs.cell[: legs.count], cells) & (legs.fixed[: legs.count] != 0)
            parts.append(legs.account[: legs.count][of].astype(np.intp))
        if pools:
            parts.append(np.flatnonzero(np.isin(accounts.pool[: accounts.count], pools)))
        # Legs that had no cell when they were made, because their market or token was not known.
        if len(parts) > 1:
            lost = legs.fixed[: legs.count] == HOPELESS
            parts.append(legs.account[: legs.count][lost].astype(np.intp))
            rows = np.concatenate(parts)
        return np.unique(rows)

    def standing(self, observations: Observations) -> Standing:
        """How every exposed account stands, approximately; looks at all of them."""
        prices = self.follow(observations)
        accounts, legs = self.mirror.accounts, self.mirror.legs
        count, used = accounts.count, legs.count
        cell, owner = legs.cell[:used], legs.account[:used]
        seen = ~prices.blind[cell]
        worth = legs.size[:used] * prices.x[cell]
        demand = legs.demand[:used] * prices.r[cell]
        required = _sums(owner, demand, count)
        equity = accounts.base[:count] + _sums(owner, worth + legs.fixed[:used], count)
        slope = _sums(owner, np.abs(worth - demand), count)
        hidden = _sums(owner, ~seen & (legs.size[:used] != 0), count) > 0
        exposed = (accounts.cell[:count] != NONE) | (accounts.radius[:count] < np.inf)
        rows = np.flatnonzero(exposed & ~hidden & (equity > HOPELESS / 2))
        # The keeper floor was taken off wherever there is a position; it is a requirement, and only of an open one.
        # A free leg has nothing fixed.
        position = (legs.code[:used] < COLLATERAL) & (legs.fixed[:used] != 0)
        floor = self.cells.floor[accounts.pool[rows]]
        trades, asked = _sums(owner, position, count)[rows] > 0, required[rows] > 0
        margin = equity[rows] - required[rows] + np.where(trades & ~asked, floor, 0.0)
        distance = margin / np.maximum(slope[rows], 1e-30)
        equity = equity[rows] + np.where(trades, floor, 0.0)
        required = required[rows] + np.where(asked, floor, 0.0)
        return Standing(rows, equity, required, distance)

    # ── accounts with a radius ─────────────────────────────────────────────

    def _used_up(self, prices: Prices) -> Index:
        accounts = self.mirror.accounts
        drift = self._drift(prices)
        radius = accounts.radius[: accounts.count]
        self.drift = most = float(drift.max(initial=0.0))
        rows = np.flatnonzero(radius <= np.float32(most))
        if not len(rows):
            self.suspects = 0
            return rows
        # An account is safe from cells that it has nothing in: ask again, cell by cell, the fastest first.
        radius, mask = radius[rows], accounts.mask[rows]
        used = radius < 0
        level, least = most, most / 64
        while level > 0:
            low = level / 2 if level > least else -1.0
            group = np.flatnonzero((drift <= level) & (drift > low)).astype(np.uint64)
            bits = np.bitwise_or.reduce(np.uint64(1) << group % np.uint64(64))
            used |= (radius <= np.float32(level)) & (mask & bits != 0)
            level = float(drift[drift <= low].max(initial=0.0))
        rows = rows[used]
        self.suspects = len(rows)
        if len(rows) > CROWD:
            values = self._measure(prices)
            return np.flatnonzero((values < 0) & (accounts.radius[: accounts.count] < 0))
        return rows[self._values(rows, prices) < 0]

    def _drift(self, prices: Prices) -> Floats:
        anchor = self._anchor
        assert anchor is not None
        loss = self.cells.sign * (anchor.x - prices.x)
        return np.maximum(0.0, np.maximum(loss, loss + self._steep * (prices.r - anchor.r))) / self._unit

    def _values(self, rows: Index, prices: Prices) -> Floats:
        """Valuations of accounts."""
        legs, base = self.mirror.legs, self.mirror.accounts.base
        places, of = legs.chains(self.mirror.accounts, rows)
        cell = legs.cell[of]
        worth = legs.fixed[of] + legs.size[of] * prices.x[cell] - legs.demand[of] * prices.r[cell]
        return base[rows] + _sums(places, worth, len(rows))

    def _measure(self, prices: Prices) -> Floats:
        """Measures the radii of all accounts that have one; gives the valuations of all accounts."""
        self._set_anchor(prices)
        accounts, legs = self.mirror.accounts, self.mirror.legs
        count, used = accounts.count, legs.count
        cell, owner, size = legs.cell[:used], legs.account[:used], legs.size[:used]
        worth = prices.x[cell]
        worth *= size
        demand = prices.r[cell]
        demand *= legs.demand[:used]
        worth -= demand
        worth += legs.fixed[:used]
        values = _sums(owner, worth, count)
        values += accounts.base[:count]
        reach = self._unit[cell]
        reach *= size
        np.abs(reach, out=reach)
        radius = accounts.radius[:count]
        measured = radius < np.inf
        np.copyto(radius, _radius(values, _sums(owner, reach, count)), where=measured)
        return values

    def _set_anchor(self, prices: Prices) -> None:
        self._anchor = prices
        self._unit = np.abs(prices.x) + prices.r + 1e-30
        steep = np.zeros(len(prices.x))
        steep[: len(self._steep)] = self._steep
        self._steep = steep
        for cell in range(len(self.thresholds), len(steep)):
            self.thresholds[cell] = Thresholds(float(self.cells.sign[cell]))

    # ── making anew ────────────────────────────────────────────────────────

    def _make(self, rows: Index) -> None:
        """Makes legs and accounts anew: floats, kind, threshold or radius at the anchor."""
        mirror, anchor = self.mirror, self._anchor
        assert anchor is not None
        accounts, legs, many = mirror.accounts, mirror.legs, len(rows)
        places, of = legs.chains(accounts, rows)
        make_legs(mirror, self.cells, of)
        code, size, cell, demand = legs.code[of], np.abs(legs.size[of]), legs.cell[of], legs.demand[of]
        some = size > 0
        np.maximum.at(self._steep, cell[some], demand[some] / size[some])
        position = code < COLLATERAL
        number = np.bincount(places, minlength=many)
        trades = _sums(places, position, many) > 0
        cash, owes, told = account_cash(accounts.words[rows])
        base = np.where(owes, 0.0, cash * (1 - EPSILON)) - TINY
        floor = self.cells.floor[accounts.pool[rows]]
        base[trades] -= floor[trades]
        # What an account says that it holds is not what is there, or its pool is not known: rows are missing.
        bit = np.where(position, code, np.minimum(code - COLLATERAL, DEBT - COLLATERAL) + 32)
        held = _sums(places, np.where(code < DEBT, np.exp2(bit), 0.0), many)
        odd = (held != told.astype(np.float64)) | (np.isnan(floor) & (trades | owes))
        base[odd] = HOPELESS
        accounts.base[rows] = base
        worth = legs.fixed[of] + legs.size[of] * anchor.x[cell] - demand * anchor.r[cell]
        values = base + _sums(places, worth, many)
        reach = _sums(places, size * self._unit[cell], many)
        # An account with one leg has it first.
        alone = trades & (number == 1) & ~odd
        only = accounts.first[rows]
        alone[alone] = (legs.size[only[alone]] != 0) & (legs.fixed[only[alone]] > HOPELESS)
        self._put_thresholds(rows, np.where(alone, legs.cell[only], NONE), only)
        radius = _radius(values, reach)
        radius[~(trades | owes | odd) | alone] = np.inf
        accounts.radius[rows] = radius
        mask = np.zeros(many, np.uint64)
        np.bitwise_or.at(mask, places, np.uint64(1) << (cell % 64).astype(np.uint64))
        accounts.mask[rows] = mask

    def _put_thresholds(self, rows: Index, cells: npt.NDArray[np.int32], only: npt.NDArray[np.int32]) -> None:
        """Moves accounts to the thresholds of their cell, or away from any (`NONE`)."""
        accounts, legs = self.mirror.accounts, self.mirror.legs
        before = accounts.cell[rows]
        for cell in np.unique(before[(before != cells) & (before != NONE)]).tolist():
            gone = rows[(before == cell) & (cells != cell)]
            self.thresholds[cell].drop(accounts.place[gone])
            accounts.cell[gone] = NONE
        for cell in np.unique(cells[cells != NONE]).tolist():
            here = cells == cell
            leg, threshold = only[here], self.thresholds[cell]
            size = np.abs(legs.size[leg])
            key, ratio = (accounts.base[rows[here]] + legs.fixed[leg]) / size, legs.demand[leg] / size
            stays = before[here] == cell
            threshold.change(accounts.place[rows[here][stays]], key[stays], ratio[stays])
            new = rows[here][~stays]
            accounts.place[new] = threshold.put(new, key[~stays], ratio[~stays])
            accounts.cell[new] = cell

    def memory(self) -> int:
        """Bytes that the columns take."""
        mirror = self.mirror
        return mirror.accounts.memory() + mirror.legs.memory() + sum(one.memory() for one in self.thresholds.values())


def _sums(places: npt.NDArray[np.integer[Any]], parts: npt.NDArray[Any], count: int) -> Floats:
    """Sums of parts by place."""
    return np.bincount(places, parts, count).astype(np.float64, copy=False)


def _radius(values: Floats, reach: Floats) -> npt.NDArray[np.float32]:
    """Radii of valuations: −1 for what is below the line already."""
    radius = values / np.maximum(reach, 1e-30) * (1 - 1e-6) - 1e-9
    return np.where(values < 0, np.float32(-1), np.clip(radius, 0, 1e30).astype(np.float32))
