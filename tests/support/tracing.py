"""Records which instructions of the contracts run on the tests' chains, and which errors they raise.

Each call, and each transaction just before it is sent, is executed once more as a traced call, in the pending block for
a transaction; its program counters are kept by contract and the trace is dropped. So the chain itself records nothing
and needs no memory for it. What is done often (the same function in the same test) is traced a few times only.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_account.typed_transactions.typed_transaction import TypedTransaction
from hexbytes import HexBytes

from plimsoll.chain.anvil import Anvil
from plimsoll.chain.artifacts import Artifact, Artifacts, compile_contracts
from plimsoll.chain.errors import PlimsollError, RpcError
from plimsoll.chain.rpc import Rpc
from tests.support.harness import Case, Harness

__all__ = ["HARNESS", "Codes", "Frame", "Recorder", "attribute", "frames", "install", "is_measured", "raised"]
__all__ += ["unsigned"]

HARNESS = "contracts/mocks/harness/"
TRANSACTIONS_EACH = 40
CALLS_EACH = 12
DOUBLES_EACH = 3
"""So many of the same function in the same test; calls that fail and calls that do not are counted apart. A test
double is called most often to set something; only some call back into the protocol."""
HARNESS_CASES = 40
"""So many cases of each comparison with a library function, taken evenly from all."""
TRACE = {"disableStorage": True, "disableStack": True, "enableMemory": False, "enableReturnData": False}
CALL_TRACE = {"tracer": "callTracer"}
ENTERING = frozenset({"CALL", "STATICCALL", "DELEGATECALL", "CALLCODE", "CREATE", "CREATE2"})
CREATING = frozenset({"CREATE", "CREATE2"})
CHANGING_CODE = frozenset({"evm_revert", "anvil_setCode", "anvil_reset", "anvil_loadState"})
SENDING = frozenset({"eth_sendTransaction", "eth_sendRawTransaction"})

Request = Callable[[Rpc, str, Sequence[Any]], Any]


def is_measured(source: str) -> bool:
    """Whether a contract counts: everything but test doubles. Harnesses are the way into the libraries."""
    return not source.startswith("contracts/mocks/") or source.startswith(HARNESS)


class Codes:
    """Recognises a contract by its deployed code, whatever its immutables are."""

    def __init__(self, artifacts: Artifacts) -> None:
        self._by_size: dict[int, list[Artifact]] = {}
        for artifact in artifacts:
            if artifact.deployed_bytecode:
                self._by_size.setdefault(artifact.code_bytes, []).append(artifact)

    def name(self, code: bytes) -> str | None:
        """Name of the measured contract that this is the code of."""
        for artifact in self._by_size.get(len(code), ()):
            blank = bytearray(code)
            for spans in artifact.immutable_references.values():
                for span in spans:
                    blank[span["start"] : span["start"] + span["length"]] = bytes(span["length"])
            if bytes(blank) == artifact.deployed_bytecode:
                return artifact.name if is_measured(artifact.source) else None
        return None


@dataclass(slots=True)
class Frame:
    """One execution of code: its program counters and, in order, what it called (also what had no code)."""

    pcs: set[int] = field(default_factory=set)
    calls: list[Frame] = field(default_factory=list)


def frames(logs: Sequence[Mapping[str, Any]]) -> Frame:
    """The frames behind the steps of a trace, as a tree."""
    root = Frame()
    stack = [root]
    for log in logs:
        depth = log["depth"]
        del stack[depth:]
        if depth > len(stack):
            stack.append(stack[-1].calls[-1])
        top = stack[-1]
        top.pcs.add(log["pc"])
        if log["op"] in ENTERING:
            top.calls.append(Frame())
    return root


def attribute(frame: Frame, call: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], set[int]]]:
    """Each call of a call trace with the program counters of its frame.

    Where the two traces do not show the same number of calls, only those with steps are compared, and if these do not
    agree either, what is below is left out.
    """
    yield call, frame.pcs
    inner = list(call.get("calls", ()))
    below = frame.calls
    if len(inner) != len(below):
        below = [one for one in below if one.pcs]
        inner = [one for one in inner if int(one.get("gasUsed") or "0x0", 16)]
    if len(inner) == len(below):
        for child, one in zip(below, inner, strict=True):
            yield from attribute(child, one)


class Recorder:
    """Traces what goes through `Rpc`, and keeps program counters and raised errors by contract."""

    def __init__(self, codes: Codes, request: Request) -> None:
        self.pcs: dict[str, set[int]] = {}
        self.errors: dict[str, set[str]] = {}
        self.traced = 0
        self.failed = 0
        self.test = ""
        self._codes = codes
        self._plain = request
        self._clients: dict[str, Rpc] = {}
        self._nodes: set[str] = set()
        self._names: dict[tuple[str, str], str | None] = {}
        self._seen: Counter[tuple[str, ...]] = Counter()
        self._busy = False

    def watch(self, anvil: Anvil) -> None:
        """From now on traces what is sent to this chain."""
        self._nodes |= {anvil.rpc.address, anvil.url}
        self._names.clear()

    def _request(self, rpc: Rpc, method: str, params: Sequence[Any]) -> Any:
        """Asks over a connection of the recorder's own: some tests count or break what goes over theirs."""
        client = self._clients.get(rpc.address)
        if client is None:
            client = self._clients[rpc.address] = Rpc.connect(rpc.address)
        return self._plain(client, method, params)

    def _look(self, work: Callable[[], None]) -> None:
        try:
            self.paused(work)
        except PlimsollError:
            self.failed += 1

    def paused(self, work: Callable[[], Any]) -> Any:
        """What `work` gives, without tracing."""
        busy, self._busy = self._busy, True
        try:
            return work()
        finally:
            self._busy = busy

    def before(self, rpc: Rpc, method: str, params: Sequence[Any]) -> None:
        """Looks at one request that is about to be sent."""
        if method in SENDING and not self._busy and rpc.address in self._nodes:
            self._look(lambda: self._transaction(rpc, params[0]))

    def after(self, rpc: Rpc, method: str, params: Sequence[Any], result: Any) -> None:
        """Looks at one request that has been answered; `result` is an `RpcError` if it was refused."""
        if self._busy or rpc.address not in self._nodes:
            return
        if method in CHANGING_CODE:
            self._names.clear()
        elif method == "eth_call":
            self._look(lambda: self._call(rpc, params, isinstance(result, RpcError)))

    def save(self, path: Path) -> None:
        """Writes what was recorded."""
        path.parent.mkdir(parents=True, exist_ok=True)
        found = {
            "traced": self.traced,
            "failed": self.failed,
            "pcs": {name: sorted(pcs) for name, pcs in self.pcs.items()},
            "errors": {name: sorted(errors) for name, errors in self.errors.items()},
        }
        path.write_text(json.dumps(found), encoding="utf-8")

    def _call(self, rpc: Rpc, params: Sequence[Any], failed: bool) -> None:
        call = params[0]
        name = self._name(rpc, str(call.get("to", "")))
        if name is None or self._often(name, str(call.get("data", "")), "failed" if failed else "call", CALLS_EACH):
            return
        block = params[1] if len(params) > 1 else "latest"
        self._trace(rpc, [call, block])

    def _transaction(self, rpc: Rpc, sent: Any) -> None:
        fields = dict(sent) if isinstance(sent, dict) else unsigned(str(sent))
        fields.pop("nonce", None)
        to = str(fields.get("to") or "")
        name = self._name(rpc, to)
        limit = DOUBLES_EACH if name is None else TRANSACTIONS_EACH
        data = str(fields.get("data") or fields.get("input") or "")
        if to and not self._often(name or to, data, "sent", limit):
            self._trace(rpc, [fields, "pending"])

    def _often(self, name: str, data: str, outcome: str, limit: int) -> bool:
        key = (self.test, name, data[:10], outcome)
        self._seen[key] += 1
        return self._seen[key] > limit

    def _trace(self, rpc: Rpc, params: list[Any]) -> None:
        steps = self._request(rpc, "debug_traceCall", [*params, TRACE])
        calls = self._request(rpc, "debug_traceCall", [*params, CALL_TRACE])
        self.traced += 1
        for call, pcs in attribute(frames(steps["structLogs"]), calls):
            if call.get("type") in CREATING:
                continue
            name = self._name(rpc, str(call.get("to", "")))
            if name is None:
                continue
            self.pcs.setdefault(name, set()).update(pcs)
            error = raised(call)
            if error:
                self.errors.setdefault(name, set()).add(error)

    def _name(self, rpc: Rpc, address: str) -> str | None:
        key = (rpc.address, address.lower())
        if key not in self._names:
            code = bytes.fromhex(str(self._request(rpc, "eth_getCode", [address, "latest"]))[2:]) if address else b""
            if not code:
                return None
            self._names[key] = self._codes.name(code)
        return self._names[key]


def unsigned(raw: str) -> dict[str, Any]:
    """A signed EIP-1559 transaction as the fields of a call."""
    fields = TypedTransaction.from_bytes(HexBytes(raw)).as_dict()
    return {
        "from": Account.recover_transaction(raw),
        "to": HexBytes(fields["to"]).to_0x_hex() if fields["to"] else None,
        "data": HexBytes(fields["data"]).to_0x_hex(),
        "gas": hex(fields["gas"]),
        "value": hex(fields["value"]),
    }


def raised(call: Mapping[str, Any]) -> str:
    """Selector of the error that a call raised itself; empty if it did not fail or handed on an error of another."""
    if not call.get("error"):
        return ""
    error = str(call.get("output", ""))[2:10]
    handed_on = any(one.get("error") and str(one.get("output", ""))[2:10] == error for one in call.get("calls", ()))
    return "" if handed_on else error


def install() -> Recorder:
    """Puts a recorder between the tests and their chains."""
    request, batch, many, start = Rpc.request, Rpc.batch, Harness.many, Anvil.start
    recorder = Recorder(Codes(compile_contracts(quiet=True)), request)

    def traced_request(self: Rpc, method: str, params: Sequence[Any] = ()) -> Any:
        recorder.before(self, method, params)
        try:
            result = request(self, method, params)
        except RpcError as error:
            recorder.after(self, method, params, error)
            raise
        recorder.after(self, method, params, result)
        return result

    def traced_batch(self: Rpc, requests: Any, *, chunk: int = 500) -> list[Any]:
        pending = list(requests)
        for method, params in pending:
            recorder.before(self, method, params)
        results = batch(self, pending, chunk=chunk)
        for (method, params), result in zip(pending, results, strict=True):
            recorder.after(self, method, params, result)
        return results

    def traced_many(self: Harness, fn: str, cases: Sequence[Case]) -> list[Any]:
        results: list[Any] = recorder.paused(lambda: many(self, fn, cases))
        # One call each of `many`, so that the number of cases bounds the work.
        many(self, fn, cases[:: max(len(cases) // HARNESS_CASES, 1)])
        return results

    def traced_start(self: Anvil) -> Anvil:
        start(self)
        recorder.watch(self)
        return self

    for owner, name, replacement in (
        (Rpc, "request", traced_request),
        (Rpc, "batch", traced_batch),
        (Harness, "many", traced_many),
        (Anvil, "start", traced_start),
    ):
        setattr(owner, name, replacement)
    return recorder
