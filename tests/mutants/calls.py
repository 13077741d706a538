"""Calls of a harness in process, and what must come back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from eth_utils.crypto import keccak

__all__ = ["Call", "call", "refusal", "words"]


@dataclass(frozen=True, slots=True)
class Call:
    """Call data and what comes back: the words that are returned, or, `refused`, the error."""

    data: bytes
    answer: bytes
    refused: bool = False


def call(signature: str, *args: int) -> bytes:
    """Call data."""
    return keccak(text=signature)[:4] + words(*args)


def refusal(data: bytes, error: str, *args: int) -> Call:
    """A call that must end with an error."""
    return Call(data, call(error, *args), refused=True)


def words(*values: Any) -> bytes:
    """Values of one word each, one after the other."""
    return b"".join((int(value) % 2**256).to_bytes(32, "big") for value in values)
