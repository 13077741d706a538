"""Where the gas of a transaction goes: every step of its trace, by kind.

A kind is what cannot be had cheaper without doing less (the transaction itself, feeds, storage, events, entering other
accounts) or what can (computation). The parts of one transaction add up to the gas on its receipt.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from plimsoll.chain.receipt import Receipt
from plimsoll.chain.rpc import Rpc

__all__ = ["PARTS", "Cost", "trace"]

PARTS = (
    "intrinsic and calldata",
    "feeds",
    "storage writes",
    "storage reads",
    "transient storage",
    "events",
    "calls",
    "computation",
    "refund",
)
"""In the order in which they are shown."""

BASE = 21_000
ZERO_BYTE, OTHER_BYTE = 4, 16
CALLS = ("CALL", "DELEGATECALL", "STATICCALL")
KINDS = {
    "SLOAD": "storage reads",
    "SSTORE": "storage writes",
    "TLOAD": "transient storage",
    "TSTORE": "transient storage",
    "EXTCODESIZE": "calls",
    **dict.fromkeys(CALLS, "calls"),
    **{f"LOG{topics}": "events" for topics in range(5)},
}


@dataclass(frozen=True, slots=True)
class Cost:
    """Gas, and if it was traced what it was spent on."""

    gas: int
    parts: Counter[str] = field(default_factory=Counter)

    def __sub__(self, other: Cost) -> Cost:
        return Cost(self.gas - other.gas, Counter({p: self.parts[p] - other.parts[p] for p in PARTS}))

    def __floordiv__(self, count: int) -> Cost:
        return Cost(self.gas // count, Counter({part: gas // count for part, gas in self.parts.items()}))


def trace(rpc: Rpc, receipt: Receipt, hub: str) -> Cost:
    """Traces a transaction; the node must keep steps. What `hub` calls are feeds."""
    sent = rpc.request("eth_getTransactionByHash", [receipt.tx_hash])
    data = bytes.fromhex(sent["input"][2:])
    parts: Counter[str] = Counter()
    parts["intrinsic and calldata"] = BASE + sum(OTHER_BYTE if byte else ZERO_BYTE for byte in data)
    options = {"disableStorage": True, "disableMemory": True}
    steps = rpc.request("debug_traceTransaction", [receipt.tx_hash, options])["structLogs"]
    frames = ["feeds" if sent["to"].lower() == hub.lower() else sent["to"].lower()]
    for index, step in enumerate(steps):
        depth = int(step["depth"])
        del frames[depth:]
        cost = int(step["gasCost"])
        entered = _entered(steps, index)
        if entered:
            # What a call forwards is spent by the steps inside it.
            after = _next_at(steps, index, depth)
            inside = int(steps[index + 1]["gas"]) - (int(steps[after - 1]["gas"]) - int(steps[after - 1]["gasCost"]))
            cost = int(step["gas"]) - int(steps[after]["gas"]) - inside if after < len(steps) else 0
        feed = frames[-1] == "feeds"
        parts["feeds" if feed else KINDS.get(step["op"], "computation")] += cost
        if entered:
            target = f"0x{step['stack'][-2][2:].rjust(40, '0')[-40:]}"
            within = feed or (frames[-1] == hub.lower() and step["op"] != "DELEGATECALL")
            frames.append("feeds" if within else frames[-1] if step["op"] == "DELEGATECALL" else target)
    parts["refund"] = receipt.gas_used - sum(parts.values())
    return Cost(receipt.gas_used, parts)


def _entered(steps: list[dict[str, Any]], index: int) -> bool:
    """Whether a step begins a call that runs code."""
    following = steps[index + 1 : index + 2]
    return steps[index]["op"] in CALLS and bool(following) and following[0]["depth"] > steps[index]["depth"]


def _next_at(steps: list[dict[str, Any]], index: int, depth: int) -> int:
    """Index of the step after the call that `index` begins."""
    after = index + 1
    while after < len(steps) and int(steps[after]["depth"]) > depth:
        after += 1
    return after
