"""General mutation of a library: every place where one of a few small changes can be made, one change at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Mutant", "mutants"]

COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
SILENT = re.compile(r"^\s*(?:pragma|import|using|error|event|struct|enum|library|type)\b|\bconstant\b", re.MULTILINE)
"""Lines that hold no code."""

SWAPS: tuple[tuple[str, str, str], ...] = (
    ("plus", r"(?<= )\+(?= )", "-"),
    ("minus", r"(?<= )-(?= )", "+"),
    ("negation", r"(?<=[ (,])-(?=[a-zA-Z(])", ""),
    ("times", r"(?<= )\*(?= )", "/"),
    ("divided", r"(?<= )/(?= )", "*"),
    ("remainder", r"(?<= )%(?= )", "/"),
    ("less", r"(?<= )<(?= )", "<="),
    ("less or equal", r"(?<= )<=(?= )", "<"),
    ("more", r"(?<= )>(?= )", ">="),
    ("more or equal", r"(?<= )>=(?= )", ">"),
    ("equal", r"(?<= )==(?= )", "!="),
    ("not equal", r"(?<= )!=(?= )", "=="),
    ("and", r"(?<= )&&(?= )", "||"),
    ("or", r"(?<= )\|\|(?= )", "&&"),
    ("both", r"(?<= )\|(?= )", "&"),
    ("adds", r"(?<= )\+=(?= )", "-="),
    ("takes", r"(?<= )-=(?= )", "+="),
    ("left shift", r"(?<= )<<(?= )", ">>"),
    ("right shift", r"(?<= )>>(?= )", "<<"),
    ("min", r"\bmin(?=\()", "max"),
    ("max", r"\bmax(?=\()", "min"),
    ("up", r"(?<=[a-z])Up(?=\()", "Down"),
    ("down", r"(?<=[a-z])Down(?=\()", "Up"),
    ("floor", r"(?<=[a-z])Floor(?=\()", "Ceil"),
    ("ceil", r"(?<=[a-z])Ceil(?=\()", "Floor"),
    ("plus one dropped", r" \+ 1\b", ""),
    ("minus one dropped", r" - 1\b", ""),
    ("condition", r"(?<=\bif \()", "!("),
    ("true", r"\btrue\b", "false"),
    ("false", r"\bfalse\b", "true"),
)
"""Name, what is replaced, by what."""
NUMBER = re.compile(r"(?<![\w.])(\d+)(?![\w.])")
STATEMENT = re.compile(r"^[ ]+[a-z][\w.\[\]]*(?:\[[^\n]*\])? (?:[+-]?=) [^\n;]*;$", re.MULTILINE)
CHOICE = re.compile(r"(?<=return )([^;?\n]+)(?= \? )")


@dataclass(frozen=True, slots=True)
class Mutant:
    """A library with one change.

    :param line: where it is, from 1 on.
    :param change: its kind.
    :param text: the whole file.
    :param shown: the line after the change.
    """

    file: str
    line: int
    change: str
    text: str
    shown: str

    @property
    def name(self) -> str:
        """The library and the line after the change; the same wherever the line stands."""
        return f"{self.file.rsplit('/', 1)[-1].removesuffix('.sol')}: {self.shown}"


def mutants(file: str, text: str) -> Iterator[Mutant]:
    """Every mutant of a library, in the order of its lines; two changes that give the same text are one."""
    seen = {text}
    found = sorted(_changes(text), key=lambda change: change[0])
    for start, end, new, name in found:
        changed = text[:start] + new + text[end:]
        if changed in seen:
            continue
        seen.add(changed)
        line = text.count("\n", 0, start) + 1
        shown = changed.splitlines()[line - 1].strip() or f"dropped: {text.splitlines()[line - 1].strip()}"
        yield Mutant(file, line, name, changed, shown)


def _changes(text: str) -> Iterator[tuple[int, int, str, str]]:
    """Start, end, new text and kind of each change."""
    code = COMMENT.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)
    silent = [match.start() for match in SILENT.finditer(code)]
    quiet = {code.count("\n", 0, at + len(code[at:]) - len(code[at:].lstrip())) for at in silent}

    def speaks(at: int) -> bool:
        return code.count("\n", 0, at) not in quiet

    for name, pattern, new in SWAPS:
        for match in re.finditer(pattern, code):
            if not speaks(match.start()):
                continue
            if name == "condition":
                close = _closing(code, match.start())
                yield match.start(), close, f"!({code[match.start() : close]})", name
            else:
                yield match.start(), match.end(), new, name
    for match in NUMBER.finditer(code):
        if speaks(match.start()):
            value = int(match[1])
            yield match.start(), match.end(), str(value + 1), f"{value} plus 1"
            if value and code[match.start() - 2 : match.start()] not in ("+ ", "- "):
                yield match.start(), match.end(), str(value - 1), f"{value} minus 1"
    for match in STATEMENT.finditer(code):
        yield match.start(), match.end(), "", "statement dropped"
    for match in CHOICE.finditer(code):
        yield match.start(), match.end(), f"!({match[1]})", "choice"


def _closing(code: str, at: int) -> int:
    """Where the bracket that was opened right before `at` closes."""
    depth = 1
    while depth:
        depth += {"(": 1, ")": -1}.get(code[at], 0)
        at += 1
    return at - 1
