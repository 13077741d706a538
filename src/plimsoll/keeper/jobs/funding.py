"""Accrues markets with open positions that nobody touches, so that funding, price and loss are stored now and then."""

from __future__ import annotations

from collections.abc import Sequence

from plimsoll.keeper.actions import Action
from plimsoll.keeper.decide import MarketState, Snapshot, accruals
from plimsoll.keeper.jobs.base import Moment

__all__ = ["Funding"]


class Funding:
    """Decides from the mirror alone."""

    name = "funding"

    async def decide(self, moment: Moment) -> Sequence[Action]:
        """Markets whose last accrual is longer ago than `Limits.accrue_every`."""
        markets = tuple(
            MarketState(number, 0, market.time, bool(market.long.shares or market.short.shares))
            for number, market in moment.mirror.markets.items()
        )
        snapshot = Snapshot(block=moment.head.number, time=moment.head.time, markets=markets, busy=moment.busy)
        return list(accruals(snapshot, moment.options.limits))
