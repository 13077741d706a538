"""Executes orders at their one price, and clears those that are too late."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from plimsoll.chain.errors import ContractRevert, Revert
from plimsoll.keeper.actions import Action
from plimsoll.keeper.decide import Quote, QuoteStatus, Snapshot, due, orders
from plimsoll.keeper.jobs.base import Moment
from plimsoll.keeper.jobs.price_source import PriceSource
from plimsoll.model.oracle import PriceFlags
from plimsoll.model.oracle_words import Spot

__all__ = ["Orders"]

INVALID = int(PriceFlags.INVALID)
Asked = tuple[int, int]
"""Asset and price time."""


class Orders:
    """Asks the hub for the price of every due order at the block; for assets of Pyth with what the source published.

    :param source: signed updates of Pyth, None where no asset needs them.
    """

    name = "orders"

    def __init__(self, source: PriceSource | None = None) -> None:
        self._source = source

    async def decide(self, moment: Moment) -> Sequence[Action]:
        """Orders to fill or to clear, those of one queue in their order."""
        mirror = moment.mirror
        queues = mirror.queues()
        rules = mirror.rules
        wanted = list(
            dict.fromkeys(
                (rules[order.market].asset, order.price_time)
                for order in due(queues, moment.head.time)
                if order.market in rules
            )
        )
        if not wanted:
            return []
        quotes = await self._quotes(wanted, moment)
        snapshot = Snapshot(
            block=moment.head.number,
            time=moment.head.time,
            queues=tuple(tuple(queue) for queue in queues),
            rules=dict(rules),
            quotes=quotes,
            busy=moment.busy,
        )
        return list(orders(snapshot, moment.options.limits))

    async def _quotes(self, wanted: Sequence[Asked], moment: Moment) -> dict[Asked, Quote]:
        """The newest round needs no hint; where it is not the first one, the hub searches."""
        hints = await self._pyth_hints(wanted, moment)
        chain, hub, head = moment.chain, moment.chain.target.hub, moment.head
        fees = await chain.update_fees(list(hints.values()), head)
        asked = [((hub, "firstAfter", [*one, hints.get(one, b"")]), fees.get(hints.get(one, b""), 0)) for one in wanted]
        newest = dict(zip(wanted, await chain.ask_paid(asked, moment.keeper, head), strict=True))
        quotes = {one: _quote(answer, hints.get(one, b"")) for one, answer in newest.items() if not _is_later(answer)}
        others = [one for one, answer in newest.items() if _is_later(answer) and one not in hints]
        rounds = await chain.ask([(hub, "searchRound", list(one)) for one in others], head)
        found: dict[Asked, bytes] = {}
        for one, answer in zip(others, rounds, strict=True):
            if isinstance(answer, Revert):
                quotes[one] = _quote(answer, b"")
            else:
                found[one] = b"".join(int(part).to_bytes(32, "big") for part in answer)
        shown = await chain.ask([(hub, "firstAfter", [*one, hint]) for one, hint in found.items()], head)
        quotes |= {one: _quote(answer, found[one]) for one, answer in zip(found, shown, strict=True)}
        return quotes

    async def _pyth_hints(self, wanted: Iterable[Asked], moment: Moment) -> Mapping[Asked, bytes]:
        """Updates that prove the first price, by asset and time, for assets whose prices travel with the order."""
        source = self._source
        if source is None:
            return {}
        found: dict[Asked, bytes] = {}
        for asset, time in wanted:
            update = await source.first_after(asset, time)
            if update is not None:
                found[asset, time] = update.hint()
        return found


def _is_later(answer: Any) -> bool:
    """Whether the hub says that the newest round is not the first one after the time."""
    return isinstance(answer, ContractRevert) and answer.name == "NotFirstPrice"


def _quote(answer: Any, hint: bytes) -> Quote:
    if isinstance(answer, Revert):
        waiting = isinstance(answer, ContractRevert) and answer.name == "NoPriceYet"
        return Quote(QuoteStatus.NOT_YET if waiting else QuoteStatus.FAILED, reason=str(answer))
    spot = Spot.unpack(answer)
    return Quote(QuoteStatus.READY, hint, spot.publish_time, bool(spot.flags & INVALID))
