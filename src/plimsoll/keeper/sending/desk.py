"""One transaction at a time: signed, written to the journal, and only then, under the lease, handed to nodes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from plimsoll.keeper.sending.answers import Answer
from plimsoll.keeper.sending.fees import CANCEL_GAS, Fees
from plimsoll.keeper.sending.intent import Intent
from plimsoll.keeper.sending.lanes import Attempt
from plimsoll.keeper.sending.ports import Fence, JournalPort, Signer
from plimsoll.keeper.sending.routes import Routes
from plimsoll.keeper.storage.journal import JournalEntry

__all__ = ["Desk", "Report", "adopted", "gap_intent", "silent"]

Report = Callable[[str, Mapping[str, Any]], None]
"""Is told what happens: an event's name and its fields."""


def silent(event: str, fields: Mapping[str, Any]) -> None:
    """Reports nothing."""


def gap_intent(sender: str, nonce: int) -> Intent:
    """What stands for a nonce that nothing is known about: taking it away is all that is wanted."""
    return Intent(f"gap:{sender}:{nonce}", "gap", sender, b"", CANCEL_GAS)


class Desk:
    """Signs, writes and hands over.

    Between the journal and the nodes nothing else happens: what was handed over is always in the journal, and what is
    in the journal may have been handed over.
    """

    def __init__(self, journal: JournalPort, fence: Fence, routes: Routes, report: Report) -> None:
        self._journal = journal
        self._fence = fence
        self._routes = routes
        self._report = report

    async def write(
        self, signer: Signer, intent: Intent, nonce: int, fees: Fees, block: int, *, cancels: bool = False
    ) -> Attempt:
        """Signs a transaction and writes it to the journal, durably, as intended.

        :raises LeaseLostError: another process leads.
        """
        gas = CANCEL_GAS if cancels else intent.gas
        to, data, value = (signer.address, b"", 0) if cancels else (intent.to, intent.data, intent.value_wei)
        signed = await signer.sign(nonce, fees, gas, to, data, value)
        details = _details(intent, cancels, {})
        known = self._journal.by_hash(signed.tx_hash)
        if known is not None:
            # The same bytes were signed before and taken by no node.
            self._journal.set(known.id, "intended", None, details)
            entry = known.id
        else:
            worth = intent.worth_wei or 0
            entry = self._journal.add(
                JournalEntry(
                    0,
                    intent.key,
                    signer.address,
                    nonce,
                    signed.raw,
                    signed.tx_hash,
                    fees.max_fee,
                    fees.tip,
                    gas,
                    to,
                    data,
                    worth,
                    "intended",
                    None,
                    block,
                    details,
                    self._fence.epoch,
                )
            )
        return Attempt(entry, intent, nonce, fees, gas, signed.raw, signed.tx_hash, block, cancels)

    async def broadcast(self, attempt: Attempt, turn: int = 0) -> Answer:
        """Hands a transaction over, if the lease is held at this moment.

        :param turn: how often that was done before: routes take turns.
        :raises LeaseLostError: the lease is not held; nothing was handed over.
        """
        self._fence.guard()
        answer = await self._routes.send(attempt.raw, attempt.intent.route, turn)
        self._report(
            "handed over",
            {
                "tx": attempt.tx_hash,
                "nonce": attempt.nonce,
                "intent": attempt.intent.key,
                "trace": attempt.intent.trace,
                "cancels": attempt.cancels,
                "max_fee": attempt.fees.max_fee,
                "tip": attempt.fees.tip,
                "answer": answer.verdict.name.lower(),
                "text": answer.text,
            },
        )
        return answer

    def mark(self, attempt: Attempt, status: str) -> None:
        """What became of a transaction that is in no block."""
        self._journal.set(attempt.entry, status)

    def ended(self, attempt: Attempt, ok: bool, block: int, time: int, cost: int, **more: object) -> None:
        """A block took a transaction; with what it cost and what else is to be remembered."""
        details = _details(attempt.intent, attempt.cancels, {"cost": cost, "time": time, **more})
        status = "landed" if ok else "reverted"
        self._journal.set(attempt.entry, status, block, details, spent=cost, time=time)


def _details(intent: Intent, cancels: bool, more: Mapping[str, object]) -> str:
    found = {"cancels": cancels, "intent": json.loads(intent.details()), **more}
    return json.dumps(found, separators=(",", ":"))


def adopted(entry: JournalEntry, intents: Mapping[str, Intent]) -> Attempt:
    """A transaction of the journal.

    :param intents: of other entries with the same nonce: an entry that cancels does not hold the call it cancels.
    """
    found = json.loads(entry.detail) if entry.detail else {}
    cancels = bool(found.get("cancels", False))
    intent = intents.get(entry.intent) if cancels else None
    if intent is None:
        details = json.dumps(found.get("intent", {}))
        intent = Intent.of(entry.intent, entry.to, entry.data, entry.gas, details)
    fees = Fees(entry.max_fee, entry.tip)
    return Attempt(
        entry.id,
        intent,
        entry.nonce,
        fees,
        entry.gas,
        entry.raw,
        entry.tx_hash,
        entry.created_block,
        cancels,
        # Whether it was handed over before the process ended cannot be known: it must be taken as if it had been.
        sent=True,
    )
