"""How fast the book is, and how large: `python -m plimsoll.keeper.book.bench`.

A crowd of accounts is written to a database and read from there, then prices move and fills happen. One thread does
everything. Times are of the clock, and beside them of the processor, which other programs on the machine do not
lengthen.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import json
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from plimsoll.keeper.book.crowd import START, Crowd
from plimsoll.keeper.book.exact import confirm, draft_of
from plimsoll.keeper.book.mirror import Mirror
from plimsoll.keeper.book.observations import Observations
from plimsoll.keeper.book.search import Search
from plimsoll.keeper.node.headers import Header
from plimsoll.keeper.storage.files import SqliteRepository

__all__ = ["BenchReport", "Spread", "bench", "main"]

CHUNK = 50_000
SIGMA = 0.002
"""Usual move of a price, as a part of it."""
PAGE = resource.getpagesize()


@dataclass(frozen=True, slots=True)
class Spread:
    """Milliseconds: middle, the 99th of a hundred, the worst; by the clock and by the processor."""

    p50: float
    p99: float
    worst: float
    p50_cpu: float
    p99_cpu: float
    worst_cpu: float

    @classmethod
    def of(cls, samples: list[tuple[float, float]]) -> Spread:
        """Of pairs of seconds."""
        clock, cpu = (np.quantile(column, [0.5, 0.99, 1.0]) * 1e3 for column in np.array(samples).T)
        return cls(*(round(float(value), 3) for value in (*clock, *cpu)))


@dataclass(frozen=True, slots=True)
class BenchReport:
    """Seconds unless a name says otherwise; memory in megabytes.

    :param start_seconds: from the database to the first candidates: reading and loading, then the first search.
    :param tick: one market's price moves: candidates.
    :param all_markets: every price moves: candidates.
    :param crash_accounts: accounts below their line after a crash: their search, and exact confirmation of each.
    :param block: a block of fills: rows taken in, and candidates.
    :param memory: of the process before the events, and after each quarter of them.
    """

    accounts: int
    positions: int
    markets: int
    start_seconds: tuple[float, float]
    start_cpu_seconds: tuple[float, float]
    tick: Spread
    all_markets: Spread
    standing_ms: float
    crash_accounts: int
    crash_search_ms: float
    confirm_us: float
    events: int
    fills_a_block: int
    block: Spread
    memory: tuple[int, ...]
    memory_peak: int
    columns: int

    def lines(self) -> list[str]:
        """As text."""
        return [f"{name:18} {_show(value)}" for name, value in dataclasses.asdict(self).items()]


def bench(
    accounts: int = 1_000_000,
    markets: int = 32,
    *,
    ticks: int = 2_000,
    rounds: int = 200,
    events: int = 200_000,
    fills: int = 200,
    folder: Path | None = None,
    say: Callable[[str], object] = lambda _: None,
) -> BenchReport:
    """Measures.

    :param ticks: moves of one market. :param rounds: moves of all markets.
    :param events: fills, `fills` a block.
    :param folder: for the database; None: one that is removed.
    :param say: is told what is being done.
    """
    crowd = Crowd(accounts, markets)
    with tempfile.TemporaryDirectory(dir=folder) as place:
        say("writing a database")
        path = Path(place) / "crowd.sqlite"
        _write(crowd, path)
        gc.collect()
        say("starting from it")
        mirror, search, clock, cpu = _start(crowd, path)
    positions = mirror.legs.used
    say("moving one price at a time")
    chance = np.random.default_rng(2)
    moves = np.zeros(markets)
    tick = []
    for number in range(ticks):
        moves[number % markets] = chance.normal() * SIGMA
        tick.append(_search(search, crowd.observations(START + 2 * number, moves)))
    say("moving all prices")
    now = START + 2 * ticks
    whole = [
        _search(search, crowd.observations(now + 2 * number, chance.normal(size=markets) * SIGMA))
        for number in range(rounds)
    ]
    now += 2 * rounds
    begin = time.thread_time()
    search.standing(crowd.observations(now, moves))
    standing = time.thread_time() - begin
    say("crash")
    crashed, crash, each = _crash(crowd, mirror, search, now)
    say("taking in fills")
    memory = [_resident()]
    blocks: list[tuple[float, float]] = []
    count = max(events // fills, 4)
    for number in range(count):
        now += 2
        moves[number % markets] = chance.normal() * SIGMA
        rows = crowd.fills(chance, fills, now, lambda account: mirror.accounts.word(mirror.accounts.row(account)))
        observations = crowd.observations(now, moves)
        begin, used = time.perf_counter(), time.thread_time()
        mirror.apply(rows)
        search.candidates(observations)
        blocks.append((time.perf_counter() - begin, time.thread_time() - used))
        if (number + 1) % (count // 4) == 0:
            memory.append(_resident())
    return BenchReport(
        accounts=mirror.known,
        positions=positions,
        markets=markets,
        start_seconds=clock,
        start_cpu_seconds=cpu,
        tick=Spread.of(tick),
        all_markets=Spread.of(whole),
        standing_ms=round(standing * 1e3, 1),
        crash_accounts=crashed,
        crash_search_ms=round(crash * 1e3, 1),
        confirm_us=round(each * 1e6, 1),
        events=count * fills,
        fills_a_block=fills,
        block=Spread.of(blocks),
        memory=tuple(memory),
        memory_peak=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        columns=search.memory() >> 20,
    )


def _write(crowd: Crowd, path: Path) -> None:
    header = Header(1, f"0x{1:064x}", f"0x{0:064x}", START, 0, 0, 1, bytes(256))
    repository = SqliteRepository(path, "bench")
    try:
        repository.begin_snapshot(header)
        rows = crowd.rows()
        while chunk := list(islice(rows, CHUNK)):
            repository.add_snapshot(chunk, b"")
        repository.end_snapshot()
    finally:
        repository.close()


def _start(crowd: Crowd, path: Path) -> tuple[Mirror, Search, tuple[float, float], tuple[float, float]]:
    times = [(time.perf_counter(), time.thread_time())]
    repository = SqliteRepository(path, "bench")
    mirror = Mirror()
    try:
        mirror.load(repository.rows())
    finally:
        repository.close()
    for token, decimals in crowd.decimals().items():
        mirror.set_decimals(token, decimals)
    times.append((time.perf_counter(), time.thread_time()))
    search = Search(mirror)
    search.candidates(crowd.observations())
    times.append((time.perf_counter(), time.thread_time()))
    clock, cpu = ([round(float(step), 2) for step in np.diff(column)] for column in np.array(times).T)
    return mirror, search, (clock[0], clock[1]), (cpu[0], cpu[1])


def _search(search: Search, observations: Observations) -> tuple[float, float]:
    begin, used = time.perf_counter(), time.thread_time()
    search.candidates(observations)
    return time.perf_counter() - begin, time.thread_time() - used


def _crash(crowd: Crowd, mirror: Mirror, search: Search, now: int) -> tuple[int, float, float]:
    """Accounts below their line when all prices fall by a twentieth; the search; confirmation of each."""
    observations = crowd.observations(now, np.full(crowd.markets, -0.05))
    begin = time.thread_time()
    rows = search.candidates(observations)
    taken = time.thread_time() - begin
    some = mirror.ids(rows[:20_000].tolist())
    draft = draft_of(mirror, observations)
    begin = time.thread_time()
    below = sum(verdict.below for verdict in confirm(mirror, some, observations, draft))
    each = (time.thread_time() - begin) / max(len(some), 1)
    search.candidates(crowd.observations(now))
    return round(len(rows) * below / max(len(some), 1)), taken, each


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE >> 20


def _show(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {number:g}" for name, number in value.items())
    return f"{value:,}" if isinstance(value, int) else str(value)


def main() -> None:
    """Prints the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=1_000_000)
    parser.add_argument("--markets", type=int, default=32)
    parser.add_argument("--ticks", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--fills", type=int, default=200, help="in a block")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    say: Callable[[str], object] = (lambda _: None) if options.json else (lambda text: print(f"… {text}", flush=True))
    report = bench(
        options.accounts,
        options.markets,
        ticks=options.ticks,
        rounds=options.rounds,
        events=options.events,
        fills=options.fills,
        say=say,
    )
    print(json.dumps(dataclasses.asdict(report), indent=1) if options.json else "\n".join(report.lines()))


if __name__ == "__main__":
    main()
