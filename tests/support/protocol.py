"""A deployed system on a chain of its own, with actors and the moves that tests repeat.

Amounts of tokens, prices and sizes are given as text, int or Decimal in human units (`"1.5"` WETH, `2000` $, `-3` ETH);
what comes back from the chain stays in the chain's integers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum
from typing import Any

from plimsoll.chain.anvil import Anvil
from plimsoll.chain.receipt import Receipt
from plimsoll.deploy.deployment import Deployment, PoolHandles
from plimsoll.model.words import AccountId, AccountWord, PoolMoneyWord, PositionWord
from plimsoll.units import WAD, parse_units
from tests.support.ledger import LedgerReader, PoolLedger

__all__ = ["Amount", "Fill", "Liquidation", "LiquidationResult", "OrderResult", "Protocol"]

Amount = str | int | Decimal
NO_LIMIT = (1 << 256) - 1
NO_CLIENT = bytes(32)


class OrderResult(IntEnum):
    """What became of an order of a batch; as in `IOrderBook`."""

    FILLED = 0
    CANCELLED = 1
    EXPIRED = 2
    NOT_PENDING = 3
    NOT_HEAD = 4
    NO_PRICE_YET = 5
    NOT_FIRST_PRICE = 6
    PRICE_FAILED = 7
    PRICE_INVALID = 8
    REFUSED = 9
    STILL_OPEN = 10


class LiquidationResult(IntEnum):
    """What became of an account in `liquidate`; as in `ClearinghouseStorage`."""

    HEALTHY = 0
    PARTIAL = 1
    FULL = 2
    SALE_STARTED = 3
    BAD_DEBT = 4
    COOL_OFF = 5
    GRACE = 6
    PRICE_REFUSED = 7
    ON_SALE = 8


@dataclass(frozen=True, slots=True)
class Fill:
    """A filled order: what was traded (WAD), and the receipts of its two steps."""

    order: dict[str, Any]
    size_delta: int
    size_after: int
    fill_price: int
    profit: int
    cost: int
    fee: int
    placed: Receipt
    executed: Receipt


@dataclass(frozen=True, slots=True)
class Liquidation:
    """One result per account, and the receipt."""

    results: list[LiquidationResult]
    receipt: Receipt


class Protocol:
    """The system, its actors, and moves. Every actor is an address that the node has unlocked."""

    def __init__(self, anvil: Anvil, deployment: Deployment) -> None:
        self.anvil = anvil
        self.deployment = deployment
        self.rpc = anvil.rpc
        self.clearinghouse = deployment.clearinghouse
        self.order_book = deployment.order_book
        self.hub = deployment.hub
        self.lens = deployment.lens
        self.tokens = deployment.tokens
        self.feeds = deployment.feeds
        self.pools = deployment.pools
        self.reader = LedgerReader(deployment)
        accounts = anvil.accounts
        self.deployer = self.owner = accounts[0]
        self.guardian, self.trader, self.other_trader, self.lp = accounts[1:5]
        self.keeper, self.attacker, self.other_lp = accounts[5:8]
        self.prices: dict[str, int] = {name: asset.price.value for name, asset in deployment.parameters.assets.items()}
        """WAD prices that `publish` sends."""

    # ── chain ──────────────────────────────────────────────────────────────

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Restores the chain and the prices at the end."""
        prices = dict(self.prices)
        try:
            with self.anvil.snapshot():
                yield
        finally:
            self.prices = prices

    def now(self) -> int:
        """Time of the latest block."""
        return self.anvil.now()

    def warp(self, seconds: int, publish: bool = True) -> int:
        """Lets time pass and returns the new time. Unless told otherwise, every feed publishes its price again then."""
        time = self.anvil.advance(seconds)
        if publish:
            self.publish()
        return time

    def warp_to(self, time: int, publish: bool = True) -> int:
        """As `warp`, to a time."""
        return self.warp(max(time - self.now(), 1), publish)

    # ── prices ─────────────────────────────────────────────────────────────

    def set_price(self, symbol: str, price: Amount, publish: bool = True) -> None:
        """The price of an asset, published in the next block, or with `publish=False` by the next `publish`."""
        self.prices[symbol] = parse_units(price)
        if publish:
            self.publish(symbol)

    def publish(self, *symbols: str) -> None:
        """Lets feeds (all, unless named) publish their prices, each in the next block with that block's time."""
        for symbol in symbols or tuple(self.feeds):
            decimals = self.deployment.parameters.assets[symbol].feed_decimals
            time = self.now() + 1
            self.anvil.set_next_timestamp(time)
            answer = self.prices[symbol] // 10 ** (18 - decimals)
            self.feeds[symbol].transact("push", answer, time, sender=self.deployer)

    # ── accounts and tokens ────────────────────────────────────────────────

    def account(self, actor: str, pool: str = "majors", sub: int = 0) -> bytes:
        """The account id of an actor."""
        return AccountId(actor, self.pools[pool].id, sub).to_bytes()

    def owner_of(self, account: bytes) -> str:
        """The actor that owns an account."""
        return AccountId.unpack(int.from_bytes(account, "big")).owner

    def pool_of(self, account: bytes) -> PoolHandles:
        """The pool of an account."""
        number = AccountId.unpack(int.from_bytes(account, "big")).pool
        return next(pool for pool in self.pools.values() if pool.id == number)

    def native(self, token: str, amount: Amount) -> int:
        """Native units of a token."""
        return parse_units(amount, self.deployment.parameters.tokens[token].decimals)

    def mint(self, token: str, to: str, amount: Amount) -> int:
        """Mints tokens; gives native units."""
        units = self.native(token, amount)
        self.tokens[token].transact("mint", to, units, sender=self.deployer)
        return units

    def approve(self, token: str, owner: str, amount: int = NO_LIMIT, spender: str | None = None) -> None:
        """Allows the Clearinghouse (or another) to take native units."""
        self.tokens[token].transact("approve", spender or self.clearinghouse.address, amount, sender=owner)

    def deposit(self, account: bytes, amount: Amount, token: str = "USDC", sender: str | None = None) -> Receipt:
        """Mints tokens to the depositor (the owner unless another is named), approves and deposits them."""
        actor = sender or self.owner_of(account)
        units = self.mint(token, actor, amount)
        self.approve(token, actor, units)
        return self.clearinghouse.transact("deposit", account, self.tokens[token].address, units, sender=actor)

    def withdraw(self, account: bytes, amount: Amount, token: str = "USDC", to: str | None = None) -> Receipt:
        """Withdraws to the owner, or to another address."""
        actor = self.owner_of(account)
        units = self.native(token, amount)
        return self.clearinghouse.transact(
            "withdraw", account, self.tokens[token].address, units, to or actor, sender=actor
        )

    def account_word(self, account: bytes) -> AccountWord:
        """The stored word of an account."""
        return AccountWord.unpack(self.reader.word("accounts_", account))

    def position_word(self, account: bytes, market: str | int) -> PositionWord:
        """The stored position of an account."""
        return PositionWord.unpack(self.reader.word("positions_", account, self.market(market) & 0xFF))

    def balance(self, token: str, owner: str) -> int:
        """Native units in somebody's wallet."""
        return int(self.tokens[token].call("balanceOf", owner))

    def claim_of(self, owner: str, pool: str = "majors", token: str | None = None) -> int:
        """What the pool keeps for somebody, WAD for its settlement token."""
        handle = self.pools[pool]
        address = self.tokens[token].address if token is not None else handle.settlement.address
        return self.reader.word("claims_", handle.id, address, owner)

    # ── orders ─────────────────────────────────────────────────────────────

    def market(self, market: str | int) -> int:
        """Number of a market."""
        return market if isinstance(market, int) else self.deployment.market(market)

    def asset_of(self, market: str | int) -> str:
        """Name of the asset that a market is priced with."""
        pool, name = self.deployment.market_name(self.market(market))
        return self.deployment.parameters.pools[pool].markets[name].asset

    def place(
        self,
        account: bytes,
        market: str | int,
        size: Amount,
        *,
        limit: Amount | None = None,
        reduce_only: bool = False,
        keeper_fee: Amount | None = None,
        expiry: int = 600,
        client_id: bytes = NO_CLIENT,
    ) -> tuple[dict[str, Any], Receipt]:
        """Places an order of `size` units (> 0 buys), valid for `expiry` seconds; gives the `Order` and the receipt."""
        number = self.market(market)
        delta = parse_units(size)
        rules = self.order_book.call("rulesOf", number)
        bound = parse_units(limit) if limit is not None else NO_LIMIT if delta > 0 else 0
        fee = parse_units(keeper_fee) if keeper_fee is not None else rules.minKeeperFee
        until = self.now() + expiry
        arguments = (account, number, delta, bound, until, fee, reduce_only, client_id)
        receipt = self.order_book.transact("placeOrder", *arguments, sender=self.owner_of(account))
        placed = receipt.event("OrderPlaced").args
        names = ("account", "market", "id", "placedAt", "sizeDelta", "limitPrice", "expiry", "keeperFee", "reduceOnly")
        return {**{name: placed[name] for name in names}, "clientId": placed["clientId"]}, receipt

    def price_time(self, order: dict[str, Any]) -> int:
        """From when on the order's price is the first one published."""
        return int(order["placedAt"]) + int(self.order_book.call("rulesOf", order["market"]).settlementDelay)

    def execute(
        self, *orders: dict[str, Any], keeper: bytes | None = None, hint: bytes = b"", sender: str | None = None
    ) -> tuple[list[OrderResult], Receipt]:
        """Executes orders as the keeper, paid to his account in the pool of the first order."""
        items = [{"order": order, "hint": hint} for order in orders]
        pool = self.pool_of(orders[0]["account"]).name
        paid = keeper if keeper is not None else self.account(self.keeper, pool)
        actor = sender or self.keeper
        results = self.order_book.call("executeOrders", items, paid, sender=actor)
        receipt = self.order_book.transact("executeOrders", items, paid, sender=actor)
        return [OrderResult(result) for result in results], receipt

    def trade(
        self,
        account: bytes,
        market: str | int,
        size: Amount,
        *,
        price: Amount | None = None,
        limit: Amount | None = None,
        reduce_only: bool = False,
        keeper_fee: Amount | None = None,
    ) -> Fill:
        """Places an order, waits for its price time, publishes (at `price`, else the present one) and executes it.

        Fails the test when the order is not filled.
        """
        order, placed = self.place(account, market, size, limit=limit, reduce_only=reduce_only, keeper_fee=keeper_fee)
        self.anvil.advance(max(self.price_time(order) - self.now() - 1, 1))
        asset = self.asset_of(market)
        if price is not None:
            self.prices[asset] = parse_units(price)
        self.publish(asset)
        results, executed = self.execute(order)
        skipped = [event.args["reason"] for event in executed.named("OrderSkipped") + executed.named("OrderCancelled")]
        reasons = [str(self.deployment.errors.decode(reason)) if reason else "" for reason in skipped]
        assert results == [OrderResult.FILLED], f"the order was not filled but {results[0].name}: {reasons}"
        filled = executed.event("Filled").args
        return Fill(
            order,
            filled["sizeDelta"],
            filled["sizeAfter"],
            filled["fillPrice"],
            filled["profit"],
            filled["cost"],
            filled["fee"],
            placed,
            executed,
        )

    # ── liquidation ────────────────────────────────────────────────────────

    def liquidate(self, *accounts: bytes, keeper: bytes | None = None, sender: str | None = None) -> Liquidation:
        """Liquidates accounts as the keeper."""
        paid = keeper if keeper is not None else self.account(self.keeper, self.pool_of(accounts[0]).name)
        actor = sender or self.keeper
        results = self.clearinghouse.call("liquidate", list(accounts), paid, sender=actor)
        receipt = self.clearinghouse.transact("liquidate", list(accounts), paid, sender=actor)
        return Liquidation([LiquidationResult(result) for result in results], receipt)

    # ── liquidity ──────────────────────────────────────────────────────────

    def lp_deposit(self, actor: str, amount: Amount, pool: str = "majors") -> int:
        """Requests a deposit, waits for its strike, strikes as the keeper and takes the shares; gives their number."""
        handle = self.pools[pool]
        token = self.deployment.parameters.pools[pool].settlement
        units = self.mint(token, actor, amount)
        self.approve(token, actor, units)
        handle.lp.transact("requestDeposit", units, actor, actor, sender=actor)
        self.strike(pool)
        receipt = handle.lp.transact("deposit", units, actor, actor, sender=actor)
        return int(receipt.event("Deposit").args["shares"])

    def lp_redeem(self, actor: str, shares: int, pool: str = "majors") -> int:
        """Requests a redemption, waits for its strike, strikes and takes what was paid; gives native units."""
        lp = self.pools[pool].lp
        lp.transact("requestRedeem", shares, actor, actor, sender=actor)
        self.strike(pool)
        paid = lp.call("maxRedeem", actor)
        if not paid:
            return 0
        before = int(self.pools[pool].settlement.call("balanceOf", actor))
        lp.transact("redeem", paid, actor, actor, sender=actor)
        return int(self.pools[pool].settlement.call("balanceOf", actor)) - before

    def strike(self, pool: str = "majors") -> Receipt:
        """Waits until the running epoch may be struck, lets all feeds publish, and strikes it."""
        lp = self.pools[pool].lp
        self.warp_to(lp.call("strikeTime", lp.call("currentEpoch")))
        return lp.transact("strike", self.account(self.keeper, pool), sender=self.keeper)

    # ── books ──────────────────────────────────────────────────────────────

    def nav(self, pool: str = "majors") -> int:
        """NAV at the last priced calls, WAD."""
        return int(self.clearinghouse.call("poolNav", self.pools[pool].id))

    def insurance(self, pool: str = "majors") -> int:
        """Insurance, WAD."""
        return PoolMoneyWord.unpack(self.reader.word("pools_", self.pools[pool].id, "money")).insurance

    def ledger(self, pool: str = "majors") -> PoolLedger:
        """All terms of the ledger identity of a pool."""
        return self.reader.ledger(pool)

    def problems(self) -> list[str]:
        """Every identity of every pool and token that does not hold."""
        found = [problem for name in self.pools for problem in self.ledger(name).problems()]
        for token, balance, booked in self.reader.tokens():
            if balance < booked:
                found.append(f"{token.name}: balance {balance} below the pools' {booked}")
        return found

    def assert_identity(self, *, tolerate: Sequence[str] = ()) -> None:
        """Every pool's ledger adds up exactly, its sums equal the accounts', and every token is there."""
        found = [problem for problem in self.problems() if not any(part in problem for part in tolerate)]
        assert found == [], "\n".join(found)


def whole(amount: int) -> Decimal:
    """A WAD amount as a decimal."""
    return Decimal(amount) / WAD
