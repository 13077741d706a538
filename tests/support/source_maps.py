"""From program counters to functions and lines: the source maps of the code that is deployed, made once and kept."""

from __future__ import annotations

import json
import subprocess
import sys
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import Any

from plimsoll.chain import artifacts as compiler
from plimsoll.chain.artifacts import Artifacts, CompileError
from tests.support.tracing import HARNESS, is_measured

__all__ = ["Code", "Found", "SourceFile", "counters", "locate", "places"]

WANTED = ("evm.deployedBytecode.object", "evm.deployedBytecode.sourceMap")
PUSH1, PUSH32, PUSH0 = 0x60, 0x7F, 0x5F

Range = tuple[str, int, int]
"""File, first byte, number of bytes."""


@dataclass(slots=True)
class SourceFile:
    """Of one Solidity file: functions by range, named errors by selector, and what of it has code and was reached."""

    functions: dict[Range, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    line_starts: list[int] = field(default_factory=list)
    with_code: set[Range] = field(default_factory=set)
    reached: set[Range] = field(default_factory=set)
    lines: set[int] = field(default_factory=set)
    lines_reached: set[int] = field(default_factory=set)
    contracts: set[str] = field(default_factory=set)
    """Contracts that hold code of this file."""

    def line(self, byte: int) -> int:
        """Number of the line in which a byte is, from 1."""
        return bisect_right(self.line_starts, byte)


@dataclass(frozen=True, slots=True)
class Code:
    """Instructions of a deployed contract, and how many of them ran."""

    instructions: int
    reached: int


@dataclass(frozen=True, slots=True)
class Found:
    """Files by path and deployed contracts by name."""

    files: dict[str, SourceFile]
    codes: dict[str, Code]


def locate(root: Path, maps: Path, artifacts: Artifacts, pcs: Mapping[str, set[int]]) -> Found:
    """Where the program counters of each contract are in the sources.

    :param maps: folder in which source maps are kept.
    :raises CompileError: the code with a source map is not the deployed one.
    """
    files: dict[str, SourceFile] = {}
    codes: dict[str, Code] = {}
    for unit in _mapped(root, maps):
        for path, entry in unit["files"].items():
            file = files.setdefault(path, SourceFile())
            if not file.line_starts:
                texts = (root / path).read_bytes().splitlines(keepends=True)
                file.line_starts = [0, *accumulate(map(len, texts))]
            file.functions |= {(path, start, length): name for start, length, name in entry["functions"]}
            file.errors |= entry["errors"]
        for name, contract in unit["contracts"].items():
            code = bytes.fromhex(contract["code"])
            if code != artifacts.artifact(name).deployed_bytecode:
                raise CompileError(f"the code of {name} with a source map differs from the deployed one; run it again")
            found = _locate(name, code, contract["map"], unit["ids"], files, pcs.get(name, set()))
            if not artifacts.artifact(name).source.startswith(HARNESS):
                codes[name] = found
    return Found(files, codes)


def _locate(
    name: str, code: bytes, source_map: str, ids: Mapping[str, str], files: Mapping[str, SourceFile], seen: set[int]
) -> Code:
    """Notes for each instruction in which function and line it is, and whether it ran."""

    @cache
    def function(start: int, length: int, number: int) -> Range | None:
        path = ids.get(str(number), "")
        if path not in files:
            return None
        files[path].contracts.add(name)
        around = [one for one in files[path].functions if one[1] <= start and start + length <= one[1] + one[2]]
        return min(around, key=lambda one: one[2], default=None)

    ran = total = 0
    for pc, place in zip(counters(code), places(source_map), strict=False):
        total, ran = total + 1, ran + (pc in seen)
        found = function(*place)
        if found is None:
            continue
        file = files[found[0]]
        file.with_code.add(found)
        if pc in seen:
            file.reached.add(found)
        if place[:2] != found[1:]:
            # What belongs to a function as a whole (entry, exit) is on no line.
            line = file.line(place[0])
            file.lines.add(line)
            if pc in seen:
                file.lines_reached.add(line)
    return Code(total, ran)


def counters(code: bytes) -> Iterator[int]:
    """Where each instruction begins."""
    pc = 0
    while pc < len(code):
        yield pc
        pc += 1 + (code[pc] - PUSH0 if PUSH1 <= code[pc] <= PUSH32 else 0)


def places(source_map: str) -> Iterator[tuple[int, int, int]]:
    """First byte, length and file number of each instruction; what an entry leaves out is as before."""
    place = [0, 0, -1]
    for entry in source_map.split(";"):
        for index, part in enumerate(entry.split(":")[:3]):
            if part:
                place[index] = int(part)
        yield place[0], place[1], place[2]


def _mapped(root: Path, cache_folder: Path) -> Iterator[dict[str, Any]]:
    """The measured contracts with their source maps, compiled in the units of `compile_contracts`, kept by content."""
    cache_folder.mkdir(parents=True, exist_ok=True)
    toolchain = compiler._toolchain(root)
    for unit in compiler._units(compiler.read_sources(root), ()):
        if not any(map(is_measured, unit.targets)) or unit.label == "shared":
            continue
        path = cache_folder / f"{unit.key(toolchain)}.json"
        if not path.is_file():
            print(f"coverage: compiling {unit.label} with its source map", file=sys.stderr, flush=True)
            path.write_text(json.dumps(_compile(root, unit)), encoding="utf-8")
        yield json.loads(path.read_text(encoding="utf-8"))


def _compile(root: Path, unit: compiler._Unit) -> dict[str, Any]:
    request = unit.request()
    selection: dict[str, Any] = {path: {"*": list(WANTED)} for path in unit.targets}
    request["settings"]["outputSelection"] = selection | {"*": {"": ["ast"]}}
    command = [str(root / compiler.SHIM), "--standard-json", "--base-path", str(root)]
    done = subprocess.run(command, input=json.dumps(request), capture_output=True, text=True, cwd=root, check=False)
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        raise CompileError(f"the compiler failed on {unit.label}: {done.stderr.strip()[:300]}") from None
    problems = [item["formattedMessage"] for item in answer.get("errors", ()) if item["severity"] == "error"]
    if problems:
        raise CompileError(f"{unit.label} does not compile: {problems[0]}")
    trees = {path: entry["ast"] for path, entry in answer["sources"].items()}
    known = {node["id"]: node for tree in trees.values() for node in _nodes(tree, "ErrorDefinition")}
    codes = {
        name: output["evm"]["deployedBytecode"]
        for path in unit.targets
        for name, output in answer["contracts"].get(path, {}).items()
    }
    return {
        "ids": {str(entry["id"]): path for path, entry in answer["sources"].items()},
        "files": {path: _outline(tree, known) for path, tree in trees.items() if _is_own(path)},
        "contracts": {
            name: {"code": code["object"], "map": code["sourceMap"]} for name, code in codes.items() if code["object"]
        },
    }


def _is_own(path: str) -> bool:
    return path.startswith("contracts/") and not path.startswith("contracts/mocks/")


def _outline(tree: Any, known: Mapping[int, Any]) -> dict[str, Any]:
    """Functions and modifiers with a body, constructors apart, and the errors that they raise."""
    functions: list[tuple[int, int, str]] = []
    errors: dict[str, str] = {}
    for node in _nodes(tree, "FunctionDefinition", "ModifierDefinition"):
        if not node.get("body") or node.get("kind") == "constructor":
            continue
        start, length, _ = map(int, node["src"].split(":"))
        functions.append((start, length, node["name"] or node["kind"]))
        for declared in _raised(node):
            if declared in known:
                errors[known[declared]["errorSelector"]] = known[declared]["name"]
    return {"functions": functions, "errors": errors}


def _raised(function: Any) -> Iterator[int]:
    """Declarations of the errors in `revert E(…)` and `require(…, E(…))`."""
    for node in _nodes(function, "RevertStatement"):
        yield node["errorCall"]["expression"].get("referencedDeclaration", -1)
    for node in _nodes(function, "FunctionCall"):
        arguments = node["arguments"]
        if node["expression"].get("name") == "require" and len(arguments) == 2:
            yield arguments[1].get("expression", {}).get("referencedDeclaration", -1)


def _nodes(tree: Any, *kinds: str) -> Iterator[dict[str, Any]]:
    waiting: list[Any] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            if node.get("nodeType") in kinds:
                yield node
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node
