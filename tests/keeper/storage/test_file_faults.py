"""A file on a full disk, locked, moved, damaged or of another version."""

from __future__ import annotations

import random
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tests.keeper.storage.examples import IDENTITY, block_rows, entry, header, table, take

from plimsoll.keeper.errors import ConfigurationError
from plimsoll.keeper.storage import sqlite as sqlite_module
from plimsoll.keeper.storage.errors import (
    DatabaseCorruptError,
    DatabaseFullError,
    DatabaseLockedError,
    StorageError,
)
from plimsoll.keeper.storage.files import SqliteRepository

ROOT = Path(__file__).resolve().parents[3]
FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from tests.keeper.storage.examples import IDENTITY, block_rows, header
from plimsoll.keeper.storage.errors import DatabaseFullError
from plimsoll.keeper.storage.files import SqliteRepository

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
repository = SqliteRepository(Path(sys.argv[1]), IDENTITY)
refused = 0
for number in range(1, 301):
    if number == 100:
        resource.setrlimit(resource.RLIMIT_FSIZE, (repository._database._path.stat().st_size, resource.RLIM_INFINITY))
    while True:
        try:
            repository.save_block(header(number), block_rows(number))
            break
        except DatabaseFullError as error:
            assert error.passes and repository.head() == header(number - 1)
            refused += 1
            if refused % 3 == 0:
                resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(refused, repository.state_hash().hex())
repository.close()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the file is."""
    return tmp_path / "folder" / "keeper.sqlite"


def filled(path: Path, last: int = 40) -> SqliteRepository:
    """A repository with blocks, a journal, a memory and a lease."""
    repository = SqliteRepository(path, IDENTITY)
    take(repository, 1, last)
    grant = repository.lease.acquire("me", 60)
    assert grant is not None
    ids = repository.journal.add_all([entry(number, grant.epoch) for number in range(12)])
    repository.journal.set(ids[0], "landed", 10, spent=77, time=1_010)
    repository.memory.set("job", {"a": [1, 2]})
    return repository


def alone(last: int) -> bytes:
    """State hash of a run without faults."""
    repository = SqliteRepository(None, IDENTITY)
    take(repository, 1, last)
    return repository.state_hash()


def test_a_full_disk_refuses_and_loses_nothing(path: Path) -> None:
    repository = filled(path)
    grant = repository.lease.grant
    assert grant is not None
    database = repository._database
    pages = database.query("PRAGMA page_count")[0][0]
    database.run(f"PRAGMA max_page_count = {pages}")
    large = [(1, bytes([number]) * 32, bytes(900)) for number in range(200)]
    before = repository.state_hash()
    with pytest.raises(DatabaseFullError, match=r"keeper\.sqlite cannot be written .*; free the disk") as caught:
        repository.save_block(header(41), large)
    assert caught.value.passes
    with pytest.raises(DatabaseFullError):
        repository.journal.add(replace(entry(50, grant.epoch), raw=bytes(100_000)))
    assert repository.state_hash() == before
    assert len(repository.journal.recent(99)) == 12
    database.run("PRAGMA max_page_count = 1000000")
    repository.save_block(header(41), block_rows(41))
    repository.journal.add(entry(50, grant.epoch))
    assert repository.state_hash() == alone(41)
    repository.close()


def test_a_disk_that_takes_no_more_bytes_is_survived(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, path], capture_output=True, text=True, check=True, timeout=60
    )
    refused, state = done.stdout.split()
    assert int(refused) >= 3
    assert bytes.fromhex(state) == alone(300)


def test_a_locked_file_is_waited_for_then_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_module, "PATIENCE_MS", 50)
    repository = filled(path)
    before = table(repository)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseLockedError, match="locked by another process") as caught:
        take(repository, 41, 41)
    assert caught.value.passes
    assert table(repository) == before
    other.execute("ROLLBACK")
    take(repository, 41, 41)
    assert repository.state_hash() == alone(41)
    repository.close()


def test_a_file_that_was_moved_is_not_written(path: Path) -> None:
    repository = filled(path)
    path.rename(path.with_name("elsewhere"))
    with pytest.raises(StorageError, match="moved or deleted while it was in use"):
        take(repository, 41, 41)
    path.with_name("elsewhere").rename(path)
    take(repository, 41, 41)
    repository.close()


@pytest.mark.parametrize("seed", range(40))
def test_damage_is_never_silent(path: Path, seed: int) -> None:
    filled(path).close()
    shutil.copy(path, path.with_name("sound"))
    damage(path, seed)
    try:
        repository = SqliteRepository(path, IDENTITY)
    except (DatabaseCorruptError, ConfigurationError):
        return
    if repository.was_foreign:
        assert list(repository.rows()) == []
        repository.close()
        return
    try:
        found = everything(repository)
    except DatabaseCorruptError:
        found = None
    finally:
        repository.close()
    sound = SqliteRepository(path.with_name("sound"), IDENTITY)
    assert found in (None, everything(sound))
    sound.close()


@pytest.mark.parametrize("seed", range(10))
def test_a_damaged_file_is_put_aside_and_its_journal_kept(path: Path, seed: int) -> None:
    repository = filled(path)
    entries, state = repository.journal.recent(99), repository.state_hash()
    repository.close()
    damage(path, seed, length=3_000)
    with pytest.raises(DatabaseCorruptError, match=r"damaged.*; put it aside"):
        SqliteRepository(path, IDENTITY)
    for attempt in (1, 2):
        repository = SqliteRepository(path, IDENTITY, put_aside=True)
        assert (repository.quarantined is not None) == (attempt == 1)
        kept = repository.journal.recent(99)
        assert all(entry in entries for entry in kept)
        if attempt == 1:
            assert repository.quarantined == f"{path}.damaged-1"
            assert Path(repository.quarantined).exists()
            assert repository.head() is None
            take(repository, 1, 40)
        assert repository.state_hash() == state
        grant = repository.lease.acquire("again", 60)
        assert grant is not None
        repository.journal.add(entry(99, grant.epoch))
        entries = [*repository.journal.recent(99), *entries]
        repository.close()


def test_what_can_be_read_of_the_journal_is_carried_over(path: Path) -> None:
    repository = filled(path)
    entries, grant = repository.journal.recent(99), repository.lease.grant
    assert grant is not None
    root = repository._database.query("SELECT rootpage FROM sqlite_master WHERE name = 'rows'")[0][0]
    repository.close()
    spoil(path, (root - 1) * 4096, bytes(4096))
    repository = SqliteRepository(path, IDENTITY, put_aside=True)
    assert repository.journal.recent(99) == entries
    assert repository.journal.spent_since(0) == 77
    assert repository.memory.all() == {"job": {"a": [1, 2]}}
    again = repository.lease.acquire("again", 60)
    assert again is not None
    assert again.epoch > grant.epoch
    repository.close()


def test_a_file_is_examined_unless_the_operator_does_without(path: Path) -> None:
    repository = filled(path)
    root = repository._database.query("SELECT rootpage FROM sqlite_master WHERE name = 'rows'")[0][0]
    repository.close()
    spoil(path, (root - 1) * 4096, bytes(4096))
    with pytest.raises(DatabaseCorruptError, match="damaged"):
        SqliteRepository(path, IDENTITY)
    repository = SqliteRepository(path, IDENTITY, examine=False)
    with pytest.raises(DatabaseCorruptError):
        list(repository.rows())
    repository.close()


def test_a_damaged_file_in_use_by_another_is_not_put_aside(path: Path) -> None:
    filled(path).close()
    other = SqliteRepository(path, IDENTITY, shared=True)
    damage(path, 1, length=3_000)
    with pytest.raises(DatabaseCorruptError, match="another keeper has it open"):
        SqliteRepository(path, IDENTITY, shared=True, put_aside=True)
    other.close()


def test_a_damaged_row_is_found_by_its_sum(path: Path) -> None:
    repository = filled(path)
    repository._database.run("UPDATE rows SET value = zeroblob(32) WHERE kind = 1 AND key = ?", (bytes(32),))
    with pytest.raises(DatabaseCorruptError, match="not those that were written"):
        list(repository.rows())
    with pytest.raises(DatabaseCorruptError):
        repository.state_hash()
    repository.reset()
    take(repository, 1, 40)
    assert repository.state_hash() == alone(40)
    repository.close()


def test_a_file_that_is_no_database_is_named(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"no database, but long enough to be taken for one" * 100)
    with pytest.raises(DatabaseCorruptError, match=r"keeper\.sqlite is damaged .*not a database"):
        SqliteRepository(path, IDENTITY)


def test_a_database_of_something_else_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE people (name TEXT)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match="is no database of the keeper"):
        SqliteRepository(path, IDENTITY, put_aside=True)
    assert path.read_bytes() == before


def test_tables_of_the_first_version_are_read_again_from_the_chain(path: Path) -> None:
    path.parent.mkdir()
    old = sqlite3.connect(path)
    old.execute("CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)")
    old.execute("CREATE TABLE rows (kind TEXT, key TEXT, value TEXT NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID")
    old.execute("INSERT INTO meta VALUES ('schema', '1')")
    old.execute("INSERT INTO rows VALUES ('account', '00', '1')")
    old.commit()
    old.close()
    repository = SqliteRepository(path, IDENTITY)
    assert list(repository.rows()) == []
    take(repository, 1, 3)
    repository.close()


def test_tables_of_a_later_version_are_left_alone(path: Path) -> None:
    filled(path).close()
    later = sqlite3.connect(path)
    later.execute("UPDATE meta SET value = '99' WHERE name = 'schema'")
    later.commit()
    later.close()
    with pytest.raises(ConfigurationError, match="of another version of the keeper"):
        SqliteRepository(path, IDENTITY, put_aside=True)


def test_looking_at_a_file_needs_one(path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no database"):
        SqliteRepository(path, None, read_only=True)
    assert not path.exists()


def everything(repository: SqliteRepository) -> object:
    """All that can be asked of it."""
    journal = repository.journal
    return (
        table(repository),
        repository.headers(),
        journal.recent(99),
        journal.open("0xkeeper"),
        [journal.by_nonce("0xkeeper", number) for number in range(12)],
        [journal.by_intent(f"liquidate:{number}") for number in range(6)],
        journal.spent_since(0),
        repository.memory.all(),
        [(holder.epoch, holder.owner) for holder in [repository.lease.holder()] if holder is not None],
        repository.undo_to(30),
        table(repository),
    )


def damage(path: Path, seed: int, length: int = 1) -> None:
    """Overwrites bytes somewhere; of a long stretch always some that matter."""
    dice = random.Random(seed)
    size = path.stat().st_size
    at = dice.randrange(size - length)
    old = path.read_bytes()[at : at + length]
    spoil(path, at, bytes(byte ^ dice.randrange(1, 256) for byte in old))


def spoil(path: Path, at: int, data: bytes) -> None:
    """Writes bytes into a file."""
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)
