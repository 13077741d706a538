"""Which raw transactions a node like geth would take into its pool, and with which words it would refuse the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from eth_account import Account
from eth_utils.crypto import keccak

__all__ = ["ALREADY_KNOWN", "NONCE_TOO_LOW", "UNDERPRICED", "Mempool", "PooledTransaction"]

ALREADY_KNOWN = "already known"
NONCE_TOO_LOW = "nonce too low"
UNDERPRICED = "replacement transaction underpriced"
PRICE_BUMP_PERCENT = 10


@dataclass(frozen=True, slots=True)
class PooledTransaction:
    """A signed transaction: fees per gas in wei, `raw` and `hash` as hex text."""

    hash: str
    sender: str
    nonce: int
    max_fee: int
    tip: int
    gas: int
    to: str | None
    data: str
    value: int
    raw: str

    @classmethod
    def of(cls, raw: str) -> PooledTransaction:
        """Decodes a raw transaction, of the legacy kind or of EIP-1559."""
        data = bytes.fromhex(raw[2:])
        sender = str(Account.recover_transaction(raw)).lower()
        fields, _ = _rlp(data, 0 if data[0] >= 0xC0 else 1)
        if data[0] >= 0xC0:
            nonce, price, gas, to, value, call = fields[:6]
            tip = price
        else:
            assert data[0] == 2, f"transactions of type {data[0]} are not known here"
            nonce, tip, price, gas, to, value, call = fields[1:8]
        number = int.from_bytes
        return cls(
            "0x" + keccak(data).hex(),
            sender,
            number(nonce, "big"),
            number(price, "big"),
            number(tip, "big"),
            number(gas, "big"),
            "0x" + to.hex() if to else None,
            "0x" + call.hex(),
            number(value, "big"),
            raw,
        )

    def json(self) -> dict[str, Any]:
        """As a node tells a transaction that waits."""
        return {
            "hash": self.hash,
            "from": self.sender,
            "nonce": hex(self.nonce),
            "maxFeePerGas": hex(self.max_fee),
            "maxPriorityFeePerGas": hex(self.tip),
            "gas": hex(self.gas),
            "to": self.to,
            "input": self.data,
            "value": hex(self.value),
            "type": "0x2",
            "blockHash": None,
            "blockNumber": None,
            "transactionIndex": None,
        }


class Mempool:
    """What waits, by sender and nonce."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, int], PooledTransaction] = {}

    def refusal(self, transaction: PooledTransaction, next_nonce: int) -> str | None:
        """Why the transaction is not taken, in geth's words; None takes it.

        :param next_nonce: of the sender, after all blocks.
        """
        self.mined_below(transaction.sender, next_nonce)
        if transaction.nonce < next_nonce:
            return f"{NONCE_TOO_LOW}: next nonce {next_nonce}, tx nonce {transaction.nonce}"
        key = (transaction.sender, transaction.nonce)
        old = self._waiting.get(key)
        if old is not None:
            if old.hash == transaction.hash:
                return ALREADY_KNOWN
            least = 100 + PRICE_BUMP_PERCENT
            if transaction.max_fee * 100 < old.max_fee * least or transaction.tip * 100 < old.tip * least:
                return UNDERPRICED
        self._waiting[key] = transaction
        return None

    def mined_below(self, sender: str, next_nonce: int) -> None:
        """Forgets what has been mined."""
        for key in [key for key in self._waiting if key[0] == sender and key[1] < next_nonce]:
            del self._waiting[key]

    def forget(self, transaction: PooledTransaction) -> None:
        """Drops a transaction, if it still waits."""
        key = (transaction.sender, transaction.nonce)
        if self._waiting.get(key) == transaction:
            del self._waiting[key]

    def clear(self) -> None:
        """Drops everything, as a node does that restarts."""
        self._waiting.clear()

    def waiting(self, sender: str) -> list[PooledTransaction]:
        """What waits of one sender, by nonce."""
        found = [one for (who, _), one in self._waiting.items() if who == sender.lower()]
        return sorted(found, key=lambda one: one.nonce)

    def by_hash(self, digest: str) -> PooledTransaction | None:
        """The transaction of that hash, if it waits."""
        return next((one for one in self._waiting.values() if one.hash == digest.lower()), None)


def _rlp(data: bytes, at: int) -> tuple[Any, int]:
    """The item that begins at a byte (bytes, or a list of items), and where the next one does."""
    first = data[at]
    if first < 0x80:
        return data[at : at + 1], at + 1
    base = 0x80 if first < 0xC0 else 0xC0
    length, start = first - base, at + 1
    if length > 55:
        start += length - 55
        length = int.from_bytes(data[at + 1 : start], "big")
    end = start + length
    if base == 0x80:
        return data[start:end], end
    items = []
    while start < end:
        item, start = _rlp(data, start)
        items.append(item)
    return items, end
