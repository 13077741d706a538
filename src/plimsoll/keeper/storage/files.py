"""The repository in a file: opened with its lock, checked, and where it is damaged either refused or put aside.

What is put aside keeps its name with `.damaged-N` added and is never removed. Rows come again from the chain; journal,
memory and lease are carried over as far as they can be read. Each entry of the journal carries a check sum, so none is
carried over wrong, but some may be missing: what the sender has in flight must be asked of the chain.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from plimsoll.keeper.errors import ConfigurationError
from plimsoll.keeper.storage.database import SCHEMA
from plimsoll.keeper.storage.errors import DatabaseCorruptError
from plimsoll.keeper.storage.packing import check_of
from plimsoll.keeper.storage.repository import SqlRepository
from plimsoll.keeper.storage.sqlite import FileLock, SqliteDatabase

__all__ = ["SqliteRepository"]

CARRIED = {"journal": 2, "spent": 0, "memory": 0, "lease": 1}
"""Tables, and at which column what their last column checks begins."""
OLD_TABLES = {"1": ("meta", "rows")}
"""Tables of older versions, which held nothing that the chain does not tell again."""


class SqliteRepository(SqlRepository):
    """The repository in a file, or in memory.

    :param path: the file, None for memory.
    :param identity: what the data must belong to; None, with `read_only`, for whatever is there.
    :param shared: high availability: other processes that ask for it too may have it open; only the leader writes.
    :param read_only: takes no lock and writes nothing; for looking while a keeper runs.
    :param examine: reads the whole structure of a file before it is used.
    :param put_aside: a damaged file is put aside and begun anew, instead of refused. `quarantined` tells where it is.
    :raises ConfigurationError: the file cannot be used, is no keeper's, or another keeper uses it.
    :raises DatabaseCorruptError: it is damaged.
    """

    def __init__(
        self,
        path: Path | None,
        identity: str | None,
        *,
        shared: bool = False,
        read_only: bool = False,
        examine: bool = True,
        put_aside: bool = False,
    ) -> None:
        self._file_lock: FileLock | None = None
        moved: Path | None = None
        if read_only and (path is None or not path.is_file()):
            raise ConfigurationError(f"there is no database {path}")
        if path is not None and not read_only:
            self._file_lock = FileLock(path, shared=shared)
        try:
            try:
                database = _opened(path, shared, read_only, examine)
            except DatabaseCorruptError as error:
                if path is None or read_only or not put_aside or self._file_lock is None:
                    raise DatabaseCorruptError(
                        f"{error}; put it aside and let the keeper read the chain again, or restore a copy"
                    ) from None
                moved = _put_aside(path, self._file_lock, shared)
                database = _opened(path, shared, read_only, examine)
                _carry_over(moved, database)
            try:
                super().__init__(database, identity, read_only=read_only)
            except BaseException:
                database.close()
                raise
        except BaseException:
            self._unlock()
            raise
        self.quarantined = None if moved is None else str(moved)

    def close(self) -> None:
        super().close()
        self._unlock()

    def _unlock(self) -> None:
        if self._file_lock is not None:
            self._file_lock.close()
            self._file_lock = None


def _opened(path: Path | None, shared: bool, read_only: bool, examine: bool) -> SqliteDatabase:
    existed = path is not None and path.exists()
    database = SqliteDatabase(path, exclusive=not shared, read_only=read_only)
    try:
        names = database.names()
        if names and "meta" not in names:
            raise ConfigurationError(f"{path} is no database of the keeper; move it away or name another")
        version = str(SCHEMA)
        if names:
            version = dict(database.query("SELECT name, value FROM meta")).get("schema", version)
        if version in OLD_TABLES and not read_only:
            with database.transaction():
                for table in OLD_TABLES[version]:
                    database.run(f"DROP TABLE {table}")
        elif version != str(SCHEMA) or (read_only and not names):
            raise ConfigurationError(f"{path} is of another version of the keeper; move it away or name another")
        if not read_only:
            if existed and examine:
                database.check()
            database.make_tables()
    except BaseException:
        database.close()
        raise
    return database


def _put_aside(path: Path, lock: FileLock, shared: bool) -> Path:
    if shared and not lock.alone():
        raise DatabaseCorruptError(f"{path} is damaged and another keeper has it open; stop that one first")
    number = 1
    while (moved := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(moved.with_name(moved.name + suffix))
    if shared:
        lock.share()
    return moved


def _carry_over(moved: Path, database: SqliteDatabase) -> None:
    """Copies what can be read of what the chain does not tell."""
    try:
        source = sqlite3.connect(f"{moved.absolute().as_uri()}?mode=rw", uri=True)
    except sqlite3.Error:
        return
    with database.transaction(durable=True):
        for table, first in CARRIED.items():
            for row in _readable(source, table):
                if row[-1] == check_of(*row[first:-1]):
                    marks = ", ".join("?" * len(row))
                    database.run(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", row)
    source.close()


def _readable(source: sqlite3.Connection, table: str) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    try:
        for row in source.execute(f"SELECT * FROM {table}"):
            rows.append(row)
    except sqlite3.Error:
        return rows  # what comes after the damage is lost
    return rows
