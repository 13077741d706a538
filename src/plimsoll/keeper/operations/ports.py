"""What the commands need of the service, and what a pass tells them."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, field
from typing import Protocol

from plimsoll.keeper.operations.status import KeeperStatus

__all__ = ["Decision", "PassReport", "ServicePort", "Term", "decision_id"]

ID_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Term:
    """One term of an expected value, wei, with its sign; `note` says how it came about (`0.92 × 0.004 ETH`)."""

    name: str
    wei: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision of a pass.

    :param id: the same from detection to landing, see `decision_id`.
    :param outcome: send, dry run, wait, refused, unprofitable, blocked.
    :param text: what it is about, for people; `reason` why it is not sent.
    :param value_wei: expected value, the sum of `terms`; None where nothing is to be earned by it.
    """

    id: str
    job: str
    outcome: str
    text: str
    reason: str = ""
    value_wei: int | None = None
    terms: tuple[Term, ...] = ()
    gas: int = 0
    max_fee_wei: int = 0
    tx_hash: str = ""


@dataclass(frozen=True, slots=True)
class PassReport:
    """What one pass decided at a block, in the order of decision. `time` is the chain's.

    :param blocked: why nothing could be sent, empty if nothing was in the way.
    :param summary: what was done, in one line.
    """

    block: int = 0
    hash: str = ""
    time: int = 0
    seconds: float = 0.0
    decisions: tuple[Decision, ...] = ()
    blocked: str = ""
    summary: str = ""
    notes: tuple[str, ...] = field(default=())


class ServicePort(Protocol):
    """The service, as the commands drive it."""

    async def run(self, stop: asyncio.Event) -> None:
        """Works until `stop` is set, finishes its journal and returns.

        :raises KeeperError: why it stopped by itself; its `exit_code` is that of the process.
        """

    async def once(self) -> PassReport:
        """One pass at the head.

        :raises KeeperError: why there was none.
        """

    def status(self) -> KeeperStatus:
        """What it is doing now; does not wait for anything."""


def decision_id(job: str, key: str) -> str:
    """Short id of a decision: the same for the same job and key, on every process and after every restart."""
    return hashlib.sha256(f"{job}\0{key}".encode()).hexdigest()[:ID_DIGITS]
