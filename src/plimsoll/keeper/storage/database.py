"""What the repository asks of a database: statements, transactions, bulk reads and writes of rows.

Statements are written once, with `?` for parameters, in the SQL that SQLite and PostgreSQL share. Integers that can
pass 63 bits (wei) are stored as decimal text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from threading import RLock
from typing import Any, Protocol, TypeAlias

__all__ = ["SCHEMA", "TABLES", "Database", "Key", "RawRow", "tables"]

Key: TypeAlias = tuple[int, bytes]
"""Kind and key of a row."""
RawRow: TypeAlias = tuple[int, bytes, bytes]
"""Kind, key and value of a row that exists."""

SCHEMA = 2
"""Version of the tables."""

TABLES = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS rows (
  kind {small} NOT NULL, key {bytes} NOT NULL, value {bytes} NOT NULL, PRIMARY KEY (kind, key)
) {packed};
CREATE TABLE IF NOT EXISTS headers (
  number {key} NOT NULL PRIMARY KEY, hash TEXT NOT NULL, parent TEXT NOT NULL, time BIGINT NOT NULL,
  base_fee TEXT NOT NULL, gas_used BIGINT NOT NULL, gas_limit BIGINT NOT NULL, bloom {bytes} NOT NULL,
  undo {bytes}, held BIGINT NOT NULL, total BIGINT NOT NULL, crc BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS snapshot (
  number {key} NOT NULL PRIMARY KEY, hash TEXT NOT NULL, parent TEXT NOT NULL, time BIGINT NOT NULL,
  base_fee TEXT NOT NULL, gas_used BIGINT NOT NULL, gas_limit BIGINT NOT NULL, bloom {bytes} NOT NULL,
  resume {bytes} NOT NULL, crc BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS journal (
  id {serial}, chain TEXT NOT NULL, intent TEXT NOT NULL, sender TEXT NOT NULL, nonce BIGINT NOT NULL,
  raw {bytes} NOT NULL, tx_hash TEXT NOT NULL, max_fee TEXT NOT NULL, tip TEXT NOT NULL, gas BIGINT NOT NULL,
  target TEXT NOT NULL, data {bytes} NOT NULL, value_wei TEXT NOT NULL, status TEXT NOT NULL, block BIGINT,
  created_block BIGINT NOT NULL, detail TEXT NOT NULL, epoch BIGINT NOT NULL, rolled_back {small} NOT NULL,
  crc BIGINT NOT NULL, UNIQUE (chain, tx_hash)
);
CREATE INDEX IF NOT EXISTS journal_status ON journal (chain, sender, status);
CREATE INDEX IF NOT EXISTS journal_nonce ON journal (chain, sender, nonce);
CREATE INDEX IF NOT EXISTS journal_block ON journal (chain, block);
CREATE INDEX IF NOT EXISTS journal_intent ON journal (chain, intent);
CREATE TABLE IF NOT EXISTS spent (
  entry {key} NOT NULL PRIMARY KEY, chain TEXT NOT NULL, block BIGINT NOT NULL, time BIGINT NOT NULL,
  wei TEXT NOT NULL, crc BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS spent_time ON spent (chain, time);
CREATE TABLE IF NOT EXISTS memory (
  chain TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, crc BIGINT NOT NULL, PRIMARY KEY (chain, key)
) {packed};
CREATE TABLE IF NOT EXISTS lease (
  id {small} NOT NULL PRIMARY KEY, epoch BIGINT NOT NULL, owner TEXT NOT NULL, until BIGINT NOT NULL,
  ttl BIGINT NOT NULL, boot TEXT NOT NULL, crc BIGINT NOT NULL
);
INSERT INTO lease (id, epoch, owner, until, ttl, boot, crc) VALUES (1, 0, '', 0, 0, '', 0) ON CONFLICT (id) DO NOTHING;
"""


def tables(words: Mapping[str, str]) -> list[str]:
    """Statements that make the tables, with a database's own words for its types."""
    return [statement for statement in TABLES.format_map(words).split(";\n") if statement.strip()]


class Database(Protocol):
    """One connection, used by one thread at a time under `lock`.

    Every method raises a `StorageError` for what the database refuses.
    """

    lock: RLock
    where: str
    """What messages call it; never with a password."""
    exclusive: bool
    """No other process can write, now or until this one closes it."""

    def run(self, sql: str, values: Sequence[object] = ()) -> int:
        """Executes a statement; returns the number of rows it changed."""
        ...

    def send(self, sql: str, values: Sequence[object] = ()) -> None:
        """Executes a statement inside a transaction; what is wrong with it may be told as late as at its end."""
        ...

    def query(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Executes a statement and returns all rows of its answer."""
        ...

    def transaction(self, *, durable: bool = False) -> AbstractContextManager[None]:
        """Commits at its end, rolls back after an exception. Inside another one it is part of that one.

        A durable one is on the disk when it returns. Another one survives the end of the process but, after a loss of
        power, the latest of them may be missing (in order, and never a part of one).
        """
        ...

    def old_values(self, keys: Sequence[Key]) -> dict[Key, bytes]:
        """Values of those of the rows that exist."""
        ...

    def write_rows(self, written: Sequence[RawRow], removed: Sequence[Key]) -> None:
        """Inserts, overwrites and removes rows."""
        ...

    def stream(self, first: str) -> tuple[list[tuple[Any, ...]], Iterator[list[RawRow]]]:
        """The answer of a query, and all rows by kind and key in large pieces, both as of one moment.

        Other writes may go on meanwhile.
        """
        ...

    def lease_now(self) -> int:
        """Clock that leases in this database go by, ns: same for all processes that share it."""
        ...

    def lease_boot(self) -> str:
        """Which run of that clock it is; another value makes older times meaningless."""
        ...

    for_share: str
    """Ends a SELECT of a row that nobody may change until the transaction ends."""
    for_update: str
    """Ends a SELECT of a row that this transaction is about to change."""

    def close(self) -> None:
        """Gives the connection and all locks back."""
        ...
