"""Signers: a local key, or an account that a development node holds unlocked."""

from __future__ import annotations

from typing import Any

from eth_account.signers.local import LocalAccount
from eth_utils.crypto import keccak

from plimsoll.chain.abi import checksum
from plimsoll.keeper.sending.fees import Fees
from plimsoll.keeper.sending.ports import Node, Signed

__all__ = ["KeySigner", "UnlockedSigner"]


class KeySigner:
    """A local key. It is never shown."""

    def __init__(self, account: LocalAccount, chain_id: int) -> None:
        self._account = account
        self._chain_id = chain_id
        self.address = str(account.address)

    def __repr__(self) -> str:
        return f"KeySigner({self.address})"

    async def sign(self, nonce: int, fees: Fees, gas: int, to: str, data: bytes, value_wei: int) -> Signed:
        """An EIP-1559 transaction."""
        fields: dict[str, Any] = {
            "type": 2,
            "chainId": self._chain_id,
            "nonce": nonce,
            "gas": gas,
            "maxFeePerGas": fees.max_fee,
            "maxPriorityFeePerGas": fees.tip,
            "to": checksum(to),
            "data": data,
            "value": value_wei,
        }
        signed = self._account.sign_transaction(fields)
        return Signed(bytes(signed.raw_transaction), "0x" + bytes(signed.hash).hex())


class UnlockedSigner:
    """An account that the node signs for, as on development chains."""

    def __init__(self, node: Node, address: str, chain_id: int) -> None:
        self._node = node
        self._chain_id = chain_id
        self.address = checksum(address)

    def __repr__(self) -> str:
        return f"UnlockedSigner({self.address})"

    async def sign(self, nonce: int, fees: Fees, gas: int, to: str, data: bytes, value_wei: int) -> Signed:
        """An EIP-1559 transaction.

        :raises RpcError, NodeUnavailable: the node does not sign.
        """
        fields: dict[str, Any] = {
            "from": self.address,
            "chainId": hex(self._chain_id),
            "nonce": hex(nonce),
            "gas": hex(gas),
            "maxFeePerGas": hex(fees.max_fee),
            "maxPriorityFeePerGas": hex(fees.tip),
            "to": to,
            "data": "0x" + data.hex(),
            "value": hex(value_wei),
        }
        answer = await self._node.request("eth_signTransaction", [fields])
        # Geth wraps the raw transaction, others give it as it is.
        raw = bytes.fromhex((answer["raw"] if isinstance(answer, dict) else answer)[2:])
        return Signed(raw, "0x" + keccak(raw).hex())
