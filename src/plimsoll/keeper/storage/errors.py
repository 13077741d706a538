"""What a database can refuse, in the words both databases share."""

from __future__ import annotations

from plimsoll.keeper.errors import KeeperError, UnsafeStateError

__all__ = [
    "DatabaseCorruptError",
    "DatabaseFullError",
    "DatabaseLockedError",
    "DatabaseLostError",
    "LeaseLostError",
    "NotAChildError",
    "StorageError",
    "UndoExhaustedError",
]


class StorageError(UnsafeStateError):
    """The database did not do what was asked; what it held before is as it was.

    `passes` is true where trying the same again later can succeed: nothing is lost meanwhile but time.
    """

    passes = False


class DatabaseFullError(StorageError):
    """The disk is full or cannot be written."""

    passes = True


class DatabaseLockedError(StorageError):
    """Another process holds the database for longer than is waited for."""

    passes = True


class DatabaseLostError(StorageError):
    """The connection to the database's server broke; the next call connects again.

    Whether a commit under way took place is unknown: read the head, or repeat the call, which does nothing twice.
    """

    passes = True


class DatabaseCorruptError(StorageError):
    """What is read is not what was written. The rows can be had again from the chain, see `open_repository`."""


class NotAChildError(StorageError):
    """A block was given that does not follow the head: the chain, or another process, went a different way."""


class UndoExhaustedError(StorageError):
    """A reorganisation goes back further than the ring of blocks that can be undone; read everything again."""


class LeaseLostError(KeeperError):
    """Another process leads, or this one was paused for longer than its lease: it must not send any more."""

    exit_code = 4
