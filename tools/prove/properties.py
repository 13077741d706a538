"""The symbolic properties as their sources state them: name, statement, bound."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "tests" / "symbolic"

CONTRACT = re.compile(r"^contract (\w+) is [\w, ]*\bSymbolic\b", re.MULTILINE)
PROPERTY = re.compile(r"((?:^ *///.*\n)+) *function (check_\w+)\(", re.MULTILINE)
TAG = re.compile(r"@(notice|custom:\w+) ?")


@dataclass(frozen=True, slots=True)
class Property:
    """A `check_` function of a contract. `open` is why it is not proved, empty when it is to be."""

    folder: str
    contract: str
    function: str
    statement: str
    bound: str
    slow: bool
    open: str

    @property
    def name(self) -> str:
        return self.function.removeprefix("check_")


def tags(comment: str) -> dict[str, str]:
    """The natspec tags of a comment; lines of one tag are joined."""
    text = " ".join(line.strip().removeprefix("///").strip() for line in comment.splitlines())
    pieces = TAG.split(text)
    return {key.removeprefix("custom:"): value.strip() for key, value in zip(pieces[1::2], pieces[2::2], strict=True)}


def read(source: str, folder: str = "libraries") -> list[Property]:
    """The properties of one source file, in its order."""
    starts = [(match.start(), match[1]) for match in CONTRACT.finditer(source)]
    found = []
    for match in PROPERTY.finditer(source):
        contract = [name for start, name in starts if start < match.start()][-1]
        said = tags(match[1])
        found.append(
            Property(
                folder=folder,
                contract=contract,
                function=match[2],
                statement=said.get("notice", ""),
                bound=said.get("bound", ""),
                slow="slow" in said,
                open=said.get("open", ""),
            )
        )
    return found


def all_properties(folder: Path = FOLDER) -> list[Property]:
    """Every property, by file and in the order of the file."""
    return [
        item
        for path in sorted(folder.glob("*/*.t.sol"))
        for item in read(path.read_text(encoding="utf-8"), path.parent.name)
    ]
