"""What is handed to the transaction manager, and what it tells in return."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from plimsoll.keeper.sending.fees import Fees
from plimsoll.keeper.sending.value import Valuation

__all__ = ["InFlight", "Intent", "Outcome", "Result", "Settled", "Settlement"]


@dataclass(frozen=True, slots=True)
class Intent:
    """One decision that a transaction is to carry out. Money in wei, gas in units.

    :param key: unique name of the decision: what it is about, at which version and price. The journal keeps it.
    :param job: name of the job, which breakers and budgets go by.
    :param to: the contract, `data` the exact call.
    :param gas: limit of gas that the transaction is given.
    :param worth_wei: what landing brings, in wei; None for a duty, which may cost as much as the options allow.
    :param expected_gas: gas that it is reckoned to use; None: all of `gas`.
    :param value_wei: ether sent along, such as the fee of an oracle; a cost.
    :param bad_debt_wei: loss of the pool that landing prevents; counts under the objective `solvency` only.
    :param land_ppm: chance of landing, and `revert_ppm` of reverting in a block.
    :param revert_gas: gas that a reverted one uses; None: `expected_gas`.
    :param keys: names of the things acted on; no second intent about any of them is accepted meanwhile.
    :param marks: names that change when another try makes sense: thing, version, price. A lost race closes them for
        good, another failure for some blocks. Empty: the key alone, always for some blocks.
    :param deadline_block: last block in which it may land, `deadline_time` the last block time; then it is cancelled.
    :param lane: which sender; lanes beyond the number of senders share them.
    :param urgent: others compete: the tip is a share of what is to be gained.
    :param route: name of a route, overriding the option.
    :param trace: id of the decision in the logs.
    """

    key: str
    job: str
    to: str
    data: bytes
    gas: int
    worth_wei: int | None = None
    expected_gas: int | None = None
    value_wei: int = 0
    bad_debt_wei: int = 0
    land_ppm: int = 900_000
    revert_ppm: int = 50_000
    revert_gas: int | None = None
    keys: frozenset[str] = frozenset()
    marks: frozenset[str] = frozenset()
    deadline_block: int | None = None
    deadline_time: int | None = None
    lane: int = 0
    urgent: bool = False
    route: str | None = None
    trace: str = ""

    @property
    def likely_gas(self) -> int:
        """Gas that it is reckoned to use."""
        return self.gas if self.expected_gas is None else min(self.expected_gas, self.gas)

    @property
    def tries(self) -> frozenset[str]:
        """What must change before a failed one is tried again."""
        return self.marks or frozenset([self.key])

    def is_over(self, block: int, time: int) -> bool:
        """True if landing after the block of this number and time is too late."""
        late = self.deadline_block is not None and block >= self.deadline_block
        return late or (self.deadline_time is not None and time >= self.deadline_time)

    def details(self) -> str:
        """Everything but what the journal has columns for, as JSON."""
        left_out = ("key", "to", "data", "gas")
        fields = {name: getattr(self, name) for name in self.__slots__ if name not in left_out}
        fields["keys"], fields["marks"] = sorted(self.keys), sorted(self.marks)
        # JSON numbers of this size are exact in Python alone; the journal is read by Python alone.
        return json.dumps(fields, separators=(",", ":"))

    @classmethod
    def of(cls, key: str, to: str, data: bytes, gas: int, details: str) -> Intent:
        """From the columns and details of a journal entry. Details that are missing have their defaults."""
        found: Mapping[str, Any] = json.loads(details) if details else {}
        fields = {name: value for name, value in found.items() if name in cls.__slots__}
        fields["keys"] = frozenset(fields.get("keys", ()))
        fields["marks"] = frozenset(fields.get("marks", ()))
        fields.setdefault("job", "")
        return cls(key=key, to=to, data=data, gas=gas, **fields)


class Result(StrEnum):
    """What became of a submitted intent."""

    SENT = "sent"
    """Handed over; it is under way."""
    WAITING = "waiting"
    """In the journal, but no node could be reached; it is sent as soon as one answers."""
    WOULD_SEND = "would send"
    """A dry run."""
    BUSY = "busy"
    """A transaction about the same is under way."""
    UNPROFITABLE = "unprofitable"
    """Its expected value is negative at the next base fee."""
    TRIED = "tried"
    """It failed before, and nothing that matters has changed."""
    BLOCKED = "blocked"
    """A guard is in the way: balance, budget, breaker, full lane, not started."""
    REFUSED = "refused"
    """The node would not take it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Answer to a submitted intent. `valuation` is None where it did not come to that; `blocked` names failed marks."""

    key: str
    result: Result
    reason: str = ""
    valuation: Valuation | None = None
    fees: Fees | None = None
    tx_hash: str | None = None
    nonce: int | None = None
    entry: int | None = None
    blocked: frozenset[str] = frozenset()
    trace: str = ""

    @property
    def under_way(self) -> bool:
        """Whether a transaction of it is, or may come to be, on its way."""
        return self.result in (Result.SENT, Result.WAITING)


class Settlement(StrEnum):
    """How an intent ended."""

    LANDED = "landed"
    REVERTED = "reverted"
    REPLACED = "replaced"
    """Another intent took its nonce; it may be submitted again."""
    CANCELLED = "cancelled"
    ABANDONED = "abandoned"
    """Its nonce was used by a transaction that is not ours, or no node would take it."""


@dataclass(frozen=True, slots=True)
class Settled:
    """End of an intent, as the blocks tell. A reorg may undo it.

    :param tx_hash: the transaction that used the nonce, empty if it is not ours.
    :param cost_wei: gas paid and ether sent along by it; 0 for an intent that another one replaced.
    :param cause: of a revert, whose doing it was (`simulate.Cause`).
    """

    intent: Intent
    settlement: Settlement
    nonce: int
    tx_hash: str = ""
    block: int | None = None
    gas_used: int = 0
    cost_wei: int = 0
    cause: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class InFlight:
    """A nonce that no block has used yet, for views and metrics. Ages in blocks, fees in wei per gas."""

    sender: str
    nonce: int
    key: str
    job: str
    tx_hash: str
    entry: int
    max_fee: int
    tip: int
    gas: int
    worth_wei: int | None
    attempts: int
    age: int
    is_cancel: bool
    trace: str = ""
