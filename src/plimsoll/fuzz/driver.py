"""What a fuzzer needs of a chain: calls at given times, their outcomes, raw storage, snapshots.

A `Driver` keeps a state and a clock (time and number of its latest block). `step` makes one call and keeps what it did.
`queue` collects calls, and `flush` makes them in order from the present state, each on what the ones before left;
unless told to keep it, the state is afterwards what it was. Each call is a block of its own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

from plimsoll.chain.errors import ContractRevert, EvmHalt, Revert
from plimsoll.chain.receipt import ErrorRegistry, Event, EventRegistry
from plimsoll.errors import PlimsollError

__all__ = ["GAS", "Call", "Codecs", "Driver", "FuzzError", "Log", "Outcome", "Queued", "Read", "Snapshot"]

GAS = 30_000_000
"""Gas of a call unless it names another: more than any entry point takes, and the same on every backend."""
MOST_SNAPSHOTS = 256
BASE_GAS, BYTE_GAS = 21_000, 40
"""What a message costs at most before it begins to run, per message and per byte of call data."""


class FuzzError(PlimsollError):
    """The driver was asked for something that cannot be: time going back, a used snapshot, a missing backend, …"""


class Call(NamedTuple):
    """One message in a block of its own.

    :param sender: any address, contracts included; nobody signs and nobody pays for gas.
    :param timestamp: unix time of the block; not before the latest block, equal is possible.
    :param value: wei.
    :param number: of the block, higher than the latest one; None: the next.
    :param base_fee: of the block, wei per gas.
    """

    sender: str
    to: str
    data: bytes
    timestamp: int
    value: int = 0
    number: int | None = None
    base_fee: int = 0
    gas: int = GAS


@dataclass(frozen=True, slots=True)
class Read:
    """Storage words to read: slots of one contract."""

    address: str
    slots: tuple[int, ...]


Queued = tuple[Call, tuple[Read, ...]]
"""A call, and what to read after it."""


@dataclass(frozen=True, slots=True)
class Log:
    """A raw log; `address` is lower-case hex text."""

    address: str
    topics: tuple[bytes, ...]
    data: bytes


@dataclass(frozen=True, slots=True)
class Codecs:
    """The errors and events that outcomes are decoded with."""

    errors: ErrorRegistry = field(default_factory=ErrorRegistry)
    events: EventRegistry = field(default_factory=EventRegistry)


class Outcome:
    """What became of one call.

    `output` is the return data, or the data of the revert; `gas_used` is exact on Anvil only (storage stays warm in
    revm); `halt` says why execution stopped without `revert` (out of gas, …; the text differs between backends);
    `words` are the storage words asked for with `queue`, in that order, as they were right after the call.
    Logs, events and errors are decoded when first asked for.
    """

    __slots__ = ("_codecs", "_events", "_find_logs", "_logs", "gas_used", "halt", "output", "success", "words")

    def __init__(
        self,
        success: bool,
        output: bytes,
        gas_used: int,
        find_logs: Callable[[], tuple[Log, ...]],
        codecs: Codecs,
        halt: str | None = None,
        words: tuple[int, ...] = (),
    ) -> None:
        self.success = success
        self.output = output
        self.gas_used = gas_used
        self.halt = halt
        self.words = words
        self._find_logs = find_logs
        self._codecs = codecs
        self._logs: tuple[Log, ...] | None = None
        self._events: list[Event] | None = None

    @property
    def logs(self) -> tuple[Log, ...]:
        """Raw logs in order; none if it reverted."""
        if self._logs is None:
            self._logs = self._find_logs()
        return self._logs

    @property
    def events(self) -> list[Event]:
        """Logs that a known ABI explains, decoded. Their `log_index` is the place among the logs of this call."""
        if self._events is None:
            self._events = self._codecs.events.decode_all(
                {
                    "address": log.address,
                    "topics": ["0x" + topic.hex() for topic in log.topics],
                    "data": "0x" + log.data.hex(),
                    "logIndex": index,
                }
                for index, log in enumerate(self.logs)
            )
        return self._events

    def named(self, name: str) -> list[Event]:
        """The decoded events of that name."""
        return [event for event in self.events if event.name == name]

    @property
    def error(self) -> Revert | None:
        """The decoded failure, not raised; None if it succeeded."""
        if self.success:
            return None
        return EvmHalt(self.halt) if self.halt is not None else self._codecs.errors.decode(self.output)

    @property
    def failure(self) -> tuple[str, tuple[Any, ...]] | None:
        """Name and arguments of the custom error; of another failure the kind, as `Panic`, and what it says."""
        error = self.error
        if error is None:
            return None
        if isinstance(error, ContractRevert):
            return error.name, error.values
        return type(error).__name__, () if isinstance(error, EvmHalt) else (error.data,)

    def __repr__(self) -> str:
        return f"<Outcome {'success' if self.success else self.error}>"


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """A state to go back to, once. `token` belongs to the backend."""

    token: Any
    time: int
    number: int


class Driver(ABC):
    """A state and its clock. Not thread-safe.

    :param codecs: what outcomes are decoded with; may learn more later.
    """

    name: str

    def __init__(self, codecs: Codecs, time: int, number: int) -> None:
        self.codecs = codecs
        self.time = time
        """Unix time of the latest block that was kept."""
        self.number = number
        """Its number."""
        self._queue: list[Queued] = []
        self._snapshots: list[Snapshot] = []

    # ── calls ──────────────────────────────────────────────────────────────

    def step(self, call: Call) -> Outcome:
        """Makes one call now and keeps what it did.

        :raises FuzzError: its time or number lies before the latest block, or calls are queued.
        """
        if self._queue:
            raise FuzzError(f"{len(self._queue)} calls are queued; flush them before a step")
        number = self._number_after(call, self.time, self.number)
        outcome = self._step(call, number)
        self.time, self.number = call.timestamp, number
        return outcome

    def queue(self, call: Call, *reads: Read) -> int:
        """Collects a call, and storage words to read right after it; gives its index in the result of `flush`."""
        self._queue.append((call, reads))
        return len(self._queue) - 1

    def flush(self, keep: bool = False) -> list[Outcome]:
        """Makes the queued calls in order from the present state and gives their outcomes.

        :param keep: the state stays as the last call left it; otherwise it is again what it was. On Anvil keeping is
            no faster than steps.
        :raises FuzzError: times or numbers are not in order; nothing was done and nothing is queued any more.
        """
        queued, self._queue = self._queue, []
        if not queued:
            return []
        time, number, numbers = self.time, self.number, []
        for call, _ in queued:
            number = self._number_after(call, time, number)
            time = call.timestamp
            numbers.append(number)
        outcomes = self._flush(queued, numbers, keep)
        if keep:
            self.time, self.number = time, number
        return outcomes

    @abstractmethod
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

    # ── state ──────────────────────────────────────────────────────────────

    @abstractmethod
    def words(self, address: str, slots: Sequence[int]) -> tuple[int, ...]:
        """Storage words of a contract."""

    @abstractmethod
    def balance(self, address: str) -> int:
        """Wei."""

    @abstractmethod
    def set_balance(self, address: str, wei: int) -> None:
        """Gives an address so much ether."""

    @abstractmethod
    def set_code(self, address: str, code: bytes) -> None:
        """Puts code at an address; its storage stays."""

    @abstractmethod
    def code(self, address: str) -> bytes:
        """Deployed code, empty if there is none."""

    def snapshot(self) -> Snapshot:
        """Remembers the state and the clock.

        :raises FuzzError: too many are waiting; in revm each takes a level of the call stack.
        """
        if len(self._snapshots) >= MOST_SNAPSHOTS:
            raise FuzzError(f"{MOST_SNAPSHOTS} snapshots are waiting to be reverted to; revert to the first of them")
        taken = Snapshot(self._take_snapshot(), self.time, self.number)
        self._snapshots.append(taken)
        return taken

    def revert(self, snapshot: Snapshot) -> None:
        """Goes back. Works once for each snapshot, and uses up those taken after it. What is queued is dropped.

        :raises FuzzError: the snapshot is used up.
        """
        self._queue.clear()
        if snapshot not in self._snapshots:
            raise FuzzError("the snapshot is used up, or of another driver; take a new one")
        place = self._snapshots.index(snapshot)
        later, self._snapshots = self._snapshots[place:], self._snapshots[:place]
        self._restore_snapshots([one.token for one in later])
        self.time, self.number = snapshot.time, snapshot.number

    @contextmanager
    def isolated(self) -> Iterator[None]:
        """Restores the state at the end of the block, also after an exception, which passes through."""
        taken = self.snapshot()
        try:
            yield
        finally:
            self.revert(taken)

    @abstractmethod
    def close(self) -> None:
        """Frees what the backend holds."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ── of each backend ────────────────────────────────────────────────────

    @abstractmethod
    def _step(self, call: Call, number: int) -> Outcome: ...

    @abstractmethod
    def _flush(self, queued: Sequence[Queued], numbers: Sequence[int], keep: bool) -> list[Outcome]: ...

    @abstractmethod
    def _take_snapshot(self) -> Any: ...

    @abstractmethod
    def _restore_snapshots(self, tokens: Sequence[Any]) -> None:
        """Goes back to the first of these, which are all that were taken since."""

    @staticmethod
    def _number_after(call: Call, time: int, number: int) -> int:
        """The number of the call's block, once its time, number and gas are found possible."""
        least = BASE_GAS + BYTE_GAS * len(call.data)
        if call.gas < least:
            raise FuzzError(f"{call.gas} gas may not even pay for the call data; give {least} or more")
        if call.timestamp < time:
            raise FuzzError(f"a call at {call.timestamp} comes after a block at {time}; time does not go back")
        if call.number is None:
            return number + 1
        if call.number <= number:
            raise FuzzError(f"a call in block {call.number} comes after block {number}; numbers grow")
        return call.number
