"""Thresholds of accounts with one position and nothing else: found by one comparison each.

Such an account is below its line when base + fixed + size·X − demand·R < 0. Divided by n = |size|, with `key` =
(base + fixed)/n and `ratio` = demand/n, which depend on neither price nor funding nor time, that is
ratio·R − key > ±X (+ for longs, − for shorts). One cell holds them in two columns without order; a pass over half a
million takes less than a millisecond, and keeping them up costs one write for each account that changes.

A pass also measures the *gap*: how much nearer the nearest healthy account may come before it is a candidate. While
prices have moved against the cell by less than that, no pass is needed: those that it found are asked again, and what
changed since is compared by itself with the prices of the pass.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from plimsoll.keeper.book.columns import Floats, Index

__all__ = ["Thresholds"]

LEAST = 64
Rows = npt.NDArray[np.int32]


class Thresholds:
    """The accounts of one cell. A free place has the key +∞."""

    def __init__(self, sign: float) -> None:
        self.sign = sign
        self.rows: Rows = np.zeros(LEAST, np.int32)
        self.key: Floats = np.full(LEAST, np.inf)
        self.ratio: Floats = np.zeros(LEAST)
        self._work: Floats = np.empty(LEAST)
        self.count = 0
        self.steepest = 0.0
        """Largest ratio that was ever here."""
        self._free: list[int] = []
        self._stale = True
        self._y = self._r = self._gap = 0.0
        self._found: Index = np.empty(0, np.intp)

    @property
    def used(self) -> int:
        """Accounts that there are."""
        return self.count - len(self._free)

    def put(self, rows: Index, key: Floats, ratio: Floats) -> Rows:
        """Takes accounts that are not here; gives the place of each."""
        reused = min(len(self._free), len(rows))
        places = np.empty(len(rows), np.int32)
        if reused:
            places[:reused] = self._free[-reused:]
            del self._free[-reused:]
        start, more = self.count, len(rows) - reused
        self._reserve(start + more)
        places[reused:] = np.arange(start, start + more)
        self.count = start + more
        self.rows[places] = rows
        self.change(places, key, ratio)
        return places

    def change(self, places: Rows, key: Floats, ratio: Floats) -> None:
        """Writes accounts that are here already."""
        self.key[places], self.ratio[places] = key, ratio
        self.steepest = max(self.steepest, float(ratio.max()))
        if self._stale:
            return
        # As the last pass would have found them.
        value = ratio * self._r - key
        below = value > self._y
        if below.any():
            self._found = np.union1d(self._found, places[below])
            value = value[~below]
        if len(value):
            self._gap = min(self._gap, (self._y - float(value.max())) * (1 - 1e-9))

    def drop(self, places: Rows) -> None:
        """Removes accounts."""
        self.key[places], self.ratio[places] = np.inf, 0.0
        self._free.extend(places.tolist())

    def below(self, x: float, r: float) -> Index:
        """Rows of accounts below their line at X and R of the cell; exact up to the margin of error."""
        y = self.sign * x
        if not self._stale and max(self._y - y, self.steepest * (r - self._r) + self._y - y) < self._gap:
            places = self._found
            if len(places):
                places = places[self.ratio[places] * r - self.key[places] > y]
            return self.rows[places].astype(np.intp)
        self._pass(y, r)
        return self.rows[self._found].astype(np.intp)

    def _pass(self, y: float, r: float) -> None:
        count = self.count
        value = self._work[:count]
        np.multiply(self.ratio[:count], r, out=value)
        np.subtract(value, self.key[:count], out=value)
        self._found = np.flatnonzero(value > y)
        value[self._found] = -np.inf
        # A little less, for the rounding of what it is compared with.
        self._gap = (y - float(value.max(initial=-np.inf))) * (1 - 1e-9)
        self._y, self._r, self._stale = y, r, False

    def _reserve(self, room: int) -> None:
        have = len(self.rows)
        if room <= have:
            return
        room = max(room, have + have // 2)
        rows, key, ratio = np.zeros(room, np.int32), np.full(room, np.inf), np.zeros(room)
        rows[:have], key[:have], ratio[:have] = self.rows, self.key, self.ratio
        self.rows, self.key, self.ratio, self._work = rows, key, ratio, np.empty(room)

    def memory(self) -> int:
        """Bytes that the columns take."""
        return int(self.rows.nbytes + self.key.nbytes + self.ratio.nbytes + self._work.nbytes)
