"""What a node can do wrong beyond not answering."""

from __future__ import annotations

from plimsoll.keeper.errors import HeadMovedError, KeeperError, UnsafeStateError

__all__ = ["BadAnswerError", "HeadMovedError", "IncompleteLogsError", "NoProviderError", "UndecodableLogError"]


class BadAnswerError(KeeperError):
    """A node answered, and what it said cannot be true or is not what was asked for. Another node may do better."""


class IncompleteLogsError(BadAnswerError):
    """Logs of a block are missing, or do not belong to it."""


class UndecodableLogError(UnsafeStateError):
    """A contract of ours logged what its ABI does not know: the artifacts are not those of the deployment."""


class NoProviderError(KeeperError):
    """No provider is fit to be read: all are silent, behind, or on another chain. It may pass."""
