"""A fill that opens a position: what moves, and every refusal."""

from __future__ import annotations

import pytest
from tests.support import mirror_actions
from tests.support.core import change, due, refusal, traded
from tests.support.ledger_mirror import PoolMirror
from tests.support.protocol import OrderResult, Protocol
from tests.support.reverts import reverts_with

from plimsoll.deploy.structs import pool_params
from plimsoll.model.interest import total_debt
from plimsoll.model.oracle_words import Spot
from plimsoll.model.pricing import notional_down
from plimsoll.units import PPM, WAD, mul_div_down, parse_units

UNIT = 10**12
CANCELLED, REFUSED = OrderResult.CANCELLED, OrderResult.REFUSED


@pytest.mark.parametrize("size", ["10", "-10"])
def test_open_moves_premium_and_fee_and_nothing_else(protocol: Protocol, size: str) -> None:
    """INV-08."""
    p = protocol
    account, keeper = p.account(p.trader), p.account(p.keeper)
    p.deposit(account, 100_000)
    with change(p, p.trader, p.keeper) as seen:
        done = traded(p, account, "ETH", size)
    fill, fee = done.expected, done.order["keeperFee"]
    risk = done.mirror.risk
    insured, pooled = fill.fee * risk.insurance_share_ppm // PPM, fill.fee * risk.lp_share_ppm // PPM
    assert fill.cost > 0
    assert fill.profit == 0
    assert p.account_word(keeper).raw_cash == fee
    assert seen.terms == {
        "positive_cash": -fill.cost - fill.fee,
        "cash": fill.cost + pooled,
        "insurance": insured,
        "fees": fill.fee - insured - pooled,
        "loss_sum": done.mirror.markets[p.market("ETH")].premium,
    }
    assert seen.wallets == {}
    word, position = p.account_word(account), p.position_word(account, "ETH")
    assert (word.markets, word.pending_orders) == (1, 0)
    assert word.last_check == done.mirror.spots[1].publish_time
    assert position.shares == parse_units(size)
    # the price that was paid is the band's end, moved by half the trade's own skew
    spot: Spot = done.mirror.spots[1]
    bound = spot.high if fill.size_delta > 0 else spot.low
    scale = done.mirror.markets[p.market("ETH")].trade.skew_scale
    assert 0 < abs(fill.fill_price - bound) <= bound * 10 * WAD // (2 * scale) + 1


def test_second_market_and_opposite_side_use_what_is_there(protocol: Protocol) -> None:
    """INV-11."""
    p = protocol
    account, other = p.account(p.trader), p.account(p.other_trader)
    p.deposit(account, 100_000)
    p.deposit(other, 100_000)
    traded(p, account, "ETH", 100, other)
    maker = traded(p, other, "ETH", -40, account)
    m = maker.mirror.markets[p.market("ETH")]
    assert maker.expected.fee == -(-40 * maker.mirror.spots[1].price * m.trade.maker_ppm // PPM)
    assert m.skew == 60 * WAD
    traded(p, account, "BTC", "-1.5", other)
    assert p.account_word(account).markets == 3
    p.assert_identity()


def test_fill_price_is_the_order_price_and_the_mark_is_the_latest(protocol: Protocol) -> None:
    """The order's own price decides the fill; the pool values the market at the newest one."""
    p = protocol
    account = p.account(p.trader)
    p.deposit(account, 100_000)
    done = traded(p, account, "ETH", 10, price="2000", latest="2010")
    m = done.mirror.markets[p.market("ETH")]
    assert m.price == 2_010 * WAD
    assert m.side_profit(m.long) == 100 * WAD
    assert done.expected.fill_price < 2_002 * WAD
    # lastCheck is the time of the order's price: the newest one did not enter the check
    spot = done.mirror.spots[1]
    assert p.account_word(account).last_check < spot.publish_time


def test_sub_accounts_do_not_share_margin(protocol: Protocol) -> None:
    p = protocol
    rich, poor = p.account(p.trader), p.account(p.trader, sub=1)
    p.deposit(rich, 100_000)
    p.deposit(poor, 10)
    order, _ = p.place(poor, "ETH", 1)
    due(p, order)
    result, (name, _) = refusal(p, order)
    assert (result, name) == (CANCELLED, "InsufficientMargin")


def test_a_position_of_another_pool_cannot_be_placed(protocol: Protocol) -> None:
    p = protocol
    account = p.account(p.trader)
    p.deposit(account, 1_000)
    with reverts_with("OtherPool", account, 2):
        p.place(account, "SOL", 10)


# ── refusals: the trader's doing ────────────────────────────────────────────


def test_too_little_margin_cancels_and_pays_the_keeper(protocol: Protocol) -> None:
    """INV-09."""
    p = protocol
    account, keeper = p.account(p.trader), p.account(p.keeper)
    p.deposit(account, 400)
    order, _ = p.place(account, "ETH", 10)
    due(p, order)
    mirror = PoolMirror.read(p, account)
    with change(p) as seen:
        result, (name, (equity, required)) = refusal(p, order)
    assert (result, name) == (CANCELLED, "InsufficientMargin")
    mirror.see()
    m = mirror.markets[p.market("ETH")]
    assert required == mirror.initial_requirement(m, 10 * WAD, 2_000 * WAD) + mirror.risk.keeper_floor
    mirror_actions.fill(mirror, account, m.id, 10 * WAD)
    assert (equity, required) == mirror.initial(account, mirror.risk.profit_weight_ppm)
    assert seen.terms == {"positive_cash": order["keeperFee"], "escrow": -order["keeperFee"]}
    assert p.account_word(keeper).raw_cash == order["keeperFee"]
    assert p.account_word(account).pending_orders == 0
    assert not p.position_word(account, "ETH").shares


def test_dust_and_giants_are_cancelled(protocol: Protocol) -> None:
    """INV-15."""
    p = protocol
    account = p.account(p.trader)
    p.deposit(account, 9_000_000)
    most = PoolMirror.read(p).markets[p.market("ETH")].limits.max_position
    cases = {
        "0.024999999999999999": ("BelowMinNotional", (notional_down(24_999_999_999_999_999, 2_000 * WAD), 50 * WAD)),
        "-0.000000000000000001": ("BelowMinNotional", (2_000, 50 * WAD)),
        str(most // WAD + 1): ("PositionTooLarge", (most + WAD, most)),
        str(-(most // WAD) - 1): ("PositionTooLarge", (most + WAD, most)),
    }
    for size, expected in cases.items():
        order, _ = p.place(account, "ETH", size)
        due(p, order)
        assert refusal(p, order) == (CANCELLED, expected)
    assert traded(p, account, "ETH", "0.025").expected.size_after == WAD // 40


def test_too_many_markets_cancels(protocol: Protocol) -> None:
    """INV-37."""
    p = protocol
    account = p.account(p.trader)
    params = p.deployment.parameters
    values = pool_params(params, params.pools["majors"], p.tokens["USDC"].address) | {"maxMarkets": 1}
    p.clearinghouse.transact("setPool", 1, values, sender=p.owner)
    p.deposit(account, 10_000)
    traded(p, account, "ETH", 1)
    order, _ = p.place(account, "BTC", "0.01")
    due(p, order)
    assert refusal(p, order) == (CANCELLED, ("TooManyMarkets", (2, 1)))


# ── refusals: not the trader's doing, the order stays ───────────────────────


def test_what_stays_pending_in_the_order_of_the_code(protocol: Protocol) -> None:
    p = protocol
    account, market = p.account(p.trader), p.market("ETH")
    p.deposit(account, 100_000)
    order, _ = p.place(account, "ETH", 10, limit="1999")
    due(p, order)
    mirror = PoolMirror.read(p, account)
    mirror.see()
    spot = mirror.spots[1]
    price = -(
        -spot.high
        * (2 * mirror.markets[market].trade.skew_scale + 10 * WAD)
        // (2 * mirror.markets[market].trade.skew_scale)
    )
    attempts = []
    with p.snapshot():
        p.clearinghouse.transact("lowerCaps", market, 9 * WAD, 8 * WAD, sender=p.guardian)
        attempts.append(refusal(p, order))
        p.clearinghouse.transact("setReduceOnly", market, True, sender=p.guardian)
        attempts.append(refusal(p, order))
        p.clearinghouse.transact("setPause", 1, 1, sender=p.guardian)
        attempts.append(refusal(p, order))
    assert attempts == [
        (REFUSED, ("PriceLimit", (price, 1_999 * WAD))),
        (REFUSED, ("ReduceOnlyMarket", (market,))),
        (REFUSED, ("IncreasePaused", (1,))),
    ]
    assert p.order_book.call("pending", account, market).count == 1
    assert p.account_word(account).pending_orders == 1


def test_caps_in_the_order_of_the_code(protocol: Protocol) -> None:
    """INV-03, INV-38."""
    p = protocol
    account, market = p.account(p.trader), p.market("ETH")
    p.deposit(account, 100_000)
    order, _ = p.place(account, "ETH", 10)
    due(p, order)
    p.clearinghouse.transact("lowerCaps", market, 10 * WAD, 8 * WAD, sender=p.guardian)
    assert refusal(p, order) == (REFUSED, ("SkewCap", (10 * WAD, 8 * WAD)))
    p.clearinghouse.transact("lowerCaps", market, 9 * WAD, 8 * WAD, sender=p.guardian)
    assert refusal(p, order) == (REFUSED, ("OpenInterestCap", (10 * WAD, 9 * WAD)))


def test_the_cap_follows_nav(protocol: Protocol) -> None:
    """INV-03, INV-38: oiCap·P ≤ m·NAV: with less NAV the pool carries less."""
    p = protocol
    account, market = p.account(p.trader), p.market("ETH")
    p.deposit(account, 100_000)
    money = p.reader.word("pools_", 1, "money")
    left = p.ledger().cash - 5_000 * WAD
    order, _ = p.place(account, "ETH", 10)
    due(p, order)
    for taken, name in ((left, "OpenInterestCap"), (left + 5_100 * WAD, "PoolInsolvent")):
        set_word(p, ("pools_", 1, "money"), money - taken)
        before = p.nav()
        result, (error, values) = refusal(p, order)
        assert (result, error) == (REFUSED, name)
        mirror = PoolMirror.read(p, account)
        if error == "PoolInsolvent":
            assert values[0] == 1
            assert before <= values[1] <= 0
        else:
            multiple = mirror.markets[market].limits.nav_multiple_ppm
            # NAV holds what the fill itself brought: its band, and its fee's share
            cap = values[1]
            assert values[0] == 10 * WAD
            assert mul_div_down(before, multiple * 10**12, 2_000 * WAD) <= cap <= 10 * WAD


def set_word(p: Protocol, path: tuple[object, ...], word: int) -> None:
    """Writes a word of the Clearinghouse's storage."""
    slot = p.reader.slots.at(str(path[0]), *path[1:])
    p.rpc.request("anvil_setStorageAt", [p.clearinghouse.address, hex(slot), "0x" + word.to_bytes(32, "big").hex()])


def test_prices_that_an_increase_does_not_tolerate(protocol: Protocol) -> None:
    """INV-27: the newest price counts beside the order's own, and so do the prices of other positions."""
    p = protocol
    account = p.account(p.trader)
    p.deposit(account, 100_000)
    traded(p, account, "BTC", "0.1")
    order, _ = p.place(account, "ETH", 1)
    p.warp_to(p.now() + 10, publish=False)
    p.publish("ETH")
    packed = b"".join(one.to_bytes(32, "big") for one in p.hub.call("searchRound", 1, p.price_time(order)))
    with p.snapshot():
        p.feeds["ETH"].transact("setMode", 1, sender=p.deployer)
        p.anvil.mine()
        assert refusal(p, order, hint=packed)[1][0] in {"PriceRefused", "NotFirstPrice"}
    p.feeds["BTC"].transact("setMode", 1, sender=p.deployer)
    assert refusal(p, order, hint=packed) == (REFUSED, ("PriceRefused", (2, 1)))
    assert p.account_word(account).pending_orders == 1


def test_fees_of_an_increase_are_voluntary_debt(protocol: Protocol) -> None:
    """Without cash the fee is borrowed, which a pause of borrowing refuses and the utilisation limit bounds."""
    p = protocol
    account = p.account(p.trader)
    p.deposit(account, 10, token="WETH")
    p.deposit(account, "0.5")
    order, _ = p.place(account, "ETH", 1, keeper_fee="0.1")
    due(p, order)
    p.clearinghouse.transact("setPause", 1, 4, sender=p.guardian)
    assert refusal(p, order) == (REFUSED, ("BorrowPaused", (1,)))
    p.clearinghouse.transact("setPause", 1, 0, sender=p.owner)
    results, receipt = p.execute(order)
    assert results == [OrderResult.FILLED]
    ledger = p.ledger()
    event = receipt.event("Filled").args
    assert p.account_word(account).raw_cash < 0
    debt = event["cost"] + event["fee"] - WAD * 4 // 10
    assert total_debt(ledger.scaled_debt, WAD) == debt
    p.assert_identity()
