"""The service driven pass by pass from code that is not asynchronous: replays, tests, notebooks."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from plimsoll.deploy.deployment import Deployment
from plimsoll.keeper.operations.config import KeeperConfig
from plimsoll.keeper.operations.keystore import Identity
from plimsoll.keeper.operations.log import DecisionLog
from plimsoll.keeper.operations.ports import Decision
from plimsoll.keeper.operations.status import KeeperStatus
from plimsoll.keeper.operations.telemetry import Telemetry
from plimsoll.keeper.report import TickReport
from plimsoll.keeper.service.build import build
from plimsoll.keeper.service.service import KeeperService, Parts

__all__ = ["SteppedKeeper", "Ticked"]


class Ticked:
    """What one pass did: its decisions, and what landed meanwhile."""

    def __init__(self, decisions: list[Decision], landed: TickReport, blocked: str) -> None:
        self.decisions = decisions
        self.landed = landed
        self.blocked = blocked

    @property
    def hashes(self) -> list[str]:
        """Transactions that were handed over."""
        return [one.tx_hash for one in self.decisions if one.outcome == "send" and one.tx_hash]


class SteppedKeeper:
    """A keeper with an event loop of its own.

    :param database: file or `postgresql://…`; None keeps everything in memory.
    """

    def __init__(
        self,
        config: KeeperConfig,
        deployment: Deployment,
        who: Identity,
        *,
        database: str | None = None,
        log: DecisionLog | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        self.telemetry = telemetry if telemetry is not None else Telemetry()
        self.log = log if log is not None else DecisionLog(lambda _: None, counted=self.telemetry.line)
        self.service: KeeperService = build(config, deployment, who, database, self.log, self.telemetry)
        self._loop = asyncio.new_event_loop()
        self._open = False

    @property
    def parts(self) -> Parts:
        """What it is made of; after the first pass."""
        assert self.service.parts is not None, "tick() comes first"
        return self.service.parts

    @property
    def total(self) -> TickReport:
        """Everything that landed so far."""
        return self.parts.ledger.total

    def tick(self) -> Ticked:
        """One pass at the present head.

        :raises KeeperError, NodeUnavailable: as `KeeperService.tick`.
        """
        return self._loop.run_until_complete(self._tick())

    def collect(self) -> TickReport:
        """Counts what has been mined since, without deciding anything.

        :raises NodeUnavailable: the chain cannot be read now.
        """
        self.parts.ledger.latest_part = TickReport()
        self._loop.run_until_complete(self.service.collect())
        return self.parts.ledger.latest_part

    def status(self) -> KeeperStatus:
        """What it is doing now."""
        return self.service.status()

    def close(self) -> None:
        """Gives everything back."""
        if not self._loop.is_closed():
            self._loop.run_until_complete(self.service.close())
            self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def _tick(self) -> Ticked:
        if not self._open:
            await self.service.open()
            self._open = True
        self.parts.ledger.latest_part = TickReport()
        passed = await self.service.tick()
        return Ticked(passed.decisions, self.parts.ledger.latest_part, self.parts.passes.dispatcher.blocked)
