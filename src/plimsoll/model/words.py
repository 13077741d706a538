"""The one-word records of the contracts: `pack` gives the integer on chain, `unpack` reads it.

State of accounts, positions, markets and pools is here; configuration (`config_words`), prices
(`oracle_words`) and orders (`order_words`) are handed on, so that this module names every record of `contracts/types/`.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from enum import IntFlag

from plimsoll.model.config_words import (
    CollateralWord,
    LimitsWord,
    MarginWord,
    MarketFlags,
    Pause,
    PoolInterestWord,
    PoolLiquidationWord,
    PoolLiquidityWord,
    PoolRiskWord,
    PoolSettlementWord,
    TradeWord,
)
from plimsoll.model.oracle_words import FeedWord, SecondaryWord, Spot, StateWord, Trend
from plimsoll.model.order_words import OrderWord, QueueWord, RulesWord
from plimsoll.model.word import ZERO_ADDRESS, Word, WordError, address, bits
from plimsoll.units import NANO

__all__ = [
    "ZERO_ADDRESS",
    "AccountId",
    "AccountWord",
    "CollateralWord",
    "DebtWord",
    "EventWord",
    "FeedWord",
    "FundingWord",
    "LimitsWord",
    "MarginWord",
    "MarketFlags",
    "MarketId",
    "OrderWord",
    "Pause",
    "PoolDuesWord",
    "PoolFlags",
    "PoolInterestWord",
    "PoolLiquidationWord",
    "PoolLiquidityWord",
    "PoolMoneyWord",
    "PoolRiskWord",
    "PoolSettlementWord",
    "PositionWord",
    "QueueWord",
    "RulesWord",
    "SecondaryWord",
    "SidesWord",
    "Spot",
    "StateWord",
    "TradeWord",
    "Trend",
    "Word",
    "WordError",
]


@dataclass(frozen=True, slots=True)
class AccountId(Word):
    """Owner, pool and sub-account of an account; `pack` gives the number of its `bytes32`."""

    owner: str = address(96)
    pool: int = bits(80, 16)
    sub: int = bits(0, 80)

    def to_bytes(self) -> bytes:
        """The id as calls and events carry it."""
        return self.pack().to_bytes(32, "big")


@dataclass(frozen=True, slots=True)
class MarketId(Word):
    """Pool and index of a market, 24 bits."""

    pool: int = bits(8, 16)
    index: int = bits(0, 8)


@dataclass(frozen=True, slots=True)
class AccountWord(Word):
    """What a margin check of an account needs first.

    `raw_cash` ≥ 0 is cash, < 0 scaled debt; `markets` and `collaterals` are bitmaps by index.
    """

    raw_cash: int = bits(0, 112, signed=True)
    markets: int = bits(112, 56)
    collaterals: int = bits(168, 16)
    version: int = bits(184, 32)
    last_check: int = bits(216, 32)
    pending_orders: int = bits(248, 8)

    def with_market(self, index: int, held: bool) -> AccountWord:
        """With or without a position in market `index`, 0 … 31."""
        return dataclasses.replace(self, markets=_with_bit(self.markets, index, 32, held))

    def with_collateral(self, index: int, held: bool) -> AccountWord:
        """With or without a balance of collateral `index`, 0 … 15."""
        return dataclasses.replace(self, collaterals=_with_bit(self.collaterals, index, 16, held))

    def bumped(self) -> AccountWord:
        """With the next version, which wraps after 2^32 writes."""
        return dataclasses.replace(self, version=(self.version + 1) % (1 << 32))


def _with_bit(bitmap: int, index: int, count: int, held: bool) -> int:
    if not 0 <= index < count:
        raise WordError(f"index {index} is out of range; it takes 0 to {count - 1}")
    return bitmap | 1 << index if held else bitmap & ~(1 << index)


@dataclass(frozen=True, slots=True)
class PositionWord(Word):
    """A position: signed shares (WAD), unit value when last touched (1e-24), number of the last event it has seen."""

    shares: int = bits(0, 104, signed=True)
    entry: int = bits(104, 128, signed=True)
    last_event: int = bits(232, 24)


@dataclass(frozen=True, slots=True)
class FundingWord(Word):
    """Funding of a market: index (WAD per unit of size), rate (1e-18 per second); time, price of the last accrual."""

    index: int = bits(0, 96, signed=True)
    rate: int = bits(96, 40, signed=True)
    time: int = bits(136, 32)
    price: int = bits(168, 88)


@dataclass(frozen=True, slots=True)
class SidesWord(Word):
    """Shares of both sides (magnitudes, WAD) and the numbers of their last events."""

    long_shares: int = bits(0, 104)
    short_shares: int = bits(104, 104)
    long_event: int = bits(208, 24)
    short_event: int = bits(232, 24)


@dataclass(frozen=True, slots=True)
class EventWord(Word):
    """One change of a side's (A, C)."""

    scale: int = bits(0, 120)
    offset: int = bits(120, 120, signed=True)
    epoch: int = bits(240, 16)


class PoolFlags(IntFlag):
    """Flags of a pool: it was created; no account owes anything and V ≥ 0, so that the debt word need not be read."""

    OPEN = 1
    CLEAR = 2


@dataclass(frozen=True, slots=True)
class PoolMoneyWord(Word):
    """The pool's cash claim V and its insurance, WAD."""

    cash: int = bits(0, 104, signed=True)
    insurance: int = bits(104, 96)


@dataclass(frozen=True, slots=True)
class PoolDuesWord(Word):
    """Protocol fees, the sum of the markets' losses, and escrow (kept in 1e-9), WAD; and `PoolFlags`."""

    fees: int = bits(0, 88)
    loss_sum: int = bits(88, 104, signed=True)
    escrow: int = bits(192, 62, scale=NANO)
    flags: int = bits(254, 2)


@dataclass(frozen=True, slots=True)
class DebtWord(Word):
    """Σ of scaled debts, borrow index, time of the last accrual."""

    scaled_debt: int = bits(0, 112)
    borrow_index: int = bits(112, 96)
    time: int = bits(208, 32)
