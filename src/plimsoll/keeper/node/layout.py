"""Where each argument of an event lies in a log, from the ABI, so that logs can be cut by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from plimsoll.chain.abi import Abi, EventAbi
from plimsoll.errors import PlimsollError

__all__ = ["EventLayout", "LayoutError", "layouts"]

WORD = 32


class LayoutError(PlimsollError):
    """The ABI has no such event, or the event no such argument."""


@dataclass(frozen=True, slots=True)
class EventLayout:
    """One event. Arguments that are structs come as one path per field: `words.account`."""

    name: str
    topic: str
    """Topic 0 as hex text."""
    topics: Mapping[str, int]
    """Which topic an indexed argument is, from 1."""
    offsets: Mapping[str, int]
    """Byte at which an argument begins in the data; empty if the data are not of fixed length."""
    size: int | None
    """Length of the data in bytes; None if it is not fixed."""

    @property
    def count(self) -> int:
        """Number of topics, the first included."""
        return 1 + len(self.topics)

    def indexed(self, name: str) -> int:
        """Which topic the argument is.

        :raises LayoutError: it is none.
        """
        return self._found(self.topics, name, "topic")

    def at(self, path: str) -> slice:
        """The word of an argument in the data.

        :raises LayoutError: there is none.
        """
        start = self._found(self.offsets, path, "word")
        return slice(start, start + WORD)

    def run(self, *paths: str) -> slice:
        """The words of arguments that follow each other in the data.

        :raises LayoutError: one is missing, or they do not follow each other.
        """
        starts = [self.at(path).start for path in paths]
        if starts != [starts[0] + WORD * i for i in range(len(starts))]:
            raise LayoutError(f"{', '.join(paths)} do not follow each other in {self.name}")
        return slice(starts[0], starts[-1] + WORD)

    def _found(self, places: Mapping[str, int], name: str, kind: str) -> int:
        if name not in places:
            raise LayoutError(f"{self.name} has no {kind} {name}; it has {', '.join(places) or 'none'}")
        return places[name]


def layouts(abi: Abi) -> dict[str, EventLayout]:
    """Layouts of all events of an ABI by name. Anonymous events are left out.

    :raises LayoutError: two events have one name.
    """
    found: dict[str, EventLayout] = {}
    for item in abi:
        if item["type"] == "event" and not item.get("anonymous"):
            layout = _layout(item)
            if found.setdefault(layout.name, layout) != layout:
                raise LayoutError(f"the ABI has two events {layout.name}")
    return found


def _layout(item: Mapping[str, Any]) -> EventLayout:
    topics = {param["name"]: i for i, param in enumerate((p for p in item["inputs"] if p["indexed"]), start=1)}
    fields = [param for param in item["inputs"] if not param["indexed"]]
    topic = "0x" + EventAbi.of(item).selector.hex()
    paths = list(_paths(fields, ""))
    if any(fixed is None for _, fixed in paths):
        return EventLayout(item["name"], topic, topics, {}, None)
    offsets: dict[str, int] = {}
    size = 0
    for path, words in paths:
        offsets[path] = size
        size += WORD * (words or 0)
    return EventLayout(item["name"], topic, topics, offsets, size)


def _paths(params: list[Mapping[str, Any]], prefix: str) -> Iterator[tuple[str, int | None]]:
    """Path and number of words of each argument; None for one without a fixed length."""
    for param in params:
        path, kind = prefix + param["name"], param["type"]
        if kind == "tuple":
            yield from _paths(param["components"], path + ".")
        elif kind in ("bytes", "string") or kind.endswith("]"):
            yield path, None
        else:
            yield path, 1
