"""The book beside the contracts: a mirror fed by the logs of a fuzzed world, and what the Lens answers there."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from plimsoll.fuzz.campaign import LENGTHS, MOST_STEPS, cast_of
from plimsoll.fuzz.choices import Choices
from plimsoll.fuzz.driver import Outcome
from plimsoll.fuzz.generator import Generator
from plimsoll.fuzz.session import Session, Step
from plimsoll.keeper.book import Mirror, Observations
from plimsoll.keeper.node.decode import Decoder
from plimsoll.keeper.rows import Row
from plimsoll.model.engine.actions import Result, apply
from plimsoll.model.engine.draft import Draft, Refusal
from plimsoll.model.engine.prices import peek
from plimsoll.model.engine.state import State
from tests.support.book_rows import decimals_of, rows_of

__all__ = ["Feeder", "LensAnswer", "ask_lens", "drive", "mirror_of", "observe_all", "rows_of_outcome"]


@dataclass(frozen=True, slots=True)
class LensAnswer:
    """What `healthBatch` says of one account."""

    equity: int
    required: int
    newest: int


def mirror_of(state: State) -> Mirror:
    """A mirror loaded with a state."""
    mirror = Mirror()
    mirror.load(rows_of(state))
    for token, decimals in decimals_of(state).items():
        mirror.set_decimals(token, decimals)
    return mirror


def observe_all(state: State, time: int) -> Observations:
    """What the hub would answer about every asset; one that it refuses to answer for is left out."""
    d = Draft(state)
    d.time = time
    found = {}
    for asset in state.assets:
        try:
            found[asset] = peek(d, asset)
        except Refusal:
            continue
    return Observations(time, found)


def ask_lens(session: Session, accounts: Sequence[bytes], time: int) -> list[LensAnswer] | None:
    """`Lens.healthBatch` at a time; None when it refuses."""
    world = session.world
    entry = world.entry("lens", "healthBatch")
    outcome = world.driver.view(entry.address, entry(list(accounts)), timestamp=time)
    if not outcome.success:
        return None
    return [LensAnswer(*values) for values in zip(*entry.result(outcome.output), strict=True)]


def rows_of_outcome(decoder: Decoder, outcome: Outcome) -> list[Row]:
    """The rows that a transaction leaves."""
    logs = [
        {
            "address": log.address,
            "topics": ["0x" + topic.hex() for topic in log.topics],
            "data": "0x" + log.data.hex(),
            "logIndex": hex(index),
            "blockNumber": "0x0",
        }
        for index, log in enumerate(outcome.logs)
        if log.address.lower() in decoder.addresses
    ]
    return decoder.rows(logs)


@dataclass(slots=True)
class Feeder:
    """A mirror that follows a session by its logs alone.

    :param at: called after every step, with the mirror as it is then and the time.
    """

    session: Session
    at: Callable[[Feeder, Step], None]
    mirror: Mirror = field(init=False)
    decoder: Decoder = field(init=False)
    steps: int = 0

    def __post_init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """The mirror of the state that the session begins with."""
        deployment = self.session.world.deployment
        state = self.session.start
        self.mirror = mirror_of(state)
        house, book = deployment.clearinghouse, deployment.order_book
        self.decoder = Decoder((house.address, house.abi), (book.address, book.abi))
        self.decoder.take(rows_of(state))

    def take(self, step: Step) -> Result:
        """Takes a step on model and chain, and its rows into the mirror."""
        session = self.session
        result = apply(session.state, step.action, step.time, step.base_fee)
        outcome = session.send(step)
        assert outcome.success == (result.refusal is None), f"{step}: {result.refusal}, {outcome}"
        session.state = result.state
        rows = rows_of_outcome(self.decoder, outcome)
        self.mirror.apply(rows)
        self.decoder.take(rows)
        self.steps += 1
        self.at(self, step)
        return result


def drive(feeder: Feeder, seed: int, number: int) -> None:
    """One example of the fuzzer, watched; the state is afterwards what it was."""
    session = feeder.session
    chance = random.Random(f"{seed}/{number}")
    data = chance.randbytes(chance.choice(LENGTHS))
    snapshot = session.world.driver.snapshot()
    session.state = session.start
    feeder.begin()
    try:
        Generator(cast_of(session.world), session.start, feeder.take, Choices(data)).run(MOST_STEPS)
    finally:
        session.world.driver.revert(snapshot)
        session.state = session.start
