"""Parameters as the structs that the contracts' setters take.

Sizes given in $ become units at the listing price, rounded down to the contracts' 1e-9; slopes are rounded up, so that
no requirement is smaller than the table says.
"""

from __future__ import annotations

from typing import Any

from plimsoll.deploy.parameters import Asset, Collateral, Liquidity, Market, Parameters, Pool
from plimsoll.model.word import ZERO_ADDRESS
from plimsoll.units import NANO, PPM, WAD, mul_div_up, parse_units

__all__ = [
    "FEED_KINDS",
    "asset_config",
    "collateral_params",
    "market_id",
    "market_params",
    "native",
    "order_rules",
    "pool_params",
    "pool_terms",
    "units_at",
]

Struct = dict[str, Any]
FEED_KINDS = {"chainlink": 1, "pyth": 2, "fixed": 3}


def market_id(pool_id: int, index: int) -> int:
    """Number of a market: pool in the upper 16, index in the lower 8 of 24 bits."""
    return pool_id << 8 | index


def units_at(price: int, amount: int) -> int:
    """Units of an underlying that `amount` buys at `price` (both WAD), rounded down to 1e-9."""
    return amount * WAD // price // NANO * NANO


def native(amount: int, decimals: int) -> int:
    """Native units of a WAD amount of a token.

    :raises ValueError: the token cannot hold it exactly.
    """
    unit: int = 10 ** (18 - decimals)
    whole, rest = divmod(amount, unit)
    if rest:
        raise ValueError(f"{amount} WAD is no whole number of native units of a token of {decimals} decimals")
    return whole


def asset_config(asset: Asset, feed: str) -> Struct:
    """`AssetConfig` of the hub; `feed` is the address to read (the Pyth contract for pyth, ignored for fixed)."""
    other = asset.secondary
    return {
        "kind": FEED_KINDS[asset.kind],
        "feed": ZERO_ADDRESS if asset.kind == "fixed" else feed,
        "secondary": other.feed if other is not None else ZERO_ADDRESS,
        "pythId": bytes.fromhex(asset.pyth_id[2:]) if asset.pyth_id is not None else bytes(32),
        "fixedPrice": asset.price.value if asset.kind == "fixed" else 0,
        "minAnswer": 0,
        "maxAnswer": 0,
        "maxAge": asset.max_age.value,
        "bandPpm": asset.band.value,
        "maxUncertaintyPpm": asset.max_uncertainty.value,
        "secondaryMaxAge": other.max_age.value if other is not None else 0,
        "maxDeviationPpm": other.max_deviation.value if other is not None else 0,
        "deviationTimeout": other.timeout.value if other is not None else 0,
        "tau": asset.ema_time.value,
        "boundBasePpm": asset.bound_base.value,
        "boundPerHourPpm": asset.bound_per_hour.value,
        "boundCapPpm": asset.bound_cap.value,
        "latency": asset.latency.value,
    }


def pool_params(parameters: Parameters, pool: Pool, settlement_token: str) -> Struct:
    """`PoolParams` of the Clearinghouse."""
    return {
        "settlementToken": settlement_token,
        "maxMarkets": pool.max_markets.value,
        "maxCollaterals": pool.max_collaterals.value,
        "utilisationLimitPpm": pool.utilisation_limit.value,
        "keeperFloor": pool.keeper_floor.value,
        "minNotional": pool.min_notional.value,
        "profitWeightPpm": pool.profit_weight.value,
        "insuranceSharePpm": pool.insurance_share.value,
        "lpSharePpm": pool.lp_share.value,
        "adlTriggerPpm": pool.adl_trigger.value,
        "adlTargetPpm": pool.adl_target.value,
        "targetHealthPpm": pool.target_health.value,
        "rewardMax": pool.reward_max.value,
        "gasUnits": pool.gas_units.value,
        "l1Fee": pool.l1_fee.value,
        "gasAsset": parameters.assets[pool.gas_asset].id if pool.gas_asset is not None else 0,
        "graceHealthPpm": pool.grace_health.value,
        "discountMaxPpm": pool.discount_max.value,
        "saleSeconds": pool.sale_time.value,
        "interestBase": pool.interest.base.value,
        "interestSlope1": pool.interest.slope1.value,
        "interestSlope2": pool.interest.slope2.value,
        "interestKinkPpm": pool.interest.kink.value,
        "reserveFactorPpm": pool.reserve_factor.value,
        "lpGapPpm": pool.lp_gap.value,
        "referenceNav": pool.reference_nav.value,
    }


def market_params(parameters: Parameters, market: Market) -> Struct:
    """`MarketParams` of the Clearinghouse."""
    asset = parameters.assets[market.asset]
    price = asset.price.value
    most = units_at(price, market.max_position.value)
    return {
        "asset": asset.id,
        "imBasePpm": market.initial_margin.value,
        "mmBasePpm": market.maintenance_margin.value,
        "penaltyPpm": market.penalty.value,
        "rewardRatePpm": market.reward_rate.value,
        "imSlope": _slope(market.initial_margin.value, market.initial_margin_at_max.value, most),
        "mmSlope": _slope(market.maintenance_margin.value, market.maintenance_margin_at_max.value, most),
        "volCapPercent": market.vol_cap.value // (PPM // 100),
        "sigmaRef": market.reference_volatility.value,
        "skewScale": units_at(price, market.depth.value),
        "oiCap": units_at(price, market.oi_cap.value),
        "skewCap": units_at(price, market.skew_cap.value),
        "maxPosition": most,
        "makerPpm": market.maker_fee.value,
        "takerPpm": market.taker_fee.value,
        "rMax": market.max_funding.value,
        "vMax": market.funding_velocity.value,
        "deadBandPpm": market.dead_band.value,
        "navMultiplePpm": market.nav_multiple.value,
        "halfBandPpm": market.max_half_band.value,
        "movePpm": market.move.value,
        "gapPpm": market.gap.value,
    }


def _slope(base_ppm: int, top_ppm: int, most: int) -> int:
    """(ratio(n̂) − ratio(0))/n̂ in WAD per unit, rounded up; 0 where the largest position is 0."""
    if top_ppm <= base_ppm or most == 0:
        return 0
    return mul_div_up((top_ppm - base_ppm) * (WAD // PPM), WAD, most)


def collateral_params(parameters: Parameters, name: str, item: Collateral, token: str) -> Struct:
    """`CollateralParams` of the Clearinghouse."""
    return {
        "token": token,
        "asset": parameters.assets[item.asset].id,
        "weightInitialPpm": item.weight_initial.value,
        "weightMaintenancePpm": item.weight_maintenance.value,
        "cap": parse_units(item.cap.value, parameters.tokens[name].decimals),
        "movePpm": item.move.value,
    }


def order_rules(parameters: Parameters, market: Market) -> Struct:
    """`OrderRules` of the OrderBook."""
    asset = parameters.assets[market.asset]
    return {
        "asset": asset.id,
        "settlementDelay": market.orders.settlement_delay.value,
        "cancelMargin": market.orders.cancel_margin.value,
        "execWindow": market.orders.exec_window.value,
        "latency": asset.latency.value,
        "minKeeperFee": market.orders.min_keeper_fee.value,
    }


def pool_terms(liquidity: Liquidity, decimals: int) -> Struct:
    """`PoolTerms` of the LiquidityPool."""
    return {
        "epochLength": liquidity.epoch_length.value,
        "lpDelay": liquidity.lp_delay.value,
        "minDeposit": native(liquidity.min_deposit.value, decimals),
        "minSharePrice": liquidity.min_share_price.value,
        "strikeReward": liquidity.strike_reward.value,
    }
