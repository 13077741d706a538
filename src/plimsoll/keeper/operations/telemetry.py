"""Counts what the service does, under names and units that do not change.

The service calls one method per thing that happened; gauges are taken from its status when `/metrics` is read
(`gauges.py`). Money becomes a float here, and only here, for display: nothing is ever decided on a metric.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, generate_latest

from plimsoll.keeper.operations.gauges import StatusCollector
from plimsoll.keeper.operations.sections import JOBS
from plimsoll.keeper.operations.status import KeeperStatus
from plimsoll.keeper.sending.simulate import Cause

__all__ = ["CONTENT_TYPE", "PREFIX", "Telemetry"]

PREFIX = "plimsoll_keeper_"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
FAST = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SLOW = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
BLOCKS = (1, 2, 3, 5, 8, 13, 21, 34, 55)
WEI = 10**18
# Nobody asks when a counter began; the samples would double what is scraped.
cast(Callable[[], None], disable_created_metrics)()
LEVELS = ("INFO", "WARN", "ERROR")
RESYNCS = ("gap", "deep reorg", "foreign", "corrupt")


class Telemetry:
    """Counters and histograms of one keeper in a registry of its own.

    What alerts look at is there from the start with 0: an increase from nothing would not be seen. The label of a job
    is `task`: Prometheus keeps `job` and `instance` for itself.

    :param clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self._clock = clock
        self._passes = self._counter("passes", "Passes of the service, by how they ended", "outcome")
        self._pass_seconds = self._histogram("pass_seconds", "One pass from head to last broadcast", SLOW)
        self._blocks = self._counter("blocks", "Blocks taken")
        self._logs = self._counter("logs", "Logs taken")
        self._rows = self._counter("rows", "Rows written")
        self._ingest_seconds = self._histogram("ingest_seconds", "Fetching, decoding and proving one block", FAST)
        self._commit_seconds = self._histogram("commit_seconds", "One database transaction", FAST, "what")
        self._reorgs = self._counter("reorgs", "Reorganisations of the chain that were followed")
        self._reorg_blocks = self._histogram("reorg_depth_blocks", "Depth of reorganisations", BLOCKS)
        self._resyncs = self._counter("resyncs", "State that was read again from the chain, by reason", "reason")
        self._rpc = self._counter("rpc_requests", "Requests to nodes", "provider", "method", "outcome")
        self._rpc_seconds = self._histogram("rpc_seconds", "Time to the answer of a node", FAST, "provider")
        self._switches = self._counter("provider_switches", "Changes of the provider that is read", "reason")
        self._evaluate_seconds = self._histogram("evaluate_seconds", "Finding candidates in the mirror", FAST, "scope")
        self._confirm_seconds = self._histogram("confirm_seconds", "Exact confirmation of the candidates", FAST)
        self._candidates = self._counter("candidates", "Accounts that were confirmed exactly", "verdict")
        self._decisions = self._counter("decisions", "Decisions, by what came of them at once", "task", "outcome")
        self._simulations = self._counter("simulations", "Simulated transactions", "task", "outcome")
        self._simulate_seconds = self._histogram("simulate_seconds", "Simulation of one transaction", FAST)
        self._sent = self._counter("transactions_sent", "Transactions handed over for the first time", "task", "route")
        self._replaced = self._counter("transactions_replaced", "Transactions that were paid more", "task")
        self._resent = self._counter("transactions_resent", "Transactions sent again as they were", "task", "reason")
        self._final = self._counter("transactions_final", "Transactions by how they ended", "task", "outcome")
        self._detect_seconds = self._histogram("detection_to_broadcast_seconds", "Block to broadcast", SLOW, "task")
        self._landing_blocks = self._histogram("landing_blocks", "Blocks from broadcast to landing", BLOCKS, "task")
        self._gas = self._counter("gas_used", "Gas of mined transactions", "task")
        self._gas_cost = self._counter("gas_spent_ether", "Paid for gas", "task")
        self._earned = self._counter(
            "earned_settlement", "Rewards and discounts, in settlement asset", "pool", "source"
        )
        self._liquidations = self._counter("liquidations", "Accounts by the result of their liquidation", "result")
        self._orders = self._counter("orders", "Orders by the result of their execution", "result")
        self._job_failures = self._counter("job_failures", "Failures of a job that did not stop the others", "task")
        self._breaker_trips = self._counter("breaker_trips", "Breakers that opened", "breaker")
        self._audited = self._counter("audited_accounts", "Accounts compared with the chain")
        self._mismatches = self._counter("audit_mismatches", "Accounts that differed from the chain")
        self._lease_lost = self._counter("lease_losses", "Leases that were lost")
        self._lines = self._counter("log_lines", "Lines of the log", "level")
        self._begin()

    # ── the pass ───────────────────────────────────────────────────────────

    def pass_done(self, seconds: float, outcome: str = "ok") -> None:
        """A pass ended: ok, idle (same head), node (the node failed), failed."""
        self._passes.labels(outcome).inc()
        self._pass_seconds.observe(seconds)

    def block_taken(self, logs: int, rows: int, ingest_seconds: float, commit_seconds: float) -> None:
        """A block is in mirror and database."""
        self._blocks.inc()
        self._logs.inc(logs)
        self._rows.inc(rows)
        self._ingest_seconds.observe(ingest_seconds)
        self._commit_seconds.labels("block").observe(commit_seconds)

    def journal_committed(self, seconds: float) -> None:
        """An entry of the journal is durable."""
        self._commit_seconds.labels("journal").observe(seconds)

    def reorg(self, depth: int) -> None:
        """So many blocks were rolled back."""
        self._reorgs.inc()
        self._reorg_blocks.observe(depth)

    def resync(self, reason: str) -> None:
        """State is read again: gap, deep reorg, foreign, corrupt."""
        self._resyncs.labels(reason).inc()

    # ── nodes ──────────────────────────────────────────────────────────────

    def rpc(self, provider: str, method: str, outcome: str, seconds: float) -> None:
        """A request ended: ok, error (the node's answer), timeout, unavailable. `provider` without secrets."""
        self._rpc.labels(provider, method, outcome).inc()
        self._rpc_seconds.labels(provider).observe(seconds)

    def provider_switched(self, reason: str) -> None:
        """Another provider is read: lagging, silent, failing, wrong chain."""
        self._switches.labels(reason).inc()

    # ── decisions ──────────────────────────────────────────────────────────

    def evaluated(self, scope: str, seconds: float) -> None:
        """Candidates were looked for: one `market`, or `all`."""
        self._evaluate_seconds.labels(scope).observe(seconds)

    def confirmed(self, seconds: float, liquidatable: int, healthy: int) -> None:
        """Candidates were confirmed in exact integers."""
        self._confirm_seconds.observe(seconds)
        self._candidates.labels("liquidatable").inc(liquidatable)
        self._candidates.labels("healthy").inc(healthy)

    def decided(self, job: str, outcome: str) -> None:
        """A decision: send, dry run, wait, refused, unprofitable, blocked."""
        self._decisions.labels(job, outcome).inc()

    def simulated(self, job: str, outcome: str, seconds: float) -> None:
        """A simulation: passed, a `sending.simulate.Cause`, or node."""
        self._simulations.labels(job, outcome).inc()
        self._simulate_seconds.observe(seconds)

    def liquidated(self, result: str, number: int = 1) -> None:
        """Accounts by the name of their `LiquidationResult`."""
        self._liquidations.labels(result).inc(number)

    def order_ended(self, result: str, number: int = 1) -> None:
        """Orders by the name of their `OrderResult`."""
        self._orders.labels(result).inc(number)

    # ── transactions ───────────────────────────────────────────────────────

    def sent(self, job: str, route: str, since_detection: float | None = None) -> None:
        """Handed over for the first time; `since_detection` in seconds from the block that led to it."""
        self._sent.labels(job, route).inc()
        if since_detection is not None:
            self._detect_seconds.labels(job).observe(since_detection)

    def replaced(self, job: str) -> None:
        """Paid more under the same nonce."""
        self._replaced.labels(job).inc()

    def resent(self, job: str, reason: str) -> None:
        """Sent again as it was: reorg, dropped, restart."""
        self._resent.labels(job, reason).inc()

    def landed(self, job: str, blocks: int, gas_used: int, cost_wei: int) -> None:
        """Mined and successful, so many blocks after it was handed over."""
        self._final.labels(job, "landed").inc()
        self._landing_blocks.labels(job).observe(blocks)
        self._pay(job, gas_used, cost_wei)

    def reverted(self, job: str, cause: str, gas_used: int, cost_wei: int) -> None:
        """Mined and reverted, by whose doing (`sending.simulate.Cause`)."""
        self._final.labels(job, f"reverted: {cause}").inc()
        self._pay(job, gas_used, cost_wei)

    def given_up(self, job: str, outcome: str) -> None:
        """It will not land: cancelled, abandoned, nonce used."""
        self._final.labels(job, outcome).inc()

    def earned(self, pool: str, source: str, amount_wad: int) -> None:
        """Income: liquidation, order fee, strike, discount."""
        self._earned.labels(pool, source).inc(amount_wad / WEI)

    # ── safety ─────────────────────────────────────────────────────────────

    def job_failed(self, job: str) -> None:
        """A job failed; the others went on."""
        self._job_failures.labels(job).inc()

    def breaker_opened(self, breaker: str) -> None:
        """A breaker opened."""
        self._breaker_trips.labels(breaker).inc()

    def audited(self, accounts: int, mismatches: int) -> None:
        """Accounts were compared with the chain at one block."""
        self._audited.inc(accounts)
        self._mismatches.inc(mismatches)

    def lease_lost(self) -> None:
        """Somebody else leads now, or the grant ran out."""
        self._lease_lost.inc()

    def line(self, level: str) -> None:
        """A line was logged at INFO, WARN or ERROR."""
        self._lines.labels(level).inc()

    # ── output ─────────────────────────────────────────────────────────────

    @contextmanager
    def timed(self, done: Callable[[float], None]) -> Iterator[None]:
        """Calls `done` with the seconds that the block took, also when it fails."""
        begun = self._clock()
        try:
            yield
        finally:
            done(self._clock() - begun)

    def watch(self, status: Callable[[], KeeperStatus]) -> None:
        """Gauges come from this status from now on. To be called once."""
        self.registry.register(StatusCollector(status))

    def exposition(self) -> bytes:
        """Everything in the text format of Prometheus."""
        return generate_latest(self.registry)

    def _begin(self) -> None:
        for level in LEVELS:
            self._lines.labels(level)
        for reason in RESYNCS:
            self._resyncs.labels(reason)
        for job in JOBS:
            self._job_failures.labels(job)
            self._breaker_trips.labels(job)
            self._gas_cost.labels(job)
            for outcome in ("landed", *(f"reverted: {cause}" for cause in Cause)):
                self._final.labels(job, outcome)

    def _pay(self, job: str, gas_used: int, cost_wei: int) -> None:
        self._gas.labels(job).inc(gas_used)
        self._gas_cost.labels(job).inc(cost_wei / WEI)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(PREFIX + name, text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(PREFIX + name, text, labels, buckets=buckets, registry=self.registry)
