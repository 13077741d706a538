"""Decisions as exact calls: contract, calldata, gas and ether, with a text for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from plimsoll.chain.contract import Contract
from plimsoll.keeper.actions import (
    Accrue,
    BuyCollateral,
    Claim,
    Deleverage,
    EndSales,
    OrderItem,
    PushPrices,
    Strike,
)
from plimsoll.keeper.book.mirror import Mirror
from plimsoll.keeper.log import money, show_account
from plimsoll.keeper.options import Options
from plimsoll.keeper.target import Target
from plimsoll.model.words import AccountId

__all__ = ["SINGLE_GAS", "CallData", "Calls", "show_order"]

SINGLE_GAS = 4_000_000
BASE_GAS = 500_000
APPROVE_GAS = 150_000
NAMES_SHOWN = 6


@dataclass(frozen=True, slots=True)
class CallData:
    """One call as it would be sent. `value` is ether sent along, wei."""

    contract: Contract
    fn: str
    data: bytes
    gas: int
    event: str
    text: str
    value: int = 0


class Calls:
    """Encodes for one keeper, who is paid to his own account of the pool."""

    def __init__(self, target: Target, keeper: str, options: Options) -> None:
        self._target = target
        self._keeper = keeper
        self._options = options

    def account(self, pool: int) -> bytes:
        """The keeper's own account in a pool."""
        return AccountId(self._keeper, pool, self._options.sub_account).to_bytes()

    def liquidate(self, pool: int, accounts: Sequence[bytes], mirror: Mirror) -> CallData:
        """Liquidation of accounts of one pool."""
        house = self._target.clearinghouse
        data = house.encode("liquidate", list(accounts), self.account(pool))
        text = f"{len(accounts)} of {self._target.name(pool)}: {_some([show_account(one) for one in accounts])}"
        return _call(house, "liquidate", data, self._account_gas(accounts, mirror), "liquidate", text)

    def orders(self, pool: int, items: Sequence[OrderItem], value: int = 0) -> CallData:
        """Execution and clearing of orders of one pool."""
        book, limits = self._target.order_book, self._options.limits
        data = book.encode("executeOrders", [(item.order.struct(), item.hint) for item in items], self.account(pool))
        late = sum(item.late for item in items)
        names = _some([show_order(item) for item in items])
        gas = max(min(BASE_GAS + len(items) * limits.order_gas, limits.batch_gas), SINGLE_GAS)
        text = f"{len(items) - late} to fill, {late} to clear: {names}"
        return _call(book, "executeOrders", data, gas, "orders", text, value)

    def push(self, action: PushPrices, accounts: Sequence[bytes], mirror: Mirror, value: int) -> CallData:
        """Signed prices, and the liquidations that they make possible; `value` pays Pyth."""
        updates, limits = list(action.updates), self._options.limits
        if not accounts:
            hub = self._target.hub
            data = hub.encode("updatePyth", updates)
            gas = BASE_GAS + len(updates) * limits.push_gas
            return _call(hub, "updatePyth", data, gas, "push", f"{len(updates)} prices", value)
        relay = self._target.relay
        data = relay.encode("updateAndLiquidate", updates, list(accounts), self.account(action.pool))
        gas = self._account_gas(accounts, mirror) + len(updates) * limits.push_gas
        text = f"{len(updates)} prices, then {len(accounts)}: {_some([show_account(one) for one in accounts])}"
        return _call(relay, "updateAndLiquidate", data, gas, "push", text, value)

    def buy(self, action: BuyCollateral) -> CallData:
        """Purchase of collateral on sale."""
        house = self._target.clearinghouse
        data = house.encode("buyCollateral", action.account, action.token, action.amount, action.max_price, b"")
        text = (
            f"{action.amount} units of {action.token} of {show_account(action.account)} for ${money(action.cost)}, "
            f"${money(action.profit)} below its price"
        )
        return _call(house, "buyCollateral", data, SINGLE_GAS, "buy", text)

    def approve(self, token: Contract, amount: int) -> CallData:
        """Permission for the Clearinghouse to take so many native units."""
        data = token.encode("approve", self._target.clearinghouse.address, amount)
        text = f"the Clearinghouse may take up to {amount} units of {token.address}"
        return _call(token, "approve", data, APPROVE_GAS, "approve", text)

    def claim(self, action: Claim) -> CallData:
        """A claim of the keeper, or a paid redemption for its owner."""
        if not action.controller:
            house = self._target.clearinghouse
            data = house.encode("claim", action.pool, action.token, self._keeper)
            text = f"{action.amount} of {action.token} from {self._target.name(action.pool)}"
            return _call(house, "claim", data, SINGLE_GAS, "claim", text)
        share = self._target.share(action.token)
        data = share.encode("redeem", action.amount, action.controller, action.controller)
        text = f"{action.amount} shares of {self._target.name(action.pool)} for {action.controller}"
        return _call(share, "redeem", data, SINGLE_GAS, "claim", text)

    def single(self, action: EndSales | Deleverage | Strike | Accrue, mirror: Mirror) -> CallData:
        """What takes one call with nothing to choose."""
        house = self._target.clearinghouse
        if isinstance(action, EndSales):
            data = house.encode("liquidate", list(action.accounts), self.account(action.pool))
            text = "recovered: " + _some([show_account(one) for one in action.accounts])
            return _call(house, "liquidate", data, SINGLE_GAS, "end_sale", text)
        if isinstance(action, Deleverage):
            data = house.encode("deleverage", action.market)
            return _call(house, "deleverage", data, SINGLE_GAS, "deleverage", self._target.name(action.market))
        if isinstance(action, Accrue):
            data = house.encode("accrue", action.market)
            return _call(house, "accrue", data, SINGLE_GAS, "accrue", self._target.name(action.market))
        share = self._target.share(mirror.shares[action.pool])
        data = share.encode("strike", self.account(action.pool))
        return _call(share, "strike", data, SINGLE_GAS, "strike", self._target.name(action.pool))

    def _account_gas(self, accounts: Sequence[bytes], mirror: Mirror) -> int:
        limits = self._options.limits
        positions = sum(mirror.account(account).markets.bit_count() for account in accounts)
        wanted = BASE_GAS + len(accounts) * limits.account_gas + positions * limits.position_gas
        # An account alone may need more than its share.
        return max(min(wanted, limits.batch_gas), SINGLE_GAS)


def show_order(item: OrderItem) -> str:
    """`0x7099…79C8/1/0#3@257`: account, id and market."""
    order = item.order
    return f"{show_account(order.account)}#{order.id}@{order.market}"


def _call(contract: Contract, fn: str, data: str, gas: int, event: str, text: str, value: int = 0) -> CallData:
    return CallData(contract, fn, bytes.fromhex(data[2:]), gas, event, text, value)


def _some(names: Sequence[str]) -> str:
    """The first few of a list."""
    more = len(names) - NAMES_SHOWN
    return ", ".join(names[:NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")
