"""Sources of prices as the OracleHub sees them: what it knows of an asset, and what a feed would answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

__all__ = ["CHAINLINK", "FIXED", "PYTH", "Asset", "Feed", "Hint", "PythHint", "PythPrice", "Round", "Sequencer"]

CHAINLINK = 1
PYTH = 2
FIXED = 3
NO_MAX = 2**128 - 1


@dataclass(frozen=True, slots=True)
class Round:
    """One round of a Chainlink-style feed; `answered_in` is the round it was answered in (stale when earlier)."""

    answer: int
    updated_at: int
    answered_in: int


@dataclass(frozen=True, slots=True)
class PythPrice:
    """A raw Pyth price: price·10^expo ± conf·10^expo."""

    price: int
    conf: int
    expo: int
    publish_time: int


@dataclass(frozen=True, slots=True)
class PythHint:
    """A signed Pyth update as a keeper shows it.

    `price` is None when the update is malformed or of another asset; `previous_time` is the publish time of the
    price before it; `fee` is what Pyth asks for it, wei. `stores`: whether Pyth keeps a newer price that it is
    shown, for later reads; real Pyth does not, the SDK's mock does.
    """

    price: PythPrice | None
    previous_time: int = 0
    fee: int = 0
    stores: bool = False


Hint: TypeAlias = "int | tuple[int, int] | PythHint | None"
"""What leads to the first price at or after a time. Pyth: a `PythHint`. Chainlink: None or 0 for the newest round (an
empty hint), a round id (32 bytes), or a round id with the claimed last round of the phase before it (64 bytes); (0, 0)
stands for bytes of another length."""


@dataclass(frozen=True, slots=True)
class Feed:
    """A Chainlink-style feed: every round by its id `phase << 64 | n`, the newest one, and whether it answers at all.

    `phase` is the proxy's present phase; None for an aggregator without a proxy, whose round ids have phase 0.
    """

    decimals: int = 8
    rounds: Mapping[int, Round] = field(default_factory=dict)
    latest: int = 0
    answers: bool = True
    phase: int | None = None


@dataclass(frozen=True, slots=True)
class Asset:
    """Configuration of an asset of the hub; what was read from its feeds at listing included."""

    kind: int = CHAINLINK
    feed: int = 0
    decimals: int = 8
    max_age: int = 0
    band_ppm: int = 0
    tau: int = 3600
    max_uncertainty_ppm: int = 0
    least: int = 0
    """answers at or below are invalid"""
    largest: int = NO_MAX
    """answers at or above are invalid"""
    fixed_price: int = 0
    secondary: int = 0
    """address of the secondary feed; 0 for none"""
    secondary_decimals: int = 8
    secondary_max_age: int = 0
    max_deviation_ppm: int = 0
    deviation_timeout: int = 0
    bound_base_ppm: int = 0
    bound_per_hour_ppm: int = 0
    bound_cap_ppm: int = 0
    pyth: PythPrice | None = None
    """what Pyth stores for it"""


@dataclass(frozen=True, slots=True)
class Sequencer:
    """The uptime feed: its address (0 for none), grace, and its answer: whether it answers, is down, since when."""

    feed: int = 0
    grace: int = 0
    answers: bool = True
    down: bool = False
    since: int = 0
