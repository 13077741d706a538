"""A status with everything in it, a telemetry that has counted everything, and a service that does what it is told."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import replace

from plimsoll.keeper.operations.ports import Decision, PassReport, Term
from plimsoll.keeper.operations.status import (
    ActionStatus,
    AuditStatus,
    BookStatus,
    BreakerStatus,
    Bucket,
    BudgetStatus,
    Danger,
    DatabaseStatus,
    HeadStatus,
    InFlight,
    KeeperStatus,
    LeaseStatus,
    OracleStatus,
    Phase,
    ProviderStatus,
    Versions,
)
from plimsoll.keeper.operations.telemetry import Telemetry

SENDER = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"


def fetch(url: str) -> tuple[int, str]:
    """Code and text of an answer over HTTP."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def busy_status() -> KeeperStatus:
    """A keeper that follows a chain and has something of every kind."""
    return KeeperStatus(
        phase=Phase.FOLLOWING,
        versions=Versions("0.1.0", "base", 8453, "0x" + "ab" * 20, SENDER, "solvency"),
        head=HeadStatus(18_231_004, "0x" + "12" * 32, 1_750_000_000, 1.4, 0, 12_345_678_901, 3, 2, 1),
        uptime_seconds=276_480.0,
        passes=1000,
        pass_age_seconds=0.3,
        pass_seconds=0.02,
        balance_wei=1_234_567_890_123_456_789,
        earned_wad=12_345 * 10**18,
        spent_wei=10**17,
        providers=(
            ProviderStatus("https://rpc.example.com", "read", "ok", 18_231_004, 0, 0.012, 0.0, True),
            ProviderStatus("http://10.0.0.7:8545", "read", "lagging", 18_230_990, 14, 0.112, 0.03),
        ),
        book=BookStatus(
            accounts=1_000_000,
            positions=1_460_000,
            orders=312,
            sales=3,
            pools=2,
            markets=32,
            candidates=12,
            liquidatable=1,
            buckets=(Bucket(1_000_000, 1), Bucket(1_050_000, 12), Bucket(1_200_000, 230)),
        ),
        oracles=(OracleStatus("ETH", 2000 * 10**18, 12), OracleStatus("BTC", 10**18, 4_000, ("invalid",), "stale")),
        dangers=tuple(
            Danger(f"0x70{i:02}…79C8/1/{i}", "majors", "majors/ETH", i * 2_500 - 1_200, (900 + i) * 10**18, 10**21)
            for i in range(20)
        ),
        in_flight=tuple(
            InFlight(i, "a1b2c3d4e5f6", "liquidation", "0x" + "9a" * 32, 421 + i, 25 * 10**9, 10**9, 500_000, i)
            for i in range(3)
        ),
        actions=tuple(
            ActionStatus("a1b2c3d4e5f6", "liquidation", outcome, "3 of majors", 18_231_000, 1_750_000_000)
            for outcome in ("landed", "reverted: lost race", "refused")
        ),
        breakers=(BreakerStatus("liquidation"), BreakerStatus("prices", True, 5, 5, "no answer", 18_231_050)),
        budgets=(BudgetStatus("gas", 2 * 10**16, 10**17), BudgetStatus("solvency", 0)),
        lease=LeaseStatus("leader", "box-1", 7, 8.0),
        database=DatabaseStatus("sqlite", "keeper.sqlite", 18_231_004, 1 << 20, 0.0002, 256),
        audit=AuditStatus(18_230_900, 250, 0, 10_000),
    )


def counted() -> Telemetry:
    """Everything that can happen has happened once."""
    telemetry = Telemetry()
    telemetry.pass_done(0.02)
    telemetry.block_taken(5, 9, 0.004, 0.0002)
    telemetry.journal_committed(0.001)
    telemetry.reorg(3)
    telemetry.resync("gap")
    telemetry.rpc("https://rpc.example.com", "eth_call", "ok", 0.01)
    telemetry.provider_switched("silent")
    telemetry.evaluated("market", 0.002)
    telemetry.confirmed(0.001, 2, 10)
    telemetry.decided("liquidation", "send")
    telemetry.simulated("liquidation", "passed", 0.004)
    telemetry.liquidated("Full")
    telemetry.order_ended("Filled", 3)
    telemetry.sent("liquidation", "public", 0.05)
    telemetry.replaced("liquidation")
    telemetry.resent("liquidation", "reorg")
    telemetry.landed("liquidation", 2, 412_345, 10**15)
    telemetry.reverted("liquidation", "lost race", 50_000, 10**14)
    telemetry.given_up("orders", "cancelled")
    telemetry.earned("majors", "liquidation", 12 * 10**18)
    telemetry.job_failed("prices")
    telemetry.breaker_opened("prices")
    telemetry.audited(250, 0)
    telemetry.lease_lost()
    telemetry.line("INFO")
    return telemetry


class FakeService:
    """Follows a script instead of a chain.

    :param fails: raised by `run` and `once`.
    :param stubborn: seconds that it goes on after it was asked to stop.
    """

    def __init__(
        self, *, fails: Exception | None = None, stubborn: float = 0.0, status: KeeperStatus | None = None
    ) -> None:
        self.fails = fails
        self.stubborn = stubborn
        self.known = status if status is not None else busy_status()
        self.started = asyncio.Event()
        self.finished = False
        self.on_start: Callable[[], None] = lambda: None

    async def run(self, stop: asyncio.Event) -> None:
        self.started.set()
        self.on_start()
        if self.fails is not None:
            raise self.fails
        await stop.wait()
        await asyncio.sleep(self.stubborn)
        self.finished = True

    async def once(self) -> PassReport:
        if self.fails is not None:
            raise self.fails
        self.finished = True
        terms = (Term("expected reward", 4 * 10**15, "92 % of 0.0043 ETH"), Term("gas", -(10**15)))
        decision = Decision("a1b2c3d4e5f6", "liquidation", "dry run", "1 of majors", "", 3 * 10**15, terms, 500_000)
        return PassReport(7, "0x" + "12" * 32, 1_750_000_000, 0.01, (decision,), summary="1 decision")

    def status(self) -> KeeperStatus:
        return self.known

    def becomes(self, **changes: object) -> None:
        """Changes the status."""
        self.known = replace(self.known, **changes)  # type: ignore[arg-type]
