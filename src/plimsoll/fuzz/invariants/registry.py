"""Where invariants are kept by id, and how they are run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from plimsoll.fuzz.session import Step
from plimsoll.model.engine.actions import Result
from plimsoll.model.engine.state import State

__all__ = ["DEEP", "INVARIANTS", "Transition", "after_each", "check", "deep", "now_and_then"]


@dataclass(frozen=True, slots=True)
class Transition:
    """One action: the states before and after it, and what it gave."""

    before: State
    after: State
    step: Step
    result: Result

    @property
    def name(self) -> str:
        """Name of the action."""
        return self.step.action.name

    @property
    def done(self) -> bool:
        """Whether it was not refused."""
        return self.result.refusal is None


Check = Callable[[Transition], Iterator[str]]
INVARIANTS: dict[str, Check] = {}
"""By id: what is checked after every action."""
DEEP: dict[str, Check] = {}
"""By id: what is checked now and then."""


def after_each(*ids: str) -> Callable[[Check], Check]:
    def register(check_: Check) -> Check:
        for one in ids:
            INVARIANTS[one] = check_
        return check_

    return register


def now_and_then(*ids: str) -> Callable[[Check], Check]:
    def register(check_: Check) -> Check:
        for one in ids:
            DEEP[one] = check_
        return check_

    return register


def check(t: Transition) -> list[str]:
    """Every violation that the action shows, each with its id."""
    return _run(INVARIANTS, t)


def deep(t: Transition) -> list[str]:
    """Violations that only a valuation of all accounts shows."""
    return _run(DEEP, t)


def _run(checks: Mapping[str, Check], t: Transition) -> list[str]:
    found: list[str] = []
    for run in dict.fromkeys(checks.values()):
        for problem in run(t):
            ids = ", ".join(one for one, other in checks.items() if other is run)
            found.append(f"{ids}: {problem}")
    return found
