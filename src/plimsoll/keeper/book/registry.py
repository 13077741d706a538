"""Everything of a deployment that is not an account: pools, markets, their events and parameters, orders, sales.

There are few of these, so they are kept as the records of the model, ready for its functions. Tables are changed in
place: a draft made from them is good until the next row.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

from plimsoll.keeper.book.errors import BookError
from plimsoll.keeper.book.records import (
    Order,
    OrderKey,
    OrderRules,
    collateral_params,
    market_params,
    order_of,
    pool_params,
    rules_of,
    signed,
    words_of,
)
from plimsoll.keeper.rows import Kind
from plimsoll.model.config_words import MarketFlags
from plimsoll.model.engine.parameters import (
    CollateralParams,
    MarketParams,
    PoolParams,
    blank_terms,
    collateral_terms,
    market_terms,
    pool_terms,
)
from plimsoll.model.engine.state import Collateral, Event, Market, MarketTerms, Pool, PoolTerms, Side
from plimsoll.model.word import ZERO_ADDRESS, checksum
from plimsoll.model.words import DebtWord, EventWord, FundingWord, PoolDuesWord, PoolMoneyWord, SidesWord

__all__ = ["Registry"]

NOTHING = bytes(32)


class Registry:
    """The small tables. Keys as in the model's `State`; addresses of tokens are numbers, share tokens text.

    Limits in `market_terms` are those that the market was last configured with; caps that were lowered since are in no
    row. Decimals of tokens are in no log: `unknown_tokens` says which must be asked for, `set_decimals` takes the
    answer. A collateral whose decimals are not known is not in `collaterals`, and an account that holds it cannot be
    valued.
    """

    def __init__(self) -> None:
        self.markets: dict[int, Market] = {}
        self.market_terms: dict[int, MarketTerms] = {}
        self.events: dict[tuple[int, bool, int], Event] = {}
        self.epoch_ends: dict[tuple[int, bool, int], int] = {}
        self.pools: dict[int, Pool] = {}
        self.pool_terms: dict[int, PoolTerms] = {}
        self.collaterals: dict[tuple[int, int], Collateral] = {}
        self.shares: dict[int, str] = {}
        self.rules: dict[int, OrderRules] = {}
        self.orders: dict[OrderKey, Order] = {}
        self.sales: dict[bytes, int] = {}
        self.claims: dict[tuple[int, int, int], int] = {}
        self.decimals: dict[int, int] = {}
        self.histories: dict[int, int] = {}
        """Market → how often its events and epochs were written; a block taken back writes them too."""
        self._pool_params: dict[int, PoolParams] = {}
        self._market_params: dict[int, MarketParams] = {}
        self._collateral_params: dict[tuple[int, int], CollateralParams] = {}
        self._flags: dict[int, int] = {}
        self._pauses: dict[int, int] = {}
        self._debts: dict[int, DebtWord] = {}
        self._sums: dict[int, tuple[int, int, int]] = {}

    # ── tokens ─────────────────────────────────────────────────────────────

    def unknown_tokens(self) -> list[int]:
        """Addresses of tokens whose decimals are not known."""
        tokens = {params.settlement_token for params in self._pool_params.values()}
        tokens |= {params.token for params in self._collateral_params.values()}
        return sorted(tokens - self.decimals.keys())

    def set_decimals(self, token: int, decimals: int) -> None:
        """Takes the decimals of a token, as its contract tells them."""
        self.decimals[token] = decimals
        for key, params in self._collateral_params.items():
            if params.token == token:
                self._set_collateral(key, params)
        for pool, one in self._pool_params.items():
            if one.settlement_token == token:
                self._set_pool_terms(pool)

    # ── rows ───────────────────────────────────────────────────────────────

    def put(self, kind: int, key: bytes, value: bytes | None) -> None:
        """Takes a row of a kind that is no account, position or balance.

        :raises BookError: there is no such kind.
        """
        take = _TAKERS.get(kind)
        if take is None:
            raise BookError(f"a row of kind {kind} is not known; the rows were written by another version")
        take(self, key, value)

    def _sale(self, key: bytes, value: bytes | None) -> None:
        if value is None or value == NOTHING:
            self.sales.pop(key, None)
        else:
            self.sales[key] = int.from_bytes(value, "big")

    def _order(self, key: bytes, value: bytes | None) -> None:
        if value is None:
            self.orders.pop((key[:32], int.from_bytes(key[32:35], "big"), int.from_bytes(key[35:], "big")), None)
            return
        order = order_of(key, value)
        self.orders[order.key] = order

    def _market(self, key: bytes, value: bytes | None) -> None:
        market = int.from_bytes(key, "big")
        if value is None:
            self.markets.pop(market, None)
            return
        words = words_of(value)
        moved, sides = FundingWord.unpack(words[0]), SidesWord.unpack(words[1])
        y_long, y_short, owed = self._sums.get(market, (0, 0, 0))
        long = Side(sides.long_shares, sides.long_event, signed(words[2]), y_long)
        short = Side(sides.short_shares, sides.short_event, signed(words[3]), y_short)
        self.markets[market] = Market(moved.index, moved.rate, moved.time, moved.price, owed, long, short)

    def _open_sums(self, key: bytes, value: bytes | None) -> None:
        market = int.from_bytes(key, "big")
        y_long, y_short, owed = (0, 0, 0) if value is None else map(signed, words_of(value))
        self._sums[market] = (y_long, y_short, owed)
        m = self.markets.get(market)
        if m is not None:
            long = dataclasses.replace(m.long, open_entry_sum=y_long)
            short = dataclasses.replace(m.short, open_entry_sum=y_short)
            self.markets[market] = dataclasses.replace(m, owed=owed, long=long, short=short)

    def _side_event(self, key: bytes, value: bytes | None) -> None:
        name = self._side_name(key)
        if value is None:
            self.events.pop(name, None)
            return
        word = EventWord.unpack(int.from_bytes(value, "big"))
        self.events[name] = Event(word.scale, word.offset, word.epoch)

    def _side_name(self, key: bytes) -> tuple[int, bool, int]:
        market = int.from_bytes(key[:3], "big")
        self.histories[market] = self.histories.get(market, 0) + 1
        return market, bool(key[3]), int.from_bytes(key[4:], "big")

    def _epoch_end(self, key: bytes, value: bytes | None) -> None:
        name = self._side_name(key)
        if value is None:
            self.epoch_ends.pop(name, None)
        else:
            self.epoch_ends[name] = signed(int.from_bytes(value, "big"))

    def _pool(self, key: bytes, value: bytes | None) -> None:
        pool = int.from_bytes(key, "big")
        if value is None:
            self.pools.pop(pool, None)
            return
        words = words_of(value)
        money, dues, debt = PoolMoneyWord.unpack(words[0]), PoolDuesWord.unpack(words[1]), self._debts.get(pool)
        one = Pool(money.cash, money.insurance, dues.fees, dues.loss_sum, dues.escrow)
        self.pools[pool] = one if debt is None else _with_debt(one, debt)

    def _debt(self, key: bytes, value: bytes | None) -> None:
        pool = int.from_bytes(key, "big")
        if value is None:
            self._debts.pop(pool, None)
            return
        debt = self._debts[pool] = DebtWord.unpack(int.from_bytes(value, "big"))
        if pool in self.pools:
            self.pools[pool] = _with_debt(self.pools[pool], debt)

    def _pool_config(self, key: bytes, value: bytes | None) -> None:
        pool = int.from_bytes(key, "big")
        if value is None:
            self._pool_params.pop(pool, None)
            self.pool_terms.pop(pool, None)
            return
        self._pool_params[pool] = pool_params(value)
        self._set_pool_terms(pool)

    def _share_token(self, key: bytes, value: bytes | None) -> None:
        pool = int.from_bytes(key, "big")
        if value is None:
            self.shares.pop(pool, None)
        else:
            self.shares[pool] = checksum(int.from_bytes(value, "big"))
        self._set_pool_terms(pool)

    def _pause(self, key: bytes, value: bytes | None) -> None:
        pool = int.from_bytes(key, "big")
        self._pauses[pool] = 0 if value is None else int.from_bytes(value, "big")
        self._set_pool_terms(pool)

    def _market_config(self, key: bytes, value: bytes | None) -> None:
        market = int.from_bytes(key, "big")
        if value is None:
            self._market_params.pop(market, None)
            self.market_terms.pop(market, None)
        else:
            self._market_params[market] = market_params(value)
            self._set_market_terms(market)
        self._set_pool_terms(market >> 8)

    def _market_flags(self, key: bytes, value: bytes | None) -> None:
        market = int.from_bytes(key, "big")
        if value is None:
            self._flags.pop(market, None)
        else:
            self._flags[market] = int.from_bytes(value, "big")
        self._set_market_terms(market)

    def _collateral_config(self, key: bytes, value: bytes | None) -> None:
        name = int.from_bytes(key[:2], "big"), key[2]
        if value is None:
            self._collateral_params.pop(name, None)
            self.collaterals.pop(name, None)
        else:
            self._collateral_params[name] = collateral_params(value)
            self._set_collateral(name, self._collateral_params[name])
        self._set_pool_terms(name[0])

    def _rules(self, key: bytes, value: bytes | None) -> None:
        market = int.from_bytes(key, "big")
        if value is None:
            self.rules.pop(market, None)
        else:
            self.rules[market] = rules_of(value)

    def _claim(self, key: bytes, value: bytes | None) -> None:
        name = int.from_bytes(key[:2], "big"), int.from_bytes(key[2:22], "big"), int.from_bytes(key[22:], "big")
        if value is None or value == NOTHING:
            self.claims.pop(name, None)
        else:
            self.claims[name] = int.from_bytes(value, "big")

    # ── terms ──────────────────────────────────────────────────────────────

    def _set_collateral(self, key: tuple[int, int], params: CollateralParams) -> None:
        decimals = self.decimals.get(params.token)
        if decimals is not None:
            self.collaterals[key] = collateral_terms(params, decimals)

    def _set_market_terms(self, market: int) -> None:
        params = self._market_params.get(market)
        if params is not None:
            self.market_terms[market] = market_terms(params, self._flags.get(market, int(MarketFlags.LISTED)))

    def _set_pool_terms(self, pool: int) -> None:
        params = self._pool_params.get(pool)
        if params is None:
            return
        token = params.settlement_token
        terms = pool_terms(params, blank_terms(token, self.decimals.get(token, 18)))
        settlement = dataclasses.replace(
            terms.settlement,
            market_count=sum(market >> 8 == pool for market in self._market_params),
            collateral_count=sum(key[0] == pool for key in self._collateral_params),
        )
        risk = dataclasses.replace(terms.risk, pause_flags=self._pauses.get(pool, 0))
        liquidity = dataclasses.replace(terms.liquidity, share_token=self.shares.get(pool, ZERO_ADDRESS))
        self.pool_terms[pool] = dataclasses.replace(terms, settlement=settlement, risk=risk, liquidity=liquidity)


def _with_debt(pool: Pool, debt: DebtWord) -> Pool:
    return dataclasses.replace(pool, scaled_debt=debt.scaled_debt, borrow_index=debt.borrow_index, debt_time=debt.time)


_TAKERS: Mapping[int, Callable[[Registry, bytes, bytes | None], None]] = {
    Kind.SALE: Registry._sale,
    Kind.ORDER: Registry._order,
    Kind.MARKET: Registry._market,
    Kind.OPEN_SUMS: Registry._open_sums,
    Kind.SIDE_EVENT: Registry._side_event,
    Kind.EPOCH_END: Registry._epoch_end,
    Kind.POOL: Registry._pool,
    Kind.DEBT: Registry._debt,
    Kind.POOL_CONFIG: Registry._pool_config,
    Kind.MARKET_CONFIG: Registry._market_config,
    Kind.COLLATERAL_CONFIG: Registry._collateral_config,
    Kind.SHARE_TOKEN: Registry._share_token,
    Kind.ORDER_RULES: Registry._rules,
    Kind.MARKET_FLAGS: Registry._market_flags,
    Kind.PAUSE: Registry._pause,
    Kind.CLAIM: Registry._claim,
}
