"""`deposit`: refusals in the order of the code, every balance that moves, events."""

from __future__ import annotations

import pytest
from tests.support.core import change, setting, traded
from tests.support.ledger_mirror import PoolMirror
from tests.support.protocol import Protocol
from tests.support.reverts import reverts_with

from plimsoll.deploy.structs import pool_params
from plimsoll.model.words import AccountId
from plimsoll.units import WAD, parse_units

UNIT = 10**12
"""WAD per native unit of USDC."""
NOBODY = "0x" + "0" * 40


def test_deposit_reverts_in_order(protocol: Protocol) -> None:
    """INV-37, INV-38."""
    p = protocol
    usdc, weth, wbtc = (p.tokens[name].address for name in ("USDC", "WETH", "WBTC"))
    account, nowhere = p.account(p.trader), AccountId(p.trader, 9, 0).to_bytes()
    nobody, nobody_nowhere = (AccountId(NOBODY, pool, 0).to_bytes() for pool in (1, 9))
    cap = parse_units(p.deployment.parameters.pools["majors"].collateral["WETH"].cap.value)

    def attempt(account: bytes, token: str, amount: int) -> None:
        p.clearinghouse.transact("deposit", account, token, amount, sender=p.trader)

    with reverts_with("ZeroAmount"):
        attempt(nobody_nowhere, p.trader, 0)
    with reverts_with("ZeroAddress"):
        attempt(nobody_nowhere, p.trader, 1)
    with reverts_with("ZeroAddress"):
        attempt(nobody, usdc, 1)
    with reverts_with("UnknownPool", 9):
        attempt(nowhere, p.trader, 1)
    with reverts_with("UnknownToken", 1, p.trader):
        attempt(account, p.trader, 1)
    with reverts_with("UnknownToken", 2, weth):
        attempt(p.account(p.trader, "longtail"), weth, 1)
    with reverts_with("CollateralCap", weth, cap + 1, cap):
        attempt(account, weth, cap + 1)
    with reverts_with("ERC20InsufficientAllowance", p.clearinghouse.address, 0, 1):
        attempt(account, usdc, 1)
    p.approve("USDC", p.trader, 2)
    with reverts_with("ERC20InsufficientBalance", p.trader, 0, 2):
        attempt(account, usdc, 2)
    pool = p.deployment.parameters.pools["majors"]
    params = pool_params(p.deployment.parameters, pool, usdc) | {"maxCollaterals": 1}
    p.clearinghouse.transact("setPool", 1, params, sender=p.owner)
    p.deposit(account, 1, token="WBTC")
    p.mint("WETH", p.trader, 1)
    p.approve("WETH", p.trader)
    with reverts_with("TooManyCollaterals", 2, 1):
        attempt(account, weth, 1)
    assert p.account_word(account).collaterals == 1 << p.pools["majors"].collateral["WBTC"]
    assert wbtc != weth


def test_deposit_of_the_settlement_asset_moves_exactly_its_amount(protocol: Protocol) -> None:
    p = protocol
    account = p.account(p.trader, sub=7)
    units = p.mint("USDC", p.trader, "1234.567891")
    p.approve("USDC", p.trader, units)
    version = p.account_word(account).version
    with change(p, p.trader) as seen:
        receipt = p.clearinghouse.transact("deposit", account, p.tokens["USDC"].address, units, sender=p.trader)
    assert seen.terms == {"held": units * UNIT, "positive_cash": units * UNIT}
    assert seen.wallets == {("USDC", p.trader): -units, ("USDC", p.clearinghouse.address): units}
    assert seen.collateral == {}
    word = p.account_word(account)
    assert (word.raw_cash, word.version, word.last_check) == (units * UNIT, version + 1, 0)
    assert receipt.event("Deposited").args == {
        "caller": p.trader,
        "account": account,
        "token": p.tokens["USDC"].address,
        "amount": units,
        "word": word.pack(),
        "held": p.ledger().held,
    }


def test_deposit_of_collateral_sets_and_keeps_its_bit(protocol: Protocol) -> None:
    p = protocol
    account, index = p.account(p.trader), p.pools["majors"].collateral["WBTC"]
    for amount in ("0.5", "0.25"):
        units = p.native("WBTC", amount)
        with change(p, p.trader) as seen:
            receipt = p.deposit(account, amount, token="WBTC")
        assert seen.terms == {}
        assert seen.collateral == {p.tokens["WBTC"].address: units}
        assert p.account_word(account).collaterals == 1 << index
        balance = p.reader.word("collateral_", account, index)
        assert receipt.event("CollateralSet").args == {"account": account, "index": index, "balance": balance}
    assert balance == p.native("WBTC", "0.75")


def test_anyone_may_deposit_into_any_account(protocol: Protocol) -> None:
    p = protocol
    account = p.account(p.trader)
    with change(p, p.attacker) as seen:
        receipt = p.deposit(account, 5, sender=p.attacker)
    assert seen.terms == {"held": 5 * WAD, "positive_cash": 5 * WAD}
    assert receipt.event("Deposited").args["caller"] == p.attacker


def test_deposit_repays_debt_with_its_interest_first(protocol: Protocol) -> None:
    p = protocol
    account = p.account(p.trader)
    p.deposit(account, 10, token="WETH")
    p.withdraw(account, 10_000)
    p.warp(30 * 86_400)
    for amount in ("4000.000001", 7_000):
        mirror = PoolMirror.read(p, account)
        units = p.native("USDC", amount)
        with change(p) as seen:
            p.deposit(account, amount)
        mirror.see()
        debt = mirror.cash_of(account)
        assert debt < 0
        mirror.add_cash(account, units * UNIT)
        assert mirror.differences() == []
        assert seen.terms["held"] == units * UNIT
    assert debt + units * UNIT == p.account_word(account).raw_cash > 0
    assert p.ledger().scaled_debt == 0


def test_beyond_the_cap_only_an_account_below_initial_margin_tops_up(protocol: Protocol) -> None:
    """INV-38."""
    p = protocol
    weth = p.tokens["WETH"].address
    account, other = p.account(p.trader), p.account(p.other_trader)
    p.deposit(account, 1_000)
    p.deposit(account, 1, token="WETH")
    traded(p, account, "ETH", 20)
    params = {"token": weth, "asset": 1, "weightInitialPpm": 800_000, "weightMaintenancePpm": 880_000}
    p.clearinghouse.transact("setCollateral", 1, params | {"cap": WAD, "movePpm": 15_000}, sender=p.owner)
    p.mint("WETH", p.trader, 1)
    p.approve("WETH", p.trader)
    with reverts_with("CollateralCap", weth, WAD + 1, WAD):
        p.clearinghouse.transact("deposit", account, weth, 1, sender=p.trader)
    p.set_price("ETH", 1_960)
    mirror = setting(p)
    assert mirror.collaterals[0].token == weth
    p.deposit(account, "0.5", token="WETH")
    assert p.reader.word("collateral_", account, 0) == 3 * WAD // 2
    p.mint("WETH", p.other_trader, 1)
    p.approve("WETH", p.other_trader)
    with reverts_with("CollateralCap", weth, 3 * WAD // 2 + 1, WAD):
        p.clearinghouse.transact("deposit", other, weth, 1, sender=p.other_trader)
    p.assert_identity()


@pytest.mark.parametrize("price", ["dead", "stale"])
def test_deposit_needs_no_price(protocol: Protocol, price: str) -> None:
    p = protocol
    account = p.account(p.trader)
    p.deposit(account, 5_000)
    traded(p, account, "ETH", 1)
    if price == "dead":
        p.feeds["ETH"].transact("setMode", 1, sender=p.deployer)
    p.warp(3 * 86_400, publish=False)
    with change(p) as seen:
        p.deposit(account, 1)
        p.deposit(account, "0.000001")
        p.deposit(account, 1, token="WETH")
    assert seen.terms == {"held": WAD + UNIT, "positive_cash": WAD + UNIT}
    assert seen.collateral == {p.tokens["WETH"].address: WAD}
