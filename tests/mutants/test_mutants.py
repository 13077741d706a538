"""The seeded bugs apply to the present contracts, and the machinery that hunts them really finds one."""

from __future__ import annotations

from pathlib import Path

import pytest
from scripts.mutate_maths import differs
from tests.conventions.repository import ROOT
from tests.mutants.maths import LIBRARIES, programs_of

from plimsoll.fuzz.bugs import Bug, BugError, patched, read_bugs
from plimsoll.fuzz.copies import compile_variants
from plimsoll.fuzz.invariants import DEEP, INVARIANTS
from plimsoll.fuzz.mutants import hunt, hunt_switched, without_bug
from plimsoll.fuzz.mutation import mutants
from plimsoll.fuzz.switched import Unswitchable, switch

BUGS = read_bugs(ROOT / "tests" / "mutants" / "bugs.toml")
LEAST = 36


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_every_bug_applies(bug: Bug) -> None:
    assert patched(bug, ROOT) != (ROOT / bug.file).read_text(encoding="utf-8")
    assert all((ROOT / "contracts" / f"{name}.sol").is_file() for name in bug.into)
    assert bug.sees, "every bug violates something"


def test_there_are_enough_bugs_and_invariants_exist() -> None:
    assert len(BUGS) >= LEAST
    text = (ROOT / "docs" / "invariants.md").read_text(encoding="utf-8")
    assert [one for bug in BUGS for one in bug.sees if f"### {one} " not in text] == []
    assert set(INVARIANTS) | set(DEEP), "there are invariants to ask"


def test_a_bug_whose_text_is_gone_is_an_error() -> None:
    bug = Bug("gone", "contracts/OrderBook.sol", "no such text", "", ("OrderBook",), "nothing", ("INV-29",))
    with pytest.raises(BugError, match="bug gone no longer applies: renew it"):
        patched(bug, ROOT)


def test_a_bug_is_found() -> None:
    (bug,) = (one for one in BUGS if one.name == "exec-window-off-by-one")
    verdict = hunt(bug, ROOT, seed=1, actions=3000, onlooker=False)
    assert verdict.killed
    assert 0 < verdict.actions <= 3000


def test_small_changes_are_made_one_at_a_time() -> None:
    function = "    function f(uint256 a) internal pure returns (uint256) {\n        return a + 1;\n    }\n"
    text = "library A {\n    // a + b\n" + function + "}\n"
    made = [mutant.shown for mutant in mutants("contracts/libraries/A.sol", text)]
    assert made == ["return a;", "return a - 1;", "return a + 2;"]


def test_a_mutant_of_a_library_is_killed_and_the_library_itself_is_not() -> None:
    (queue,) = (one for one in LIBRARIES if one.name == "OrderQueue")
    programs = programs_of(queue, Path(ROOT))
    text = (ROOT / queue.file).read_text(encoding="utf-8")
    wrong = {queue.file: text.replace("word.place(1)", "word.place(2)")}
    plain, mutant = compile_variants(ROOT, queue.harness, [{}, wrong])
    assert plain is not None
    assert mutant is not None
    assert not differs(plain, programs)
    assert differs(mutant, programs)


def test_a_bug_behind_a_switch_is_a_function_of_its_own() -> None:
    text = (
        "pragma solidity 0.8.37;\n\ncontract A {\n"
        "    function f(uint256 a, address c) external view locked returns (uint256 b) {\n"
        "        b = a + 1;\n    }\n}\n"
    )
    bug = Bug("too-much", "contracts/A.sol", "a + 1", "a + 2", ("A",), "adds two", ("INV-01",))
    with pytest.raises(Unswitchable, match="too-much"):
        switch(text.replace("function f", "modifier f"), "contracts/A.sol", {b"\x01": bug})
    made = switch(text, "contracts/A.sol", {b"\x01": bug})
    assert 'import {seeded} from "./SeededBugs.sol";' in made
    head = "(uint256 a, address c)"
    assert f"function f{head} external view returns (uint256 b) {{\n" in made
    assert "if (seeded(0x01)) return f__too_much(a, c);\n        return f__Sound(a, c);" in made
    assert f"function f__Sound{head} private view locked returns (uint256 b) {{\n        b = a + 1;\n    }}" in made
    assert f"function f__too_much{head} private view locked returns (uint256 b) {{\n        b = a + 2;\n    }}" in made


def test_a_bug_is_found_where_it_is_switched_on_and_nothing_where_none_is() -> None:
    (bug,) = (one for one in BUGS if one.name == "exec-window-off-by-one")
    assert not without_bug(bug.into, BUGS, ROOT, seed=1, actions=1500).killed
    verdict = hunt_switched(bug, BUGS, ROOT, seed=1, actions=3000)
    assert verdict.killed
    assert 0 < verdict.actions <= 3000
