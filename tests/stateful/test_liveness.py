"""What must always be possible, in states that examples end in: INV-10, INV-13, INV-25, INV-28 and INV-30.

The specification alone, which equals the chain word by word; the machines of `test_everything` take such steps on both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.coalition import Careful, Model
from tests.support.worlds import DECIMALS, examples, session_of

from plimsoll.fuzz.campaign import cast_of
from plimsoll.fuzz.choices import Choices
from plimsoll.fuzz.generator import Generator
from plimsoll.fuzz.invariants import DEEP, INVARIANTS, Transition, leveraging
from plimsoll.fuzz.invariants.closing import CLOSED
from plimsoll.fuzz.session import Step
from plimsoll.model.config_words import Pause
from plimsoll.model.engine import fill as fills
from plimsoll.model.engine import prices
from plimsoll.model.engine.actions import Action, Result, apply
from plimsoll.model.engine.books import load_market, load_pool
from plimsoll.model.engine.draft import Draft, Refusal
from plimsoll.model.engine.feeds import Feed, Round
from plimsoll.model.engine.fill import FillOrder
from plimsoll.model.engine.health import below, better, health_of
from plimsoll.model.engine.ledger import size_of
from plimsoll.model.engine.liquidation import LiquidationResult
from plimsoll.model.engine.margin import NO_MARKET, maintenance_margin
from plimsoll.model.engine.state import State, account_id, market_id, pool_of
from plimsoll.units import PPM, WAD

DATA = st.binary(min_size=200, max_size=1500)
HUGE = 2**256 - 1


class Wild(Careful):
    """An example of trading and crashes, which leaves positions in trouble."""

    def _weighted(self) -> list[Callable[[], object]]:
        kept = ((30, self.settle_in), (3, self.deposit), (4, self.withdraw), (3, self.move_price), (2, self.accrue))
        return [choice for weight, choice in kept for _ in range(weight)]


def wild(decimals: int, data: bytes) -> Model:
    """The end of such an example, with fresh prices that no margin check has seen."""
    session = session_of(decimals)
    model = Model(session.start)
    choices = Choices(data)
    falls = choices.pick((0, 30, -30, 60, -60, 150, -150, 400, -400))
    Wild(cast_of(session.world), model.state, model.take, choices).run(120)
    crash = Generator(cast_of(session.world), model.state, model.take, Choices(bytes([1] * 64)))
    for asset in sorted(model.state.assets):
        crash._move(asset, falls, 1)
    return model


def open_positions(s: State) -> Iterator[tuple[int, int, int]]:
    """(account, market, size) of everything open."""
    d = Draft(s)
    for account, index in s.positions:
        market = market_id(pool_of(account), index)
        size = size_of(d, load_market(d, market), s.positions[account, index])
        if size:
            yield account, market, size


# ── INV-10: reducing risk is free ────────────────────────────────────────────


def hostile(s: State) -> State:
    """The same with everything switched off that may be, caps of zero, and no insurance."""
    model = Model(s)
    for market in s.markets:
        model.do("lower_caps", s.owner, market, 0, 0)
        model.do("set_reduce_only", s.owner, market, True)
    for pool in s.pools:
        model.do("set_pause", s.owner, pool, int(Pause.ALL))
    s = model.state
    return replace(s, pools={pool: replace(one, insurance=0) for pool, one in s.pools.items()})


def reduce(s: State, account: int, market: int, size: int, part: int) -> Refusal | None:
    """Why a reduction of part/8 of a position at the newest price is refused, if it is."""
    d = Draft(s)
    d.begin()
    spot, _ = prices.observe(d, s.market_terms[market].margin.asset)
    delta = -size * part // 8
    limit = HUGE if delta > 0 else 0
    try:
        fills.fill(d, FillOrder(account, market, delta, limit, True, spot, 0, account_id(1, market >> 8)))
    except Refusal as refusal:
        return refusal
    return None


def may_be_refused(s: State, account: int, market: int, size: int, part: int) -> bool:
    """Whether E'·MM ≥ E·MM' ≥ 0 may fail, with the most that the reduction can cost."""
    d = Draft(s)
    d.begin()
    p = load_pool(d, pool_of(account))
    equity, required, _ = maintenance_margin(d, account, d.accounts[account], p, NO_MARKET)
    required += p.terms.risk.keeper_floor
    m = load_market(d, market)
    spot, _ = prices.observe(d, m.terms.margin.asset)
    amount = -(-abs(size) * part // 8)
    notional = amount * spot.price // WAD + 2
    ppm = m.terms.trade.taker_ppm + spot.band_ppm
    premium = notional * (abs(m.skew) + amount) // m.terms.trade.skew_scale
    cost = notional * ppm // PPM + premium + 10
    released = notional * m.terms.margin.mm_base_ppm // PPM
    return equity < cost or equity * released < cost * required


@pytest.mark.parametrize("decimals", DECIMALS)
def test_a_reduction_is_refused_only_when_it_lowers_health(decimals: int) -> None:
    tried = {"done": 0, "refused": 0}

    @examples(15)
    @given(DATA, st.integers(1, 8), st.booleans())
    def property_(data: bytes, part: int, switched_off: bool) -> None:
        s = wild(decimals, data).state
        s = hostile(s) if switched_off else s
        for account, market, size in open_positions(s):
            refusal = reduce(s, account, market, size, part)
            tried["done" if refusal is None else "refused"] += 1
            if refusal is not None:
                assert refusal.name == "InsufficientMargin"
                assert may_be_refused(s, account, market, size, part), refusal

    property_()
    assert tried["done"] > 10, tried


# ── INV-13: liquidation is live ──────────────────────────────────────────────


@pytest.mark.parametrize("decimals", DECIMALS)
def test_whoever_is_below_the_line_can_be_liquidated(decimals: int) -> None:
    counts: dict[LiquidationResult, int] = {}

    @examples(25)
    @given(DATA, st.booleans())
    def property_(data: bytes, switched_off: bool) -> None:
        s = wild(decimals, data).state
        s = hostile(s) if switched_off else s
        keeper = account_id(0xB0B, 1)
        for token, kind in s.tokens.items():
            # No token moves when somebody is liquidated, so none can prevent it.
            s = replace(s, tokens={**s.tokens, token: replace(kind, refuses=True)})
        for account, a in s.accounts.items():
            d = Draft(s)
            d.begin()
            h = better(
                d, account, a, load_pool(d, pool_of(account)), health_of(d, account, a, load_pool(d, pool_of(account)))
            )
            result = apply(s, Action("liquidate", 0xB0B, ((account,), keeper)))
            assert result.refusal is None
            (outcome,) = result.value
            counts[outcome] = counts.get(outcome, 0) + 1
            if below(h) and (a.markets or a.raw_cash < 0):
                # Protection of the pool may take profit from the account or give it, so it may be healthy after it.
                saved = outcome is LiquidationResult.HEALTHY and any(leg.profit > 0 for leg in h.legs)
                assert outcome in CLOSED or outcome is LiquidationResult.ON_SALE or saved, outcome
            else:
                assert outcome is LiquidationResult.HEALTHY

    property_()
    assert sum(counts.get(one, 0) for one in CLOSED) > 5, counts


# ── INV-25: deleveraging ─────────────────────────────────────────────────────


def deleveraged(session_decimals: int, moves: list[int], sizes: list[int]) -> list[Transition]:
    """Deleveragings of a market in which traders hold what is given, while its price moves for them."""
    session = session_of(session_decimals)
    cast, model = cast_of(session.world), Model(session.start)
    model.publish(1)
    market, keeper = 0x200, account_id(cast.keepers[0], 2)
    # A small pool: its trigger is near.
    pools = {**model.state.pools, 2: replace(model.state.pools[2], cash=400_000 * WAD)}
    model.state = replace(model.state, pools=pools)
    terms = model.state.pool_terms[2]
    for index, size in enumerate(sizes):
        trader = cast.traders[index % len(cast.traders)]
        account = account_id(trader, 2, index // len(cast.traders))
        model.do("deposit", trader, account, terms.token, 10**6 * 10**terms.settlement.decimals)
        order = model.order(account, market, size * WAD)
        model.execute(keeper, order)
    found = []
    for move in moves:
        crash = Generator(cast, model.state, model.take, Choices(bytes([1] * 64)))
        for asset in sorted(model.state.assets):
            crash._move(asset, move, 30)
        before = model.state
        step = Step(Action("deleverage", cast.keepers[0], (market,)), before.time)
        result = apply(before, step.action, step.time)
        model.state = result.state
        if result.refusal is None:
            found.append(Transition(before, result.state, step, result))
    return found


def test_deleveraging_equals_a_loop_over_positions() -> None:
    seen = []

    @examples(60)
    @given(
        st.sampled_from(DECIMALS),
        st.lists(st.sampled_from((100, 300, 600, 900, -200)), min_size=1, max_size=4),
        st.lists(st.integers(-300, 1990).filter(lambda size: abs(size) > 5), min_size=1, max_size=8),
    )
    def property_(decimals: int, moves: list[int], sizes: list[int]) -> None:
        for t in deleveraged(decimals, moves, sizes):
            seen.append(t)
            assert list(INVARIANTS["INV-25"](t)) == []
            assert list(DEEP["INV-22"](t)) == []
            nav = [one.pools[2].cash - one.pools[2].loss_sum for one in (t.before, t.after)]
            assert t.after.pools[2].loss_sum <= t.after.pools[2].cash or nav[1] <= 0

    property_()
    assert len(seen) > 5


def test_an_unfair_deleveraging_would_be_found() -> None:
    (t, *_) = deleveraged(6, [900], [1500, 900, 100])
    assert list(leveraging.deleveraged(t, 0x200)) == []
    key, event = next((key, one) for key, one in t.after.events.items() if key not in t.before.events)
    held = next(key for key in t.after.positions)
    position = t.after.positions[held]

    def seen(**tables: object) -> str:
        after = replace(t.after, **tables)  # type: ignore[arg-type]
        return "; ".join(leveraging.deleveraged(replace(t, after=after), 0x200))

    moved = replace(position, entry=position.entry - 10**20)
    assert "wrote to positions" in seen(positions={**t.after.positions, held: moved})
    gift = {**t.after.events, key: replace(event, offset=event.offset + 10**15)}
    assert "set free, positions gained" in seen(events=gift)
    assert "not its part" in seen(events=gift)
    assert "made a side larger" in seen(events={**t.after.events, key: replace(event, scale=2 * 10**36)})


# ── INV-28: grace ────────────────────────────────────────────────────────────


@pytest.mark.parametrize("since", [0, 1, 599, 600, 601])
def test_grace_protects_all_but_the_worst_and_stops_no_deposit(since: int) -> None:
    """A trader at 90 %, and one at 30 %, of maintenance margin, right after the sequencer came up."""
    session = session_of(6)
    cast, model = cast_of(session.world), Model(session.start)
    model.publish(1)
    keeper = account_id(cast.keepers[0], 1)
    accounts = [account_id(trader, 1) for trader in cast.traders[:2]]
    token = model.state.pool_terms[1].token
    for account, trader, margin in zip(accounts, cast.traders, (60, 45), strict=False):
        model.do("deposit", trader, account, token, 100 * 2000 * margin // 1000 * 10**6)
        model.trade(account, 0x100, 100 * WAD, keeper)
    feed = model.state.feeds[model.state.assets[1].feed]
    answer = feed.rounds[feed.latest].answer * 963 // 1000
    model.publish(2000)
    for source in (model.state.assets[1].feed, model.state.assets[1].secondary):
        model.do("push_round", cast.owner, source, answer, model.state.time)
    model.do("set_sequencer_status", cast.owner, False, model.state.time - since)
    in_grace = since < model.state.sequencer.grace
    before = model.state
    d = Draft(before)
    d.begin()
    healths = [health_of(d, one, d.accounts[one], load_pool(d, 1)) for one in accounts]
    assert all(below(h) for h in healths)
    line = before.pool_terms[1].liquidation.grace_health_ppm
    protected = [h.equity * PPM >= h.required * line for h in healths]
    assert protected == [True, False]
    for account, safe in zip(accounts, protected, strict=True):
        step = Step(Action("liquidate", cast.keepers[0], ((account,), keeper)), before.time)
        result: Result = apply(before, step.action, step.time)
        assert (result.value[0] is LiquidationResult.GRACE) == (in_grace and safe)
        assert list(INVARIANTS["INV-28"](Transition(before, result.state, step, result))) == []
    model.do("deposit", cast.traders[0], accounts[0], token, 10**9)
    refused = model.attempt("withdraw", cast.traders[0], accounts[0], token, 1, cast.traders[0]).refusal
    assert (refused is not None and refused.name == "PriceRefused") == in_grace
    assert reduce(model.state, accounts[0], 0x100, 100 * WAD, 8) is None


# ── INV-30: no choice of price ───────────────────────────────────────────────


@examples(300)
@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 3), st.booleans()), min_size=1, max_size=12),
    st.integers(0, 200),
    st.integers(0, 60),
)
def test_at_most_one_price_is_admissible(rounds: list[tuple[int, int, bool]], after: int, late: int) -> None:
    s = session_of(6).start
    asset = 1
    time, table = s.time, {}
    for number, (gap, price, complete) in enumerate(rounds, 1):
        time += gap
        table[number] = Round((2000 + price) * 10**8, time, number if complete else number - 1)
    feed = Feed(8, table, len(table))
    s = replace(s, feeds={**s.feeds, s.assets[asset].feed: feed})
    d = Draft(s)
    d.time = time + late
    not_before = s.time + after
    found, refusals = set(), set()
    for hint in (None, *((number, claimed) for number in range(1, len(table) + 2) for claimed in (0, number))):
        d.begin()
        try:
            spot = prices.first_after(d, asset, not_before, hint)
        except Refusal as refusal:
            refusals.add(refusal.name)
            continue
        found.add((spot.price, spot.publish_time))
    assert refusals <= {"NoPriceYet", "NotFirstPrice"}
    assert len(found) <= 1
    # A complete feed has exactly one, once there is any.
    if all(complete for _, _, complete in rounds):
        first = next((one for one in table.values() if one.updated_at >= not_before), None)
        assert len(found) == (1 if first is not None and not_before <= d.time else 0)
