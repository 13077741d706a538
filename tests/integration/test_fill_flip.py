"""A fill that turns a long into a short, or back."""

from __future__ import annotations

import pytest
from tests.support.core import change, due, refusal, traded
from tests.support.ledger_mirror import PoolMirror
from tests.support.protocol import OrderResult, Protocol

from plimsoll.units import PPM, WAD


@pytest.mark.parametrize("sign", [1, -1])
def test_flip_pays_maker_down_to_zero_and_taker_beyond(protocol: Protocol, sign: int) -> None:
    p = protocol
    account = p.account(p.trader)
    p.deposit(account, 20_000)
    traded(p, account, "ETH", 4 * sign)
    with change(p) as seen:
        done = traded(p, account, "ETH", -10 * sign, price="2010")
    fill, m = done.expected, done.mirror.markets[p.market("ETH")]
    assert fill.size_after == -6 * sign * WAD
    assert fill.fee == -(-(4 * m.trade.maker_ppm + 6 * m.trade.taker_ppm) * 2_010 * WAD // PPM)
    assert m.skew == -6 * sign * WAD
    assert seen.terms["positive_cash"] == fill.profit - fill.cost - fill.fee
    assert p.account_word(account).markets == 1


def test_flip_is_an_increase(protocol: Protocol) -> None:
    """It needs everything that an opening needs, although it closes first."""
    p = protocol
    account, market = p.account(p.trader), p.market("ETH")
    p.deposit(account, 1_000)
    traded(p, account, "ETH", 4)
    order, _ = p.place(account, "ETH", -5)
    due(p, order)
    p.clearinghouse.transact("setReduceOnly", market, True, sender=p.guardian)
    assert refusal(p, order) == (OrderResult.REFUSED, ("ReduceOnlyMarket", (market,)))
    p.clearinghouse.transact("setReduceOnly", market, False, sender=p.owner)
    results, _ = p.execute(order)
    assert results == [OrderResult.FILLED]
    order, _ = p.place(account, "ETH", 100)
    due(p, order)
    result, (name, _) = refusal(p, order)
    assert (result, name) == (OrderResult.CANCELLED, "InsufficientMargin")


def test_flip_into_dust_is_refused(protocol: Protocol) -> None:
    """INV-15."""
    p = protocol
    account = p.account(p.trader)
    p.deposit(account, 1_000)
    traded(p, account, "ETH", 1)
    order, _ = p.place(account, "ETH", "-1.024")
    due(p, order)
    assert refusal(p, order) == (OrderResult.CANCELLED, ("BelowMinNotional", (48 * WAD, 50 * WAD)))
    assert p.position_word(account, "ETH").shares == WAD


def test_flip_below_margin_cannot_hide_in_the_closing_half(protocol: Protocol) -> None:
    """INV-09: an account below IM may close, but not turn round."""
    p = protocol
    account = p.account(p.trader)
    p.deposit(account, 900)
    traded(p, account, "ETH", 10)
    p.set_price("ETH", 1_985)
    with p.snapshot():
        order, _ = p.place(account, "ETH", -10, reduce_only=True)
        due(p, order)
        assert p.execute(order)[0] == [OrderResult.FILLED]
    mirror = PoolMirror.read(p, account)
    mirror.see()
    equity, required = mirror.initial(account)
    assert equity < required
