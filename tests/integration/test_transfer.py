"""`transfer` between sub-accounts of one owner: refusals in the order of the code, balances, events."""

from __future__ import annotations

from tests.support.core import change, traded
from tests.support.ledger_mirror import PoolMirror
from tests.support.protocol import Protocol
from tests.support.reverts import reverts_with

from plimsoll.deploy.structs import pool_params
from plimsoll.units import WAD

UNIT = 10**12


def test_transfer_reverts_in_order(protocol: Protocol) -> None:
    p = protocol
    usdc, weth = (p.tokens[name].address for name in ("USDC", "WETH"))
    one, two, other = p.account(p.trader), p.account(p.trader, sub=2), p.account(p.other_trader)
    elsewhere = p.account(p.trader, "longtail")

    def attempt(start: bytes, end: bytes, token: str, amount: int, sender: str = p.trader) -> None:
        p.clearinghouse.call("transfer", start, end, token, amount, sender=sender)

    with reverts_with("ZeroAmount"):
        attempt(one, one, usdc, 0, p.attacker)
    with reverts_with("SameAccount", one):
        attempt(one, one, usdc, 1, p.attacker)
    with reverts_with("NotAccountOwner", one, p.attacker):
        attempt(one, other, usdc, 1, p.attacker)
    with reverts_with("OtherOwner", one, other):
        attempt(one, other, usdc, 1)
    with reverts_with("OtherPool", elsewhere, 1):
        attempt(one, elsewhere, usdc, 1)
    p.deposit(one, 100)
    p.deposit(one, 1, token="WETH")
    with p.snapshot():
        p.place(one, "ETH", 1)
        with reverts_with("OrdersPending", one, 1):
            attempt(one, two, usdc, 1)
    with reverts_with("UnknownToken", 1, p.trader):
        attempt(one, two, p.trader, 1)
    with reverts_with("InsufficientBalance", WAD, WAD + 1):
        attempt(one, two, weth, WAD + 1)
    params = p.deployment.parameters
    values = pool_params(params, params.pools["majors"], usdc) | {"maxCollaterals": 1}
    p.clearinghouse.transact("setPool", 1, values, sender=p.owner)
    p.deposit(two, 1, token="WBTC")
    with reverts_with("TooManyCollaterals", 2, 1):
        attempt(one, two, weth, 1)


def test_transfer_of_cash_moves_nothing_else(protocol: Protocol) -> None:
    p = protocol
    one, two = p.account(p.trader), p.account(p.trader, sub=2**80 - 1)
    p.deposit(one, 100)
    with change(p, p.trader) as seen:
        receipt = p.clearinghouse.transact("transfer", one, two, p.tokens["USDC"].address, 30 * 10**6, sender=p.trader)
    assert (seen.terms, seen.wallets, seen.collateral) == ({}, {}, {})
    assert (p.account_word(one).raw_cash, p.account_word(two).raw_cash) == (70 * WAD, 30 * WAD)
    assert receipt.event("Transferred").args == {
        "from": one,
        "to": two,
        "token": p.tokens["USDC"].address,
        "amount": 30 * 10**6,
    }
    assert [event["account"] for event in receipt.named("AccountSet")] == [one, two]


def test_transfer_of_collateral_moves_the_bits(protocol: Protocol) -> None:
    p = protocol
    one, two, weth = p.account(p.trader), p.account(p.trader, sub=1), p.tokens["WETH"].address
    p.deposit(one, 2, token="WETH")
    for amount, bits in ((WAD, (1, 1)), (WAD, (0, 1))):
        with change(p) as seen:
            p.clearinghouse.transact("transfer", one, two, weth, amount, sender=p.trader)
        assert (seen.terms, seen.collateral) == ({}, {})
        assert (p.account_word(one).collaterals, p.account_word(two).collaterals) == bits
    assert p.reader.word("collateral_", two, 0) == 2 * WAD


def test_transfer_may_borrow_within_margin_and_repay_there(protocol: Protocol) -> None:
    p = protocol
    one, two, usdc = p.account(p.trader), p.account(p.trader, sub=1), p.tokens["USDC"].address
    p.deposit(one, 5, token="WETH")
    p.deposit(two, 5, token="WETH")
    p.withdraw(two, 3_000)
    p.warp(10_000)
    mirror = PoolMirror.read(p, one, two)
    with change(p) as seen:
        p.clearinghouse.transact("transfer", one, two, usdc, 4_000 * 10**6, sender=p.trader)
    mirror.see()
    mirror.add_cash(one, -4_000 * WAD)
    mirror.add_cash(two, 4_000 * WAD)
    assert mirror.differences() == []
    assert "held" not in seen.terms
    assert p.account_word(one).raw_cash < 0 < p.account_word(two).raw_cash
    with reverts_with("InsufficientMargin", ...):
        p.clearinghouse.call("transfer", one, two, usdc, 5_000 * 10**6, sender=p.trader)
    p.clearinghouse.transact("setPause", 1, 4, sender=p.guardian)
    with reverts_with("BorrowPaused", 1):
        p.clearinghouse.call("transfer", one, two, usdc, 1, sender=p.trader)


def test_transfer_out_respects_initial_margin_and_in_does_not_matter(protocol: Protocol) -> None:
    """INV-09."""
    p = protocol
    one, two, usdc = p.account(p.trader), p.account(p.trader, sub=1), p.tokens["USDC"].address
    p.deposit(one, 1_000)
    traded(p, one, "ETH", 10)
    p.deposit(two, 1_000)
    with reverts_with("InsufficientMargin", ...):
        p.clearinghouse.call("transfer", one, two, usdc, 190 * 10**6, sender=p.trader)
    p.warp(4_000, publish=False)
    with reverts_with("PriceRefused", 1, 1):
        p.clearinghouse.call("transfer", one, two, usdc, 1, sender=p.trader)
    p.clearinghouse.transact("transfer", two, one, usdc, 1_000 * 10**6, sender=p.trader)
    assert p.account_word(two).raw_cash == 0
    p.assert_identity()


def test_amounts_that_no_token_has(protocol: Protocol) -> None:
    p = protocol
    one, two, usdc = p.account(p.trader), p.account(p.trader, sub=1), p.tokens["USDC"].address
    p.deposit(one, 1)
    for amount in (2**128, 2**255, 2**256 - 1):
        with reverts_with("UintTooLarge", amount, 128):
            p.clearinghouse.call("transfer", one, two, usdc, amount, sender=p.trader)
    largest = 2**111 // UNIT
    with reverts_with("UtilisationLimit", debt=largest * UNIT - WAD, limit=p.ledger().cash // 2):
        p.clearinghouse.call("transfer", one, two, usdc, largest, sender=p.trader)
    with reverts_with("IntOutOfRange", ...):
        p.clearinghouse.call("transfer", one, two, usdc, 2**128 - 1, sender=p.trader)
