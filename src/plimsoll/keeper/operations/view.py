"""The keeper on a terminal: one screen made from a status and the last lines of the log, for 80 columns and more."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from plimsoll.keeper.operations import figures
from plimsoll.keeper.operations.status import (
    ActionStatus,
    BudgetStatus,
    Danger,
    InFlight,
    KeeperStatus,
    Phase,
    ProviderStatus,
)

__all__ = ["LiveView", "render", "shows_view"]

WIDE = 120
REFRESH_SECONDS = 0.5
OUTCOME_STYLES = {"landed": "green", "send": "cyan", "reverted": "red", "refused": "yellow", "blocked": "red"}
NEAR_PPM = 10_000
LEAST_ROWS = 2
HOUR = 3_600
DATE = re.compile(r"^\d{4}-\d\d-\d\d ")


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows that each part may take on a screen."""

    dangers: int
    flights: int
    actions: int
    lines: int


def shows_view(mode: str, *, terminal: bool, json_lines: bool) -> bool:
    """Whether the live view is shown: asked for, or `auto` on a terminal whose log is for people."""
    return mode == "on" or (mode == "auto" and terminal and not json_lines)


def render(status: KeeperStatus, lines: Sequence[str], width: int, height: int) -> RenderableType:
    """One screen of at most `height` rows."""
    wide = width >= WIDE
    top: list[RenderableType] = [_title(status), *_facts(status, width)]
    used = len(top)
    if wide:
        parts = _parts(status, max(height - used, 8), wide=True)
        grid = Table.grid(expand=True, padding=(0, 3, 0, 0), pad_edge=False)
        grid.add_column(ratio=1)
        grid.add_column(ratio=1)
        grid.add_row(
            Group(_dangers(status.dangers, parts.dangers), _flights(status.in_flight, parts.flights, wide=True)),
            Group(_nodes(status.providers), _guards(status), _actions(status.actions, parts.actions)),
        )
        return Group(*top, grid, _log(lines, parts.lines))
    parts = _parts(status, max(height - used, 8), wide=False)
    return Group(
        *top,
        _nodes(status.providers),
        _guards(status),
        _dangers(status.dangers, parts.dangers),
        _flights(status.in_flight, parts.flights, wide=False),
        _actions(status.actions, parts.actions),
        _log(lines, parts.lines),
    )


class LiveView:
    """Draws the status again and again until it is stopped.

    :param status: the status at the moment of asking; `lines` the last lines of the log.
    """

    def __init__(
        self,
        status: Callable[[], KeeperStatus],
        lines: Callable[[], Sequence[str]] = tuple,
        console: Console | None = None,
    ) -> None:
        self._status = status
        self._lines = lines
        self._console = console if console is not None else Console(file=sys.stderr, highlight=False)

    async def run(self, stop: asyncio.Event) -> None:
        """Draws twice a second; the terminal is as before when it ends."""
        with Live(console=self._console, screen=True, auto_refresh=False) as live:
            while not stop.is_set():
                size = self._console.size
                live.update(render(self._status(), self._lines(), size.width, size.height), refresh=True)
                try:
                    await asyncio.wait_for(stop.wait(), REFRESH_SECONDS)
                except TimeoutError:
                    continue


def _parts(status: KeeperStatus, free: int, *, wide: bool) -> _Rows:
    """Shares the free rows: what is in flight and in danger comes first, the log takes what is left."""
    nodes = len(status.providers) + 1
    guards = 1 + sum(item.open for item in status.breakers) + len(status.halts) + len(status.readiness.reasons)
    if wide:
        lines = max(free // 4, 3)
        left = free - lines - 1
        flights = min(len(status.in_flight), max(left // 2 - 2, 1))
        return _Rows(
            dangers=max(left - flights - 4, LEAST_ROWS),
            flights=flights,
            actions=max(left - nodes - guards - 2, LEAST_ROWS),
            lines=lines,
        )
    # Each table has a row of titles.
    left = free - nodes - guards - 4
    flights = min(len(status.in_flight), max(left // 4, 1))
    left -= max(flights, 1)
    wanted = [max(len(status.dangers), 1), max(len(status.actions), 1)]
    dangers, actions = _shared(max(left - max(left // 4, 1), 2), wanted)
    return _Rows(dangers, flights, actions, max(left - dangers - actions, 0))


def _shared(free: int, wanted: list[int]) -> list[int]:
    """Equal shares of the free rows; what one part does not want is the others'."""
    given = [0] * len(wanted)
    while free > 0 and any(have < want for have, want in zip(given, wanted, strict=True)):
        for index, want in enumerate(wanted):
            if free > 0 and given[index] < want:
                given[index] += 1
                free -= 1
    return given


def _title(status: KeeperStatus) -> RenderableType:
    it = status.versions
    left = Text(no_wrap=True, overflow="ellipsis")
    left.append("plimsoll keeper", "bold")
    left.append(f"  {it.network} ({it.chain_id})  {figures.short_hash(it.sender)}  {it.objective}")
    if it.dry_run:
        left.append("  dry run", "yellow")
    right = Text(no_wrap=True)
    ready = status.readiness.ready
    right.append(status.phase.value, "green" if status.phase is Phase.FOLLOWING else "yellow")
    right.append("  ")
    right.append("ready" if ready else "not ready", "bold green" if ready else "bold red")
    grid = Table.grid(expand=True, padding=(0, 1))
    grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    grid.add_column(justify="right", no_wrap=True)
    grid.add_row(left, right)
    return grid


def _facts(status: KeeperStatus, width: int) -> list[RenderableType]:
    head, book = status.head, status.book
    chain = [
        f"head {figures.count(head.number)} ({figures.age(head.age_seconds)})",
        f"lag {head.lag_blocks}",
        f"base fee {figures.fee(head.base_fee_wei)}",
        f"balance {figures.ether(status.balance_wei)}",
    ]
    if head.reorgs:
        chain.append(f"reorgs {head.reorgs} (≤{head.deepest_blocks})")
    kept = [
        f"{figures.count(book.accounts)} accounts",
        f"{figures.count(book.positions)} positions",
        f"{figures.count(book.orders)} orders",
        f"{book.sales} sales",
    ]
    risk = [f"{figures.margin(item.below_ppm)}: {figures.count(item.accounts)}" for item in book.buckets]
    money = [
        f"earned {figures.money(status.earned_wad)}",
        f"gas {figures.ether(status.spent_wei)}",
        *(_budget(item) for item in status.budgets),
        f"up {figures.age(status.uptime_seconds)}",
    ]
    rows = [chain, kept, _health(risk), money]
    if width >= WIDE:
        rows = [[*chain, *money], [*kept, *(_health(risk))]]
    return [Text(" · ".join(row), no_wrap=True, overflow="ellipsis") for row in rows if row]


def _health(buckets: list[str]) -> list[str]:
    return [f"health {buckets[0]}", *buckets[1:]] if buckets else []


def _budget(budget: BudgetStatus) -> str:
    window = "h" if budget.window_seconds == HOUR else figures.age(budget.window_seconds)
    limit = f" of {figures.ether(budget.limit_wei)}" if budget.limit_wei is not None else ""
    return f"{budget.name}/{window} {figures.ether(budget.spent_wei)}{limit}"


def _table(title: str, *columns: tuple[str, str]) -> Table:
    """Without lines: every row counts. The title stands in the head of the first column."""
    table = Table(box=None, expand=True, padding=(0, 1, 0, 0), header_style="cyan", pad_edge=False)
    for index, (name, justify) in enumerate(columns):
        first = index == 0
        table.add_column(
            Text(title, "bold cyan") if first else name,
            justify="right" if justify == "r" else "left",
            no_wrap=True,
            overflow="ellipsis",
            ratio=1 if justify == "w" else None,
        )
    return table


def _row(table: Table, *cells: str | Text) -> None:
    """Adds a row; text from outside is no markup."""
    table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in cells))


def _nodes(providers: Sequence[ProviderStatus]) -> RenderableType:
    table = _table("node", ("", "w"), ("state", "l"), ("head", "r"), ("lag", "r"), ("answers", "r"), ("errors", "r"))
    for item in providers:
        state = Text(item.state, "green" if item.state == "ok" else "red")
        _row(
            table,
            ("▸ " if item.used else "  ") + item.name,
            state,
            figures.count(item.head),
            str(item.lag_blocks),
            f"{item.latency_seconds * 1000:.0f} ms",
            f"{item.error_ratio * 100:.0f} %",
        )
    return table


def _guards(status: KeeperStatus) -> RenderableType:
    """What is in the way: halts, open breakers, reasons against readiness; else one quiet line."""
    rows: list[RenderableType] = [Text(f"halted: {reason}", "bold red") for reason in status.halts]
    for item in status.breakers:
        if item.open:
            until = f", next try at block {figures.count(item.until_block)}" if item.until_block is not None else ""
            rows.append(Text(f"breaker {item.name} open: {item.reason}{until}", "red"))
    said = {f"halted: {reason}" for reason in status.halts}
    rows += [Text(f"not ready: {reason}", "yellow") for reason in status.readiness.reasons if reason not in said]
    closed = [item.name for item in status.breakers if not item.open]
    lease = status.lease
    parts = [f"lease {lease.mode}" + (f" epoch {lease.epoch}" if lease.epoch else "")]
    if closed:
        parts.append(f"{len(closed)} breakers closed")
    if status.audit.block:
        parts.append(
            f"audit {status.audit.accounts} at {figures.count(status.audit.block)}: {status.audit.mismatches} off"
        )
    rows.append(Text(" · ".join(parts), "dim"))
    for row in rows:
        assert isinstance(row, Text)
        row.no_wrap, row.overflow = True, "ellipsis"
    return Group(*rows)


def _dangers(dangers: Sequence[Danger], rows: int) -> RenderableType:
    title = "next liquidations"
    table = _table(title, ("", "w"), ("market", "l"), ("distance", "r"), ("equity", "r"), ("margin", "r"), ("", "l"))
    for item in dangers[:rows]:
        style = "bold red" if item.distance_ppm <= 0 else "yellow" if item.distance_ppm < NEAR_PPM else ""
        _row(
            table,
            item.account,
            item.market,
            Text(figures.distance(item.distance_ppm), style),
            figures.money(item.equity_wad),
            figures.money(item.required_wad),
            item.blocked,
        )
    if not dangers:
        table.add_row(Text("none", "dim"))
    return table


def _flights(flights: Sequence[InFlight], rows: int, *, wide: bool) -> RenderableType:
    columns = [("", "w"), ("nonce", "r"), ("fee cap", "r"), ("age", "r"), ("tx", "l")]
    columns += [("worth", "r"), ("id", "l")] if wide else []
    table = _table("in flight", *columns)
    for item in flights[:rows]:
        job = item.job + (f" ×{item.replacements + 1}" if item.replacements else "")
        job += f" ({item.status})" if item.status != "broadcast" else ""
        row = [
            job,
            str(item.nonce),
            figures.fee(item.max_fee_wei),
            f"{item.age_blocks} bl",
            figures.short_hash(item.tx_hash),
        ]
        if wide:
            row += ["–" if item.worth_wei is None else figures.ether(item.worth_wei), item.id]
        _row(table, *row)
    if not flights:
        table.add_row(Text("none", "dim"))
    elif len(flights) > rows:
        table.columns[0].header = Text(f"in flight ({rows} of {len(flights)})", "bold cyan")
    return table


def _actions(actions: Sequence[ActionStatus], rows: int) -> RenderableType:
    table = _table("last actions", ("", "l"), ("outcome", "l"), ("what", "w"), ("block", "r"))
    for item in actions[:rows]:
        outcome = Text(item.outcome, OUTCOME_STYLES.get(item.outcome.partition(":")[0], ""))
        _row(table, item.job, outcome, item.text, figures.count(item.block))
    if not actions:
        table.add_row(Text("none", "dim"))
    return table


def _log(lines: Sequence[str], rows: int) -> RenderableType:
    shown = list(lines)[-rows:] if rows > 0 else []
    return Group(*(Text(DATE.sub("", line), "dim", no_wrap=True, overflow="ellipsis") for line in shown))
