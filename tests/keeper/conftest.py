"""One deployed and funded system per session; each test gets it as it was, and keepers that end with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.protocol import Protocol

from plimsoll.chain.anvil import Anvil
from plimsoll.chain.signer import UnlockedSender
from plimsoll.deploy.deploy import deploy
from plimsoll.deploy.parameters import Parameters
from plimsoll.keeper.keeper import Keeper
from plimsoll.keeper.log import KeeperLog
from plimsoll.keeper.options import Options

ROOT = Path(__file__).resolve().parents[2]
START = 1_750_000_000

Employ = Callable[..., Keeper]


@pytest.fixture(scope="session")
def deployed() -> Iterator[Protocol]:
    """A deployed system with $20M and $5M in its pools. For `protocol` only."""
    with Anvil(timestamp=START, block_interval=1) as anvil:
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
    """Makes keepers: `employ(dry_run=True)` with options, `employ(sender=…)` with another sender than the keeper."""
    made: list[Keeper] = []

    def make(*, sender: object = None, **options: object) -> Keeper:
        chosen = sender if sender is not None else UnlockedSender(protocol.rpc, protocol.keeper)
        log = KeeperLog(lambda line: lines.append(line[20:]))
        made.append(Keeper(protocol.rpc, protocol.deployment, chosen, Options(**options), log))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for keeper in made:
        keeper.close()
