"""`ape run keeper --network ethereum:local:http://127.0.0.1:8545`: `plimsoll keeper run` with ape's node and accounts.

On a local network ape's first test account keeps; elsewhere `--account ALIAS` names one of `ape accounts list`.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import click
from ape import accounts, networks
from ape.cli import ConnectedProviderCommand, network_option

from plimsoll.commands.keeper import guarded, keep
from plimsoll.keeper.errors import ConfigurationError
from plimsoll.keeper.operations.load import load_config
from plimsoll.keeper.operations.ports import PassReport


@click.command(cls=ConnectedProviderCommand)
@network_option()
@click.option("--parameters", default=None, help="Network file deployments/NAME.yaml; default: ape's network name.")
@click.option("--account", default=None, help="Alias of the ape account that keeps.")
@click.option("--once", is_flag=True, help="One pass, then stop.")
@click.option("--dry-run", is_flag=True, help="Decide and simulate everything, send nothing.")
@click.option("--poll", default="1", show_default=True, help="Longest pause between passes, s.")
def cli(parameters: str | None, account: str | None, once: bool, dry_run: bool, poll: str) -> None:
    """Execute orders and liquidate accounts of a deployment."""

    def work() -> PassReport:
        provider = networks.provider
        overrides = {
            "network": parameters or provider.network.name.removesuffix("-fork"),
            "node.providers": [str(provider.http_uri or provider.ipc_path)],
            "node.poll": poll,
            "dry_run": "true" if dry_run else None,
        }
        config = load_config(environment=os.environ, overrides=overrides | _key(account))
        return keep(config, os.environ, once=once)

    sys.exit(guarded(work, once=once))


def _key(alias: str | None) -> dict[str, Any]:
    """Who keeps: a test account, which the node holds unlocked, or the key file of an account of ape."""
    if alias is None:
        return {"key.unlocked": str(accounts.test_accounts[0].address), "key.keystore": ""}
    file = getattr(accounts.load(alias), "keyfile_path", None)
    if file is None:
        raise ConfigurationError(f"the ape account {alias} has no key file; use `plimsoll keeper run --keystore FILE`")
    return {"key.keystore": str(file)}
