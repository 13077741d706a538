"""Runs test files one after the other, each with nodes of its own, and keeps what each has reached.

A file that has been run is not run again while it, the package, the contracts and what tests share stay as they are;
so a run that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.support.coverage import ENVIRONMENT

__all__ = ["Limits", "Part", "files_below", "run_parts", "stored_parts"]

SHARED = ("contracts", "src", "deployments", "tests/support")
SUFFIXES = {".sol", ".py", ".yaml", ".yml", ".csv", ".j2", ".css"}
TEST_TIMEOUT = 3_600
"""Seconds for one test: recording steps makes it many times slower."""
LOOK_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What one test file may use; beyond it is run again without recording steps, for Python alone."""

    memory_mb: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Part:
    """What a test file did: its state, exit code of pytest, its last line, and what it used."""

    file: str
    key: str
    code: int
    summary: str
    seconds: int
    memory_mb: int
    steps: bool
    """Whether steps of the contracts were recorded."""

    @property
    def slug(self) -> str:
        """Name of its files without suffix."""
        return slug(self.file)


def slug(file: str) -> str:
    """A test file's path as one name."""
    return file.removesuffix(".py").replace("/", ".")


def files_below(root: Path, chosen: Iterable[str]) -> list[str]:
    """Test files under the given files and folders, relative to the root; the benchmark is none.

    :raises FileNotFoundError: there is no such file or folder.
    """
    found: set[str] = set()
    for name in chosen:
        path = root / name
        if not path.exists():
            raise FileNotFoundError(f"{name} is no file or folder of the repository")
        files = [path] if path.is_file() else path.rglob("test_*.py")
        found |= {one.relative_to(root).as_posix() for one in files}
    return sorted(name for name in found if not name.startswith("tests/bench/"))


def stored_parts(folder: Path) -> list[Part]:
    """What is kept of earlier runs."""
    return [Part(**json.loads(path.read_text(encoding="utf-8"))) for path in sorted(folder.glob("*.part.json"))]


def run_parts(root: Path, folder: Path, files: Sequence[str], limits: Limits, say: Callable[[str], None]) -> list[Part]:
    """Runs what is not done yet, and drops what is kept of other states; gives every part that counts."""
    folder.mkdir(parents=True, exist_ok=True)
    shared = _digest(root, (path for name in SHARED for path in sorted((root / name).rglob("*"))))
    keys = {name: _digest(root, _own(root, name), shared) for name in files_below(root, ["tests"])}
    done: dict[str, Part] = {}
    for part in stored_parts(folder):
        if keys.get(part.file) == part.key and (part.code == 0 or part.file not in files):
            done[part.file] = part
        else:
            _drop(folder, part.slug)
    left = [name for name in files if name not in done]
    if len(left) < len(files):
        say(f"{len(files) - len(left)} of {len(files)} test files are done already")
    for index, name in enumerate(left, start=1):
        part = _run(root, folder, name, keys[name], limits)
        text = json.dumps(asdict(part), indent=2) + "\n"
        (folder / f"{part.slug}.part.json").write_text(text, encoding="utf-8")
        done[name] = part
        remark = "" if part.steps else "; over its limit, so Python only"
        say(f"{index:3} of {len(left)}  {name}: {part.summary}, {part.seconds} s, {part.memory_mb:,} MB{remark}")
    return list(done.values())


def _own(root: Path, name: str) -> Iterator[Path]:
    """A test file and the fixtures above it."""
    yield root / name
    for folder in (root / name).parents:
        if (folder / "conftest.py").is_file():
            yield folder / "conftest.py"
        if folder == root:
            return


def _digest(root: Path, files: Iterable[Path], start: str = "") -> str:
    digest = hashlib.sha256(start.encode())
    for path in files:
        if path.suffix in SUFFIXES and path.is_file():
            digest.update(f"{path.relative_to(root)}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def _drop(folder: Path, name: str) -> None:
    for old in folder.glob(f"{name}.*"):
        old.unlink()


def _run(root: Path, folder: Path, name: str, key: str, limits: Limits) -> Part:
    for steps in (True, False):
        _drop(folder, slug(name))
        begun = time.monotonic()
        code, memory = _pytest(root, folder, name, steps, limits)
        if code is not None or not steps:
            break
    lines = (folder / f"{slug(name)}.log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
    summary = lines[-1].strip("= ") if lines else "nothing"
    return Part(name, key, 1 if code is None else code, summary, round(time.monotonic() - begun), memory, steps)


def _pytest(root: Path, folder: Path, name: str, steps: bool, limits: Limits) -> tuple[int | None, int]:
    """Exit code of pytest, None if it went over a limit, and the most memory of it and its nodes."""
    command = [sys.executable, "-m", "pytest", "-p", "no:ape_test", "-q", f"--timeout={TEST_TIMEOUT}"]
    command += ["--cov", "--cov-report=", *(["-p", "tests.support.coverage"] if steps else []), name]
    files = {ENVIRONMENT: folder / f"{slug(name)}.trace.json", "COVERAGE_FILE": folder / f"{slug(name)}.python"}
    environment = os.environ | {key: str(path) for key, path in files.items()}
    begun, most = time.monotonic(), 0
    with (
        (folder / f"{slug(name)}.log").open("w", encoding="utf-8") as log,
        subprocess.Popen(
            command, cwd=root, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        ) as process,
    ):
        try:
            while True:
                try:
                    return process.wait(LOOK_SECONDS), most
                except subprocess.TimeoutExpired:
                    most = max(most, _memory_mb(process.pid))
                if steps and (most > limits.memory_mb or time.monotonic() - begun > limits.seconds):
                    return None, most
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
                _wait_or_kill(process)


def _wait_or_kill(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)


def _memory_mb(top: int) -> int:
    """Resident memory of a process and everything below it; 0 where `ps` does not tell."""
    try:
        listed = subprocess.run(["ps", "-eo", "pid=,ppid=,rss="], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return 0
    rows = [tuple(map(int, line.split())) for line in listed.splitlines()]
    family = {top}
    while more := {pid for pid, parent, _ in rows if parent in family} - family:
        family |= more
    return sum(rss for pid, _, rss in rows if pid in family) // 1024
