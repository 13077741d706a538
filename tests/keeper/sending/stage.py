"""A chain that mines when it is told to, a proxy before it, a database, and managers that come and go."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_account.signers.local import LocalAccount
from tests.support.faults.kinds import Sends
from tests.support.faults.proxy import FaultProxy

from plimsoll.chain.anvil import Anvil
from plimsoll.chain.receipt import ErrorRegistry
from plimsoll.keeper.node.headers import Header
from plimsoll.keeper.node.rpc import Rpc
from plimsoll.keeper.sending.intent import Intent, Outcome, Result, Settled
from plimsoll.keeper.sending.manager import TransactionManager
from plimsoll.keeper.sending.options import SendingOptions
from plimsoll.keeper.sending.ports import LeaseFence
from plimsoll.keeper.sending.routes import Routes
from plimsoll.keeper.sending.signing import KeySigner
from plimsoll.keeper.storage.files import SqliteRepository
from plimsoll.keeper.storage.journal import JournalEntry

__all__ = ["ARENA", "ETHER", "GWEI", "TRAP", "Keeper", "Stage", "intent", "played"]

GWEI = 10**9
ETHER = 10**18
CHAIN_ID = 31337
ARENA = "0x00000000000000000000000000000000000A7E4a"
"""A contract in which each account can be liquidated once: a second time reverts with `NothingOnSale`."""
ARENA_CODE = "0x60003580" + "54600d57" + "60019055" + "00" + "5b63e33c99dc60e01b5f5260445ffd"
TRAP = "0x0000000000000000000000000000000000007e4A"
"""A contract that reverts without a word once its first slot is set."""
TRAP_CODE = "0x5f54600657005b5f5ffd"
NOTHING_ON_SALE = {
    "type": "error",
    "name": "NothingOnSale",
    "inputs": [{"name": "account", "type": "bytes32"}, {"name": "token", "type": "address"}],
}


def played(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Lets pytest run an asynchronous test, and ends its keepers."""

    async def play(**fixtures: Any) -> None:
        try:
            await test(**fixtures)
        finally:
            stage = fixtures.get("stage")
            if isinstance(stage, Stage):
                await stage.close()

    @functools.wraps(test)
    def run(**fixtures: Any) -> None:
        asyncio.run(play(**fixtures))

    return run


def intent(number: int, *, version: int = 1, **fields: Any) -> Intent:
    """To liquidate an account of the arena, worth 0.01 ether."""
    return replace(
        Intent(
            key=f"liquidate:{number}@{version}",
            job="liquidate",
            to=ARENA,
            data=number.to_bytes(32, "big"),
            gas=100_000,
            expected_gas=50_000,
            worth_wei=ETHER // 100,
            keys=frozenset([f"account:{number}"]),
            marks=frozenset([f"account:{number}@{version}"]),
            trace=f"decision-{number}",
        ),
        **fields,
    )


class Keeper:
    """One keeper's manager, with its key and database. `events` is what it reported."""

    def __init__(self, stage: Stage, key: LocalAccount, path: Path, options: SendingOptions, url: str) -> None:
        self.key = key
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.settled: list[Settled] = []
        self.repository = SqliteRepository(path, "arena")
        self.repository.lease.acquire(f"test {id(self)}", 600)
        self.rpc = Rpc(url, timeout=5.0, retries=1)
        self.routes = Routes([self.rpc])
        self.signer = KeySigner(key, CHAIN_ID)
        self.manager = TransactionManager(
            self.rpc,
            self.repository.journal,
            LeaseFence(self.repository.lease),
            [self.signer],
            self.routes,
            options,
            errors=ErrorRegistry([NOTHING_ON_SALE]),
            report=lambda event, fields: self.events.append((event, dict(fields))),
        )
        self._stage = stage

    def named(self, event: str) -> list[dict[str, Any]]:
        """What was reported under a name."""
        return [fields for name, fields in self.events if name == event]

    def journal(self) -> list[JournalEntry]:
        """All entries, oldest first."""
        return self.repository.journal.recent(1_000)[::-1]

    def statuses(self) -> list[tuple[int, str]]:
        """Nonce and status of all entries."""
        return [(entry.nonce, entry.status) for entry in self.journal()]

    async def start(self) -> None:
        """Takes over what the journal says."""
        self.settled += await self.manager.start(self._stage.header())

    async def sends(self, *intents: Intent) -> list[Outcome]:
        """Submits intents that are all taken."""
        outcomes = [await self.manager.submit(one) for one in intents]
        assert [outcome.result for outcome in outcomes] == [Result.SENT] * len(intents), outcomes
        return outcomes

    async def leave(self) -> None:
        """Ends without a word, as a process that is killed; the lease is for the next one to take."""
        await self.rpc.close()
        self.repository.close()


class Stage:
    """Everything of one test."""

    def __init__(self, chain: Anvil, proxy: FaultProxy, folder: Path) -> None:
        self.chain = chain
        self.proxy = proxy
        self.folder = folder
        self.keepers: list[Keeper] = []
        self._keys = 0

    def key(self) -> LocalAccount:
        """A new key with 100 ether."""
        self._keys += 1
        account: LocalAccount = Account.from_key(self._keys.to_bytes(32, "big"))
        self.chain.set_balance(account.address, 100 * ETHER)
        return account

    async def keeper(
        self,
        options: SendingOptions | None = None,
        *,
        key: LocalAccount | None = None,
        name: str = "keeper",
        straight: bool = False,
        start: bool = True,
    ) -> Keeper:
        """A keeper on the database of that name; `straight` to the node, past the proxy."""
        url = self.chain.url if straight else self.proxy.url
        chosen = options if options is not None else SendingOptions()
        keeper = Keeper(self, key or self.key(), self.folder / f"{name}.sqlite", chosen, url)
        self.keepers.append(keeper)
        if start:
            await keeper.start()
        return keeper

    async def restart(self, keeper: Keeper, options: SendingOptions | None = None, *, start: bool = True) -> Keeper:
        """Kills a keeper and starts it again with its key and database."""
        name = Path(keeper.repository.where).stem
        await keeper.leave()
        self.keepers.remove(keeper)
        chosen = options if options is not None else keeper.manager.options
        return await self.keeper(chosen, key=keeper.key, name=name, start=start)

    async def close(self) -> None:
        """Ends all keepers."""
        for keeper in self.keepers:
            await keeper.leave()

    def header(self) -> Header:
        """The head."""
        return Header.of(self.chain.rpc.request("eth_getBlockByNumber", ["latest", False]))

    async def mine(self, blocks: int = 1, *, tell: bool = True) -> None:
        """Mines blocks and tells the keepers of each."""
        for _ in range(blocks):
            self.chain.mine()
            self._forget()
            if tell:
                await self.tell()

    def _forget(self) -> None:
        """Anvil drops from its pool what a block could not include for its fee; so must the proxy's."""
        if self.proxy.sends is not Sends.PASS:
            return
        for keeper in self.keepers:
            for one in self.proxy.mempool.waiting(keeper.key.address):
                if self.chain.rpc.request("eth_getTransactionByHash", [one.hash]) is None:
                    self.proxy.mempool.forget(one)

    async def tell(self) -> None:
        """Tells all keepers of the head."""
        header = self.header()
        for keeper in self.keepers:
            keeper.settled += await keeper.manager.on_block(header)

    async def reorg(self, depth: int) -> None:
        """Takes blocks back; transactions in them are lost to the node, as they are to Anvil."""
        number = self.header().number
        self.chain.rpc.request("anvil_reorg", [depth, []])
        self.chain.rpc.request("anvil_dropAllTransactions")
        self.proxy.mempool.clear()
        replaced = [
            self.chain.rpc.request("eth_getBlockByNumber", [hex(number - depth + 1 + at), False]) for at in range(depth)
        ]
        for keeper in self.keepers:
            await keeper.manager.on_reorg(number - depth)
            for raw in replaced:
                keeper.settled += await keeper.manager.on_block(Header.of(raw))

    def set_base_fee(self, wei: int) -> None:
        """Of the next block."""
        self.chain.rpc.request("anvil_setNextBlockBaseFeePerGas", [hex(wei)])

    def is_liquidated(self, number: int) -> bool:
        """Whether somebody was there."""
        return int(self.chain.rpc.request("eth_getStorageAt", [ARENA, hex(number), "latest"]), 16) == 1

    def nonce(self, keeper: Keeper) -> int:
        """Of the latest block."""
        return int(self.chain.rpc.request("eth_getTransactionCount", [keeper.key.address, "latest"]), 16)

    def mined(self, keeper: Keeper) -> list[Mapping[str, Any]]:
        """Receipts of all transactions of a keeper, in order."""
        found = []
        head = self.header().number
        for number in range(head + 1):
            block = self.chain.rpc.request("eth_getBlockByNumber", [hex(number), True])
            for one in block["transactions"]:
                if one["from"].lower() == keeper.key.address.lower():
                    found.append(self.chain.rpc.request("eth_getTransactionReceipt", [one["hash"]]))
        return found
