"""Signed prices of Pyth, from a service that speaks the HTTP interface of Pyth's Hermes (version 2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import aiohttp
from eth_abi.abi import encode

from plimsoll.errors import PlimsollError
from plimsoll.model.oracle import pyth_convert

__all__ = ["HermesSource", "PriceSource", "PriceSourceError", "Update", "as_hint"]

FIX = "check the address of the price service"


class PriceSourceError(PlimsollError):
    """The price service does not answer, or not as it should."""


@dataclass(frozen=True, slots=True)
class Update:
    """One signed price: WAD, half width of its band in ppm (of the price, rounded up), publish times in seconds."""

    asset: int
    data: bytes
    price: int
    band_ppm: int
    publish_time: int
    previous_time: int

    def hint(self) -> bytes:
        """As `OracleHub.firstAfter` takes it."""
        return as_hint([self.data])


def as_hint(updates: Sequence[bytes]) -> bytes:
    """Updates as `OracleHub.firstAfter` takes them, and Pyth after its selector."""
    return encode(["bytes[]"], [list(updates)])


class PriceSource(Protocol):
    """Where signed prices come from."""

    async def latest(self, asset: int) -> Update | None:
        """The newest price of an asset; None if the source does not have it."""

    async def first_after(self, asset: int, time: int) -> Update | None:
        """The first price published at or after a time; None if the asset is not the source's, or none is yet."""


class HermesSource:
    """A price service by its address.

    :param feeds: the asset's number → its price id (32 bytes).
    :raises PriceSourceError: from each call, when the service is silent or answers nonsense.
    """

    def __init__(
        self, session: aiohttp.ClientSession, url: str, feeds: Mapping[int, bytes], timeout: float = 3
    ) -> None:
        self._session = session
        self._url = url.rstrip("/")
        self._feeds = dict(feeds)
        self._timeout = aiohttp.ClientTimeout(total=timeout)

    async def latest(self, asset: int) -> Update | None:
        """The newest price of an asset."""
        if asset not in self._feeds:
            return None
        return await self._get(asset, "latest")

    async def first_after(self, asset: int, time: int) -> Update | None:
        """The first price published at or after a time."""
        if asset not in self._feeds:
            return None
        found = await self._get(asset, str(time))
        if found is None or not found.previous_time < time <= found.publish_time:
            return None
        return found

    async def _get(self, asset: int, when: str) -> Update | None:
        wanted = self._feeds[asset].hex()
        address = f"{self._url}/v2/updates/price/{when}"
        try:
            async with self._session.get(
                address, params={"ids[]": wanted, "encoding": "hex"}, timeout=self._timeout
            ) as answer:
                if answer.status == 404:
                    return None
                answer.raise_for_status()
                return _update(asset, wanted, await answer.json())
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise PriceSourceError(f"{self._url} does not answer ({type(error).__name__}); {FIX}") from None
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise PriceSourceError(f"{self._url} answers what is no price update ({error!r}); {FIX}") from None


def _update(asset: int, wanted: str, answer: Any) -> Update:
    parsed = answer["parsed"][0]
    if parsed["id"].removeprefix("0x").lower() != wanted:
        raise ValueError(f"price {parsed['id']} instead of {wanted}")
    quote = parsed["price"]
    price, band = pyth_convert(int(quote["price"]), int(quote["conf"]), int(quote["expo"]))
    return Update(
        asset=asset,
        data=bytes.fromhex(answer["binary"]["data"][0].removeprefix("0x")),
        price=price,
        band_ppm=band,
        publish_time=int(quote["publish_time"]),
        previous_time=int(parsed.get("metadata", {}).get("prev_publish_time", 0)),
    )
