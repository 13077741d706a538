"""`plimsoll verify`"""

from __future__ import annotations

import dataclasses
import json
import sys

import click
from rich.console import Console
from rich.table import Table

from plimsoll.commands.options import connect, network_option, parameters_path, rpc_option
from plimsoll.deploy.deployment import open_deployment
from plimsoll.deploy.verify import verify

__all__ = ["command"]


@click.command(name="verify")
@network_option
@rpc_option
@click.option("--json", "as_json", is_flag=True, help="Print the differences as JSON and nothing else.")
def command(network: str, rpc: str, as_json: bool) -> None:
    """Compare a deployment with its parameters file and print every difference.

    Reads all configuration, roles and code back from the chain. Exit code 0 if all is as the file says, else 1.
    """
    path = parameters_path(network)
    deployment = open_deployment(connect(rpc), path)
    differences = verify(deployment)
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(item) for item in differences], indent=2, ensure_ascii=False))
    elif not differences:
        click.echo(f"{len(deployment.book.contracts)} contracts on chain {deployment.book.chain_id} are as {path} says")
    else:
        table = Table("where", "what", "file", "chain", title=f"differences: {len(differences)}", title_justify="left")
        for item in differences:
            table.add_row(item.where, item.what, item.expected, item.found)
        Console().print(table)
    sys.exit(1 if differences else 0)
