"""Logs of a history in which every event that tells state happens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from tests.integration.test_events_rebuild import history
from tests.support.protocol import Protocol

from plimsoll.keeper.node.decode import Decoder


@dataclass(frozen=True, slots=True)
class History:
    """Raw logs of Clearinghouse and OrderBook, and the system they are of."""

    protocol: Protocol
    logs: Sequence[dict[str, Any]]


def decoder_of(protocol: Protocol, owners: Sequence[str] = ()) -> Decoder:
    """A decoder for a deployed system."""
    house, book = protocol.clearinghouse, protocol.order_book
    return Decoder((house.address, house.abi), (book.address, book.abi), owners=owners)


def all_logs(protocol: Protocol) -> list[dict[str, Any]]:
    """Logs of the two contracts since the deployment."""
    addresses = [protocol.clearinghouse.address, protocol.order_book.address]
    query = {"fromBlock": "0x0", "toBlock": "latest", "address": addresses}
    return list(protocol.rpc.request("eth_getLogs", [query]))


def more(p: Protocol) -> None:
    """What the busy history leaves out: a withdrawal, an order cancelled, one expired, a market reduced only."""
    account = p.account(p.trader, sub=9)
    p.deposit(account, 9_000)
    p.withdraw(account, 1_000)
    cancelled, _ = p.place(account, "ETH", "1")
    p.order_book.transact("cancelOrder", cancelled, sender=p.trader)
    expired, _ = p.place(account, "ETH", "1", expiry=90)
    p.anvil.advance(600)
    p.publish()
    items = [{"order": expired, "hint": b""}]
    p.order_book.transact("expireOrders", items, p.account(p.keeper), sender=p.keeper)
    p.clearinghouse.transact("setReduceOnly", p.market("BTC"), True, sender=p.guardian)
    p.clearinghouse.transact("setReduceOnly", p.market("BTC"), False, sender=p.owner)


@pytest.fixture(scope="session")
def past(deployed: Protocol) -> History:
    """A busy history; the chain is left as it was."""
    with deployed.snapshot():
        history(deployed, "a")
        more(deployed)
        return History(deployed, all_logs(deployed))
