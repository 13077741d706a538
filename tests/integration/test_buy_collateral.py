"""Collateral on sale: refusals in the order of the code, the least amount, the discount, and how a sale ends."""

from __future__ import annotations

import pytest
from tests.support import mirror_actions
from tests.support.caller import Caller, call_data
from tests.support.core import change, traded
from tests.support.ledger_mirror import PoolMirror
from tests.support.protocol import LiquidationResult, Protocol
from tests.support.reverts import reverts_with

from plimsoll.model import liquidation, margin
from plimsoll.units import PPM, WAD, div_up, mul_div_up

R = LiquidationResult
UNIT = 10**12
NO_LIMIT = 2**256 - 1


def on_sale(p: Protocol, weth: str = "0.45", cash: int = 700, fall: int = 37_000) -> bytes:
    """An account without positions whose debt is more than its collateral counts: on sale from now on."""
    account = p.account(p.trader)
    p.deposit(account, cash)
    p.deposit(account, weth, token="WETH")
    traded(p, account, "BTC", "0.5")
    p.set_price("BTC", fall)
    assert p.liquidate(account).results == [R.SALE_STARTED]
    p.mint("USDC", p.attacker, 100_000)
    p.approve("USDC", p.attacker)
    return account


def equity_for_sale(mirror: PoolMirror, account: bytes) -> int:
    """equity^I without positions; a price that is not invalid counts."""
    equity = mirror.cash_of(account)
    for index, balance in mirror.accounts[account].collateral.items():
        one = mirror.collaterals[index]
        if not mirror.spots[one.asset].flags & 1:
            price = min(mirror.spots[one.asset].price, mirror.trends[one.asset].ema)
            equity += margin.collateral_value(balance, one.decimals, price, one.weight_initial_ppm)
    return equity


def bought(mirror: PoolMirror, account: bytes, amount: int, index: int = 0) -> tuple[int, int, int]:
    """Amount, native units paid and discount of a purchase now, booked in the mirror."""
    book, one, config = mirror.accounts[account], mirror.collaterals[index], mirror.liquidation
    price = mirror.spots[one.asset].price
    cut = liquidation.discount(mirror.protocol.now() - book.sale, config.sale_seconds, config.discount_max_ppm)
    value = liquidation.sale_value(-equity_for_sale(mirror, account), cut, one.weight_initial_ppm)
    most = book.collateral[index]
    if value != liquidation.EVERYTHING:
        most = min(most, mul_div_up(value, 10**one.decimals, price))
    taken = min(amount, most)
    paid = div_up(liquidation.sale_price(taken, one.decimals, price, cut), UNIT)
    book.collateral[index] -= taken
    if not book.collateral[index]:
        book.word = book.word.with_collateral(index, False)
    mirror.add_cash(account, paid * UNIT)
    if not book.word.collaterals:
        book.sale, mirror.open_sales = 0, mirror.open_sales - 1
        if mirror.cash_of(account) < 0:
            mirror_actions.absorb(mirror, account)
    elif equity_for_sale(mirror, account) >= 0:
        book.sale, mirror.open_sales = 0, mirror.open_sales - 1
    return taken, paid, cut


def test_buy_reverts_in_order(protocol: Protocol) -> None:
    p = protocol
    account, other = on_sale(p), p.account(p.other_trader)
    weth, wbtc = p.tokens["WETH"].address, p.tokens["WBTC"].address

    def attempt(account: bytes, token: str, amount: int, limit: int, sender: str = p.attacker) -> None:
        p.clearinghouse.call("buyCollateral", account, token, amount, limit, b"", sender=sender)

    with reverts_with("ZeroAmount"):
        attempt(other, p.trader, 0, 0)
    with reverts_with("NotOnSale", other):
        attempt(other, p.trader, 1, 0)
    with reverts_with("UnknownToken", 1, p.trader):
        attempt(account, p.trader, 1, 0)
    with p.snapshot():
        p.feeds["ETH"].transact("push", 0, p.now() + 1, sender=p.deployer)
        with reverts_with("PriceRefused", 1, 1):
            attempt(account, weth, 1, 0)
    mirror = PoolMirror.read(p, account)
    cut = liquidation.discount(p.now() - mirror.accounts[account].sale, 900, mirror.liquidation.discount_max_ppm)
    price = mul_div_up(2_000 * WAD, PPM - cut, PPM)
    with reverts_with("SalePrice", price, price - 1):
        attempt(account, weth, WAD, price - 1)
    with reverts_with("NothingOnSale", account, wbtc):
        attempt(account, wbtc, 1, NO_LIMIT)
    with reverts_with("ERC20InsufficientAllowance", ...):
        attempt(account, weth, WAD, price, sender=p.lp)
    attempt(account, weth, WAD, price)


@pytest.mark.parametrize("seconds", [0, 1, 450, 899, 900, 5_000])
@pytest.mark.parametrize("weth", ["0.45", "1.04"])
def test_a_purchase_takes_at_most_the_least_amount_that_helps(protocol: Protocol, seconds: int, weth: str) -> None:
    p = protocol
    account = on_sale(p, weth, 700 if weth == "0.45" else 200, 37_000 if weth == "0.45" else 35_800)
    token = p.tokens["WETH"].address
    p.anvil.advance(seconds + 1)
    p.publish("ETH")
    mirror = PoolMirror.read(p, account)
    start = mirror.accounts[account].sale
    had = mirror.accounts[account].collateral[0]
    with change(p, p.attacker) as seen:
        receipt = p.clearinghouse.transact("buyCollateral", account, token, 10**20, NO_LIMIT, b"", sender=p.attacker)
    mirror.see()
    taken, paid, cut = bought(mirror, account, 10**20)
    assert mirror.differences() == []
    assert (cut == mirror.liquidation.discount_max_ppm) == (p.now() - start >= 900)
    assert seen.terms["held"] == paid * UNIT
    assert seen.collateral == {token: -taken}
    assert seen.wallets == {
        ("USDC", p.attacker): -paid,
        ("WETH", p.attacker): taken,
        ("USDC", p.clearinghouse.address): paid,
        ("WETH", p.clearinghouse.address): -taken,
    }
    assert receipt.event("CollateralSold").args == {
        "buyer": p.attacker,
        "account": account,
        "token": token,
        "amount": taken,
        "paid": paid,
        "discountPpm": cut,
    }
    assert 0 < taken <= had
    if taken < had:
        # the account is whole again: equity^I ≥ 0, and one native unit less of collateral would not have done
        assert 0 <= equity_for_sale(mirror, account) <= 2 * UNIT
        with reverts_with("NotOnSale", account):
            p.clearinghouse.call("buyCollateral", account, token, 1, NO_LIMIT, b"", sender=p.attacker)
    else:
        assert receipt.named("BadDebt")
        assert p.account_word(account).raw_cash == 0


def test_small_purchases_leave_the_sale_open(protocol: Protocol) -> None:
    p = protocol
    account, token = on_sale(p), p.tokens["WETH"].address
    mirror = PoolMirror.read(p, account)
    start = mirror.accounts[account].sale
    for amount in (1, 10**12, 10**15 + 1):
        mirror = PoolMirror.read(p, account)
        p.clearinghouse.transact("buyCollateral", account, token, amount, NO_LIMIT, b"", sender=p.attacker)
        mirror.see()
        assert bought(mirror, account, amount)[0] == amount
        assert mirror.differences() == []
    assert p.reader.word("saleStart_", account) == start
    p.assert_identity()


def test_a_small_top_up_does_not_restart_the_discount(protocol: Protocol) -> None:
    p = protocol
    account = on_sale(p)
    start = p.reader.word("saleStart_", account)
    p.anvil.advance(600)
    p.publish()
    p.deposit(account, "0.000001")
    p.deposit(account, "0.000000000000000001", token="WETH")
    assert p.liquidate(account).results == [R.ON_SALE]
    assert p.reader.word("saleStart_", account) == start
    assert p.reader.word("pools_", 1, "openSales") == 1


@pytest.mark.parametrize("way", ["liquidate", "order", "withdraw all collateral"])
def test_a_repaid_debt_ends_the_sale(protocol: Protocol, way: str) -> None:
    """Whoever pays the debt back is off sale, and the pool may strike again."""
    p = protocol
    account = on_sale(p)
    p.deposit(account, 5_000)
    p.publish()
    if way == "liquidate":
        assert p.liquidate(account).results == [R.HEALTHY]
    elif way == "order":
        p.place(account, "ETH", 1)
    else:
        p.withdraw(account, "0.45", token="WETH")
    assert p.reader.word("saleStart_", account) == 0
    assert p.reader.word("pools_", 1, "openSales") == 0
    with reverts_with("NotOnSale", account):
        p.clearinghouse.call("buyCollateral", account, p.tokens["WETH"].address, 1, NO_LIMIT, b"", sender=p.attacker)


def test_a_price_that_recovers_ends_the_sale_only_at_initial_weight(protocol: Protocol) -> None:
    p = protocol
    account = on_sale(p, "1.0", 200, 36_000)
    p.set_price("ETH", 2_150)
    assert p.liquidate(account).results == [R.HEALTHY]
    assert p.reader.word("saleStart_", account) != 0
    # the average follows only what the hub has seen
    p.set_price("ETH", 3_000)
    p.hub.transact("observe", 1, sender=p.attacker)
    p.warp(86_400)
    assert p.liquidate(account).results == [R.HEALTHY]
    assert p.reader.word("saleStart_", account) == 0
    assert p.reader.word("pools_", 1, "openSales") == 0


def test_the_sale_blocks_a_strike_until_it_is_over(protocol: Protocol) -> None:
    p = protocol
    account = on_sale(p)
    lp = p.pools["majors"].lp
    lp.transact("requestRedeem", 10**18, p.lp, p.lp, sender=p.lp)
    p.warp_to(lp.call("strikeTime", lp.call("currentEpoch")))
    with reverts_with("BadDebtOnSale", 1):
        lp.transact("strike", p.account(p.keeper), sender=p.keeper)
    p.clearinghouse.transact(
        "buyCollateral", account, p.tokens["WETH"].address, 10**20, NO_LIMIT, b"", sender=p.attacker
    )
    p.publish()
    lp.transact("strike", p.account(p.keeper), sender=p.keeper)
    p.assert_identity()


def test_the_callback_runs_before_payment(protocol: Protocol) -> None:
    """A buyer without a cent sells what it got first; here it simply mints itself the money."""
    p = protocol
    account, buyer = on_sale(p), Caller(p)
    usdc = p.tokens["USDC"]
    buyer.load(
        call_data(usdc, "mint", buyer.address, 10**12), call_data(usdc, "approve", p.clearinghouse.address, 10**12)
    )
    arguments = (account, p.tokens["WETH"].address, 10**20, NO_LIMIT)
    with reverts_with("ERC20InsufficientAllowance", ...):
        p.clearinghouse.call("buyCollateral", *arguments, b"", sender=buyer.address)
    with change(p, buyer.address) as seen:
        receipt = p.clearinghouse.transact("buyCollateral", *arguments, b"\x01", sender=buyer.address)
    assert [answer.succeeded for answer in buyer.answers() if answer] == [True, True]
    sold = receipt.event("CollateralSold")
    assert seen.collateral == {p.tokens["WETH"].address: -sold["amount"]}
    assert seen.wallets["USDC", buyer.address] == 10**12 - sold["paid"]


def test_dust_goes_to_the_keeper_instead_of_a_sale(protocol: Protocol) -> None:
    """Nobody buys a wei: it is handed over, and the debt is bad at once."""
    p = protocol
    account, keeper = p.account(p.trader), p.account(p.keeper)
    p.deposit(account, 900)
    p.deposit(account, "0.000000000000000001", token="WETH")
    traded(p, account, "BTC", "0.5")
    p.set_price("BTC", 37_000)
    first = p.liquidate(account)
    with change(p) as seen:
        if first.results != [R.BAD_DEBT]:
            p.publish()
            first = p.liquidate(account)
    assert first.results == [R.BAD_DEBT]
    assert p.claim_of(p.keeper, token="WETH") == 1
    assert p.account_word(account).collaterals == 0
    assert p.reader.word("pools_", 1, "openSales") == 0
    assert seen.collateral == {}
    assert p.account_word(keeper).raw_cash > 0
    p.assert_identity()
