"""A chain in memory with one pool by geth's rules, so that histories of a thousand steps are cheap."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from plimsoll.chain.errors import NodeUnavailable, RpcError
from plimsoll.keeper.node.headers import Header
from plimsoll.keeper.sending.fees import Fees
from plimsoll.keeper.sending.ports import Signed

__all__ = ["GWEI", "PretendChain", "PretendSigner", "Raw"]

GWEI = 10**9
GAS_LIMIT = 30_000_000
BALANCE = 10**24


@dataclass(frozen=True, slots=True)
class Raw:
    """A transaction. `data` is what it does; empty cancels."""

    sender: str
    nonce: int
    fees: Fees
    gas: int
    data: str
    hash: str

    @classmethod
    def of(cls, raw: bytes) -> Raw:
        sender, nonce, cap, tip, gas, data = json.loads(raw)
        return cls(sender, nonce, Fees(cap, tip), gas, data, _digest(raw))


class PretendSigner:
    """Signs with JSON."""

    def __init__(self, address: str) -> None:
        self.address = address

    async def sign(self, nonce: int, fees: Fees, gas: int, to: str, data: bytes, value_wei: int) -> Signed:
        raw = json.dumps([self.address, nonce, fees.max_fee, fees.tip, gas, data.hex()]).encode()
        return Signed(raw, _digest(raw))


@dataclass(slots=True)
class Block:
    header: Header
    mined: list[tuple[Raw, bool]]
    """Transactions and whether they succeeded."""


@dataclass(slots=True)
class PretendChain:
    """Node, pool and miner. Each piece of data can be acted upon once; a second time reverts."""

    received: Callable[[Raw], None] = lambda _: None
    """Is told each raw transaction that arrives."""
    base_fee: int = GWEI
    faults: list[str] = field(default_factory=list)
    """What becomes of the next raw transactions: `drop`, `lose`, `silent`, or words of a refusal; empty takes it."""
    pool: dict[tuple[str, int], Raw] = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=list)
    underpriced: int = 0
    """How often the pool's rule refused a replacement."""
    _made: int = 0

    def __post_init__(self) -> None:
        self.mine(False)

    @property
    def head(self) -> Header:
        return self.blocks[-1].header

    def nonce(self, sender: str, blocks: int | None = None) -> int:
        """Of a sender after so many blocks; None: all."""
        return sum(raw.sender == sender for block in self.blocks[:blocks] for raw, _ in block.mined)

    def successes(self) -> list[str]:
        """What was acted upon, with repetitions if there were any."""
        return [raw.data for block in self.blocks for raw, ok in block.mined if ok and raw.data]

    def mine(self, takes: bool = True) -> Header:
        """A block with whatever of the pool can pay for it, or an empty one."""
        self._made += 1
        parent = self.blocks[-1].header.hash if self.blocks else "0x" + "00" * 32
        number = len(self.blocks)
        digest = _digest(f"{parent}{self._made}".encode())
        header = Header(
            number, digest, parent, 1_750_000_000 + 12 * number, self.base_fee, GAS_LIMIT // 2, GAS_LIMIT, b""
        )
        block = Block(header, [])
        self.blocks.append(block)
        done = set(self.successes())
        for sender in sorted({who for who, _ in self.pool}) if takes else []:
            nonce = self.nonce(sender)
            while (raw := self.pool.get((sender, nonce))) is not None and raw.fees.can_land(self.base_fee):
                del self.pool[sender, nonce]
                block.mined.append((raw, raw.data not in done))
                done |= {raw.data} - {""}
                nonce += 1
        self._clean()
        return header

    def reorg(self, depth: int, put_back: bool) -> int:
        """Takes blocks back; returns the number of the block that is the head then."""
        for _ in range(depth):
            for raw, _ in self.blocks.pop().mined:
                if put_back:
                    self.pool.setdefault((raw.sender, raw.nonce), raw)
        return self.head.number

    def _clean(self) -> None:
        for sender, nonce in [key for key in self.pool if key[1] < self.nonce(key[0])]:
            del self.pool[sender, nonce]

    # ── as a node ──────────────────────────────────────────────────────────

    async def request(self, method: str, params: Sequence[Any] = ()) -> Any:
        answer = self._answer(method, list(params))
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def batch(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        return [self._answer(method, list(params)) for method, params in calls]

    def _answer(self, method: str, params: list[Any]) -> Any:
        if method == "eth_sendRawTransaction":
            return self._send(Raw.of(bytes.fromhex(params[0][2:])))
        if method == "eth_maxPriorityFeePerGas":
            return hex(GWEI)
        if method == "eth_getBalance":
            return hex(BALANCE)
        if method == "eth_getTransactionCount":
            return self._count(*params)
        if method == "eth_getTransactionReceipt":
            return self._receipt(params[0])
        assert method == "eth_call", method
        return "0x"

    def _count(self, sender: str, at: Any) -> Any:
        if isinstance(at, dict):
            known = [place for place, block in enumerate(self.blocks) if block.header.hash == at["blockHash"]]
            return hex(self.nonce(sender, known[0] + 1)) if known else RpcError(-32000, "unknown block")
        nonce = self.nonce(sender)
        while at == "pending" and (sender, nonce) in self.pool:
            nonce += 1
        return hex(nonce)

    def _receipt(self, digest: str) -> Any:
        for block in self.blocks:
            for raw, ok in block.mined:
                if raw.hash == digest:
                    return {
                        "transactionHash": digest,
                        "blockNumber": hex(block.header.number),
                        "blockHash": block.header.hash,
                        "status": hex(ok),
                        "gasUsed": hex(min(raw.gas, 50_000)),
                        "effectiveGasPrice": hex(raw.fees.price(block.header.base_fee)),
                    }
        return None

    def _send(self, raw: Raw) -> Any:
        self.received(raw)
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "silent":
            return NodeUnavailable("pretend", "nobody there", "wait")
        if fault not in ("", "drop", "lose"):
            return RpcError(-32000, fault)
        if raw.nonce < self.nonce(raw.sender):
            return RpcError(-32000, "nonce too low")
        old = self.pool.get((raw.sender, raw.nonce))
        if old is not None and old.hash == raw.hash:
            return RpcError(-32000, "already known")
        if old is not None and not raw.fees.replaces(old.fees):
            self.underpriced += 1
            return RpcError(-32000, "replacement transaction underpriced")
        if fault != "drop":
            self.pool[raw.sender, raw.nonce] = raw
        if fault == "lose":
            return NodeUnavailable("pretend", "the answer was lost", "wait", sent=True)
        return raw.hash


def _digest(data: bytes) -> str:
    return "0x" + sha256(data).hexdigest()
