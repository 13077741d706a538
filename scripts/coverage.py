"""Measures what the tests reach of `src/plimsoll` and of `contracts/`; prints tables and writes `build/coverage/`.

Usage: python scripts/coverage.py [--again] [--afresh] [--document] [--memory MB] [--seconds S] [tests]

Test files run one after the other, see `tests/support/coverage_parts.py`; what is done is kept, and a second run goes
on with what is left. `--again` reports what is kept, without tests; `--afresh` forgets it first;
`--document` writes the figures into `docs/coverage.md`.

Python: lines and branches by coverage.py. Contracts: the tests run on chains that record steps, see
`tests/support/tracing.py`; program counters become functions and lines through the source maps of the very code that
is deployed, see `tests/support/source_maps.py`. What the figures mean is in `docs/coverage.md`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.support.coverage_document import write_document
from tests.support.coverage_parts import Limits, Part, files_below, run_parts, stored_parts
from tests.support.source_maps import Found, locate

from plimsoll.chain.artifacts import compile_contracts, repository_root
from plimsoll.errors import PlimsollError

FOLDER = Path("build", "coverage")
NAMED = 8
LIBRARY_STUB = 2
"""A library without external functions is deployed by nobody: its code only reverts."""
SHARES = (("lines", "reached_lines"), ("functions", "reached_functions"), ("errors", "raised_errors"))


def main(arguments: Sequence[str]) -> int:
    """Runs the tests and reports; 1 if a test failed or nothing can be reported."""
    parser = argparse.ArgumentParser(description="What the tests reach of src/plimsoll and contracts.")
    parser.add_argument("tests", nargs="*", default=["tests"], help="test files or folders; all if none is given")
    parser.add_argument("--again", action="store_true", help="report what is kept, without tests")
    parser.add_argument("--afresh", action="store_true", help="forget what is kept")
    parser.add_argument(
        "--memory", type=int, default=8_000, metavar="MB", help="most memory of a test file and its nodes"
    )
    parser.add_argument("--seconds", type=int, default=1_800, metavar="S", help="most time of a test file")
    parser.add_argument("--document", action="store_true", help="write the figures into docs/coverage.md")
    options = parser.parse_args(arguments)
    # So that a test file which is running ends with this process.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    root = repository_root()
    folder = root / FOLDER
    kept = folder / "parts"
    if options.afresh:
        shutil.rmtree(kept, ignore_errors=True)
    try:
        if options.again:
            parts = stored_parts(kept)
        else:
            limits = Limits(options.memory, options.seconds)
            parts = run_parts(
                root, kept, files_below(root, options.tests), limits, lambda line: print(line, flush=True)
            )
        _report_python(root, folder, kept, parts)
        _report_contracts(root, folder, kept, parts)
        if options.document:
            read = [
                json.loads((folder / name).read_text(encoding="utf-8")) for name in ("python.json", "contracts.json")
            ]
            write_document(root / "docs" / "coverage.md", read[0], read[1])
    except (PlimsollError, FileNotFoundError) as error:
        print(f"coverage: {error}", file=sys.stderr)
        return 1
    return _report_parts(root, parts)


def _report_parts(root: Path, parts: Sequence[Part]) -> int:
    failed = [part for part in parts if part.code]
    without = [part.file for part in parts if not part.steps]
    missing = sorted(set(files_below(root, ["tests"])) - {part.file for part in parts})
    seconds, memory = sum(part.seconds for part in parts), max((part.memory_mb for part in parts), default=0)
    print(f"{len(parts)} test files, {seconds // 60} minutes, at most {memory:,} MB")
    for what, names in (("not run", missing), ("Python only", without)):
        if names:
            print(f"{what}: {len(names)} test files: {', '.join(names[:NAMED])}{', …' if len(names) > NAMED else ''}")
    for part in failed:
        print(f"coverage: {part.file}: {part.summary}; see {FOLDER}/parts/{part.slug}.log", file=sys.stderr)
    return 1 if failed else 0


def _share(reached: int, of: int) -> str:
    return f"{f'{reached:,} of {of:,}':>17}{f'{1000 * reached // of / 10} %' if of else '–':>8}"


# ── Python ─────────────────────────────────────────────────────────────────


def _report_python(root: Path, folder: Path, kept: Path, parts: Sequence[Part]) -> None:
    data = [str(path) for part in parts if (path := kept / f"{part.slug}.python").is_file()]
    if not data:
        raise PlimsollError("no test file has left Python coverage")
    environment = os.environ | {"COVERAGE_FILE": str(folder / "python.data")}
    for command in (
        ["combine", "--keep", "--quiet", *data],
        ["json", "--quiet", "-o", str(folder / "python.json")],
        ["html", "--quiet", "-d", str(folder / "python")],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "coverage", *command],
            cwd=root,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise PlimsollError(f"coverage {command[0]} failed: {(done.stdout + done.stderr).strip()[-300:]}")
    found = json.loads((folder / "python.json").read_text(encoding="utf-8"))
    by_package: dict[str, list[int]] = {}
    for name, entry in found["files"].items():
        package = "/".join(Path(name).parts[:3]) if len(Path(name).parts) > 3 else "src/plimsoll"
        summary = entry["summary"]
        counts = by_package.setdefault(package, [0, 0, 0, 0])
        for index, key in enumerate(("covered_lines", "num_statements", "covered_branches", "num_branches")):
            counts[index] += summary[key]
    print(f"\n{'Python':30}{'lines':>17}{'':8}{'branches':>17}")
    total = [sum(column) for column in zip(*by_package.values(), strict=True)]
    for name, counts in [*sorted(by_package.items()), *([("all", total)] if total else [])]:
        print(f"{name:30}{_share(counts[0], counts[1])}{_share(counts[2], counts[3])}")


# ── contracts ──────────────────────────────────────────────────────────────


def _report_contracts(root: Path, folder: Path, kept: Path, parts: Sequence[Part]) -> None:
    pcs: dict[str, set[int]] = {}
    errors: dict[str, set[str]] = {}
    traced = failed = 0
    for part in parts:
        path = kept / f"{part.slug}.trace.json"
        if not path.is_file():
            continue
        trace = json.loads(path.read_text(encoding="utf-8"))
        traced, failed = traced + trace["traced"], failed + trace["failed"]
        for name, seen in trace["pcs"].items():
            pcs.setdefault(name, set()).update(seen)
        for name, raised in trace["errors"].items():
            errors.setdefault(name, set()).update(raised)
    found = locate(root, folder / "maps", compile_contracts(root, quiet=True), pcs)
    rows = _rows(found, errors)
    total = {key: sum(row[key] for row in rows.values()) for pair in SHARES for key in pair}
    print(f"\n{'contracts, by source':30}{'lines':>17}{'':8}{'functions':>17}{'':8}{'named errors':>17}")
    for name, row in [*rows.items(), ("all", total)]:
        shares = "".join(_share(row[reached], row[of]) for of, reached in SHARES)
        print(f"{name.removeprefix('contracts/'):30}{shares}")
    print(f"\n{'deployed code':30}{'instructions':>17}")
    codes = {
        name: (code.reached, code.instructions) for name, code in sorted(found.codes.items()) if code.instructions > 2
    }
    whole = (sum(reached for reached, _ in codes.values()), sum(of for _, of in codes.values()))
    for name, counts in [*codes.items(), ("all", whole)]:
        print(f"{name:30}{_share(*counts)}")
    print(f"{traced:,} traces ({failed:,} could not be made); what is not reached: {FOLDER / 'contracts.json'}")
    document = {"traces": traced, "failed": failed, "all": total, "files": rows, "instructions": codes}
    (folder / "contracts.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _rows(found: Found, errors: dict[str, set[str]]) -> dict[str, dict[str, Any]]:
    """Figures and names by file, for files that have code or errors."""
    rows: dict[str, dict[str, Any]] = {}
    for path, file in sorted(found.files.items()):
        if not file.with_code and not file.errors:
            continue
        raised = set().union(*(errors.get(name, set()) for name in file.contracts))
        rows[path] = {
            "lines": len(file.lines),
            "reached_lines": len(file.lines_reached),
            "functions": len(file.with_code),
            "reached_functions": len(file.reached),
            "errors": len(file.errors),
            "raised_errors": len(file.errors.keys() & raised),
            "lines_not_reached": sorted(file.lines - file.lines_reached),
            "functions_not_reached": sorted(file.functions[one] for one in file.with_code - file.reached),
            "errors_not_raised": sorted(name for selector, name in file.errors.items() if selector not in raised),
        }
    return rows


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
