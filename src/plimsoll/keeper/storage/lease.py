"""The lease: one process leads, and one that lost it cannot write or send.

A row of the database names the leader, the epoch of its leadership and when it ends. Each acquisition raises the epoch.
Writes of the journal carry the epoch and the database itself refuses those of an older one. Before a broadcast the
leader asks `guard`, which goes by its own clock as well: a process that was paused finds its grant run out, even if
nobody took over and even if the database does not answer.

The grant is reckoned from before the request was sent and is a twentieth shorter than what the database keeps, so the
leader stops before another one can start. What no lease can prevent is a pause between `guard` and the broadcast
itself; there the nonce does: such a transaction takes the place of one of the same sender, or is refused.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from plimsoll.keeper.errors import ConfigurationError
from plimsoll.keeper.storage.database import Database
from plimsoll.keeper.storage.errors import DatabaseCorruptError, LeaseLostError
from plimsoll.keeper.storage.packing import check_of

__all__ = ["Grant", "Holder", "Lease", "boot_clock"]

NEW = (0, "", 0, 0, "", 0)
"""The row of a lease that nobody ever held."""
SAFETY = 20
"""One part in that many of a period is left unused by the holder."""


def boot_clock() -> int:
    """Nanoseconds since the machine started, its sleep included; the same for all its processes."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    return time.monotonic_ns()


@dataclass(frozen=True, slots=True)
class Grant:
    """Leadership: its epoch, when it runs out on the leader's clock (`Lease.clock`, ns), and its length (ns)."""

    epoch: int
    until: int
    ttl: int
    owner: str


@dataclass(frozen=True, slots=True)
class Holder:
    """What the database says of the lease. `remaining` seconds, 0 if it ran out or was released."""

    epoch: int
    owner: str
    remaining: float


class Lease:
    """The lease of a repository.

    :param clock: own clock that never goes back and goes on while the machine sleeps, ns.
    """

    def __init__(self, database: Database, clock: Callable[[], int] = boot_clock) -> None:
        self._database = database
        self.clock = clock
        self.grant: Grant | None = None

    def acquire(self, owner: str, ttl: float) -> Grant | None:
        """Leads for `ttl` seconds from now; None while another process does.

        Where the database is this process's alone (no high availability), whoever led before has ended and is not
        waited for.

        :param owner: names the process, a new name in each run (host, process, something random).
        :raises StorageError: the database refuses.
        """
        if ttl <= 0 or not owner:
            raise ConfigurationError("a lease needs an owner and a length above 0 s")
        database, length = self._database, int(ttl * 1e9)
        asked = self.clock()
        with database.transaction(durable=True):
            epoch, held_by, *held = self._row(database.for_update)
            boot, now = database.lease_boot(), database.lease_now()
            if _left(held, now, boot) and held_by != owner and not database.exclusive:
                return None
            self._write(epoch + 1, owner, now + length, length, boot)
        self.grant = Grant(epoch + 1, asked + length - length // SAFETY, length, owner)
        return self.grant

    def renew(self) -> Grant:
        """A whole period more, from now.

        :raises LeaseLostError: another process took over, or nothing was acquired.
        """
        grant = self._granted()
        database, asked = self._database, self.clock()
        with database.transaction(durable=True):
            if self._row(database.for_update)[:2] != (grant.epoch, grant.owner):
                raise self._lost(grant.epoch)
            until = database.lease_now() + grant.ttl
            self._write(grant.epoch, grant.owner, until, grant.ttl, database.lease_boot())
        self.grant = Grant(grant.epoch, asked + grant.ttl - grant.ttl // SAFETY, grant.ttl, grant.owner)
        return self.grant

    def release(self) -> None:
        """Lets another process lead at once. Does nothing if this one does not lead."""
        grant, self.grant = self.grant, None
        if grant is not None:
            with self._database.transaction(durable=True):
                if self._row(self._database.for_update)[0] == grant.epoch:
                    self._write(grant.epoch, grant.owner, 0, grant.ttl, "")

    def guard(self, epoch: int) -> None:
        """Passes if this process leads in that epoch, now. To be asked right before a broadcast.

        :raises LeaseLostError: it does not, or cannot know.
        """
        self.check_clock(epoch)
        self.check_row(epoch)
        self.check_clock(epoch)

    def check_row(self, epoch: int) -> None:
        """The part of `guard` that asks the database.

        :raises LeaseLostError: it names another epoch.
        """
        with self._database.lock:
            if self._row("")[0] != epoch:
                raise self._lost(epoch)

    def check_clock(self, epoch: int) -> None:
        """The part of `guard` that needs no database.

        :raises LeaseLostError: the grant is of another epoch or has run out.
        """
        grant = self._granted()
        if grant.epoch != epoch:
            raise LeaseLostError(f"epoch {epoch} is over: this process leads in epoch {grant.epoch}")
        if self.clock() >= grant.until:
            raise LeaseLostError(
                f"the lease of epoch {epoch} ran out: the process was paused, or the database did not answer in time"
            )

    def remaining(self) -> float:
        """Seconds that this process may still lead; 0 if it does not."""
        return 0.0 if self.grant is None else max(self.grant.until - self.clock(), 0) / 1e9

    def holder(self) -> Holder | None:
        """Who leads according to the database, None if nobody ever did."""
        database = self._database
        with database.lock:
            epoch, owner, *held = self._row("")
            if epoch == 0:
                return None
            return Holder(epoch, owner, _left(held, database.lease_now(), database.lease_boot()) / 1e9)

    def fence(self) -> None:
        """To be called inside a transaction that writes: makes it part of this process's leadership, if it has any.

        :raises LeaseLostError: it has none and needs one, or lost it.
        """
        if self.grant is None:
            if self._database.exclusive:
                return
            raise LeaseLostError("with high availability only the leader writes: acquire the lease first")
        if self._row(self._database.for_share)[0] != self.grant.epoch:
            raise self._lost(self.grant.epoch)

    def _granted(self) -> Grant:
        if self.grant is None:
            raise LeaseLostError("this process holds no lease")
        return self.grant

    def _row(self, suffix: str) -> tuple[int, str, int, int, str]:
        found = self._database.query("SELECT epoch, owner, until, ttl, boot, crc FROM lease WHERE id = 1" + suffix)
        if not found:
            raise DatabaseCorruptError(f"{self._database.where} has lost the row of its lease")
        epoch, owner, until, ttl, boot, crc = found[0]
        if crc != check_of(epoch, owner, until, ttl, boot) and found[0] != NEW:
            raise DatabaseCorruptError(f"the row of the lease in {self._database.where} is damaged")
        return epoch, owner, until, ttl, boot

    def _write(self, *values: int | str) -> None:
        self._database.run(
            "UPDATE lease SET epoch = ?, owner = ?, until = ?, ttl = ?, boot = ?, crc = ? WHERE id = 1",
            (*values, check_of(*values)),
        )

    def _lost(self, epoch: int) -> LeaseLostError:
        row = self._row("")
        return LeaseLostError(f"the lease of epoch {epoch} is lost: {row[1]} leads in epoch {row[0]}")


def _left(held: Sequence[Any], now: int, boot: str) -> int:
    """What is left of a lease, ns. One that ends over two periods ahead was written by another run of the clock."""
    until, ttl, of_boot = held
    left: int = until - now
    return left if of_boot == boot and 0 < left <= 2 * ttl else 0
