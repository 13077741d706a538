"""What is looked at during a soak and at its end, from the chain's own node."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from plimsoll.keeper.node.audit import Auditor
from plimsoll.keeper.node.headers import Header
from plimsoll.keeper.node.rpc import Rpc
from plimsoll.keeper.storage.opening import open_repository
from plimsoll.keeper.target import Target
from plimsoll.model.word import checksum
from tests.bench.soak.world import World
from tests.support.protocol import Protocol

__all__ = ["LIMIT", "Watch", "mismatches", "nonce_problems", "open_entries"]

LIMIT = 12
"""Healthy blocks for which an account may stay liquidatable."""


@dataclass
class Watch:
    """Counts for how many healthy blocks each account has been below the line.

    :param waits: healthy blocks that each account had to wait, when it was done.
    """

    streaks: dict[bytes, int] = field(default_factory=dict)
    missed: set[bytes] = field(default_factory=set)
    waits: Counter[int] = field(default_factory=Counter)
    healthy: int = 0
    below: int = 0

    def look(self, world: World, *, healthy: bool) -> None:
        """After a block."""
        below = set(world.below())
        self.below = len(below)
        for account in [account for account in self.streaks if account not in below]:
            self.waits[self.streaks.pop(account)] += 1
        self.healthy += healthy
        for account in below:
            self.streaks[account] = self.streaks.get(account, 0) + healthy
        late = [account for account in below if self.streaks[account] > LIMIT and account not in self.missed]
        if late and healthy:
            self.missed |= set(world.liquidatable(late))


def mismatches(protocol: Protocol, database: Path) -> list[str]:
    """What the database says of the chain, word for word against the contract's storage at the same block."""
    target = Target.of(protocol.rpc, protocol.deployment)
    artifact = protocol.deployment.artifacts.artifact("Clearinghouse")
    repository = open_repository(database, target.identity, shared=True, read_only=True)
    try:
        rows, head = list(repository.rows()), repository.head()
    finally:
        repository.close()
    if head is None:
        return ["the database is empty"]

    async def compare(head: Header) -> list[str]:
        async with Rpc(protocol.anvil.url) as rpc:
            return [str(one) for one in await Auditor(rpc, target.clearinghouse.address, artifact).rows(rows, head)]

    return asyncio.run(compare(head))


def nonce_problems(protocol: Protocol, sender: str) -> list[str]:
    """Gaps between the nonces of a sender: what a pool holds and cannot be mined."""
    rpc = protocol.rpc
    latest, pending = (int(rpc.request("eth_getTransactionCount", [sender, tag]), 16) for tag in ("latest", "pending"))
    queued = rpc.request("txpool_content").get("queued", {})
    found = [f"nonce {nonce} waits for one before it" for nonce in queued.get(checksum(int(sender, 16)), {})]
    return found + ([] if latest == pending else [f"{pending - latest} transactions are not mined"])


def open_entries(protocol: Protocol, database: Path, sender: str) -> int:
    """Transactions of the journal that have not come to an end."""
    identity = Target.of(protocol.rpc, protocol.deployment).identity
    repository = open_repository(database, identity, shared=True, read_only=True)
    try:
        return len(repository.journal.open(sender))
    finally:
        repository.close()
