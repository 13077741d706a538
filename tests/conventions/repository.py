"""The repository's own files, as the convention tests see them."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE_SUFFIXES = frozenset({".py", ".sol", ".sh", ".yaml", ".yml", ".toml", ".js", ".j2", ".css", ".html"})
SOURCE_NAMES = frozenset({"Makefile", "run", "solc-v0.8.37"})


@cache
def own_files() -> tuple[Path, ...]:
    """Every file that git tracks or would track, so that a new file is checked before it is committed."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return tuple(path for name in sorted(set(listing.split("\0")) - {""}) if (path := ROOT / name).is_file())


def text_files() -> list[tuple[str, str]]:
    """(path, text) of every own file that is text."""
    found = []
    for path in own_files():
        content = path.read_bytes()
        if b"\0" not in content:
            found.append((path.relative_to(ROOT).as_posix(), content.decode("utf-8")))
    return found


def source_files() -> list[tuple[str, str]]:
    """(path, text) of every own file that a program executes or compiles."""
    return [
        (name, text)
        for name, text in text_files()
        if Path(name).suffix in SOURCE_SUFFIXES or Path(name).name in SOURCE_NAMES
    ]


def matches(files: list[tuple[str, str]], pattern: str) -> list[str]:
    """`file:line: text` of every line in which `pattern` is found."""
    expression = re.compile(pattern)
    return [
        f"{name}:{number}: {line.strip()[:160]}"
        for name, text in files
        for number, line in enumerate(text.splitlines(), start=1)
        if expression.search(line)
    ]
