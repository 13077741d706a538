"""INV-40: from whatever state, at the prices it ended with, all leave, and what stays is dust.

The machines of `test_everything` do the same on the chain. Here it is the specification alone, for many more states.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.coalition import Model
from tests.support.worlds import DECIMALS, examples, session_of

from plimsoll.fuzz.campaign import cast_of
from plimsoll.fuzz.choices import Choices
from plimsoll.fuzz.generator import FULL, Generator
from plimsoll.fuzz.invariants import ledger_identities
from plimsoll.fuzz.wind_down import StuckError, WindDown, leftovers
from plimsoll.model.engine.actions import ACTIONS
from plimsoll.model.engine.books import load_pool
from plimsoll.model.engine.draft import Draft, Refusal
from plimsoll.model.engine.state import State, account_id, market_id
from plimsoll.units import WAD

SOLVENT = {**FULL, "overrun": 0, "strand": 0}
"""Without the scenes that take the price so far in one second that losers owe the pool more than they have, while
winners are paid."""


def after(decimals: int, data: bytes, mix: dict[str, int]) -> State:
    """The state after an example, and after everybody left."""
    session = session_of(decimals)
    cast, model = cast_of(session.world), Model(session.start)
    Generator(cast, model.state, model.take, Choices(data), mix).run(400)
    return WindDown(cast, model.state, model.take).run()


def navs(s: State) -> dict[int, int]:
    return {pool: load_pool(Draft(s), pool).nav for pool in s.pools}


@pytest.mark.parametrize("decimals", DECIMALS)
def test_everybody_can_leave(decimals: int) -> None:
    @examples(30)
    @given(st.binary(min_size=100, max_size=1500))
    def property_(data: bytes) -> None:
        end = after(decimals, data, FULL)
        assert list(leftovers(end)) == []
        assert list(ledger_identities(end)) == []
        for pool, terms in end.pool_terms.items():
            # What is left in the contract is what the books say is left.
            held = end.held[pool, terms.token]
            assert held <= end.balances[terms.token, end.clearinghouse] * terms.settlement.unit

    property_()


@pytest.mark.parametrize("decimals", DECIMALS)
def test_everybody_gets_all_that_is_his(decimals: int) -> None:
    @examples(20)
    @given(st.binary(min_size=100, max_size=1500))
    def property_(data: bytes) -> None:
        end = after(decimals, data, SOLVENT)
        assert list(leftovers(end)) == []
        assert min(navs(end).values()) >= 0

    property_()


class Rise:
    """Two traders hold one side of a market alone, with margin for all they may take; then prices run."""

    def __init__(self) -> None:
        session = session_of(6)
        self.cast, self.model = cast_of(session.world), Model(session.start)
        self.market, self.other = market_id(1, 0), market_id(1, 1)
        for trader in self.cast.traders[:2]:
            self.enter(trader, self.market, 100, 4_000_000)

    def enter(self, trader: int, market: int, percent: int, dollars: int) -> None:
        """A position of so many per cent of what the market allows one; below zero it is short."""
        account, keeper = account_id(trader, 1), account_id(self.cast.keepers[0], 1)
        self.model.do("deposit", trader, account, self.model.state.pool_terms[1].token, dollars * 10**6)
        size = self.model.state.market_terms[market].limits.max_position * percent // 100
        self.model.trade(account, market, size, keeper)

    def run(self, *markets: int) -> None:
        """Their prices go to 3.6 times what they are in two seconds, and nobody acts."""
        feeds = [self.model.state.assets[self.model.state.market_terms[one].margin.asset].feed for one in markets]
        answers = [one.rounds[one.latest].answer for one in (self.model.state.feeds[feed] for feed in feeds)]
        for tenths in (19, 36):
            for feed, answer in zip(feeds, answers, strict=True):
                time = self.model.state.time + 1
                self.model.do("push_round", self.cast.owner, feed, answer * tenths // 10, time, wait=1)

    def deleverage(self) -> None:
        """It closes the epoch."""
        self.model.do("deleverage", self.cast.keepers[0], self.market)
        assert self.model.state.markets[self.market].long.shares == 0

    def leave(self) -> State:
        """The state after everybody left."""
        end = WindDown(self.cast, self.model.state, self.model.take).run()
        assert list(leftovers(end)) == []
        return end


def test_winners_pay_a_deficit_before_a_deleveraging_fixes_what_they_get() -> None:
    scene = Rise()
    scene.run(scene.market)
    scene.deleverage()
    owed = scene.model.state.markets[scene.market].owed
    assert navs(scene.model.state)[1] == 0
    assert 15_000_000 * WAD < owed < 25_000_000 * WAD
    assert navs(scene.leave())[1] >= 0


def test_a_loss_that_shows_after_winners_were_paid_stays_with_the_pool() -> None:
    """A known limit of INV-40. What a trader of the other market owes beyond his margin counts in NAV until he is
    liquidated. The winners are deleveraged before that, so nobody is left to share his bad debt: NAV stays below zero,
    the pool is halted, and the last to leave lack as much."""
    scene = Rise()
    scene.enter(scene.cast.traders[2], scene.other, -40, 400_000)
    scene.run(scene.market, scene.other)
    scene.deleverage()
    assert navs(scene.model.state)[1] == 0
    assert navs(scene.leave())[1] < -4_000_000 * WAD


def test_who_cannot_leave_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(d: Draft, *_: object) -> None:
        del d
        raise Refusal("Closed")

    session = session_of(6)
    cast, model = cast_of(session.world), Model(session.start)
    trader, token = cast.traders[0], model.state.pool_terms[1].token
    model.do("deposit", trader, account_id(trader, 1), token, 10**9)
    monkeypatch.setitem(ACTIONS, "withdraw", closed)  # type: ignore[arg-type]
    with pytest.raises(StuckError, match=r"withdraw\(.* is refused: Closed"):
        WindDown(cast, model.state, model.take).run()


def test_what_stays_is_named() -> None:
    session = session_of(6)
    cast, model = cast_of(session.world), Model(session.start)
    end = WindDown(cast, model.state, model.take).run()
    assert list(leftovers(end)) == []
    trader, token = cast.traders[0], end.pool_terms[1].token
    account = account_id(trader, 1)
    with_cash = Model(end)
    with_cash.do("deposit", trader, account, token, 10**9)
    assert any("accounts keep" in line for line in leftovers(with_cash.state))
    claimed = replace(end, claims={(1, token, trader): 10**18}, claim_totals={(1, token): 10**18})
    assert any("a claim of" in line for line in leftovers(claimed))
    pool = replace(end.pools[1], fees=1)
    assert any("fees, debts or sales" in line for line in leftovers(replace(end, pools={**end.pools, 1: pool})))
    lp = session.start.lps[1]
    held = {**end.held, (1, token): session.start.held[1, token]}
    rich = replace(end, lps={**end.lps, 1: lp}, held=held)
    assert any("shares of" in line for line in leftovers(rich))
    poor = replace(end, held={**end.held, (1, token): 0})
    assert any("NAV is -" in line for line in leftovers(poor))
