"""Headers of blocks, the base fee that must follow one, and what the bloom of one says about its logs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from eth_utils.crypto import keccak

from plimsoll.keeper.node.errors import BadAnswerError

__all__ = ["DENOMINATOR", "ELASTICITY", "Header", "bloom_bits", "bloom_has", "bloom_of", "next_base_fee"]

ELASTICITY = 2
"""Gas limit over gas target, as on Ethereum."""
DENOMINATOR = 8
"""The base fee moves by at most one part of that many per block, as on Ethereum."""
BLOOM_BYTES = 256


@dataclass(frozen=True, slots=True)
class Header:
    """What is kept of a block: hashes as 0x and 64 lower-case digits, time in unix seconds, base fee in wei, gas units.

    `base_fee` is 0 on a chain without one.
    """

    number: int
    hash: str
    parent: str
    time: int
    base_fee: int
    gas_used: int
    gas_limit: int
    logs_bloom: bytes

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Header:
        """From the node's JSON, of a block or of a `newHeads` notification.

        :raises BadAnswerError: a field is missing or malformed.
        """
        try:
            bloom = bytes.fromhex(raw["logsBloom"][2:])
            if len(bloom) != BLOOM_BYTES or len(raw["hash"]) != 66 or len(raw["parentHash"]) != 66:
                raise ValueError("a hash or the bloom has the wrong length")
            return cls(
                int(raw["number"], 16),
                raw["hash"].lower(),
                raw["parentHash"].lower(),
                int(raw["timestamp"], 16),
                int(raw.get("baseFeePerGas") or "0x0", 16),
                int(raw["gasUsed"], 16),
                int(raw["gasLimit"], 16),
                bloom,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise BadAnswerError(f"the node's answer is no header of a block: {error!r}") from None


def next_base_fee(header: Header, elasticity: int = ELASTICITY, denominator: int = DENOMINATOR) -> int:
    """Base fee of the block after this one, wei, exactly as EIP-1559 fixes it.

    Chains with other rules give their elasticity and denominator.
    """
    target = header.gas_limit // elasticity
    base, used = header.base_fee, header.gas_used
    if target == 0 or used == target:
        return base
    if used > target:
        return base + max(base * (used - target) // target // denominator, 1)
    return base - base * (target - used) // target // denominator


@lru_cache(maxsize=65536)
def bloom_bits(item: bytes) -> int:
    """The three bits that an address (20 bytes) or a topic (32 bytes) sets in a bloom, as a number."""
    digest = keccak(item)
    bits = 0
    for at in (0, 2, 4):
        bits |= 1 << (int.from_bytes(digest[at : at + 2], "big") & 0x7FF)
    return bits


def bloom_of(items: Iterable[bytes]) -> int:
    """The bloom of addresses and topics, as a number."""
    bloom = 0
    for item in items:
        bloom |= bloom_bits(item)
    return bloom


def bloom_has(bloom: int, item: bytes) -> bool:
    """False if nothing with that address or topic was logged; true if something was, or by chance."""
    bits = bloom_bits(item)
    return bloom & bits == bits
