"""The one-word records by name, and examples of them with every field at its extremes."""

from __future__ import annotations

import dataclasses
from typing import Any

from plimsoll.model import words
from plimsoll.model.word import Place, Word, layout
from plimsoll.model.words import AccountId
from tests.support.harness import Cases

__all__ = ["CONFIG", "IDS", "STATE", "beyond", "examples", "extremes", "record"]

STATE = ["AccountWord", "PositionWord", "FundingWord", "SidesWord", "EventWord", "PoolMoneyWord"]
STATE += ["PoolDuesWord", "DebtWord"]
CONFIG = ["MarginWord", "TradeWord", "LimitsWord", "PoolRiskWord", "PoolLiquidationWord", "PoolSettlementWord"]
CONFIG += ["PoolInterestWord", "PoolLiquidityWord", "CollateralWord", "Spot", "Trend", "FeedWord", "SecondaryWord"]
CONFIG += ["StateWord", "OrderWord", "QueueWord", "RulesWord"]
IDS = ["AccountId", "MarketId"]
ADDRESS_MAX = "0x" + "f" * 40


def record(name: str) -> type[Any]:
    kind: type[Any] = getattr(words, name)
    assert issubclass(kind, Word)
    return kind


def extremes(place: Place) -> list[Any]:
    """Lowest, highest and in-between values of a field."""
    if place.address:
        return [words.ZERO_ADDRESS, ADDRESS_MAX, "0x" + "0" * 39 + "1", "0x" + "a5" * 20]
    high = (1 << place.bits - place.signed) - 1
    if place.most is not None:
        high = place.most
    low = -(1 << place.bits - 1) if place.signed else 0
    middle = [-1, 1] if place.signed else [1]
    return [value * place.scale for value in (low, *middle, high // 2, high) if low <= value <= high]


def beyond(place: Place) -> list[int]:
    """One step outside of a field."""
    high = place.most if place.most is not None else (1 << place.bits - place.signed) - 1
    low = -(1 << place.bits - 1) if place.signed else 0
    return [(high + 1) * place.scale, (low - 1) * place.scale]


def examples(name: str) -> list[Any]:
    """Records with one field at an extreme and the others zero or random, with all lowest, and with all highest."""
    kind, cases = record(name), Cases(name)
    places = layout(kind)
    found = [kind(*(extremes(place)[0] for place in places)), kind(*(extremes(place)[-1] for place in places))]
    for place in places:
        for value in extremes(place):
            found.append(kind(**{place.name: value}))
            for _ in range(3):
                others = {other.name: cases.random.choice(extremes(other)) for other in places}
                found.append(kind(**{**others, place.name: value}))
    return [normal(one) for one in found]


def normal(one: Any) -> Any:
    """With checksummed addresses."""
    changes = {p.name: checksummed(getattr(one, p.name)) for p in layout(type(one)) if p.address}
    return dataclasses.replace(one, **changes)


def checksummed(address: str) -> str:
    return AccountId.unpack(AccountId(owner=address).pack()).owner
