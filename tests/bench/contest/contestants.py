"""Who takes part: this repository's keeper, and the two ways in which liquidation bots are usually written.

The plain bots are written as plainly as such bots are, and no worse: they know all accounts from the start, need no
database, sign locally, and never fail. What they share is one health question per account, or per page of accounts, in
each block, one transaction per liquidation, and a wait for each receipt.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Sequence
from typing import Protocol as Interface

from eth_account import Account
from eth_account.signers.local import LocalAccount

from plimsoll.chain.contract import Contract, batch_call
from plimsoll.chain.errors import PlimsollError, Revert
from plimsoll.chain.rpc import Rpc
from plimsoll.chain.signer import KeySender
from plimsoll.deploy.deployment import Deployment
from plimsoll.keeper.operations.keystore import Identity
from plimsoll.keeper.operations.load import load_config
from plimsoll.keeper.operations.log import DecisionLog
from plimsoll.keeper.operations.status import Phase
from plimsoll.keeper.operations.telemetry import Telemetry
from plimsoll.keeper.service.build import build
from plimsoll.model.words import AccountId

__all__ = ["KINDS", "Contestant", "KeeperContestant", "PlainBot", "PooledBot"]

MNEMONIC = "test test test test test test test test test test test junk"
PLAIN_GAS = 1_000_000
POLL = 0.05
PAGE = 100


def keeper_key(index: int = 5) -> LocalAccount:
    """The key of an account of Anvil."""
    Account.enable_unaudited_hdwallet_features()
    account: LocalAccount = Account.from_mnemonic(MNEMONIC, account_path=f"m/44'/60'/0'/0/{index}")
    return account


class Contestant(Interface):
    """One keeper at work in a thread of its own."""

    name: str
    text: str

    def start(self, url: str, deployment: Deployment, accounts: Sequence[bytes]) -> None:
        """Begins; returns when it is ready for the crash."""

    def stop(self) -> None:
        """Ends."""


class PlainBot:
    """One `healthBatch([account])` per account and block, one transaction per liquidation, waits for each receipt."""

    name = "plain"
    text = "one health call per account and block, one transaction per liquidation, a wait for each receipt"

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, url: str, deployment: Deployment, accounts: Sequence[bytes]) -> None:
        """Begins."""
        ready = threading.Event()
        self._thread = threading.Thread(target=self._work, args=(url, deployment, list(accounts), ready), daemon=True)
        self._thread.start()
        ready.wait(60)

    def stop(self) -> None:
        """Ends after the liquidation under way."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(60)

    def _work(self, url: str, deployment: Deployment, accounts: list[bytes], ready: threading.Event) -> None:
        rpc = Rpc.connect(url, timeout=30)
        key = keeper_key()
        sender = KeySender(rpc, bytes(key.key).hex())
        lens = Contract(rpc, deployment.lens.address, deployment.lens.abi)
        house = Contract(rpc, deployment.clearinghouse.address, deployment.clearinghouse.abi)
        last = -1
        while not self._stop.is_set():
            ready.set()
            block = int(rpc.request("eth_blockNumber"), 16)
            if block == last:
                time.sleep(POLL)
                continue
            last = block
            self._scan(lens, house, sender, accounts)

    def _scan(self, lens: Contract, house: Contract, sender: KeySender, accounts: Sequence[bytes]) -> None:
        for account in accounts:
            if self._stop.is_set():
                return
            equity, required, _ = lens.call("healthBatch", [account])
            if equity[0] < required[0]:
                self._liquidate(house, sender, account)

    def _liquidate(self, house: Contract, sender: KeySender, account: bytes) -> None:
        """Sends and waits until it is mined."""
        pool = AccountId.unpack(int.from_bytes(account, "big")).pool
        paid = AccountId(sender.address, pool, 0).to_bytes()
        with contextlib.suppress(PlimsollError):
            house.transact("liquidate", [account], paid, sender=sender, gas=PLAIN_GAS)


class PooledBot(PlainBot):
    """As the plain one, but it asks for the health of all accounts in pages, as with a multicall."""

    name = "multicall"
    text = "health of all accounts in pages of 100, one transaction per liquidation, a wait for each receipt"

    def _scan(self, lens: Contract, house: Contract, sender: KeySender, accounts: Sequence[bytes]) -> None:
        pages = [list(accounts[start : start + PAGE]) for start in range(0, len(accounts), PAGE)]
        for page, answer in zip(pages, batch_call([(lens, "healthBatch", [page]) for page in pages]), strict=True):
            if isinstance(answer, Revert):
                continue
            for account, equity, required, _ in zip(page, *answer, strict=True):
                if self._stop.is_set():
                    return
                if equity < required:
                    self._liquidate(house, sender, account)


class KeeperContestant:
    """This repository's keeper as `plimsoll keeper run` hosts it, with a database in memory."""

    name = "plimsoll"
    text = "this keeper: a mirror of the chain, exact verdicts without calls, batches by gas, several in flight"

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended: asyncio.Event | None = None
        self.problem: BaseException | None = None
        self.lines: list[str] = []

    def start(self, url: str, deployment: Deployment, accounts: Sequence[bytes]) -> None:
        """Begins; ready when it has caught up."""
        ready = threading.Event()
        self._thread = threading.Thread(target=self._work, args=(url, deployment, ready), daemon=True)
        self._thread.start()
        ready.wait(120)

    def stop(self) -> None:
        """Ends as SIGTERM would end it."""
        if self._loop is not None and self._ended is not None:
            self._loop.call_soon_threadsafe(self._ended.set)
        if self._thread is not None:
            self._thread.join(60)
        if self.problem is not None:
            raise self.problem

    def _work(self, url: str, deployment: Deployment, ready: threading.Event) -> None:
        try:
            asyncio.run(self._run(url, deployment, ready))
        except BaseException as error:
            self.problem = error
            ready.set()

    async def _run(self, url: str, deployment: Deployment, ready: threading.Event) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        choices = {
            "node.providers": url,
            "node.poll": str(POLL),
            "objective": "solvency",
            "sending.solvency_budget": "1000",
            "sending.max_in_flight": "64",
        }
        key = keeper_key()
        log, telemetry = DecisionLog(self.lines.append), Telemetry()
        identity = Identity(str(key.address), key)
        service = build(load_config(None, overrides=choices), deployment, identity, None, log, telemetry)
        work = asyncio.create_task(service.run(self._ended))
        while not work.done() and service.status().phase is not Phase.FOLLOWING:
            await asyncio.sleep(0.05)
        ready.set()
        await work


KINDS: dict[str, type[PlainBot] | type[KeeperContestant]] = {
    "plain": PlainBot,
    "multicall": PooledBot,
    "plimsoll": KeeperContestant,
}
"""By name, in the order in which they take part."""
