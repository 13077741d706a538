"""Random histories of a market: the O(1) formulas against a loop over all accounts in exact rationals.

Fills, price moves, funding, deleveraging, socialisation and the end of epochs, in any order.
"""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import pytest
from tests.support.harness import Cases, Harness
from tests.support.sides import Loop, Market, Recorder, SideState, allowed, base_of

from plimsoll.model import side
from plimsoll.units import ONE, UNIT, WAD

HISTORIES = 160
STEPS = 70
CHAIN_NAMES = {
    "unit_value": "unitValue",
    "size_of": "sizeOf",
    "shares_for": "sharesFor",
    "profit": "profit",
    "side_profit": "sideProfit",
    "open_entry": "openEntry",
    "open_profit": "openProfit",
    "deleverage_fraction": "deleverageFraction",
    "scale_after": "scaleAfter",
    "offset_after": "offsetAfter",
    "unit_gain": "unitGain",
    "unit_loss": "unitLoss",
}


class History:
    """One market and its loop, moved by random actions, compared after each."""

    def __init__(self, seed: str, maths: Recorder, counts: Counter[str]) -> None:
        self.cases = Cases(seed)
        self.counts = counts
        price = self.cases.uint(10**24, 10**12)
        self.top = self.cases.uint(10**25, 10**6)
        self.accounts = range(self.cases.random.randint(1, 7))
        # Some markets are all long or all short, so that a side can be closed as a whole.
        self.signs = self.cases.random.choice([(1,), (-1,), (1, -1), (1, -1), (1, -1)])
        self.market = Market(maths, price, self.top * len(self.accounts) * self.cases.random.choice((4, 100, 10**6)))
        self.loop = Loop()
        self.stranded = 0
        """Positions in epochs when these closed."""

    def run(self) -> None:
        actions = [self.fill] * 6 + [self.move_price] * 5 + [self.fund] * 2 + [self.deleverage] * 5 + [self.socialise]
        for _ in range(STEPS):
            self.cases.random.choice(actions)()
            self.compare()
        self.wind_down()

    def fill(self) -> None:
        size = self.cases.uint(self.top) * self.cases.random.choice(self.signs)
        self.touch(self.cases.random.choice(self.accounts), size if self.cases.random.randrange(4) else 0)

    def touch(self, account: int, size: int) -> None:
        """A fill. NAV gains what is rounded: the profit floored, the cost ceiled, less than two wei.

        Where a scale is not ONE, rounded sizes shift the skew by up to two wei beyond the trade, and Π with it.
        """
        market = self.market
        nav, skew = market.nav(), market.skew()
        traded = size - market.read(account)[0]
        shift = Fraction(0)
        if market.long.scale != ONE or market.short.scale != ONE:
            shift = 1 + Fraction(2 * market.price * (abs(skew) + abs(traded) + 2), market.skew_scale * WAD)
        market.fill(account, size)
        self.loop.fill(account, size, base_of(market))
        assert -shift <= market.nav() - nav <= 2 + shift
        self.counts["fill"] += 1

    def move_price(self) -> None:
        factor = self.cases.random.choice((500, 900, 990, 1010, 1100, 1900))
        self.market.price = max(min(self.market.price * factor // 1000, 10**26), 10**9)

    def fund(self) -> None:
        self.market.index += self.cases.int(self.market.price // 50)

    def deleverage(self) -> None:
        market = self.market
        skew = market.skew()
        state = market.long if skew > 0 else market.short
        won = market.open_profit(state)
        if skew == 0 or won <= 0:
            return
        excess = self.cases.uint(won + won // 4 + 1, 1) if self.cases.flag() else self.cases.random.randint(1, won)
        cap_only = self.cases.random.randrange(8) == 0
        interest = market.interest(state)
        fraction = market.maths.deleverage_fraction(excess, won, abs(skew), interest, cap_only)
        capped = fraction == abs(skew) * ONE // interest
        nav, scale, shares, value, base = market.nav(), state.scale, state.shares, market.value(state), base_of(market)
        total = market.open_profit(market.long) + market.open_profit(market.short)
        members = len(self.loop.of(state.long))
        released, closed = market.deleverage(state, fraction)
        # Closing a whole side may turn the skew over and so raise Π; then the side pays for it.
        assert released >= 0 or closed
        kept = Fraction(0) if closed else Fraction(state.scale, scale)
        self.loop.shrink(state.long, kept, released, base)
        self.counts["epoch closed" if closed else "deleveraged"] += 1
        # W moves by the premium set free only, and NAV not at all, but for rounding in the pool's favour.
        after = state.ends[state.epoch - 1] if closed else market.value(state)
        gained = (after - value) * (1 if state.long else -1)
        assert Fraction(released * UNIT, shares) - 3 <= gained <= Fraction(released * UNIT, shares)
        assert 0 <= market.nav() - nav <= 1 + Fraction(3 * shares, UNIT)
        if closed:
            assert (state.scale, state.shares, state.entry_sum, state.open_entry_sum) == (ONE, 0, 0, 0)
            self.stranded += members
            return
        assert 0 <= kept - (1 - Fraction(fraction, ONE)) <= Fraction(1, scale)
        assert market.skew() * skew >= 0, "the skew must not flip"
        if capped:
            assert abs(market.skew()) <= 3, "the cap brings the skew to zero"
            self.counts["capped"] += 1
        else:
            left = market.open_profit(market.long) + market.open_profit(market.short)
            assert left <= total - excess + 2 + Fraction(won, scale), "the metric must fall to its target"
            # A fraction a little smaller would not have done: the part closed is ⌈excess/won⌉.
            assert (fraction - 1) * won < excess * ONE
            self.counts["metric at target"] += 1

    def socialise(self) -> None:
        market = self.market
        state = self.cases.random.choice((market.long, market.short))
        profit = market.side_profit(state)
        if profit <= 0:
            return
        amount = self.cases.uint(profit, 1)
        before = market.nav()
        market.socialise(state, amount)
        self.loop.take(state.long, amount)
        assert 0 <= market.nav() - before - amount <= Fraction(state.shares, UNIT) + 1
        self.counts["socialised"] += 1

    def compare(self) -> None:
        market = self.market
        for account in self.accounts:
            size, profit = market.read(account)
            holding = self.loop.holdings.get(account)
            if holding is None:
                assert (size, profit) == (0, 0)
                continue
            assert abs(size - holding.size) <= 1
            assert abs(profit - self.loop.profit(account, base_of(market))) <= allowed(market, account, holding)
        self.compare_side(market.long)
        self.compare_side(market.short)
        waiting = [account for account, one in market.positions.items() if not market.in_epoch(one)]
        # An epoch is owed rounded up, each of its positions paid rounded down: less than a wei for each.
        assert 0 <= market.owed - sum(market.read(account)[1] for account in waiting) <= self.stranded

    def compare_side(self, state: SideState) -> None:
        market, base = self.market, base_of(self.market)
        live = [(account, one) for account, one in market.positions.items() if market.in_epoch(one)]
        own = [(account, one) for account, one in live if (one.shares > 0) == state.long]
        assert state.shares == sum(abs(one.shares) for _, one in own)
        assert state.entry_sum == sum(one.shares * one.entry for _, one in own)
        sizes = sum(abs(market.read(account)[0]) for account, _ in own)
        assert 0 <= market.interest(state) - sizes <= len(own)
        paid = sum(market.read(account)[1] for account, _ in own)
        assert 0 <= market.side_profit(state) - paid <= len(own) + 1, "the pool must owe what accounts can take"
        # Y holds entries floored (one unit) of values rounded (one unit) on shares that hold up to a wei too much.
        slack = 1 + Fraction(2 * state.shares, UNIT)
        for account, _ in own:
            slack += Fraction(abs(base - self.loop.holdings[account].entry), WAD)
        assert abs(market.open_profit(state) - self.loop.open_profit(base, state.long)) <= slack

    def wind_down(self) -> None:
        """Everybody closes at one price: no aggregate is left, and the pool keeps its NAV and the dust."""
        market = self.market
        for account in list(market.positions):
            self.touch(account, 0)
        for state in (market.long, market.short):
            assert state.shares == state.entry_sum == state.open_entry_sum == 0
        assert market.pool + sum(market.cash.values()) == 0
        assert 0 <= market.owed <= self.stranded
        assert market.nav() == market.pool - market.owed


@pytest.mark.parametrize("block", range(4))
def test_histories_agree_with_the_loop_and_with_the_chain(maths: Harness, block: int) -> None:
    counts: Counter[str] = Counter()
    recorder = Recorder()
    for number in range(HISTORIES // 4):
        History(f"history {block} {number}", recorder, counts).run()
    for name, calls in recorder.calls.items():
        maths.check(CHAIN_NAMES[name], getattr(side, name), list(dict.fromkeys(calls))[:6000])
    for kind in ("deleveraged", "epoch closed", "socialised", "metric at target", "capped"):
        assert counts[kind] >= 5, f"{kind} happened only {counts[kind]} times: {counts}"


@pytest.mark.parametrize("sign", [1, -1])
def test_a_closed_epoch_that_turns_the_skew_over_pays_for_the_premium(sign: int) -> None:
    """A side of a tiny scale is closed by a small fraction, far beyond its skew: Π rises, and NAV must not fall."""
    market = Market(Recorder(), 1000 * WAD, 10**24)
    market.fill(0, sign * 10**22)
    market.price += sign * 100 * WAD
    state = market.long if sign > 0 else market.short
    market.deleverage(state, ONE - 105 * ONE // 10**8)
    size = abs(market.skew())
    market.fill(1, -sign * size * 9 // 10)
    market.price += sign * 100 * WAD
    nav, premium, profit = market.nav(), market.premium(), market.read(0)[1]
    released, closed = market.deleverage(state, ONE // 10)
    assert closed
    assert released < 0
    assert market.premium() == premium - released
    assert 0 <= market.nav() - nav <= 2 + Fraction(3 * 10**22, UNIT)
    assert -2 - Fraction(3 * 10**22, UNIT) <= market.read(0)[1] - profit - released <= 0
