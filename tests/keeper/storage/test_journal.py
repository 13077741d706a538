"""The journal of transactions, on every database alike."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.keeper.storage.examples import Open, entry, take

from plimsoll.keeper.storage.errors import LeaseLostError, StorageError
from plimsoll.keeper.storage.repository import Repository


@pytest.fixture
def epoch(repository: Repository) -> int:
    """The repository is led, in this epoch."""
    grant = repository.lease.acquire("me", 60)
    assert grant is not None
    return grant.epoch


def test_an_entry_comes_back_with_every_digit(opened: Open, repository: Repository, epoch: int) -> None:
    written = entry(1, epoch)
    number = repository.journal.add(written)
    repository.close()
    journal = opened().journal
    expected = replace(written, id=number)
    assert journal.get(number) == expected
    assert journal.by_hash(written.tx_hash) == expected
    assert journal.by_nonce("0xkeeper", 1) == [expected]
    assert journal.by_intent(written.intent) == [expected]
    assert journal.open("0xkeeper") == journal.open() == journal.recent(5) == [expected]
    assert journal.get(number + 1) is None
    assert journal.by_hash("0x") is None
    assert journal.last_nonce("0xkeeper") == 1
    assert journal.last_nonce("0xother") is None


def test_an_entry_is_written_once(repository: Repository, epoch: int) -> None:
    first = repository.journal.add(entry(1, epoch))
    repository.journal.set(first, "broadcast")
    assert repository.journal.add(entry(1, epoch)) == first
    assert [known.status for known in repository.journal.recent(9)] == ["broadcast"]


def test_several_entries_are_written_or_none(repository: Repository, epoch: int) -> None:
    ids = repository.journal.add_all([entry(number, epoch) for number in range(4)])
    assert [known.id for known in repository.journal.open()] == ids
    with pytest.raises(LeaseLostError):
        repository.journal.add_all([entry(4, epoch), entry(5, epoch + 1)])
    assert [known.id for known in repository.journal.open()] == ids


def test_open_entries_are_those_still_waited_for(repository: Repository, epoch: int) -> None:
    journal = repository.journal
    ids = journal.add_all([entry(number, epoch) for number in range(7)])
    for number, status in enumerate(["broadcast", "landed", "reverted", "replaced", "cancelled", "abandoned"]):
        block = 150 if status in ("landed", "reverted") else None
        assert journal.set(ids[number], status, block, f'"{status}"').detail == f'"{status}"'
    assert [known.nonce for known in journal.open("0xkeeper")] == [0, 6]
    assert [known.status for known in journal.recent(2)] == ["intended", "abandoned"]
    assert journal.open("0xother") == []


def test_changing_an_entry_needs_a_known_one_and_a_known_status(repository: Repository, epoch: int) -> None:
    number = repository.journal.add(entry(1, epoch))
    with pytest.raises(StorageError, match="lost is no status"):
        repository.journal.set(number, "lost")
    with pytest.raises(StorageError, match="no entry 99"):
        repository.journal.set(99, "landed", 5)
    with pytest.raises(StorageError, match="belongs to a block"):
        repository.journal.set(number, "landed", 5, spent=1)
    with pytest.raises(StorageError, match="sent is no status"):
        repository.journal.add(entry(2, epoch, status="sent"))


def test_what_was_spent_is_summed_by_the_time_of_blocks(repository: Repository, epoch: int) -> None:
    journal = repository.journal
    ids = journal.add_all([entry(number, epoch) for number in range(3)])
    for number, identifier in enumerate(ids):
        journal.set(identifier, "landed", 100 + number, spent=10**19 + number, time=1_000 + number)
    assert journal.spent_since(0) == 3 * 10**19 + 3
    assert journal.spent_since(1_001) == 2 * 10**19 + 3
    assert journal.spent_since(1_003) == 0
    journal.set(ids[0], "landed", 100, spent=5, time=1_000)
    assert journal.spent_since(0) == 2 * 10**19 + 8


def test_entries_of_blocks_rolled_back_are_to_be_sent_again(opened: Open, repository: Repository, epoch: int) -> None:
    take(repository, 1, 20)
    journal = repository.journal
    ids = journal.add_all([entry(number, epoch) for number in range(3)])
    for identifier, block in zip(ids, (10, 15, 20), strict=True):
        journal.set(identifier, "landed", block, spent=7, time=block)
    repository.undo_to(12)
    repository.close()

    repository = opened()
    journal = repository.journal
    assert repository.lease.acquire("again", 60) is not None
    assert [(known.status, known.block, known.rolled_back) for known in journal.open()] == [
        ("broadcast", None, True)
    ] * 2
    assert journal.spent_since(0) == 7
    assert [known.id for known in journal.reorged(12)] == ids[1:]
    journal.set(ids[1], "landed", 14)
    assert [known.id for known in journal.reorged(14)] == [ids[2]]
    assert [known.id for known in journal.reorged(9)] == ids


def test_final_entries_of_old_blocks_can_be_removed(repository: Repository, epoch: int) -> None:
    journal = repository.journal
    ids = journal.add_all([entry(number, epoch) for number in range(4)])
    for identifier in ids[1:]:
        journal.set(identifier, "landed", 200, spent=1, time=5)
    assert journal.prune(103) == 2
    assert sorted(known.id for known in journal.recent(9)) == [ids[0], ids[3]]
    assert journal.spent_since(0) == 1


def test_nobody_writes_without_the_lease(repository: Repository) -> None:
    with pytest.raises(LeaseLostError):
        repository.journal.add(entry(1, 0))
    with pytest.raises(LeaseLostError):
        repository.journal.set(1, "landed", 5)
    with pytest.raises(LeaseLostError):
        repository.journal.reorged(5)
    assert repository.journal.recent(9) == []
