"""Keeps the mirror and the cursor in a small SQLite file, so that a restart goes on where it stopped."""

from __future__ import annotations

import fcntl
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from plimsoll.keeper.errors import ConfigurationError, UnsafeStateError
from plimsoll.keeper.mirror import Change

__all__ = ["Cursor", "Store"]

SCHEMA = 1
TABLES = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS rows (kind TEXT, key TEXT, value TEXT NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last block whose logs were taken."""

    number: int
    hash: str


class Store:
    """Rows of the mirror and the cursor; a change of both is one transaction.

    :param path: the file, None for memory. One process at a time.
    :param identity: what the rows belong to (chain, deployment); a file of another identity is emptied.
    :raises ConfigurationError: the file cannot be used, or another keeper uses it.
    """

    def __init__(self, path: Path | None, identity: str) -> None:
        self._lock: IO[bytes] | None = None
        self._path = path
        self.was_foreign = False
        if path is not None:
            self._lock = _locked(path)
        try:
            # One thread at a time uses a keeper, not always the one that made it.
            where = ":memory:" if path is None else path
            self._db = sqlite3.connect(where, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.executescript(TABLES)
            known = dict(self._db.execute("SELECT name, value FROM meta"))
        except sqlite3.Error as error:
            self._unlock()
            raise ConfigurationError(
                f"{path} is no database of the keeper ({error}); move it away or give --db"
            ) from None
        wanted = {"schema": str(SCHEMA), "identity": identity}
        if known and any(known.get(name) != value for name, value in wanted.items()):
            self.was_foreign = True
            self.reset()
        with self._transaction():
            self._db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", wanted.items())

    def load(self) -> tuple[Cursor | None, list[tuple[str, str, str]]]:
        """The cursor, None at the beginning, and all rows."""
        meta = dict(self._db.execute("SELECT name, value FROM meta"))
        cursor = Cursor(int(meta["number"]), meta["hash"]) if "hash" in meta else None
        return cursor, list(self._db.execute("SELECT kind, key, value FROM rows"))

    def save(self, changes: Sequence[Change], cursor: Cursor) -> None:
        """Writes changed rows and the cursor.

        :raises UnsafeStateError: the disk does not take them.
        """
        written = [change for change in changes if change[2] is not None]
        removed = [change[:2] for change in changes if change[2] is None]
        try:
            with self._transaction():
                self._db.executemany("INSERT OR REPLACE INTO rows VALUES (?, ?, ?)", written)
                self._db.executemany("DELETE FROM rows WHERE kind = ? AND key = ?", removed)
                meta = [("number", str(cursor.number)), ("hash", cursor.hash)]
                self._db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", meta)
        except sqlite3.Error as error:
            raise UnsafeStateError(f"{self._path} cannot be written ({error}); free the disk or give --db") from None

    def reset(self) -> None:
        """Forgets all rows and the cursor."""
        with self._transaction():
            self._db.execute("DELETE FROM rows")
            self._db.execute("DELETE FROM meta WHERE name IN ('number', 'hash')")

    def close(self) -> None:
        """Gives the file back."""
        self._db.close()
        self._unlock()

    def _transaction(self) -> _Transaction:
        return _Transaction(self._db)

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None


class _Transaction:
    """BEGIN … COMMIT, or ROLLBACK after an exception."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._db.execute("COMMIT" if kind is None else "ROLLBACK")


def _locked(path: Path) -> IO[bytes]:
    """Takes the lock beside the file; it is given back when the process ends, however it ends."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = path.with_name(path.name + ".lock").open("wb")
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be used ({error.strerror}); give another file with --db") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        handle.close()
        raise ConfigurationError(f"another keeper uses {path}; stop it, or give another file with --db") from None
    return handle
