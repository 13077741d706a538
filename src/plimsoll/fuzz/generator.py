"""Examples: sequences of steps that a population of traders, LPs, keepers, governance and a thief could take.

Amounts are constructed around the model's own boundaries (what is held, what margin allows, caps, least notionals) or
are log-uniform from 1 wei. Each choice comes from the bytes of the example; the state is the model's, so a choice can
aim.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from plimsoll.fuzz.choices import Choices
from plimsoll.fuzz.session import Step
from plimsoll.model.engine.actions import Action, Result
from plimsoll.model.engine.state import Order, State, account_id, owner_of
from plimsoll.units import NANO, PPM, WAD

__all__ = ["Cast", "Generator"]

Take = Callable[[Step], Result]
SECONDS = (0, 1, 1, 2, 3, 5, 12, 12, 30, 60, 300, 900, 3600, 4000, 21_600, 86_400)
LONG = (86_400, 604_800, 2_592_000)
MOVES = (0, 1, -1, 2, -2, 5, -5, 10, -10, 20, -20, 50, -50, 100, -100, 150, -150, 300, -300, -450, 600, -600)
"""Moves of a price in thousandths."""
BASE_FEES = (0, 0, 10**9, 10**9, 30 * 10**9, 500 * 10**9)
MANY = 2**256 - 1
HUGE = (2**112, 2**127, 2**128 - 1, 2**128, 2**255, MANY)
OFTEN = 12


@dataclass(frozen=True, slots=True)
class Cast:
    """Who acts; addresses as numbers."""

    owner: int
    guardian: int
    thief: int
    traders: Sequence[int]
    lps: Sequence[int]
    keepers: Sequence[int]

    @property
    def everybody(self) -> Sequence[int]:
        """All of them."""
        return (*self.traders, *self.lps, *self.keepers, self.thief, self.guardian, self.owner)


class Generator:
    """Decodes one example.

    :param take: takes a step in the model (and, sooner or later, on the chain) and gives its result.
    """

    def __init__(self, cast: Cast, state: State, take: Take, choices: Choices) -> None:
        self.cast = cast
        self.state = state
        self._take = take
        self._c = choices
        self.time = state.time
        self._base_fee = 0
        self._pools = sorted(state.pools)
        self._markets = sorted(state.markets)
        self._menu = self._weighted()

    def run(self, most: int) -> int:
        """Takes steps until the bytes are used up, or `most` of them; gives their number."""
        taken = 0
        while not self._c.done and taken < most:
            before = self._steps
            self._c.pick(self._menu)()
            taken += self._steps - before
        return taken

    _steps = 0

    # ── taking steps ───────────────────────────────────────────────────────

    def take(self, name: str, caller: int, *args: object, wait: int | None = None) -> Result:
        """Takes an action after a wait (seconds; None: a chosen one)."""
        if wait is None:
            wait = self._c.pick(SECONDS)
            if wait == 86_400 and self._c.one_in(4):
                wait = self._c.pick(LONG)
        self.time += wait
        self._steps += 1
        result = self._take(Step(Action(name, caller, args), self.time, self._base_fee))
        self.state = result.state
        return result

    def _weighted(self) -> list[Callable[[], object]]:
        menu: list[Callable[[], object]] = []
        for weight, choice in (
            (24, self.trade),
            (10, self.place),
            (8, self.execute),
            (3, self.cancel),
            (3, self.expire),
            (16, self.move_price),
            (12, self.crash),
            (10, self.liquidate),
            (8, self.buy_collateral),
            (12, self.deposit),
            (10, self.withdraw),
            (4, self.transfer),
            (3, self.claim),
            (3, self.deleverage),
            (3, self.accrue),
            (2, self.close_settled),
            (2, self.fund_insurance),
            (5, self.request_lp),
            (5, self.strike),
            (5, self.claim_lp),
            (3, self.pause),
            (2, self.lower_caps),
            (1, self.govern),
            (3, self.steal),
            (2, self.donate),
            (2, self.break_feed),
            (2, self.multicall),
            (2, self.change_base_fee),
        ):
            menu += [choice] * weight
        return menu

    # ── things to choose from ──────────────────────────────────────────────

    def _account(self, pool: int | None = None) -> int:
        """An account of a trader, rarely one of somebody else."""
        c = self._c
        owner = c.pick(self.cast.everybody) if c.one_in(OFTEN) else c.pick(self.cast.traders)
        return account_id(owner, pool if pool is not None else c.pick(self._pools), c.below(2))

    def _used_account(self) -> int:
        """An account that has something."""
        used = [one for one in self.state.accounts if self.state.accounts[one].version]
        return self._c.pick(used) if used and not self._c.one_in(OFTEN) else self._account()

    def _keeper_account(self, pool: int) -> int:
        c = self._c
        where = c.pick(self._pools) if c.one_in(6) else pool
        return account_id(c.pick(self.cast.keepers), where, 0)

    def _tokens(self, pool: int) -> list[int]:
        kinds = self.state.pool_terms[pool].settlement.collateral_count
        return [self.state.pool_terms[pool].token] + [
            self.state.collaterals[pool, index].token for index in range(kinds)
        ]

    def _amount(self, boundary: int, most: int | None = None) -> int:
        """Around a boundary, log-uniform, or absurd."""
        c = self._c
        kind = c.below(16)
        if kind < 7:
            return c.around(boundary)
        if kind < 9:
            return boundary
        if kind == 9:
            return c.pick((0, 1, *HUGE))
        return c.log_uniform(most if most is not None else max(2 * boundary, 10))

    def _price(self, market: int) -> int:
        asset = self.state.market_terms[market].margin.asset
        return self.state.asset_states[asset].price

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
            size = c.around(c.pick((terms.funding.max_position, terms.trade.oi_cap, terms.trade.skew_cap)))
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
        """Cancels an order, in time or too late, one's own or another's."""
        orders = self._pending()
        if orders:
            order = self._c.pick(orders)
            caller = owner_of(order.account) if not self._c.one_in(8) else self.cast.thief
            self.take("cancel_order", caller, order)

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

    # ── money ──────────────────────────────────────────────────────────────

    def _deposit(self, account: int, wait: int | None = None) -> None:
        c, s = self._c, self.state
        pool = account >> 80 & 0xFFFF
        tokens = self._tokens(pool)
        token = tokens[0] if c.below(3) else c.pick(tokens)
        decimals = s.tokens[token].decimals
        whole = 10**decimals
        kind = c.below(10)
        amount = whole * (1 + c.number(2)) // (1 if token == tokens[0] else 1000) + 1
        if kind == 0:
            amount = self._amount(whole)
        elif kind == 1:
            kinds = [one.cap for (where, _), one in s.collaterals.items() if where == pool and one.token == token]
            amount = c.around(kinds[0]) if kinds else c.log_uniform(10**9 * whole)
        caller = owner_of(account) if not c.one_in(8) else c.pick(self.cast.everybody)
        self.take("deposit", caller, account, token, amount, wait=wait)

    def deposit(self) -> None:
        """Tops up an account, one's own or another's, with any token."""
        c = self._c
        account = self._used_account() if c.one_in(2) else self._account()
        if c.one_in(40):
            account = c.pick((account_id(0, 1), account_id(self.cast.thief, 0x7777)))
            self.take("deposit", self.cast.thief, account, self._tokens(self._pools[0])[0], 1)
            return
        self._deposit(account)

    def _held(self, account: int, token: int) -> int:
        """Native units of a token in an account."""
        s, pool = self.state, account >> 80 & 0xFFFF
        if pool not in s.pools:
            return 0
        a = s.accounts.get(account)
        if token == s.pool_terms[pool].token:
            return max(a.raw_cash, 0) // s.pool_terms[pool].settlement.unit if a else 0
        for (where, index), one in s.collaterals.items():
            if where == pool and one.token == token:
                return s.collateral.get((account, index), 0)
        return 0

    def withdraw(self) -> None:
        """Takes out around what there is, or around what margin allows, or borrows."""
        c = self._c
        account = self._used_account()
        token = c.pick(self._tokens(account >> 80 & 0xFFFF))
        held = self._held(account, token)
        amount = self._amount(held * (1 + c.byte()) // 256 if c.one_in(2) else held, 10**15)
        caller = owner_of(account) if not c.one_in(16) else self.cast.thief
        to = caller if not c.one_in(16) else c.pick((0, self.state.clearinghouse, self.cast.thief))
        self.take("withdraw", caller, account, token, amount, to)

    def transfer(self) -> None:
        """Moves tokens between sub-accounts."""
        c = self._c
        account = self._used_account()
        pool = account >> 80 & 0xFFFF
        to = account ^ 1 if not c.one_in(8) else self._account(None if c.one_in(2) else pool)
        token = c.pick(self._tokens(pool))
        amount = self._amount(self._held(account, token))
        caller = owner_of(account) if not c.one_in(16) else self.cast.thief
        self.take("transfer", caller, account, to, token, amount)

    def claim(self) -> None:
        """Pays out a claim."""
        c, s = self._c, self.state
        people = self.cast.everybody
        open_claims = [key for key, amount in s.claims.items() if amount and key[2] in people]
        if open_claims and not c.one_in(6):
            pool, token, owner = c.pick(open_claims)
        else:
            pool, owner = c.pick(self._pools), c.pick(self.cast.everybody)
            token = c.pick(self._tokens(pool))
        self.take("claim", owner, pool, token, owner if not c.one_in(24) else 0)

    def fund_insurance(self) -> None:
        """Gives to a pool's insurance."""
        pool = self._c.pick(self._pools)
        unit = self.state.pool_terms[pool].settlement.unit
        self.take("fund_insurance", self._c.pick(self.cast.lps), pool, self._amount(100 * WAD // unit))

    def donate(self) -> None:
        """Sends tokens to a contract for nothing."""
        c = self._c
        token = c.pick(self._tokens(c.pick(self._pools)))
        self.take(
            "give_token", c.pick(self.cast.everybody), token, self.state.clearinghouse, self._amount(10**6, 10**20)
        )

    def multicall(self) -> None:
        """Several calls of the Clearinghouse in one."""
        c = self._c
        account = self._used_account()
        owner, token = owner_of(account), self._tokens(account >> 80 & 0xFFFF)[0]
        amount = self._amount(self._held(account, token))
        calls = [
            ("deposit", (account, token, 1 + c.number(3))),
            ("withdraw", (account, token, amount, owner)),
            ("transfer", (account, account ^ 1, token, amount)),
            ("accrue", (c.pick(self._markets),)),
            ("liquidate", ((account,), account)),
        ]
        chosen = tuple(c.pick(calls) for _ in range(1 + c.below(4)))
        self.take("multicall", owner, chosen)

    # ── liquidity ──────────────────────────────────────────────────────────

    def request_lp(self) -> None:
        """Asks to put money in, or take it out."""
        c, s = self._c, self.state
        pool, lp = c.pick(sorted(s.lps)), c.pick(self.cast.lps)
        one = s.lps[pool]
        if c.one_in(2):
            amount = self._amount(one.min_deposit, 10**7 * 10 ** s.tokens[one.asset].decimals)
            self.take("request_deposit", lp, pool, amount, lp, lp if not c.one_in(16) else self.cast.lps[0])
        else:
            shares = one.balances.get(lp, 0)
            self.take("request_redeem", lp, pool, self._amount(shares * (1 + c.byte()) // 256), lp, lp)

    def strike(self) -> None:
        """Strikes the epochs that are due; often after waiting for them, with fresh prices."""
        c, s = self._c, self.state
        pool = c.pick(sorted(s.lps))
        if c.below(4):
            one = s.lps[pool]
            epoch = 1 + (self.time - one.start) // one.epoch_length
            due = one.start + epoch * one.epoch_length + one.lp_delay
            if due - self.time < 40 * 86_400:
                wait: int | None = max(due - self.time, 0)
                for asset in sorted(s.assets):
                    self._move(asset, c.pick((0, 0, 0, 2, -2, 10)), wait)
                    wait = 0
        self.take("strike", c.pick(self.cast.keepers), pool, self._keeper_account(pool), wait=c.pick((0, 0, 1)))

    def claim_lp(self) -> None:
        """Claims shares or money of requests that were struck."""
        c, s = self._c, self.state
        pool, lp = c.pick(sorted(s.lps)), c.pick(self.cast.lps)
        name = c.pick(("lp_deposit", "lp_mint", "lp_redeem", "lp_withdraw", "claim_refund", "lp_transfer"))
        most = s.lps[pool].balances.get(lp, 0)
        if name == "claim_refund":
            self.take(name, lp, pool, c.below(8), lp, lp)
        elif name == "lp_transfer":
            self.take(name, lp, pool, c.pick(self.cast.lps), self._amount(most))
        else:
            self.take(name, lp, pool, self._amount(most, 10**15), lp, lp)

    # ── roles ──────────────────────────────────────────────────────────────

    def _ruler(self) -> int:
        c = self._c
        return c.pick((self.cast.owner, self.cast.owner, self.cast.guardian, self.cast.thief))

    def pause(self) -> None:
        """Sets or lifts pauses."""
        c = self._c
        if c.one_in(2):
            self.take("set_pause", self._ruler(), c.pick(self._pools), c.pick((0, 0, 0, 1, 2, 4, 7, 8)))
        else:
            self.take("set_reduce_only", self._ruler(), c.pick(self._markets), c.below(3) == 2)

    def lower_caps(self) -> None:
        """Lowers caps."""
        c = self._c
        market = c.pick(self._markets)
        trade = self.state.market_terms[market].trade
        oi = c.around(trade.oi_cap) // NANO * NANO
        skew = c.around(trade.skew_cap) // NANO * NANO
        self.take("lower_caps", self._ruler(), market, oi, skew)

    def govern(self) -> None:
        """Fees, settlement, roles."""
        c = self._c
        kind = c.below(6)
        if kind < 3:
            self.take("sweep_fees", self._ruler(), c.pick(self._pools), self.cast.owner)
        elif kind == 3:
            market = c.pick(self._markets)
            self.take("settle_market", self._ruler(), market, c.around(self._price(market)))
        elif kind == 4:
            self.take("set_guardian", self._ruler(), self.cast.guardian)
        else:
            pool = c.pick(sorted(self.state.lps))
            self.take("set_terms", self._ruler(), pool, c.pick((10**15, 10**17, 10**18, 0)), c.around(WAD))

    def steal(self) -> None:
        """The thief tries what he may not."""
        c, thief, s = self._c, self.cast.thief, self.state
        victim = self._used_account()
        pool = victim >> 80 & 0xFFFF
        token = self._tokens(pool)[0] if pool in s.pools else 0
        kind = c.below(6)
        if kind == 0:
            self.take("withdraw", thief, victim, token, self._amount(self._held(victim, token)), thief)
        elif kind == 1:
            self.take("transfer", thief, victim, account_id(thief, pool, 0), token, 1 + c.number(4))
        elif kind == 2:
            self.take("request_redeem", thief, c.pick(sorted(s.lps)), 1 + c.number(8), thief, c.pick(self.cast.lps))
        elif kind == 3:
            self.take("lp_redeem", thief, c.pick(sorted(s.lps)), 1 + c.number(4), thief, c.pick(self.cast.lps))
        elif kind == 4:
            self.take("take_ownership", thief)
        else:
            self.take("claim", thief, pool, token, thief)

    def change_base_fee(self) -> None:
        """Gas becomes dearer or cheaper."""
        self._base_fee = self._c.pick(BASE_FEES)
