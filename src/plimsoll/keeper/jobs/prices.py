"""Brings a published price on chain together with the liquidations that it makes possible."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from plimsoll.keeper.actions import Action, PushPrices, Wait
from plimsoll.keeper.book.exact import confirm
from plimsoll.keeper.book.observations import Observations
from plimsoll.keeper.book.records import pool_of
from plimsoll.keeper.book.search import Search
from plimsoll.keeper.decide import Health
from plimsoll.keeper.jobs.base import Moment
from plimsoll.keeper.jobs.price_source import PriceSource, Update
from plimsoll.model.oracle import PriceFlags
from plimsoll.model.oracle_words import Spot, Trend

__all__ = ["Prices", "with_update"]

STALE = int(PriceFlags.INVALID)
UNCERTAIN = int(PriceFlags.UNCERTAIN)


class Prices:
    """Values every account at the newest prices that Pyth has published, before they are on chain.

    Only what flips health is sent: a price alone pays nobody. With `Options.push_after` prices of assets with open
    positions are also brought on chain alone when they are so old.

    :param feeds: the asset's number → its price id.
    :param max_uncertainty: the asset's number → the half width, ppm, above which a price is uncertain.
    """

    name = "prices"

    def __init__(
        self,
        source: PriceSource,
        feeds: Mapping[int, bytes],
        search: Search,
        max_uncertainty: Mapping[int, int] | None = None,
    ) -> None:
        self._search = search
        self._source = source
        self._feeds = dict(feeds)
        self._max_uncertainty = dict(max_uncertainty or {})

    async def decide(self, moment: Moment) -> Sequence[Action]:
        """Updates with accounts that are below the line at them and healthy without, largest shortfall first."""
        updates = await self._newer(moment)
        if not updates:
            return []
        seen = moment.observations
        assets = dict(seen.assets)
        for update in updates:
            most = self._max_uncertainty.get(update.asset)
            assets[update.asset] = with_update(assets[update.asset], update, most)
        later = Observations(max(seen.time, *(update.publish_time for update in updates)), assets)
        mirror = moment.mirror
        rows = self._search.candidates(later)
        found = confirm(mirror, mirror.ids(rows.tolist()), later)
        now = {one.account: one for one in confirm(mirror, [one.account for one in found], seen)}
        flipped = [
            one
            for one in found
            if one.below
            and not now[one.account].below
            and not one.on_sale
            and one.newest > one.last_check
            and ("account", one.account) not in moment.busy
        ]
        flipped.sort(key=lambda one: (one.equity - one.required, one.account))
        actions: list[Action] = []
        for pool in dict.fromkeys(pool_of(one.account) for one in flipped):
            accounts = [
                Health(
                    one.account, one.equity, one.required, one.newest, one.last_check, one.version, one.positions, False
                )
                for one in flipped
                if pool_of(one.account) == pool
            ]
            actions.append(_push(pool, updates, accounts, moment))
        return actions or self._alone(updates, moment)

    async def _newer(self, moment: Moment) -> list[Update]:
        """What Pyth has published after the price on chain, and not after the next block can be."""
        found = []
        for asset in self._feeds:
            known = moment.observations.assets.get(asset)
            update = await self._source.latest(asset)
            if known is None or update is None or update.price == 0:
                continue
            spot = known[0]
            if update.publish_time > spot.publish_time and update.publish_time <= moment.head.time + 1:
                found.append(update)
        return found

    def _alone(self, updates: Sequence[Update], moment: Moment) -> list[Action]:
        after = moment.options.push_after
        if not after:
            return []
        old = [
            update
            for update in updates
            if moment.head.time - moment.observations.assets[update.asset][0].publish_time >= after
        ]
        if not old:
            return []
        key = ("push", *(update.asset for update in old))
        if key in moment.busy:
            return [Wait(key, "a price update is under way")]
        return [PushPrices(0, tuple(update.data for update in old), (), key)]


def with_update(known: tuple[Spot, Trend], update: Update, most_uncertain: int | None) -> tuple[Spot, Trend]:
    """What the hub would say of an asset with this update in place, as liquidation reads it."""
    spot, trend = known
    band = max(spot.band_ppm, update.band_ppm) if spot.flags & UNCERTAIN == 0 else update.band_ppm
    flags = spot.flags & ~(STALE | UNCERTAIN)
    if most_uncertain is not None and band > most_uncertain:
        flags |= UNCERTAIN
    fresh = replace(spot, price=update.price, publish_time=update.publish_time, flags=flags, band_ppm=band)
    return fresh, replace(trend, bound_ppm=0)


def _push(pool: int, updates: Sequence[Update], accounts: Sequence[Health], moment: Moment) -> PushPrices:
    limits = moment.options.limits
    chosen: list[bytes] = []
    gas = limits.push_gas * len(updates)
    for health in accounts:
        gas += limits.account_gas + health.positions * limits.position_gas
        if chosen and gas > limits.batch_gas:
            break
        chosen.append(health.account)
    return PushPrices(pool, tuple(update.data for update in updates), tuple(chosen))
