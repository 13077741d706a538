"""The nodes of a service: who is read, who takes transactions, and what wakes it."""

from __future__ import annotations

from collections.abc import Sequence

from plimsoll.keeper.errors import ConfigurationError, UnsafeStateError
from plimsoll.keeper.node.errors import NoProviderError
from plimsoll.keeper.node.headers import Header
from plimsoll.keeper.node.heads import Heads
from plimsoll.keeper.node.providers import Identity, Providers
from plimsoll.keeper.node.rpc import Client, Rpc
from plimsoll.keeper.operations.config import KeeperConfig
from plimsoll.keeper.operations.measured import measured_rpc
from plimsoll.keeper.operations.status import ProviderStatus
from plimsoll.keeper.operations.telemetry import Telemetry
from plimsoll.keeper.sending.ports import Node
from plimsoll.keeper.target import Target

__all__ = ["Nodes"]


class Nodes:
    """Everything that leads to a node."""

    def __init__(self, config: KeeperConfig, target: Target, telemetry: Telemetry) -> None:
        node = config.node
        self._telemetry = telemetry
        self._network = target.network
        self._providers = Providers(
            [measured_rpc(url, telemetry, timeout=node.timeout, retries=0) for url in node.providers],
            identity=Identity(target.chain_id, target.first_block, target.first_block_hash),
            timeout=node.timeout,
            max_lag=node.max_lag,
            silence=node.silence,
        )
        self._heads = Heads(node.heads)
        self._started = False
        self._switches = 0
        self.client: Client = self._providers
        self.private: Sequence[Node] = [Rpc(node.private, timeout=node.timeout)] if node.private is not None else []
        self.shown = ", ".join(view.name for view in self._providers.status())

    async def open(self) -> None:
        """Looks at all nodes, and begins to listen for heads.

        :raises ConfigurationError: no node is of the deployment's chain.
        :raises NoProviderError: none answers.
        """
        await self.look()
        self._heads.start()

    async def close(self) -> None:
        """Drops all connections."""
        await self._heads.close()
        await self._providers.close()
        for node in self.private:
            if isinstance(node, Rpc):
                await node.close()

    async def look(self) -> Header:
        """The best head.

        :raises UnsafeStateError: every node is of another chain now; ConfigurationError at the start.
        :raises NoProviderError: none tells one.
        """
        try:
            head = await self._providers.look()
        except NoProviderError:
            wrong = self._providers.wrong()
            if len(wrong) < len(self._providers.status()):
                raise
            kind = UnsafeStateError if self._started else ConfigurationError
            raise kind(
                f"{'; '.join(wrong)}: not the chain that {self._network} was deployed on (was it reset?); name another "
                "node, or run `plimsoll deploy`, and start the keeper again"
            ) from None
        self._started = True
        self._heads.saw(head.hash)
        if self._providers.switches != self._switches:
            self._switches = self._providers.switches
            self._telemetry.provider_switched("score")
        return head

    def takers(self) -> Sequence[Node]:
        """Nodes that take public transactions, the best first."""
        return self._providers.takers()

    def status(self) -> tuple[ProviderStatus, ...]:
        """For operators."""
        return tuple(
            ProviderStatus(
                name=view.name,
                state=view.state,
                head=view.head,
                lag_blocks=view.lag_blocks,
                latency_seconds=view.latency_seconds,
                error_ratio=view.error_ratio,
                used=view.used,
            )
            for view in self._providers.status()
        )

    def lag(self) -> int:
        """Blocks that the node in use is behind the best one."""
        return max((view.lag_blocks for view in self._providers.status() if view.used), default=0)

    async def wait(self, seconds: float) -> None:
        """Waits for so long, or until a new head is told of."""
        await self._heads.wait(seconds)
