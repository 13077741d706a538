"""What the transaction manager needs from others, as small protocols: nodes, journal, fence, signers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from plimsoll.chain.errors import NodeUnavailable, RpcError
from plimsoll.keeper.errors import HeadMovedError
from plimsoll.keeper.node.errors import NoProviderError
from plimsoll.keeper.sending.fees import Fees
from plimsoll.keeper.storage.journal import JournalEntry
from plimsoll.keeper.storage.lease import Lease

__all__ = ["UNREADABLE", "Fence", "JournalPort", "LeaseFence", "Node", "Signed", "Signer"]

UNREADABLE = (RpcError, NodeUnavailable, NoProviderError, HeadMovedError)
"""What a client raises when the chain cannot be read now."""


class Node(Protocol):
    """A JSON-RPC client.

    Errors are those of `plimsoll.chain.errors`: `RpcError` when the node refuses, `NodeUnavailable` when no answer
    came; its `sent` tells whether the request may have arrived.
    """

    async def request(self, method: str, params: Sequence[Any] = ()) -> Any:
        """One answer."""

    async def batch(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        """All answers in order; an `RpcError` stands for a call that was refused."""


class JournalPort(Protocol):
    """The journal of transactions; `plimsoll.keeper.storage.journal.Journal` is one."""

    def add(self, entry: JournalEntry) -> int:
        """Writes an entry durably and returns its id.

        :raises LeaseLostError: another process leads.
        """

    def set(
        self,
        id: int,
        status: str,
        block: int | None = None,
        detail: str | None = None,
        *,
        spent: int | None = None,
        time: int | None = None,
    ) -> object:
        """Changes what became of an entry."""

    def open(self, sender: str | None = None) -> list[JournalEntry]:
        """Entries that are not final, by nonce and age."""

    def recent(self, n: int) -> list[JournalEntry]:
        """The latest entries, newest first."""

    def by_hash(self, tx_hash: str) -> JournalEntry | None:
        """An entry by the hash of its transaction."""

    def by_nonce(self, sender: str, nonce: int) -> list[JournalEntry]:
        """Entries that use a nonce, oldest first."""

    def reorged(self, number: int) -> list[JournalEntry]:
        """Puts entries of blocks above that number back to `broadcast`."""

    def spent_since(self, time: int) -> int:
        """Wei that transactions cost in blocks of that time and later."""


class Fence(Protocol):
    """The right to broadcast."""

    @property
    def epoch(self) -> int:
        """Number of the lease that is held."""

    def guard(self) -> None:
        """Returns if the lease is held still.

        :raises KeeperError: it is not.
        """


class LeaseFence:
    """The lease of a repository as the right to broadcast."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease

    @property
    def epoch(self) -> int:
        """Of the grant; 0 if there is none."""
        return self._lease.grant.epoch if self._lease.grant is not None else 0

    def guard(self) -> None:
        """Returns if the lease is held still.

        :raises LeaseLostError: it is not.
        """
        self._lease.guard(self.epoch)


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed transaction and its hash."""

    raw: bytes
    tx_hash: str


class Signer(Protocol):
    """Signs for one address. Keys are never shown."""

    @property
    def address(self) -> str:
        """Checksummed."""

    async def sign(self, nonce: int, fees: Fees, gas: int, to: str, data: bytes, value_wei: int) -> Signed:
        """An EIP-1559 transaction of the signer's chain."""
