"""Receipts and decoded events, and the registries that know the events and errors of a whole deployment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from plimsoll.chain.abi import Abi, ErrorAbi, EventAbi, address_of, checksum, tuple_codec
from plimsoll.chain.errors import (
    AbiError,
    BareRevert,
    ContractRevert,
    EvmHalt,
    Panic,
    Revert,
    RpcError,
    StringRevert,
    UnknownRevert,
)

__all__ = ["ErrorRegistry", "Event", "EventRegistry", "Receipt"]

ERROR_SELECTOR = bytes.fromhex("08c379a0")
PANIC_SELECTOR = bytes.fromhex("4e487b71")
STRING = tuple_codec([{"type": "string"}], "")


class ErrorRegistry:
    """Errors of all contracts of a deployment: a revert that bubbles up from another contract decodes too."""

    def __init__(self, *abis: Abi) -> None:
        self._by_selector: dict[bytes, ErrorAbi] = {}
        for abi in abis:
            self.add(abi)

    def add(self, abi: Abi) -> None:
        """Learns the errors of one ABI.

        :raises AbiError: two different errors share a selector.
        """
        for item in abi:
            if item["type"] == "error":
                error = ErrorAbi.of(item)
                known = self._by_selector.setdefault(error.selector, error)
                if known.signature != error.signature:
                    raise AbiError(f"errors {known.signature} and {error.signature} share a selector; rename one")

    def decode(self, data: bytes, tx_hash: str | None = None) -> Revert:
        """The exception that return data of a revert stands for; never raises."""
        if not data:
            return BareRevert(tx_hash)
        selector, body = data[:4], data[4:]
        try:
            if selector == PANIC_SELECTOR and len(body) == 32:
                return Panic(int.from_bytes(body, "big"), data, tx_hash)
            if selector == ERROR_SELECTOR:
                return StringRevert(STRING.decode(body, 0)[0], data, tx_hash)
            known = self._by_selector.get(selector)
            if known is not None:
                return ContractRevert(known.name, known.arguments(body), known.signature, data, tx_hash)
        except (AbiError, UnicodeDecodeError):
            pass
        return UnknownRevert(data, tx_hash)

    def from_rpc(self, error: RpcError, tx_hash: str | None = None) -> Revert | None:
        """The revert behind an answer to `eth_call`, `eth_estimateGas` or a send; None if it is another failure."""
        data = error.data
        while isinstance(data, Mapping):
            data = data.get("data", data.get("output"))
        message = error.message.lower()
        if isinstance(data, str) and "0x" in data:
            text = data[data.index("0x") + 2 :].split()
            try:
                raw = bytes.fromhex(text[0]) if text else b""
            except ValueError:
                raw = b""
            if raw or error.code == 3 or "revert" in message:
                return self.decode(raw, tx_hash)
        if error.code == 3 or "execution reverted" in message:
            return BareRevert(tx_hash)
        if message.startswith(("evm error", "out of gas", "invalid opcode", "stack ", "max code size")):
            return EvmHalt(error.message, tx_hash)
        return None


@dataclass(frozen=True, slots=True)
class Event:
    """One decoded log. `args` maps argument names to values in declaration order."""

    name: str
    args: dict[str, Any]
    address: str
    log_index: int
    block_number: int
    tx_hash: str

    def __getitem__(self, name: str) -> Any:
        return self.args[name]


class EventRegistry:
    """Events of all contracts of a deployment. An ABI added with its address wins for logs of that address."""

    def __init__(self, *abis: Abi) -> None:
        self._anywhere: dict[tuple[str, int], EventAbi] = {}
        self._at: dict[tuple[str, str, int], EventAbi] = {}
        for abi in abis:
            self.add(abi)

    def add(self, abi: Abi, address: str | None = None) -> None:
        """Learns the events of one ABI. Anonymous events are left out."""
        for item in abi:
            if item["type"] == "event" and not item.get("anonymous"):
                event = EventAbi.of(item)
                topic = "0x" + event.selector.hex()
                count = 1 + sum(event.indexed)
                self._anywhere.setdefault((topic, count), event)
                if address is not None:
                    self._at[address_of(address).lower(), topic, count] = event

    def decode(self, log: Mapping[str, Any]) -> Event | None:
        """One log as it comes from the node; None if no known event fits it.

        :raises AbiError: the ABI added for this very address declares the event, and the log does not fit it.
        """
        topics: Sequence[str] = log["topics"]
        if not topics:
            return None
        count = len(topics)
        address: str = log["address"]
        own = self._at.get((address.lower(), topics[0], count))
        event = own or self._anywhere.get((topics[0], count))
        if event is None:
            return None
        try:
            args = event.decode(topics, bytes.fromhex(log["data"][2:]))
        except (AbiError, UnicodeDecodeError) as error:
            if own is not None:
                raise AbiError(f"log of {address} does not fit {event.signature}: {error}") from None
            return None
        return Event(
            event.name,
            args,
            checksum(address),
            _number(log.get("logIndex")),
            _number(log.get("blockNumber")),
            log.get("transactionHash") or "",
        )

    def decode_all(self, logs: Iterable[Mapping[str, Any]]) -> list[Event]:
        """Decoded logs in order, without those that no known event fits."""
        return [event for log in logs if (event := self.decode(log)) is not None]


@dataclass(slots=True)
class Receipt:
    """Outcome of a mined transaction. Gas in units, prices in wei; `logs` are as the node gave them."""

    tx_hash: str
    block_number: int
    block_hash: str
    tx_index: int
    status: int
    gas_used: int
    effective_gas_price: int
    sender: str
    to: str | None
    contract_address: str | None
    logs: list[dict[str, Any]]
    registry: EventRegistry | None = field(default=None, repr=False)
    _events: list[Event] | None = field(default=None, repr=False)

    @classmethod
    def of(cls, raw: Mapping[str, Any], registry: EventRegistry | None = None) -> Receipt:
        """From the node's JSON."""
        to, created = raw.get("to"), raw.get("contractAddress")
        return cls(
            raw["transactionHash"],
            int(raw["blockNumber"], 16),
            raw["blockHash"],
            _number(raw.get("transactionIndex")),
            int(raw["status"], 16),
            int(raw["gasUsed"], 16),
            _number(raw.get("effectiveGasPrice")),
            checksum(raw["from"]),
            checksum(to) if to else None,
            checksum(created) if created else None,
            list(raw["logs"]),
            registry,
        )

    @property
    def succeeded(self) -> bool:
        """False if the transaction reverted."""
        return self.status == 1

    @property
    def events(self) -> list[Event]:
        """Logs that the registry can decode, in order; decoded at the first use."""
        if self._events is None:
            self._events = self.registry.decode_all(self.logs) if self.registry is not None else []
        return self._events

    def named(self, name: str) -> list[Event]:
        """The decoded events of that name."""
        return [event for event in self.events if event.name == name]

    def event(self, name: str) -> Event:
        """The one event of that name.

        :raises AbiError: there is none, or more than one.
        """
        found = self.named(name)
        if len(found) != 1:
            names = [event.name for event in self.events]
            raise AbiError(f"{len(found)} events {name} in {self.tx_hash}, expected one; decoded events: {names}")
        return found[0]


def _number(value: Any) -> int:
    return int(value, 16) if isinstance(value, str) else int(value or 0)
