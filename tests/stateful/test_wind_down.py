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
from plimsoll.model.engine.draft import Draft, Refusal
from plimsoll.model.engine.state import State, account_id, market_id

SOLVENT = {**FULL, "overrun": 0, "strand": 0}
"""Without the scenes that take the price so far in one second that a pool owes winners more than it has: see
`test_profits_that_a_deleveraging_locked_beyond_what_the_pool_has_stay_unpaid`."""


def after(decimals: int, data: bytes) -> State:
    """The state after an example, and after everybody left."""
    session = session_of(decimals)
    cast, model = cast_of(session.world), Model(session.start)
    Generator(cast, model.state, model.take, Choices(data), SOLVENT).run(400)
    return WindDown(cast, model.state, model.take).run()


@pytest.mark.parametrize("decimals", DECIMALS)
def test_everybody_can_leave(decimals: int) -> None:
    @examples(30)
    @given(st.binary(min_size=100, max_size=1500))
    def property_(data: bytes) -> None:
        end = after(decimals, data)
        assert list(leftovers(end)) == []
        assert list(ledger_identities(end)) == []
        for pool, terms in end.pool_terms.items():
            # What is left in the contract is what the books say is left.
            held = end.held[pool, terms.token]
            assert held <= end.balances[terms.token, end.clearinghouse] * terms.settlement.unit

    property_()


def test_profits_that_a_deleveraging_locked_beyond_what_the_pool_has_stay_unpaid() -> None:
    """A known limit of INV-40. The price goes up 3.6 times within two seconds while the pool holds against two whales,
    so its NAV is below zero when `deleverage` is called. That closes the epoch of the longs at the full unit value;
    socialisation, which would come next, finds no shares to take from, and the last to leave finds the money gone."""
    session = session_of(6)
    cast, model = cast_of(session.world), Model(session.start)
    market, keeper = market_id(1, 0), account_id(cast.keepers[0], 1)
    terms = model.state.market_terms[market]
    feed = model.state.assets[terms.margin.asset].feed
    for trader in cast.traders[:2]:
        account = account_id(trader, 1)
        model.do("deposit", trader, account, model.state.pool_terms[1].token, 4_000_000 * 10**6)
        model.trade(account, market, terms.limits.max_position, keeper)
    answer = model.state.feeds[feed].rounds[model.state.feeds[feed].latest].answer
    for tenths in (19, 36):
        model.do("push_round", cast.owner, feed, answer * tenths // 10, model.state.time + 1, wait=1)
    model.do("deleverage", cast.keepers[0], market)
    with pytest.raises(StuckError, match="InsufficientPoolLiquidity"):
        WindDown(cast, model.state, model.take).run()


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
