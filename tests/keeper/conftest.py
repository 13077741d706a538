"""One deployed and funded system per session; each test gets it as it was, and keepers that end with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.keepers import Employed, employed
from tests.support.protocol import Protocol

from plimsoll.chain.anvil import Anvil
from plimsoll.deploy.deploy import deploy
from plimsoll.deploy.parameters import Parameters
from plimsoll.keeper.operations.keystore import Identity

ROOT = Path(__file__).resolve().parents[2]
START = 1_750_000_000

Employ = Callable[..., Employed]


@pytest.fixture(scope="session")
def deployed() -> Iterator[Protocol]:
    """A deployed system with $20M and $5M in its pools. For `protocol` only."""
    with Anvil(timestamp=START, block_interval=1, keep_states=64) as anvil:
        parameters = Parameters.load(ROOT / "deployments" / "local.yaml")
        protocol = Protocol(anvil, deploy(anvil.sender(0), parameters))
        protocol.publish()
        protocol.lp_deposit(protocol.lp, "20_000_000", "majors")
        protocol.lp_deposit(protocol.lp, "5_000_000", "longtail")
        yield protocol


@pytest.fixture
def protocol(deployed: Protocol) -> Iterator[Protocol]:
    """The deployed and funded system; what a test does to it is undone."""
    with deployed.snapshot():
        yield deployed


@pytest.fixture
def lines() -> list[str]:
    """Log lines of the keepers of this test, without their time."""
    return []


@pytest.fixture
def employ(protocol: Protocol, lines: list[str]) -> Iterator[Employ]:
    """Makes keepers: `employ(dry_run=True)` with options, `employ(who=…)` with another sender than the keeper."""
    made: list[Employed] = []

    def make(*, who: Identity | None = None, **options: object) -> Employed:
        chosen = who if who is not None else Identity(protocol.keeper, unlocked=True)
        made.append(employed(protocol, chosen, lines, **options))
        return made[-1]

    yield make
    for keeper in made:
        keeper.close()
