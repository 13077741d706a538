"""Keepers for tests: the service, driven pass by pass on a chain that mines by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from plimsoll.deploy.deployment import Deployment
from plimsoll.keeper.book.mirror import Mirror
from plimsoll.keeper.operations.config import KeeperConfig
from plimsoll.keeper.operations.keystore import Identity
from plimsoll.keeper.operations.load import load_config
from plimsoll.keeper.operations.log import DecisionLog
from plimsoll.keeper.report import TickReport
from plimsoll.keeper.service.stepped import SteppedKeeper
from tests.support.protocol import Protocol

__all__ = ["Employed", "config_of", "employed"]

KEYS: Mapping[str, str] = {
    "dry_run": "dry_run",
    "objective": "objective",
    "reserve": "decisions.reserve",
    "min_discount": "decisions.min_discount",
    "min_profit": "decisions.min_profit",
    "min_claim": "decisions.min_claim",
    "claim_for": "decisions.claim_for",
    "accrue_every": "decisions.accrue_every",
    "clear_unpaid": "decisions.clear_unpaid",
    "batch_gas": "decisions.batch_gas",
    "sub_account": "decisions.sub_account",
    "log_chunk": "node.log_chunk",
    "page": "node.page",
    "max_reverts": "sending.max_reverts",
    "patience": "sending.patience",
    "service": "prices.service",
    "push_after": "prices.push_after",
}
"""Options of tests, and the keys of the configuration that they stand for."""


class Employed:
    """A keeper; `tick` waits for what it sent, which the chain mines at once."""

    def __init__(self, keeper: SteppedKeeper) -> None:
        self.keeper = keeper

    @property
    def mirror(self) -> Mirror:
        """What the logs say."""
        return self.keeper.parts.passes.mirror

    @property
    def in_flight(self) -> tuple[str, ...]:
        """Hashes of transactions that are not mined yet."""
        return tuple(one.tx_hash for one in self.keeper.parts.passes.manager.in_flight())

    def tick(self, *, collect: bool = True) -> TickReport:
        """One pass, and what of it landed: decisions, counted by what came of them, and receipts."""
        ticked = self.keeper.tick()
        status = self.keeper.service
        report = ticked.landed
        assert status.last is not None
        report.block, report.time = status.last.head.number, status.last.head.time
        report.logs, report.rebuilt = status.last.logs, status.last.reorged
        report.hashes = ticked.hashes
        report.planned = sum(one.outcome != "wait" for one in ticked.decisions)
        report.simulated = sum(one.outcome == "dry run" for one in ticked.decisions)
        report.refused = sum(one.outcome in ("refused", "unprofitable") for one in ticked.decisions)
        report.blocked = ticked.blocked
        return report + self.keeper.collect() if collect and report.hashes else report

    def collect(self) -> TickReport:
        """Counts what has been mined since."""
        return self.keeper.collect()

    def close(self) -> None:
        """Gives everything back."""
        self.keeper.close()


def employed(
    protocol: Protocol,
    who: Identity,
    lines: list[str] | Callable[[str], object],
    *,
    deployment: Deployment | None = None,
    database: Path | str | None = None,
    **options: Any,
) -> Employed:
    """A keeper of a deployed system; by default it keeps everything in memory and works for the pools.

    :param lines: takes the lines of the log, without their time.
    """
    write = lines if callable(lines) else lines.append
    config = config_of({"node.providers": protocol.anvil.url, **options})
    log = DecisionLog(lambda line: write(line[20:]))
    where = None if database is None else str(database)
    chosen = deployment if deployment is not None else protocol.deployment
    return Employed(SteppedKeeper(config, chosen, who, database=where, log=log))


def config_of(options: Mapping[str, Any]) -> KeeperConfig:
    """A configuration for tests: it works for the pools, offers no tip, and audits each block."""
    choices: dict[str, Any] = {"objective": "solvency", "sending.tip": "0", "audit.every": "1"}
    choices |= {KEYS.get(name, name): value for name, value in options.items()}
    return load_config(None, overrides={key: _text(value) for key, value in choices.items()})


def _text(value: Any) -> Any:
    """As a file of YAML would have it."""
    return str(value).lower() if isinstance(value, bool) else str(value) if isinstance(value, int | float) else value
