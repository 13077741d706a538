"""The same random calls on both backends end the same way, with the same logs and the same storage."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from plimsoll.fuzz.driver import Call, Outcome, Read
from plimsoll.fuzz.world import Backend, World
from plimsoll.units import WAD

CALLS = 400
SEED = 20_250_615
NO_CLIENT = bytes(32)


class Script:
    """Random calls, made while a world carries them out: deposits, orders of every life, prices, upkeep, mistakes."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.random = random.Random(seed)
        self.time = world.driver.time
        self.prices = {name: asset.price.value for name, asset in world.deployment.parameters.assets.items()}
        self.published = dict.fromkeys(self.prices, 0)
        self.orders: list[dict[str, Any]] = []
        self.seen: set[str] = set()
        self.plan: list[Callable[[], Call]] = []
        trade = (self.deposit, self.place, self.execute, self.execute)
        crash = (self.jump, self.liquidate, self.liquidate)
        rarely = ((self.withdraw,), (self.cancel,), (self.publish,), (self.accrue,), (self.share,), (self.nonsense,))
        self.plans = (trade, trade, trade, crash, crash, *rarely)

    def calls(self, count: int) -> list[Call]:
        """So many calls, in order of time. The world is afterwards as it was."""
        made = []
        with self.world.driver.isolated():
            for _ in range(count):
                self.time += self.random.choice((0, 0, 1, 1, 2, 3, 5))
                self.plan = self.plan or list(self.random.choice(self.plans))
                made.append(self.plan.pop(0)())
                self.learn(self.world.driver.step(made[-1]))
        return made

    def learn(self, outcome: Outcome) -> None:
        """Keeps the list of pending orders, and what happened."""
        if outcome.failure is not None:
            self.seen.add(outcome.failure[0])
        for event in outcome.events:
            self.seen.add(event.name)
            if event.name == "OrderPlaced":
                self.orders.append(event.args)
            elif event.name in ("Filled", "OrderCancelled", "OrderExpired"):
                key = (event["account"], event["market"], event["id"])
                self.orders = [one for one in self.orders if (one["account"], one["market"], one["id"]) != key]

    def actor(self) -> str:
        """One who acts often."""
        return self.random.choice((*self.world.actors.traders, self.world.actors.thief))

    def account(self) -> bytes:
        """An account of theirs."""
        return self.world.account(self.random.choice(self.world.actors.traders), sub=self.random.choice((0, 0, 1)))

    def send(self, contract: str, fn: str, *args: Any, sender: str, base_fee: int = 0) -> Call:
        """A call at the present time."""
        return self.world.call(contract, fn, *args, sender=sender, at=self.time, base_fee=base_fee)

    def token(self) -> str:
        return self.random.choice(("USDC", "USDC", "WETH", "WBTC"))

    def amount(self, token: str) -> int:
        """From dust to thousands of $."""
        unit: int = 10 ** self.world.deployment.parameters.tokens[token].decimals
        price = 1 if token == "USDC" else 2_000
        return self.random.choice((0, 1, *(amount * unit // price for amount in (500, 900, 1_500))))

    def deposit(self) -> Call:
        token, owner = self.token(), self.actor()
        account = self.world.account(owner) if self.random.random() < 0.8 else self.account()
        return self.send("clearinghouse", "deposit", account, self.world.token(token), self.amount(token), sender=owner)

    def withdraw(self) -> Call:
        token, owner = self.token(), self.actor()
        account = self.world.account(owner) if self.random.random() < 0.8 else self.account()
        arguments = (account, self.world.token(token), self.amount(token), owner)
        return self.send("clearinghouse", "withdraw", *arguments, sender=owner)

    def place(self) -> Call:
        owner = self.actor()
        market = self.world.market(self.random.choice(("ETH", "BTC")))
        size = self.random.choice((-1, 1)) * self.random.choice((WAD // 100, WAD, 5 * WAD, 15 * WAD))
        limit = (1 << 256) - 1 if size > 0 else 0
        reduce_only, expiry = self.random.random() < 0.2, self.time + self.random.choice((60, 300))
        arguments = (self.world.account(owner), market, size, limit, expiry, WAD // 10, reduce_only, NO_CLIENT)
        return self.send("order_book", "placeOrder", *arguments, sender=owner)

    def execute(self) -> Call:
        """Executes orders whose price is there; otherwise lets it come, or tries too early."""
        heads = {(order["account"], order["market"]): order for order in reversed(self.orders)}
        ready = [order for order in heads.values() if self.published[self.asset(order)] >= order["priceTime"]]
        if not ready and heads and self.random.random() < 0.9:
            order = self.random.choice(list(heads.values()))
            self.time = max(self.time, order["priceTime"])
            return self.publish(self.asset(order))
        chosen = self.random.sample(ready, min(len(ready), 2)) or self.orders[:1]
        items = [{"order": order, "hint": b""} for order in chosen]
        keeper = self.random.choice(self.world.actors.keepers)
        return self.send("order_book", "executeOrders", items, self.world.account(keeper), sender=keeper)

    def asset(self, order: dict[str, Any]) -> str:
        """What an order is priced with; in this deployment markets are called like their assets."""
        return self.world.deployment.market_name(order["market"])[1]

    def cancel(self) -> Call:
        if not self.orders:
            return self.nonsense()
        order = self.random.choice(self.orders)
        return self.send("order_book", "cancelOrder", order, sender="0x" + order["account"][:20].hex())

    def jump(self) -> Call:
        return self.publish(step=self.random.choice((945, 1_055)))

    def publish(self, asset: str = "", step: int = 0) -> Call:
        asset = asset or self.random.choice(("ETH", "BTC"))
        step = step or self.random.choice((995, 1_000, 1_004))
        self.prices[asset] = self.prices[asset] * step // 1_000
        self.published[asset] = self.time
        return self.world.publish(asset, self.prices[asset], self.time)

    def liquidate(self) -> Call:
        accounts = [self.world.account(owner) for owner in (*self.world.actors.traders, self.world.actors.thief)]
        keeper = self.random.choice(self.world.actors.keepers)
        fee = self.random.choice((0, 10**9, 77 * 10**9))
        paid = self.world.account(keeper)
        return self.send("clearinghouse", "liquidate", accounts, paid, sender=keeper, base_fee=fee)

    def accrue(self) -> Call:
        return self.send("clearinghouse", "accrue", self.world.market("ETH"), sender=self.actor())

    def share(self) -> Call:
        lp = self.random.choice(self.world.actors.lps)
        if self.random.random() < 0.5:
            return self.send("pool:majors", "requestRedeem", 10**18, lp, lp, sender=lp)
        return self.send("pool:majors", "requestDeposit", 10**8, lp, lp, sender=lp)

    def nonsense(self) -> Call:
        data = self.random.randbytes(self.random.choice((0, 3, 4, 36)))
        return Call(self.actor(), self.world.address("clearinghouse"), data, self.time)


def reads(world: World) -> Read:
    """Words of every kind: whole accounts, pools and markets."""
    accounts = [world.account(trader, sub=sub) for trader in world.actors.traders for sub in (0, 1)]
    markets = [world.market(name) for name in ("ETH", "BTC")]
    places: list[tuple[Any, ...]] = [("accounts_", account) for account in accounts]
    places += [("positions_", account, market & 0xFF) for account in accounts[:4] for market in markets]
    places += [("pools_", 1), *(("markets_", market) for market in markets)]
    places += [("held_", 1, world.token(name)) for name in ("USDC", "WETH")]
    return world.read(*places, whole=True)


def told(outcome: Outcome) -> tuple[Any, ...]:
    """What must be equal on both backends: all but gas and the wording of a halt."""
    return outcome.success, outcome.output, outcome.halt is None, outcome.logs, outcome.words


@pytest.mark.parametrize("seed", [SEED, SEED + 1])
def test_steps_agree(both: tuple[World, World], seed: int) -> None:
    anvil, revm = both
    read = reads(anvil)
    for index, call in enumerate(Script(revm, seed).calls(CALLS)):
        one, other = anvil.driver.step(call), revm.driver.step(call)
        assert told(one) == told(other), (index, call, one, other)
        if index % 10 == 0 or index == CALLS - 1:
            assert anvil.driver.words(read.address, read.slots) == revm.driver.words(read.address, read.slots), index
    assert (anvil.driver.time, anvil.driver.number) == (revm.driver.time, revm.driver.number)


@pytest.mark.parametrize("seed", [SEED + 2, SEED + 3])
def test_queued_calls_agree_with_each_other_and_with_steps(both: tuple[World, World], seed: int) -> None:
    anvil, revm = both
    read = reads(anvil)
    calls = Script(revm, seed).calls(CALLS)
    for start in range(0, CALLS, 50):
        part = calls[start : start + 50]
        for world in both:
            for call in part:
                world.driver.queue(call, read)
        queued, same = anvil.driver.flush(), revm.driver.flush()
        for call, one, other in zip(part, queued, same, strict=True):
            assert told(one) == told(other), call
            stepped = revm.driver.step(call)
            stepped.words = revm.driver.words(read.address, read.slots)
            assert told(stepped) == told(other), call
        for call in part:
            anvil.driver.queue(call)
        kept = anvil.driver.flush(keep=True)
        assert [told(outcome)[:4] for outcome in kept] == [told(outcome)[:4] for outcome in queued]


def test_the_scripts_reach_what_matters(worlds: dict[Backend, World]) -> None:
    seen = set()
    for seed in range(SEED, SEED + 4):
        script = Script(worlds["revm"], seed)
        script.calls(CALLS)
        seen |= script.seen
    assert {
        "BareRevert",
        "DepositRequest",
        "Deposited",
        "Filled",
        "InsufficientMargin",
        "Liquidated",
        "OrderCancelled",
        "OrderExpired",
        "OrderSkipped",
        "Withdrawn",
    } <= seen
