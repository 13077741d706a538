"""A fill that adds to a position: the profit so far is settled, the rest is as in an opening."""

from __future__ import annotations

import pytest
from tests.support import mirror_actions
from tests.support.core import change, due, refusal, traded
from tests.support.ledger_mirror import PoolMirror
from tests.support.protocol import OrderResult, Protocol

from plimsoll.units import WAD, parse_units


@pytest.mark.parametrize(("first", "second"), [("10", "5"), ("-10", "-5")])
@pytest.mark.parametrize("price", ["2010", "1990"])
def test_increase_settles_profit_at_the_order_price(protocol: Protocol, first: str, second: str, price: str) -> None:
    p = protocol
    account = p.account(p.trader)
    p.deposit(account, 100_000)
    before = traded(p, account, "ETH", first).mirror.markets[p.market("ETH")].premium
    nav = p.nav()
    with change(p) as seen:
        done = traded(p, account, "ETH", second, price=price)
    fill = done.expected
    moved = (int(price) - 2_000) * parse_units(first)
    assert abs(fill.profit - moved) < WAD // 10**6
    pooled = fill.fee * done.mirror.risk.lp_share_ppm // 10**6
    assert seen.terms["cash"] == fill.cost + pooled - fill.profit
    assert seen.terms["positive_cash"] == fill.profit - fill.cost - fill.fee
    position = p.position_word(account, "ETH")
    assert position.shares == parse_units(first) + parse_units(second)
    # NAV has lost the profit and won the trading cost, but the premium is only lent to it
    premium = done.mirror.markets[p.market("ETH")].premium - before
    assert abs(p.nav() - nav - (fill.cost + pooled - fill.profit - premium)) <= 4


def test_increase_at_the_limits_of_size(protocol: Protocol) -> None:
    p = protocol
    account, market = p.account(p.trader), p.market("ETH")
    p.deposit(account, 5_000_000)
    most = PoolMirror.read(p).markets[market].limits.max_position
    traded(p, account, "ETH", most // WAD - 1)
    order, _ = p.place(account, "ETH", "1.000000001")
    due(p, order)
    assert refusal(p, order) == (OrderResult.CANCELLED, ("PositionTooLarge", (most + 10**9, most)))
    assert traded(p, account, "ETH", 1).expected.size_after == most


def test_skew_cap_binds_only_what_grows_the_skew(protocol: Protocol) -> None:
    """INV-03, INV-38."""
    p = protocol
    account, other, market = p.account(p.trader), p.account(p.other_trader), p.market("ETH")
    p.deposit(account, 100_000)
    p.deposit(other, 100_000)
    traded(p, account, "ETH", 10)
    p.clearinghouse.transact("lowerCaps", market, 100 * WAD, 8 * WAD, sender=p.guardian)
    order, _ = p.place(account, "ETH", "0.1")
    due(p, order)
    assert refusal(p, order) == (OrderResult.REFUSED, ("SkewCap", (WAD * 101 // 10, 8 * WAD)))
    # the other side shrinks the skew, from beyond the cap to the cap's other end
    assert traded(p, other, "ETH", -18, account).expected.size_after == -18 * WAD
    p.assert_identity()


def test_increase_uses_the_profit_of_others_at_its_weight(protocol: Protocol) -> None:
    """IM of an increase counts half the unrealised profit of other markets, all of their losses."""
    p = protocol
    account = p.account(p.trader)
    p.deposit(account, 20_000)
    traded(p, account, "BTC", "0.5")
    p.set_price("BTC", 42_000)
    order, _ = p.place(account, "ETH", 400)
    due(p, order)
    mirror = PoolMirror.read(p, account)
    result, (name, (equity, required)) = refusal(p, order)
    assert (result, name) == (OrderResult.CANCELLED, "InsufficientMargin")
    mirror.see()
    mirror_actions.fill(mirror, account, p.market("ETH"), 400 * WAD)
    weight = mirror.risk.profit_weight_ppm
    assert (equity, required) == mirror.initial(account, weight)
    half, none = mirror.initial(account, weight)[0], mirror.initial(account, 0)[0]
    assert half - none == pytest.approx(500 * WAD, abs=2 * WAD)


def test_two_orders_of_half_cost_no_less_than_one(protocol: Protocol) -> None:
    """INV-19: premium and fee of the parts are at least those of the whole, by at most a wei each."""
    p = protocol
    account = p.account(p.trader)
    p.deposit(account, 500_000)
    costs = []
    for sizes in (("90",), ("45", "45"), ("30", "30", "30"), ("1", "89")):
        with p.snapshot():
            fills = [traded(p, account, "ETH", size).expected for size in sizes]
            costs.append((sum(fill.cost + fill.fee for fill in fills), len(sizes)))
    whole = costs[0][0]
    for cost, parts in costs[1:]:
        # each part rounds cost and fee up by less than a wei; funding between them moves profit only
        assert whole <= cost <= whole + 2 * parts
