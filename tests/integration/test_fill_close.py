"""A fill that closes a position."""

from __future__ import annotations

import pytest
from tests.support.core import change, due, refusal, traded
from tests.support.ledger_mirror import PoolMirror
from tests.support.protocol import OrderResult, Protocol

from plimsoll.units import WAD


@pytest.mark.parametrize("size", [10, -10])
@pytest.mark.parametrize("price", ["2050", "1950"])
def test_close_leaves_nothing_behind(protocol: Protocol, size: int, price: str) -> None:
    """INV-08."""
    p = protocol
    account, market = p.account(p.trader), p.market("ETH")
    p.deposit(account, 10_000)
    with change(p) as seen:
        traded(p, account, "ETH", size)
        done = traded(p, account, "ETH", -size, price=price)
    word = p.account_word(account)
    assert (word.markets, word.pending_orders) == (0, 0)
    assert p.reader.word("positions_", account, 0) == 0
    for part in ("sides", "longEntrySum", "shortEntrySum"):
        assert p.reader.word("markets_", market, part) == 0
    assert "loss_sum" not in seen.terms
    assert done.mirror.markets[market].worth() == 0
    # the pool has what the account and the insurance, fees and keeper have not
    assert "held" not in seen.terms
    assert sum(seen.terms.values()) == 0


def test_opening_and_closing_at_one_price_never_pays(protocol: Protocol) -> None:
    p = protocol
    account = p.account(p.trader)
    p.deposit(account, 100_000)
    for sizes in ((10, -10), (-10, 10), (30, -10, -20), (-1, -29, 30), (10, -20, 10)):
        before = p.account_word(account).raw_cash
        fills = [traded(p, account, "ETH", size).expected for size in sizes]
        fees = sum(fill.fee for fill in fills)
        assert p.account_word(account).markets == 0
        lost = before - p.account_word(account).raw_cash - len(sizes) * WAD // 10
        # besides the fees it costs twice the half band; premium comes back
        assert lost > fees
        assert sum(fill.cost for fill in fills) > 0
    p.assert_identity()


def test_a_closing_loss_may_become_debt_backed_by_collateral(protocol: Protocol) -> None:
    p = protocol
    account = p.account(p.trader)
    p.deposit(account, 100)
    p.deposit(account, 1, token="WETH")
    traded(p, account, "BTC", "0.5")
    p.clearinghouse.transact("setPause", 1, 7, sender=p.guardian)
    done = traded(p, account, "BTC", "-0.5", price="39200", reduce_only=True)
    assert done.mirror.cash_of(account) < -300 * WAD
    assert p.ledger().scaled_debt > 0
    p.assert_identity()


def test_closing_the_last_market_leaves_the_others(protocol: Protocol) -> None:
    p = protocol
    account = p.account(p.trader)
    p.deposit(account, 20_000)
    traded(p, account, "ETH", 3)
    traded(p, account, "BTC", "-0.2")
    traded(p, account, "ETH", -3, reduce_only=True)
    assert p.account_word(account).markets == 2
    traded(p, account, "BTC", "0.2", reduce_only=True)
    assert p.account_word(account).markets == 0
    p.withdraw(account, p.account_word(account).raw_cash // 10**12 * 10**12 // 10**18)
    p.assert_identity()


def test_a_winner_is_paid_by_the_pool_to_the_wei(protocol: Protocol) -> None:
    p = protocol
    account = p.account(p.trader)
    p.deposit(account, 10_000)
    traded(p, account, "ETH", 10)
    before = PoolMirror.read(p, account)
    done = traded(p, account, "ETH", -10, price="2100")
    assert done.expected.profit == pytest.approx(1_000 * WAD, abs=WAD // 100)
    assert p.ledger().cash - before.cash == (
        done.expected.cost - done.expected.profit + done.expected.fee * before.risk.lp_share_ppm // 10**6
    )


def test_close_with_no_equity_left_is_cancelled_and_liquidation_takes_over(protocol: Protocol) -> None:
    p = protocol
    account = p.account(p.trader)
    p.deposit(account, 900)
    traded(p, account, "ETH", 10)
    order, _ = p.place(account, "ETH", -10, reduce_only=True)
    due(p, order, "1909")
    result, (name, _) = refusal(p, order)
    assert (result, name) == (OrderResult.CANCELLED, "InsufficientMargin")
    p.liquidate(account)
    assert p.account_word(account).markets == 0
    assert p.account_word(account).raw_cash == 0
    p.assert_identity()
