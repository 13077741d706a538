"""`docs/invariants.md` lists every invariant once, with a tolerance, and names only tests that carry its id."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

from tests.conventions.repository import ROOT

DOCUMENT = ROOT / "docs" / "invariants.md"
IDS = [f"INV-{number:02d}" for number in range(1, 41)]
UNCHECKED = "not checked yet"
FIELDS = ("Statement", "Tolerance", "Checked by")


@dataclass(frozen=True, slots=True)
class Entry:
    """One invariant as the document states it; line breaks are single blanks."""

    id: str
    title: str
    fields: dict[str, str]

    @property
    def files(self) -> list[str]:
        """The files that are said to check it."""
        return re.findall(r"`([^`]+)`", self.fields.get("Checked by", ""))


def entries(document: str) -> list[Entry]:
    found = []
    for part in re.split(r"^### ", document, flags=re.MULTILINE)[1:]:
        heading, _, body = part.partition("\n")
        name, _, title = heading.partition(" ")
        items = re.split(r"^\* ", body, flags=re.MULTILINE)[1:]
        fields = {key: " ".join(text.split()) for key, _, text in (item.partition(": ") for item in items)}
        found.append(Entry(name, title.strip(), fields))
    return found


def problems(document: str) -> list[str]:
    """What is wrong with the list, one line each."""
    listed = entries(document)
    names = [entry.id for entry in listed]
    wrong = [f"{name} is listed {names.count(name)} times, not once" for name in IDS if names.count(name) != 1]
    wrong += [f"{name} is no invariant" for name in sorted(set(names) - set(IDS))]
    for entry in listed:
        if not entry.title:
            wrong.append(f"{entry.id} has no title")
        if tuple(entry.fields) != FIELDS or not all(entry.fields.values()):
            wrong.append(f"{entry.id} needs {', '.join(FIELDS)}, in this order, none empty")
        if bool(entry.files) == (UNCHECKED in entry.fields.get("Checked by", "")):
            wrong.append(f"{entry.id}: name the test files that check it, or say: {UNCHECKED}")
        for name in entry.files:
            path = ROOT / name
            if not (name.startswith("tests/") and path.is_file()):
                wrong.append(f"{entry.id}: {name} is no test file")
            elif entry.id not in path.read_text(encoding="utf-8"):
                wrong.append(f"{entry.id}: {name} does not mention it")
    return wrong


def test_every_invariant_is_listed_once_and_names_tests_that_carry_it() -> None:
    assert problems(DOCUMENT.read_text(encoding="utf-8")) == []


def test_invariants_stand_in_order() -> None:
    assert [entry.id for entry in entries(DOCUMENT.read_text(encoding="utf-8"))] == IDS


ENTRY = "### INV-07 Indices\n\n* Statement: a\n* Tolerance: 0\n* Checked by: not checked yet\n"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("### INV-07", "### INV-08", "INV-07 is listed 0 times, not once"),
        ("### INV-07", "### INV-41", "INV-41 is no invariant"),
        (" Indices", "", "INV-07 has no title"),
        ("* Tolerance: 0\n", "", "INV-07 needs Statement, Tolerance, Checked by, in this order, none empty"),
        ("not checked yet", "nobody", "INV-07: name the test files that check it, or say: not checked yet"),
        ("not checked yet", "`tests/no_such_file.py`", "INV-07: tests/no_such_file.py is no test file"),
        ("not checked yet", "`tests/__init__.py`", "INV-07: tests/__init__.py does not mention it"),
    ],
)
def test_the_check_finds_what_is_wrong(old: str, new: str, problem: str) -> None:
    others = "".join(ENTRY.replace("INV-07", name) for name in IDS if name != "INV-07")
    assert problems(others + ENTRY) == []
    assert problem in problems(others + ENTRY.replace(old, new))
