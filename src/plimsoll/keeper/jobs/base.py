"""What every job is given, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from plimsoll.keeper.actions import Action, Key
from plimsoll.keeper.book.mirror import Mirror
from plimsoll.keeper.book.observations import Observations
from plimsoll.keeper.node.headers import Header
from plimsoll.keeper.options import Options
from plimsoll.keeper.service.chain import Chain
from plimsoll.model.oracle import PriceFlags
from plimsoll.model.oracle_words import Spot
from plimsoll.units import WAD, mul_div_up

__all__ = ["Job", "Moment", "sale_price"]

REFUSED = int(PriceFlags.INVALID | PriceFlags.SEQUENCER_DOWN | PriceFlags.SEQUENCER_GRACE)
DEVIATED = int(PriceFlags.DEVIATED)
DEVIATED_LONG = int(PriceFlags.DEVIATED_LONG)


@dataclass(frozen=True, slots=True)
class Moment:
    """What is known at one block, and how more can be asked about it.

    :param gas_price: wei for a unit of gas in the next block, tip included.
    :param busy: what a transaction is under way for.
    :param poisons: accounts whose liquidation failed alone, with version and newest price at which it did.
    """

    head: Header
    mirror: Mirror
    observations: Observations
    chain: Chain
    options: Options
    keeper: str
    gas_price: int = 0
    busy: frozenset[Key] = frozenset()
    poisons: Mapping[bytes, tuple[int, int]] = field(default_factory=dict)

    def gas_cost(self, pool: int, gas: int) -> int:
        """What so much gas costs in the settlement asset of a pool, WAD, rounded up; 0 for a pool without gas asset."""
        return mul_div_up(gas * self.gas_price, self.gas_asset_price(pool), WAD)

    def gas_asset_price(self, pool: int) -> int:
        """Price of ether for a pool, WAD of its settlement asset; 0 when it has none or it is not known."""
        known = self.observations.assets.get(self.mirror.pool_terms[pool].liquidation.gas_asset)
        return known[0].price if known is not None else 0


class Job(Protocol):
    """One kind of work."""

    @property
    def name(self) -> str:
        """In logs, metrics and budgets."""

    async def decide(self, moment: Moment) -> Sequence[Action]:
        """What is to be done now, the most urgent first, with `Wait` for what is looked at and left.

        :raises NodeUnavailable, RpcError, HeadMovedError: it could not be read.
        """


def sale_price(spot: Spot) -> int:
    """What collateral on this asset is sold at before the discount, WAD; 0 when it cannot be sold now."""
    if spot.flags & REFUSED:
        return 0
    if spot.flags & DEVIATED and not spot.flags & DEVIATED_LONG:
        return max(spot.price, spot.other)
    return spot.price
