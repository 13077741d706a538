"""Measures what the tests reach of `src/plimsoll` and of `contracts/`; prints tables and writes `build/coverage/`.

Usage: python scripts/coverage.py [--again | options of pytest and test files]

`--again` reports what the last run recorded, without tests.

Python: lines and branches by coverage.py. Contracts: the tests run on chains that record steps, see
`tests/support/tracing.py`; program counters become functions through the source maps of the very code that is deployed
(IR pipeline, optimised). The optimiser moves, merges and drops code, so lines would be guesses. Counted are functions
that have code of their own after optimisation, constructors apart, and the named errors that a file raises.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.support.coverage import ENVIRONMENT
from tests.support.tracing import is_measured

from plimsoll.chain import artifacts as compiler
from plimsoll.chain.artifacts import Artifacts, CompileError, compile_contracts, repository_root
from plimsoll.errors import PlimsollError

FOLDER = Path("build", "coverage")
WANTED = ("evm.deployedBytecode.object", "evm.deployedBytecode.sourceMap")
PUSH1, PUSH32, PUSH0 = 0x60, 0x7F, 0x5F

Range = tuple[str, int, int]
"""File, first byte, number of bytes."""


@dataclass(slots=True)
class File:
    """Functions by their range, and named errors by selector, of one Solidity file."""

    functions: dict[Range, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    with_code: set[Range] = field(default_factory=set)
    reached: set[Range] = field(default_factory=set)
    contracts: set[str] = field(default_factory=set)
    """Contracts that hold code of this file."""


def main(arguments: list[str]) -> int:
    """Runs the tests and reports; the exit code is that of the tests."""
    root = repository_root()
    folder = root / FOLDER
    traces = folder / "traces"
    code = 0 if arguments == ["--again"] else _run_tests(root, folder, traces, arguments)
    try:
        _report_python(folder)
        _report_contracts(root, folder, traces)
    except PlimsollError as error:
        print(f"coverage: {error}", file=sys.stderr)
        return 1
    if code:
        print("coverage: some tests failed; the figures count what ran", file=sys.stderr)
    return code


def _run_tests(root: Path, folder: Path, traces: Path, arguments: list[str]) -> int:
    traces.mkdir(parents=True, exist_ok=True)
    for old in (*traces.glob("*.json"), *folder.glob("*.json")):
        old.unlink()
    command = [sys.executable, "-m", "pytest", "-p", "no:ape_test", "-p", "tests.support.coverage", "-q"]
    command += ["--cov", f"--cov-report=json:{folder / 'python.json'}", f"--cov-report=html:{folder / 'python'}"]
    environment = os.environ | {ENVIRONMENT: str(traces)}
    return subprocess.run([*command, *arguments], cwd=root, env=environment, check=False).returncode


# ── Python ─────────────────────────────────────────────────────────────────


def _report_python(folder: Path) -> None:
    try:
        found = json.loads((folder / "python.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise PlimsollError("pytest has written no Python coverage; see its messages above") from None
    by_package: dict[str, list[int]] = {}
    for name, entry in found["files"].items():
        package = "/".join(Path(name).parts[:3]) if len(Path(name).parts) > 3 else "src/plimsoll"
        summary = entry["summary"]
        counts = by_package.setdefault(package, [0, 0, 0, 0])
        for index, key in enumerate(("covered_lines", "num_statements", "covered_branches", "num_branches")):
            counts[index] += summary[key]
    print(f"\n{'Python':34}{'lines':>16}{'':8}{'branches':>16}")
    total = [sum(column) for column in zip(*by_package.values(), strict=True)]
    for name, counts in [*sorted(by_package.items()), *([("all", total)] if total else [])]:
        print(f"{name:34}{_share(counts[0], counts[1])}{_share(counts[2], counts[3])}")


def _share(reached: int, of: int) -> str:
    return f"{f'{reached:,} of {of:,}':>16}{f'{1000 * reached // of / 10} %' if of else '–':>8}"


# ── contracts ──────────────────────────────────────────────────────────────


def _report_contracts(root: Path, folder: Path, traces: Path) -> None:
    pcs: dict[str, set[int]] = {}
    errors: dict[str, set[str]] = {}
    traced = failed = 0
    for trace in traces.glob("*.json"):
        found = json.loads(trace.read_text(encoding="utf-8"))
        traced, failed = traced + found["traced"], failed + found["failed"]
        for name, seen in found["pcs"].items():
            pcs.setdefault(name, set()).update(seen)
        for name, raised in found["errors"].items():
            errors.setdefault(name, set()).update(raised)
    files = _files(root, folder / "maps", compile_contracts(root, quiet=True), pcs)
    rows: dict[str, Any] = {}
    print(f"\n{'contracts':38}{'functions':>16}{'':8}{'named errors':>16}")
    for path, file in sorted(files.items()):
        raised = set().union(*(errors.get(name, set()) for name in file.contracts))
        rows[path] = {
            "functions": len(file.with_code),
            "reached": len(file.reached),
            "errors": len(file.errors),
            "raised": len(file.errors.keys() & raised),
            "functions_not_reached": sorted(file.functions[one] for one in file.with_code - file.reached),
            "errors_not_raised": sorted(name for selector, name in file.errors.items() if selector not in raised),
        }
    total = {key: sum(row[key] for row in rows.values()) for key in ("functions", "reached", "errors", "raised")}
    for name, row in [*rows.items(), ("all", total)]:
        if row["functions"] or row["errors"]:
            shares = _share(row["reached"], row["functions"]), _share(row["raised"], row["errors"])
            print(f"{name.removeprefix('contracts/'):38}{''.join(shares)}")
    print(f"{traced:,} traces ({failed:,} could not be made); what is not reached: {FOLDER / 'contracts.json'}")
    document = {"traces": traced, "failed": failed, "all": total, "files": rows}
    (folder / "contracts.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _files(root: Path, maps: Path, artifacts: Artifacts, pcs: Mapping[str, set[int]]) -> dict[str, File]:
    files: dict[str, File] = {}
    for unit in _mapped(root, maps):
        for path, entry in unit["files"].items():
            file = files.setdefault(path, File())
            file.functions |= {(path, start, length): name for start, length, name in entry["functions"]}
            file.errors |= entry["errors"]
        for name, contract in unit["contracts"].items():
            code = bytes.fromhex(contract["code"])
            if code != artifacts.artifact(name).deployed_bytecode:
                raise CompileError(f"the code of {name} with a source map differs from the deployed one; run it again")
            _locate(name, code, contract["map"], unit["ids"], files, pcs.get(name, set()))
    return files


def _locate(
    name: str, code: bytes, source_map: str, ids: Mapping[str, str], files: Mapping[str, File], seen: set[int]
) -> None:
    """Notes for each instruction in which function it is, and whether it ran."""

    @cache
    def function(start: int, length: int, number: int) -> Range | None:
        path = ids.get(str(number), "")
        if path not in files:
            return None
        files[path].contracts.add(name)
        around = [one for one in files[path].functions if one[1] <= start and start + length <= one[1] + one[2]]
        return min(around, key=lambda one: one[2], default=None)

    for pc, place in zip(_counters(code), _places(source_map), strict=False):
        found = function(*place)
        if found is not None:
            files[found[0]].with_code.add(found)
            if pc in seen:
                files[found[0]].reached.add(found)


def _counters(code: bytes) -> Iterator[int]:
    """Where each instruction begins."""
    pc = 0
    while pc < len(code):
        yield pc
        pc += 1 + (code[pc] - PUSH0 if PUSH1 <= code[pc] <= PUSH32 else 0)


def _places(source_map: str) -> Iterator[tuple[int, int, int]]:
    """First byte, length and file number of each instruction; what an entry leaves out is as before."""
    place = [0, 0, -1]
    for entry in source_map.split(";"):
        for index, part in enumerate(entry.split(":")[:3]):
            if part:
                place[index] = int(part)
        yield place[0], place[1], place[2]


# ── source maps ────────────────────────────────────────────────────────────


def _mapped(root: Path, cache_folder: Path) -> Iterator[dict[str, Any]]:
    """The measured contracts with their source maps, compiled in the units of `compile_contracts`, kept by content."""
    cache_folder.mkdir(parents=True, exist_ok=True)
    toolchain = compiler._toolchain(root)
    for unit in compiler._units(compiler._read_sources(root), ()):
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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
