"""`liquidate`: who is liquidatable, how much is closed, and where the penalty goes, to the wei."""

from __future__ import annotations

import pytest
from tests.support.core import change, liquidated, traded
from tests.support.ledger_mirror import PoolMirror
from tests.support.mirror_actions import health
from tests.support.protocol import LiquidationResult, Protocol

from plimsoll.model import liquidation
from plimsoll.model.words import AccountWord
from plimsoll.units import PPM, WAD, div_up, parse_units

PARTIAL, FULL, HEALTHY = LiquidationResult.PARTIAL, LiquidationResult.FULL, LiquidationResult.HEALTHY


def open_at(p: Protocol, account: bytes, size: str, margin: int, market: str = "ETH") -> PoolMirror:
    """Deposits and opens."""
    p.deposit(account, margin)
    return traded(p, account, market, size).mirror


def valued(p: Protocol, account: bytes) -> tuple[int, int]:
    """equity^M and MM now."""
    mirror = PoolMirror.read(p, account)
    mirror.see()
    return health(mirror, account)[1:]


def line(p: Protocol, account: bytes, low: int, high: int) -> int:
    """The highest price of ETH in the feed's 1e-8 at which a long is liquidatable, between two prices."""
    while high - low > 1:
        middle = (low + high) // 2
        with p.snapshot():
            p.prices["ETH"] = middle * 10**10
            p.publish("ETH")
            # a call happens at the time of the latest block
            equity, required = valued(p, account)
        if equity < required:
            low = middle
        else:
            high = middle
    return low


@pytest.mark.parametrize("collateral", [False, True])
def test_the_line_is_exact(protocol: Protocol, collateral: bool) -> None:
    """INV-12, INV-13: at the last price with equity ≥ MM nothing happens, one 1e-8 below the account is liquidated."""
    p = protocol
    account = p.account(p.trader)
    if collateral:
        p.deposit(account, "0.2", token="WETH")
    open_at(p, account, "10", 1_000)
    last = line(p, account, 1_800 * 10**8, 2_000 * 10**8)
    for price, liquidatable in ((last + 1, False), (last, True)):
        with p.snapshot():
            p.prices["ETH"] = price * 10**10
            p.publish("ETH")
            results = p.clearinghouse.call("liquidate", [account], p.account(p.keeper), sender=p.keeper)
            assert (LiquidationResult(results[0]) != HEALTHY) == liquidatable
            equity, required = p.lens.call("healthBatch", [account])[:2]
            assert (equity[0] < required[0]) == liquidatable
            assert (equity[0], required[0]) == valued(p, account)


@pytest.mark.parametrize(("size", "price"), [("10", "1960"), ("-10", "2040"), ("300", "1965.5"), ("-1234.5", "2040")])
def test_partial_closes_the_least_that_reaches_the_target(protocol: Protocol, size: str, price: str) -> None:
    """INV-08, INV-14."""
    p = protocol
    account, keeper = p.account(p.trader), p.account(p.keeper)
    margin = 145_000 if size == "-1234.5" else abs(parse_units(size)) * 95 // WAD
    open_at(p, account, size, margin)
    p.set_price("ETH", price)
    before, mm = valued(p, account)
    assert 0 < before < mm
    with change(p, p.keeper) as seen:
        done, closing, mirror = liquidated(p, account)
    assert done.results == [PARTIAL]
    closed = closing.closed[p.market("ETH")]
    assert 0 < closed < abs(parse_units(size))
    m, target = mirror.markets[p.market("ETH")], mirror.liquidation.target_health_ppm
    equity, required = valued(p, account)
    # the target, but for the rate of what is left, which is rounded up by 1e-18; and hardly more than the target
    left = (abs(parse_units(size)) - closed) * parse_units(price) // WAD
    assert equity * PPM >= (required - left // WAD - 2) * target
    assert equity * PPM <= required * target * (1 + 1 / 10**5)
    # penalty: λ of what was closed, the keeper's part of it, the rest to insurance and V
    penalty = div_up(div_up(closed * parse_units(price), WAD) * m.margin.penalty_ppm, PPM)
    assert closing.charged == penalty
    rate = closed * parse_units(price) // WAD * m.margin.reward_rate_ppm // PPM
    assert closing.reward == min(rate, mirror.liquidation.reward_max)
    assert p.account_word(keeper).raw_cash == closing.reward + WAD // 10
    assert seen.terms["insurance"] + seen.terms["cash"] - (penalty - closing.reward) + closing_profit(done) == 0
    assert seen.wallets == {}
    assert "held" not in seen.terms


def closing_profit(done: object) -> int:
    """Profit settled by a liquidation, which V paid."""
    receipt = done.receipt  # type: ignore[attr-defined]
    return sum(event["profit"] for event in receipt.named("PositionLiquidated"))


@pytest.mark.parametrize(("size", "price"), [("10", "1912"), ("-10", "2088")])
def test_deep_below_the_line_all_is_closed(protocol: Protocol, size: str, price: str) -> None:
    p = protocol
    account = p.account(p.trader)
    open_at(p, account, size, 900)
    p.set_price("ETH", price)
    done, closing, _ = liquidated(p, account)
    assert done.results == [FULL]
    assert closing.closed == {p.market("ETH"): 10 * WAD}
    assert p.account_word(account).markets == 0
    left = p.account_word(account).raw_cash
    assert 0 <= left < 30 * WAD
    event = done.receipt.event("PositionLiquidated").args
    assert (event["sizeDelta"], event["sizeAfter"]) == (-parse_units(size), 0)
    assert event["price"] == parse_units(price)


def test_penalty_is_never_more_than_equity(protocol: Protocol) -> None:
    """INV-14."""
    p = protocol
    account = p.account(p.trader)
    open_at(p, account, "10", 900)
    p.set_price("ETH", "1911.6")
    equity, _ = valued(p, account)
    assert 0 < equity < 191 * WAD
    done, closing, _ = liquidated(p, account)
    assert done.results == [FULL]
    assert closing.charged == closing.equity < 192 * WAD
    assert p.account_word(account).raw_cash == 0


def test_what_is_left_belongs_to_the_owner(protocol: Protocol) -> None:
    p = protocol
    account = p.account(p.trader)
    p.deposit(account, "3.5")
    traded(p, account, "ETH", "0.0251")
    p.set_price("ETH", "1940")
    equity, required = valued(p, account)
    assert 0 < equity < required
    done, closing, mirror = liquidated(p, account)
    # the floor is more than λ of so little
    assert closing.charged == min(mirror.risk.keeper_floor, closing.equity)
    assert done.results == [FULL]
    left = p.account_word(account).raw_cash
    assert left == closing.equity - closing.charged
    if left >= 10**12:
        p.clearinghouse.transact(
            "withdraw", account, p.tokens["USDC"].address, left // 10**12, p.trader, sender=p.trader
        )


def test_largest_requirement_first_over_several_markets(protocol: Protocol) -> None:
    p = protocol
    account = p.account(p.trader)
    p.deposit(account, 3_000)
    traded(p, account, "ETH", 10)
    traded(p, account, "BTC", "0.9")
    p.set_price("ETH", 1_930)
    p.set_price("BTC", 38_900)
    done, closing, mirror = liquidated(p, account)
    eth, btc = p.market("ETH"), p.market("BTC")
    needs = {
        number: mirror.maintenance_requirement(mirror.markets[number], size, mirror.markets[number].price)
        for number, size in ((eth, 10 * WAD), (btc, 9 * WAD // 10))
    }
    assert next(iter(closing.closed)) == max(needs, key=lambda number: needs[number]) == btc
    assert done.results[0] in {PARTIAL, FULL}
    assert len(done.receipt.named("Liquidated")) == 1
    equity, required = valued(p, account)
    assert equity >= required


@pytest.mark.parametrize("base_fee", [0, 10**8, 10**12])
def test_reward_tracks_gas_up_to_the_floor(protocol: Protocol, base_fee: int) -> None:
    """INV-16."""
    p = protocol
    account = p.account(p.trader)
    open_at(p, account, "0.05", 10)
    p.set_price("ETH", "1850")
    with p.snapshot():
        _, closing, mirror = liquidated(p, account, base_fee=base_fee)
    config, floor = mirror.liquidation, mirror.risk.keeper_floor
    gas = config.gas_units * base_fee * 1_850
    rate = sum(
        size * 1_850 * mirror.markets[number].margin.reward_rate_ppm // PPM for number, size in closing.closed.items()
    )
    assert closing.reward == liquidation.reward(
        closing.charged, 400_000 * WAD, floor, config.reward_max, rate, gas if rate < floor else 0
    )
    assert closing.reward == max(rate, min(gas, floor))


def test_reward_for_nothing_left_comes_from_insurance(protocol: Protocol) -> None:
    p = protocol
    account = p.account(p.trader)
    open_at(p, account, "0.05", 5)
    p.set_price("ETH", "1700")
    insurance = p.insurance()
    done, closing, mirror = liquidated(p, account, base_fee=10**12)
    assert done.results == [LiquidationResult.BAD_DEBT]
    assert (closing.charged, closing.reward) == (0, mirror.risk.keeper_floor)
    assert closing.bad_debt is not None
    assert p.insurance() < insurance - closing.reward - closing.bad_debt[0] + 2 * WAD
    p.assert_identity()


def test_the_keeper_may_be_the_account_itself_or_one_of_another_pool(protocol: Protocol) -> None:
    p = protocol
    account = p.account(p.trader)
    open_at(p, account, "10", 1_000)
    p.set_price("ETH", 1_960)
    with p.snapshot():
        done, closing, _ = liquidated(p, account, keeper=account)
        assert closing.reward > 0
        event = done.receipt.event("Liquidated")
        versions = [AccountWord.unpack(event[name]).version for name in ("word", "keeperWord")]
        assert versions == [p.account_word(account).version - 1, p.account_word(account).version]
        p.assert_identity()
    with change(p) as seen:
        _, closing, _ = liquidated(p, account, keeper=p.account(p.keeper, "longtail"))
    assert seen.terms["claims"] == closing.reward == p.claim_of(p.keeper)
