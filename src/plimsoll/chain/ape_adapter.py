"""The only module that knows ape: its provider as an `Rpc`, its accounts as a `Sender`."""

from __future__ import annotations

from typing import Any

from ape.api import AccountAPI, ImpersonatedAccount, ProviderAPI

from plimsoll.chain.abi import checksum
from plimsoll.chain.errors import NodeUnavailable, SignerError
from plimsoll.chain.receipt import Receipt
from plimsoll.chain.rpc import Rpc
from plimsoll.chain.signer import Sender, UnlockedSender, estimate_gas, wait_for_receipt

__all__ = ["ApeSender", "address_from_ape", "key_from_ape", "rpc_from_ape", "sender_from_ape"]


def rpc_from_ape(provider: ProviderAPI) -> Rpc:
    """A client of the node that ape is connected to, over HTTP or its unix socket.

    :raises NodeUnavailable: ape is not connected, or only by WebSocket.
    """
    return Rpc.connect(address_from_ape(provider))


def address_from_ape(provider: ProviderAPI) -> str:
    """Where the node is that ape is connected to: an HTTP address, or the path of its unix socket.

    :raises NodeUnavailable: ape is not connected, or only by WebSocket.
    """
    where = provider.http_uri if provider.is_connected else None
    if where is None and provider.is_connected and provider.ipc_path is not None and provider.ipc_path.exists():
        where = str(provider.ipc_path)
    if where is None or not str(where).startswith(("http://", "https://", "/")):
        fix = "connect first, with `--network ethereum:local:foundry` or an http address"
        raise NodeUnavailable(f"ape's provider {provider.name!r}", "it has no HTTP address and no socket", fix)
    return str(where)


def key_from_ape(account: AccountAPI) -> dict[str, str]:
    """How the keeper's configuration names an ape account: by its encrypted key file, or as one that the node holds."""
    keyfile = getattr(account, "keyfile_path", None)
    if keyfile is not None:
        return {"key.keystore": str(keyfile)}
    return {"key.unlocked": checksum(str(account.address))}


def sender_from_ape(account: AccountAPI, provider: ProviderAPI, *, rpc: Rpc | None = None) -> Sender:
    """Sends from an ape account: through the node where that holds the account unlocked (development chains), else
    signed by ape, which may ask for a passphrase."""
    client = rpc if rpc is not None else rpc_from_ape(provider)
    address = checksum(str(account.address))
    if provider.network.is_dev:
        unlocked = {checksum(held) for held in client.request("eth_accounts")}
        if address in unlocked or isinstance(account, ImpersonatedAccount):
            return UnlockedSender(client, address)
    return ApeSender(client, account, provider)


class ApeSender:
    """Transactions signed by an ape account and sent by our own client."""

    def __init__(self, rpc: Rpc, account: AccountAPI, provider: ProviderAPI) -> None:
        self.rpc = rpc
        self.address = checksum(str(account.address))
        self._account = account
        self._provider = provider

    def submit(self, to: str | None, data: str = "0x", value: int = 0, gas: int | None = None) -> str:
        """Signs a transaction, hands it over and returns its hash without waiting."""
        if gas is None:
            call = {"from": self.address, "data": data, "value": hex(value)} | ({"to": to} if to is not None else {})
            gas = estimate_gas(self.rpc, call)
        fields: dict[str, Any] = {"data": data, "value": value, "gas_limit": gas, "sender": self.address}
        if to is not None:
            fields["receiver"] = to
        prepared = self._account.prepare_transaction(
            self._provider.network.ecosystem.create_transaction(type=2, chain_id=self._provider.chain_id, **fields)
        )
        signed = self._account.sign_transaction(prepared)
        if signed is None:
            raise SignerError(f"the transaction of {self.address} was not signed; confirm it when ape asks")
        raw = "0x" + bytes(signed.serialize_transaction()).hex()
        return str(self.rpc.request("eth_sendRawTransaction", [raw]))

    def send(self, to: str | None, data: str = "0x", value: int = 0, gas: int | None = None) -> Receipt:
        """Signs, hands over and waits until it is mined. A reverted one comes back with `status` 0."""
        return wait_for_receipt(self.rpc, self.submit(to, data, value, gas))

    def __repr__(self) -> str:
        return f"ApeSender({self.address})"
