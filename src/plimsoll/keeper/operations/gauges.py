"""Gauges of Prometheus, made from the keeper's status at the moment they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector

from plimsoll.keeper.operations.status import KeeperStatus, Phase

__all__ = ["StatusCollector"]

PREFIX = "plimsoll_keeper_"
WEI = 10**18
GWEI = 10**9
PPM = 10**6
Sample = tuple[tuple[str, ...], float]


class StatusCollector(Collector):
    """A collector over a status, which is asked for once per scrape."""

    def __init__(self, status: Callable[[], KeeperStatus]) -> None:
        self._status = status

    def describe(self) -> Iterable[GaugeMetricFamily | InfoMetricFamily]:
        """The names, without asking for a status that may not be there yet."""
        return self._families(KeeperStatus())

    def collect(self) -> Iterable[GaugeMetricFamily | InfoMetricFamily]:
        """All gauges at this moment."""
        return self._families(self._status())

    def _families(self, status: KeeperStatus) -> Iterable[GaugeMetricFamily | InfoMetricFamily]:
        yield _info(status)
        yield from _service(status)
        yield from _chain(status)
        yield from _book(status)
        yield from _sending(status)


def _service(status: KeeperStatus) -> Iterable[GaugeMetricFamily]:
    yield _one("live", "1 if the process works", status.readiness.live)
    yield _one("ready", "1 if the keeper can do its work", status.readiness.ready)
    phases = [((phase.value,), float(status.phase is phase)) for phase in Phase]
    yield _many("phase", "1 for what the service is at", ("phase",), phases)
    yield _one("uptime_seconds", "Time since the start", status.uptime_seconds)
    age = status.pass_age_seconds if status.pass_age_seconds is not None else status.uptime_seconds
    yield _one("last_pass_age_seconds", "Time since the last finished pass, or since the start", age)
    yield _one("halted", "Number of reasons for which nothing is sent", len(status.halts))
    yield _one("lease_epoch", "Fencing number of the lease", status.lease.epoch)
    yield _one("lease_remaining_seconds", "Time until the lease ends", status.lease.remaining_seconds)
    modes = [((mode,), float(status.lease.mode == mode)) for mode in ("single", "leader", "standby", "lost")]
    yield _many("lease_mode", "1 for the part this process plays", ("mode",), modes)
    breakers = [((item.name,), float(item.open)) for item in status.breakers]
    yield _many("breaker_open", "1 while a breaker is open", ("breaker",), breakers)
    yield _one("database_bytes", "Size of the database", status.database.bytes)
    yield _one("database_head_block", "Last block in the database", status.database.head)
    yield _one("audit_block", "Block of the last comparison with the chain", status.audit.block)


def _chain(status: KeeperStatus) -> Iterable[GaugeMetricFamily]:
    head = status.head
    yield _one("head_block", "Last block taken", head.number)
    yield _one("head_time_seconds", "Time of that block (chain time)", head.time)
    yield _one("head_age_seconds", "Time since that block was taken (monotonic)", head.age_seconds)
    yield _one("head_lag_blocks", "Blocks behind the best provider", head.lag_blocks)
    yield _one("base_fee_gwei", "Base fee of that block", head.base_fee_wei / GWEI)
    nodes = status.providers
    yield _many(
        "provider_up", "1 if it may be read", ("provider",), [((n.name,), float(n.state == "ok")) for n in nodes]
    )
    yield _many("provider_used", "1 if it is read now", ("provider",), [((n.name,), float(n.used)) for n in nodes])
    yield _many("provider_head_block", "Its head", ("provider",), [((n.name,), float(n.head)) for n in nodes])
    yield _many("provider_lag_blocks", "Its lag", ("provider",), [((n.name,), float(n.lag_blocks)) for n in nodes])
    ratios = [((n.name,), n.error_ratio) for n in nodes]
    yield _many("provider_error_ratio", "Share of its recent requests that failed", ("provider",), ratios)
    ages = [((item.asset,), float(item.age_seconds)) for item in status.oracles]
    yield _many("oracle_age_seconds", "Age of the price in chain time", ("asset",), ages)
    blocked = [((item.asset,), float(bool(item.blocked))) for item in status.oracles]
    yield _many("oracle_blocked", "1 if nothing new is decided on this price", ("asset",), blocked)


def _book(status: KeeperStatus) -> Iterable[GaugeMetricFamily]:
    book = status.book
    for name, number, text in (
        ("accounts", book.accounts, "Accounts in the mirror"),
        ("positions", book.positions, "Positions in the mirror"),
        ("pending_orders", book.orders, "Orders that wait"),
        ("sales", book.sales, "Accounts whose collateral is on sale"),
        ("liquidatable_accounts", book.liquidatable, "Accounts below the line, confirmed exactly"),
    ):
        yield _one(name, text, number)
    buckets = [((_ratio(item.below_ppm),), float(item.accounts)) for item in book.buckets]
    yield _many("accounts_at_risk", "Accounts by health, below so many times margin", ("below",), buckets)
    distances = [item.distance_ppm / PPM for item in status.dangers]
    yield _many("nearest_distance_ratio", "Price move to the next liquidation", (), [((), d) for d in distances[:1]])


def _sending(status: KeeperStatus) -> Iterable[GaugeMetricFamily]:
    flying = status.in_flight
    yield _one("in_flight_transactions", "Transactions that are not final", len(flying))
    yield _one("in_flight_oldest_blocks", "Age of the oldest", max((item.age_blocks for item in flying), default=0))
    yield _one("balance_ether", "Balance of the sender", status.balance_wei / WEI)
    spent = [((item.name,), item.spent_wei / WEI) for item in status.budgets]
    yield _many("budget_spent_ether", "Spent in the window of a budget", ("budget",), spent)
    limits = [((item.name,), item.limit_wei / WEI) for item in status.budgets if item.limit_wei is not None]
    yield _many("budget_limit_ether", "Limit of a budget", ("budget",), limits)


def _info(status: KeeperStatus) -> InfoMetricFamily:
    it = status.versions
    labels = {
        "version": it.plimsoll,
        "network": it.network,
        "chain_id": str(it.chain_id),
        "clearinghouse": it.clearinghouse,
        "sender": it.sender,
        "objective": it.objective,
        "dry_run": str(it.dry_run).lower(),
    }
    return InfoMetricFamily(f"{PREFIX}build", "What runs where", labels)


def _one(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(PREFIX + name, text, value=float(value))


def _many(name: str, text: str, labels: tuple[str, ...], samples: Iterable[Sample]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(PREFIX + name, text, labels=labels)
    for values, number in samples:
        family.add_metric(values, number)
    return family


def _ratio(below_ppm: int) -> str:
    """`1.05` of 1 050 000 ppm."""
    whole, part = divmod(below_ppm, PPM)
    return f"{whole}.{part:06d}".rstrip("0").rstrip(".")
