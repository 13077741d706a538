"""The chain of a replay: transactions are collected, and mined in blocks whose times the replay decides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from plimsoll.chain.anvil import Anvil
from plimsoll.chain.contract import Contract
from plimsoll.chain.errors import RpcError
from plimsoll.deploy.deployment import Deployment

__all__ = ["Block", "Stage"]

BASE_FEE = 50_000_000
"""Wei per gas of every block, as on a busy L2."""
ROOMY_GAS_LIMIT = 2_000_000_000
"""While the stage is set up and cleared, nobody is kept waiting for a block with room."""
BLOCK_GAS_LIMIT = 60_000_000
"""While prices are replayed, blocks are as large as on a main net."""
PUSH_GAS = 200_000
ETHER = 10**18
FUNDS = 1_000 * ETHER


@dataclass(frozen=True, slots=True)
class Block:
    """A mined block with the receipts of its transactions, as the node gives them, in order."""

    number: int
    time: int
    receipts: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Order:
    """A transaction that waits for the next block."""

    label: str
    sender: str
    to: str
    data: str
    gas: int


class Stage:
    """A chain that stands still until `mine`. Every sender is unlocked and has ether.

    :param anvil: started, mining by itself; mines by command from now on.
    """

    def __init__(self, anvil: Anvil, deployment: Deployment) -> None:
        self.anvil = anvil
        self.rpc = anvil.rpc
        self.deployment = deployment
        self.publisher = anvil.accounts[0]
        self.labels: dict[str, str] = {}
        """What each transaction was meant to do, by its hash."""
        self.blocks = 0
        self._waiting: list[Order] = []
        self._nonces: dict[str, int] = {}
        self._decimals = {name: asset.feed_decimals for name, asset in deployment.parameters.assets.items()}
        self.number, self.time = anvil.block_number(), anvil.now()
        anvil.set_automine(False)

    def roomy(self, on: bool) -> None:
        """Lets blocks hold as much as is wanted, or only what a real one holds."""
        self.rpc.request("evm_setBlockGasLimit", [hex(ROOMY_GAS_LIMIT if on else BLOCK_GAS_LIMIT)])

    def fund(self, addresses: Iterable[str]) -> None:
        """Gives ether for gas."""
        self.rpc.batch([("anvil_setBalance", [address, hex(FUNDS)]) for address in addresses])

    def queue(self, label: str, sender: str, contract: Contract, fn: str, *args: Any, gas: int = 500_000) -> None:
        """Collects a transaction for the next block. What one sender does happens in the order of these calls."""
        self._waiting.append(Order(label, sender, contract.address, contract.encode(fn, *args), gas))

    def mine(self, time: int, prices: Mapping[str, int] | None = None) -> Block:
        """Mines the collected transactions, after the feeds published `prices` (WAD) at the time of the block.

        The time is `time`, or a second after the block before where that is later.
        """
        time = max(time, self.time + 1)
        self._send(self._pushes(prices or {}, time))
        waiting, self._waiting = self._waiting, []
        self._send(waiting)
        self.rpc.request("anvil_setNextBlockBaseFeePerGas", [hex(BASE_FEE)])
        self.rpc.request("evm_setNextBlockTimestamp", [time])
        self.rpc.request("evm_mine")
        self.number += 1
        self.time = time
        self.blocks += 1
        receipts = self.rpc.request("eth_getBlockReceipts", [hex(self.number)])
        return Block(self.number, time, tuple(receipts))

    def answer_of(self, symbol: str, price: int) -> int:
        """What the feed of a symbol publishes for a price (WAD): whole units of its decimals, rounded down."""
        unit: int = 10 ** (18 - self._decimals[symbol])
        return price // unit

    def price_of(self, symbol: str, answer: int) -> int:
        """The price (WAD) that the protocol reads from an answer."""
        unit: int = 10 ** (18 - self._decimals[symbol])
        return answer * unit

    def _pushes(self, prices: Mapping[str, int], time: int) -> list[Order]:
        found = []
        for symbol, price in prices.items():
            feed = self.deployment.feeds[symbol]
            data = feed.encode("push", self.answer_of(symbol, price), time)
            found.append(Order("push", self.publisher, feed.address, data, PUSH_GAS))
        return found

    def _send(self, orders: Sequence[Order]) -> None:
        if not orders:
            return
        requests: list[tuple[str, list[Any]]] = []
        for order in orders:
            fields = {"from": order.sender, "to": order.to, "data": order.data, "gas": hex(order.gas)}
            fields["nonce"] = hex(self._nonce(order.sender))
            requests.append(("eth_sendTransaction", [fields]))
        for order, answer in zip(orders, self.rpc.batch(requests), strict=True):
            if isinstance(answer, RpcError):
                raise answer
            self.labels[answer] = order.label

    def _nonce(self, sender: str) -> int:
        known = self._nonces.get(sender)
        if known is None:
            known = int(self.rpc.request("eth_getTransactionCount", [sender, "latest"]), 16)
        self._nonces[sender] = known + 1
        return known
