"""Driver in this process, by pyrevm: the fastest. Gas is not exact: storage that was touched once stays warm."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from plimsoll.fuzz.driver import Call, Codecs, Driver, FuzzError, Log, Outcome, Queued
from plimsoll.fuzz.state import ChainState

try:
    import pyrevm
except ImportError:  # the extra `fuzz` is not installed
    pyrevm = None  # type: ignore[assignment]

__all__ = ["RevmDriver"]

BASEFEE, PREVRANDAO = 0x48, 0x44
TREASURY, GIVER = "0x" + "f1" * 20, "0x" + "f2" * 20
GIVE = bytes.fromhex("5f35ff")
"""Sends everything to the address in the call data, by SELFDESTRUCT, which runs no code."""
BLOCK_GAS = 10**12
DEPLOYER = "0x" + "f3" * 20
RETURN_REST = "62{:06x}80600b5f395ff3"
"""Creation code: copies what follows its eleven bytes, and returns it."""
REVERTED = re.compile(r"Revert \{ gas_used: (\d+), output: 0x([0-9a-f]*) \}")
SENDER_HAS_CODE = "RejectCallerWithCode"
HALTED = re.compile(r"Halt \{ reason: (.*), gas_used: (\d+) \}")


class RevmDriver(Driver):
    """An EVM in this process that begins with a given state.

    pyrevm 0.3.7 runs the newest rules it knows, Cancun's among them, whatever hard fork it is asked for.

    :raises FuzzError: pyrevm is not installed.
    """

    name = "revm"

    def __init__(self, state: ChainState, codecs: Codecs) -> None:
        if pyrevm is None:
            raise FuzzError("pyrevm is not installed; install the extra `fuzz`, or use the backend anvil")
        super().__init__(codecs, state.time, state.number)
        config = pyrevm.CfgEnv(chain_id=state.chain_id)
        self._evm: Any = pyrevm.EVM(env=pyrevm.Env(cfg=config), spec_id="CANCUN")
        # Code as it was given, by the hash of what the EVM has.
        self._original: dict[bytes, bytes] = {}
        for address, account in state.accounts.items():
            self._evm.insert_account_info(address, self._account(account.nonce, account.code))
            if account.balance:
                self._evm.set_balance(address, account.balance)
            for slot, word in account.storage.items():
                self._evm.insert_account_storage(address, slot, word)
        self._block: tuple[int, int, int] | None = None
        self._evm.insert_account_info(GIVER, pyrevm.AccountInfo(code=GIVE))
        self._evm.set_balance(TREASURY, 1 << 250)
        # Code that was set is not in the EVM's journal: address and code before, the latest last.
        self._undo: list[tuple[str, bytes]] = []

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
        checkpoint = self._evm.snapshot()
        try:
            return self._run(Call(sender, to, data, time, value, None, base_fee), self.number + 1)
        finally:
            self._evm.revert(checkpoint)

    def words(self, address: str, slots: Sequence[int]) -> tuple[int, ...]:
        """Storage words of a contract."""
        storage = self._evm.storage
        return tuple([storage(address, slot) for slot in slots])

    def balance(self, address: str) -> int:
        """Wei."""
        return int(self._evm.get_balance(address))

    def set_balance(self, address: str, wei: int) -> None:
        """Gives an address so much ether."""
        # By transfers that run no code of the receiver, because snapshots restore only what messages did.
        given = wei - self.balance(address)
        if given > 0:
            call = Call(TREASURY, GIVER, bytes(12) + bytes.fromhex(address[2:]), self.time, given)
        else:
            call = Call(address, TREASURY, b"", self.time, -given)
        if not self._run(call, self.number).success:
            raise FuzzError(f"{address} cannot have {wei} wei")

    def set_code(self, address: str, code: bytes) -> None:
        """Puts code at an address; its storage stays."""
        self._undo.append((address, self.code(address)))
        self._set_code(address, code)

    def code(self, address: str) -> bytes:
        """Deployed code, empty if there is none."""
        found = self._evm.get_code(address)
        if found is None:
            return b""
        return self._original.get(bytes(self._evm.basic(address).code_hash), bytes(found))

    def close(self) -> None:
        """There is nothing to free."""

    def _step(self, call: Call, number: int) -> Outcome:
        return self._run(call, number)

    def _flush(self, queued: Sequence[Queued], numbers: Sequence[int], keep: bool) -> list[Outcome]:
        checkpoint = None if keep else self._evm.snapshot()
        storage, run = self._evm.storage, self._run
        outcomes = []
        try:
            for (call, reads), number in zip(queued, numbers, strict=True):
                outcome = run(call, number)
                if reads:
                    outcome.words = tuple([storage(read.address, slot) for read in reads for slot in read.slots])
                outcomes.append(outcome)
        finally:
            if checkpoint is not None:
                self._evm.revert(checkpoint)
        return outcomes

    def _take_snapshot(self) -> Any:
        return self._evm.snapshot(), len(self._undo)

    def _restore_snapshots(self, tokens: Sequence[Any]) -> None:
        # One after another: each checkpoint left behind would count as a level of the call stack.
        for checkpoint, done in reversed(tokens):
            self._evm.revert(checkpoint)
            while len(self._undo) > done:
                self._set_code(*self._undo.pop())

    def _run(self, call: Call, number: int) -> Outcome:
        evm = self._evm
        block = (number, call.timestamp, call.base_fee)
        if block != self._block:
            evm.set_block_env(
                pyrevm.BlockEnv(
                    number=number,
                    timestamp=call.timestamp,
                    prevrandao=call.base_fee.to_bytes(32, "big"),
                    gas_limit=BLOCK_GAS,
                )
            )
            self._block = block
        evm.reset_transient_storage()
        try:
            output = evm.message_call(call.sender, call.to, call.data, call.value, call.gas)
        except RuntimeError as error:
            if SENDER_HAS_CODE in str(error):
                return self._sent_by_contract(call, number)
            return self._failed(str(error))
        result = evm.result
        return Outcome(True, output, result.gas_used, lambda: _logs(result), self.codecs)

    def _sent_by_contract(self, call: Call, number: int) -> Outcome:
        """The EVM refuses senders with code, so the code is away while the contract sends."""
        code = self.code(call.sender)
        self._set_code(call.sender, b"")
        try:
            return self._run(call, number)
        finally:
            self._set_code(call.sender, code)

    def _set_code(self, address: str, code: bytes) -> None:
        # Asking for the balance loads the account, so that its loaded form is changed and the one beneath stays.
        wei, nonce = self.balance(address), self._evm.basic(address).nonce
        self._evm.insert_account_info(address, self._account(nonce, code))
        self._evm.set_balance(address, wei)

    def _account(self, nonce: int, code: bytes) -> Any:
        """An account that has no ether."""
        if not code:
            return pyrevm.AccountInfo(nonce=nonce)
        adapted = self._adapted(code)
        # A contract that created nothing has the nonce 1, as one that was deployed a moment ago.
        analysed = _deployed(adapted) if nonce == 1 else None
        info = analysed if analysed is not None else pyrevm.AccountInfo(nonce=nonce, code=adapted)
        self._original[bytes(info.code_hash or b"")] = code
        return info

    def _adapted(self, code: bytes) -> bytes:
        """Code in which BASEFEE is PREVRANDAO, by which the base fee is told: pyrevm makes every base fee zero."""
        places = [at for at, opcode in _opcodes(code) if opcode == BASEFEE]
        if not places:
            return code
        if any(opcode == PREVRANDAO for _, opcode in _opcodes(code)):
            raise FuzzError("a contract that uses both the base fee and prevrandao runs on Anvil only")
        changed = bytearray(code)
        for at in places:
            changed[at] = PREVRANDAO
        return bytes(changed)

    def _failed(self, text: str) -> Outcome:
        match = REVERTED.fullmatch(text)
        if match is not None:
            return Outcome(False, bytes.fromhex(match[2]), int(match[1]), tuple, self.codecs)
        match = HALTED.fullmatch(text)
        if match is not None:
            return Outcome(False, b"", int(match[2]), tuple, self.codecs, match[1])
        return Outcome(False, b"", 0, tuple, self.codecs, text)


@lru_cache(maxsize=256)
def _deployed(code: bytes) -> Any:
    """The account of a contract that was deployed with this code, None if it cannot be deployed.

    Deployed code carries the analysis of its jumps; code that is put there is analysed in every call, which takes
    longer than most calls.
    """
    evm = pyrevm.EVM(env=pyrevm.Env(cfg=pyrevm.CfgEnv(limit_contract_code_size=len(code))), spec_id="CANCUN")
    try:
        created = evm.deploy(DEPLOYER, bytes.fromhex(RETURN_REST.format(len(code))) + code, gas=BLOCK_GAS)
    except RuntimeError:
        return None
    info = evm.basic(created)
    return info if info.nonce == 1 and info.balance == 0 else None


def _opcodes(code: bytes) -> Iterator[tuple[int, int]]:
    """Place and number of each instruction; the bytes that a PUSH takes are none."""
    at = 0
    while at < len(code):
        opcode = code[at]
        yield at, opcode
        at += opcode - 0x5E if 0x60 <= opcode <= 0x7F else 1


def _logs(result: Any) -> tuple[Log, ...]:
    found = []
    for log in result.logs:
        topics, data = log.data
        found.append(Log(log.address.lower(), tuple(topics), data))
    return tuple(found)
