"""A fill that shrinks a position: allowed whenever it does not make things worse."""

from __future__ import annotations

import pytest
from tests.support.core import change, due, refusal, traded
from tests.support.ledger_mirror import PoolMirror
from tests.support.mirror_actions import health
from tests.support.protocol import LiquidationResult, OrderResult, Protocol
from tests.support.reverts import reverts_with

from plimsoll.units import WAD


@pytest.fixture
def held(protocol: Protocol) -> tuple[Protocol, bytes]:
    """The trader is long 10 ETH."""
    account = protocol.account(protocol.trader)
    protocol.deposit(account, 10_000)
    traded(protocol, account, "ETH", 10)
    return protocol, account


@pytest.mark.parametrize("reduce_only", [True, False])
def test_reduce_pays_profit_premium_and_maker_fee(held: tuple[Protocol, bytes], reduce_only: bool) -> None:
    """INV-08."""
    p, account = held
    with change(p) as seen:
        done = traded(p, account, "ETH", -4, price="2020", reduce_only=reduce_only)
    fill, m = done.expected, done.mirror.markets[p.market("ETH")]
    assert fill.fee == -(-4 * 2_020 * WAD * m.trade.maker_ppm // 10**6)
    assert (fill.size_delta, fill.size_after) == (-4 * WAD, 6 * WAD)
    assert seen.terms["positive_cash"] == fill.profit - fill.cost - fill.fee
    assert p.account_word(account).pending_orders == 0


def test_reduce_only_is_clamped_to_the_position(held: tuple[Protocol, bytes]) -> None:
    p, account = held
    done = traded(p, account, "ETH", -25, reduce_only=True)
    assert (done.expected.size_delta, done.expected.size_after) == (-10 * WAD, 0)


def test_reduce_only_never_opens_or_adds(held: tuple[Protocol, bytes]) -> None:
    p, account = held
    with reverts_with("NothingToReduce", account, p.market("BTC")):
        p.place(account, "BTC", -1, reduce_only=True)
    order, _ = p.place(account, "ETH", 1, reduce_only=True)
    due(p, order)
    assert refusal(p, order) == (OrderResult.CANCELLED, ("NothingToReduce", (account, p.market("ETH"))))
    # a position that is gone when its order's turn comes
    first, _ = p.place(account, "ETH", -10, reduce_only=True)
    second, _ = p.place(account, "ETH", -10, reduce_only=True)
    due(p, second)
    hints = [
        b"".join(n.to_bytes(32, "big") for n in p.hub.call("searchRound", 1, p.price_time(o))) for o in (first, second)
    ]
    items = [{"order": order, "hint": hint} for order, hint in zip((first, second), hints, strict=True)]
    keeper = p.account(p.keeper)
    results = p.order_book.call("executeOrders", items, keeper, sender=p.keeper)
    assert results == [OrderResult.FILLED, OrderResult.CANCELLED]


def test_a_rest_of_dust_is_closed(held: tuple[Protocol, bytes]) -> None:
    """INV-15."""
    p, account = held
    done = traded(p, account, "ETH", "-9.975000000000000001", reduce_only=True)
    assert done.expected.size_after == 0
    assert p.account_word(account).markets == 0


def test_a_rest_of_the_least_size_stays(held: tuple[Protocol, bytes]) -> None:
    p, account = held
    assert traded(p, account, "ETH", "-9.975", reduce_only=True).expected.size_after == WAD // 40


@pytest.mark.parametrize("size", ["-5", "-10"])
def test_below_maintenance_margin_one_may_still_reduce(protocol: Protocol, size: str) -> None:
    """INV-10."""
    p = protocol
    account = p.account(p.trader)
    p.deposit(account, 900)
    traded(p, account, "ETH", 10)
    order, _ = p.place(account, "ETH", size, reduce_only=True)
    due(p, order, "1960")
    mirror = PoolMirror.read(p, account)
    mirror.see()
    _, equity, required = health(mirror, account)
    assert 0 < equity < required
    with p.snapshot():
        assert p.liquidate(account).results[0] in {LiquidationResult.PARTIAL, LiquidationResult.FULL}
    results, _ = p.execute(order)
    assert results == [OrderResult.FILLED]
    p.assert_identity()


def test_a_reduction_with_negative_equity_is_cancelled(protocol: Protocol) -> None:
    p = protocol
    account = p.account(p.trader)
    p.deposit(account, 900)
    traded(p, account, "ETH", 10)
    order, _ = p.place(account, "ETH", -5, reduce_only=True)
    due(p, order, "1900")
    result, (name, (equity, _)) = refusal(p, order)
    assert (result, name) == (OrderResult.CANCELLED, "InsufficientMargin")
    assert equity < 0


def test_nothing_blocks_a_reduction(held: tuple[Protocol, bytes]) -> None:
    """INV-10: pauses, caps at zero, a reduce-only market and a newest price that is invalid do not matter."""
    p, account = held
    market = p.market("ETH")
    p.clearinghouse.transact("setPause", 1, 7, sender=p.guardian)
    p.clearinghouse.transact("lowerCaps", market, 0, 0, sender=p.guardian)
    p.clearinghouse.transact("setReduceOnly", market, True, sender=p.guardian)
    order, _ = p.place(account, "ETH", -4, reduce_only=True)
    due(p, order)
    packed = b"".join(n.to_bytes(32, "big") for n in p.hub.call("searchRound", 1, p.price_time(order)))
    p.feeds["ETH"].transact("push", 0, p.now() + 1, sender=p.deployer)
    results, receipt = p.execute(order, hint=packed)
    assert results == [OrderResult.FILLED], receipt.events
    p.publish("ETH")
    traded(p, account, "ETH", -6, reduce_only=True)
    assert p.account_word(account).markets == 0


@pytest.mark.parametrize("dollars", [0, -1_000_000])
def test_an_empty_pool_blocks_no_reduction(held: tuple[Protocol, bytes], dollars: int) -> None:
    """INV-10: V is gone, or the pool owes more than it has."""
    p, account = held
    taken, usdc = p.ledger().cash - dollars * WAD, p.tokens["USDC"].address
    money = (p.reader.word("pools_", 1, "money") & ((1 << 104) - 1)) - taken
    kept = p.reader.word("pools_", 1, "money") >> 104 << 104
    words = {
        ("pools_", 1, "money"): kept | money % (1 << 104),
        ("held_", 1, usdc): max(p.ledger().held - taken, 0),
    }
    for path, word in words.items():
        slot = p.reader.slots.at(str(path[0]), *path[1:])
        p.rpc.request("anvil_setStorageAt", [p.clearinghouse.address, hex(slot), "0x" + word.to_bytes(32, "big").hex()])
    assert p.nav() <= 0
    for size, left in ((-4, 6), (-6, 0)):
        assert p.trade(account, "ETH", size, reduce_only=True).size_after == left * WAD


def test_a_reduction_of_one_market_ignores_the_feed_of_another(held: tuple[Protocol, bytes]) -> None:
    """INV-10."""
    p, account = held
    traded(p, account, "BTC", "0.1")
    p.feeds["BTC"].transact("setMode", 1, sender=p.deployer)
    traded(p, account, "ETH", -4, reduce_only=True)
    p.warp(4_000, publish=False)
    p.publish("ETH")
    assert traded(p, account, "ETH", -6, reduce_only=True).expected.size_after == 0


def test_reduce_only_respects_its_limit(held: tuple[Protocol, bytes]) -> None:
    p, account = held
    order, _ = p.place(account, "ETH", -4, reduce_only=True, limit="2000.1")
    due(p, order)
    result, (name, (price, limit)) = refusal(p, order)
    assert (result, name, limit) == (OrderResult.REFUSED, "PriceLimit", 2_000 * WAD + WAD // 10)
    assert price < limit


def test_the_keeper_fee_of_a_reduction_is_bounded(held: tuple[Protocol, bytes]) -> None:
    """An account in need cannot pay itself out by a keeper fee."""
    p, account = held
    floor = PoolMirror.read(p).risk.keeper_floor
    with reverts_with("KeeperFeeTooHigh", floor + 10**12, floor):
        p.place(account, "ETH", -1, reduce_only=True, keeper_fee="0.500001")
    p.place(account, "ETH", -1, reduce_only=True, keeper_fee="0.5")
    assert p.ledger().escrow == WAD // 2
