"""Compares the mirror with the chain now and then: the same accounts, valued here and there, at one block."""

from __future__ import annotations

import random
from collections.abc import Sequence

from plimsoll.chain.errors import Revert
from plimsoll.keeper.book.exact import Confirmed, confirm
from plimsoll.keeper.book.mirror import Mirror
from plimsoll.keeper.book.observations import Observations
from plimsoll.keeper.book.search import Search
from plimsoll.keeper.log import show_account
from plimsoll.keeper.node.headers import Header
from plimsoll.keeper.operations.status import AuditStatus
from plimsoll.keeper.operations.telemetry import Telemetry
from plimsoll.keeper.service.chain import Chain
from plimsoll.keeper.service.prices import observe

__all__ = ["Auditor"]


class Auditor:
    """Every so many blocks, accounts nearest to the line and accounts drawn at random.

    A difference is never mended silently: it is told, and whoever asked stops sending. Before that prices and accounts
    are read once more at the same block: a node that mines between two readings may have given one of them from the
    next block, which is the node's contradiction and no difference; `contradiction` tells it.

    :param every: blocks between two audits; 0: never.
    :param page: accounts in one call.
    """

    def __init__(
        self,
        chain: Chain,
        mirror: Mirror,
        search: Search,
        telemetry: Telemetry,
        *,
        every: int,
        at_risk: int,
        chosen: int,
        page: int = 100,
        seed: int | None = None,
    ) -> None:
        self.status = AuditStatus()
        self.contradiction = ""
        """What the last audit found at first and not again; empty if that was nothing."""
        self._chain = chain
        self._mirror = mirror
        self._search = search
        self._telemetry = telemetry
        self._every = every
        self._at_risk = at_risk
        self._chosen = chosen
        self._page = page
        self._random = random.Random(seed)
        self._next = 0

    async def look(self, head: Header, seen: Observations | None) -> str:
        """Audits if it is time; says what differs, empty if nothing does.

        :raises HeadMovedError: the block cannot be read any more.
        """
        if not self._every or seen is None or seen.time != head.time or head.number < self._next:
            return ""
        accounts = self._accounts(seen)
        self.contradiction = ""
        differing: list[str] = []
        if accounts:
            differing = await self._differing(accounts, head, seen)
        if differing:
            first = self._said(differing, accounts, head)
            differing = await self._differing(accounts, head, await observe(self._chain, self._mirror, head))
            self.contradiction = "" if differing else first
        self._next = head.number + self._every
        total = self.status.total_accounts + len(accounts)
        self.status = AuditStatus(head.number, len(accounts), len(differing), total)
        self._telemetry.audited(len(accounts), len(differing))
        return self._said(differing, accounts, head)

    async def _differing(self, accounts: Sequence[bytes], head: Header, seen: Observations) -> list[str]:
        """What of these accounts is valued otherwise there."""
        ours = confirm(self._mirror, accounts, seen)
        lens, page = self._chain.target.lens, self._page
        pages = [list(accounts[start : start + page]) for start in range(0, len(accounts), page)]
        answers = await self._chain.ask([(lens, "healthBatch", [one]) for one in pages], head)
        differing: list[str] = []
        for start, answer in zip(range(0, len(accounts), page), answers, strict=True):
            part = ours[start : start + page]
            if isinstance(answer, Revert):
                # One account that cannot be valued spoils its page; the mirror says so of it too.
                differing += [] if any(one.unreadable for one in part) else [f"a page is refused: {answer}"]
                continue
            differing += [text for one, *theirs in zip(part, *answer, strict=True) if (text := _differs(one, *theirs))]
        return differing

    def _said(self, differing: Sequence[str], accounts: Sequence[bytes], head: Header) -> str:
        if not differing:
            return ""
        number = f"{len(differing)} of {len(accounts)} accounts"
        return f"{number} differ from the chain at block {head.number}: {differing[0]}"

    def _accounts(self, seen: Observations) -> list[bytes]:
        standing = self._search.standing(seen)
        nearest = standing.rows[standing.nearest(self._at_risk)].tolist()
        count = len(self._mirror.accounts.ids)
        drawn = self._random.sample(range(count), min(self._chosen, count))
        return [account for account in self._mirror.ids(sorted({*nearest, *drawn})) if account]


def _differs(ours: Confirmed, equity: int, required: int, newest: int) -> str:
    if ours.unreadable or (ours.equity, ours.required, ours.newest) == (equity, required, newest):
        return ""
    mine, theirs = (ours.equity, ours.required, ours.newest), (equity, required, newest)
    return f"{show_account(ours.account)} is {mine} here and {theirs} there"
