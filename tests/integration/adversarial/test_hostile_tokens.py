"""Tokens that charge, refuse, lie or burn gas: they hurt nobody but their own withdrawal."""

from __future__ import annotations

import pytest
from tests.support.hostile import HostilePool, hostile_pool
from tests.support.protocol import Protocol
from tests.support.reverts import reverts_with

from plimsoll.chain.errors import Revert
from plimsoll.units import WAD

LIMIT = 2**256 - 1


def opened(world: HostilePool, account: bytes, size: int) -> None:
    """A fill in the hostile pool."""
    p = world.p
    arguments = (account, 3 << 8, size * WAD, LIMIT if size > 0 else 0, p.now() + 600, WAD // 10, False, bytes(32))
    placed = p.order_book.transact("placeOrder", *arguments, sender=p.owner_of(account)).event("OrderPlaced").args
    order = {key: value for key, value in placed.items() if key != "priceTime"}
    p.anvil.advance(6)
    p.publish("ETH")
    items = [{"order": order, "hint": b""}]
    receipt = p.order_book.transact("executeOrders", items, world.account(p.keeper), sender=p.keeper)
    assert receipt.named("Filled"), [event.name for event in receipt.events]


@pytest.mark.parametrize("bps", [1, 100, 10_000])
def test_a_token_that_charges_on_transfer_is_detected(protocol: Protocol, bps: int) -> None:
    """INV-35."""
    p = protocol
    world = hostile_pool(p, "HookToken", "FeeOnTransferToken", bps)
    token, account = world.collateral, world.account(p.trader)
    world.fund(token, p.trader, 10**18)
    for amount in (1, 10**6, 10**18):
        fee = -(-amount * bps // 10_000)
        with reverts_with("UnexpectedAmount", token.address, amount, amount - fee):
            p.clearinghouse.transact("deposit", account, token.address, amount, sender=p.trader)
    assert world.held(token) == 0
    assert token.call("balanceOf", p.trader) == 10**18


def test_a_fee_switched_on_later_takes_only_from_who_withdraws(protocol: Protocol) -> None:
    p = protocol
    world = hostile_pool(p, "HookToken", "FeeOnTransferToken", 0)
    token = world.collateral
    for actor in (p.trader, p.other_trader):
        world.deposit(world.account(actor), token, 10**18)
    token.transact("setFeeBps", 1_000, sender=p.attacker)
    p.clearinghouse.transact("withdraw", world.account(p.trader), token.address, 10**18, p.trader, sender=p.trader)
    assert token.call("balanceOf", p.trader) == 9 * 10**17
    assert world.held(token) == token.call("balanceOf", p.clearinghouse.address) == 10**18


def test_a_rebase_shows_as_a_balance_below_the_ledger_and_stops_nothing_else(protocol: Protocol) -> None:
    p = protocol
    world = hostile_pool(p, "HookToken", "HookToken")
    account = world.account(p.trader)
    world.deposit(account, world.collateral, 10**18)
    world.collateral.transact("burn", p.clearinghouse.address, 10**17, sender=p.attacker)
    every = p.reader.accounts(p.pools["majors"])
    assert p.lens.call("solvency", 1, every) & 4
    assert p.lens.call("solvency", 3, [account]) & 4 == 0
    with reverts_with("ERC20InsufficientBalance", p.clearinghouse.address, 9 * 10**17, 10**18):
        p.clearinghouse.transact("withdraw", account, world.collateral.address, 10**18, p.trader, sender=p.trader)
    world.deposit(account, world.settlement, 10**6)
    p.clearinghouse.transact("withdraw", account, world.settlement.address, 10**6, p.trader, sender=p.trader)


@pytest.mark.parametrize("listed", ["owner", "keeper", "clearinghouse"])
def test_a_blacklist_cannot_stop_a_liquidation(protocol: Protocol, listed: str) -> None:
    """INV-13, INV-35: no token moves in a liquidation, so none can refuse it: by its owner, its keeper or the ledger
    itself."""
    p = protocol
    world = hostile_pool(p, "BlacklistToken", "BlacklistToken")
    account = world.account(p.trader)
    world.deposit(account, world.settlement, 1_300 * 10**6)
    world.deposit(account, world.collateral, 10**17)
    spare = world.account(p.trader, 1)
    world.deposit(spare, world.collateral, 10**17)
    opened(world, account, 5)
    address = {"owner": p.trader, "keeper": p.keeper, "clearinghouse": p.clearinghouse.address}[listed]
    for token in (world.settlement, world.collateral):
        token.transact("setBlacklisted", address, True, sender=p.attacker)
    p.set_price("ETH", 1_850)
    keeper = world.account(p.keeper)
    before = p.account_word(keeper).raw_cash
    receipt = p.clearinghouse.transact("liquidate", [account], keeper, sender=p.keeper)
    assert receipt.event("Liquidated")["reward"] == p.account_word(keeper).raw_cash - before > 0
    p.set_price("ETH", 1_500)
    p.clearinghouse.transact("liquidate", [account], keeper, sender=p.keeper)
    if listed == "owner":
        with reverts_with("Blacklisted", p.trader):
            p.clearinghouse.transact("withdraw", spare, world.collateral.address, 1, p.trader, sender=p.trader)
        # his tokens reach another address
        p.clearinghouse.transact("withdraw", spare, world.collateral.address, 1, p.lp, sender=p.trader)


def test_a_blacklisted_claimant_blocks_only_himself(protocol: Protocol) -> None:
    """INV-35."""
    p = protocol
    world = hostile_pool(p, "BlacklistToken", "HookToken")
    account, keeper = world.account(p.trader), p.account(p.keeper, "longtail")
    world.deposit(account, world.settlement, 1_300 * 10**6)
    opened(world, account, 5)
    world.settlement.transact("setBlacklisted", p.keeper, True, sender=p.attacker)
    p.set_price("ETH", 1_850)
    p.clearinghouse.transact("liquidate", [account], keeper, sender=p.keeper)
    claim = p.reader.word("claims_", 3, world.settlement.address, p.keeper)
    assert claim > 0
    with reverts_with("Blacklisted", p.keeper):
        p.clearinghouse.transact("claim", 3, world.settlement.address, p.keeper, sender=p.keeper)
    assert p.reader.word("claims_", 3, world.settlement.address, p.keeper) == claim
    p.clearinghouse.transact("claim", 3, world.settlement.address, p.lp, sender=p.keeper)
    assert p.reader.word("claims_", 3, world.settlement.address, p.keeper) == claim % 10**12


@pytest.mark.parametrize(("mode", "error"), [(1, "UnexpectedAmount"), (2, "TransferFailed"), (3, "Refused"), (4, None)])
def test_a_token_that_lies_on_deposit(protocol: Protocol, mode: int, error: str | None) -> None:
    """INV-35."""
    p = protocol
    world = hostile_pool(p, "HookToken", "LyingToken")
    token, account = world.collateral, world.account(p.trader)
    world.fund(token, p.trader, 10**18)
    token.transact("setMode", mode, sender=p.attacker)
    arguments = (account, token.address, 10**17)
    if error is None:
        with pytest.raises(Revert):
            p.clearinghouse.transact("deposit", *arguments, sender=p.trader, gas=2_000_000)
    else:
        with reverts_with(error, ...):
            p.clearinghouse.transact("deposit", *arguments, sender=p.trader)
    assert world.held(token) == 0
    assert p.account_word(account).collaterals == 0


@pytest.mark.parametrize("mode", [1, 2, 3, 4])
def test_a_token_that_lies_later_blocks_only_its_own_withdrawal(protocol: Protocol, mode: int) -> None:
    """INV-13, INV-35: positions close, the account is liquidated, the settlement asset leaves: whatever the
    collateral's token does."""
    p = protocol
    world = hostile_pool(p, "HookToken", "LyingToken")
    token, account = world.collateral, world.account(p.trader)
    world.deposit(account, token, 10**17)
    world.deposit(account, world.settlement, 1_300 * 10**6)
    opened(world, account, 5)
    token.transact("setMode", mode, sender=p.attacker)
    p.clearinghouse.transact("withdraw", account, world.settlement.address, 10**6, p.trader, sender=p.trader)
    p.set_price("ETH", 1_850)
    receipt = p.clearinghouse.transact("liquidate", [account], world.account(p.keeper), sender=p.keeper)
    assert receipt.event("Liquidated")["result"] in {1, 2}
    world.deposit(account, world.settlement, 3_000 * 10**6)
    opened(world, account, -1)
    if mode != 1:
        p.warp(60)
        with pytest.raises(Revert):
            p.clearinghouse.transact("withdraw", account, token.address, 1, p.trader, sender=p.trader, gas=2_000_000)
        assert world.held(token) == 10**17


def test_what_is_no_token_is_refused_at_listing(protocol: Protocol) -> None:
    p = protocol
    values = {"asset": 1, "weightInitialPpm": 800_000, "weightMaintenancePpm": 880_000, "cap": 1, "movePpm": 15_000}
    for address in (p.attacker, p.hub.address):
        with pytest.raises(Revert):
            p.clearinghouse.transact("listCollateral", 1, values | {"token": address}, sender=p.owner)
