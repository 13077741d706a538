"""Examples that once failed stay right; and a failure comes as a script that runs."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tests.conventions.repository import ROOT
from tests.support.worlds import SETTINGS, session_of

from plimsoll.fuzz.campaign import cast_of
from plimsoll.fuzz.choices import Choices
from plimsoll.fuzz.generator import Generator
from plimsoll.fuzz.prepare import Setting
from plimsoll.fuzz.replay_script import Example, ExampleError, load, replay, save, script
from plimsoll.fuzz.session import Disagreement, Step, Stray
from plimsoll.model.engine.actions import ACTIONS, Action, Result
from plimsoll.model.engine.draft import Draft
from plimsoll.model.engine.parameters import PoolParams
from plimsoll.model.engine.state import account_id

REGRESSIONS = sorted((Path(__file__).parent / "regressions").glob("*.json"))


@pytest.mark.parametrize("path", REGRESSIONS, ids=lambda path: path.stem)
def test_what_once_failed_stays_right(path: Path) -> None:
    replay(load(path))


def example() -> Example:
    """A deposit, an order, a changed parameter and a stray call."""
    session = session_of(6)
    s, cast = session.start, cast_of(session.world)
    trader = cast.traders[0]
    account, token, market = account_id(trader, 1), s.pool_terms[1].token, 0x100
    now = s.time + 5
    params = replace(PoolParams.of(s.pool_terms[1]), reward_max=10**18)
    placed = (account, market, 10**18, 2**256 - 1, now + 900, 10**17, False, 0)
    return Example(
        "a deposit, and then some",
        SETTINGS[6],
        (
            Step(Action("deposit", trader, (account, token, 10**9)), now, 10**9),
            Step(Action("place_order", trader, placed), now + 1),
            Step(Action("multicall", trader, ((("accrue", (market,)),),)), now + 1),
            Step(Action("set_pool", cast.owner, (1, params)), now + 2),
            Stray(cast.thief, s.clearinghouse, b"\x12\x34\x56\x78", now + 2),
        ),
    )


def test_an_example_comes_back_from_its_file(tmp_path: Path) -> None:
    saved = example()
    save(saved, tmp_path / "one.json")
    assert load(tmp_path / "one.json") == saved
    (tmp_path / "none.json").write_text("{}")
    with pytest.raises(ExampleError, match="none.json is no example"):
        load(tmp_path / "none.json")


def test_every_kind_of_step_comes_back_from_its_file(tmp_path: Path) -> None:
    session, steps = session_of(6), list[Step]()

    def take(step: Step) -> Result:
        steps.append(step)
        return session.plan(step)

    with session.world.driver.isolated():
        session.restart()
        Generator(cast_of(session.world), session.start, take, Choices(bytes(range(256)) * 8)).run(300)
        session.flush()
        session.restart()
    saved = Example("all kinds", SETTINGS[6], tuple(steps))
    save(saved, tmp_path / "all.json")
    assert load(tmp_path / "all.json") == saved
    assert len({step.action.name for step in steps}) > 10


def run_script(text: str, path: Path) -> subprocess.CompletedProcess[str]:
    path.write_text(text, encoding="utf-8")
    return subprocess.run([sys.executable, path], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_the_script_of_an_example_runs_on_a_fresh_node(tmp_path: Path) -> None:
    done = run_script(script(example()), tmp_path / "example.py")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Action(") == 4


def test_the_script_of_a_disagreement_shows_it(tmp_path: Path) -> None:
    """The made-up disagreement: a specification in which a deposit credits a wei too much."""
    patch = (
        "from plimsoll.model.engine import actions\n"
        "from dataclasses import replace\n"
        "right = actions.ACTIONS['deposit']\n"
        "def wrong(d, caller, account, token, amount):\n"
        "    right(d, caller, account, token, amount)\n"
        "    a = d.accounts[account]\n"
        "    d.put('accounts', account, replace(a, raw_cash=a.raw_cash + 1))\n"
        "actions.ACTIONS['deposit'] = wrong\n"
    )
    text = script(example())
    head, mark, rest = text.partition("STEPS = [")
    assert mark
    done = run_script(head + patch + mark + rest, tmp_path / "wrong.py")
    assert done.returncode == 1
    assert "Disagreement" in done.stderr
    assert "accounts[" in done.stderr


def test_a_replay_notices_a_wrong_specification(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(d: Draft, caller: int, account: int, token: int, amount: int) -> None: ...

    replay(example())
    monkeypatch.setitem(ACTIONS, "deposit", nothing)  # type: ignore[arg-type]
    with pytest.raises(Disagreement, match="deposit|place_order"):
        replay(example())


def test_a_setting_survives(tmp_path: Path) -> None:
    saved = Example("", Setting(traders=1, overrides={"tokens.WETH.decimals": "18"}), ())
    save(saved, tmp_path / "one.json")
    assert load(tmp_path / "one.json") == saved
