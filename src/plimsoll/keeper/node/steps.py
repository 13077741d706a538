"""What following the chain consists of, step by step, and who is told of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from plimsoll.keeper.node.decode import RawLog
from plimsoll.keeper.node.headers import Header
from plimsoll.keeper.rows import Row

__all__ = ["BlockTaken", "ChunkTaken", "FollowerStats", "Reorged", "Resynced", "Sink", "Step"]


class Sink(Protocol):
    """Where rows go beside the database: the mirror in memory."""

    def apply(self, rows: Sequence[Row]) -> None:
        """Takes the rows of the next blocks.

        :raises VersionGapError: an account's version does not follow the one before. `reload` follows.
        """

    def revert(self, rows: Sequence[Row]) -> None:
        """Takes old values back."""

    def reload(self, rows: Iterable[tuple[int, bytes, bytes]]) -> None:
        """Forgets everything and takes these rows."""


@dataclass(frozen=True, slots=True)
class BlockTaken:
    """One more block is in the database and in the sink. `transactions` are the hashes of all its transactions."""

    header: Header
    rows: Sequence[Row]
    logs: Sequence[RawLog]
    transactions: frozenset[str]


@dataclass(frozen=True, slots=True)
class ChunkTaken:
    """Many old blocks were taken at once, up to that of the header."""

    header: Header
    blocks: int
    rows: int
    logs: int


@dataclass(frozen=True, slots=True)
class Reorged:
    """The last blocks are no part of the chain any more: database and sink are as they were at `to`."""

    to: Header
    depth: int
    rows: Sequence[Row]


@dataclass(frozen=True, slots=True)
class Resynced:
    """Database and sink are empty: everything is read again, for this reason."""

    reason: str


Step: TypeAlias = BlockTaken | ChunkTaken | Reorged | Resynced


@dataclass(slots=True)
class FollowerStats:
    """Totals since the start."""

    blocks: int = 0
    chunks: int = 0
    logs: int = 0
    reorgs: int = 0
    deepest_reorg: int = 0
    resyncs: int = 0
    commit_seconds: float = 0.0
    """Of the last block's transaction of the database."""
    gaps: int = 0
    """Version gaps, each of which led to receipts being read or to a resync."""
