"""Contracts created one after another, each recorded in the book as it lands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from eth_utils.crypto import keccak

from plimsoll.chain.abi import checksum
from plimsoll.chain.artifacts import Artifact, Artifacts
from plimsoll.chain.contract import Contract
from plimsoll.chain.contract import deploy as create_contract
from plimsoll.chain.receipt import ErrorRegistry, EventRegistry
from plimsoll.chain.rpc import Rpc
from plimsoll.chain.signer import Sender
from plimsoll.deploy.book import Book, Creation, Entry
from plimsoll.errors import PlimsollError

__all__ = ["Creator", "DeployError", "create_address"]


class DeployError(PlimsollError):
    """A deployment cannot begin or go on; the text says why and what to do."""


def create_address(deployer: str, nonce: int) -> str:
    """Address of the contract that `deployer` creates with transaction number `nonce`."""
    number = nonce.to_bytes((nonce.bit_length() + 7) // 8, "big")
    item = number if len(number) == 1 and number[0] < 0x80 else bytes([0x80 + len(number)]) + number
    body = b"\x94" + bytes.fromhex(deployer[2:]) + item
    return checksum("0x" + keccak(bytes([0xC0 + len(body)]) + body)[12:].hex())


class Creator:
    """Creates contracts from one sender and keeps the book.

    :param path: where the book is saved after each step; None keeps it in memory.
    """

    def __init__(
        self,
        sender: Sender,
        book: Book,
        artifacts: Artifacts,
        path: Path | None,
        progress: Callable[[str], None],
    ) -> None:
        self.sender = sender
        self.rpc: Rpc = sender.rpc
        self.book = book
        self.artifacts = artifacts
        self.path = path
        self.progress = progress
        self.errors = ErrorRegistry(*(artifact.abi for artifact in artifacts))
        self.events = EventRegistry()

    def save(self) -> None:
        """Writes the book."""
        if self.path is not None:
            self.book.write(self.path)

    def nonce(self) -> int:
        """Number of the deployer's next transaction.

        :raises DeployError: one of his transactions is not mined yet.
        """
        mined, pending = (
            int(self.rpc.request("eth_getTransactionCount", [self.sender.address, tag]), 16)
            for tag in ("latest", "pending")
        )
        if mined != pending:
            raise DeployError(
                f"{pending - mined} transactions of the deployer {self.sender.address} are not mined yet; "
                "wait for them and run deploy again"
            )
        return mined

    def code_at(self, address: str) -> bytes:
        """Deployed code."""
        return bytes.fromhex(str(self.rpc.request("eth_getCode", [address, "latest"]))[2:])

    def adopt(self) -> None:
        """Records the contract whose creation was sent before an interruption, if it landed."""
        creation = self.book.creation
        if creation is None:
            return
        if self.code_at(creation.address):
            self.progress(f"{creation.name}: found at {creation.address}, sent before the interruption")
            self._record(creation.name, creation.contract, creation.address, mock=creation.mock)
        self.book.creation = None
        self.save()

    def create(self, name: str, contract: str, arguments: Mapping[str, Any], *, mock: bool = False) -> Contract:
        """The contract of that name in the book, created if it is not there.

        :param arguments: by the names of the constructor's parameters.
        """
        artifact = self.artifacts.artifact(contract)
        entry = self.book.contracts.get(name)
        if entry is not None:
            return self.contract(name, artifact)
        nonce = self.nonce()
        address = create_address(self.sender.address, nonce)
        self.book.creation = Creation(name=name, contract=contract, nonce=nonce, address=address, mock=mock)
        self.save()
        created = create_contract(
            artifact, *_in_order(artifact, arguments), sender=self.sender, errors=self.errors, events=self.events
        )
        if created.address != address:
            raise DeployError(
                f"{name} was created at {created.address} instead of {address}: the deployer {self.sender.address} "
                "sent other transactions meanwhile; use him for the deployment only, and run deploy again"
            )
        self._record(name, contract, address, mock=mock)
        self.book.creation = None
        self.save()
        self.progress(f"{name}: {contract} at {address}")
        return self.contract(name, artifact)

    def contract(self, name: str, artifact: Artifact) -> Contract:
        """A handle to a contract in the book."""
        entry = self.book.contracts[name]
        return Contract(
            self.rpc,
            entry.address,
            artifact.abi,
            errors=self.errors,
            events=self.events,
            sender=self.sender,
            name=name,
        )

    def use(self, name: str, contract: str, address: str, decimals: int) -> Contract:
        """A token or feed that others deployed.

        :raises DeployError: there is none at the address, or it has other decimals.
        """
        if not self.code_at(address):
            raise DeployError(f"{name}: there is no contract at {address} on this chain; correct the address")
        if name not in self.book.contracts:
            self._record(name, contract, address, mock=False)
        found = self.contract(name, self.artifacts.artifact(contract))
        has = found.call("decimals")
        if has != decimals:
            self.book.contracts.pop(name)
            raise DeployError(
                f"{name}: the contract at {address} has {has} decimals, the file says {decimals}; correct it"
            )
        self.save()
        return found

    def forget(self, names: list[str]) -> None:
        """Drops contracts from the book."""
        for name in names:
            self.book.contracts.pop(name, None)
        self.save()

    def done(self, step: str) -> bool:
        """Whether a payment was made before."""
        return step in self.book.steps

    def finish(self, step: str) -> None:
        """Records a payment."""
        self.book.steps.append(step)
        self.save()

    def _record(self, name: str, contract: str, address: str, *, mock: bool) -> None:
        code = self.code_at(address)
        block = int(self.rpc.request("eth_blockNumber"), 16)
        self.book.contracts[name] = Entry(
            contract=contract, address=checksum(address), block=block, code_hash="0x" + keccak(code).hex(), mock=mock
        )


def _in_order(artifact: Artifact, arguments: Mapping[str, Any]) -> list[Any]:
    """Constructor arguments by name: two addresses in the wrong order would compile and lose money."""
    constructor: Mapping[str, Any] = next(
        (item for item in artifact.abi if item["type"] == "constructor"), {"inputs": []}
    )
    names = [str(item["name"]) for item in constructor["inputs"]]
    missing = [name for name in names if name not in arguments]
    unknown = [name for name in arguments if name not in names]
    if missing or unknown:
        raise DeployError(
            f"the constructor of {artifact.name} takes {', '.join(names)}; missing: {', '.join(missing) or 'none'}, "
            f"unknown: {', '.join(unknown) or 'none'}; bring deploy into step with the contract"
        )
    return [arguments[name] for name in names]
