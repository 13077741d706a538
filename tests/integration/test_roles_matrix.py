"""INV-32: who may call what of the other contracts: tables over every function of their ABIs, inherited ones too.

Those of the Clearinghouse are in `test_pauses_roles.py`.
"""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from tests.integration.test_pauses_roles import blank
from tests.support.caller import call_data
from tests.support.core import everything
from tests.support.protocol import Protocol
from tests.support.reverts import reverts_with

from plimsoll.chain.contract import Contract

OWNER = {
    "OrderBook": {"setMarket", "transferOwnership", "renounceOwnership"},
    "OracleHub": {
        "listAsset",
        "setAsset",
        "setSequencer",
        "setPyth",
        "transferOwnership",
        "renounceOwnership",
    },
    "LiquidityPool": {"setTerms", "transferOwnership", "renounceOwnership"},
}
ANYONE = {
    "OrderBook": {"acceptOwnership", "placeOrder", "cancelOrder", "executeOrders", "expireOrders"},
    "OracleHub": {"acceptOwnership", "observe", "firstAfter", "updatePyth"},
    "LiquidityPool": {
        "acceptOwnership",
        "approve",
        "claimRefund",
        "deposit",
        "mint",
        "permit",
        "redeem",
        "requestDeposit",
        "requestRedeem",
        "seed",
        "setOperator",
        "strike",
        "transfer",
        "transferFrom",
        "withdraw",
    },
}
"""For one's own money, or what is useful to all."""


def contracts(p: Protocol) -> dict[str, Contract]:
    return {"OrderBook": p.order_book, "OracleHub": p.hub, "LiquidityPool": p.pools["majors"].lp}


def mutating(contract: Contract) -> list[dict[str, Any]]:
    """Functions that change state; overloads are separate."""
    return [
        item for item in contract.abi if item["type"] == "function" and item["stateMutability"] not in {"view", "pure"}
    ]


def called(contract: Contract, item: dict[str, Any], sender: str) -> None:
    contract.call(_signature(item), *[blank(entry) for entry in item["inputs"]], sender=sender)


def _signature(item: dict[str, Any]) -> str:
    return f"{item['name']}({','.join(_type(entry) for entry in item['inputs'])})"


def _type(entry: dict[str, Any]) -> str:
    if not entry["type"].startswith("tuple"):
        return str(entry["type"])
    return "(" + ",".join(_type(part) for part in entry["components"]) + ")" + entry["type"][5:]


@pytest.mark.parametrize("name", sorted(OWNER))
def test_the_table_names_every_function(protocol: Protocol, name: str) -> None:
    """INV-32: a function that is added to a contract has to be put into the table."""
    found = {item["name"] for item in mutating(contracts(protocol)[name])}
    assert found == OWNER[name] | ANYONE[name]
    assert not OWNER[name] & ANYONE[name]


@pytest.mark.parametrize("name", sorted(OWNER))
def test_nobody_else_passes(protocol: Protocol, name: str) -> None:
    """INV-32: whoever is not the owner is refused by name, the other contracts and the guardian too."""
    p = protocol
    contract, before = contracts(p)[name], everything(p)
    actors = [p.guardian, p.trader, p.keeper, p.attacker, p.clearinghouse.address]
    for item in mutating(contract):
        if item["name"] in OWNER[name]:
            for actor in actors:
                with reverts_with("OwnableUnauthorizedAccount", actor):
                    called(contract, item, actor)
    for actor in actors:
        with reverts_with("OwnableUnauthorizedAccount", actor):
            contract.call("acceptOwnership", sender=actor)
    assert contract.call("owner") == p.owner
    assert everything(p) == before


def test_the_lens_holds_nothing(protocol: Protocol) -> None:
    """INV-32: the Lens has code for the ledger's storage, but called by itself it writes none of its own."""
    p = protocol
    for item in mutating(p.lens):
        target, data = call_data(p.lens, _signature(item), *[blank(entry) for entry in item["inputs"]])
        request = {"from": p.attacker, "to": target, "data": "0x" + data.hex(), "gas": hex(1_000_000)}
        p.rpc.request("eth_sendTransaction", [request])
    state = json.loads(gzip.decompress(bytes.fromhex(p.rpc.request("anvil_dumpState")[2:])))
    accounts = {address.lower(): account for address, account in state["accounts"].items()}
    assert accounts[p.lens.address.lower()]["storage"] == {}
    assert accounts[p.order_book.address.lower()]["storage"] != {}
