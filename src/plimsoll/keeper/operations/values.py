"""Values of the configuration as people write them. Money is parsed exactly; only waiting times become floats."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BeforeValidator, PlainSerializer

from plimsoll.deploy import quantities
from plimsoll.units import PPM, UnitsError, format_units, parse_units

__all__ = [
    "Address",
    "ChainSeconds",
    "Dollars",
    "Ether",
    "File",
    "Flag",
    "Gwei",
    "NodeUrl",
    "Pause",
    "Ratio",
    "StorePath",
    "Whole",
    "several",
]

TRUE = frozenset({"true", "yes", "on", "1"})
FALSE = frozenset({"false", "no", "off", "0"})
PAUSES = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86_400.0, "": 1.0}


def pause(value: Any) -> float:
    """A waiting time of the program (`250 ms`, `12 s`, `1 h`, or a number of seconds) in seconds."""
    if isinstance(value, bool):
        raise ValueError(f"{value!r} is not a time; write one such as 250 ms, 12 s or 1 h")
    if isinstance(value, int | float):
        return float(value)
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|min|h|d|)\s*", str(value))
    if match is None:
        raise ValueError(f"{value!r} is not a time; write one such as 250 ms, 12 s or 1 h")
    return float(match.group(1)) * PAUSES[match.group(2)]


def chain_seconds(value: Any) -> int:
    """A span of chain time (`15 min`, `1 h`, or a whole number of seconds) in seconds."""
    if isinstance(value, str) and re.search(r"[a-z]\s*$", value):
        return quantities.seconds(value)
    return whole(value)


def dollars(value: Any) -> int:
    """An amount of settlement units (`$0.02`, `$5k`, `12.5`) as WAD."""
    if isinstance(value, str) and value.lstrip().startswith("$"):
        return quantities.money(value)
    return _units(value, 18, "an amount such as $0.02")


def ether(value: Any) -> int:
    """An amount of the chain's coin (`0.05 ETH`, `0.05`) in wei."""
    return _units(_without(value, "ETH", "ether"), 18, "an amount of ether such as 0.05 ETH")


def gwei(value: Any) -> int:
    """A fee per gas (`2 gwei`, `0.1`) in wei."""
    return _units(_without(value, "gwei"), 9, "a fee per gas such as 2 gwei")


def ratio(value: Any) -> int:
    """A ratio (`1 %`, `15 bp`, `100 ppm`) below 100 % in ppm."""
    found = quantities.ppm(value)
    if found >= PPM:
        raise ValueError(f"{value!r} is too much; give 0 to 99 %")
    return found


def whole(value: Any) -> int:
    """A whole number ≥ 0, `_` allowed between digits."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and re.fullmatch(r"\s*\d[\d_]*\s*", value):
        return int(value)
    raise ValueError(f"{value!r} is not a whole number such as 8")


def flag(value: Any) -> bool:
    """`true` or `false`."""
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in TRUE | FALSE:
        return word in TRUE
    raise ValueError(f"{value!r} is neither true nor false")


def address(value: Any) -> str:
    """An address of 20 bytes."""
    if isinstance(value, str) and re.fullmatch(r"0x[0-9a-fA-F]{40}", value.strip()):
        return value.strip()
    raise ValueError(f"{value!r} is not an address; write 0x and 40 hex digits")


def node_url(value: Any) -> str:
    """Where a node is: http(s), ws(s) or the path of a unix socket. Messages never repeat it: it may hold a key."""
    text = str(value).strip()
    scheme = urlsplit(text).scheme
    if not text:
        raise ValueError("the address of a node is empty")
    if "://" in text and scheme not in ("http", "https", "ws", "wss"):
        raise ValueError(f"{scheme}:// is no address of a node; write http(s)://…, ws(s)://… or the path of a socket")
    if scheme in ("http", "https", "ws", "wss") and not urlsplit(text).hostname:
        raise ValueError("the address of a node has no host; write http(s)://host:port/…")
    return text


def store_path(value: Any) -> str:
    """A database: the path of an SQLite file, or `postgresql://…`."""
    text = str(value).strip()
    scheme = urlsplit(text).scheme if "://" in text else ""
    if scheme not in ("", "postgresql", "postgres"):
        raise ValueError(f"{scheme}:// is no database; write the path of a file or postgresql://…")
    return text


def _several(value: Any) -> Any:
    """A list may be written as text, with commas between its parts."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _without(value: Any, *units: str) -> Any:
    if isinstance(value, str):
        for unit in units:
            if value.rstrip().lower().endswith(unit.lower()):
                return value.rstrip()[: -len(unit)].strip()
    return value


def _units(value: Any, decimals: int, wanted: str) -> int:
    if isinstance(value, bool | float) or not isinstance(value, str | int):
        raise ValueError(f"{value!r} is not {wanted}; write it in quotes")
    try:
        amount = parse_units(value, decimals)
    except UnitsError as error:
        raise ValueError(str(error)) from None
    if amount < 0:
        raise ValueError(f"{value!r} is negative; write {wanted}")
    return amount


def _shown(write: Callable[[Any], str]) -> PlainSerializer:
    """Written out as it may be read in again."""
    return PlainSerializer(write, return_type=str, when_used="json")


Pause = Annotated[float, BeforeValidator(pause), _shown(lambda value: f"{value:g} s")]
"""Seconds of waiting; never money, never chain time."""
ChainSeconds = Annotated[int, BeforeValidator(chain_seconds), _shown(lambda value: f"{value} s")]
"""Seconds of chain time."""
Dollars = Annotated[int, BeforeValidator(dollars), _shown(format_units)]
"""WAD of the settlement asset."""
Ether = Annotated[int, BeforeValidator(ether), _shown(lambda value: f"{format_units(value)} ETH")]
"""Wei."""
Gwei = Annotated[int, BeforeValidator(gwei), _shown(lambda value: f"{format_units(value, 9)} gwei")]
"""Wei per gas."""
Ratio = Annotated[int, BeforeValidator(ratio), _shown(lambda value: f"{format_units(value, 4)} %")]
"""Ppm, below one million."""
Whole = Annotated[int, BeforeValidator(whole)]
Flag = Annotated[bool, BeforeValidator(flag)]
Address = Annotated[str, BeforeValidator(address)]
NodeUrl = Annotated[str, BeforeValidator(node_url)]
StorePath = Annotated[str, BeforeValidator(store_path)]
"""SQLite file or PostgreSQL address."""
File = Annotated[Path, BeforeValidator(lambda value: Path(str(value)).expanduser())]
several = BeforeValidator(_several)
