"""Processes that are killed or stopped at any moment, on every database alike.

`PLIMSOLL_KILLS` sets how many kills; the default is few.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from multiprocessing.process import BaseProcess

import pytest
from tests.keeper.storage.examples import IDENTITY, Open, entry, table, take
from tests.keeper.storage.worker import Start, follow, follow_for_ever
from tests.keeper.storage.worker import start as start_process

from plimsoll.keeper.storage import postgres as postgres_module
from plimsoll.keeper.storage import sqlite as sqlite_module
from plimsoll.keeper.storage.errors import DatabaseLockedError, LeaseLostError
from plimsoll.keeper.storage.lease import Grant
from plimsoll.keeper.storage.opening import open_repository
from plimsoll.keeper.storage.repository import Repository

KILLS = int(os.environ.get("PLIMSOLL_KILLS", "6"))
TTL = 2.0


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe that processes tell through where they are."""
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts processes and kills them at the end, stopped ones too."""
    made: list[BaseProcess] = []

    def start_one(target: Callable[..., None], *values: object) -> BaseProcess:
        made.append(start_process(target, *values))
        return made[-1]

    yield start_one
    for process in made:
        process.kill()
        process.join()


def test_killed_at_any_moment_the_state_is_that_of_an_uninterrupted_run(
    place: str, start: Start, pipe: tuple[int, int]
) -> None:
    dice = random.Random(KILLS)
    reached = 0
    for _ in range(KILLS):
        process = start(follow_for_ever, place, pipe[1])
        assert os.read(pipe[0], 1) == b"."
        time.sleep(dice.random() * 0.3)
        process.kill()
        process.join()
        reached = max(reached, whole(place))
    last = reached + 10
    repository, alone = follow(place, last), follow(None, last)
    assert repository.state_hash() == alone.state_hash()
    assert repository.headers() == alone.headers()
    assert told(repository) == told(alone)
    assert repository.undo_to(reached) == alone.undo_to(reached)
    repository.close()


def whole(place: str) -> int:
    """Checks what a killed process left; returns the number of its head."""
    repository = open_repository(place, IDENTITY)
    assert sum(1 for _ in repository.rows()) >= 0, "rows and their sum agree"
    repository.journal.recent(10**6)
    head, ring = repository.head(), repository.headers()
    assert all(above.parent == below.hash for below, above in pairwise(ring))
    landed = [known.block for known in repository.journal.recent(10**6) if known.block is not None]
    assert all(block <= head.number for block in landed if head is not None)
    repository.close()
    return 0 if head is None else head.number


def told(repository: Repository) -> list[tuple[int, str, int | None]]:
    """What the journal says, and what was spent."""
    entries = sorted((known.nonce, known.status, known.block) for known in repository.journal.recent(10**6))
    return [*entries, (repository.journal.spent_since(0), "spent", None)]


def lead(place: str, ready: int) -> None:
    """Leads, broadcasts again and again, and ends with the exit code of a lost lease."""
    repository = open_repository(place, IDENTITY, shared=True)
    grant = repository.lease.acquire("leader", TTL)
    assert grant is not None
    number = 0
    try:
        while True:
            repository.lease.renew()
            repository.journal.add(entry(number, grant.epoch))
            repository.lease.guard(grant.epoch)
            os.write(ready, b"b")
            number += 1
            time.sleep(0.25)
    except LeaseLostError as error:
        os._exit(error.exit_code)


def test_a_stopped_leader_that_wakes_sends_nothing(
    place: str, opened: Open, start: Start, pipe: tuple[int, int]
) -> None:
    standby = opened(shared=True)
    leader = start(lead, place, pipe[1])
    for _ in range(3):
        assert os.read(pipe[0], 1) == b"b"
        assert standby.lease.acquire("standby", TTL) is None
    os.read(pipe[0], 1)
    stop(leader.pid)
    grant = taken_over(standby, 2 * TTL)
    number = standby.journal.add(entry(1_000, grant.epoch))
    go_on(leader.pid)
    leader.join(10)
    assert leader.exitcode == 4
    os.set_blocking(pipe[0], False)
    with pytest.raises(BlockingIOError):
        os.read(pipe[0], 1)
    assert [known.id for known in standby.journal.recent(1)] == [number]
    standby.lease.guard(grant.epoch)


def write_slowly(place: str, ready: int) -> None:
    """Leads and stays inside a transaction that has written."""
    repository = open_repository(place, IDENTITY, shared=True)
    assert repository.lease.acquire("leader", TTL) is not None
    take(repository, 1, 5)

    database = repository._database  # type: ignore[attr-defined]
    with database.transaction():
        repository.lease.fence()
        database.write_rows([(1, b"half", b"of a block")], [])
        assert len(database.query("SELECT key FROM rows WHERE key = ?", (b"half",))) == 1
        os.write(ready, b"t")
        time.sleep(60)


def test_a_leader_stopped_inside_a_write_keeps_no_half_of_it(
    place: str, opened: Open, start: Start, pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_module, "PATIENCE_MS", 100)
    monkeypatch.setattr(postgres_module, "IDLE_MS", 1_000)
    standby = opened(shared=True)
    leader = start(write_slowly, place, pipe[1])
    assert os.read(pipe[0], 1) == b"t"
    stop(leader.pid)
    if place.startswith("postgresql"):
        taken_over(standby, TTL + 1)
        go_on(leader.pid)
    else:
        time.sleep(TTL / 4)
        with pytest.raises(DatabaseLockedError, match="or let it go on if it is stopped"):
            standby.lease.acquire("standby", TTL)
    leader.kill()
    leader.join()
    grant = taken_over(standby, TTL)
    assert (1, b"half") not in table(standby)
    take(standby, 6, 7)
    standby.lease.guard(grant.epoch)
    alone = open_repository(None, IDENTITY)
    take(alone, 1, 7)
    assert standby.state_hash() == alone.state_hash()


def taken_over(standby: Repository, within: float) -> Grant:
    """The standby's grant, which it must get within that many seconds (twice that on a busy machine)."""
    end = time.monotonic() + 2 * within
    while time.monotonic() < end:
        try:
            grant = standby.lease.acquire("standby", 60)
        except DatabaseLockedError:
            grant = None
        if grant is not None:
            return grant
        time.sleep(0.05)
    raise AssertionError(f"no grant within {within} s")


def stop(pid: int | None) -> None:
    """Stops a process without a chance to do anything."""
    assert pid is not None
    os.kill(pid, 19)


def go_on(pid: int | None) -> None:
    """Lets a stopped process go on."""
    assert pid is not None
    os.kill(pid, 18)
