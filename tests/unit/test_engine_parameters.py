"""Parameters of the executable specification: each inequality has its error, the first one wins, words keep all."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest

from plimsoll.deploy import structs
from plimsoll.deploy.parameters import Parameters
from plimsoll.model.config_words import MarketFlags
from plimsoll.model.engine import parameters as engine
from plimsoll.model.engine.draft import Refusal
from plimsoll.model.engine.parameters import CollateralParams, MarketParams, PoolParams
from plimsoll.model.engine.state import MarketTerms, PoolTerms
from plimsoll.model.margin import ratio
from plimsoll.model.word import checksum
from plimsoll.units import NANO, PPM, WAD, div_up, mul_div_up

ROOT = Path(__file__).resolve().parents[2]
LOCAL = Parameters.load(ROOT / "deployments" / "local.yaml")
MAJORS = LOCAL.pools["majors"]
TOKEN, WETH = 0xAA, 0xBB
POOL = PoolParams.from_struct(structs.pool_params(LOCAL, MAJORS, f"0x{TOKEN:040x}"))
MARKETS = {
    name: MarketParams.from_struct(structs.market_params(LOCAL, market))
    for pool in LOCAL.pools.values()
    for name, market in pool.markets.items()
}
ETH = MARKETS["ETH"]
COLLATERAL = CollateralParams.from_struct(
    structs.collateral_params(LOCAL, "WETH", MAJORS.collateral["WETH"], f"0x{WETH:040x}")
)
BLANK = engine.blank_terms(TOKEN, 6)
LISTED = int(MarketFlags.LISTED)
PRICE = 2_000 * WAD
R = WAD // PPM
"""1 ppm as a WAD ratio."""
HUGE = 2**256 - 1
Record = TypeVar("Record", PoolParams, MarketParams, CollateralParams)
Case = tuple[dict[str, int], str, tuple[int, ...]]


def pool_outcome(q: PoolParams) -> PoolTerms:
    """What becomes of a pool with one market, ETH, and one collateral, WETH."""
    terms = engine.pool_terms(q, BLANK)
    engine.check_together(terms, [(engine.market_terms(ETH, LISTED), PRICE)], [COLLATERAL.weight_maintenance_ppm])
    return terms


def market_outcome(q: MarketParams) -> MarketTerms:
    """What becomes of the only market of the pool."""
    terms = engine.market_terms(q, LISTED)
    engine.check_together(engine.pool_terms(POOL, BLANK), [(terms, PRICE)], [])
    return terms


def collateral_outcome(q: CollateralParams) -> None:
    """What becomes of a collateral of the pool."""
    engine.check_collateral(q, POOL.discount_max_ppm)
    engine.collateral_terms(q, 18)


OUTCOMES: dict[type[Any], Any] = {
    PoolParams: pool_outcome,
    MarketParams: market_outcome,
    CollateralParams: collateral_outcome,
}


def refused(base: Record, changes: dict[str, int]) -> tuple[str, tuple[int, ...]]:
    """Name and arguments of the error that changed parameters give."""
    with pytest.raises(Refusal) as caught:
        OUTCOMES[type(base)](dataclasses.replace(base, **changes))
    return caught.value.name, caught.value.values


def in_order(base: Record, cases: Sequence[Case]) -> None:
    """Of two cases in one set of parameters the one that is listed first is refused."""
    for number, (first, error, values) in enumerate(cases):
        for second, _, _ in cases[number + 1 :]:
            if not first.keys() & second.keys():
                name, found = refused(base, first | second)
                assert name == error, (first, second)
                assert found == values or error not in {"UintTooLarge", "NotMultiple"}, (first, second)


POOL_ALONE: list[Case] = [
    ({"adl_target_ppm": 450_000}, "DeleveragingOrder", (450_000, 450_000)),
    ({"adl_target_ppm": 0}, "DeleveragingOrder", (0, 450_000)),
    ({"adl_trigger_ppm": PPM + 1}, "DeleveragingOrder", (300_000, PPM + 1)),
    ({"target_health_ppm": PPM}, "TargetHealthRange", (PPM,)),
    ({"target_health_ppm": 2 * PPM + 1}, "TargetHealthRange", (2 * PPM + 1,)),
    ({"grace_health_ppm": 499_999}, "GraceHealthRange", (499_999,)),
    ({"grace_health_ppm": PPM + 1}, "GraceHealthRange", (PPM + 1,)),
    ({"sale_seconds": 0}, "SaleSecondsRange", (0,)),
    ({"discount_max_ppm": 0}, "DiscountOutOfRange", (0, PPM)),
    ({"discount_max_ppm": PPM}, "DiscountOutOfRange", (PPM, PPM)),
    ({"insurance_share_ppm": HUGE}, "Panic", (0x11,)),
    ({"insurance_share_ppm": 300_001}, "FractionAboveOne", (PPM + 1,)),
    ({"profit_weight_ppm": PPM + 1}, "FractionAboveOne", (PPM + 1,)),
    ({"utilisation_limit_ppm": PPM + 2}, "FractionAboveOne", (PPM + 2,)),
    ({"interest_kink_ppm": PPM + 3}, "FractionAboveOne", (PPM + 3,)),
    ({"lp_gap_ppm": PPM + 4}, "FractionAboveOne", (PPM + 4,)),
    ({"interest_base": HUGE}, "Panic", (0x11,)),
    (
        {"interest_base": 1, "interest_slope1": engine.MAX_RATE, "interest_slope2": 0},
        "InterestTooHigh",
        (engine.MAX_RATE + 1, engine.MAX_RATE),
    ),
    ({"max_markets": 0}, "TooMany", (0, 32)),
    ({"max_markets": 33}, "TooMany", (33, 32)),
    ({"max_collaterals": 17}, "TooMany", (17, 16)),
    ({"keeper_floor": WAD + 1}, "NotMultiple", (WAD + 1, NANO)),
    ({"keeper_floor": NANO << 64}, "UintTooLarge", (1 << 64, 64)),
    ({"min_notional": NANO << 64}, "UintTooLarge", (1 << 64, 64)),
    ({"reward_max": (NANO << 64) + 1}, "NotMultiple", ((NANO << 64) + 1, NANO)),
    ({"gas_units": 1 << 32}, "UintTooLarge", (1 << 32, 32)),
    ({"l1_fee": 1}, "NotMultiple", (1, NANO)),
    ({"gas_asset": 256}, "UintTooLarge", (256, 8)),
    ({"sale_seconds": 1 << 16}, "UintTooLarge", (1 << 16, 16)),
    ({"reference_nav": 1}, "NotMultiple", (1, NANO)),
    ({"reserve_factor_ppm": 1 << 24}, "UintTooLarge", (1 << 24, 24)),
]
POOL_TOGETHER: list[Case] = [
    ({"target_health_ppm": 4 * PPM // 3 + 1}, "InitialBelowTarget", (0, 40_000 * R, 40_000_020_000_000_000)),
    ({"min_notional": 12 * WAD}, "MinNotionalTooSmall", (48 * WAD // 100, WAD // 2)),
    ({"reference_nav": 9_000_000 * WAD}, "OiCapBeyondNav", (20_000_000 * WAD, 18_000_000 * WAD)),
    ({"reserve_factor_ppm": 500_001}, "ReserveUnreachable", (1_000_002,)),
    ({"adl_target_ppm": 650_001, "adl_trigger_ppm": PPM}, "GapBeyondNav", (900_001, 900_000)),
    ({"discount_max_ppm": 120_000}, "DiscountOutOfRange", (120_000, 120_000)),
]
MARKET_ALONE: list[Case] = [
    ({"im_base_ppm": 1 << 24}, "UintTooLarge", (1 << 24, 24)),
    ({"mm_base_ppm": 1 << 24}, "UintTooLarge", (1 << 24, 24)),
    ({"penalty_ppm": 1 << 24}, "UintTooLarge", (1 << 24, 24)),
    ({"im_slope": 1 << 64}, "UintTooLarge", (1 << 64, 64)),
    ({"mm_slope": 1 << 64}, "UintTooLarge", (1 << 64, 64)),
    ({"vol_cap_percent": 1 << 16}, "UintTooLarge", (1 << 16, 16)),
    ({"asset": 256}, "UintTooLarge", (256, 8)),
    ({"reward_rate_ppm": 1 << 24}, "UintTooLarge", (1 << 24, 24)),
    ({"skew_scale": 1}, "NotMultiple", (1, NANO)),
    ({"r_max": 1 << 39}, "UintTooLarge", (1 << 39, 39)),
    ({"v_max": 1 << 40}, "UintTooLarge", (1 << 40, 40)),
    ({"dead_band_ppm": 1 << 24}, "UintTooLarge", (1 << 24, 24)),
    ({"maker_ppm": 1 << 16}, "UintTooLarge", (1 << 16, 16)),
    ({"taker_ppm": 1 << 16}, "UintTooLarge", (1 << 16, 16)),
    ({"sigma_ref": 1 << 32}, "UintTooLarge", (1 << 32, 32)),
    ({"gap_ppm": 1 << 20}, "UintTooLarge", (1 << 20, 20)),
    ({"oi_cap": NANO << 64}, "UintTooLarge", (1 << 64, 64)),
    ({"skew_cap": 1}, "NotMultiple", (1, NANO)),
    ({"max_position": 1}, "NotMultiple", (1, NANO)),
    ({"nav_multiple_ppm": 1 << 28}, "UintTooLarge", (1 << 28, 28)),
    ({"half_band_ppm": 1 << 16}, "UintTooLarge", (1 << 16, 16)),
    ({"move_ppm": 1 << 20}, "UintTooLarge", (1 << 20, 20)),
    ({"maker_ppm": 501}, "FeeOrder", (501, 500)),
    ({"taker_ppm": 50_001}, "FeeOrder", (200, 50_001)),
    ({"skew_cap": 10_000 * WAD + NANO}, "SkewCapAboveOiCap", (10_000 * WAD + NANO, 10_000 * WAD)),
    ({"skew_scale": 0}, "SelfLiquidationPays", (2**128 - 1, 5_500 * R)),
    ({"half_band_ppm": 10_000}, "SelfLiquidationPays", (5_000 * R, 0)),
    ({"r_max": 115_740_740_741}, "FundingTooFast", (115_740_740_741 * 86_400, 10_000 * R)),
    ({"dead_band_ppm": 0}, "FundingTooSlow", (0,)),
    ({"reward_rate_ppm": 0}, "RewardPenaltyOrder", (0, 10_000, 20_000)),
    ({"im_base_ppm": 32_999}, "InitialBelowTarget", (0, 32_999 * R, 33_000 * R)),
    ({"move_ppm": 10_001}, "BufferBelowMove", (0, 10_000 * R, 10_001 * R)),
    ({"nav_multiple_ppm": 999_999}, "OiCapBeyondNav", (20_000_000 * WAD, 19_999_980 * WAD)),
    ({"nav_multiple_ppm": 2_500_003}, "ReserveUnreachable", (1_000_001,)),
    ({"gap_ppm": PPM + 1, "skew_cap": 6_000 * WAD}, "GapBeyondNav", (900_001, 900_000)),
]
COLLATERAL_CASES: list[Case] = [
    ({"weight_initial_ppm": 990_000}, "WeightOrder", (990_000, 880_000, 15_000)),
    ({"weight_maintenance_ppm": PPM}, "WeightOrder", (800_000, PPM, 15_000)),
    ({"move_ppm": 500_000}, "WeightOrder", (800_000, 880_000, 500_000)),
    ({"weight_maintenance_ppm": 920_000}, "DiscountOutOfRange", (80_000, 80_000)),
    ({"asset": 256}, "UintTooLarge", (256, 8)),
]
CASES = [
    *((POOL, *case) for case in POOL_ALONE + POOL_TOGETHER),
    *((ETH, *case) for case in MARKET_ALONE),
    *((COLLATERAL, *case) for case in COLLATERAL_CASES),
]


@pytest.mark.parametrize(("base", "changes", "error", "values"), CASES, ids=lambda case: str(case)[:40])
def test_each_inequality_has_its_error(base: Any, changes: dict[str, int], error: str, values: tuple[int, ...]) -> None:
    assert refused(base, changes) == (error, values)


def test_the_first_inequality_in_the_order_of_the_contracts_is_named() -> None:
    in_order(POOL, POOL_ALONE + POOL_TOGETHER)
    in_order(ETH, MARKET_ALONE)
    in_order(COLLATERAL, COLLATERAL_CASES)


def test_inequalities_that_take_several_fields() -> None:
    most, slope = ETH.max_position, ETH.mm_slope
    top = ratio(30_000, WAD, most)
    assert refused(ETH, {"mm_slope": WAD}) == ("MaintenanceTooHigh", (top,))
    flat = div_up(ratio(30_000, slope, most) * 1_100_000, PPM)
    assert refused(ETH, {"im_slope": 0}) == ("InitialBelowTarget", (most, 40_000 * R, flat))
    pump = {"v_max": ETH.v_max // 100}
    name, (amount, limit) = refused(ETH, pump)
    assert (name, limit) == ("FundingPumpTooLarge", 100_000 * WAD)
    depth = ETH.skew_scale * 2_000
    assert amount == mul_div_up(depth, ETH.r_max**2, 2 * pump["v_max"] * WAD) > limit


def test_the_cost_of_trading_against_what_it_frees() -> None:
    """Without open interest there is no premium, and only this limit is left for fee and band."""
    empty = {"oi_cap": 0, "skew_cap": 0, "reward_rate_ppm": 0, "r_max": 0}
    broken = dataclasses.replace(ETH, **empty, mm_base_ppm=0, penalty_ppm=2_000, half_band_ppm=1_500, taker_ppm=500)
    assert refused(broken, {}) == ("TradeCostTooHigh", (2_000 * R, 2_000 * R))


def test_a_pool_names_the_nav_that_it_is_made_for() -> None:
    with pytest.raises(Refusal) as caught:
        engine.pool_terms(dataclasses.replace(POOL, reference_nav=0), BLANK)
    assert (caught.value.name, caught.value.values) == ("ReferenceNavMissing", ())


def test_no_more_than_everything_counts_as_initial_margin() -> None:
    """imr is at most 1, so what it leaves above mmr + λ counts from 1."""
    high = {"im_base_ppm": 1_100_000, "im_slope": 0, "mm_base_ppm": 899_999, "penalty_ppm": 50_000, "mm_slope": 0}
    q = dataclasses.replace(ETH, **high, move_ppm=100_000)
    terms = engine.market_terms(q, LISTED)
    with pytest.raises(Refusal) as caught:
        engine.check_margin(terms.margin, terms.limits, 1_000_001)
    assert caught.value.name == "BufferBelowMove"


@pytest.mark.parametrize("name", LOCAL.pools)
def test_words_keep_a_pool(name: str) -> None:
    q = PoolParams.from_struct(structs.pool_params(LOCAL, LOCAL.pools[name], f"0x{TOKEN:040x}"))
    terms = engine.pool_terms(q, BLANK)
    assert PoolParams.of(terms) == q
    assert PoolParams.from_struct(q.to_struct()) == q
    for part in dataclasses.fields(terms):
        word = getattr(terms, part.name)
        assert type(word).unpack(word.pack()) == word


@pytest.mark.parametrize("name", MARKETS)
def test_words_keep_a_market(name: str) -> None:
    q = MARKETS[name]
    for flags in range(1, 8):
        terms = engine.market_terms(q, flags)
        assert MarketParams.of(terms) == q
        assert terms.margin.flags == flags
        for word in (terms.margin, terms.trade, terms.limits):
            assert type(word).unpack(word.pack()) == word
    assert MarketParams.from_struct(q.to_struct()) == q


def test_words_keep_collateral_but_not_its_move() -> None:
    item = engine.collateral_terms(COLLATERAL, 18)
    assert CollateralParams.of(item, COLLATERAL.move_ppm) == COLLATERAL
    assert CollateralParams.of(item).move_ppm == 0
    assert type(item.terms).unpack(item.terms.pack()) == item.terms
    assert (item.token, item.cap, item.terms.decimals) == (WETH, 5_000 * WAD, 18)
    with pytest.raises(Refusal, match="TokenDecimals"):
        engine.collateral_terms(COLLATERAL, 19)


def test_new_parameters_leave_the_rest_of_a_pool_alone() -> None:
    terms = engine.pool_terms(POOL, BLANK)
    settlement = dataclasses.replace(terms.settlement, market_count=3, collateral_count=2)
    risk = dataclasses.replace(terms.risk, pause_flags=5)
    liquidity = dataclasses.replace(terms.liquidity, share_token=checksum(7))
    before = dataclasses.replace(terms, settlement=settlement, risk=risk, liquidity=liquidity)
    after = engine.pool_terms(dataclasses.replace(POOL, keeper_floor=0, max_markets=1, lp_gap_ppm=0), before)
    assert (after.settlement.market_count, after.settlement.collateral_count) == (3, 2)
    assert (after.risk.pause_flags, after.liquidity.share_token) == (5, checksum(7))
    assert (after.risk.keeper_floor, after.risk.max_markets, after.liquidity.lp_gap_ppm) == (0, 1, 0)
