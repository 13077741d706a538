"""The protocol deployed for fuzzing, once for each backend; each test gets it as it was."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from plimsoll.fuzz.prepare import Prepared, Setting, prepare
from plimsoll.fuzz.world import Backend, World

BACKENDS: tuple[Backend, ...] = ("anvil", "revm")


@pytest.fixture(scope="session")
def prepared() -> Prepared:
    """The state that every world begins with."""
    return prepare(Setting())


@pytest.fixture(scope="session")
def worlds(prepared: Prepared) -> Iterator[dict[Backend, World]]:
    """One world for each backend. For `world` and `both` only."""
    found: dict[Backend, World] = {}
    try:
        for backend in BACKENDS:
            found[backend] = World(Setting(), prepared, backend)
        yield found
    finally:
        for world in found.values():
            world.close()


@pytest.fixture(params=BACKENDS)
def world(request: pytest.FixtureRequest, worlds: dict[Backend, World]) -> Iterator[World]:
    """The world on one backend; what a test does to it is undone."""
    found = worlds[request.param]
    with found.driver.isolated():
        yield found


@pytest.fixture
def both(worlds: dict[Backend, World]) -> Iterator[tuple[World, World]]:
    """The same world on Anvil and on revm."""
    anvil, revm = worlds["anvil"], worlds["revm"]
    with anvil.driver.isolated(), revm.driver.isolated():
        yield anvil, revm
