"""Price files: OHLC bars of one symbol, read exactly and refused with one clear line when they cannot be right.

Two formats are read:

* a header `timestamp,open,high,low,close,volume`, times in whole unix seconds or ISO 8601 (UTC when no zone is given)
* a Binance kline export: 12 columns, usually without a header, times in milliseconds or microseconds

Prices become WAD integers (1e18 = 1 unit of the quote currency) digit by digit; no float is involved. A file is UTF-8
text; a byte order mark, Windows line ends, spaces around a cell, quoted cells and blank lines at the end are accepted.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from plimsoll.risk.cells import (
    HEADER,
    NUMBER,
    WAD,
    PriceFileError,
    Row,
    kline_clock,
    number,
    plain_clock,
    price,
    printable,
    shown,
    unquoted,
    utc,
)

__all__ = [
    "MAX_GAP_SECONDS",
    "WAD",
    "Bar",
    "Gap",
    "PriceFileError",
    "PriceSeries",
    "gap_lines",
    "parse_price_argument",
    "read_price_files",
    "read_prices",
    "symbol_from_name",
    "utc",
]

MAX_GAP_SECONDS = 86_400
MAX_CHANGE_PERCENT = 90
KLINE_COLUMNS = 12
KLINE_NAMES = ("open_time", *HEADER[1:])
QUOTES = ("FDUSD", "USDT", "USDC", "BUSD", "TUSD", "USD", "EUR", "DAI")
SYMBOL = re.compile(r"(?=[0-9]*[A-Z])[A-Z0-9]{2,12}")


@dataclass(frozen=True, slots=True)
class Bar:
    """Open, highest, lowest and last price (WAD) of the stretch of time that starts at `time` (unix seconds)."""

    time: int
    open: int
    high: int
    low: int
    close: int


@dataclass(frozen=True, slots=True)
class Gap:
    """Missing bars: no prices between `start` and `end` (unix seconds); `line` is the first one after it."""

    line: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class PriceSeries:
    """All bars of one symbol, sorted by time. `interval` is the usual length of a bar in seconds."""

    symbol: str
    source: str
    bars: tuple[Bar, ...]
    interval: int
    gaps: tuple[Gap, ...] = ()


def read_price_files(arguments: Sequence[str]) -> list[PriceSeries]:
    """Reads every `SYMBOL=path` or `path`, in the order given. A symbol may be given once."""
    found: dict[str, PriceSeries] = {}
    for argument in arguments:
        symbol, path = parse_price_argument(argument)
        if symbol in found:
            wrong = f"prices of {symbol} are given twice, first by {found[symbol].source}"
            raise PriceFileError(str(path), 1, 1, wrong, "give one file per symbol, or name the symbol as SYMBOL=path")
        found[symbol] = read_prices(path, symbol)
    return list(found.values())


def parse_price_argument(argument: str) -> tuple[str, Path]:
    """`ETH=path` or `path` as (symbol, path); without a symbol, the file name tells it (see `symbol_from_name`)."""
    name, equals, rest = argument.partition("=")
    named = bool(equals) and "/" not in name and "\\" not in name
    if not argument.strip() or (named and not (name.strip() and rest.strip())):
        raise PriceFileError(
            argument or "(nothing)", 1, 1, "not a price file", "write SYMBOL=path, such as ETH=eth.csv"
        )
    if not named:
        return symbol_from_name(argument), Path(argument)
    symbol = name.strip().upper()
    if not SYMBOL.fullmatch(symbol):
        raise PriceFileError(
            argument, 1, 1, f"{shown(name)} is not a symbol", "use 2 to 12 letters and digits, as in ETH=path"
        )
    return symbol, Path(rest)


def symbol_from_name(path: str | Path) -> str:
    """The symbol that a file name starts with: ETH for `eth-usd-1h.csv`, `ETHUSDT-1h-2024.csv` and `eth.csv`."""
    first = re.split(r"[^A-Za-z0-9]", Path(path).name, maxsplit=1)[0].upper()
    base = next(
        (first.removesuffix(q) for q in QUOTES if first.endswith(q) and SYMBOL.fullmatch(first.removesuffix(q))), first
    )
    if not SYMBOL.fullmatch(base):
        fix = f"name it on the command line, as in ETH={path}"
        raise PriceFileError(str(path), 1, 1, "the file name does not start with a symbol", fix)
    return base


def read_prices(path: str | Path, symbol: str | None = None) -> PriceSeries:
    """Reads and checks a price file; without `symbol`, the file name tells it. Raises `PriceFileError`."""
    source = str(path)
    symbol = symbol_from_name(path) if symbol is None else symbol
    rows, read_time = table(source, text_of(source))
    bars: list[Bar] = []
    lines: list[int] = []
    for row in rows:
        time = read_time(row)
        bar = bar_of(row, time)
        if bars:
            check_follows(row, bars[-1], bar)
        bars.append(bar)
        lines.append(row.line)
    if len(bars) < 2:
        wrong = "one bar only, so nothing tells how long it lasts"
        raise PriceFileError(source, lines[0], 1, wrong, "give a file with at least two bars")
    steps = Counter(after.time - before.time for before, after in pairwise(bars))
    interval = min(steps, key=lambda step: (-steps[step], step))
    gaps = tuple(
        Gap(line, before.time + interval, after.time)
        for (before, after), line in zip(pairwise(bars), lines[1:], strict=True)
        if after.time - before.time > interval
    )
    return PriceSeries(symbol, source, tuple(bars), interval, gaps)


def gap_lines(series: PriceSeries) -> list[str]:
    """One line per gap, for people: `eth.csv:7: ETH has no prices from … to … (120 s), walked through as one move`."""
    return [
        f"{printable(series.source)}:{gap.line}: {series.symbol} has no prices from {utc(gap.start)} to {utc(gap.end)}"
        f" ({gap.end - gap.start} s), walked through as one move"
        for gap in series.gaps
    ]


def text_of(source: str) -> str:
    """The file as text, with `\\n` as the only line end and without blank lines at the end."""
    try:
        content = Path(source).read_bytes()
    except (OSError, ValueError) as error:
        if isinstance(error, FileNotFoundError):
            raise PriceFileError(source, 1, 1, "there is no such file", "check the path") from None
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise PriceFileError(source, 1, 1, f"cannot be read ({reason})", "give a readable CSV file") from None
    if content.startswith((b"PK\x03\x04", b"\x1f\x8b")):
        raise PriceFileError(source, 1, 1, "the file is compressed", "unpack it and give the CSV file in it")
    zero = content.find(b"\0")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        zero = min(zero, error.start) if zero >= 0 else error.start
        text = ""
    if zero >= 0:
        line = content.count(b"\n", 0, zero) + 1
        raise PriceFileError(source, line, 1, "the file is not UTF-8 text", "give a CSV file, saved as UTF-8")
    return text.replace("\r\n", "\n").replace("\r", "\n").rstrip()


def table(source: str, text: str) -> tuple[list[Row], Callable[[Row], int]]:
    """The rows without the header, and the function that reads the time of a row."""
    if not text:
        raise PriceFileError(source, 1, 1, "the file is empty", f"give bars under the header {','.join(HEADER)}")
    lines = [tuple(cell.strip() for cell in line.split(",")) for line in text.split("\n")]
    cells = [tuple(unquoted(cell) for cell in line) for line in lines]
    first = tuple(cell.lower() for cell in cells[0])
    kline = len(first) == KLINE_COLUMNS and (
        first[: len(KLINE_NAMES)] == KLINE_NAMES or bool(NUMBER.fullmatch(first[0]))
    )
    headed = not NUMBER.fullmatch(first[0])
    if not kline:
        check_header(Row(source, 1, cells[0]), first)
    if headed and len(cells) == 1:
        raise PriceFileError(source, 1, 1, "the file ends after its header", "add at least two bars")
    names, columns = (KLINE_NAMES, KLINE_COLUMNS) if kline else (HEADER, len(HEADER))
    rows = [Row(source, number, line, names) for number, line in enumerate(cells, start=1)][headed:]
    for row in rows:
        if row.cells == ("",):
            raise row.error(0, "the line is blank", "remove it")
        if len(row.cells) != columns:
            wrong = f"{len(row.cells)} columns instead of {columns}"
            raise row.error(
                min(len(row.cells), columns), wrong, "separate the columns by commas and give one bar per line"
            )
    return rows, kline_clock(rows[0]) if kline else plain_clock(rows[0])


def check_header(row: Row, names: tuple[str, ...]) -> None:
    wanted = ",".join(HEADER)
    fix = f"use the header {wanted}, or a Binance kline export of {KLINE_COLUMNS} columns"
    if NUMBER.fullmatch(names[0]):
        raise row.error(0, f"no header, and {len(names)} columns", fix)
    for column, (name, expected) in enumerate(zip(names, HEADER, strict=False)):
        if name != expected:
            raise row.error(column, f"column {shown(name)} where {expected} is expected", fix)
    if len(names) != len(HEADER):
        raise row.error(
            min(len(names), len(HEADER)), f"{len(names)} columns in the header instead of {len(HEADER)}", fix
        )


def bar_of(row: Row, time: int) -> Bar:
    """The row as a bar, after every check that needs no other row."""
    opened, high, low, close = (price(row, column) for column in range(1, 5))
    volume = number(row, 5)
    if volume < 0:
        raise row.error(5, f"volume {shown(row.cells[5])} is negative", "give the amount traded, 0 or more")
    if high < low:
        raise row.error(2, f"high {row.cells[2]} is below low {row.cells[3]}", "swap or correct them")
    for column, value in ((1, opened), (4, close)):
        if not low <= value <= high:
            wrong = f"{HEADER[column]} {row.cells[column]} is outside of low {row.cells[3]} to high {row.cells[2]}"
            raise row.error(column, wrong, "correct the bar")
    for column, value in ((2, high), (3, low)):
        check_change(row, column, opened, value, "from its open")
    return Bar(time, opened, high, low, close)


def check_follows(row: Row, before: Bar, bar: Bar) -> None:
    """Refuses a bar that is not after the one before it, more than a day later, or absurdly far from its close."""
    if bar.time == before.time:
        raise row.error(0, f"a second bar at {row.cells[0]} ({utc(bar.time)})", "keep one bar per time")
    if bar.time < before.time:
        raise row.error(0, f"{row.cells[0]} ({utc(bar.time)}) is earlier than the line above", "sort the file by time")
    if bar.time - before.time > MAX_GAP_SECONDS:
        wrong = f"no prices between {utc(before.time)} and {utc(bar.time)}, a gap of more than a day"
        raise row.error(0, wrong, "fill the gap, or replay the two parts as two files")
    check_change(row, 1, before.close, bar.open, "from the close above")


def check_change(row: Row, column: int, before: int, after: int, since: str) -> None:
    if abs(after - before) * 100 > before * MAX_CHANGE_PERCENT:
        wrong = f"{HEADER[column]} {row.cells[column]} is a change of more than {MAX_CHANGE_PERCENT} % {since}"
        raise row.error(column, wrong, "check the decimal point, or cut the file before this line")
