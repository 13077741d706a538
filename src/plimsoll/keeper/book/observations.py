"""What the oracle answers at one block."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from plimsoll.model.oracle_words import Spot, Trend

__all__ = ["Observations"]


@dataclass(frozen=True, slots=True)
class Observations:
    """The hub's answers (`peek`) to everything the keeper values, at one block.

    :param time: of the block, seconds; interest and funding are accrued to it.
    :param assets: asset → price and trend. An asset that the hub refuses to answer for is left out: no account that
        holds it can be valued, by the contracts neither.
    """

    time: int
    assets: Mapping[int, tuple[Spot, Trend]]

    @classmethod
    def of_words(cls, time: int, words: Mapping[int, tuple[int, int]]) -> Observations:
        """From the two words that `peek` returns for each asset."""
        read = {asset: (Spot.unpack(spot), Trend.unpack(trend)) for asset, (spot, trend) in words.items()}
        return cls(time, read)
