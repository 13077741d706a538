"""Accounts that have several legs, and their legs by cell, so that a move of a price is one pass over its members.

All numbers of an account are in parts of its *reach*: what it would cost it if all its prices moved against it by their
whole. So its valuation is at once how far prices may move until it is used up, its *radius*.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from plimsoll.keeper.book.columns import Floats, Index

__all__ = ["Members", "Several"]

LEAST = 64
Places = npt.NDArray[np.int32]


class _Pool:
    """Columns whose rows are taken and given back."""

    blanks: dict[str, tuple[Any, Any]]
    """Type and blank of each column by its name."""

    def __init__(self) -> None:
        self.count = 0
        self._room = 0
        self._free: list[int] = []
        self._reserve(LEAST)

    @property
    def used(self) -> int:
        """Rows in use."""
        return self.count - len(self._free)

    def put(self, *columns: npt.NDArray[Any]) -> Places:
        """Takes new rows; gives the place of each."""
        reused = min(len(self._free), len(columns[0]))
        places = np.empty(len(columns[0]), np.int32)
        if reused:
            places[:reused] = self._free[-reused:]
            del self._free[-reused:]
        start, more = self.count, len(places) - reused
        self._reserve(start + more)
        places[reused:] = np.arange(start, start + more)
        self.count = start + more
        for name, column in zip(self.blanks, columns, strict=True):
            getattr(self, name)[places] = column
        return places

    def drop(self, places: Places) -> None:
        """Removes rows."""
        for name, (_, blank) in self.blanks.items():
            getattr(self, name)[places] = blank
        self._free.extend(places.tolist())

    def _reserve(self, room: int) -> None:
        have = self._room
        if room <= have:
            return
        self._room = room = max(room, have + have // 2)
        for name, (kind, blank) in self.blanks.items():
            grown = np.full(room, blank, kind)
            if have:
                grown[:have] = getattr(self, name)
            setattr(self, name, grown)

    def memory(self) -> int:
        """Bytes that the columns take."""
        return sum(int(getattr(self, name).nbytes) for name in self.blanks)


class Several(_Pool):
    """The accounts: row, reach (settlement units), what does not move with prices (`still`), and radius. Place 0 is
    nobody's: what is free belongs to it."""

    row: Index
    reach: Floats
    still: Floats
    radius: Floats
    blanks = {
        "row": (np.intp, 0),
        "reach": (np.float64, 1.0),
        "still": (np.float64, np.inf),
        "radius": (np.float64, np.inf),
    }

    def __init__(self) -> None:
        super().__init__()
        self.count = 1
        self._scratch: Floats = np.empty((2, LEAST))

    def change(self, places: Places, reach: Floats, still: Floats, radius: Floats) -> None:
        """Writes accounts that are here already."""
        self.reach[places], self.still[places], self.radius[places] = reach, still, radius

    def scratch(self, count: int) -> Floats:
        """Two columns to work in: memory that is used again is faster than new memory."""
        if self._scratch.shape[1] < count:
            self._scratch = np.empty((2, count + count // 2))
        return self._scratch[:, :count]

    def within(self, drift: float) -> Index:
        """Rows of accounts whose radius is not larger than this."""
        return self.row[np.flatnonzero(self.radius[: self.count] <= drift)]


class Members(_Pool):
    """The legs of one cell: place of the account, size and demand in parts of its reach."""

    owner: Index
    size: Floats
    demand: Floats
    blanks = {"owner": (np.intp, 0), "size": (np.float64, 0.0), "demand": (np.float64, 0.0)}

    def change(self, places: Places, size: Floats, demand: Floats) -> None:
        """Writes legs that are here already."""
        self.size[places], self.demand[places] = size, demand

    def shift(self, several: Several, x: float, r: float) -> None:
        """X and R of the cell change by these amounts: so do the radii of its members."""
        change, demand = several.scratch(self.count)
        np.multiply(self.size[: self.count], x, out=change)
        np.multiply(self.demand[: self.count], r, out=demand)
        change -= demand
        # Place 0 may be meant several times; infinity keeps it as it is.
        np.add.at(several.radius, self.owner[: self.count], change)
