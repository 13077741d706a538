"""Deleverages markets whose loss endangers their pool, and strikes LP epochs."""

from __future__ import annotations

from collections.abc import Sequence

from plimsoll.chain.contract import Call
from plimsoll.chain.errors import PlimsollError
from plimsoll.keeper.actions import Action
from plimsoll.keeper.decide import MarketState, PoolState, Snapshot, deleveraging, strikes
from plimsoll.keeper.jobs.base import Moment

__all__ = ["Pools"]


class Pools:
    """Asks the Lens for the pools, and the LP tokens whether an epoch is due."""

    name = "pools"

    async def decide(self, moment: Moment) -> Sequence[Action]:
        """Deleveragings first, then strikes."""
        mirror, target = moment.mirror, moment.chain.target
        pools, shares = sorted(mirror.pools), mirror.shares
        with_share = [pool for pool in pools if pool in shares]
        calls: list[Call] = [(target.lens, "pool", [pool]) for pool in pools]
        calls += [(target.share(shares[pool]), "canStrike", []) for pool in with_share]
        answers = await moment.chain.ask(calls, moment.head)
        views = dict(zip(pools, answers[: len(pools)], strict=True))
        due = dict(zip(with_share, answers[len(pools) :], strict=True))
        states, markets = [], []
        for pool, view in views.items():
            if isinstance(view, PlimsollError):
                continue
            states.append(
                PoolState(pool, view.nav, mirror.pool_terms[pool].risk.adl_trigger_ppm, due.get(pool) is True)
            )
            markets += [MarketState(market.market, market.openLoss, 0, True) for market in view.markets]
        snapshot = Snapshot(
            block=moment.head.number,
            time=moment.head.time,
            pools=tuple(states),
            markets=tuple(markets),
            busy=moment.busy,
        )
        return [*deleveraging(snapshot), *strikes(snapshot)]
