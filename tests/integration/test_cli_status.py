"""`plimsoll status` and `plimsoll account`: the numbers of the chain, tables with them, one line for each failure."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.support.protocol import Protocol

from plimsoll.chain.anvil import Anvil
from plimsoll.cli import group
from plimsoll.commands import account as account_command
from plimsoll.deploy.book import book_path
from plimsoll.units import format_units, parse_units

ROOT = Path(__file__).resolve().parents[2]
LOCAL = ROOT / "deployments" / "local.yaml"
NOWHERE = "http://127.0.0.1:1"
DAY = 86_400


@pytest.fixture
def parameters_file(protocol: Protocol, tmp_path: Path) -> Path:
    """The parameters file of the deployment, with its addresses beside it."""
    path = tmp_path / "local.yaml"
    path.write_text(LOCAL.read_text(encoding="utf-8"), encoding="utf-8")
    protocol.deployment.book.write(book_path(path))
    return path


def run(*arguments: str) -> Result:
    return CliRunner(mix_stderr=False).invoke(group, list(arguments))


def shown(protocol: Protocol, path: Path, *arguments: str) -> str:
    done = run(*arguments, "--network", str(path), "--rpc", protocol.anvil.url)
    assert (done.exit_code, done.stderr) == (0, "")
    return done.stdout


def document(protocol: Protocol, path: Path, *arguments: str) -> Any:
    return json.loads(shown(protocol, path, *arguments, "--json"))


def hex_id(account: bytes) -> str:
    return "0x" + account.hex()


@pytest.fixture
def account(protocol: Protocol) -> bytes:
    """Long 5 ETH with 5,000 USDC and 1 WETH, one order pending."""
    found = protocol.account(protocol.trader)
    protocol.deposit(found, 5_000)
    protocol.deposit(found, 1, "WETH")
    protocol.trade(found, "ETH", 5)
    protocol.place(found, "ETH", "-1.5", limit=2100, reduce_only=True)
    return found


# ── status ─────────────────────────────────────────────────────────────────


def test_status_shows_what_the_lens_says(protocol: Protocol, parameters_file: Path, account: bytes) -> None:
    protocol.warp(600)
    found = document(protocol, parameters_file, "status")
    assert (found["network"], found["chain_id"]) == ("local", 31337)
    assert (found["block"], found["time"]) == (protocol.anvil.block_number(), protocol.now())
    assert list(found["pools"]) == ["majors", "longtail"]
    for name, pool in found["pools"].items():
        view = protocol.lens.call("pool", protocol.pools[name].id)
        for key in ("nav", "cash", "debt", "liquid", "utilisation", "insurance", "junior", "fees", "escrow", "claims"):
            assert pool[key] == format_units(getattr(view, key)), key
        assert pool["borrow_rate_per_year"] == format_units(view.borrowRate * 365 * DAY)
        assert list(pool["markets"]) == list(protocol.deployment.parameters.pools[name].markets)
        for market, listed in zip(pool["markets"].values(), view.markets, strict=True):
            assert market["id"] == listed.market
            assert market["price"] == format_units(listed.price)
            assert market["long_interest"] == format_units(listed.longInterest)
            assert market["short_interest"] == format_units(listed.shortInterest)
            assert market["skew"] == format_units(listed.skew)
            assert market["funding_rate_per_day"] == format_units(listed.fundingRate * DAY)
            assert (market["flags"], market["price_flags"]) == (["listed"], [])
    eth = found["pools"]["majors"]["markets"]["ETH"]
    assert (eth["price"], eth["long_interest"], eth["short_interest"], eth["skew"]) == ("2000", "5", "0", "5")
    assert eth["pending_orders"] == 1
    assert found["pools"]["longtail"]["markets"]["SOL"]["pending_orders"] == 0
    for name, pool in found["pools"].items():
        assert pool["accounts"] == len(protocol.ledger(name).accounts)
    assert found["pools"]["majors"]["escrow"] == "0.1"


def test_status_shows_the_funding_rate_of_a_day(protocol: Protocol, parameters_file: Path) -> None:
    large = protocol.account(protocol.other_trader)
    protocol.deposit(large, 500_000)
    protocol.trade(large, "ETH", -1_000)
    protocol.warp(3600)
    market = document(protocol, parameters_file, "status")["pools"]["majors"]["markets"]["ETH"]
    rate = protocol.lens.call("market", market["id"]).fundingRate
    assert rate < 0
    assert market["funding_rate_per_day"] == format_units(rate * DAY)
    assert (market["skew"], market["short_interest"]) == ("-1000", "1000")
    places = 10**12  # of a WAD ratio, for four places of a per cent
    assert f"-0.{-rate * DAY // places:04d} %" in shown(protocol, parameters_file, "status")


def test_status_tells_pauses_and_bad_prices(protocol: Protocol, parameters_file: Path) -> None:
    protocol.clearinghouse.transact("setPause", 1, 5)
    protocol.clearinghouse.transact("setReduceOnly", 512, True)
    protocol.warp(2 * DAY, publish=False)
    found = document(protocol, parameters_file, "status")["pools"]
    assert (found["majors"]["paused"], found["longtail"]["paused"]) == (["increase", "borrow"], [])
    assert found["longtail"]["markets"]["SOL"]["flags"] == ["listed", "reduce_only"]
    assert found["majors"]["markets"]["BTC"]["price_flags"] == ["invalid"]
    text = shown(protocol, parameters_file, "status")
    assert "increase, borrow" in text
    assert "reduce only, price invalid" in text


def test_status_prints_tables(protocol: Protocol, parameters_file: Path, account: bytes) -> None:
    text = shown(protocol, parameters_file, "status")
    lines = {cells[0]: cells[1:] for line in text.splitlines() if len(cells := cells_of(line)) > 2}
    found = document(protocol, parameters_file, "status")["pools"]["majors"]
    assert lines["majors"][0] == cut(found["nav"])
    assert lines["majors/ETH"][:4] == ["2,000.00", "5.0000", "0.0000", "5.0000"]
    assert lines["majors/ETH"][5] == "1"
    assert {"longtail", "majors/BTC", "longtail/SOL"} <= lines.keys()


def cells_of(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("│┃ ").replace("┃", "│").split("│")]


def cut(exact: str) -> str:
    whole, _, part = exact.partition(".")
    return f"{int(whole):,}.{part[:2]:0<2}"


# ── account ────────────────────────────────────────────────────────────────


def test_account_shows_what_the_lens_says(protocol: Protocol, parameters_file: Path, account: bytes) -> None:
    view = protocol.lens.call("account", account)
    found = document(protocol, parameters_file, "account", hex_id(account))
    assert found["block"] == protocol.anvil.block_number()
    (one,) = found["accounts"]
    assert (one["id"], one["owner"]) == (hex_id(account), protocol.trader)
    assert (one["pool"], one["sub_account"]) == ("majors", "0")
    expected = {
        "cash": view.cash,
        "equity": view.equityMaintenance,
        "maintenance_margin": view.maintenance,
        "health": view.health,
        "equity_initial": view.equityInitial,
        "initial_margin": view.initial,
        "free_collateral": view.free,
        "leverage": view.leverage,
    }
    assert {key: one[key] for key in expected} == {key: format_units(value) for key, value in expected.items()}
    assert (one["liquidatable"], one["on_sale_since"], one["version"]) == (False, None, view.version)
    (position,) = one["positions"]
    assert (position["market"], position["size"], position["price"]) == ("majors/ETH", "5", "2000")
    assert position["profit"] == format_units(view.positions[0].profit)
    (item,) = one["collateral"]
    assert (item["token"], item["balance"]) == ("WETH", "1")
    assert item["value_initial"] == format_units(view.collaterals[0].valueInitial)
    (order,) = one["orders"]
    assert (order["market"], order["size"], order["limit_price"]) == ("majors/ETH", "-1.5", "2100")
    assert (order["reduce_only"], order["keeper_fee"]) == (True, "0.1")
    assert order["price_time"] == order["placed_at"] + 5


def test_the_liquidation_price_is_where_the_account_falls(
    protocol: Protocol, parameters_file: Path, account: bytes
) -> None:
    (one,) = document(protocol, parameters_file, "account", hex_id(account))["accounts"]
    liquidation = one["positions"][0]["liquidation"]
    assert liquidation["side"] == "at or below"
    price = parse_units(liquidation["price"])
    equities, required = zip(
        *(protocol.lens.call("stressAccounts", [account], [1], [at]) for at in (price, price + 1)), strict=True
    )
    assert equities[0][0] < required[0][0]
    assert equities[1][0] >= required[1][0]


def test_account_prints_tables(protocol: Protocol, parameters_file: Path, account: bytes) -> None:
    text = shown(protocol, parameters_file, "account", hex_id(account))
    (one,) = document(protocol, parameters_file, "account", hex_id(account))["accounts"]
    assert f"{protocol.trader}, pool majors, sub-account 0: safe" in text
    assert hex_id(account) in text
    for key in ("equity", "maintenance_margin", "initial_margin", "free_collateral"):
        assert cut(one[key]) in text
    assert f"at or below {cut(one['positions'][0]['liquidation']['price'])}" in text
    for expected in ("majors/ETH", "WETH", "2,100.00", "reduce only", "-1.5000"):
        assert expected in text


def test_an_address_shows_all_accounts_of_its_owner(protocol: Protocol, parameters_file: Path, account: bytes) -> None:
    second = protocol.account(protocol.trader, "longtail", sub=7)
    protocol.deposit(second, 100)
    protocol.deposit(protocol.account(protocol.other_trader), 100)
    found = document(protocol, parameters_file, "account", protocol.trader.lower())["accounts"]
    assert [one["id"] for one in found] == [hex_id(account), hex_id(second)]
    assert (found[1]["pool"], found[1]["sub_account"]) == ("longtail", "7")
    assert (found[1]["health"], found[1]["leverage"]) == (None, "0")
    assert found[1]["free_collateral"] == "100"
    assert (found[1]["positions"], found[1]["collateral"], found[1]["orders"]) == ([], [], [])
    text = shown(protocol, parameters_file, "account", protocol.trader)
    assert "pool longtail, sub-account 7: safe" in text


def test_an_account_below_the_line_is_told(protocol: Protocol, parameters_file: Path, account: bytes) -> None:
    protocol.set_price("ETH", 800)
    (one,) = document(protocol, parameters_file, "account", hex_id(account))["accounts"]
    assert one["liquidatable"] is True
    assert one["leverage"] is None
    assert parse_units(one["equity"]) < parse_units(one["maintenance_margin"])
    text = shown(protocol, parameters_file, "account", hex_id(account))
    assert "LIQUIDATABLE" in text
    assert "∞" in text


def test_a_short_falls_above(protocol: Protocol, parameters_file: Path) -> None:
    short = protocol.account(protocol.other_trader)
    protocol.deposit(short, 1_000)
    protocol.trade(short, "ETH", -2)
    (one,) = document(protocol, parameters_file, "account", hex_id(short))["accounts"]
    liquidation = one["positions"][0]["liquidation"]
    assert liquidation["side"] == "at or above"
    assert 2_000 < Decimal(liquidation["price"]) < 2_500


# ── failures ───────────────────────────────────────────────────────────────


def assert_one_line(done: Result, command: str, *parts: str) -> None:
    assert done.exit_code == 2
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith(f"plimsoll {command}: ")
    for part in parts:
        assert part in lines[0]


COMMANDS = (("status",), ("account", "0x" + "11" * 20))


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_node_that_is_down_is_one_line(command: tuple[str, ...], form: tuple[str, ...]) -> None:
    assert_one_line(run(*command, "--rpc", NOWHERE, *form), command[0], "no answer from the node", "start the node")


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unknown_network_is_one_line(command: tuple[str, ...], protocol: Protocol) -> None:
    done = run(*command, "--network", "atlantis", "--rpc", protocol.anvil.url)
    assert_one_line(done, command[0], "known networks: local")


@pytest.mark.parametrize("command", COMMANDS)
def test_another_chain_is_one_line(command: tuple[str, ...], parameters_file: Path) -> None:
    with Anvil(chain_id=77) as other:
        done = run(*command, "--network", str(parameters_file), "--rpc", other.url)
    assert_one_line(done, command[0], "is for chain 31337", "runs chain 77")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_restarted_chain_is_one_line(command: tuple[str, ...], parameters_file: Path) -> None:
    with Anvil() as other:
        done = run(*command, "--network", str(parameters_file), "--rpc", other.url)
    assert_one_line(done, command[0], "another chain", "run `plimsoll deploy` first")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_missing_deployment_is_one_line(command: tuple[str, ...], protocol: Protocol, parameters_file: Path) -> None:
    book_path(parameters_file).unlink()
    done = run(*command, "--network", str(parameters_file), "--rpc", protocol.anvil.url)
    assert_one_line(done, command[0], "nothing is deployed yet")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("0x" + "11" * 20, ("has never used an account", "check the address")),
        ("0x" + "11" * 32, ("was never used", "check the id")),
        ("7", ("is no account", "64 hex digits")),
        ("0x" + "11" * 31, ("is no account",)),
    ],
)
def test_an_unknown_account_is_one_line(
    protocol: Protocol, parameters_file: Path, text: str, parts: tuple[str, ...]
) -> None:
    done = run("account", text, "--network", str(parameters_file), "--rpc", protocol.anvil.url)
    assert_one_line(done, "account", *parts)


def test_a_liquidation_price_that_cannot_be_computed_is_told(
    protocol: Protocol, parameters_file: Path, account: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = protocol.lens.errors.decode(bytes.fromhex("4e487b71" + "11".rjust(64, "0")))
    monkeypatch.setattr(account_command, "batch_call", lambda calls, block: [refusal for _ in calls])
    (one,) = document(protocol, parameters_file, "account", hex_id(account))["accounts"]
    liquidation = one["positions"][0]["liquidation"]
    assert liquidation["price"] is None
    assert "overflow" in liquidation["error"]
    assert "cannot be told" in shown(protocol, parameters_file, "account", hex_id(account))
