"""Follows the chain: block by block, by hash, into a database and a mirror, through reorganisations and long absences.

Each block is one transaction of the database. The sink takes a block before the database does, because it is the sink
that proves the versions of accounts; what it took and the database refused is remembered and not given to it twice.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator, Sequence

from plimsoll.chain.errors import NodeTimeout, NodeUnavailable, RpcError
from plimsoll.keeper.errors import UnsafeStateError, VersionGapError
from plimsoll.keeper.node.blocks import Block, BlockReader, Chunk
from plimsoll.keeper.node.decode import Decoder
from plimsoll.keeper.node.errors import BadAnswerError, HeadMovedError, IncompleteLogsError
from plimsoll.keeper.node.headers import Header
from plimsoll.keeper.node.rpc import Client
from plimsoll.keeper.node.steps import BlockTaken, ChunkTaken, FollowerStats, Reorged, Resynced, Sink, Step
from plimsoll.keeper.rows import Kind, Row
from plimsoll.keeper.storage.changes import Changes
from plimsoll.keeper.storage.errors import UndoExhaustedError
from plimsoll.keeper.storage.repository import RING, Repository

__all__ = ["Follower"]

BATCH = 16
"""Blocks asked for at once."""
SHORT = 64
"""Blocks of a range that is not too long: a node that does not answer for it is not well."""
FEW_LOGS = 2_000
"""A range with fewer logs than that may be longer next time."""
POOL = int(Kind.POOL)
"""The only rows that the decoder must remember."""
REGRESSIONS = 3
"""How often in a row the head must be behind the last block taken, which the node does not know, to be believed."""


class Follower:
    """Follows for one deployment.

    :param first_block: the block in which the deployment begins.
    :param sink: the mirror; None if only the database is to be kept.
    :param settled: blocks behind the head that are not reorganised any more: where a cold start ends.
    :param longest: most blocks of one range of old logs.
    """

    def __init__(
        self,
        client: Client,
        repository: Repository,
        decoder: Decoder,
        *,
        first_block: int,
        sink: Sink | None = None,
        settled: int = 64,
        longest: int = 10_000,
    ) -> None:
        self.reader = BlockReader(client, decoder)
        self.stats = FollowerStats()
        self._client = client
        self._repository = repository
        self._decoder = decoder
        self._first = first_block
        self._sink = sink
        self._settled = settled
        self._longest = longest
        self._span = min(longest, 2_000)
        self._loaded = False
        self._head: Header | None = None
        self._unsaved: str | None = None
        """Hash of the block that the sink took and the database did not."""
        self._regressions = 0
        self._changes: Changes | None = None
        """While another process writes the database."""

    @property
    def head(self) -> Header | None:
        """The last block taken; None before the first, and during a cold start."""
        return self._head

    def load(self) -> Iterator[tuple[int, bytes, bytes]]:
        """All rows of the database, for the mirror's own loading; must be read to the end."""
        self._decoder.forget()
        for row in self._repository.rows():
            if row[0] == POOL:
                self._decoder.take((row,))
            yield row
        self._head = self._repository.head()
        self._loaded = True

    def stand_by(self) -> None:
        """Brings the sink to what another process has written into the database, which is only read. Whoever calls it
        often, and once more before `follow`, has nothing to load then.

        :raises StorageError: the database cannot be read now.
        """
        taken = self._changes.take() if self._changes is not None else None
        if taken is None:
            self._changes, self._loaded, self._head = None, False, None
            head = self._repository.head()
            if head is None:
                return
            self._reload()
            # What was written while the rows were read comes in now, and all of it again.
            changes = Changes(self._repository, head)
            taken = changes.take()
            if taken is None:
                self._loaded, self._head = False, None
                return
            self._changes = changes
        self._head, rows = taken
        if rows:
            if self._sink is not None:
                self._sink.revert(rows)
            self._decoder.take(rows)

    async def follow(self, head: Header) -> AsyncIterator[Step]:
        """Takes everything up to `head`, and yields each step when it is done. May be given up after any step.

        :raises HeadMovedError: the chain changed meanwhile; ask for the head again.
        :raises NodeUnavailable, NoProviderError: no node answers, or one what cannot be true (`BadAnswerError`).
        :raises UnsafeStateError: the node's logs have a gap that nothing closes, or do not fit the ABI.
        :raises StorageError: the database does not take a block.
        """
        self._changes = None
        if not self._loaded:
            self._reload()
        if head.number < self._first:
            raise HeadMovedError(f"the chain ends at block {head.number}, the deployment begins in {self._first}")
        try:
            async for step in self._follow(head):
                yield step
        except BadAnswerError:
            self._client.distrust()
            raise

    async def _follow(self, head: Header) -> AsyncIterator[Step]:
        if self._head is None:
            async for step in self._cold_start(head):
                yield step
        try:
            async for step in self._forward(head):
                yield step
        except _GapError as gap:
            yield self._resync(str(gap))
            async for step in self._cold_start(head):
                yield step
            try:
                async for step in self._forward(head):
                    yield step
            except _GapError as again:
                raise UnsafeStateError(f"{again}, twice; use a node that keeps all logs") from None

    # ── forward ────────────────────────────────────────────────────────────

    async def _forward(self, head: Header) -> AsyncIterator[Step]:
        assert self._head is not None
        if head.number - self._head.number > RING:
            common = await self._canonical()
            if common != self._head:
                yield self._undo_to(common)
        while head.number - self._head.number > RING:
            yield await self._take_chunk(head.number - RING)
        if self._behind(head):
            if not await self._went_back():
                return
            yield self._undo_to(head)
        headers, common = await self._segment(head)
        if common != self._head:
            yield self._undo_to(common)
        for start in range(0, len(headers), BATCH):
            for block in await self.reader.blocks(headers[start : start + BATCH]):
                yield await self._take(block)

    async def _segment(self, head: Header) -> tuple[list[Header], Header]:
        """The headers from the last common block (exclusive) to the head, and that block.

        :raises HeadMovedError: blocks do not follow each other: the chain changed between two answers.
        :raises _GapError: the common block is not in the ring.
        """
        assert self._head is not None
        if head == self._head:
            return [], head
        if head.parent == self._head.hash:
            return [head], self._head
        ring = {header.hash: header for header in self._repository.headers()}
        oldest = min(header.number for header in ring.values())
        found = [head]
        while found[-1].parent not in ring:
            lowest = found[-1].number
            if lowest <= oldest:
                raise _GapError(f"block {self._head.number} and all that could be undone are of another chain")
            # first what certainly is new, then what another history may have replaced
            fresh = lowest - 1 - self._head.number
            wide = min(BATCH, fresh if fresh > 0 else lowest - oldest)
            for header in reversed(await self.reader.headers(range(lowest - wide, lowest))):
                if header.hash != found[-1].parent:
                    raise HeadMovedError(f"block {found[-1].number} does not follow block {header.number} any more")
                if header.hash in ring:
                    break
                found.append(header)
        return found[::-1], ring[found[-1].parent]

    async def _canonical(self) -> Header:
        """The last block taken that is part of the node's chain.

        :raises _GapError: none of those that can be undone is.
        """
        ring = self._repository.headers()[::-1]
        for start in range(0, len(ring), BATCH):
            part = ring[start : start + BATCH]
            for ours, theirs in zip(part, await self.reader.headers([one.number for one in part]), strict=True):
                if ours.hash == theirs.hash:
                    return ours
        raise _GapError("all blocks that could be undone are of another chain")

    def _behind(self, head: Header) -> bool:
        """Whether the head is a block taken before the last one."""
        assert self._head is not None
        if head.number < self._head.number and any(head.hash == one.hash for one in self._repository.headers()):
            return True
        self._regressions = 0
        return False

    async def _went_back(self) -> bool:
        """Whether the chain itself went back: not merely a node that is late, asked once or twice."""
        assert self._head is not None
        self._regressions += 1
        if self._regressions < REGRESSIONS or await self.reader.knows(self._head.hash):
            return False
        self._regressions = 0
        return True

    async def _take(self, block: Block) -> BlockTaken:
        try:
            rows = self._decoder.rows(block.logs)
            self._apply(rows, block.header)
        except (IncompleteLogsError, VersionGapError) as gap:
            block, rows = await self._second_opinion(block, gap)
        begun = time.perf_counter()
        self._repository.save_block(block.header, rows)
        self.stats.commit_seconds = time.perf_counter() - begun
        self._took(block.header, rows)
        self.stats.blocks += 1
        self.stats.logs += len(block.logs)
        return BlockTaken(block.header, rows, block.logs, block.transactions)

    async def _second_opinion(self, block: Block, gap: Exception) -> tuple[Block, list[Row]]:
        """The block by its receipts, after its logs led to a gap.

        :raises _GapError: the receipts lead to it too: a log is missing in an earlier block.
        """
        self.stats.gaps += 1
        self._reload()
        complete = await self.reader.receipts(block)
        if len(complete.logs) == len(block.logs):
            raise _GapError(str(gap))
        self.reader.proofs.repaired += 1
        try:
            rows = self._decoder.rows(complete.logs)
            self._apply(rows, block.header)
        except (IncompleteLogsError, VersionGapError) as again:
            self._reload()
            raise _GapError(str(again)) from None
        return complete, rows

    async def _take_chunk(self, last: int) -> ChunkTaken:
        """Takes blocks that will not change, up to `last` at most."""
        assert self._head is not None
        before = self._head
        chunk = await self._chunk(before.number + 1, last, before)
        try:
            rows = self._decoder.rows(chunk.logs)
            self._apply(rows, chunk.header)
        except (IncompleteLogsError, VersionGapError) as gap:
            self.stats.gaps += 1
            raise _GapError(str(gap)) from None
        self._repository.save_chunk(chunk.header, rows)
        self._took(chunk.header, rows)
        return self._chunk_taken(chunk, before.number, rows)

    # ── backward ───────────────────────────────────────────────────────────

    def _undo_to(self, header: Header) -> Step:
        assert self._head is not None
        depth = self._head.number - header.number
        try:
            rows = self._repository.undo_to(header.number)
        except UndoExhaustedError as error:
            raise _GapError(str(error)) from None
        if self._unsaved is not None:
            self._reload()
        elif self._sink is not None:
            self._sink.revert(rows)
        self._took(header, rows)
        self.stats.reorgs += 1
        self.stats.deepest_reorg = max(self.stats.deepest_reorg, depth)
        return Reorged(header, depth, rows)

    def _resync(self, reason: str) -> Resynced:
        self._repository.reset()
        self._reload()
        self.stats.resyncs += 1
        return Resynced(reason)

    # ── from the beginning ─────────────────────────────────────────────────

    async def _cold_start(self, head: Header) -> AsyncIterator[Step]:
        """Reads all logs since the deployment up to a block that is settled, or goes on where it was interrupted."""
        state = self._repository.snapshot_state()
        if state is not None and (await self.reader.header(state[0].number)).hash != state[0].hash:
            yield self._resync(f"block {state[0].number}, at which the cold start was to end, is another one now")
            state = None
        if state is None:
            anchor = await self.reader.header(max(self._first, head.number - self._settled))
            self._repository.begin_snapshot(anchor)
            self._reload()
            state = anchor, b""
        anchor, resume = state
        start = int.from_bytes(resume, "big") if resume else self._first
        while start <= anchor.number:
            chunk = await self._chunk(start, anchor.number, None)
            try:
                rows = self._decoder.rows(chunk.logs)
                self._apply(rows, chunk.header)
            except (IncompleteLogsError, VersionGapError) as gap:
                self.stats.gaps += 1
                self._reload()
                raise UnsafeStateError(f"{gap}; use a node that keeps all logs") from None
            taken = chunk.header.number + 1
            self._repository.add_snapshot(rows, taken.to_bytes(8, "big"))
            self._unsaved = None
            self._decoder.take(rows)
            step = self._chunk_taken(chunk, start - 1, rows)
            start = taken
            yield step
        if (await self.reader.header(anchor.number)).hash != anchor.hash:
            yield self._resync(f"block {anchor.number} changed during the cold start")
            raise HeadMovedError("the chain changed during the cold start; begin again")
        self._repository.end_snapshot()
        self._head = anchor

    async def _chunk(self, first: int, last: int, before: Header | None) -> Chunk:
        """A range of logs, as long as the node bears.

        :raises HeadMovedError: the block before the range is another one now.
        """
        while True:
            end = min(last, first + self._span - 1)
            try:
                chunk = await self.reader.chunk(first, end, before)
            except BadAnswerError:
                raise
            except (RpcError, NodeUnavailable) as error:
                # Too much to answer is told as a refusal, by silence, or by a gateway in between.
                told = isinstance(error, RpcError | NodeTimeout)
                if self._span <= (1 if told else SHORT):
                    raise
                self._span = max(min(self._span, end - first + 1) // 2, 1)
                continue
            if len(chunk.logs) < FEW_LOGS and end - first + 1 == self._span:
                self._span = min(self._span * 2, self._longest)
            return chunk

    # ── both ───────────────────────────────────────────────────────────────

    def _apply(self, rows: Sequence[Row], header: Header) -> None:
        """Gives rows to the sink, unless it has them already."""
        if self._sink is None or self._unsaved == header.hash:
            return
        if self._unsaved is not None:
            self._reload()
        self._sink.apply(rows)
        self._unsaved = header.hash

    def _took(self, header: Header, rows: Sequence[Row]) -> None:
        self._unsaved = None
        self._decoder.take(rows)
        self._head = header

    def _reload(self) -> None:
        """Sink and decoder as the database is."""
        self._unsaved = None
        if self._sink is not None:
            self._sink.reload(self.load())
        if self._sink is None or not self._loaded:
            for _ in self.load():
                pass

    def _chunk_taken(self, chunk: Chunk, before: int, rows: Sequence[Row]) -> ChunkTaken:
        self.stats.chunks += 1
        self.stats.logs += len(chunk.logs)
        return ChunkTaken(chunk.header, chunk.header.number - before, len(rows), len(chunk.logs))


class _GapError(Exception):
    """What was taken so far is of no use."""
