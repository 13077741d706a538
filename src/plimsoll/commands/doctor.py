"""`plimsoll doctor`"""

from __future__ import annotations

import sys

import click

from plimsoll.commands.options import rpc_option
from plimsoll.deploy.doctor import State, examine

__all__ = ["command"]

SIGNS = {State.GOOD: "ok  ", State.NOTE: "note", State.BAD: "BAD "}


@click.command(name="doctor")
@rpc_option
def command(rpc: str) -> None:
    """Check this machine and the node, with a fix for each problem.

    Exit code 0 if everything that a local run needs is there; a missing node is only a note.
    """
    findings = examine(rpc)
    for finding in findings:
        click.echo(f"{SIGNS[finding.state]} {finding.what}: {finding.found}")
        if finding.fix:
            click.echo(f"       fix: {finding.fix}")
    bad = sum(finding.state is State.BAD for finding in findings)
    click.echo(f"{bad} problems" if bad else "everything that a local run needs is there")
    sys.exit(1 if bad else 0)
