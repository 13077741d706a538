"""Requirements of positions and value of collateral; mirrors `MarginMath`. WAD. Requirements round up, values down."""

from __future__ import annotations

from plimsoll.units import PPM, WAD, div_up, mul_div_down, mul_div_up, sqrt_up

__all__ = ["collateral_value", "ratio", "requirement", "scaled_ratio", "volatility_factor", "weighted_profit"]


def ratio(base_ppm: int, slope: int, size: int) -> int:
    """base + ⌈slope·n⌉, WAD ratio.

    :param slope: WAD per whole unit.
    """
    return base_ppm * (WAD // PPM) + div_up(slope * size, WAD)


def scaled_ratio(ratio_: int, factor: int) -> int:
    """min(⌈ratio·factor⌉, 1), WAD."""
    return min(div_up(ratio_ * factor, WAD), WAD)


def requirement(size: int, price: int, ratio_: int) -> int:
    """⌈n·P·ratio⌉, WAD money."""
    return mul_div_up(size * price, ratio_, WAD * WAD)


def volatility_factor(variance: int, sigma_ref: int, cap: int) -> int:
    """clamp(⌈⌈σ⌉/σ_ref⌉, 1, cap), WAD; σ itself is rounded up to 1e-9 per √second.

    :param variance: 1e-18 per second.
    :param sigma_ref: 1e-9 per √second; 0 switches the factor off.
    """
    if sigma_ref == 0 or variance <= sigma_ref * sigma_ref:
        return WAD
    return min(div_up(sqrt_up(variance) * WAD, sigma_ref), max(cap, WAD))


def collateral_value(balance: int, decimals: int, price: int, weight_ppm: int) -> int:
    """⌊b·p·w⌋, WAD money.

    :param balance: native units of a token with so many `decimals`.
    :param weight_ppm: 1 − haircut.
    """
    return mul_div_down(balance * weight_ppm, price, PPM * 10**decimals)


def weighted_profit(profit: int, weight_ppm: int) -> int:
    """⌊profit·weight⌋ of a gain; a loss counts whole."""
    return profit if profit <= 0 else profit * weight_ppm // PPM
