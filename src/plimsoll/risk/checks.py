"""Checks on the running chain: what one event allows to check, against the parameters and the prices that were pushed.

Money, prices and sizes WAD. Each check notes its slack, so that the report can say how close it was.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from plimsoll.chain.receipt import Event
from plimsoll.deploy.deployment import Deployment
from plimsoll.deploy.structs import market_params, order_rules, pool_params
from plimsoll.model.interest import total_debt
from plimsoll.model.oracle_words import Spot
from plimsoll.model.pricing import notional_down, notional_up
from plimsoll.model.words import DebtWord, FundingWord, PoolMoneyWord
from plimsoll.risk.invariants import Invariants
from plimsoll.units import ONE, PPM, WAD, div_up, mul_div_down

if TYPE_CHECKING:
    from plimsoll.risk.watch import Watcher

__all__ = ["Checks", "Fill", "PlacedOrder", "Strike", "below_line"]

INVALID = 1
SHARE_ROUNDING = 2
"""Wei of size that rounding shares up may add to a side in one fill."""


@dataclass(frozen=True, slots=True)
class PlacedOrder:
    """A pending order."""

    size_delta: int
    limit_price: int
    expiry: int
    keeper_fee: int
    reduce_only: bool
    price_time: int


@dataclass(frozen=True, slots=True)
class Fill:
    """A filled order with the price word it was filled at."""

    market: int
    symbol: str
    spot: int
    before: int
    delta: int
    after: int
    fill_price: int


@dataclass(frozen=True, slots=True)
class Strike:
    """A struck epoch. `nav` WAD before it, money in native units of `unit` WAD each, shares WAD."""

    pool: str
    pool_id: int
    nav: int
    deposited: int
    paid: int
    minted: int
    burnt: int
    unit: int


class Checks:
    """Checks against the parameters that the system was deployed with. `pushes` are the publications so far."""

    def __init__(self, deployment: Deployment, invariants: Invariants) -> None:
        parameters = deployment.parameters
        self.invariants = invariants
        self.pushes: dict[str, tuple[list[int], list[int]]] = {name: ([], []) for name in parameters.assets}
        """Times and prices of each symbol, in order."""
        self._markets: dict[int, Mapping[str, int]] = {}
        self._windows: dict[int, int] = {}
        self._pools: dict[int, Mapping[str, int]] = {}
        self._pool_of: dict[int, int] = {}
        self._drained: set[int] = set()
        for name, handles in deployment.pools.items():
            pool = parameters.pools[name]
            self._pools[handles.id] = pool_params(parameters, pool, handles.settlement.address)
            for market, number in handles.markets.items():
                self._markets[number] = market_params(parameters, pool.markets[market])
                self._windows[number] = order_rules(parameters, pool.markets[market])["execWindow"]
                self._pool_of[number] = handles.id

    def published(self, symbol: str, time: int, price: int) -> None:
        """Remembers what a feed published."""
        times, prices = self.pushes[symbol]
        times.append(time)
        prices.append(price)

    # ── every write ────────────────────────────────────────────────────────

    def funding(self, market: int, before: FundingWord | None, after: FundingWord, time: int) -> None:
        """The rate is within its bound; the time does not fall or lie ahead."""
        self.invariants.note("INV-06", self._markets[market]["rMax"] - abs(after.rate), f"market {market}")
        self.invariants.note("INV-07", time - after.time, f"market {market} was accrued in the future")
        if before is not None:
            self.invariants.note("INV-07", after.time - before.time, f"time of market {market} fell")

    def debt(self, pool: int, before: DebtWord | None, after: DebtWord, time: int) -> None:
        """The borrow index never falls."""
        self.invariants.note("INV-07", time - after.time, f"pool {pool} was accrued in the future")
        if before is not None:
            grown = after.borrow_index - before.borrow_index
            self.invariants.note("INV-07", grown, f"borrow index of pool {pool} fell")

    def insurance(self, pool: int, before: int, after: int, allowed: int) -> None:
        """Insurance fell in a transaction by no more than bad debt and keeper allowances took."""
        self.invariants.note("INV-26", min(after, after - before + allowed), f"pool {pool}: {before} to {after}")

    # ── orders ─────────────────────────────────────────────────────────────

    def fill(self, watcher: Watcher, order: PlacedOrder, fill: Fill, time: int) -> None:
        """Price, limits, caps and dust of a fill."""
        spot, market = Spot.unpack(fill.spot), self._markets[fill.market]
        window = min(self._windows[fill.market] - (time - spot.publish_time), order.expiry - time)
        window = min(window, spot.publish_time - order.price_time)
        self.invariants.note(
            "INV-27", -1 if spot.flags & INVALID else window, f"published {spot.publish_time}, {order}"
        )
        times, prices = self.pushes[fill.symbol]
        first = bisect_left(times, order.price_time)
        right = first < len(times) and (times[first], prices[first]) == (spot.publish_time, spot.price)
        self.invariants.holds("INV-30", right, f"filled at {spot}, first of {order}")
        limit_kept = fill.fill_price <= order.limit_price if fill.delta > 0 else fill.fill_price >= order.limit_price
        shrinks = abs(fill.after) < abs(fill.before) and fill.before * fill.after >= 0
        self.invariants.holds("INV-29", limit_kept and (shrinks or not order.reduce_only), f"{fill} of {order}")
        self._dust(self._pool_of[fill.market], fill.after, spot.price)
        if abs(fill.after) <= abs(fill.before) and fill.before * fill.after >= 0:
            return
        long, short = watcher.interest(fill.market)
        interest, skew = (long if fill.after > 0 else short), long - short
        pool = self._pool_of[fill.market]
        nav = watcher.money[pool].cash - watcher.dues[pool].loss_sum
        price = watcher.funding[fill.market].price
        cap = min(market["oiCap"], mul_div_down(max(nav, 0), market["navMultiplePpm"] * (WAD // PPM), price))
        self.invariants.note("INV-03", cap - interest, f"open interest of {fill}")
        grown = abs(skew - fill.delta) - abs(skew) + SHARE_ROUNDING
        self.invariants.note("INV-03", max(market["skewCap"] - abs(skew), grown), f"skew of {fill}")

    def _dust(self, pool: int, size: int, price: int) -> None:
        if size:
            least = self._pools[pool]["minNotional"]
            self.invariants.note("INV-15", notional_down(abs(size), price) - least, f"size {size} at {price}")

    # ── liquidation ────────────────────────────────────────────────────────

    def closed(self, market: int, closed: int, after: int, price: int) -> None:
        """A position only shrinks, and leaves no dust."""
        before = closed + after
        shrinks = abs(after) <= abs(before) and before * after >= 0
        if not shrinks:
            self.invariants.note("INV-14", -1, f"position went from {before} to {after}")
        self._dust(self._pool_of[market], after, price)

    def liquidated(self, pool: int, event: Event) -> None:
        """It was below the line, and the reward is bounded."""
        q = self._pools[pool]
        charged, reward = event["charged"], event["reward"]
        self.invariants.note("INV-12", event["maintenance"] - event["equity"] - 1, f"0x{event['account'].hex()}")
        most = min(q["rewardMax"], charged + max(q["keeperFloor"] - charged, 0))
        self.invariants.note("INV-16", min(most - reward, reward), f"reward {reward}, charged {charged}")

    def liquidated_below(self, account: bytes, equity: int, required: int) -> None:
        """The Lens called it liquidatable at the end of the block before."""
        self.invariants.note("INV-12", required - equity - 1, f"0x{account.hex()} at the parent block")

    def helped(self, before: tuple[int, int], after: tuple[int, int], account: bytes) -> None:
        """(equity, requirement) of an account that kept positions: better health than before."""
        health = [equity * WAD // required if required else WAD * PPM for equity, required in (before, after)]
        better = health[1] - health[0] - 1
        self.invariants.note("INV-14", better if after[0] > 0 else -1, f"0x{account.hex()}: {before} to {after}")

    def bad_debt(self, pool: int, event: Event) -> None:
        """The layers add up."""
        layers = event["fromInsurance"] + event["fromJunior"] + event["fromPool"]
        self.invariants.note("INV-24", -abs(event["amount"] - layers), f"{event.args}")
        if event["fromJunior"] + event["fromPool"] > 0:
            self._drained.add(pool)

    def after_bad_debt(self, pool: int, money: PoolMoneyWord, debts: Mapping[bytes, int]) -> None:
        """When a layer below insurance paid, nothing was left of insurance."""
        if pool in self._drained and debts:
            self._drained.discard(pool)
            self.invariants.note("INV-24", -money.insurance, f"insurance of pool {pool} was not empty")

    # ── whole pools ────────────────────────────────────────────────────────

    def deleveraged(self, watcher: Watcher, event: Event) -> None:
        """The side of the skew shrank, and the skew did not turn."""
        market, long = event["market"], event["long"]
        if event["epochClosed"]:
            return
        sides = watcher.sides[market]
        number = max(key[2] for key in watcher.side_events if key[:2] == (market, long))
        scale = watcher.side_events[market, long, number].scale
        before, other = watcher.interest(market) if long else reversed(watcher.interest(market))
        if number != (sides.long_event if long else sides.short_event):
            after = (sides.long_shares if long else sides.short_shares) * scale // ONE
        else:
            after = before
        self.invariants.note("INV-25", min(after - other + SHARE_ROUNDING, before - after), f"market {market}")

    def reserve(self, watcher: Watcher, strike: Strike) -> None:
        """After a strike that paid LPs the pool's cash covers the reserve, at the prices of the strike."""
        if not strike.paid:
            return
        money, debt = watcher.money[strike.pool_id], watcher.debt[strike.pool_id]
        liquid = money.cash - total_debt(debt.scaled_debt, debt.borrow_index)
        value = 0
        for market, pool in self._pool_of.items():
            if pool == strike.pool_id and market in watcher.funding:
                value += notional_up(sum(watcher.interest(market)), watcher.funding[market].price)
        needed = div_up(value * self._pools[strike.pool_id]["reserveFactorPpm"], PPM)
        self.invariants.note("INV-23", liquid - needed, f"pool {strike.pool}")

    def share_price(self, strike: Strike, supply: int) -> None:
        """A share is worth no less after a strike than before. `supply` is what there is after it."""
        before = supply - strike.minted + strike.burnt
        if strike.nav <= 0 or not before or not supply:
            return
        nav = strike.nav + (strike.deposited - strike.paid) * strike.unit
        self.invariants.note("INV-20", (nav * before - strike.nav * supply) // before, f"pool {strike.pool}")


def below_line(equity: int, required: int, newest: int, last_check: int) -> bool:
    """Whether an account can be liquidated now: below the line, and a price is newer than its last margin check."""
    return equity < required and not (newest and newest <= last_check)
