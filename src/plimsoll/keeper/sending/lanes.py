"""Nonces of one sender: which are taken, by which transactions, and what became of them. No I/O.

A slot is a nonce with all transactions ever signed for it: the first, those that raised its fees, one that cancels it,
one of another intent that took it over. Exactly one of them can land. The last is the live one, but an earlier one may
be in some node's pool still, so every intent of an open slot counts as under way.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from plimsoll.keeper.sending.fees import Fees
from plimsoll.keeper.sending.intent import Intent

__all__ = ["Attempt", "Lane", "LaneError", "Slot"]


class LaneError(AssertionError):
    """A step that would break the lane: a mistake of the program."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One signed transaction.

    :param entry: its row in the journal.
    :param cancels: whether it is a transfer of nothing to oneself; `intent` is then what it cancels.
    :param block: head at which it was first handed over.
    :param sent: whether some node has it, or may have it.
    """

    entry: int
    intent: Intent
    nonce: int
    fees: Fees
    gas: int
    raw: bytes
    tx_hash: str
    block: int
    cancels: bool = False
    sent: bool = False


@dataclass(frozen=True, slots=True)
class Slot:
    """A nonce that was given away. `winner` is the hash that used it, empty if that is not ours, None while open."""

    nonce: int
    attempts: tuple[Attempt, ...]
    winner: str | None = None
    block: int | None = None

    @property
    def live(self) -> Attempt:
        """The last transaction signed for the nonce."""
        return self.attempts[-1]

    @property
    def since(self) -> int:
        """Head at which the intent of the live transaction was first handed over at this nonce."""
        key = self.live.intent.key
        return next(attempt.block for attempt in self.attempts if attempt.intent.key == key)

    @property
    def intents(self) -> dict[str, Intent]:
        """What it was signed for, by key."""
        return {attempt.intent.key: attempt.intent for attempt in self.attempts}

    def by_hash(self, tx_hash: str) -> Attempt:
        """The attempt of that hash."""
        return next(attempt for attempt in self.attempts if attempt.tx_hash == tx_hash)


class Lane:
    """The slots of one sender.

    :param nonce: the next one that a block will use, as the chain says.
    :ivar floor: nonces below it are taken by transactions that are pending and not ours.
    :ivar outbid: by nonce, fees that a pool found too low, and at which head.
    :ivar idle: by nonce, the last head after which its live transaction could not land for its fee.
    """

    def __init__(self, sender: str, nonce: int) -> None:
        self.sender = sender
        self.nonce = nonce
        self.floor = nonce
        self.outbid: dict[int, tuple[Fees, int]] = {}
        self.idle: dict[int, int] = {}
        self._slots: dict[int, Slot] = {}

    def __repr__(self) -> str:
        return f"Lane({self.sender}, nonce {self.nonce}, {len(self.open)} open)"

    @property
    def open(self) -> list[Slot]:
        """Slots that no block has used, in the order of their nonces."""
        return [slot for _, slot in sorted(self._slots.items()) if slot.winner is None]

    @property
    def settled(self) -> list[Slot]:
        """Slots that a block has used and a reorg may open again."""
        return [slot for _, slot in sorted(self._slots.items()) if slot.winner is not None]

    def slot(self, nonce: int) -> Slot | None:
        """The slot of a nonce."""
        return self._slots.get(nonce)

    def next_nonce(self) -> int:
        """The lowest nonce that is free: a gap, if there is one."""
        nonce = max(self.nonce, self.floor)
        while nonce in self._slots:
            nonce += 1
        return nonce

    def gaps(self) -> list[int]:
        """Free nonces below one that is taken: what is behind them cannot land."""
        taken = [slot.nonce for slot in self.open]
        if not taken:
            return []
        return [nonce for nonce in range(max(self.nonce, self.floor), max(taken)) if nonce not in self._slots]

    def under_way(self) -> dict[str, Intent]:
        """Intents that may still land, by key, also those that another transaction is to replace."""
        return {key: intent for slot in self.open for key, intent in slot.intents.items()}

    def stuck(self, base_fee: int) -> Slot | None:
        """The first open slot, if no block of that base fee may include its live transaction."""
        head = next(iter(self.open), None)
        return head if head is not None and not head.live.fees.can_land(base_fee) else None

    def add(self, attempt: Attempt) -> None:
        """Takes a nonce, or adds a transaction to one that is taken.

        :raises LaneError: the nonce is used, the intent is under way at another one, or the fees replace nothing.
        """
        slot = self._slots.get(attempt.nonce)
        if slot is None or attempt.intent.key not in slot.intents:
            elsewhere = [other.nonce for other in self.open if attempt.intent.key in other.intents]
            if elsewhere:
                raise LaneError(f"{attempt.intent.key} is under way at nonces {elsewhere}")
        if slot is None:
            if attempt.nonce < self.nonce:
                raise LaneError(f"nonce {attempt.nonce} of {self.sender} was used")
            self._slots[attempt.nonce] = Slot(attempt.nonce, (attempt,))
            return
        if slot.winner is not None or not attempt.fees.replaces(slot.live.fees):
            raise LaneError(f"{attempt.fees} does not replace {slot.live.fees} at nonce {attempt.nonce}")
        self._slots[attempt.nonce] = replace(slot, attempts=(*slot.attempts, attempt))

    def adopt(self, attempts: Iterable[Attempt], winner: str | None = None, block: int | None = None) -> None:
        """Takes over a slot as a journal tells it, in the order in which its transactions were signed."""
        listed = tuple(attempts)
        self._slots[listed[0].nonce] = Slot(listed[0].nonce, listed, winner, block)

    def mark_sent(self, entry: int) -> None:
        """Some node has, or may have, the transaction."""
        for nonce, slot in self._slots.items():
            if any(attempt.entry == entry for attempt in slot.attempts):
                attempts = tuple(replace(a, sent=True) if a.entry == entry else a for a in slot.attempts)
                self._slots[nonce] = replace(slot, attempts=attempts)

    def drop(self, entry: int) -> None:
        """Forgets a transaction that no node took; a slot without any becomes a free nonce."""
        for nonce, slot in list(self._slots.items()):
            left = tuple(attempt for attempt in slot.attempts if attempt.entry != entry)
            if not left:
                del self._slots[nonce]
            elif len(left) < len(slot.attempts):
                self._slots[nonce] = replace(slot, attempts=left)

    def settle(self, nonce: int, winner: str, block: int | None) -> Slot:
        """A block used the nonce: by the transaction of that hash, or by one that is not ours (empty)."""
        slot = replace(self._slots[nonce], winner=winner, block=block)
        self._slots[nonce] = slot
        self.outbid.pop(nonce, None)
        self.idle.pop(nonce, None)
        return slot

    def refused(self, nonce: int, fees: Fees, block: int) -> None:
        """A pool found these fees too low for the nonce."""
        known = self.outbid.get(nonce, (fees, block))[0]
        cap, tip = max(known.max_fee, fees.max_fee), max(known.tip, fees.tip)
        self.outbid[nonce] = Fees(cap, tip), block

    def to_beat(self, nonce: int) -> Fees | None:
        """What a new transaction must outbid at a nonce; None: nothing."""
        slot, refused = self._slots.get(nonce), self.outbid.get(nonce)
        if slot is None:
            return refused[0] if refused is not None else None
        live = slot.live.fees
        if refused is None:
            return live
        return Fees(max(live.max_fee, refused[0].max_fee), max(live.tip, refused[0].tip))

    def advance(self, nonce: int) -> None:
        """The chain's next nonce; a reorg may lower it."""
        self.nonce = nonce

    def reopen(self, above: int, block: int) -> list[Slot]:
        """Opens what was settled in blocks above that number, or in a block not known, and gives it in order. Its age
        counts from `block`, where the chain had been: until it is there again, nothing that is sent now can land."""
        reopened = []
        for slot in self.settled:
            if slot.block is None or slot.block > above:
                attempts = tuple(replace(attempt, block=block) for attempt in slot.attempts)
                self._slots[slot.nonce] = replace(slot, attempts=attempts, winner=None, block=None)
                reopened.append(self._slots[slot.nonce])
        return reopened

    def forget(self, before: int) -> None:
        """Drops slots that were settled in blocks before that number: no reorg goes so deep."""
        for slot in self.settled:
            if slot.block is None or slot.block < before:
                del self._slots[slot.nonce]
