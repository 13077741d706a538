"""What no file of the repository may contain, and how long a file may be.

The forbidden words are put together from pieces, because these files are searched too.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conventions.repository import matches, source_files, text_files

# Longest file by suffix. A longer one is split, or listed here with the reason why it must not be.
LONGEST = {".sol": 700, ".py": 400}
LONGER_FOR_A_REASON: dict[str, tuple[int, str]] = {}

HOME_FOLDERS = "|".join(("ho" + "me", "ro" + "ot", "Us" + "ers", "wo" + "rk"))
REGISTRIES = (
    ("pypi", "org"),
    ("pythonhosted", "org"),
    ("npmjs", "org"),
    ("npmjs", "com"),
    ("yarnpkg", "com"),
    ("npmmirror", "com"),
    ("debian", "org"),
)
MACHINE_PATH = rf"(?<![\w.$}}])/(?:{HOME_FOLDERS})/|\.\./" + "shar" + "ed"
LEFT_FOR_LATER = r"\b(?:" + "|".join(("TO" + "DO", "FIX" + "ME", "X" * 3, "HA" + "CK")) + r")\b"
SWITCH = "|".join(("sk" + "ip", "xf" + "ail", "import" + "or" + "sk" + "ip"))
SWITCHED_OFF = (
    rf"\b(?:pytest|mark|unittest)\.(?:{SWITCH})|\bfrom pytest import\b.*\b(?:{SWITCH})\b|\.{'Sk' + 'ip'}Test\b"
)


def test_own_files_are_found() -> None:
    names = {name for name, _ in text_files()}
    assert {"Makefile", "pyproject.toml", "tests/conventions/test_sources.py", "contracts/libraries/Cast.sol"} <= names


def test_the_patterns_find_what_they_look_for() -> None:
    home, later, off = "ho" + "me", "TO" + "DO", "sk" + "ip"
    bad = f"a = '/{home}/me/x'\n# {later}: later\n@pytest.mark.{off}\n"
    good = f"url = 'a.b/{home}/x'\n# {later}S\nfor a in b: # {off}s\n"
    for pattern, line in ((MACHINE_PATH, 1), (LEFT_FOR_LATER, 2), (SWITCHED_OFF, 3)):
        assert [found.split(":")[1] for found in matches([("bad", bad), ("good", good)], pattern)] == [str(line)]


def test_no_path_of_a_machine_is_named() -> None:
    assert matches(text_files(), MACHINE_PATH) == []


@pytest.mark.parametrize("host", REGISTRIES, ids="-".join)
def test_no_host_of_a_registry_is_named(host: tuple[str, str]) -> None:
    assert matches(text_files(), r"\b" + r"\.".join(host) + r"\b") == []


def test_nothing_is_left_for_later() -> None:
    assert matches(source_files(), LEFT_FOR_LATER) == []


def test_no_test_is_switched_off() -> None:
    assert matches([file for file in source_files() if file[0].endswith(".py")], SWITCHED_OFF) == []


def test_no_file_is_too_long() -> None:
    too_long = []
    for name, text in source_files():
        limit = LONGER_FOR_A_REASON.get(name, (LONGEST.get(Path(name).suffix, 0), ""))[0]
        lines = len(text.splitlines())
        if limit and lines > limit:
            too_long.append(f"{name}: {lines} lines, at most {limit}")
    assert too_long == []


def test_exceptions_to_the_length_are_needed_and_explained() -> None:
    lengths = {name: len(text.splitlines()) for name, text in source_files()}
    for name, (limit, reason) in LONGER_FOR_A_REASON.items():
        assert reason, f"{name} has no reason"
        assert LONGEST[Path(name).suffix] < lengths[name] <= limit, f"{name} no longer needs its exception"


def test_every_text_file_ends_with_one_newline() -> None:
    wrong = [name for name, text in text_files() if text and (not text.endswith("\n") or text.endswith("\n\n"))]
    assert wrong == []


def test_every_contract_names_its_licence_and_compiler() -> None:
    wrong = [
        name
        for name, text in source_files()
        if name.endswith(".sol")
        and text.splitlines()[:2] != ["// SPDX-License-Identifier: MIT", "pragma solidity 0.8.37;"]
    ]
    assert wrong == []
