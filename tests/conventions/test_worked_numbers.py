"""The numbers and names of the documents come from the code.

`docs/protocol.md` shows its numbers in fenced blocks of the language `worked`. Each line of such a block is

    name := expression       gives a name, valid until the next heading of the second level
    expression = value       is a number of the document, compared with the executable specification

Expressions are Python over the modules of `plimsoll.model`, the units, exact fractions, and amounts as text:
`wad("1.5")`, `native("1.5")` (six decimals), `fine("1.5")` (unit values), `one("0.5")` (scales). What follows two
blanks and a # is a remark. Blocks of the language `constants`, in any document, hold lines `file NAME = value` of the
contracts.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from plimsoll import units
from plimsoll.model import funding, interest, liquidation, margin, oracle, pool, pricing, side, words
from plimsoll.units import parse_units
from tests.conventions.repository import ROOT

PROTOCOL = ROOT / "docs" / "protocol.md"
MODULES = (funding, interest, liquidation, margin, oracle, pool, pricing, side, words)
LONGEST_LINE = 140


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a fenced block: where it stands, under which heading, and what it says."""

    number: int
    section: str
    text: str


def block_lines(document: str, language: str) -> Iterator[Line]:
    """The lines of all fenced blocks of a language, without blank ones."""
    section, inside = "", ""
    for number, text in enumerate(document.splitlines(), start=1):
        if text.startswith("```"):
            inside = "" if inside else (text[3:].strip() or "plain")
        elif inside:
            if inside == language and text.strip():
                yield Line(number, section, text.strip())
        elif text.startswith("## "):
            section = text


def exact(value: Any) -> bool:
    """Whether a value holds integers and fractions only."""
    if isinstance(value, tuple):
        return all(exact(part) for part in value)
    return isinstance(value, int | Fraction | str)


class Worked:
    """Evaluates the lines of `worked` blocks, one section after the other."""

    def __init__(self) -> None:
        self.section = ""
        self.names: dict[str, Any] = {}
        self.checked = 0

    def start(self, section: str) -> None:
        self.section = section
        self.names = {module.__name__.rsplit(".", 1)[1]: module for module in MODULES}
        self.names |= {name: getattr(units, name) for name in units.__all__}
        self.names |= {name: partial(parse_units, decimals=digits) for name, digits in AMOUNTS.items()}
        self.names |= {"Fraction": Fraction, "abs": abs, "min": min, "max": max, "sum": sum}

    def value(self, expression: str) -> Any:
        tree = ast.parse(expression.strip(), mode="eval")
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, float):
                raise TypeError(f"{node.value} is a float; write it as a fraction or as an amount in text")
        return eval(compile(tree, "<worked>", "eval"), {"__builtins__": {}}, self.names)

    def run(self, line: Line) -> str:
        """What is wrong with a line, empty when it holds."""
        if line.section != self.section or not self.names:
            self.start(line.section)
        text = line.text.split("  #")[0]
        name, given, expression = text.partition(" := ")
        try:
            if given:
                self.names[name.strip()] = self.value(expression)
                return "" if exact(self.names[name.strip()]) else f"line {line.number}: {name} is not exact"
            left, _, right = text.rpartition(" = ")
            found, shown = self.value(left), self.value(right)
        except Exception as error:
            return f"line {line.number}: {line.text}: {type(error).__name__}: {error}"
        self.checked += 1
        if not (exact(found) and exact(shown)):
            return f"line {line.number}: {line.text}: not exact"
        return "" if found == shown else f"line {line.number}: {left} is {found}, the document says {shown}"


AMOUNTS = {"wad": 18, "native": 6, "fine": 24, "one": 36}


def wrong_numbers(document: str) -> tuple[int, list[str]]:
    """How many numbers a document shows, and which are wrong."""
    worked = Worked()
    problems = [problem for line in block_lines(document, "worked") if (problem := worked.run(line))]
    return worked.checked, problems


def test_every_worked_number_is_what_the_model_gives() -> None:
    checked, problems = wrong_numbers(PROTOCOL.read_text(encoding="utf-8"))
    assert problems == []
    assert checked >= 60


def test_every_chapter_with_formulas_has_a_worked_number() -> None:
    document = PROTOCOL.read_text(encoding="utf-8")
    with_numbers = {line.section for line in block_lines(document, "worked")}
    chapters = re.findall(r"^## (?:[1-9]|1[0-2])\. .*$", document, re.MULTILINE)
    assert len(chapters) == 12
    assert [chapter for chapter in chapters if chapter not in with_numbers] == []


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("pricing.notional_up(wad('1.5'), wad('3')) = wad('4.6')", "the document says"),
        ("units_are_missing(1) = 1", "NameError"),
        ("0.5 * 2 = 1", "float"),
        ("1 / 2 = Fraction(1, 2)", "not exact"),
    ],
)
def test_the_check_finds_a_wrong_number(line: str, problem: str) -> None:
    checked, problems = wrong_numbers(f"## 1. x\n```worked\nprice := 3\n{line}\nprice = 3  # right\n```\n")
    assert len(problems) == 1
    assert problem in problems[0]
    assert checked >= 1


def test_a_name_ends_with_its_chapter() -> None:
    document = "## 1. a\n```worked\nx := 1\nx = 1\n```\n## 2. b\n```worked\nx = 1\n```\n"
    assert len(wrong_numbers(document)[1]) == 1


# ── names ──────────────────────────────────────────────────────────────────


def documents() -> dict[str, str]:
    paths = sorted((ROOT / "docs").rglob("*.md"))
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in paths}


def contract_sources() -> dict[Path, str]:
    paths = (path for path in (ROOT / "contracts").rglob("*.sol") if "mocks" not in path.parts)
    return {path: path.read_text(encoding="utf-8") for path in paths}


def test_every_refusal_of_the_contracts_is_stated() -> None:
    document = PROTOCOL.read_text(encoding="utf-8")
    stated = set(re.findall(r"`([A-Z][A-Za-z0-9]+)`", document))
    found = {name for text in contract_sources().values() for name in re.findall(r"^\s*error (\w+)\(", text, re.M)}
    assert len(found) > 100
    missing = sorted(found - stated)
    assert missing == [], "say in docs/protocol.md when the contracts refuse with these errors"


def test_every_refusal_in_the_tables_exists() -> None:
    known = {name for text in contract_sources().values() for name in re.findall(r"\berror (\w+)\(", text)}
    standard = {"OwnableUnauthorizedAccount", "ERC20InvalidReceiver", "ERC20InsufficientAllowance"}
    rows = re.findall(r"^\| ((?:`[A-Z]\w*[a-z]\w*`(?:, )?)+) \|", PROTOCOL.read_text(encoding="utf-8"), re.M)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert len(named) > 100
    assert sorted(named - known - standard) == []


def test_every_constant_is_the_one_of_the_contracts() -> None:
    wrong, count = [], 0
    for name, text in documents().items():
        for line in block_lines(text, "constants"):
            file, constant, value = re.split(r"\s+(?=\w+ = )| = ", line.text)
            count += 1
            source = (ROOT / "contracts" / file).read_text(encoding="utf-8")
            if not re.search(rf"\bconstant {constant} = {re.escape(value)};", source):
                wrong.append(f"{name}:{line.number}: {line.text}")
    assert wrong == []
    assert count > 20


def test_no_line_of_the_documents_is_too_long() -> None:
    long = [
        f"{name}:{number}: {len(line)} characters"
        for name, text in documents().items()
        for number, line in enumerate(text.splitlines(), start=1)
        if len(line) > LONGEST_LINE and not line.startswith("|")  # rows of tables cannot be wrapped
    ]
    assert long == []
