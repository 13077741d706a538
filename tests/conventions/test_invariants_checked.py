"""Every invariant of `docs/invariants.md` has code under its id: what runs after each fuzzed action, or a test file
that carries it. What waits for a feature is listed, with the feature."""

from __future__ import annotations

import re

from plimsoll.fuzz.invariants import DEEP, INVARIANTS
from tests.conventions.repository import ROOT

IDS = [f"INV-{number:02d}" for number in range(1, 41)]
WAITING: dict[str, str] = {}
"""id → the feature that it waits for"""
OURS = ("tests/conventions/test_invariants.py", "tests/conventions/test_invariants_checked.py")


def carried() -> dict[str, list[str]]:
    """By id, the test files that mention it."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "tests").rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        if name in OURS:
            continue
        for one in sorted(set(re.findall(r"INV-\d\d", path.read_text(encoding="utf-8")))):
            found.setdefault(one, []).append(name)
    return found


def unchecked(waiting: dict[str, str], tests: dict[str, list[str]]) -> list[str]:
    """What is wrong, one line each."""
    coded = {*INVARIANTS, *DEEP, *tests}
    wrong = [f"{one} has no code under its id" for one in IDS if one not in coded and one not in waiting]
    wrong += [f"{one} is no invariant" for one in sorted({*coded, *waiting} - set(IDS))]
    wrong += [f"{one} waits for {what}, but has code" for one, what in waiting.items() if one in coded]
    return wrong


def test_every_invariant_has_code_under_its_id() -> None:
    assert unchecked(WAITING, carried()) == []


def test_the_check_finds_what_is_wrong() -> None:
    tests = carried()
    assert unchecked({"INV-41": "a feature"}, tests) == ["INV-41 is no invariant"]
    assert unchecked(WAITING, {}) == [f"{one} has no code under its id" for one in IDS if one in in_tests_only(tests)]
    assert "INV-01 waits for a feature, but has code" in unchecked({"INV-01": "a feature"}, tests)
    assert "INV-77 is no invariant" in unchecked(WAITING, {**tests, "INV-77": []})


def in_tests_only(tests: dict[str, list[str]]) -> set[str]:
    """What only test files check."""
    found = set(tests) - set(INVARIANTS) - set(DEEP)
    assert found
    return found
