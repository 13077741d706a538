"""Velocity funding with a cap and a dead-band that decays; mirrors `FundingMath`.

Rates are 1e-18 of notional per second, velocities 1e-18 per second², sizes and prices WAD, times seconds.
"""

from __future__ import annotations

from plimsoll.units import PPM, WAD, div_floor, div_up

__all__ = ["drift", "index_growth", "integrate"]


def drift(
    rate: int, skew: int, skew_scale: int, max_rate: int, max_velocity: int, dead_band_ppm: int
) -> tuple[int, int]:
    """Velocity of the rate, and the rate at which the movement stops.

    The velocity is `max_velocity·min(|skew|/K, 1)`, signed like the skew, rounded toward zero. Inside the dead-band
    (`|skew| ≤ deadBand·K`) it points toward rate zero, rounded up and at least 1.
    """
    size = min(abs(skew), skew_scale)
    if size * PPM <= dead_band_ppm * skew_scale:
        decay = max(div_up(dead_band_ppm * max_velocity, PPM), 1)
        return (-decay if rate > 0 else decay), 0
    velocity = max_velocity * size // skew_scale
    return (velocity, max_rate) if skew > 0 else (-velocity, -max_rate)


def integrate(rate: int, velocity: int, bound: int, seconds: int) -> tuple[int, int]:
    """The rate after so many seconds, and 2·∫ rate dt, exact through the moment the rate reaches its bound.

    Only `(bound − rate)²/velocity` is rounded (its magnitude down), so that splitting an interval changes nothing. A
    rate beyond its bound falls back to it at once.
    """
    if velocity == 0 or rate == bound:
        return rate, 2 * rate * seconds
    way = bound - rate
    if (way > 0) != (velocity > 0):
        return bound, 2 * bound * seconds
    if abs(velocity) * seconds < abs(way):
        return rate + velocity * seconds, 2 * rate * seconds + velocity * seconds * seconds
    missed = way * way // abs(velocity)
    return bound, 2 * bound * seconds - (missed if way > 0 else -missed)


def index_growth(twice: int, price: int) -> int:
    """⌊r̄·P·dt⌋: growth of the funding index, WAD settlement units per unit of size.

    :param twice: 2·∫ rate dt from `integrate`.
    :param price: WAD, stored at the previous accrual.
    """
    return div_floor(twice * price, 2 * WAD)
