"""The journal for an operator: what was sent and what became of it."""

from __future__ import annotations

import json
from typing import Any

from plimsoll.keeper.errors import ConfigurationError
from plimsoll.keeper.storage.journal import JournalEntry
from plimsoll.keeper.storage.opening import open_repository
from plimsoll.keeper.storage.repository import Repository

__all__ = ["document", "entries", "entry", "find"]


def entries(where: str, number: int, *, open_only: bool = False) -> list[JournalEntry]:
    """The latest entries of the journal in a database, newest first; while a keeper runs, too.

    :raises ConfigurationError: there is no such database.
    """
    repository = open_repository(where, None, read_only=True)
    try:
        return repository.journal.open()[-number:][::-1] if open_only else repository.journal.recent(number)
    finally:
        repository.close()


def entry(where: str, wanted: str) -> list[JournalEntry]:
    """An entry by its number, hash or decision, the others of its nonce after it.

    :raises ConfigurationError: there is none.
    """
    repository = open_repository(where, None, read_only=True)
    try:
        found = find(repository, wanted)
        beside = repository.journal.by_nonce(found.sender, found.nonce)
        return [found, *(other for other in beside if other.id != found.id)]
    finally:
        repository.close()


def document(one: JournalEntry) -> dict[str, Any]:
    """An entry as plain values; bytes hexadecimal, wei as text."""
    details = json.loads(one.detail) if one.detail else {}
    intent = details.pop("intent", {})
    return {
        "entry": one.id,
        "id": intent.get("trace") or "",
        "job": intent.get("job", ""),
        "status": one.status,
        "tx_hash": one.tx_hash,
        "sender": one.sender,
        "nonce": one.nonce,
        "intent": one.intent,
        "to": one.to,
        "data": "0x" + one.data.hex(),
        "gas": one.gas,
        "max_fee_wei": str(one.max_fee),
        "tip_wei": str(one.tip),
        "worth_wei": str(one.value_wei),
        "created_block": one.created_block,
        "block": one.block,
        "epoch": one.epoch,
        "cancels": bool(details.pop("cancels", False)),
        **{key: str(value) if key == "cost" else value for key, value in details.items()},
        "raw": "0x" + one.raw.hex(),
    }


def find(repository: Repository, wanted: str) -> JournalEntry:
    """An entry by its number, its hash, the key or the id of its decision.

    :raises ConfigurationError: there is none.
    """
    journal = repository.journal
    found = journal.get(int(wanted)) if wanted.isdigit() else journal.by_hash(wanted)
    if found is None and not wanted.isdigit():
        found = next(iter(journal.by_intent(wanted)[::-1]), None)
    if found is None and not wanted.startswith("0x"):
        # A decision's id from the log.
        found = next((one for one in journal.recent(10_000) if document(one)["id"] == wanted), None)
    if found is None:
        raise ConfigurationError(f"the journal has no entry {wanted}; give its number, hash or decision")
    return found
