"""Whether the keeper lives and is ready. Pure: from a status and an operator's limits to a verdict with reasons."""

from __future__ import annotations

from dataclasses import replace

from plimsoll.keeper.operations.config import ReadinessConfig
from plimsoll.keeper.operations.redact import shown_url
from plimsoll.keeper.operations.status import KeeperStatus, Phase, Readiness

__all__ = ["judge", "judged"]

READY_PHASES = (Phase.FOLLOWING, Phase.STANDBY)


def judge(status: KeeperStatus, limits: ReadinessConfig) -> Readiness:
    """Live: it makes progress, a restart would not help. Ready: it can do its work now, or take over at once.

    A halt (audit, reverts, empty account) makes it not ready but leaves it alive: a restart would not cure it.
    """
    stuck = _stuck(status, limits)
    reasons = [*stuck]
    if status.phase not in READY_PHASES:
        reasons.append(f"it is {status.phase.value}")
    reasons += [f"halted: {reason}" for reason in status.halts]
    if status.phase in READY_PHASES:
        reasons += _behind(status, limits)
    if status.lease.mode == "lost":
        reasons.append("the lease is lost")
    return Readiness(live=not stuck, ready=not reasons, reasons=tuple(reasons))


def judged(status: KeeperStatus, limits: ReadinessConfig) -> KeeperStatus:
    """The status with its verdict, and without a password in the address of the database."""
    database = replace(status.database, where=shown_url(status.database.where))
    return replace(status, readiness=judge(status, limits), database=database)


def _stuck(status: KeeperStatus, limits: ReadinessConfig) -> list[str]:
    age = status.pass_age_seconds if status.pass_age_seconds is not None else status.uptime_seconds
    if age <= limits.max_pass_age:
        return []
    return [f"no progress for {age:.0f} s, at most {limits.max_pass_age:g} s are usual"]


def _behind(status: KeeperStatus, limits: ReadinessConfig) -> list[str]:
    reasons = []
    head = status.head
    if head.lag_blocks > limits.max_lag:
        reasons.append(f"{head.lag_blocks} blocks behind the best provider, at most {limits.max_lag} are allowed")
    if head.age_seconds > limits.max_head_age:
        reasons.append(f"no new block for {head.age_seconds:.0f} s, at most {limits.max_head_age:g} s are allowed")
    usable = sum(item.state == "ok" for item in status.providers if item.role == "read")
    if usable < limits.min_providers:
        states = ", ".join(f"{item.name} {item.state}" for item in status.providers) or "none is known"
        reasons.append(f"{usable} usable providers, at least {limits.min_providers} are wanted ({states})")
    return reasons
