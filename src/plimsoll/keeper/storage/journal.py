"""The journal of transactions: what is sent is written here first, and is on the disk before it is broadcast."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from plimsoll.keeper.storage.database import Database
from plimsoll.keeper.storage.errors import DatabaseCorruptError, LeaseLostError, StorageError
from plimsoll.keeper.storage.lease import Lease
from plimsoll.keeper.storage.packing import check_of

__all__ = ["FINAL", "STATUSES", "Journal", "JournalEntry"]

STATUSES = ("intended", "broadcast", "landed", "reverted", "replaced", "cancelled", "abandoned")
FINAL = ("landed", "reverted", "replaced", "cancelled", "abandoned")
"""Statuses of entries that nothing is waited for any more."""

_COLUMNS = (
    "id, intent, sender, nonce, raw, tx_hash, max_fee, tip, gas, target, data, value_wei, status, block, "
    "created_block, detail, epoch, rolled_back, crc"
)


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """A signed transaction and what became of it.

    :param id: given by the database; 0 before.
    :param intent: key of the decision; replacements of a transaction carry the same.
    :param raw: signed transaction; `tx_hash` is its hash.
    :param max_fee: wei per gas, like `tip`.
    :param value_wei: what its landing is expected to be worth.
    :param status: one of `STATUSES`. `intended` is written before the broadcast.
    :param block: number of the block that holds it, None if none does.
    :param created_block: number of the head when it was decided.
    :param detail: JSON.
    :param epoch: of the lease it was written under.
    :param rolled_back: its block was rolled back and it was not dealt with since: it must be sent again.
    """

    id: int
    intent: str
    sender: str
    nonce: int
    raw: bytes
    tx_hash: str
    max_fee: int
    tip: int
    gas: int
    to: str
    data: bytes
    value_wei: int
    status: str
    block: int | None
    created_block: int
    detail: str
    epoch: int
    rolled_back: bool = False


class Journal:
    """Entries of one chain and deployment, with what landed transactions cost.

    Writing needs the lease: the database itself refuses an entry of another epoch than its lease's.
    """

    def __init__(self, database: Database, lease: Lease, chain: Callable[[], str]) -> None:
        self._database = database
        self._lease = lease
        self._chain = chain

    def add(self, entry: JournalEntry) -> int:
        """Writes an entry; it is on the disk when this returns. Returns its id.

        An entry with the same hash is not written again, its id is returned.

        :raises LeaseLostError: another process leads, or nobody.
        """
        return self.add_all([entry])[0]

    def add_all(self, entries: Sequence[JournalEntry]) -> list[int]:
        """Writes several entries at the cost of one, all or none.

        :raises LeaseLostError: another process leads, or nobody.
        """
        with self._database.transaction(durable=True):
            return [self._insert(entry) for entry in entries]

    def set(
        self,
        id: int,
        status: str,
        block: int | None = None,
        detail: str | None = None,
        *,
        spent: int | None = None,
        time: int | None = None,
    ) -> JournalEntry:
        """Changes what became of an entry; returns it.

        :param detail: replaces the old one; None leaves it.
        :param spent: wei that it cost, counted by `spent_since` at `time`, its block's.
        :raises LeaseLostError: another process leads.
        """
        if status not in STATUSES:
            raise StorageError(f"{status} is no status of an entry; use one of {', '.join(STATUSES)}")
        if spent is not None and (block is None or time is None):
            raise StorageError("what a transaction cost belongs to a block and its time")
        with self._database.transaction(durable=True):
            self._fence()
            old = self.get(id)
            if old is None:
                raise StorageError(f"the journal has no entry {id}")
            new = replace(
                old, status=status, block=block, detail=old.detail if detail is None else detail, rolled_back=False
            )
            self._update(new)
            if spent is not None:
                values = (id, self._chain(), block, time, str(spent))
                self._database.run(
                    "INSERT INTO spent (entry, chain, block, time, wei, crc) VALUES (?, ?, ?, ?, ?, ?) "
                    "ON CONFLICT (entry) DO UPDATE SET block = excluded.block, time = excluded.time, "
                    "wei = excluded.wei, crc = excluded.crc",
                    (*values, check_of(*values)),
                )
        return new

    def get(self, id: int) -> JournalEntry | None:
        """An entry by its id."""
        return _only(self._select("id = ?", (id,)))

    def by_hash(self, tx_hash: str) -> JournalEntry | None:
        """An entry by the hash of its transaction."""
        return _only(self._select("tx_hash = ?", (tx_hash,)))

    def by_nonce(self, sender: str, nonce: int) -> list[JournalEntry]:
        """Entries that use a nonce, oldest first."""
        return self._select("sender = ? AND nonce = ?", (sender, nonce))

    def by_intent(self, intent: str) -> list[JournalEntry]:
        """Entries of a decision, oldest first."""
        return self._select("intent = ?", (intent,))

    def open(self, sender: str | None = None) -> list[JournalEntry]:
        """Entries that are not final, by nonce and age; of all senders if none is given."""
        marks = ", ".join("?" * len(FINAL))
        pending, order = f"status NOT IN ({marks})", "sender, nonce, id"
        if sender is None:
            return self._select(pending, FINAL, order)
        return self._select(f"sender = ? AND {pending}", (sender, *FINAL), order)

    def recent(self, n: int) -> list[JournalEntry]:
        """The latest entries, newest first."""
        return self._select("id > 0", (), f"id DESC LIMIT {int(n)}")

    def last_nonce(self, sender: str) -> int | None:
        """Highest nonce that the sender ever used here."""
        with self._database.lock:
            values = (self._chain(), sender)
            (found,) = self._database.query("SELECT max(nonce) FROM journal WHERE chain = ? AND sender = ?", values)
        return None if found[0] is None else int(found[0])

    def reorged(self, number: int) -> list[JournalEntry]:
        """Puts entries of blocks above `number` back to `broadcast`; what they cost is not spent any more.

        Returns all entries that were put back, now or with the blocks (`Repository.undo_to`), and not `set` since.

        :raises LeaseLostError: another process leads.
        """
        with self._database.transaction(durable=True):
            self._fence()
            self.roll_back(number)
            return self._select("rolled_back = 1", (), "sender, nonce, id")

    def roll_back(self, number: int) -> None:
        """The part of `reorged` that belongs to the transaction that rolls blocks back."""
        for entry in self._select("block > ?", (number,)):
            self._update(replace(entry, status="broadcast", block=None, rolled_back=True))
        self._database.run("DELETE FROM spent WHERE chain = ? AND block > ?", (self._chain(), number))

    def spent_since(self, time: int) -> int:
        """Wei that transactions cost in blocks of that time and later."""
        with self._database.lock:
            values = (self._chain(), time)
            found = self._database.query(
                "SELECT entry, chain, block, time, wei, crc FROM spent WHERE chain = ? AND time >= ?", values
            )
        for row in found:
            if check_of(*row[:5]) != row[5]:
                raise DatabaseCorruptError(f"what entry {row[0]} cost is damaged in {self._database.where}")
        return sum(int(row[4]) for row in found)

    def prune(self, before: int) -> int:
        """Removes final entries decided before that block, with what they cost. Returns how many."""
        marks = ", ".join("?" * len(FINAL))
        where = f"chain = ? AND created_block < ? AND status IN ({marks})"
        values = (self._chain(), before, *FINAL)
        with self._database.transaction():
            self._lease.fence()
            self._database.run(f"DELETE FROM spent WHERE entry IN (SELECT id FROM journal WHERE {where})", values)
            return self._database.run(f"DELETE FROM journal WHERE {where}", values)

    def _insert(self, entry: JournalEntry) -> int:
        if entry.status not in STATUSES:
            raise StorageError(f"{entry.status} is no status of an entry; use one of {', '.join(STATUSES)}")
        grant = self._lease.grant
        if grant is None or grant.epoch != entry.epoch:
            raise LeaseLostError(f"this process does not lead in epoch {entry.epoch}")
        values = (self._chain(), *_values(entry), entry.epoch, self._database.lease_now())
        found = self._database.query(
            "INSERT INTO journal (chain, intent, sender, nonce, raw, tx_hash, max_fee, tip, gas, target, data, "
            "value_wei, status, block, created_block, detail, epoch, rolled_back, crc) "
            "SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? "
            f"WHERE EXISTS (SELECT 1 FROM lease WHERE epoch = ? AND until > ?{self._database.for_share}) "
            "ON CONFLICT (chain, tx_hash) DO NOTHING RETURNING id",
            values,
        )
        if found:
            return int(found[0][0])
        self._lease.check_row(entry.epoch)
        known = self.by_hash(entry.tx_hash)
        if known is None:
            raise LeaseLostError(f"the database refused an entry of epoch {entry.epoch}: the lease ran out")
        return known.id

    def _update(self, entry: JournalEntry) -> None:
        values = _values(entry)
        self._database.run(
            "UPDATE journal SET status = ?, block = ?, detail = ?, rolled_back = ?, crc = ? WHERE id = ?",
            (entry.status, entry.block, entry.detail, int(entry.rolled_back), values[-1], entry.id),
        )

    def _fence(self) -> None:
        if self._lease.grant is None:
            raise LeaseLostError("the journal is written by the leader only: acquire the lease first")
        self._lease.fence()

    def _select(self, where: str, values: Sequence[object], order: str = "id") -> list[JournalEntry]:
        sql = f"SELECT {_COLUMNS} FROM journal WHERE chain = ? AND {where} ORDER BY {order}"
        with self._database.lock:
            return [self._entry(row) for row in self._database.query(sql, (self._chain(), *values))]

    def _entry(self, row: tuple[Any, ...]) -> JournalEntry:
        try:
            fields: list[Any] = [
                *row[:6],
                int(row[6]),
                int(row[7]),
                *row[8:11],
                int(row[11]),
                *row[12:17],
                bool(row[17]),
            ]
            entry = JournalEntry(*fields)
            sound = bool(row[18] == check_of(*row[1:18]))
        except (TypeError, ValueError):
            sound = False
        if not sound:
            raise DatabaseCorruptError(f"entry {row[0]} of the journal in {self._database.where} is damaged")
        return entry


def _values(entry: JournalEntry) -> tuple[object, ...]:
    """Columns after id and chain, as they are stored."""
    values = (
        entry.intent,
        entry.sender,
        entry.nonce,
        entry.raw,
        entry.tx_hash,
        str(entry.max_fee),
        str(entry.tip),
        entry.gas,
        entry.to,
        entry.data,
        str(entry.value_wei),
        entry.status,
        entry.block,
        entry.created_block,
        entry.detail,
        entry.epoch,
        int(entry.rolled_back),
    )
    return (*values, check_of(*values))


def _only(entries: list[JournalEntry]) -> JournalEntry | None:
    return entries[0] if entries else None
