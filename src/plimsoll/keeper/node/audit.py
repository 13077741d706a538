"""Compares rows with the chain's storage, word by word, at the hash of one block.

Rows of configuration are left out: their words are packed from what the events tell; `plimsoll verify` compares them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from plimsoll.chain.abi import FunctionAbi
from plimsoll.chain.artifacts import Artifact
from plimsoll.chain.errors import RpcError
from plimsoll.deploy.storage import StorageSlots
from plimsoll.keeper.node.errors import BadAnswerError, HeadMovedError
from plimsoll.keeper.node.headers import Header
from plimsoll.keeper.node.rpc import Client
from plimsoll.keeper.rows import Kind, collateral_key, position_key

__all__ = ["Auditor", "Difference", "Lookup"]

Lookup: TypeAlias = Callable[[int, bytes], bytes | None]
"""The value of a row by kind and key; None if there is none."""
WORDS_PER_CALL = 2_000
ZERO = bytes(32)
MARKETS = 56
COLLATERALS = 16
Path: TypeAlias = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """A word that is not what the row says. Words are 32 bytes."""

    kind: Kind
    key: bytes
    part: str
    ours: bytes
    theirs: bytes

    def __str__(self) -> str:
        name = f"{self.kind.name.lower()} {self.key.hex()} {self.part}"
        return f"{name}: 0x{self.ours.hex()} kept, 0x{self.theirs.hex()} on chain"


class Auditor:
    """Audits rows of one deployment.

    :param address: of the Clearinghouse.
    :param artifact: of the Clearinghouse as compiled.
    """

    def __init__(self, client: Client, address: str, artifact: Artifact) -> None:
        self._client = client
        self._address = address
        self._slots = StorageSlots(artifact)
        self._load = FunctionAbi.of(next(item for item in artifact.abi if item.get("name") == "load"))
        self.words = 0
        """Words compared since the start."""

    async def rows(self, rows: Iterable[tuple[int, bytes, bytes]], header: Header) -> list[Difference]:
        """What differs from storage at a block: all kinds but configuration, orders and share tokens.

        :raises HeadMovedError: the block is not to be had any more.
        :raises BadAnswerError: the answer is of another length than the question.
        """
        wanted: list[tuple[Kind, bytes, str, bytes, int]] = []
        for number, key, value in rows:
            kind = Kind(number)
            paths = _PATHS.get(kind)
            if paths is None:
                continue
            for i, path in enumerate(paths(key)):
                word = value[32 * i : 32 * i + 32]
                wanted.append((kind, key, str(path[-1]), word, self._slots.at(*path)))
        words = await self._words([slot for *_, slot in wanted], header)
        self.words += len(words)
        return [
            Difference(kind, key, part, ours, theirs)
            for (kind, key, part, ours, _), theirs in zip(wanted, words, strict=True)
            if ours != theirs
        ]

    async def accounts(self, accounts: Sequence[bytes], lookup: Lookup, header: Header) -> list[Difference]:
        """What differs of these accounts: their words, sales, all positions and balances, also those that we lack.

        :raises HeadMovedError: the block is not to be had any more.
        """
        rows: list[tuple[int, bytes, bytes]] = []
        theirs = await self._words([self._slots.at("accounts_", account) for account in accounts], header)
        for account, word in zip(accounts, theirs, strict=True):
            ours = lookup(Kind.ACCOUNT, account) or ZERO
            rows.append((Kind.ACCOUNT, account, ours))
            rows.append((Kind.SALE, account, lookup(Kind.SALE, account) or ZERO))
            held = int.from_bytes(ours, "big") | int.from_bytes(word, "big")
            for index in _bits(held >> 112, MARKETS):
                key = position_key(account, index)
                rows.append((Kind.POSITION, key, lookup(Kind.POSITION, key) or ZERO))
            for index in _bits(held >> 168, COLLATERALS):
                key = collateral_key(account, index)
                rows.append((Kind.COLLATERAL, key, lookup(Kind.COLLATERAL, key) or ZERO))
        return await self.rows(rows, header)

    async def _words(self, slots: Sequence[int], header: Header) -> list[bytes]:
        """Words of the Clearinghouse's storage at a block."""
        requests = []
        for start in range(0, len(slots), WORDS_PER_CALL):
            part = [slot.to_bytes(32, "big") for slot in slots[start : start + WORDS_PER_CALL]]
            call = {"to": self._address, "data": self._load.encode([part])}
            requests.append(("eth_call", [call, {"blockHash": header.hash}]))
        words: list[bytes] = []
        for answer in await self._client.batch(requests):
            if isinstance(answer, RpcError):
                raise HeadMovedError(f"storage at block {header.number} is not to be had: {answer.message}")
            words += self._load.decode(bytes.fromhex(answer[2:]))
        if len(words) != len(slots):
            raise BadAnswerError(f"{len(slots)} words were asked for, {len(words)} came")
        return words


def _bits(bitmap: int, width: int) -> list[int]:
    return [bit for bit in range(width) if bitmap >> bit & 1]


def _market(key: bytes) -> int:
    return int.from_bytes(key[:3], "big")


def _pool(key: bytes) -> int:
    return int.from_bytes(key[:2], "big")


def _in_market(*parts: str) -> Callable[[bytes], list[Path]]:
    return lambda key: [("markets_", _market(key), part) for part in parts]


def _in_pool(*parts: str) -> Callable[[bytes], list[Path]]:
    return lambda key: [("pools_", _pool(key), part) for part in parts]


def _of_side(variable: str) -> Callable[[bytes], list[Path]]:
    return lambda key: [(variable, _market(key), key[3], int.from_bytes(key[4:], "big"))]


_PATHS: dict[Kind, Callable[[bytes], list[Path]]] = {
    Kind.ACCOUNT: lambda key: [("accounts_", key)],
    Kind.POSITION: lambda key: [("positions_", key[:32], key[32])],
    Kind.COLLATERAL: lambda key: [("collateral_", key[:32], key[32])],
    Kind.SALE: lambda key: [("saleStart_", key)],
    Kind.MARKET: _in_market("funding", "sides", "longEntrySum", "shortEntrySum"),
    Kind.OPEN_SUMS: _in_market("longOpenEntrySum", "shortOpenEntrySum", "owed"),
    Kind.SIDE_EVENT: _of_side("events_"),
    Kind.EPOCH_END: _of_side("epochEnds_"),
    Kind.POOL: _in_pool("money", "dues"),
    Kind.DEBT: _in_pool("debt"),
    Kind.CLAIM: lambda key: [("claims_", _pool(key), "0x" + key[2:22].hex(), "0x" + key[22:42].hex())],
}
"""Where the words of a row are stored, in the order of its value."""
