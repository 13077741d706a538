"""Bulk campaigns: their mix of steps is a change of weights, and what they must show they show."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from plimsoll.commands.fuzz import command
from plimsoll.fuzz.campaign import Campaign, missing
from plimsoll.fuzz.generator import BULK, FULL, Generator


def test_mixes_name_the_same_steps() -> None:
    assert list(BULK) == list(FULL)
    assert all(callable(getattr(Generator, name)) for name in FULL)


def test_steps_that_a_bulk_campaign_leaves_out_are_scenes() -> None:
    """A scene is made of actions that other steps take too."""
    assert {name for name, weight in BULK.items() if weight == 0} == {"edge", "drain"}


def test_a_bulk_campaign_shows_what_it_must() -> None:
    report = Campaign(check="example").run(3, actions=10_000)
    assert not report.failures
    assert not missing(report)


def test_the_command_writes_its_table(tmp_path: Path) -> None:
    file = tmp_path / "table.md"
    done = CliRunner().invoke(command, ["--actions", "300", "--no-counts", "--markdown", str(file)])
    assert done.exit_code == 0, done.output
    lines = file.read_text(encoding="utf-8").splitlines()
    assert lines[:2] == ["| action | times | how it ended |", "|---|---|---|"]
    assert any(line.startswith("| `execute_orders` | ") for line in lines)
