"""What the blocks say about the transactions under way: nonces and receipts, all at one block hash."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from plimsoll.chain.errors import RpcError
from plimsoll.keeper.errors import HeadMovedError
from plimsoll.keeper.node.headers import Header
from plimsoll.keeper.sending.lanes import Lane, Slot
from plimsoll.keeper.sending.ports import Node

__all__ = ["GWEI", "Found", "Receipt", "State", "find_receipts", "read_state"]

GWEI = 10**9


@dataclass(frozen=True, slots=True)
class State:
    """Of one sender at a block: the next nonce, the balance in wei, and the next nonce with what the pool holds."""

    nonce: int
    balance: int
    pending: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """What is needed of a receipt. `cost` is wei paid for gas, fees of a layer below included."""

    tx_hash: str
    block: int
    block_hash: str
    ok: bool
    gas_used: int
    cost: int

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Receipt:
        """From the node's JSON."""
        used = int(raw["gasUsed"], 16)
        cost = used * int(raw.get("effectiveGasPrice") or "0x0", 16) + int(raw.get("l1Fee") or "0x0", 16)
        return cls(
            raw["transactionHash"].lower(),
            int(raw["blockNumber"], 16),
            raw["blockHash"].lower(),
            int(raw["status"], 16) == 1,
            used,
            cost,
        )


@dataclass(frozen=True, slots=True)
class Found:
    """Which transaction used a nonce; no receipt: none of ours was found."""

    slot: Slot
    receipt: Receipt | None


async def read_state(node: Node, senders: Sequence[str], header: Header) -> tuple[dict[str, State], int]:
    """States of the senders at a block, and the tip that the node proposes (1 gwei where it proposes none).

    :raises HeadMovedError: the node does not answer for the block any more, or not yet.
    """
    at = {"blockHash": header.hash}
    calls: list[tuple[str, Sequence[Any]]] = [("eth_maxPriorityFeePerGas", [])]
    for sender in senders:
        calls += [
            ("eth_getTransactionCount", [sender, at]),
            ("eth_getBalance", [sender, at]),
            ("eth_getTransactionCount", [sender, "pending"]),
        ]
    tip, *answers = await node.batch(calls)
    states = {}
    for place, sender in enumerate(senders):
        own = answers[3 * place : 3 * place + 3]
        for answer in own:
            if isinstance(answer, RpcError):
                raise HeadMovedError(f"block {header.number} cannot be read any more: {answer}") from answer
        states[sender] = State(*(int(answer, 16) for answer in own))
    return states, GWEI if isinstance(tip, RpcError) else int(tip, 16)


async def find_receipts(node: Node, lane: Lane, header: Header, ring: Mapping[int, str]) -> list[Found]:
    """For each open slot whose nonce the chain has used: the receipt of the transaction that did.

    A receipt of a block that is not part of the followed chain counts as none. The node proves that it knows the block
    by telling its nonce again.

    :raises RpcError: the node does not know the block.
    """
    used = [slot for slot in lane.open if slot.nonce < lane.nonce]
    hashes = [attempt.tx_hash for slot in used for attempt in slot.attempts]
    if not hashes:
        return []
    calls: list[tuple[str, Sequence[Any]]] = [("eth_getTransactionCount", [lane.sender, {"blockHash": header.hash}])]
    calls += [("eth_getTransactionReceipt", [tx_hash]) for tx_hash in hashes]
    count, *answers = await node.batch(calls)
    if isinstance(count, RpcError):
        raise count
    receipts = {}
    for tx_hash, answer in zip(hashes, answers, strict=True):
        if isinstance(answer, RpcError):
            raise answer
        if answer is None:
            continue
        receipt = Receipt.of(answer)
        if receipt.block <= header.number and ring.get(receipt.block, receipt.block_hash) == receipt.block_hash:
            receipts[tx_hash] = receipt
    found = []
    for slot in used:
        mined = [receipts[attempt.tx_hash] for attempt in slot.attempts if attempt.tx_hash in receipts]
        found.append(Found(slot, mined[0] if mined else None))
    return found
