"""Parameter files: what is refused and how it is said; conversion to structs; address books; predicted addresses."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from plimsoll.deploy.book import Book, BookError, Creation, Entry, book_path
from plimsoll.deploy.checks import check, problems
from plimsoll.deploy.create import create_address
from plimsoll.deploy.deploy import missing_addresses
from plimsoll.deploy.document import Document, ParameterError
from plimsoll.deploy.parameters import Parameters
from plimsoll.deploy.structs import market_params, native, order_rules, pool_terms, units_at
from plimsoll.units import PPM, WAD

ROOT = Path(__file__).resolve().parents[2]
LOCAL = ROOT / "deployments" / "local.yaml"
EXAMPLE = ROOT / "deployments" / "sepolia.example.yaml"
ETH = "pools.majors.markets.ETH"
REASON = "for this test only"


def written(folder: Path, text: str) -> Path:
    path = folder / "net.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("path", [LOCAL, EXAMPLE], ids=lambda path: path.stem)
def test_the_files_of_the_repository_hold_every_inequality(path: Path) -> None:
    assert list(problems(Parameters.load(path))) == []


def test_starting_values_are_those_of_the_protocol_text() -> None:
    parameters = Parameters.load(LOCAL)
    table = {
        "ETH": ("1 %", 40_000, 70_000, 20_000, 40_000, 4_000_000_000, 20_000_000, 10_000_000, 200, 500, 1_500),
        "BTC": ("0.8 %", 32_000, 54_000, 16_000, 30_000, 6_000_000_000, 20_000_000, 10_000_000, 200, 500, 1_000),
        "SOL": ("3 %", 120_000, 200_000, 70_000, 120_000, 100_000_000, 1_000_000, 500_000, 500, 1_000, 5_000),
    }
    markets = {name: market for pool in parameters.pools.values() for name, market in pool.markets.items()}
    for name, (penalty, im, im_top, mm, mm_top, depth, oi, skew, maker, taker, band) in table.items():
        m = markets[name]
        assert m.penalty.value == float(penalty.rstrip(" %")) * 10_000
        assert (m.initial_margin.value, m.initial_margin_at_max.value) == (im, im_top)
        assert (m.maintenance_margin.value, m.maintenance_margin_at_max.value) == (mm, mm_top)
        assert (m.depth.value, m.oi_cap.value, m.skew_cap.value) == (depth * WAD, oi * WAD, skew * WAD)
        assert (m.maker_fee.value, m.taker_fee.value, m.max_half_band.value) == (maker, taker, band)


def test_limits_in_dollars_become_units_at_the_listing_price() -> None:
    parameters = Parameters.load(LOCAL, {"assets.ETH.price.value": "$1750"})
    market = parameters.pools["majors"].markets["ETH"]
    q = market_params(parameters, market)
    for name, amount in (
        ("oiCap", 20_000_000),
        ("skewCap", 10_000_000),
        ("skewScale", 4 * 10**9),
        ("maxPosition", 5_000_000),
    ):
        exact = Fraction(amount, 1750) * WAD
        assert q[name] % 10**9 == 0
        assert 0 <= exact - q[name] < 10**9
    top = Fraction(q["imSlope"] * q["maxPosition"], WAD)
    assert 0 <= top - Fraction(30_000 * WAD, PPM) < Fraction(q["maxPosition"], WAD), "slopes round up"
    assert order_rules(parameters, market)["latency"] == parameters.assets["ETH"].latency.value
    assert units_at(2000 * WAD, 1000 * WAD) == WAD // 2


def test_a_token_that_cannot_hold_an_amount_is_refused() -> None:
    liquidity = Parameters.load(LOCAL).pools["majors"].liquidity
    assert pool_terms(liquidity, 6)["minDeposit"] == 10_000_000
    assert native(WAD // 100, 2) == 1
    with pytest.raises(ValueError, match="no whole number of native units"):
        native(WAD // 1000, 2)


def test_the_hash_changes_with_values_and_not_with_reasons() -> None:
    base = Parameters.load(LOCAL)
    reason = Parameters.load(LOCAL, {f"{ETH}.penalty.why": "another reason, just as good"})
    spelled = Parameters.load(LOCAL, {f"{ETH}.penalty.value": "100 bp"})
    value = Parameters.load(LOCAL, {f"{ETH}.penalty.value": "101 bp"})
    assert base.configuration_hash == reason.configuration_hash == spelled.configuration_hash
    assert base.configuration_hash != value.configuration_hash


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({f"{ETH}.penalty": {"value": "1 %"}}, r"local.yaml:\d+: pools.majors.markets.ETH.penalty.why is missing"),
        ({f"{ETH}.penalty": {"value": "1 %", "why": "short"}}, r"ETH.penalty.why: .*at least 10 characters"),
        ({f"{ETH}.penalty": None}, r"local.yaml:\d+: pools.majors.markets.ETH.penalty is missing"),
        ({f"{ETH}.penalty.value": "1"}, r"ETH.penalty.value: '1' is not a ratio such as"),
        ({f"{ETH}.fee": {"value": "1 %", "why": REASON}}, r"ETH.fee is unknown; remove it"),
        ({"tokens.USDC.address": "0x12"}, r"tokens.USDC.address: '0x12' is not an address"),
        ({"pools.majors.settlement": "DAI"}, r"pools.majors.settlement: DAI is none of tokens: USDC, WETH, WBTC"),
        ({f"{ETH}.asset": "DOGE"}, r"pools.majors.markets.ETH.asset: DOGE is none of assets"),
        ({"pools.longtail.id": "1"}, r"pools: id 1 is used twice"),
        ({"assets.SOL.kind": "oracle"}, r"assets.SOL.kind: .*'chainlink', 'pyth' or 'fixed'"),
    ],
)
def test_a_mistake_is_told_with_its_line(overrides: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Parameters.load(LOCAL, overrides)


def test_all_mistakes_are_told_at_once() -> None:
    overrides = {f"{ETH}.penalty.value": "much", f"{ETH}.depth.value": "deep", "assets.BTC.band": None}
    with pytest.raises(ParameterError) as caught:
        Parameters.load(LOCAL, overrides)
    assert len(str(caught.value).splitlines()) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty or no mapping"),
        ("- a\n- b\n", "is empty or no mapping"),
        ("network: x\nnetwork: y\n", ":2: network is there twice"),
        ("network: 'x\n", r":\d+:\d+: not YAML"),
        ("? [a]\n: b\n", ":1: a key must be a word"),
    ],
)
def test_what_is_no_parameters_file_is_told(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Document.read(written(tmp_path, text))


def test_a_missing_file_and_a_wrong_override_are_told(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="does not exist"):
        Parameters.load(tmp_path / "none.yaml")
    with pytest.raises(ParameterError, match="has no pools.majors.markets.XRP.penalty.value: 'XRP' is missing"):
        Parameters.load(LOCAL, {"pools.majors.markets.XRP.penalty.value": "1 %"})


def test_numbers_without_quotes_stay_exact(tmp_path: Path) -> None:
    text = written(tmp_path, "a: 0.1\nb: 1e3\nc: 0x10\nd: yes\ne: 2020-01-01\n")
    assert Document.read(text).data == {"a": "0.1", "b": "1e3", "c": "0x10", "d": "yes", "e": "2020-01-01"}


def test_a_network_without_mocks_must_name_every_contract() -> None:
    lines = missing_addresses(Parameters.load(EXAMPLE))
    assert len(lines) == 6
    assert all("is missing; mocks are for local chains only" in line for line in lines)
    wanted = ["tokens.USDC.address", "tokens.WETH.address", "tokens.WBTC.address"]
    wanted += ["assets.ETH.feed", "assets.BTC.feed", "assets.SOL.feed"]
    assert [line.split(": ")[1].split(" ")[0] for line in lines] == wanted


def test_every_violation_is_reported_before_anything_is_sent() -> None:
    parameters = Parameters.load(
        LOCAL,
        {
            f"{ETH}.penalty.value": "2 %",
            "pools.majors.markets.BTC.oi_cap.value": "$100M",
            "pools.majors.adl_target.value": "60 %",
            "assets.SOL.ema_time.value": "3 s",
            "pools.longtail.liquidity.lp_delay.value": "1 min",
            "sequencer": {"feed": "0x" + "12" * 20, "grace": {"value": "31 min", "why": REASON}},
        },
    )
    with pytest.raises(ParameterError) as caught:
        check(parameters)
    text = str(caught.value)
    for part in (
        "penalty < maintenance_margin does not hold: left 2 %, right 2 %",
        "oi_cap·price ≤ nav_multiple·reference_nav does not hold: left $100000000, right $40000000",
        "0 < adl_target < adl_trigger does not hold: left 60 %, right 45 %",
        "60 s ≤ ema_time ≤ 86400 s does not hold: it is 3 s",
        "grace ≤ 30 min does not hold: left 1860 s, right 1800 s",
        "3600 s ≤ lp_delay ≤ 604800 s does not hold: it is 60 s",
    ):
        assert part in text


# ── books ──────────────────────────────────────────────────────────────────


def book() -> Book:
    return Book(network="x", chain_id=1, first_block=5, first_block_hash="0xab", deployer="0x1", configuration="0xcd")


def test_a_book_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "x.addresses.json"
    first = book()
    first.contracts["hub"] = Entry(contract="OracleHub", address="0x2", block=6, code_hash="0x3")
    first.creation = Creation(name="lens", contract="Lens", nonce=4, address="0x5")
    first.write(path)
    assert Book.read(path) == first
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert Book.read(tmp_path / "none.json") is None
    assert book_path(LOCAL).name == "local.addresses.json"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 2}', '{"version": 1, "network": "x"}'])
def test_a_damaged_book_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.addresses.json"
    path.write_text(text)
    with pytest.raises(BookError, match="is no address book") as caught:
        Book.read(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("nonce", "address"),
    [
        (0, "0x5FbDB2315678afecb367f032d93F642f64180aa3"),
        (1, "0xe7f1725E7734CE288F8367e1Bb143E90bb3F0512"),
        (7, "0xa513E6E4b8f2a923D98304ec87F64353C4D5C853"),
    ],
)
def test_addresses_of_creations_are_predicted(nonce: int, address: str) -> None:
    assert create_address("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", nonce) == address
