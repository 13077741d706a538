"""A PostgreSQL server that breaks connections, is full, locked or damaged."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from tests.keeper.storage.examples import IDENTITY, block_rows, entry, header, take

from plimsoll.keeper.errors import ConfigurationError
from plimsoll.keeper.storage import postgres as postgres_module
from plimsoll.keeper.storage.errors import (
    DatabaseCorruptError,
    DatabaseFullError,
    DatabaseLockedError,
    DatabaseLostError,
    LeaseLostError,
    StorageError,
)
from plimsoll.keeper.storage.files import SqliteRepository
from plimsoll.keeper.storage.opening import open_repository
from plimsoll.keeper.storage.postgres import PostgresRepository

Admin = psycopg.Connection[tuple[object, ...]]


@pytest.fixture
def admin(postgres: str, schema: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Admin]:
    """Another session in the same schema; the keeper waits for nobody for long."""
    monkeypatch.setattr(postgres_module, "PATIENCE_MS", 300)
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"SET search_path = {schema.split('schema=')[1]}")
        yield connection


@pytest.fixture
def repository(schema: str, admin: Admin) -> Iterator[PostgresRepository]:
    """A repository with ten blocks and the lease."""
    made = PostgresRepository(schema, IDENTITY)
    take(made, 1, 10)
    assert made.lease.acquire("me", 60) is not None
    yield made
    made.close()


def alone(last: int) -> bytes:
    """State hash of a run without faults."""
    repository = SqliteRepository(None, IDENTITY)
    take(repository, 1, last)
    return repository.state_hash()


def cut(admin: Admin, repository: PostgresRepository) -> None:
    """Ends the session of a repository."""
    pid = repository._database.query("SELECT pg_backend_pid()")[0][0]
    admin.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))


def refuse(admin: Admin, state: str, table: str = "rows") -> None:
    """Makes every insert into a table fail with that state."""
    admin.execute(
        f"CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ "
        f"BEGIN RAISE EXCEPTION 'as asked' USING ERRCODE = '{state}'; END $$"
    )
    admin.execute(f"CREATE TRIGGER refusal BEFORE INSERT ON {table} EXECUTE FUNCTION refuse()")


@pytest.mark.parametrize(
    ("state", "error", "passes"),
    [
        ("53100", DatabaseFullError, True),
        ("40001", DatabaseLockedError, True),
        ("XX001", DatabaseCorruptError, False),
        ("22012", StorageError, False),
    ],
)
def test_a_refused_block_changes_nothing(
    admin: Admin, repository: PostgresRepository, state: str, error: type[StorageError], passes: bool
) -> None:
    grant = repository.lease.grant
    assert grant is not None
    refuse(admin, state)
    with pytest.raises(error, match="as asked") as caught:
        repository.save_block(header(11), [(1, b"new", b"row")])
    assert type(caught.value) is error
    assert caught.value.passes == passes
    assert repository.state_hash() == alone(10)
    repository.journal.add(entry(1, grant.epoch))
    admin.execute("DROP TRIGGER refusal ON rows")
    take(repository, 11, 11)
    assert repository.state_hash() == alone(11)


def test_a_connection_that_breaks_between_calls_is_made_again(admin: Admin, repository: PostgresRepository) -> None:
    grant = repository.lease.grant
    assert grant is not None
    cut(admin, repository)
    assert repository.head() == header(10)
    cut(admin, repository)
    take(repository, 11, 12)
    cut(admin, repository)
    repository.journal.add(entry(1, grant.epoch))
    repository.lease.guard(grant.epoch)
    assert repository.state_hash() == alone(12)


def test_a_connection_that_breaks_inside_a_transaction_undoes_it(admin: Admin, repository: PostgresRepository) -> None:
    def half_a_block() -> None:
        database = repository._database
        with database.transaction():
            database.write_rows([(1, b"half", b"of a block")], [])
            assert database.query("SELECT count(*) FROM rows WHERE key = ?", (b"half",)) == [(1,)]
            cut(admin, repository)
            repository.save_block(header(11), block_rows(11))

    with pytest.raises(DatabaseLostError) as caught:
        half_a_block()
    assert caught.value.passes
    assert repository.state_hash() == alone(10)
    take(repository, 11, 11)
    assert repository.state_hash() == alone(11)


def test_a_lock_of_another_session_is_waited_for_then_named(admin: Admin, repository: PostgresRepository) -> None:
    with admin.transaction():
        admin.execute("LOCK TABLE rows IN EXCLUSIVE MODE")
        with pytest.raises(DatabaseLockedError) as caught:
            repository.save_block(header(11), [(1, b"new", b"row")])
        assert caught.value.passes
    take(repository, 11, 11)
    assert repository.state_hash() == alone(11)


def test_who_was_cut_off_and_replaced_does_not_write(admin: Admin, schema: str, repository: PostgresRepository) -> None:
    cut(admin, repository)
    other = PostgresRepository(schema, IDENTITY)
    assert other.lease.acquire("other", 60) is not None
    with pytest.raises(DatabaseLockedError, match="another keeper uses"):
        take(repository, 11, 11)
    take(other, 11, 11)
    other.close()
    with pytest.raises(LeaseLostError, match="other leads"):
        repository.save_block(header(12), block_rows(12))
    with pytest.raises(LeaseLostError):
        repository.journal.set(1, "landed", 5)
    assert repository.state_hash() == alone(11)


def test_a_server_that_is_not_there_is_named_without_the_password(tmp_path: Path) -> None:
    with pytest.raises(DatabaseLostError, match="PostgreSQL localhost/keeper") as caught:
        open_repository("postgresql://me:secret@localhost:1/keeper?host=localhost", IDENTITY)
    assert "secret" not in str(caught.value)
    assert caught.value.passes


def test_a_database_that_does_not_exist_is_the_operators_affair(postgres: str) -> None:
    with pytest.raises(ConfigurationError, match="absent"):
        open_repository(postgres.replace("/postgres?", "/absent?"), IDENTITY)
    with pytest.raises(ConfigurationError, match="no plain name"):
        open_repository(f"{postgres}&schema=a;b", IDENTITY)
    with pytest.raises(ConfigurationError, match="there is no keeper in"):
        open_repository(f"{postgres}&schema=empty", None, read_only=True)


def test_a_connection_made_again_has_its_settings(admin: Admin, repository: PostgresRepository) -> None:
    settings = [repository._database.query(f"SHOW {name}") for name in ("lock_timeout", "search_path")]
    cut(admin, repository)
    assert [repository._database.query(f"SHOW {name}") for name in ("lock_timeout", "search_path")] == settings


def test_blocks_are_committed_without_waiting_for_the_disk_and_the_journal_with(
    repository: PostgresRepository,
) -> None:
    database = repository._database
    with database.transaction():
        assert database.query("SHOW synchronous_commit") == [("off",)]
    with database.transaction(durable=True):
        assert database.query("SHOW synchronous_commit") == [("on",)]
        with database.transaction():
            assert database.query("SHOW synchronous_commit") == [("on",)]
    with (
        pytest.raises(StorageError, match="a durable transaction inside"),
        database.transaction(),
        database.transaction(durable=True),
    ):
        pass
