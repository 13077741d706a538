"""The contracts a keeper works for, and what it must find behind the address of a node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from plimsoll.chain.abi import Abi
from plimsoll.chain.contract import Contract
from plimsoll.chain.receipt import ErrorRegistry, EventRegistry
from plimsoll.chain.rpc import Rpc
from plimsoll.deploy.deployment import Deployment
from plimsoll.keeper.errors import ConfigurationError, UnsafeStateError

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

    def check(self, *, started: bool) -> None:
        """Compares the node with the deployment.

        :param started: whether the keeper was already working on this node.
        :raises ConfigurationError: it is another chain, and the keeper only begins.
        :raises UnsafeStateError: it has become another chain.
        """
        problem = self._problem()
        if problem is not None:
            raise (UnsafeStateError if started else ConfigurationError)(problem)

    def _at(self, address: str, abi: Abi, name: str) -> Contract:
        found = self._others.get(address)
        if found is None:
            known = self.clearinghouse
            found = Contract(self.rpc, address, abi, errors=known.errors, events=known.events, name=name)
            self._others[address] = found
        return found

    def _problem(self) -> str | None:
        answers = self.rpc.batch(
            [
                ("eth_chainId", []),
                ("eth_getBlockByNumber", [hex(self.first_block), False]),
                *[("eth_getCode", [contract.address, "latest"]) for contract in self._contracts()],
            ]
        )
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        chain, first = int(answers[0], 16), answers[1]
        where = f"the node at {self.rpc.address}"
        if chain != self.chain_id:
            wanted = f"{self.network} is deployed on chain {self.chain_id}"
            return f"{where} runs chain {chain}, {wanted}; name another node with --rpc"
        if first is None or first["hash"] != self.first_block_hash:
            return (
                f"{where} runs another instance of chain {chain} than the one {self.network} was deployed on "
                "(was it reset?); run `plimsoll deploy` and start the keeper again"
            )
        for contract, code in zip(self._contracts(), answers[2:], strict=True):
            if code in ("0x", None):
                return (
                    f"{where} has no code at {contract.address} ({contract.name}): nothing is deployed there, or the "
                    "chain was reset; run `plimsoll deploy` and start the keeper again"
                )
        return None

    def _contracts(self) -> tuple[Contract, ...]:
        return self.clearinghouse, self.order_book, self.hub, self.lens
