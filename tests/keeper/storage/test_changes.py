"""One process writes, another keeps up by reading what changed: after every look both have the same rows."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from tests.keeper.storage.examples import Open, block_rows, header, table, take

from plimsoll.keeper.node.headers import Header
from plimsoll.keeper.rows import Row
from plimsoll.keeper.storage import changes as changes_module
from plimsoll.keeper.storage import repository as repository_module
from plimsoll.keeper.storage.changes import Changes
from plimsoll.keeper.storage.repository import Repository

RING = 24
LEASE = 3600.0


@pytest.fixture(autouse=True)
def small_ring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repository_module, "RING", RING)
    monkeypatch.setattr(changes_module, "RING", RING)


class Copy:
    """The rows as one who stands by has them."""

    def __init__(self, repository: Repository) -> None:
        self.repository = repository
        self.loads = 0
        self.load()

    def load(self) -> None:
        self.loads += 1
        self.rows = table(self.repository)
        head = self.repository.head()
        assert head is not None
        self.changes = Changes(self.repository, head)

    def look(self) -> list[Row]:
        """Takes what changed; loads if that cannot be told."""
        taken = self.changes.take()
        if taken is None:
            self.load()
            return []
        assert taken[0] == self.repository.head()
        for kind, key, value in taken[1]:
            self.rows.pop((kind, key), None)
            if value is not None:
                self.rows[kind, key] = value
        return taken[1]


def pair(opened: Open) -> tuple[Repository, Copy]:
    """A leader with ten blocks, and one who stands by."""
    leader = opened(shared=True)
    assert leader.lease.acquire("one", LEASE) is not None
    take(leader, 1, 10)
    return leader, Copy(opened(shared=True))


def test_only_what_changed_is_read(opened: Open) -> None:
    leader, copy = pair(opened)
    assert copy.look() == []
    account = b"\xff" * 32
    leader.save_block(replace(header(11), parent=leader.head().hash), [(1, account, b"x" * 32)])  # type: ignore[union-attr]
    assert copy.look() == [(1, account, b"x" * 32)]
    leader.undo_to(10)
    assert copy.look() == [(1, account, None)]
    assert copy.look() == []
    assert copy.loads == 1


def test_blocks_that_went_away_between_two_looks_leave_nothing(opened: Open) -> None:
    leader, copy = pair(opened)
    take(leader, 11, 14, "left")
    copy.look()
    leader.undo_to(11)
    take(leader, 12, 15, "right")
    copy.look()
    assert (copy.rows, copy.loads) == (table(leader), 1)


@pytest.mark.parametrize("seed", range(4))
def test_whatever_the_leader_does_the_copy_is_the_same(opened: Open, seed: int) -> None:
    leader, copy = pair(opened)
    dice, fork = random.Random(seed), 0
    for _ in range(60):
        head = leader.head()
        assert head is not None
        what = dice.random()
        if what < 0.6:
            take(leader, head.number + 1, head.number + dice.randrange(1, 4), f"fork {fork}")
        elif what < 0.9:
            fork += 1
            low = min(one.number for one in leader.headers())
            leader.undo_to(max(head.number - dice.randrange(1, 6), low))
        elif what < 0.95:
            last = header(head.number + 40, f"far {fork}")
            leader.save_chunk(last, block_rows(last.number, "chunk"))
        else:
            take(leader, head.number + 1, head.number + RING + 3, f"fork {fork}")
        if dice.random() < 0.7:
            copy.look()
    copy.look()
    assert copy.rows == table(leader)


def test_what_cannot_be_told_is_loaded(opened: Open) -> None:
    leader, copy = pair(opened)
    leader.reset()
    assert copy.changes.take() is None
    take(leader, 1, 3, "anew")
    copy.look()
    assert (copy.rows, copy.loads) == (table(leader), 2)


def test_a_database_that_moves_between_two_queries_is_read_again(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    leader, copy = pair(opened)
    take(leader, 11, 12)
    read, moves = copy.repository.head, [13, 14]

    def head() -> Header | None:
        if moves:
            take(leader, moves[0], moves.pop(0))
        return read()

    monkeypatch.setattr(copy.repository, "head", head)
    copy.look()
    assert (copy.rows, copy.loads) == (table(leader), 1)


def test_blocks_that_do_not_follow_the_last_known_one_are_asked_for_again(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    leader, copy = pair(opened)
    take(leader, 11, 12, "left")
    copy.look()
    database = copy.repository._database  # type: ignore[attr-defined]
    query, moves = database.query, [True]

    def replaced(sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        answer: list[tuple[Any, ...]] = query(sql, values)
        if sql.startswith("SELECT number, hash") and moves:
            moves.clear()
            leader.undo_to(10)
            take(leader, 11, 13, "right")
        return answer

    monkeypatch.setattr(database, "query", replaced)
    copy.look()
    assert (copy.rows, copy.loads) == (table(leader), 1)
