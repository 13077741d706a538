"""One chain and one deployment per test session; each test gets them as they were."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.protocol import Protocol

from plimsoll.chain.anvil import Anvil
from plimsoll.deploy.deploy import deploy
from plimsoll.deploy.parameters import Parameters

ROOT = Path(__file__).resolve().parents[2]
START = 1_750_000_000
"""Time of the first block: a fixed one, so that every run sees the same epochs."""


@pytest.fixture(scope="session")
def parameters() -> Parameters:
    """The parameters of the local network."""
    return Parameters.load(ROOT / "deployments" / "local.yaml")


@pytest.fixture(scope="session")
def deployed(parameters: Parameters) -> Iterator[Protocol]:
    """A deployed system whose pools are funded with $20M (majors) and $5M (long tail). For `protocol` only."""
    with Anvil(timestamp=START, block_interval=1, base_fee=0, gas_price=0) as anvil:
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
