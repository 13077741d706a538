"""`plimsoll fuzz`"""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from queue import Empty
from typing import IO, Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from plimsoll.chain.artifacts import repository_root
from plimsoll.commands.options import parameters_path
from plimsoll.fuzz.campaign import Campaign, Check, Failure, Report, missing
from plimsoll.fuzz.prepare import Setting
from plimsoll.fuzz.replay_script import Example, save, script
from plimsoll.fuzz.session import show
from plimsoll.fuzz.world import Backend

__all__ = ["command", "run_workers"]

DEFAULT_SECONDS = 60
FOUND = Path("build", "fuzz", "found")
SHOWN = 12
"""Last steps of a failing example that are printed."""


@click.command(name="fuzz")
@click.option("--actions", type=click.IntRange(min=1), help="Stop after so many actions.")
@click.option("--seconds", type=click.IntRange(min=1), help=f"Stop after so long; {DEFAULT_SECONDS} by default.")
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the stream of examples.")
@click.option(
    "--check",
    type=click.Choice(["action", "example"]),
    default="action",
    show_default=True,
    help="Compare storage and check invariants after every action, or once per example (faster).",
)
@click.option("--backend", type=click.Choice(["revm", "anvil"]), default="revm", show_default=True, help="The EVM.")
@click.option("--network", help="Whose parameters: deployments/NETWORK.yaml or a path; local by default.")
@click.option("--decimals", type=click.IntRange(2, 18), help="Of the settlement assets, instead of the file's.")
@click.option("--markdown", type=click.File("w"), help="Write the table into this file too, as Markdown; - prints it.")
@click.option("--counts/--no-counts", default=True, show_default=True, help="Fail when too little happened.")
def command(
    actions: int | None,
    seconds: int | None,
    workers: int,
    seed: int,
    check: Check,
    backend: Backend,
    network: str | None,
    decimals: int | None,
    markdown: IO[str] | None,
    counts: bool,
) -> None:
    """Take random actions on the contracts and on their executable specification, and compare everything.

    Exit code 0 if nothing differed, every invariant held, and what matters happened often enough; else 1.
    """
    console = Console(stderr=True)
    path = parameters_path(network) if network else None
    setting = Setting(path=path, settlement_decimals=decimals)
    if actions is None and seconds is None:
        seconds = DEFAULT_SECONDS
    limits = {"actions": None if actions is None else -(-actions // workers), "seconds": seconds}
    report = run_workers(setting, seed, workers, check, backend, limits, console)
    console.print(_table(report))
    if markdown is not None:
        markdown.write(_markdown(report))
    console.print(
        f"{report.actions:,} actions in {report.examples:,} examples, {report.seconds:.0f} s, "
        f"{report.rate:,.0f} a second; seed {seed}, {workers} worker{'s' if workers > 1 else ''}, "
        f"compared after every {check}"
    )
    for failure in report.failures:
        console.print(f"[red]example {failure.number} of seed {failure.seed} failed[/red]: {failure.message}")
        console.print(f"its last {min(SHOWN, len(failure.steps))} of {len(failure.steps)} steps:")
        for step in failure.steps[-SHOWN:]:
            console.print("  " + show(step), highlight=False, soft_wrap=True)
        _keep(failure, setting, console)
    rare = missing(report) if counts else []
    for line in rare:
        console.print(f"[yellow]too rare[/yellow]: {line}")
    sys.exit(1 if report.failures or rare else 0)


def _keep(failure: Failure, setting: Setting, console: Console) -> None:
    """Saves a failing example as a file and as a script that replays it on a fresh Anvil."""
    folder = repository_root() / FOUND
    folder.mkdir(parents=True, exist_ok=True)
    example = Example(f"example {failure.number} of seed {failure.seed}", setting, failure.steps)
    path = folder / f"seed_{failure.seed}_example_{failure.number}.json"
    save(example, path)
    path.with_suffix(".py").write_text(script(example), encoding="utf-8")
    console.print(f"replay it on a fresh Anvil: .venv/bin/python {path.with_suffix('.py')}", soft_wrap=True)
    console.print(f"keep it as a test: copy {path} to tests/stateful/regressions/", soft_wrap=True)


def run_workers(
    setting: Setting,
    seed: int,
    workers: int,
    check: Check,
    backend: Backend,
    limits: dict[str, Any],
    console: Console,
) -> Report:
    """Runs a campaign in so many processes and shows how it goes."""
    context = multiprocessing.get_context("spawn")
    mail: Any = context.Queue()
    total, reports = Report(), dict[int, Report]()
    arguments = [(setting, seed, number, workers, check, backend, limits, mail) for number in range(workers)]
    processes = [context.Process(target=_work, args=one, daemon=True) for one in arguments]
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[text]}"), TimeElapsedColumn())
    start = time.monotonic()
    with Progress(*columns, console=console, transient=True) as bar:
        goal = limits["actions"] * workers if limits["actions"] else limits["seconds"]
        task = bar.add_task("fuzzing", total=goal, text="")
        for process in processes:
            process.start()
        running = workers
        while running:
            try:
                number, ended, report = mail.get(timeout=1)
            except Empty:
                if not any(process.is_alive() for process in processes):
                    raise click.ClickException("a worker ended without a report; see its error above") from None
                continue
            reports[number] = report
            running -= ended
            done = sum(one.actions for one in reports.values())
            elapsed = time.monotonic() - start
            text = f"{done:,} actions, {done / elapsed:,.0f} a second"
            bar.update(task, completed=done if limits["actions"] else elapsed, text=text)
    for report in reports.values():
        total.add(report)
    return total


def _work(
    setting: Setting,
    seed: int,
    number: int,
    workers: int,
    check: Check,
    backend: Backend,
    limits: dict[str, Any],
    mail: Any,
) -> None:
    last = 0.0

    def progress(report: Report) -> None:
        nonlocal last
        if time.monotonic() - last > 0.5:
            last = time.monotonic()
            mail.put((number, False, Report(report.examples, report.actions, report.seconds)))

    campaign = Campaign(setting, backend=backend, check=check)
    mail.put((number, True, campaign.run(seed, first=number, every=workers, progress=progress, **limits)))


def _rows(report: Report) -> Iterator[tuple[str, str, str]]:
    """Actions, how often, and how they ended."""
    by_action: dict[str, Counter[str]] = {}
    for key, count in report.table.items():
        name, _, ended = key.partition(": ")
        by_action.setdefault(name, Counter())[ended] += count
    for name, ways in sorted(by_action.items()):
        calls = sum(count for what, count in ways.items() if not what.isupper() and " by " not in what)
        yield name, f"{calls:,}", ", ".join(f"{what} {count:,}" for what, count in ways.most_common())


def _table(report: Report) -> Table:
    table = Table(title="actions and how they ended")
    table.add_column("action")
    table.add_column("times", justify="right")
    table.add_column("ended")
    for row in _rows(report):
        table.add_row(*row)
    return table


def _markdown(report: Report) -> str:
    rows = "".join(f"| `{name}` | {calls} | {ended} |\n" for name, calls, ended in _rows(report))
    return f"| action | times | how it ended |\n|---|---|---|\n{rows}"
