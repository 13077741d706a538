"""Kinds of faults that a proxy can be told to have."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

__all__ = ["Sends", "TransportFaults", "WebSocketFaults"]


class Sends(Enum):
    """What becomes of raw transactions."""

    PASS = "pass"
    """They reach the node."""
    HOLD = "hold"
    """They wait in the proxy's pool, known by hash and nonce, until `release`."""
    DROP = "drop"
    """They are taken, and forgotten at once."""


@dataclass(slots=True)
class TransportFaults:
    """Shares of all documents (0 to 1) that fail, each in one way."""

    timeout: float = 0.0
    rate_limited: float = 0.0
    server_error: float = 0.0
    cut: float = 0.0
    methods: frozenset[str] | None = None
    """Only documents with one of these methods fail; None: all."""

    @classmethod
    def all_kinds(cls, share: float) -> TransportFaults:
        """Every kind equally, `share` in sum."""
        return cls(*(share / 4,) * 4)


@dataclass(slots=True)
class WebSocketFaults:
    """How WebSockets behave."""

    refuse: bool = False
    """New connections get a 503."""
    black_hole: bool = False
    """Nothing passes any more, in neither direction, pings included."""
