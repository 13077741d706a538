"""Deliberate mistakes for the contracts: a text of a contract, and what to put there instead."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from plimsoll.errors import PlimsollError

__all__ = ["Bug", "BugError", "patched", "place", "read_bugs"]


class BugError(PlimsollError):
    """A seeded bug cannot be put into the contracts."""


@dataclass(frozen=True, slots=True)
class Bug:
    """One deliberate mistake.

    :param file: path of the contract in the repository.
    :param old: text that occurs there exactly once.
    :param into: contracts whose code gets the bug.
    :param breaks: what is wrong then.
    :param sees: ids of the invariants that it violates.
    :param decimals: of the settlement tokens of the world in which it is hunted; None: as in the parameters.
    """

    name: str
    file: str
    old: str
    new: str
    into: tuple[str, ...]
    breaks: str
    sees: tuple[str, ...]
    decimals: int | None = None


def read_bugs(path: Path) -> list[Bug]:
    """The bugs of a file.

    :raises BugError: an entry lacks something.
    """
    found = []
    for name, entry in tomllib.loads(path.read_text(encoding="utf-8")).items():
        try:
            bug = Bug(
                name,
                entry["file"],
                entry["old"],
                entry["new"],
                tuple(entry["into"]),
                entry["breaks"],
                tuple(entry["sees"]),
                entry.get("decimals"),
            )
        except KeyError as missing:
            raise BugError(f"{path.name}: bug {name} has no {missing}") from missing
        found.append(bug)
    return found


def place(text: str, bug: Bug) -> int:
    """Where in the text of its file a bug is.

    :raises BugError: the text that it replaces is not there exactly once.
    """
    count = text.count(bug.old)
    if count != 1:
        raise BugError(
            f"bug {bug.name} no longer applies: renew it ({count} times in {bug.file}: {bug.old.splitlines()[0]!r})"
        )
    return text.index(bug.old)


def patched(bug: Bug, root: Path) -> str:
    """The contract with the bug.

    :raises BugError: the text that it replaces is not there exactly once.
    """
    path = root / bug.file
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    place(text, bug)
    return text.replace(bug.old, bug.new)
