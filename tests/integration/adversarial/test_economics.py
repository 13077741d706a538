"""Schemes that try to take money at constant prices, or by choosing when: none pays."""

from __future__ import annotations

import pytest
from tests.support.core import due, liquidated, traded
from tests.support.ledger_mirror import PoolMirror
from tests.support.protocol import LiquidationResult, OrderResult, Protocol
from tests.support.reverts import reverts_with

from plimsoll.units import PPM, WAD

R = LiquidationResult
UNIT = 10**12


def wealth(p: Protocol, actors: list[str], accounts: list[bytes]) -> int:
    """Wallets, equity (not below 0), shares and claims of a coalition, WAD, at the present prices."""
    total = 0
    for account in accounts:
        view = p.lens.call("account", account)
        extra = sum(item.balance * p.prices["ETH"] // WAD for item in view.collaterals)
        weighted = sum(item.valueMaintenance for item in view.collaterals)
        total += max(view.equityMaintenance - weighted + extra, 0)
    lp = p.pools["majors"].lp
    for actor in actors:
        total += p.balance("USDC", actor) * UNIT + p.claim_of(actor)
        total += lp.call("convertToAssets", lp.call("balanceOf", actor)) * UNIT
    return total


def test_liquidating_oneself_with_a_partner_does_not_pay(protocol: Protocol) -> None:
    """INV-17: long and short against each other, one is liquidated by the other's keeper: penalty and fees are lost."""
    p = protocol
    long, short, keeper = p.account(p.trader), p.account(p.trader, sub=1), p.account(p.trader, sub=2)
    for account, cash in ((long, 420_000), (short, 700_000)):
        p.deposit(account, cash)
    start = wealth(p, [p.trader], [long, short, keeper])
    insurance = p.insurance()
    # the partner's skew moves the fill price of both, which liquidation does not pay back
    traded(p, short, "ETH", -2_400, long, keeper=keeper)
    traded(p, long, "ETH", 2_400, short, keeper=keeper)
    for price in (1_960, 1_925, 1_900, 1_880):
        p.set_price("ETH", price)
        p.liquidate(long, keeper=keeper, sender=p.trader)
    traded(p, short, "ETH", 2_400, long, price="1880", reduce_only=True, keeper=keeper)
    assert p.account_word(long).markets in {0, 1}
    if p.account_word(long).markets:
        p.trade(long, "ETH", -2_400, reduce_only=True)
    end = wealth(p, [p.trader], [long, short, keeper])
    assert end < start
    assert p.insurance() > insurance
    p.assert_identity()


def test_round_trips_of_every_kind_at_one_price(protocol: Protocol) -> None:
    """INV-18."""
    p = protocol
    one, two = p.account(p.trader), p.account(p.other_trader)
    actors, accounts = [p.trader, p.other_trader, p.keeper], [one, two, p.account(p.keeper)]
    for account in (one, two):
        p.deposit(account, 300_000)
    start = wealth(p, actors, accounts)
    for sizes in ((400, -400, 0, 0), (400, 0, -400, 0), (-300, 700, -400, 0), (250, -500, 250, 0)):
        for account, other in ((one, two), (two, one)):
            for size in sizes:
                if size:
                    traded(p, account, "ETH", size, other, keeper=p.account(p.keeper))
            now = wealth(p, actors, accounts)
            assert now < start
            start = now
    p.deposit(one, 1)
    start += WAD
    p.withdraw(one, 1)
    assert wealth(p, actors, accounts) <= start
    p.assert_identity()


def test_a_straddle_cannot_execute_only_its_winner(protocol: Protocol) -> None:
    """INV-30: both orders get the same first price; after the window neither can be filled any more."""
    p = protocol
    long, short = p.account(p.attacker), p.account(p.attacker, sub=1)
    p.deposit(long, 10_000)
    p.deposit(short, 10_000)
    orders = [p.place(long, "ETH", 10)[0], p.place(short, "ETH", -10)[0]]
    for order in orders:
        due(p, order)
    p.anvil.advance(31)
    p.set_price("ETH", 2_060)
    hint = p.hub.call("searchRound", 1, p.price_time(orders[0]))
    packed = b"".join(one.to_bytes(32, "big") for one in hint)
    with p.snapshot():
        assert p.execute(orders[0], sender=p.attacker)[0] == [OrderResult.NOT_FIRST_PRICE]
    results, _ = p.execute(orders[0], hint=packed, sender=p.attacker)
    assert results == [OrderResult.EXPIRED]
    assert p.position_word(long, "ETH").shares == 0


def test_within_the_window_both_sides_fill_at_the_first_price(protocol: Protocol) -> None:
    """INV-17, INV-30."""
    p = protocol
    long, short = p.account(p.attacker), p.account(p.attacker, sub=1)
    p.deposit(long, 10_000)
    p.deposit(short, 10_000)
    start = wealth(p, [p.attacker], [long, short])
    orders = [p.place(long, "ETH", 10)[0], p.place(short, "ETH", -10)[0]]
    p.warp_to(p.price_time(orders[1]) - 1, publish=False)
    p.publish("ETH")
    p.set_price("ETH", 2_030)
    packed = [
        b"".join(one.to_bytes(32, "big") for one in p.hub.call("searchRound", 1, p.price_time(order)))
        for order in orders
    ]
    prices = []
    for order, hint in zip(orders, packed, strict=True):
        results, receipt = p.execute(order, hint=hint, sender=p.attacker)
        assert results == [OrderResult.FILLED]
        prices.append(receipt.event("Filled")["fillPrice"])
    assert prices[0] >= prices[1]
    assert wealth(p, [p.attacker], [long, short]) < start


def test_a_rate_pumped_up_decays_and_is_not_paid_to_the_pumper(protocol: Protocol) -> None:
    """INV-17: large skew for a moment, then small skew on the paid side within the dead-band: it never pays for the
    pump."""
    p = protocol
    big, small = p.account(p.attacker), p.account(p.attacker, sub=1)
    actors, accounts = [p.attacker], [big, small, p.account(p.attacker, sub=2)]
    p.deposit(big, 2_000_000)
    p.deposit(small, 400_000)
    start = wealth(p, actors, accounts)
    own = accounts[2]
    traded(p, big, "ETH", 2_400, small, keeper=own)
    p.warp(7_200)
    traded(p, big, "ETH", -2_400, small, keeper=own)
    rate = p.reader.funding(p.market("ETH")).rate
    assert rate > 0
    # short within the dead-band: it would receive a frozen rate for ever
    traded(p, small, "ETH", -150, big, keeper=own)
    for _ in range(6):
        p.warp(86_400)
        p.clearinghouse.transact("accrue", p.market("ETH"), sender=p.attacker)
    assert p.reader.funding(p.market("ETH")).rate <= 0
    traded(p, small, "ETH", 150, big, reduce_only=True, keeper=own)
    assert wealth(p, actors, accounts) < start


def test_the_first_depositor_cannot_inflate_the_share(protocol: Protocol) -> None:
    """INV-21: a donation before or after the victim's deposit gains the attacker nothing and costs the victim <
    1e-4."""
    p = protocol
    lp = p.pools["longtail"].lp
    for donated in (0, 10**3, 10**12):
        with p.snapshot():
            p.mint("USDC", p.attacker, 4_000_000)
            p.approve("USDC", p.attacker)
            before = p.balance("USDC", p.attacker)
            lp.transact("requestDeposit", 10**7, p.attacker, p.attacker, sender=p.attacker)
            p.strike("longtail")
            lp.transact("deposit", 10**7, p.attacker, p.attacker, sender=p.attacker)
            for target in (lp.address, p.clearinghouse.address):
                p.tokens["USDC"].transact("transfer", target, donated, sender=p.attacker)
            if donated:
                p.clearinghouse.transact("fundInsurance", 2, donated, sender=p.attacker)
            shares = p.lp_deposit(p.other_lp, 1_000, "longtail")
            assert shares > 0
            value = lp.call("convertToAssets", shares)
            assert 10**9 - 10**5 <= value <= 10**9
            mine = lp.call("convertToAssets", lp.call("balanceOf", p.attacker))
            assert mine + p.balance("USDC", p.attacker) <= before
            p.assert_identity()


def test_lps_cannot_leave_inside_a_gap(protocol: Protocol) -> None:
    """After a gap traders owe more than they have: the one who leaves is not paid out of that."""
    p = protocol
    account = p.account(p.trader)
    p.deposit(account, 262_000)
    traded(p, account, "ETH", 2_000)
    lp = p.pools["majors"].lp
    share = lp.call("balanceOf", p.lp) // 4
    fair = lp.call("convertToAssets", share)
    lp.transact("requestRedeem", share, p.lp, p.lp, sender=p.lp)
    p.set_price("ETH", 1_200)
    p.hub.transact("observe", 1, sender=p.attacker)
    p.strike("majors")
    before = p.balance("USDC", p.lp)
    lp.transact("redeem", lp.call("maxRedeem", p.lp), p.lp, p.lp, sender=p.lp)
    got = p.balance("USDC", p.lp) - before
    # $1.6M is owed, at most the initial margin of it is believed
    margin = 2_000 * 1_200 * 4 // 100
    # and the premium outstanding is worth less at the lower price
    premium = (2_000 - 1_200) * 2_000**2 // (2 * 2_000_000)
    assert got <= fair + (margin + premium) * 10**6 // 4 + 10**6
    p.liquidate(account)
    left = lp.call("convertToAssets", lp.call("balanceOf", p.lp)) // 3
    # who stayed has not paid for who left
    assert left >= got - got // 200
    p.assert_identity()


@pytest.mark.parametrize("token", ["USDC", "WETH"])
def test_one_wei_again_and_again(protocol: Protocol, token: str) -> None:
    """INV-17, INV-18: deposits, borrowing and withdrawals of the least amount never gain a wei, with and without
    debt."""
    p = protocol
    account, sub = p.account(p.trader), p.account(p.trader, sub=1)
    p.deposit(account, 3, token="WETH")
    p.deposit(sub, 1, token="WETH")
    p.withdraw(account, 1_000)
    p.warp(5_000)
    p.mint(token, p.trader, 1)
    p.approve(token, p.trader)
    address = p.tokens[token].address
    before = PoolMirror.read(p, account, sub)
    p.anvil.mine()
    before.see()
    debt = before.cash_of(account)
    nav = before.nav
    wallet = p.balance(token, p.trader)
    for _ in range(12):
        p.clearinghouse.transact("deposit", account, address, 1, sender=p.trader)
        p.clearinghouse.transact("transfer", account, sub, address, 1, sender=p.trader)
        p.clearinghouse.transact("transfer", sub, account, address, 1, sender=p.trader)
        p.clearinghouse.transact("withdraw", account, address, 1, p.trader, sender=p.trader)
    after = PoolMirror.read(p, account, sub)
    after.see()
    assert p.balance(token, p.trader) == wallet
    assert after.cash_of(account) <= debt
    assert after.cash_of(sub) <= 0
    # the pool has not paid for the rounding
    assert after.nav >= nav
    p.assert_identity()


def test_least_fills_again_and_again(protocol: Protocol) -> None:
    """INV-17, INV-18."""
    p = protocol
    account = p.account(p.trader)
    p.deposit(account, 10_000)
    traded(p, account, "ETH", "1")
    total = p.account_word(account).raw_cash
    for _ in range(4):
        for size in ("0.000000000000000001", "-0.000000000000000001"):
            done = traded(p, account, "ETH", size)
            assert done.expected.cost + done.expected.fee >= 1
            now = p.account_word(account).raw_cash
            assert now < total
            total = now
    assert p.position_word(account, "ETH").shares == WAD


def test_splitting_a_liquidation_never_pays_the_keeper_more(protocol: Protocol) -> None:
    """INV-16."""
    p = protocol
    account, keeper = p.account(p.trader), p.account(p.keeper)
    p.deposit(account, 9_500)
    traded(p, account, "ETH", 100)
    paid = []
    for prices in ((1_935,), (1_958, 1_935), (1_959, 1_952, 1_944, 1_935)):
        with p.snapshot():
            start, notional = p.account_word(keeper).raw_cash, 0
            for price in prices:
                p.set_price("ETH", price)
                for _ in range(2):
                    done = p.liquidate(account)
                    notional += sum(
                        abs(event["sizeDelta"]) * event["price"] // WAD
                        for event in done.receipt.named("PositionLiquidated")
                    )
            paid.append((p.account_word(keeper).raw_cash - start, notional))
            p.assert_identity()
    for reward, notional in paid:
        assert reward <= notional * 2_500 // PPM


def test_who_pays_himself_down_pays_the_penalty_too(protocol: Protocol) -> None:
    """INV-26: keeper fees to oneself, one at a time, until the account is below the line: insurance gains."""
    p = protocol
    account, own = p.account(p.attacker), p.account(p.attacker, sub=1)
    p.deposit(account, "2.8")
    traded(p, account, "ETH", "0.026", keeper=own)
    insurance, results = p.insurance(), []
    for _ in range(5):
        order, _ = p.place(account, "ETH", "-0.000000000000000001", reduce_only=True, keeper_fee="0.5")
        due(p, order)
        p.execute(order, keeper=own, sender=p.attacker)
        p.publish("ETH")
        p.anvil.set_base_fee(10**12)
        results += p.liquidate(account, keeper=own, sender=p.attacker).results
        p.anvil.set_base_fee(0)
        if not p.account_word(account).markets:
            break
    assert results[-1] == R.FULL
    assert p.insurance() >= insurance
    p.assert_identity()


def test_insurance_never_falls_at_constant_prices(protocol: Protocol) -> None:
    """INV-26: fees of several reduce-only orders cannot eat into what a liquidation is paid from."""
    p = protocol
    account, own = p.account(p.attacker), p.account(p.attacker, sub=1)
    p.deposit(account, "2.8")
    traded(p, account, "ETH", "0.026", keeper=own)
    insurance = p.insurance()
    for _ in range(3):
        p.place(account, "ETH", "-0.000000000000000001", reduce_only=True, keeper_fee="0.5")
    with reverts_with("InsufficientMargin", ...):
        for _ in range(3):
            p.place(account, "ETH", "-0.000000000000000001", reduce_only=True, keeper_fee="0.5")
    p.publish("ETH")
    p.anvil.set_base_fee(10**12)
    p.liquidate(account, keeper=own, sender=p.attacker)
    assert p.insurance() >= insurance


def test_a_liquidation_is_what_the_mirror_says_after_many_events(protocol: Protocol) -> None:
    """Positions in several markets with deleveraging and socialisation behind them."""
    p = protocol
    every = [p.account(p.trader, "longtail", sub=sub) for sub in range(3)]
    for account, size in zip(every, (900, 600, -300), strict=True):
        p.deposit(account, 30_000)
        traded(p, account, "SOL", size, *every)
    for price in (130, 180, 260):
        p.set_price("SOL", price)
        p.clearinghouse.transact("accrue", p.market("SOL"), sender=p.attacker)
    done, _, _ = liquidated(p, every[2], *every)
    assert done.results[0] in {R.FULL, R.BAD_DEBT, R.PARTIAL}
    p.assert_identity()
