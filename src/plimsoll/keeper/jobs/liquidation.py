"""Liquidates accounts below the line."""

from __future__ import annotations

from collections.abc import Sequence

from plimsoll.keeper.actions import Action
from plimsoll.keeper.decide import Health, Snapshot, liquidations
from plimsoll.keeper.jobs.base import Moment

__all__ = ["Liquidation"]


class Liquidation:
    """Candidates of the mirror, confirmed in exact integers; no request to the node is needed."""

    name = "liquidation"

    def __init__(self) -> None:
        self.below: tuple[Health, ...] = ()
        """What was below the line when it was last looked at, with the numbers."""

    async def decide(self, moment: Moment) -> Sequence[Action]:
        """Every account below the line at this block's prices and time, the largest shortfall first."""
        mirror, seen = moment.mirror, moment.observations
        confirmed = mirror.confirm(mirror.candidate_accounts(seen), seen)
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
            )
            for one in confirmed
            if one.equity < one.required
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
