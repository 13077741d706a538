"""Verification: a system as deployed has no differences, and every change is found where it is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.protocol import Protocol
from tests.unit.test_cli import plimsoll

from plimsoll.chain.anvil import Anvil
from plimsoll.deploy.deploy import deploy
from plimsoll.deploy.parameters import Parameters
from plimsoll.deploy.structs import (
    asset_config,
    collateral_params,
    market_params,
    order_rules,
    pool_params,
)
from plimsoll.deploy.verify import Difference, verify

ROOT = Path(__file__).resolve().parents[2]
LOCAL = ROOT / "deployments" / "local.yaml"

Change = Callable[[Protocol], None]


def test_a_used_system_has_no_differences(protocol: Protocol) -> None:
    account = protocol.account(protocol.trader)
    protocol.deposit(account, 10_000)
    protocol.trade(account, "ETH", 1)
    assert verify(protocol.deployment) == []


def _set_market(p: Protocol) -> None:
    market = p.deployment.parameters.pools["majors"].markets["ETH"]
    p.clearinghouse.transact("setMarket", 256, market_params(p.deployment.parameters, market) | {"takerPpm": 600})


def _set_pool(p: Protocol) -> None:
    pool = p.deployment.parameters.pools["longtail"]
    params = pool_params(p.deployment.parameters, pool, p.tokens["USDC"].address)
    p.clearinghouse.transact("setPool", 2, params | {"rewardMax": 2000 * 10**18, "reserveFactorPpm": 700_000})


def _set_collateral(p: Protocol) -> None:
    item = p.deployment.parameters.pools["majors"].collateral["WBTC"]
    params = collateral_params(p.deployment.parameters, "WBTC", item, p.tokens["WBTC"].address)
    p.clearinghouse.transact("setCollateral", 1, params | {"cap": 7, "weightInitialPpm": 810_000})


def _set_asset(p: Protocol) -> None:
    config = asset_config(p.deployment.parameters.assets["SOL"], p.feeds["SOL"].address)
    p.hub.transact("setAsset", 3, config | {"tau": 900})


def _list_asset(p: Protocol) -> None:
    config = asset_config(p.deployment.parameters.assets["SOL"], p.feeds["SOL"].address)
    p.hub.transact("listAsset", 9, config)


def _set_rules(p: Protocol) -> None:
    market = p.deployment.parameters.pools["majors"].markets["BTC"]
    p.order_book.transact("setMarket", 257, order_rules(p.deployment.parameters, market) | {"execWindow": 45})


def _set_code(p: Protocol) -> None:
    code = p.rpc.request("eth_getCode", [p.order_book.address, "latest"])
    # The last byte of the code is no immutable.
    changed = code[:-2] + ("00" if code[-2:] != "00" else "01")
    p.rpc.request("anvil_setCode", [p.order_book.address, changed])


def _set_spare_bits(p: Protocol) -> None:
    slot = p.reader.slots.at("poolConfigs_", 1, "liquidity")
    word = p.reader.word("poolConfigs_", 1, "liquidity") | 1 << 250
    p.rpc.request("anvil_setStorageAt", [p.clearinghouse.address, f"0x{slot:064x}", f"0x{word:064x}"])


CASES: dict[str, tuple[Change, list[tuple[str, str, str, str]]]] = {
    "market": (_set_market, [("market majors/ETH", "taker_ppm", "500", "600")]),
    "pool": (
        _set_pool,
        [
            ("pool longtail", "reward_max", str(1000 * 10**18), str(2000 * 10**18)),
            ("pool longtail", "reserve_factor_ppm", "800000", "700000"),
        ],
    ),
    "collateral": (
        _set_collateral,
        [
            ("collateral majors/WBTC", "weight_initial_ppm", "820000", "810000"),
            ("collateral majors/WBTC", "cap", str(250 * 10**8), "7"),
        ],
    ),
    "asset": (_set_asset, [("asset SOL", "tau", "1800", "900")]),
    "asset that the file does not have": (_list_asset, [("asset 9", "listed", "no", "yes")]),
    "order rules": (_set_rules, [("market majors/BTC orders", "execWindow", "30", "45")]),
    "pause": (
        lambda p: p.clearinghouse.transact("setPause", 1, 1) and None,
        [("pool majors", "pause_flags", "0", "1")],
    ),
    "reduce-only": (
        lambda p: p.clearinghouse.transact("setReduceOnly", 512, True) and None,
        [("market longtail/SOL", "flags", "1", "3")],
    ),
    "strange bits": (_set_spare_bits, [("pool majors", "bits outside PoolLiquidityWord", "none", hex(1 << 250))]),
}


@pytest.mark.parametrize("name", CASES)
def test_a_change_is_found(protocol: Protocol, name: str) -> None:
    change, expected = CASES[name]
    change(protocol)
    assert verify(protocol.deployment) == [Difference(*fields) for fields in expected]


def test_other_code_is_found_twice(protocol: Protocol) -> None:
    _set_code(protocol)
    found = verify(protocol.deployment)
    assert [(item.where, item.what) for item in found] == [("order_book", "code hash"), ("order_book", "code")]


def test_a_contract_that_is_gone_is_told_alone(protocol: Protocol) -> None:
    protocol.rpc.request("anvil_setCode", [protocol.lens.address, "0x"])
    assert verify(protocol.deployment) == [Difference("lens", "code", "Lens", "none")]


def test_roles_are_compared(protocol: Protocol) -> None:
    protocol.clearinghouse.transact("setGuardian", protocol.attacker)
    protocol.hub.transact("transferOwnership", protocol.attacker)
    protocol.order_book.transact("transferOwnership", protocol.attacker)
    protocol.order_book.transact("acceptOwnership", sender=protocol.attacker)
    assert verify(protocol.deployment) == [
        Difference("hub", "pending owner", "none", protocol.attacker),
        Difference("order_book", "owner", protocol.deployer, protocol.attacker),
        Difference("clearinghouse", "guardian", protocol.guardian, protocol.attacker),
    ]


def test_the_command_prints_every_difference_and_fails(tmp_path: Path) -> None:
    path = tmp_path / "local.yaml"
    path.write_text(LOCAL.read_text(encoding="utf-8"), encoding="utf-8")
    with Anvil() as anvil:
        where = ("--network", str(path), "--rpc", anvil.url)
        first = plimsoll("deploy", "--json", *where)
        assert (first.returncode, first.stderr) == (0, "")
        assert json.loads(first.stdout)["complete"] is True
        good = plimsoll("verify", *where)
        assert (good.returncode, good.stderr) == (0, "")
        assert "are as" in good.stdout
        done = deploy(anvil.sender(0), Parameters.load(path), book=path.with_suffix(".addresses.json"))
        done.clearinghouse.transact("setPause", 2, 3)
        bad = plimsoll("verify", *where)
        assert bad.returncode == 1
        assert "pause_flags" in bad.stdout
        assert "differences: 1" in bad.stdout
        as_json = plimsoll("verify", "--json", *where)
        assert as_json.returncode == 1
        assert json.loads(as_json.stdout) == [
            {"where": "pool longtail", "what": "pause_flags", "expected": "0", "found": "3"}
        ]
        again = plimsoll("deploy", *where)
        assert again.returncode == 0
        assert "differs from the file: pool longtail pause_flags: 0 in the file, 3 on chain" in again.stderr
