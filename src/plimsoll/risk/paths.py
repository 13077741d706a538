"""Paths of prices: what a price feed would publish while bars pass, and a made-up crash for those without a file.

A rising bar (close ≥ open) is walked open → low → high → close, a falling one open → high → low → close. Between these
points a feed with a deviation threshold publishes every time the price has moved by the threshold, so every move is at
most the threshold, except the one move over a gap in the file. All prices are WAD integers, all times unix seconds.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import overload

from plimsoll.errors import PlimsollError
from plimsoll.risk.prices import WAD, Bar, PriceSeries, utc

__all__ = ["PathError", "Tick", "Walk", "synthetic_crash", "walk"]

BPS = 10_000
DEFAULT_THRESHOLD_BPS = 50
DEFAULT_HEARTBEAT = 3_600

CRASH_BARS = 80
CRASH_INTERVAL = 300
CRASH_START = 1_704_067_200  # 2024-01-01
CRASH_BASES = {"ETH": (3_000 * WAD, 1_000_000), "BTC": (60_000 * WAD, 850_000), "SOL": (150 * WAD, 1_150_000)}
OTHER_BASE = (100 * WAD, 1_000_000)
PRICE_STEP = WAD // 10_000
PPM = 1_000_000
# (bar, level in parts per million of the first price, size of a bar's random move in ppm up to the next line)
CRASH = (
    (0, 1_000_000, 500),  # calm
    (16, 1_006_000, 1_500),  # the slide begins
    (26, 925_000, 2_000),  # false relief
    (30, 955_000, 3_500),  # first cascade
    (38, 750_000, 3_000),  # bounce
    (43, 820_000, 2_000),  # nerves
    (49, 775_000, 5_000),  # second cascade
    (56, 555_000, 4_500),  # rebound from the low
    (60, 670_000, 2_500),  # second test
    (67, 625_000, 2_500),  # partial recovery
    (CRASH_BARS, 735_000, 2_000),
)
SAME_PERIOD = "give files of the same period"


class PathError(PlimsollError):
    """The series or the settings make no path."""


@dataclass(frozen=True, slots=True)
class Tick:
    """What the feeds publish at `time`: the new price (WAD) of every symbol in `prices`; the others keep theirs."""

    time: int
    prices: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Walk(Sequence[Tick]):
    """The ticks of all symbols in order of time; the first tick names every symbol.

    `late_seconds` is how far the busiest symbol fell behind its file: a bar with more moves than seconds publishes once
    a second, runs over its end, and later bars catch up.
    """

    ticks: tuple[Tick, ...]
    symbols: tuple[str, ...]
    late_seconds: int

    @overload
    def __getitem__(self, index: int) -> Tick: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Tick, ...]: ...
    def __getitem__(self, index: int | slice) -> Tick | tuple[Tick, ...]:
        return self.ticks[index]

    def __len__(self) -> int:
        return len(self.ticks)

    def __iter__(self) -> Iterator[Tick]:
        return iter(self.ticks)


def walk(
    series_list: Sequence[PriceSeries],
    *,
    threshold_bps: int = DEFAULT_THRESHOLD_BPS,
    gaps: bool = False,
    heartbeat: int = DEFAULT_HEARTBEAT,
) -> Walk:
    """Merges several symbols on one time line, over the time that all of them have bars for.

    `gaps` jumps from point to point of a bar instead of stepping by the threshold. A price that does not move is
    published at the start of each bar and at least every `heartbeat` seconds. Raises `PathError`.
    """
    if not 1 <= threshold_bps <= BPS:
        raise PathError(f"a threshold of {threshold_bps} bp is not possible; give 1 to {BPS} basis points")
    if heartbeat < 1:
        raise PathError(f"a heartbeat of {heartbeat} s is not possible; give at least 1 second")
    start, end = common_time(series_list)
    merged: dict[int, dict[str, int]] = {}
    late = 0
    for series in series_list:
        bars = [bar for bar in series.bars if start <= bar.time and bar.time + series.interval <= end]
        if not bars:
            raise PathError(f"{span(series)} has no whole bar between {utc(start)} and {utc(end)}; {SAME_PERIOD}")
        points, behind = walk_bars(bars, series.interval, None if gaps else threshold_bps)
        late = max(late, behind)
        if points[0][0] > start:
            points.insert(0, (start, points[0][1]))
        for time, price in with_heartbeat(points, heartbeat, end):
            merged.setdefault(time, {})[series.symbol] = price
    ticks = tuple(Tick(time, merged[time]) for time in sorted(merged))
    return Walk(ticks, tuple(series.symbol for series in series_list), late)


def common_time(series_list: Sequence[PriceSeries]) -> tuple[int, int]:
    """Start and end (unix seconds) of the time that every series covers."""
    if not series_list:
        raise PathError("there are no prices to walk; give at least one price file")
    symbols = [series.symbol for series in series_list]
    twice = sorted({symbol for symbol in symbols if symbols.count(symbol) > 1})
    if twice:
        raise PathError(f"prices of {', '.join(twice)} are given twice; give one file per symbol")
    latest = max(series_list, key=lambda series: series.bars[0].time)
    earliest = min(series_list, key=ends)
    start, end = latest.bars[0].time, ends(earliest)
    if start >= end:
        raise PathError(f"{span(earliest)} and {span(latest)} have no time in common; {SAME_PERIOD}")
    return start, end


def ends(series: PriceSeries) -> int:
    return series.bars[-1].time + series.interval


def span(series: PriceSeries) -> str:
    return f"{series.symbol} ({series.source}: {utc(series.bars[0].time)} to {utc(ends(series))})"


def walk_bars(bars: Sequence[Bar], interval: int, threshold_bps: int | None) -> tuple[list[tuple[int, int]], int]:
    """The (time, price) that a feed publishes over the bars of one symbol, and the seconds it fell behind at worst.

    Times strictly increase. The moves of a bar are spread evenly over it, the first at its start.
    """
    points: list[tuple[int, int]] = []
    late = 0
    for previous, bar, after in zip([None, *bars], bars, [*bars[1:], None], strict=False):
        begin = bar.time
        end = begin + interval if after is None else min(begin + interval, after.time)
        if previous is None or bar.time > previous.time + interval:
            prices = [bar.open]
        else:
            prices = moves(previous.close, bar.open, threshold_bps) or [bar.open]
        if points:
            begin = max(begin, points[-1][0] + 1)
        turns = (bar.low, bar.high) if bar.close >= bar.open else (bar.high, bar.low)
        for start, target in pairwise((bar.open, *turns, bar.close)):
            prices += moves(start, target, threshold_bps)
        room = max(end - begin, len(prices))
        points += [(begin + index * room // len(prices), price) for index, price in enumerate(prices)]
        late = max(late, points[-1][0] + 1 - end)
    return points, late


def moves(price: int, target: int, threshold_bps: int | None) -> list[int]:
    """The prices published on the way from `price` to `target`: none if equal; the last one is `target` exactly.

    Each is at most `threshold_bps` of the one before it away from it, rounded down but at least one wei.
    """
    published = []
    while threshold_bps is not None and (step := max(price * threshold_bps // BPS, 1)) < abs(target - price):
        price += step if target > price else -step
        published.append(price)
    return [*published, target] if price != target else published


def with_heartbeat(points: Sequence[tuple[int, int]], heartbeat: int, end: int) -> Iterator[tuple[int, int]]:
    """The points, with the last price repeated whenever `heartbeat` seconds pass without another, up to `end`."""
    for (time, price), (following, _) in pairwise([*points, (end, 0)]):
        yield time, price
        for beat in range(time + heartbeat, following, heartbeat):
            yield beat, price


def synthetic_crash(seed: int, symbols: Sequence[str] = ("ETH", "BTC", "SOL")) -> list[PriceSeries]:
    """A made-up crash of some seven hours in 5-minute bars: calm, two cascades to about −45 %, half a recovery.

    The symbols move together, BTC less and SOL more than ETH. The same seed gives the same integers on every machine,
    and a symbol's path does not depend on which others are asked for.
    """
    shared = random.Random(f"plimsoll crash {seed}")
    line = crash_line(shared)
    common = noise(shared, [size for _, size in line])
    return [crash_of(symbol, seed, line, common) for symbol in symbols]


def crash_line(source: random.Random) -> list[tuple[int, int]]:
    """(level, size of the random move) in ppm at the end of every bar: straight lines between jittered turns."""
    turns = [CRASH[0]]
    for bar, level, size in CRASH[1:-1]:
        turns.append((bar + below(source, 3) - 1, level + below(source, 20_001) - 10_000, size))
    turns.append(CRASH[-1])
    line = []
    for (bar, level, size), (next_bar, next_level, _) in pairwise(turns):
        for index in range(bar + 1, next_bar + 1):
            line.append((level + (next_level - level) * (index - bar) // (next_bar - bar), size))
    return line


def crash_of(symbol: str, seed: int, line: Sequence[tuple[int, int]], common: Sequence[int]) -> PriceSeries:
    own_source = random.Random(f"plimsoll crash {seed} {symbol}")
    first, beta = CRASH_BASES.get(symbol, OTHER_BASE)
    own = noise(own_source, [size // 2 for _, size in line])
    bars = []
    last = first
    for index, (level, size) in enumerate(line):
        ppm = PPM - (PPM - level) * beta // PPM + (common[index] * beta // PPM + own[index]) * level // PPM
        close = first * ppm // PPM // PRICE_STEP * PRICE_STEP
        high = max(last, close) * (PPM + below(own_source, size + 1)) // PPM // PRICE_STEP * PRICE_STEP
        low = min(last, close) * (PPM - below(own_source, size + 1)) // PPM // PRICE_STEP * PRICE_STEP
        bars.append(Bar(CRASH_START + index * CRASH_INTERVAL, last, high, low, close))
        last = close
    return PriceSeries(symbol, f"synthetic crash, seed {seed}", tuple(bars), CRASH_INTERVAL)


def noise(source: random.Random, sizes: Sequence[int]) -> list[int]:
    """Random moves of the given sizes (ppm, standard deviations) that fade by a third each bar, summed up."""
    values = []
    value = 0
    for size in sizes:
        normal = sum(source.getrandbits(16) for _ in range(12)) - 6 * 0xFFFF
        value = value * 2 // 3 + normal * size // 0xFFFF
        values.append(value)
    return values


def below(source: random.Random, bound: int) -> int:
    """A random integer from 0 to bound − 1, from raw bits only, so that every Python gives the same."""
    return source.getrandbits(48) % bound
