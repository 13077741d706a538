"""Proofs on record: which code was proved, and in how many seconds.

A record counts while its code is the same: the property with the helpers of its file, every source that this file
imports, directly or through others, the settings of the compiler, and the translation of queries. Comments do not
matter.
"""

from __future__ import annotations

import hashlib
import json
import re
from functools import cache
from pathlib import Path

from tools.prove.properties import FOLDER, ROOT, Property

RECORDS = ROOT / "build" / "prove" / "results.json"
SHARED = ("foundry.toml", "tools/prove/halmos_integers.py")
TRANSLATION = ("tools/prove/integers.py", "tools/prove/ranges.py", "tools/prove/terms.py")
COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
IMPORT = re.compile(r"\bimport\b[^;]*?\"([^\"]+)\"\s*;")
CHECK = re.compile(r"^    function (check_\w+)\(.*?^    }\n", re.MULTILINE | re.DOTALL)


def code(path: Path) -> str:
    """A file without the comments and blanks of Solidity."""
    text = path.read_text(encoding="utf-8")
    return " ".join(COMMENT.sub("", text).split()) if path.suffix == ".sol" else text


@cache
def shared() -> str:
    """What every proof depends on."""
    return "\n".join(f"{path}\n{code(ROOT / path)}" for path in (*SHARED, *TRANSLATION))


@cache
def source(contract: str, folder: str) -> Path:
    """The file of a contract."""
    for path in sorted((FOLDER / folder).glob("*.t.sol")):
        if re.search(rf"^contract {contract} is ", path.read_text(encoding="utf-8"), re.MULTILINE):
            return path
    raise LookupError(contract)


def imports(path: Path) -> list[Path]:
    """Every source that a source imports, directly or through others, in the order of their names. Packages are left
    out: their versions are locked, and only mocks use more of them than interfaces."""
    found: set[Path] = set()
    waiting = [path]
    while waiting:
        one = waiting.pop()
        for name in IMPORT.findall(COMMENT.sub("", one.read_text(encoding="utf-8"))):
            other = (one.parent / name).resolve()
            if name.startswith(".") and other not in found:
                found.add(other)
                waiting.append(other)
    return sorted(found)


@cache
def imported(path: Path) -> str:
    """The code of every source that a source imports."""
    return "\n".join(f"{one.relative_to(ROOT)}\n{code(one)}" for one in imports(path))


def fingerprint(item: Property) -> str:
    """Changes with whatever the proof of a property depends on."""
    path = source(item.contract, item.folder)
    text = COMMENT.sub("", path.read_text(encoding="utf-8"))
    own = CHECK.sub(lambda found: found[0] if found[1] == item.function else "", text)
    parts = (shared(), imported(path), item.function, " ".join(own.split()))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


class Records:
    """The file of proofs, written after each of them."""

    def __init__(self, path: Path = RECORDS) -> None:
        self._path = path
        self._known = self._read()

    def seconds(self, item: Property) -> float | None:
        """How long the proof of what stands there now took; None without one."""
        print_, seconds = self._known.get(self._name(item), ("", 0.0))
        return seconds if print_ == fingerprint(item) else None

    def add(self, item: Property, seconds: float) -> None:
        self._known = {**self._read(), self._name(item): (fingerprint(item), seconds)}
        self._write()

    def drop(self, item: Property) -> None:
        self._known = self._read()
        self._known.pop(self._name(item), None)
        self._write()

    def _read(self) -> dict[str, tuple[str, float]]:
        if not self._path.is_file():
            return {}
        known = json.loads(self._path.read_text(encoding="utf-8"))
        return {name: (entry[0], entry[1]) for name, entry in known.items()}

    def _write(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps(self._known, indent=1, sort_keys=True) + "\n", encoding="utf-8")

    @staticmethod
    def _name(item: Property) -> str:
        return f"{item.contract}.{item.function}"
