"""Who may do what, and what each pause stops: tables over every function of the ABI."""

from __future__ import annotations

from typing import Any

import pytest
from tests.integration.test_setters import market_of, pool_of
from tests.support.core import due, everything, traded
from tests.support.protocol import OrderResult, Protocol
from tests.support.reverts import reverts_with

from plimsoll.chain.errors import ContractRevert, Revert
from plimsoll.units import WAD

OWNER = {
    "createPool",
    "setPool",
    "setShareToken",
    "listMarket",
    "setMarket",
    "listCollateral",
    "setCollateral",
    "settleMarket",
    "sweepFees",
    "offerOwnership",
    "setGuardian",
}
GUARDIAN = {"setPause", "setReduceOnly", "lowerCaps"}
PEER = {"reserveFee", "releaseFee", "fill", "lpDeposit", "lpStrike", "lpSettle", "lpClaim", "unlock"}
INSIDE = {"protect", "socialise"}
"""Of the modules; the Clearinghouse does not forward them."""
ANYONE = {
    "accrue",
    "buyCollateral",
    "claim",
    "closeSettled",
    "deleverage",
    "deposit",
    "depositWithPermit",
    "fundInsurance",
    "liquidate",
    "lock",
    "multicall",
    "simulate",
    "takeOwnership",
    "transfer",
    "withdraw",
}


def functions(p: Protocol) -> dict[str, dict[str, Any]]:
    """Every state-changing function at the address of the Clearinghouse."""
    return {
        item["name"]: item
        for item in p.clearinghouse.abi
        if item["type"] == "function" and item["stateMutability"] not in {"view", "pure"}
    }


def blank(entry: dict[str, Any]) -> Any:
    """A value of an argument's type: zeros."""
    kind = entry["type"]
    if kind.endswith("[]"):
        return []
    if kind == "tuple":
        return {part["name"]: blank(part) for part in entry["components"]}
    if kind == "address":
        return "0x" + "00" * 20
    if kind.startswith("bytes"):
        return bytes(int(kind[5:] or 0))
    return False if kind == "bool" else 0


def test_the_table_names_every_function(protocol: Protocol) -> None:
    """INV-32."""
    assert set(functions(protocol)) == OWNER | GUARDIAN | PEER | ANYONE | INSIDE


def test_nobody_else_passes(protocol: Protocol) -> None:
    """INV-32: every function, every actor: the ones without the role are refused before anything else is looked at."""
    p = protocol
    before = everything(p)
    actors = [p.trader, p.keeper, p.lp, p.attacker, p.order_book.address, p.pools["majors"].lp.address]
    for name, item in functions(p).items():
        arguments = [blank(entry) for entry in item["inputs"]]
        for actor in (*actors, p.guardian):
            if name in OWNER:
                with reverts_with("NotOwner", actor):
                    p.clearinghouse.call(name, *arguments, sender=actor)
            elif name in GUARDIAN and actor != p.guardian:
                with reverts_with("NotGuardian", actor):
                    p.clearinghouse.call(name, *arguments, sender=actor)
            elif name in PEER:
                with reverts_with("NotLocked"):
                    p.clearinghouse.call(name, *arguments, sender=actor)
            elif name in INSIDE:
                with pytest.raises(Revert):
                    p.clearinghouse.call(name, *arguments, sender=actor)
    with reverts_with("NotOwner", p.attacker):
        p.clearinghouse.call("takeOwnership", sender=p.attacker)
    with reverts_with("NotPeer", p.attacker):
        p.clearinghouse.call("lock", sender=p.attacker)
    assert everything(p) == before


def test_the_modules_alone_have_nothing(protocol: Protocol) -> None:
    """INV-32: called at their own addresses they find an empty ledger without owner."""
    p = protocol
    for name in ("liquidation_module", "solvency_module", "admin_module"):
        address = p.deployment.book.contracts[name].address
        contract = type(p.clearinghouse)(p.rpc, address, p.clearinghouse.abi, errors=p.deployment.errors)
        for function, item in functions(p).items():
            arguments = [blank(entry) for entry in item["inputs"]]
            if function == "liquidate" and name == "liquidation_module":
                assert contract.call(function, *arguments, sender=p.attacker) == []
                continue
            with pytest.raises(Revert):
                contract.call(function, *arguments, sender=p.attacker)


def test_ownership_moves_in_two_steps(protocol: Protocol) -> None:
    p = protocol
    house = p.clearinghouse
    receipt = house.transact("offerOwnership", p.trader, sender=p.owner)
    assert receipt.event("OwnershipOffered").args == {"owner": p.owner, "pendingOwner": p.trader}
    assert (house.call("owner"), house.call("pendingOwner")) == (p.owner, p.trader)
    with reverts_with("NotOwner", p.attacker):
        house.transact("takeOwnership", sender=p.attacker)
    house.transact("takeOwnership", sender=p.trader)
    assert (house.call("owner"), house.call("pendingOwner")) == (p.trader, "0x" + "00" * 20)
    with reverts_with("NotOwner", p.owner):
        house.transact("setGuardian", p.owner, sender=p.owner)
    house.transact("setGuardian", p.keeper, sender=p.trader)
    assert house.call("guardian") == p.keeper
    with reverts_with("NotGuardian", p.guardian):
        house.transact("setPause", 1, 1, sender=p.guardian)


def test_the_guardian_only_reduces_risk(protocol: Protocol) -> None:
    """INV-33."""
    p = protocol
    house, market = p.clearinghouse, p.market("ETH")
    with reverts_with("UnknownPool", 9):
        house.call("setPause", 9, 1, sender=p.guardian)
    with reverts_with("TooMany", 8, 7):
        house.call("setPause", 1, 8, sender=p.guardian)
    for flags in (1, 5, 7):
        receipt = house.transact("setPause", 1, flags, sender=p.guardian)
        assert receipt.event("PauseSet").args == {"pool": 1, "flags": flags, "by": p.guardian}
    for flags in (0, 3, 6):
        with reverts_with("GuardianMayOnlyReduce"):
            house.call("setPause", 1, flags, sender=p.guardian)
    house.transact("setPause", 1, 0, sender=p.owner)
    house.transact("setReduceOnly", market, True, sender=p.guardian)
    with reverts_with("GuardianMayOnlyReduce"):
        house.call("setReduceOnly", market, False, sender=p.guardian)
    house.transact("setReduceOnly", market, False, sender=p.owner)
    for fn, args in (("setReduceOnly", (999, True)), ("lowerCaps", (999, 0, 0))):
        with reverts_with("UnknownMarket", 999):
            house.call(fn, *args, sender=p.guardian)
    house.transact("lowerCaps", market, 100 * WAD, 50 * WAD, sender=p.guardian)
    for caps in ((100 * WAD + 10**9, 0), (0, 50 * WAD + 10**9)):
        with reverts_with("GuardianMayOnlyReduce"):
            house.call("lowerCaps", market, *caps, sender=p.owner)
    with reverts_with("SkewCapAboveOiCap", 50 * WAD, 49 * WAD):
        house.call("lowerCaps", market, 49 * WAD, 50 * WAD, sender=p.guardian)
    with reverts_with("NotMultiple", 1, 10**9):
        house.call("lowerCaps", market, 1, 0, sender=p.guardian)
    house.transact("setMarket", market, market_of(p), sender=p.owner)


ACTIONS = [
    "deposit",
    "top up",
    "withdraw",
    "borrow",
    "open",
    "reduce",
    "close",
    "liquidate",
    "lp in",
    "lp out",
    "place",
    "cancel",
    "transfer",
    "borrow by transfer",
    "accrue",
    "fund insurance",
    "sweep and claim",
]
STOPPED = {1: {"open", "place"}, 2: {"lp in"}, 4: {"borrow", "borrow by transfer"}}
ERRORS = {
    "open": "IncreasePaused",
    "place": "IncreasePaused",
    "lp in": "LpDepositPaused",
    "borrow": "BorrowPaused",
    "borrow by transfer": "BorrowPaused",
}


def staged(p: Protocol) -> tuple[bytes, bytes, bytes, dict[str, Any]]:
    """An account with a position, one near its line, one with collateral alone, and a due order of the first in BTC."""
    account, victim, rich = p.account(p.trader), p.account(p.other_trader), p.account(p.trader, sub=1)
    p.deposit(account, 10_000)
    traded(p, account, "ETH", 10)
    p.deposit(victim, 950)
    traded(p, victim, "ETH", 10)
    p.deposit(rich, 10, token="WETH")
    pending, _ = p.place(account, "BTC", "0.1")
    p.publish("ETH")
    due(p, pending)
    return account, victim, rich, pending


@pytest.mark.parametrize("flags", range(8))
def test_the_pause_matrix(protocol: Protocol, flags: int) -> None:
    """INV-36: exactly what the table says is stopped, by its error; closing and liquidation never are."""
    p = protocol
    scene = staged(p)
    p.clearinghouse.transact("setPause", 1, flags, sender=p.guardian)
    stopped = set().union(*(names for bit, names in STOPPED.items() if flags & bit))
    for action in ACTIONS:
        with p.snapshot():
            outcome = attempt(p, action, *scene)
        assert outcome == (ERRORS[action] if action in stopped else ""), (flags, action)


@pytest.mark.parametrize(("market", "stopped"), [("BTC", "open"), ("ETH", "")])
def test_a_reduce_only_market_stops_increases_there_alone(protocol: Protocol, market: str, stopped: str) -> None:
    """INV-36: only the fill in that market is stopped; the order in another and every other action go on."""
    p = protocol
    scene = staged(p)
    p.clearinghouse.transact("setReduceOnly", p.market(market), True, sender=p.guardian)
    for action in ACTIONS:
        with p.snapshot():
            outcome = attempt(p, action, *scene)
        assert outcome == ("ReduceOnlyMarket" if action == stopped else ""), action


def attempt(p: Protocol, action: str, account: bytes, victim: bytes, rich: bytes, pending: dict[str, Any]) -> str:
    """Does one thing; the name of the error that stopped it, empty when it went well."""
    try:
        if action == "deposit":
            p.deposit(p.account(p.attacker), 5)
        elif action == "top up":
            p.deposit(rich, 1, token="WETH")
        elif action == "withdraw":
            p.deposit(p.account(p.lp), 5)
            p.withdraw(p.account(p.lp), 5)
        elif action == "borrow":
            p.withdraw(rich, 100)
        elif action == "open":
            results, receipt = p.execute(pending)
            if results != [OrderResult.FILLED]:
                reason = p.deployment.errors.decode(receipt.event("OrderSkipped")["reason"])
                return str(getattr(reason, "name", reason))
        elif action == "place":
            p.place(account, "ETH", 1)
        elif action == "reduce":
            p.trade(account, "ETH", -4, reduce_only=True)
        elif action == "close":
            p.trade(account, "ETH", -10, reduce_only=True)
        elif action == "liquidate":
            p.set_price("ETH", 1_950)
            assert p.liquidate(victim).results[0] in {1, 2}
        elif action == "cancel":
            order, _ = p.place(account, "ETH", -1, reduce_only=True)
            p.order_book.transact("cancelOrder", order, sender=p.trader)
        elif action in {"transfer", "borrow by transfer"}:
            giver = rich
            if action == "transfer":
                giver = p.account(p.trader, sub=2)
                p.deposit(giver, 5)
            arguments = (giver, p.account(p.trader, sub=3), p.tokens["USDC"].address, 5 * 10**6)
            p.clearinghouse.transact("transfer", *arguments, sender=p.trader)
        elif action == "accrue":
            p.clearinghouse.transact("accrue", p.market("ETH"), sender=p.attacker)
        elif action == "fund insurance":
            units = p.mint("USDC", p.attacker, 5)
            p.approve("USDC", p.attacker, units)
            p.clearinghouse.transact("fundInsurance", 1, units, sender=p.attacker)
        elif action == "sweep and claim":
            p.clearinghouse.transact("sweepFees", 1, p.lp, sender=p.owner)
            p.clearinghouse.transact("claim", 1, p.tokens["USDC"].address, p.lp, sender=p.lp)
        elif action == "lp in":
            p.lp_deposit(p.other_lp, 1_000)
        else:
            assert p.lp_redeem(p.lp, 10**21) > 0
    except ContractRevert as error:
        return error.name
    return ""


def test_unpausing_lets_everything_continue(protocol: Protocol) -> None:
    p = protocol
    account = p.account(p.trader)
    p.deposit(account, 10_000)
    order, _ = p.place(account, "ETH", 1)
    p.clearinghouse.transact("setPause", 1, 7, sender=p.guardian)
    due(p, order)
    assert p.execute(order)[0] == [OrderResult.REFUSED]
    p.clearinghouse.transact("setPause", 1, 0, sender=p.owner)
    assert p.execute(order)[0] == [OrderResult.FILLED]
    p.clearinghouse.transact("setPool", 1, pool_of(p), sender=p.owner)
    p.assert_identity()


def test_a_pause_survives_a_change_of_parameters(protocol: Protocol) -> None:
    p = protocol
    p.clearinghouse.transact("setPause", 1, 5, sender=p.guardian)
    p.clearinghouse.transact("setReduceOnly", 256, True, sender=p.guardian)
    p.clearinghouse.transact("setPool", 1, pool_of(p, rewardMax=2_000 * WAD), sender=p.owner)
    p.clearinghouse.transact("setMarket", 256, market_of(p), sender=p.owner)
    account = p.account(p.trader)
    p.deposit(account, 1_000)
    with reverts_with("IncreasePaused", 1):
        p.place(account, "ETH", 1)
    assert p.reader.word("marketConfigs_", 256, "margin") >> 224 & 2
