"""Blocks as they come from nodes: header, logs of our contracts, hashes of transactions; proven to belong together.

The logs of a block are asked for by its hash, together with the block itself, so that they cannot be of another one.
The bloom in the header, which the hash covers, tells what must be among them: where it disagrees, the receipts of the
block decide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from plimsoll.chain.errors import RpcError
from plimsoll.keeper.node.decode import Decoder, RawLog
from plimsoll.keeper.node.errors import BadAnswerError, HeadMovedError, IncompleteLogsError
from plimsoll.keeper.node.headers import Header, bloom_has, bloom_of
from plimsoll.keeper.node.rpc import Client, Request

__all__ = ["Block", "BlockReader", "Chunk", "Proofs"]

FULL_BLOOM = 512
"""Bits set in a bloom (of 2048) above which single topics are no evidence any more: one in 64 seems to be there."""
BLIND_BLOOM = 1024
"""Bits above which it is not worth looking whether each topic of a log is there."""


@dataclass(frozen=True, slots=True)
class Block:
    """One block: its header, the logs of our contracts in order, and the hashes of all its transactions."""

    header: Header
    logs: Sequence[RawLog]
    transactions: frozenset[str]


@dataclass(frozen=True, slots=True)
class Chunk:
    """The logs of many blocks, up to that of the header."""

    header: Header
    logs: Sequence[RawLog]


@dataclass(slots=True)
class Proofs:
    """How often something was wrong with logs."""

    doubted: int = 0
    """Blocks whose bloom spoke of more than the logs that came."""
    repaired: int = 0
    """Blocks of which logs had been left out, found in their receipts."""
    refused: int = 0
    """Answers that could not be true."""


class BlockReader:
    """Reads blocks of the contracts that a decoder knows."""

    def __init__(self, client: Client, decoder: Decoder) -> None:
        self._client = client
        self._addresses = list(decoder.addresses)
        self._wanted = frozenset(decoder.addresses)
        self._topics = {bytes.fromhex(a[2:]): topics for a, topics in decoder.state_topics.items()}
        self.proofs = Proofs()

    async def header(self, number: int) -> Header:
        """The header of that number.

        :raises HeadMovedError: there is none.
        """
        return self._header(await self._client.request("eth_getBlockByNumber", [hex(number), False]), number)

    async def headers(self, numbers: Sequence[int]) -> list[Header]:
        """The headers of these numbers.

        :raises HeadMovedError: one is not there.
        """
        answers = await self._client.batch([("eth_getBlockByNumber", [hex(number), False]) for number in numbers])
        return [self._header(answer, number) for answer, number in zip(answers, numbers, strict=True)]

    async def knows(self, digest: str) -> bool:
        """Whether the node has a block of that hash."""
        return await self._client.request("eth_getBlockByHash", [digest, False]) is not None

    async def blocks(self, headers: Sequence[Header]) -> list[Block]:
        """The blocks of these headers.

        :raises HeadMovedError: the node does not know one any more, or not yet.
        :raises IncompleteLogsError: logs are missing, and the receipts are no help.
        """
        requests: list[Request] = []
        for header in headers:
            requests.append(("eth_getLogs", [{"blockHash": header.hash, "address": self._addresses}]))
            requests.append(("eth_getBlockByHash", [header.hash, False]))
        answers = await self._client.batch(requests)
        found = []
        for i, header in enumerate(headers):
            logs, raw = answers[2 * i : 2 * i + 2]
            if isinstance(raw, RpcError) or raw is None:
                raise HeadMovedError(f"the node does not know block {header.number} {header.hash}")
            transactions = [str(one) for one in raw.get("transactions", ())]
            found.append(await self._proven(header, raw, logs, transactions))
        return found

    async def receipts(self, block: Block) -> Block:
        """The block with its logs as its receipts have them, which must make up the whole bloom.

        :raises IncompleteLogsError: they do not.
        """
        return Block(
            block.header, await self._from_receipts(block.header, list(block.transactions)), block.transactions
        )

    async def chunk(self, first: int, last: int, before: Header | None) -> Chunk:
        """All logs of a range of blocks so old that they do not change any more.

        :param before: the block taken before, which must still be there.
        :raises HeadMovedError: it is not, or the range does not end in a block.
        :raises RpcError: the node does not like the range.
        """
        requests: list[Request] = [
            ("eth_getLogs", [{"address": self._addresses, "fromBlock": hex(first), "toBlock": hex(last)}]),
            ("eth_getBlockByNumber", [hex(last), False]),
        ]
        if before is not None:
            requests.append(("eth_getBlockByNumber", [hex(before.number), False]))
        answers = await self._client.batch(requests)
        for answer in answers:
            if isinstance(answer, RpcError):
                raise answer
        logs, header = answers[0], self._header(answers[1], last)
        if before is not None and self._header(answers[2], before.number).hash != before.hash:
            raise HeadMovedError(f"block {before.number} is another one now")
        self._check_range(logs, first, header)
        return Chunk(header, logs)

    def _header(self, raw: Any, number: int) -> Header:
        if isinstance(raw, RpcError):
            raise HeadMovedError(f"the node does not tell block {number}: {raw.message}")
        if raw is None:
            raise HeadMovedError(f"the node does not have block {number}")
        header = Header.of(raw)
        if header.number != number:
            raise self._refused(f"block {number} was asked for, block {header.number} came")
        return header

    async def _proven(self, header: Header, raw: Mapping[str, Any], logs: Any, transactions: Sequence[str]) -> Block:
        told = Header.of(raw)
        if told != header:
            # A head may come from a notification: what the block itself says must be the same.
            raise self._refused(f"block {header.number} {header.hash} is told in two ways")
        if not isinstance(logs, RpcError):
            self._check_block(logs, header)
        if isinstance(logs, RpcError) or self._missing(header, logs):
            # Left out, or more than the node gives at once.
            self.proofs.doubted += 1
            complete = await self._from_receipts(header, transactions)
            if isinstance(logs, RpcError) or len(complete) != len(logs):
                self.proofs.repaired += 1
            logs = complete
        return Block(header, logs, frozenset(transactions))

    async def _from_receipts(self, header: Header, transactions: Sequence[str]) -> list[RawLog]:
        """The logs of our contracts in a block's receipts, whose logs together make up the bloom."""
        try:
            receipts = await self._client.request("eth_getBlockReceipts", [header.hash])
        except RpcError:
            receipts = await self._client.batch([("eth_getTransactionReceipt", [one]) for one in transactions])
        if not isinstance(receipts, list) or not all(isinstance(one, dict) for one in receipts):
            raise IncompleteLogsError(f"the receipts of block {header.number} are not to be had")
        receipts.sort(key=lambda receipt: int(receipt["transactionIndex"], 16))
        if any(receipt["blockHash"].lower() != header.hash for receipt in receipts):
            raise HeadMovedError(f"receipts of block {header.number} are of another block now")
        logs = [log for receipt in receipts for log in receipt["logs"]]
        bloom = 0
        for log in logs:
            bloom |= bloom_of([bytes.fromhex(item[2:]) for item in (log["address"], *log["topics"])])
        if bloom != int.from_bytes(header.logs_bloom, "big"):
            raise self._refused(
                f"the receipts of block {header.number} are not those of its bloom", IncompleteLogsError
            )
        ours = [log for log in logs if log["address"].lower() in self._wanted]
        self._check_block(ours, header)
        return ours

    def _missing(self, header: Header, logs: Sequence[RawLog]) -> bool:
        """Whether the bloom speaks of something that is not among the logs."""
        bloom = int.from_bytes(header.logs_bloom, "big")
        if logs and bloom.bit_count() > FULL_BLOOM:
            return False
        seen = {(log["address"].lower(), log["topics"][0]) for log in logs}
        for address, topics in self._topics.items():
            if not bloom_has(bloom, address):
                continue
            text = "0x" + address.hex()
            found = {bytes.fromhex(topic[2:]) for where, topic in seen if where == text}
            if not found or any(topic not in found and bloom_has(bloom, topic) for topic in topics):
                return True
        return False

    def _check_block(self, logs: Any, header: Header) -> None:
        """Logs must be of this block, in order, and in its bloom."""
        bloom = int.from_bytes(header.logs_bloom, "big")
        blind = bloom.bit_count() > BLIND_BLOOM
        there: dict[str, bool] = {}
        last = -1
        for log in self._list(logs):
            try:
                index, removed = int(log["logIndex"], 16), log.get("removed", False)
                of_block = log["blockHash"].lower() == header.hash
                topics = log["topics"]
                for item in (log["address"], *(topics[:1] if blind else topics)):
                    if item not in there:
                        there[item] = bloom_has(bloom, bytes.fromhex(item[2:]))
                    if not there[item]:
                        raise self._refused(f"log {index} is not in the bloom of block {header.number}")
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                raise self._refused(f"a log of block {header.number} is malformed: {error!r}") from None
            if removed or not of_block or index <= last:
                raise self._refused(f"log {index} is not of block {header.number} {header.hash}, or out of order")
            last = index

    def _check_range(self, logs: Any, first: int, end: Header) -> None:
        """Logs must lie in the range, in order, each block of one hash."""
        last, digest = (first, -1), ""
        for log in self._list(logs):
            try:
                place = int(log["blockNumber"], 16), int(log["logIndex"], 16)
                now = log["blockHash"].lower()
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                raise self._refused(f"a log of blocks {first} to {end.number} is malformed: {error!r}") from None
            same = place[0] == last[0] and last[1] >= 0
            wrong = place <= last or place[0] > end.number or (same and now != digest)
            if wrong or (place[0] == end.number and now != end.hash) or log.get("removed", False):
                raise self._refused(f"log {place[1]} of block {place[0]} does not fit into {first} to {end.number}")
            last, digest = place, now

    def _list(self, logs: Any) -> Sequence[RawLog]:
        if not isinstance(logs, list):
            raise self._refused("the node's answer is no list of logs")
        return logs

    def _refused(self, text: str, kind: type[BadAnswerError] = BadAnswerError) -> BadAnswerError:
        self.proofs.refused += 1
        return kind(text)
