"""Liquidates accounts below the line."""

from __future__ import annotations

import time
from collections.abc import Sequence

from plimsoll.keeper.actions import Action
from plimsoll.keeper.book.exact import confirm, draft_of
from plimsoll.keeper.book.search import Search
from plimsoll.keeper.decide import Health, Snapshot, liquidations
from plimsoll.keeper.jobs.base import Moment
from plimsoll.keeper.operations.telemetry import Telemetry

__all__ = ["Liquidation"]


class Liquidation:
    """Candidates of the mirror, confirmed in exact integers; no request to the node is needed."""

    name = "liquidation"

    def __init__(self, search: Search, telemetry: Telemetry) -> None:
        self._search = search
        self._telemetry = telemetry
        self.candidates = 0
        """Accounts that the last search found; the rest is healthy for certain."""
        self.below: tuple[Health, ...] = ()
        """What was below the line when it was last looked at, with the numbers."""

    async def decide(self, moment: Moment) -> Sequence[Action]:
        """Every account below the line at this block's prices and time, the largest shortfall first."""
        mirror, seen, telemetry = moment.mirror, moment.observations, self._telemetry
        draft = draft_of(mirror, seen)
        with telemetry.timed(lambda seconds: telemetry.evaluated("all", seconds)):
            rows = self._search.candidates(seen, draft)
        self.candidates = len(rows)
        begun = time.perf_counter()
        confirmed = confirm(mirror, mirror.ids(rows.tolist()), seen, draft)
        count = sum(one.below for one in confirmed)
        telemetry.confirmed(time.perf_counter() - begun, count, len(confirmed) - count)
        self.below = tuple(
            Health(
                account=one.account,
                equity=one.equity,
                required=one.required,
                newest=one.newest,
                last_check=one.last_check,
                version=one.version,
                positions=one.positions,
                on_sale=one.on_sale,
                unreadable=one.unreadable,
            )
            for one in confirmed
            if one.below or one.unreadable
        )
        poisoned = frozenset(h.account for h in self.below if moment.poisons.get(h.account) == (h.version, h.newest))
        snapshot = Snapshot(
            block=moment.head.number,
            time=moment.head.time,
            health=self.below,
            busy=moment.busy,
            poisoned=poisoned,
        )
        return list(liquidations(snapshot, moment.options.limits))
