"""A model and a chain side by side: every action is taken on both, and they must agree on everything.

After each action the outcome (success with its return value, or the exact error) and every storage word that the model
says has changed are compared. `settle` compares all of storage, so that a word which only the chain changed is found
too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from plimsoll.errors import PlimsollError
from plimsoll.fuzz.calldata import Translator, address
from plimsoll.fuzz.cells import TABLES, Cell, Cells, changes
from plimsoll.fuzz.driver import Call, Outcome, Read
from plimsoll.fuzz.reading import Scope, StateReader
from plimsoll.fuzz.world import World
from plimsoll.model.engine.actions import Action, Result, apply
from plimsoll.model.engine.state import State

__all__ = ["Disagreement", "Session", "Step", "Stray"]


class Disagreement(PlimsollError, AssertionError):
    """Model and chain differ."""


@dataclass(frozen=True, slots=True)
class Step:
    """An action at a time, and a base fee (wei per gas)."""

    action: Action
    time: int
    base_fee: int = 0


@dataclass(frozen=True, slots=True)
class Stray:
    """A call outside the specification, which therefore changes nothing that it describes; addresses as numbers, time
    in seconds."""

    sender: int
    to: int
    data: bytes
    time: int


class Session:
    """Drives one world and its model.

    :param world: opened; its present state is where the model begins.
    """

    def __init__(self, world: World, subs: tuple[int, ...] = (0, 1)) -> None:
        self.world = world
        deployment = world.deployment
        addresses = {
            "Clearinghouse": deployment.clearinghouse.address,
            "OrderBook": deployment.order_book.address,
            "OracleHub": deployment.hub.address,
        }
        self.cells = Cells(world.artifacts, addresses)
        self.translator = Translator(world)
        terms = {
            pool.id: tuple(
                int(world.ask(f"pool:{name}", fn)) for fn in ("START", "EPOCH_LENGTH", "LP_DELAY", "MIN_DEPOSIT")
            )
            for name, pool in deployment.pools.items()
        }
        self.scope = Scope(
            addresses=addresses,
            pools=[pool.id for pool in deployment.pools.values()],
            owners=[int(actor, 16) for actor in world.actors.everybody],
            subs=subs,
            lp_terms=terms,  # type: ignore[arg-type]
        )
        self.reader = StateReader(world.artifacts, self.scope, world.driver.words)
        self.start: State = self.reader.read(world.driver.time)
        self.state = self.start
        self._waiting: list[tuple[Step, Result, list[Cell]]] = []
        self._touched: set[tuple[str, Any]] = set()

    def restart(self) -> None:
        """The model begins anew and nothing is planned; the chain is whoever calls this to put back."""
        self.state = self.start
        self._waiting = []
        self._touched = set()

    # ── one at a time ──────────────────────────────────────────────────────

    def act(self, step: Step) -> Result:
        """Takes an action on both and keeps it.

        :raises Disagreement: they differ.
        """
        before = self.state
        result = apply(before, step.action, step.time, step.base_fee)
        outcome = self.world.driver.step(self._call(step))
        self.state = result.state
        cells = self._expected(before, result.state)
        words = [self.world.driver.words(cell.address, (cell.slot,))[0] for cell in cells]
        self._compare(step, result, outcome, cells, words)
        return result

    def send(self, step: Step) -> Outcome:
        """Takes an action on the chain alone."""
        return self.world.driver.step(self._call(step))

    def outline(self, step: Step) -> Result:
        """As `act`, but compares only the outcome now; `settle` compares the words that changed.

        :raises Disagreement: the outcomes differ.
        """
        before = self.state
        result = apply(before, step.action, step.time, step.base_fee)
        outcome = self.world.driver.step(self._call(step))
        self.state = result.state
        self._touched.update(changes(before, result.state))
        self._compare(step, result, outcome, [], [])
        return result

    def stray(self, call: Stray) -> Outcome:
        """Takes a call on the chain alone.

        :raises Disagreement: it went through and changed storage.
        """
        outcome = self.world.driver.step(Call(address(call.sender), address(call.to), call.data, call.time))
        if outcome.success:
            self.settle()
        return outcome

    # ── many at once ───────────────────────────────────────────────────────

    def plan(self, step: Step) -> Result:
        """Takes an action in the model at once and on the chain with the next `flush`."""
        before = self.state
        result = apply(before, step.action, step.time, step.base_fee)
        self.state = result.state
        cells = self._expected(before, result.state)
        by_address: dict[str, list[int]] = {}
        for cell in cells:
            by_address.setdefault(cell.address, []).append(cell.slot)
        reads = [Read(at, tuple(slots)) for at, slots in by_address.items()]
        self.world.driver.queue(self._call(step), *reads)
        self._waiting.append((step, result, cells))
        return result

    def flush(self, *, keep: bool = False) -> None:
        """Takes the planned actions on the chain and compares each.

        :param keep: both stay where they are; otherwise both go back to where the first of them began.
        :raises Disagreement: they differ.
        """
        waiting, self._waiting = self._waiting, []
        for (step, result, cells), outcome in zip(waiting, self.world.driver.flush(keep=keep), strict=True):
            self._compare(step, result, outcome, cells, outcome.words)

    def settle(self, *, whole: bool = True) -> None:
        """Compares storage with the model: what `outline` left open, and with `whole` everything.

        :raises Disagreement: they differ.
        """
        touched, self._touched = self._touched, set()
        wrong = []
        if whole:
            chain = self.reader.read(self.state.time, self.state.base_fee)
            for table in TABLES:
                mine, theirs = getattr(self.state, table), getattr(chain, table)
                touched.update((table, key) for key in mine)
                wrong += [f"{table}[{key}] is {theirs[key]} on chain only" for key in theirs if key not in mine]
        for table, key in touched:
            for cell in self.cells.of(self.state, table, key):
                word = self.world.driver.words(cell.address, (cell.slot,))[0]
                if word & cell.mask != cell.value:
                    wrong.append(self._explain(self.state, cell, word))
        if wrong:
            raise Disagreement("after all, storage differs:\n  " + "\n  ".join(wrong))

    # ── inside ─────────────────────────────────────────────────────────────

    def _call(self, step: Step) -> Call:
        entry, args = self.translator.entry(step.action)
        sender = address(step.action.caller)
        return Call(sender, entry.address, entry(*args), step.time, 0, None, step.base_fee)

    def _expected(self, before: State, after: State) -> list[Cell]:
        """The words that must be there now, those of one contract together."""
        found: list[Cell] = []
        for table, key in changes(before, after):
            found += self.cells.of(after, table, key)
        found.sort(key=lambda cell: cell.address)
        return found

    def _compare(self, step: Step, result: Result, outcome: Outcome, cells: list[Cell], words: Iterable[int]) -> None:
        problem = self.translator.disagreement(step.action, result, outcome)
        wrong = [problem] if problem else []
        for cell, word in zip(cells, words, strict=True):
            if word & cell.mask != cell.value:
                wrong.append(self._explain(result.state, cell, word))
        if wrong:
            raise Disagreement(f"{show(step)}\n  " + "\n  ".join(wrong))

    def _explain(self, state: State, cell: Cell, word: int) -> str:
        for table in TABLES:
            for key in getattr(state, table):
                if cell in self.cells.of(state, table, key):
                    value = getattr(state, table)[key]
                    return f"{table}[{key}] should be {value}; word {cell.value:#x}, on chain {word & cell.mask:#x}"
        return f"slot {cell.slot:#x} of {cell.address}: {cell.value:#x} in the model, {word & cell.mask:#x} on chain"


def show(step: Step) -> str:
    """A step in one line."""
    args: Any = ", ".join(hex(one) if isinstance(one, int) and one > 2**64 else str(one) for one in step.action.args)
    return f"at {step.time}: {step.action.name}({args}) by {step.action.caller:#x}"
