"""What a keeper can decide to do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from plimsoll.keeper.book.records import Order

__all__ = [
    "Accrue",
    "Action",
    "BuyCollateral",
    "Claim",
    "Deleverage",
    "EndSales",
    "ExecuteOrders",
    "Key",
    "Liquidate",
    "OrderItem",
    "PushPrices",
    "Strike",
    "Wait",
]

Key = tuple[object, ...]
"""Names one thing that is acted on: nothing is done about it again while a transaction about it is under way."""


@dataclass(frozen=True, slots=True)
class OrderItem:
    """One order of a batch. `late` says that it will expire; `paid` that its fee goes to the keeper."""

    order: Order
    hint: bytes
    late: bool
    paid: bool

    @property
    def key(self) -> Key:
        """Of the order."""
        return "order", *self.order.key


@dataclass(frozen=True, slots=True)
class ExecuteOrders:
    """Fills orders of one pool, and clears those that are too late."""

    pool: int
    items: tuple[OrderItem, ...]

    @property
    def keys(self) -> Iterable[Key]:
        """Of each order."""
        return [item.key for item in self.items]


@dataclass(frozen=True, slots=True)
class Liquidate:
    """Liquidates accounts of one pool, the largest shortfall first."""

    pool: int
    accounts: tuple[bytes, ...]

    @property
    def keys(self) -> Iterable[Key]:
        """Of each account."""
        return [("account", account) for account in self.accounts]


@dataclass(frozen=True, slots=True)
class EndSales:
    """Takes collateral off sale whose account has recovered."""

    pool: int
    accounts: tuple[bytes, ...]

    @property
    def keys(self) -> Iterable[Key]:
        """Of each account."""
        return [("account", account) for account in self.accounts]


@dataclass(frozen=True, slots=True)
class BuyCollateral:
    """Buys collateral on sale.

    :param amount: native units.
    :param max_price: WAD per unit.
    :param cost: settlement asset paid, WAD.
    :param profit: value at the oracle's price minus cost and gas, WAD.
    :param gas: what the transaction is reckoned to cost, WAD.
    :param ends: whether it is all that the account has to sell of the token.
    """

    pool: int
    account: bytes
    token: str
    amount: int
    max_price: int
    cost: int
    profit: int
    gas: int
    ends: bool

    @property
    def keys(self) -> Iterable[Key]:
        """Of the account's sale."""
        return [("sale", self.account)]


@dataclass(frozen=True, slots=True)
class Deleverage:
    """Deleverages a market whose open loss endangers its pool."""

    market: int

    @property
    def keys(self) -> Iterable[Key]:
        """Of the market."""
        return [("deleverage", self.market)]


@dataclass(frozen=True, slots=True)
class Strike:
    """Strikes the epochs of a pool's share token that are due."""

    pool: int

    @property
    def keys(self) -> Iterable[Key]:
        """Of the pool."""
        return [("strike", self.pool)]


@dataclass(frozen=True, slots=True)
class Accrue:
    """Stores funding, price and loss of a market that nobody has touched for long."""

    market: int

    @property
    def keys(self) -> Iterable[Key]:
        """Of the market."""
        return [("accrue", self.market)]


@dataclass(frozen=True, slots=True)
class PushPrices:
    """Brings signed prices on chain, and liquidates accounts of one pool at them in the same transaction.

    :param updates: as the price service gave them.
    :param accounts: the largest shortfall first; empty for an update alone.
    :param name: key of an update alone.
    """

    pool: int
    updates: tuple[bytes, ...]
    accounts: tuple[bytes, ...]
    name: Key = ()

    @property
    def keys(self) -> Iterable[Key]:
        """Of each account, or of the update."""
        return [("account", account) for account in self.accounts] or [self.name]


@dataclass(frozen=True, slots=True)
class Claim:
    """Takes what a pool owes to an owner: a claim in the ledger, or what a redemption of LP shares paid.

    :param token: address of the token of a claim; of the share token for a redemption.
    :param amount: native units of the token, shares for a redemption.
    :param controller: whose redemption it is, empty for a claim of the keeper.
    """

    pool: int
    token: str
    amount: int
    controller: str = ""

    @property
    def keys(self) -> Iterable[Key]:
        """Of the claim."""
        return [("claim", self.pool, self.token, self.controller)]


@dataclass(frozen=True, slots=True)
class Wait:
    """The decision to do nothing about something yet, and why."""

    key: Key
    reason: str

    @property
    def keys(self) -> Iterable[Key]:
        """None: nothing is sent."""
        return ()


Action = ExecuteOrders | Liquidate | EndSales | BuyCollateral | Deleverage | Strike | Accrue | PushPrices | Claim | Wait
