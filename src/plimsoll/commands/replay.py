"""`plimsoll replay`"""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from types import FrameType

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from plimsoll.commands.options import parameters_path
from plimsoll.deploy.document import ParameterError
from plimsoll.risk.cells import PriceFileError
from plimsoll.risk.paths import DEFAULT_THRESHOLD_BPS, PathError, synthetic_crash
from plimsoll.risk.prices import gap_lines, read_price_files
from plimsoll.risk.records import ReplayReport
from plimsoll.risk.replay import replay
from plimsoll.risk.report import ReportError, failures, money_text, summary_json, write_report
from plimsoll.risk.setting import ReplayError, Settings

__all__ = ["command"]

EXIT_FAILED = 1
EXIT_INPUT = 2
LOG_EVERY_PERCENT = 5


@click.command(name="replay")
@click.option(
    "--prices",
    "price_files",
    multiple=True,
    metavar="[SYMBOL=]FILE",
    help="OHLC file of one symbol, named in front or by the file name; repeat it for several. "
    "Without one a bundled crash of ETH, BTC and SOL is replayed.",
)
@click.option("--accounts", type=int, default=300, show_default=True, help="Traders' accounts.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the crowd, and of the bundled crash.")
@click.option("--lps", type=int, default=4, show_default=True, help="Liquidity providers of each pool.")
@click.option(
    "--threshold", type=int, default=DEFAULT_THRESHOLD_BPS, show_default=True, help="Largest move of a feed, in bp."
)
@click.option("--gaps", is_flag=True, help="Jump from point to point of each bar: the worst case.")
@click.option(
    "--report", "folder", type=click.Path(path_type=Path), help="Folder for summary.json, index.html, plots/."
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON and nothing else.")
@click.option("--network", default="local", show_default=True, help="Whose parameters: deployments/NETWORK.yaml.")
def command(
    price_files: tuple[str, ...],
    accounts: int,
    seed: int,
    lps: int,
    threshold: int,
    gaps: bool,
    folder: Path | None,
    as_json: bool,
    network: str,
) -> None:
    """Live through a price path on a chain of its own and report.

    Deploys the protocol on a fresh anvil, fills it with traders and liquidity providers, walks the prices, and lets the
    real keeper work in between. At the end everybody closes and leaves.

    Exit code 0 only if every invariant held, nothing is stuck, and no account stayed liquidatable for more than two
    blocks; 1 if not; 2 if the input cannot be used.
    """
    signal.signal(signal.SIGTERM, _terminated)
    console = Console(stderr=True)
    try:
        settings = Settings(accounts, seed, threshold, gaps, lps)
        series = read_price_files(price_files) if price_files else synthetic_crash(seed)
        for line in (text for one in series for text in gap_lines(one)):
            console.print(line, highlight=False, soft_wrap=True)
        if folder is not None:
            _writable(folder)
        with Steps(console) as steps:
            report = replay(series, settings, parameters_path(network), steps)
        if folder is not None:
            write_report(report, folder)
    except (PriceFileError, PathError, ReplayError, ReportError, ParameterError) as error:
        click.echo(f"plimsoll: {error}", err=True)
        sys.exit(EXIT_INPUT)
    except KeyboardInterrupt:
        click.echo("plimsoll: interrupted; the chain of the replay was ended", err=True)
        sys.exit(128 + signal.SIGINT)
    if as_json:
        click.echo(summary_json(report), nl=False)
    else:
        for line in _lines(report, folder):
            click.echo(line)
    problems = failures(report)
    for problem in problems:
        click.echo(f"plimsoll: {problem}", err=True)
    sys.exit(EXIT_FAILED if problems else 0)


def _terminated(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _writable(folder: Path) -> None:
    """Finds out before the replay, not after it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        reason = error.strerror or str(error)
        raise ReportError(f"cannot write to {folder} ({reason}); give another folder with --report") from None


def _lines(report: ReplayReport, folder: Path | None) -> list[str]:
    full = sum(record.full for record in report.liquidations)
    orders = report.orders
    found = [
        f"{report.steps:,} steps, {report.blocks:,} blocks, {report.accounts:,} accounts in {report.seconds:.0f} s",
        f"{orders.placed} orders: {orders.filled} filled, {orders.cancelled} cancelled, {orders.expired} expired",
        f"liquidations: {len(report.liquidations)}, of which {full} left no position; "
        f"{report.collateral_sales} sales of collateral, {report.deleveragings} deleveragings",
        f"bad debt {money_text(report.bad_debt)}, traders {money_text(report.traders_pnl)}, "
        f"keeper earned {money_text(report.keeper_reward)} with {report.keeper_gas:,} gas",
    ]
    for pool in report.pools:
        found.append(
            f"pool {pool.pool}: NAV {money_text(pool.nav_start)} → {money_text(pool.nav_end)}, "
            f"insurance {money_text(pool.insurance_start)} → {money_text(pool.insurance_end)}"
        )
    held = sum(record.ok for record in report.invariants)
    found.append(
        f"{held} of {len(report.invariants)} invariants held; "
        f"nobody was liquidatable for more than {report.max_blocks_unhealthy} blocks; "
        f"wind-down: {len(report.wind_down.stuck)} stuck, {report.wind_down.residue_wei} units of dust left"
    )
    if folder is not None:
        found.append(f"report: {folder / 'index.html'}")
    return found


class Steps:
    """A progress bar on a terminal, a line now and then elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._said = ""
        if console.is_terminal:
            columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}")
            self._bar = Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console, transient=True)

    def __enter__(self) -> Steps:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, what: str, done: int, total: int) -> None:
        """Shows how far it is."""
        if self._bar is None:
            text = f"{what} {done * 100 // total // LOG_EVERY_PERCENT * LOG_EVERY_PERCENT} %" if done else what
            if text != self._said:
                self._said = text
                self._console.print(text, highlight=False)
            return
        if self._task is None:
            self._task = self._bar.add_task(what, total=total)
        self._bar.update(self._task, description=what, completed=done, total=total)
