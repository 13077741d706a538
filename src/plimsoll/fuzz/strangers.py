"""Calls that the specification knows nothing of, because they must change nothing: random selectors, random call data.

Every function of every contract is tried that is not for everybody, by somebody who has nothing: an address without
tokens, accounts, shares or roles.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from plimsoll.fuzz.choices import Choices
from plimsoll.fuzz.encode import Entry
from plimsoll.fuzz.session import Stray
from plimsoll.fuzz.world import World
from plimsoll.model.engine.state import State, account_id

__all__ = ["OPEN", "Strangers"]

OPEN = frozenset(
    (
        "accrue",
        "liquidate",
        "closeSettled",
        "deleverage",
        "executeOrders",
        "expireOrders",
        "observe",
        "firstAfter",
        "updatePyth",
        "approve",
        "setOperator",
        "strike",
    )
)
"""What is for everybody and may change something: upkeep, and what concerns the caller alone."""
HUGE = (2**127, 2**128 - 1, 2**128, 2**255 - 1, 2**255, 2**256 - 1)


class Strangers:
    """Makes up such calls for one world."""

    def __init__(self, world: World) -> None:
        names = ("clearinghouse", "order_book", "hub", "lens", *(f"pool:{name}" for name in world.deployment.pools))
        self._multicall = world.entry("clearinghouse", "multicall")
        self._entries: list[tuple[Entry, Mapping[str, Any]]] = []
        self._upkeep: list[tuple[Entry, Mapping[str, Any]]] = []
        for name in names:
            contract = world.contracts[name]
            for item in contract.abi:
                if item["type"] == "function" and item["name"] != "multicall":
                    open_to_all = item["name"] in OPEN
                    if open_to_all and name == "hub":
                        continue
                    kinds = self._upkeep if open_to_all else self._entries
                    kinds.append((Entry(contract.address, item), item))
        self._inner = [one for one in self._entries if one[0].address == self._multicall.address]

    def theft(self, state: State, time: int, choices: Choices) -> Stray:
        """A call that must change nothing."""
        thief = choices.number(20) | 1 << 159
        if choices.one_in(8):
            inner = [self._data(*choices.pick(self._inner), thief, state, choices) for _ in range(1 + choices.below(3))]
            return Stray(thief, int(self._multicall.address, 16), self._multicall(inner), time)
        entry, item = choices.pick(self._entries)
        return Stray(thief, int(entry.address, 16), self._data(entry, item, thief, state, choices), time)

    def hook(self, token: Entry, owner: int, state: State, time: int, choices: Choices) -> Stray:
        """From now on a token calls anything at all at every transfer, upkeep that is for everybody most of all: it
        comes while the lock is held. (Prices may be observed at any time.)

        :param token: `setHook` of the token.
        """
        entry, item = choices.pick(self._upkeep if choices.below(2) else self._entries)
        data = self._data(entry, item, int(token.address, 16), state, choices)
        target = entry.address if choices.below(8) else "0x" + "0" * 40
        return Stray(owner, int(token.address, 16), token(target, data), time)

    def _data(self, entry: Entry, item: Mapping[str, Any], thief: int, state: State, c: Choices) -> bytes:
        kind = c.below(8)
        if kind == 0:
            return entry.selector + bytes(c.byte() for _ in range(c.below(200)))
        if kind == 1:
            return bytes(c.byte() for _ in range(c.below(100)))
        return entry(*self._values(item["inputs"], thief, state, c))

    def _values(self, inputs: Sequence[Mapping[str, Any]], thief: int, state: State, c: Choices) -> list[Any]:
        return [self._value(one, one["type"], thief, state, c) for one in inputs]

    def _value(self, one: Mapping[str, Any], kind: str, thief: int, state: State, c: Choices) -> Any:
        if kind.endswith("]"):
            inner = kind[: kind.rindex("[")]
            count = int(kind[kind.rindex("[") + 1 : -1] or c.below(3))
            return [self._value(one, inner, thief, state, c) for _ in range(count)]
        if kind == "tuple":
            return self._values(one["components"], thief, state, c)
        if kind == "address":
            people = (thief, state.owner, state.clearinghouse, state.order_book, 0, *state.tokens)
            return f"0x{c.pick(people):040x}"
        if kind == "bool":
            return bool(c.below(2))
        if kind in ("bytes", "string"):
            return bytes(c.byte() for _ in range(c.below(70))) if kind == "bytes" else "x"
        if kind.startswith("bytes"):
            width = int(kind[5:])
            used = [*state.accounts, account_id(thief, 1)]
            return c.pick(used).to_bytes(32, "big") if width == 32 else c.number(width).to_bytes(width, "big")
        signed = not kind.startswith("u")
        bits = int(kind.removeprefix("u").removeprefix("int") or 256)
        small = c.pick((0, 1, 1, 2, 256, 257, 10**6, 10**18, state.time, state.time + 600, *HUGE))
        value = c.number(4) if c.one_in(4) else small
        return value % 2 ** (bits - 1) if signed else value % 2**bits
