"""SQLite: one file in WAL mode, beside it a lock file.

Blocks are committed with `synchronous = NORMAL`: the end of the process takes nothing from them, a loss of power at
most the latest. Durable transactions (journal, lease) are committed with `FULL`, which takes all earlier ones to the
disk too.

The lock file is locked alone by a process without high availability, together with others by those with it; either way
the lock ends with the process. A process that was stopped inside a write holds SQLite's own lock until it goes on or is
killed: others are told so by `DatabaseLockedError` and cannot be helped by it.
"""

from __future__ import annotations

import fcntl
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from plimsoll.keeper.errors import ConfigurationError
from plimsoll.keeper.storage.database import Key, RawRow, tables
from plimsoll.keeper.storage.errors import (
    DatabaseCorruptError,
    DatabaseFullError,
    DatabaseLockedError,
    StorageError,
)
from plimsoll.keeper.storage.lease import boot_clock
from plimsoll.keeper.storage.nesting import Nesting

__all__ = ["FileLock", "SqliteDatabase"]

PATIENCE_MS = 2_000
"""How long another process's write is waited for."""
LOG_PAGES = 4_000
CACHE_KIB = 65_536
PIECE = 500
CHECKED = {"journal", "spent"}
WORDS = {
    "bytes": "BLOB",
    "small": "INTEGER",
    "key": "INTEGER",
    "serial": "INTEGER PRIMARY KEY AUTOINCREMENT",
    "packed": "WITHOUT ROWID",
}
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class FileLock:
    """The lock beside the file. It is given back when the process ends, however it ends.

    :param shared: other processes may hold it too, if they hold it as shared.
    :raises ConfigurationError: the file cannot be used, or another keeper uses it.
    """

    def __init__(self, path: Path, *, shared: bool) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._handle: IO[bytes] = path.with_name(path.name + ".lock").open("ab")
        except OSError as error:
            raise ConfigurationError(f"{path} cannot be used ({error.strerror}); name another database") from None
        try:
            fcntl.flock(self._handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError:
            self._handle.close()
            raise ConfigurationError(
                f"another keeper uses {path}; stop it, name another database, or ask for high availability in both"
            ) from None

    def alone(self) -> bool:
        """Tries to hold a shared lock alone; true if this process now does."""
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def share(self) -> None:
        """Holds it as shared again."""
        fcntl.flock(self._handle, fcntl.LOCK_SH)

    def close(self) -> None:
        """Gives it back."""
        self._handle.close()


class SqliteDatabase(Nesting):
    """A connection to a file.

    :param path: the file; None for one in memory.
    :param exclusive: no other process writes to it: the caller holds the lock alone.
    :param read_only: refuses to write and never makes a file.
    """

    for_share = ""
    for_update = ""

    def __init__(self, path: Path | None, *, exclusive: bool = True, read_only: bool = False) -> None:
        super().__init__()
        self.exclusive = exclusive
        self.where = "the database in memory" if path is None else str(path)
        self._path = path
        self._full = False
        with self._told():
            self._db = self._connect("rw" if read_only else "rwc")
            if read_only:
                self._db.execute("PRAGMA query_only = 1")
            self._db.execute("PRAGMA synchronous = NORMAL")
            # Fewer, larger writes of the log into the file, and the pages that every block changes in memory.
            self._db.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")
            self._db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            self._db.execute("PRAGMA journal_size_limit = 67108864")
        self._inode = None if path is None else path.stat().st_ino

    def make_tables(self) -> None:
        """Makes what is missing of the tables."""
        self.query("PRAGMA journal_mode = WAL")
        with self.transaction(durable=True):
            for statement in tables(WORDS):
                self._db.execute(statement)

    def names(self) -> set[str]:
        """Names of the tables."""
        return {name for (name,) in self.query("SELECT name FROM sqlite_master WHERE type = 'table'")}

    def check(self) -> None:
        """Reads the whole structure of the file.

        :raises DatabaseCorruptError: it is damaged.
        """
        answers = [self.query("PRAGMA quick_check(1)")]
        # Entries of indexes are compared too, where one that is missed would go unnoticed.
        for table in CHECKED & self.names():
            answers.append(self.query(f"PRAGMA integrity_check({table})"))
        for answer in answers:
            if answer != [("ok",)]:
                told = " ".join(str(answer[0][0]).split()) if answer else "no answer"
                raise DatabaseCorruptError(f"{self.where} is damaged: {told}")

    def run(self, sql: str, values: Sequence[object] = ()) -> int:
        try:
            return self._db.execute(sql, values).rowcount
        except sqlite3.Error as error:
            raise _translated(self.where, error) from None

    def send(self, sql: str, values: Sequence[object] = ()) -> None:
        self.run(sql, values)

    def query(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        try:
            return self._db.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise _translated(self.where, error) from None

    def _begin(self, durable: bool) -> None:
        self._still_there()
        if durable != self._full:
            self.run(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._full = durable
        self.run("BEGIN IMMEDIATE")

    def _commit(self) -> None:
        self.run("COMMIT")

    def _roll_back(self) -> None:
        if self._db.in_transaction:
            with self._told():
                self._db.execute("ROLLBACK")

    def old_values(self, keys: Sequence[Key]) -> dict[Key, bytes]:
        found: dict[Key, bytes] = {}
        execute = self._db.execute
        with self._told():
            for key in keys:
                row = execute("SELECT value FROM rows WHERE kind = ? AND key = ?", key).fetchone()
                if row is not None:
                    found[key] = row[0]
        return found

    def write_rows(self, written: Sequence[RawRow], removed: Sequence[Key]) -> None:
        with self._told():
            if written:
                self._db.executemany("INSERT OR REPLACE INTO rows VALUES (?, ?, ?)", written)
            if removed:
                self._db.executemany("DELETE FROM rows WHERE kind = ? AND key = ?", removed)

    def stream(self, first: str) -> tuple[list[tuple[Any, ...]], Iterator[list[RawRow]]]:
        every = "SELECT kind, key, value FROM rows ORDER BY kind, key"
        with self._told(), self.lock:
            if self._path is None:
                return self.query(first), iter([self._db.execute(every).fetchall()])
            reader = self._connect("rw")
            try:
                reader.execute("BEGIN")
                answer = reader.execute(first).fetchall()
            except BaseException:
                reader.close()
                raise
        return answer, self._pieces(reader, every)

    def _pieces(self, reader: sqlite3.Connection, every: str) -> Iterator[list[RawRow]]:
        try:
            with self._told():
                cursor = reader.execute(every)
            while True:
                with self._told():
                    piece = cursor.fetchmany(PIECE)
                if not piece:
                    return
                yield piece
        finally:
            reader.close()

    def lease_now(self) -> int:
        return boot_clock()

    def lease_boot(self) -> str:
        try:
            return BOOT_ID.read_text().strip()
        except OSError:
            return ""

    def close(self) -> None:
        with self.lock:
            self._db.close()

    def _connect(self, mode: str) -> sqlite3.Connection:
        where = ":memory:" if self._path is None else f"{self._path.absolute().as_uri()}?mode={mode}"
        # One thread at a time uses the connection, under `lock`, not always the one that made it.
        db = sqlite3.connect(where, isolation_level=None, check_same_thread=False, uri=True, cached_statements=256)
        db.execute(f"PRAGMA busy_timeout = {PATIENCE_MS}")
        return db

    def _still_there(self) -> None:
        if self._path is None:
            return
        try:
            same = self._path.stat().st_ino == self._inode
        except OSError:
            same = False
        if not same:
            raise StorageError(f"{self.where} was moved or deleted while it was in use; put it back and start again")

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise _translated(self.where, error) from None


def _translated(where: str, error: sqlite3.Error) -> StorageError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return DatabaseLockedError(
            f"{where} is locked by another process ({error}); end it, or let it go on if it is stopped"
        )
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN):
        return DatabaseFullError(f"{where} cannot be written ({error}); free the disk, or make it writable")
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or "decode" in str(error).lower():
        return DatabaseCorruptError(f"{where} is damaged ({error})")
    return StorageError(f"{where} refused: {error}")
