"""Invariants without the model's word for it: they are checked on what the chain's storage says after every action.

The model still decodes examples, so that they aim; where it and the chain differ the chain is right.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from plimsoll.fuzz.campaign import DEEP_EVERY, LENGTHS, MOST_STEPS, cast_of
from plimsoll.fuzz.cells import TABLES
from plimsoll.fuzz.choices import Choices
from plimsoll.fuzz.driver import Outcome
from plimsoll.fuzz.generator import Generator
from plimsoll.fuzz.invariants import Transition, check, deep
from plimsoll.fuzz.session import Session, Step
from plimsoll.model.engine.actions import Result, apply
from plimsoll.model.engine.draft import Refusal
from plimsoll.model.engine.liquidation import LiquidationResult
from plimsoll.model.engine.state import State

__all__ = ["Onlooker"]

READ = tuple(table for table in TABLES if table not in ("queues", "rules", "allowances"))
"""What is taken from the chain's storage; of queues only hashes are there."""


class Onlooker:
    """Runs examples of a campaign on a session's chain and collects the ids of violated invariants."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._seen: set[str] = set()
        self._actions = 0

    def run(self, seed: int, first: int, actions: int) -> list[str]:
        """Ids of the invariants that examples from number `first` on violate, within so many actions."""
        number, end = first, self._actions + actions
        while self._actions < end:
            self._example(seed, number, end)
            number += 1
        return sorted(self._seen)

    def _example(self, seed: int, number: int, end: int) -> None:
        chance = random.Random(f"{seed}/{number}")
        data = chance.randbytes(chance.choice(LENGTHS))
        session = self._session
        snapshot = session.world.driver.snapshot()
        state = session.start

        def take(step: Step) -> Result:
            nonlocal state
            result = self._step(state, step)
            state = result.state
            return result

        generator = Generator(cast_of(session.world), state, take, Choices(data))
        try:
            generator.run(min(MOST_STEPS, max(end - self._actions, 1)))
        except (ArithmeticError, AssertionError, LookupError, TypeError, ValueError):
            # The chain is in a state that cannot be; the examples do not know how to go on.
            self._actions += 1
        finally:
            session.world.driver.revert(snapshot)

    def _step(self, before: State, step: Step) -> Result:
        session = self._session
        result = apply(before, step.action, step.time, step.base_fee)
        outcome = session.send(step)
        self._actions += 1
        after = self._read(result.state, step)
        told = _told(result, after, outcome, step)
        seen = Transition(before, after, step, told)
        problems = check(seen)
        if self._actions % DEEP_EVERY == 0:
            problems += deep(seen)
        for problem in problems:
            self._seen.update(one for one in problem.split(":", 1)[0].split(", ") if one.startswith("INV-"))
        return told

    def _read(self, expected: State, step: Step) -> State:
        """The chain's state; entries that are as the model expects keep their identity, since invariants go by it."""
        session = self._session
        chain = session.reader.read(step.time, step.base_fee)
        kept: dict[str, Any] = {}
        for table in READ:
            mine, theirs = getattr(expected, table), getattr(chain, table)
            # In the model's order too: examples choose by it.
            keys = [*(key for key in mine if key in theirs), *(key for key in theirs if key not in mine)]
            found = {key: mine[key] if key in mine and mine[key] == theirs[key] else theirs[key] for key in keys}
            if found != mine:
                kept[table] = found
        return replace(expected, **kept)


def _told(result: Result, after: State, outcome: Outcome, step: Step) -> Result:
    """What the chain gave."""
    if not outcome.success:
        return Result(after, None, result.refusal or Refusal("Refused"))
    value = result.value
    if step.action.name == "liquidate":
        words = [outcome.output[at : at + 32] for at in range(64, len(outcome.output), 32)]
        value = [LiquidationResult(int.from_bytes(word, "big")) for word in words]
    return Result(after, value)
