"""From every place where the protocol calls out, every state-changing function of every contract is shut."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.integration.test_pauses_roles import INSIDE, blank
from tests.support.caller import Caller, Target, call_data, error_name
from tests.support.hostile import HostilePool, hostile_pool
from tests.support.protocol import Protocol

from plimsoll.chain.contract import Contract
from plimsoll.chain.signer import UnlockedSender
from plimsoll.units import WAD

LIMIT = 2**256 - 1
# what may be called at any time: it moves nothing of the protocol, or always reverts
HARMLESS = {"approve", "permit", "simulate"}
VIEWS = (
    ("Clearinghouse", "poolNav"),
    ("Clearinghouse", "load"),
    ("LiquidityPool", "totalAssets"),
    ("LiquidityPool", "convertToShares"),
    ("LiquidityPool", "convertToAssets"),
    ("LiquidityPool", "maxWithdraw"),
    ("LiquidityPool", "maxDeposit"),
    ("Lens", "account"),
    ("Lens", "pool"),
    ("Lens", "solvency"),
    ("Lens", "previewTrade"),
)


def signatures(contract: Contract, *, mutating: bool) -> list[dict[str, Any]]:
    """Functions of an ABI, those that change state or the others."""
    return [
        item
        for item in contract.abi
        if item["type"] == "function" and (item["stateMutability"] in {"nonpayable", "payable"}) == mutating
    ]


def targets(world: HostilePool) -> list[tuple[str, str, Target]]:
    """Every state-changing function of Clearinghouse, OrderBook and LiquidityPool, with arguments that fit."""
    p, found = world.p, []
    attack = world.account(p.attacker)
    for label, contract in (("Clearinghouse", p.clearinghouse), ("OrderBook", p.order_book), ("LP", world.lp)):
        for item in signatures(contract, mutating=True):
            arguments = [blank(entry) for entry in item["inputs"]]
            if item["name"] == "multicall":
                arguments = [[call_data(p.clearinghouse, "accrue", 256)[1]]]
            name = f"{item['name']}({','.join(_type(entry) for entry in item['inputs'])})"
            found.append((label, item["name"], call_data(contract, name, *arguments)))
    # and the attacks that would pay, with true arguments
    usdc = world.settlement.address
    found.append(("attack", "withdraw", call_data(p.clearinghouse, "withdraw", attack, usdc, 1, p.attacker)))
    found.append(("attack", "deposit", call_data(p.clearinghouse, "deposit", attack, usdc, 1)))
    found.append(("attack", "claim", call_data(p.clearinghouse, "claim", 3, usdc, p.attacker)))
    found.append(("attack", "liquidate", call_data(p.clearinghouse, "liquidate", [attack], attack)))
    return found


def _type(entry: dict[str, Any]) -> str:
    if not entry["type"].startswith("tuple"):
        return str(entry["type"])
    return "(" + ",".join(_type(part) for part in entry["components"]) + ")" + entry["type"][5:]


def view_targets(world: HostilePool) -> list[tuple[str, str, Target]]:
    """Views that show values which are in motion."""
    p = world.p
    contracts = {"Clearinghouse": p.clearinghouse, "LiquidityPool": world.lp, "Lens": p.lens}
    found = []
    for label, name in VIEWS:
        item = next(one for one in contracts[label].abi if one.get("name") == name and one["type"] == "function")
        found.append((label, name, call_data(contracts[label], name, *[blank(entry) for entry in item["inputs"]])))
    return found


def sites(world: HostilePool, caller: Caller) -> dict[str, Callable[[], Any]]:
    """Every place where the protocol hands control to a token or a buyer."""
    p, house = world.p, world.p.clearinghouse
    account, usdc, extra = world.account(p.trader), world.settlement.address, world.collateral.address
    lp = world.lp
    return {
        "deposit": lambda: house.transact("deposit", account, usdc, 10, sender=p.trader),
        "deposit collateral": lambda: house.transact("deposit", account, extra, 10, sender=p.trader),
        "permit": lambda: house.transact(
            "depositWithPermit", account, usdc, 10, 0, 27, bytes(32), bytes(32), sender=p.trader
        ),
        "withdraw": lambda: house.transact("withdraw", account, usdc, 10, p.trader, sender=p.trader),
        "withdraw collateral": lambda: house.transact("withdraw", account, extra, 10, p.trader, sender=p.trader),
        "fund insurance": lambda: house.transact("fundInsurance", 3, 10, sender=p.trader),
        "claim": lambda: house.transact("claim", 3, usdc, p.keeper, sender=p.keeper),
        "request deposit": lambda: lp.transact("requestDeposit", 10**7, p.trader, p.trader, sender=p.trader),
        "redeem": lambda: lp.transact("redeem", lp.call("maxRedeem", p.lp) // 2, p.lp, p.lp, sender=p.lp),
        "buy, delivery and payment": lambda: house.transact(
            "buyCollateral", world.account(p.other_trader), extra, 10**15, LIMIT, b"", sender=p.trader
        ),
        "buy, callback": lambda: house.transact(
            "buyCollateral", world.account(p.other_trader), extra, 10**15, LIMIT, b"\x01", sender=caller.address
        ),
    }


@pytest.fixture
def world(protocol: Protocol) -> HostilePool:
    """A pool of hook tokens in which something is claimable, redeemable and on sale."""
    p = protocol
    world = hostile_pool(p, "HookToken", "HookToken")
    lp = world.lp
    lp.transact("requestRedeem", lp.call("balanceOf", p.lp) // 100, p.lp, p.lp, sender=p.lp)
    p.warp_to(lp.call("strikeTime", lp.call("currentEpoch")))
    lp.transact("strike", world.account(p.keeper), sender=p.keeper)
    trader, poor = world.account(p.trader), world.account(p.other_trader)
    world.deposit(trader, world.settlement, 10**10)
    world.deposit(trader, world.collateral, 10**18)
    world.fund(world.settlement, p.trader, 10**12)
    world.fund(world.collateral, p.trader, 10**18)
    world.fund(world.settlement, p.attacker, 10**12)
    world.deposit(world.account(p.attacker), world.settlement, 10**6)
    world.deposit(poor, world.settlement, 10**9)
    world.deposit(poor, world.collateral, 10**18 // 2)
    trade(world, poor, 4)
    p.set_price("ETH", 1_500)
    keeper = p.account(p.keeper, "majors")
    assert p.clearinghouse.call("liquidate", [poor], keeper, sender=p.keeper) == [3]
    p.clearinghouse.transact("liquidate", [poor], keeper, sender=p.keeper)
    return world


def trade(world: HostilePool, account: bytes, size: int) -> None:
    """A fill in the hostile pool."""
    p, market = world.p, 3 << 8
    arguments = (account, market, size * WAD, LIMIT if size > 0 else 0, p.now() + 600, WAD // 10, False, bytes(32))
    placed = p.order_book.transact("placeOrder", *arguments, sender=p.owner_of(account)).event("OrderPlaced").args
    order = {key: value for key, value in placed.items() if key != "priceTime"}
    p.anvil.advance(6)
    p.publish("ETH")
    items = [{"order": order, "hint": b""}]
    receipt = p.order_book.transact("executeOrders", items, world.account(p.keeper), sender=p.keeper)
    assert receipt.named("Filled"), [event.name for event in receipt.events]


def test_every_function_is_shut_from_every_call_site(world: HostilePool) -> None:
    """INV-34."""
    p, caller = world.p, Caller(world.p)
    world.fund(world.settlement, caller.address, 10**12)
    every = targets(world)
    assert len(every) > 70
    reached = 0
    for site, act in sites(world, caller).items():
        with p.snapshot():
            caller.load(*(target for _, _, target in every))
            for one in (world.settlement, world.collateral):
                hooked = "callback" not in site
                one.transact("setHook", caller.address if hooked else "0x" + "00" * 20, b"\x01", sender=p.attacker)
            act()
            answers = caller.answers()
            assert all(answers), f"{site} does not call out"
            for (label, name, _), answer in zip(every, answers, strict=True):
                assert answer is not None
                where = f"{label}.{name} from {site}"
                if name in HARMLESS and label != "attack":
                    continue
                assert not answer.succeeded, f"{where} succeeded"
                if name not in INSIDE:
                    assert error_name(p, answer) != "unknown", f"{where} failed by accident: {answer.data.hex()}"
                if label == "attack":
                    assert error_name(p, answer) == "Locked", where
                reached += error_name(p, answer) == "Locked"
    # most are stopped by the lock itself, the others by a role that comes before it
    assert reached > 300


def test_views_of_value_are_shut_too(world: HostilePool) -> None:
    p, caller = world.p, Caller(world.p)
    world.fund(world.settlement, caller.address, 10**12)
    every = view_targets(world)
    for site, act in sites(world, caller).items():
        with p.snapshot():
            caller.load(*(target for _, _, target in every))
            for one in (world.settlement, world.collateral):
                hooked = "callback" not in site
                one.transact("setHook", caller.address if hooked else "0x" + "00" * 20, b"\x01", sender=p.attacker)
            act()
            for (label, name, _), answer in zip(every, caller.answers(), strict=True):
                assert answer is not None
                assert (answer.succeeded, error_name(p, answer)) == (False, "Locked"), f"{label}.{name} from {site}"


def test_the_lock_is_open_again_afterwards(world: HostilePool) -> None:
    p, caller = world.p, Caller(world.p)
    caller.load(call_data(p.clearinghouse, "accrue", 256))
    world.settlement.transact("setHook", caller.address, b"\x01", sender=p.attacker)
    account = world.account(p.trader)
    for _ in range(2):
        p.clearinghouse.transact("deposit", account, world.settlement.address, 10, sender=p.trader)
        assert not p.clearinghouse.call("isLocked")
    # two entry points in one transaction, one after the other
    world.settlement.transact("setHook", "0x" + "00" * 20, b"", sender=p.attacker)
    world.fund(world.settlement, caller.address, 100)
    data = call_data(p.clearinghouse, "deposit", account, world.settlement.address, 10)
    caller.load(data, data, call_data(p.clearinghouse, "accrue", 256))
    UnlockedSender(p.rpc, p.attacker).send(caller.address)
    assert [answer.succeeded for answer in caller.answers() if answer] == [True, True, True]
