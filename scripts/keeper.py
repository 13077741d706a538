"""`ape run keeper --network ethereum:local:http://127.0.0.1:8545`: `plimsoll keeper run` with ape's node and accounts.

On a local network ape's first test account keeps; elsewhere `--account ALIAS` names one of `ape accounts list`.
"""

from __future__ import annotations

import sys

import click
from ape import accounts, networks
from ape.cli import ConnectedProviderCommand, network_option

from plimsoll.chain.ape_adapter import rpc_from_ape, sender_from_ape
from plimsoll.commands.keeper import guarded, keep
from plimsoll.commands.options import parameters_path
from plimsoll.keeper.log import KeeperLog
from plimsoll.keeper.options import Options
from plimsoll.keeper.report import TickReport


@click.command(cls=ConnectedProviderCommand)
@network_option()
@click.option("--parameters", default=None, help="Network file deployments/NAME.yaml; default: ape's network name.")
@click.option("--account", default=None, help="Alias of the ape account that keeps.")
@click.option("--once", is_flag=True, help="One pass, then stop.")
@click.option("--dry-run", is_flag=True, help="Decide and simulate everything, send nothing.")
@click.option(
    "--poll", default=1.0, show_default=True, type=click.FloatRange(0.05, 600), help="Pause between passes, s."
)
def cli(parameters: str | None, account: str | None, once: bool, dry_run: bool, poll: float) -> None:
    """Execute orders and liquidate accounts of a deployment."""

    def work() -> TickReport:
        provider = networks.provider
        path = parameters_path(parameters or provider.network.name.removesuffix("-fork"))
        keeper = accounts.load(account) if account is not None else accounts.test_accounts[0]
        rpc = rpc_from_ape(provider)
        sender = sender_from_ape(keeper, provider, rpc=rpc)
        return keep(rpc, sender, path, Options(dry_run=dry_run), KeeperLog(), poll=poll, once=once)

    sys.exit(guarded(work, once=once))
