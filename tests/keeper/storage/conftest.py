"""The same repository on every database: `place` names one that is empty, `opened` opens it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.keeper.storage.examples import IDENTITY, Open

from plimsoll.keeper.storage.opening import open_repository
from plimsoll.keeper.storage.repository import Repository


@pytest.fixture(params=["sqlite"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an empty database is, as an operator would name it."""
    return str(tmp_path / "keeper.sqlite")


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
