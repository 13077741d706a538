"""The deployed and funded protocol on a driver: actors, entry points, storage by name.

    with World.open(backend="revm") as world:
        trader, now = world.actors.traders[0], world.driver.time
        account = world.account(trader)
        call = world.call("clearinghouse", "deposit", account, world.token("USDC"), 10**9, sender=trader, at=now + 1)
        world.driver.queue(call, world.read(("accounts_", account), ("pools_", 1, "money")))
        (outcome,) = world.driver.flush()
        assert AccountWord.unpack(outcome.words[0]).raw_cash == 1_000 * WAD

Contracts are called `clearinghouse`, `order_book`, `hub`, `lens`, `token:USDC`, `feed:ETH`, `pool:majors`.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any, Literal, Self

from plimsoll.chain.contract import Contract
from plimsoll.chain.errors import AbiError
from plimsoll.chain.receipt import ErrorRegistry
from plimsoll.deploy.deployment import Deployment, handles
from plimsoll.deploy.storage import StorageSlots
from plimsoll.fuzz.anvil import AnvilDriver, loaded_anvil
from plimsoll.fuzz.driver import Call, Codecs, Driver, FuzzError, Read
from plimsoll.fuzz.encode import Entry
from plimsoll.fuzz.node import DriverNode, rpc_of
from plimsoll.fuzz.prepare import SEQUENCER, Actors, Prepared, Setting, prepare
from plimsoll.fuzz.revm import RevmDriver
from plimsoll.model.words import AccountId

__all__ = ["Backend", "World"]

Backend = Literal["anvil", "revm"]
Where = tuple[Any, ...]
"""A variable's name, then mapping keys and struct members, as for `StorageSlots.at`."""


class World:
    """Made by `open`; ends its driver when used as a context manager.

    `deployment` holds the usual contract handles, which read the driver's state (`world.deployment.lens.call(…)`);
    for speed use `call` and `driver`.
    """

    def __init__(self, setting: Setting, prepared: Prepared, backend: Backend) -> None:
        if backend not in ("anvil", "revm"):
            raise FuzzError(f"there is no backend {backend}; use anvil or revm")
        node = DriverNode(prepared.parameters.chain_id)
        self.setting = setting
        self.actors: Actors = setting.actors
        self.artifacts = prepared.artifacts
        self.deployment: Deployment = handles(rpc_of(node), prepared.parameters, prepared.book, prepared.artifacts)
        self.errors: ErrorRegistry = self.deployment.errors
        self.contracts = self._named_contracts()
        codecs = Codecs(self.errors, self.deployment.events)
        self.driver: Driver = (
            RevmDriver(prepared.state, codecs)
            if backend == "revm"
            else AnvilDriver(loaded_anvil(prepared.state), codecs, [self.deployment.clearinghouse.address])
        )
        node.driver = self.driver
        self._entries: dict[tuple[str, str], Entry] = {}
        self._layouts: dict[str, StorageSlots] = {}
        self._spans: dict[tuple[str, Where], range] = {}

    @classmethod
    def open(cls, setting: Setting | None = None, backend: Backend = "revm") -> Self:
        """Prepares the state, or takes it from disk, and starts the driver.

        :raises FuzzError: the backend is not installed.
        :raises ParameterError: the parameters are wrong.
        """
        chosen = setting if setting is not None else Setting()
        return cls(chosen, prepare(chosen), backend)

    def close(self) -> None:
        """Ends the driver."""
        self.driver.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ── names ──────────────────────────────────────────────────────────────

    def address(self, contract: str) -> str:
        """Where a contract is."""
        return self._contract(contract).address

    def token(self, name: str) -> str:
        """Address of a token."""
        return self.deployment.tokens[name].address

    def account(self, owner: str, pool: str = "majors", sub: int = 0) -> bytes:
        """The id of an account."""
        return AccountId(owner, self.deployment.pools[pool].id, sub).to_bytes()

    def market(self, name: str) -> int:
        """The number of a market."""
        return self.deployment.market(name)

    # ── calls ──────────────────────────────────────────────────────────────

    def entry(self, contract: str, fn: str) -> Entry:
        """A function by name, or by full signature where the name is overloaded. Keep it where speed counts.

        :raises AbiError: there is none, or there are several.
        """
        known = self._entries.get((contract, fn))
        if known is None:
            target = self._contract(contract)
            items = [item for item in target.abi if item["type"] == "function" and item["name"] == fn.partition("(")[0]]
            found = [
                entry for item in items if (entry := Entry(target.address, item)).abi.signature == fn or "(" not in fn
            ]
            if len(found) != 1:
                names = ", ".join(Entry(target.address, item).abi.signature for item in items)
                raise AbiError(
                    f"{contract} has {len(found)} functions {fn}; name one by its signature: {names or 'none'}"
                )
            known = self._entries[contract, fn] = found[0]
        return known

    def call(
        self,
        contract: str,
        fn: str,
        *args: Any,
        sender: str,
        at: int,
        value: int = 0,
        base_fee: int = 0,
    ) -> Call:
        """A call of a contract's function at a time.

        :raises AbiError: an argument does not fit.
        """
        entry = self.entry(contract, fn)
        return Call(sender, entry.address, entry(*args), at, value, None, base_fee)

    def publish(self, asset: str, price: int, at: int, published: int | None = None) -> Call:
        """The feed of an asset publishes a price (WAD, rounded down to its decimals), by its own account at that time.

        :param published: the time that the feed tells; None: that of the block.
        """
        decimals = self.deployment.parameters.assets[asset].feed_decimals
        answer = price // 10 ** (18 - decimals)
        told = at if published is None else published
        return self.call(f"feed:{asset}", "push", answer, told, sender=self.actors.owner, at=at)

    def ask(self, contract: str, fn: str, *args: Any, sender: str = "0x" + "0" * 40, at: int | None = None) -> Any:
        """The decoded result of a call that is undone.

        :raises Revert: decoded.
        """
        entry = self.entry(contract, fn)
        outcome = self.driver.view(entry.address, entry(*args), sender=sender, timestamp=at)
        error = outcome.error
        if error is not None:
            raise error
        return entry.result(outcome.output)

    # ── storage ────────────────────────────────────────────────────────────

    def slot(self, variable: str, *path: Any, contract: str = "clearinghouse") -> int:
        """The slot of a variable by name, mapping keys and struct members; remembered.

        :raises StorageError: there is no such thing.
        """
        return self._span(contract, (variable, *path))[0]

    def read(self, *places: Where, contract: str = "clearinghouse", whole: bool = False) -> Read:
        """Storage words to read: `read(("accounts_", account), ("pools_", 1, "money"))`. Keep it where speed counts.

        :param whole: every word of each struct, not its first alone: `read(("pools_", 1), whole=True)`.
        :raises StorageError: there is no such thing.
        """
        spans = [self._span(contract, place) for place in places]
        return Read(self.address(contract), tuple(slot for span in spans for slot in (span if whole else span[:1])))

    def word(self, variable: str, *path: Any, contract: str = "clearinghouse") -> int:
        """One storage word as it is now."""
        slot = self.slot(variable, *path, contract=contract)
        return self.driver.words(self.address(contract), [slot])[0]

    def _span(self, contract: str, place: Where) -> range:
        known = self._spans.get((contract, place))
        if known is None:
            layout = self._layouts.get(contract)
            if layout is None:
                entry = self.deployment.book.contracts[contract]
                layout = self._layouts[contract] = StorageSlots(self.artifacts.artifact(entry.contract))
            known = self._spans[contract, place] = layout.span(*place)
        return known

    # ── inside ─────────────────────────────────────────────────────────────

    def _contract(self, name: str) -> Contract:
        found = self.contracts.get(name)
        if found is None:
            raise FuzzError(f"no contract is called {name}; there are {', '.join(self.contracts)}")
        return found

    def _named_contracts(self) -> dict[str, Contract]:
        deployment = self.deployment
        found = {
            "clearinghouse": deployment.clearinghouse,
            "order_book": deployment.order_book,
            "hub": deployment.hub,
            "lens": deployment.lens,
        }
        found |= {f"token:{name}": token for name, token in deployment.tokens.items()}
        found |= {f"feed:{name}": feed for name, feed in deployment.feeds.items()}
        found |= {f"pool:{name}": pool.lp for name, pool in deployment.pools.items()}
        found |= self._guards(deployment)
        for name, mock in self.setting.token_contracts.items():
            plain, abi = found[f"token:{name}"], self.artifacts.artifact(mock).abi
            found[f"token:{name}"] = Contract(
                plain.rpc, plain.address, abi, errors=plain.errors, events=plain.events, name=name
            )
        return found

    def _guards(self, deployment: Deployment) -> dict[str, Contract]:
        """Secondary feeds and the uptime feed, where there are any."""
        if not self.setting.guards:
            return {}
        found = {}
        for name, at in self.setting.guard_addresses(deployment.parameters.assets).items():
            abi = self.artifacts.artifact("MockSequencerFeed" if name == SEQUENCER else "MockAggregator").abi
            called = name if name == SEQUENCER else f"secondary:{name}"
            found[called] = Contract(deployment.hub.rpc, at, abi, errors=deployment.errors, name=called)
        return found
