"""Opens the database that the operator names."""

from __future__ import annotations

from pathlib import Path

from plimsoll.keeper.errors import ConfigurationError
from plimsoll.keeper.storage.files import SqliteRepository
from plimsoll.keeper.storage.repository import Repository

__all__ = ["open_repository"]


def open_repository(
    where: str | Path | None,
    identity: str | None,
    *,
    shared: bool = False,
    read_only: bool = False,
    examine: bool = True,
    put_aside: bool = False,
) -> Repository:
    """A repository in a file of SQLite, in PostgreSQL (`postgresql://…`), or in memory (None).

    See `SqliteRepository` and `PostgresRepository` for the rest; only a file is examined and put aside. If its rows
    turn out to be damaged while they are read (`DatabaseCorruptError` from `rows`), `reset` and read the chain again;
    if that fails too, open with `put_aside`.

    :raises ConfigurationError: it cannot be used, or another keeper uses it.
    :raises DatabaseCorruptError: it is damaged and not to be put aside.
    """
    if isinstance(where, str) and where.startswith(("postgresql://", "postgres://")):
        try:
            from plimsoll.keeper.storage.postgres import PostgresRepository
        except ImportError:
            raise ConfigurationError("PostgreSQL needs the extra `postgres`: pip install plimsoll[postgres]") from None
        return PostgresRepository(where, identity, shared=shared, read_only=read_only)
    path = None if where is None else Path(where)
    return SqliteRepository(path, identity, shared=shared, read_only=read_only, examine=examine, put_aside=put_aside)
