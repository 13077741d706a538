"""Who sends transactions: an account the node holds unlocked (development chains) or a local key (any node)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

from eth_account import Account
from eth_account.signers.local import LocalAccount

from plimsoll.chain.abi import checksum
from plimsoll.chain.errors import NodeUnavailable, RpcError, SignerError, TransactionNotMined
from plimsoll.chain.receipt import Receipt
from plimsoll.chain.rpc import Rpc

__all__ = ["DEV_GAS", "KeySender", "Sender", "UnlockedSender", "estimate_gas", "wait_for_receipt"]

DEV_GAS = 16_000_000
GAS_MARGIN_PERCENT = 25
GWEI = 10**9
QUICK_POLLS = 20  # a development chain mines within a fraction of a millisecond
SUBMIT_ATTEMPTS = 3


class Sender(Protocol):
    """Sends transactions from one address. `to` is None to create a contract; `data` is hex text with 0x."""

    @property
    def rpc(self) -> Rpc:
        """The node that is used."""

    @property
    def address(self) -> str:
        """The checksummed address that sends."""

    def submit(self, to: str | None, data: str = "0x", value: int = 0, gas: int | None = None) -> str:
        """Hands a transaction over and returns its hash without waiting."""

    def send(self, to: str | None, data: str = "0x", value: int = 0, gas: int | None = None) -> Receipt:
        """Hands a transaction over and waits until it is mined. A reverted one comes back with `status` 0."""


def wait_for_receipt(rpc: Rpc, tx_hash: str, *, timeout: float = 120.0) -> Receipt:
    """Polls until the transaction is mined.

    :raises TransactionNotMined: not within `timeout` seconds.
    """
    receipt = _poll(rpc, tx_hash, timeout, 1, lambda _: False)
    if receipt is None:
        raise TransactionNotMined(tx_hash, timeout)
    return receipt


def _poll(rpc: Rpc, tx_hash: str, timeout: float, quick: int, give_up: Callable[[str], bool]) -> Receipt | None:
    """The receipt; None when time is over or, after `quick` polls without a pause, `give_up` says so."""
    deadline = time.monotonic() + timeout
    polls = 0
    pause = 0.002
    while True:
        raw = rpc.request("eth_getTransactionReceipt", [tx_hash])
        if raw is not None:
            return Receipt.of(raw)
        polls += 1
        if polls < quick:
            continue
        if time.monotonic() + pause > deadline or give_up(tx_hash):
            return None
        time.sleep(pause)
        pause = min(pause * 2, 0.5)


def estimate_gas(rpc: Rpc, transaction: dict[str, str], margin_percent: int = GAS_MARGIN_PERCENT) -> int:
    """The node's estimate with a margin on top.

    :raises RpcError: the transaction would revert (with the return data), or cannot be paid.
    """
    return int(rpc.request("eth_estimateGas", [transaction]), 16) * (100 + margin_percent) // 100


class UnlockedSender:
    """An account that the node itself signs for, as on development chains.

    Without an explicit `gas` each transaction gets the fixed limit `default_gas`, which saves an estimate.
    `default_gas=None` estimates instead; a transaction that would revert is then refused before it is sent.
    """

    def __init__(self, rpc: Rpc, address: str, *, default_gas: int | None = DEV_GAS, timeout: float = 120.0) -> None:
        self.rpc = rpc
        self.address = checksum(address)
        self.default_gas = default_gas
        self.timeout = timeout

    def submit(self, to: str | None, data: str = "0x", value: int = 0, gas: int | None = None) -> str:
        """Hands a transaction over and returns its hash without waiting."""
        return str(self.rpc.request("eth_sendTransaction", [self._transaction(to, data, value, gas)]))

    def send(self, to: str | None, data: str = "0x", value: int = 0, gas: int | None = None) -> Receipt:
        """Hands a transaction over and waits until it is mined. A reverted one comes back with `status` 0."""
        for _ in range(SUBMIT_ATTEMPTS):
            tx_hash = self.submit(to, data, value, gas)
            receipt = _poll(self.rpc, tx_hash, self.timeout, QUICK_POLLS, self._is_gone)
            if receipt is not None:
                return receipt
            if not self._is_gone(tx_hash):
                break
        raise TransactionNotMined(tx_hash, self.timeout)

    def _is_gone(self, tx_hash: str) -> bool:
        """True if the node neither holds nor mined the transaction: anvil may lose one that follows `evm_revert`."""
        if self.rpc.request("eth_getTransactionByHash", [tx_hash]) is not None:
            return False
        return self.rpc.request("eth_getTransactionReceipt", [tx_hash]) is None

    def __repr__(self) -> str:
        return f"UnlockedSender({self.address})"

    def _transaction(self, to: str | None, data: str, value: int, gas: int | None) -> dict[str, str]:
        transaction = {"from": self.address, "data": data}
        if to is not None:
            transaction["to"] = to
        if value:
            transaction["value"] = hex(value)
        limit = self.default_gas if gas is None else gas
        transaction["gas"] = hex(limit if limit is not None else estimate_gas(self.rpc, transaction))
        return transaction


class KeySender:
    """A local key signing EIP-1559 transactions. The key is never shown.

    :param key: an `eth_account` account, 32 bytes, or 64 hex digits.
    :param gas_margin_percent: what is added to the node's estimate when no explicit `gas` is given.
    :param max_fee: upper bound of the fee per gas in wei; None: twice the base fee plus the tip.
    :param tip: priority fee per gas in wei; None: what the node proposes.
    """

    def __init__(
        self,
        rpc: Rpc,
        key: LocalAccount | str | bytes,
        *,
        chain_id: int | None = None,
        gas_margin_percent: int = GAS_MARGIN_PERCENT,
        max_fee: int | None = None,
        tip: int | None = None,
        timeout: float = 120.0,
    ) -> None:
        self.rpc = rpc
        self._account = key if isinstance(key, LocalAccount) else _account(key)
        self.address = str(self._account.address)
        self.gas_margin_percent = gas_margin_percent
        self.max_fee = max_fee
        self.tip = tip
        self.timeout = timeout
        self._chain_id = chain_id
        self._nonce: int | None = None

    def submit(self, to: str | None, data: str = "0x", value: int = 0, gas: int | None = None) -> str:
        """Signs a transaction, hands it over and returns its hash without waiting.

        A nonce that somebody else used meanwhile is fetched again, once.
        """
        fields = self._fields(to, data, value, gas)
        for attempt in (1, 2):
            if self._nonce is None:
                pending = self.rpc.request("eth_getTransactionCount", [self.address, "pending"])
                self._nonce = int(pending, 16)
            signed = self._account.sign_transaction({**fields, "nonce": self._nonce})
            tx_hash = "0x" + bytes(signed.hash).hex()
            try:
                self.rpc.request("eth_sendRawTransaction", ["0x" + bytes(signed.raw_transaction).hex()])
            except NodeUnavailable:
                self.resync()
                raise
            except RpcError as error:
                self.resync()
                used = _nonce_used(error)
                if used and self.rpc.request("eth_getTransactionByHash", [tx_hash]) is not None:
                    return tx_hash
                if not used or attempt == 2:
                    raise
                continue
            self._nonce += 1
            return tx_hash
        raise AssertionError("unreachable: the second attempt returns or raises")

    def send(self, to: str | None, data: str = "0x", value: int = 0, gas: int | None = None) -> Receipt:
        """Signs, hands over and waits until it is mined. A reverted one comes back with `status` 0."""
        return wait_for_receipt(self.rpc, self.submit(to, data, value, gas), timeout=self.timeout)

    def resync(self) -> None:
        """Forgets the nonce; the next transaction asks the node for it."""
        self._nonce = None

    def __repr__(self) -> str:
        return f"KeySender({self.address})"

    def _fields(self, to: str | None, data: str, value: int, gas: int | None) -> dict[str, Any]:
        if self._chain_id is None:
            self._chain_id = int(self.rpc.request("eth_chainId"), 16)
        tip = self.tip if self.tip is not None else self._proposed_tip()
        base_fee = self.rpc.request("eth_getBlockByNumber", ["latest", False]).get("baseFeePerGas")
        if base_fee is None:
            raise SignerError("the chain has no base fee (EIP-1559); use a node of a chain after the London fork")
        max_fee = self.max_fee if self.max_fee is not None else 2 * int(base_fee, 16) + tip
        if max_fee < int(base_fee, 16):
            raise SignerError(f"max_fee {max_fee} wei is below the base fee {int(base_fee, 16)} wei; raise it or wait")
        call = {"from": self.address, "data": data} | ({"to": to} if to is not None else {})
        if gas is None:
            gas = estimate_gas(self.rpc, call | ({"value": hex(value)} if value else {}), self.gas_margin_percent)
        fields: dict[str, Any] = {
            "type": 2,
            "chainId": self._chain_id,
            "data": data,
            "value": value,
            "gas": gas,
            "maxFeePerGas": max_fee,
            "maxPriorityFeePerGas": min(tip, max_fee),
        }
        return fields | ({"to": checksum(to)} if to is not None else {})

    def _proposed_tip(self) -> int:
        try:
            return int(self.rpc.request("eth_maxPriorityFeePerGas"), 16)
        except RpcError as error:
            if _method_missing(error):
                return GWEI
            raise


def _account(key: str | bytes) -> LocalAccount:
    try:
        account: LocalAccount = Account.from_key(key)
    except Exception:
        # The original message may quote the key.
        raise SignerError("the private key is not 32 bytes (64 hex digits); check the keystore") from None
    return account


def _method_missing(error: RpcError) -> bool:
    message = error.message.lower()
    return error.code == -32601 or "did not match any variant" in message or "not supported" in message


def _nonce_used(error: RpcError) -> bool:
    message = error.message.lower()
    return any(part in message for part in ("nonce too low", "already known", "already imported", "known transaction"))
