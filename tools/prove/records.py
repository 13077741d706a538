"""Proofs on record: which code was proved, and in how many seconds.

A record counts while its code is the same: the contracts, the property with the helpers of its file, what all
properties share, and the translation of queries. Comments do not matter.
"""

from __future__ import annotations

import hashlib
import json
import re
from functools import cache
from pathlib import Path

from tools.prove.properties import FOLDER, ROOT, Property

RECORDS = ROOT / "build" / "prove" / "results.json"
SHARED = ("contracts/**/*.sol", "tests/symbolic/*.sol", "foundry.toml", "tools/prove/halmos_integers.py")
TRANSLATION = ("tools/prove/integers.py", "tools/prove/ranges.py", "tools/prove/terms.py")
COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
CHECK = re.compile(r"^    function (check_\w+)\(.*?^    }\n", re.MULTILINE | re.DOTALL)


def code(path: Path) -> str:
    """A file without the comments and blanks of Solidity."""
    text = path.read_text(encoding="utf-8")
    return " ".join(COMMENT.sub("", text).split()) if path.suffix == ".sol" else text


@cache
def shared() -> str:
    """What every proof depends on."""
    paths = [path for pattern in (*SHARED, *TRANSLATION) for path in sorted(ROOT.glob(pattern))]
    paths = [path for path in paths if "mocks" not in path.parts]
    return "\n".join(f"{path.relative_to(ROOT)}\n{code(path)}" for path in paths)


@cache
def sources(contract: str, folder: str) -> str:
    """The file of a contract, without comments."""
    for path in sorted((FOLDER / folder).glob("*.t.sol")):
        text = path.read_text(encoding="utf-8")
        if re.search(rf"^contract {contract} is ", text, re.MULTILINE):
            return COMMENT.sub("", text)
    raise LookupError(contract)


def fingerprint(item: Property) -> str:
    """Changes with whatever the proof of a property depends on."""
    text = sources(item.contract, item.folder)
    own = CHECK.sub(lambda found: found[0] if found[1] == item.function else "", text)
    return hashlib.sha256(f"{shared()}\n{item.function}\n{' '.join(own.split())}".encode()).hexdigest()[:16]


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
