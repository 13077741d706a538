"""`--cross`: many examples on both backends instead of a few."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.worlds import close_sessions


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--cross", action="store_true", help="compare Anvil and revm on many examples")


@pytest.fixture(scope="session", autouse=True)
def worlds() -> Iterator[None]:
    """Ends what the tests of this folder started."""
    yield
    close_sessions()
