"""Scenes that lead to states which the others hardly ever reach: the very second of a limit, a pool below zero."""

from __future__ import annotations

from plimsoll.fuzz.scenes import NEAR, Scenes
from plimsoll.fuzz.trading import Trading
from plimsoll.model.engine.books import load_pool
from plimsoll.model.engine.draft import Draft
from plimsoll.model.engine.state import account_id, owner_of, pool_of
from plimsoll.units import PPM, WAD

__all__ = ["Rare"]


class Rare(Scenes):
    """Sequences with a far aim."""

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

    def outdate(self) -> None:
        """A price is used at the last second of its age, or one beside it, while all others are new."""
        c = self._c
        market = c.pick(self._markets)
        asset = self.state.market_terms[market].margin.asset
        one = self.state.assets[asset]
        if one.feed not in self.state.feeds:
            return
        Trading._move(self, asset, c.pick((0, 5, -5)), 1)
        due = self.time + one.max_age + c.pick((0, 0, 1, -1))
        for other in sorted(self.state.assets):
            if other != asset:
                self._move(other, 0, max(due - self.time, 0))
        self._use(market)

    def come_up(self) -> None:
        """Prices are used at the second at which the sequencer's grace ends, or one beside it."""
        c, one = self._c, self.state.sequencer
        self._refresh(1)
        since = max(self.time - one.grace + c.pick((0, 0, 1, -1)), 1)
        self.take("set_sequencer_status", self.cast.owner, False, since, wait=0)
        self._use(c.pick(self._markets))

    def _use(self, market: int) -> None:
        """Now a market is accrued, an account with positions in it takes something out, enters, or is liquidated."""
        c, keeper = self._c, self._c.pick(self.cast.keepers)
        self.take("accrue", keeper, market, wait=0)
        inside = [account for account, index in self.state.positions if pool_of(account) << 8 | index == market]
        if not inside:
            self._enter(account_id(c.pick(self.cast.traders), market >> 8, 0), market, WAD)
            return
        account = c.pick(inside)
        token = self.state.pool_terms[market >> 8].token
        self.take("withdraw", owner_of(account), account, token, 1, owner_of(account), wait=0)
        self.take("liquidate", keeper, (account,), self._keeper_account(market >> 8), wait=0)

    def recheck(self) -> None:
        """An account takes out all it may; then a price of the very second that its margin was checked at, or of the
        next, puts it beyond its line, and it is liquidated."""
        c, s = self._c, self.state
        held = [(account, index) for account, index in s.positions if pool_of(account) in s.pools]
        if not held:
            self.trade()
            return
        account, index = c.pick(held)
        market = pool_of(account) << 8 | index
        self._refresh(1)
        if c.below(2):
            size = next((leg.size for leg in self._health(account).legs if leg.index == index), 0)
            more = s.pool_terms[market >> 8].risk.min_notional * WAD // self._price(market) * (1 + c.below(4))
            self._bring(account, s.pool_terms[market >> 8].risk.min_notional)
            self._order(account, market, more if size > 0 else -more)
        self._take_all(account)
        a, h = self.state.accounts.get(account), self._health(account)
        leg = next((one for one in h.legs if one.index == index and one.size), None)
        if a is None or leg is None:
            return
        notional = max(abs(leg.size) * leg.price // WAD, 1)
        by = min(max((h.equity - h.required) * 1000 // notional, 0) + 1 + c.pick(NEAR), 900)
        asset = s.market_terms[market].margin.asset
        # Its second source says the same, so that this price alone decides.
        Trading._move(self, asset, -by if leg.size > 0 else by, 0, min(a.last_check + c.pick((0, 0, 0, 1)), self.time))
        if s.assets[asset].secondary:
            self._say(asset, self._answer(asset))
        self.take("liquidate", c.pick(self.cast.keepers), (account,), self._keeper_account(market >> 8), wait=0)

    def overrun(self) -> None:
        """Whales take one side of one or several markets to the cap, nobody acts while prices run until the pool has
        lost more than it has; then somebody closes, deleverages or strikes, and winners pay what is missing."""
        c = self._c
        market = c.pick(self._markets)
        others = [one for one in self._markets if one >> 8 == market >> 8 and one != market and c.below(3)]
        self._refresh(1)
        for one in (market, *others):
            terms, first = self.state.market_terms[one], c.below(2)
            for number in range(2 + c.below(2)):
                account = account_id(self.cast.traders[(first + number) % len(self.cast.traders)], one >> 8, 0)
                self._enter(account, one, min(terms.limits.max_position, max(self._room(one, 1), 0)))
            if c.below(3):
                # Somebody of the other side, who has not enough by then.
                account = account_id(c.pick(self.cast.traders), one >> 8, 1)
                self._enter(account, one, -terms.limits.max_position * (1 + c.below(16)) // 64)
        for _ in range(2 + c.below(2)):
            for one in (market, *others):
                self._run(self.state.market_terms[one].margin.asset, c.pick((900, 1500)))
        for _ in range(1 + c.below(3)):
            self._aftermath(market)

    def _enter(self, account: int, market: int, size: int) -> None:
        """An order of that size with about as much money as it needs."""
        self._bring(account, abs(size) * self._price(market) // WAD * self._c.pick((8, 12, 30)) // 100)
        self._order(account, market, size)

    def strand(self) -> None:
        """Somebody loses more than he has and nobody liquidates him; LPs come and go at a strike before that."""
        c = self._c
        market = c.pick(self._markets)
        pool, sign = market >> 8, 1 if c.below(2) else -1
        self._refresh(1)
        account = account_id(c.pick(self.cast.traders), pool, c.below(2))
        limits = self.state.market_terms[market].limits
        self._enter(account, market, sign * limits.max_position * (1 + c.below(64)) // 64)
        self._run(self.state.market_terms[market].margin.asset, -sign * c.pick((150, 300, 500)))
        # From now on the average follows.
        self.take("accrue", c.pick(self.cast.keepers), market, wait=0)
        one = self.state.lps[pool]
        for lp in self.cast.lps:
            amount = one.min_deposit * c.pick((1000, 7, 30_000)) + c.pick((0, 1, 333_333))
            self.take("request_deposit", lp, pool, amount, lp, lp, wait=0)
            shares = self.state.lps[pool].balances.get(lp, 0) * c.pick((30, 1, 255)) // 256
            self.take("request_redeem", lp, pool, shares, lp, lp, wait=0)
        self._strike_when_due(pool, 0)
        self._collect(pool)

    def refuse(self) -> None:
        """Shares are worth less than deposits may pay for; LPs come all the same, and take their money back."""
        c = self._c
        pool = c.pick(sorted(self.state.lps))
        if self._nav(pool) >= self.state.lps[pool].supply:
            self._win(c.pick([one for one in self._markets if one >> 8 == pool]), 1)
        before = self.state.lps[pool]
        self.take("set_terms", self.cast.owner, pool, WAD, before.strike_reward, wait=0)
        for lp in self.cast.lps:
            amount = before.min_deposit * c.pick((1, 7, 1000)) + c.pick((0, 1, 333_333))
            self.take("request_deposit", lp, pool, amount, lp, lp, wait=0)
        self._strike_when_due(pool, 0)
        self._collect(pool)
        self.take("set_terms", self.cast.owner, pool, before.min_share_price, before.strike_reward, wait=0)

    def _nav(self, pool: int) -> int:
        d = Draft(self.state)
        d.time, d.base_fee = self.time, self._base_fee
        d.begin()
        return load_pool(d, pool).nav

    def _answer(self, asset: int) -> int:
        """What the first source of a price last said, in units of the second."""
        one = self.state.assets[asset]
        first, second = self.state.feeds[one.feed], self.state.feeds[one.secondary]
        last = first.rounds[first.latest].answer if first.latest else 0
        answer: int = last * 10**second.decimals // 10**first.decimals
        return answer

    def _say(self, asset: int, answer: int) -> None:
        """The second source says this, now."""
        self.take("push_round", self.cast.owner, self.state.assets[asset].secondary, answer, self.time, wait=0)
