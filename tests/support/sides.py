"""One market twice: in O(1) with the formulas of the contracts, and as a loop over all accounts in exact rationals.

Both take the same actions. Money is in wei (WAD), prices and entries of the loop are exact numbers of WAD.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from plimsoll.model import pricing, side
from plimsoll.units import ONE, UNIT, WAD, div_ceil

__all__ = ["Loop", "Market", "Recorder", "SideState", "allowed", "base_of"]

LEAST_SCALE = ONE // 10**6


class Recorder:
    """The functions of `plimsoll.model.side`; remembers every call for a comparison with the chain."""

    def __init__(self) -> None:
        self.calls: dict[str, list[tuple[Any, ...]]] = {}

    def __getattr__(self, name: str) -> Callable[..., Any]:
        function = getattr(side, name)

        def call(*args: Any) -> Any:
            self.calls.setdefault(name, []).append(args)
            return function(*args)

        return call


@dataclass(slots=True)
class SideState:
    """What a market stores of one side."""

    long: bool
    shares: int = 0
    event: int = 0
    scale: int = ONE
    offset: int = 0
    epoch: int = 0
    entry_sum: int = 0
    open_entry_sum: int = 0
    events: list[tuple[int, int, int]] = field(default_factory=lambda: [(ONE, 0, 0)])
    ends: dict[int, int] = field(default_factory=dict)

    @property
    def signed(self) -> int:
        return self.shares if self.long else -self.shares


@dataclass(frozen=True, slots=True)
class Position:
    """Signed shares, unit value at the last touch, number of the last event seen."""

    shares: int
    entry: int
    seen: int


class Market:
    """The market in O(1)."""

    def __init__(self, maths: Recorder, price: int, skew_scale: int) -> None:
        self.maths = maths
        self.price = price
        self.index = 0
        self.skew_scale = skew_scale
        self.long, self.short = SideState(True), SideState(False)
        self.positions: dict[int, Position] = {}
        self.cash: dict[int, int] = {}
        self.pool = 0
        self.owed = 0

    def side_of(self, position: Position) -> SideState:
        return self.long if position.shares > 0 else self.short

    def value(self, state: SideState) -> int:
        result: int = self.maths.unit_value(state.scale, state.offset, self.price, self.index, state.long)
        return result

    def interest(self, state: SideState) -> int:
        result: int = self.maths.size_of(state.shares, state.scale)
        return result

    def skew(self) -> int:
        return self.interest(self.long) - self.interest(self.short)

    def premium(self) -> int:
        return pricing.premium(self.price, self.skew(), self.skew_scale)

    def side_profit(self, state: SideState) -> int:
        result: int = self.maths.side_profit(state.signed, self.value(state), state.entry_sum)
        return result if state.shares else 0

    def open_profit(self, state: SideState) -> int:
        if not state.shares:
            return 0
        entries = state.open_entry_sum if state.event else state.entry_sum
        result: int = self.maths.open_profit(state.signed, state.scale, self.price, self.index, entries)
        return result

    def nav(self) -> int:
        return self.pool - self.side_profit(self.long) - self.side_profit(self.short) - self.premium() - self.owed

    def in_epoch(self, position: Position) -> bool:
        state = self.side_of(position)
        return state.events[position.seen][2] == state.epoch

    def read(self, account: int) -> tuple[int, int]:
        """Signed size, and profit since the last touch."""
        position = self.positions.get(account)
        if position is None:
            return 0, 0
        state = self.side_of(position)
        if not self.in_epoch(position):
            end = state.ends[state.events[position.seen][2]]
            return 0, self.maths.profit(position.shares, end, position.entry)
        size: int = self.maths.size_of(abs(position.shares), state.scale)
        profit: int = self.maths.profit(position.shares, self.value(state), position.entry)
        return size if state.long else -size, profit

    def fill(self, account: int, size: int) -> int:
        """Touches the account, then makes its position `size`; gives the profit touched."""
        before, profit = self.read(account)
        skew = self.skew()
        position = self.positions.pop(account, None)
        if position is not None:
            self._take_out(position, profit)
        delta = size - before
        cost = pricing.fill_cost(self.price, self.price, skew, delta, self.skew_scale) if delta else 0
        self.cash[account] = self.cash.get(account, 0) + profit - cost
        self.pool += cost - profit
        if size:
            state = self.long if size > 0 else self.short
            magnitude = self.maths.shares_for(abs(size), state.scale)
            shares = magnitude if state.long else -magnitude
            entry = self.value(state)
            state.shares += magnitude
            state.entry_sum += shares * entry
            if state.event:
                state.open_entry_sum += shares * self.maths.open_entry(entry, state.scale, state.offset)
            self.positions[account] = Position(shares, entry, state.event)
        return profit

    def _take_out(self, position: Position, profit: int) -> None:
        state = self.side_of(position)
        if not self.in_epoch(position):
            self.owed -= profit
            return
        state.shares -= abs(position.shares)
        state.entry_sum -= position.shares * position.entry
        if state.event:
            scale, offset, _ = state.events[position.seen]
            state.open_entry_sum -= position.shares * self.maths.open_entry(position.entry, scale, offset)

    def deleverage(self, state: SideState, fraction: int) -> tuple[int, bool]:
        """Shrinks a side; gives the premium set free (< 0: it rose) and whether the epoch closed."""
        scale = self.maths.scale_after(state.scale, fraction)
        value, before = self.value(state), self.premium()
        if scale >= LEAST_SCALE:
            state.scale = scale
            released = before - self.premium()
            offset = self.maths.offset_after(value, scale, self.price, self.index, released, state.shares, state.long)
            self._next_event(state, offset)
            return released, False
        signed, shares = state.signed, state.shares
        state.shares = 0
        released = before - self.premium()
        gain = self.maths.unit_gain(released, shares) if released >= 0 else -self.maths.unit_loss(-released, shares)
        end = value + gain if state.long else value - gain
        self.owed += div_ceil(signed * end - state.entry_sum, UNIT)
        state.ends[state.epoch] = end
        state.epoch += 1
        state.scale, state.entry_sum, state.open_entry_sum = ONE, 0, 0
        self._next_event(state, 0)
        return released, True

    def socialise(self, state: SideState, amount: int) -> None:
        """The side pays `amount`."""
        loss = self.maths.unit_loss(amount, state.shares)
        self._next_event(state, state.offset - loss if state.long else state.offset + loss)

    def _next_event(self, state: SideState, offset: int) -> None:
        if state.event == 0:
            state.open_entry_sum = state.entry_sum
        state.event += 1
        state.offset = offset
        state.events.append((state.scale, offset, state.epoch))


@dataclass(slots=True)
class Holding:
    """A position of the loop: signed size, entry (price less funding index), what events have locked in since."""

    size: Fraction
    entry: Fraction
    locked: Fraction = Fraction(0)
    events: int = 0
    shared: Fraction = Fraction(0)


class Loop:
    """The market as a loop: every event visits every account of the side."""

    def __init__(self) -> None:
        self.holdings: dict[int, Holding] = {}

    def profit(self, account: int, base: int) -> Fraction:
        """Profit since the last touch in wei; `base` is price less funding index."""
        one = self.holdings.get(account)
        return (one.size * (base - one.entry) / WAD + one.locked) if one else Fraction(0)

    def open_profit(self, base: int, long: bool) -> Fraction:
        """What no event has locked in."""
        return sum((one.size * (base - one.entry) / WAD for one in self.of(long)), Fraction(0))

    def of(self, long: bool) -> list[Holding]:
        """The holdings of a side that have a size."""
        return [one for one in self.holdings.values() if one.size != 0 and (one.size > 0) == long]

    def fill(self, account: int, size: int, base: int) -> None:
        """Touches the account; it then holds `size`."""
        self.holdings.pop(account, None)
        if size:
            self.holdings[account] = Holding(Fraction(size), Fraction(base))

    def shrink(self, long: bool, kept: Fraction, released: int, base: int) -> None:
        """Everyone keeps the same part; the rest is closed at the price, and the premium set free is shared by size."""
        self._share(long, released)
        for one in self.of(long):
            one.locked += one.size * (1 - kept) * (base - one.entry) / WAD
            one.size *= kept

    def take(self, long: bool, amount: int) -> None:
        """Everyone pays part of `amount` by size."""
        self._share(long, -amount)

    def _share(self, long: bool, amount: int) -> None:
        members = self.of(long)
        total = sum((abs(one.size) for one in members), Fraction(0))
        for one in members:
            one.locked += amount * abs(one.size) / total
            one.events += 1
            # A share rests on sizes that the market rounds up to whole shares: N of them, worth this much each.
            one.shared += len(members) * abs(amount) / total


def base_of(market: Market) -> int:
    """Price less funding index."""
    return market.price - market.index


def allowed(market: Market, account: int, holding: Holding) -> Fraction:
    """How far a profit in O(1) may be from the loop's, in wei.

    The position has up to one wei of shares too many, worth |W − w|; W is rounded by up to three units per event and
    one at either end, on every share; shares of a sum rest on rounded sizes; the result is floored.
    """
    position = market.positions[account]
    state = market.side_of(position)
    value = market.value(state) if market.in_epoch(position) else state.ends[state.events[position.seen][2]]
    moved = Fraction(abs(value - position.entry), UNIT)
    return 1 + moved + Fraction(abs(position.shares) * (3 * holding.events + 2), UNIT) + holding.shared
