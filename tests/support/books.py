"""Sides, markets and accounts of the ledger as Python objects; `PoolMirror` moves them."""

from __future__ import annotations

from dataclasses import dataclass

from plimsoll.model import config_words as config
from plimsoll.model import pricing, side
from plimsoll.model.words import AccountWord, MarketFlags, PositionWord
from plimsoll.units import ONE

__all__ = ["AccountBook", "MarketBook", "SideBook", "signed"]


def signed(word: int) -> int:
    """A storage word as int256."""
    return word - (1 << 256) if word >> 255 else word


@dataclass(slots=True)
class SideBook:
    """One side of a market."""

    long: bool
    shares: int
    number: int
    entry_sum: int
    open_sum: int
    scale: int = ONE
    offset: int = 0
    epoch: int = 0

    @property
    def signed(self) -> int:
        """R, negative for shorts."""
        return self.shares if self.long else -self.shares

    @property
    def interest(self) -> int:
        """Open interest, WAD units."""
        return side.size_of(self.shares, self.scale)


@dataclass(slots=True)
class MarketBook:
    """One market, as `Market` of the contracts."""

    id: int
    margin: config.MarginWord
    trade: config.TradeWord
    limits: config.LimitsWord
    index: int
    rate: int
    time: int
    price: int
    owed: int
    long: SideBook
    short: SideBook
    loss: int = 0

    @property
    def skew(self) -> int:
        """Longs minus shorts."""
        return self.long.interest - self.short.interest

    @property
    def settled(self) -> bool:
        """Whether governance fixed the price."""
        return bool(self.margin.flags & MarketFlags.SETTLED)

    @property
    def premium(self) -> int:
        """Π at the market's price."""
        return pricing.premium(self.price, self.skew, self.trade.skew_scale)

    def side(self, long: bool) -> SideBook:
        """The longs, or the shorts."""
        return self.long if long else self.short

    def value(self, one: SideBook, price: int) -> int:
        """W of a side."""
        return side.unit_value(one.scale, one.offset, price, self.index, one.long)

    def side_profit(self, one: SideBook) -> int:
        """U_X at the market's price."""
        return side.side_profit(one.signed, self.value(one, self.price), one.entry_sum) if one.shares else 0

    def open_profit(self, one: SideBook) -> int:
        """Uopen_X at the market's price."""
        if not one.shares:
            return 0
        total = one.open_sum if one.number else one.entry_sum
        return side.open_profit(one.signed, one.scale, self.price, self.index, total)

    def worth(self) -> int:
        """U_long + U_short + Π + owed."""
        return self.side_profit(self.long) + self.side_profit(self.short) + self.premium + self.owed


@dataclass(slots=True)
class AccountBook:
    """One account."""

    word: AccountWord
    positions: dict[int, PositionWord]
    collateral: dict[int, int]
    sale: int
