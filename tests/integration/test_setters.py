"""Every setter: each inequality has its own error with both sides, and nothing else changes."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.core import change, everything, traded
from tests.support.protocol import Protocol
from tests.support.reverts import reverts_with

from plimsoll.deploy.structs import collateral_params, market_params, pool_params
from plimsoll.model.config_words import TradeWord
from plimsoll.model.margin import ratio
from plimsoll.model.pricing import notional_up, premium
from plimsoll.units import PPM, WAD, div_up, mul_div_up

R = 10**12
"""1 ppm as a WAD ratio."""


def pool_of(p: Protocol, **changes: Any) -> dict[str, Any]:
    """Parameters of the majors pool with changes."""
    params = p.deployment.parameters
    values = pool_params(params, params.pools["majors"], p.tokens["USDC"].address)
    assert set(changes) <= set(values)
    return values | changes


def market_of(p: Protocol, **changes: Any) -> dict[str, Any]:
    """Parameters of the ETH market with changes."""
    params = p.deployment.parameters
    values = market_params(params, params.pools["majors"].markets["ETH"])
    assert set(changes) <= set(values)
    return values | changes


POOL_CASES: list[tuple[dict[str, int], str, tuple[int, ...]]] = [
    ({"adlTargetPpm": 450_000}, "DeleveragingOrder", (450_000, 450_000)),
    ({"adlTargetPpm": 0}, "DeleveragingOrder", (0, 450_000)),
    ({"adlTriggerPpm": 1_000_001}, "DeleveragingOrder", (300_000, 1_000_001)),
    ({"targetHealthPpm": PPM}, "TargetHealthRange", (PPM,)),
    ({"targetHealthPpm": 2 * PPM + 1}, "TargetHealthRange", (2 * PPM + 1,)),
    ({"graceHealthPpm": 499_999}, "GraceHealthRange", (499_999,)),
    ({"graceHealthPpm": PPM + 1}, "GraceHealthRange", (PPM + 1,)),
    ({"saleSeconds": 0}, "SaleSecondsRange", (0,)),
    ({"discountMaxPpm": 0}, "DiscountOutOfRange", (0, PPM)),
    ({"discountMaxPpm": PPM}, "DiscountOutOfRange", (PPM, PPM)),
    ({"discountMaxPpm": 100_000}, "DiscountOutOfRange", (100_000, 100_000)),
    ({"insuranceSharePpm": 300_001}, "FractionAboveOne", (PPM + 1,)),
    ({"profitWeightPpm": PPM + 1}, "FractionAboveOne", (PPM + 1,)),
    ({"utilisationLimitPpm": PPM + 1}, "FractionAboveOne", (PPM + 1,)),
    ({"interestKinkPpm": PPM + 1}, "FractionAboveOne", (PPM + 1,)),
    ({"lpGapPpm": PPM + 1}, "FractionAboveOne", (PPM + 1,)),
    ({"maxMarkets": 0}, "TooMany", (0, 32)),
    ({"maxMarkets": 33}, "TooMany", (33, 32)),
    ({"maxCollaterals": 17}, "TooMany", (17, 16)),
    ({"keeperFloor": WAD // 2 + 1}, "NotMultiple", (WAD // 2 + 1, 10**9)),
    ({"minNotional": 12 * WAD}, "MinNotionalTooSmall", (12 * WAD * 4 // 100, WAD // 2)),
    ({"reserveFactorPpm": 500_001}, "ReserveUnreachable", (1_000_002,)),
    ({"referenceNav": 0}, "ReferenceNavMissing", ()),
    ({"gasAsset": 99}, "UnknownAsset", (99,)),
    ({"referenceNav": 9 * 10**6 * WAD}, "OiCapBeyondNav", (20 * 10**6 * WAD, 18 * 10**6 * WAD)),
    ({"adlTargetPpm": 449_999, "adlTriggerPpm": 450_000, "referenceNav": 16 * 10**6 * WAD}, "GapBeyondNav", ()),
]


@pytest.mark.parametrize(("changes", "error", "values"), POOL_CASES, ids=lambda case: str(case)[:40])
def test_each_inequality_of_a_pool(
    protocol: Protocol, changes: dict[str, int], error: str, values: tuple[int, ...]
) -> None:
    """INV-33."""
    p = protocol
    before = p.reader.words([("poolConfigs_", 1, part) for part in ("risk", "liquidation", "settlement", "interest")])
    arguments: tuple[Any, ...] = values or (...,)
    with reverts_with(error, *arguments):
        p.clearinghouse.transact("setPool", 1, pool_of(p, **changes), sender=p.owner)
    after = p.reader.words([("poolConfigs_", 1, part) for part in ("risk", "liquidation", "settlement", "interest")])
    assert before == after


def test_a_field_that_does_not_fit_its_word(protocol: Protocol) -> None:
    p = protocol
    with reverts_with("InterestTooHigh", ...):
        p.clearinghouse.transact("setPool", 1, pool_of(p, interestBase=1 << 40), sender=p.owner)
    for name, bits in (("gasUnits", 32), ("saleSeconds", 16)):
        with reverts_with("UintTooLarge", 1 << bits, bits):
            p.clearinghouse.transact("setPool", 1, pool_of(p, **{name: 1 << bits}), sender=p.owner)
    for name, bits in (("rMax", 39), ("deadBandPpm", 24), ("movePpm", 20)):
        with reverts_with("UintTooLarge", 1 << bits, bits):
            p.clearinghouse.transact("setMarket", 256, market_of(p, **{name: 1 << bits}), sender=p.owner)


def market_cases(p: Protocol) -> list[tuple[dict[str, int], str, tuple[Any, ...]]]:
    """What each change of the ETH market breaks."""
    base = market_of(p)
    most, scale, cap = base["maxPosition"], base["skewScale"], base["oiCap"]
    low_im = 32_999
    return [
        ({"rewardRatePpm": 0}, "RewardPenaltyOrder", (0, 10_000, 20_000)),
        ({"penaltyPpm": 20_000}, "RewardPenaltyOrder", (2_500, 20_000, 20_000)),
        ({"mmSlope": WAD}, "MaintenanceTooHigh", (ratio(30_000, WAD, most),)),
        ({"imBasePpm": low_im}, "InitialBelowTarget", (0, low_im * R, 33_000 * R)),
        (
            {"imSlope": 0},
            "InitialBelowTarget",
            (most, 40_000 * R, div_up(ratio(30_000, base["mmSlope"], most) * 1_100_000, PPM)),
        ),
        ({"movePpm": 10_001}, "BufferBelowMove", (0, 10_000 * R, 10_001 * R)),
        ({"makerPpm": 501}, "FeeOrder", (501, 500)),
        ({"takerPpm": 50_001}, "FeeOrder", (200, 50_001)),
        ({"skewCap": cap + 10**9}, "SkewCapAboveOiCap", (cap + 10**9, cap)),
        ({"oiCap": scale // 100}, "SelfLiquidationPays", (WAD // 100, 5_500 * R)),
        ({"skewScale": 0}, "SelfLiquidationPays", (2**128 - 1, 5_500 * R)),
        ({"halfBandPpm": 2_001}, "SelfLiquidationPays", (mul_div_up(cap, WAD, scale), 4_999 * R)),
        ({"rMax": 115_740_740_741}, "FundingTooFast", (115_740_740_741 * 86_400, 10_000 * R)),
        ({"deadBandPpm": 0}, "FundingTooSlow", (0,)),
        (
            {"oiCap": 20_000 * WAD + 10**9, "skewScale": 2 * 20_000 * WAD * 100},
            "OiCapBeyondNav",
            (notional_up(20_000 * WAD + 10**9, 2_000 * WAD), 40 * 10**6 * WAD),
        ),
        ({"navMultiplePpm": 2_500_004}, "ReserveUnreachable", (400_000 * 2_500_004 // PPM,)),
        (
            {"vMax": base["vMax"] // 100},
            "FundingPumpTooLarge",
            (
                mul_div_up(notional_up(scale, 2_000 * WAD), base["rMax"] ** 2, 2 * (base["vMax"] // 100) * WAD),
                100_000 * WAD,
            ),
        ),
        ({"gapPpm": 900_000}, "GapBeyondNav", (300_000 + 450_000 + 200_000, 900_000)),
    ]


def test_each_inequality_of_a_market(protocol: Protocol) -> None:
    """INV-33."""
    p = protocol
    before = everything(p)
    for changes, error, values in market_cases(p):
        with reverts_with(error, *values):
            p.clearinghouse.call("setMarket", 256, market_of(p, **changes), sender=p.owner)
    with reverts_with("UnknownMarket", 256):
        p.clearinghouse.call("setMarket", 256, market_of(p, asset=2), sender=p.owner)
    with reverts_with("UnknownMarket", 299):
        p.clearinghouse.call("setMarket", 299, market_of(p), sender=p.owner)
    p.clearinghouse.transact("setMarket", 256, market_of(p), sender=p.owner)
    assert {name: ledger.nav for name, ledger in everything(p).items()} == {n: one.nav for n, one in before.items()}


def test_a_setter_accrues_first_and_pays_the_change_of_premium_from_insurance(protocol: Protocol) -> None:
    """INV-26, INV-33."""
    p = protocol
    account, market = p.account(p.trader), p.market("ETH")
    p.deposit(account, 1_000_000)
    m = traded(p, account, "ETH", 2_000).mirror.markets[market]
    p.warp(86_400)
    scale = m.trade.skew_scale
    for factor in (2, 1):
        new = scale * factor
        before, nav = p.reader.funding(market), p.nav()
        old = TradeWord.unpack(p.reader.word("marketConfigs_", market, "trade")).skew_scale
        with change(p) as seen:
            p.clearinghouse.transact("setMarket", market, market_of(p, skewScale=new), sender=p.owner)
        after = p.reader.funding(market)
        assert after.time == p.now() > before.time
        assert after.index > before.index
        moved = premium(2_000 * WAD, m.skew, new) - premium(2_000 * WAD, m.skew, old)
        assert seen.terms["cash"] == moved == -seen.terms["insurance"]
        # NAV moves by the funding of the time that passed alone
        assert abs(p.nav() - nav - (after.index - before.index) * 2_000) <= 3


def test_a_lower_cap_of_funding_pulls_the_rate_in(protocol: Protocol) -> None:
    p = protocol
    account, market = p.account(p.trader), p.market("ETH")
    p.deposit(account, 1_000_000)
    traded(p, account, "ETH", -2_000)
    p.warp(86_400 * 30)
    lower = market_of(p)["rMax"] // 10
    p.clearinghouse.transact("setMarket", market, market_of(p, rMax=lower), sender=p.owner)
    assert p.reader.funding(market).rate == -lower
    p.assert_identity()


def test_listing_checks_price_parameters_and_names(protocol: Protocol) -> None:
    p = protocol
    house, values = p.clearinghouse, market_of(p)
    with reverts_with("UnknownPool", 9):
        house.call("listMarket", 9, values, 2_000 * WAD, 50_000, sender=p.owner)
    with reverts_with("PriceSanity", 2_000 * WAD, 2_200 * WAD, 50_000):
        house.call("listMarket", 1, values, 2_200 * WAD, 50_000, sender=p.owner)
    with reverts_with("UnknownAsset", 77):
        house.call("listMarket", 1, values | {"asset": 77}, 2_000 * WAD, 50_000, sender=p.owner)
    with reverts_with("GapBeyondNav", ...):
        house.call("listMarket", 1, values, 2_000 * WAD, 50_000, sender=p.owner)
    small = values | {"oiCap": 100 * WAD, "skewCap": 50 * WAD}
    market = house.call("listMarket", 1, small, 2_000 * WAD, 50_000, sender=p.owner)
    house.transact("listMarket", 1, small, 2_000 * WAD, 50_000, sender=p.owner)
    assert market == 258
    funding = p.reader.funding(market)
    assert (funding.price, funding.time, funding.index, funding.rate) == (2_000 * WAD, p.now(), 0, 0)
    p.feeds["ETH"].transact("push", 0, p.now() + 1, sender=p.deployer)
    with reverts_with("PriceRefused", 1, 1):
        house.call("listMarket", 1, small, 2_000 * WAD, 50_000, sender=p.owner)


def test_pools_are_created_once_with_a_sound_token(protocol: Protocol) -> None:
    p = protocol
    house, usdc = p.clearinghouse, p.tokens["USDC"].address
    with reverts_with("ZeroAddress"):
        house.call("createPool", 0, pool_of(p), sender=p.owner)
    with reverts_with("ZeroAddress"):
        house.call("createPool", 3, pool_of(p, settlementToken="0x" + "00" * 20), sender=p.owner)
    with reverts_with("PoolExists", 1):
        house.call("createPool", 1, pool_of(p), sender=p.owner)
    with reverts_with("UnknownPool", 3):
        house.call("setPool", 3, pool_of(p), sender=p.owner)
    with reverts_with("UnknownToken", 1, p.tokens["WETH"].address):
        house.call("setPool", 1, pool_of(p, settlementToken=p.tokens["WETH"].address), sender=p.owner)
    with reverts_with("ShareTokenSet", p.pools["majors"].lp.address):
        house.call("setShareToken", 1, p.attacker, sender=p.owner)
    with reverts_with("UnknownPool", 3):
        house.call("setShareToken", 3, p.attacker, sender=p.owner)
    with reverts_with("ZeroAddress"):
        house.call("setShareToken", 1, "0x" + "00" * 20, sender=p.owner)
    house.transact("createPool", 3, pool_of(p), sender=p.owner)
    assert p.reader.word("poolConfigs_", 3, "settlement") & (1 << 160) - 1 == int(usdc, 16)
    assert house.call("poolNav", 3) == 0


def test_collateral_parameters(protocol: Protocol) -> None:
    """INV-33."""
    p = protocol
    params = p.deployment.parameters
    weth = p.tokens["WETH"].address
    item = params.pools["majors"].collateral["WETH"]
    values = collateral_params(params, "WETH", item, weth)
    cases: list[tuple[dict[str, int], str, tuple[Any, ...]]] = [
        ({"weightInitialPpm": 880_000}, "WeightOrder", (880_000, 880_000, 15_000)),
        ({"weightMaintenancePpm": PPM}, "WeightOrder", (800_000, PPM, 15_000)),
        ({"movePpm": 80_001}, "WeightOrder", (800_000, 880_000, 80_001)),
        ({"weightMaintenancePpm": 920_000}, "DiscountOutOfRange", (80_000, 80_000)),
        ({"asset": 2}, "UnknownToken", (1, weth)),
        ({"token": p.attacker}, "UnknownToken", (1, p.attacker)),
    ]
    for changes, error, arguments in cases:
        with reverts_with(error, *arguments):
            p.clearinghouse.call("setCollateral", 1, values | changes, sender=p.owner)
    for token in (weth, p.tokens["USDC"].address):
        with reverts_with("TokenListed", token):
            p.clearinghouse.call("listCollateral", 1, values | {"token": token}, sender=p.owner)
    with reverts_with("UnknownPool", 9):
        p.clearinghouse.call("listCollateral", 9, values, sender=p.owner)
    p.clearinghouse.transact("listCollateral", 2, values, sender=p.owner)
    account = p.account(p.trader, "longtail")
    p.deposit(account, 1, token="WETH")
    p.assert_identity()


def test_settlement_of_a_market_whose_feed_is_dead(protocol: Protocol) -> None:
    """A day without a price, a last price near the average; then anyone closes anyone at it."""
    p = protocol
    one, two, market = p.account(p.trader), p.account(p.other_trader), p.market("ETH")
    for account, size in ((one, 10), (two, -4)):
        p.deposit(account, 10_000)
        traded(p, account, "ETH", size)
    house = p.clearinghouse
    with reverts_with("FeedNotDead", 0, 86_400):
        house.call("settleMarket", market, 2_000 * WAD, sender=p.owner)
    with reverts_with("MarketNotSettled", market):
        house.call("closeSettled", market, [one], sender=p.attacker)
    started = p.now()
    p.warp(90_000, publish=False)
    p.publish("BTC", "SOL")
    ema = p.hub.call("assetState", 1)[1]
    for price in (ema * 121 // 100, ema * 79 // 100):
        with reverts_with("SettlementPriceBand", price, ema, 200_000):
            house.call("settleMarket", market, price, sender=p.owner)
    house.transact("settleMarket", market, 2_100 * WAD, sender=p.owner)
    assert p.now() - started > 86_400
    with reverts_with("MarketSettled", market):
        house.call("settleMarket", market, 2_100 * WAD, sender=p.owner)
    before = {account: p.account_word(account).raw_cash for account in (one, two)}
    index = p.reader.funding(market).index
    p.warp(50_000, publish=False)
    with change(p) as seen:
        receipt = house.transact("closeSettled", market, [one, two, one], sender=p.attacker)
    assert len(receipt.named("PositionLiquidated")) == 2
    assert p.reader.funding(market).index == index
    gains = {account: p.account_word(account).raw_cash - before[account] for account in (one, two)}
    assert 990 * WAD < gains[one] <= 1_000 * WAD
    assert -400 * WAD <= gains[two] < -390 * WAD
    assert seen.terms["cash"] == -sum(gains.values())
    assert p.account_word(one).markets == 0
    p.withdraw(one, 10_900)
    p.assert_identity()
