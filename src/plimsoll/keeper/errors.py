"""Why a keeper does not start, or stops."""

from __future__ import annotations

from plimsoll.errors import PlimsollError

__all__ = ["ConfigurationError", "HeadMovedError", "KeeperError", "UnsafeStateError", "VersionGapError"]


class KeeperError(PlimsollError):
    """The keeper cannot go on. `exit_code` is what the process ends with."""

    exit_code = 5


class ConfigurationError(KeeperError):
    """The operator asked for something that cannot work: wrong node, missing key, no deployment."""

    exit_code = 2


class UnsafeStateError(KeeperError):
    """Going on could cost money: another chain behind the address, transactions that keep failing."""

    exit_code = 3


class HeadMovedError(KeeperError):
    """The chain went on, or back, while it was read; read again."""


class VersionGapError(KeeperError):
    """An account's version jumped: a log is missing."""
