"""Driver over Anvil's unix socket: exact gas, and a node that can be asked for traces of what a step did.

A flush is one `eth_simulateV1` with a block for each call. The words asked for after a call are read by the contract's
own `load(bytes32[])` in the same block where it has one; elsewhere by a block in which the contract's code is replaced
by one that returns storage, after which the code is put back; it has the number and time of the call's own block.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from eth_utils.crypto import keccak

from plimsoll.chain.anvil import Anvil
from plimsoll.chain.errors import AnvilError, RpcError
from plimsoll.fuzz.driver import GAS, Call, Codecs, Driver, FuzzError, Log, Outcome, Queued, Read
from plimsoll.fuzz.state import ChainState

__all__ = ["AnvilDriver", "loaded_anvil"]

LOAD = keccak(text="load(bytes32[])")[:4].hex() + f"{32:064x}"
READER = "0x5f5b368110600b57365ff35b8035548152602001600156"
"""Returns the storage words at the slots that its call data lists: i = 0; while i < size: mem[i] = sload(data[i])."""
BLOCK_GAS = 10**12
HALTED = "out of gas or an invalid opcode"
POOR = "insufficient funds"
UNAFFORDABLE = "the sender has not so much ether"


def loaded_anvil(state: ChainState) -> Anvil:
    """A started node with that state as its latest block."""
    anvil = Anvil(timestamp=state.time, base_fee=0, gas_price=0, gas_limit=BLOCK_GAS, chain_id=state.chain_id).start()
    try:
        anvil.rpc.request("anvil_loadState", ["0x" + state.dump.hex()])
    except BaseException:
        anvil.stop()
        raise
    return anvil


class AnvilDriver(Driver):
    """A node that this driver alone uses.

    :param loaders: addresses of contracts with `load(bytes32[])`.
    :param owned: the node is stopped by `close`.
    """

    name = "anvil"

    def __init__(self, anvil: Anvil, codecs: Codecs, loaders: Collection[str] = (), *, owned: bool = True) -> None:
        super().__init__(codecs, anvil.now(), anvil.block_number())
        self.anvil = anvil
        self._rpc = anvil.rpc
        self._loaders = {address.lower() for address in loaders}
        self._owned = owned

    def close(self) -> None:
        """Stops the node."""
        if self._owned:
            self.anvil.stop()

    def view(
        self,
        to: str,
        data: bytes,
        *,
        sender: str = "0x" + "0" * 40,
        timestamp: int | None = None,
        base_fee: int = 0,
        value: int = 0,
    ) -> Outcome:
        """Makes a call in the next block, at the present time unless another is given, and undoes it."""
        time = self.time if timestamp is None else timestamp
        call = Call(sender, to, data, time, value, None, base_fee)
        return self._flush([(call, ())], [self.number + 1], False)[0]

    def words(self, address: str, slots: Sequence[int]) -> tuple[int, ...]:
        """Storage words of a contract."""
        data = "0x" + "".join([f"{slot:064x}" for slot in slots])
        answer = self._rpc.request("eth_call", [{"to": address, "data": data}, "latest", {address: {"code": READER}}])
        return _words(bytes.fromhex(answer[2:]), len(slots), address)

    def balance(self, address: str) -> int:
        """Wei."""
        return int(self._rpc.request("eth_getBalance", [address, "latest"]), 16)

    def set_balance(self, address: str, wei: int) -> None:
        """Gives an address so much ether."""
        self._rpc.request("anvil_setBalance", [address, hex(wei)])

    def set_code(self, address: str, code: bytes) -> None:
        """Puts code at an address; its storage stays."""
        self._rpc.request("anvil_setCode", [address, "0x" + code.hex()])

    def code(self, address: str) -> bytes:
        """Deployed code, empty if there is none."""
        return bytes.fromhex(self._rpc.request("eth_getCode", [address, "latest"])[2:])

    # ── steps ──────────────────────────────────────────────────────────────

    def _step(self, call: Call, number: int) -> Outcome:
        for _ in range(self.number + 1, number):
            self._all([("evm_setNextBlockTimestamp", [self.time]), ("evm_mine", [])])
        if call.value and call.value > self.balance(call.sender):
            self._all([*self._settings(call), ("evm_mine", [])])
            return self._unaffordable()
        fee = call.base_fee * call.gas
        if fee:
            # A block with a base fee makes its sender pay for gas, which is given before and taken after.
            wei = self.balance(call.sender)
            self.set_balance(call.sender, wei + fee)
        transaction = {
            "from": call.sender,
            "to": call.to,
            "data": "0x" + call.data.hex(),
            "gas": hex(call.gas),
            "value": hex(call.value),
            "gasPrice": hex(call.base_fee),
        }
        requests = [*self._settings(call), ("eth_sendTransactionSync", [transaction])]
        receipt = self._all(requests)[-1]
        (frame, *_) = self._rpc.request("trace_transaction", [receipt["transactionHash"]])
        used = int(receipt["gasUsed"], 16)
        if fee:
            self.set_balance(call.sender, self.balance(call.sender) - fee + call.base_fee * used)
        success, reason = receipt["status"] == "0x1", frame.get("error")
        result = frame.get("result") or {}
        halted = not success and "revert" not in str(reason).lower()
        output = b"" if halted else bytes.fromhex(result.get("output", "0x")[2:])
        logs = receipt["logs"]
        return Outcome(success, output, used, lambda: _logs(logs), self.codecs, str(reason) if halted else None)

    @staticmethod
    def _settings(call: Call) -> list[tuple[str, list[Any]]]:
        return [
            ("evm_setNextBlockTimestamp", [call.timestamp]),
            ("anvil_setNextBlockBaseFeePerGas", [hex(call.base_fee)]),
        ]

    def _all(self, requests: list[tuple[str, list[Any]]]) -> list[Any]:
        answers = self._rpc.batch(requests)
        for answer in answers:
            if isinstance(answer, RpcError):
                raise answer
        return answers

    def _take_snapshot(self) -> Any:
        return self._rpc.request("evm_snapshot")

    def _restore_snapshots(self, tokens: Sequence[Any]) -> None:
        try:
            self.anvil.revert(tokens[0])
        except AnvilError as error:
            raise FuzzError(f"the node does not know snapshot {tokens[0]}; let nothing else use it") from error

    # ── queues ─────────────────────────────────────────────────────────────

    def _flush(self, queued: Sequence[Queued], numbers: Sequence[int], keep: bool) -> list[Outcome]:
        if keep:
            return self._stepped(queued, numbers)
        sent, refused = list(queued), set()
        while True:
            try:
                outcomes = self._simulate(sent, numbers)
                break
            except RpcError as error:
                # One call that its sender cannot afford makes the node refuse all of them; it sends nothing instead.
                if POOR not in error.message.lower():
                    raise
                index = self._first_unaffordable(sent, numbers)
                refused.add(index)
                call, reads = queued[index]
                sent[index] = Call(call.sender, call.sender, b"", call.timestamp, 0, None, call.base_fee), reads
        for index in refused:
            words, outcomes[index] = outcomes[index].words, self._unaffordable()
            outcomes[index].words = words
        return outcomes

    def _stepped(self, queued: Sequence[Queued], numbers: Sequence[int]) -> list[Outcome]:
        outcomes = []
        for (call, reads), number in zip(queued, numbers, strict=True):
            outcome = self._step(call, number)
            self.time, self.number = call.timestamp, number
            outcome.words = tuple([word for read in reads for word in self.words(read.address, read.slots)])
            outcomes.append(outcome)
        return outcomes

    def _first_unaffordable(self, queued: Sequence[Queued], numbers: Sequence[int]) -> int:
        """Index of the first call that makes the node refuse, by halving."""
        low, high = 0, len(queued) - 1
        while low < high:
            middle = (low + high) // 2
            try:
                self._simulate([(call, ()) for call, _ in queued[: middle + 1]], numbers[: middle + 1])
                low = middle + 1
            except RpcError:
                high = middle
        return low

    def _simulate(self, queued: Sequence[Queued], numbers: Sequence[int]) -> list[Outcome]:
        others = {read.address for _, reads in queued for read in reads if read.address.lower() not in self._loaders}
        codes = {address: "0x" + self.code(address).hex() for address in others}
        blocks: list[dict[str, Any]] = []
        places: list[tuple[int, list[tuple[int, int, Read]]]] = []
        restored: dict[str, Any] = {}
        for (call, reads), number in zip(queued, numbers, strict=True):
            block = _block(call, number, restored)
            restored = {}
            blocks.append(block)
            at = len(blocks) - 1
            found: list[tuple[int, int, Read]] = []
            for read in reads:
                data = "".join([f"{slot:064x}" for slot in read.slots])
                if read.address.lower() in self._loaders:
                    block["calls"].append(_message(read.address, f"0x{LOAD}{len(read.slots):064x}{data}"))
                    found.append((at, len(block["calls"]) - 1, read))
                    continue
                overrides = restored | {read.address: {"code": READER}}
                blocks.append(_empty(call, number, overrides, _message(read.address, "0x" + data)))
                found.append((len(blocks) - 1, 0, read))
                restored = {read.address: {"code": codes[read.address]}}
            places.append((at, found))
        answers = self._rpc.request("eth_simulateV1", [{"blockStateCalls": blocks, "validation": True}, "latest"])
        outcomes = []
        for (call, _), (at, found) in zip(queued, places, strict=True):
            outcome = self._outcome(call, answers[at]["calls"][0])
            if found:
                words: list[int] = []
                for block_at, place, read in found:
                    answer = answers[block_at]["calls"][place]["returnData"]
                    skip = 64 if block_at == at else 0
                    words += _words(bytes.fromhex(answer[2:])[skip:], len(read.slots), read.address)
                outcome.words = tuple(words)
            outcomes.append(outcome)
        return outcomes

    def _outcome(self, call: Call, answer: dict[str, Any]) -> Outcome:
        success, used, logs = answer["status"] == "0x1", int(answer["gasUsed"], 16), answer["logs"]
        output = bytes.fromhex(answer["returnData"][2:])
        # The node does not tell a halt from a revert without data, but only a halt takes all gas.
        halt = HALTED if not success and not output and used >= call.gas else None
        return Outcome(success, output, used, lambda: _logs(logs), self.codecs, halt)

    def _unaffordable(self) -> Outcome:
        return Outcome(False, b"", 0, tuple, self.codecs, UNAFFORDABLE)


def _block(call: Call, number: int, overrides: dict[str, Any]) -> dict[str, Any]:
    message = {"from": call.sender, "to": call.to, "input": "0x" + call.data.hex(), "gas": hex(call.gas)}
    if call.value:
        message["value"] = hex(call.value)
    return _empty(call, number, overrides, message)


def _empty(call: Call, number: int, overrides: dict[str, Any], message: dict[str, Any]) -> dict[str, Any]:
    block: dict[str, Any] = {
        "blockOverrides": {
            "time": hex(call.timestamp),
            "number": hex(number),
            "baseFeePerGas": hex(call.base_fee),
            "gasLimit": hex(BLOCK_GAS),
        },
        "calls": [message],
    }
    if overrides:
        block["stateOverrides"] = overrides
    return block


def _message(to: str, data: str) -> dict[str, str]:
    return {"to": to, "input": data, "gas": hex(GAS)}


def _words(data: bytes, count: int, address: str) -> tuple[int, ...]:
    if len(data) != 32 * count:
        raise FuzzError(f"the node did not read {count} words of {address}; is there a contract?")
    return tuple([int.from_bytes(data[at : at + 32], "big") for at in range(0, 32 * count, 32)])


def _logs(raw: Sequence[dict[str, Any]]) -> tuple[Log, ...]:
    return tuple(
        Log(
            log["address"].lower(),
            tuple(bytes.fromhex(topic[2:]) for topic in log["topics"]),
            bytes.fromhex(log["data"][2:]),
        )
        for log in raw
    )
