"""What the logs of every block say: the ledger's words, orders, liquidations, gas, and the checks that an event allows.

The tables hold the words that events carry, so they are the contracts' storage without asking for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from plimsoll.chain.abi import EventAbi
from plimsoll.chain.receipt import Event
from plimsoll.chain.stored import CARRIERS, with_words
from plimsoll.deploy.deployment import Deployment
from plimsoll.model.words import (
    AccountId,
    AccountWord,
    DebtWord,
    EventWord,
    FundingWord,
    PoolDuesWord,
    PoolMoneyWord,
    PositionWord,
    SidesWord,
)
from plimsoll.risk.checks import Checks, Fill, PlacedOrder, Strike
from plimsoll.risk.records import ClosedPosition, LiquidationRecord
from plimsoll.risk.stage import Block
from plimsoll.units import ONE, WAD

__all__ = ["Counts", "Watcher"]

PARTIAL = 1
NO_ACTIONS = ("push", "mint", "approve")
"""Transactions that are no part of the protocol."""


@dataclass(slots=True)
class Counts:
    """Totals. Money WAD."""

    placed: int = 0
    filled: int = 0
    cancelled: int = 0
    expired: int = 0
    sales: int = 0
    bad_debt: int = 0
    deleveragings: int = 0
    strikes: int = 0
    keeper_reward: int = 0
    keeper_gas: int = 0
    refused: Counter[str] = field(default_factory=Counter)


class Watcher:
    """Follows the chain block by block.

    :param keeper: the keeper's address; what it spends and earns is counted.
    """

    def __init__(self, deployment: Deployment, keeper: str, checks: Checks) -> None:
        self.deployment = deployment
        self.checks = checks
        self.counts = Counts()
        self.accounts: dict[bytes, AccountWord] = {}
        self.positions: dict[tuple[bytes, int], PositionWord] = {}
        self.collateral: dict[tuple[bytes, int], int] = {}
        self.sales: dict[bytes, int] = {}
        self.funding: dict[int, FundingWord] = {}
        self.sides: dict[int, SidesWord] = {}
        self.side_events: dict[tuple[int, bool, int], EventWord] = {}
        self.money: dict[int, PoolMoneyWord] = {}
        self.dues: dict[int, PoolDuesWord] = {}
        self.debt: dict[int, DebtWord] = {}
        self.orders: dict[tuple[bytes, int, int], PlacedOrder] = {}
        self.pending: Counter[bytes] = Counter()
        self.liquidations: list[LiquidationRecord] = []
        self.gas: dict[str, list[int]] = {}
        self.strikes: list[Strike] = []
        self.streaks: dict[bytes, int] = {}
        self.symbols: dict[int, str] = {}
        for name, pool in deployment.pools.items():
            markets = deployment.parameters.pools[name].markets
            self.symbols |= {number: markets[market].asset for market, number in pool.markets.items()}
        self._keeper = keeper.lower()
        self._keepers = {pool.id: AccountId(keeper, pool.id, 0).to_bytes() for pool in deployment.pools.values()}
        self._pool_of_lp = {pool.lp.address: pool for pool in deployment.pools.values()}
        self._topics = _topics(deployment)
        self._block = Block(0, 0, ())
        self._closed: dict[bytes, list[ClosedPosition]] = {}
        self._debts: dict[bytes, int] = {}
        self._allowed: Counter[int] = Counter()

    def take(self, block: Block, labels: Mapping[str, str]) -> None:
        """Takes the next block. `labels` say what transactions were meant to do."""
        self._block = block
        events = self.deployment.events
        for receipt in block.receipts:
            if int(receipt["status"], 16) != 1:
                self.counts.refused[labels.get(receipt["transactionHash"], "keeper")] += 1
            logs = [log for log in receipt["logs"] if log["topics"] and log["topics"][0] in self._topics]
            decoded = events.decode_all(logs)
            before = dict(self.money)
            self._closed, self._debts, self._allowed = {}, {}, Counter()
            strikes = len(self.strikes)
            for event in with_words(decoded):
                handler = _HANDLERS.get(event.name)
                if handler is not None:
                    handler(self, event)
            self._after_transaction(before, strikes)
            self._count_gas(receipt, decoded, labels)

    def size(self, account: bytes, market: int) -> int:
        """Signed size of a position, 0 if its epoch is closed."""
        position = self.positions.get((account, market))
        if position is None or position.shares == 0:
            return 0
        long = position.shares > 0
        last = self.last_event(market, long)
        seen = self.side_events.get((market, long, position.last_event))
        if (last.epoch if last else 0) != (seen.epoch if seen else 0):
            return 0
        magnitude = abs(position.shares) * (last.scale if last else ONE) // ONE
        return magnitude if long else -magnitude

    def last_event(self, market: int, long: bool) -> EventWord | None:
        """The newest event of a side."""
        sides = self.sides.get(market)
        if sides is None:
            return None
        return self.side_events.get((market, long, sides.long_event if long else sides.short_event))

    def interest(self, market: int) -> tuple[int, int]:
        """Open interest of longs and shorts, WAD units."""
        sides = self.sides.get(market)
        if sides is None:
            return 0, 0
        long, short = self.last_event(market, True), self.last_event(market, False)
        return (
            sides.long_shares * (long.scale if long else ONE) // ONE,
            sides.short_shares * (short.scale if short else ONE) // ONE,
        )

    def exposed(self) -> list[bytes]:
        """Accounts that can be below the line: with a position, or with negative cash."""
        return [account for account, word in self.accounts.items() if word.markets or word.raw_cash < 0]

    def track(self, below: Set[bytes]) -> tuple[int, bytes]:
        """Counts for how many blocks each account has been liquidatable; gives the longest of those that still are."""
        self.streaks = {account: self.streaks.get(account, 0) + 1 for account in below}
        if not self.streaks:
            return 0, b""
        account = max(self.streaks, key=self.streaks.__getitem__)
        return self.streaks[account], account

    def learn(self, events: Iterable[Event]) -> None:
        """Takes the words of the time before anybody watched, unchecked."""
        for event in with_words(events):
            if event.name == "MarketSet":
                self.funding[event["market"]] = FundingWord.unpack(event["funding"])
                self.sides[event["market"]] = SidesWord.unpack(event["sides"])
            elif event.name == "PoolSet":
                pool = event["pool"]
                self.money[pool] = PoolMoneyWord.unpack(event["money"])
                self.dues[pool] = PoolDuesWord.unpack(event["dues"])
            elif event.name == "DebtSet":
                self.debt[event["pool"]] = DebtWord.unpack(event["debt"])
            elif event.name == "AccountSet":
                self._account_set(event)

    # ── after a transaction ────────────────────────────────────────────────

    def _after_transaction(self, before: Mapping[int, PoolMoneyWord], strikes: int) -> None:
        for pool, money in self.money.items():
            known = before.get(pool)
            if known is not None and money is not known:
                self.checks.insurance(pool, known.insurance, money.insurance, self._allowed[pool])
        for strike in self.strikes[strikes:]:
            self.checks.reserve(self, strike)

    def _count_gas(self, receipt: Mapping[str, Any], events: list[Event], labels: Mapping[str, str]) -> None:
        used = int(receipt["gasUsed"], 16)
        label = labels.get(receipt["transactionHash"])
        items = 1
        if receipt["from"].lower() == self._keeper and label is None:
            self.counts.keeper_gas += used
            names = Counter(event.name for event in events)
            orders = names["Filled"] + names["OrderCancelled"] + names["OrderExpired"]
            for kind, found in (
                ("strike", names["EpochStruck"]),
                ("buy collateral", names["CollateralSold"]),
                ("execute order", orders),
                ("liquidate", names["Liquidated"] or names["SaleSet"]),
                ("deleverage", names["Deleveraged"]),
                ("accrue", names["MarketSet"]),
            ):
                if found:
                    label, items = kind, found
                    break
        if label is not None and label not in NO_ACTIONS and int(receipt["status"], 16) == 1:
            self.gas.setdefault(label, []).append(used // items)

    # ── state events ───────────────────────────────────────────────────────

    def _account_set(self, event: Event) -> None:
        self.accounts[event["account"]] = AccountWord.unpack(event["word"])

    def _position_set(self, event: Event) -> None:
        self.positions[event["account"], event["market"]] = PositionWord.unpack(event["word"])

    def _collateral_set(self, event: Event) -> None:
        self.collateral[event["account"], event["index"]] = event["balance"]

    def _sale_set(self, event: Event) -> None:
        if event["startedAt"]:
            self.sales[event["account"]] = event["startedAt"]
        else:
            self.sales.pop(event["account"], None)

    def _market_set(self, event: Event) -> None:
        market, funding = event["market"], FundingWord.unpack(event["funding"])
        self.checks.funding(market, self.funding.get(market), funding, self._block.time)
        self.funding[market] = funding
        self.sides[market] = SidesWord.unpack(event["sides"])

    def _side_event_set(self, event: Event) -> None:
        self.side_events[event["market"], event["long"], event["number"]] = EventWord.unpack(event["word"])

    def _pool_set(self, event: Event) -> None:
        pool = event["pool"]
        self.money[pool] = PoolMoneyWord.unpack(event["money"])
        self.dues[pool] = PoolDuesWord.unpack(event["dues"])
        self.checks.after_bad_debt(pool, self.money[pool], self._debts)

    def _dues_set(self, event: Event) -> None:
        self.dues[event["pool"]] = PoolDuesWord.unpack(event["dues"])

    def _debt_set(self, event: Event) -> None:
        pool, debt = event["pool"], DebtWord.unpack(event["debt"])
        self.checks.debt(pool, self.debt.get(pool), debt, self._block.time)
        self.debt[pool] = debt

    # ── orders ─────────────────────────────────────────────────────────────

    def _order_placed(self, event: Event) -> None:
        self.counts.placed += 1
        self.pending[event["account"]] += 1
        self.orders[event["account"], event["market"], event["id"]] = PlacedOrder(
            event["sizeDelta"],
            event["limitPrice"],
            event["expiry"],
            event["keeperFee"],
            event["reduceOnly"],
            event["priceTime"],
        )

    def _ended(self, event: Event) -> PlacedOrder | None:
        key = (event["account"], event["market"], event["id"])
        order = self.orders.pop(key, None)
        self.checks.invariants.holds("INV-29", order is not None, f"{event.name} of an order that is not pending")
        if order is None:
            return None
        self.pending[event["account"]] -= 1
        paid = event.args.get("feeTo", event.args.get("keeper"))
        if paid in self._keepers.values():
            self.counts.keeper_reward += order.keeper_fee
        return order

    def _filled(self, event: Event) -> None:
        self.counts.filled += 1
        order = self._ended(event)
        if order is None:
            return
        market: int = event["market"]
        done = Fill(
            market,
            self.symbols[market],
            event["spot"],
            event["sizeAfter"] - event["sizeDelta"],
            event["sizeDelta"],
            event["sizeAfter"],
            event["fillPrice"],
        )
        self.checks.fill(self, order, done, self._block.time)

    def _order_cancelled(self, event: Event) -> None:
        self.counts.cancelled += 1
        self._ended(event)

    def _order_expired(self, event: Event) -> None:
        self.counts.expired += 1
        self._ended(event)

    # ── liquidation and solvency ───────────────────────────────────────────

    def _position_liquidated(self, event: Event) -> None:
        size, after = event["sizeDelta"], event["sizeAfter"]
        symbol = self.deployment.market_name(event["market"])[1]
        self._closed.setdefault(event["account"], []).append(ClosedPosition(symbol, -size, event["price"]))
        self.checks.closed(event["market"], -size, after, event["price"])

    def _liquidated(self, event: Event) -> None:
        account, maintenance = event["account"], event["maintenance"]
        pool = int.from_bytes(account[20:22], "big")
        self.checks.liquidated(pool, event)
        self._allowed[pool] += max(event["reward"] - event["charged"], 0)
        if event["keeper"] in self._keepers.values():
            self.counts.keeper_reward += event["reward"]
        self.liquidations.append(
            LiquidationRecord(
                step=self.checks.invariants.step,
                time=self._block.time,
                block=self._block.number,
                account="0x" + account.hex(),
                full=event["result"] != PARTIAL,
                health=event["equity"] * WAD // maintenance if maintenance else 0,
                closed=tuple(self._closed.pop(account, ())),
                penalty=event["charged"],
                reward=event["reward"],
                bad_debt=self._debts.get(account, 0),
                blocks_unhealthy=self.streaks.get(account, 0),
            )
        )

    def _bad_debt(self, event: Event) -> None:
        account, amount = event["account"], event["amount"]
        pool = int.from_bytes(account[20:22], "big")
        self.counts.bad_debt += amount
        self._allowed[pool] += event["fromInsurance"]
        self._debts[account] = amount
        self.checks.bad_debt(pool, event)

    def _collateral_sold(self, event: Event) -> None:
        self.counts.sales += 1

    def _deleveraged(self, event: Event) -> None:
        self.counts.deleveragings += 1
        self.checks.deleveraged(self, event)

    def _epoch_struck(self, event: Event) -> None:
        pool = self._pool_of_lp[event.address]
        self.counts.strikes += 1
        if event["keeper"] == self._keepers[pool.id]:
            self.counts.keeper_reward += event["reward"]
        strike = Strike(
            pool.name,
            pool.id,
            event["navEntry"],
            event["deposited"],
            event["paid"],
            event["minted"],
            event["burnt"],
            10 ** (18 - pool.decimals),
        )
        self.strikes.append(strike)

    def take_strikes(self) -> list[Strike]:
        """Strikes since the last call."""
        found, self.strikes = self.strikes, []
        return found


_HANDLERS: Mapping[str, Callable[[Watcher, Event], None]] = {
    "AccountSet": Watcher._account_set,
    "BadDebt": Watcher._bad_debt,
    "CollateralSet": Watcher._collateral_set,
    "CollateralSold": Watcher._collateral_sold,
    "DebtSet": Watcher._debt_set,
    "Deleveraged": Watcher._deleveraged,
    "DuesSet": Watcher._dues_set,
    "EpochStruck": Watcher._epoch_struck,
    "Filled": Watcher._filled,
    "Liquidated": Watcher._liquidated,
    "MarketSet": Watcher._market_set,
    "OrderCancelled": Watcher._order_cancelled,
    "OrderExpired": Watcher._order_expired,
    "OrderPlaced": Watcher._order_placed,
    "PoolSet": Watcher._pool_set,
    "PositionLiquidated": Watcher._position_liquidated,
    "PositionSet": Watcher._position_set,
    "SaleSet": Watcher._sale_set,
    "SideEventSet": Watcher._side_event_set,
}


def _topics(deployment: Deployment) -> frozenset[str]:
    lp = next(iter(deployment.pools.values())).lp
    wanted = _HANDLERS.keys() - {"DuesSet", "PositionSet"} | CARRIERS.keys()
    found = {}
    for contract in (deployment.clearinghouse, deployment.order_book, lp):
        for item in contract.abi:
            if item["type"] == "event" and item["name"] in wanted:
                found[item["name"]] = "0x" + EventAbi.of(item).selector.hex()
    missing = wanted - found.keys()
    assert not missing, f"events {missing} are in no ABI"
    return frozenset(found.values())
