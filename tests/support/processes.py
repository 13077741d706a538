"""`plimsoll keeper run` as a process: started, stopped, killed, and read line by line."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.support.running import KEEPER, key_of

__all__ = ["KEY_VARIABLE", "KeeperProcess", "write_config"]

ROOT = Path(__file__).resolve().parents[2]
KEY_VARIABLE = "SOAK_KEY"
LINES_KEPT = 5_000
EVENT = re.compile(r'"event": "([^"]+)"')
LOUD = '"level": "ERROR"'


def write_config(path: Path, **sections: Any) -> Path:
    """A configuration file: sections as keyword arguments, each a mapping or a value."""
    path.write_text(yaml.safe_dump(sections), encoding="utf-8")
    return path


class KeeperProcess:
    """One run of the command line. Its lines are JSON objects.

    :param config: file of the configuration.
    :param key: number of the account of Anvil whose key it gets.
    """

    def __init__(self, config: Path, *more: str, key: int = KEEPER) -> None:
        self.lines: list[str] = []
        """The last ones."""
        self.counts: Counter[str] = Counter()
        """Lines by event."""
        self.problems: list[str] = []
        """Lines of errors."""
        self.begun = time.monotonic()
        environment: Mapping[str, str] = {
            **os.environ,
            "PYTHONUNBUFFERED": "1",
            KEY_VARIABLE: bytes(key_of(key).key).hex(),
        }
        arguments = [sys.executable, "-m", "plimsoll", "keeper", "run", "--config", str(config), "--json", *more]
        self.process = subprocess.Popen(
            arguments,
            cwd=ROOT,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    @property
    def rss(self) -> int:
        """Bytes of memory that it has resident; 0 if it has ended."""
        try:
            text = Path(f"/proc/{self.process.pid}/statm").read_text(encoding="ascii")
        except OSError:
            return 0
        return int(text.split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def events(self, name: str) -> list[dict[str, Any]]:
        """Lines of that event."""
        return [one for one in self.records() if one.get("event") == name]

    def records(self) -> list[dict[str, Any]]:
        """All lines that are JSON."""
        found = []
        for line in list(self.lines):
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
        return found

    def wait_for(self, what: Callable[[], bool], seconds: float = 60.0) -> float:
        """Waits until something is so; gives the seconds. Fails if it does not come."""
        begun = time.monotonic()
        while not what():
            assert time.monotonic() < begun + seconds, self.lines[-8:]
            time.sleep(0.02)
        return time.monotonic() - begun

    def wait_to_lead(self, seconds: float = 60.0) -> float:
        """Waits until it has begun to work."""
        return self.wait_for(lambda: self.counts["start"] > 0, seconds)

    def wait_to_stand_by(self) -> None:
        """Waits until it has found another leader."""
        self.wait_for(lambda: self.counts["standby"] > 0)

    def pause(self) -> None:
        """SIGSTOP."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL, whether it is paused or not."""
        if self.alive:
            self.process.kill()
        self.process.wait(30)
        self._reader.join(10)

    def terminate(self, seconds: float = 30.0) -> tuple[int, float]:
        """SIGTERM; the exit code, and how long it took."""
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(seconds)
        took = time.monotonic() - begun
        self._reader.join(10)
        return code, took

    def wait_to_end(self, seconds: float = 60.0) -> int:
        """The exit code, when it ends by itself."""
        code = self.process.wait(seconds)
        self._reader.join(10)
        return code

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            del self.lines[:-LINES_KEPT]
            event = EVENT.search(line)
            if event is not None:
                self.counts[event[1]] += 1
            if LOUD in line:
                self.problems.append(line.rstrip("\n"))
