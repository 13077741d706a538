"""Puts every bug of `tests/mutants/bugs.toml` into the contracts, one at a time, and lets the fuzzer find it.

Contracts that share a compilation are first fuzzed without any bug: what is found then is no bug of the list. Verdicts
are kept in `build/mutants/report.json`; a bug that was found in the same contracts by the same fuzzer and seed is not
hunted again. The exit code is 1 when one survives. With `--document` the table in `docs/verification.md` is written
anew.

Usage: python scripts/mutants.py [--only NAME …] [--actions N] [--seed N] [--workers N] [--again] [--document]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path

from plimsoll.chain.artifacts import repository_root
from plimsoll.errors import PlimsollError
from plimsoll.fuzz.bugs import Bug, read_bugs
from plimsoll.fuzz.mutants import FOLDER, Verdict, fingerprint, hunt_switched, verdicts, without_bug
from plimsoll.fuzz.switched import is_switchable

BUGS = Path("tests", "mutants", "bugs.toml")
DOCUMENT = Path("docs", "verification.md")
CONTROL = 1_000
"""Actions without a bug."""
BEGIN, END = "<!-- seeded bugs: begin -->", "<!-- seeded bugs: end -->"


def main(arguments: Sequence[str]) -> int:
    """Runs the command."""
    options = _options(arguments)
    root = repository_root()
    report = root / FOLDER / "report.json"
    bugs = read_bugs(root / BUGS)
    kept = verdicts(json.loads(report.read_text(encoding="utf-8"))) if report.is_file() else {}
    try:
        known = {bug.name: kept[bug.name] for bug in bugs if _is_current(bug, kept.get(bug.name), root, options.seed)}
        chosen = [bug for bug in bugs if not options.only or bug.name in options.only]
        waiting = [bug for bug in chosen if options.again or bug.name not in known or not known[bug.name].killed]
        if waiting:
            _hunt(waiting, bugs, root, options, known, report)
    except PlimsollError as error:
        print(f"mutants: {error}", file=sys.stderr)
        return 1
    found = [known[bug.name] for bug in chosen if bug.name in known]
    print(_table(chosen, known))
    survivors = [one.name for one in found if not one.killed]
    print(f"{len(found) - len(survivors)} of {len(chosen)} bugs found")
    if options.document:
        _document(root / DOCUMENT, f"{_summary(bugs, known, options.seed)}\n\n{_table(bugs, known)}")
    if survivors:
        print(f"survived: {', '.join(survivors)}", file=sys.stderr)
    return 1 if survivors or len(found) < len(chosen) else 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make mutants", description="Seeded bugs that the fuzzer must find")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these bugs alone")
    parser.add_argument("--actions", type=int, default=30_000, help="most actions for one bug (30000)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the examples (1)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="bugs at a time (one per core)")
    parser.add_argument("--again", action="store_true", help="hunt those that are known to be found too")
    parser.add_argument("--document", action="store_true", help=f"write the table into {DOCUMENT}")
    return parser.parse_args(arguments)


def _is_current(bug: Bug, verdict: Verdict | None, root: Path, seed: int) -> bool:
    return verdict is not None and verdict.key == fingerprint(bug, root, seed)


def _hunt(
    bugs: Sequence[Bug],
    every: Sequence[Bug],
    root: Path,
    options: argparse.Namespace,
    known: dict[str, Verdict],
    report: Path,
) -> None:
    """Hunts several at a time, those of the same contracts together; each verdict is kept at once."""
    report.parent.mkdir(parents=True, exist_ok=True)
    groups: dict[tuple[str, ...], list[Bug]] = {}
    for bug in bugs:
        groups.setdefault(bug.into if is_switchable(bug, root) else (), []).append(bug)
    failures, number = [], 0
    with ProcessPoolExecutor(options.workers, get_context("spawn"), os.nice, (10,)) as pool:

        def control(into: tuple[str, ...]) -> Future[Verdict] | None:
            """Compiles, deploys and fuzzes what a group shares, so that its hunts find that ready."""
            return pool.submit(without_bug, into, every, root, seed=options.seed, actions=CONTROL) if into else None

        order = sorted(groups, key=lambda into: not into)
        ahead = control(order[0])
        for place, into in enumerate(order):
            sound = ahead.result() if ahead is not None else None
            if sound is not None and sound.killed:
                raise PlimsollError(f"{', '.join(into)} without a bug: {sound.message}")
            jobs = {
                pool.submit(hunt_switched, bug, every, root, seed=options.seed, actions=options.actions): bug
                for bug in groups[into]
            }
            ahead = control(order[place + 1]) if place + 1 < len(order) else None
            for job in as_completed(jobs):
                bug, number = jobs[job], number + 1
                told = f"[{number}/{len(bugs)}] {bug.name}: "
                try:
                    verdict = job.result()
                except PlimsollError as error:
                    failures.append(f"{bug.name}: {error}")
                    print(f"{told}{error}", file=sys.stderr, flush=True)
                    continue
                known[bug.name] = verdict
                how = f"found by {', '.join(verdict.by)}" if verdict.killed else "SURVIVED"
                print(f"{told}{how}, {verdict.actions} actions, {verdict.seconds:.0f} s", file=sys.stderr, flush=True)
                entries = {name: asdict(one) for name, one in sorted(known.items())}
                report.write_text(json.dumps(entries, indent=1) + "\n", encoding="utf-8")
    if failures:
        raise PlimsollError("\n".join(failures))


def _summary(bugs: Sequence[Bug], known: dict[str, Verdict], seed: int) -> str:
    """How many were found, survived, and were not hunted."""
    found = sum(verdict.killed for verdict in known.values())
    counts = {"found": found, "survived": len(known) - found, "not hunted": len(bugs) - len(known)}
    parts = [f"{count} {name}" for name, count in counts.items() if count or name == "found"]
    return f"{len(bugs)} bugs, seed {seed}: {', '.join(parts)}."


def _table(bugs: Sequence[Bug], known: dict[str, Verdict]) -> str:
    """A Markdown table of what became of each."""
    rows = ["| bug | what is wrong | violates | found by | actions | invariants alone |", "|---|---|---|---|---|---|"]
    for bug in bugs:
        verdict = known.get(bug.name)
        if verdict is None:
            by, actions, alone = "not hunted", "", ""
        else:
            by, actions = ", ".join(verdict.by) or "**survived**", f"{verdict.actions:,}"
            alone = ", ".join(verdict.alone) or "–"
        rows.append(f"| {bug.name} | {bug.breaks} | {', '.join(bug.sees)} | {by} | {actions} | {alone} |")
    return "\n".join(rows)


def _document(path: Path, table: str) -> None:
    text = path.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        raise PlimsollError(f"{path.name} lacks the marks {BEGIN} and {END}")
    head, rest = text.split(BEGIN, 1)
    path.write_text(f"{head}{BEGIN}\n\n{table}\n\n{END}{rest.split(END, 1)[1]}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
