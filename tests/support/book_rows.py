"""A state of the model as the keeper's rows: what the logs that led to it would have left."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from plimsoll.keeper.rows import Kind, collateral_key, market_key, order_key, pool_key, position_key, side_key
from plimsoll.model.engine.parameters import CollateralParams, MarketParams, PoolParams
from plimsoll.model.engine.state import Account, Market, Order, Position, State
from plimsoll.model.words import (
    AccountWord,
    DebtWord,
    EventWord,
    FundingWord,
    PoolDuesWord,
    PoolFlags,
    PoolMoneyWord,
    PositionWord,
    SidesWord,
)

__all__ = ["account_word", "decimals_of", "market_value", "params_value", "position_word", "rows_of", "word"]

StoredRow = tuple[int, bytes, bytes]


def word(value: int) -> bytes:
    """A number as a word."""
    return (value % 2**256).to_bytes(32, "big")


def account_word(a: Account) -> bytes:
    """An account as stored."""
    fields = (a.raw_cash, a.markets, a.collaterals, a.version, a.last_check, a.pending_orders)
    return word(AccountWord(*fields).pack())


def position_word(p: Position) -> bytes:
    """A position as stored."""
    return word(PositionWord(p.shares, p.entry, p.last_event).pack())


def market_value(m: Market) -> bytes:
    """The words of a market that its row holds."""
    funding = FundingWord(m.index, m.rate, m.time, m.price).pack()
    sides = SidesWord(m.long.shares, m.short.shares, m.long.events, m.short.events).pack()
    return b"".join(map(word, (funding, sides, m.long.entry_sum, m.short.entry_sum)))


def params_value(params: Any) -> bytes:
    """Parameters as the data of their event."""
    return b"".join(word(getattr(params, name)) for name in params.__slots__)


def decimals_of(state: State) -> dict[int, int]:
    """Decimals of the tokens that a state names."""
    found = {terms.token: terms.settlement.decimals for terms in state.pool_terms.values()}
    return found | {one.token: one.terms.decimals for one in state.collaterals.values()}


def rows_of(state: State) -> Iterator[StoredRow]:
    """All rows of a state but claims and order rules."""
    yield from _accounts(state)
    yield from _markets(state)
    yield from _pools(state)


def _account(number: int) -> bytes:
    return number.to_bytes(32, "big")


def _accounts(state: State) -> Iterator[StoredRow]:
    for number, a in state.accounts.items():
        yield Kind.ACCOUNT, _account(number), account_word(a)
    for (number, index), position in state.positions.items():
        yield Kind.POSITION, position_key(_account(number), index), position_word(position)
    for (number, index), balance in state.collateral.items():
        yield Kind.COLLATERAL, collateral_key(_account(number), index), word(balance)
    for number, start in state.sales.items():
        yield Kind.SALE, _account(number), word(start)
    for queue in state.queues.values():
        for order, price_time in queue.orders:
            yield Kind.ORDER, order_key(_account(order.account), order.market, order.id), _order(order, price_time)


def _order(o: Order, price_time: int) -> bytes:
    numbers = (o.placed_at, o.size_delta, o.limit_price, o.expiry, o.keeper_fee, int(o.reduce_only), o.client_id)
    return b"".join(map(word, (*numbers, price_time)))


def _markets(state: State) -> Iterator[StoredRow]:
    for market, m in state.markets.items():
        yield Kind.MARKET, market_key(market), market_value(m)
        sums = (m.long.open_entry_sum, m.short.open_entry_sum, m.owed)
        if any(sums):
            yield Kind.OPEN_SUMS, market_key(market), b"".join(map(word, sums))
    for (market, long, number), event in state.events.items():
        packed = EventWord(event.scale, event.offset, event.epoch).pack()
        yield Kind.SIDE_EVENT, side_key(market, long, number), word(packed)
    for (market, long, epoch), end in state.epoch_ends.items():
        yield Kind.EPOCH_END, side_key(market, long, epoch), word(end)
    for market, terms in state.market_terms.items():
        yield Kind.MARKET_CONFIG, market_key(market), params_value(MarketParams.of(terms))
        yield Kind.MARKET_FLAGS, market_key(market), word(terms.margin.flags)


def _pools(state: State) -> Iterator[StoredRow]:
    for pool, p in state.pools.items():
        clear = PoolFlags.CLEAR if p.scaled_debt == 0 and p.cash >= 0 else 0
        dues = PoolDuesWord(p.fees, p.loss_sum, p.escrow, int(PoolFlags.OPEN | clear)).pack()
        yield Kind.POOL, pool_key(pool), word(PoolMoneyWord(p.cash, p.insurance).pack()) + word(dues)
        yield Kind.DEBT, pool_key(pool), word(DebtWord(p.scaled_debt, p.borrow_index, p.debt_time).pack())
    for pool, terms in state.pool_terms.items():
        yield Kind.POOL_CONFIG, pool_key(pool), params_value(PoolParams.of(terms))
        yield Kind.PAUSE, pool_key(pool), word(terms.risk.pause_flags)
        yield Kind.SHARE_TOKEN, pool_key(pool), word(int(terms.liquidity.share_token, 16))
    for (pool, index), one in state.collaterals.items():
        yield (
            Kind.COLLATERAL_CONFIG,
            pool_key(pool) + bytes([index]),
            params_value(CollateralParams.of(one)),
        )
