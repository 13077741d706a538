"""A sender that cannot send: what a dry run works with."""

from __future__ import annotations

from plimsoll.chain.abi import checksum
from plimsoll.chain.errors import SignerError
from plimsoll.chain.receipt import Receipt
from plimsoll.chain.rpc import Rpc

__all__ = ["WatchSender"]


class WatchSender:
    """An address without a key."""

    def __init__(self, rpc: Rpc, address: str) -> None:
        self.rpc = rpc
        self.address = checksum(address)

    def submit(self, to: str | None, data: str = "0x", value: int = 0, gas: int | None = None) -> str:
        """Refuses.

        :raises SignerError: always.
        """
        raise SignerError(f"{self.address} only watches; give a key to send")

    def send(self, to: str | None, data: str = "0x", value: int = 0, gas: int | None = None) -> Receipt:
        """Refuses.

        :raises SignerError: always.
        """
        raise SignerError(f"{self.address} only watches; give a key to send")
