"""What the events of the Clearinghouse say of its storage.

Frequent actions tell the words that they leave behind in their own event; everything else emits a `…Set` event. Readers
that keep words need not know the difference: here each word comes as a `…Set`, before the event that carried it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from plimsoll.chain.receipt import Event

__all__ = ["CARRIERS", "with_words"]

Words = Iterator[tuple[str, dict[str, Any]]]


def with_words(events: Iterable[Event]) -> Iterator[Event]:
    """The events in order, each after the `…Set` events that its words amount to.

    Beside those that the contracts declare there are `PositionSet(account, market, word)` and `DuesSet(pool, dues)`.
    """
    for event in events:
        carried = CARRIERS.get(event.name)
        if carried is not None:
            for name, args in carried(event):
                yield replace(event, name=name, args=args)
        yield event


def _pool(account: bytes) -> int:
    return int.from_bytes(account[20:22], "big")


def _account(account: bytes, word: int) -> tuple[str, dict[str, Any]]:
    return "AccountSet", {"account": account, "word": word}


def _moved(event: Event) -> Words:
    account: bytes = event["account"]
    yield _account(account, event["word"])
    yield "HeldSet", {"pool": _pool(account), "token": event["token"], "held": event["held"]}


def _fee_reserved(event: Event) -> Words:
    yield _account(event["account"], event["word"])
    yield "DuesSet", {"pool": _pool(event["account"]), "dues": event["dues"]}


def _filled(event: Event) -> Words:
    account, market, words = event["account"], event["market"], event["words"]
    yield _account(account, words.account)
    if words.keeper:
        yield _account(event["keeper"], words.keeper)
    yield "PositionSet", {"account": account, "market": market, "word": words.position}
    parts = ("funding", "sides", "longEntrySum", "shortEntrySum")
    yield "MarketSet", {"market": market, **{name: getattr(words, name) for name in parts}}
    yield "PoolSet", {"pool": _pool(account), "money": words.money, "dues": words.dues}


def _position_liquidated(event: Event) -> Words:
    yield "PositionSet", {"account": event["account"], "market": event["market"], "word": event["position"]}


def _liquidated(event: Event) -> Words:
    yield _account(event["account"], event["word"])
    if event["keeperWord"]:
        yield _account(event["keeper"], event["keeperWord"])


CARRIERS: Mapping[str, Callable[[Event], Words]] = {
    "Deposited": _moved,
    "FeeReserved": _fee_reserved,
    "Filled": _filled,
    "Liquidated": _liquidated,
    "PositionLiquidated": _position_liquidated,
    "Withdrawn": _moved,
}
"""Events of actions that carry words."""
