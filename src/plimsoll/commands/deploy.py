"""`plimsoll deploy`"""

from __future__ import annotations

import json
from pathlib import Path

import click

from plimsoll.commands.options import connect, keystore_option, network_option, parameters_path, rpc_option, sender_for
from plimsoll.deploy.book import book_path
from plimsoll.deploy.checks import check
from plimsoll.deploy.deploy import deploy
from plimsoll.deploy.deployment import deployed_contracts
from plimsoll.deploy.parameters import Parameters
from plimsoll.deploy.verify import verify

__all__ = ["command"]


@click.command(name="deploy")
@network_option
@rpc_option
@keystore_option
@click.option("--password", envvar="PLIMSOLL_PASSWORD", hidden=True)
@click.option("--fresh", is_flag=True, help="On a local chain, deploy another system and forget the old addresses.")
@click.option("--check-only", is_flag=True, help="Check the parameters file and send nothing; needs no node.")
@click.option("--json", "as_json", is_flag=True, help="Print the address book as JSON and nothing else.")
def command(
    network: str,
    rpc: str,
    keystore: Path | None,
    password: str | None,
    fresh: bool,
    check_only: bool,
    as_json: bool,
) -> None:
    """Deploy the system, or complete what an earlier run left.

    Parameters are read from deployments/NETWORK.yaml, addresses are written beside it. Running it twice is safe: what
    is there is left as it is. On a local chain tokens and feeds are deployed as mocks; elsewhere never.
    """
    path = parameters_path(network)
    parameters = Parameters.load(path)
    check(parameters)
    if check_only:
        click.echo(f"{path}: every inequality holds")
        return
    client = connect(rpc)
    sender = sender_for(client, keystore, password)

    def say(text: str) -> None:
        if not as_json:
            click.echo(f"  {text}")

    say("loading the compiled contracts (the first time they are compiled, which takes minutes)")
    artifacts = deployed_contracts()
    where = book_path(path)
    done = deploy(sender, parameters, book=where, fresh=fresh, artifacts=artifacts, progress=say)
    differences = verify(done)
    if as_json:
        click.echo(json.dumps(done.book.model_dump(mode="json"), indent=2, ensure_ascii=False))
    else:
        click.echo(f"deployed on {network} (chain {parameters.chain_id}); addresses are in {where}")
        for difference in differences:
            click.echo(f"  differs from the file: {difference}", err=True)
        if differences:
            click.echo("see `plimsoll verify` for a table", err=True)
