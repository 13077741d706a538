"""Several replays side by side: `python -m plimsoll.risk.table build/replays` prints a table of their summaries."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from plimsoll.risk.report import ReportError

__all__ = ["events_row", "main", "money_row", "table"]

# Orders filled and placed, liquidations and how many left no position, sales of collateral, deleveragings, the most
# blocks that anybody stayed liquidatable, invariants that held, native units and names left at the end.
EVENTS = (
    "replay",
    "steps / blocks",
    "filled / placed",
    "liquidations (full)",
    "sales",
    "ADL",
    "blocks",
    "keeper, ms (p50 / p99 / max)",
    "invariants",
    "dust, stuck",
)
MONEY = ("replay", "bad debt", "insurance", "pool NAV", "traders", "keeper")


def table(folder: Path) -> str:
    """Two tables, of events and of money, with a row for every `<folder>/<name>/summary.json`.

    :raises ReportError: there is none, or one cannot be read.
    """
    files = sorted(folder.glob("*/summary.json"))
    if not files:
        raise ReportError(f"no */summary.json in {folder}; run `plimsoll replay --report {folder}/NAME` first")
    found: tuple[list[Sequence[str]], list[Sequence[str]]] = ([], [])
    for file in files:
        try:
            summary = json.loads(file.read_text(encoding="utf-8"))
            found[0].append(events_row(file.parent.name, summary))
            found[1].append(money_row(file.parent.name, summary))
        except (OSError, ValueError, KeyError) as error:
            raise ReportError(f"{file} is no summary of a replay ({error!r}); run that replay again") from None
    return f"{_markdown(EVENTS, found[0])}\n{_markdown(MONEY, found[1])}"


def events_row(name: str, summary: Mapping[str, Any]) -> Sequence[str]:
    """What happened in one replay."""
    orders, liquidations = summary["orders"], summary["liquidations"]
    held = sum(summary["invariants"].values())
    leaving = summary["wind_down"]
    return (
        name,
        f"{summary['steps']:,} / {summary['blocks']:,}",
        f"{orders['filled']:,} / {orders['placed']:,}",
        f"{liquidations['total']:,} ({liquidations['full']:,})",
        f"{summary['collateral_sales']:,}",
        f"{summary['deleveragings']:,}",
        str(summary["max_blocks_unhealthy"]),
        _latency(summary["keeper_latency_ms"]),
        f"{held} of {len(summary['invariants'])}",
        f"{leaving['residue_wei']}, {leaving['stuck']}",
    )


def money_row(name: str, summary: Mapping[str, Any]) -> Sequence[str]:
    """What it cost and whom."""
    return (
        name,
        _dollars(summary["bad_debt"]),
        f"{_dollars(summary['insurance']['start'])} → {_dollars(summary['insurance']['end'])}",
        f"{_dollars(summary['pool_nav']['start'])} → {_dollars(summary['pool_nav']['end'])}",
        _dollars(summary["traders_pnl"]),
        _dollars(summary["keeper_reward"]),
    )


def _latency(known: Mapping[str, Any]) -> str:
    return " / ".join(f"{known[name]:,.0f}" for name in ("p50", "p99", "max")) if known["count"] else "–"


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _dollars(text: str) -> str:
    """Decimal text as `$1.23M`, `−$45.6k` or `$7`."""
    value = Decimal(text)
    sign, size = "−" if value < 0 else "", abs(value)
    if size >= 1_000_000:
        return f"{sign}${size / 1_000_000:.2f}M"
    return f"{sign}${size / 1_000:.1f}k" if size >= 1_000 else f"{sign}${size:.0f}"


def main(arguments: Sequence[str]) -> int:
    """Prints the table of the folder that is named."""
    try:
        print(table(Path(arguments[0] if arguments else "build/replays")), end="")
    except ReportError as error:
        print(f"plimsoll: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
