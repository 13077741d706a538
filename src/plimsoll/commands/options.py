"""Options that several commands share: which network, which node, who sends."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from eth_account import Account

from plimsoll.chain.artifacts import repository_root
from plimsoll.chain.errors import SignerError
from plimsoll.chain.rpc import Rpc
from plimsoll.chain.signer import KeySender, Sender, UnlockedSender
from plimsoll.deploy.deployment import is_local
from plimsoll.deploy.document import ParameterError

__all__ = ["DEFAULT_RPC", "connect", "keystore_option", "network_option", "parameters_path", "rpc_option", "sender_for"]

Command = TypeVar("Command", bound=Callable[..., Any])
DEFAULT_RPC = "http://127.0.0.1:8545"

network_option = click.option(
    "--network",
    default="local",
    show_default=True,
    help="Network: a file deployments/NETWORK.yaml, or the path of a parameters file.",
)
rpc_option = click.option(
    "--rpc",
    envvar="PLIMSOLL_RPC",
    default=DEFAULT_RPC,
    show_default=True,
    help="Node: http(s) address or path of a unix socket (also PLIMSOLL_RPC).",
)
keystore_option = click.option(
    "--keystore",
    envvar="PLIMSOLL_KEYSTORE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Encrypted key of the sender (also PLIMSOLL_KEYSTORE; its password from PLIMSOLL_PASSWORD or asked for). "
    "Without one the node's first unlocked account sends, on local chains only.",
)


def parameters_path(network: str) -> Path:
    """The parameters file that a `--network` names.

    :raises ParameterError: there is none; the message lists the networks.
    """
    given = Path(network)
    if given.suffix in (".yaml", ".yml"):
        if not given.is_file():
            raise ParameterError(f"{given} does not exist; give the path of a parameters file")
        return given
    folder = repository_root() / "deployments"
    path = folder / f"{network}.yaml"
    if not path.is_file():
        known = sorted(file.stem for file in folder.glob("*.yaml") if not file.stem.endswith(".example"))
        raise ParameterError(f"{path} does not exist; known networks: {', '.join(known) or 'none'}")
    return path


def connect(rpc: str) -> Rpc:
    """A client of the node, which has answered once.

    :raises NodeUnavailable: it does not answer.
    """
    client = Rpc.connect(rpc)
    client.request("eth_chainId")
    return client


def sender_for(rpc: Rpc, keystore: Path | None, password: str | None = None) -> Sender:
    """Who sends: the key in a keystore file, else the first account that a local node holds unlocked.

    :raises SignerError: there is nobody, or the keystore cannot be opened.
    """
    if keystore is not None:
        return KeySender(rpc, _key(keystore, password))
    if not is_local(rpc):
        raise SignerError(f"the node at {rpc.address} is not local: nobody is unlocked there; give --keystore FILE")
    accounts = rpc.request("eth_accounts")
    if not accounts:
        raise SignerError(f"the node at {rpc.address} holds no account; give --keystore FILE")
    return UnlockedSender(rpc, accounts[0])


def _key(path: Path, password: str | None) -> bytes:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SignerError(f"{path} is no keystore ({type(error).__name__}); give an encrypted key file") from None
    secret = password if password is not None else click.prompt(f"Password of {path.name}", hide_input=True, err=True)
    try:
        return bytes(Account.decrypt(document, secret))
    except Exception:
        # The reason may quote key material.
        raise SignerError(f"{path} cannot be decrypted: wrong password or damaged file") from None
