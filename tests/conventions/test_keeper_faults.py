"""Every fault that the keeper is to survive has a test, and docs/keeper-faults.md names tests that exist."""

from __future__ import annotations

import ast
import re

import pytest

from tests.conventions.repository import ROOT

DOCUMENT = ROOT / "docs" / "keeper-faults.md"
FAULTS = [f"F{number}" for number in range(1, 15)]
TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def rows() -> dict[str, str]:
    """What the table says of each fault."""
    text = DOCUMENT.read_text(encoding="utf-8")
    return dict(re.findall(r"^\| (F\d+) \|(.*)\|$", text, re.MULTILINE))


def functions(path: str) -> set[str]:
    """Names of the functions of a module."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_the_table_has_a_line_for_every_fault_and_no_other() -> None:
    assert list(rows()) == FAULTS


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_has_a_test_that_exists(fault: str) -> None:
    named = TEST.findall(rows()[fault])
    assert named, f"{fault} has no test"
    missing = [f"{path}::{test}" for path, test in named if not (ROOT / path).is_file() or test not in functions(path)]
    assert missing == []


def test_everything_in_the_last_column_is_a_test() -> None:
    for fault, text in rows().items():
        column = text.rpartition("|")[2]
        assert len(TEST.findall(column)) == column.count("::"), fault
