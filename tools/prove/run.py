"""Proves the symbolic properties with halmos and prints a table. Usage: make prove [ARGS="--quick --match funding"]

    --quick          only what takes seconds
    --match REGEX    only properties whose contract.name contains it
    --open           only what is listed as open: tries again
    --document       write the table into docs/verification.md afterwards (needs a complete run)

Results are kept in build/prove/results.json. The exit code is 1 when a property that should hold was not proved.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from document import write_document
from properties import ROOT, Property, all_properties

BUILD = ROOT / "build" / "prove"
RESULTS = BUILD / "results.json"
# Seconds per query: the solver stops by itself a little before halmos stops it.
QUERY_SECONDS = 120
# halmos: how a property ended
ENDS = {0: "proved", 1: "REFUTED", 2: "timeout", 3: "stuck", 4: "EMPTY", 5: "error"}


@dataclass(frozen=True, slots=True)
class Result:
    """How one property ended, and after how many seconds."""

    property: Property
    end: str
    seconds: float


def environment() -> dict[str, str]:
    """forge, node's compiler and the solvers on PATH; the profile that halmos has forge build."""
    folders = [Path(sys.executable).parent, ROOT / ".venv" / "bin"]
    path = os.pathsep.join([*map(str, folders), os.environ.get("PATH", os.defpath)])
    return {**os.environ, "PATH": path, "FOUNDRY_PROFILE": "prove", "FOUNDRY_DISABLE_NIGHTLY_WARNING": "1"}


def command(root: Path, contract: str, functions: list[str], report: Path, seconds: int) -> list[str]:
    """halmos on some functions of one contract. Every panic counts as a failure."""
    solver = f"{sys.executable} {ROOT / 'tools' / 'prove' / 'solver.py'} --seconds {max(seconds - 3, 1)}"
    return [
        str(Path(sys.executable).parent / "halmos"),
        f"--root={root}",
        "--forge-build-out=build/prove/out",
        f"--contract={contract}",
        f"--match-test=^({'|'.join(functions)})\\(",
        "--panic-error-codes=*",
        f"--solver-command={solver}",
        f"--solver-timeout-assertion={seconds}s",
        "--solver-threads=2",
        "--early-exit",
        "--no-status",
        f"--json-output={report}",
        "--minimal-json-output",
    ]


def run_contract(
    contract: str, properties: list[Property], root: Path = ROOT, seconds: int = QUERY_SECONDS
) -> list[Result]:
    """Runs halmos once for a contract and reads what it reports. A cut loop or path is no proof."""
    report = root / "build" / "prove" / f"{contract}.json"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)
    functions = [item.function for item in properties]
    done = subprocess.run(
        command(root, contract, functions, report, seconds),
        env=environment(),
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    (root / "build" / "prove" / f"{contract}.log").write_text(done.stdout + done.stderr, encoding="utf-8")
    ends: dict[str, dict[str, Any]] = {}
    if report.is_file():
        for tests in json.loads(report.read_text(encoding="utf-8"))["test_results"].values():
            ends |= {test["name"].split("(")[0]: test for test in tests}
    times = dict(re.findall(r"(check_\w+)\(.*time: ([\d.]+)s", done.stdout))
    results = []
    for item in properties:
        test = ends.get(item.function)
        end = "not run" if test is None else ENDS.get(test["exitcode"], "error")
        if test is not None and end == "proved" and re.search(rf"{item.function}\(.*bounds: \[[^\]]", done.stdout):
            end = "cut"
        results.append(Result(item, end, float(times.get(item.function, 0))))
    return results


def build(root: Path = ROOT) -> None:
    """Compiles once; halmos finds everything built."""
    done = subprocess.run(
        ["forge", "build", "--ast", "--quiet", "--extra-output", "storageLayout", "metadata"],
        env=environment(),
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)


def chosen(options: argparse.Namespace) -> list[Property]:
    found = [item for item in all_properties() if bool(item.open) == options.open]
    if options.quick:
        found = [item for item in found if not item.slow]
    if options.match:
        found = [item for item in found if re.search(options.match, f"{item.contract}.{item.name}")]
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--match")
    parser.add_argument("--open", action="store_true")
    parser.add_argument("--document", action="store_true")
    options = parser.parse_args()
    properties = chosen(options)
    started = time.monotonic()
    print(f"{len(properties)} properties", flush=True)
    build()
    results: list[Result] = []
    width = max((len(item.name) for item in properties), default=0)
    for contract, items in groupby(properties, key=lambda item: item.contract):
        print(f"── {contract} ──", flush=True)
        found = run_contract(contract, list(items))
        for result in found:
            bound = result.property.bound
            print(f"{result.property.name:{width}}  {result.end:8}  {result.seconds:6.1f} s  {bound}", flush=True)
        results += found
    missed = [result for result in results if result.end != "proved"]
    print(f"{len(results) - len(missed)} of {len(results)} proved in {time.monotonic() - started:.0f} s", flush=True)
    for result in missed:
        log = BUILD / f"{result.property.contract}.log"
        print(
            f"not proved: {result.property.contract}.{result.property.name}: {result.end}; see {log}", file=sys.stderr
        )
    complete = not (options.quick or options.match or options.open)
    if complete:
        seconds = {f"{r.property.contract}.{r.property.function}": r.seconds for r in results if r.end == "proved"}
        RESULTS.write_text(json.dumps(seconds, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        if options.document:
            write_document(seconds)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
