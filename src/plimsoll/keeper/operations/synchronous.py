"""The keeper that works pass by pass, behind the interface of a service: one thread, a status after each pass."""

from __future__ import annotations

import asyncio
import importlib.metadata
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from plimsoll.keeper.keeper import Keeper
from plimsoll.keeper.log import KeeperLog
from plimsoll.keeper.operations.ports import PassReport
from plimsoll.keeper.operations.status import (
    BookStatus,
    HeadStatus,
    InFlight,
    KeeperStatus,
    Phase,
    ProviderStatus,
    Versions,
)
from plimsoll.keeper.operations.telemetry import Telemetry
from plimsoll.keeper.report import TickReport
from plimsoll.keeper.runner import StopSignals, run, summary

__all__ = ["SynchronousService"]


class SynchronousService:
    """Repeats the pass of a `Keeper` in one thread, in which it is made, used and closed.

    :param make: makes the keeper.
    :param opening: says who keeps what, when it is made.
    """

    def __init__(
        self,
        make: Callable[[], Keeper],
        log: KeeperLog,
        telemetry: Telemetry,
        *,
        poll: float,
        opening: Callable[[Keeper], str],
    ) -> None:
        self._make = make
        self._log = log
        self._telemetry = telemetry
        self._poll = poll
        self._opening = opening
        self._stopper = StopSignals()
        self._begun = self._head_at = self._pass_at = time.monotonic()
        self._total = TickReport()
        self._passes = 0
        self._status = KeeperStatus()

    async def run(self, stop: asyncio.Event) -> None:
        """Works until `stop` is set."""
        waiting = asyncio.create_task(self._stop_with(stop))
        try:
            await self._in_thread(once=False)
        finally:
            waiting.cancel()

    async def once(self) -> PassReport:
        """One pass, and the receipts of what it sent."""
        report = await self._in_thread(once=True)
        return PassReport(report.block, "", report.time, blocked=report.blocked, summary=summary(report))

    def status(self) -> KeeperStatus:
        """As it was after the last pass, with the ages of this moment."""
        now, known = time.monotonic(), self._status
        fields = {name: getattr(known, name) for name in known.__slots__}
        head = known.head
        aged = HeadStatus(head.number, head.hash, head.time, now - self._head_at, head.lag_blocks, head.base_fee_wei)
        return KeeperStatus(
            **fields
            | {
                "head": aged,
                "uptime_seconds": now - self._begun,
                "pass_age_seconds": now - self._pass_at if self._passes else None,
            }
        )

    async def _stop_with(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._stopper.stop()

    async def _in_thread(self, *, once: bool) -> TickReport:
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1, "keeper") as pool:
            return await loop.run_in_executor(pool, lambda: self._work(once))

    def _work(self, once: bool) -> TickReport:
        keeper = self._make()
        try:
            self._log.info("start", self._opening(keeper))
            total = run(
                keeper,
                self._log,
                poll=self._poll,
                once=once,
                stop=self._stopper,
                on_tick=lambda report: self._ticked(keeper, report),
            )
            self._log.info("stop", summary(total))
            return total
        finally:
            keeper.close()

    def _ticked(self, keeper: Keeper, report: TickReport) -> None:
        now = time.monotonic()
        self._telemetry.pass_done(now - self._pass_at if self._passes else 0.0)
        self._passes += 1
        self._pass_at = now
        if report.block != self._status.head.number:
            self._head_at = now
        self._total += report
        self._count(report)
        self._status = self._seen(keeper, report)

    def _count(self, report: TickReport) -> None:
        for result, number in report.liquidated.items():
            self._telemetry.liquidated(result, number)
        for result, number in (("Filled", report.executed), ("Cancelled", report.cancelled)):
            if number:
                self._telemetry.order_ended(result, number)

    def _seen(self, keeper: Keeper, report: TickReport) -> KeeperStatus:
        mirror, target = keeper.mirror, keeper.target
        flights = tuple(InFlight(0, "", "", tx_hash, 0, 0, 0, 0, 0, "broadcast") for tx_hash in keeper.in_flight)
        return KeeperStatus(
            phase=Phase.FOLLOWING,
            versions=Versions(
                plimsoll=importlib.metadata.version("plimsoll"),
                network=target.network,
                chain_id=target.chain_id,
                clearinghouse=target.clearinghouse.address,
                sender=keeper.sender.address,
                dry_run=keeper.options.dry_run,
            ),
            head=HeadStatus(number=report.block, time=report.time),
            passes=self._passes,
            earned_wad=self._total.rewards + self._total.sale_profit,
            spent_wei=self._total.gas_cost,
            halts=(report.blocked,) if report.blocked else (),
            providers=(ProviderStatus(target.rpc.address, head=report.block, used=True),),
            book=BookStatus(
                accounts=len(mirror.accounts),
                orders=len(mirror.orders),
                pools=len(mirror.pools),
                markets=len(mirror.markets),
            ),
            in_flight=flights,
        )
