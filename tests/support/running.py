"""Keepers at work: the service in a thread, as `plimsoll keeper run` hosts it, and the keys of Anvil's accounts."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Self

from eth_account import Account
from eth_account.signers.local import LocalAccount

from plimsoll.deploy.deployment import Deployment
from plimsoll.keeper.operations.keystore import Identity
from plimsoll.keeper.operations.log import DecisionLog
from plimsoll.keeper.operations.status import KeeperStatus, Phase
from plimsoll.keeper.operations.telemetry import Telemetry
from plimsoll.keeper.report import TickReport
from plimsoll.keeper.service.build import build
from tests.support.faults.proxy import FaultProxy
from tests.support.keepers import config_of

__all__ = ["KEEPER", "RIVAL", "RecordingProxy", "Running", "key_of", "signer"]

MNEMONIC = "test test test test test test test test test test test junk"
KEEPER, RIVAL = 5, 6
"""Accounts of Anvil: `Protocol.keeper`, and one more with a key."""
PATIENCE = 60.0


@cache
def key_of(index: int) -> LocalAccount:
    """The key of an account of Anvil."""
    Account.enable_unaudited_hdwallet_features()
    account: LocalAccount = Account.from_mnemonic(MNEMONIC, account_path=f"m/44'/60'/0'/0/{index}")
    return account


def signer(index: int = KEEPER) -> Identity:
    """Who signs here, so that raw transactions go through the node."""
    account = key_of(index)
    return Identity(str(account.address), account)


class RecordingProxy(FaultProxy):
    """A proxy that remembers for which blocks logs were asked."""

    def __init__(self, upstream: str, **options: Any) -> None:
        super().__init__(upstream, **options)
        self.log_queries: list[dict[str, Any]] = []

    async def _answer(self, request: dict[str, Any]) -> dict[str, Any] | None:
        if request["method"] == "eth_getLogs":
            self.log_queries.append(request["params"][0])
        return await super()._answer(request)


class Running:
    """A service at work in a thread of its own, used as a context manager.

    :param options: of the configuration, as `employed` takes them.
    """

    def __init__(
        self,
        deployment: Deployment,
        url: str,
        *,
        who: Identity | None = None,
        database: Path | None = None,
        **options: Any,
    ) -> None:
        self.lines: list[str] = []
        self.error: BaseException | None = None
        self.took = 0.0
        """Seconds from being asked to stop to the end."""
        choices = {"node.providers": url, "node.poll": "0.05", "node.timeout": "2", **options}
        where = None if database is None else str(database)
        log, config = DecisionLog(lambda line: self.lines.append(line[20:])), config_of(choices)
        self.service = build(config, deployment, who or signer(), where, log, Telemetry())
        self._loop = asyncio.new_event_loop()
        self._stop: asyncio.Event | None = None
        self._asked = threading.Event()
        self._thread = threading.Thread(target=self._work, name="keeper", daemon=True)

    @property
    def status(self) -> KeeperStatus:
        """What it is doing."""
        return self.service.status()

    @property
    def total(self) -> TickReport:
        """What landed so far."""
        return TickReport() if self.service.parts is None else self.service.parts.ledger.total

    @property
    def followed(self) -> int:
        """Number of the last block that a pass ended at, 0 before the first."""
        return 0 if self.service.last is None else self.service.last.head.number

    def said(self, text: str) -> bool:
        """Whether a line of the log holds this."""
        return any(text in line for line in list(self.lines))

    def wait_for(self, what: Callable[[], bool], seconds: float = PATIENCE) -> None:
        """Waits until something is so; fails the test if it does not come, or the keeper ended before."""
        deadline = time.monotonic() + seconds
        while not what():
            alive = self._thread.is_alive() or what()
            assert alive, (self.error, self.lines[-8:])
            assert time.monotonic() < deadline, (self.error, self.lines[-8:])
            time.sleep(0.02)

    def wait_to_follow(self) -> None:
        """Waits until it has caught up."""
        self.wait_for(lambda: self.service.phase is Phase.FOLLOWING)

    def wait_to_end(self, seconds: float = PATIENCE) -> BaseException | None:
        """Waits until it ends by itself; gives why."""
        self._thread.join(seconds)
        assert not self._thread.is_alive(), self.lines[-8:]
        return self.error

    def stop(self) -> None:
        """Asks it to end, as SIGTERM does, and waits."""
        begun = time.monotonic()
        self._asked.set()
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(lambda: self._stop.set() if self._stop is not None else None)
            self._thread.join(60)
        self.took = time.monotonic() - begun
        assert not self._thread.is_alive(), self.lines[-8:]

    def _work(self) -> None:
        try:
            self._loop.run_until_complete(self._run())
        except BaseException as error:
            self.error = error
        finally:
            self._loop.close()

    async def _run(self) -> None:
        self._stop = asyncio.Event()
        if self._asked.is_set():
            return
        await self.service.run(self._stop)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
