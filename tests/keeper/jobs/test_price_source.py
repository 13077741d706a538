"""Signed prices from a price service, good and bad answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import aiohttp
import pytest
from tests.support.hermes import Hermes

from plimsoll.keeper.jobs.price_source import HermesSource, PriceSourceError
from plimsoll.units import WAD

ETH, FEED = 1, b"\x11" * 32


def ask(hermes: Hermes, work: Callable[[HermesSource], Awaitable[object]], url: str | None = None) -> object:
    """Runs something against a source, with the service open."""

    async def main() -> object:
        async with hermes, aiohttp.ClientSession() as session:
            return await work(HermesSource(session, url or hermes.url, {ETH: FEED}, timeout=2))

    return asyncio.run(main())


def test_the_newest_price_is_read_to_the_wei() -> None:
    hermes = Hermes()
    hermes.publish(FEED, 100, 2_000_12345678, b"old")
    hermes.publish(FEED, 105, 1_990_00000001, b"new", previous=103, conf=1_99000001)

    async def latest(source: HermesSource) -> object:
        return await source.latest(ETH)

    update = ask(hermes, latest)
    assert (update.data, update.publish_time, update.previous_time) == (b"new", 105, 103)  # type: ignore[attr-defined]
    assert update.price == 1_990_00000001 * WAD // 10**8  # type: ignore[attr-defined]
    assert update.band_ppm == 1001  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("wanted", "found"), [(99, b"old"), (100, b"old"), (101, None), (103, None), (104, b"new"), (106, None)]
)
def test_only_the_first_price_after_a_time_is_given(wanted: int, found: bytes | None) -> None:
    """103 < 104 ≤ 105, but at 101 to 103 the price before was published later than the time or is not known."""
    hermes = Hermes()
    hermes.publish(FEED, 100, 2_000_00000000, b"old", previous=98)
    hermes.publish(FEED, 105, 1_990_00000000, b"new", previous=103)

    async def first(source: HermesSource) -> object:
        update = await source.first_after(ETH, wanted)
        return None if update is None else update.data

    assert ask(hermes, first) == found


def test_an_asset_of_another_kind_is_not_asked_for() -> None:
    hermes = Hermes()

    async def other(source: HermesSource) -> object:
        return await source.latest(2), await source.first_after(2, 5)

    assert ask(hermes, other) == (None, None)
    assert hermes.requests == 0


@pytest.mark.parametrize(
    "answer",
    [{}, {"parsed": []}, {"parsed": [{"id": "22" * 32}], "binary": {"data": ["00"]}}, {"parsed": [{"id": "11" * 32}]}],
)
def test_nonsense_is_an_error_that_names_the_service(answer: object) -> None:
    hermes = Hermes()
    hermes.answer = answer

    async def latest(source: HermesSource) -> object:
        return await source.latest(ETH)

    with pytest.raises(PriceSourceError, match="answers what is no price update"):
        ask(hermes, latest)


def test_a_silent_service_is_an_error_that_says_what_to_do() -> None:
    async def latest(source: HermesSource) -> object:
        return await source.latest(ETH)

    with pytest.raises(PriceSourceError, match="does not answer .* check the address of the price service"):
        ask(Hermes(), latest, url="http://127.0.0.1:9")
