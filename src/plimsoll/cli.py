"""The command `plimsoll`. Each subcommand is a module of `plimsoll.commands`, loaded only when it is called."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Mapping

import click

from plimsoll.errors import PlimsollError

__all__ = ["COMMANDS", "group", "main"]

COMMANDS: Mapping[str, str] = {
    "deploy": "Deploy the system, or complete what an earlier run left.",
    "verify": "Compare a deployment with its parameters file and print every difference.",
    "status": "Show pools, markets and orders of a deployment.",
    "account": "Show an account: positions, margin, liquidation prices.",
    "keeper": "Execute orders and liquidate accounts of a deployment.",
    "replay": "Live through a price path on a chain of its own and report.",
    "fuzz": "Compare the contracts with their executable specification on random actions.",
    "doctor": "Check this machine and the node, with a fix for each problem.",
}
"""Name and one line of help; the module of that name in `plimsoll.commands` holds the click command `command`."""


class LazyGroup(click.Group):
    """Knows its commands by name and loads one only when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name in COMMANDS if importlib.util.find_spec(f"plimsoll.commands.{name}") is not None]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        command = importlib.import_module(f"plimsoll.commands.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name]) for name in self.list_commands(ctx)])


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="plimsoll")
def group() -> None:
    """Plimsoll: an on-chain margin protocol. Start with `plimsoll doctor`, then `plimsoll replay`."""


def main() -> None:
    """Entry point: errors are one line each on standard error, with exit code 1."""
    try:
        group(prog_name="plimsoll")
    except PlimsollError as error:
        print(f"plimsoll: {error}", file=sys.stderr)
        sys.exit(1)
    except BrokenPipeError:
        # The reader of our output went away; keep Python from complaining about it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
