"""Pending orders and the rules of a market's order book, one word each; mirrors `contracts/types/OrderWords.sol`."""

from __future__ import annotations

from dataclasses import dataclass

from plimsoll.model.word import Word, bits
from plimsoll.units import NANO

__all__ = ["OrderWord", "QueueWord", "RulesWord"]

TAG_SHIFT = 72
LOW = 1 << 40
RING = 8


@dataclass(frozen=True, slots=True)
class OrderWord(Word):
    """One pending order: upper bits of the hash of its parameters, and the time from which a price is its price."""

    tag: int = bits(TAG_SHIFT, 184)
    price_time: int = bits(40, 32)

    @staticmethod
    def of(hash_: int, price_time: int) -> OrderWord:
        """The word of the order whose parameters have this hash."""
        return OrderWord(hash_ >> TAG_SHIFT, price_time)

    def is_of(self, hash_: int) -> bool:
        """Whether this is the word of the order with this hash."""
        return self.tag == hash_ >> TAG_SHIFT


@dataclass(frozen=True, slots=True)
class QueueWord(Word):
    """The queue of one account in one market; `head` is the packed word of its first order."""

    head: int = bits(40, 216, scale=LOW)
    last_id: int = bits(0, 32)
    count: int = bits(32, 4)
    first: int = bits(36, 4)

    def place(self, behind: int) -> int:
        """Place in the ring of the order `behind` the head."""
        return (self.first + behind) % RING


@dataclass(frozen=True, slots=True)
class RulesWord(Word):
    """What the order book knows about a market; times in seconds, fee WAD. All zero: takes no orders."""

    asset: int = bits(0, 8)
    settlement_delay: int = bits(8, 16)
    cancel_margin: int = bits(24, 16)
    exec_window: int = bits(40, 16)
    latency: int = bits(56, 16)
    min_keeper_fee: int = bits(72, 64, scale=NANO)
