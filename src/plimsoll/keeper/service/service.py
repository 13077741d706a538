"""The service: leads or stands by, follows the chain, makes passes, and tells the truth about itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from plimsoll.chain.errors import RpcError
from plimsoll.keeper.book.search import Search
from plimsoll.keeper.errors import ConfigurationError, UnsafeStateError
from plimsoll.keeper.node.headers import Header
from plimsoll.keeper.operations.config import KeeperConfig
from plimsoll.keeper.operations.log import DecisionLog
from plimsoll.keeper.operations.ports import Decision, PassReport
from plimsoll.keeper.operations.status import KeeperStatus, Phase, ProviderStatus
from plimsoll.keeper.operations.telemetry import Telemetry
from plimsoll.keeper.report import summary
from plimsoll.keeper.service.audit import Auditor
from plimsoll.keeper.service.ledger import Ledger
from plimsoll.keeper.service.passes import NODE_ERRORS, Passed, Passes
from plimsoll.keeper.service.picture import picture
from plimsoll.keeper.storage.errors import LeaseLostError, StorageError
from plimsoll.keeper.storage.lease import Grant
from plimsoll.keeper.storage.repository import Repository

__all__ = ["KeeperService", "Parts"]

FIRST_PAUSE = 0.25
LONGEST_PAUSE = 15.0
REFUSALS = 20
"""So many refusals in a row of nodes that answer end the keeper."""
PATIENCE = 60.0
"""Seconds that one pass waits for its transactions."""
HEAD_TRIES = 5
ANCHOR_EVERY = 512
"""Passes after which, when there is nothing to do, the search measures its radii anew."""
RECOVERED = {
    "node": "the node answers again, it is still the same chain",
    "database": "the database takes what is written again",
}


@dataclass(frozen=True, slots=True)
class Parts:
    """What a service is made of.

    :param where: the database, without secrets.
    :param accounts: the keeper's own, by pool, as the mirror has pools.
    :param providers: how the nodes are, for operators; `lag` how many blocks the head is behind the best of them.
    :param look: the head to go to.
    :param close: gives connections back.
    """

    passes: Passes
    search: Search
    ledger: Ledger
    auditor: Auditor
    repository: Repository
    where: str
    accounts: Callable[[], frozenset[bytes]]
    providers: Callable[[], tuple[ProviderStatus, ...]]
    lag: Callable[[], int]
    look: Callable[[], Awaitable[Header]]
    close: Callable[[], Awaitable[None]]


class KeeperService:
    """Keeps one deployment.

    :param make: makes the parts, once this process leads; may fail with what the operator is to correct.
    :param wake: waits for at most so many seconds, or until a new head is told of.
    :param owner: name of this process in the lease.
    """

    def __init__(
        self,
        config: KeeperConfig,
        make: Callable[[], Awaitable[Parts]],
        wake: Callable[[float], Coroutine[Any, Any, None]],
        log: DecisionLog,
        telemetry: Telemetry,
        *,
        owner: str,
        opening: str = "",
    ) -> None:
        self.config = config
        self.parts: Parts | None = None
        self.phase = Phase.STARTING
        self.passes = 0
        self.begun = time.monotonic()
        self.passed_at: float | None = None
        self.head_at = self.begun
        self.last: Passed | None = None
        self._make = make
        self._wake = wake
        self._log = log
        self._telemetry = telemetry
        self.owner = owner
        self._opening = opening
        self._lost: LeaseLostError | None = None
        self._renewing = False

    # ── for those who drive it ─────────────────────────────────────────────

    async def run(self, stop: asyncio.Event) -> None:
        """Works until `stop` is set, finishes what is being handed over, and returns.

        :raises LeaseLostError: another process leads now.
        :raises UnsafeStateError: going on could cost money.
        :raises KeeperError: why it stopped by itself.
        """
        parts = self.parts = await self._made(stop)
        if parts is None:
            return
        try:
            if not await self._lead(parts, stop):
                return
            self._log.info("start", self._opening)
            renewing = asyncio.create_task(self._renew(parts, stop))
            try:
                await self._work(parts, stop)
            finally:
                renewing.cancel()
                with suppress(asyncio.CancelledError):
                    await renewing
        finally:
            self.phase = Phase.STOPPING
            await self._end(parts)

    async def once(self) -> PassReport:
        """One pass at the head, and the receipts of what it sent, for a minute at most.

        :raises KeeperError: why there was none.
        """
        parts = self.parts = await self._make()
        try:
            if not await self._lead(parts, None):
                raise ConfigurationError("another keeper leads on this database; stop it, or name another with --db")
            self._log.info("start", self._opening)
            passed = await self.tick()
            decisions, blocked = list(passed.decisions), parts.passes.dispatcher.blocked
            await self._landing(parts)
            return self._report(passed, decisions, blocked, summary(parts.ledger.total))
        finally:
            self.phase = Phase.STOPPING
            await self._end(parts)

    def status(self) -> KeeperStatus:
        """What it is doing now."""
        return picture(self)

    async def open(self) -> None:
        """Makes the parts and leads, for those who drive passes themselves with `tick`."""
        self.parts = await self._make()
        if not await self._lead(self.parts, None):
            raise ConfigurationError("another keeper leads on this database; stop it, or name another with --db")

    async def close(self) -> None:
        """Finishes what is being handed over and gives everything back."""
        if self.parts is not None:
            await self._end(self.parts)

    # ── passes ─────────────────────────────────────────────────────────────

    async def tick(self) -> Passed:
        """One pass at the present head; moved heads are followed.

        :raises NodeUnavailable, NoProviderError, HeadMovedError: the chain cannot be read now.
        """
        assert self.parts is not None, "open() comes first"
        parts = self.parts
        lease = parts.repository.lease
        # Usually a task renews. It may be late after a pause or a database that refused; then the row decides.
        if lease.remaining() < self.config.ha.lease / (4 if self._renewing else 2):
            lease.renew()
        for attempt in range(1, HEAD_TRIES + 1):
            head = await parts.look()
            try:
                passed = await parts.passes.run(head)
                break
            except NODE_ERRORS:
                parts.passes.again()
                if attempt == HEAD_TRIES:
                    raise
                await asyncio.sleep(0.02 * attempt)
        await self._settle(parts, head)
        await self._audit(parts, head)
        self._passed(passed)
        seen = parts.passes.observations
        if seen is not None and not passed.decisions and self.passes % ANCHOR_EVERY == 0:
            parts.search.anchor(seen)
        if parts.passes.manager.guards.tripped:
            failures = parts.passes.manager.guards.all.failures
            raise UnsafeStateError(
                f"{failures} transactions in a row reverted although their simulation passed; look at the lines before"
            )
        return passed

    async def collect(self) -> None:
        """Takes in what has been mined since, without deciding anything.

        :raises NodeUnavailable, NoProviderError, HeadMovedError: the chain cannot be read now.
        """
        assert self.parts is not None, "open() comes first"
        passed = await self.parts.passes.follow(await self.parts.look())
        await self._settle(self.parts, passed.head)

    async def _made(self, stop: asyncio.Event) -> Parts | None:
        """The parts, as soon as a node answers, and a shared database that another process holds can be opened; None
        if asked to stop before that."""
        pause = FIRST_PAUSE
        while True:
            try:
                return await self._make()
            except NODE_ERRORS as error:
                self._log.warn("node", f"{error}; next try in {pause:g} s")
            except StorageError as error:
                if not (error.passes and self.config.ha.enabled):
                    raise
                self._log.warn("database", f"{error}; next try in {pause:g} s")
            if await _wait(stop, pause):
                return None
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _work(self, parts: Parts, stop: asyncio.Event) -> None:
        pause, refusals = FIRST_PAUSE, 0
        failing = ""
        self.phase = Phase.CATCHING_UP
        while not stop.is_set():
            if self._lost is not None:
                raise self._lost
            try:
                await self.tick()
            except (*NODE_ERRORS, RpcError, StorageError) as error:
                if isinstance(error, StorageError) and not error.passes:
                    raise
                refusals = refusals + 1 if isinstance(error, RpcError) else 0
                if refusals >= REFUSALS:
                    raise UnsafeStateError(f"the node refused {refusals} times in a row, at last: {error}") from None
                failing = "database" if isinstance(error, StorageError) else "node"
                parts.passes.again()
                self._telemetry.pass_done(0.0, "node" if failing == "node" else "failed")
                self._log.warn(failing, f"{error}; next try in {pause:g} s")
                await _wait(stop, pause)
                pause = min(pause * 2, LONGEST_PAUSE)
                continue
            if failing:
                self._log.info("connected", RECOVERED[failing])
            failing, pause, refusals = "", FIRST_PAUSE, 0
            self.phase = Phase.FOLLOWING
            await self._until_woken(stop)

    async def _until_woken(self, stop: asyncio.Event) -> None:
        """Sleeps until the next look at the chain is due, a head is told of, or the keeper is asked to stop."""
        waking = asyncio.create_task(self._wake(self.config.node.poll))
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({waking, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (waking, stopping):
                task.cancel()
            await asyncio.gather(waking, stopping, return_exceptions=True)

    async def _landing(self, parts: Parts) -> None:
        """Counts transactions under way when they land."""
        deadline = time.monotonic() + PATIENCE
        while parts.passes.manager.in_flight() and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
            with suppress(*NODE_ERRORS):
                await self.collect()

    async def _settle(self, parts: Parts, head: Header) -> None:
        settled = parts.passes.settled
        if settled:
            await parts.ledger.settle(settled, head, parts.accounts())
            settled.clear()

    def _passed(self, passed: Passed) -> None:
        now = time.monotonic()
        if self.last is None or self.last.head.hash != passed.head.hash:
            self.head_at = now
        self.passes += 1
        self.passed_at, self.last = now, passed
        self._telemetry.pass_done(passed.seconds, "ok" if passed.blocks or passed.decisions else "idle")

    # ── the lease ──────────────────────────────────────────────────────────

    async def _lead(self, parts: Parts, stop: asyncio.Event | None) -> bool:
        """Leads, at once or when the leader is gone; False if asked to stop meanwhile, or not to wait."""
        ttl = self.config.ha.lease
        lease = parts.repository.lease
        while self._acquire(parts, ttl) is None:
            if not self.config.ha.enabled or stop is None:
                return False
            if self.phase is not Phase.STANDBY:
                self.phase = Phase.STANDBY
                holder = lease.holder()
                who = holder.owner if holder is not None else "another process"
                self._log.info("standby", f"{who} leads; waiting for its lease to run out")
            self._stand_by(parts)
            if await _wait(stop, ttl / 4):
                return False
        if self.phase is Phase.STANDBY:
            self._stand_by(parts)
        return True

    def _stand_by(self, parts: Parts) -> None:
        """Keeps up with the leader, so that taking over needs no loading."""
        try:
            parts.passes.follower.stand_by()
        except StorageError as error:
            self._log.once("standby", "standby", f"{error}; trying again")

    def _acquire(self, parts: Parts, ttl: float) -> Grant | None:
        """One try. A leader that was stopped inside a write holds the database as well: it is waited for as it is."""
        try:
            return parts.repository.lease.acquire(self.owner, ttl)
        except StorageError as error:
            if not error.passes or not self.config.ha.enabled:
                raise
            self._log.once("lease", "lease", f"{error}; trying again")
            return None

    async def _renew(self, parts: Parts, stop: asyncio.Event) -> None:
        """Renews three times in a period. A lease that is lost ends the work at its next step; a database that refuses
        for a moment is asked again, while the grant runs."""
        self._renewing = True
        while True:
            await asyncio.sleep(self.config.ha.lease / 3)
            try:
                parts.repository.lease.renew()
            except StorageError as error:
                self._log.warn("lease", f"{error}; {parts.repository.lease.remaining():.1f} s of the lease are left")
            except LeaseLostError as error:
                self._telemetry.lease_lost()
                self._lost = error
                stop_now = f"{error}; nothing is sent any more"
                self._log.error("lease", stop_now)
                return

    async def _end(self, parts: Parts) -> None:
        await parts.passes.manager.close()
        self._log.info("stop", summary(parts.ledger.total))
        with suppress(LeaseLostError):
            parts.repository.lease.release()
        await parts.close()
        parts.repository.close()

    # ── the audit ──────────────────────────────────────────────────────────

    async def _audit(self, parts: Parts, head: Header) -> None:
        problem = await parts.auditor.look(head, parts.passes.observations)
        if parts.auditor.contradiction:
            doubt = "read again at the same block they do not; the node contradicted itself"
            self._log.once("audit", "audit", f"{parts.auditor.contradiction}; {doubt}")
        if problem and problem not in parts.passes.halts:
            parts.passes.halts.append(problem)
            advice = "nothing is sent any more; look with `plimsoll keeper doctor`, then start again"
            self._log.error("audit", f"{problem}; {advice}")

    def _report(self, passed: Passed, decisions: list[Decision], blocked: str, text: str) -> PassReport:
        head = passed.head
        return PassReport(
            head.number, head.hash, head.time, passed.seconds, tuple(decisions), blocked=blocked, summary=text
        )


async def _wait(stop: asyncio.Event, seconds: float) -> bool:
    """Sleeps, at most until asked to stop; whether it was."""
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return False
    return True
