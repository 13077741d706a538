"""Keepers that sign for themselves, behind a proxy that fails when it is told to."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from tests.keeper.conftest import Employ
from tests.support.faults.proxy import FaultProxy
from tests.support.keepers import Employed
from tests.support.protocol import Protocol
from tests.support.running import KEEPER, signer

Hire = Callable[..., Employed]


@pytest.fixture
def proxy(protocol: Protocol) -> Iterator[FaultProxy]:
    """In front of the chain's node."""
    with FaultProxy(protocol.anvil.url, seed=11) as made:
        yield made


@pytest.fixture
def hire(employ: Employ, proxy: FaultProxy) -> Hire:
    """Makes keepers behind the proxy, or behind `through`; `key` is the number of an account of Anvil."""

    def make(*, key: int = KEEPER, through: FaultProxy | None = None, **options: object) -> Employed:
        url = (through or proxy).url
        return employ(who=signer(key), **{"node.providers": url, "node.timeout": 5, **options})

    return make


@pytest.fixture
def by_hand(protocol: Protocol) -> Iterator[Protocol]:
    """The system on a chain that mines when it is told to."""
    protocol.anvil.set_automine(False)
    yield protocol
    protocol.anvil.set_automine(True)
