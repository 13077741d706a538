"""A contract that makes a fixed list of calls whenever it is called, and remembers how each ended.

Its code is put together here, opcode by opcode, and set at an address: it stands for anything an attacker could write.
"""

from __future__ import annotations

from dataclasses import dataclass

from plimsoll.chain.contract import Contract
from tests.support.protocol import Protocol

__all__ = ["Answer", "Caller", "Target", "call_data", "error_name"]

Target = tuple[str, bytes]
"""Address and call data."""
RESULTS = 4096
"""First storage slot of what was returned."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How one call ended: whether it succeeded, and the first 32 bytes of what came back."""

    succeeded: bool
    data: bytes


def push2(value: int) -> bytes:
    """PUSH2"""
    return b"\x61" + value.to_bytes(2, "big")


def segment(address: str, size: int, offset: int, slot: int) -> bytes:
    """Copies call data out of the code, calls, and stores success + 1 and the first word returned."""
    copy = push2(size) + push2(offset) + b"\x5f\x39"
    call = b"\x5f\x5f" + push2(size) + b"\x5f\x5f\x73" + bytes.fromhex(address[2:]) + b"\x5a\xf1"
    store = b"\x60\x01\x01" + push2(slot) + b"\x55"
    result = b"\x5f\x5f\x52\x3d\x5f\x5f\x3e\x5f\x51" + push2(RESULTS + slot) + b"\x55"
    return copy + call + store + result


class Caller:
    """At an address of its own; `load` tells it what to call, a call to it does that."""

    def __init__(self, p: Protocol, address: str = "0x" + "ca11" * 10) -> None:
        self.p = p
        self.address = address
        self._count = 0
        p.anvil.set_balance(address, 10**21)

    def load(self, *targets: Target) -> None:
        """Makes it do these calls, in this order, whenever it is called."""
        sizes = [len(data) for _, data in targets]
        start = sum(len(segment(address, 0, 0, 0)) for address, _ in targets) + 1
        offsets = [start + sum(sizes[:index]) for index in range(len(sizes))]
        code = b"".join(
            segment(address, len(data), offset, index)
            for index, ((address, data), offset) in enumerate(zip(targets, offsets, strict=True))
        )
        code += b"\x00" + b"".join(data for _, data in targets)
        assert len(code) < 1 << 16, "too many calls for one contract"
        self._count = len(targets)
        self.p.rpc.request("anvil_setCode", [self.address, "0x" + code.hex()])
        for index in range(len(targets)):
            for slot in (index, RESULTS + index):
                self.p.rpc.request("anvil_setStorageAt", [self.address, hex(slot), "0x" + "00" * 32])

    def answers(self) -> list[Answer | None]:
        """How each call ended; None where it was not made."""
        found: list[Answer | None] = []
        for index in range(self._count):
            ended = int(self._word(index), 16)
            found.append(Answer(ended == 2, bytes.fromhex(self._word(RESULTS + index)[2:])) if ended else None)
        return found

    def _word(self, slot: int) -> str:
        return str(self.p.rpc.request("eth_getStorageAt", [self.address, hex(slot), "latest"]))


def call_data(contract: Contract, fn: str, *args: object) -> Target:
    """A target from a contract's ABI."""
    return contract.address, bytes.fromhex(contract.encode(fn, *args)[2:])


def error_name(p: Protocol, answer: Answer) -> str:
    """Name of the custom error in an answer, by its selector alone."""
    for item in p.deployment.errors._by_selector.items():
        if item[0] == answer.data[:4]:
            return item[1].name
    return "unknown"
