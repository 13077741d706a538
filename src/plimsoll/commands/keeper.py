"""`plimsoll keeper run`"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click

from plimsoll.chain.abi import address_of
from plimsoll.chain.artifacts import repository_root
from plimsoll.chain.errors import AbiError, NodeUnavailable, SignerError
from plimsoll.chain.rpc import Rpc
from plimsoll.chain.signer import KeySender, Sender, UnlockedSender
from plimsoll.commands.options import connect, keystore_option, network_option, parameters_path, rpc_option, sender_for
from plimsoll.deploy.book import BookError
from plimsoll.deploy.deployment import is_local, open_deployment
from plimsoll.deploy.document import ParameterError
from plimsoll.errors import PlimsollError
from plimsoll.keeper.errors import ConfigurationError, KeeperError
from plimsoll.keeper.keeper import Keeper
from plimsoll.keeper.log import KeeperLog
from plimsoll.keeper.options import Limits, Options
from plimsoll.keeper.report import TickReport
from plimsoll.keeper.runner import StopSignals, run, summary
from plimsoll.keeper.watch import WatchSender
from plimsoll.units import PPM, UnitsError, parse_units

__all__ = ["command", "guarded", "keep"]

EXIT_CONFIGURATION = 2
EXIT_UNSAFE = 3
EXIT_INTERNAL = 5
NOBODY = "0x" + "0" * 39 + "1"
CONFIGURATION = (BookError, ParameterError, SignerError, NodeUnavailable, AbiError, UnitsError)
"""What is the operator's to put right, wherever it is raised."""


@click.group(name="keeper")
def command() -> None:
    """Execute orders and liquidate accounts of a deployment."""


@command.command(name="run")
@network_option
@rpc_option
@click.option("--once", is_flag=True, help="One pass, then stop.")
@click.option("--dry-run", is_flag=True, help="Decide and simulate everything, send nothing. Needs no key.")
@click.option("--key-env", metavar="NAME", help="Environment variable that holds the keeper's private key.")
@click.option("--unlocked", metavar="ADDRESS", help="Account that the node itself signs for; local chains only.")
@keystore_option
@click.option("--password", envvar="PLIMSOLL_PASSWORD", hidden=True)
@click.option(
    "--poll", default=1.0, show_default=True, type=click.FloatRange(0.05, 600), help="Seconds between passes."
)
@click.option("--db", type=click.Path(dir_okay=False, path_type=Path), help="SQLite file of what was read from logs.")
@click.option("--reserve", default="0", show_default=True, help="Settlement asset, $, never spent on collateral.")
@click.option(
    "--min-discount", default="1", show_default=True, help="Least discount, %, at which collateral is bought."
)
@click.option("--min-profit", default="0.02", show_default=True, help="Least that a purchase brings beyond its gas, $.")
@click.option(
    "--accrue-every",
    default=3600,
    show_default=True,
    type=click.IntRange(0),
    help="Accrue markets that nobody touched for so many seconds; 0: never.",
)
@click.option("--json-logs", is_flag=True, help="One JSON object per line.")
def run_command(
    network: str,
    rpc: str,
    once: bool,
    dry_run: bool,
    key_env: str | None,
    unlocked: str | None,
    keystore: Path | None,
    password: str | None,
    poll: float,
    db: Path | None,
    reserve: str,
    min_discount: str,
    min_profit: str,
    accrue_every: int,
    json_logs: bool,
) -> None:
    """Keep a deployment: execute orders, liquidate, buy collateral on sale, deleverage, strike LP epochs.

    Runs until SIGTERM or Ctrl-C. Exit codes: 0 stopped as asked, 2 wrong configuration, 3 unsafe state (another chain,
    transactions that keep failing, no ether for gas with --once), 5 internal error.
    """
    log = KeeperLog(json_lines=json_logs)

    def work() -> TickReport:
        limits = Limits(
            min_discount_ppm=parse_units(min_discount, 4), min_profit=parse_units(min_profit), accrue_every=accrue_every
        )
        if not 0 <= limits.min_discount_ppm < PPM:
            raise ConfigurationError(f"--min-discount {min_discount} is no discount; give 0 to 99 percent")
        options = Options(limits=limits, dry_run=dry_run, reserve=parse_units(reserve), database=db)
        path = parameters_path(network)
        client = connect(rpc)
        sender = _sender(client, key_env, unlocked, keystore, password, dry_run)
        return keep(client, sender, path, options, log, poll=poll, once=once)

    sys.exit(guarded(work, once=once))


def keep(
    rpc: Rpc, sender: Sender, path: Path, options: Options, log: KeeperLog, *, poll: float, once: bool
) -> TickReport:
    """Runs a keeper for the deployment whose parameters are at `path`; its database is under `build/keeper` by default.

    :raises PlimsollError: why it did not start, or stopped by itself.
    """
    deployment = open_deployment(rpc, path)
    if options.database is None:
        name = f"{deployment.book.network}-{sender.address[2:10].lower()}.sqlite"
        options = replace(options, database=repository_root() / "build" / "keeper" / name)
    stop = StopSignals()
    with stop.listening():
        keeper = Keeper(rpc, deployment, sender, options, log)
        try:
            log.info(
                "start",
                f"keeping {deployment.book.network} (chain {deployment.book.chain_id}) as {sender.address} "
                f"through {rpc.address}, logs in {options.database}" + (", dry run" if options.dry_run else ""),
            )
            total = run(keeper, log, poll=poll, once=once, stop=stop)
            log.info("stop", summary(total))
            return total
        finally:
            keeper.close()


def guarded(work: Callable[[], TickReport], *, once: bool) -> int:
    """Runs a keeper, says in one line why it failed, and gives the exit code."""
    try:
        report = work()
    except PlimsollError as error:
        print(f"plimsoll keeper: {error}", file=sys.stderr)
        if isinstance(error, KeeperError):
            return error.exit_code
        return EXIT_CONFIGURATION if isinstance(error, CONFIGURATION) else EXIT_INTERNAL
    except Exception as error:
        traceback.print_exc()
        print(f"plimsoll keeper: internal error: {type(error).__name__}: {error}", file=sys.stderr)
        return EXIT_INTERNAL
    if once and report.blocked:
        print(f"plimsoll keeper: {report.blocked}", file=sys.stderr)
        return EXIT_UNSAFE
    return 0


def _sender(
    rpc: Rpc,
    key_env: str | None,
    unlocked: str | None,
    keystore: Path | None,
    password: str | None,
    dry_run: bool,
) -> Sender:
    """Who keeps: exactly one of the three ways, else the first account that a local node holds unlocked."""
    if sum(given is not None for given in (key_env, unlocked, keystore)) > 1:
        raise ConfigurationError("--key-env, --unlocked and --keystore exclude each other; give one")
    if key_env is not None:
        key = os.environ.get(key_env)
        if not key:
            raise ConfigurationError(
                f"the environment variable {key_env} is not set; put the keeper's private key there"
            )
        return KeySender(rpc, key.strip())
    if unlocked is not None:
        if not is_local(rpc):
            raise ConfigurationError(f"the node at {rpc.address} is no local one; use --keystore instead of --unlocked")
        return UnlockedSender(rpc, address_of(unlocked))
    if dry_run and keystore is None and not is_local(rpc):
        return WatchSender(rpc, NOBODY)
    return sender_for(rpc, keystore, password)
