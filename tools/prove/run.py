"""Proves the symbolic properties with halmos and prints a table. Usage: make prove [ARGS="--quick --match funding"]

    --quick          only what takes seconds
    --match REGEX    only properties whose contract.name contains it
    --open           only what is listed as open: tries again
    --missing        only what has no proof on record
    --document       write the list into docs/verification.md afterwards

Proofs are kept in build/prove/results.json while the code that they are about stays the same. The exit code is 1 when a
property that should hold was not proved.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tools.prove.document import write_document
from tools.prove.properties import ROOT, Property, all_properties
from tools.prove.records import Records

# Folder of the sources: profile of foundry.toml.
PROFILES = {"libraries": "prove", "modules": "prove-modules"}
BUILD = ROOT / "build" / "prove"
# Seconds per query: the solver stops by itself a little before halmos stops it.
QUERY_SECONDS = int(os.environ.get("PROVE_QUERY_SECONDS", "120"))
# How halmos says that a property ended.
LINE = re.compile(r"\[(PASS|FAIL|TIMEOUT|ERROR)\]\S* (check_\w+)\(.*time: ([\d.]+)s, bounds: \[(.*?)\]")
ENDS = {"PASS": "proved", "FAIL": "REFUTED", "TIMEOUT": "timeout", "ERROR": "error"}


@dataclass(frozen=True, slots=True)
class Result:
    """How one property ended, and after how many seconds."""

    property: Property
    end: str
    seconds: float


def environment(profile: str) -> dict[str, str]:
    """forge, node's compiler and the solvers on PATH; the profile that forge builds."""
    folders = [Path(sys.executable).parent, ROOT / ".venv" / "bin"]
    path = os.pathsep.join([*map(str, folders), os.environ.get("PATH", os.defpath)])
    return {**os.environ, "PATH": path, "FOUNDRY_PROFILE": profile, "FOUNDRY_DISABLE_NIGHTLY_WARNING": "1"}


def command(root: Path, folder: str, contract: str, functions: list[str], seconds: int) -> list[str]:
    """halmos on some functions of one contract. Every panic counts as a failure."""
    solver = f"{sys.executable} {ROOT / 'tools' / 'prove' / 'solver.py'} --seconds {max(seconds - 3, 1)}"
    return [
        sys.executable,
        str(ROOT / "tools" / "prove" / "halmos_integers.py"),
        f"--root={root}",
        f"--forge-build-out=build/prove/{folder}/out",
        f"--contract={contract}",
        f"--match-test=^({'|'.join(functions)})\\(",
        "--panic-error-codes=*",
        f"--solver-command={solver}",
        f"--solver-timeout-assertion={seconds}s",
        "--solver-threads=2",
        "--early-exit",
        "--no-status",
    ]


def run_contract(
    contract: str, properties: list[Property], root: Path = ROOT, seconds: int = QUERY_SECONDS
) -> Iterator[Result]:
    """Runs halmos once for a contract and says how each property ended as it ends. A cut loop is no proof."""
    waiting = {item.function: item for item in properties}
    folder = properties[0].folder
    log = root / "build" / "prove" / f"{contract}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with (
        log.open("w", encoding="utf-8") as written,
        subprocess.Popen(
            command(root, folder, contract, list(waiting), seconds),
            env=environment(PROFILES[folder]),
            cwd=root,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        try:
            for line in process.stdout:
                written.write(line)
                ended = LINE.search(line)
                if ended and ended[2] in waiting:
                    end = "cut" if ended[1] == "PASS" and ended[4] else ENDS[ended[1]]
                    yield Result(waiting.pop(ended[2]), end, float(ended[3]))
        finally:
            process.kill()
    for item in waiting.values():
        yield Result(item, "not run", 0)


def build(folder: str, root: Path = ROOT) -> None:
    """Compiles once; halmos finds everything built."""
    done = subprocess.run(
        ["forge", "build", "--ast", "--quiet", "--extra-output", "storageLayout", "metadata"],
        env=environment(PROFILES[folder]),
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)


def chosen(options: argparse.Namespace, records: Records) -> list[Property]:
    found = [item for item in all_properties() if bool(item.open) == options.open]
    if options.quick:
        found = [item for item in found if not item.slow]
    if options.missing:
        found = [item for item in found if records.seconds(item) is None]
    if options.match:
        found = [item for item in found if re.search(options.match, f"{item.contract}.{item.name}")]
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--match")
    parser.add_argument("--open", action="store_true")
    parser.add_argument("--missing", action="store_true")
    parser.add_argument("--document", action="store_true")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    records = Records()
    properties = chosen(options, records)
    started = time.monotonic()
    print(f"{len(properties)} properties", flush=True)
    for folder in sorted({item.folder for item in properties}):
        build(folder)
    results: list[Result] = []
    width = max((len(item.name) for item in properties), default=0)
    for contract, items in groupby(properties, key=lambda item: item.contract):
        print(f"── {contract} ──", flush=True)
        for result in run_contract(contract, list(items)):
            bound = result.property.bound
            print(f"{result.property.name:{width}}  {result.end:8}  {result.seconds:6.1f} s  {bound}", flush=True)
            results.append(result)
            if result.end == "proved":
                records.add(result.property, result.seconds)
            elif result.end == "REFUTED":
                records.drop(result.property)
    missed = [result for result in results if result.end != "proved"]
    print(f"{len(results) - len(missed)} of {len(results)} proved in {time.monotonic() - started:.0f} s", flush=True)
    for result in missed:
        log = BUILD / f"{result.property.contract}.log"
        print(
            f"not proved: {result.property.contract}.{result.property.name}: {result.end}; see {log}", file=sys.stderr
        )
    if options.document:
        write_document(records)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
