"""Brings the mirror to a block: logs in chunks from where it stopped, and everything again when history has changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from plimsoll.chain.errors import RpcError
from plimsoll.keeper.errors import HeadMovedError, UnsafeStateError, VersionGapError
from plimsoll.keeper.log import KeeperLog
from plimsoll.keeper.mirror import Mirror
from plimsoll.keeper.store import Cursor, Store
from plimsoll.keeper.target import Header, Target

__all__ = ["Follower", "Synced"]


@dataclass(frozen=True, slots=True)
class Synced:
    """What one call took in."""

    blocks: int
    logs: int
    rebuilt: bool


class Follower:
    """Follows the chain by polling. The hash of the last block taken proves that history is still the same."""

    def __init__(self, target: Target, store: Store, log: KeeperLog, *, chunk: int) -> None:
        self._target = target
        self._store = store
        self._log = log
        self._chunk = chunk
        self.mirror = Mirror()
        self.cursor, rows = store.load()
        self.mirror.restore(rows)

    def sync(self, head: Header) -> Synced:
        """Takes all logs up to `head`.

        :raises HeadMovedError: the head changed meanwhile.
        :raises UnsafeStateError: the node's logs have a gap, or the chain is another one.
        """
        if self.cursor is not None and self.cursor.hash == head.hash:
            return Synced(0, 0, False)
        if self.cursor is not None and head.number <= self.cursor.number:
            return self._rebuild(head, f"the chain went back from block {self.cursor.number} to {head.number}")
        try:
            synced = self._take(head)
        except VersionGapError as gap:
            return self._rebuild(head, str(gap))
        if synced is None:
            assert self.cursor is not None
            return self._rebuild(head, f"block {self.cursor.number} is another one now")
        return synced

    def _rebuild(self, head: Header, reason: str) -> Synced:
        self._log.warn("rebuild", f"{reason}; reading all logs again from block {self._target.first_block}")
        self._target.check(started=True)
        self.mirror = Mirror()
        self.cursor = None
        self._store.reset()
        try:
            synced = self._take(head)
        except VersionGapError as gap:
            raise UnsafeStateError(f"{gap}; use a node that keeps all logs") from None
        assert synced is not None
        return Synced(synced.blocks, synced.logs, True)

    def _take(self, head: Header) -> Synced | None:
        """Takes chunk after chunk; None when the last block taken is no longer part of the chain."""
        start = self._target.first_block if self.cursor is None else self.cursor.number + 1
        blocks = logs = 0
        chunk = self._chunk
        while start <= head.number:
            end = min(start + chunk - 1, head.number)
            requests: list[tuple[str, list[Any]]] = [
                ("eth_getLogs", [self._filter(start, end)]),
                ("eth_getBlockByNumber", [hex(end), False]),
            ]
            if self.cursor is not None:
                requests.append(("eth_getBlockByNumber", [hex(self.cursor.number), False]))
            found, last, *before = self._target.rpc.batch(requests)
            if isinstance(found, RpcError):
                if end == start:
                    raise found
                # Nodes limit the blocks of a question or the logs of an answer.
                chunk = max((end - start + 1) // 2, 1)
                continue
            for answer in (last, *before):
                if isinstance(answer, RpcError):
                    raise answer
            if before and (before[0] is None or self.cursor is None or before[0]["hash"] != self.cursor.hash):
                return None
            reached = Header.of(last)
            if end == head.number and reached.hash != head.hash:
                raise HeadMovedError(f"block {end} changed while it was read")
            self.mirror.apply(self._target.clearinghouse.events.decode_all(found))
            self.cursor = Cursor(end, reached.hash)
            self._store.save(self.mirror.take_changes(), self.cursor)
            blocks, logs = blocks + end - start + 1, logs + len(found)
            start = end + 1
        return Synced(blocks, logs, False)

    def _filter(self, start: int, end: int) -> dict[str, Any]:
        addresses = [self._target.clearinghouse.address, self._target.order_book.address]
        topics = [list(self._target.topics)]
        return {"address": addresses, "topics": topics, "fromBlock": hex(start), "toBlock": hex(end)}
