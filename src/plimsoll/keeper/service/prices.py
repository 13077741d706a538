"""Prices at a block: what the hub answers for every asset, and whether it may be decided on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from plimsoll.chain.contract import Call
from plimsoll.chain.errors import Revert
from plimsoll.keeper.book.mirror import Mirror
from plimsoll.keeper.book.observations import Observations
from plimsoll.keeper.node.headers import Header
from plimsoll.keeper.operations.status import OracleStatus
from plimsoll.keeper.service.chain import Chain
from plimsoll.model.oracle import PriceFlags
from plimsoll.model.oracle_words import Spot, Trend

__all__ = ["PriceGate", "observe"]

INVALID = int(PriceFlags.INVALID)
SHOWN = (
    PriceFlags.INVALID,
    PriceFlags.UNCERTAIN,
    PriceFlags.DEVIATED,
    PriceFlags.DEVIATED_LONG,
    PriceFlags.SEQUENCER_DOWN,
    PriceFlags.SEQUENCER_GRACE,
)


async def observe(chain: Chain, mirror: Mirror, head: Header) -> Observations:
    """The hub's answer for every asset at a block, in one round trip; decimals of new tokens are learnt on the way.

    :raises HeadMovedError: the node does not answer for the block any more.
    """
    hub, assets, tokens = chain.target.hub, sorted(mirror.assets()), mirror.unknown_tokens()
    calls: list[Call] = [(hub, "peek", [asset]) for asset in assets]
    calls += [(chain.target.token(f"0x{token:040x}"), "decimals", []) for token in tokens]
    answers = await chain.ask(calls, head)
    for token, answer in zip(tokens, answers[len(assets) :], strict=True):
        if isinstance(answer, Revert):
            raise answer
        mirror.set_decimals(token, answer)
    missing = sorted(mirror.assets() - set(assets))
    more = await chain.ask([(hub, "peek", [asset]) for asset in missing], head)
    words = dict(zip([*assets, *missing], [*answers[: len(assets)], *more], strict=True))
    read = {
        asset: (Spot.unpack(answer[0]), Trend.unpack(answer[1]))
        for asset, answer in words.items()
        if not isinstance(answer, Revert)
    }
    return Observations(head.time, read)


@dataclass(frozen=True, slots=True)
class Seen:
    """The newest price of an asset that was met, and in which block."""

    publish_time: int
    block: int


class PriceGate:
    """Looks whether a price can be true: what cannot is shown, and nothing new is decided on it.

    What the contracts themselves allow for (a stale or deviating price) is no reason: liquidation values it as they do.

    :param tolerance: seconds that a publish time may lie ahead of the block.
    """

    def __init__(self, names: Mapping[int, str], tolerance: int = 5) -> None:
        self._names = dict(names)
        self._tolerance = tolerance
        self._seen: dict[int, Seen] = {}

    def look(self, head: Header, seen: Observations) -> tuple[dict[int, str], tuple[OracleStatus, ...]]:
        """Assets that nothing is decided on, with the reason; and all of them for the status."""
        blocked: dict[int, str] = {}
        shown = []
        for asset, (spot, _) in sorted(seen.assets.items()):
            reason = self._reason(asset, spot, head)
            if reason:
                blocked[asset] = reason
            else:
                self._seen[asset] = Seen(spot.publish_time, head.number)
            flags = tuple(str(flag.name) for flag in SHOWN if spot.flags & flag)
            age = max(head.time - spot.publish_time, 0)
            shown.append(OracleStatus(self._names.get(asset, str(asset)), spot.price, age, flags, reason))
        return blocked, tuple(shown)

    def rolled_back(self, number: int) -> None:
        """Blocks above `number` are gone: prices may be older than those that were met there."""
        self._seen = {asset: seen for asset, seen in self._seen.items() if seen.block <= number}

    def _reason(self, asset: int, spot: Spot, head: Header) -> str:
        if spot.publish_time > head.time + self._tolerance:
            return f"published {spot.publish_time - head.time} s after the block that tells it"
        before = self._seen.get(asset)
        if before is not None and spot.publish_time < before.publish_time and not spot.flags & INVALID:
            return f"{before.publish_time - spot.publish_time} s older than the price of block {before.block}"
        return ""
