"""Nobody gains without a price that moves: INV-16, INV-17, INV-18, INV-19 and INV-21, on the specification.

The specification equals the chain word by word; the steps of some of these examples are taken on the chain too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.coalition import Model, Watched, calm, cash_of_all, leave, money, shares_of, wealth
from tests.support.worlds import DECIMALS, examples, session_of

from plimsoll.fuzz.campaign import cast_of
from plimsoll.fuzz.population import Cast
from plimsoll.fuzz.prepare import Setting
from plimsoll.fuzz.session import Session, Step
from plimsoll.fuzz.world import World
from plimsoll.model import pricing
from plimsoll.model.engine.liquidation import LiquidationResult
from plimsoll.model.engine.orders import OrderResult
from plimsoll.model.engine.state import State, account_id
from plimsoll.units import PPM, WAD

ETH = 0x100
SIZES = st.integers(10**17, 300 * WAD)
MONEY = 10**6
"""Whole units that a trader brings."""


def start_of(session: Session) -> Model:
    """The specification at the beginning of a world, with fresh prices."""
    model = Model(session.start)
    model.publish(1)
    return model


def ready(session: Session, cast: Cast, sub: int = 0) -> tuple[Model, int, int, int]:
    """As `start_of`, with a trader who has money; gives his account, and the keeper's."""
    model, trader = start_of(session), cast.traders[0]
    account, keeper = account_id(trader, 1, sub), account_id(cast.keepers[0], 1)
    terms = model.state.pool_terms[1]
    model.do("deposit", trader, account, terms.token, MONEY * 10**terms.settlement.decimals)
    return model, trader, account, keeper


def on_chain(session: Session, steps: Sequence[Step]) -> State:
    """Takes steps on the chain too; gives the state after them."""
    with session.world.driver.isolated():
        session.restart()
        for step in steps:
            session.act(step)
        session.settle()
        state = session.state
        session.restart()
    return state


# ── INV-17: no free lunch ────────────────────────────────────────────────────

GROUPS = ("all", "without liquidity providers", "with one liquidity provider")


def group_of(cast: Cast, kind: str) -> Cast:
    """A coalition; whoever is not in it does nothing."""
    one = cast.traders[0]
    lps = {"all": cast.lps, "without liquidity providers": cast.traders, "with one liquidity provider": cast.lps[:1]}
    return replace(cast, owner=one, guardian=one, thief=one, lps=lps[kind], hostile={})


def gain(session: Session, kind: str, data: bytes, *, generous: bool = False) -> int:
    """What a coalition has more after an example and after everybody left, WAD."""
    cast = cast_of(session.world)
    group = group_of(cast, kind)
    people = set(group.everybody)
    model = Watched(session.start)
    model.publish(1)
    before = wealth(model.state, people) + shares_of(model.state, people)
    calm(group, model, data, generous=generous)
    end = leave(group, model.state)
    return wealth(end, people) + shares_of(end, people) - before


@pytest.mark.parametrize("kind", GROUPS)
def test_no_coalition_gains_while_no_price_moves(kind: str) -> None:
    @examples(60)
    @given(st.sampled_from(DECIMALS), st.booleans(), st.binary(min_size=100, max_size=900))
    def property_(decimals: int, generous: bool, data: bytes) -> None:
        assert gain(session_of(decimals), kind, data, generous=generous) <= 0

    property_()


def test_a_premium_that_is_paid_out_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same property fails when the pool pays 2 % for being traded with."""
    monkeypatch.setattr(pricing, "fill_cost", lambda _band, price, _skew, delta, *_: -(abs(delta) * price // WAD // 50))
    gains = [gain(session_of(6), "without liquidity providers", Random(seed).randbytes(600)) for seed in range(20)]
    assert max(gains) > 0, gains


# ── INV-18: round trips ──────────────────────────────────────────────────────


@pytest.mark.parametrize("decimals", DECIMALS)
def test_opening_and_closing_costs_both_fees(decimals: int) -> None:
    session, cast = session_of(decimals), cast_of(session_of(decimals).world)

    @examples(12)
    @given(SIZES, st.booleans())
    def property_(size: int, long: bool) -> None:
        model, trader, account, keeper = ready(session, cast)
        people = {trader, cast.keepers[0]}
        before = wealth(model.state, people) + cash_of_all(model.state, people)
        signed = size if long else -size
        model.trade(account, ETH, signed, keeper)
        model.trade(account, ETH, -signed, keeper, reduce_only=True)
        lost = before - wealth(model.state, people) - cash_of_all(model.state, people)
        terms = model.state.market_terms[ETH].trade
        notional = pricing.notional_down(size, model.state.markets[ETH].price)
        # Away from the middle as taker, back as maker.
        assert lost >= notional * (terms.maker_ppm + terms.taker_ppm) // PPM

    property_()
    model, _, account, keeper = ready(session, cast)
    model.trade(account, ETH, WAD, keeper)
    model.trade(account, ETH, -WAD, keeper, reduce_only=True)
    assert on_chain(session, model.steps) == model.state


@pytest.mark.parametrize("decimals", DECIMALS)
def test_money_in_and_out_again_is_the_same_money(decimals: int) -> None:
    session, cast = session_of(decimals), cast_of(session_of(decimals).world)

    @examples(12)
    @given(st.integers(1, 10**12), st.integers(0, 86_400))
    def property_(amount: int, wait: int) -> None:
        model, trader = start_of(session), cast.traders[0]
        account = account_id(trader, 1)
        token = model.state.pool_terms[1].token
        before = wealth(model.state, {trader})
        model.do("deposit", trader, account, token, amount)
        assert model.attempt("withdraw", trader, account, token, amount + 1, trader).refusal is not None
        model.do("withdraw", trader, account, token, amount, trader, wait=wait)
        assert wealth(model.state, {trader}) == before

    property_()


@pytest.mark.parametrize("decimals", DECIMALS)
def test_placing_and_cancelling_costs_nothing(decimals: int) -> None:
    session, cast = session_of(decimals), cast_of(session_of(decimals).world)

    @examples(12)
    @given(SIZES)
    def property_(size: int) -> None:
        model, trader, account, _ = ready(session, cast)
        before = wealth(model.state, {trader}) + cash_of_all(model.state, {trader})
        order = model.order(account, ETH, size)
        model.do("cancel_order", trader, order, wait=1)
        assert wealth(model.state, {trader}) + cash_of_all(model.state, {trader}) == before

    property_()


@pytest.mark.parametrize("decimals", DECIMALS)
def test_liquidity_in_and_out_gains_nothing(decimals: int) -> None:
    session, cast = session_of(decimals), cast_of(session_of(decimals).world)

    @examples(8)
    @given(st.integers(0, 10**6), st.integers(0, 10**6))
    def property_(whole: int, rest: int) -> None:
        model, trader = start_of(session), cast.traders[0]
        lp = model.state.lps[1]
        amount = lp.min_deposit + whole * 10 ** model.state.tokens[lp.asset].decimals + rest % (WAD // lp.unit)
        before = wealth(model.state, {trader})
        model.do("request_deposit", trader, 1, amount, trader, trader)
        end = leave(cast, model.state)
        lost = before - wealth(end, {trader}) - shares_of(end, {trader})
        assert 0 <= lost <= lp.min_deposit * lp.unit // 10_000 + 2 * lp.unit

    property_()


# ── INV-19 and INV-16: splitting ─────────────────────────────────────────────


@pytest.mark.parametrize("decimals", DECIMALS)
def test_splitting_an_order_never_helps(decimals: int) -> None:
    session, cast = session_of(decimals), cast_of(session_of(decimals).world)

    @examples(12)
    @given(st.lists(st.integers(5 * 10**16, 60 * WAD), min_size=2, max_size=6), st.booleans(), st.integers(-50, 50))
    def property_(parts: list[int], long: bool, skew: int) -> None:
        model, _, account, keeper = ready(session, cast)
        if skew:
            other = account_id(cast.traders[1], 1)
            terms = model.state.pool_terms[1]
            model.do("deposit", cast.traders[1], other, terms.token, MONEY * 10**terms.settlement.decimals)
            model.trade(other, ETH, skew * WAD, keeper)
        sign = 1 if long else -1
        alone, split = Model(model.state), Model(model.state)
        alone.execute(keeper, alone.order(account, ETH, sign * sum(parts)))
        orders = [split.order(account, ETH, sign * part) for part in parts]
        assert set(split.execute(keeper, *orders)) == {OrderResult.FILLED}
        fee = model.state.rules[ETH].min_keeper_fee
        one = alone.state.accounts[account].raw_cash + fee
        many = split.state.accounts[account].raw_cash + fee * len(parts)
        assert alone.state.positions[account, 0].shares == split.state.positions[account, 0].shares
        assert 0 <= one - many <= 2 * len(parts)

    property_()


@pytest.mark.parametrize("decimals", DECIMALS)
def test_splitting_a_liquidation_never_pays_more(decimals: int) -> None:
    session, cast = session_of(decimals), cast_of(session_of(decimals).world)
    results = set()

    @examples(12)
    @given(st.integers(10, 1000), st.integers(65, 75), st.integers(30, 64), st.booleans())
    def property_(units: int, margin: int, fall: int, long: bool) -> None:
        model, trader = start_of(session), cast.traders[0]
        account, keeper = account_id(trader, 1), account_id(cast.keepers[0], 1)
        terms = model.state.pool_terms[1]
        need = units * model.state.asset_states[1].price * margin // 1000 // terms.settlement.unit
        model.do("deposit", trader, account, terms.token, need)
        model.trade(account, ETH, units * WAD if long else -units * WAD, keeper)
        feed = model.state.feeds[model.state.assets[1].feed]
        answer = feed.rounds[feed.latest].answer * (1000 + (-fall if long else fall)) // 1000
        time = model.state.time + 60
        for source in (model.state.assets[1].feed, model.state.assets[1].secondary):
            model.do("push_round", 1, source, answer, time, wait=time - model.state.time)
        person = cast.keepers[0]

        def reward(*calls: tuple[int, ...]) -> int:
            one = Model(model.state)
            before = money(one.state, person)
            for call in calls:
                results.update(one.do("liquidate", cast.keepers[0], call, keeper, wait=1).value)
                one.do("push_round", 1, one.state.assets[1].feed, answer, one.state.time)
            return money(one.state, person) - before

        most = reward((account,))
        assert reward((account, account)) <= most
        assert reward((account,), (account,), (account,)) <= most
        assert 0 <= most <= model.state.pool_terms[1].liquidation.reward_max

    property_()
    assert {LiquidationResult.PARTIAL, LiquidationResult.HEALTHY} <= results


# ── INV-21: inflation ────────────────────────────────────────────────────────


@pytest.fixture(scope="module", params=DECIMALS)
def young(request: pytest.FixtureRequest) -> Session:
    """A world in which a pool has nothing but its dead deposit."""
    return Session(World.open(Setting(settlement_decimals=request.param, lps=0)))


ATTACKS = st.lists(
    st.tuples(st.sampled_from(("give", "give shares", "insure", "enter", "trade")), st.integers(1, 10**9)), max_size=4
)


@pytest.mark.parametrize("late", [False, True])
def test_donations_and_first_deposits_rob_nobody(young: Session, late: bool) -> None:
    cast = replace(cast_of(young.world), lps=cast_of(young.world).traders)
    attacker, victim = cast.traders[:2]

    @examples(10)
    @given(ATTACKS, st.integers(0, 10**6))
    def property_(attacks: list[tuple[str, int]], extra: int) -> None:
        model = start_of(young)
        one = model.state.lps[1]
        amount = one.min_deposit + extra * WAD // one.unit // 1000
        mine, theirs = (wealth(model.state, {person}) for person in (attacker, victim))
        if late:
            _attack(model, cast, attacks)
            model = Model(_strike(model, cast))
        model.do("request_deposit", victim, 1, amount, victim, victim)
        _attack(model, cast, attacks)
        end = leave(cast, model.state)
        assert wealth(end, {attacker}) + shares_of(end, {attacker}) <= mine
        lost = theirs - wealth(end, {victim}) - shares_of(end, {victim})
        assert lost <= amount * one.unit // 10_000 + 2 * one.unit

    property_()


def _attack(model: Model, cast: Cast, attacks: list[tuple[str, int]]) -> None:
    attacker, lp = cast.traders[0], model.state.lps[1]
    for kind, size in attacks:
        amount = size * 10 ** model.state.tokens[lp.asset].decimals // 1000 + 1
        if kind == "give":
            model.do("give_token", attacker, lp.asset, model.state.clearinghouse, amount)
        elif kind == "give shares":
            model.do("give_token", attacker, lp.asset, lp.address, amount)
        elif kind == "insure":
            model.do("fund_insurance", attacker, 1, amount)
        elif kind == "enter":
            model.attempt("request_deposit", attacker, 1, amount, attacker, attacker)
        else:
            account = account_id(attacker, 1)
            model.do("deposit", attacker, account, lp.asset, amount)
            fee = model.state.rules[ETH].min_keeper_fee
            expiry = model.state.time + 600
            placed = (account, ETH, WAD, 2**256 - 1, expiry, fee, False, 0)
            if model.attempt("place_order", attacker, *placed).refusal is None:
                order = model.state.queues[account, ETH].orders[-1][0]
                model.execute(account_id(cast.keepers[0], 1), order)


def _strike(model: Model, cast: Cast) -> State:
    """The state after the next strike."""
    one = model.state.lps[1]
    epoch = 1 + (model.state.time - one.start) // one.epoch_length
    model.publish(one.start + epoch * one.epoch_length + one.lp_delay - model.state.time)
    model.attempt("strike", cast.keepers[0], 1, account_id(cast.keepers[0], 1))
    return model.state
