"""What an operator asks of a keeper: `plimsoll keeper doctor|status|simulate|bench|tx|config|key`."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import click

from plimsoll.commands.options import parameters_path
from plimsoll.deploy.book import Book, book_path
from plimsoll.deploy.doctor import State
from plimsoll.errors import PlimsollError
from plimsoll.keeper.errors import ConfigurationError, KeeperError
from plimsoll.keeper.operations import journal, report
from plimsoll.keeper.operations.assemble import (
    answering,
    ask_password,
    assemble,
    database_path,
    find_identity,
    make_log,
)
from plimsoll.keeper.operations.config import KeeperConfig
from plimsoll.keeper.operations.keystore import create_keystore
from plimsoll.keeper.operations.load import load_config, sample
from plimsoll.keeper.operations.redact import Redactor
from plimsoll.keeper.operations.status import KeeperStatus, plain, status_from_json, status_to_json
from plimsoll.keeper.operations.telemetry import Telemetry
from plimsoll.keeper.operations.view import LiveView

__all__ = ["COMMANDS", "base_overrides", "config_options"]

F = TypeVar("F", bound=Callable[..., Any])
EXIT_CONFIGURATION = 2
ANSWER_SECONDS = 5.0
SIGNS = {State.GOOD: "ok  ", State.NOTE: "note", State.BAD: "BAD "}
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON and nothing else.")


def config_options(function: F) -> F:
    """Options of every command that has a configuration."""
    for option in reversed(
        (
            click.option("--config", "config_file", type=click.Path(path_type=Path), help="Configuration, YAML."),
            click.option("--network", help="A file deployments/NETWORK.yaml, or a path; local by default."),
            click.option("--rpc", multiple=True, help="Node: http(s) address or path of a socket; several: backups."),
            click.option("--db", help="Database: an SQLite file, or postgresql://…; build/keeper/… by default."),
        )
    ):
        function = option(function)
    return function


def base_overrides(network: str | None, rpc: tuple[str, ...], db: str | None) -> dict[str, Any]:
    """What these options set."""
    return {"network": network, "node.providers": list(rpc) or None, "database.url": db}


@contextmanager
def one_line() -> Iterator[None]:
    """Ends the process with one line on standard error, without secrets, when something cannot be done."""
    try:
        yield
    except PlimsollError as error:
        click.echo(f"plimsoll keeper: {Redactor().text(str(error))}", err=True)
        sys.exit(error.exit_code if isinstance(error, KeeperError) else EXIT_CONFIGURATION)


def configured(
    config_file: Path | None, network: str | None, rpc: tuple[str, ...], db: str | None, **more: str | None
) -> KeeperConfig:
    """The configuration of a command."""
    overrides = base_overrides(network, rpc, db) | {key.replace("__", "."): value for key, value in more.items()}
    return load_config(config_file, environment=dict(os.environ), overrides=overrides)


@click.command(name="doctor")
@config_options
@click.option("--keystore", metavar="FILE", help="Encrypted key of the keeper (also PLIMSOLL_KEYSTORE).")
@json_option
def doctor_command(
    config_file: Path | None,
    network: str | None,
    rpc: tuple[str, ...],
    db: str | None,
    keystore: str | None,
    as_json: bool,
) -> None:
    """Check nodes, chain, contracts, prices, key, balance, database, lease and port; each failure with its fix.

    Sends and changes nothing. Exit code 0 if a keeper can start, else 2.
    """
    from plimsoll.keeper.operations import doctor

    with one_line():
        config = configured(config_file, network, rpc, db, key__keystore=keystore)
        findings = doctor.examine(config, os.environ, ask=ask_password if sys.stdin.isatty() else None)
    bad = sum(finding.state is State.BAD for finding in findings)
    if as_json:
        document = [asdict(finding) | {"state": finding.state.name.lower()} for finding in findings]
        click.echo(json.dumps({"problems": bad, "findings": document}, indent=2, ensure_ascii=False))
    else:
        for finding in findings:
            click.echo(f"{SIGNS[finding.state]} {finding.what}: {finding.found}")
            if finding.fix:
                click.echo(f"       fix: {finding.fix}")
        click.echo(f"{bad} problems" if bad else "a keeper can start")
    sys.exit(EXIT_CONFIGURATION if bad else 0)


@click.command(name="status")
@config_options
@click.option("--url", help="Address of the running keeper's server; from the configuration by default.")
@click.option("--watch", is_flag=True, help="Live view until Ctrl-C.")
@json_option
def status_command(
    config_file: Path | None,
    network: str | None,
    rpc: tuple[str, ...],
    db: str | None,
    url: str | None,
    watch: bool,
    as_json: bool,
) -> None:
    """Show what a running keeper does; when none answers, what its database says.

    Exit code 0 if it runs and is ready, 3 if it runs and is not, 2 if none answers.
    """
    with one_line():
        config = configured(config_file, network, rpc, db)
        where = url if url is not None else f"http://{config.server.host}:{config.server.port}"
        try:
            status = _asked(where)
        except OSError as error:
            try:
                kept = report.kept(_database(config, None))
            except PlimsollError as unread:
                raise ConfigurationError(f"no keeper answers at {where} ({error}), and {unread}") from None
            _print_kept(kept, where, as_json)
            sys.exit(EXIT_CONFIGURATION)
        if watch and sys.stdout.isatty():
            _watch(where, status)
        elif as_json:
            click.echo(json.dumps(status_to_json(status), indent=2, ensure_ascii=False))
        else:
            report.print_status(status)
    sys.exit(0 if status.readiness.ready else 3)


@click.command(name="simulate")
@config_options
@click.option("--keystore", metavar="FILE", help="Encrypted key of the keeper (also PLIMSOLL_KEYSTORE).")
@click.option("--from", "watch", metavar="ADDRESS", help="Decide for this address, without a key.")
@json_option
def simulate_command(
    config_file: Path | None,
    network: str | None,
    rpc: tuple[str, ...],
    db: str | None,
    keystore: str | None,
    watch: str | None,
    as_json: bool,
) -> None:
    """One pass at the head: every decision with the terms of its expected value. Sends nothing.

    Works on a database of its own beside the keeper's, and may run while the keeper does.
    """
    from plimsoll.keeper.operations.host import host

    with one_line():
        keys = {"key__keystore": keystore, "key__watch": watch}
        config = configured(config_file, network, rpc, db, dry_run="true", server__enabled="no", **keys)
        environment = dict(os.environ)
        telemetry = Telemetry()
        lines: list[str] = []
        log = make_log(config, telemetry, lines.append)
        sender = find_identity(answering(config)[1], config, environment, log.redactor).address
        where = database_path(config, _book(config).network, sender)
        if "://" not in where:
            # The keeper's own file may be in use.
            beside = config.database.model_copy(update={"url": f"{where}.simulate"})
            config = config.model_copy(update={"database": beside})
        service = assemble(config, log, telemetry, environment)
        passed = asyncio.run(host(service, config, log, telemetry, once=True))
        if as_json:
            click.echo(json.dumps(plain(passed) | {"log": lines}, indent=2, ensure_ascii=False))
        else:
            report.print_pass(passed, lines)


@click.command(name="bench")
@click.option(
    "--accounts", default=100_000, show_default=True, type=click.IntRange(1_000), help="Accounts of the crowd."
)
@click.option("--markets", default=32, show_default=True, type=click.IntRange(1, 32), help="Markets they are in.")
@click.option("--ticks", default=500, show_default=True, type=click.IntRange(10), help="Moves of one price.")
@click.option("--events", default=20_000, show_default=True, type=click.IntRange(800), help="Fills taken in.")
@json_option
def bench_command(accounts: int, markets: int, ticks: int, events: int, as_json: bool) -> None:
    """Measure on this machine: start from a database, search after a price, exact confirmation, fills, memory.

    On one thread, without a node; a million accounts take minutes and 1.5 GB.
    """
    from plimsoll.keeper.book.bench import bench

    def say(text: str) -> None:
        click.echo(f"… {text}", err=True)

    with one_line():
        found = bench(accounts, markets, ticks=ticks, rounds=max(ticks // 10, 10), events=events, say=say)
    click.echo(json.dumps(plain(found), indent=2) if as_json else "\n".join(found.lines()))


@click.group(name="tx", invoke_without_command=True)
@config_options
@click.option("--sender", metavar="ADDRESS", help="Whose database, where each sender has its own; else from the key.")
@click.option("-n", "number", default=20, show_default=True, type=click.IntRange(1, 10_000), help="How many to list.")
@click.option("--open", "open_only", is_flag=True, help="Only those that are not final.")
@json_option
@click.pass_context
def tx_group(
    context: click.Context,
    config_file: Path | None,
    network: str | None,
    rpc: tuple[str, ...],
    db: str | None,
    sender: str | None,
    number: int,
    open_only: bool,
    as_json: bool,
) -> None:
    """List the journal of transactions, newest first; `tx show` one, `tx cancel` one."""
    with one_line():
        config = configured(config_file, network, rpc, db)
        where = _database(config, sender)
        context.obj = config, where, as_json
        if context.invoked_subcommand is not None:
            return
        found = [journal.document(one) for one in journal.entries(where, number, open_only=open_only)]
        if as_json:
            click.echo(json.dumps(found, indent=2, ensure_ascii=False))
        else:
            report.print_entries(found)


@tx_group.command(name="show")
@click.argument("entry")
@click.pass_obj
def tx_show_command(context: tuple[KeeperConfig, str, bool], entry: str) -> None:
    """Show an ENTRY by its number, hash or decision, with the others of its nonce."""
    _, where, as_json = context
    with one_line():
        found = [journal.document(one) for one in journal.entry(where, entry)]
        if as_json:
            click.echo(json.dumps(found, indent=2, ensure_ascii=False))
        else:
            report.print_entry(found)


@tx_group.command(name="cancel")
@click.argument("entry")
@click.option("--keystore", metavar="FILE", help="Encrypted key of the sender (also PLIMSOLL_KEYSTORE).")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def tx_cancel_command(context: tuple[KeeperConfig, str, bool], entry: str, keystore: str | None, yes: bool) -> None:
    """Take an ENTRY back: send nothing to oneself with its nonce, for more gas. No keeper may run meanwhile."""
    config, where, as_json = context
    with one_line():
        if keystore is not None:
            key = config.key.model_copy(update={"keystore": Path(keystore), "key_env": None, "unlocked": None})
            config = config.model_copy(update={"key": key})
        if not yes:
            click.confirm(f"Cancel entry {entry} of {Redactor().text(where)}?", abort=True, err=True)
        from plimsoll.keeper.operations.transactions import cancel

        done = asyncio.run(cancel(config, where, entry, os.environ, Redactor()))
        if as_json:
            click.echo(json.dumps(plain(done), indent=2, ensure_ascii=False))
        else:
            click.echo(f"nonce {done.nonce}: {done.tx_hash} handed over, {done.answer} {done.text}".rstrip())


@click.command(name="config")
@config_options
@json_option
def config_command(
    config_file: Path | None, network: str | None, rpc: tuple[str, ...], db: str | None, as_json: bool
) -> None:
    """Print the configuration that would be used, secrets left out; without options one to begin with."""
    with one_line():
        config = configured(config_file, network, rpc, db)
        click.echo(json.dumps(config.public(), indent=2, ensure_ascii=False) if as_json else sample(config).rstrip())


@click.group(name="key")
def key_group() -> None:
    """Make an encrypted key file."""


@key_group.command(name="new")
@click.argument("file", type=click.Path(path_type=Path))
def key_new_command(file: Path) -> None:
    """Make a new key and write it to FILE, encrypted with a password that is asked for (or PLIMSOLL_PASSWORD)."""
    with one_line():
        click.echo(create_keystore(file, _new_password()))


@key_group.command(name="import")
@click.argument("file", type=click.Path(path_type=Path))
def key_import_command(file: Path) -> None:
    """Encrypt a private key, which is asked for, into FILE."""
    with one_line():
        key = click.prompt("Private key (64 hex digits)", hide_input=True, err=True)
        click.echo(create_keystore(file, _new_password(), str(key).strip()))


COMMANDS = (doctor_command, status_command, simulate_command, bench_command, tx_group, config_command, key_group)


def _new_password() -> str:
    known = os.environ.get("PLIMSOLL_PASSWORD")
    return known if known else str(click.prompt("New password", hide_input=True, confirmation_prompt=True, err=True))


def _asked(where: str) -> KeeperStatus:
    """The status of a running keeper.

    :raises OSError: nobody answers there.
    :raises StatusError: somebody else does.
    """
    try:
        with urllib.request.urlopen(f"{where.rstrip('/')}/status", timeout=ANSWER_SECONDS) as answer:
            return status_from_json(json.loads(answer.read()))
    except urllib.error.URLError as error:
        raise OSError(str(error.reason)) from None
    except ValueError:
        raise OSError("the answer is no status") from None


def _watch(where: str, first: KeeperStatus) -> None:
    last = [first]

    def ask() -> KeeperStatus:
        try:
            last[0] = _asked(where)
        except OSError as error:
            raise ConfigurationError(f"the keeper at {where} does not answer any more ({error})") from None
        return last[0]

    try:
        asyncio.run(LiveView(ask).run(asyncio.Event()))
    except KeyboardInterrupt:
        return


def _book(config: KeeperConfig) -> Book:
    path = book_path(parameters_path(config.network))
    found = Book.read(path)
    if found is None:
        raise ConfigurationError(f"{path} does not exist: nothing is deployed yet; run `plimsoll deploy` first")
    return found


def _database(config: KeeperConfig, sender: str | None) -> str:
    """The database of a configuration; the sender in its usual name is found through the key."""
    if config.database.url is not None:
        return config.database.url
    if sender is None:
        sender = find_identity(answering(config)[1], config, os.environ, Redactor()).address
    return database_path(config, _book(config).network, sender)


def _print_kept(kept: dict[str, Any], where: str, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"running": False} | kept, indent=2, ensure_ascii=False))
    else:
        click.echo(f"no keeper answers at {where}; its database says:")
        report.print_kept(kept)
