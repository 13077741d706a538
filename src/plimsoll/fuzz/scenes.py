"""Scenes: several steps that lead where single ones seldom get.

An account is brought to just below its line, whales win more than the pool has, an LP's whole cycle runs to its claims,
an account borrows on collateral that then falls. Each scene still chooses freely within itself.
"""

from __future__ import annotations

from plimsoll.fuzz.outages import Outages
from plimsoll.fuzz.search import Lack, lacking, largest
from plimsoll.model.engine.actions import Action, apply
from plimsoll.model.engine.books import load_pool
from plimsoll.model.engine.draft import Draft
from plimsoll.model.engine.health import Health, health_of
from plimsoll.model.engine.ledger import get_account
from plimsoll.model.engine.state import account_id, owner_of, pool_of
from plimsoll.model.pool import Side
from plimsoll.units import NANO, PPM, WAD

__all__ = ["Scenes"]

NEAR = (0, 0, 0, 1, 1, 2, 5, 10, 20, 30, 60, 200, -1)
"""How far beyond an account's line a price goes, in thousandths."""
MINUTES_5 = 300


class Scenes(Outages):
    """Sequences with an aim."""

    # ── an account at its line ─────────────────────────────────────────────

    def squeeze(self) -> None:
        """One market moves to just beyond an account's line; then it is liquidated, perhaps again at once."""
        c = self._c
        exposed = [key for key, a in self.state.accounts.items() if a.markets and pool_of(key) in self.state.pools]
        if not exposed:
            self.trade()
            return
        account = c.pick(exposed)
        pool = pool_of(account)
        if c.one_in(3):
            # The others' prices get old, and some are lost.
            self._refresh(c.pick((60, 299, 3_900, 4_000)), all_but=c.below(4))
        h = self._health(account)
        legs = [leg for leg in h.legs if leg.size]
        if not legs:
            return
        leg = max(legs, key=lambda one: abs(one.size) * one.price)
        asset = self.state.market_terms[pool << 8 | leg.index].margin.asset
        notional = max(abs(leg.size) * leg.price // WAD, 1)
        by = max((h.equity - h.required) * 1000 // notional, 0) + 1 + c.pick(NEAR)
        self._upset()
        self._move(asset, -by if leg.size > 0 else by, c.pick((0, 1, 1, 2)))
        if c.one_in(4):
            self._contradict(asset)
        keeper = c.pick(self.cast.keepers)
        batch = (account,) if c.below(3) else (account, self._used_account(), account)
        self.take("liquidate", keeper, batch, self._keeper_account(pool), wait=c.pick((0, 0, 1)))
        kind = c.below(6)
        if kind == 0:
            self.take("liquidate", keeper, (account,), self._keeper_account(pool), wait=0)
        elif kind == 1:
            self.reduce(account)
        elif kind == 2:
            self._move(asset, c.pick((by, -by, 2, -2)), 1)
            self.take("liquidate", keeper, (account,), self._keeper_account(pool), wait=0)
        elif kind == 3:
            self.buy_collateral()

    def _health(self, account: int) -> Health:
        d = Draft(self.state)
        d.time, d.base_fee = self.time, self._base_fee
        d.begin()
        return health_of(d, account, get_account(d, account), load_pool(d, pool_of(account)))

    def _refresh(self, wait: int, all_but: int = 0) -> None:
        """Every feed publishes its price again, but perhaps one."""
        for number, asset in enumerate(sorted(self.state.assets), 1):
            if number != all_but:
                self._move(asset, 0, wait)
                wait = 0

    def _upset(self) -> None:
        """Perhaps the sequencer has just come up."""
        c = self._c
        if self.state.sequencer.feed and c.one_in(6):
            since = self.time - c.pick((0, 300, 599, 600))
            self.take("set_sequencer_status", self.cast.owner, False, since, wait=0)

    def _contradict(self, asset: int) -> None:
        """The secondary feed says something else than the primary, sometimes for long already."""
        c, one = self._c, self.state.assets[asset]
        if not one.secondary:
            return
        feed = self.state.feeds[one.feed]
        last = feed.rounds[feed.latest].answer if feed.latest else 0
        by = c.pick((-25, 25, -40, 40, 100, -100, 200, -200, 20, -20))
        other = last * (1000 + by) // 1000 * 10**one.secondary_decimals // 10**feed.decimals
        self.take("push_round", self.cast.owner, one.secondary, max(other, 1), self.time, wait=0)
        if c.one_in(3):
            self.accrue()
            self._move(asset, 0, c.pick((1, 119, 120, 121)))

    def reduce(self, account: int | None = None) -> None:
        """Somebody with a position closes part of it, or all, or all but dust."""
        c, s = self._c, self.state
        held = [(key, index) for (key, index) in s.positions if account in (None, key) and pool_of(key) in s.pools]
        if not held:
            return
        who, index = c.pick(held)
        market = pool_of(who) << 8 | index
        size = next((leg.size for leg in self._health(who).legs if leg.index == index), 0)
        if size == 0:
            return
        least = s.pool_terms[pool_of(who)].risk.min_notional * WAD // self._price(market)
        part = c.pick(
            (abs(size), abs(size) // 2, abs(size) // 3, max(abs(size) - least, 1), max(abs(size) - least // 2, 1))
        )
        self._order(who, market, -part if size > 0 else part, reduce_only=c.below(3) != 0)

    def _order(self, account: int, market: int, size: int, *, reduce_only: bool = False, by: int = 0) -> None:
        """Places an order of that size, lets its price come (moved by so many thousandths), executes it."""
        c, rules, risk = self._c, self.state.rules[market], self.state.pool_terms[market >> 8].risk
        fee = min(rules.min_keeper_fee, risk.keeper_floor)
        limit = 2**256 - 1 if size > 0 else 0
        args = (account, market, size, limit, self.time + MINUTES_5, fee, reduce_only, 0)
        if self.take("place_order", owner_of(account), *args, wait=0).refusal is not None:
            return
        asset = self.state.market_terms[market].margin.asset
        self._move(asset, by, rules.settlement_delay + c.pick((0, 0, 1)))
        if c.one_in(6):
            self._contradict(asset)
        self._execute(account, market, wait=c.pick((0, 1, 1, 2)))

    # ── winners ────────────────────────────────────────────────────────────

    def rally(self) -> None:
        """Whales take one side up to its caps, perhaps against smaller ones; the price runs their way, far; then
        winners are deleveraged, paid, or liquidated, LPs leave, and sides begin anew."""
        c = self._c
        market = c.pick(self._markets)
        pool, terms = market >> 8, self.state.market_terms[market]
        sign = 1 if c.below(3) else -1
        price = self._price(market)
        self._refresh(1)
        for number in range(1 + c.below(5)):
            account = account_id(self.cast.traders[number % len(self.cast.traders)], pool, c.below(2))
            size = terms.limits.max_position * (96 + c.below(161)) // 256
            kind = c.below(6)
            if kind == 0 and number:
                size = -size // 3
            elif kind < 3:
                size = min(max(self._room(market, sign) + c.pick((0, 0, 1, -1, NANO, WAD)), 0), size)
            self._bring(account, size * price // WAD * c.pick((8, 12, 30)) // 100)
            self._order(account, market, sign * size)
        for _ in range(1 + c.below(3)):
            self._run(terms.margin.asset, sign * c.pick((30, 150, 400, 700, 1500) if sign > 0 else (30, 150, 300, 500)))
            self._aftermath(market)

    def _room(self, market: int, sign: int) -> int:
        """Size that the cap of the skew still lets in, about."""
        m = self.state.markets[market]
        return int(self.state.market_terms[market].limits.skew_cap - sign * (m.long.shares - m.short.shares))

    def _bring(self, account: int, value: int) -> None:
        """The owner deposits settlement asset worth so much (WAD)."""
        pool = self.state.pool_terms[pool_of(account)]
        amount = abs(value) // pool.settlement.unit + 1
        self.take("deposit", owner_of(account), account, pool.token, amount, wait=0)

    def _run(self, asset: int, by: int) -> None:
        self._move(asset, by, self._c.pick((1, 1, 30)))

    def _aftermath(self, market: int) -> None:
        c = self._c
        pool = market >> 8
        for _ in range(1 + c.below(3)):
            kind = c.below(12)
            if kind < 2:
                self.take("deleverage", c.pick(self.cast.keepers), market, wait=0)
            elif kind < 4:
                self.reduce()
            elif kind < 6:
                self._liquidate_all()
            elif kind == 6:
                self._move(self.state.market_terms[market].margin.asset, c.pick((-20, 20, -200, -400, 300)), 1)
                self._liquidate_all()
            elif kind == 7:
                self.cycle(pool)
            elif kind == 8:
                self.withdraw()
            elif kind == 9:
                self.trade()
            else:
                everybody = [key for key, a in self.state.accounts.items() if a.markets and pool_of(key) == pool]
                self.take("close_settled", c.pick(self.cast.keepers), market, tuple(everybody[:6]), wait=0)

    # ── taking out ─────────────────────────────────────────────────────────

    def brink(self) -> None:
        """Somebody with positions, perhaps in several markets, takes out all he may, or a little more."""
        c = self._c
        exposed = [key for key, a in self.state.accounts.items() if a.markets and pool_of(key) in self.state.pools]
        if not exposed:
            self.trade()
            return
        account = c.pick(exposed)
        pool, held = pool_of(account), self.state.accounts[account].markets
        self._refresh(c.pick((1, 30)))
        for market in self._markets:
            if market >> 8 == pool and not held >> (market & 0xFF) & 1 and c.below(2):
                size = self.state.pool_terms[pool].risk.min_notional * WAD // self._price(market) * (2 + c.below(8))
                self._order(account, market, size if c.below(2) else -size)
        self._take_all(account, c.pick((0, 0, 1, -1)))

    def _take_all(self, account: int, more: int = 0) -> None:
        """Withdraws the most that margin and limits allow, and so much more."""
        owner, token = owner_of(account), self.state.pool_terms[pool_of(account)].token

        def lack(amount: int) -> Lack | None:
            action = Action("withdraw", owner, (account, token, amount, owner))
            refusal = apply(self.state, action, self.time, self._base_fee).refusal
            return None if refusal is None else lacking(refusal.name, refusal.values)

        most = largest(1 << 60, lack)
        self.take("withdraw", owner, account, token, max(most + more, 1), owner, wait=0)

    def edge(self) -> None:
        """The largest first position that margin lets in, or one that is too large by less than the keeper floor."""
        c = self._c
        market = c.pick(self._markets)
        account = account_id(c.pick(self.cast.traders), market >> 8, c.below(2))
        a = self.state.accounts.get(account)
        if a is not None and (a.markets or a.pending_orders):
            return
        self._refresh(1)
        self._bring(account, c.pick((20, 200, 5_000)) * WAD)
        terms, risk = self.state.market_terms[market], self.state.pool_terms[market >> 8].risk
        most = largest(terms.limits.max_position, lambda size: self._unfilled(account, market, size))
        beyond = risk.keeper_floor * PPM // terms.margin.im_base_ppm * WAD // self._price(market)
        self._order(account, market, most + beyond * c.pick((0, 1, 2, 3)) // 4)
        if c.below(2):
            # At the very time of the price that the fill was checked at.
            self._move(terms.margin.asset, -c.pick((20, 40, 80)), 0)
            keeper = c.pick(self.cast.keepers)
            self.take("liquidate", keeper, (account,), self._keeper_account(market >> 8), wait=0)

    def _unfilled(self, account: int, market: int, size: int) -> Lack | None:
        """What an order of that size lacks to be filled at the present price, by the model; None if it would be, or if
        it is too small."""
        owner, rules = owner_of(account), self.state.rules[market]
        feed = self.state.assets[self.state.market_terms[market].margin.asset].feed
        args = (account, market, size, 2**256 - 1, self.time + MINUTES_5, rules.min_keeper_fee, False, 0)
        placed = apply(self.state, Action("place_order", owner, args), self.time, self._base_fee)
        last = self.state.feeds[feed]
        if placed.refusal is not None or not last.latest:
            return "", 0
        then = self.time + rules.settlement_delay
        push = Action("push_round", owner, (feed, last.rounds[last.latest].answer, then))
        order = placed.state.queues[account, market].orders[0][0]
        execute = Action("execute_orders", owner, (((order, None),), account))
        filled = apply(apply(placed.state, push, then).state, execute, then)
        result, reason = filled.value[0]
        if reason is None:
            return None if result.name == "FILLED" else (result.name, 0)
        return None if reason[0] == "BelowMinNotional" else lacking(*reason)

    def drain(self) -> None:
        """Accounts borrow what there is on much collateral; whales win what is left, and everybody takes his money."""
        c, s = self._c, self.state
        kinds = sorted(s.collaterals)
        if not kinds:
            return
        pool = kinds[0][0]
        for number, index in enumerate(index for where, index in kinds if where == pool):
            one = s.collaterals[pool, index]
            account = account_id(self.cast.traders[number % len(self.cast.traders)], pool, 1)
            self._refresh(1)
            amount = one.cap * (4 - c.below(2)) // 4
            self.take("deposit", owner_of(account), account, one.token, amount, wait=0)
            self._take_all(account, c.pick((0, 1)))
        market = c.pick([one for one in self._markets if one >> 8 == pool])
        sign = 1 if c.below(3) else -1
        for _ in range(3 + c.below(3)):
            self._win(market, sign)
        self.time += 4 * MINUTES_5
        for queue in list(self.state.queues.values()):
            items = tuple((order, None) for order, _ in queue.orders)
            if items:
                self.take("expire_orders", self.cast.keepers[0], items, self._keeper_account(pool), wait=0)
        self._refresh(1)
        for account, a in list(self.state.accounts.items()):
            if a.raw_cash > 0 and pool_of(account) in self.state.pools:
                self._take_all(account, c.pick((0, 0, 1)))

    def _win(self, market: int, sign: int) -> None:
        """Whales take all the room on one side, the price runs their way, but not so far that the pool defends itself,
        and they close."""
        c, terms = self._c, self.state.market_terms[market]
        whales = [account_id(trader, market >> 8, 0) for trader in self.cast.traders[:3]]
        self._refresh(1)
        for account in whales:
            size = min(terms.limits.max_position, max(self._room(market, sign), 0))
            self._bring(account, size * self._price(market) // WAD // 6)
            self._order(account, market, sign * size)
        self._run(terms.margin.asset, sign * c.pick((200, 300, 400, 500)))
        for account in whales:
            size = next((leg.size for leg in self._health(account).legs if leg.index == market & 0xFF), 0)
            if account in self.state.accounts and size:
                self._order(account, market, -size, reduce_only=True)

    # ── LPs ────────────────────────────────────────────────────────────────

    def cycle(self, pool: int | None = None) -> None:
        """LPs ask to come and go, epochs are struck when they are due, and claims are taken in parts."""
        c = self._c
        pool = c.pick(sorted(self.state.lps)) if pool is None else pool
        one = self.state.lps[pool]
        for lp in self.cast.lps:
            kind = c.below(4)
            if kind < 2:
                shares = one.balances.get(lp, 0) * c.pick((1, 30, 128, 255, 256)) // 256
                self.take("request_redeem", lp, pool, shares, lp, lp, wait=c.pick((0, 60)))
            elif kind == 2:
                amount = one.min_deposit * c.pick((1, 7, 1000, 30_000)) + c.pick((0, 1, 333_333))
                self.take("request_deposit", lp, pool, amount, lp, lp, wait=c.pick((0, 60)))
        if c.one_in(10):
            self.take("set_terms", self.cast.owner, pool, 10**18, c.pick((0, WAD, 1000 * WAD)), wait=0)
        for _ in range(1 + c.below(2)):
            self._strike_when_due(pool, c.pick((0, 0, 0, -1, 1)))
            self._collect(pool)

    def _strike_when_due(self, pool: int, off: int) -> None:
        """Waits until the running epoch is due, with prices that have stood long enough, and strikes it."""
        c, one = self._c, self.state.lps[pool]
        epoch = 1 + (self.time - one.start) // one.epoch_length
        due = one.start + epoch * one.epoch_length + one.lp_delay + off
        self._refresh(max(due - self.time - c.pick((0, 0, 600)), 0))
        keeper = self._keeper_account(pool)
        self.take("strike", c.pick(self.cast.keepers), pool, keeper, wait=max(due - self.time, 0))

    def _collect(self, pool: int) -> None:
        """LPs take what they may, around all of it or a part."""
        c = self._c
        for lp in self.cast.lps:
            book = self.state.lps[pool].book
            into, out = book.claimable_total(Side.DEPOSIT, lp)
            if into:
                name, most = c.pick((("lp_deposit", into), ("lp_mint", out)))
                self.take(name, lp, pool, self._part(most), lp, lp, wait=0)
            into, out = book.claimable_total(Side.REDEEM, lp)
            if into or out:
                name, most = c.pick((("lp_redeem", into), ("lp_withdraw", out)))
                self.take(name, lp, pool, self._part(most), lp, lp, wait=0)
            refused = [epoch for epoch in book.epochs if book.refundable(lp, epoch)]
            if refused:
                self.take("claim_refund", lp, pool, refused[0], lp, lp, wait=0)

    def _part(self, most: int) -> int:
        return max(self._c.pick((most, most, most // 2, most // 3 + 1, 1, most + 1)), 1)

    # ── debt on collateral ─────────────────────────────────────────────────

    def borrow(self) -> None:
        """An account without positions borrows on collateral, much or dust; the collateral falls, and is sold."""
        c, s = self._c, self.state
        kinds = sorted(s.collaterals)
        if not kinds:
            return
        pool, index = c.pick(kinds)
        one = s.collaterals[pool, index]
        account = account_id(c.pick(self.cast.traders), pool, c.below(2))
        self._refresh(c.pick((1, 60)))
        price = s.asset_states[one.terms.asset].price
        worth = c.pick((1, 1, 3, 5, 8, 1000, 50_000)) * WAD + c.below(200) * WAD // 100
        amount = max(worth * 10**one.terms.decimals // price, 1)
        self.take("deposit", owner_of(account), account, one.token, amount, wait=0)
        terms = self.state.pool_terms[pool]
        a = self.state.accounts.get(account)
        debt = worth * one.terms.weight_initial_ppm // PPM * (200 + c.below(60)) // 256
        cash = a.raw_cash if a is not None else 0
        amount = (max(cash, 0) + debt) // terms.settlement.unit
        self.take("withdraw", owner_of(account), account, terms.token, amount, owner_of(account), wait=0)
        fall = c.pick((-150, -200, -300, -500, -850))
        self._move(one.terms.asset, fall, c.pick((1, 30)))
        keeper, where = c.pick(self.cast.keepers), self._keeper_account(pool)
        self.take("liquidate", keeper, (account,), where, wait=0)
        for _ in range(c.below(4)):
            wait = c.pick((0, 1, 300, 899, 900, 1500))
            self._move(one.terms.asset, c.pick((0, 0, 5, -5, 100, -300)), wait)
            if c.one_in(5):
                self._contradict(one.terms.asset)
            held = self.state.collateral.get((account, index), 0)
            wanted = c.pick((held, max(held // 2, 1), 1, 2**256 - 1, max(held // 10, 1)))
            if account in self.state.sales and c.below(5):
                self.take("buy_collateral", keeper, account, one.token, wanted, 2**256 - 1, wait=0)
            elif c.below(2):
                self.strike()
            else:
                self.take("liquidate", keeper, (account,), where, wait=0)
