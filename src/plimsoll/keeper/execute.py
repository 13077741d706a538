"""Carries out decisions: simulates the exact transaction, drops what would not act, sends the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from plimsoll.chain.contract import Contract
from plimsoll.chain.errors import ContractRevert, Revert, RpcError, StringRevert
from plimsoll.chain.signer import KeySender, Sender
from plimsoll.keeper.actions import (
    Accrue,
    Action,
    BuyCollateral,
    Deleverage,
    EndSales,
    ExecuteOrders,
    Liquidate,
    OrderItem,
    Strike,
    Wait,
)
from plimsoll.keeper.log import KeeperLog, money, show_account
from plimsoll.keeper.mirror import Mirror, Order
from plimsoll.keeper.options import Options
from plimsoll.keeper.report import LIQUIDATION_RESULTS, ORDER_RESULTS, TickReport
from plimsoll.keeper.target import Target
from plimsoll.model.words import AccountId
from plimsoll.units import div_up

__all__ = ["LOST_RACES", "PRICE_MOVED", "SINGLE_GAS", "Executor", "Sent", "cause_of", "show_order"]

T = TypeVar("T")
SINGLE_GAS = 4_000_000
NAMES_SHOWN = 6
APPROVE_GAS = 150_000
ENDED = frozenset({0, 1, 2})
"""Codes of orders that came to an end: filled, cancelled, expired."""
ACTED = frozenset({1, 2, 3, 4})
"""Codes of accounts that something was done about: partial, full, sale started, bad debt."""
LOST_RACES = frozenset({"NotOnSale", "NothingOnSale", "NothingToDeleverage", "NothingToStrike", "OrderNotPending"})
PRICE_MOVED = frozenset({"SalePrice", "PriceRefused", "LpGap", "BadDebtOnSale"})


@dataclass(frozen=True, slots=True)
class Sent:
    """A transaction that was handed over, for which action, at which block."""

    tx_hash: str
    action: Action
    block: int


class Executor:
    """Simulates and sends for one keeper.

    :param sent: called with each transaction that was handed over; returns when the next may be simulated.
    :param poison: called with accounts whose liquidation failed alone.
    """

    def __init__(
        self,
        target: Target,
        sender: Sender,
        options: Options,
        log: KeeperLog,
        sent: Callable[[Sent], None],
        poison: Callable[[bytes], None],
    ) -> None:
        self._target = target
        self._sender = sender
        self._options = options
        self._log = log
        self._sent = sent
        self._poison = poison
        self.report = TickReport()
        self.block = 0
        self.mirror = Mirror()

    def account(self, pool: int) -> bytes:
        """The keeper's own account in a pool, which it is paid to."""
        return AccountId(self._sender.address, pool, self._options.sub_account).to_bytes()

    def run(self, action: Action) -> None:
        """Carries out one decision. A revert in the simulation is logged and nothing is sent.

        :raises NodeUnavailable, RpcError: the node failed.
        """
        if isinstance(action, Wait):
            self._log.once(action.key, "wait", f"{show_key(action.key)}: {action.reason}")
        elif isinstance(action, ExecuteOrders):
            self._orders(action)
        elif isinstance(action, Liquidate):
            self._liquidate(action)
        elif isinstance(action, BuyCollateral):
            self._buy(action)
        else:
            self._single(action)

    # ── batches ────────────────────────────────────────────────────────────

    def _orders(self, action: ExecuteOrders) -> None:
        def arguments(items: Sequence[OrderItem]) -> tuple[Any, ...]:
            return [(item.order.struct(), item.hint) for item in items], self.account(action.pool)

        def refused(item: OrderItem, reason: str) -> None:
            self.report.refused += 1
            self._log.once(item.key, "refused", f"{show_order(item.order)} stays as it is: {reason}")

        book, gas = self._target.order_book, self._order_gas
        for items in self._fit("executeOrders", book, action.items, arguments, gas, refused):
            late = sum(item.late for item in items)
            names = _some([show_order(item.order) for item in items])
            text = f"{len(items) - late} to fill, {late} to clear: {names}"
            data = book.encode("executeOrders", *arguments(items))
            self._send(replace(action, items=tuple(items)), book, data, gas(items), "orders", text)

    def _liquidate(self, action: Liquidate) -> None:
        def arguments(accounts: Sequence[bytes]) -> tuple[Any, ...]:
            return list(accounts), self.account(action.pool)

        def refused(account: bytes, reason: str) -> None:
            self.report.refused += 1
            if reason not in LIQUIDATION_RESULTS:
                self._poison(account)
            self._log.once(("account", account), "refused", f"{show_account(account)} is not liquidated: {reason}")

        house, gas = self._target.clearinghouse, self._account_gas
        for accounts in self._fit("liquidate", house, action.accounts, arguments, gas, refused):
            names = _some([show_account(account) for account in accounts])
            text = f"{len(accounts)} of {self._target.name(action.pool)}: {names}"
            data = house.encode("liquidate", *arguments(accounts))
            self._send(replace(action, accounts=tuple(accounts)), house, data, gas(accounts), "liquidate", text)

    def _fit(
        self,
        fn: str,
        contract: Contract,
        items: Sequence[T],
        arguments: Callable[[Sequence[T]], tuple[Any, ...]],
        gas: Callable[[Sequence[T]], int],
        refused: Callable[[T, str], None],
    ) -> Iterable[list[T]]:
        """Batches whose simulation, as they are sent, acts on every item. One that reverts is cut in two until what
        spoils it is alone; what would not act is left out, and the rest simulated again."""
        names, acting = (ORDER_RESULTS, ENDED) if fn == "executeOrders" else (LIQUIDATION_RESULTS, ACTED)
        todo = [list(items)]
        while todo:
            batch = todo.pop(0)
            try:
                codes = self._simulate(contract, contract.encode(fn, *arguments(batch)), gas(batch), fn)
            except Revert as error:
                if len(batch) == 1:
                    refused(batch[0], str(error))
                else:
                    middle = len(batch) // 2
                    todo[:0] = [batch[:middle], batch[middle:]]
                continue
            kept = [item for item, code in zip(batch, codes, strict=True) if code in acting]
            if len(kept) == len(batch):
                yield batch
                continue
            for item, code in zip(batch, codes, strict=True):
                if code not in acting:
                    refused(item, names[code])
            if kept:
                todo.insert(0, kept)

    def _order_gas(self, items: Sequence[OrderItem]) -> int:
        limits = self._options.limits
        return max(min(500_000 + len(items) * limits.order_gas, limits.batch_gas), SINGLE_GAS)

    def _account_gas(self, accounts: Sequence[bytes]) -> int:
        limits = self._options.limits
        positions = sum(self.mirror.account(account).markets.bit_count() for account in accounts)
        wanted = 500_000 + len(accounts) * limits.account_gas + positions * limits.position_gas
        # An account alone may need more than its share.
        return max(min(wanted, limits.batch_gas), SINGLE_GAS)

    # ── one by one ─────────────────────────────────────────────────────────

    def _buy(self, action: BuyCollateral) -> None:
        house = self._target.clearinghouse
        settlement = self.mirror.pools[action.pool].settlement
        token = self._target.token(settlement)
        native = self._native(token, action.cost)
        text = f"{action.amount} units of {action.token} of {show_account(action.account)} for ${money(action.cost)}"
        if token.call("allowance", self._sender.address, house.address) < native:
            allowed = token.call("balanceOf", self._sender.address)
            self._log.info("approve", f"the Clearinghouse may take up to {allowed} units of {settlement}")
            if self._options.dry_run:
                self.report.simulated += 1
                self._log.info("buy", f"{text}: would be sent after the approval (dry run)")
                return
            data = token.encode("approve", house.address, allowed)
            if not self._send(action, token, data, APPROVE_GAS, "approve", "for purchases of collateral"):
                return
            if token.call("allowance", self._sender.address, house.address) < native:
                # The approval is not mined yet: the purchase follows when it is.
                return
        data = house.encode("buyCollateral", action.account, action.token, action.amount, action.max_price, b"")
        self._try(action, house, data, "buyCollateral", "buy", f"{text}, ${money(action.profit)} below its price")

    def _native(self, token: Contract, amount: int) -> int:
        decimals: int = token.call("decimals")
        return div_up(amount, 10 ** (18 - decimals))

    def _single(self, action: EndSales | Deleverage | Strike | Accrue) -> None:
        house = self._target.clearinghouse
        if isinstance(action, EndSales):
            data = house.encode("liquidate", list(action.accounts), self.account(action.pool))
            text = "recovered: " + ", ".join(map(show_account, action.accounts))
            self._try(action, house, data, "liquidate", "end_sale", text)
        elif isinstance(action, Deleverage):
            data = house.encode("deleverage", action.market)
            self._try(action, house, data, "deleverage", "deleverage", self._target.name(action.market))
        elif isinstance(action, Accrue):
            data = house.encode("accrue", action.market)
            self._try(action, house, data, "accrue", "accrue", self._target.name(action.market))
        else:
            share = self._target.share(self.mirror.shares[action.pool])
            data = share.encode("strike", self.account(action.pool))
            self._try(action, share, data, "strike", "strike", self._target.name(action.pool))

    def _try(self, action: Action, contract: Contract, data: str, fn: str, event: str, text: str) -> None:
        key = tuple(action.keys)
        try:
            self._simulate(contract, data, SINGLE_GAS, fn)
        except Revert as error:
            self.report.refused += 1
            self._log.once(key, "refused", f"{event} {text}: {error} ({cause_of(error)})")
            return
        self._send(action, contract, data, SINGLE_GAS, event, text)

    # ── simulate, send ─────────────────────────────────────────────────────

    def _simulate(self, contract: Contract, data: str, gas: int, fn: str) -> Any:
        """What the transaction would return, called from the keeper with the gas that it is sent with."""
        call = {"from": self._sender.address, "to": contract.address, "data": data, "gas": hex(gas)}
        try:
            answer = self._target.rpc.request("eth_call", [call, "latest"])
        except RpcError as error:
            raise contract.errors.from_rpc(error) or error from None
        return contract.function(fn).decode(bytes.fromhex(answer[2:]))

    def _send(self, action: Action, contract: Contract, data: str, gas: int, event: str, text: str) -> bool:
        if self._options.dry_run:
            self.report.simulated += 1
            self._log.info(event, f"{text}: would be sent (dry run)")
            return False
        if self.report.blocked:
            return False
        try:
            tx_hash = self._sender.submit(contract.address, data, 0, gas)
        except RpcError as error:
            self._not_sent(action, contract, error, event, text)
            return False
        self.report.hashes.append(tx_hash)
        self._log.info(event, f"{text}: sent {tx_hash}", tx=tx_hash)
        self._sent(Sent(tx_hash, action, self.block))
        return True

    def _not_sent(self, action: Action, contract: Contract, error: RpcError, event: str, text: str) -> None:
        if isinstance(self._sender, KeySender):
            self._sender.resync()
        if "insufficient funds" in error.message.lower():
            self.report.blocked = f"{self._sender.address} cannot pay for gas ({error.message}); send ether to it"
            return
        revert = contract.errors.from_rpc(error)
        self.report.refused += 1
        self._log.once((*action.keys, "send"), "refused", f"{event} {text}: not sent: {revert or error}")


def _some(names: Sequence[str]) -> str:
    """The first few of a list."""
    more = len(names) - NAMES_SHOWN
    return ", ".join(names[:NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def cause_of(error: Revert) -> str:
    """Whose doing a revert is: somebody was faster, the price moved, funds are missing, or a mistake of the keeper."""
    if isinstance(error, ContractRevert):
        if error.name in LOST_RACES:
            return "lost race"
        if error.name in PRICE_MOVED:
            return "prices do not allow it now"
        if error.name.startswith("ERC20"):
            return "funds or allowance missing"
        if error.name == "Locked":
            return "the protocol is busy"
    if isinstance(error, StringRevert) and "balance" in error.text:
        return "funds or allowance missing"
    return "unexpected"


def show_order(order: Order) -> str:
    """`0x7099…79C8/1/0#3@257`: account, id and market."""
    return f"{show_account(order.account)}#{order.id}@{order.market}"


def show_key(key: tuple[object, ...]) -> str:
    """A key for people."""
    parts = [show_account(part) if isinstance(part, bytes) else str(part) for part in key]
    return " ".join(parts)
