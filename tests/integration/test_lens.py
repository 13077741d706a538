"""The Lens: the same integers as the checks, previews that do what the action does, and identities."""

from __future__ import annotations

import pytest
from tests.support.core import due, everything, liquidated, reason_of, traded
from tests.support.ledger_mirror import PoolMirror
from tests.support.mirror_actions import health
from tests.support.protocol import LiquidationResult, OrderResult, Protocol
from tests.support.reverts import reverts_with

from plimsoll.model.margin import collateral_value
from plimsoll.units import WAD

ALL = (1 << 9) - 1


@pytest.fixture
def busy(protocol: Protocol) -> tuple[Protocol, bytes, bytes]:
    """Two traders in both markets, one with collateral and debt."""
    p = protocol
    one, two = p.account(p.trader), p.account(p.other_trader)
    p.deposit(one, 20_000)
    p.deposit(two, 5_000)
    p.deposit(two, 3, token="WETH")
    p.deposit(two, "0.1", token="WBTC")
    traded(p, one, "ETH", 20)
    traded(p, two, "ETH", -12, one)
    traded(p, two, "BTC", "0.2", one)
    p.withdraw(two, 6_000)
    p.warp(20_000)
    return p, one, two


def test_account_and_health_are_the_integers_of_the_checks(busy: tuple[Protocol, bytes, bytes]) -> None:
    p, one, two = busy
    mirror = PoolMirror.read(p, one, two)
    mirror.see()
    batch = p.lens.call("healthBatch", [one, two])
    for index, account in enumerate((one, two)):
        view = p.lens.call("account", account)
        legs, equity, required = health(mirror, account)
        assert (view.equityMaintenance, view.maintenance) == (equity, required)
        assert (batch[0][index], batch[1][index]) == (equity, required)
        assert (view.equityInitial, view.initial) == mirror.initial(account)
        assert view.free == view.equityInitial - view.initial
        assert view.health == equity * WAD // required
        assert view.cash == mirror.cash_of(account)
        assert [(leg.size, leg.profit, leg.requirement) for leg in legs] == [
            (item.size, item.profit, item.maintenance) for item in view.positions
        ]
        notional = sum(-(-abs(leg.size) * leg.price // WAD) for leg in legs)
        assert view.leverage == -(-notional * WAD // equity)
        assert not view.liquidatable
        margins = p.lens.call("margins", account)
        assert tuple(margins) == (view.equityInitial, view.initial, equity, required)
    view = p.lens.call("account", two)
    assert view.cash < 0
    for index, item in enumerate(view.collaterals):
        config = mirror.collaterals[index]
        price = mirror.spots[config.asset].price
        assert item.valueMaintenance == collateral_value(
            item.balance, config.decimals, price, config.weight_maintenance_ppm
        )


def test_market_and_pool(busy: tuple[Protocol, bytes, bytes]) -> None:
    p, one, two = busy
    mirror = PoolMirror.read(p, one, two)
    mirror.see()
    for m in mirror.markets.values():
        mirror.reprice(m)
    view = p.lens.call("pool", 1)
    assert (view.cash, view.debt, view.nav) == (mirror.cash, mirror.total_debt, mirror.nav)
    assert view.liquid == mirror.cash - mirror.total_debt
    assert (view.insurance, view.fees, view.borrowIndex) == (mirror.insurance, mirror.fees, mirror.borrow_index)
    for item, m in zip(view.markets, mirror.markets.values(), strict=True):
        assert (item.price, item.skew, item.premium, item.loss) == (m.price, m.skew, m.premium, m.worth())
        assert (item.fundingIndex, item.fundingRate) == (m.index, m.rate)
        assert item.openLoss == m.open_profit(m.long) + m.open_profit(m.short)
        assert p.lens.call("market", m.id) == item


@pytest.mark.parametrize("size", ["20", "-20"])
@pytest.mark.parametrize("weth", ["0", "1.5"])
def test_liquidation_price_is_the_first_at_which_the_check_fails(protocol: Protocol, size: str, weth: str) -> None:
    p = protocol
    account = p.account(p.trader)
    p.deposit(account, 3_000)
    if weth != "0":
        p.deposit(account, weth, token="WETH")
    traded(p, account, "ETH", size)
    exists, below, price = p.lens.call("liquidationPrice", account, p.market("ETH"))
    assert exists
    assert below == (size == "20")
    step = 1 if below else -1
    for at, fails in ((price, True), (price + step, False), (price - step * WAD, True)):
        equity, required = p.lens.call("stressAccounts", [account], [1], [at])
        assert (equity[0] < required[0]) == fails
    assert p.lens.call("liquidationPrice", account, p.market("BTC")) == (False, False, 0)
    with reverts_with("UnknownMarket", 999):
        p.lens.call("liquidationPrice", account, 999)


def test_preview_of_a_trade_is_the_trade(busy: tuple[Protocol, bytes, bytes]) -> None:
    p, one, two = busy
    for size in (5 * WAD, -40 * WAD, 7 * WAD + 1):
        order, _ = p.place(one, "ETH", str(size // WAD) if size % WAD == 0 else f"7.{1:018d}")
        due(p, order)
        before = everything(p)
        with p.snapshot():
            p.anvil.mine()
            seen = p.lens.call("previewTrade", one, p.market("ETH"), size, False)
        assert everything(p) == before
        results, receipt = p.execute(order)
        assert results == [OrderResult.FILLED]
        event = receipt.event("Filled")
        assert seen.success
        assert (seen.sizeDelta, seen.fillPrice, seen.fee) == (event["sizeDelta"], event["fillPrice"], event["fee"])
        assert seen.profit == event["profit"]
    bad = p.lens.call("previewTrade", two, p.market("ETH"), 10**24, False)
    assert not bad.success
    assert reason_of(p, bad.reason)[0] == "PositionTooLarge"
    none = p.lens.call("previewTrade", one, p.market("BTC"), -WAD, True)
    assert reason_of(p, none.reason) == ("NothingToReduce", (one, p.market("BTC")))


@pytest.mark.parametrize("buy", [True, False])
def test_max_trade_fills_and_one_step_more_does_not(busy: tuple[Protocol, bytes, bytes], buy: bool) -> None:
    p, one, _ = busy
    size = p.lens.call("maxTrade", one, p.market("ETH"), buy)
    assert size > 50 * WAD
    sign = 1 if buy else -1
    assert p.lens.call("previewTrade", one, p.market("ETH"), sign * size, False).success
    more = p.lens.call("previewTrade", one, p.market("ETH"), sign * (size + 10**9), False)
    assert not more.success
    assert reason_of(p, more.reason)[0] == "InsufficientMargin"


def test_max_withdraw_is_exact(busy: tuple[Protocol, bytes, bytes]) -> None:
    p, one, two = busy
    for account, token in ((one, "USDC"), (two, "USDC"), (two, "WETH")):
        address = p.tokens[token].address
        most = p.lens.call("maxWithdraw", account, address)
        assert most > 0
        assert p.lens.call("previewWithdraw", account, address, most).success
        bad = p.lens.call("previewWithdraw", account, address, most + 1)
        assert reason_of(p, bad.reason)[0] in {"InsufficientMargin", "InsufficientBalance"}
        owner = p.owner_of(account)
        p.clearinghouse.call("withdraw", account, address, most, owner, sender=owner)
        with pytest.raises(Exception, match=r"InsufficientMargin|InsufficientBalance"):
            p.clearinghouse.call("withdraw", account, address, most + 1, owner, sender=owner)
    assert p.lens.call("maxWithdraw", p.account(p.lp), p.tokens["USDC"].address) == 0


def test_preview_of_liquidation_and_deleveraging_and_waterfall(protocol: Protocol) -> None:
    p = protocol
    good, bad = p.account(p.trader), p.account(p.other_trader)
    for account, cash in ((good, 3_000), (bad, 1_000)):
        p.deposit(account, cash)
        traded(p, account, "ETH", 10)
    p.set_price("ETH", 1_950)
    results, rewards = p.lens.call("previewLiquidation", [good, bad])
    ledger = p.ledger()
    assert p.lens.call("previewWaterfall", 1, 500_000 * WAD) == (
        ledger.insurance,
        0,
        500_000 * WAD - ledger.insurance,
        0,
        0,
    )
    done, closing, _ = liquidated(p, bad, good)
    assert results == [LiquidationResult.HEALTHY, done.results[0]]
    assert rewards == [0, closing.reward]
    acts, reason, before, later = p.lens.call("previewDeleverage", p.market("ETH"))
    assert not acts
    assert before == later
    assert reason_of(p, reason)[0] == "NothingToDeleverage"


def test_stress_of_a_pool_is_its_nav_at_those_prices(busy: tuple[Protocol, bytes, bytes]) -> None:
    p, _, _ = busy
    stressed = p.lens.call("stressPool", 1, [1, 2], [1_500 * WAD, 44_000 * WAD])
    p.set_price("ETH", 1_500)
    p.set_price("BTC", 44_000)
    for market in ("ETH", "BTC"):
        p.clearinghouse.transact("accrue", p.market(market), sender=p.attacker)
    # a few seconds of funding have passed
    assert abs(p.nav() - stressed) < WAD // 10


def test_solvency_bitmap_sees_every_kind_of_fault(busy: tuple[Protocol, bytes, bytes]) -> None:
    p, _, _ = busy
    every = p.reader.accounts(p.pools["majors"])
    assert p.lens.call("solvency", 1, every) == ALL
    usdc = p.tokens["USDC"]
    faults: list[tuple[int, tuple[object, ...], int]] = [
        (1, ("held_", 1, usdc.address), 1),
        (2, ("held_", 1, p.tokens["WETH"].address), 1),
        (8, ("markets_", p.market("ETH"), "sides"), 1),
        (16, ("markets_", p.market("ETH"), "longEntrySum"), 1),
        (128, ("pools_", 1, "dues"), 1 << 88),
        (64, ("pools_", 1, "debt"), 1),
        (256, ("pools_", 1, "openSales"), 1),
    ]
    for bit, path, delta in faults:
        with p.snapshot():
            slot = p.reader.slots.at(str(path[0]), *path[1:])
            word = p.reader.word(str(path[0]), *path[1:]) + delta
            p.rpc.request(
                "anvil_setStorageAt", [p.clearinghouse.address, hex(slot), "0x" + word.to_bytes(32, "big").hex()]
            )
            assert p.lens.call("solvency", 1, every) & bit == 0, (bit, path)
            assert p.problems() or bit == 256, path
    with p.snapshot():
        usdc.transact("burn", p.clearinghouse.address, 10**6, sender=p.attacker)
        balance = usdc.call("balanceOf", p.clearinghouse.address)
        usdc.transact("burn", p.clearinghouse.address, balance // 2, sender=p.attacker)
        assert p.lens.call("solvency", 1, every) & 4 == 0
    assert p.lens.call("solvency", 1, every[:-1]) != ALL


def test_views_leave_no_trace(busy: tuple[Protocol, bytes, bytes]) -> None:
    """Sent as transactions, views and previews change nothing and emit nothing."""
    p, one, _ = busy
    before = everything(p)
    market, usdc = p.market("ETH"), p.tokens["USDC"].address
    for fn, args in (
        ("previewTrade", (one, market, WAD, False)),
        ("previewWithdraw", (one, usdc, 1)),
        ("previewLiquidation", ([one],)),
        ("maxTrade", (one, market, True)),
        ("liquidationPrice", (one, market)),
        ("previewDeleverage", (market,)),
    ):
        receipt = p.lens.transact(fn, *args, sender=p.attacker, gas=29_000_000)
        assert receipt.logs == []
    assert everything(p) == before
