"""Changes the maths libraries in every small way and looks whether a comparison with the specification shows it.

The score and the survivors are printed and kept in `build/mutants/maths-report.json`; every survivor must be explained
in `tests/mutants/survivors.toml`. With `--document` scores and survivors are written into `docs/verification.md`.

Usage: python scripts/mutate_maths.py [--only LIBRARY …] [--workers N] [--document]
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import pyrevm
from tests.mutants.calls import Call
from tests.mutants.maths import LIBRARIES, Library, programs_of
from tests.mutants.recorder import CASES

from plimsoll.chain.artifacts import repository_root
from plimsoll.errors import PlimsollError
from plimsoll.fuzz.copies import compile_variants, only_calls_to
from plimsoll.fuzz.mutation import mutants

AT = "0x" + "70" * 20
CALLER = "0x" + "ca" * 20
GAS = 20_000_000
"""Of one call: a mutant that never ends is found by running out of it."""
BATCH = 24
REVERT = re.compile(r"output: 0x([0-9a-f]*)")
"""What the error of a call says that it gave back."""
SURVIVORS = Path("tests", "mutants", "survivors.toml")
REPORT = Path("build", "mutants", "maths-report.json")
DOCUMENT = Path("docs", "verification.md")
BEGIN, END = "<!-- mutation: begin -->", "<!-- mutation: end -->"


@dataclass(frozen=True, slots=True)
class Score:
    """What became of one library's mutants; `survivors` by name."""

    library: str
    made: int
    refused: int
    killed: int
    survivors: list[str]


def main(arguments: Sequence[str]) -> int:
    """Runs the command; 1 when a survivor is not explained."""
    parser = argparse.ArgumentParser(prog="make mutate-maths", description="General mutation of the maths libraries")
    parser.add_argument("--only", nargs="+", default=[], metavar="LIBRARY", help="these libraries alone")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="libraries at a time (one per core)")
    parser.add_argument("--document", action="store_true", help=f"write the scores into {DOCUMENT}")
    options = parser.parse_args(arguments)
    root = repository_root()
    chosen = [library for library in LIBRARIES if not options.only or library.name in options.only]
    try:
        _record(root)
        with ProcessPoolExecutor(options.workers, get_context("spawn"), os.nice, (10,)) as pool:
            scores = []
            for score in pool.map(mutate, chosen, [root] * len(chosen)):
                scores.append(score)
                print(_row(score), flush=True)
                kept = {one.library: one.survivors for one in scores}
                (root / REPORT).write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    except PlimsollError as error:
        print(f"mutate-maths: {error}", file=sys.stderr)
        return 1
    reasons = tomllib.loads((root / SURVIVORS).read_text(encoding="utf-8"))
    unexplained = [name for score in scores for name in score.survivors if name not in reasons]
    made, killed = sum(s.made - s.refused for s in scores), sum(s.killed for s in scores)
    print(f"{killed} of {made} mutants killed; {made - killed} survive, {len(unexplained)} of them unexplained")
    for line in unexplained:
        print(f"  {line}")
    if options.document:
        _document(root / DOCUMENT, scores, reasons)
    return 1 if unexplained else 0


def _record(root: Path) -> None:
    """Lets the unit tests say what they compare, once for each set of tests and contracts."""
    tests = sorted(str(path.relative_to(root)) for path in (root / "tests" / "unit").glob("test_*math.py"))
    sources = [*(root / name for name in tests), *(root / "contracts" / "libraries").glob("*.sol")]
    cases = root / CASES
    if cases.is_file() and all(path.stat().st_mtime < cases.stat().st_mtime for path in sources):
        return
    print("recording what the unit tests compare", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", "pytest", "-p", "no:ape_test", "-p", "tests.mutants.recorder", "-q"]
    done = subprocess.run([*command, "--hypothesis-seed=0", *tests], cwd=root, check=False, capture_output=True)
    if done.returncode:
        raise PlimsollError(f"the unit tests of the maths fail:\n{done.stdout.decode()[-2000:]}")


def mutate(library: Library, root: Path) -> Score:
    """Tries every mutant of a library."""
    programs = programs_of(library, root)
    harness = (root / library.harness).read_text(encoding="utf-8")
    harness = harness[: harness.rindex("}")] + library.more + "}\n"
    if len(programs) == 1:
        harness = only_calls_to(harness, library.name)
    (plain,) = compile_variants(root, library.harness, [{}], harness, via_ir=library.via_ir)
    if plain is None:
        raise PlimsollError(f"{library.harness} does not compile")
    if differs(plain, programs):
        raise PlimsollError(f"{library.name} itself differs from the specification")
    waiting = list(mutants(library.file, (root / library.file).read_text(encoding="utf-8")))
    refused = killed = 0
    survivors: list[str] = []
    for start in range(0, len(waiting), BATCH):
        batch = waiting[start : start + BATCH]
        texts = [{library.file: one.text} for one in batch]
        codes = compile_variants(root, library.harness, texts, harness, via_ir=library.via_ir)
        for mutant, code in zip(batch, codes, strict=True):
            if code is None:
                refused += 1
            elif code == plain or not differs(code, programs):
                survivors.append(mutant.name)
            else:
                killed += 1
        print(f"{library.name}: {start + len(batch)} of {len(waiting)}", file=sys.stderr, flush=True)
    return Score(library.name, len(waiting), refused, killed, survivors)


def differs(code: bytes, programs: Sequence[Sequence[Call]]) -> bool:
    """Whether the code answers any call otherwise than it must."""
    for program in programs:
        evm = pyrevm.EVM(spec_id="CANCUN")
        evm.insert_account_info(AT, pyrevm.AccountInfo(nonce=1, code=code))
        for call in program:
            try:
                answer, refused = evm.message_call(CALLER, AT, call.data, 0, GAS), False
            except RuntimeError as error:
                found = REVERT.search(str(error))
                answer, refused = bytes.fromhex(found[1]) if found else b"halt", True
            if (answer, refused) != (call.answer, call.refused):
                return True
    return False


def _row(score: Score) -> str:
    made = score.made - score.refused
    return f"| {score.library} | {made} | {score.killed} | {len(score.survivors)} | {score.refused} |"


def _document(path: Path, scores: Sequence[Score], reasons: dict[str, str]) -> None:
    rows = ["| library | mutants | killed | survivors | do not compile |", "|---|---|---|---|---|"]
    rows += [_row(score) for score in scores]
    rows += ["", "| library | line after the change | why it may survive |", "|---|---|---|"]
    for score in scores:
        for name in score.survivors:
            library, code = name.split(": ", 1)
            shown = code.replace("|", "\\|")
            rows.append(f"| {library} | `{shown}` | {reasons.get(name, 'not explained')} |")
    text = path.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN, 1)
    path.write_text(f"{head}{BEGIN}\n\n" + "\n".join(rows) + f"\n\n{END}{rest.split(END, 1)[1]}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
