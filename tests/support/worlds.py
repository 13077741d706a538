"""Worlds that are fuzzed: one for each number of decimals of the settlement asset, each with tokens of its own kind."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

from plimsoll.fuzz.prepare import Setting
from plimsoll.fuzz.session import Session
from plimsoll.fuzz.world import Backend, World

__all__ = ["DECIMALS", "SETTINGS", "close_sessions", "examples", "session_of"]

SETTINGS = {
    2: Setting(
        settlement_decimals=2,
        secondary=True,
        sequencer=True,
        token_contracts={"USDC": "FeeOnTransferToken", "WBTC": "FeeOnTransferToken"},
    ),
    6: Setting(
        settlement_decimals=6,
        secondary=True,
        sequencer=True,
        token_contracts={"USDC": "BlacklistToken", "WETH": "BlacklistToken"},
    ),
    8: Setting(
        settlement_decimals=8,
        secondary=True,
        sequencer=True,
        token_contracts={"USDC": "LyingToken", "WETH": "LyingToken"},
    ),
    18: Setting(
        settlement_decimals=18,
        secondary=True,
        sequencer=True,
        token_contracts={"USDC": "HookToken", "WBTC": "HookToken"},
    ),
}
"""By decimals. In the worlds of 2, 6 and 8 tokens misbehave, in that of 18 they call back."""
DECIMALS = tuple(SETTINGS)
DEEPER = 50
"""How many more examples `deep` has."""


_sessions: dict[tuple[int, Backend], Session] = {}


def session_of(decimals: int, backend: Backend = "revm") -> Session:
    """The session of a world, made once; whoever uses it leaves it as it was."""
    key = decimals, backend
    if key not in _sessions:
        _sessions[key] = Session(World.open(SETTINGS[decimals], backend))
    return _sessions[key]


def close_sessions() -> None:
    """Ends every world that was opened."""
    while _sessions:
        _sessions.popitem()[1].world.close()


def examples(count: int, steps: int = 50) -> settings:
    """Settings for so many examples, and so many steps of a machine, under the profile `ci`."""
    deep = os.environ.get("HYPOTHESIS_PROFILE", "ci") == "deep"
    return settings(
        max_examples=count * DEEPER if deep else count,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
