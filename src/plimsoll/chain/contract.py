"""Contracts: calls, transactions, decoded reverts and events, deployment, and batches of calls."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from plimsoll.chain.abi import Abi, FunctionAbi, address_of
from plimsoll.chain.errors import (
    AbiError,
    EvmHalt,
    NotAContract,
    PlimsollError,
    Revert,
    RpcError,
    SignerError,
)
from plimsoll.chain.receipt import ErrorRegistry, EventRegistry, Receipt
from plimsoll.chain.rpc import Rpc
from plimsoll.chain.signer import Sender, UnlockedSender

__all__ = [
    "Block",
    "Call",
    "Contract",
    "Deployable",
    "batch_call",
    "call_requests",
    "call_results",
    "deploy",
    "explain_failure",
]

Block = int | str | Mapping[str, Any]
"""A block number, a tag such as `latest`, or `{"blockHash": …}`."""


class Deployable(Protocol):
    """What deployment needs of a compiled contract."""

    @property
    def name(self) -> str:
        """Name of the contract."""

    @property
    def abi(self) -> Abi:
        """Its ABI."""

    @property
    def bytecode(self) -> str | bytes:
        """Creation code, hex text or bytes."""


class Contract:
    """A contract at an address.

    :param errors: errors of the whole deployment; the contract's own errors are added to it.
    :param events: events of the whole deployment; the contract's own events are added to it.
    :param sender: who sends when a transaction names nobody.
    """

    def __init__(
        self,
        rpc: Rpc,
        address: str,
        abi: Abi,
        *,
        errors: ErrorRegistry | None = None,
        events: EventRegistry | None = None,
        sender: Sender | str | None = None,
        name: str = "contract",
    ) -> None:
        self.rpc = rpc
        self.address = address_of(address)
        self.abi = abi
        self.name = name
        self.errors = errors if errors is not None else ErrorRegistry()
        self.events = events if events is not None else EventRegistry()
        self.errors.add(abi)
        self.events.add(abi, self.address)
        self.sender = sender
        self.receipt: Receipt | None = None
        self._functions = _index(abi)

    def encode(self, fn: str, *args: Any) -> str:
        """Call data of `fn` (a name, or a full signature where a name is overloaded) as hex text with 0x."""
        return self.function(fn, len(args)).encode(args)

    def call(
        self,
        fn: str,
        *args: Any,
        sender: Sender | str | None = None,
        value: int = 0,
        block: Block = "latest",
    ) -> Any:
        """The result of a call that changes nothing: None, one value, or a named tuple of several.

        :raises Revert: decoded, see `ErrorRegistry`.
        :raises NotAContract: there is no code at the address.
        """
        function = self.function(fn, len(args))
        try:
            answer = self.rpc.request("eth_call", _call(self, function, args, sender, value, block))
        except RpcError as error:
            raise self.errors.from_rpc(error) or error from None
        return self._result(function, answer)

    def transact(
        self,
        fn: str,
        *args: Any,
        sender: Sender | str | None = None,
        value: int = 0,
        gas: int | None = None,
    ) -> Receipt:
        """Sends a transaction and waits until it is mined.

        :raises Revert: decoded; `tx_hash` is set if it was mined.
        """
        data = self.function(fn, len(args)).encode(args)
        return _send(self._sender(sender), self.address, data, value, gas, self.errors, self.events)

    def submit(
        self,
        fn: str,
        *args: Any,
        sender: Sender | str | None = None,
        value: int = 0,
        gas: int | None = None,
    ) -> str:
        """Sends a transaction and returns its hash at once, for chains that mine by command; see `receipt_of`."""
        data = self.function(fn, len(args)).encode(args)
        try:
            return self._sender(sender).submit(self.address, data, value, gas)
        except RpcError as error:
            raise self.errors.from_rpc(error) or error from None

    def receipt_of(self, tx_hash: str) -> Receipt | None:
        """The receipt with this deployment's events, None while not mined.

        :raises Revert: decoded, if the transaction reverted.
        """
        raw = self.rpc.request("eth_getTransactionReceipt", [tx_hash])
        if raw is None:
            return None
        receipt = Receipt.of(raw, self.events)
        if not receipt.succeeded:
            raise explain_failure(self.rpc, receipt, self.errors)
        return receipt

    def function(self, fn: str, count: int | None = None) -> FunctionAbi:
        """The ABI of a function by name or full signature; `count` arguments tell overloads apart.

        :raises AbiError: no such function, or several.
        """
        found = self._functions.get(fn)
        if found is None:
            near = difflib.get_close_matches(fn, self._functions, n=3)
            hint = f"; did you mean {' or '.join(near)}?" if near else "; see its ABI"
            raise AbiError(f"{self.name} has no function {fn}{hint}")
        if len(found) == 1:
            return found[0]
        fitting = [entry for entry in found if len(entry.input_names) == count]
        if len(fitting) == 1:
            return fitting[0]
        signatures = ", ".join(entry.signature for entry in found)
        raise AbiError(f"{self.name}.{fn} is overloaded; name one by its full signature: {signatures}")

    def __repr__(self) -> str:
        return f"<{self.name} {self.address}>"

    def _result(self, function: FunctionAbi, answer: str) -> Any:
        if answer == "0x" and function.output_count:
            where = f"{self.address} ({self.name})"
            raise NotAContract(f"no code at {where}; is it deployed on the chain at {self.rpc.address}?")
        try:
            return function.decode(bytes.fromhex(answer[2:]))
        except AbiError as error:
            raise AbiError(f"{self.name}.{function.signature}: {error}") from None

    def _sender(self, sender: Sender | str | None) -> Sender:
        chosen = sender if sender is not None else self.sender
        if chosen is None:
            raise SignerError(
                f"nobody sends to {self.name}; give sender=…, an address the node has unlocked or a Sender"
            )
        return UnlockedSender(self.rpc, address_of(chosen)) if isinstance(chosen, str) else chosen


Call = tuple[Contract, str, Sequence[Any]]
"""A contract, the name of a function and its arguments."""


def deploy(
    artifact: Deployable,
    *args: Any,
    sender: Sender,
    value: int = 0,
    gas: int | None = None,
    errors: ErrorRegistry | None = None,
    events: EventRegistry | None = None,
) -> Contract:
    """Creates a contract and returns it with its `receipt` and `sender` set.

    :raises Revert: the constructor reverted, decoded.
    :raises AbiError: arguments do not fit, or the bytecode is empty or not linked.
    """
    code = artifact.bytecode if isinstance(artifact.bytecode, str) else artifact.bytecode.hex()
    code = code.removeprefix("0x")
    if not code:
        raise AbiError(f"{artifact.name} has no bytecode; it is an interface or abstract, deploy an implementation")
    if "_" in code:
        raise AbiError(f"{artifact.name} needs libraries linked into its bytecode; make their functions internal")
    constructor = next((item for item in artifact.abi if item["type"] == "constructor"), {"type": "constructor"})
    arguments = FunctionAbi.of(constructor).encode(args).removeprefix("0x")
    errors = errors if errors is not None else ErrorRegistry()
    events = events if events is not None else EventRegistry()
    errors.add(artifact.abi)
    events.add(artifact.abi)
    receipt = _send(sender, None, "0x" + code + arguments, value, gas, errors, events)
    if receipt.contract_address is None:
        raise AbiError(f"{artifact.name}: the node's receipt {receipt.tx_hash} names no contract; use another node")
    contract = Contract(
        sender.rpc,
        receipt.contract_address,
        artifact.abi,
        errors=errors,
        events=events,
        sender=sender,
        name=artifact.name,
    )
    contract.receipt = receipt
    return contract


def batch_call(calls: Iterable[Call], *, block: Block = "latest", chunk: int = 500) -> list[Any]:
    """Results of many calls in one JSON-RPC batch; a call that failed gives its `PlimsollError` in place of a result.

    All calls go to the node of the first contract.
    """
    listed = list(calls)
    if not listed:
        return []
    answers = listed[0][0].rpc.batch(call_requests(listed, block=block), chunk=chunk)
    return call_results(listed, answers)


def call_requests(calls: Iterable[Call], *, block: Block = "latest") -> list[tuple[str, list[Any]]]:
    """The `eth_call` requests of a batch, for clients of every kind; `call_results` reads what they answer."""
    return [
        ("eth_call", _call(contract, contract.function(fn, len(args)), args, None, 0, block))
        for contract, fn, args in calls
    ]


def call_results(calls: Iterable[Call], answers: Iterable[Any]) -> list[Any]:
    """Decoded answers, in order; a call that failed gives its `PlimsollError` in place of a result."""
    results: list[Any] = []
    for (contract, fn, args), answer in zip(calls, answers, strict=True):
        if isinstance(answer, RpcError):
            results.append(contract.errors.from_rpc(answer) or answer)
            continue
        try:
            results.append(contract._result(contract.function(fn, len(args)), answer))
        except PlimsollError as error:
            results.append(error)
    return results


def explain_failure(rpc: Rpc, receipt: Receipt, errors: ErrorRegistry) -> Revert:
    """Why a mined transaction failed, from the node's trace, or by calling it again at its block."""
    traced = _traced_failure(rpc, receipt.tx_hash)
    if traced is not None:
        reason, output = traced
        if "revert" in reason.lower():
            return errors.decode(output, receipt.tx_hash)
        return EvmHalt(f"{reason} ({receipt.gas_used} gas used)", receipt.tx_hash)
    transaction = rpc.request("eth_getTransactionByHash", [receipt.tx_hash]) or {}
    gas = int(transaction.get("gas", "0x0"), 16)
    if receipt.gas_used >= gas > 0:
        return EvmHalt(f"out of gas or invalid opcode (all {gas} gas used)", receipt.tx_hash)
    fields = {key: transaction[key] for key in ("from", "to", "value", "gas") if transaction.get(key) is not None}
    try:
        rpc.request("eth_call", [{**fields, "data": transaction.get("input", "0x")}, hex(receipt.block_number)])
    except RpcError as error:
        found = errors.from_rpc(error, receipt.tx_hash)
        if found is not None:
            return found
    return Revert(
        f"transaction {receipt.tx_hash} reverted ({receipt.gas_used} of {gas} gas used) for a reason that the node "
        "does not tell; ask a node with trace_transaction or debug_traceTransaction",
        b"",
        receipt.tx_hash,
    )


def _traced_failure(rpc: Rpc, tx_hash: str) -> tuple[str, bytes] | None:
    try:
        frames = rpc.request("trace_transaction", [tx_hash])
        top = next(frame for frame in frames or () if not frame["traceAddress"])
        reason, result = top.get("error"), top.get("result")
        # Nodes that leave the result out of a reverted frame do not tell its return data.
        if reason and (result is not None or "revert" not in reason.lower()):
            output = (result or {}).get("code" if top.get("type") == "create" else "output")
            return str(reason), _hex_bytes(output)
    except (RpcError, KeyError, StopIteration):
        pass
    try:
        options = {"tracer": "callTracer", "tracerConfig": {"onlyTopCall": True}}
        frame = rpc.request("debug_traceTransaction", [tx_hash, options])
        if isinstance(frame, dict) and frame.get("error"):
            return str(frame["error"]), _hex_bytes(frame.get("output"))
    except RpcError:
        pass
    return None


def _hex_bytes(text: Any) -> bytes:
    return bytes.fromhex(text[2:]) if isinstance(text, str) and text.startswith("0x") else b""


def _send(
    sender: Sender,
    to: str | None,
    data: str,
    value: int,
    gas: int | None,
    errors: ErrorRegistry,
    events: EventRegistry,
) -> Receipt:
    try:
        receipt = sender.send(to, data, value, gas)
    except RpcError as error:
        raise errors.from_rpc(error) or error from None
    if not receipt.succeeded:
        raise explain_failure(sender.rpc, receipt, errors)
    receipt.registry = events
    return receipt


def _call(
    contract: Contract,
    function: FunctionAbi,
    args: Sequence[Any],
    sender: Sender | str | None,
    value: int,
    block: Block,
) -> list[Any]:
    request = {"to": contract.address, "data": function.encode(args)}
    if sender is not None:
        request["from"] = address_of(sender)
    if value:
        request["value"] = hex(value)
    return [request, hex(block) if isinstance(block, int) else block]


def _index(abi: Abi) -> dict[str, list[FunctionAbi]]:
    found: dict[str, list[FunctionAbi]] = {}
    for item in abi:
        if item["type"] == "function":
            function = FunctionAbi.of(item)
            found.setdefault(function.name, []).append(function)
            found[function.signature] = [function]
    return found
