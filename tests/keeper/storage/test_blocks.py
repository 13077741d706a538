"""Blocks go in, come out and go back, on every database alike."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from tests.keeper.storage.examples import IDENTITY, Open, block_rows, entry, header, table, take

from plimsoll.keeper.errors import ConfigurationError
from plimsoll.keeper.rows import Kind
from plimsoll.keeper.storage import repository as repository_module
from plimsoll.keeper.storage.errors import NotAChildError, StorageError, UndoExhaustedError
from plimsoll.keeper.storage.opening import open_repository
from plimsoll.keeper.storage.repository import Repository

RING = 24


@pytest.fixture(autouse=True)
def small_ring(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ring of fewer blocks, so that these tests need fewer."""
    assert repository_module.RING == 256
    monkeypatch.setattr(repository_module, "RING", RING)


def test_a_new_database_holds_nothing(repository: Repository) -> None:
    assert repository.identity == IDENTITY
    assert not repository.was_foreign
    assert repository.quarantined is None
    assert repository.head() is None
    assert repository.headers() == []
    assert list(repository.rows()) == []
    assert repository.snapshot_state() is None


def test_blocks_come_back_as_they_were_saved(opened: Open) -> None:
    repository = opened()
    expected: dict[tuple[int, bytes], bytes] = {}
    for number in range(1, 21):
        rows = block_rows(number)
        repository.save_block(header(number), rows)
        for kind, key, value in rows:
            expected.pop((kind, key), None)
            if value is not None:
                expected[kind, key] = value
    repository.close()
    again = opened()
    assert table(again) == expected
    assert again.head() == header(20)
    assert again.headers() == [header(number) for number in range(1, 21)]
    assert not again.was_foreign


def test_rows_come_in_order_of_kind_and_key(repository: Repository) -> None:
    take(repository, 1, 30)
    rows = list(repository.rows())
    assert rows == sorted(rows)
    assert all(type(kind) is int and type(key) is bytes and type(value) is bytes for kind, key, value in rows)


def test_saving_a_block_twice_changes_nothing(repository: Repository) -> None:
    take(repository, 1, 10)
    before = repository.state_hash()
    repository.save_block(header(10), [(Kind.POOL, b"\0\2", b"else")])
    repository.save_block(header(4), [(Kind.POOL, b"\0\2", b"else")])
    assert repository.state_hash() == before
    assert repository.head() == header(10)


@pytest.mark.parametrize(
    "stray",
    [header(12), header(11, "b", "b"), header(10, "b"), header(5, "b")],
    ids=["gap", "parent", "sibling", "old"],
)
def test_a_block_that_does_not_follow_is_refused_and_changes_nothing(repository: Repository, stray: object) -> None:
    take(repository, 1, 10)
    before = repository.state_hash()
    with pytest.raises(NotAChildError):
        repository.save_block(stray, block_rows(1))  # type: ignore[arg-type]
    assert repository.state_hash() == before


def test_the_ring_holds_the_latest_blocks(repository: Repository) -> None:
    take(repository, 1, RING + 44)
    assert [taken.number for taken in repository.headers()] == list(range(45, RING + 45))


@pytest.mark.parametrize("depth", [0, 1, 9, RING - 1])
def test_undoing_blocks_gives_the_state_before_them(opened: Open, depth: int) -> None:
    repository = opened()
    last = RING + 30
    take(repository, 1, last - depth)
    rows, state, ring = table(repository), repository.state_hash(), repository.headers()
    take(repository, last - depth + 1, last)
    mirror = table(repository)
    for kind, key, value in repository.undo_to(last - depth):
        mirror.pop((kind, key), None)
        if value is not None:
            mirror[kind, key] = value
    assert mirror == rows
    assert table(repository) == rows
    assert repository.state_hash() == state
    kept = repository.headers()
    assert len(kept) == RING - depth
    assert kept == ring[-len(kept) :]


def test_another_fork_after_undoing_gives_what_the_fork_alone_gives(opened: Open, tmp_path: Path) -> None:
    repository = opened()
    take(repository, 1, 20)
    take(repository, 21, 40, "a")
    repository.undo_to(20)
    take(repository, 21, 45, "b")
    alone = open_repository(None, IDENTITY)
    take(alone, 1, 20)
    take(alone, 21, 45, "b")
    assert repository.state_hash() == alone.state_hash()
    assert repository.headers() == alone.headers()


def test_undoing_beyond_the_ring_is_refused_and_changes_nothing(repository: Repository) -> None:
    take(repository, 1, RING + 10)
    before = repository.state_hash()
    with pytest.raises(UndoExhaustedError, match="older than the 24 blocks"):
        repository.undo_to(10)
    assert repository.state_hash() == before
    assert repository.undo_to(RING + 10) == []
    repository.undo_to(11)
    assert repository.head() == header(11)


def test_a_chunk_of_final_blocks_cannot_be_undone(repository: Repository) -> None:
    take(repository, 1, 5)
    repository.save_chunk(header(900), block_rows(900))
    repository.save_chunk(header(900), [(Kind.POOL, b"\0\2", b"else")])
    with pytest.raises(NotAChildError):
        repository.save_chunk(header(899), [])
    take(repository, 901, 903)
    assert [taken.number for taken in repository.headers()] == [900, 901, 902, 903]
    assert (Kind.POOL, b"\0\2") not in table(repository)
    repository.undo_to(900)
    with pytest.raises(UndoExhaustedError):
        repository.undo_to(899)


def test_a_snapshot_goes_on_where_it_stopped(opened: Open) -> None:
    repository = opened()
    take(repository, 1, 5)
    repository.begin_snapshot(header(500))
    assert repository.head() is None
    assert list(repository.rows()) == []
    assert repository.snapshot_state() == (header(500), b"")
    repository.add_snapshot(block_rows(1) + block_rows(2), b"page 1")
    repository.close()
    repository = opened()
    assert repository.snapshot_state() == (header(500), b"page 1")
    repository.add_snapshot(block_rows(3), b"page 2")
    repository.end_snapshot()
    assert repository.snapshot_state() is None
    assert repository.head() == header(500)
    whole = open_repository(None, IDENTITY)
    whole.save_chunk(header(500), block_rows(1) + block_rows(2) + block_rows(3))
    assert repository.state_hash() == whole.state_hash()
    take(repository, 501, 510)
    repository.undo_to(500)
    assert repository.state_hash() == whole.state_hash()


def test_a_snapshot_must_have_begun(repository: Repository) -> None:
    with pytest.raises(StorageError, match="no snapshot is under way"):
        repository.add_snapshot(block_rows(1), b"")
    with pytest.raises(StorageError, match="no snapshot is under way"):
        repository.end_snapshot()
    assert list(repository.rows()) == []


def test_the_state_hash_depends_on_rows_and_head_only(opened: Open) -> None:
    repository, other = opened(), open_repository(None, IDENTITY)
    first, second = (Kind.POOL, b"\0\1", b"one"), (Kind.POOL, b"\0\2", b"two")
    repository.save_block(header(1), [first])
    repository.save_block(header(2), [second])
    other.save_chunk(header(2), [second, first])
    assert repository.state_hash() == other.state_hash()
    other.save_block(header(3), [])
    assert repository.state_hash() != other.state_hash()
    repository.save_block(header(3), [(Kind.POOL, b"\0\2", b"Two")])
    assert repository.state_hash() != other.state_hash()


def test_rows_are_those_of_the_moment_they_were_asked_for(repository: Repository) -> None:
    take(repository, 1, 30)
    before = table(repository)
    rows = repository.rows()
    first = next(rows)
    repository.undo_to(10)
    assert dict([((first[0], first[1]), first[2]), *(((kind, key), value) for kind, key, value in rows)]) == before


def test_another_deployment_empties_the_rows_and_sees_no_journal(opened: Open) -> None:
    repository = opened()
    take(repository, 1, 5)
    repository.memory.set("mine", 1)
    repository.close()
    other = opened("another")
    assert other.was_foreign
    assert other.head() is None
    assert list(other.rows()) == []
    assert other.memory.all() == {}
    other.close()
    back = opened()
    assert back.was_foreign
    assert back.memory.get("mine") == 1


def test_data_of_another_deployment_that_are_read_or_in_use_are_left_alone(opened: Open) -> None:
    leader = opened(shared=True)
    assert leader.lease.acquire("leader", 60) is not None
    take(leader, 1, 5)
    for options in ({"shared": True}, {"read_only": True}):
        with pytest.raises(ConfigurationError, match="is of another deployment"):
            opened("another", **options)
    assert leader.head() == header(5)
    leader.lease.release()
    assert opened("another", shared=True).was_foreign


def test_threads_may_share_a_repository(repository: Repository) -> None:
    grant = repository.lease.acquire("me", 60)
    assert grant is not None

    def send(first: int) -> int:
        for number in range(first, first + 20):
            identifier = repository.journal.add(entry(number, grant.epoch))
            repository.journal.set(identifier, "broadcast")
            repository.lease.guard(grant.epoch)
            list(repository.rows())
        return first

    with ThreadPoolExecutor(3) as pool:
        sent = [pool.submit(send, first) for first in (0, 100)]
        blocks = pool.submit(take, repository, 1, 30)
        assert [job.result() for job in sent] == [0, 100]
        blocks.result()
    alone = open_repository(None, IDENTITY)
    take(alone, 1, 30)
    assert repository.state_hash() == alone.state_hash()
    assert [known.status for known in repository.journal.open()] == ["broadcast"] * 40


def test_reset_keeps_what_the_chain_does_not_tell(repository: Repository) -> None:
    take(repository, 1, 5)
    repository.memory.set("mine", 1)
    grant = repository.lease.acquire("me", 60)
    assert grant is not None
    repository.reset()
    assert repository.head() is None
    assert list(repository.rows()) == []
    assert repository.memory.get("mine") == 1
    repository.lease.guard(grant.epoch)
    take(repository, 7, 9)


def test_one_process_at_a_time_uses_a_database(opened: Open) -> None:
    repository = opened()
    for options in ({}, {"shared": True}):
        with pytest.raises(ConfigurationError, match="another keeper uses .*; stop it"):
            opened(**options)
    repository.close()
    opened().close()
    shared = opened(shared=True)
    opened(shared=True)
    with pytest.raises(ConfigurationError, match="another keeper uses"):
        opened()
    shared.close()


def test_a_reader_looks_on_while_a_keeper_works(opened: Open) -> None:
    repository = opened()
    take(repository, 1, 5)
    reader = opened(None, read_only=True)
    assert reader.identity == IDENTITY
    assert reader.head() == header(5)
    take(repository, 6, 6)
    assert reader.head() == header(6)
    assert table(reader) == table(repository)
    with pytest.raises(StorageError):
        take(reader, 7, 7)
    take(repository, 7, 7)


def test_memory_holds_json_without_fractions(repository: Repository) -> None:
    value = {"big": 10**30, "list": [1, None, True, "é"], "nested": {"a": {}}}
    repository.memory.set("job:a", value)
    repository.memory.update({"job:b": 2, "job:c": 3})
    repository.memory.update({"job:b": None, "job:c": 4})
    assert repository.memory.get("job:a") == value
    assert repository.memory.get("absent") is None
    assert repository.memory.all("job:") == {"job:a": value, "job:c": 4}
    for bad in (1.5, [1.5], {"a": {"b": [0.1]}}):
        with pytest.raises(ValueError, match="float"):
            repository.memory.set("job:a", bad)  # type: ignore[arg-type]


def test_a_header_of_the_ring_keeps_every_field(repository: Repository) -> None:
    taken = replace(header(1), base_fee=10**30, gas_limit=2**62, logs_bloom=bytes(256))
    repository.save_block(taken, [])
    assert repository.head() == taken
