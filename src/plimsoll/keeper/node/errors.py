"""What a node can do wrong beyond not answering."""

from __future__ import annotations

from plimsoll.chain.errors import NodeUnavailable
from plimsoll.keeper.errors import HeadMovedError, KeeperError, UnsafeStateError

__all__ = [
    "BadAnswerError",
    "HeadMovedError",
    "IncompleteLogsError",
    "NoProviderError",
    "RateLimitedError",
    "UndecodableLogError",
]


class BadAnswerError(NodeUnavailable):
    """A node answered, and what it said cannot be true or is not what was asked for. Another node may do better."""

    def __init__(self, reason: str, address: str = "a node") -> None:
        super().__init__(address, reason, "another node is asked, if there is one", sent=True)


class IncompleteLogsError(BadAnswerError):
    """Logs of a block are missing, or do not belong to it."""


class UndecodableLogError(UnsafeStateError):
    """A contract of ours logged what its ABI does not know: the artifacts are not those of the deployment."""


class NoProviderError(KeeperError):
    """No provider is fit to be read: all are silent, behind, or on another chain. It may pass."""

    exit_code = 2


class RateLimitedError(NodeUnavailable):
    """A node has had enough of us for now. `retry_after` are the seconds it asks for, 0 if it does not say.

    It counts as not sent: what is refused for that reason is not looked at.
    """

    def __init__(self, address: str, reason: str, retry_after: float) -> None:
        super().__init__(address, reason, "ask less often, or use another node")
        self.retry_after = retry_after
