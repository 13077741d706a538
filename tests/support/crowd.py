"""Thousands of leveraged accounts on a deployed system, built with real transactions in few blocks.

Every account is a sub-account of one owner, so that deposits go through `multicall`. Blocks are as large as is needed
while the crowd is built, and automine is off: the chain stands still between the steps.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from plimsoll.chain.errors import RpcError
from plimsoll.model.words import AccountId
from plimsoll.units import WAD
from tests.support.protocol import NO_LIMIT, Protocol

__all__ = ["Crowd", "Member", "gather"]

ROOMY = 30_000_000_000
"""Gas limit of blocks while the crowd is built."""
DEPOSITS = 400
"""Deposits in one transaction."""
FILLS = 100
"""Orders in one transaction."""
PLACE_GAS = 400_000
NO_CLIENT = bytes(32)


@dataclass(frozen=True, slots=True)
class Member:
    """One account: its id, market, size (WAD, signed) and deposit (WAD)."""

    account: bytes
    market: int
    size: int
    deposit: int


@dataclass(frozen=True, slots=True)
class Crowd:
    """The accounts, in the order of their sub-account numbers."""

    members: tuple[Member, ...]

    @property
    def accounts(self) -> list[bytes]:
        """Their ids."""
        return [member.account for member in self.members]


def gather(
    protocol: Protocol,
    number: int,
    *,
    market: str = "ETH",
    notional: tuple[int, int] = (100, 300),
    leverage: tuple[float, float] = (8.0, 14.0),
    short: float = 0.0,
    seed: int = 1,
    first: int = 1_000,
) -> Crowd:
    """Opens a position in one market for `number` new accounts of the trader.

    :param notional: bounds of the notional, whole units of the settlement asset.
    :param leverage: bounds of notional over deposit.
    :param short: share of accounts that go short.
    :param first: sub-account number of the first.
    """
    rng = random.Random(seed)
    price, handle = protocol.prices[protocol.asset_of(market)], protocol.market(market)
    pool = next(one for one in protocol.pools.values() if market in one.markets)
    members = []
    for index in range(number):
        worth = rng.randint(*notional) * WAD
        size = worth * WAD // price // 10**9 * 10**9
        deposit = int(worth // int(rng.uniform(*leverage) * 1_000)) * 1_000
        account = AccountId(protocol.trader, pool.id, first + index).to_bytes()
        members.append(Member(account, handle, -size if rng.random() < short else size, deposit))
    limit = protocol.rpc.request("eth_getBlockByNumber", ["latest", False])["gasLimit"]
    protocol.rpc.request("evm_setBlockGasLimit", [hex(ROOMY)])
    protocol.anvil.set_automine(False)
    try:
        _deposit(protocol, members, pool.settlement.name)
        orders = _place(protocol, members)
        _fill(protocol, orders, market, pool.name)
    finally:
        protocol.anvil.set_automine(True)
        protocol.rpc.request("evm_setBlockGasLimit", [limit])
        protocol.anvil.mine()
    return Crowd(tuple(members))


def _deposit(protocol: Protocol, members: Sequence[Member], token: str) -> None:
    house, coin = protocol.clearinghouse, protocol.tokens[token]
    unit = 10 ** (18 - int(coin.call("decimals")))
    fee = max(int(protocol.order_book.call("rulesOf", market).minKeeperFee) for market in {m.market for m in members})
    units = [(member.deposit + fee) // unit + 1 for member in members]
    sends: list[tuple[str, str, str, int]] = [
        (protocol.deployer, coin.address, coin.encode("mint", protocol.trader, sum(units)), PLACE_GAS),
        (protocol.trader, coin.address, coin.encode("approve", house.address, NO_LIMIT), PLACE_GAS),
    ]
    calls = [
        bytes.fromhex(house.encode("deposit", member.account, coin.address, amount)[2:])
        for member, amount in zip(members, units, strict=True)
    ]
    for start in range(0, len(calls), DEPOSITS):
        part = calls[start : start + DEPOSITS]
        sends.append((protocol.trader, house.address, house.encode("multicall", part), len(part) * 150_000 + 100_000))
    _send(protocol, sends)


def _place(protocol: Protocol, members: Sequence[Member]) -> list[dict[str, Any]]:
    """Places one order for each; all in one block, so that all have one price time."""
    book = protocol.order_book
    rules = {market: book.call("rulesOf", market) for market in {member.market for member in members}}
    until = protocol.now() + 3_000
    sends = []
    for member in members:
        bound = NO_LIMIT if member.size > 0 else 0
        arguments = (member.account, member.market, member.size, bound, until)
        fee = int(rules[member.market].minKeeperFee)
        data = book.encode("placeOrder", *arguments, fee, False, NO_CLIENT)
        sends.append((protocol.trader, book.address, data, PLACE_GAS))
    placed = [event for event in _send(protocol, sends) if event.name == "OrderPlaced"]
    assert len(placed) == len(members), f"{len(placed)} of {len(members)} orders were placed"
    names = ("account", "market", "id", "placedAt", "sizeDelta", "limitPrice", "expiry", "keeperFee", "reduceOnly")
    return [{**{name: event.args[name] for name in names}, "clientId": event.args["clientId"]} for event in placed]


def _fill(protocol: Protocol, orders: Sequence[dict[str, Any]], market: str, pool: str) -> None:
    """Publishes the one price of all, and fills in the block of its publication."""
    book, symbol = protocol.order_book, protocol.asset_of(market)
    keeper = protocol.account(protocol.keeper, pool)
    time = max(protocol.price_time(orders[0]), protocol.now() + 1)
    feed, decimals = protocol.feeds[symbol], protocol.deployment.parameters.assets[symbol].feed_decimals
    answer = protocol.prices[symbol] // 10 ** (18 - decimals)
    sends = [(protocol.deployer, feed.address, feed.encode("push", answer, time), PLACE_GAS)]
    for start in range(0, len(orders), FILLS):
        items = [{"order": order, "hint": b""} for order in orders[start : start + FILLS]]
        data = book.encode("executeOrders", items, keeper)
        sends.append((protocol.keeper, book.address, data, len(items) * 400_000 + 500_000))
    events = _send(protocol, sends, time)
    filled = sum(event.name == "Filled" for event in events)
    assert filled == len(orders), f"{filled} of {len(orders)} orders were filled"


def _send(protocol: Protocol, sends: Sequence[tuple[str, str, str, int]], time: int | None = None) -> list[Any]:
    """Sends everything, mines one block (at `time`), and gives the events of the clearing house and the book."""
    rpc = protocol.rpc
    nonces: dict[str, int] = {}
    requests: list[tuple[str, list[Any]]] = []
    for sender, to, data, gas in sends:
        if sender not in nonces:
            nonces[sender] = int(rpc.request("eth_getTransactionCount", [sender, "latest"]), 16)
        fields = {"from": sender, "to": to, "data": data, "gas": hex(gas), "nonce": hex(nonces[sender])}
        nonces[sender] += 1
        requests.append(("eth_sendTransaction", [fields]))
    for start in range(0, len(requests), 500):
        for answer in rpc.batch(requests[start : start + 500]):
            if isinstance(answer, RpcError):
                raise answer
    if time is not None:
        protocol.anvil.set_next_timestamp(time)
    protocol.rpc.request("evm_mine")
    number = hex(protocol.anvil.block_number())
    addresses = [protocol.clearinghouse.address, protocol.order_book.address]
    logs = rpc.request("eth_getLogs", [{"fromBlock": number, "toBlock": number, "address": addresses}])
    return protocol.clearinghouse.events.decode_all(logs)
