"""A short replay end to end: everything that the report says, and that the command tells success from failure."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner

from plimsoll.chain.artifacts import repository_root
from plimsoll.commands import replay as cli
from plimsoll.keeper.actions import Action
from plimsoll.keeper.jobs.base import Moment
from plimsoll.keeper.jobs.liquidation import Liquidation
from plimsoll.risk import agents
from plimsoll.risk.checks import Checks
from plimsoll.risk.paths import synthetic_crash
from plimsoll.risk.prices import Bar, PriceSeries
from plimsoll.risk.records import ReplayReport
from plimsoll.risk.replay import replay
from plimsoll.risk.report import failures, summary_json, to_summary
from plimsoll.risk.setting import ReplayError, Settings, fitted_parameters
from plimsoll.risk.table import main
from plimsoll.units import WAD

PARAMETERS = repository_root() / "deployments" / "local.yaml"
SEED = 3
START = 1_600_000_000


def crash() -> list[PriceSeries]:
    """Twelve bars in which ETH loses half, a third of it in one of them, and BTC a third."""
    found = []
    for symbol, path in (
        ("ETH", [2000, 1990, 1960, 1900, 1850, 1700, 1500, 1020, 1100, 1060, 1150, 1140, 1170]),
        ("BTC", [40000, 39900, 39500, 38900, 38000, 36500, 34000, 27000, 28500, 28000, 29500, 29000, 29800]),
    ):
        bars = []
        for index, (first, last) in enumerate(pairwise(path)):
            high, low = max(first, last) * 1001 * WAD // 1000, min(first, last) * 998 * WAD // 1000
            bars.append(Bar(START + index * 300, first * WAD, high, low, last * WAD))
        found.append(PriceSeries(symbol, f"{symbol.lower()}-test.csv", tuple(bars), 300))
    return found


@pytest.fixture(scope="module")
def report() -> ReplayReport:
    settings = Settings(accounts=60, seed=SEED, gaps=True, lps=2, check_every=7)
    return replay(crash(), settings, PARAMETERS)


def test_a_crash_is_lived_through_and_every_invariant_holds(report: ReplayReport) -> None:
    assert failures(report) == []
    assert len(report.liquidations) > 5, "a run that never liquidates has shown nothing"
    assert report.orders.filled > 30
    assert report.blocks > report.steps > 30


def test_orders_end_exactly_once(report: ReplayReport) -> None:
    """INV-29."""
    ended = report.orders.filled + report.orders.cancelled + report.orders.expired
    assert ended == report.orders.placed


def test_everybody_leaves_and_only_dust_remains(report: ReplayReport) -> None:
    """INV-40."""
    assert report.wind_down.stuck == ()
    assert 0 <= report.wind_down.residue_wei <= report.accounts + report.lps + 8


def test_a_path_that_liquidates_checks_these_invariants(report: ReplayReport) -> None:
    """INV-01, INV-02, INV-03, INV-04, INV-06, INV-07, INV-12, INV-13, INV-15, INV-16, INV-20, INV-26, INV-27, INV-29,
    INV-30, INV-38, INV-40."""
    checked = {record.id for record in report.invariants}
    always = {1, 2, 3, 4, 6, 7, 12, 13, 15, 16, 20, 26, 27, 29, 30, 38, 40}
    assert {f"INV-{number:02}" for number in always} <= checked


def test_liquidations_name_what_they_closed(report: ReplayReport) -> None:
    assert all(record.health < WAD for record in report.liquidations)
    assert all(record.blocks_unhealthy >= 1 for record in report.liquidations)
    closed = [one for record in report.liquidations for one in record.closed]
    assert closed
    assert all(one.size and one.price > 0 for one in closed)
    assert report.keeper_reward > sum(record.reward for record in report.liquidations)


def test_money_is_conserved_between_traders_pools_and_keeper(report: ReplayReport) -> None:
    """INV-02: traders lose about what pools, insurance and the keeper gain. What is left over moved after the last step
    (closing fees), or is a change of collateral's price on collateral sold."""
    pools = sum(p.nav_end - p.nav_start + p.insurance_end - p.insurance_start for p in report.pools)
    assert report.traders_pnl < 0 < pools + report.keeper_reward
    assert abs(report.traders_pnl + pools + report.keeper_reward) < sum(p.nav_start for p in report.pools) // 100


def test_samples_cover_the_path(report: ReplayReport) -> None:
    assert {sample.market for sample in report.market_samples} == {"ETH", "BTC"}
    assert report.market_samples[-1].step == report.steps == report.pool_samples[-1].step
    assert min(min(sample.healths, default=WAD) for sample in report.health_samples) < WAD


def test_gas_is_told_by_action(report: ReplayReport) -> None:
    gas = {use.action: use.used for use in report.gas}
    assert {"deposit", "place order", "execute order", "liquidate", "strike", "withdraw"} <= gas.keys()
    assert all(21_000 < used < 2_000_000 for values in gas.values() for used in values)


def test_json_prints_the_summary_and_nothing_else(monkeypatch: pytest.MonkeyPatch, report: ReplayReport) -> None:
    monkeypatch.setattr(cli, "replay", lambda *_: report)
    result = CliRunner(mix_stderr=False).invoke(cli.command, ["--json"])
    assert result.exit_code == 0
    assert result.stdout == summary_json(report)
    assert json.loads(result.stdout) == json.loads(json.dumps(to_summary(report)))


def test_a_lazy_keeper_and_a_wrong_price_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """INV-13, INV-30: the checks can fail: nobody liquidates, and the prices that fills are compared with are a wei
    off."""
    remember = Checks.published

    async def nothing(self: Liquidation, moment: Moment) -> list[Action]:
        return []

    monkeypatch.setattr(Liquidation, "decide", nothing)
    monkeypatch.setattr(Checks, "published", lambda self, name, time, price: remember(self, name, time, price + 1))
    report = replay(crash(), Settings(accounts=30, seed=SEED, gaps=True, lps=1), PARAMETERS)
    assert report.liquidations == ()
    assert report.max_blocks_unhealthy > 2
    assert {record.id for record in report.invariants if not record.ok} == {"INV-13", "INV-30"}
    assert any("stayed liquidatable" in reason for reason in failures(report))


def test_summaries_make_a_table(tmp_path: Path, report: ReplayReport, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "crash").mkdir()
    (tmp_path / "crash" / "summary.json").write_text(summary_json(report), encoding="utf-8")
    assert main([str(tmp_path)]) == 0
    cells = [cell.strip() for cell in capsys.readouterr().out.splitlines()[2].split("|")]
    assert cells[1:3] == ["crash", f"{report.steps:,} / {report.blocks:,}"]
    assert cells[4].startswith(f"{len(report.liquidations):,} (")
    assert main([str(tmp_path / "crash")]) == 2


def test_a_broken_invariant_is_exit_one_with_the_reason(monkeypatch: pytest.MonkeyPatch, report: ReplayReport) -> None:
    broken = replace(report.invariants[0], ok=False, worst_slack=-5)
    failed = replace(report, invariants=(broken, *report.invariants[1:]))
    monkeypatch.setattr(cli, "replay", lambda *_: failed)
    result = CliRunner(mix_stderr=False).invoke(cli.command, [])
    assert result.exit_code == 1
    assert f"{broken.id} failed at step {broken.at_step}: worst slack -5" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--prices", "missing.csv"], "missing.csv"),
        (["--accounts", "0"], "0 accounts are not possible"),
        (["--lps", "0"], "0 liquidity providers are not possible"),
        (["--threshold", "0"], "threshold of 0 bp is not possible"),
        (["--network", "nowhere"], "nowhere.yaml does not exist"),
    ],
)
def test_bad_input_is_one_line_and_exit_two(arguments: list[str], problem: str) -> None:
    result = CliRunner(mix_stderr=False).invoke(cli.command, arguments)
    assert result.exit_code == 2
    lines = [line for line in result.stderr.splitlines() if line.startswith("plimsoll:")]
    assert len(lines) == 1
    assert problem in lines[0]
    assert result.stdout == ""


def test_a_file_that_cannot_be_read_names_line_and_column(tmp_path: Path) -> None:
    file = tmp_path / "eth.csv"
    file.write_text("timestamp,open,high,low,close,volume\n1600000000,1,2,0.5,x,1\n")
    result = CliRunner(mix_stderr=False).invoke(cli.command, ["--prices", f"ETH={file}"])
    assert result.exit_code == 2
    assert f"{file}:2:" in result.stderr


def test_parameters_keep_their_limits_in_money_at_other_prices() -> None:
    fitted = fitted_parameters(PARAMETERS, {"ETH": 130 * WAD})
    assert fitted.assets.keys() == {"ETH"}
    assert fitted.tokens.keys() == {"USDC", "WETH"}
    assert [list(pool.markets) for pool in fitted.pools.values()] == [["ETH"]]
    assert fitted.assets["ETH"].price.value == 130 * WAD


def test_an_unknown_symbol_is_listed_like_the_long_tail() -> None:
    fitted = fitted_parameters(PARAMETERS, {"BTC": 8_000 * WAD, "DOGE": WAD // 10})
    assert list(fitted.pools["longtail"].markets) == ["DOGE"]
    assert fitted.pools["majors"].gas_asset is None


def test_a_price_too_fine_for_the_feed_is_refused() -> None:
    with pytest.raises(ReplayError, match="too fine for its feed"):
        fitted_parameters(PARAMETERS, {"PEPE": 10**10})


def test_the_same_seed_gives_the_same_crowd(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (agents.actor_address("trader", seed, 7) for seed in (1, 2))
    assert first != second == agents.actor_address("trader", 2, 7)
    assert synthetic_crash(1) == synthetic_crash(1)
