"""Lines of the log without secrets, and with one id from the detection of something to the landing of a transaction."""

from __future__ import annotations

import json
import sys
import time
from collections import deque
from collections.abc import Callable, Hashable
from datetime import UTC, datetime
from typing import Any

from plimsoll.keeper.log import KeeperLog
from plimsoll.keeper.operations.redact import Redactor
from plimsoll.keeper.operations.status import plain

__all__ = ["DecisionLog", "LineWriter"]

EXACT_BITS = 53
TAIL = 200
LEVELS = ("INFO", "WARN", "ERROR")


class LineWriter:
    """Writes lines to standard output and goes on when that fails: a full disk or a closed pipe stops no liquidation.

    :param lost: how many lines could not be written.
    """

    def __init__(self) -> None:
        self.lost = 0

    def __call__(self, line: str) -> None:
        """Writes one line at once."""
        try:
            sys.stdout.write(line + "\n")
            sys.stdout.flush()
        except (OSError, ValueError):
            self.lost += 1


class DecisionLog(KeeperLog):
    """As `KeeperLog`, redacted, counted and kept in `tail`.

    A line of a decision carries its `id`: `log.about(id, job=…)` gives a log that adds it to every line.

    :param counted: called with the level of each line.
    """

    def __init__(
        self,
        write: Callable[[str], object] | None = None,
        *,
        json_lines: bool = False,
        clock: Callable[[], float] = time.time,
        redactor: Redactor | None = None,
        counted: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.redactor = redactor if redactor is not None else Redactor()
        self.writer = write if write is not None else LineWriter()
        self.tail: deque[str] = deque(maxlen=TAIL)
        self.counted = counted
        self._bound: dict[str, object] = {}
        super().__init__(self._emit, json_lines=json_lines, clock=clock)

    def about(self, id: str, **fields: object) -> DecisionLog:
        """A log that adds this id and these fields to each line; what was said once is shared."""
        other = DecisionLog.__new__(DecisionLog)
        other.__dict__.update(self.__dict__)
        other._bound = {**self._bound, "id": id, **fields}
        return other

    def decision(self, id: str, job: str, outcome: str, message: str, **fields: object) -> None:
        """The line of a decision: what was decided, with every term it was decided on."""
        self.about(id, job=job).info("decision", message, outcome=outcome, **fields)

    def once(self, key: Hashable, event: str, message: str, **fields: object) -> None:
        """As `info`, unless this was the last thing said about `key`."""
        self._kept.add(key)
        if self._said.get(key) != message:
            self._said[key] = message
            self.info(event, message, **fields)

    def forget_others(self) -> None:
        """Forgets every key that `once` has not met since the last call of this."""
        for key in [key for key in self._said if key not in self._kept]:
            del self._said[key]
        self._kept.clear()

    def _emit(self, line: str) -> None:
        self.tail.append(line)
        self.writer(line)

    def _line(self, level: str, event: str, message: str, fields: dict[str, object]) -> None:
        self.counted(level)
        known = {key: _exact(plain(value)) for key, value in (self._bound | fields).items()}
        found: dict[str, Any] = self.redactor.value(known)
        text = self.redactor.text(message)
        when = datetime.fromtimestamp(self._clock(), UTC)
        if self._json:
            head = {"time": when.isoformat(timespec="milliseconds"), "level": level, "event": event}
            first = {key: found.pop(key) for key in ("id", "job") if key in found}
            self._write(json.dumps(head | first | {"message": text} | found, ensure_ascii=False, default=str))
            return
        mark = f" [{found['id']}]" if "id" in found else ""
        self._write(f"{when:%Y-%m-%d %H:%M:%S} {level:<5} {event}: {text}{mark}")


def _exact(value: Any) -> Any:
    """Integers that readers of JSON would round become text; bytes hexadecimal."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return value if abs(value) < 1 << EXACT_BITS else str(value)
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, dict):
        return {key: _exact(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_exact(item) for item in value]
    return value
