"""`plimsoll keeper`: run it, and look into it (`keeper_operator.py`)."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from plimsoll.chain.errors import AbiError, NodeUnavailable, SignerError
from plimsoll.commands import keeper_operator
from plimsoll.deploy.book import BookError
from plimsoll.deploy.document import ParameterError
from plimsoll.keeper.errors import ConfigurationError, KeeperError
from plimsoll.keeper.operations.assemble import assemble, make_log
from plimsoll.keeper.operations.config import KeeperConfig
from plimsoll.keeper.operations.load import load_config
from plimsoll.keeper.operations.log import LineWriter
from plimsoll.keeper.operations.ports import PassReport
from plimsoll.keeper.operations.redact import Redactor
from plimsoll.keeper.operations.status import plain
from plimsoll.keeper.operations.telemetry import Telemetry
from plimsoll.keeper.operations.view import shows_view
from plimsoll.units import PPM, UnitsError, parse_units

__all__ = ["command", "guarded", "keep"]

EXIT_CONFIGURATION = 2
EXIT_UNSAFE = 3
EXIT_INTERNAL = 5
CONFIGURATION = (BookError, ParameterError, SignerError, NodeUnavailable, AbiError, UnitsError)
"""What is the operator's to put right, wherever it is raised."""


@click.group(name="keeper")
def command() -> None:
    """Execute orders and liquidate accounts of a deployment."""


for each in keeper_operator.COMMANDS:
    command.add_command(each)


@command.command(name="run")
@keeper_operator.config_options
@click.option("--once", is_flag=True, help="One pass, then stop.")
@click.option("--dry-run", is_flag=True, help="Decide and simulate everything, send nothing. Needs no key.")
@click.option("--key-env", metavar="NAME", help="Variable that holds a private key; development chains only.")
@click.option("--unlocked", metavar="ADDRESS", help="Account that the node itself signs for; local chains only.")
@click.option("--keystore", metavar="FILE", help="Encrypted key of the keeper (also PLIMSOLL_KEYSTORE).")
@click.option("--password", envvar="PLIMSOLL_PASSWORD", hidden=True)
@click.option("--poll", metavar="SECONDS", help="Longest pause between passes, 1 by default.")
@click.option("--reserve", metavar="AMOUNT", help="Settlement asset, $, never spent on collateral; 0 by default.")
@click.option("--min-discount", metavar="PERCENT", help="Least discount at which collateral is bought; 1 by default.")
@click.option("--min-profit", metavar="AMOUNT", help="Least that a purchase brings beyond its gas, $; 0.02 by default.")
@click.option("--accrue-every", metavar="SECONDS", help="Accrue markets nobody touched for so long; 3600, 0: never.")
@click.option("--objective", type=click.Choice(["profit", "solvency"]), help="What it is for; profit by default.")
@click.option("--serve", metavar="HOST:PORT", help="Serve metrics, health and status there; port 0: any free one.")
@click.option("--view", type=click.Choice(["auto", "on", "off"]), help="Live view on the terminal; off by default.")
@click.option("--json", "--json-logs", "as_json", is_flag=True, help="One JSON object per line.")
def run_command(
    config_file: Path | None,
    network: str | None,
    rpc: tuple[str, ...],
    db: str | None,
    once: bool,
    dry_run: bool,
    key_env: str | None,
    unlocked: str | None,
    keystore: str | None,
    password: str | None,
    poll: str | None,
    reserve: str | None,
    min_discount: str | None,
    min_profit: str | None,
    accrue_every: str | None,
    objective: str | None,
    serve: str | None,
    view: str | None,
    as_json: bool,
) -> None:
    """Keep a deployment: execute orders, liquidate, buy collateral on sale, deleverage, strike LP epochs.

    Settings come from --config FILE, variables PLIMSOLL_KEEPER__SECTION__KEY and these options, the later before the
    earlier. Runs until SIGTERM or Ctrl-C. Exit codes: 0 stopped as asked, 2 wrong configuration, 3 unsafe state
    (another chain, transactions that keep failing, no ether for gas with --once), 4 lost lease, 5 internal error.
    """
    environment = dict(os.environ)
    if password is not None:
        environment.setdefault("PLIMSOLL_PASSWORD", password)

    def configured() -> KeeperConfig:
        overrides = keeper_operator.base_overrides(network, rpc, db)
        overrides |= _key_overrides(key_env, unlocked, keystore) | _server_overrides(serve)
        overrides |= {
            "dry_run": "true" if dry_run else None,
            "node.poll": poll,
            "decisions.reserve": reserve,
            "decisions.min_discount": None if min_discount is None else _discount(min_discount),
            "decisions.min_profit": min_profit,
            "decisions.accrue_every": accrue_every,
            "objective": objective,
            "view": view,
            "log.format": "json" if as_json else None,
        }
        return load_config(config_file, environment=environment, overrides=overrides)

    sys.exit(guarded(lambda: keep(configured(), environment, once=once), once=once, json_errors=as_json))


def keep(config: KeeperConfig, environment: Mapping[str, str], *, once: bool) -> PassReport:
    """Hosts the service of a configuration until it ends.

    :raises PlimsollError: why it did not start, or stopped by itself.
    """
    from plimsoll.keeper.operations.host import host

    telemetry = Telemetry()
    terminal = sys.stderr.isatty()
    view = not once and shows_view(config.view, terminal=terminal, json_lines=config.log.format == "json")
    # The view has the terminal for itself; what is written elsewhere goes on.
    quiet = view and sys.stdout.isatty()
    log = make_log(config, telemetry, (lambda _: None) if quiet else LineWriter())
    service = assemble(config, log, telemetry, environment)
    return asyncio.run(host(service, config, log, telemetry, once=once, view=view))


def guarded(work: Callable[[], PassReport], *, once: bool, json_errors: bool = False) -> int:
    """Runs a keeper, says in one line why it failed, and gives the exit code. Secrets in messages are hidden."""
    hide = Redactor()
    try:
        report = work()
    except KeeperError as error:
        return _failed(hide.text(str(error)), error.exit_code, json_errors)
    except Exception as error:
        if isinstance(error, CONFIGURATION):
            return _failed(hide.text(str(error)), EXIT_CONFIGURATION, json_errors)
        print(hide.text(traceback.format_exc()), file=sys.stderr, end="")
        return _failed(hide.text(f"internal error: {type(error).__name__}: {error}"), EXIT_INTERNAL, json_errors)
    if once and report.blocked:
        return _failed(hide.text(report.blocked), EXIT_UNSAFE, json_errors)
    return 0


def _failed(message: str, code: int, as_json: bool) -> int:
    if as_json:
        document: dict[str, Any] = {"level": "ERROR", "event": "end", "message": message, "exit_code": code}
        print(json.dumps(plain(document), ensure_ascii=False), file=sys.stderr)
    else:
        print(f"plimsoll keeper: {message}", file=sys.stderr)
    return code


def _discount(text: str) -> str:
    """`--min-discount` in per cent, as the configuration has it.

    :raises ConfigurationError: it is no discount.
    """
    if not 0 <= parse_units(text.strip().rstrip("%").strip(), 4) < PPM:
        raise ConfigurationError(f"--min-discount {text} is no discount; give 0 to 99 percent")
    return f"{text.strip().rstrip('%').strip()} %"


def _key_overrides(key_env: str | None, unlocked: str | None, keystore: str | None) -> dict[str, str | None]:
    """One way on the command line takes the place of whatever the file or a variable names."""
    given = {"key.key_env": key_env, "key.unlocked": unlocked, "key.keystore": keystore}
    number = sum(value is not None for value in given.values())
    if number > 1:
        raise ConfigurationError("--key-env, --unlocked and --keystore exclude each other; give one")
    return {key: "" if number and value is None else value for key, value in given.items()}


def _server_overrides(serve: str | None) -> dict[str, str]:
    if serve is None:
        return {}
    host_name, _, port = serve.rpartition(":")
    if not port.isdigit():
        raise ConfigurationError(f"--serve {serve} names no port; give HOST:PORT, such as 127.0.0.1:9464")
    found = {"server.enabled": "true", "server.port": port}
    return found | ({"server.host": host_name.strip("[]")} if host_name else {})
