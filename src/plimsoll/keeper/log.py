"""Log lines: one per decision, for people or as JSON."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Hashable
from datetime import UTC, datetime

from plimsoll.model.words import AccountId
from plimsoll.units import format_units

__all__ = ["KeeperLog", "money", "show_account"]

PLACES = 4


def show_account(account: bytes) -> str:
    """`0x7099…79C8/1/0`: owner, pool, sub-account."""
    found = AccountId.unpack(int.from_bytes(account, "big"))
    return f"{found.owner[:6]}…{found.owner[-4:]}/{found.pool}/{found.sub}"


def money(amount: int) -> str:
    """A WAD amount with four decimals, cut toward zero."""
    unit = 10 ** (18 - PLACES)
    whole = abs(amount) // unit
    return format_units(-whole if amount < 0 else whole, PLACES)


class KeeperLog:
    """Writes lines. `once` says the same about the same thing only once."""

    def __init__(
        self,
        write: Callable[[str], object] | None = None,
        *,
        json_lines: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._write = write if write is not None else _to_stdout
        self._json = json_lines
        self._clock = clock
        self._said: dict[Hashable, str] = {}
        self._kept: set[Hashable] = set()

    @classmethod
    def silent(cls) -> KeeperLog:
        """Says nothing."""
        return cls(lambda _: None)

    def info(self, event: str, message: str, **fields: object) -> None:
        """Something that was decided or happened."""
        self._line("INFO", event, message, fields)

    def warn(self, event: str, message: str, **fields: object) -> None:
        """Something an operator should look at."""
        self._line("WARN", event, message, fields)

    def error(self, event: str, message: str, **fields: object) -> None:
        """Why the keeper stops, or cannot do its work."""
        self._line("ERROR", event, message, fields)

    def once(self, key: Hashable, event: str, message: str, **fields: object) -> None:
        """As `info`, unless this was the last thing said about `key`."""
        self._kept.add(key)
        if self._said.get(key) != message:
            self._said[key] = message
            self.info(event, message, **fields)

    def forget_others(self) -> None:
        """Forgets every key that `once` has not met since the last call of this."""
        self._said = {key: text for key, text in self._said.items() if key in self._kept}
        self._kept = set()

    def _line(self, level: str, event: str, message: str, fields: dict[str, object]) -> None:
        when = datetime.fromtimestamp(self._clock(), UTC)
        if self._json:
            record = {"time": when.isoformat(timespec="milliseconds"), "level": level, "event": event}
            self._write(json.dumps(record | {"message": message} | fields, ensure_ascii=False, default=str))
            return
        self._write(f"{when:%Y-%m-%d %H:%M:%S} {level:<5} {event}: {message}")


def _to_stdout(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
