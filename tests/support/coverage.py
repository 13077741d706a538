"""A pytest plugin that records what the tests reach of the contracts, see `tracing`.

Use: `pytest -p tests.support.coverage`, with the file for the results in `PLIMSOLL_COVERAGE`. Nothing of the package
is imported before the session starts, because the coverage of Python does not count what was imported before it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.tracing import Recorder

__all__ = ["ENVIRONMENT"]

ENVIRONMENT = "PLIMSOLL_COVERAGE"
_recorder: Recorder | None = None


@pytest.hookimpl(trylast=True)
def pytest_sessionstart() -> None:
    """Begins to record."""
    global _recorder
    if ENVIRONMENT not in os.environ:
        raise pytest.UsageError(f"set {ENVIRONMENT} to the file for the results")
    from tests.support.tracing import install

    _recorder = install()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tells the recorder which test comes."""
    if _recorder is not None:
        _recorder.test = item.nodeid


def pytest_unconfigure() -> None:
    """Writes what this process has recorded."""
    if _recorder is not None:
        _recorder.save(Path(os.environ[ENVIRONMENT]))
