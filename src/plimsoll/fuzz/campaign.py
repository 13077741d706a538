"""Runs many examples: in how many ways each action ended, how fast, and whether enough of what matters happened.

An example is a random string of bytes, decoded by `generator`; its number and the seed give it, so any can be had
again. With `check="action"` every action is compared with the chain word by word and every invariant is checked after
it; with `check="example"` outcomes are compared for each action, storage and invariants once at the end.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from plimsoll.fuzz.choices import Choices
from plimsoll.fuzz.generator import BULK, FULL, Cast, Generator, Mix
from plimsoll.fuzz.invariants import Transition, check, deep, ledger_identities
from plimsoll.fuzz.prepare import Setting
from plimsoll.fuzz.session import Disagreement, Session, Step, show
from plimsoll.fuzz.world import Backend, World
from plimsoll.model.engine.actions import Result

__all__ = ["LEAST", "Campaign", "Check", "Failure", "Report", "cast_of", "missing", "outcomes"]

Check = Literal["action", "example"]
LENGTHS = (60, 200, 600, 1500)
"""Bytes of an example, each equally often."""
MOST_STEPS = 400
DEEP_EVERY = 16
"""A valuation of all accounts is checked after every so many actions."""
LEAST: Mapping[str, int] = {
    "liquidate: PARTIAL": 20,
    "liquidate: FULL": 20,
    "liquidate: BAD_DEBT": 20,
    "liquidate: SALE_STARTED": 5,
    "buy_collateral: done": 5,
    "execute_orders: FILLED": 500,
    "execute_orders: CANCELLED": 100,
    "execute_orders: EXPIRED": 100,
    "deleverage: done": 1,
    "strike: done": 20,
    "deposit: done": 500,
    "withdraw: done": 100,
    "transfer: done": 50,
    "place_order: done": 500,
    "cancel_order: done": 20,
    "claim: done": 20,
    "request_deposit: done": 20,
    "request_redeem: done": 20,
    "lp_deposit: done": 1,
    "lp_redeem: done": 1,
    "set_pause: done": 20,
    "multicall: done": 50,
}
"""What a hundred thousand actions must have shown at least; fewer actions need in proportion."""
PER = 100_000


@dataclass(frozen=True, slots=True)
class Failure:
    """An example that failed, with all its steps; the last one is where it was seen."""

    seed: int
    number: int
    steps: tuple[Step, ...]
    message: str


@dataclass(slots=True)
class Report:
    """What a campaign found."""

    examples: int = 0
    actions: int = 0
    seconds: float = 0.0
    table: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Actions a second."""
        return self.actions / self.seconds if self.seconds else 0.0

    def add(self, other: Report) -> None:
        """Adds what another worker found; seconds are the longer of both."""
        self.examples += other.examples
        self.actions += other.actions
        self.seconds = max(self.seconds, other.seconds)
        self.table.update(other.table)
        self.failures += other.failures


def outcomes(name: str, result: Result) -> Iterator[str]:
    """How an action ended: done, or by which error; for batches also what became of each item."""
    if result.refusal is not None:
        yield f"{name}: {result.refusal.name}"
        return
    yield f"{name}: done"
    if name in ("liquidate", "execute_orders", "expire_orders"):
        for item in result.value:
            one, reason = item if isinstance(item, tuple) else (item, None)
            yield f"{name}: {one.name}{' by ' + reason[0] if reason else ''}"
            if reason:
                yield f"{name}: {one.name}"


def missing(report: Report, least: Mapping[str, int] = LEAST) -> list[str]:
    """What happened less often than it must, one line each."""
    found = []
    for name, count in least.items():
        needed = count * report.actions // PER
        if report.table[name] < needed:
            found.append(f"{name} happened {report.table[name]} times, at least {needed} are needed")
    return found


class Campaign:
    """One worker: a world, its session, and a stream of examples.

    :param session: where to run; None: a world of its own.
    :param mix: how often each kind of step is chosen; None: `FULL`, and `BULK` when storage is compared per example.
    """

    def __init__(
        self,
        setting: Setting | None = None,
        *,
        backend: Backend = "revm",
        check: Check = "action",
        session: Session | None = None,
        mix: Mix | None = None,
    ) -> None:
        self.session = session if session is not None else Session(World.open(setting, backend))
        self._cast = cast_of(self.session.world)
        self._check = check
        self._mix = mix if mix is not None else FULL if check == "action" else BULK

    def run(
        self,
        seed: int,
        *,
        actions: int | None = None,
        seconds: float | None = None,
        first: int = 0,
        every: int = 1,
        most_failures: int = 1,
        progress: Callable[[Report], None] | None = None,
    ) -> Report:
        """Runs examples `first`, `first + every`, … until so many actions, seconds or failures are reached."""
        report, start, number = Report(), time.monotonic(), first
        while (actions is None or report.actions < actions) and (seconds is None or report.seconds < seconds):
            failure = self.example(seed, number, report)
            if failure is not None:
                report.failures.append(failure)
            report.seconds = time.monotonic() - start
            if progress is not None:
                progress(report)
            if len(report.failures) >= most_failures:
                break
            number += every
        return report

    def example(self, seed: int, number: int, report: Report) -> Failure | None:
        """Runs one example and counts what happened; the state is afterwards what it was."""
        chance = random.Random(f"{seed}/{number}")
        data = chance.randbytes(chance.choice(LENGTHS))
        session, steps = self.session, list[Step]()
        snapshot = session.world.driver.snapshot()
        session.state = session.start

        def take(step: Step) -> Result:
            before = session.state
            steps.append(step)
            result = session.act(step) if self._check == "action" else session.outline(step)
            for ended in outcomes(step.action.name, result):
                report.table[ended] += 1
            if self._check == "action":
                seen = Transition(before, result.state, step, result)
                problems = check(seen)
                if len(steps) % DEEP_EVERY == 0:
                    problems += deep(seen)
                if problems:
                    raise Disagreement(f"{show(step)}\n  " + "\n  ".join(problems))
            return result

        failure = None
        try:
            Generator(self._cast, session.start, take, Choices(data), self._mix).run(MOST_STEPS)
            problems = list(ledger_identities(session.state))
            if problems:
                raise Disagreement("\n  ".join(problems))
            session.settle(whole=self._check == "action" and number % DEEP_EVERY == 0)
        except Disagreement as error:
            failure = Failure(seed, number, tuple(steps), str(error))
        finally:
            session.world.driver.revert(snapshot)
            session.state = session.start
        report.examples += 1
        report.actions += len(steps)
        return failure


def cast_of(world: World) -> Cast:
    """The actors of a world as numbers."""

    def numbers(actors: Any) -> tuple[int, ...]:
        return tuple(int(actor, 16) for actor in actors)

    a = world.actors
    owner, guardian, thief = numbers((a.owner, a.guardian, a.thief))
    hostile = {int(world.token(name), 16): mock for name, mock in world.setting.token_contracts.items()}
    return Cast(owner, guardian, thief, numbers(a.traders), numbers(a.lps), numbers(a.keepers), hostile)
