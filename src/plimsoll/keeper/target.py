"""The contracts a keeper works for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from plimsoll.chain.abi import Abi
from plimsoll.chain.contract import Contract
from plimsoll.chain.receipt import ErrorRegistry, EventRegistry
from plimsoll.chain.rpc import Rpc
from plimsoll.deploy.deployment import Deployment
from plimsoll.keeper.errors import ConfigurationError

__all__ = ["Target"]


@dataclass(frozen=True, slots=True)
class Target:
    """Handles on one node, with one registry of errors and one of events."""

    rpc: Rpc
    network: str
    chain_id: int
    first_block: int
    first_block_hash: str
    clearinghouse: Contract
    order_book: Contract
    hub: Contract
    lens: Contract
    relay: Contract
    share_abi: Abi
    token_abi: Abi
    names: Mapping[int, str]
    """Names of markets and pools by number, where the deployment has them."""
    _others: dict[str, Contract] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, rpc: Rpc, deployment: Deployment) -> Target:
        """The contracts of a deployment, through another client if `rpc` is one.

        :raises ConfigurationError: the deployment has no Lens.
        """
        if deployment.lens is None:
            raise ConfigurationError(
                "the deployment has no Lens, which tells who is healthy; run `plimsoll deploy` again"
            )
        errors, events = ErrorRegistry(), EventRegistry()
        artifacts = deployment.artifacts
        for name in ("LiquidationModule", "SolvencyModule", "AdminModule", "LiquidityPool", "MockToken"):
            errors.add(artifacts.artifact(name).abi)

        def contract(known: Contract, abi: Abi | None = None) -> Contract:
            wanted = known.abi if abi is None else abi
            return Contract(rpc, known.address, wanted, errors=errors, events=events, name=known.name)

        names = {pool.id: name for name, pool in deployment.pools.items()}
        for name, pool in deployment.pools.items():
            names |= {number: f"{name}/{market}" for market, number in pool.markets.items()}
        house, book = contract(deployment.clearinghouse), contract(deployment.order_book)
        events.add(artifacts.artifact("LiquidityPool").abi)
        return cls(
            rpc=rpc,
            network=deployment.book.network,
            chain_id=deployment.book.chain_id,
            first_block=deployment.book.first_block,
            first_block_hash=deployment.book.first_block_hash,
            clearinghouse=house,
            order_book=book,
            hub=contract(deployment.hub),
            lens=contract(deployment.lens),
            relay=contract(deployment.relay),
            share_abi=artifacts.artifact("LiquidityPool").abi,
            token_abi=artifacts.artifact("MockToken").abi,
            names=names,
        )

    @property
    def identity(self) -> str:
        """Tells this deployment from every other, on another instance of the same local chain too."""
        return f"{self.chain_id}:{self.first_block}:{self.first_block_hash}:{self.clearinghouse.address}"

    def name(self, number: int) -> str:
        """Name of a market or pool, or its number."""
        return self.names.get(number, str(number))

    def share(self, address: str) -> Contract:
        """The share token at an address."""
        return self._at(address, self.share_abi, "LiquidityPool")

    def token(self, address: str) -> Contract:
        """The ERC-20 token at an address."""
        return self._at(address, self.token_abi, "token")

    def _at(self, address: str, abi: Abi, name: str) -> Contract:
        found = self._others.get(address)
        if found is None:
            known = self.clearinghouse
            found = Contract(self.rpc, address, abi, errors=known.errors, events=known.events, name=name)
            self._others[address] = found
        return found
