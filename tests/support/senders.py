"""Senders and clients that misbehave, for tests of deployments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from plimsoll.chain.errors import NodeUnavailable
from plimsoll.chain.receipt import Receipt
from plimsoll.chain.rpc import Rpc
from plimsoll.chain.signer import Sender

__all__ = ["DyingSender", "RemoteRpc"]


class RemoteRpc(Rpc):
    """A client of a development chain that says it is no such chain."""

    def request(self, method: str, params: Sequence[Any] = ()) -> Any:
        """As of the node, but for the name of its program."""
        return "Geth/v1.16.0" if method == "web3_clientVersion" else super().request(method, params)


class DyingSender:
    """Sends `lives` transactions, then the connection breaks: before the next one is handed over, or after it landed.

    :param landed: whether the one that breaks the connection is mined all the same.
    """

    def __init__(self, sender: Sender, lives: int, landed: bool) -> None:
        self.rpc = sender.rpc
        self.address = sender.address
        self.sent = 0
        self._sender = sender
        self._lives = lives
        self._landed = landed

    def submit(self, to: str | None, data: str = "0x", value: int = 0, gas: int | None = None) -> str:
        """As the sender below."""
        return self._sender.submit(to, data, value, gas)

    def send(self, to: str | None, data: str = "0x", value: int = 0, gas: int | None = None) -> Receipt:
        """As the sender below, while it lives."""
        if self._lives == 0:
            if self._landed:
                self._sender.send(to, data, value, gas)
                self.sent += 1
            raise NodeUnavailable("nowhere", "the connection broke", "this is a test", sent=self._landed)
        self._lives -= 1
        self.sent += 1
        return self._sender.send(to, data, value, gas)
