"""Funding between fills: exact, zero-sum, capped, decaying in the dead-band, and without a price."""

from __future__ import annotations

import pytest
from tests.support.core import traded
from tests.support.ledger_mirror import PoolMirror
from tests.support.protocol import Protocol

from plimsoll.model.funding import drift, index_growth, integrate
from plimsoll.units import WAD

HOUR, DAY = 3_600, 86_400


@pytest.mark.parametrize("seconds", [1, 59, HOUR, 5 * HOUR, DAY, 40 * DAY])
def test_funding_follows_the_formula_through_the_cap(protocol: Protocol, seconds: int) -> None:
    """INV-06."""
    p = protocol
    account, market = p.account(p.trader), p.market("ETH")
    p.deposit(account, 3_000_000)
    done = traded(p, account, "ETH", 2_000)
    m = done.mirror.markets[market]
    start = p.reader.funding(market)
    p.anvil.set_next_timestamp(start.time + seconds)
    p.clearinghouse.transact("accrue", market, sender=p.attacker)
    c = m.trade
    velocity, bound = drift(start.rate, m.skew, m.trade.skew_scale, c.r_max, c.v_max, c.dead_band_ppm)
    rate, twice = integrate(start.rate, velocity, bound, seconds)
    now = p.reader.funding(market)
    assert (now.rate, now.index, now.time) == (
        rate,
        start.index + index_growth(twice, start.price),
        start.time + seconds,
    )
    assert 0 <= now.rate <= c.r_max
    if seconds >= 40 * DAY:
        assert now.rate == c.r_max


def test_accruing_twice_is_accruing_once(protocol: Protocol) -> None:
    """INV-06."""
    p = protocol
    account, market = p.account(p.trader), p.market("ETH")
    p.deposit(account, 1_000_000)
    traded(p, account, "ETH", -500)
    start, ends = p.now(), []
    for stops in ([DAY], [1, HOUR, HOUR + 1, DAY], [DAY // 2, DAY]):
        with p.snapshot():
            for stop in stops:
                p.anvil.set_next_timestamp(start + stop)
                p.clearinghouse.transact("accrue", market, sender=p.attacker)
            ends.append(p.reader.funding(market))
    assert ends[0].rate == ends[1].rate == ends[2].rate < 0
    for end in ends[1:]:
        # each step floors the index once
        assert 0 <= ends[0].index - end.index <= 4


def test_funding_is_zero_sum_with_the_pool(protocol: Protocol) -> None:
    """INV-05: longs pay, shorts receive, the pool takes the difference; rounding is the pool's, a wei per
    settlement."""
    p = protocol
    long, short = p.account(p.trader), p.account(p.other_trader)
    p.deposit(long, 1_000_000)
    p.deposit(short, 1_000_000)
    opens = [traded(p, long, "ETH", 900, short), traded(p, short, "ETH", -400, long)]
    before = {one: p.account_word(one).raw_cash for one in (long, short)}
    p.warp(2 * DAY)
    closes = [traded(p, long, "ETH", -900, short), traded(p, short, "ETH", 400, long)]
    paid, got = closes[0].expected.profit, closes[1].expected.profit
    assert paid < 0 < got
    index = [[one.mirror.markets[p.market("ETH")].index for one in ways] for ways in (opens, closes)]
    grown = [end - start for start, end in zip(*index, strict=True)]
    assert -paid - 900 * grown[0] in {0, 1}
    # the short still stands while the long is gone
    assert 400 * grown[1] - got in {0, 1}
    assert before[long] > p.account_word(long).raw_cash
    p.assert_identity()


def test_the_rate_decays_in_the_dead_band(protocol: Protocol) -> None:
    p = protocol
    account, market = p.account(p.trader), p.market("ETH")
    p.deposit(account, 3_000_000)
    traded(p, account, "ETH", 2_000)
    p.warp(DAY)
    m = traded(p, account, "ETH", -1_900).mirror.markets[market]
    assert m.skew * 10**6 < m.trade.dead_band_ppm * m.trade.skew_scale
    rate = p.reader.funding(market).rate
    assert rate > 0
    decay = -(-m.trade.dead_band_ppm * m.trade.v_max // 10**6)
    p.warp(HOUR)
    p.clearinghouse.transact("accrue", market, sender=p.attacker)
    now = p.reader.funding(market)
    assert now.rate == max(rate - decay * (now.time - m.time), 0)
    p.warp(30 * DAY)
    p.clearinghouse.transact("accrue", market, sender=p.attacker)
    assert p.reader.funding(market).rate == 0


def test_the_past_takes_the_previous_price(protocol: Protocol) -> None:
    """A price pushed now cannot change what the time before it costs."""
    p = protocol
    account, market = p.account(p.trader), p.market("ETH")
    p.deposit(account, 1_000_000)
    traded(p, account, "ETH", 900)
    index = []
    for price in (2_000, 3_000):
        with p.snapshot():
            p.anvil.advance(DAY)
            p.set_price("ETH", price)
            p.clearinghouse.transact("accrue", market, sender=p.attacker)
            funding = p.reader.funding(market)
            index.append(funding.index)
            assert funding.price == price * WAD
    assert index[0] == index[1] != 0


def test_opening_and_closing_in_one_block_leaves_the_path(protocol: Protocol) -> None:
    """INV-06: skew that does not last moves nothing: velocity counts the time it stood."""
    p = protocol
    account, other, market = p.account(p.trader), p.account(p.other_trader), p.market("ETH")
    p.deposit(account, 1_000_000)
    p.deposit(other, 3_000_000)
    traded(p, account, "ETH", 500)
    orders = [p.place(other, "ETH", size)[0] for size in (2_000, -2_000)]
    p.anvil.advance(10)
    p.publish("ETH")
    hints = [b"".join(n.to_bytes(32, "big") for n in p.hub.call("searchRound", 1, p.price_time(one))) for one in orders]
    items = [{"order": order, "hint": hint} for order, hint in zip(orders, hints, strict=True)]
    at = p.now() + 1
    with p.snapshot():
        p.anvil.set_next_timestamp(at)
        p.clearinghouse.transact("accrue", market, sender=p.attacker)
        plain = p.reader.funding(market)
    p.anvil.set_next_timestamp(at)
    receipt = p.order_book.transact("executeOrders", items, p.account(p.keeper), sender=p.keeper)
    assert len(receipt.named("Filled")) == 2
    assert p.reader.funding(market) == plain
    mirror = PoolMirror.read(p, account, other)
    assert mirror.markets[market].skew == 500 * WAD
