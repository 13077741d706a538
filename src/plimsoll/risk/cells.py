"""Cells of a price file: numbers, prices and times read exactly, and the error that names a cell."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from plimsoll.errors import PlimsollError

__all__ = [
    "HEADER",
    "NUMBER",
    "WAD",
    "PriceFileError",
    "Row",
    "kline_clock",
    "number",
    "plain_clock",
    "price",
    "printable",
    "shown",
    "unquoted",
    "utc",
]

WAD = 10**18
MAX_PRICE_UNITS = 10**12
EARLIEST_TIME = 1_230_768_000  # 2009-01-01, before the first exchange of a coin
LATEST_TIME = 4_102_444_800  # 2100-01-01
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

HEADER = ("timestamp", "open", "high", "low", "close", "volume")
NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
NOT_FINITE = re.compile(r"[+-]?(?:nan|inf|infinity)", re.IGNORECASE)
LONGEST_NUMBER = 64


class PriceFileError(PlimsollError):
    """A price file cannot be used. The message is one line: `file:line:column: what is wrong; what to do`.

    Lines and columns count from 1; a column is a field between commas, as a spreadsheet counts them.
    """

    def __init__(self, source: str, line: int, column: int, wrong: str, fix: str) -> None:
        self.source = printable(source)
        self.line = line
        self.column = column
        super().__init__(f"{self.source}:{line}:{column}: {wrong}; {fix}")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the file, cut into cells; `error` makes the error that names it."""

    source: str
    line: int
    cells: tuple[str, ...]
    names: tuple[str, ...] = HEADER

    def error(self, column: int, wrong: str, fix: str) -> PriceFileError:
        return PriceFileError(self.source, self.line, column + 1, wrong, fix)


def utc(time: int) -> str:
    """Unix seconds as `2020-03-12 10:45:00` in UTC."""
    return (EPOCH + timedelta(seconds=time)).strftime("%Y-%m-%d %H:%M:%S")


def plain_clock(first: Row) -> Callable[[Row], int]:
    """Reads `timestamp`: whole unix seconds or ISO 8601, whichever the first row has."""
    iso = not NUMBER.fullmatch(first.cells[0])

    def read(row: Row) -> int:
        text = row.cells[0]
        numeric = bool(NUMBER.fullmatch(text))
        moment = None if numeric else moment_of(row, text)
        if numeric is iso:
            wrong = f"{shown(text)} is another kind of time than in the lines above"
            raise row.error(0, wrong, "use either unix seconds or dates in the whole file")
        if moment is None:
            return plausible_time(row, whole(row))
        seconds, rest = divmod(moment - EPOCH, timedelta(seconds=1))
        if rest:
            raise row.error(0, f"{shown(text)} is not a whole second", "round the time to whole seconds")
        return plausible_time(row, seconds)

    return read


def moment_of(row: Row, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        wrong = f"{shown(text)} is not a time" if text else "the time is empty"
        raise row.error(0, wrong, "use whole unix seconds, or dates such as 2020-03-12T10:45:00Z") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def kline_clock(first: Row) -> Callable[[Row], int]:
    """Reads `open_time`: milliseconds or microseconds, whichever the first row has."""
    unit = kline_unit(first)

    def read(row: Row) -> int:
        if kline_unit(row) != unit:
            wrong = f"{shown(row.cells[0])} is in another unit than the times above"
            raise row.error(0, wrong, "use milliseconds or microseconds in the whole file, not both")
        seconds, rest = divmod(whole(row), unit)
        if rest:
            raise row.error(0, f"{shown(row.cells[0])} is not a whole second", "give bars that start at whole seconds")
        return plausible_time(row, seconds)

    return read


def kline_unit(row: Row) -> int:
    """Ticks per second of the row's open time, told by its size: the years 2009 to 2100 do not overlap."""
    value = whole(row)
    for unit in (1_000, 1_000_000):
        if EARLIEST_TIME * unit <= value < LATEST_TIME * unit:
            return unit
    fix = "give the time since 1970 in milliseconds (or microseconds), as Binance exports it"
    raise row.error(0, f"{shown(row.cells[0])} is no time between 2009 and 2100", fix)


def plausible_time(row: Row, seconds: int) -> int:
    if EARLIEST_TIME <= seconds < LATEST_TIME:
        return seconds
    small = any(EARLIEST_TIME <= seconds // unit < LATEST_TIME for unit in (10**3, 10**6, 10**9))
    fix = "divide it down to whole unix seconds" if small else "give the time in unix seconds (UTC)"
    raise row.error(0, f"{shown(row.cells[0])} is no time between 2009 and 2100", fix)


def whole(row: Row) -> int:
    value = number(row, 0)
    if value != value.to_integral_value():
        raise row.error(0, f"{shown(row.cells[0])} is not a whole number", "give the time as a whole number")
    return int(value)


def price(row: Row, column: int) -> int:
    """The cell as a WAD integer, exactly."""
    text, name = row.cells[column], HEADER[column]
    value = number(row, column)
    if value <= 0:
        raise row.error(column, f"{name} {shown(text)} is not above 0", "give a positive price")
    if value > MAX_PRICE_UNITS:
        raise row.error(column, f"{name} {shown(text)} is above 1e12", "check the decimal point")
    numerator, denominator = value.as_integer_ratio()
    wad, rest = divmod(numerator * WAD, denominator)
    if rest:
        raise row.error(column, f"{name} {shown(text)} has more than 18 decimals", "round it")
    return wad


def number(row: Row, column: int) -> Decimal:
    """The cell as an exact decimal number."""
    text, name = row.cells[column], row.names[column]
    if NUMBER.fullmatch(text) and len(text) <= LONGEST_NUMBER:
        return Decimal(text)
    fix = "give a decimal number with a point, such as 200.16"
    if NOT_FINITE.fullmatch(text):
        raise row.error(column, f"{name} {shown(text)} is not a finite number", fix)
    raise row.error(column, f"{name} is empty" if not text else f"{name} {shown(text)} is not a number", fix)


def unquoted(cell: str) -> str:
    return cell[1:-1].strip() if len(cell) >= 2 and cell[0] == cell[-1] == '"' else cell


def shown(text: str) -> str:
    """A cell as it appears in a message: on one line, quoted, and cut when it is long."""
    text = printable(text)
    return f'"{text[:24]}…"' if len(text) > 25 else f'"{text}"'


def printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)
