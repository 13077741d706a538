"""The keepers of a soak: a leader and a standby on one database, each a process that is started again when it ends."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.faults.proxy import FaultProxy
from tests.support.processes import KEY_VARIABLE, KeeperProcess, write_config
from tests.support.running import RIVAL

__all__ = ["Fleet"]

LEASE = 4
NO_NODE = 2
EXPECTED = {-9: "killed", 4: "lost its lease", 0: "asked to end", NO_NODE: "found no node at the start"}
REST = 2
"""Blocks after which a process that ended is started again."""
SETTLED = 20
"""Looks after which the memory of a process counts as that of its beginning."""


@dataclass
class Memory:
    """Bytes resident of one process: when it had settled, and last."""

    first: int = 0
    last: int = 0
    looks: int = 0


@dataclass
class Fleet:
    """Both processes by name, and what became of earlier ones."""

    folder: Path
    network: Path
    proxies: tuple[FaultProxy, FaultProxy]
    processes: dict[str, KeeperProcess] = field(default_factory=dict)
    paused: set[str] = field(default_factory=set)
    ends: Counter[int] = field(default_factory=Counter)
    unexpected: list[str] = field(default_factory=list)
    audits: list[str] = field(default_factory=list)
    memory: dict[int, Memory] = field(default_factory=dict)
    events: Counter[str] = field(default_factory=Counter)
    rival: KeeperProcess | None = None
    _idle: dict[str, int] = field(default_factory=dict)
    _counted: set[int] = field(default_factory=set)

    @property
    def database(self) -> Path:
        """Of both."""
        return self.folder / "keeper.sqlite"

    @property
    def leader(self) -> str | None:
        """Who leads, as far as can be told from outside."""
        leading = [
            name
            for name, process in self.processes.items()
            if process.alive and name not in self.paused and process.counts["start"]
        ]
        return leading[0] if leading else None

    def start(self, name: str) -> None:
        """Starts one of both; each prefers another node."""
        first, second = self.proxies if name == "one" else self.proxies[::-1]
        config = self._config(name, self.database, first, second, ha=True)
        self.processes[name] = KeeperProcess(config)

    def hire_rival(self) -> None:
        """A keeper with another key and a database of its own."""
        config = self._config("rival", self.folder / "rival.sqlite", *self.proxies, ha=False)
        self.rival = KeeperProcess(config, key=RIVAL)

    def dismiss_rival(self) -> None:
        """Ends it."""
        if self.rival is not None:
            self.rival.kill()
            self.rival = None

    def tend(self) -> None:
        """Starts again what ended, and looks at the memory of what runs."""
        for name, process in list(self.processes.items()):
            if process.alive:
                self._idle[name] = 0
                self._look(process)
                continue
            if self._idle.setdefault(name, 0) == 0:
                self._ended(name, process)
            self._idle[name] += 1
            if self._idle[name] > REST:
                self._idle[name] = 0
                self.start(name)

    def kill(self, name: str) -> None:
        """SIGKILL."""
        self.paused.discard(name)
        self.processes[name].kill()

    def pause(self, name: str) -> None:
        """SIGSTOP."""
        self.paused.add(name)
        self.processes[name].pause()

    def resume(self) -> None:
        """SIGCONT for all that are stopped."""
        for name in list(self.paused):
            self.paused.discard(name)
            if self.processes[name].alive:
                self.processes[name].resume()

    def end(self) -> list[tuple[str, int, float]]:
        """Asks all to end; name, exit code and seconds of each."""
        found = []
        for name, process in self.processes.items():
            if process.alive:
                code, took = process.terminate()
                found.append((name, code, took))
            self._ended(name, process)
        return found

    def destroy(self) -> None:
        """Whatever still runs."""
        self.dismiss_rival()
        for process in self.processes.values():
            process.kill()

    def growth(self) -> list[tuple[int, int]]:
        """Bytes settled and last, of each process that was looked at for long enough."""
        return [(one.first, one.last) for one in self.memory.values() if one.looks > 2 * SETTLED]

    def _look(self, process: KeeperProcess) -> None:
        if not process.counts["start"]:
            return
        memory = self.memory.setdefault(process.process.pid, Memory())
        memory.looks += 1
        memory.last = process.rss
        if memory.looks <= SETTLED:
            memory.first = memory.last

    def _ended(self, name: str, process: KeeperProcess) -> None:
        code = process.process.wait()
        if process.process.pid in self._counted:
            return
        self._counted.add(process.process.pid)
        self.ends[code] += 1
        self.events += process.counts
        self.audits += [line for line in process.problems if '"event": "audit"' in line]
        path = self.folder / f"{name}.log"
        with path.open("a", encoding="utf-8") as log:
            log.write("\n".join(process.lines) + f"\n── exit code {code} ──\n")
        led = process.counts["start"] + process.counts["standby"] > 0
        if code not in EXPECTED or (code == NO_NODE and led):
            self.unexpected.append(f"{name} ended with {code}: {process.lines[-1] if process.lines else ''}")

    def _config(self, name: str, database: Path, first: FaultProxy, second: FaultProxy, *, ha: bool) -> Path:
        return write_config(
            self.folder / f"{name}.yaml",
            network=str(self.network),
            objective="solvency",
            node={
                "providers": [first.url, second.url],
                "heads": [first.ws_url],
                "poll": "0.3 s",
                "timeout": "2 s",
                "silence": "6 s",
            },
            key={"key_env": KEY_VARIABLE},
            database={"url": str(database)},
            ha={"enabled": ha, "owner": name, "lease": f"{LEASE} s"},
            sending={"solvency_budget": "1000 ETH", "patience": 20},
            audit={"every": 5, "random": 40, "at_risk": 40},
        )
