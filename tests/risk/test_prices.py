"""Price files are read to the last digit, and what cannot be right is refused in one line that says where."""

from __future__ import annotations

from decimal import Decimal, localcontext
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.errors import PlimsollError
from plimsoll.risk.prices import (
    WAD,
    Bar,
    Gap,
    PriceFileError,
    gap_lines,
    parse_price_argument,
    read_price_files,
    read_prices,
    symbol_from_name,
)

HEADER = "timestamp,open,high,low,close,volume\n"
T = 1_583_884_800
FIRST = f"{T},200.16,202.53,200.03,202.17,1034.60244\n"
SECOND = f"{T + 3600},202.57,203.08,201.36,202.22,1046.5\n"
GOOD = HEADER + FIRST + SECOND
TAIL = ",8000.5,1583888399999,1600000.25,1234,4000,800000,0\n"


def write(folder: Path, content: str | bytes, name: str = "eth.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def kline(time: int, prices: str = "7881.02,7952.34,7863,7941.14") -> str:
    return f"{time},{prices}{TAIL}"


def test_bars_are_exact_integers(tmp_path: Path) -> None:
    series = read_prices(write(tmp_path, GOOD))
    assert series.symbol == "ETH"
    assert series.source == str(tmp_path / "eth.csv")
    assert (series.interval, series.gaps) == (3600, ())
    cent = WAD // 100
    assert series.bars == (
        Bar(T, 20016 * cent, 20253 * cent, 20003 * cent, 20217 * cent),
        Bar(T + 3600, 20257 * cent, 20308 * cent, 20136 * cent, 20222 * cent),
    )


@given(st.integers(1, 10**30))
def test_every_price_of_18_decimals_is_read_back(tmp_path_factory: pytest.TempPathFactory, wad: int) -> None:
    with localcontext(prec=60):
        text = f"{Decimal(wad) / WAD:f}"
    row = f",{text},{text},{text},{text},0\n"
    path = write(tmp_path_factory.getbasetemp(), f"{HEADER}{T}{row}{T + 60}{row}")
    assert [bar.close for bar in read_prices(path).bars] == [wad, wad]


@pytest.mark.parametrize(
    "content",
    [
        "\ufeff" + GOOD,
        GOOD.replace("\n", "\r\n"),
        GOOD.replace("\n", "\r"),
        GOOD + "\n \n\n",
        GOOD.rstrip("\n"),
        GOOD.replace(",", " , "),
        GOOD.replace("timestamp,open", '"Timestamp","Open"'),
        GOOD.replace("200.16", '"200.160"'),
        GOOD.replace("200.16", "2.0016e2"),
        GOOD.replace(str(T), f"{T}.0"),
        GOOD.replace(str(T), "2020-03-11T00:00:00Z").replace(str(T + 3600), "2020-03-11 01:00:00"),
        GOOD.replace(str(T), "2020-03-11T01:00:00+01:00").replace(str(T + 3600), "2020-03-11 01:00"),
    ],
    ids=[
        "bom",
        "crlf",
        "cr",
        "blank end",
        "no end",
        "spaces",
        "quoted names",
        "quoted",
        "exponent",
        "point",
        "iso",
        "zone",
    ],
)
def test_harmless_variants_read_the_same(tmp_path: Path, content: str) -> None:
    expected = read_prices(write(tmp_path, GOOD))
    assert read_prices(write(tmp_path, content)) == expected


@pytest.mark.parametrize("unit", [1_000, 1_000_000])
@pytest.mark.parametrize("header", ["", "open_time,open,high,low,close,volume,close_time,a,b,c,d,ignore\n"])
def test_binance_exports_are_read(tmp_path: Path, unit: int, header: str) -> None:
    content = header + kline(T * unit) + kline((T + 60) * unit)
    series = read_prices(write(tmp_path, content, "BTCUSDT-1m-2020-03.csv"))
    assert series.symbol == "BTC"
    assert [bar.time for bar in series.bars] == [T, T + 60]
    assert series.bars[0].open == 788102 * WAD // 100


@pytest.mark.parametrize(
    ("content", "line", "column", "text"),
    [
        ("", 1, 1, "the file is empty"),
        ("\ufeff\r\n  \n", 1, 1, "the file is empty"),
        (HEADER, 1, 1, "ends after its header"),
        (HEADER + FIRST, 2, 1, "one bar only"),
        (b"PK\x03\x04abc", 1, 1, "compressed"),
        (b"\x1f\x8babc", 1, 1, "compressed"),
        (GOOD.encode() + b"\xff\xfe", 4, 1, "not UTF-8 text"),
        (GOOD.encode("utf-16"), 1, 1, "not UTF-8 text"),
        (GOOD.replace("timestamp", "date"), 1, 1, '"date" where timestamp is expected'),
        (GOOD.replace("high,low", "low,high"), 1, 3, '"low" where high is expected'),
        (GOOD.replace(",volume", ""), 1, 6, "5 columns in the header"),
        (GOOD.replace(",volume", ",volume,more"), 1, 7, "7 columns in the header"),
        (FIRST + SECOND, 1, 1, "no header, and 6 columns"),
        (GOOD.replace(",", ";"), 1, 1, "where timestamp is expected"),
        (HEADER + "\n" + FIRST + SECOND, 2, 1, "the line is blank"),
        (GOOD.replace(",1046.5", ""), 3, 6, "5 columns instead of 6"),
        (GOOD.replace("1046.5", "1046.5,7"), 3, 7, "7 columns instead of 6"),
        (GOOD.replace("200.16", "abc"), 2, 2, 'open "abc" is not a number'),
        (GOOD.replace("200.16", ""), 2, 2, "open is empty"),
        (GOOD.replace("200.16", "2_00.16"), 2, 2, "is not a number"),
        (GOOD.replace("200.16", "٢٠٠"), 2, 2, "is not a number"),
        (GOOD.replace("200.16", "2" * 5_000), 2, 2, "is not a number"),
        (GOOD.replace("203.08", "NaN"), 3, 3, "is not a finite number"),
        (GOOD.replace("201.36", "-inf"), 3, 4, "is not a finite number"),
        (GOOD.replace("201.36", "-201.36"), 3, 4, "is not above 0"),
        (GOOD.replace("202.22", "0.00"), 3, 5, "is not above 0"),
        (GOOD.replace("202.22", "1e9999"), 3, 5, "is above 1e12"),
        (GOOD.replace("202.22", "1e-9999"), 3, 5, "more than 18 decimals"),
        (GOOD.replace("202.22", "202.0000000000000000001"), 3, 5, "more than 18 decimals"),
        (GOOD.replace("1046.5", "x"), 3, 6, 'volume "x" is not a number'),
        (GOOD.replace("1046.5", "-1"), 3, 6, "is negative"),
        (GOOD.replace("203.08", "201.35"), 3, 3, "high 201.35 is below low 201.36"),
        (GOOD.replace("202.57", "203.09"), 3, 2, "open 203.09 is outside of low 201.36 to high 203.08"),
        (GOOD.replace("202.22", "201.35"), 3, 5, "close 201.35 is outside"),
        (HEADER + SECOND + FIRST, 3, 1, "is earlier than the line above"),
        (HEADER + FIRST + FIRST, 3, 1, "a second bar at"),
        (GOOD.replace("200.03", "20.01"), 2, 4, "low 20.01 is a change of more than 90 % from its open"),
        (GOOD.replace("203.08", "384.90"), 3, 3, "high 384.90 is a change of more than 90 % from its open"),
        (HEADER + FIRST + f"{T + 3600},20,20,20,20,1\n", 3, 2, "more than 90 % from the close above"),
        (GOOD.replace(str(T), "1230767999"), 2, 1, "no time between 2009 and 2100"),
        (GOOD.replace(str(T), "4102444800"), 2, 1, "no time between 2009 and 2100"),
        (GOOD.replace(str(T + 3600), f"{T + 3600}000"), 3, 1, "divide it down to whole unix seconds"),
        (GOOD.replace(str(T + 3600), f"{T + 3600}.5"), 3, 1, "is not a whole number"),
        (GOOD.replace(str(T), "yesterday"), 2, 1, '"yesterday" is not a time'),
        (GOOD.replace(str(T), ""), 2, 1, "the time is empty"),
        (GOOD.replace(str(T), "0001-01-01T00:00:00+23:59"), 2, 1, "no time between 2009 and 2100"),
        (GOOD.replace(str(T), "2020-03-11T00:00:00.5"), 2, 1, "is not a whole second"),
        (GOOD.replace(str(T + 3600), "2020-03-11T01:00:00"), 3, 1, "another kind of time"),
        (GOOD.replace(str(T), "2020-03-11T00:00:00"), 3, 1, "another kind of time"),
        (HEADER + FIRST + SECOND.replace(str(T + 3600), str(T + 86_401)), 3, 1, "a gap of more than a day"),
        (kline(T * 1000) + kline((T + 60) * 10**6), 2, 1, "in another unit"),
        (kline(T), 1, 1, "no time between 2009 and 2100"),
        (kline(T * 1000) + kline(T * 1000 + 60_001), 2, 1, "is not a whole second"),
        (kline(T * 1000) + kline(T * 1000 + 60_000, "1,2,x,1"), 2, 4, 'low "x" is not a number'),
        (kline(T * 1000) + FIRST, 2, 7, "6 columns instead of 12"),
    ],
)  # fmt: skip
def test_what_cannot_be_right_is_refused_where_it_is(
    tmp_path: Path, content: str | bytes, line: int, column: int, text: str
) -> None:
    path = write(tmp_path, content)
    with pytest.raises(PriceFileError) as caught:
        read_prices(path)
    message = str(caught.value)
    assert message.startswith(f"{path}:{line}:{column}: ")
    assert text in message
    assert "; " in message
    assert message.isprintable()
    assert len(message) < len(str(path)) + 220
    assert (caught.value.line, caught.value.column) == (line, column)
    assert isinstance(caught.value, PlimsollError)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PriceFileError, match=r"eth\.csv:1:1: there is no such file; check the path"):
        read_prices(tmp_path / "eth.csv")
    with pytest.raises(PriceFileError, match=r":1:1: cannot be read \(Is a directory\); "):
        read_prices(tmp_path, "ETH")


def test_strange_names_stay_on_one_line(tmp_path: Path) -> None:
    with pytest.raises(PriceFileError) as caught:
        read_prices(tmp_path / "eth\n\x1b[2J.csv", "ETH")
    assert str(caught.value).isprintable()


def test_a_change_of_exactly_90_percent_is_accepted(tmp_path: Path) -> None:
    rows = f"{T},100,100,10,10,1\n{T + 60},19,19,19,19,1\n"
    assert len(read_prices(write(tmp_path, HEADER + rows)).bars) == 2


def test_gaps_are_reported_with_their_line(tmp_path: Path) -> None:
    times = [T, T + 60, T + 120, T + 300, T + 300 + 86_400]
    path = write(tmp_path, HEADER + "".join(f"{time},5,5,5,5,0\n" for time in times))
    series = read_prices(path)
    assert series.interval == 60
    assert series.gaps == (Gap(5, T + 180, T + 300), Gap(6, T + 360, T + 86_700))
    assert gap_lines(series)[0] == (
        f"{path}:5: ETH has no prices from 2020-03-11 00:03:00 to 2020-03-11 00:05:00 (120 s),"
        " walked through as one move"
    )


def test_a_gap_of_a_day_between_two_bars_is_the_longest(tmp_path: Path) -> None:
    rows = [f"{T + offset},5,5,5,5,0\n" for offset in (0, 60, 86_460)]
    assert len(read_prices(write(tmp_path, HEADER + "".join(rows))).gaps) == 1
    with pytest.raises(PriceFileError, match=r":4:1: .* a gap of more than a day; "):
        read_prices(write(tmp_path, HEADER + "".join(rows).replace(str(T + 86_460), str(T + 86_461))))


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("eth-usd-1h-2020-03.csv", "ETH"),
        ("data/ETHUSDT-1h-2024.csv", "ETH"),
        ("btc.csv", "BTC"),
        ("BTCFDUSD_1m.csv", "BTC"),
        ("SOLUSD.csv", "SOL"),
        ("1INCHUSDT-1d.csv", "1INCH"),
        ("usdt-usd.csv", "USDT"),
    ],
)
def test_the_file_name_tells_the_symbol(name: str, symbol: str) -> None:
    assert symbol_from_name(name) == symbol
    path = Path(name)
    assert parse_price_argument(name) == (symbol, path)
    assert parse_price_argument(f"doge={name}") == ("DOGE", path)


@pytest.mark.parametrize("name", ["2024-eth.csv", "-.csv", "ä.csv", "averyveryverylongname.csv"])
def test_a_name_without_a_symbol_asks_for_one(name: str) -> None:
    with pytest.raises(PriceFileError, match=r":1:1: the file name does not start with a symbol; .*ETH="):
        parse_price_argument(name)


@pytest.mark.parametrize("argument", ["", " ", "=eth.csv", "ETH=", "E TH=eth.csv", "42=eth.csv"])
def test_a_wrong_argument_is_explained(argument: str) -> None:
    with pytest.raises(PriceFileError, match="ETH="):
        parse_price_argument(argument)


def test_an_equals_sign_inside_a_folder_is_no_symbol() -> None:
    assert parse_price_argument("runs/seed=1/eth.csv") == ("ETH", Path("runs/seed=1/eth.csv"))


def test_one_symbol_may_be_given_once(tmp_path: Path) -> None:
    first, second = write(tmp_path, GOOD, "eth-a.csv"), write(tmp_path, GOOD, "btc.csv")
    assert [series.symbol for series in read_price_files([str(first), str(second)])] == ["ETH", "BTC"]
    with pytest.raises(PriceFileError) as caught:
        read_price_files([str(first), f"eth={second}"])
    assert str(caught.value).startswith(f"{second}:1:1: prices of ETH are given twice, first by {first}; ")
