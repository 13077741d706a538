"""Short versions of `make keeper-soak`: a few faults on running processes, and a few kills."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.bench.keeper_soak import main


def test_two_processes_survive_a_quarter_of_a_minute_of_faults(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["--minutes", "0.25", "--accounts", "20", "--seed", "4", "--out", str(tmp_path)])
    text = capsys.readouterr().out
    assert code == 0, text
    assert "mismatches of database and chain: 0" in text


def test_f12_killed_at_random_moments_the_state_is_that_of_a_keeper_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["--kills", "6", "--seed", "2", "--out", str(tmp_path)])
    text = capsys.readouterr().out
    assert code == 0, text
    assert "state after all kills equals that of a keeper left alone: yes" in text
