"""What the logs of the Clearinghouse and the OrderBook say, as tables that can be saved row by row."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Generic, TypeVar

from plimsoll.chain.receipt import Event
from plimsoll.chain.stored import with_words
from plimsoll.keeper.errors import VersionGapError
from plimsoll.keeper.log import show_account
from plimsoll.model.words import AccountWord, FundingWord, SidesWord

__all__ = [
    "EVENTS",
    "Change",
    "Collateral",
    "Mirror",
    "Order",
    "OrderKey",
    "OrderRules",
    "PoolRules",
    "Pulse",
    "pool_of",
]

EVENTS = (
    "AccountSet",
    "CollateralConfigured",
    "Deposited",
    "FeeReserved",
    "Filled",
    "Liquidated",
    "MarketConfigured",
    "MarketRulesSet",
    "MarketSet",
    "OrderCancelled",
    "OrderExpired",
    "OrderPlaced",
    "PoolConfigured",
    "SaleSet",
    "ShareTokenConfigured",
    "Withdrawn",
)
"""The events that the mirror is built from."""

VERSIONS = 1 << 32

K = TypeVar("K")
V = TypeVar("V")
Change = tuple[str, str, str | None]
"""Table, key and value of a row as text; None removes the row."""
OrderKey = tuple[bytes, int, int]
"""Account, market and id of an order."""


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
class PoolRules:
    """What a pool's configuration says that decisions need; ppm, seconds, `keeper_floor` WAD."""

    settlement: str
    adl_trigger_ppm: int
    discount_max_ppm: int
    sale_seconds: int
    keeper_floor: int
    gas_asset: int


@dataclass(frozen=True, slots=True)
class Collateral:
    """A collateral token of a pool."""

    token: str
    asset: int
    weight_initial_ppm: int


@dataclass(frozen=True, slots=True)
class OrderRules:
    """Asset and execution window of a market's orders."""

    asset: int
    exec_window: int


@dataclass(frozen=True, slots=True)
class Pulse:
    """When a market was last accrued, and whether it has open positions."""

    time: int
    open: bool


def pool_of(account: bytes) -> int:
    """The pool of an account."""
    return int.from_bytes(account[20:22], "big")


class Table(dict[K, V], Generic[K, V]):
    """One kind of record, with the rows changed since they were last taken."""

    def __init__(
        self,
        name: str,
        keys: tuple[Callable[[K], str], Callable[[str], K]],
        values: tuple[Callable[[V], str], Callable[[str], V]],
    ) -> None:
        super().__init__()
        self.name = name
        self._keys = keys
        self._values = values
        self._changed: dict[K, None] = {}

    def put(self, key: K, value: V) -> None:
        """Writes a record."""
        self[key] = value
        self._changed[key] = None

    def drop(self, key: K) -> None:
        """Removes a record, if it is there."""
        if self.pop(key, None) is not None:
            self._changed[key] = None

    def take_changes(self) -> list[Change]:
        """Rows changed since the last call."""
        encode_key, encode = self._keys[0], self._values[0]
        changes: list[Change] = []
        for key in self._changed:
            changes.append((self.name, encode_key(key), encode(self[key]) if key in self else None))
        self._changed.clear()
        return changes

    def restore(self, key: str, value: str) -> None:
        """Takes a saved row."""
        self[self._keys[1](key)] = self._values[1](value)


INT_KEY = (str, int)
BYTES_KEY = (bytes.hex, bytes.fromhex)
NUMBER: tuple[Callable[[int], str], Callable[[str], int]] = (str, int)


def _record(kind: type[V]) -> tuple[Callable[[V], str], Callable[[str], V]]:
    def encode(value: V) -> str:
        fields: Mapping[str, Any] = asdict(value)  # type: ignore[call-overload]
        return json.dumps({name: part.hex() if isinstance(part, bytes) else part for name, part in fields.items()})

    def decode(text: str) -> V:
        fields = json.loads(text)
        for name in ("account", "client_id"):
            if name in fields:
                fields[name] = bytes.fromhex(fields[name])
        return kind(**fields)

    return encode, decode


def _encode_order_key(key: OrderKey) -> str:
    return f"{key[0].hex()}:{key[1]}:{key[2]}"


def _decode_order_key(text: str) -> OrderKey:
    account, market, number = text.split(":")
    return bytes.fromhex(account), int(market), int(number)


def _encode_pair(key: tuple[int, int]) -> str:
    return f"{key[0]}:{key[1]}"


def _decode_pair(text: str) -> tuple[int, int]:
    pool, index = text.split(":")
    return int(pool), int(index)


class Mirror:
    """Accounts (packed words), collateral on sale (when it went there), pending orders, and the configuration."""

    def __init__(self) -> None:
        self.accounts: Table[bytes, int] = Table("account", BYTES_KEY, NUMBER)
        self.sales: Table[bytes, int] = Table("sale", BYTES_KEY, NUMBER)
        self.orders: Table[OrderKey, Order] = Table("order", (_encode_order_key, _decode_order_key), _record(Order))
        self.pools: Table[int, PoolRules] = Table("pool", INT_KEY, _record(PoolRules))
        self.shares: Table[int, str] = Table("share", INT_KEY, (str, str))
        self.collaterals: Table[tuple[int, int], Collateral] = Table(
            "collateral", (_encode_pair, _decode_pair), _record(Collateral)
        )
        self.markets: Table[int, int] = Table("market", INT_KEY, NUMBER)
        self.rules: Table[int, OrderRules] = Table("rules", INT_KEY, _record(OrderRules))
        self.pulses: Table[int, Pulse] = Table("pulse", INT_KEY, _record(Pulse))

    @property
    def tables(self) -> tuple[Table[Any, Any], ...]:
        """All tables."""
        return (
            self.accounts,
            self.sales,
            self.orders,
            self.pools,
            self.shares,
            self.collaterals,
            self.markets,
            self.rules,
            self.pulses,
        )

    def account(self, account: bytes) -> AccountWord:
        """The word of an account; zero if it was never written."""
        return AccountWord.unpack(self.accounts.get(account, 0))

    def exposed(self) -> list[bytes]:
        """Accounts that can be below the line: with a position, or with negative cash."""
        found = []
        for account, word in self.accounts.items():
            if word >> 112 & (1 << 56) - 1 or word >> 111 & 1:
                found.append(account)
        return found

    def queues(self) -> list[list[Order]]:
        """Pending orders by account and market, each queue in the order of execution."""
        found: dict[tuple[bytes, int], list[Order]] = {}
        for order in self.orders.values():
            found.setdefault((order.account, order.market), []).append(order)
        for queue in found.values():
            queue.sort(key=lambda order: order.id)
        return list(found.values())

    def apply(self, events: Iterable[Event]) -> None:
        """Takes the next events, in order.

        :raises VersionGapError: an account's version does not follow the one before.
        """
        for event in with_words(events):
            handler = _HANDLERS.get(event.name)
            if handler is not None:
                handler(self, event)

    def take_changes(self) -> list[Change]:
        """Rows of all tables changed since the last call."""
        return [change for table in self.tables for change in table.take_changes()]

    def restore(self, rows: Iterable[tuple[str, str, str]]) -> None:
        """Takes saved rows."""
        tables = {table.name: table for table in self.tables}
        for name, key, value in rows:
            tables[name].restore(key, value)

    def _account_set(self, event: Event) -> None:
        account, word = event["account"], event["word"]
        version = AccountWord.unpack(word).version
        expected = (self.account(account).version + 1) % VERSIONS
        if version != expected:
            raise VersionGapError(
                f"account {show_account(account)} is at version {version} in block {event.block_number}, "
                f"{expected} was expected: the node left out a log"
            )
        self.accounts.put(account, word)

    def _sale_set(self, event: Event) -> None:
        if event["startedAt"]:
            self.sales.put(event["account"], event["startedAt"])
        else:
            self.sales.drop(event["account"])

    def _market_set(self, event: Event) -> None:
        sides = SidesWord.unpack(event["sides"])
        time = FundingWord.unpack(event["funding"]).time
        self.pulses.put(event["market"], Pulse(time, bool(sides.long_shares or sides.short_shares)))

    def _pool_configured(self, event: Event) -> None:
        q = event["params"]
        sale = (q.discountMaxPpm, q.saleSeconds, q.keeperFloor, q.gasAsset)
        self.pools.put(event["pool"], PoolRules(q.settlementToken, q.adlTriggerPpm, *sale))

    def _share_token_configured(self, event: Event) -> None:
        self.shares.put(event["pool"], event["token"])

    def _market_configured(self, event: Event) -> None:
        self.markets.put(event["market"], event["params"].asset)

    def _collateral_configured(self, event: Event) -> None:
        q = event["params"]
        self.collaterals.put((event["pool"], event["index"]), Collateral(q.token, q.asset, q.weightInitialPpm))

    def _market_rules_set(self, event: Event) -> None:
        q = event["rules"]
        self.rules.put(event["market"], OrderRules(q.asset, q.execWindow))

    def _order_placed(self, event: Event) -> None:
        order = Order(
            account=event["account"],
            market=event["market"],
            id=event["id"],
            placed_at=event["placedAt"],
            size_delta=event["sizeDelta"],
            limit_price=event["limitPrice"],
            expiry=event["expiry"],
            keeper_fee=event["keeperFee"],
            reduce_only=event["reduceOnly"],
            client_id=event["clientId"],
            price_time=event["priceTime"],
        )
        self.orders.put(order.key, order)

    def _order_ended(self, event: Event) -> None:
        self.orders.drop((event["account"], event["market"], event["id"]))


_HANDLERS: Mapping[str, Callable[[Mirror, Event], None]] = {
    "AccountSet": Mirror._account_set,
    "CollateralConfigured": Mirror._collateral_configured,
    "Filled": Mirror._order_ended,
    "MarketConfigured": Mirror._market_configured,
    "MarketRulesSet": Mirror._market_rules_set,
    "MarketSet": Mirror._market_set,
    "OrderCancelled": Mirror._order_ended,
    "OrderExpired": Mirror._order_ended,
    "OrderPlaced": Mirror._order_placed,
    "PoolConfigured": Mirror._pool_configured,
    "SaleSet": Mirror._sale_set,
    "ShareTokenConfigured": Mirror._share_token_configured,
}
