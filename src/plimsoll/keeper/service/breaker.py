"""Keeps a job that fails from being tried again and again, and from disturbing the others."""

from __future__ import annotations

from dataclasses import dataclass

from plimsoll.keeper.operations.status import BreakerStatus

__all__ = ["JobBreaker"]


@dataclass(slots=True)
class JobBreaker:
    """Opens after so many failures in a row; after `pause_blocks` blocks one attempt is let through.

    :param limit: failures in a row that open it.
    """

    name: str
    limit: int = 5
    pause_blocks: int = 50
    failures: int = 0
    reason: str = ""
    opened_at: int | None = None

    def allows(self, block: int) -> bool:
        """Whether the job may be tried at this block."""
        return self.opened_at is None or block >= self.opened_at + self.pause_blocks

    def failed(self, block: int, reason: str) -> bool:
        """One more failure; true if this one opened it, or kept it open after an attempt."""
        self.failures += 1
        self.reason = reason
        if self.failures < self.limit:
            return False
        self.opened_at = block
        return True

    def succeeded(self) -> None:
        """The job worked."""
        self.failures, self.reason, self.opened_at = 0, "", None

    def status(self) -> BreakerStatus:
        """For operators."""
        until = None if self.opened_at is None else self.opened_at + self.pause_blocks
        return BreakerStatus(self.name, until is not None, self.failures, self.limit, self.reason, until)
