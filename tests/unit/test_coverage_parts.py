"""The coverage run: what is done is kept, what has changed or failed is run again, and source maps are read right."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support import coverage_parts
from tests.support.coverage_parts import Limits, Part, files_below, run_parts, stored_parts
from tests.support.source_maps import counters, places

FILES = ("tests/unit/test_a.py", "tests/unit/test_a_b.py", "tests/keeper/test_c.py")
LIMITS = Limits(memory_mb=100, seconds=100)


class Runs:
    """Stands for pytest: notes what is run, and gives the exit codes that were asked for."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, bool]] = []
        self.codes: dict[str, int | None] = {}

    def __call__(self, root: Path, folder: Path, name: str, steps: bool, limits: Limits) -> tuple[int | None, int]:
        self.seen.append((name, steps))
        (folder / f"{coverage_parts.slug(name)}.log").write_text("..\n== 2 passed in 1s ==\n", encoding="utf-8")
        return self.codes.get(name, 0) if steps else 0, 50

    def take(self) -> list[tuple[str, bool]]:
        """What was run since the last call."""
        seen, self.seen = self.seen, []
        return seen


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in (*FILES, "tests/bench/test_d.py", "tests/conftest.py", "src/package.py", "contracts/A.sol"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"# {name}\n", encoding="utf-8")
    return tmp_path


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    found = Runs()
    monkeypatch.setattr(coverage_parts, "_pytest", found)
    return found


def measured(root: Path) -> list[Part]:
    return run_parts(root, root / "build", files_below(root, ["tests"]), LIMITS, lambda line: None)


def files_below_are_found_below_folders_without_the_benchmark(root: Path) -> None:
    assert files_below(root, ["tests"]) == sorted(FILES)
    both = files_below(root, ["tests/unit/test_a.py", "tests/unit"])
    assert both == ["tests/unit/test_a.py", "tests/unit/test_a_b.py"]
    with pytest.raises(FileNotFoundError, match="no_such"):
        files_below(root, ["tests/no_such"])


def test_what_is_done_is_not_run_again(root: Path, runs: Runs) -> None:
    parts = measured(root)
    assert runs.take() == [(name, True) for name in sorted(FILES)]
    assert {part.summary for part in parts} == {"2 passed in 1s"}
    assert measured(root) == stored_parts(root / "build") == sorted(parts, key=lambda part: part.slug)
    assert runs.take() == []


@pytest.mark.parametrize(
    ("changed", "again"),
    [
        ("tests/unit/test_a.py", ["tests/unit/test_a.py"]),
        ("tests/conftest.py", sorted(FILES)),
        ("src/package.py", sorted(FILES)),
        ("contracts/A.sol", sorted(FILES)),
    ],
)
def test_what_has_changed_is_run_again(root: Path, runs: Runs, changed: str, again: list[str]) -> None:
    measured(root)
    runs.take()
    (root / changed).write_text("# other\n", encoding="utf-8")
    measured(root)
    assert runs.take() == [(name, True) for name in again]


def test_what_failed_is_run_again(root: Path, runs: Runs) -> None:
    runs.codes = {FILES[0]: 1}
    assert {part.file: part.code for part in measured(root)} == {FILES[0]: 1, FILES[1]: 0, FILES[2]: 0}
    runs.take()
    runs.codes = {}
    assert {part.code for part in measured(root)} == {0}
    assert runs.take() == [(FILES[0], True)]


def test_beyond_a_limit_python_alone_is_measured(root: Path, runs: Runs) -> None:
    runs.codes = {FILES[2]: None}
    parts = {part.file: part.steps for part in measured(root)}
    assert parts == {FILES[0]: True, FILES[1]: True, FILES[2]: False}
    assert runs.take()[:2] == [(FILES[2], True), (FILES[2], False)]


def test_data_of_push_instructions_is_no_instruction() -> None:
    # PUSH1 0x5b, JUMPDEST, PUSH0, PUSH2 0x6000, STOP
    assert list(counters(bytes.fromhex("605b5b5f61600000"))) == [0, 2, 3, 4, 7]


def test_what_a_source_map_leaves_out_is_as_before() -> None:
    assert list(places("1:2:0:-;;5;:9:1;")) == [(1, 2, 0), (1, 2, 0), (5, 2, 0), (5, 9, 1), (5, 9, 1)]
