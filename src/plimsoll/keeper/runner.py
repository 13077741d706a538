"""Repeats the keeper's pass until it is told to stop, and lives through failures of the node."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from plimsoll.chain.errors import NodeUnavailable, RpcError
from plimsoll.keeper.errors import HeadMovedError, UnsafeStateError
from plimsoll.keeper.keeper import Keeper
from plimsoll.keeper.log import KeeperLog, money
from plimsoll.keeper.report import TickReport

__all__ = ["StopSignals", "run", "summary"]

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
REFUSALS = 20
"""So many errors in a row, answered by a node that is there, end the keeper."""


class StopSignals:
    """Set by SIGTERM and SIGINT while `listening`: the pass under way is finished first."""

    def __init__(self) -> None:
        self._event = threading.Event()

    @property
    def is_set(self) -> bool:
        """Whether the keeper was asked to stop."""
        return self._event.is_set()

    def stop(self) -> None:
        """Asks the keeper to stop."""
        self._event.set()

    def wait(self, seconds: float) -> bool:
        """Sleeps, at most until the keeper is asked to stop; whether it was."""
        return self._event.wait(seconds)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Catches the signals of this process."""

        def caught(number: int, frame: FrameType | None) -> None:
            self._event.set()

        before: dict[signal.Signals, Any] = {
            name: signal.signal(name, caught) for name in (signal.SIGTERM, signal.SIGINT)
        }
        try:
            yield
        finally:
            for name, handler in before.items():
                signal.signal(name, handler)


def run(
    keeper: Keeper,
    log: KeeperLog,
    *,
    poll: float,
    once: bool = False,
    stop: StopSignals | None = None,
    patience: float = 60.0,
    on_tick: Callable[[TickReport], None] = lambda _: None,
) -> TickReport:
    """Ticks every `poll` seconds until asked to stop, or once; gives everything that was done.

    :param once: one pass, and up to `patience` seconds for its transactions to be mined.
    :raises UnsafeStateError: going on could cost money.
    :raises NodeUnavailable: only with `once`: the node does not answer.
    """
    stopper = stop if stop is not None else StopSignals()
    total = TickReport()
    pause, refusals = FIRST_PAUSE, 0
    lost = False
    while not stopper.is_set:
        try:
            if lost:
                keeper.reconnected()
                log.info("connected", "the node answers again, it is still the same chain")
                lost = False
            report = keeper.tick()
        except (NodeUnavailable, RpcError, HeadMovedError) as error:
            if once:
                raise
            refusals = 0 if isinstance(error, NodeUnavailable) else refusals + 1
            if refusals >= REFUSALS:
                raise UnsafeStateError(f"the node refused {refusals} times in a row, at last: {error}") from None
            lost = True
            log.warn("node", f"{error}; next try in {pause:g} s")
            stopper.wait(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
            continue
        pause, refusals = FIRST_PAUSE, 0
        total += report
        on_tick(report)
        if once:
            break
        stopper.wait(poll)
    return total + _wait_for_last(keeper, patience if once else min(patience, 10.0))


def _wait_for_last(keeper: Keeper, seconds: float) -> TickReport:
    """Counts transactions still under way when they land."""
    total = TickReport()
    deadline = time.monotonic() + seconds
    while keeper.in_flight and time.monotonic() < deadline:
        time.sleep(0.1)
        try:
            total += keeper.collect()
        except (NodeUnavailable, RpcError):
            break
    return total


def summary(report: TickReport) -> str:
    """What was done, in one line."""
    liquidated = ", ".join(f"{number} {name}" for name, number in sorted(report.liquidated.items())) or "none"
    return (
        f"orders: {report.executed} filled, {report.cancelled} cancelled, {report.expired} expired; "
        f"liquidations: {liquidated}; {report.sales} purchases, {report.deleveraged} deleveragings, "
        f"{report.struck} strikes, {report.accrued} accruals; earned ${money(report.rewards + report.sale_profit)}, "
        f"{report.gas_used} gas, {report.reverts} reverts"
    )
