"""`claim`, `fundInsurance`, `accrue` and `closeSettled`: refusals in the order of the code, balances, events."""

from __future__ import annotations

import pytest
from tests.support.core import change, traded
from tests.support.ledger_mirror import PoolMirror
from tests.support.protocol import Protocol
from tests.support.reverts import reverts_with

from plimsoll.units import WAD

NOBODY = "0x" + "0" * 40
UNIT = 10**12


def test_claim(protocol: Protocol) -> None:
    p = protocol
    account, usdc = p.account(p.trader), p.tokens["USDC"].address
    with reverts_with("ZeroAddress"):
        p.clearinghouse.call("claim", 9, usdc, NOBODY, sender=p.keeper)
    for pool, token in ((1, usdc), (9, usdc), (1, p.tokens["WETH"].address), (1, p.keeper)):
        with reverts_with("NothingToClaim", pool, token, p.keeper):
            p.clearinghouse.call("claim", pool, token, p.keeper, sender=p.keeper)
    p.deposit(account, 10_000)
    traded(p, account, "ETH", 1, keeper=p.account(p.keeper, "longtail"))
    with reverts_with("NothingToClaim", 2, usdc, p.keeper):
        p.clearinghouse.call("claim", 2, usdc, p.keeper, sender=p.keeper)
    with change(p, p.lp) as seen:
        receipt = p.clearinghouse.transact("claim", 1, usdc, p.lp, sender=p.keeper)
    assert seen.terms == {"held": -WAD // 10, "claims": -WAD // 10}
    assert seen.wallets == {("USDC", p.lp): 10**5, ("USDC", p.clearinghouse.address): -(10**5)}
    expected = {"pool": 1, "token": usdc, "owner": p.keeper, "amount": 10**5, "to": p.lp}
    assert receipt.event("Claimed").args == expected
    assert receipt.event("ClaimSet").args == {"pool": 1, "token": usdc, "owner": p.keeper, "claim": 0, "totalClaims": 0}


def test_less_than_a_native_unit_is_not_claimable(protocol: Protocol) -> None:
    p = protocol
    account, usdc = p.account(p.trader), p.tokens["USDC"].address
    p.deposit(account, 1_000)
    traded(p, account, "ETH", "0.0251")
    fees = p.ledger().fees
    p.clearinghouse.transact("sweepFees", 1, p.attacker, sender=p.owner)
    p.clearinghouse.transact("claim", 1, usdc, p.attacker, sender=p.attacker)
    assert p.claim_of(p.attacker) == fees % UNIT
    with reverts_with("NothingToClaim", 1, usdc, p.attacker):
        p.clearinghouse.transact("claim", 1, usdc, p.attacker, sender=p.attacker)
    p.assert_identity()


def test_fund_insurance(protocol: Protocol) -> None:
    p = protocol
    units = p.mint("USDC", p.attacker, 123)
    with reverts_with("ZeroAmount"):
        p.clearinghouse.call("fundInsurance", 9, 0, sender=p.attacker)
    with reverts_with("UnknownPool", 9):
        p.clearinghouse.call("fundInsurance", 9, 1, sender=p.attacker)
    with reverts_with("ERC20InsufficientAllowance", p.clearinghouse.address, 0, units):
        p.clearinghouse.call("fundInsurance", 1, units, sender=p.attacker)
    p.approve("USDC", p.attacker)
    nav = p.nav()
    with change(p, p.attacker) as seen:
        receipt = p.clearinghouse.transact("fundInsurance", 1, units, sender=p.attacker)
    assert seen.terms == {"held": 123 * WAD, "insurance": 123 * WAD}
    assert p.nav() == nav
    assert receipt.event("InsuranceFunded").args == {"caller": p.attacker, "pool": 1, "amount": units}


@pytest.mark.parametrize("valid", [True, False])
def test_accrue_marks_a_market_at_its_newest_valid_price(protocol: Protocol, valid: bool) -> None:
    p = protocol
    account, market = p.account(p.trader), p.market("ETH")
    for number, error in ((9 << 8, "UnknownPool"), (1 << 8 | 9, "UnknownMarket")):
        with reverts_with(error, 9 if error == "UnknownPool" else number):
            p.clearinghouse.call("accrue", number, sender=p.attacker)
    p.deposit(account, 300_000)
    traded(p, account, "ETH", 1_000)
    p.warp(40_000)
    p.feeds["ETH"].transact("push", 2_100 * 10**8 if valid else 0, p.now() + 1, sender=p.deployer)
    mirror = PoolMirror.read(p, account)
    with change(p) as seen:
        receipt = p.clearinghouse.transact("accrue", market, sender=p.attacker)
    mirror.see()
    mirror.reprice(mirror.markets[market])
    assert mirror.differences() == []
    assert mirror.markets[market].price == (2_100 if valid else 2_000) * WAD
    assert set(seen.terms) == {"loss_sum"}
    assert receipt.event("MarketSet")["funding"] == p.reader.word("markets_", market, "funding")


def test_close_settled_reverts_in_order(protocol: Protocol) -> None:
    p = protocol
    account, market = p.account(p.trader), p.market("ETH")
    with reverts_with("UnknownPool", 9):
        p.clearinghouse.call("closeSettled", 9 << 8, [], sender=p.attacker)
    with reverts_with("UnknownMarket", 299):
        p.clearinghouse.call("closeSettled", 299, [], sender=p.attacker)
    foreign = p.account(p.trader, "longtail")
    with reverts_with("OtherPool", foreign, 1):
        p.clearinghouse.call("closeSettled", market, [foreign], sender=p.attacker)
    p.deposit(account, 1_000)
    traded(p, account, "ETH", 1)
    with reverts_with("MarketNotSettled", market):
        p.clearinghouse.call("closeSettled", market, [account], sender=p.attacker)
    with change(p) as seen:
        p.clearinghouse.transact("closeSettled", market, [p.account(p.lp), p.account(p.lp)], sender=p.attacker)
    assert set(seen.terms) <= {"loss_sum"}
    assert p.position_word(account, "ETH").shares == WAD


def test_interest_is_paid_by_debtors_to_the_pool(protocol: Protocol) -> None:
    """Over a year, in steps and in one go: what the debtor owes more is what V has more."""
    p = protocol
    account = p.account(p.trader)
    p.deposit(account, 2_000, token="WETH")
    p.withdraw(account, 3_000_000)
    start = p.ledger()
    for days in (1, 30, 334):
        p.warp(days * 86_400)
        mirror = PoolMirror.read(p, account)
        p.deposit(account, "0.000001")
        mirror.see()
        mirror.add_cash(account, UNIT)
        assert mirror.differences() == []
        p.assert_identity()
    end = p.ledger()
    grown = end.debt - start.debt + 3 * UNIT
    assert grown == end.cash - start.cash
    # 15 % of utilisation: 1 % + 1.5 % a year
    assert 70_000 * WAD < grown < 80_000 * WAD
