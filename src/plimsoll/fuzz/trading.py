"""Steps of traders and of prices: orders, moves of feeds, crashes, liquidations, sales."""

from __future__ import annotations

from plimsoll.fuzz.money import Money
from plimsoll.fuzz.population import MANY, OFTEN, SECONDS
from plimsoll.model.engine.actions import Result
from plimsoll.model.engine.state import Order, owner_of
from plimsoll.units import NANO, PPM, WAD

__all__ = ["Trading"]


MOVES = (0, 1, -1, 2, -2, 5, -5, 10, -10, 20, -20, 50, -50, 100, -100, 150, -150, 300, -300, -450, 600, -600)
"""Moves of a price in thousandths."""


class Trading(Money):
    """Orders, prices, liquidation."""

    # ── trading ────────────────────────────────────────────────────────────

    def _size(self, account: int, market: int) -> int:
        """A signed size: around what margin allows, around a cap, around the position, or log-uniform."""
        c, s = self._c, self.state
        price, terms = self._price(market), s.market_terms[market]
        risk = s.pool_terms[market >> 8].risk
        least = risk.min_notional * WAD // price + 1
        kind = c.below(12)
        position = s.positions.get((account, market & 0xFF))
        held = abs(position.shares) if position else 0
        if kind < 6:
            a = s.accounts.get(account)
            cash = max(a.raw_cash, 0) if a else 0
            for (holder, index), balance in s.collateral.items():
                one = s.collaterals.get((market >> 8, index))
                if holder == account and one is not None:
                    spot = s.asset_states[one.terms.asset].price
                    cash += balance * spot * one.terms.weight_initial_ppm // PPM // 10**one.terms.decimals
            allowed = cash * PPM * WAD // (max(terms.margin.im_base_ppm, 1) * price)
            size = allowed * (1 + c.byte()) // (200 if c.one_in(4) else 400)
            if size < least and not c.one_in(8):
                size = least * (5 + c.byte()) // 4
        elif kind < 8:
            size = c.around(held) if held else least * (1 + c.byte())
        elif kind == 8:
            size = c.around(least)
        elif kind == 9:
            size = c.around(c.pick((terms.limits.max_position, terms.limits.oi_cap, terms.limits.skew_cap)))
        elif kind == 10:
            size = c.pick((0, 1, 2**103, 2**120, 2**255 - 1))
        else:
            size = c.log_uniform(10**24)
        return -size if c.byte() & 1 else size

    def _place(self, account: int, market: int) -> Result:
        c, s = self._c, self.state
        size = self._size(account, market)
        price = self._price(market)
        position = s.positions.get((account, market & 0xFF))
        reduce_only = position is not None and c.below(3) != 0
        if reduce_only and position is not None and not c.one_in(OFTEN):
            size = -abs(size) if position.shares > 0 else abs(size)
        limit = MANY if size > 0 else 0
        if c.one_in(6):
            limit = c.around(price * (1000 + c.pick((-20, -1, 0, 1, 20))) // 1000)
        rules = s.rules.get(market)
        least = rules.min_keeper_fee if rules else 0
        floor = s.pool_terms[market >> 8].risk.keeper_floor
        unit = max(s.pool_terms[market >> 8].settlement.unit, NANO)
        fees = (least, least, least, least, least, floor // unit * unit, floor // unit * unit, least + unit)
        fee = c.pick(fees) if not c.one_in(OFTEN) else c.pick((0, floor + unit, least + 1))
        lives = (300, 300, 120, 3500, 90, 1800)
        expiry = self.time + (c.pick(lives) if not c.one_in(OFTEN) else c.pick((3600, 3601, 60, 59, 0, -2)))
        caller = owner_of(account)
        if c.one_in(24):
            caller = c.pick(self.cast.everybody)
        return self.take(
            "place_order", caller, account, market, size, limit, expiry + 2, fee, reduce_only, 0, wait=c.pick((0, 1, 2))
        )

    def place(self) -> None:
        """Places an order and leaves it."""
        account = self._used_account()
        markets = [one for one in self._markets if one >> 8 == account >> 80 & 0xFFFF]
        self._place(account, self._c.pick(self._markets if self._c.one_in(24) or not markets else markets))

    def trade(self) -> None:
        """Tops up if need be, places an order, lets its price come, executes it."""
        c = self._c
        account = self._account() if c.one_in(3) else self._used_account()
        pool = account >> 80 & 0xFFFF
        a = self.state.accounts.get(account)
        if a is None or (a.raw_cash <= 0 and not a.collaterals):
            self._deposit(account, wait=0)
        markets = [one for one in self._markets if one >> 8 == pool]
        if not markets:
            return
        market = c.pick(markets)
        placed = self._place(account, market)
        if placed.refusal is not None:
            return
        rules = self.state.rules[market]
        wait = rules.settlement_delay + c.pick((0, 0, 1, 2))
        self._move(self.state.market_terms[market].margin.asset, c.pick((0, 0, 1, -1, 5, -5, 20, -20)), wait)
        self._execute(account, market, wait=c.pick((0, 1, 2, rules.exec_window, rules.exec_window + 1)))

    def _execute(self, account: int, market: int, wait: int | None = None) -> None:
        c = self._c
        queue = self.state.queues.get((account, market))
        if queue is None or not queue.orders:
            return
        items = [(order, None) for order, _ in (queue.orders if c.one_in(2) else queue.orders[:1])]
        name = "expire_orders" if c.one_in(OFTEN) else "execute_orders"
        keeper = c.pick(self.cast.keepers)
        self.take(name, keeper, tuple(items), self._keeper_account(market >> 8), wait=wait)

    def _pending(self) -> list[Order]:
        return [order for queue in self.state.queues.values() for order, _ in queue.orders]

    def _batch(self, name: str) -> None:
        """Executes or expires a choice of all pending orders, with the right hint, the newest round, or a wrong one."""
        c = self._c
        orders = self._pending()[:12]
        if not orders:
            return
        items = []
        for order in orders:
            if c.below(4) == 0:
                continue
            hint = None
            if c.one_in(3):
                asset = self.state.market_terms[order.market].margin.asset
                feed = self.state.feeds[self.state.assets[asset].feed]
                hint = (c.pick((max(feed.latest - c.below(4), 1), feed.latest + 1)), 0)
            items.append((order, hint))
        if c.one_in(16) and items:
            items.append(items[0])
        self.take(name, c.pick(self.cast.keepers), tuple(items), self._keeper_account(c.pick(self._pools)))

    def execute(self) -> None:
        """Executes several orders at once."""
        self._batch("execute_orders")

    def expire(self) -> None:
        """Expires several orders at once."""
        self._batch("expire_orders")

    def cancel(self) -> None:
        """Cancels an order, in time or too late, often to the second, one's own or another's."""
        c = self._c
        pending = [entry for queue in self.state.queues.values() for entry in queue.orders]
        if not pending:
            return
        order, price_time = c.pick(pending)
        caller = owner_of(order.account) if not c.one_in(8) else self.cast.thief
        left = price_time - self.state.rules[order.market].cancel_margin - self.time
        wait = left + c.pick((0, 0, -1)) if left > 0 and c.one_in(2) else None
        self.take("cancel_order", caller, order, wait=wait)

    # ── prices ─────────────────────────────────────────────────────────────

    def _move(self, asset: int, thousandths: int, wait: int | None, published: int | None = None) -> None:
        c, s = self._c, self.state
        one = s.assets[asset]
        feed = s.feeds.get(one.feed)
        if feed is None:
            return
        last = feed.rounds[feed.latest].answer if feed.latest else 10**feed.decimals
        if last <= 0 or not 10 ** (feed.decimals - 2) < last < 10 ** (feed.decimals + 7):
            last = max(s.asset_states[asset].price // 10 ** (18 - feed.decimals), 1)
        answer = max(last * (1000 + thousandths) // 1000, 1)
        wait = c.pick(SECONDS) if wait is None else wait
        told = self.time + wait if published is None else published
        self.take("push_round", self.cast.owner, one.feed, answer, told, wait=wait)

    def move_price(self) -> None:
        """One feed publishes a step, a stale or future time, nothing, or nonsense."""
        c = self._c
        asset = c.pick(sorted(self.state.assets))
        kind = c.below(24)
        if kind == 0:
            self._move(asset, 0, None, max(self.time - c.pick((60, 3600, 90_000)), 1))
        elif kind == 1:
            self._move(asset, 0, None, self.time + c.pick((100_000, 200_000)))
        elif kind == 2 and self.state.assets[asset].feed:
            answer = c.pick((0, -1, 1, 2**87, 2**127))
            self.take("push_round", self.cast.owner, self.state.assets[asset].feed, answer, self.time, wait=0)
        else:
            self._move(asset, c.pick(MOVES), None)

    def crash(self) -> None:
        """All feeds move the same way, hard; then whoever is below the line is liquidated."""
        c = self._c
        by = c.pick((-20, 20, -50, 50, -100, 100, -150, 150, -250, 250, -400, 500))
        for asset in sorted(self.state.assets):
            if not c.one_in(6):
                self._move(asset, by * (6 + c.below(5)) // 10, c.pick((0, 1, 2)))
        for _ in range(1 + c.below(2)):
            self._liquidate_all()
        if c.one_in(2):
            self.buy_collateral()

    def break_feed(self) -> None:
        """A feed ceases to answer, or begins again."""
        c = self._c
        feed = c.pick(sorted(self.state.feeds))
        self.take("set_feed_answers", self.cast.owner, feed, bool(c.below(4)))

    def deviate(self) -> None:
        """A secondary feed publishes, near its primary or far from it; then the price is used."""
        c, s = self._c, self.state
        guarded = [asset for asset, one in sorted(s.assets.items()) if one.secondary]
        if not guarded:
            return
        asset = c.pick(guarded)
        one = s.assets[asset]
        self._move(asset, c.pick((0, 1, -1, 5, -5, 60, -60)), c.pick((0, 1)))
        price = self.state.asset_states[asset].price // 10 ** (18 - one.secondary_decimals)
        by = c.pick((0, 20, -20, 21, -21, 30, -30, 80, -80, 150, -150, -300))
        other = c.pick((0, -1)) if c.one_in(24) else max(price * (1000 + by) // 1000, 1)
        self.take("push_round", self.cast.owner, one.secondary, other, self.time, wait=0)
        kind = c.below(6)
        if kind == 0:
            self.trade()
        elif kind == 1:
            self.accrue()
            self._move(asset, 0, c.pick((119, 120, 121, 299, 301)))
            self._liquidate_all()
        elif kind < 4:
            self._liquidate_all()
        elif kind == 4:
            self.buy_collateral()

    def change_sequencer(self) -> None:
        """The sequencer goes down, or came up some time ago; then accounts are liquidated or orders executed."""
        c = self._c
        if not self.state.sequencer.feed:
            return
        down = c.below(3) == 0
        since = c.pick((0, 10, 599, 600, 601, 100_000)) if not c.one_in(8) else c.pick((-10, self.time))
        self.take("set_sequencer_status", self.cast.owner, down, self.time - since, wait=0)
        if c.one_in(2):
            self.crash()
        else:
            c.pick((self.trade, self.execute, self.accrue))()
        if c.below(4):
            self.take("set_sequencer_status", self.cast.owner, False, max(self.time - 10_000, 1), wait=0)

    # ── liquidation ────────────────────────────────────────────────────────

    def _liquidate_all(self) -> None:
        c = self._c
        accounts = [key for key, a in self.state.accounts.items() if a.markets or a.raw_cash < 0]
        if not accounts:
            return
        first = c.below(len(accounts))
        batch = (accounts[first:] + accounts[:first])[: 1 + c.below(10)]
        keeper = c.pick(self.cast.keepers)
        self.take(
            "liquidate", keeper, tuple(batch), self._keeper_account(batch[0] >> 80 & 0xFFFF), wait=c.pick((0, 1, 2))
        )

    def liquidate(self) -> None:
        """Liquidates some accounts, healthy ones among them, perhaps one twice."""
        c = self._c
        batch = [self._used_account() for _ in range(1 + c.below(4))]
        keeper = c.pick(self.cast.keepers if not c.one_in(8) else self.cast.everybody)
        self.take("liquidate", keeper, tuple(batch), self._keeper_account(batch[0] >> 80 & 0xFFFF))

    def buy_collateral(self) -> None:
        """Buys collateral on sale; rarely of somebody who is not."""
        c, s = self._c, self.state
        on_sale = list(s.sales)
        account = c.pick(on_sale) if on_sale and not c.one_in(8) else self._used_account()
        pool = account >> 80 & 0xFFFF
        kinds = [(index, one) for (where, index), one in s.collaterals.items() if where == pool]
        if not kinds:
            return
        index, one = c.pick(kinds)
        balance = s.collateral.get((account, index), 0)
        price = s.asset_states[one.terms.asset].price
        limit = MANY if not c.one_in(6) else c.around(price)
        amount = MANY if c.one_in(4) else self._amount(balance)
        self.take("buy_collateral", c.pick(self.cast.keepers), account, one.token, amount, limit)

    def deleverage(self) -> None:
        """Asks for deleveraging of a market."""
        self.take("deleverage", self._c.pick(self.cast.keepers), self._c.pick(self._markets))

    def accrue(self) -> None:
        """Accrues a market, rarely one that does not exist."""
        market = 0x7707 if self._c.one_in(24) else self._c.pick(self._markets)
        self.take("accrue", self._c.pick(self.cast.everybody), market)

    def close_settled(self) -> None:
        """Closes some accounts of a market, settled or not."""
        c = self._c
        market = c.pick(self._markets)
        batch = tuple(self._used_account() for _ in range(1 + c.below(3)))
        self.take("close_settled", c.pick(self.cast.everybody), market, batch)
