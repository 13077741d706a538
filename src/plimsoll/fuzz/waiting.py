"""Scenes that wait for the very second at which something begins or ends."""

from __future__ import annotations

from plimsoll.fuzz.scenes import NEAR, Scenes
from plimsoll.fuzz.trading import Trading
from plimsoll.model.engine.state import pool_of
from plimsoll.units import PPM, WAD

__all__ = ["Waiting"]


class Waiting(Scenes):
    """Sequences with a time as their aim."""

    def outlast(self) -> None:
        """An account is beyond its line at one source of a price and not at the other, until that counts as lasting;
        then it is liquidated, at that second or one beside it."""
        c, s = self._c, self.state
        guarded = {asset for asset, one in s.assets.items() if one.secondary}
        found = [
            (account, index)
            for account, index in s.positions
            if pool_of(account) in s.pools and s.market_terms[pool_of(account) << 8 | index].margin.asset in guarded
        ]
        if not found:
            self.trade()
            return
        account, index = c.pick(found)
        market = pool_of(account) << 8 | index
        asset = s.market_terms[market].margin.asset
        self._refresh(1)
        h = self._health(account)
        leg = next((one for one in h.legs if one.index == index and one.size), None)
        if leg is None:
            return
        notional = max(abs(leg.size) * leg.price // WAD, 1)
        least = s.assets[asset].max_deviation_ppm * 1000 // PPM + 2
        by = max((h.equity - h.required) * 1000 // notional + 1 + c.pick(NEAR), least)
        before = self._answer(asset)
        Trading._move(self, asset, -by if leg.size > 0 else by, 0)
        self._say(asset, before)
        keeper, where = c.pick(self.cast.keepers), self._keeper_account(market >> 8)
        self.take("accrue", keeper, market, wait=0)
        since = self.state.deviated_since.get(asset)
        if since is None:
            return
        due = since + self.state.assets[asset].deviation_timeout + c.pick((0, 0, -1, 1))
        for other in sorted(self.state.assets):
            # The first that publishes waits, the others do so at the same time.
            Trading._move(self, other, 0, max(due - self.time, 0))
            if other in guarded:
                self._say(other, before if other == asset else self._answer(other))
        self.take("liquidate", keeper, (account,), where, wait=0)

    def _answer(self, asset: int) -> int:
        """What the first source of a price last said, in units of the second."""
        one = self.state.assets[asset]
        first, second = self.state.feeds[one.feed], self.state.feeds[one.secondary]
        last = first.rounds[first.latest].answer if first.latest else 0
        return last * 10**second.decimals // 10**first.decimals

    def _say(self, asset: int, answer: int) -> None:
        """The second source says this, now."""
        self.take("push_round", self.cast.owner, self.state.assets[asset].secondary, answer, self.time, wait=0)
