"""A chain for the session; each test gets it as it was, with a proxy before it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.keeper.sending.stage import ARENA, ARENA_CODE, GWEI, TRAP, TRAP_CODE, Stage
from tests.support.faults.proxy import FaultProxy

from plimsoll.chain.anvil import Anvil


@pytest.fixture(scope="session")
def arena() -> Iterator[Anvil]:
    """A chain that mines when it is told to, with a base fee of 1 gwei."""
    with Anvil(base_fee=GWEI, automine=False, block_interval=12, timestamp=1_750_000_000, keep_states=2_000) as anvil:
        for address, code in ((ARENA, ARENA_CODE), (TRAP, TRAP_CODE)):
            anvil.rpc.request("anvil_setCode", [address, code])
        anvil.mine(2)
        yield anvil


@pytest.fixture
def stage(arena: Anvil, tmp_path: Path) -> Iterator[Stage]:
    """The chain behind a proxy, and keepers on it; what a test does to the chain is undone."""
    with arena.snapshot(), FaultProxy(arena.url) as proxy:
        yield Stage(arena, proxy, tmp_path)
