"""A deployed system: typed handles to its contracts, made by `deploy` or from an address book."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from plimsoll.chain.abi import EventAbi
from plimsoll.chain.artifacts import Artifacts, compile_contracts
from plimsoll.chain.contract import Contract
from plimsoll.chain.receipt import ErrorRegistry, EventRegistry
from plimsoll.chain.rpc import Rpc
from plimsoll.chain.signer import Sender
from plimsoll.deploy.book import Book, BookError, book_path
from plimsoll.deploy.parameters import ParameterError, Parameters
from plimsoll.deploy.structs import market_id

__all__ = [
    "Deployment",
    "PoolHandles",
    "block_hash",
    "chain_id",
    "clearinghouse_abi",
    "deployed_contracts",
    "handles",
    "is_local",
    "lens_abi",
    "open_deployment",
]

LOCAL_CHAIN = 31337
LOCAL_CLIENTS = ("anvil", "hardhat")
SOURCES = (
    "AdminModule",
    "Clearinghouse",
    "KeeperRelay",
    "Lens",
    "LensViews",
    "LiquidationModule",
    "LiquidityPool",
    "OracleHub",
    "OrderBook",
    "SolvencyModule",
)
MODULES = ("LiquidationModule", "SolvencyModule", "AdminModule")
MOCKS = ("MockToken", "MockAggregator", "MockSequencerFeed", "ChainlinkShape")


@dataclass(frozen=True, slots=True)
class PoolHandles:
    """One pool: its number, LP token, settlement token, and the numbers of its markets by name."""

    name: str
    id: int
    lp: Contract
    settlement: Contract
    decimals: int
    markets: Mapping[str, int]
    collateral: Mapping[str, int]
    """Index of each collateral token by name."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """Contracts share one registry of errors and one of events, so reverts and logs of any of them decode."""

    rpc: Rpc
    parameters: Parameters
    book: Book
    clearinghouse: Contract
    order_book: Contract
    hub: Contract
    lens: Contract
    relay: Contract
    tokens: Mapping[str, Contract]
    feeds: Mapping[str, Contract]
    pools: Mapping[str, PoolHandles]
    errors: ErrorRegistry = field(repr=False)
    events: EventRegistry = field(repr=False)
    artifacts: Artifacts = field(repr=False)

    def market(self, name: str, pool: str | None = None) -> int:
        """The number of the market of that name, in any pool or in one.

        :raises KeyError: there is none, or it is in several pools.
        """
        found = [p.markets[name] for p in self.pools.values() if name in p.markets and pool in (None, p.name)]
        if len(found) != 1:
            raise KeyError(f"{len(found)} markets are called {name}; name one market of one pool")
        return found[0]

    def clearinghouse_topic(self, event: str) -> str:
        """First topic of the logs of an event of the Clearinghouse."""
        item = next(one for one in self.clearinghouse.abi if one["type"] == "event" and one["name"] == event)
        return "0x" + EventAbi.of(item).selector.hex()

    def market_name(self, market: int) -> tuple[str, str]:
        """Pool and name of a market number."""
        for pool in self.pools.values():
            for name, number in pool.markets.items():
                if number == market:
                    return pool.name, name
        raise KeyError(f"no market has the number {market}")


def deployed_contracts(root: Path | None = None, *, quiet: bool = True) -> Artifacts:
    """What a deployment needs, compiled: the contracts and the mocks of local chains."""
    only = [f"contracts/{name}.sol" for name in SOURCES] + [f"contracts/mocks/{name}.sol" for name in MOCKS]
    return compile_contracts(root, only=only, quiet=quiet)


def clearinghouse_abi(artifacts: Artifacts) -> list[Mapping[str, Any]]:
    """Everything that can be called, raised or emitted at the address of the Clearinghouse, its modules included."""
    return _joined(artifacts, "Clearinghouse", *MODULES)


def lens_abi(artifacts: Artifacts) -> list[Mapping[str, Any]]:
    """Everything that can be called at the address of the Lens, which passes on what its views answer."""
    return _joined(artifacts, "Lens", "LensViews")


def _joined(artifacts: Artifacts, *names: str) -> list[Mapping[str, Any]]:
    """Functions, events and errors of contracts behind one address, each once; the constructor of the first only."""
    found: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    for name in names:
        for item in artifacts.artifact(name).abi:
            key = () if item["type"] == "constructor" else (str([_types(entry) for entry in item.get("inputs", ())]),)
            found.setdefault((item["type"], item.get("name"), *key), item)
    return list(found.values())


def _types(entry: Mapping[str, Any]) -> Any:
    return [_types(part) for part in entry["components"]] if "components" in entry else entry["type"]


def chain_id(rpc: Rpc) -> int:
    """The chain's id."""
    return int(rpc.request("eth_chainId"), 16)


def is_local(rpc: Rpc) -> bool:
    """Whether the node runs a development chain, on which mocks may be deployed."""
    client = str(rpc.request("web3_clientVersion")).lower()
    return chain_id(rpc) == LOCAL_CHAIN or client.startswith(LOCAL_CLIENTS)


def block_hash(rpc: Rpc, number: int) -> str | None:
    """Hash of a block, None where the chain has no such block."""
    block = rpc.request("eth_getBlockByNumber", [hex(number), False])
    return None if block is None else str(block["hash"])


def handles(
    rpc: Rpc, parameters: Parameters, book: Book, artifacts: Artifacts, sender: Sender | None = None
) -> Deployment:
    """Handles to every contract of a complete book.

    :raises BookError: a contract is missing in it.
    """
    errors, events = ErrorRegistry(), EventRegistry()

    def contract(name: str, label: str, abi: Any = None) -> Contract:
        entry = book.contracts.get(name)
        if entry is None:
            raise BookError(f"the address book of {book.network} has no {name}; run `plimsoll deploy` to complete it")
        wanted = abi if abi is not None else artifacts.artifact(entry.contract).abi
        return Contract(rpc, entry.address, wanted, errors=errors, events=events, sender=sender, name=label)

    for name in MODULES:
        errors.add(artifacts.artifact(name).abi)
    tokens = {name: contract(f"token:{name}", name) for name in parameters.tokens}
    pools = {}
    for name, pool in parameters.pools.items():
        pools[name] = PoolHandles(
            name=name,
            id=pool.id,
            lp=contract(f"pool:{name}", f"LiquidityPool {name}"),
            settlement=tokens[pool.settlement],
            decimals=parameters.tokens[pool.settlement].decimals,
            markets={market: market_id(pool.id, index) for index, market in enumerate(pool.markets)},
            collateral={token: index for index, token in enumerate(pool.collateral)},
        )
    feeds = [name for name, asset in parameters.assets.items() if asset.kind == "chainlink"]
    return Deployment(
        rpc=rpc,
        parameters=parameters,
        book=book,
        clearinghouse=contract("clearinghouse", "Clearinghouse", clearinghouse_abi(artifacts)),
        order_book=contract("order_book", "OrderBook"),
        hub=contract("hub", "OracleHub"),
        lens=contract("lens", "Lens", lens_abi(artifacts)),
        relay=contract("keeper_relay", "KeeperRelay"),
        tokens=tokens,
        feeds={name: contract(f"feed:{name}", f"feed {name}") for name in feeds},
        pools=pools,
        errors=errors,
        events=events,
        artifacts=artifacts,
    )


def open_deployment(rpc: Rpc, path: Path, *, sender: Sender | None = None) -> Deployment:
    """The deployment whose parameters are in the file at `path` and whose addresses are beside it.

    :raises ParameterError: the parameters are wrong, or for another chain.
    :raises BookError: it is not deployed, not completely, or on another chain.
    """
    parameters = Parameters.load(path)
    here = chain_id(rpc)
    if here != parameters.chain_id:
        raise ParameterError(f"{path} is for chain {parameters.chain_id}, the node at {rpc.address} runs chain {here}")
    where = book_path(path)
    book = Book.read(where)
    if book is None:
        raise BookError(f"{where} does not exist: nothing is deployed yet; run `plimsoll deploy` first")
    if block_hash(rpc, book.first_block) != book.first_block_hash:
        raise BookError(
            f"{where} belongs to another chain than the one at {rpc.address} (a restarted local chain?); "
            "run `plimsoll deploy` first, or name the right node with --rpc"
        )
    if not book.complete:
        raise BookError(f"the deployment in {where} was interrupted; run `plimsoll deploy` again to complete it")
    return handles(rpc, parameters, book, deployed_contracts(), sender)
