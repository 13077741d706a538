"""Deleveraging against a loop over all accounts: sizes, values, NAV, epochs, owed."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest
from tests.support import mirror_actions
from tests.support.books import MarketBook
from tests.support.core import change, traded
from tests.support.ledger_mirror import PoolMirror
from tests.support.protocol import Protocol
from tests.support.reverts import reverts_with

from plimsoll.model import side
from plimsoll.units import ONE, PPM, UNIT, WAD

POOL, MARKET = "longtail", "SOL"


def accounts(p: Protocol, count: int) -> list[bytes]:
    """Sub-accounts with $60,000 each."""
    found = [p.account(p.trader, POOL, sub=sub) for sub in range(count)]
    for account in found:
        p.deposit(account, 60_000)
    return found


def drain(p: Protocol, nav: int) -> None:
    """Lets the pool have lost money before: V falls to `nav` dollars, held too."""
    ledger = p.ledger(POOL)
    taken = ledger.cash - nav * WAD
    usdc = p.tokens["USDC"]
    for path, amount in ((("pools_", 2, "money"), taken), (("held_", 2, usdc.address), taken)):
        slot = p.reader.slots.at(str(path[0]), *path[1:])
        word = p.reader.word(str(path[0]), *path[1:]) - amount
        p.rpc.request("anvil_setStorageAt", [p.clearinghouse.address, hex(slot), "0x" + word.to_bytes(32, "big").hex()])


def values(mirror: PoolMirror, m: MarketBook, every: list[bytes]) -> dict[bytes, tuple[int, int]]:
    """Size and profit of every account at the market's price."""
    return {one: mirror.value_of(m, mirror.accounts[one].positions[0], m.price) for one in every}


def act(p: Protocol, every: list[bytes]) -> tuple[PoolMirror, PoolMirror, int]:
    """Deleverages on chain and in the mirror; the state before, after, and the fraction."""
    mirror, before = (PoolMirror.read(p, *every, pool=POOL) for _ in range(2))
    receipt = p.clearinghouse.transact("deleverage", p.market(MARKET), sender=p.attacker)
    for one in (mirror, before):
        one.see()
        for m in one.markets.values():
            one.reprice(m)
    fraction = mirror_actions.deleverage(mirror, p.market(MARKET), revalue=True)
    assert fraction is not None
    assert mirror.differences() == []
    event = receipt.event("Deleveraged").args
    assert (event["fraction"], event["price"]) == (fraction, mirror.markets[p.market(MARKET)].price)
    return before, mirror, fraction


def loop(
    before: PoolMirror, after: PoolMirror, every: list[bytes], fraction: int, released: int, taken: int = 0
) -> None:
    """What a loop that shrinks every position by the fraction gives, compared with what each position is worth.

    :param taken: what socialisation took from the side afterwards.
    """
    number = before.protocol.market(MARKET)
    old, new = before.markets[number], after.markets[number]
    long = old.skew > 0
    interest = old.side(long).shares
    start, end = values(before, old, every), values(after, new, every)
    for one in every:
        position = before.accounts[one].positions[0]
        if not position.shares or (position.shares > 0) != long:
            assert start[one] == end[one]
            continue
        kept = Fraction(ONE - fraction, ONE)
        size = Fraction(abs(start[one][0])) * kept
        assert abs(abs(end[one][0]) - size) <= 1
        # W moves by the freed premium only: it is shared by shares
        value = start[one][1] + Fraction((released - taken) * abs(position.shares), interest)
        moved = Fraction(abs(new.value(new.side(long), new.price) - position.entry), UNIT)
        tolerance = 1 + 1 + moved + Fraction(4 * abs(position.shares), UNIT)
        assert abs(end[one][1] - value) <= tolerance
        # against the trader, never for him
        assert end[one][1] <= value + 1


def test_not_triggered_reverts_with_both_sides(protocol: Protocol) -> None:
    """INV-25."""
    p = protocol
    every = accounts(p, 2)
    traded(p, every[0], MARKET, 900)
    mirror = PoolMirror.read(p, *every, pool=POOL)
    p.anvil.mine()
    mirror.see()
    m = mirror.markets[p.market(MARKET)]
    mirror.reprice(m)
    threshold = mirror.nav * mirror.risk.adl_trigger_ppm // PPM
    open_loss = m.open_profit(m.long) + m.open_profit(m.short)
    with reverts_with("NothingToDeleverage", m.id, open_loss, threshold):
        p.clearinghouse.call("deleverage", m.id, sender=p.attacker)
    with reverts_with("UnknownPool", 9):
        p.clearinghouse.call("deleverage", 9 << 8, sender=p.attacker)
    with reverts_with("UnknownMarket", 2 << 8 | 7):
        p.clearinghouse.call("deleverage", 2 << 8 | 7, sender=p.attacker)


def test_to_target_and_nav_does_not_move(protocol: Protocol) -> None:
    """INV-25."""
    p = protocol
    every = accounts(p, 4)
    for account, size in zip(every, (900, 1_500, 700, -600), strict=True):
        traded(p, account, MARKET, size, *every)
    drain(p, 60_000)
    p.set_price(MARKET, 115)
    with change(p, pool=POOL) as seen:
        before, after, fraction = act(p, every)
    m = after.markets[p.market(MARKET)]
    target = after.nav * after.risk.adl_target_ppm // PPM
    assert 0 < fraction < ONE
    assert abs(m.open_profit(m.long) + m.open_profit(m.short) - target) <= 4
    # rounding is the pool's: the loss falls by no more than the units of the event
    assert 0 <= after.nav - before.nav <= 10
    assert set(seen.terms) <= {"loss_sum"}
    old = before.markets[m.id]
    loop(before, after, every, fraction, old.premium - m.premium)


def test_capped_at_the_skew(protocol: Protocol) -> None:
    """INV-25: the side never shrinks below the other one."""
    p = protocol
    every = accounts(p, 3)
    for account, size in zip(every, (1_200, 600, -1_700), strict=True):
        traded(p, account, MARKET, size, *every)
    drain(p, 1_000)
    p.set_price(MARKET, 115)
    before, after, fraction = act(p, every)
    old, m = before.markets[p.market(MARKET)], after.markets[p.market(MARKET)]
    assert before.nav < 0
    assert fraction == old.skew * ONE // old.long.interest
    assert 0 <= m.skew <= 3
    assert 0 <= after.nav <= 10
    loop(before, after, every, fraction, old.premium - m.premium, -before.nav)


def test_a_winning_short_side(protocol: Protocol) -> None:
    p = protocol
    every = accounts(p, 3)
    for account, size in zip(every, (-1_200, -600, 300), strict=True):
        traded(p, account, MARKET, size, *every)
    drain(p, 40_000)
    p.set_price(MARKET, 82)
    before, after, fraction = act(p, every)
    old, m = before.markets[p.market(MARKET)], after.markets[p.market(MARKET)]
    loop(before, after, every, fraction, old.premium - m.premium)
    assert after.nav >= before.nav


def test_nothing_without_a_winning_side_of_the_skew(protocol: Protocol) -> None:
    """INV-25: the losing side is the side of the skew: there is nobody to deleverage."""
    p = protocol
    every = accounts(p, 2)
    traded(p, every[0], MARKET, 1_500, *every)
    traded(p, every[1], MARKET, -400, *every)
    drain(p, 3_000)
    p.set_price(MARKET, 70)
    with reverts_with("NothingToDeleverage", ...):
        p.clearinghouse.transact("deleverage", p.market(MARKET), sender=p.attacker)


def test_the_epoch_closes_when_almost_nothing_would_stay(protocol: Protocol) -> None:
    """INV-25: one-sided and NAV gone: everything is closed at once, each position keeps its value and is paid when
    touched."""
    p = protocol
    every = accounts(p, 3)
    for account, size in zip(every, (1_200, 600, 900), strict=True):
        traded(p, account, MARKET, size, *every)
    drain(p, 50_000)
    p.set_price(MARKET, 120)
    market = p.market(MARKET)
    before, after, fraction = act(p, every)
    old, m = before.markets[market], after.markets[market]
    assert fraction == ONE
    assert (m.long.epoch, m.long.shares, m.long.entry_sum, m.long.interest, m.skew) == (1, 0, 0, 0, 0)
    worth = values(after, m, every)
    start = values(before, old, every)
    assert [size for size, _ in worth.values()] == [0, 0, 0]
    assert m.owed - 1 <= sum(profit for _, profit in worth.values()) + 3
    released = old.premium
    for one in every:
        share = Fraction(released * abs(before.accounts[one].positions[0].shares), old.long.shares)
        expected = start[one][1] + share
        if after.nav >= 0 and before.nav >= 0:
            assert abs(worth[one][1] - expected) <= 3
    # anyone collects for anyone, also in a market that goes on
    cash = {one: p.account_word(one).raw_cash for one in every}
    mirror = PoolMirror.read(p, *every, pool=POOL)
    p.clearinghouse.transact("closeSettled", market, [*every, every[0]], sender=p.attacker)
    mirror.see()
    for one in every:
        assert p.account_word(one).raw_cash - cash[one] == worth[one][1]
        assert p.account_word(one).markets == 0
    owed = p.reader.word("markets_", market, "owed")
    assert owed <= 3
    # the market goes on in its new epoch
    p.set_price(MARKET, 120)
    p.assert_identity()


def test_a_position_of_a_closed_epoch_in_orders_and_liquidation(protocol: Protocol) -> None:
    """It has size 0: a new order pays its value out and opens afresh, a reduce-only order only collects."""
    p = protocol
    every = accounts(p, 3)
    for account in every:
        traded(p, account, MARKET, 900, *every)
    drain(p, 50_000)
    p.set_price(MARKET, 120)
    _, after, _ = act(p, every)
    worth = values(after, after.markets[p.market(MARKET)], every)
    drain(p, 3_000_000)
    cash = [p.account_word(one).raw_cash for one in every]
    done = traded(p, every[0], MARKET, -50, *every)
    assert done.expected.profit == worth[every[0]][1]
    assert done.expected.size_after == -50 * WAD
    order, _ = p.place(every[1], MARKET, -1, reduce_only=True)
    p.warp_to(p.price_time(order))
    p.execute(order)
    assert p.account_word(every[1]).raw_cash - cash[1] == worth[every[1]][1] - WAD // 10
    assert p.liquidate(every[2]).results == [0]
    p.withdraw(every[2], 60_000 - 1_000)
    p.assert_identity()


@pytest.mark.parametrize("seed", range(4))
def test_random_histories_against_the_loop(protocol: Protocol, seed: int) -> None:
    """INV-03, INV-04, INV-25: many accounts, both sides, several events in a row; new positions between them."""
    p = protocol
    rng = random.Random(f"deleverage {seed}")
    every = accounts(p, 7)
    events = 0
    for step in range(4):
        for account in rng.sample(every, 4):
            size = rng.choice((-1, 1, 1)) * rng.randrange(60, 420)
            traded(p, account, MARKET, size, *every)
        p.warp(rng.randrange(1, 40_000))
        mirror = PoolMirror.read(p, *every, pool=POOL)
        mirror.see()
        m = mirror.markets[p.market(MARKET)]
        mirror.reprice(m)
        if m.skew == 0:
            continue
        up = m.skew > 0
        price = m.price * (100 + (1 if up else -1) * rng.randrange(8, 14)) // 100 // 10**10 * 10**10
        p.prices[MARKET] = price
        p.publish(MARKET)
        mirror = PoolMirror.read(p, *every, pool=POOL)
        mirror.see()
        m = mirror.markets[p.market(MARKET)]
        mirror.reprice(m)
        open_loss = m.open_profit(m.long) + m.open_profit(m.short)
        if open_loss <= 10 * WAD or m.open_profit(m.side(m.skew > 0)) <= 0:
            continue
        drain(p, (m.worth() + open_loss * rng.randrange(3, 20) // 10) // WAD)
        before, after, fraction = act(p, every)
        events += 1
        old, new = before.markets[m.id], after.markets[m.id]
        if new.side(old.skew > 0).epoch == old.side(old.skew > 0).epoch:
            loop(before, after, every, fraction, old.premium - new.premium)
            assert 0 <= after.nav - before.nav <= 10
        drain(p, 4_000_000)
        p.assert_identity()
        assert step < 4
    assert events
    assert side.size_of(ONE, ONE) == ONE
