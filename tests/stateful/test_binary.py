"""Whole examples as one string of bytes: shorter to search than a machine, and executed in bulk."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, note
from hypothesis import strategies as st
from tests.support.worlds import DECIMALS, SETTINGS, examples, session_of

from plimsoll.fuzz.campaign import cast_of
from plimsoll.fuzz.choices import Choices
from plimsoll.fuzz.generator import Generator
from plimsoll.fuzz.invariants import Transition, check
from plimsoll.fuzz.replay_script import Example, script
from plimsoll.fuzz.session import Disagreement, Session, Step
from plimsoll.fuzz.world import Backend
from plimsoll.model.engine.actions import ACTIONS, Result
from plimsoll.model.engine.draft import Draft

BATCH = 32


def play(session: Session, data: bytes, steps: list[Step], *, whole: bool) -> None:
    """Decodes and plays an example, its calls in bulk, and undoes it.

    :param steps: what was done, also when it fails.
    :param whole: all calls at once, which Anvil needs in order to be fast; then all of storage is not compared.
    """
    cast = cast_of(session.world)

    def take(step: Step) -> Result:
        before = session.state
        steps.append(step)
        result = session.plan(step)
        problems = check(Transition(before, result.state, step, result))
        if problems:
            raise Disagreement("\n  ".join(problems))
        if not whole and len(steps) % BATCH == 0:
            session.flush(keep=True)
        return result

    session.restart()
    with session.world.driver.isolated():
        try:
            Generator(cast, session.start, take, Choices(data)).run(400)
            session.flush(keep=not whole)
            if not whole:
                session.settle()
        finally:
            session.restart()


@pytest.mark.parametrize("decimals", DECIMALS)
def test_specification_and_chain_agree_in_bulk(decimals: int) -> None:
    @examples(20)
    @given(st.binary(min_size=200, max_size=1500))
    def property_(data: bytes) -> None:
        steps: list[Step] = []
        try:
            play(session_of(decimals), data, steps, whole=False)
        except Disagreement:
            note(script(Example("a disagreement in bulk", SETTINGS[decimals], tuple(steps))))
            raise

    property_()


def test_a_wrong_specification_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same property fails when a deposit credits a wei too much."""
    right = ACTIONS["deposit"]

    def wrong(d: Draft, caller: int, account: int, token: int, amount: int) -> None:
        right(d, caller, account, token, amount)
        a = d.accounts[account]
        d.put("accounts", account, replace(a, raw_cash=a.raw_cash + 1))

    monkeypatch.setitem(ACTIONS, "deposit", wrong)  # type: ignore[arg-type]
    steps: list[Step] = []
    with pytest.raises(Disagreement, match="held"):
        play(session_of(6), Random(1).randbytes(1500), steps, whole=False)
    assert steps[-1].action.name in ("deposit", "multicall")


# ── both backends ────────────────────────────────────────────────────────────


def test_both_backends_do_the_same(request: pytest.FixtureRequest) -> None:
    """What a node does with an example is what the EVM in this process does with it; both are what is specified."""
    count = 200 if request.config.getoption("--cross", default=False) else 4
    backends: tuple[Backend, ...] = ("revm", "anvil")
    for seed in range(count):
        decimals = DECIMALS[seed % len(DECIMALS)]
        played = []
        for backend in backends:
            steps: list[Step] = []
            play(session_of(decimals, backend), Random(seed).randbytes(250), steps, whole=True)
            played.append(steps)
        assert len(played[0]) > 5
        assert played[0] == played[1]
