"""KeeperRelay: a Pyth update and the liquidations it makes possible, in one transaction."""

from __future__ import annotations

from tests.support.protocol import Protocol
from tests.support.pyth import FEE, move_to_pyth
from tests.support.reverts import reverts_with

from plimsoll.units import WAD

FULL = 2
HEALTHY = 0


def leveraged(p: Protocol, sub: int = 0) -> bytes:
    account = p.account(p.trader, sub=sub)
    p.deposit(account, "2_000")
    p.trade(account, "ETH", "5")
    return account


def ether(p: Protocol, address: str) -> int:
    return int(p.rpc.request("eth_getBalance", [address, "latest"]), 16)


def test_the_update_makes_the_liquidation_possible_and_the_rest_of_the_ether_comes_back(protocol: Protocol) -> None:
    account = leveraged(protocol)
    pyth = move_to_pyth(protocol)
    relay, keeper = protocol.deployment.relay, protocol.account(protocol.keeper)
    assert protocol.clearinghouse.call("liquidate", [account], keeper, sender=protocol.keeper) == [HEALTHY]
    time = protocol.now() + 1
    before = ether(protocol, protocol.keeper)
    receipt = relay.transact(
        "updateAndLiquidate", [pyth.update("1_620", time)], [account], keeper, sender=protocol.keeper, value=WAD
    )
    assert receipt.event("Liquidated")["account"] == account
    assert ether(protocol, protocol.keeper) == before - FEE - receipt.gas_used * receipt.effective_gas_price
    assert ether(protocol, relay.address) == 0
    protocol.assert_identity()


def test_nothing_to_liquidate_undoes_the_update(protocol: Protocol) -> None:
    account = leveraged(protocol)
    pyth = move_to_pyth(protocol)
    relay, keeper = protocol.deployment.relay, protocol.account(protocol.keeper)
    update = pyth.update("1_990", protocol.now() + 1)
    with reverts_with("NothingLiquidated"):
        relay.transact("updateAndLiquidate", [update], [account], keeper, sender=protocol.keeper, value=FEE)
    with reverts_with("NothingLiquidated"):
        relay.transact("updateAndLiquidate", [update], [], keeper, sender=protocol.keeper, value=FEE)


def test_a_fee_that_is_missing_is_refused(protocol: Protocol) -> None:
    account = leveraged(protocol)
    pyth = move_to_pyth(protocol)
    keeper = protocol.account(protocol.keeper)
    update = pyth.update("1_620", protocol.now() + 1)
    with reverts_with("UpdateFeeMissing", FEE - 1, FEE):
        protocol.deployment.relay.transact(
            "updateAndLiquidate", [update], [account], keeper, sender=protocol.keeper, value=FEE - 1
        )


def test_a_caller_that_takes_no_ether_back_is_refused_only_when_something_is_left(protocol: Protocol) -> None:
    """A contract without `receive` as the caller: the token's address, which the node may send from."""
    account = leveraged(protocol)
    pyth = move_to_pyth(protocol)
    relay, keeper = protocol.deployment.relay, protocol.account(protocol.keeper)
    contract = protocol.tokens["USDC"].address
    protocol.rpc.request("anvil_setBalance", [contract, hex(WAD)])
    protocol.rpc.request("anvil_impersonateAccount", [contract])
    update = pyth.update("1_620", protocol.now() + 1)
    with reverts_with("RefundRefused", contract, 1):
        relay.transact("updateAndLiquidate", [update], [account], keeper, sender=contract, value=FEE + 1)
    receipt = relay.transact("updateAndLiquidate", [update], [account], keeper, sender=contract, value=FEE)
    assert receipt.succeeded
