"""What the one-word records of the contracts have in common: fields at fixed bits of a 256-bit word.

Fields hold what the accessors on chain give: WAD where the word keeps a coarser unit (such a value must be a multiple
of it), a checksummed address for a token or feed. Bits that belong to no field are ignored by `unpack`.
"""

from __future__ import annotations

import dataclasses
import re
from functools import lru_cache
from typing import Any, NamedTuple, Self

from eth_utils.address import to_checksum_address

from plimsoll.errors import PlimsollError

__all__ = ["ZERO_ADDRESS", "Place", "Word", "WordError", "address", "bits", "checksum", "layout"]

ZERO_ADDRESS = "0x" + "0" * 40
ADDRESS = re.compile("0x[0-9a-fA-F]{40}")


class WordError(PlimsollError, ValueError):
    """A value does not fit the field of a word. On chain the same value reverts."""


class Place(NamedTuple):
    """Where a field lies: `bits` from `shift` on, in units of `scale`; `most` is a limit below the width."""

    name: str
    shift: int
    bits: int
    signed: bool
    scale: int
    most: int | None
    address: bool


def bits(shift: int, bits: int, *, signed: bool = False, scale: int = 1, most: int | None = None) -> Any:
    """A number of so many bits."""
    place = {"shift": shift, "bits": bits, "signed": signed, "scale": scale, "most": most, "address": False}
    return dataclasses.field(default=0, metadata=place)


def address(shift: int = 0) -> Any:
    """An address."""
    place = {"shift": shift, "bits": 160, "signed": False, "scale": 1, "most": None, "address": True}
    return dataclasses.field(default=ZERO_ADDRESS, metadata=place)


_LAYOUTS: dict[type[Any], tuple[Place, ...]] = {}


def layout(kind: type[Any]) -> tuple[Place, ...]:
    """The fields of a record in the order of their declaration."""
    found = _LAYOUTS.get(kind)
    if found is None:
        found = tuple(Place(name=field.name, **field.metadata) for field in dataclasses.fields(kind))
        _LAYOUTS[kind] = found
    return found


@lru_cache(maxsize=4096)
def checksum(value: int) -> str:
    """The checksummed address with that number."""
    return str(to_checksum_address(f"0x{value:040x}"))


_RANGES: dict[type[Any], list[tuple[Place, int, int, int]]] = {}


def _ranges(kind: type[Any]) -> list[tuple[Place, int, int, int]]:
    """The fields of a record, with the numbers that are kept as they are (least, largest; none where there is a unit)
    and the mask of their bits."""
    found = _RANGES[kind] = []
    for place in layout(kind):
        low, high = (0, -1) if place.address or place.scale != 1 else _range(place)
        found.append((place, low, high, (1 << place.bits) - 1))
    return found


def _range(place: Place) -> tuple[int, int]:
    """Least and largest number of units."""
    low = -(1 << place.bits - 1) if place.signed else 0
    high = (1 << place.bits - place.signed) - 1
    return low, high if place.most is None else min(high, place.most)


class Word:
    """A record of one word."""

    __slots__ = ()

    def pack(self) -> int:
        """The word.

        :raises WordError: a field is out of range, or no multiple of its unit.
        """
        word, kind = 0, type(self)
        for place, low, high, mask in _RANGES.get(kind) or _ranges(kind):
            value = getattr(self, place.name)
            raw = value & mask if type(value) is int and low <= value <= high else _raw(kind.__name__, place, value)
            word |= raw << place.shift
        return word

    @classmethod
    def unpack(cls, word: int) -> Self:
        """The record in a word."""
        values: list[Any] = []
        for place in layout(cls):
            raw = word >> place.shift & (1 << place.bits) - 1
            if place.signed and raw >> place.bits - 1:
                raw -= 1 << place.bits
            values.append(checksum(raw) if place.address else raw * place.scale)
        return cls(*values)


def _raw(record: str, place: Place, value: Any) -> int:
    name = f"{record}.{place.name}"
    if place.address:
        if not isinstance(value, str) or not ADDRESS.fullmatch(value):
            raise WordError(f"{name} = {value!r} is not an address; give 0x and 40 hex digits")
        return int(value, 16)
    if not isinstance(value, int):
        raise WordError(f"{name} = {value!r} is a {type(value).__name__}; give an int")
    units, rest = divmod(value, place.scale)
    if rest:
        raise WordError(f"{name} = {value} is no multiple of {place.scale}; round it to one")
    low, high = _range(place)
    if not low <= units <= high:
        raise WordError(f"{name} = {value} is out of range; it takes {low * place.scale} to {high * place.scale}")
    return units & (1 << place.bits) - 1
