"""Hosts a service: signals, HTTP server, live view, and an end within ten seconds of being asked."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from plimsoll.keeper.operations.config import KeeperConfig
from plimsoll.keeper.operations.health import judged
from plimsoll.keeper.operations.log import DecisionLog
from plimsoll.keeper.operations.ports import PassReport, ServicePort
from plimsoll.keeper.operations.server import OperatorServer
from plimsoll.keeper.operations.status import KeeperStatus
from plimsoll.keeper.operations.telemetry import Telemetry
from plimsoll.keeper.operations.view import LiveView

__all__ = ["GRACE", "host"]

GRACE = 8.0
"""Seconds that a service has to finish its journal; what it closes afterwards fits into the rest of ten."""
SIGNALS = (signal.SIGTERM, signal.SIGINT)


async def host(
    service: ServicePort,
    config: KeeperConfig,
    log: DecisionLog,
    telemetry: Telemetry,
    *,
    once: bool = False,
    view: bool = False,
    grace: float = GRACE,
    listening: Callable[[str], None] = lambda _: None,
) -> PassReport:
    """Runs a service until SIGTERM or SIGINT, or for one pass; a second signal does not wait for it.

    :param view: draw the live view on standard error.
    :param listening: told the address of the HTTP server when it serves.
    :raises KeeperError: why the service stopped by itself.
    """
    stop = asyncio.Event()

    def status() -> KeeperStatus:
        return judged(service.status(), config.readiness)

    telemetry.watch(status)
    async with _serving(config, telemetry, status, log, listening), _signals(stop) as hurry:
        drawing = asyncio.create_task(LiveView(status, lambda: log.tail).run(stop)) if view else None
        try:
            work = asyncio.create_task(service.once() if once else _run(service, stop))
            return await _finished(work, stop, hurry, grace, log)
        finally:
            stop.set()
            if drawing is not None:
                await drawing


async def _run(service: ServicePort, stop: asyncio.Event) -> PassReport:
    await service.run(stop)
    return PassReport()


async def _finished(
    work: asyncio.Task[PassReport], stop: asyncio.Event, hurry: asyncio.Event, grace: float, log: DecisionLog
) -> PassReport:
    """The end of the work; after `stop` it is waited for so many seconds, and then given up."""
    stopped = asyncio.create_task(stop.wait())
    hurried = asyncio.create_task(hurry.wait())
    try:
        await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            await asyncio.wait({work, hurried}, timeout=grace, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            return work.result()
        log.warn("stop", "not finished in time; what is in the journal is taken up again at the next start")
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait_for(work, 1.0)
        return PassReport()
    except TimeoutError:
        return PassReport()
    finally:
        stopped.cancel()
        hurried.cancel()


@asynccontextmanager
async def _signals(stop: asyncio.Event) -> AsyncIterator[asyncio.Event]:
    """Sets `stop` at the first signal and the given event at the second."""
    loop, hurry = asyncio.get_running_loop(), asyncio.Event()

    def caught() -> None:
        (hurry if stop.is_set() else stop).set()

    for number in SIGNALS:
        loop.add_signal_handler(number, caught)
    try:
        yield hurry
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)


@asynccontextmanager
async def _serving(
    config: KeeperConfig,
    telemetry: Telemetry,
    status: Callable[[], KeeperStatus],
    log: DecisionLog,
    listening: Callable[[str], None],
) -> AsyncIterator[None]:
    if not config.server.enabled:
        yield
        return
    server = OperatorServer(config.server, telemetry, status)
    await server.start()
    log.info("serving", f"metrics, health and status at {server.host_and_port}", port=server.port)
    listening(server.url)
    try:
        yield
    finally:
        await server.stop()
