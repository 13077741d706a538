"""What the commands print: a status, a pass with its expected values, entries of the journal."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from plimsoll.keeper.operations import figures
from plimsoll.keeper.operations.journal import document
from plimsoll.keeper.operations.ports import Decision, PassReport
from plimsoll.keeper.operations.redact import shown_url
from plimsoll.keeper.operations.status import KeeperStatus, plain
from plimsoll.keeper.operations.view import render
from plimsoll.keeper.storage.opening import open_repository

__all__ = ["kept", "print_entries", "print_entry", "print_kept", "print_pass", "print_status"]

FILE_WIDTH = 160
FILE_HEIGHT = 60
RECENT = 10


def print_status(status: KeeperStatus) -> None:
    """One screen; wide enough for all columns in a file or a pipe."""
    console = _console()
    height = os.get_terminal_size().lines if sys.stdout.isatty() else FILE_HEIGHT
    console.print(render(status, (), console.width, height))


def print_pass(passed: PassReport, lines: Sequence[str]) -> None:
    """Every decision of a pass with its terms; the lines of the log where there are no decisions."""
    click.echo(f"block {passed.block} {passed.hash}".rstrip() + f", time {passed.time}: nothing is sent")
    for one in passed.decisions:
        for line in _decision(one):
            click.echo(line)
    if not passed.decisions:
        for line in lines:
            click.echo(f"  {line}")
    for note in passed.notes:
        click.echo(f"note: {note}")
    if passed.blocked:
        click.echo(f"blocked: {passed.blocked}")
    click.echo(passed.summary or f"{len(passed.decisions)} decisions")


def print_entries(found: Sequence[Mapping[str, Any]]) -> None:
    """A table of entries, the newest first."""
    table = Table(box=None, header_style="bold", padding=(0, 1, 0, 0), pad_edge=False)
    for name, justify in (
        ("entry", "right"), ("id", "left"), ("job", "left"), ("status", "left"), ("nonce", "right"),
        ("fee cap", "right"), ("worth", "right"), ("decided", "right"), ("block", "right"), ("transaction", "left"),
    ):  # fmt: skip
        table.add_column(name, justify="right" if justify == "right" else "left", no_wrap=True)
    for one in found:
        cells = (
            str(one["entry"]),
            str(one["id"]),
            "cancel" if one["cancels"] else str(one["job"]),
            str(one["status"]),
            str(one["nonce"]),
            figures.fee(int(one["max_fee_wei"])),
            figures.ether(int(one["worth_wei"])),
            str(one["created_block"]),
            "–" if one["block"] is None else str(one["block"]),
            figures.short_hash(str(one["tx_hash"])),
        )
        table.add_row(*(Text(cell) for cell in cells))
    _console().print(table if found else "the journal is empty")


def print_entry(found: Sequence[Mapping[str, Any]]) -> None:
    """One entry in full, and in a line each the others of its nonce."""
    first, *others = found
    for name, value in first.items():
        if name != "raw":
            click.echo(f"{name:>14}  {_text(name, value)}")
    if others:
        click.echo("same nonce:")
        print_entries(others)


def kept(where: str) -> dict[str, Any]:
    """What a database says of a keeper that does not run.

    :raises PlimsollError: it cannot be read.
    """
    repository = open_repository(where, None, read_only=True)
    try:
        head, holder = repository.head(), repository.lease.holder()
        return {
            "database": shown_url(where),
            "identity": repository.identity,
            "head": None if head is None else {"number": head.number, "hash": head.hash, "time": head.time},
            "lease": None if holder is None else plain(holder),
            "open": [document(one) for one in repository.journal.open()],
            "recent": [document(one) for one in repository.journal.recent(RECENT)],
        }
    finally:
        repository.close()


def print_kept(found: Mapping[str, Any]) -> None:
    """The same for people."""
    head, lease = found["head"], found["lease"]
    click.echo(f"database {found['database']}, " + ("empty" if head is None else f"at block {head['number']}"))
    if lease is not None:
        state = f"for {figures.age(lease['remaining'])} more" if lease["remaining"] > 0 else "ended"
        click.echo(f"lease of {lease['owner']}, epoch {lease['epoch']}, {state}")
    click.echo(f"{len(found['open'])} transactions not final; the latest:")
    print_entries(found["recent"])


def _decision(one: Decision) -> list[str]:
    value = "" if one.value_wei is None else f", expected value {figures.ether(one.value_wei)}"
    lines = [f"{one.job} [{one.id}] {one.outcome}: {one.text}{value}"]
    if one.reason:
        lines.append(f"    because {one.reason}")
    for term in one.terms:
        lines.append(f"    {term.name:<24} {figures.ether(term.wei):>18}" + (f"  {term.note}" if term.note else ""))
    if one.gas:
        lines.append(f"    gas {one.gas:,}, cap {figures.fee(one.max_fee_wei)}")
    return lines


def _text(name: str, value: Any) -> str:
    if name in ("max_fee_wei", "tip_wei"):
        return f"{value} ({figures.fee(int(value))})"
    if name in ("worth_wei", "cost"):
        return f"{value} ({figures.ether(int(value))})"
    text = str(value)
    return text if len(text) <= FILE_WIDTH else f"{text[:FILE_WIDTH]}… ({len(text)} characters)"


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else FILE_WIDTH, highlight=False)
