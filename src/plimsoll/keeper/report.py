"""What a keeper did, counted from receipts."""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass, field

from plimsoll.chain.receipt import Receipt
from plimsoll.keeper.actions import Accrue, Action, BuyCollateral, ExecuteOrders
from plimsoll.keeper.log import money

__all__ = ["LIQUIDATION_RESULTS", "ORDER_RESULTS", "TickReport", "count", "summary"]

LIQUIDATION_RESULTS = (
    "Healthy",
    "Partial",
    "Full",
    "SaleStarted",
    "BadDebt",
    "CoolOff",
    "Grace",
    "PriceRefused",
    "OnSale",
)
"""Names of `LiquidationResult` by code."""

ORDER_RESULTS = (
    "Filled",
    "Cancelled",
    "Expired",
    "NotPending",
    "NotHead",
    "NoPriceYet",
    "NotFirstPrice",
    "PriceFailed",
    "PriceInvalid",
    "Refused",
    "StillOpen",
)
"""Names of `OrderResult` by code."""


@dataclass(slots=True)
class TickReport:
    """What one pass did. Counts are of what landed, also of transactions that an earlier pass sent.

    :param block: the block that was decided on, `time` its time.
    :param logs: taken in by this pass; `rebuilt` says that all were read again.
    :param planned: actions decided on, waiting aside.
    :param simulated: actions of a dry run that would have been sent.
    :param hashes: transactions sent by this pass.
    :param liquidated: accounts by the name of their result.
    :param rewards: order fees, liquidation rewards and strike rewards earned, WAD.
    :param sale_profit: discount on collateral bought, WAD.
    :param gas_cost: wei.
    :param reverts: transactions that reverted on chain; `refused` what the simulation kept from being sent.
    :param lost: transactions that were given up because no block took them.
    :param blocked: why nothing was sent, empty if nothing was in the way.
    """

    block: int = 0
    time: int = 0
    logs: int = 0
    rebuilt: bool = False
    planned: int = 0
    simulated: int = 0
    hashes: list[str] = field(default_factory=list)
    executed: int = 0
    cancelled: int = 0
    expired: int = 0
    liquidated: Counter[str] = field(default_factory=Counter)
    sales: int = 0
    deleveraged: int = 0
    struck: int = 0
    accrued: int = 0
    rewards: int = 0
    sale_profit: int = 0
    gas_used: int = 0
    gas_cost: int = 0
    reverts: int = 0
    refused: int = 0
    lost: int = 0
    blocked: str = ""

    def __add__(self, other: TickReport) -> TickReport:
        """Both passes together; block and time are those of the later one, and the last reason that blocked."""
        if not isinstance(other, TickReport):
            return NotImplemented
        total = TickReport(block=other.block, time=other.time, blocked=other.blocked or self.blocked)
        for entry in dataclasses.fields(self):
            if entry.name not in ("block", "time", "blocked"):
                setattr(total, entry.name, getattr(self, entry.name) + getattr(other, entry.name))
        total.rebuilt = self.rebuilt or other.rebuilt
        return total


def count(report: TickReport, action: Action | None, receipt: Receipt, keeper_accounts: frozenset[bytes]) -> None:
    """Adds what a mined transaction did; without its action, what only that tells (fees of orders) stays out."""
    report.gas_used += receipt.gas_used
    report.gas_cost += receipt.gas_used * receipt.effective_gas_price
    if not receipt.succeeded:
        report.reverts += 1
        return
    fees = {}
    if isinstance(action, ExecuteOrders):
        fees = {item.order.key: item.order.keeper_fee for item in action.items}
    report.accrued += isinstance(action, Accrue)
    closed: set[bytes] = set()
    for event in receipt.events:
        args = event.args
        if event.name in ("Filled", "OrderCancelled", "OrderExpired"):
            key = (args["account"], args["market"], args["id"])
            report.executed += event.name == "Filled"
            report.cancelled += event.name == "OrderCancelled"
            report.expired += event.name == "OrderExpired"
            if args.get("feeTo", args.get("keeper")) in keeper_accounts:
                report.rewards += fees.get(key, 0)
        elif event.name == "Liquidated":
            closed.add(args["account"])
            report.liquidated[LIQUIDATION_RESULTS[args["result"]]] += 1
            report.rewards += args["reward"] if args["keeper"] in keeper_accounts else 0
        elif event.name == "CollateralSold":
            report.sales += 1
            report.sale_profit += action.profit + action.gas if isinstance(action, BuyCollateral) else 0
        elif event.name == "Deleveraged":
            report.deleveraged += 1
        elif event.name == "EpochStruck":
            report.struck += 1
            report.rewards += args["reward"] if args["keeper"] in keeper_accounts else 0
    _count_without_close(report, receipt, closed)


def _count_without_close(report: TickReport, receipt: Receipt, closed: set[bytes]) -> None:
    """Accounts without positions leave no `Liquidated`: their sale starts, or their debt is bad."""
    if any(event.name == "CollateralSold" for event in receipt.events):
        return
    for event in receipt.events:
        if event.args.get("account") in closed:
            continue
        if event.name == "SaleSet" and event["startedAt"]:
            report.liquidated["SaleStarted"] += 1
        elif event.name == "BadDebt":
            report.liquidated["BadDebt"] += 1


def summary(report: TickReport) -> str:
    """What was done, in one line."""
    liquidated = ", ".join(f"{number} {name}" for name, number in sorted(report.liquidated.items())) or "none"
    return (
        f"orders: {report.executed} filled, {report.cancelled} cancelled, {report.expired} expired; "
        f"liquidations: {liquidated}; {report.sales} purchases, {report.deleveraged} deleveragings, "
        f"{report.struck} strikes, {report.accrued} accruals; earned ${money(report.rewards + report.sale_profit)}, "
        f"{report.gas_used} gas, {report.reverts} reverts"
    )
