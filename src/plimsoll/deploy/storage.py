"""Storage slots of a contract by the names of its variables, from the compiler's storage layout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from eth_utils.crypto import keccak

from plimsoll.chain.abi import address_of
from plimsoll.chain.artifacts import Artifact
from plimsoll.chain.contract import Contract
from plimsoll.errors import PlimsollError

__all__ = ["StorageError", "StorageSlots", "load_words"]

LOADS_PER_CALL = 2_000


class StorageError(PlimsollError, ValueError):
    """A variable, key or member that the layout does not have."""


class StorageSlots:
    """Finds slots: `slots.at("marketConfigs_", market, "trade")`, `slots.at("held_", pool, token)`.

    Only whole words are found: mappings, structs, value types that begin a slot.
    """

    def __init__(self, artifact: Artifact) -> None:
        self._types: Mapping[str, Any] = artifact.storage_layout["types"] or {}
        self._variables = {entry["label"]: entry for entry in artifact.storage_layout["storage"]}
        self._name = artifact.name

    def at(self, variable: str, *path: Any) -> int:
        """The slot of a variable, through mapping keys (int, bytes, address) and struct members (names).

        :raises StorageError: there is no such thing.
        """
        return self._find(variable, path)[0]

    def span(self, variable: str, *path: Any) -> range:
        """All slots of a value: the one of a word, each of a struct's.

        :raises StorageError: there is no such thing.
        """
        slot, kind = self._find(variable, path)
        return range(slot, slot + -(-int(self._types[kind]["numberOfBytes"]) // 32))

    def _find(self, variable: str, path: Sequence[Any]) -> tuple[int, str]:
        """Slot and type."""
        entry = self._variables.get(variable)
        if entry is None:
            raise StorageError(f"{self._name} has no variable {variable}; it has {', '.join(self._variables)}")
        slot, kind = int(entry["slot"]), entry["type"]
        for step in path:
            layout = self._types[kind]
            if layout["encoding"] == "mapping":
                slot = int.from_bytes(keccak(_key(step) + slot.to_bytes(32, "big")), "big")
                kind = layout["value"]
            elif "members" in layout:
                member = next((item for item in layout["members"] if item["label"] == step), None)
                if member is None:
                    raise StorageError(f"{layout['label']} has no member {step!r}")
                slot, kind = slot + int(member["slot"]), member["type"]
            else:
                raise StorageError(f"{layout['label']} of {variable} has no parts; {step!r} leads nowhere")
        return slot, kind


def load_words(clearinghouse: Contract, slots: Sequence[int]) -> list[int]:
    """The words at slots of the Clearinghouse, by its `load`."""
    words: list[int] = []
    for start in range(0, len(slots), LOADS_PER_CALL):
        chunk = [slot.to_bytes(32, "big") for slot in slots[start : start + LOADS_PER_CALL]]
        words += [int.from_bytes(word, "big") for word in clearinghouse.call("load", chunk)]
    return words


def _key(value: Any) -> bytes:
    if isinstance(value, int):
        return value.to_bytes(32, "big")
    if isinstance(value, bytes) and len(value) == 32:
        return value
    return bytes.fromhex(address_of(value)[2:]).rjust(32, b"\0")
