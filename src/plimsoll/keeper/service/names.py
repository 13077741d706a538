"""Names of things acted on: keys of decisions as text that goes through journal and restart unharmed, and back."""

from __future__ import annotations

import json
from collections.abc import Iterable
from hashlib import sha256

from plimsoll.keeper.actions import Key
from plimsoll.keeper.log import show_account

__all__ = ["digest", "key_of", "name_of", "show_key"]

BYTES = "0x"
ACCOUNT_DIGITS = 66


def name_of(key: Key) -> str:
    """A key as text."""
    return json.dumps([BYTES + part.hex() if isinstance(part, bytes) else part for part in key], separators=(",", ":"))


def key_of(name: str) -> Key:
    """The key that a text stands for: accounts are the only bytes."""
    parts = json.loads(name)
    return tuple(
        bytes.fromhex(part[2:]) if isinstance(part, str) and part[:2] == BYTES and len(part) == ACCOUNT_DIGITS else part
        for part in parts
    )


def digest(parts: Iterable[str]) -> str:
    """A short name for many."""
    return sha256("\n".join(sorted(parts)).encode()).hexdigest()[:16]


def show_key(key: Key) -> str:
    """A key for people."""
    return " ".join(show_account(part) if isinstance(part, bytes) else str(part) for part in key)
