"""The inequalities checked before deployment are those of the chain: what one refuses, the other refuses too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.support.protocol import Protocol
from tests.support.reverts import reverts_with

from plimsoll.chain.errors import ContractRevert
from plimsoll.deploy.checks import problems
from plimsoll.deploy.parameters import Parameters
from plimsoll.deploy.structs import (
    asset_config,
    collateral_params,
    market_params,
    order_rules,
    pool_params,
)

LOCAL = Path(__file__).resolve().parents[2] / "deployments" / "local.yaml"
ETH = "pools.majors.markets.ETH"

# What to change, part of the line that Python says, the contract's error (None: Python goes further than the chain).
MARKET: list[tuple[dict[str, str], str, str]] = [
    ({"reward_rate": "0 %"}, "0 < reward_rate < penalty", "RewardPenaltyOrder"),
    ({"penalty": "2 %"}, "penalty < maintenance_margin", "RewardPenaltyOrder"),
    ({"maintenance_margin_at_max": "99 %"}, "maintenance + penalty < 100 % at max_position", "MaintenanceTooHigh"),
    ({"initial_margin": "3.29 %"}, "target_health·(maintenance margin + penalty) at size 0", "InitialBelowTarget"),
    ({"initial_margin_at_max": "5.4 %"}, "(maintenance margin + penalty) at max_position", "InitialBelowTarget"),
    ({"move": "1.01 %"}, "initial margin − maintenance margin − penalty ≥ move at size 0", "BufferBelowMove"),
    ({"maker_fee": "6 bp"}, "maker_fee ≤ taker_fee", "FeeOrder"),
    ({"skew_cap": "$21M"}, "skew_cap ≤ oi_cap", "SkewCapAboveOiCap"),
    ({"depth": "$3bn"}, "oi_cap/depth ≤ penalty − reward_rate − taker_fee", "SelfLiquidationPays"),
    ({"max_funding": "1.1 % / d"}, "max_funding in a day ≤ maintenance_margin/2", "FundingTooFast"),
    ({"funding_velocity": "0.0000001 % / d²", "max_funding": "0.0000001 % / d"}, "never decays", "FundingTooSlow"),
    ({"oi_cap": "$20M", "nav_multiple": "99 %"}, "oi_cap·price ≤ nav_multiple·reference_nav", "OiCapBeyondNav"),
    ({"nav_multiple": "251 %"}, "reserve_factor·nav_multiple ≤ 100 %", "ReserveUnreachable"),
    ({"funding_velocity": "40 % / d²"}, "depth·max_funding²/(2·funding_velocity)", "FundingPumpTooLarge"),
    ({"gap": "81 %"}, "adl_target + Σ skew_cap·price·gap/NAV ≤ 90 %", "GapBeyondNav"),
]
POOL: list[tuple[dict[str, str], str, str]] = [
    ({"adl_target": "45 %"}, "0 < adl_target < adl_trigger", "DeleveragingOrder"),
    ({"target_health": "100 %"}, "100 % < target_health ≤ 200 %", "TargetHealthRange"),
    ({"target_health": "134 %"}, "target_health·(maintenance margin + penalty) at size 0", "InitialBelowTarget"),
    ({"grace_health": "49 %"}, "50 % ≤ grace_health ≤ 100 %", "GraceHealthRange"),
    ({"sale_time": "0 s"}, "sale_time > 0", "SaleSecondsRange"),
    ({"discount_max": "0 %"}, "0 < discount_max < 100 %", "DiscountOutOfRange"),
    ({"discount_max": "10 %"}, "discount_max < 100 % − weight_maintenance", "DiscountOutOfRange"),
    ({"lp_share": "81 %"}, "insurance_share + lp_share ≤ 100 %", "FractionAboveOne"),
    ({"profit_weight": "101 %"}, "profit_weight ≤ 100 %", "FractionAboveOne"),
    ({"max_markets": "33"}, "0 < max_markets ≤ 32", "TooMany"),
    ({"max_collaterals": "17"}, "max_collaterals ≤ 16", "TooMany"),
    ({"keeper_floor": "$1.7"}, "min_notional·initial_margin ≥ keeper_floor", "MinNotionalTooSmall"),
]
COLLATERAL: list[tuple[dict[str, str], str, str]] = [
    ({"weight_initial": "88 %"}, "weight_initial < weight_maintenance", "WeightOrder"),
    ({"weight_initial": "87 %"}, "weight_maintenance − weight_initial ≥ move", "WeightOrder"),
    ({"weight_maintenance": "100 %"}, "weight_maintenance < 100 %", "WeightOrder"),
    ({"weight_maintenance": "92 %"}, "discount_max < 100 % − weight_maintenance", "DiscountOutOfRange"),
]
ORDERS: list[tuple[dict[str, str], str, str]] = [
    ({"settlement_delay": "3 s"}, "settlement_delay ≥ latency + clock_skew", "SettlementDelayTooShort"),
    ({"settlement_delay": "60 min"}, "settlement_delay ≤ 1 h − exec_window", "SettlementDelayTooLong"),
    ({"cancel_margin": "1 s"}, "2 s ≤ orders.cancel_margin ≤ 5 s", "CancelMarginTooShort"),
    ({"cancel_margin": "6 s"}, "2 s ≤ orders.cancel_margin ≤ 5 s", "CancelMarginTooLong"),
    ({"exec_window": "61 s"}, "1 s ≤ orders.exec_window ≤ 60 s", "ExecWindowOutOfRange"),
]
ASSET: list[tuple[dict[str, str], str, str]] = [
    ({"max_age": "49 h"}, "max_age ≤ 172800 s", "MaxAgeOutOfRange"),
    ({"max_uncertainty": "11 %"}, "max_uncertainty ≤ 10 %", "UncertaintyOutOfRange"),
    ({"band": "16 bp"}, "band ≤ 0.15 %", "BandOutOfRange"),
    ({"ema_time": "59 s"}, "60 s ≤ ema_time", "TauOutOfRange"),
    ({"bound_base": "51 %"}, "bound_cap ≤ 100 %", "BoundOutOfRange"),
    ({"bound_per_hour": "101 %"}, "bound_per_hour ≤ 100 %", "BoundOutOfRange"),
    ({"latency": "61 min"}, "latency ≤ 3600 s", "LatencyOutOfRange"),
]


def changed(at: str, values: dict[str, str]) -> Parameters:
    return Parameters.load(LOCAL, {f"{at}.{name}.value": value for name, value in values.items()})


def ids(cases: list[tuple[dict[str, str], str, str]]) -> list[str]:
    return [f"{error}: {', '.join(values)}" for values, _, error in cases]


def says(parameters: Parameters, part: str) -> None:
    found = list(problems(parameters))
    assert any(part in line for line in found), found


@pytest.mark.parametrize(("values", "part", "error"), MARKET, ids=ids(MARKET))
def test_market(protocol: Protocol, values: dict[str, str], part: str, error: str) -> None:
    parameters = changed(ETH, values)
    says(parameters, part)
    with reverts_with(error, ...):
        market = parameters.pools["majors"].markets["ETH"]
        protocol.clearinghouse.transact("setMarket", 256, market_params(parameters, market))


@pytest.mark.parametrize(("values", "part", "error"), POOL, ids=ids(POOL))
def test_pool(protocol: Protocol, values: dict[str, str], part: str, error: str) -> None:
    parameters = changed("pools.majors", values)
    says(parameters, part)
    with reverts_with(error, ...):
        params = pool_params(parameters, parameters.pools["majors"], protocol.tokens["USDC"].address)
        protocol.clearinghouse.transact("setPool", 1, params)


@pytest.mark.parametrize(("values", "part", "error"), COLLATERAL, ids=ids(COLLATERAL))
def test_collateral(protocol: Protocol, values: dict[str, str], part: str, error: str) -> None:
    parameters = changed("pools.majors.collateral.WETH", values)
    says(parameters, part)
    with reverts_with(error, ...):
        item = parameters.pools["majors"].collateral["WETH"]
        params = collateral_params(parameters, "WETH", item, protocol.tokens["WETH"].address)
        protocol.clearinghouse.transact("setCollateral", 1, params)


@pytest.mark.parametrize(("values", "part", "error"), ORDERS, ids=ids(ORDERS))
def test_orders(protocol: Protocol, values: dict[str, str], part: str, error: str) -> None:
    parameters = changed(f"{ETH}.orders", values)
    says(parameters, part)
    with reverts_with(error, ...):
        rules = order_rules(parameters, parameters.pools["majors"].markets["ETH"])
        protocol.order_book.transact("setMarket", 256, rules)


@pytest.mark.parametrize(("values", "part", "error"), ASSET, ids=ids(ASSET))
def test_asset(protocol: Protocol, values: dict[str, str], part: str, error: str) -> None:
    parameters = changed("assets.ETH", values)
    says(parameters, part)
    with reverts_with(error, ...):
        config = asset_config(parameters.assets["ETH"], protocol.feeds["ETH"].address)
        protocol.hub.transact("setAsset", 1, config)


# At the bound itself both accept: one unit more is refused by both.
EDGES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"initial_margin": "3.9 %"}, {"initial_margin": "3.8999 %"}),
    ({"move": "1 %"}, {"move": "1.0001 %"}),
    ({"penalty": "0.95 %", "move": "0.9 %"}, {"penalty": "0.9499 %", "move": "0.9 %"}),
    ({"nav_multiple": "250 %"}, {"nav_multiple": "250.0003 %"}),
    ({"nav_multiple": "100 %"}, {"nav_multiple": "99.9999 %"}),
    ({"gap": "80 %"}, {"gap": "80.0001 %"}),
    ({"max_funding": "1 % / d"}, {"max_funding": "1.0000001 % / d"}),
]


@pytest.mark.parametrize(("inside", "outside"), EDGES, ids=[", ".join(inside) for inside, _ in EDGES])
def test_both_draw_the_line_at_the_same_integer(
    protocol: Protocol, inside: dict[str, str], outside: dict[str, str]
) -> None:
    for values, accepted in ((inside, True), (outside, False)):
        parameters = changed(ETH, values)
        market = parameters.pools["majors"].markets["ETH"]
        assert (list(problems(parameters)) == []) is accepted, list(problems(parameters))
        try:
            protocol.clearinghouse.transact("setMarket", 256, market_params(parameters, market))
            on_chain = True
        except ContractRevert:
            on_chain = False
        assert on_chain is accepted
