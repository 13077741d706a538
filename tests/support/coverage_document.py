"""Writes the figures of a coverage run into `docs/coverage.md`: its result and its tables by file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["figures", "write_document"]

LEFT_OUT = ("src/plimsoll/fuzz", "src/plimsoll/model/engine")
"""Packages that fuzzing campaigns run, which are not measured."""
KEYS = ("covered_lines", "num_statements", "covered_branches", "num_branches")


def write_document(path: Path, python: Mapping[str, Any], contracts: Mapping[str, Any]) -> None:
    """Replaces what follows `## Result` up to the next heading, and what follows `## By file`."""
    text = path.read_text(encoding="utf-8")
    for heading, body in figures(python, contracts).items():
        found = re.search(rf"(?s)## {heading}\n\n(.*?)(?=\n## |\Z)", text)
        if found is None:
            raise ValueError(f"{path.name} has no heading {heading!r}")
        text = text[: found.start(1)] + body + text[found.end(1) :]
    path.write_text(text, encoding="utf-8")


def figures(python: Mapping[str, Any], contracts: Mapping[str, Any]) -> dict[str, str]:
    """The text below each heading, from `python.json` and `contracts.json`."""
    packages = _packages(python["files"])
    whole, core = _sum(packages.values()), _sum(c for name, c in packages.items() if name not in LEFT_OUT)
    every, code = contracts["all"], _sum(contracts["instructions"].values())
    result: list[tuple[str, int, int]] = [
        ("`contracts/`, lines", every["reached_lines"], every["lines"]),
        ("`contracts/`, functions", every["reached_functions"], every["functions"]),
        ("`contracts/`, named errors", every["raised_errors"], every["errors"]),
        ("deployed code, instructions", code[0], code[1]),
        ("`src/plimsoll` without `fuzz` and `model/engine`, lines", core[0], core[1]),
        ("`src/plimsoll`, lines", whole[0], whole[1]),
    ]
    names = ("reached_lines", "lines", "reached_functions", "functions", "raised_errors", "errors")
    sources = {name.removeprefix("contracts/"): [row[key] for key in names] for name, row in contracts["files"].items()}
    tables = (
        _table(("contracts", "lines", "functions", "named errors"), sources, [every[key] for key in names]),
        _table(("deployed code", "instructions"), contracts["instructions"], code),
        _table(("Python", "lines", "branches"), packages, whole),
    )
    counted = f"From {contracts['traces']:,} traces; {contracts['failed']:,} could not be made.\n"
    rows = "".join(f"| {what} | {', '.join(_share(reached, of))} |\n" for what, reached, of in result)
    return {"Result": f"| what | reached |\n|---|---|\n{rows}\n{counted}", "By file": "\n".join(tables)}


def _packages(files: Mapping[str, Any]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for name, entry in sorted(files.items()):
        parts = Path(name).parts
        package = "/".join(parts[:3]) if len(parts) > 3 else "src/plimsoll"
        package = next((one for one in LEFT_OUT if name.startswith(f"{one}/")), package)
        found[package] = _sum((found.get(package, [0, 0, 0, 0]), [entry["summary"][key] for key in KEYS]))
    return dict(sorted(found.items()))


def _sum(rows: Iterable[Sequence[int]]) -> list[int]:
    return [sum(column) for column in zip(*rows, strict=True)]


def _table(heads: Sequence[str], rows: Mapping[str, Sequence[int]], total: Sequence[int]) -> str:
    lines = [f"| {heads[0]} |{''.join(f' {head} | |' for head in heads[1:])}", "|---" * (2 * len(heads) - 1) + "|"]
    for name, counts in [*((f"`{name}`", counts) for name, counts in rows.items()), ("**all**", total)]:
        pairs = zip(counts[::2], counts[1::2], strict=True)
        lines.append(f"| {name} | {' | '.join(' | '.join(_share(*pair)) for pair in pairs)} |")
    return "\n".join(lines) + "\n"


def _share(reached: int, of: int) -> tuple[str, str]:
    return (f"{reached:,} of {of:,}", f"{1000 * reached // of / 10} %") if of else ("–", "–")
