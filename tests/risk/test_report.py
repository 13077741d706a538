"""The report holds every number exactly, says plainly whether the replay passed, and is complete in one file."""

from __future__ import annotations

import json
import random
import re
from base64 import b64decode
from dataclasses import replace
from decimal import Decimal, localcontext
from html.parser import HTMLParser
from pathlib import Path

import pytest

from plimsoll.risk.paths import synthetic_crash, walk
from plimsoll.risk.plots import draw
from plimsoll.risk.prices import WAD
from plimsoll.risk.report import (
    ClosedPosition,
    GasUse,
    HealthSample,
    InvariantRecord,
    LiquidationRecord,
    MarketSample,
    OrderCounts,
    PoolResult,
    PoolSample,
    ReplayReport,
    ReportError,
    WindDown,
    amount_text,
    decimal_units,
    failures,
    health_text,
    money_text,
    price_range,
    summary_json,
    to_summary,
    write_report,
)

PNG = b"\x89PNG\r\n\x1a\n"
PLOTS = [
    "price_and_funding",
    "open_interest_and_skew",
    "pool_nav_and_insurance",
    "liquidations_over_price",
    "health",
    "gas_per_action",
    "keeper_latency",
]
REQUIRED_KEYS = {
    "prices", "steps", "blocks", "accounts", "orders", "liquidations", "collateral_sales", "bad_debt", "deleveragings",
    "insurance", "pool_nav", "traders_pnl", "keeper_reward", "keeper_gas", "max_blocks_unhealthy", "invariants",
    "wind_down", "seconds",
}  # fmt: off


def make_report(accounts: int = 300, seed: int = 1) -> ReplayReport:
    """A report as a replay of the bundled crash would hand it over: seeded traders, most of them long."""
    source = random.Random(seed)
    crash = synthetic_crash(seed)
    ticks = walk(crash)
    last = dict(ticks[0].prices)
    traders = [
        (f"0x{index:064x}", source.choice(list(last)), source.choice((1, 1, -1)), source.uniform(0.02, 0.5))
        for index in range(accounts)
    ]
    entry = dict(last)
    notional = 40_000 * WAD
    markets, pools, healths, records = [], [], [], []
    gone: set[str] = set()
    rate = insurance = 0
    for step, tick in enumerate(ticks):
        last.update(tick.prices)
        sample = []
        for account, market, side, buffer in traders:
            if account in gone:
                continue
            profit = side * (last[market] - entry[market]) * 10**6 // entry[market]
            health = (int(buffer * 10**6) + profit) * WAD // 20_000
            if health < WAD:
                full = source.random() < 0.7
                gone.add(account)
                size = side * notional * WAD // entry[market] // (1 if full else 2)
                closed = (ClosedPosition(market, size, last[market]),)
                penalty = closed[0].notional // 100
                insurance += penalty * 3 // 4
                records.append(
                    LiquidationRecord(
                        step, tick.time, 100 + step, account, full, health, closed, penalty, penalty // 4, 0, 1
                    )
                )
            else:
                sample.append(health)
        for market in last:
            open_now = [side for account, symbol, side, _ in traders if symbol == market and account not in gone]
            size = notional * WAD // entry[market]
            rate += sum(open_now) * 10**13
            markets.append(
                MarketSample(
                    step, tick.time, market, last[market], rate, open_now.count(1) * size, open_now.count(-1) * size
                )
            )
        healths.append(HealthSample(step, tick.time, tuple(sample)))
        pools.append(
            PoolSample(step, tick.time, "majors", 20_000_000 * WAD + step * 900 * WAD, 200_000 * WAD + insurance)
        )
        pools.append(PoolSample(step, tick.time, "long-tail", 2_000_000 * WAD - step * 40 * WAD, 20_000 * WAD))
    gas = {
        "place order": 61_000,
        "execute, first": 131_000,
        "execute, further": 55_000,
        "liquidate, per account": 80_000,
    }
    return ReplayReport(
        seed=seed,
        threshold_bps=50,
        prices=tuple(price_range(series) for series in crash),
        steps=len(ticks),
        blocks=2 * len(ticks),
        accounts=accounts,
        lps=6,
        orders=OrderCounts(placed=812, filled=790, cancelled=13, expired=9),
        liquidations=tuple(records),
        collateral_sales=2,
        bad_debt=1_234_500_000_000_000_001,
        deleveragings=1,
        traders_pnl=-2_345_678_900_000_000_000_000_001,
        keeper_reward=sum(record.reward for record in records),
        keeper_gas=98_765_432,
        max_blocks_unhealthy=1,
        pools=(
            PoolResult("majors", 20_000_000 * WAD, pools[-2].nav, 200_000 * WAD, pools[-2].insurance),
            PoolResult("long-tail", 2_000_000 * WAD, pools[-1].nav, 20_000 * WAD, pools[-1].insurance),
        ),
        invariants=(
            InvariantRecord("INV-01", "balance ≥ Σ held, per token & pool", True, 0, 17),
            InvariantRecord("INV-02", "money in − money out = Σ of all buckets", True, 412, 903),
            InvariantRecord("INV-13", "whoever is below the line can be liquidated", True, 1, 5, "blocks"),
        ),
        wind_down=WindDown(residue_wei=37, stuck=()),
        gas=tuple(
            GasUse(name, tuple(base + source.randrange(base // 5) for _ in range(60))) for name, base in gas.items()
        ),
        market_samples=tuple(markets),
        pool_samples=tuple(pools),
        health_samples=tuple(healths),
        seconds=12.34,
        keeper_seconds=tuple(0.01 * (1 + at % 7) for at in range(40)),
    )


@pytest.fixture(scope="module")
def report() -> ReplayReport:
    return make_report(accounts=60)


@pytest.fixture(scope="module")
def written(report: ReplayReport, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report") / "new" / "folder"
    write_report(report, folder)
    return folder


def failed(report: ReplayReport) -> ReplayReport:
    broken = InvariantRecord("INV-02", "in < out & <b>more</b>", False, -(10**21), 903)
    return replace(
        report,
        invariants=(report.invariants[0], broken),
        wind_down=WindDown(residue_wei=2**70, stuck=("account 0x07", "request 3")),
        max_blocks_unhealthy=3,
    )


class Page(HTMLParser):
    """Sources of pictures, addresses outside of the page, and the text of the page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.images: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "img":
            self.images.append(dict(attrs)["src"] or "")

    def handle_data(self, data: str) -> None:
        self.text += data


def test_summary_has_every_promised_key(report: ReplayReport) -> None:
    summary = to_summary(report)
    assert summary.keys() >= REQUIRED_KEYS
    assert summary["orders"] == {"placed": 812, "filled": 790, "cancelled": 13, "expired": 9}
    assert summary["wind_down"] == {"residue_wei": 37, "stuck": 0, "stuck_names": []}
    assert summary["invariants"] == {"INV-01": True, "INV-02": True, "INV-13": True}
    assert summary["seconds"] == 12.3
    assert (summary["passed"], summary["failures"]) == (True, [])


def test_liquidations_are_counted_from_the_records(report: ReplayReport) -> None:
    full = len([record for record in report.liquidations if record.full])
    assert 0 < full < len(report.liquidations)
    total = len(report.liquidations)
    assert to_summary(report)["liquidations"] == {"total": total, "partial": total - full, "full": full}


def test_pools_are_summed_and_listed(report: ReplayReport) -> None:
    summary = json.loads(summary_json(report))
    assert summary["pool_nav"]["start"] == "22000000"
    assert summary["insurance"]["start"] == "220000"
    ends = [Decimal(pool["nav"]["end"]) for pool in summary["pools"].values()]
    assert Decimal(summary["pool_nav"]["end"]) == sum(ends)


def test_money_survives_json_to_the_last_digit(report: ReplayReport) -> None:
    summary = json.loads(summary_json(report))
    assert summary["bad_debt"] == "1.234500000000000001"
    assert summary["traders_pnl"] == "-2345678.900000000000000001"
    with localcontext(prec=80):
        for name in ("bad_debt", "traders_pnl", "keeper_reward"):
            assert Decimal(summary[name]) * WAD == getattr(report, name) == int(summary["wad"][name])
        for name in ("pool_nav", "insurance"):
            for key in ("start", "end"):
                assert Decimal(summary[name][key]) * WAD == int(summary["wad"][name][key])


def test_a_passed_replay_has_no_failures(report: ReplayReport) -> None:
    assert failures(report) == []
    assert failures(replace(report, max_blocks_unhealthy=2)) == []


def test_every_reason_for_failing_is_named(report: ReplayReport) -> None:
    assert failures(failed(report)) == [
        "INV-02 failed at step 903: worst slack -1,000,000,000,000,000,000,000 wei",
        "2 could not leave: account 0x07, request 3",
        "an account stayed liquidatable for 3 blocks, at most 2 are allowed",
    ]
    summary = json.loads(summary_json(failed(report)))
    assert summary["passed"] is False
    assert summary["invariants"] == {"INV-01": True, "INV-02": False}
    assert summary["wind_down"]["stuck"] == 2
    assert summary["wind_down"]["residue_wei"] == 2**70


def test_a_replay_that_checked_nothing_has_not_passed(report: ReplayReport) -> None:
    assert failures(replace(report, invariants=())) == ["no invariant was checked"]


def test_files_are_written(written: Path, report: ReplayReport) -> None:
    assert (written / "summary.json").read_text(encoding="utf-8") == summary_json(report)
    assert sorted(path.name for path in (written / "plots").iterdir()) == sorted(f"{name}.png" for name in PLOTS)
    for name in PLOTS:
        content = (written / "plots" / f"{name}.png").read_bytes()
        width, height = (int.from_bytes(content[at : at + 4], "big") for at in (16, 20))
        assert content.startswith(PNG)
        assert width >= 1_000
        assert height >= 200


def test_the_page_is_complete_in_itself(written: Path) -> None:
    text = (written / "index.html").read_text(encoding="utf-8")
    page = Page(text)
    assert not {"script", "link", "iframe"} & set(page.tags)
    assert not re.search(r"(?:src|href)=\"(?!data:)|url\(|://|@import", text)
    embedded = [b64decode(image.removeprefix("data:image/png;base64,")) for image in page.images]
    assert embedded == [(written / "plots" / f"{name}.png").read_bytes() for name in PLOTS]


def test_the_page_shows_every_invariant_and_liquidation(written: Path, report: ReplayReport) -> None:
    text = (written / "index.html").read_text(encoding="utf-8")
    for record in report.invariants:
        assert f'<td class="w">{record.id}</td>' in text
    assert "balance ≥ Σ held, per token &amp; pool" in text
    assert "412 wei" in text
    accounts = re.findall(r'<code title="(0x\w+)">', text)
    assert accounts == [record.account for record in report.liquidations]
    assert "✓ Passed" in text
    assert "✗" not in text


def test_a_failed_replay_is_loud_and_its_text_escaped(report: ReplayReport, tmp_path: Path) -> None:
    write_report(failed(report), tmp_path)
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "✗ Failed" in text
    assert "✓ Passed" not in text
    assert "in &lt; out &amp; &lt;b&gt;more&lt;/b&gt;" in text
    for reason in failures(failed(report)):
        assert reason in text


def test_a_replay_in_which_nothing_happened_is_drawn(report: ReplayReport, tmp_path: Path) -> None:
    quiet = replace(
        report,
        threshold_bps=None,
        liquidations=(),
        gas=(GasUse("never used", ()),),
        market_samples=report.market_samples[:3],
        pool_samples=(),
        health_samples=(HealthSample(0, report.prices[0].start_time, ()),),
    )
    write_report(quiet, tmp_path)
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "Nobody was liquidated." in text
    assert "prices jump from point to point" in text
    assert len(Page(text).images) == len(PLOTS)


def test_extreme_health_and_empty_markets_are_drawn(report: ReplayReport) -> None:
    sample = HealthSample(0, report.prices[0].start_time, (-(10**30), 0, 10**40))
    pictures = draw(replace(report, market_samples=(), health_samples=(sample,)))
    assert [picture.name for picture in pictures] == PLOTS
    assert all(picture.png.startswith(PNG) for picture in pictures)


def test_the_same_report_gives_the_same_files(report: ReplayReport) -> None:
    assert draw(report) == draw(report)


def test_a_folder_that_cannot_be_written_is_one_line(report: ReplayReport, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ReportError, match=r"^cannot write the report to .*; give a folder that can be written$"):
        write_report(report, tmp_path / "file")


@pytest.mark.parametrize(
    ("wad", "text"),
    [
        (0, "0"),
        (1, "0.000000000000000001"),
        (-1, "-0.000000000000000001"),
        (-125 * WAD // 10, "-12.5"),
        (100 * WAD, "100"),
    ],
)
def test_decimal_units_are_exact(wad: int, text: str) -> None:
    assert decimal_units(wad) == text


@pytest.mark.parametrize(
    ("wad", "text"),
    [(0, "$0.00"), (1, "<$0.01"), (-1, "−<$0.01"), (12_345_678 * WAD // 1_000, "$12,345.68"), (-5 * WAD, "−$5.00")],
)
def test_money_is_rounded_to_cents(wad: int, text: str) -> None:
    assert money_text(wad) == text


@pytest.mark.parametrize(
    ("wad", "text"),
    [
        (0, "0"),
        (1_234_567 * WAD, "1,234,567"),
        (-15 * WAD // 10, "−1.5"),
        (WAD // 3, "0.33333"),
        (60_554_710 * WAD // 1_000, "60,554.7"),
    ],
)
def test_amounts_have_six_digits(wad: int, text: str) -> None:
    assert amount_text(wad) == text


@pytest.mark.parametrize(
    ("wad", "text"), [(WAD, "1.000"), (WAD - 1, "0.999"), (0, "0.000"), (-1, "−0.001"), (12 * WAD, "12.000")]
)
def test_health_below_one_never_shows_as_one(wad: int, text: str) -> None:
    assert health_text(wad) == text
