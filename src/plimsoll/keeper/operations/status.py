"""What the keeper is doing, as one frozen tree: the source of `/status`, of the gauges and of the live view.

Names end in their unit: `_wei`, `_wad` (settlement asset × 1e18), `_ppm`, `_seconds`, `_blocks`. In JSON amounts of wei
and WAD are decimal text of the integer, because numbers of JSON readers end at 2^53.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pydantic import TypeAdapter, ValidationError

from plimsoll.errors import PlimsollError

__all__ = [
    "ActionStatus",
    "AuditStatus",
    "BookStatus",
    "BreakerStatus",
    "Bucket",
    "BudgetStatus",
    "Danger",
    "DatabaseStatus",
    "HeadStatus",
    "InFlight",
    "KeeperStatus",
    "LeaseStatus",
    "OracleStatus",
    "Phase",
    "ProviderStatus",
    "Readiness",
    "StatusError",
    "Versions",
    "status_from_json",
    "status_to_json",
]

EXACT = ("_wei", "_wad")


class StatusError(PlimsollError):
    """A document is no status of a keeper."""


class Phase(StrEnum):
    """What the service is at."""

    STARTING = "starting"
    CATCHING_UP = "catching up"
    FOLLOWING = "following"
    STANDBY = "standby"
    HALTED = "halted"
    STOPPING = "stopping"


@dataclass(frozen=True, slots=True)
class Readiness:
    """What `/livez` and `/readyz` answer, with the reasons against."""

    live: bool = True
    ready: bool = False
    reasons: tuple[str, ...] = ("starting",)


@dataclass(frozen=True, slots=True)
class HeadStatus:
    """The last block taken. `time` is the chain's; `age_seconds` is how long ago it was taken, monotonic.

    :param lag_blocks: how far it is behind the best provider.
    :param reorgs: reorganisations met; `deepest_blocks` the deepest.
    :param resyncs: how often state was read again from the chain.
    """

    number: int = 0
    hash: str = ""
    time: int = 0
    age_seconds: float = 0.0
    lag_blocks: int = 0
    base_fee_wei: int = 0
    reorgs: int = 0
    deepest_blocks: int = 0
    resyncs: int = 0


@dataclass(frozen=True, slots=True)
class ProviderStatus:
    """A node. `name` is its address without secrets; `state` one of ok, lagging, silent, wrong chain, failing."""

    name: str
    role: str = "read"
    state: str = "ok"
    head: int = 0
    lag_blocks: int = 0
    latency_seconds: float = 0.0
    error_ratio: float = 0.0
    used: bool = False


@dataclass(frozen=True, slots=True)
class Bucket:
    """Accounts whose health (equity / maintenance margin) is below `below_ppm` and not in an earlier bucket."""

    below_ppm: int
    accounts: int


@dataclass(frozen=True, slots=True)
class BookStatus:
    """What the mirror holds. `candidates` were confirmed exactly in the last pass."""

    accounts: int = 0
    positions: int = 0
    orders: int = 0
    sales: int = 0
    pools: int = 0
    markets: int = 0
    candidates: int = 0
    liquidatable: int = 0
    buckets: tuple[Bucket, ...] = ()


@dataclass(frozen=True, slots=True)
class Danger:
    """An account near the line. `distance_ppm` is the adverse price move that reaches it, negative beyond it.

    :param account: owner/pool/sub-account; `market` the one whose price is nearest, by name.
    :param blocked: why it is not liquidated although it is below the line.
    """

    account: str
    pool: str
    market: str
    distance_ppm: int
    equity_wad: int
    required_wad: int
    blocked: str = ""


@dataclass(frozen=True, slots=True)
class InFlight:
    """A transaction that is not final. `journal` is its number there, `id` that of the decision."""

    journal: int
    id: str
    job: str
    tx_hash: str
    nonce: int
    max_fee_wei: int
    tip_wei: int
    gas: int
    age_blocks: int
    status: str = "broadcast"
    route: str = "public"
    replacements: int = 0
    worth_wei: int | None = None


@dataclass(frozen=True, slots=True)
class ActionStatus:
    """What was decided and became of it, the latest first. `time` is the chain's."""

    id: str
    job: str
    outcome: str
    text: str
    block: int
    time: int
    tx_hash: str = ""
    value_wei: int | None = None


@dataclass(frozen=True, slots=True)
class BreakerStatus:
    """Of a job, or of sending as a whole."""

    name: str
    open: bool = False
    failures: int = 0
    limit: int = 0
    reason: str = ""
    until_block: int | None = None


@dataclass(frozen=True, slots=True)
class BudgetStatus:
    """What may be spent in a window of time; without a limit it is only counted."""

    name: str
    spent_wei: int
    limit_wei: int | None = None
    window_seconds: int = 3_600


@dataclass(frozen=True, slots=True)
class LeaseStatus:
    """Who leads. `mode` is one of single, leader, standby, lost."""

    mode: str = "single"
    owner: str = ""
    epoch: int = 0
    remaining_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class DatabaseStatus:
    """`where` without secrets; `commit_seconds` of the last block."""

    kind: str = "sqlite"
    where: str = ""
    head: int = 0
    bytes: int = 0
    commit_seconds: float = 0.0
    undo_blocks: int = 0


@dataclass(frozen=True, slots=True)
class AuditStatus:
    """The last comparison with the chain."""

    block: int = 0
    accounts: int = 0
    mismatches: int = 0
    total_accounts: int = 0


@dataclass(frozen=True, slots=True)
class OracleStatus:
    """A price. `age_seconds` in chain time; `blocked` says why nothing new is decided on it."""

    asset: str
    price_wad: int = 0
    age_seconds: int = 0
    flags: tuple[str, ...] = ()
    blocked: str = ""


@dataclass(frozen=True, slots=True)
class Versions:
    """What runs where."""

    plimsoll: str = ""
    network: str = ""
    chain_id: int = 0
    clearinghouse: str = ""
    sender: str = ""
    objective: str = "profit"
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class KeeperStatus:
    """Everything at one moment.

    :param pass_age_seconds: since the last finished pass, monotonic; None before the first.
    :param halts: why nothing is sent although the service runs (audit, reverts, balance, budget).
    :param earned_wad: rewards and discounts since the start; `spent_wei` gas since the start.
    """

    phase: Phase = Phase.STARTING
    versions: Versions = Versions()
    readiness: Readiness = Readiness()
    head: HeadStatus = HeadStatus()
    uptime_seconds: float = 0.0
    passes: int = 0
    pass_age_seconds: float | None = None
    pass_seconds: float = 0.0
    balance_wei: int = 0
    earned_wad: int = 0
    spent_wei: int = 0
    halts: tuple[str, ...] = ()
    providers: tuple[ProviderStatus, ...] = ()
    book: BookStatus = BookStatus()
    oracles: tuple[OracleStatus, ...] = ()
    dangers: tuple[Danger, ...] = ()
    in_flight: tuple[InFlight, ...] = ()
    actions: tuple[ActionStatus, ...] = ()
    breakers: tuple[BreakerStatus, ...] = ()
    budgets: tuple[BudgetStatus, ...] = ()
    lease: LeaseStatus = LeaseStatus()
    database: DatabaseStatus = DatabaseStatus()
    audit: AuditStatus = field(default_factory=AuditStatus)


def status_to_json(status: KeeperStatus) -> dict[str, Any]:
    """Plain values; amounts of wei and WAD as text."""
    found: dict[str, Any] = plain(status)
    return found


def status_from_json(document: Any) -> KeeperStatus:
    """The inverse of `status_to_json`.

    :raises StatusError: the document is no status.
    """
    try:
        return TypeAdapter(KeeperStatus).validate_python(document)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise StatusError(f"no status of a keeper: {key}: {first['msg']}; is another program answering?") from None


def plain(value: Any) -> Any:
    """Dataclasses as mappings, tuples as lists, amounts of wei and WAD as text of the integer."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        pairs = {entry.name: getattr(value, entry.name) for entry in dataclasses.fields(value)}
        return {
            name: str(item) if name.endswith(EXACT) and isinstance(item, int) else plain(item)
            for name, item in pairs.items()
        }
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value
