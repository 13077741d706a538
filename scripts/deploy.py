"""`ape run deploy --network ethereum:local:foundry`: deploys with ape's node and ape's accounts.

On a local network ape's first test account deploys; elsewhere `--account ALIAS` names one of `ape accounts list`.
"""

from __future__ import annotations

import click
from ape import accounts, networks
from ape.cli import ConnectedProviderCommand, network_option

from plimsoll.chain.ape_adapter import rpc_from_ape, sender_from_ape
from plimsoll.commands.options import parameters_path
from plimsoll.deploy.book import book_path
from plimsoll.deploy.deploy import deploy
from plimsoll.deploy.parameters import Parameters
from plimsoll.errors import PlimsollError


@click.command(cls=ConnectedProviderCommand)
@network_option()
@click.option("--parameters", default=None, help="Network file deployments/NAME.yaml; default: ape's network name.")
@click.option("--account", default=None, help="Alias of the ape account that deploys.")
def cli(parameters: str | None, account: str | None) -> None:
    """Deploy the system, or complete what an earlier run left."""
    provider = networks.provider
    try:
        path = parameters_path(parameters or provider.network.name.removesuffix("-fork"))
        deployer = accounts.load(account) if account is not None else accounts.test_accounts[0]
        sender = sender_from_ape(deployer, provider, rpc=rpc_from_ape(provider))
        click.echo("  loading the compiled contracts (the first time they are compiled, which takes minutes)")
        parameters_of_network = Parameters.load(path)
        deploy(sender, parameters_of_network, book=book_path(path), progress=lambda text: click.echo(f"  {text}"))
    except PlimsollError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"deployed on {path.stem}; addresses are in {book_path(path)}")
