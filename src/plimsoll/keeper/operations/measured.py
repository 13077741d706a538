"""Wrappers that count and time what passes through them: requests to nodes, entries of the journal."""

from __future__ import annotations

import re
import time
from typing import Any

from plimsoll.chain.errors import NodeTimeout, NodeUnavailable
from plimsoll.keeper.node.rpc import Rpc
from plimsoll.keeper.node.transport import Transport, transport_to
from plimsoll.keeper.operations.telemetry import Telemetry
from plimsoll.keeper.sending.ports import JournalPort
from plimsoll.keeper.storage.journal import JournalEntry

__all__ = ["MeasuredJournal", "MeasuredTransport", "measured_rpc"]

METHOD = re.compile(rb'"method":\s*"(\w+)"')
BATCH = "batch"


def measured_rpc(url: str, telemetry: Telemetry, *, timeout: float, retries: int = 0) -> Rpc:
    """A client whose requests are counted: `Providers([measured_rpc(url, …) for url in urls])`."""
    return Rpc(url, timeout=timeout, retries=retries, transport=MeasuredTransport(transport_to(url), telemetry))


class MeasuredTransport:
    """Counts exchanges by provider, method and outcome. A batch of several methods counts once, as `batch`."""

    def __init__(self, inner: Transport, telemetry: Telemetry) -> None:
        self._inner = inner
        self._telemetry = telemetry

    @property
    def address(self) -> str:
        """Where the node is, without secrets."""
        return self._inner.address

    async def exchange(self, payload: bytes, timeout: float) -> Any:
        """As the transport's."""
        begun, outcome = time.monotonic(), "failed"
        try:
            answer = await self._inner.exchange(payload, timeout)
            outcome = "error" if isinstance(answer, dict) and answer.get("error") is not None else "ok"
            return answer
        except NodeTimeout:
            outcome = "timeout"
            raise
        except NodeUnavailable:
            outcome = "unavailable"
            raise
        finally:
            self._telemetry.rpc(self.address, _method(payload), outcome, time.monotonic() - begun)

    async def close(self) -> None:
        """Drops all connections."""
        await self._inner.close()


class MeasuredJournal:
    """A journal that tells how long an entry takes to be durable: nothing is sent before it is."""

    def __init__(self, inner: JournalPort, telemetry: Telemetry) -> None:
        self._inner = inner
        self._telemetry = telemetry
        self.set = inner.set
        self.open = inner.open
        self.recent = inner.recent
        self.by_hash = inner.by_hash
        self.by_nonce = inner.by_nonce
        self.reorged = inner.reorged
        self.spent_since = inner.spent_since

    def add(self, entry: JournalEntry) -> int:
        """Writes an entry durably and returns its id.

        :raises LeaseLostError: another process leads.
        """
        with self._telemetry.timed(self._telemetry.journal_committed):
            return self._inner.add(entry)


def _method(payload: bytes) -> str:
    """Of a request, or of a batch of one kind of requests."""
    if not payload.startswith(b"["):
        found = METHOD.search(payload)
        return found.group(1).decode() if found is not None else ""
    methods = {name.decode() for name in METHOD.findall(payload[:4096])}
    return methods.pop() if len(methods) == 1 else BATCH
