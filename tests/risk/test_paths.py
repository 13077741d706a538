"""What the feeds publish: the bars' own points in the right order, small moves, and times that only go forward."""

from __future__ import annotations

import hashlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.risk.paths import PathError, Walk, moves, synthetic_crash, walk
from plimsoll.risk.prices import MAX_GAP_SECONDS, WAD, Bar, Gap, PriceSeries

T = 1_583_884_800
HOUR = 3_600


def bar(time: int, *prices: int) -> Bar:
    opened, high, low, close = prices
    return Bar(time, opened * WAD, high * WAD, low * WAD, close * WAD)


def series(symbol: str, *bars: Bar, interval: int = HOUR, gaps: tuple[Gap, ...] = ()) -> PriceSeries:
    return PriceSeries(symbol, f"{symbol.lower()}.csv", bars, interval, gaps)


def published(path: Walk, symbol: str) -> list[tuple[int, int]]:
    return [(tick.time, tick.prices[symbol]) for tick in path if symbol in tick.prices]


def prices_of(path: Walk, symbol: str) -> list[int]:
    return [price for _, price in published(path, symbol)]


@st.composite
def histories(draw: st.DrawFn) -> PriceSeries:
    """Connected or jumping bars of some length, with missing bars now and then."""
    interval = draw(st.sampled_from([1, 60, 300, HOUR]))
    time, last = T, draw(st.integers(10**12, 10**24))
    bars = []
    for _ in range(draw(st.integers(1, 6))):
        points = [last * draw(st.integers(800, 1_200)) // 1_000 for _ in range(4)]
        bars.append(Bar(time, points[0], max(points), min(points), points[1]))
        last = points[1]
        time += interval * draw(st.sampled_from([1, 1, 1, 3]))
    return PriceSeries("ETH", "eth.csv", tuple(bars), interval)


def turning_points(one: Bar) -> list[int]:
    if one.close >= one.open:
        return [one.open, one.low, one.high, one.close]
    return [one.open, one.high, one.low, one.close]


def test_a_rising_bar_visits_its_low_first() -> None:
    path = walk([series("ETH", bar(T, 100, 110, 90, 105))], gaps=True)
    assert published(path, "ETH") == [
        (T, 100 * WAD), (T + 900, 90 * WAD), (T + 1800, 110 * WAD), (T + 2700, 105 * WAD),
    ]  # fmt: skip


def test_a_falling_bar_visits_its_high_first() -> None:
    path = walk([series("ETH", bar(T, 105, 110, 90, 100))], gaps=True)
    assert prices_of(path, "ETH") == [105 * WAD, 110 * WAD, 90 * WAD, 100 * WAD]


def test_a_bar_that_ends_where_it_began_counts_as_rising() -> None:
    path = walk([series("ETH", bar(T, 100, 110, 90, 100))], gaps=True)
    assert prices_of(path, "ETH") == [100 * WAD, 90 * WAD, 110 * WAD, 100 * WAD]


def test_moves_stop_at_the_threshold_and_end_on_the_target() -> None:
    assert moves(1_000_000, 1_011_000, 50) == [1_005_000, 1_010_025, 1_011_000]
    assert moves(1_000_000, 989_000, 50) == [995_000, 990_025, 989_000]
    assert moves(1_000_000, 1_005_000, 50) == [1_005_000]
    assert moves(1_000_000, 1_000_000, 50) == []
    assert moves(1_000_000, 2_000_000, None) == [2_000_000]
    assert moves(3, 5, 50) == [4, 5]


@given(histories(), st.integers(20, 500))
def test_every_published_price_is_near_the_one_before(history: PriceSeries, threshold: int) -> None:
    path = published(walk([history], threshold_bps=threshold, heartbeat=10**9), "ETH")
    after_gap = {
        now.time for before, now in pairwise(history.bars) if now.time - before.time > history.interval
    }  # fmt: skip
    jumps = 0
    for (_, before), (time, after) in pairwise(path):
        if abs(after - before) * 10_000 > before * threshold:
            jumps += 1
            assert any(time >= start for start in after_gap)
    assert jumps <= len(after_gap)


@given(histories(), st.booleans())
def test_every_point_of_every_bar_is_published_in_order(history: PriceSeries, gaps: bool) -> None:
    path = prices_of(walk([history], gaps=gaps, threshold_bps=100), "ETH")
    position = 0
    for one in history.bars:
        for point in turning_points(one):
            position = path.index(point, position)
    assert path[-1] == history.bars[-1].close
    assert path[0] == history.bars[0].open


@given(histories(), histories(), st.booleans(), st.integers(1, 5_000))
def test_time_only_goes_forward(first: PriceSeries, second: PriceSeries, gaps: bool, heartbeat: int) -> None:
    other = PriceSeries("BTC", "btc.csv", second.bars, second.interval)
    try:
        path = walk([first, other], gaps=gaps, threshold_bps=200, heartbeat=heartbeat)
    except PathError as error:
        assert "no whole bar between" in str(error)  # noqa: PT017  # the only refusal that these histories can meet
        return
    assert path[0].prices.keys() == {"ETH", "BTC"}
    assert all(before.time < after.time for before, after in pairwise(path))
    assert all(tick.prices for tick in path)
    for symbol in path.symbols:
        times = [time for time, _ in published(path, symbol)]
        assert all(after - before <= heartbeat for before, after in pairwise(times))


def test_a_jump_between_two_bars_is_split_but_one_over_a_gap_is_not() -> None:
    close = series("ETH", bar(T, 100, 100, 100, 100), bar(T + HOUR, 104, 104, 104, 104))
    assert len(prices_of(walk([close], threshold_bps=100), "ETH")) == 1 + 4
    apart = series("ETH", bar(T, 100, 100, 100, 100), bar(T + 3 * HOUR, 104, 104, 104, 104))
    path = published(walk([apart], threshold_bps=100), "ETH")
    assert path == [(T, 100 * WAD), (T + HOUR, 100 * WAD), (T + 2 * HOUR, 100 * WAD), (T + 3 * HOUR, 104 * WAD)]


def test_a_quiet_feed_still_publishes_each_bar_and_each_heartbeat() -> None:
    flat = series("ETH", bar(T, 5, 5, 5, 5), bar(T + HOUR, 5, 5, 5, 5))
    assert published(walk([flat], heartbeat=10**6), "ETH") == [(T, 5 * WAD), (T + HOUR, 5 * WAD)]
    beats = [time - T for time, _ in published(walk([flat], heartbeat=1_500), "ETH")]
    assert beats == [0, 1_500, 3_000, 3_600, 5_100, 6_600]


def test_moves_are_spread_evenly_over_the_bar() -> None:
    path = walk([series("ETH", bar(T, 100, 120, 80, 110))])
    times = [tick.time for tick in path]
    steps = [after - before for before, after in pairwise(times)]
    assert times[0] == T
    assert T + HOUR - 2 * max(steps) < times[-1] < T + HOUR
    assert max(steps) - min(steps) <= 1
    assert path.late_seconds == 0


def test_more_moves_than_seconds_run_late_and_catch_up() -> None:
    wild = bar(T, 100, 150, 60, 120)
    calm = [bar(T + 60 * index, 120, 120, 120, 120) for index in range(1, 10)]
    history = series("ETH", wild, *calm, interval=60)
    path = walk([history])
    in_wild_bar = prices_of(path, "ETH").index(120 * WAD, prices_of(path, "ETH").index(150 * WAD)) + 1
    assert path.late_seconds == in_wild_bar - 60 > 0
    assert [tick.time - T for tick in path[:in_wild_bar]] == list(range(in_wild_bar))
    assert path[-1].time == T + 540


def test_several_symbols_share_one_line_of_time() -> None:
    eth = series("ETH", *(bar(T + HOUR * index, 10 + index, 10 + index, 10 + index, 10 + index) for index in range(4)))
    btc = series("BTC", bar(T + HOUR, 70, 70, 70, 70), bar(T + 2 * HOUR, 71, 71, 71, 71))
    path = walk([eth, btc], gaps=True)
    assert path.symbols == ("ETH", "BTC")
    assert [(tick.time - T, dict(tick.prices)) for tick in path] == [
        (HOUR, {"ETH": 11 * WAD, "BTC": 70 * WAD}),
        (2 * HOUR, {"ETH": 12 * WAD, "BTC": 71 * WAD}),
    ]
    assert path[0:1] == path.ticks[:1]


def test_a_symbol_whose_bars_start_later_opens_with_its_first_price() -> None:
    minutes = series("ETH", *(bar(T + 1800 + 60 * index, 5, 5, 5, 5) for index in range(120)), interval=60)
    hours = series(
        "BTC", *(bar(T + HOUR * index, 70 + index, 70 + index, 70 + index, 70 + index) for index in range(4))
    )
    path = walk([minutes, hours])
    assert path[0].time == T + 1800
    assert dict(path[0].prices) == {"ETH": 5 * WAD, "BTC": 71 * WAD}
    assert published(path, "BTC")[1] == (T + HOUR, 71 * WAD)
    assert path[-1].time < T + 1800 + 120 * 60


@pytest.mark.parametrize(
    ("later", "text"),
    [
        (10 * HOUR, "have no time in common"),
        (HOUR, "have no time in common"),
        (HOUR // 2, "has no whole bar between"),
    ],
)
def test_files_without_a_common_time_are_refused(later: int, text: str) -> None:
    first = series("ETH", bar(T, 5, 5, 5, 5))
    with pytest.raises(PathError) as caught:
        walk([first, series("BTC", bar(T + later, 5, 5, 5, 5))])
    assert text in str(caught.value)
    assert "eth.csv" in str(caught.value)
    assert str(caught.value).endswith("; give files of the same period")


def test_wrong_settings_are_refused() -> None:
    one = series("ETH", bar(T, 5, 5, 5, 5))
    with pytest.raises(PathError, match="a threshold of 0 bp is not possible; give 1 to 10000"):
        walk([one], threshold_bps=0)
    with pytest.raises(PathError, match="a threshold of 10001 bp is not possible"):
        walk([one], threshold_bps=10_001)
    with pytest.raises(PathError, match="a heartbeat of 0 s is not possible"):
        walk([one], heartbeat=0)
    with pytest.raises(PathError, match="no prices to walk"):
        walk([])
    with pytest.raises(PathError, match="prices of ETH are given twice"):
        walk([one, one])


def test_the_crash_is_the_same_everywhere() -> None:
    eth, btc, sol = synthetic_crash(1)
    assert (eth.symbol, btc.symbol, sol.symbol) == ("ETH", "BTC", "SOL")
    assert synthetic_crash(1, ("SOL",)) == [sol]
    assert synthetic_crash(2)[0] != eth
    assert eth.bars[40] == Bar(
        time=1704079200,
        open=2365011000000000000000,
        high=2377830600000000000000,
        low=2361671600000000000000,
        close=2372850000000000000000,
    )
    digest = hashlib.sha256(repr([eth, btc, sol]).encode()).hexdigest()
    assert digest == "0f2d75f08402558f22c20c6777e4b22bf3a29c6052036a6e5b3b3012fbe7b1f6"


@pytest.mark.parametrize("seed", range(12))
def test_the_crash_is_a_crash(seed: int) -> None:
    crash = synthetic_crash(seed)
    falls = {}
    for history in crash:
        first = history.bars[0].open
        lowest = min(one.low for one in history.bars)
        falls[history.symbol] = (first - lowest) * 100 // first
        assert 60 <= len(history.bars) <= 120
        assert all(one.low <= min(one.open, one.close) <= max(one.open, one.close) <= one.high for one in history.bars)
        assert all(before.close == after.open for before, after in pairwise(history.bars))
        assert all(after.time - before.time == history.interval for before, after in pairwise(history.bars))
        assert lowest * 120 < history.bars[-1].close * 100 < first * 90
        calm = history.bars[:12]
        assert max(one.high for one in calm) * 100 < min(one.low for one in calm) * 106
    assert 40 <= falls["ETH"] <= 50
    assert falls["BTC"] < falls["ETH"] < falls["SOL"]
    path = walk(crash)
    assert path.late_seconds == 0
    assert len(path) < 1_500
    assert path[-1].time - path[0].time < MAX_GAP_SECONDS
