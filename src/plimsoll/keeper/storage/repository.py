"""The repository: rows of the mirror, the ring of blocks that can be undone, journal, memory, lease: one database."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from hashlib import blake2b
from typing import Any, Protocol

from plimsoll.keeper.errors import ConfigurationError
from plimsoll.keeper.node.headers import Header
from plimsoll.keeper.rows import Row
from plimsoll.keeper.storage.database import SCHEMA, Database, Key, RawRow
from plimsoll.keeper.storage.errors import (
    DatabaseCorruptError,
    NotAChildError,
    StorageError,
    UndoExhaustedError,
)
from plimsoll.keeper.storage.journal import Journal
from plimsoll.keeper.storage.lease import Lease
from plimsoll.keeper.storage.memory import Memory
from plimsoll.keeper.storage.packing import (
    check_of,
    header_fields,
    header_of,
    last_values,
    pack,
    row_sum,
    rows_sum,
    split_rows,
    unpack,
)

__all__ = ["RING", "Repository", "SqlRepository"]

RING = 256
"""Most blocks kept to be undone."""

_FIELDS = "number, hash, parent, time, base_fee, gas_used, gas_limit, bloom"
_WHOLE = _FIELDS + ", undo, held, total, crc"
_HEAD = f"SELECT {_WHOLE} FROM headers ORDER BY number DESC LIMIT 1"


class Repository(Protocol):
    """What the service needs of a database. Every call is one transaction; none returns before it is committed.

    :raises StorageError: any method, for what the database refuses; `passes` tells whether to try again.
    """

    was_foreign: bool
    """The rows were another deployment's and were emptied."""
    quarantined: str | None
    """Where a damaged database was moved to when it was opened."""
    journal: Journal
    memory: Memory
    lease: Lease

    @property
    def identity(self) -> str:
        """Chain, first block, Clearinghouse: what the data belong to."""
        ...

    def head(self) -> Header | None:
        """The last block taken; None at the beginning and during a snapshot."""
        ...

    def headers(self) -> list[Header]:
        """The ring, oldest first; at most `RING`."""
        ...

    def rows(self) -> Iterator[tuple[int, bytes, bytes]]:
        """All rows as of now, by kind and key.

        :raises DatabaseCorruptError: at the end, if they are not what was written.
        """
        ...

    def values(self, keys: Sequence[Key]) -> dict[Key, bytes]:
        """Those of these rows that exist."""
        ...

    def blocks_after(self, known: Collection[str]) -> tuple[str, list[tuple[Header, list[Row]]]] | None:
        """The last of the known blocks that is in the ring, and every block above it with the rows as they were before.

        None if none of them is there, or how to undo a block above is not kept.
        """
        ...

    def save_block(self, header: Header, rows: Sequence[Row]) -> None:
        """Takes a block: its rows, how to undo them, its header. A block of the ring is taken already: nothing happens.

        :raises NotAChildError: it does not follow the head.
        """
        ...

    def save_chunk(self, header: Header, rows: Sequence[Row]) -> None:
        """Takes all blocks up to this one, which is final: the ring begins anew with it, none of them can be undone.

        :raises NotAChildError: it is not above the head.
        """
        ...

    def undo_to(self, number: int) -> list[Row]:
        """Rolls back the blocks above `number`; returns rows to give to the mirror, in order (None: gone).

        Entries of the journal that landed in those blocks are put back too, see `Journal.reorged`.

        :raises UndoExhaustedError: the ring does not reach back to `number`.
        """
        ...

    def begin_snapshot(self, header: Header) -> None:
        """Forgets rows and ring and begins a cold start that ends at `header`, which is final."""
        ...

    def add_snapshot(self, rows: Sequence[Row], resume: bytes) -> None:
        """Adds rows, and where to go on after them."""
        ...

    def snapshot_state(self) -> tuple[Header, bytes] | None:
        """The snapshot under way and where to go on (empty at its beginning); None if there is none."""
        ...

    def end_snapshot(self) -> None:
        """Makes the snapshot's header the head."""
        ...

    def reset(self) -> None:
        """Forgets rows, ring and snapshot. Journal, memory and lease stay."""
        ...

    def state_hash(self) -> bytes:
        """32 bytes that two databases share if their rows and their heads are the same, whatever their kind."""
        ...

    def close(self) -> None:
        """Gives the database back."""
        ...


class SqlRepository:
    """The repository on a database whose tables exist.

    :param identity: what the data must belong to; other data are emptied. None takes what is there, for reading.
    :param read_only: other data are refused instead.
    :raises ConfigurationError: the data are another deployment's, and are to be read or are just being used for it.
    """

    def __init__(self, database: Database, identity: str | None, *, read_only: bool = False) -> None:
        self._database = database
        self.was_foreign = False
        self.quarantined: str | None = None
        self._identity = ""
        self.lease = Lease(database)
        self.journal = Journal(database, self.lease, lambda: self._identity)
        self.memory = Memory(database, self.lease, lambda: self._identity)
        with database.lock:
            known = dict(database.query("SELECT name, value FROM meta"))
        self._identity = known.get("identity", "") if identity is None else identity
        if identity is not None and known.get("identity") != identity:
            self.was_foreign = "identity" in known
            holder = self.lease.holder()
            if read_only or (holder is not None and holder.remaining and not database.exclusive):
                raise ConfigurationError(f"{database.where} is of another deployment: {known.get('identity', 'none')}")
            with database.transaction(durable=True):
                self._empty()
                for name, value in (("schema", str(SCHEMA)), ("identity", identity)):
                    database.run("DELETE FROM meta WHERE name = ?", (name,))
                    database.run("INSERT INTO meta (name, value) VALUES (?, ?)", (name, value))

    @property
    def identity(self) -> str:
        return self._identity

    @property
    def where(self) -> str:
        """What messages call the database; without a password."""
        return self._database.where

    def head(self) -> Header | None:
        with self._database.lock:
            found = self._database.query(_HEAD)
        return self._header(found[0]) if found else None

    def headers(self) -> list[Header]:
        with self._database.lock:
            found = self._database.query(f"SELECT {_WHOLE} FROM headers ORDER BY number")
        return [self._header(row) for row in found]

    def rows(self) -> Iterator[tuple[int, bytes, bytes]]:
        for piece in self._checked():
            yield from piece

    def values(self, keys: Sequence[Key]) -> dict[Key, bytes]:
        with self._database.lock:
            return self._database.old_values(keys)

    def blocks_after(self, known: Collection[str]) -> tuple[str, list[tuple[Header, list[Row]]]] | None:
        with self._database.lock:
            ring = self._database.query("SELECT number, hash FROM headers ORDER BY number DESC")
            common = next(((number, name) for number, name in ring if name in known), None)
            if common is None:
                return None
            above = self._database.query(f"SELECT {_WHOLE} FROM headers WHERE number > ? ORDER BY number", common[:1])
        if any(row[8] is None for row in above):
            return None
        return common[1], [(self._header(row), self._unpacked(row)) for row in above]

    def save_block(self, header: Header, rows: Sequence[Row]) -> None:
        with self._database.transaction():
            sums = self._sums_below(header, child=True)
            if sums is None:
                return
            old, held, total = self._apply(last_values(rows), *sums)
            self._insert(header, pack(old), held, total)
            self._database.send("DELETE FROM headers WHERE number <= ?", (header.number - RING,))

    def save_chunk(self, header: Header, rows: Sequence[Row]) -> None:
        with self._database.transaction():
            sums = self._sums_below(header, child=False)
            if sums is None:
                return
            _, held, total = self._apply(last_values(rows), *sums)
            self._database.send("DELETE FROM headers")
            self._insert(header, None, held, total)

    def undo_to(self, number: int) -> list[Row]:
        database = self._database
        undone: list[Row] = []
        with database.transaction():
            self.lease.fence()
            reaches = database.query("SELECT 1 FROM headers WHERE number <= ? LIMIT 1", (number,))
            above = database.query(f"SELECT {_WHOLE} FROM headers WHERE number > ? ORDER BY number DESC", (number,))
            if above and not reaches:
                raise UndoExhaustedError(
                    f"block {number} is older than the {RING} blocks that can be undone; the oldest is {above[-1][0]}"
                )
            for row in above:
                self._header(row)
                if row[8] is None:
                    raise UndoExhaustedError(f"how to undo block {row[0]} is not kept")
                undone += self._unpacked(row)
            if above:
                database.write_rows(*split_rows(last_values(undone)))
                database.send("DELETE FROM headers WHERE number > ?", (number,))
            self.journal.roll_back(number)
        return undone

    def begin_snapshot(self, header: Header) -> None:
        with self._database.transaction():
            self.lease.fence()
            self._empty()
            values = (*header_fields(header), b"")
            self._database.send(
                f"INSERT INTO snapshot ({_FIELDS}, resume, crc) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*values, check_of(*values)),
            )

    def add_snapshot(self, rows: Sequence[Row], resume: bytes) -> None:
        written, removed = split_rows(last_values(rows))
        with self._database.transaction():
            self.lease.fence()
            state = self.snapshot_state()
            if state is None:
                raise StorageError("no snapshot is under way")
            self._database.write_rows(written, removed)
            crc = check_of(*header_fields(state[0]), resume)
            self._database.send("UPDATE snapshot SET resume = ?, crc = ?", (resume, crc))

    def snapshot_state(self) -> tuple[Header, bytes] | None:
        with self._database.lock:
            found = self._database.query(f"SELECT {_FIELDS}, resume, crc FROM snapshot")
        if found and check_of(*found[0][:9]) != found[0][9]:
            raise DatabaseCorruptError(f"the snapshot under way in {self.where} is damaged")
        return (header_of(found[0]), found[0][8]) if found else None

    def end_snapshot(self) -> None:
        with self._database.lock:
            state = self.snapshot_state()
            if state is None:
                raise StorageError("no snapshot is under way")
            held = total = 0
            for piece in self._database.stream(_HEAD)[1]:
                held += len(piece)
                total += rows_sum(piece)
            with self._database.transaction(durable=True):
                self.lease.fence()
                self._database.send("DELETE FROM headers")
                self._insert(state[0], None, held, total)
                self._database.send("DELETE FROM snapshot")

    def reset(self) -> None:
        with self._database.transaction():
            self.lease.fence()
            self._empty()

    def state_hash(self) -> bytes:
        digest = blake2b(digest_size=32)
        found, pieces = self._database.stream(_HEAD)
        for piece in self._verified(found, pieces):
            digest.update(
                b"".join(
                    bytes((kind, len(key))) + len(value).to_bytes(4, "big") + key + value for kind, key, value in piece
                )
            )
        digest.update(repr(found[0][:2] if found else None).encode())
        return digest.digest()

    def close(self) -> None:
        self._database.close()

    def _empty(self) -> None:
        for table in ("rows", "headers", "snapshot"):
            self._database.send(f"DELETE FROM {table}")

    def _sums_below(self, header: Header, *, child: bool) -> tuple[int, int] | None:
        """Number and sum of the rows before a block is taken; None if it is taken already.

        :param child: it must follow the head, not merely be above it.
        """
        self.lease.fence()
        found = self._database.query(_HEAD)
        if not found:
            return 0, 0
        number, name, held, total = found[0][0], found[0][1], found[0][9], found[0][10]
        values = (header.number, header.hash)
        if self._database.query("SELECT 1 FROM headers WHERE number = ? AND hash = ?", values):
            return None
        if child and (header.number != number + 1 or header.parent != name):
            raise NotAChildError(
                f"block {header.number} {header.hash} does not follow block {number} {name}, the last taken"
            )
        if header.number <= number:
            raise NotAChildError(f"block {header.number} is not above block {number}, the last taken")
        return held, total

    def _apply(
        self, new: dict[Key, bytes | None], held: int, total: int
    ) -> tuple[list[tuple[Key, bytes | None]], int, int]:
        """Writes rows; returns what they replace, and the number and the sum of all rows."""
        known = self._database.old_values(list(new)) if new else {}
        old: list[tuple[Key, bytes | None]] = []
        written: list[RawRow] = []
        removed: list[Key] = []
        for key, value in new.items():
            before = known.get(key)
            if before == value:
                continue
            old.append((key, before))
            if before is not None:
                held -= 1
                total -= row_sum(*key, before)
            if value is None:
                removed.append(key)
            else:
                held += 1
                total += row_sum(*key, value)
                written.append((*key, value))
        if old:
            self._database.write_rows(written, removed)
        return old, held, total

    def _insert(self, header: Header, undo: bytes | None, held: int, total: int) -> None:
        values = (*header_fields(header), undo, held, total)
        self._database.send(
            f"INSERT INTO headers ({_WHOLE}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (*values, check_of(*values))
        )

    def _header(self, row: tuple[Any, ...]) -> Header:
        if check_of(*row[:11]) != row[11]:
            raise DatabaseCorruptError(f"block {row[0]} in {self.where} is damaged")
        return header_of(row)

    def _unpacked(self, row: tuple[Any, ...]) -> list[Row]:
        try:
            return unpack(row[8])
        except ValueError:
            raise DatabaseCorruptError(f"how to undo block {row[0]} is damaged in {self.where}") from None

    def _checked(self) -> Iterator[list[RawRow]]:
        found, pieces = self._database.stream(_HEAD)
        return self._verified(found, pieces)

    def _verified(self, found: list[tuple[Any, ...]], pieces: Iterator[list[RawRow]]) -> Iterator[list[RawRow]]:
        """The pieces, counted and summed up on their way.

        :raises DatabaseCorruptError: after the last one, if they are not what was written.
        """
        held = total = 0
        for piece in pieces:
            held += len(piece)
            total += rows_sum(piece)
            yield piece
        if found:
            self._header(found[0])
            if (held, total) != (found[0][9], found[0][10]):
                raise DatabaseCorruptError(
                    f"the rows in {self.where} are not those that were written: {held} rows of {found[0][9]}; "
                    "read everything again"
                )
