"""Steps of what the protocol depends on: a second source of prices, the sequencer, tokens that misbehave.

A world has them only where its setting asks for them; elsewhere these steps do nothing.
"""

from __future__ import annotations

from plimsoll.fuzz.tuning import Tuning

__all__ = ["Outages"]

GAPS = (0, 1, -1, 29, -29, 30, -30, 31, -31, 60, -60, 200, -200)
"""How far a secondary source is from the first, thousandths; around the largest deviation."""
LAGS = (0, 0, 0, 0, 1, 60, 599, 600, 601, -30)
"""How old its price is, seconds; around the largest age."""


class Outages(Tuning):
    """Deviation, sequencer, hostile tokens."""

    def _move(self, asset: int, thousandths: int, wait: int | None, published: int | None = None) -> None:
        """As ever; a secondary source follows more often than not."""
        super()._move(asset, thousandths, wait, published)
        if self.state.assets[asset].secondary and self._c.below(8):
            self._follow(asset, 0, 0)

    def _follow(self, asset: int, thousandths: int, lag: int) -> None:
        """The secondary source publishes what the first says, or something beside it."""
        one = self.state.assets[asset]
        first, second = self.state.feeds.get(one.feed), self.state.feeds[one.secondary]
        if first is None or not first.latest:
            return
        answer = first.rounds[first.latest].answer * 10**second.decimals // 10**first.decimals
        answer = answer * (1000 + thousandths) // 1000
        self.take("push_round", self.cast.owner, one.secondary, answer, self.time - lag, wait=0)

    def second_source(self) -> None:
        """A secondary source says something else, is old, or ceases to answer."""
        c = self._c
        assets = [key for key, one in sorted(self.state.assets.items()) if one.secondary]
        if not assets:
            return
        asset = c.pick(assets)
        if c.one_in(8):
            feed = self.state.assets[asset].secondary
            self.take("set_feed_answers", self.cast.owner, feed, bool(c.below(3)))
        else:
            self._follow(asset, c.pick(GAPS), c.pick(LAGS))

    def sequencer(self) -> None:
        """The sequencer goes down, or comes up; rarely its feed says nothing, or nonsense."""
        c, one = self._c, self.state.sequencer
        if not one.feed:
            return
        kind = c.below(16)
        if kind == 15:
            self.take("set_sequencer_answers", self.cast.owner, not one.answers)
        elif kind == 14:
            self.take("set_sequencer_status", self.cast.owner, bool(c.below(2)), c.pick((0, self.time + 100)), wait=0)
        else:
            down = not one.down if kind < 12 else one.down
            since = max(self.time - c.pick((0, 0, 1, one.grace - 1, one.grace, one.grace + 1, 86_400)), 1)
            self.take("set_sequencer_status", self.cast.owner, down, since, wait=0)

    def misbehave(self) -> None:
        """A hostile token begins or ceases to refuse somebody, to take fees, or to refuse everything."""
        c, hostile = self._c, self.cast.hostile
        if not hostile:
            return
        token = c.pick(sorted(hostile))
        kind = hostile[token]
        if kind == "BlacklistToken":
            holder = c.pick((*self.cast.everybody, self.state.clearinghouse))
            self.take("blacklist", self.cast.owner, token, holder, c.below(3) == 2)
        elif kind == "FeeOnTransferToken":
            self.take("set_transfer_fee", self.cast.owner, token, c.pick((0, 0, 0, 1, 100, 10_000)))
        elif kind == "LyingToken":
            self.take("set_token_refuses", self.cast.owner, token, c.below(3) == 2)
