"""What a pool owes the traders of a market, from the words that are stored."""

from __future__ import annotations

from dataclasses import dataclass

from plimsoll.model.pricing import premium
from plimsoll.model.side import side_profit, size_of, unit_value
from plimsoll.model.words import EventWord, FundingWord
from plimsoll.units import ONE

__all__ = ["SideState", "market_loss"]


@dataclass(frozen=True, slots=True)
class SideState:
    """One side as stored: signed shares R (WAD), Z (1e-42) and its last event (None before any)."""

    shares: int
    entry_sum: int
    event: EventWord | None

    @property
    def scale(self) -> int:
        """A, 1e-36."""
        return self.event.scale if self.event else ONE

    @property
    def offset(self) -> int:
        """C, 1e-24."""
        return self.event.offset if self.event else 0

    @property
    def interest(self) -> int:
        """Open interest, WAD units."""
        return size_of(abs(self.shares), self.scale)


def market_loss(funding: FundingWord, long: SideState, short: SideState, owed: int, skew_scale: int) -> int:
    """U_long + U_short + Π + owed at the stored price and funding index, WAD; each side rounded up.

    The pool's `lossSum` is the sum of this over its markets.
    """
    total = owed + premium(funding.price, long.interest - short.interest, skew_scale)
    for side, is_long in ((long, True), (short, False)):
        if side.shares:
            value = unit_value(side.scale, side.offset, funding.price, funding.index, is_long)
            total += side_profit(side.shares, value, side.entry_sum)
    return total
