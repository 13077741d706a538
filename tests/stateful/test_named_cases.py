"""Cases that random examples seldom reach, on specification and chain at once."""

from __future__ import annotations

import pytest

from plimsoll.fuzz.campaign import cast_of
from plimsoll.fuzz.invariants import Transition, check, deep
from plimsoll.fuzz.session import Session, Step
from plimsoll.fuzz.world import World
from plimsoll.model.engine import liquidation
from plimsoll.model.engine.actions import Action, Result
from plimsoll.model.engine.liquidation import LiquidationResult
from plimsoll.model.engine.state import account_id, owner_of
from plimsoll.units import WAD

MANY = 2**256 - 1
DOLLAR = 10**6


class Stage:
    """A world in which named accounts trade; every step is compared and checked."""

    def __init__(self) -> None:
        self.session = Session(World.open())
        self.cast = cast_of(self.session.world)
        state = self.session.state
        self.eth, self.btc = sorted(market for market in state.markets if market >> 8 == 1)
        self.time = state.time

    def do(self, name: str, caller: int, *args: object, wait: int = 1) -> Result:
        self.time += wait
        before = self.session.state
        step = Step(Action(name, caller, args), self.time)
        result = self.session.act(step)
        seen = Transition(before, result.state, step, result)
        assert check(seen) + deep(seen) == []
        assert result.refusal is None, result.refusal
        return result

    def price(self, market: int, dollars: int, wait: int = 1) -> None:
        """The feed of a market publishes."""
        asset = self.session.state.market_terms[market].margin.asset
        feed = self.session.state.assets[asset].feed
        self.do("push_round", self.cast.owner, feed, dollars * 10**8, self.time + wait, wait=wait)

    def open(self, account: int, market: int, size: int, dollars: int, margin: int) -> None:
        """An account brings margin and opens a position at a price."""
        owner, state = owner_of(account), self.session.state
        self.do("deposit", owner, account, state.pool_terms[1].token, margin * DOLLAR)
        fee = state.rules[market].min_keeper_fee
        limit = MANY if size > 0 else 0
        placed = self.do("place_order", owner, account, market, size, limit, self.time + 301, fee, False, 0)
        self.price(market, dollars, state.rules[market].settlement_delay)
        order = placed.state.queues[account, market].orders[0][0]
        keeper = self.cast.keepers[0]
        done = self.do("execute_orders", keeper, ((order, None),), account_id(keeper, 1))
        assert done.value[0][0].name == "FILLED", done.value


@pytest.mark.parametrize("fall", [11_000, 20_000])
def test_a_winning_leg_of_an_unsound_market_is_deleveraged_before_it_is_credited(
    monkeypatch: pytest.MonkeyPatch, fall: int
) -> None:
    """INV-24, INV-25: longs of ETH win more than the pool may lose; the account to be liquidated is one of them, and
    loses more in BTC. Its profit is credited only after the whole side was deleveraged."""
    calls = []
    protect = liquidation.protect
    monkeypatch.setattr(liquidation, "protect", lambda *args: calls.append(args) or protect(*args))
    s = Stage()
    one, two, three = s.cast.traders[:3]
    victim = account_id(three, 1)
    s.open(account_id(one, 1), s.eth, 2_400 * WAD, 2_000, 700_000)
    s.open(account_id(two, 1), s.eth, 2_400 * WAD, 2_000, 700_000)
    s.open(victim, s.eth, 20 * WAD, 2_000, 60_000)
    s.open(victim, s.btc, 10 * WAD, 40_000, 20_000)
    s.price(s.eth, 3_700)
    s.price(s.btc, 40_000 - fall)
    before = s.session.state
    keeper = s.cast.keepers[0]
    done = s.do("liquidate", keeper, (victim,), account_id(keeper, 1))
    assert done.value[0] in (LiquidationResult.PARTIAL, LiquidationResult.FULL, LiquidationResult.BAD_DEBT)
    assert len(calls) == 1
    after = done.state
    assert after.markets[s.eth].long.events == before.markets[s.eth].long.events + 1
    s.session.settle()
