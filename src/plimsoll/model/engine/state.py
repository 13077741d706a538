"""The whole protocol as one immutable value.

Accounts, addresses and markets are their numbers (an account's is that of its `bytes32`). Money, prices and sizes are
WAD unless a name says native; unit values are 1e-24, sums of shares × unit value 1e-42, scales 1e-36, times seconds.
Tables are mappings that nobody writes to: an action builds a new `State` and shares with the old one what it did not
touch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from plimsoll.model.config_words import (
    CollateralWord,
    LimitsWord,
    MarginWord,
    PoolInterestWord,
    PoolLiquidationWord,
    PoolLiquidityWord,
    PoolRiskWord,
    PoolSettlementWord,
    TradeWord,
)
from plimsoll.model.engine.feeds import Asset, Feed, Sequencer
from plimsoll.model.engine.lp_state import LpState
from plimsoll.model.oracle import OracleState
from plimsoll.model.order_words import RulesWord
from plimsoll.units import ONE, WAD

__all__ = [
    "NO_ACCOUNT",
    "NO_POSITION",
    "Account",
    "Collateral",
    "Event",
    "Market",
    "MarketTerms",
    "Order",
    "Pool",
    "PoolTerms",
    "Position",
    "Queue",
    "Side",
    "State",
    "Token",
    "account_id",
    "market_id",
    "owner_of",
    "pool_of",
]


# ── ids ──────────────────────────────────────────────────────────────────────


def account_id(owner: int, pool: int, sub: int = 0) -> int:
    """Owner (20 bytes), pool (2), sub-account (10)."""
    return owner << 96 | pool << 80 | sub


def owner_of(account: int) -> int:
    """The address that owns an account."""
    return account >> 96


def pool_of(account: int) -> int:
    """The pool of an account."""
    return account >> 80 & 0xFFFF


def market_id(pool: int, index: int) -> int:
    """Pool (2 bytes) and index (1)."""
    return pool << 8 | index


# ── the ledger ───────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Account:
    """`raw_cash` ≥ 0 is cash, < 0 scaled debt; `markets` and `collaterals` are bitmaps by index."""

    raw_cash: int = 0
    markets: int = 0
    collaterals: int = 0
    version: int = 0
    last_check: int = 0
    pending_orders: int = 0


@dataclass(frozen=True, slots=True)
class Position:
    """Signed shares, unit value when last touched, number of the last event of its side that it has seen."""

    shares: int = 0
    entry: int = 0
    last_event: int = 0


NO_SEQUENCER = Sequencer()
NO_ACCOUNT = Account()
NO_POSITION = Position()


@dataclass(frozen=True, slots=True)
class Event:
    """One change of a side's (A, C)."""

    scale: int = ONE
    offset: int = 0
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a market: R (magnitude), number of events, Z and Y."""

    shares: int = 0
    events: int = 0
    entry_sum: int = 0
    open_entry_sum: int = 0


@dataclass(frozen=True, slots=True)
class MarketTerms:
    """Parameters of a market."""

    margin: MarginWord
    trade: TradeWord
    limits: LimitsWord


@dataclass(frozen=True, slots=True)
class Market:
    """State of a market as of its last accrual: F, rate, time and price then, what it owes closed epochs, both
    sides."""

    index: int = 0
    rate: int = 0
    time: int = 0
    price: int = 0
    owed: int = 0
    long: Side = Side()
    short: Side = Side()


@dataclass(frozen=True, slots=True)
class PoolTerms:
    """Parameters of a pool."""

    risk: PoolRiskWord
    liquidation: PoolLiquidationWord
    settlement: PoolSettlementWord
    interest: PoolInterestWord
    liquidity: PoolLiquidityWord

    @property
    def token(self) -> int:
        """Address of the settlement asset."""
        return int(self.settlement.token, 16)


@dataclass(frozen=True, slots=True)
class Pool:
    """V, insurance, protocol fees, Σ of the markets' losses, escrowed keeper fees, Σ scaled debt, borrow index and its
    time."""

    cash: int = 0
    insurance: int = 0
    fees: int = 0
    loss_sum: int = 0
    escrow: int = 0
    scaled_debt: int = 0
    borrow_index: int = WAD
    debt_time: int = 0


@dataclass(frozen=True, slots=True)
class Collateral:
    """A collateral token of a pool; `cap` in native units."""

    terms: CollateralWord
    token: int
    cap: int


# ── orders ───────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Order:
    """All parameters of an order, as they travel in its event and come back as calldata."""

    account: int
    market: int
    id: int
    placed_at: int
    size_delta: int
    limit_price: int
    expiry: int
    keeper_fee: int
    reduce_only: bool
    client_id: int = 0


@dataclass(frozen=True, slots=True)
class Queue:
    """Pending orders of one account in one market, first placed first, each with the time its price is looked for."""

    last_id: int = 0
    orders: tuple[tuple[Order, int], ...] = ()


# ── tokens ───────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Token:
    """An ERC-20 and how it misbehaves: a fee on transfers (1e-4, rounded up), holders that it refuses to touch, and
    whether it refuses every transfer."""

    decimals: int
    fee_bps: int = 0
    blacklist: frozenset[int] = frozenset()
    refuses: bool = False


# ── everything ───────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class State:
    """The protocol and the world around it at one block. `held`, claims: WAD for a settlement asset, else native
    units."""

    time: int = 0
    base_fee: int = 0
    clearinghouse: int = 0
    order_book: int = 0
    owner: int = 0
    pending_owner: int = 0
    guardian: int = 0
    order_book_owner: int = 0
    order_book_pending_owner: int = 0
    clock_skew: int = 1
    """seconds that the clocks of chain and feeds may differ; the order book's"""
    accounts: Mapping[int, Account] = field(default_factory=dict)
    positions: Mapping[tuple[int, int], Position] = field(default_factory=dict)
    """(account, market index)"""
    collateral: Mapping[tuple[int, int], int] = field(default_factory=dict)
    """(account, collateral index) → native units"""
    sales: Mapping[int, int] = field(default_factory=dict)
    """account → when its collateral went on sale"""
    markets: Mapping[int, Market] = field(default_factory=dict)
    market_terms: Mapping[int, MarketTerms] = field(default_factory=dict)
    events: Mapping[tuple[int, bool, int], Event] = field(default_factory=dict)
    """(market, long, number)"""
    epoch_ends: Mapping[tuple[int, bool, int], int] = field(default_factory=dict)
    """(market, long, epoch) → unit value at its end"""
    pools: Mapping[int, Pool] = field(default_factory=dict)
    pool_terms: Mapping[int, PoolTerms] = field(default_factory=dict)
    junior: Mapping[int, int] = field(default_factory=dict)
    lp_escrow: Mapping[int, int] = field(default_factory=dict)
    open_sales: Mapping[int, int] = field(default_factory=dict)
    collaterals: Mapping[tuple[int, int], Collateral] = field(default_factory=dict)
    """(pool, collateral index)"""
    held: Mapping[tuple[int, int], int] = field(default_factory=dict)
    """(pool, token)"""
    claims: Mapping[tuple[int, int, int], int] = field(default_factory=dict)
    """(pool, token, owner)"""
    claim_totals: Mapping[tuple[int, int], int] = field(default_factory=dict)
    """(pool, token)"""
    assets: Mapping[int, Asset] = field(default_factory=dict)
    asset_states: Mapping[int, OracleState] = field(default_factory=dict)
    deviated_since: Mapping[int, int] = field(default_factory=dict)
    feeds: Mapping[int, Feed] = field(default_factory=dict)
    """feed address → what it answers"""
    sequencer: Sequencer = NO_SEQUENCER
    rules: Mapping[int, RulesWord] = field(default_factory=dict)
    queues: Mapping[tuple[int, int], Queue] = field(default_factory=dict)
    """(account, market)"""
    lps: Mapping[int, LpState] = field(default_factory=dict)
    """pool → its share token"""
    tokens: Mapping[int, Token] = field(default_factory=dict)
    balances: Mapping[tuple[int, int], int] = field(default_factory=dict)
    """(token, holder) → native units"""
    allowances: Mapping[tuple[int, int, int], int] = field(default_factory=dict)
    """(token, owner, spender) → native units"""
