"""Small things that jobs remember between runs: a key and a JSON value each."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from plimsoll.keeper.storage.database import Database
from plimsoll.keeper.storage.errors import DatabaseCorruptError
from plimsoll.keeper.storage.lease import Lease
from plimsoll.keeper.storage.packing import check_of

__all__ = ["Json", "Memory"]

Json: TypeAlias = "bool | int | str | Sequence[Json] | Mapping[str, Json] | None"
"""JSON without fractions: money is integers or text."""


class Memory:
    """What jobs of one chain and deployment remember. Like blocks, the latest may be lost with the power."""

    def __init__(self, database: Database, lease: Lease, chain: Callable[[], str]) -> None:
        self._database = database
        self._lease = lease
        self._chain = chain

    def get(self, key: str) -> Json:
        """The value, None if there is none."""
        with self._database.lock:
            values = (self._chain(), key)
            found = self._database.query("SELECT value, crc FROM memory WHERE chain = ? AND key = ?", values)
        return self._read(key, *found[0]) if found else None

    def all(self, prefix: str = "") -> dict[str, Json]:
        """All values whose key begins so, by key."""
        with self._database.lock:
            found = self._database.query("SELECT key, value, crc FROM memory WHERE chain = ?", (self._chain(),))
        return {key: self._read(key, value, crc) for key, value, crc in sorted(found) if key.startswith(prefix)}

    def set(self, key: str, value: Json) -> None:
        """Writes a value.

        :raises ValueError: there is a float in it.
        """
        self.update({key: value})

    def update(self, values: Mapping[str, Json]) -> None:
        """Writes several values at once; None removes one."""
        written = [_row(self._chain(), key, value) for key, value in values.items() if value is not None]
        with self._database.transaction():
            self._lease.fence()
            for key, value in values.items():
                if value is None:
                    self._database.run("DELETE FROM memory WHERE chain = ? AND key = ?", (self._chain(), key))
            for row in written:
                self._database.run(
                    "INSERT INTO memory (chain, key, value, crc) VALUES (?, ?, ?, ?) "
                    "ON CONFLICT (chain, key) DO UPDATE SET value = excluded.value, crc = excluded.crc",
                    row,
                )

    def _read(self, key: str, text: str, crc: int) -> Json:
        if check_of(self._chain(), key, text) != crc:
            raise DatabaseCorruptError(f"what is remembered as {key} in {self._database.where} is damaged")
        value: Json = json.loads(text)
        return value


def _row(chain: str, key: str, value: Json) -> tuple[str, str, str, int]:
    _no_fraction(value)
    text = json.dumps(value, separators=(",", ":"))
    return chain, key, text, check_of(chain, key, text)


def _no_fraction(value: object) -> None:
    if isinstance(value, float):
        raise ValueError("what is remembered must not hold a float")
    if isinstance(value, Mapping):
        for item in value.values():
            _no_fraction(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _no_fraction(item)
