"""The test system itself: its moves do what they say, and its ledger check finds a ledger that does not add up."""

from __future__ import annotations

import pytest
from tests.support.protocol import LiquidationResult, OrderResult, Protocol

from plimsoll.model.words import PoolMoneyWord
from plimsoll.units import WAD


def test_pools_are_funded(protocol: Protocol) -> None:
    protocol.assert_identity()
    assert 0 <= protocol.nav("majors") - 20_000_010 * WAD <= WAD
    assert 0 <= protocol.nav("longtail") - 5_000_010 * WAD <= WAD
    assert protocol.insurance("majors") == 400_000 * WAD


def test_a_life_of_deposits_trades_and_liquidations_adds_up(protocol: Protocol) -> None:
    """INV-01, INV-02, INV-03, INV-04."""
    account, other = protocol.account(protocol.trader), protocol.account(protocol.other_trader)
    protocol.deposit(account, 100_000)
    protocol.deposit(account, "1.5", token="WETH")
    protocol.deposit(other, 5_000)
    fill = protocol.trade(account, "ETH", 10)
    assert (fill.size_delta, fill.size_after) == (10 * WAD, 10 * WAD)
    assert fill.fill_price > 2000 * WAD
    protocol.trade(other, "ETH", -50, keeper_fee="0.25")
    protocol.trade(other, "BTC", "0.01")
    protocol.set_price("ETH", "2070")
    done = protocol.liquidate(account, other)
    assert done.results[0] is LiquidationResult.HEALTHY
    assert done.results[1] in (LiquidationResult.PARTIAL, LiquidationResult.FULL)
    assert done.receipt.named("PositionLiquidated")
    protocol.assert_identity()
    closed = protocol.trade(account, "ETH", -10, price=2300, reduce_only=True)
    assert closed.size_after == 0
    assert closed.profit > 0
    protocol.withdraw(account, 1_000)
    assert protocol.balance("USDC", protocol.trader) == 1_000 * 10**6
    longtail = protocol.account(protocol.trader, "longtail", sub=7)
    protocol.deposit(longtail, 1_000)
    protocol.trade(longtail, "SOL", 20)
    protocol.assert_identity()
    assert set(protocol.ledger("longtail").accounts) >= {longtail}


def test_liquidity_comes_and_goes(protocol: Protocol) -> None:
    shares = protocol.lp_deposit(protocol.other_lp, 50_000)
    assert protocol.balance("USDC", protocol.other_lp) == 0
    paid = protocol.lp_redeem(protocol.other_lp, shares)
    assert 0 <= 50_000 * 10**6 - paid <= 2
    protocol.assert_identity()


def test_orders_in_separate_steps(protocol: Protocol) -> None:
    account = protocol.account(protocol.trader)
    protocol.deposit(account, 1_000)
    order, _ = protocol.place(account, "ETH", "0.5", limit="1900")
    results, _ = protocol.execute(order)
    assert results == [OrderResult.NO_PRICE_YET]
    protocol.warp_to(protocol.price_time(order))
    results, _ = protocol.execute(order)
    assert results == [OrderResult.REFUSED]
    protocol.assert_identity()


def test_prices_wait_until_they_are_published(protocol: Protocol) -> None:
    protocol.set_price("ETH", "1999.5", publish=False)
    assert protocol.feeds["ETH"].call("latestRoundData")[1] == 2000 * 10**8
    protocol.publish()
    assert protocol.feeds["ETH"].call("latestRoundData")[1] == 199_950_000_000


def test_a_snapshot_restores_chain_and_prices(protocol: Protocol) -> None:
    block = protocol.anvil.block_number()

    def fail() -> None:
        with protocol.snapshot():
            protocol.set_price("ETH", 1_500)
            protocol.warp(100)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert protocol.anvil.block_number() == block
    assert protocol.prices["ETH"] == 2000 * WAD


def test_a_trade_that_is_not_filled_fails_the_test(protocol: Protocol) -> None:
    account = protocol.account(protocol.trader)
    protocol.deposit(account, 100)
    with pytest.raises(AssertionError, match=r"not filled but CANCELLED: .*InsufficientMargin"):
        protocol.trade(account, "ETH", 10)


def _store(protocol: Protocol, word: int, *path: object) -> None:
    slot = protocol.reader.slots.at(str(path[0]), *path[1:])
    protocol.rpc.request("anvil_setStorageAt", [protocol.clearinghouse.address, f"0x{slot:064x}", f"0x{word:064x}"])


def test_one_wei_too_much_is_found(protocol: Protocol) -> None:
    """INV-01, INV-02."""
    token = protocol.tokens["USDC"].address
    _store(protocol, protocol.reader.word("held_", 1, token) + 1, "held_", 1, token)
    assert protocol.ledger("majors").slack == 1
    assert protocol.ledger("longtail").slack == 0
    with pytest.raises(AssertionError, match="held is 1 wei off"):
        protocol.assert_identity()


def test_a_loss_that_no_market_has_is_found(protocol: Protocol) -> None:
    """INV-02."""
    money = PoolMoneyWord.unpack(protocol.reader.word("pools_", 1, "money"))
    assert money.cash > 0
    _store(protocol, protocol.reader.word("pools_", 1, "dues") + (5 << 88), "pools_", 1, "dues")
    with pytest.raises(AssertionError, match="loss sum"):
        protocol.assert_identity()


def test_a_position_that_no_sum_counts_is_found(protocol: Protocol) -> None:
    """INV-03, INV-04."""
    account = protocol.account(protocol.trader)
    protocol.deposit(account, 1_000)
    protocol.trade(account, "ETH", 1)
    _store(protocol, protocol.reader.word("positions_", account, 0) + 1, "positions_", account, 0)
    with pytest.raises(AssertionError, match="sums of ETH long differ"):
        protocol.assert_identity()


def test_collateral_and_tokens_that_are_missing_are_found(protocol: Protocol) -> None:
    """INV-01."""
    account = protocol.account(protocol.trader)
    protocol.deposit(account, 2, token="WETH")
    _store(protocol, WAD, "collateral_", account, 0)
    with pytest.raises(AssertionError, match="collateral held"):
        protocol.assert_identity()
    with protocol.snapshot():
        protocol.tokens["USDC"].transact("burn", protocol.clearinghouse.address, 10**6)
        with pytest.raises(AssertionError, match="USDC: balance"):
            protocol.assert_identity()
