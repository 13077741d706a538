"""Keys: encrypted anywhere, raw and unlocked on development chains only, and never in a message."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account

from plimsoll.chain.errors import SignerError
from plimsoll.keeper.errors import ConfigurationError, KeeperError
from plimsoll.keeper.operations import keystore
from plimsoll.keeper.operations.config import KeyConfig
from plimsoll.keeper.operations.keystore import NOBODY, Identity, create_keystore, identify, is_private, unlock
from plimsoll.keeper.operations.redact import Redactor

# The second account of anvil's well-known mnemonic; worthless anywhere else.
KEY = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"
ADDRESS = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
FIRST = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(keystore, "SCRYPT_COST", 2)
    path = tmp_path / "key.json"
    assert create_keystore(path, "correct horse", KEY) == ADDRESS
    return path


def who(key: dict[str, Any], chain: int = 1, **more: Any) -> Identity:
    fields: dict[str, Any] = {"dry_run": False, "local": False, "local_accounts": lambda: [FIRST], "environment": {}}
    return identify(KeyConfig.model_validate(key), chain, **(fields | more))


def test_an_encrypted_key_opens_with_its_password_on_any_chain(file: Path) -> None:
    found = who({"keystore": file}, environment={"PLIMSOLL_PASSWORD": "correct horse"})
    assert (found.address, found.can_send) == (ADDRESS, True)
    assert KEY[2:] not in repr(found)


def test_the_password_comes_from_a_file_a_variable_or_a_question(file: Path, tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("correct horse\n")
    assert who({"keystore": file, "password_file": secret}).address == ADDRESS
    assert who({"keystore": file, "password_env": "P"}, environment={"P": "correct horse"}).address == ADDRESS
    assert who({"keystore": file}, ask=lambda text: "correct horse").address == ADDRESS
    with pytest.raises(ConfigurationError, match="no password for .* and no terminal to ask on"):
        who({"keystore": file})


def test_a_wrong_password_quotes_nothing(file: Path) -> None:
    with pytest.raises(SignerError) as refused:
        unlock(file, "wrong horse")
    assert str(refused.value) == f"{file} cannot be decrypted: wrong password or damaged file"
    assert refused.value.__cause__ is None


def test_key_and_password_are_hidden_from_then_on(file: Path) -> None:
    hide = Redactor()
    who({"keystore": file}, environment={"PLIMSOLL_PASSWORD": "correct horse"}, redactor=hide)
    assert hide.text(f"{KEY} correct horse") == "0x*** ***"


@pytest.mark.parametrize("chain", [31337, 1337])
def test_a_raw_key_is_for_development_chains(chain: int) -> None:
    assert who({"key_env": "K"}, chain, environment={"K": KEY}).address == ADDRESS


def test_a_raw_key_is_refused_elsewhere_without_being_quoted() -> None:
    with pytest.raises(ConfigurationError) as refused:
        who({"key_env": "K"}, 1, environment={"K": KEY})
    assert "chain 1 is no development chain: a raw key in K is refused there" in str(refused.value)
    assert KEY[2:10] not in str(refused.value)


def test_the_first_unlocked_account_keeps_on_a_local_chain_alone() -> None:
    assert who({}, 31337, local=True) == Identity(FIRST, unlocked=True)
    assert who({"unlocked": ADDRESS.lower()}, 31337, local=True) == Identity(ADDRESS, unlocked=True)
    with pytest.raises(SignerError, match="give --keystore FILE"):
        who({}, 1)
    with pytest.raises(ConfigurationError, match="use --keystore instead of --unlocked"):
        who({"unlocked": ADDRESS}, 1)


def test_a_dry_run_needs_nobody() -> None:
    assert who({}, 1, dry_run=True) == Identity(NOBODY)
    watching = who({"watch": ADDRESS}, 1, dry_run=True)
    assert (watching.address, watching.can_send) == (ADDRESS, False)


@pytest.mark.parametrize("value", ["0x12", "zz" * 32, ""])
def test_what_is_no_key_is_refused_without_being_quoted(value: str) -> None:
    with pytest.raises((SignerError, KeeperError)) as refused:
        who({"key_env": "K"}, 31337, environment={"K": value})
    assert not value or value not in str(refused.value)


def test_a_made_key_is_private_and_never_overwritten(file: Path) -> None:
    assert is_private(file)
    document = json.loads(file.read_text())
    assert document["crypto"]["kdf"] == "scrypt"
    with pytest.raises(SignerError, match="exists; name another file"):
        create_keystore(file, "other")
    file.chmod(0o644)
    assert not is_private(file)


def test_a_new_key_is_a_new_one_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keystore, "SCRYPT_COST", 2)
    first, second = (create_keystore(tmp_path / name, "pass") for name in ("a", "b"))
    assert first != second
    assert Account.from_key(unlock(tmp_path / "a", "pass").key).address == first
    with pytest.raises(SignerError, match="an empty password protects nothing"):
        create_keystore(tmp_path / "c", "")
