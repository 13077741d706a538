"""The values of rows as records of the model: words of storage and data of events, read without an ABI codec.

The data of an event with a struct of static fields is one word for each field, in the order of the struct; the records
of the model have the same fields in the same order, which a test compares with the contracts' ABI.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from plimsoll.model.engine.parameters import CollateralParams, MarketParams, PoolParams

__all__ = [
    "Order",
    "OrderKey",
    "OrderRules",
    "collateral_params",
    "market_params",
    "order_of",
    "pool_of",
    "pool_params",
    "rules_of",
    "signed",
    "words_of",
]

OrderKey: TypeAlias = tuple[bytes, int, int]
"""Account, market and id of an order."""
WORD = 32


@dataclass(frozen=True, slots=True)
class Order:
    """A pending order, fields as the OrderBook's struct has them, and the time from which a price is its price."""

    account: bytes
    market: int
    id: int
    placed_at: int
    size_delta: int
    limit_price: int
    expiry: int
    keeper_fee: int
    reduce_only: bool
    client_id: bytes
    price_time: int

    @property
    def key(self) -> OrderKey:
        """Account, market and id."""
        return self.account, self.market, self.id

    def struct(self) -> tuple[Any, ...]:
        """As calldata."""
        return (
            self.account,
            self.market,
            self.id,
            self.placed_at,
            self.size_delta,
            self.limit_price,
            self.expiry,
            self.keeper_fee,
            self.reduce_only,
            self.client_id,
        )


@dataclass(frozen=True, slots=True)
class OrderRules:
    """What the OrderBook demands of a market's orders: times in seconds, fee WAD."""

    asset: int
    settlement_delay: int
    cancel_margin: int
    exec_window: int
    latency: int
    min_keeper_fee: int


def pool_of(account: bytes) -> int:
    """The pool of an account."""
    return int.from_bytes(account[20:22], "big")


def words_of(value: bytes) -> list[int]:
    """The words of a value, unsigned."""
    return [int.from_bytes(value[at : at + WORD], "big") for at in range(0, len(value), WORD)]


def signed(word: int) -> int:
    """A word as a signed number."""
    return word - (1 << 256) if word >> 255 else word


def order_of(key: bytes, value: bytes) -> Order:
    """A pending order from the key of its row and the data of `OrderPlaced`."""
    placed_at, delta, limit, expiry, fee, reduce_only, _, price_time = words_of(value)
    return Order(
        account=key[:32],
        market=int.from_bytes(key[32:35], "big"),
        id=int.from_bytes(key[35:], "big"),
        placed_at=placed_at,
        size_delta=signed(delta),
        limit_price=limit,
        expiry=expiry,
        keeper_fee=fee,
        reduce_only=bool(reduce_only),
        client_id=value[6 * WORD : 7 * WORD],
        price_time=price_time,
    )


def rules_of(value: bytes) -> OrderRules:
    """The data of `MarketRulesSet`."""
    return OrderRules(*words_of(value))


def pool_params(value: bytes) -> PoolParams:
    """The data of `PoolConfigured`."""
    return PoolParams(*words_of(value))


def market_params(value: bytes) -> MarketParams:
    """The data of `MarketConfigured`."""
    return MarketParams(*words_of(value))


def collateral_params(value: bytes) -> CollateralParams:
    """The data of `CollateralConfigured`."""
    return CollateralParams(*words_of(value))
