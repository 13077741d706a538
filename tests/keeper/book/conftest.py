"""A fuzzed world with all its troubles: two sources per price, a sequencer, collateral, two pools."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from plimsoll.fuzz.prepare import Setting
from plimsoll.fuzz.session import Session
from plimsoll.fuzz.world import World


@pytest.fixture(scope="session")
def session() -> Iterator[Session]:
    """Model and chain side by side; a test takes a snapshot and goes back to it."""
    with World.open(Setting(secondary=True, sequencer=True), "revm") as world:
        yield Session(world)
