"""What a transaction would do: the exact call on top of the exact parent block, and whose doing a failure is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any, Generic, TypeVar

from plimsoll.chain.errors import ContractRevert, Revert, RpcError, StringRevert
from plimsoll.chain.receipt import ErrorRegistry
from plimsoll.keeper.sending.ports import Node

__all__ = ["Call", "Cause", "Dropped", "Fitted", "Simulated", "Simulator", "Way", "cause_of", "fit", "pack"]

T = TypeVar("T")
PROBE_ADDRESS = "0x00000000000000000000000000000000507e0be5"
PROBE_CODE = "0x4260005260206000f3"
"""Returns the time of the block."""
PROBE_TIME = 0x77777777

LOST_RACES = frozenset({"NotOnSale", "NothingOnSale", "NothingToDeleverage", "NothingToStrike", "OrderNotPending"})
PRICE_MOVED = frozenset(
    {"SalePrice", "PriceRefused", "PriceNotValid", "PriceLimit", "LpGap", "BadDebtOnSale", "NoPriceYet"}
)
STALE_MIRROR = frozenset(
    {
        "OrderInTheMiddle",
        "NotFirstPrice",
        "UnknownMarket",
        "UnknownPool",
        "UnknownToken",
        "MarketSettled",
        "MarketNotSettled",
        "PoolInsolvent",
        "NegativeNav",
        "NotSeeded",
    }
)
FUNDS = frozenset({"InsufficientBalance", "UpdateFeeMissing", "TransferFailed"})


class Cause(StrEnum):
    """Whose doing a revert is."""

    LOST_RACE = "lost race"
    STALE_MIRROR = "stale mirror"
    PRICE_MOVED = "price moved"
    FUNDS = "funds or allowance missing"
    OUR_BUG = "our bug"

    @property
    def is_innocent(self) -> bool:
        """Whether it says nothing against the keeper."""
        return self in (Cause.LOST_RACE, Cause.PRICE_MOVED)


def cause_of(revert: Revert) -> Cause:
    """Whose doing a revert is, by the name of its error. What is not known is taken for a mistake of the keeper."""
    if isinstance(revert, ContractRevert):
        if revert.name in LOST_RACES:
            return Cause.LOST_RACE
        if revert.name in PRICE_MOVED:
            return Cause.PRICE_MOVED
        if revert.name in STALE_MIRROR:
            return Cause.STALE_MIRROR
        if revert.name in FUNDS or revert.name.startswith("ERC20"):
            return Cause.FUNDS
    if isinstance(revert, StringRevert) and "balance" in revert.text:
        return Cause.FUNDS
    return Cause.OUR_BUG


@dataclass(frozen=True, slots=True)
class Call:
    """A transaction as it would be sent."""

    sender: str
    to: str
    data: bytes
    gas: int
    value_wei: int = 0

    def fields(self) -> dict[str, str]:
        """For the node."""
        fields = {"from": self.sender, "to": self.to, "data": "0x" + self.data.hex(), "gas": hex(self.gas)}
        return fields | ({"value": hex(self.value_wei)} if self.value_wei else {})


@dataclass(frozen=True, slots=True)
class Simulated:
    """What a call came to. `gas_used` is None where the node does not tell it; `revert` is None if it succeeded."""

    output: bytes
    gas_used: int | None = None
    revert: Revert | None = None

    @property
    def ok(self) -> bool:
        """Whether it succeeded."""
        return self.revert is None

    @property
    def cause(self) -> Cause | None:
        """Whose doing the failure is."""
        return None if self.revert is None else cause_of(self.revert)


class Way(Enum):
    """How a node simulates."""

    SIMULATE = "eth_simulateV1"
    OVERRIDES = "eth_call with block overrides"
    PLAIN = "eth_call"


class Simulator:
    """Simulates through one client, in the best way that its node knows; `probe` finds out which.

    Until then, and on plain nodes, a call sees the parent's own number, time and base fee.
    """

    def __init__(self, node: Node, errors: ErrorRegistry) -> None:
        self._node = node
        self._errors = errors
        self.way = Way.PLAIN

    async def probe(self, parent: str) -> Way:
        """Finds out what the node can do on top of a block, given by its hash."""
        code, call = {PROBE_ADDRESS: {"code": PROBE_CODE}}, {"to": PROBE_ADDRESS, "data": "0x", "gas": "0x186a0"}
        at, block = {"blockHash": parent}, {"time": hex(PROBE_TIME)}
        calls = [{"blockOverrides": block, "stateOverrides": code, "calls": [call]}]
        best, second = await self._node.batch(
            [("eth_simulateV1", [{"blockStateCalls": calls}, at]), ("eth_call", [call, at, code, block])]
        )
        wanted = f"0x{PROBE_TIME:064x}"
        if isinstance(best, list) and best[0]["calls"][0].get("returnData") == wanted:
            self.way = Way.SIMULATE
        elif second == wanted:
            self.way = Way.OVERRIDES
        else:
            self.way = Way.PLAIN
        return self.way

    async def run(
        self, calls: Sequence[Call], parent: str, time: int | None = None, base_fee: int | None = None
    ) -> list[Simulated]:
        """Each call by itself on top of a block, given by its hash.

        :param time: of the block that is to come, where the node can be told; None: what the node takes for it.
        :param base_fee: likewise, wei. With `eth_simulateV1` some nodes show contracts a base fee of 0 all the same.
        :raises RpcError: the node does not know the block, or cannot simulate.
        :raises NodeUnavailable: no answer.
        """
        answers = await self._node.batch([self._request(call, parent, time, base_fee) for call in calls])
        return [self._result(answer) for answer in answers]

    def _request(self, call: Call, parent: str, time: int | None, base_fee: int | None) -> tuple[str, list[Any]]:
        at = {"blockHash": parent}
        block = {} if time is None else {"time": hex(time)}
        if base_fee is not None:
            block["baseFeePerGas"] = hex(base_fee)
        if self.way is Way.SIMULATE:
            calls = {"blockOverrides": block, "calls": [call.fields()]}
            return "eth_simulateV1", [{"blockStateCalls": [calls]}, at]
        if self.way is Way.OVERRIDES and block:
            return "eth_call", [call.fields(), at, {}, block]
        return "eth_call", [call.fields(), at]

    def _result(self, answer: Any) -> Simulated:
        if isinstance(answer, RpcError):
            revert = self._errors.from_rpc(answer)
            if revert is None:
                raise answer
            return Simulated(revert.data, None, revert)
        if isinstance(answer, str):
            return Simulated(bytes.fromhex(answer[2:]))
        result = answer[0]["calls"][0]
        output, used = bytes.fromhex(result.get("returnData", "0x")[2:]), int(result["gasUsed"], 16)
        if int(result["status"], 16) == 1:
            return Simulated(output, used)
        error = result.get("error", {})
        message = str(error.get("message", ""))
        if not output:
            # Nodes that put the data into the error, and halts such as running out of gas.
            refused = RpcError(int(error.get("code", 3)), message, error.get("data"))
            revert = self._errors.from_rpc(refused)
            if revert is not None:
                return Simulated(revert.data, used, revert)
        return Simulated(output, used, self._errors.decode(output))


# ── batches ────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Fitted(Generic[T]):
    """A batch that acts on all of its items, as its simulation says."""

    items: tuple[T, ...]
    simulated: Simulated


@dataclass(frozen=True, slots=True)
class Dropped(Generic[T]):
    """An item that is left out: its code says that nothing would be done, or its revert spoils every batch."""

    item: T
    code: int | None = None
    revert: Revert | None = None

    @property
    def poisons(self) -> bool:
        """Whether a batch with it reverts."""
        return self.revert is not None


async def fit(
    items: Sequence[T],
    run: Callable[[Sequence[T]], Awaitable[Simulated]],
    codes: Callable[[Simulated], Sequence[int]],
    acts: Callable[[T, int], bool],
) -> tuple[list[Fitted[T]], list[Dropped[T]]]:
    """Batches whose simulation acts on every item. One that reverts is cut in two until what spoils it is alone; what
    would not act is left out and the rest simulated again.

    The halves are simulated at the same time. With p poisoned items of n this takes at most about 2·p·log₂ n calls.
    """
    if not items:
        return [], []
    simulated = await run(items)
    if simulated.revert is not None:
        if len(items) == 1:
            return [], [Dropped(items[0], None, simulated.revert)]
        middle = len(items) // 2
        left, right = await asyncio.gather(fit(items[:middle], run, codes, acts), fit(items[middle:], run, codes, acts))
        return left[0] + right[0], left[1] + right[1]
    results = codes(simulated)
    kept = [item for item, code in zip(items, results, strict=True) if acts(item, code)]
    if len(kept) == len(items):
        return [Fitted(tuple(items), simulated)], []
    idle = [Dropped(item, code) for item, code in zip(items, results, strict=True) if not acts(item, code)]
    fitted, dropped = await fit(kept, run, codes, acts)
    return fitted, idle + dropped


def pack(items: Sequence[T], gas: Sequence[int], worth: Sequence[int], most: int, fixed: int = 0) -> list[list[T]]:
    """Cuts items into batches of at most so much gas, those that are worth most per gas first.

    :param gas: of each item, above 0; an item above the limit has a batch of its own.
    :param worth: of each item, in any one unit.
    :param fixed: gas of a transaction without items.
    """
    scale = 10**18  # so that the order by worth per gas is one of integers
    order = sorted(range(len(items)), key=lambda at: (-(worth[at] * scale // gas[at]), -worth[at], at))
    batches: list[list[T]] = []
    used: list[int] = []
    for at in order:
        if batches and used[-1] + gas[at] <= most:
            batches[-1].append(items[at])
            used[-1] += gas[at]
        else:
            batches.append([items[at]])
            used.append(fixed + gas[at])
    return batches
