"""The search in a crowd: as prices walk, crash and come back, and accounts change, it never misses one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.support.book_rows import market_value, word

from plimsoll.keeper.book import Mirror, Search, confirm
from plimsoll.keeper.book.bench import bench
from plimsoll.keeper.book.columns import Floats
from plimsoll.keeper.book.crowd import START, Crowd
from plimsoll.keeper.rows import Kind, Row, market_key, side_key
from plimsoll.model.words import EventWord
from plimsoll.units import ONE

ACCOUNTS, MARKETS = 1_500, 8


class Scene:
    """A crowd, its mirror and its search."""

    def __init__(self) -> None:
        self.crowd = Crowd(ACCOUNTS, MARKETS, seed=4)
        self.mirror = Mirror()
        self.mirror.load(self.crowd.rows())
        for token, decimals in self.crowd.decimals().items():
            self.mirror.set_decimals(token, decimals)
        self.search = Search(self.mirror)
        self.named = self.below = 0

    def check(self, time: int, moves: Floats) -> None:
        """Compares the search with exact verdicts on everybody."""
        observations = self.crowd.observations(time, moves)
        found = self.mirror.ids(self.search.candidates(observations).tolist())
        assert len(found) == len(set(found))
        verdicts = confirm(self.mirror, list(self.mirror.accounts.rows), observations)
        below = {verdict.account for verdict in verdicts if verdict.below}
        assert below <= set(found)
        self.named += len(found)
        self.below += len(below)


def fills(scene: Scene, chance: np.random.Generator, count: int, time: int) -> list[Row]:
    accounts = scene.mirror.accounts
    return scene.crowd.fills(chance, count, time, lambda account: accounts.word(accounts.row(account)))


def test_no_account_is_missed_while_prices_walk_crash_and_come_back() -> None:
    scene, chance = Scene(), np.random.default_rng(8)
    moves, now = np.zeros(MARKETS), START
    for number in range(60):
        now += int(chance.integers(1, 5_000))
        moves[number % MARKETS] += chance.normal() * 0.004
        if number == 20:
            moves -= 0.3
        if number == 30:
            moves += 0.9
        if number == 40:
            moves[:] = 0
            scene.search.anchor(scene.crowd.observations(now, moves))
        scene.mirror.apply(fills(scene, chance, 5, now))
        scene.check(now, moves)
    assert scene.below > 1_000
    # Floats and exact integers differ only within a millionth of a millionth.
    assert scene.named == scene.below


def test_the_search_forgets_what_is_reverted() -> None:
    scene, chance = Scene(), np.random.default_rng(9)
    moves = np.full(MARKETS, -0.01)
    scene.check(START + 10, moves)
    first = scene.search.candidates(scene.crowd.observations(START + 10, moves)).tolist()
    stored = {(kind, key): value for kind, key, value in scene.mirror.rows()}
    markets = {(kind, key): value for kind, key, value in scene.crowd.rows() if kind == Kind.MARKET}
    for _ in range(5):
        rows = fills(scene, chance, 40, START + 12)
        scene.mirror.apply(rows)
        scene.check(START + 12, moves)
        scene.mirror.revert([(kind, key, (stored | markets).get((kind, key))) for kind, key, _ in reversed(rows)])
        assert {(kind, key): value for kind, key, value in scene.mirror.rows()} == stored
        assert scene.search.candidates(scene.crowd.observations(START + 10, moves)).tolist() == first


def test_events_of_a_block_that_was_replaced_are_forgotten() -> None:
    scene, moves = Scene(), np.full(MARKETS, -0.02)
    markets = list(scene.mirror.markets)
    stored = {key: value for kind, key, value in scene.crowd.rows() if kind == Kind.MARKET}
    scene.check(START, moves)
    for scale, offset, epoch in ((ONE // 2, 0, 0), (ONE // 50, 10**24, 0), (ONE, 0, 1), (ONE, -(10**26), 0)):
        rows: list[Row] = []
        for market in markets:
            m = scene.mirror.markets[market]
            event = EventWord(scale, offset, epoch).pack()
            rows.append((Kind.SIDE_EVENT, side_key(market, True, 1), word(event)))
            if epoch:
                rows.append((Kind.EPOCH_END, side_key(market, True, 0), word(m.price * 900_000)))
            rows.append((Kind.MARKET, market_key(market), market_value(replace(m, long=replace(m.long, events=1)))))
        scene.mirror.apply(rows)
        scene.check(START + 1, moves)
        # Another block with the same number comes in its place, without a look in between.
        scene.mirror.revert([(k, key, stored[key] if k == Kind.MARKET else None) for k, key, _ in reversed(rows)])
    scene.check(START, moves)
    assert scene.below > 500


def test_the_book_does_not_grow_with_fills() -> None:
    scene, chance = Scene(), np.random.default_rng(10)
    sizes = []
    for number in range(40):
        now = START + 2 * number
        scene.mirror.apply(fills(scene, chance, 300, now))
        scene.search.candidates(scene.crowd.observations(now))
        sizes.append(scene.search.memory())
    # A cell has room for as many as it ever had at once.
    assert sizes[-1] < 1.03 * sizes[len(sizes) // 2]
    scene.check(START + 100, np.full(MARKETS, 0.02))


def test_there_may_be_nothing_yet_or_accounts_of_a_market_that_is_not_known() -> None:
    mirror = Mirror()
    search = Search(mirror)
    crowd = Crowd(50, 3)
    observations = crowd.observations()
    assert search.candidates(observations).tolist() == []
    assert len(search.standing(observations).rows) == 0
    rows = list(crowd.rows())
    mirror.revert([row for row in rows if row[0] in (Kind.ACCOUNT, Kind.POSITION)])
    exposed = search.candidates(observations).tolist()
    assert exposed == sorted(mirror.accounts.rows.values())
    mirror.apply([row for row in rows if row[0] not in (Kind.ACCOUNT, Kind.POSITION)])
    for token, decimals in crowd.decimals().items():
        mirror.set_decimals(token, decimals)
    found = mirror.ids(search.candidates(observations).tolist())
    verdicts = confirm(mirror, list(mirror.accounts.rows), observations)
    assert found == [one.account for one in verdicts if one.below]


def test_an_asset_that_is_not_observed_hides_its_holders_and_no_one_else() -> None:
    scene = Scene()
    moves = np.full(MARKETS, -0.05)
    whole = scene.crowd.observations(START, moves)
    assets = dict(whole.assets)
    del assets[1]
    part = type(whole)(START, assets)
    all_found = set(scene.search.candidates(whole).tolist())
    found = set(scene.search.candidates(part).tolist())
    held = {
        row
        for account, row in scene.mirror.accounts.rows.items()
        if 0 in scene.mirror.positions(account) or scene.mirror.balances(account)
    }
    assert found == all_found - held
    assert set(scene.search.candidates(whole).tolist()) == all_found
    assert scene.search.standing(part).rows.tolist() == [
        row for row in scene.search.standing(whole).rows.tolist() if row not in held
    ]


def test_standing_tells_who_is_nearest_and_how_many_are_near() -> None:
    scene = Scene()
    observations = scene.crowd.observations(START, np.full(MARKETS, -0.01))
    standing = scene.search.standing(observations)
    assert scene.search.standing(observations) is standing
    nearest = standing.nearest(30)
    assert (np.diff(standing.distance[nearest]) >= 0).all()
    assert standing.distance[nearest[-1]] <= np.delete(standing.distance, nearest).min()
    assert len(standing.nearest(10**6)) == len(standing.rows)
    below = len(scene.search.candidates(observations))
    counts = standing.buckets([1.0, 1.1, 1.5])
    ratio = standing.equity / standing.required
    assert counts == [below, int(((ratio >= 1) & (ratio < 1.1)).sum()), int(((ratio >= 1.1) & (ratio < 1.5)).sum())]
    assert (standing.distance < 0).sum() == below


def test_shortfalls_are_what_is_lacking() -> None:
    scene = Scene()
    observations = scene.crowd.observations(START, np.full(MARKETS, -0.05))
    rows = scene.search.candidates(observations)
    lacking = scene.search.shortfalls(rows, observations)
    for verdict, shortfall in zip(confirm(scene.mirror, scene.mirror.ids(rows), observations), lacking, strict=True):
        assert shortfall == pytest.approx(verdict.shortfall / 1e18, rel=1e-6, abs=1e-3)


def test_the_bench_reports_what_it_measured() -> None:
    report = bench(500, 4, ticks=20, rounds=5, events=400, fills=50)
    assert report.accounts == 500
    assert report.positions > 500
    assert report.events == 400
    assert report.crash_accounts > 0
    assert len(report.memory) == 5
    assert 0 < report.tick.p50 <= report.tick.p99 <= report.tick.worst
    assert len(report.lines()) > 10
