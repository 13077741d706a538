"""Puts a keeper together from its configuration: node, deployment, key, database, service."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TypeVar

import click

from plimsoll.chain.artifacts import repository_root
from plimsoll.chain.errors import NodeUnavailable, PlimsollError, RpcError
from plimsoll.chain.rpc import Rpc
from plimsoll.commands.options import connect, parameters_path
from plimsoll.deploy.book import BookError
from plimsoll.deploy.deployment import Deployment, is_local, open_deployment
from plimsoll.deploy.document import ParameterError
from plimsoll.keeper.errors import ConfigurationError
from plimsoll.keeper.operations.config import KeeperConfig, LogFormat
from plimsoll.keeper.operations.keystore import Identity, identify
from plimsoll.keeper.operations.log import DecisionLog
from plimsoll.keeper.operations.ports import ServicePort
from plimsoll.keeper.operations.redact import Redactor
from plimsoll.keeper.operations.telemetry import Telemetry

__all__ = ["answering", "ask_password", "assemble", "database_path", "find_deployment", "find_identity", "make_log"]


T = TypeVar("T")


def make_log(config: KeeperConfig, telemetry: Telemetry, write: Callable[[str], object] | None = None) -> DecisionLog:
    """The log of a configuration, counted by its telemetry."""
    redactor = Redactor()
    return DecisionLog(write, json_lines=config.log.format is LogFormat.JSON, redactor=redactor, counted=telemetry.line)


def find_identity(rpc: Rpc, config: KeeperConfig, environment: Mapping[str, str], redactor: Redactor) -> Identity:
    """Who keeps, on the chain behind a node.

    :raises ConfigurationError, SignerError: nobody can, or must not.
    """
    return identify(
        config.key,
        int(rpc.request("eth_chainId"), 16),
        dry_run=config.dry_run,
        local=is_local(rpc),
        local_accounts=lambda: [str(account) for account in rpc.request("eth_accounts")],
        environment=environment,
        ask=ask_password if sys.stdin.isatty() else None,
        redactor=redactor,
    )


def answering(config: KeeperConfig) -> tuple[str, Rpc]:
    """The first of the nodes that answers: its address, and a client of it.

    :raises NodeUnavailable, RpcError: none does; what is wrong with the first.
    """
    return _first(config, lambda url: (url, connect(url)))


def _first(config: KeeperConfig, ask: Callable[[str], T]) -> T:
    """What the first of the nodes gives that gives something.

    :raises PlimsollError: none does; what is wrong with the first.
    """
    failure: PlimsollError | None = None
    for url in config.node.providers:
        try:
            return ask(url)
        except (NodeUnavailable, RpcError, ParameterError, BookError) as error:
            failure = failure if failure is not None else error
    assert failure is not None, "a configuration names one node or more"
    raise failure


def ask_password(text: str) -> str:
    """Asks on the terminal, without showing what is typed."""
    return str(click.prompt(text, hide_input=True, err=True))


def find_deployment(config: KeeperConfig) -> Deployment:
    """The deployment, through the first of the nodes that answers and has it.

    :raises PlimsollError: none does; what is wrong with the first.
    """
    path = parameters_path(config.network)
    try:
        return _first(config, lambda url: open_deployment(connect(url), path))
    except RpcError as error:
        raise ConfigurationError(f"{error}; wait until the node serves, or correct node.providers") from error


def database_path(config: KeeperConfig, network: str, sender: str) -> str:
    """Where the database is: as configured, else under `build/keeper`, one per network and sender."""
    if config.database.url is not None:
        return config.database.url
    return str(repository_root() / "build" / "keeper" / f"{network}-{sender[2:10].lower()}.sqlite")


def assemble(
    config: KeeperConfig, log: DecisionLog, telemetry: Telemetry, environment: Mapping[str, str]
) -> ServicePort:
    """A service that is ready to be hosted.

    :raises PlimsollError: it cannot be; the message says what to correct.
    """
    # Half of what loading costs; most commands do without.
    from plimsoll.keeper.service.build import build

    deployment = find_deployment(config)
    identity = find_identity(deployment.rpc, config, environment, log.redactor)
    database = database_path(config, deployment.book.network, identity.address)
    return build(config, deployment, identity, database, log, telemetry)
