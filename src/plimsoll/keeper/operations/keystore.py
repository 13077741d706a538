"""Who sends: an encrypted key file anywhere, a raw key or an unlocked account on development chains only."""

from __future__ import annotations

import json
import os
import secrets
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from eth_account import Account
from eth_account.signers.local import LocalAccount

from plimsoll.chain.abi import checksum
from plimsoll.chain.errors import SignerError
from plimsoll.keeper.errors import ConfigurationError
from plimsoll.keeper.operations.config import KeyConfig
from plimsoll.keeper.operations.redact import Redactor

__all__ = ["DEVELOPMENT_CHAINS", "NOBODY", "Identity", "create_keystore", "identify", "is_private", "unlock"]

DEVELOPMENT_CHAINS = frozenset({31337, 1337})
NOBODY = "0x" + "0" * 39 + "1"
"""Whom a dry run decides for when nobody is named."""
SCRYPT_COST = 1 << 17


@dataclass(frozen=True, slots=True)
class Identity:
    """Who keeps.

    :param account: signs here; None where the node signs, or nobody does.
    :param unlocked: whether the node signs.
    """

    address: str
    account: LocalAccount | None = field(default=None, repr=False)
    unlocked: bool = False

    @property
    def can_send(self) -> bool:
        """Whether there is a key at all."""
        return self.account is not None or self.unlocked


def identify(
    key: KeyConfig,
    chain_id: int,
    *,
    dry_run: bool,
    local: bool,
    local_accounts: Callable[[], list[str]],
    environment: Mapping[str, str],
    ask: Callable[[str], str] | None = None,
    redactor: Redactor | None = None,
) -> Identity:
    """Who keeps on a chain.

    :param local: whether the node is one for development, which may sign itself.
    :param local_accounts: what it holds unlocked; asked for only where it is.
    :param ask: asks for a password; None where there is no terminal.
    :param redactor: learns every secret that is met.
    :raises ConfigurationError: there is no key, or one that must not be used there.
    :raises SignerError: the key file cannot be opened.
    """
    hide = redactor if redactor is not None else Redactor()
    development = chain_id in DEVELOPMENT_CHAINS
    if key.key_env is not None:
        return _from_variable(key.key_env, environment, development, chain_id, hide)
    if key.unlocked is not None:
        if not local:
            raise ConfigurationError("the node is no local one; use --keystore instead of --unlocked")
        return Identity(checksum(key.unlocked), unlocked=True)
    if key.keystore is not None and not (dry_run and key.watch):
        account = unlock(key.keystore, _password(key, environment, ask, hide))
        hide.learn(bytes(account.key))
        return Identity(str(account.address), account)
    if key.watch is not None:
        return Identity(checksum(key.watch))
    accounts = local_accounts() if local else []
    if accounts:
        return Identity(checksum(accounts[0]), unlocked=True)
    if dry_run:
        return Identity(NOBODY)
    if local:
        raise SignerError("the node holds no account; give --keystore FILE")
    raise SignerError("the node is not local: nobody is unlocked there; give --keystore FILE")


def unlock(path: Path, password: str) -> LocalAccount:
    """The key in an encrypted file (Web3 Secret Storage, version 3).

    :raises SignerError: it is none, or the password is wrong. The message never quotes anything of the file.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SignerError(f"{path} is no keystore ({type(error).__name__}); give an encrypted key file") from None
    try:
        account: LocalAccount = Account.from_key(Account.decrypt(document, password))
    except Exception:
        # The reason may quote key material.
        raise SignerError(f"{path} cannot be decrypted: wrong password or damaged file") from None
    return account


def create_keystore(path: Path, password: str, key: str | None = None) -> str:
    """Writes an encrypted key, readable by its owner alone, and gives the address. An existing file is left alone.

    :param key: 64 hexadecimal digits; None makes a new one.
    :raises SignerError: the file exists, the password is empty, or the key is none.
    """
    if not password:
        raise SignerError("an empty password protects nothing; give one")
    try:
        account: LocalAccount = Account.from_key(key if key is not None else secrets.token_bytes(32))
    except Exception:
        raise SignerError("the private key is not 32 bytes (64 hex digits)") from None
    document = Account.encrypt(account.key, password, kdf="scrypt", iterations=SCRYPT_COST)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise SignerError(f"{path} exists; name another file, an old key is never overwritten") from None
    except OSError as error:
        raise SignerError(f"{path} cannot be written: {error.strerror}") from None
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        json.dump(document, stream)
        stream.write("\n")
    return str(account.address)


def is_private(path: Path) -> bool:
    """Whether only its owner may read a file."""
    return not path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)


def _from_variable(
    name: str, environment: Mapping[str, str], development: bool, chain_id: int, hide: Redactor
) -> Identity:
    value = environment.get(name, "").strip()
    if not value:
        raise ConfigurationError(f"the environment variable {name} is not set; put the keeper's private key there")
    hide.learn(value)
    if not development:
        raise ConfigurationError(
            f"chain {chain_id} is no development chain: a raw key in {name} is refused there; encrypt it with "
            "`plimsoll keeper key import FILE` and give --keystore FILE"
        )
    try:
        account: LocalAccount = Account.from_key(value)
    except Exception:
        # The reason may quote the key.
        raise SignerError(f"the private key in {name} is not 32 bytes (64 hex digits)") from None
    hide.learn(bytes(account.key))
    return Identity(str(account.address), account)


def _password(key: KeyConfig, environment: Mapping[str, str], ask: Callable[[str], str] | None, hide: Redactor) -> str:
    assert key.keystore is not None
    if key.password_file is not None:
        try:
            password = key.password_file.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"key.password_file {key.password_file} cannot be read: {error}") from None
    elif key.password_env in environment:
        password = environment[key.password_env]
    elif ask is not None:
        password = ask(f"Password of {key.keystore.name}")
    else:
        raise ConfigurationError(
            f"no password for {key.keystore} and no terminal to ask on; set key.password_file or {key.password_env}"
        )
    hide.learn(password)
    return password
