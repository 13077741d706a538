"""Fixtures of the unit tests: one chain, with the harness contracts of the maths libraries on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.harness import Harness

from plimsoll.chain.anvil import Anvil
from plimsoll.chain.artifacts import Artifacts, compile_contracts
from plimsoll.chain.contract import deploy

# A batch of cases is one call; it costs more gas than a block usually holds.
BATCH_GAS = 10**12


@pytest.fixture(scope="session")
def harness_artifacts() -> Artifacts:
    """The contracts of `contracts/mocks/harness/`."""
    return compile_contracts(only=("contracts/mocks/harness/",), quiet=True)


@pytest.fixture(scope="session")
def harness_chain() -> Iterator[Anvil]:
    """A chain for calls that change nothing."""
    with Anvil(gas_limit=BATCH_GAS) as anvil:
        yield anvil


def _deployed(name: str, chain: Anvil, artifacts: Artifacts) -> Harness:
    return Harness(deploy(artifacts.artifact(name), sender=chain.sender()))


@pytest.fixture(scope="session")
def maths(harness_chain: Anvil, harness_artifacts: Artifacts) -> Harness:
    """The maths libraries, each function under its own name."""
    return _deployed("MathHarness", harness_chain, harness_artifacts)


@pytest.fixture(scope="session")
def state_words(harness_chain: Anvil, harness_artifacts: Artifacts) -> Harness:
    """Words of accounts, positions, markets and pools."""
    return _deployed("StateWordsHarness", harness_chain, harness_artifacts)


@pytest.fixture(scope="session")
def config_words(harness_chain: Anvil, harness_artifacts: Artifacts) -> Harness:
    """Words of configuration and prices."""
    return _deployed("ConfigWordsHarness", harness_chain, harness_artifacts)
