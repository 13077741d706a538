"""What a journal knows when the keeper starts: transactions under way, what they cost, how they ended."""

from __future__ import annotations

import json
from collections.abc import Mapping

from plimsoll.keeper.node.headers import Header
from plimsoll.keeper.sending.desk import adopted
from plimsoll.keeper.sending.guards import HOUR, Guards
from plimsoll.keeper.sending.intent import Intent
from plimsoll.keeper.sending.lanes import Lane
from plimsoll.keeper.sending.ports import JournalPort
from plimsoll.keeper.sending.simulate import Cause
from plimsoll.keeper.storage.journal import JournalEntry

__all__ = ["adopt"]

RECENT = 2_000
"""Entries that are read to know what was spent and what failed."""
ENDED = ("landed", "reverted")


def adopt(journal: JournalPort, lanes: Mapping[str, Lane], guards: Guards, header: Header, ring: int) -> None:
    """Fills lanes and guards from the journal.

    Slots with an open entry are open, whatever became of their other entries; slots that ended in one of the last
    `ring` blocks are kept, so that a reorg can open them again.
    """
    recent = journal.recent(RECENT)
    nonces: dict[str, dict[int, JournalEntry | None]] = {sender: {} for sender in lanes}
    for entry in recent:
        if entry.sender in nonces and entry.status in ENDED and (entry.block or 0) > header.number - ring:
            nonces[entry.sender][entry.nonce] = entry
    for sender in lanes:
        for entry in journal.open(sender):
            nonces[sender][entry.nonce] = None
    for sender, found in nonces.items():
        for nonce, winner in sorted(found.items()):
            entries = [entry for entry in journal.by_nonce(sender, nonce) if winner or entry.status != "abandoned"]
            _take(lanes[sender], entries, winner)
    _remember(guards, recent, header)


def _take(lane: Lane, entries: list[JournalEntry], winner: JournalEntry | None) -> None:
    intents: dict[str, Intent] = {}
    attempts = []
    for entry in entries:
        attempt = adopted(entry, intents)
        intents.setdefault(attempt.intent.key, attempt.intent)
        attempts.append(attempt)
    if winner is None:
        lane.adopt(attempts)
    else:
        lane.adopt(attempts, winner.tx_hash, winner.block)


def _remember(guards: Guards, recent: list[JournalEntry], header: Header) -> None:
    """Spending of the last hour, and reverts in a row, oldest first."""
    guards.reset()
    for entry in reversed(recent):
        if entry.status not in ENDED or entry.block is None:
            continue
        facts = json.loads(entry.detail) if entry.detail else {}
        job, cost, time = facts.get("intent", {}).get("job", ""), facts.get("cost", 0), facts.get("time", 0)
        if time > header.time - HOUR:
            guards.spending.add(entry.id, entry.block, time, job, cost, facts.get("loss", 0))
        if facts.get("cancels", False):
            continue
        if entry.status == "landed":
            guards.succeeded(job)
        elif facts.get("cause") not in (Cause.LOST_RACE.value, Cause.PRICE_MOVED.value):
            guards.failed(job, entry.block)
