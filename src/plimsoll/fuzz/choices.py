"""Choices of an example, decoded from bytes: the same bytes are the same example, and fewer bytes are a shorter one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

__all__ = ["Choices"]

T = TypeVar("T")


class Choices:
    """Reads choices off a byte string; when it is used up every choice is the first one, and `done` is true."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def done(self) -> bool:
        """Whether all bytes are used."""
        return self._at >= len(self._data)

    def byte(self) -> int:
        """0 … 255"""
        at = self._at
        self._at = at + 1
        return self._data[at] if at < len(self._data) else 0

    def number(self, count: int) -> int:
        """0 … 2^(8·count) − 1"""
        at = self._at
        self._at = at + count
        return int.from_bytes(self._data[at : at + count], "big")

    def below(self, most: int) -> int:
        """0 … most − 1; of one byte, or of four when `most` is large."""
        at = self._at
        if most > 256:
            return self.number(4) % most
        self._at = at + 1
        return self._data[at] % most if at < len(self._data) else 0

    def pick(self, options: Sequence[T]) -> T:
        """One of the options; the first when bytes are used up."""
        return options[self.below(len(options))]

    def one_in(self, count: int) -> bool:
        """True in one of `count` cases; false when bytes are used up."""
        return self.below(count) == count - 1

    def log_uniform(self, most: int) -> int:
        """1 … most, each order of magnitude equally likely."""
        if most <= 1:
            return 1
        bits = 1 + self.below(most.bit_length())
        return min(max(self.number((bits + 7) // 8) % (1 << bits), 1), most)

    def around(self, boundary: int) -> int:
        """A number at a boundary, one beside it, or close to it; never negative."""
        off = (0, 1, -1, 2, -2, boundary // 1000, -(boundary // 1000), -(boundary // 2))[self.below(8)]
        return max(boundary + off, 0)
