"""Interest on negative cash: kinked curve on utilisation, by index; mirrors `InterestMath`.

Money and indices WAD, rates 1e-18 per second.
"""

from __future__ import annotations

from plimsoll.units import PPM, WAD, div_up, mul_div_up

__all__ = ["debt_of", "index_after", "rate", "scaled_for", "total_debt", "utilisation"]


def utilisation(debt: int, pool_cash: int) -> int:
    """u = min(⌈D/V⌉, 1); 1 when there is debt and the pool has no cash."""
    if debt == 0:
        return 0
    if pool_cash <= 0 or debt >= pool_cash:
        return WAD
    return mul_div_up(debt, WAD, pool_cash)


def rate(u: int, base: int, slope1: int, slope2: int, kink_ppm: int) -> int:
    """base + slope1·min(u, kink) + slope2·max(u − kink, 0), rounded up."""
    below = min(u, kink_ppm * (WAD // PPM))
    return base + div_up(slope1 * below + slope2 * (u - below), WAD)


def index_after(index: int, rate_per_second: int, seconds: int) -> int:
    """index·(1 + rate·dt), rounded up; simple interest per accrual."""
    return index + div_up(index * rate_per_second * seconds, WAD)


def debt_of(scaled: int, index: int) -> int:
    """⌈scaled·index⌉: debt of one account."""
    return div_up(scaled * index, WAD)


def total_debt(scaled: int, index: int) -> int:
    """⌊scaled·index⌋: debt of all accounts."""
    return scaled * index // WAD


def scaled_for(debt: int, index: int) -> int:
    """⌈debt/index⌉: what is stored for a debt."""
    return div_up(debt * WAD, index)
