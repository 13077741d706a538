"""What a replay is set up with: the parameters of a network fitted to the symbols and first prices of the files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plimsoll.deploy.document import Document
from plimsoll.deploy.parameters import Parameters
from plimsoll.errors import PlimsollError
from plimsoll.units import format_units

__all__ = ["ReplayError", "Settings", "fitted_parameters"]

LONG_TAIL = "longtail"
PATTERN = "SOL"
"""Market and asset that a symbol without one of its own is listed like."""


class ReplayError(PlimsollError):
    """The replay cannot be run as asked."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How a replay is run.

    :param accounts: traders' accounts.
    :param lps: liquidity providers of each pool.
    :param gaps: prices jump from point to point of a bar instead of moving by the threshold.
    :param check_every: steps between two readings of the whole ledger from raw storage.
    """

    accounts: int = 300
    seed: int = 1
    threshold_bps: int = 50
    gaps: bool = False
    lps: int = 4
    check_every: int = 50

    def __post_init__(self) -> None:
        if not 1 <= self.accounts <= 20_000:
            raise ReplayError(f"{self.accounts} accounts are not possible; give 1 to 20000")
        if not 1 <= self.lps <= 100:
            raise ReplayError(f"{self.lps} liquidity providers are not possible; give 1 to 100")
        if self.check_every < 1:
            raise ReplayError(f"checking every {self.check_every} steps is not possible; give at least 1")


def fitted_parameters(path: Path, prices: Mapping[str, int]) -> Parameters:
    """The parameters of a file for these symbols at these prices (WAD).

    Limits in $ keep their value, so sizes in units follow the price. Assets, markets, collateral and pools without
    prices are left out; a symbol that the file does not know is listed like the long-tail market.

    :raises ReplayError: a price cannot be told by a feed of the asset's decimals.
    :raises ParameterError: the file is wrong.
    """
    document = Document.read(path)
    known: dict[str, Any] = document.data["assets"]
    for symbol in prices:
        if symbol not in known:
            document = _listed_like_pattern(document, path, symbol)
    overrides: dict[str, Any] = {}
    for symbol, price in prices.items():
        decimals = int(document.data["assets"][symbol].get("feed_decimals", "8"))
        unit = 10 ** (18 - decimals)
        if price < 1_000 * unit:
            least = format_units(1_000 * unit)
            raise ReplayError(f"{symbol} starts at {format_units(price)}, below {least}, too fine for its feed")
        overrides[f"assets.{symbol}.price.value"] = f"${format_units(price // unit * unit)}"
    gone = [name for name in document.data["assets"] if name not in prices]
    for name, pool in document.data["pools"].items():
        markets = [key for key, market in pool["markets"].items() if market["asset"] not in gone]
        if not markets:
            overrides[f"pools.{name}"] = None
            continue
        overrides |= {f"pools.{name}.markets.{key}": None for key in pool["markets"] if key not in markets}
        for key, item in pool.get("collateral", {}).items():
            if item["asset"] in gone:
                overrides[f"pools.{name}.collateral.{key}"] = None
        if pool.get("gas_asset") in gone:
            overrides[f"pools.{name}.gas_asset"] = None
    overrides |= {f"assets.{name}": None for name in gone}
    fitted = Parameters.of(document.with_values(overrides))
    used = {token for pool in fitted.pools.values() for token in (pool.settlement, *pool.collateral)}
    unused = {f"tokens.{name}": None for name in fitted.tokens if name not in used}
    return Parameters.of(document.with_values(overrides | unused))


def _listed_like_pattern(document: Document, path: Path, symbol: str) -> Document:
    assets, pools = document.data["assets"], document.data["pools"]
    if PATTERN not in assets or PATTERN not in pools.get(LONG_TAIL, {}).get("markets", {}):
        names = ", ".join(assets)
        raise ReplayError(f"{path} has no market for {symbol}; give prices of {names}")
    numbers: Sequence[int] = [int(asset["id"]) for asset in assets.values()]
    asset = dict(assets[PATTERN]) | {"id": str(max(numbers) + 1)}
    market = dict(pools[LONG_TAIL]["markets"][PATTERN]) | {"asset": symbol}
    return document.with_values({f"assets.{symbol}": asset, f"pools.{LONG_TAIL}.markets.{symbol}": market})
