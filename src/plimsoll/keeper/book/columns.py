"""Accounts, and what they hold, in columns: exact words as bytes, beside them what the evaluation needs to find them.

An account is a row; it keeps that row for ever. What it holds are its legs: a position in a market, a balance of a
collateral, its debt. Legs of one account are a chain (`first`, `following`), in no order. Rows of legs are used again.
Floats serve the search for candidates and are written by it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["COLLATERAL", "DEBT", "FREE", "NONE", "AccountColumns", "Floats", "Index", "LegColumns"]

Index = npt.NDArray[np.intp]
"""Rows."""
Floats = npt.NDArray[np.float64]
WORD = 32
NONE = -1
COLLATERAL = 64
"""Code of a leg: market index of a position, this + collateral index of a balance."""
DEBT = 80
"""Code of the leg that stands for negative cash."""
FREE = 127
"""Code of a leg that is free."""
POOL = slice(20, 22)
"""Bytes of the pool in the id of an account."""
LEAST = 1024


class _Grown:
    """Columns of one length, of which a part is in use. Growing keeps what is there."""

    def __init__(self) -> None:
        self.count = 0
        """Rows in use, or used once."""
        self.room = 0

    def _columns(self) -> dict[str, tuple[Any, Any]]:
        """Type and blank of each column by its name."""
        raise NotImplementedError

    def reserve(self, room: int) -> None:
        """Makes room for so many rows."""
        if room <= self.room:
            return
        room = max(room, self.room + self.room // 2, LEAST)
        for name, (kind, blank) in self._columns().items():
            grown = np.full(room, blank, dtype=kind)
            if self.room:
                grown[: self.room] = getattr(self, name)
            setattr(self, name, grown)
        words = np.zeros((room, WORD), dtype=np.uint8)
        if self.room:
            words[: self.room] = self.words
        self.words = words
        self._bytes = words.reshape(-1).data
        self.room = room
        self._grew()

    def _grew(self) -> None:
        """After growing: views of columns are to be made anew."""

    words: npt.NDArray[np.uint8]
    """Exact words, big-endian, one a row."""

    def word(self, row: int) -> bytes:
        """The exact word of a row."""
        return bytes(self._bytes[row * WORD : row * WORD + WORD])

    def set_word(self, row: int, word: bytes) -> None:
        """Writes the exact word of a row."""
        self._bytes[row * WORD : row * WORD + WORD] = word

    def memory(self) -> int:
        """Bytes that the columns take."""
        return int(self.words.nbytes + sum(getattr(self, name).nbytes for name in self._columns()))


class AccountColumns(_Grown):
    """`first` is the first leg of each account, `NONE` without any; `pool` its pool.

    Row 0 is nobody's: what is free belongs to it.

    Of the search: `base` is what counts beside the legs, `trades` whether there is a position; `cell` and `place` say
    where the threshold of an account with one position is, `slot` where one with several legs is.
    """

    first: npt.NDArray[np.int32]
    pool: npt.NDArray[np.uint16]
    base: Floats
    trades: npt.NDArray[np.bool_]
    cell: npt.NDArray[np.int32]
    place: npt.NDArray[np.int32]
    slot: npt.NDArray[np.int32]

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[bytes] = [b""]
        self.rows: dict[bytes, int] = {}
        self.reserve(LEAST)
        self.count = 1

    def _columns(self) -> dict[str, tuple[Any, Any]]:
        return {
            "first": (np.int32, NONE),
            "pool": (np.uint16, 0),
            "base": (np.float64, 0.0),
            "trades": (np.bool_, False),
            "cell": (np.int32, NONE),
            "place": (np.int32, NONE),
            "slot": (np.int32, NONE),
        }

    def _grew(self) -> None:
        self._first = self.first.data

    def row(self, account: bytes) -> int:
        """The row of an account; a new one if it has none."""
        row = self.rows.get(account)
        if row is None:
            row = self.count
            if row == self.room:
                self.reserve(row + 1)
            self.rows[account] = row
            self.ids.append(account)
            self.pool[row] = int.from_bytes(account[POOL], "big")
            self.count = row + 1
        return row

    def head(self, row: int) -> int:
        """First leg of an account."""
        return int(self._first[row])

    def set_head(self, row: int, leg: int) -> None:
        """Writes the first leg of an account."""
        self._first[row] = leg

    def load(self, ids: Sequence[bytes], words: npt.NDArray[np.uint8]) -> None:
        """Takes many accounts, none of which has a row."""
        start, count = self.count, len(ids)
        self.reserve(start + count)
        self.ids.extend(ids)
        self.rows.update(zip(ids, range(start, start + count), strict=True))
        self.words[start : start + count] = words
        pools = np.frombuffer(b"".join([account[POOL] for account in ids]), ">u2")
        self.pool[start : start + count] = pools
        self.count = start + count


class LegColumns(_Grown):
    """`account` is the row of a leg's account (0 when the leg is free), `code` what it is, `following` the next leg of
    the same account.

    Of the search: at the prices of its `cell` a leg is worth `fixed + size·X − demand·R`; all three are 0 when it is
    free. `place` is where it is among the members of the cell; `gone` are cells and places of legs that went.
    """

    account: npt.NDArray[np.int32]
    code: npt.NDArray[np.int16]
    following: npt.NDArray[np.int32]
    cell: npt.NDArray[np.int32]
    fixed: Floats
    size: Floats
    demand: Floats
    place: npt.NDArray[np.int32]

    def __init__(self) -> None:
        super().__init__()
        self.free: list[int] = []
        self.gone: list[tuple[int, int]] = []
        self.reserve(LEAST)

    def _columns(self) -> dict[str, tuple[Any, Any]]:
        return {
            "account": (np.int32, 0),
            "code": (np.int16, 0),
            "following": (np.int32, NONE),
            "cell": (np.int32, 0),
            "fixed": (np.float64, 0.0),
            "size": (np.float64, 0.0),
            "demand": (np.float64, 0.0),
            "place": (np.int32, NONE),
        }

    def _grew(self) -> None:
        self._account, self._code = self.account.data, self.code.data
        self._following = self.following.data

    @property
    def used(self) -> int:
        """Legs that there are."""
        return self.count - len(self.free)

    def of(self, accounts: AccountColumns, row: int) -> Iterator[tuple[int, int]]:
        """Legs of an account: code and row, in no order."""
        leg = accounts.head(row)
        while leg != NONE:
            yield self._code[leg], leg
            leg = self._following[leg]

    def find(self, accounts: AccountColumns, row: int, code: int) -> int:
        """The leg of an account with that code, or `NONE`."""
        leg = accounts.head(row)
        codes, following = self._code, self._following
        while leg != NONE and codes[leg] != code:
            leg = following[leg]
        return int(leg)

    def put(self, accounts: AccountColumns, row: int, code: int, word: bytes) -> None:
        """Writes a leg."""
        leg = self.find(accounts, row, code)
        if leg == NONE:
            if self.free:
                leg = self.free.pop()
            else:
                leg = self.count
                if leg == self.room:
                    self.reserve(leg + 1)
                self.count = leg + 1
            self._account[leg], self._code[leg] = row, code
            self._following[leg] = accounts.head(row)
            accounts.set_head(row, leg)
        self.set_word(leg, word)

    def drop(self, accounts: AccountColumns, row: int, code: int) -> None:
        """Removes a leg, if it is there."""
        before, leg = NONE, accounts.head(row)
        while leg != NONE and self._code[leg] != code:
            before, leg = leg, self._following[leg]
        if leg == NONE:
            return
        if before == NONE:
            accounts.set_head(row, self._following[leg])
        else:
            self._following[before] = self._following[leg]
        self._account[leg], self._code[leg] = 0, FREE
        if self.place[leg] != NONE:
            self.gone.append((int(self.cell[leg]), int(self.place[leg])))
            self.place[leg] = NONE
        self.fixed[leg] = self.size[leg] = self.demand[leg] = 0.0
        self.free.append(leg)

    def load(
        self,
        accounts: AccountColumns,
        rows: npt.NDArray[np.int32],
        codes: npt.NDArray[np.int16],
        words: npt.NDArray[np.uint8],
    ) -> None:
        """Takes many legs; there were none. Those of one account become neighbours."""
        count = len(rows)
        self.reserve(count)
        order = np.argsort(rows, kind="stable")
        rows = rows[order]
        self.account[:count], self.code[:count], self.words[:count] = rows, codes[order], words[order]
        last = np.ones(count, dtype=bool)
        last[:-1] = rows[1:] != rows[:-1]
        following = np.arange(1, count + 1, dtype=np.int32)
        following[last] = NONE
        self.following[:count] = following
        begin = np.ones(count, dtype=bool)
        begin[1:] = last[:-1]
        accounts.first[rows[begin]] = np.flatnonzero(begin)
        self.count = count

    def chains(self, accounts: AccountColumns, rows: Index) -> tuple[Index, Index]:
        """All legs of many accounts: for each its account's place in `rows`, and its row."""
        places: list[Index] = []
        legs: list[Index] = []
        place = np.arange(len(rows))
        leg = accounts.first[rows].astype(np.intp)
        while True:
            there = leg >= 0
            if not there.all():
                place, leg = place[there], leg[there]
            if not len(leg):
                break
            places.append(place)
            legs.append(leg)
            leg = self.following[leg].astype(np.intp)
        if not legs:
            return np.empty(0, np.intp), np.empty(0, np.intp)
        return np.concatenate(places), np.concatenate(legs)
