"""What happens on the chain in tests of the service: accounts that may fall, and what became of them."""

from __future__ import annotations

from contextlib import suppress

from tests.support.keepers import Employed
from tests.support.protocol import Protocol

from plimsoll.chain.receipt import Event
from plimsoll.keeper.report import TickReport
from plimsoll.keeper.service.passes import NODE_ERRORS

__all__ = ["FALLEN", "attempt", "is_below", "leveraged", "liquidations", "next_nonce", "ordered", "rounds"]

FALLEN = "1900"
"""Price of ETH at which `leveraged` accounts are below the line."""


def leveraged(protocol: Protocol, sub: int = 0, cash: str = "1000") -> bytes:
    """An account with 8 ETH, on $1000 healthy at $2000 and not at `FALLEN`."""
    account = protocol.account(protocol.trader, sub=sub)
    protocol.deposit(account, cash)
    protocol.trade(account, "ETH", "8")
    return account


def ordered(protocol: Protocol, sub: int = 0) -> bytes:
    """Places an order whose price is published; gives its account."""
    account = protocol.account(protocol.other_trader, sub=sub)
    protocol.deposit(account, "1000")
    order, _ = protocol.place(account, "ETH", "1")
    protocol.anvil.advance(max(protocol.price_time(order) - protocol.now(), 1))
    protocol.publish("ETH")
    return account


def is_below(protocol: Protocol, account: bytes) -> bool:
    """What the chain says."""
    equity, required, _ = protocol.lens.call("healthBatch", [account])
    return bool(equity[0] < required[0])


def liquidations(protocol: Protocol, since: int) -> list[Event]:
    """Liquidations in blocks above a number."""
    house = protocol.clearinghouse
    logs = protocol.rpc.request("eth_getLogs", [{"address": house.address, "fromBlock": hex(since + 1)}])
    return [event for event in house.events.decode_all(logs) if event.name == "Liquidated"]


def next_nonce(protocol: Protocol, who: str) -> int:
    """How many transactions of somebody are in blocks."""
    return int(protocol.rpc.request("eth_getTransactionCount", [who, "latest"]), 16)


def attempt(keeper: Employed) -> TickReport | None:
    """A pass that the node may spoil; None if it did."""
    with suppress(*NODE_ERRORS):
        return keeper.tick(collect=False)
    return None


def rounds(protocol: Protocol, number: int, *keepers: Employed) -> None:
    """Passes of all keepers, a block after each round."""
    for _ in range(number):
        for keeper in keepers:
            attempt(keeper)
        protocol.anvil.mine()
