"""Prices and their sources, one word each; mirrors `Observation.sol` and `OracleWords.sol` in `contracts/types/`."""

from __future__ import annotations

from dataclasses import dataclass

from plimsoll.model.word import Word, address, bits
from plimsoll.units import PPM

__all__ = ["FeedWord", "SecondaryWord", "Spot", "StateWord", "Trend"]


@dataclass(frozen=True, slots=True)
class Spot(Word):
    """A validated price: WAD prices, time in seconds, `PriceFlags`, half width of the band in ppm."""

    price: int = bits(0, 88, most=(1 << 87) - 1)
    other: int = bits(88, 88, most=(1 << 87) - 1)
    publish_time: int = bits(176, 32)
    flags: int = bits(208, 16)
    band_ppm: int = bits(224, 24, most=PPM)

    @property
    def low(self) -> int:
        """Lower end of the uncertainty band, rounded down."""
        return self.price * (PPM - self.band_ppm) // PPM

    @property
    def high(self) -> int:
        """Upper end of the uncertainty band, rounded up."""
        return -(-self.price * (PPM + self.band_ppm) // PPM)


@dataclass(frozen=True, slots=True)
class Trend(Word):
    """The slow view of a price: average (WAD), variance (1e-18 per second), bound g(age) in ppm."""

    ema: int = bits(0, 88, most=(1 << 87) - 1)
    variance: int = bits(88, 48)
    bound_ppm: int = bits(136, 24, most=PPM)


@dataclass(frozen=True, slots=True)
class FeedWord(Word):
    """What every read of an asset needs to know about its source."""

    feed: str = address()
    kind: int = bits(160, 2)
    decimals: int = bits(162, 5)
    max_age: int = bits(167, 18)
    band_ppm: int = bits(185, 17)
    tau: int = bits(202, 17)
    max_uncertainty_ppm: int = bits(219, 17)
    has_secondary: int = bits(236, 1)
    has_bounds: int = bits(237, 1)
    has_sequencer: int = bits(238, 1)
    min_small: int = bits(240, 16)


@dataclass(frozen=True, slots=True)
class SecondaryWord(Word):
    """The secondary source of an asset."""

    feed: str = address()
    decimals: int = bits(160, 5)
    max_age: int = bits(165, 18)
    max_deviation_ppm: int = bits(183, 20)
    deviation_timeout: int = bits(203, 17)
    deviated_since: int = bits(220, 32)


@dataclass(frozen=True, slots=True)
class StateWord(Word):
    """The stored state of an asset."""

    price: int = bits(0, 88)
    ema: int = bits(88, 88)
    variance: int = bits(176, 48)
    time: int = bits(224, 32)
