"""The search for accounts that may be below their line: fast, in floats, and never missing one.

An account is one of three kinds. Without position and debt it cannot be below. With one position and nothing else it
is found by its threshold (`thresholds`). Any other has a valuation at reference prices, one reference for each cell,
and a *radius*: how far the prices of its cells may move against it, as a part of themselves, before its valuation can
be negative. A cell whose price has moved moves its reference too, which changes the valuations of its members; what
little the others have moved since is compared with the radii, and only accounts whose radius is used up are valued.

All valuations are lowered by the margin of error (`cells`), so what is not found is healthy; what is found is to be
confirmed in exact integers.

**Radius.** Let B ≥ 0 be the valuation at the references (X₀, R₀), U > 0 a unit of a cell, θ its largest demand per
size. From (X₀, R₀) to (X, R) a leg of the cell loses |size|·(∓ΔX) + demand·ΔR (− for longs), with demand between 0
and θ·|size|: at most |size|·U·d with d = max(0, ∓ΔX, ∓ΔX + θ·ΔR)/U. All legs together lose at most D·max d with
D = Σ |size|·U (`reach`), and as long as that is less than B the valuation stays positive: the radius is B/D. U is
about the price that the cell had first; it is never changed.

**Moving references.** One pass adds size·ΔX − demand·ΔR to the valuation of each member: an error of at most 8·u of the
leg's magnitudes at both prices, and of u of the valuation. While prices stay between half and twice what they were when
all valuations were last made (`anchor`), magnitudes of any time are at most 4 times those of any other, and one search
errs by at most (8·2·4 + 49)·u < 2⁷·u of the sum of the magnitudes, so `MOST` = 2¹¹ searches err by 2¹⁸·u = ε/2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from plimsoll.keeper.book.cells import EPSILON, TINY, Cells, Prices
from plimsoll.keeper.book.columns import COLLATERAL, DEBT, NONE, Floats, Index
from plimsoll.keeper.book.exact import draft_of
from plimsoll.keeper.book.legs import HOPELESS, account_cash, make_legs
from plimsoll.keeper.book.members import Members, Several
from plimsoll.keeper.book.mirror import Mirror
from plimsoll.keeper.book.observations import Observations
from plimsoll.keeper.book.thresholds import Thresholds
from plimsoll.model.engine.draft import Draft

__all__ = ["Search", "Standing"]

Bools = npt.NDArray[np.bool_]
MOST = 1 << 11
"""Searches between two anchors."""
NEAR = 1e-4
"""A cell whose prices moved by more of themselves moves its reference."""
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

    def nearest(self, count: int) -> Index:
        """Places of so many accounts nearest to their line (or beyond it, or all), the first to go first."""
        if count >= len(self.rows):
            return np.argsort(self.distance, kind="stable")
        places = np.argpartition(self.distance, count)[:count]
        return places[np.argsort(self.distance[places], kind="stable")]

    def buckets(self, edges: Sequence[float]) -> list[int]:
        """How many accounts have an equity below these multiples of their requirement; each is counted once, at the
        lowest edge that it is below. Accounts without a requirement are at the lowest edge or at none."""
        ratio = np.where(self.required > 0, self.equity / np.maximum(self.required, 1e-30), np.sign(self.equity) * 1e30)
        counts = [0] * len(edges)
        below = np.searchsorted(np.sort(ratio), list(edges), side="left").tolist()
        for place, total in enumerate(below):
            counts[place] = total - (below[place - 1] if place else 0)
        return counts


class Search:
    """Finds candidates in a mirror. Follows its changes by itself."""

    def __init__(self, mirror: Mirror) -> None:
        self.mirror = mirror
        self.cells = Cells(mirror)
        self.thresholds: list[Thresholds] = []
        self.members: list[Members] = []
        self.several = Several()
        self._x: Floats = np.empty(0)
        self._r: Floats = np.empty(0)
        self._blind: npt.NDArray[np.bool_] = np.empty(0, bool)
        self._unit: Floats = np.empty(0)
        self._first: Floats = np.empty(0)
        self._steep: Floats = np.empty(0)
        self._searches = 0
        self._standing: tuple[Observations, int, Standing] | None = None
        self.suspects = 0
        """Accounts that the last search valued because their radius was used up."""

    # ── searching ──────────────────────────────────────────────────────────

    def candidates(self, observations: Observations, draft: Draft | None = None) -> Index:
        """Rows of all accounts that may be below their line, ascending: every one that is, and hardly any other.

        :param draft: of `draft_of` for the same observations, if there is one already.
        """
        prices = self.follow(observations, draft)
        found = [
            rows
            for threshold, x, r in zip(self.thresholds, prices.x.tolist(), prices.r.tolist(), strict=True)
            if len(rows := threshold.below(x, r))
        ]
        found.append(self._used_up(prices))
        return np.sort(np.concatenate(found))

    def follow(self, observations: Observations, draft: Draft | None = None) -> Prices:
        """Takes in what changed in the mirror; gives the prices of all cells."""
        mirror = self.mirror
        prices, cells, pools = self.cells.update(draft if draft is not None else draft_of(mirror, observations))
        other = len(self._x) != len(prices.x) or bool((self._blind != prices.blind).any())
        if other:
            self._refer(prices)
        rows = self._changed(cells, pools)
        for start in range(0, len(rows), BATCH):
            self._make(rows[start : start + BATCH])
        self._searches += 1
        if other or self._searches > MOST or self._far(prices):
            self._value_all(prices)
        return prices

    def shortfalls(self, rows: Index, observations: Observations) -> Floats:
        """About how much equity accounts lack, settlement units, a little too much rather than too little: to confirm
        the largest first when there are many."""
        return -self._values(rows, self.follow(observations))

    def anchor(self, observations: Observations) -> None:
        """Makes all valuations anew at the present prices. The search does it by itself when it must; done between
        blocks, it takes no time from them."""
        self._value_all(self.follow(observations))

    def _changed(self, cells: list[int], pools: list[int]) -> Index:
        """Rows to be made anew."""
        mirror = self.mirror
        accounts, legs = mirror.accounts, mirror.legs
        if mirror.fresh:
            mirror.fresh = False
            mirror.changed.clear()
            return np.arange(1, accounts.count)
        rows = np.fromiter(mirror.changed, np.intp, len(mirror.changed))
        mirror.changed.clear()
        if not cells and not pools:
            return rows
        owner, fixed = legs.account[: legs.count], legs.fixed[: legs.count]
        # Legs without a cell too: their market or token was not known when they were made.
        of = (np.isin(legs.cell[: legs.count], cells) & (fixed != 0)) | (fixed == HOPELESS)
        pool = np.flatnonzero(np.isin(accounts.pool[: accounts.count], pools))
        found: Index = np.unique(np.concatenate([rows, owner[of].astype(np.intp), pool[pool > 0]]))
        return found

    def standing(self, observations: Observations) -> Standing:
        """How every exposed account stands, approximately; looks at all of them, unless nothing has changed."""
        if self._standing is not None and self._standing[:2] == (observations, self.mirror.revision):
            return self._standing[2]
        prices = self.follow(observations)
        accounts, legs = self.mirror.accounts, self.mirror.legs
        count, used = accounts.count, legs.count
        cell, owner = legs.cell[:used], legs.account[:used].astype(np.intp)
        worth, demand = prices.x[cell], prices.r[cell]
        worth *= legs.size[:used]
        demand *= legs.demand[:used]
        required = _sums(owner, demand, count)
        net = worth - demand
        slope = _sums(owner, np.abs(net, out=net), count)
        worth += legs.fixed[:used]
        equity = _sums(owner, worth, count)
        equity += accounts.base[:count]
        exposed = (accounts.cell[:count] != NONE) | (accounts.slot[:count] != NONE)
        exposed &= equity > HOPELESS / 2
        if prices.blind.any():
            exposed[owner[prices.blind[cell] & (legs.size[:used] != 0)]] = False
        rows = np.flatnonzero(exposed)
        equity, required, trades = equity[rows], required[rows], accounts.trades[rows]
        # The keeper floor was taken off wherever there is a position; it is a requirement, and only of an open one.
        floor = np.where(trades, self.cells.floor[accounts.pool[rows]], 0.0)
        equity += floor
        required += np.where(required > 0, floor, 0.0)
        found = Standing(rows, equity, required, (equity - required) / np.maximum(slope[rows], 1e-30))
        self._standing = observations, self.mirror.revision, found
        return found

    # ── accounts with a radius ─────────────────────────────────────────────

    def _used_up(self, prices: Prices) -> Index:
        drift = self._drift(prices)
        far = np.abs(prices.x - self._x) > NEAR * self._unit
        # One of those that drift slowly, too: many of them must not add up to one slow search.
        slow = int(drift.argmax())
        far[slow] |= drift[slow] > NEAR / 16
        for cell in np.flatnonzero(far | (drift > NEAR)).tolist():
            x, r = float(prices.x[cell]), float(prices.r[cell])
            if self.members[cell].used:
                self.members[cell].shift(self.several, x - float(self._x[cell]), r - float(self._r[cell]))
            self._x[cell], self._r[cell], drift[cell] = x, r, 0.0
        rows = self.several.within(float(drift.max()) * (1 + 1e-9))
        self.suspects = len(rows)
        below: Index = rows[self._values(rows, prices) < 0]
        return below

    def _drift(self, prices: Prices) -> Floats:
        loss = self.cells.sign * (self._x - prices.x)
        return np.maximum(0.0, np.maximum(loss, loss + self._steep * (prices.r - self._r))) / self._unit

    def _values(self, rows: Index, prices: Prices) -> Floats:
        """Valuations of accounts."""
        legs, base = self.mirror.legs, self.mirror.accounts.base
        places, of = legs.chains(self.mirror.accounts, rows)
        cell = legs.cell[of]
        worth = legs.fixed[of] + legs.size[of] * prices.x[cell] - legs.demand[of] * prices.r[cell]
        return base[rows] + _sums(places, worth, len(rows))

    def _far(self, prices: Prices) -> bool:
        """Whether a price is not between half and twice what it was at the anchor."""
        now = np.abs(prices.x) + prices.r
        return bool(((now > 2 * self._first) | (2 * now < self._first)).any())

    def _refer(self, prices: Prices) -> None:
        """Takes the present prices as references, new cells included; valuations are to be made anew."""
        known, count = len(self.members), len(prices.x)
        self._x, self._r, self._blind = prices.x.copy(), prices.r.copy(), prices.blind
        self._first = np.abs(prices.x) + prices.r
        unit, steep = np.where(prices.blind, 1.0, np.maximum(self._first, 1e-18)), np.zeros(count)
        unit[:known], steep[:known] = self._unit, self._steep
        self._unit, self._steep = unit, steep
        for cell in range(known, count):
            self.thresholds.append(Thresholds(float(self.cells.sign[cell])))
            self.members.append(Members())

    def _value_all(self, prices: Prices) -> None:
        self._searches = 0
        self._refer(prices)
        self.several.radius[:] = self.several.still
        for members, x, r in zip(self.members, prices.x.tolist(), prices.r.tolist(), strict=True):
            members.shift(self.several, x, r)

    # ── making anew ────────────────────────────────────────────────────────

    def _make(self, rows: Index) -> None:
        """Makes legs and accounts anew: floats, kind, threshold or valuation at the references."""
        accounts, legs, many = self.mirror.accounts, self.mirror.legs, len(rows)
        for left, gone in legs.gone:
            self.members[left].drop(np.array([gone], np.int32))
        legs.gone.clear()
        places, of = legs.chains(accounts, rows)
        before = legs.cell[of]
        make_legs(self.mirror, self.cells, of)
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
        accounts.base[rows], accounts.trades[rows] = base, trades
        # An account with one leg has it first.
        alone = trades & (number == 1) & ~odd
        only = accounts.first[rows]
        alone[alone] = (legs.size[only[alone]] != 0) & (legs.fixed[only[alone]] > HOPELESS)
        several = (trades | owes | odd) & ~alone
        self._put_thresholds(rows, np.where(alone, legs.cell[only], NONE), only)
        reach = np.maximum(_sums(places, size * self._unit[cell], many), 1e-30)
        still = (base + _sums(places, legs.fixed[of], many)) / reach
        worth = legs.size[of] * self._x[cell] - demand * self._r[cell]
        self._put_several(rows, several, reach, still, still + _sums(places, worth, many) / reach)
        self._put_members(of, before, several[places], reach[places])

    def _put_several(self, rows: Index, several: Bools, reach: Floats, still: Floats, radius: Floats) -> None:
        """Gives accounts a slot, or takes it away."""
        slot = self.mirror.accounts.slot
        has = slot[rows] != NONE
        gone, new, old = rows[has & ~several], rows[several & ~has], several & has
        self.several.drop(slot[gone])
        slot[gone] = NONE
        self.several.change(slot[rows[old]], reach[old], still[old], radius[old])
        come = several & ~has
        slot[new] = self.several.put(new, reach[come], still[come], radius[come])

    def _put_thresholds(self, rows: Index, cells: npt.NDArray[np.int32], only: npt.NDArray[np.int32]) -> None:
        """Moves accounts to the thresholds of their cell, or away from any (`NONE`)."""
        accounts, legs = self.mirror.accounts, self.mirror.legs
        before = accounts.cell[rows]
        for cell in np.unique(before[(before != cells) & (before != NONE)]).tolist():
            gone = rows[(before == cell) & (cells != cell)]
            self.thresholds[cell].drop(accounts.place[gone])
            accounts.cell[gone] = NONE
        for cell in np.unique(cells[cells != NONE]).tolist():
            here = np.flatnonzero(cells == cell)
            leg, threshold, which = only[here], self.thresholds[cell], rows[here]
            size = np.abs(legs.size[leg])
            key, ratio = (accounts.base[which] + legs.fixed[leg]) / size, legs.demand[leg] / size
            stays = before[here] == cell
            if stays.any():
                threshold.change(accounts.place[which[stays]], key[stays], ratio[stays])
            if not stays.all():
                new = which[~stays]
                accounts.place[new] = threshold.put(new, key[~stays], ratio[~stays])
                accounts.cell[new] = cell

    def _put_members(self, of: Index, before: npt.NDArray[np.int32], several: Bools, reach: Floats) -> None:
        """Moves legs to the members of their cell, or away from any."""
        legs, slot = self.mirror.legs, self.mirror.accounts.slot
        here, cells = legs.place[of] != NONE, legs.cell[of]
        # A leg without a size does not move with any price.
        stays = here & several & (cells == before)
        leaves, comes = here & ~stays, several & ~stays & (legs.size[of] != 0)
        for cell in np.unique(before[leaves]).tolist():
            gone = of[leaves & (before == cell)]
            self.members[cell].drop(legs.place[gone])
            legs.place[gone] = NONE
        size, demand = legs.size[of] / reach, legs.demand[of] / reach
        for cell in np.unique(cells[stays | comes]).tolist():
            members, old, new = self.members[cell], stays & (cells == cell), comes & (cells == cell)
            if old.any():
                members.change(legs.place[of[old]], size[old], demand[old])
            if new.any():
                legs.place[of[new]] = members.put(slot[legs.account[of[new]]], size[new], demand[new])

    def memory(self) -> int:
        """Bytes that the columns take."""
        mirror = self.mirror
        own = sum(one.memory() for one in self.thresholds) + sum(one.memory() for one in self.members)
        own += self.several.memory()
        return mirror.accounts.memory() + mirror.legs.memory() + own


def _sums(places: npt.NDArray[np.integer[Any]], parts: npt.NDArray[Any], count: int) -> Floats:
    """Sums of parts by place."""
    return np.bincount(places, parts, count).astype(np.float64, copy=False)
