"""Errors of the chain client. Everything raised on purpose derives from `PlimsollError`.

Two families matter to callers: `NodeUnavailable` (the node did not answer) and `Revert` (the EVM refused).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from plimsoll.errors import PlimsollError

__all__ = [
    "AbiError",
    "AnvilError",
    "BareRevert",
    "ContractRevert",
    "EvmHalt",
    "NodeTimeout",
    "NodeUnavailable",
    "NotAContract",
    "Panic",
    "PlimsollError",
    "Revert",
    "RpcError",
    "SignerError",
    "StringRevert",
    "TransactionNotMined",
    "UnknownRevert",
]

PANIC_REASONS: Mapping[int, str] = {
    0x00: "generic compiler panic",
    0x01: "assert failed",
    0x11: "arithmetic overflow or underflow",
    0x12: "division or modulo by zero",
    0x21: "value out of range for the enum",
    0x22: "badly encoded storage byte array",
    0x31: "pop from an empty array",
    0x32: "array index out of bounds",
    0x41: "too much memory allocated",
    0x51: "call of an uninitialised internal function",
}


class NodeUnavailable(PlimsollError):
    """The node cannot be reached, or the connection broke before an answer came.

    `sent` is true when the request had already been handed over: a transaction in it may have been accepted.
    """

    def __init__(self, address: str, reason: str, fix: str, *, sent: bool = False) -> None:
        super().__init__(f"no answer from the node at {address}: {reason}; {fix}")
        self.address = address
        self.reason = reason
        self.fix = fix
        self.sent = sent


class NodeTimeout(NodeUnavailable):
    """The node accepted the request and did not answer in time."""


class RpcError(PlimsollError):
    """The node answered a JSON-RPC request with an error."""

    def __init__(self, code: int, message: str, data: object = None, *, method: str = "") -> None:
        super().__init__(f"{method or 'the request'} was refused by the node: {message} (code {code})")
        self.code = code
        self.message = message
        self.data = data
        self.method = method


class AbiError(PlimsollError):
    """An argument does not fit the ABI, a function is not in it, or returned bytes do not decode."""


class NotAContract(PlimsollError):
    """A call reached an address without code."""


class SignerError(PlimsollError):
    """A sender cannot sign or send. The message never contains key material."""


class TransactionNotMined(PlimsollError):
    """A transaction was accepted but not included in a block in time; `tx_hash` is empty if the node withheld it."""

    def __init__(self, tx_hash: str, seconds: float) -> None:
        super().__init__(
            f"transaction {tx_hash or '(hash unknown)'} was not mined within {seconds:g} s; "
            "mine a block if the node does not mine by itself, or raise the fee"
        )
        self.tx_hash = tx_hash


class AnvilError(PlimsollError):
    """Anvil is missing, did not start, or refused a development command."""


class Revert(PlimsollError):
    """The EVM refused a call or a transaction. `data` is the raw return data; `tx_hash` is set if it was mined."""

    def __init__(self, message: str, data: bytes = b"", tx_hash: str | None = None) -> None:
        super().__init__(message)
        self.data = data
        self.tx_hash = tx_hash

    @property
    def selector(self) -> bytes:
        """First four bytes of the return data, or fewer if there are not as many."""
        return self.data[:4]


class ContractRevert(Revert):
    """A custom error, decoded. `arguments` maps argument names (`arg0`, … where unnamed) to values in ABI order.

    (`Exception.args` is taken by Python, hence the longer name.)
    """

    def __init__(
        self, name: str, arguments: Mapping[str, Any], signature: str, data: bytes, tx_hash: str | None = None
    ) -> None:
        shown = ", ".join(f"{key}={_show(value)}" for key, value in arguments.items())
        super().__init__(f"{name}({shown})", data, tx_hash)
        self.name = name
        self.arguments = dict(arguments)
        self.signature = signature

    @property
    def values(self) -> tuple[Any, ...]:
        """Argument values in ABI order."""
        return tuple(self.arguments.values())


class Panic(Revert):
    """A failure that the compiler inserted: overflow, division by zero, bad index, failed assertion, …"""

    def __init__(self, code: int, data: bytes = b"", tx_hash: str | None = None) -> None:
        super().__init__(f"Panic(0x{code:02x}): {PANIC_REASONS.get(code, 'unknown panic code')}", data, tx_hash)
        self.code = code


class StringRevert(Revert):
    """`revert("text")`."""

    def __init__(self, text: str, data: bytes = b"", tx_hash: str | None = None) -> None:
        super().__init__(f'Error("{text}")', data, tx_hash)
        self.text = text


class BareRevert(Revert):
    """A revert without any data."""

    def __init__(self, tx_hash: str | None = None) -> None:
        super().__init__(
            "reverted without data: no such function, value sent to a non-payable function, malformed arguments, "
            "or a bare revert()",
            b"",
            tx_hash,
        )


class UnknownRevert(Revert):
    """Return data that no known error explains."""

    def __init__(self, data: bytes, tx_hash: str | None = None) -> None:
        super().__init__(
            f"unknown error 0x{data[:4].hex()} (data 0x{data.hex()}); add its ABI to the ErrorRegistry",
            data,
            tx_hash,
        )


class EvmHalt(Revert):
    """Execution stopped without `revert`: out of gas, invalid opcode, code too large, …"""

    def __init__(self, reason: str, tx_hash: str | None = None) -> None:
        super().__init__(f"execution halted: {reason}", b"", tx_hash)
        self.reason = reason


def _show(value: object) -> str:
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_show(item) for item in value) + "]"
    return str(value)
