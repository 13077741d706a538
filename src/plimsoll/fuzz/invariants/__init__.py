"""The invariants of `docs/invariants.md` that one state, or one action, can show; by id.

They read model states, which equal the chain's word by word. `check` gives one line per violation. Identities are
checked after every action on what it touched; what needs a valuation of all accounts (`deep`) is checked now and then.
"""

from plimsoll.fuzz.invariants import closing, conduct, leveraging, sums, valuation
from plimsoll.fuzz.invariants.registry import DEEP, INVARIANTS, Transition, check, deep
from plimsoll.fuzz.invariants.sums import ledger_identities

__all__ = [
    "DEEP",
    "INVARIANTS",
    "Transition",
    "check",
    "closing",
    "conduct",
    "deep",
    "ledger_identities",
    "leveraging",
    "sums",
    "valuation",
]
