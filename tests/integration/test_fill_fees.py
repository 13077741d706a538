"""Where the fees of a fill go, to the wei."""

from __future__ import annotations

import pytest
from tests.support.core import change, due, traded
from tests.support.protocol import OrderResult, Protocol

from plimsoll.model.pricing import fee
from plimsoll.units import PPM, WAD, parse_units


@pytest.mark.parametrize("size", ["0.0251", "1.234567890123456789", "-777.000000000000000001"])
@pytest.mark.parametrize("price", ["2000", "1999.99999999", "2013.37"])
def test_fee_is_split_three_ways_and_loses_no_wei(protocol: Protocol, size: str, price: str) -> None:
    p = protocol
    account = p.account(p.trader)
    p.deposit(account, 200_000)
    with change(p) as seen:
        done = traded(p, account, "ETH", size, price=price)
    delta, risk, m = parse_units(size), done.mirror.risk, done.mirror.markets[p.market("ETH")]
    charged = fee(parse_units(price), 0, delta, m.trade.maker_ppm, m.trade.taker_ppm)
    assert charged == done.expected.fee == -(-abs(delta) * parse_units(price) * m.trade.taker_ppm // (WAD * PPM))
    insured = charged * risk.insurance_share_ppm // PPM
    pooled = charged * risk.lp_share_ppm // PPM
    assert seen.terms.get("insurance", 0) == insured
    assert seen.terms.get("fees", 0) == charged - insured - pooled
    assert seen.terms["cash"] == done.expected.cost + pooled
    assert sum(seen.terms[term] for term in ("positive_cash", "cash", "insurance", "fees")) == 0


def test_maker_and_taker_by_the_skew_that_is_there(protocol: Protocol) -> None:
    p = protocol
    account, other = p.account(p.trader), p.account(p.other_trader)
    p.deposit(account, 100_000)
    p.deposit(other, 100_000)
    traded(p, account, "ETH", 30, other)
    m = traded(p, other, "ETH", -10, account).mirror.markets[p.market("ETH")]
    maker, taker, price = m.trade.maker_ppm, m.trade.taker_ppm, 2_000 * WAD
    # 20 long of skew is left: a sale of 50 makes 20 and takes 30
    assert traded(p, other, "ETH", -50, account).expected.fee == price * (20 * maker + 30 * taker) // PPM
    assert traded(p, account, "ETH", -5, other).expected.fee == price * 5 * taker // PPM
    assert traded(p, account, "ETH", 35, other).expected.fee == price * 35 * maker // PPM


def test_keeper_of_another_pool_gets_a_claim(protocol: Protocol) -> None:
    """The fee stays in the pool that pays it, as a claim of the account's owner."""
    p = protocol
    account, keeper = p.account(p.trader), p.account(p.keeper, "longtail", sub=4)
    p.deposit(account, 10_000)
    other = p.ledger("longtail")
    with change(p, p.keeper) as seen:
        traded(p, account, "ETH", 1, keeper=keeper)
        assert p.claim_of(p.keeper) == WAD // 10
    assert seen.terms["claims"] == WAD // 10
    assert p.ledger("longtail") == other
    assert not p.account_word(keeper).raw_cash
    with change(p, p.keeper) as seen:
        p.clearinghouse.transact("claim", 1, p.tokens["USDC"].address, p.keeper, sender=p.keeper)
    assert seen.terms == {"held": -WAD // 10, "claims": -WAD // 10}
    assert seen.wallets == {("USDC", p.keeper): 10**5, ("USDC", p.clearinghouse.address): -(10**5)}


@pytest.mark.parametrize("keeper", ["own", "sub"])
def test_a_trader_may_be_his_own_keeper(protocol: Protocol, keeper: str) -> None:
    p = protocol
    account = p.account(p.trader)
    paid = account if keeper == "own" else p.account(p.trader, sub=1)
    p.deposit(account, 10_000)
    order, _ = p.place(account, "ETH", 1, keeper_fee="0.4")
    due(p, order)
    with change(p) as seen:
        results, receipt = p.execute(order, keeper=paid, sender=p.trader)
    assert results == [OrderResult.FILLED]
    event = receipt.event("Filled").args
    assert seen.terms["escrow"] == -WAD * 4 // 10
    assert seen.terms["positive_cash"] == WAD * 4 // 10 - event["cost"] - event["fee"]
    version = p.account_word(account).version
    assert version == (5 if keeper == "own" else 4) - 1


def test_swept_fees_are_a_claim_and_leave_the_rest(protocol: Protocol) -> None:
    p = protocol
    account = p.account(p.trader)
    p.deposit(account, 100_000)
    traded(p, account, "ETH", "12.3456789")
    fees = p.ledger().fees
    assert fees > 0
    with change(p, p.attacker) as seen:
        receipt = p.clearinghouse.transact("sweepFees", 1, p.attacker, sender=p.owner)
    assert seen.terms == {"fees": -fees, "claims": fees}
    assert receipt.event("FeesSwept").args == {"pool": 1, "to": p.attacker, "amount": fees}
    # a fraction of a native unit stays claimed
    p.clearinghouse.transact("claim", 1, p.tokens["USDC"].address, p.attacker, sender=p.attacker)
    assert p.balance("USDC", p.attacker) == fees // 10**12
    assert p.claim_of(p.attacker) == fees % 10**12
    p.assert_identity()
