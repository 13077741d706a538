"""Random lives of a LiquidityPool: bit for bit against the mirror, and against exact rationals for every LP."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

import pytest
from tests.support.harness import Cases
from tests.support.liquidity import FLOOR, REWARD, LiquidityWorld, liquidity_world
from tests.support.reverts import reverts_with

from plimsoll.chain.contract import batch_call
from plimsoll.model import pool
from plimsoll.model.pool import ClaimExceedsError, PoolBook, Side
from plimsoll.units import WAD

STEPS = 260
EXTREMES = 2**127


@pytest.fixture(scope="module", params=[2, 6, 8, 18], ids=lambda d: f"{d}_decimals")
def chain(request: pytest.FixtureRequest) -> Iterator[LiquidityWorld]:
    with liquidity_world(request.param) as world:
        yield world


@dataclass
class Redemption:
    """One request to leave, followed by itself."""

    lp: str
    epoch: int
    waiting: Fraction
    got: Fraction = Fraction(0)


@dataclass
class Reference:
    """What each LP is owed when every strike is a loop over requests, without any rounding of its own.

    It takes the sums of a strike (minted, burnt, paid) as given: those are checked against the mirror.
    """

    deposits: list[tuple[str, int, int]] = field(default_factory=list)
    shares: dict[str, Fraction] = field(default_factory=dict)
    refunds: dict[str, int] = field(default_factory=dict)
    redemptions: list[Redemption] = field(default_factory=list)
    strikes: int = 0

    def strike(self, through: int, minted: int, burnt: int, paid: int) -> None:
        due = [entry for entry in self.deposits if entry[1] <= through]
        self.deposits = [entry for entry in self.deposits if entry[1] > through]
        total = sum(amount for _, _, amount in due)
        for lp, _, amount in due:
            if minted:
                self.shares[lp] = self.shares.get(lp, Fraction(0)) + Fraction(amount * minted, total)
            else:
                self.refunds[lp] = self.refunds.get(lp, 0) + amount
        queue = [entry for entry in self.redemptions if entry.epoch <= through]
        waiting = sum(entry.waiting for entry in queue)
        for entry in queue:
            part = entry.waiting / waiting if waiting else Fraction(0)
            entry.got += part * paid
            entry.waiting -= part * burnt
        self.strikes += 1

    def paid(self, lp: str) -> Fraction:
        return sum((entry.got for entry in self.redemptions if entry.lp == lp), Fraction(0))


class Life:
    """One world with its mirror, its reference, and what everybody got so far."""

    def __init__(self, world: LiquidityWorld, seed: str) -> None:
        self.world = world
        self.cases = Cases(seed)
        self.book = PoolBook()
        self.truth = Reference()
        self.claimed = {lp.address: [0, 0] for lp in world.lps}
        self.requests = {lp.address: [0, 0] for lp in world.lps}
        self.refunded = 0
        self.seen = dict.fromkeys(("struck", "refused", "part", "nothing", "all", "exceeds", "several"), 0)

    def deposit(self) -> None:
        lp = self.cases.random.choice(self.world.lps)
        amount = self.world.whole + self.cases.uint(10**6 * self.world.whole)
        epoch = self.world.request_deposit(lp, amount)
        self.book.record(Side.DEPOSIT, lp.address, epoch, amount)
        self.truth.deposits.append((lp.address, epoch, amount))
        self.requests[lp.address][0] += 1

    def redeem(self) -> None:
        lp = self.cases.random.choice(self.world.lps)
        held = self.world.shares(lp)
        if held:
            shares = held if self.cases.random.randrange(4) == 0 else self.cases.uint(held, 1)
            epoch = self.world.request_redeem(lp, shares)
            self.book.record(Side.REDEEM, lp.address, epoch, shares)
            self.truth.redemptions.append(Redemption(lp.address, epoch, Fraction(shares)))
            self.requests[lp.address][1] += 1

    def move_markets(self) -> None:
        """Profits and losses, some of them open and some not collectable; how much may leave."""
        world, cases = self.world, self.cases
        cash = world.cash() // world.unit
        if cases.flag():
            world.gain(cases.uint(cash // 3 + world.whole))
        elif cash > 0:
            world.lose(cases.uint(cash // 3))
        whole = max(cash, 1) * world.unit
        open_profit = (
            -2 * whole if cases.random.randrange(12) == 0 else cases.uint(whole // 2) * cases.random.choice((1, -1))
        )
        not_collectable = cases.uint(max(open_profit, 0)) if cases.flag() else 0
        parts = [0, EXTREMES, cases.uint(whole), whole // 10, whole // 1000, whole // 10**6]
        most = cases.random.choice(parts)
        world.set_markets(unrealised=open_profit, uncollectable=not_collectable, payable_=most)
        if cases.random.randrange(3) == 0:
            world.ledger.transact("fundFees", cases.uint(3 * world.whole), sender=world.market)

    def strike(self) -> None:
        world = self.world
        for _ in range(self.cases.random.choice([1, 1, 1, 2])):
            ready = world.epoch()
            world.to_strike()
        if not self.book.is_due(ready):
            with reverts_with("NothingToStrike", ...):
                world.strike_now()
            return
        supply, fees = world.supply(), world.ledger.call("fees")
        nav = world.cash() + world.ledger.call("unrealised")
        nav_exit = nav - world.ledger.call("uncollectable")
        most = min(world.ledger.call("payable_"), max(world.cash(), 0))
        deposited, waiting = self.book.collect(ready)
        minted = pool.minted(deposited * world.unit, nav, supply, FLOOR, WAD) if deposited else 0
        burnt, paid = pool.redeemed(waiting, nav_exit, supply, most, world.unit)
        self.book.settle(deposited, minted, waiting, burnt, paid)
        event = world.strike_now()
        moved = deposited + paid != 0
        expected = {
            "strike": len(self.book.strikes),
            "throughEpoch": self.book.struck_through,
            "navEntry": nav,
            "navExit": nav_exit,
            "deposited": deposited if minted else 0,
            "refunded": 0 if minted else deposited,
            "minted": minted,
            "burnt": burnt,
            "paid": paid,
            "waiting": self.book.queue.shares,
            "reward": min(REWARD, fees) if moved else 0,
        }
        assert {name: event[name] for name in expected} == expected
        if nav > 0:  # nobody who stays is worse off
            after = nav + (deposited if minted else 0) * world.unit - paid * world.unit
            assert after * supply >= nav * world.supply()
        self.truth.strike(ready, minted, burnt, paid)
        kind = "nothing" if burnt == 0 else "all" if burnt == waiting else "part"
        for name in ("struck", "refused" if deposited and not minted else "struck", kind if waiting else "struck"):
            self.seen[name] += 1
        self.seen["several"] += ready > event["strike"] + 1

    def claim(self) -> None:
        world, cases = self.world, self.cases
        lp = cases.random.choice(world.lps)
        side = Side.DEPOSIT if cases.flag() else Side.REDEEM
        wanted_out = cases.flag()
        total = self.book.claimable_total(side, lp.address)[wanted_out]
        wanted = cases.random.choice([1, total, max(total // 3, 1), total + 1, cases.uint(max(total, 1), 1)]) or 1
        names = {Side.DEPOSIT: ("deposit", "mint"), Side.REDEEM: ("redeem", "withdraw")}[side]
        args = (f"{names[wanted_out]}(uint256,address,address)", wanted, lp.address, lp.address)
        try:
            _, given = self.book.take(side, lp.address, wanted, wanted_out=wanted_out)
        except ClaimExceedsError as error:
            self.seen["exceeds"] += 1
            with reverts_with("ClaimExceeds", error.wanted, error.claimable):
                world.pool.transact(*args, sender=lp)
            return
        before = world.shares(lp) if side is Side.DEPOSIT else world.money(lp)
        world.pool.transact(*args, sender=lp)
        after = world.shares(lp) if side is Side.DEPOSIT else world.money(lp)
        assert after - before == given
        self.claimed[lp.address][side.value] += given

    def refund(self) -> None:
        for lp in self.world.lps:
            for epoch in self.book.busy_epochs:
                amount = self.book.take_refund(lp.address, epoch)
                if amount:
                    before = self.world.money(lp)
                    self.world.pool.transact("claimRefund", epoch, lp.address, lp.address, sender=lp)
                    assert self.world.money(lp) - before == amount
                    self.refunded += amount

    def check(self) -> None:
        """Every view of every LP and epoch against the mirror; every LP against the reference; nothing is overdrawn."""
        world, book = self.world, self.book
        sides = {"Deposit": Side.DEPOSIT, "Redeem": Side.REDEEM}
        calls, expected = [], []
        for lp in (person.address for person in world.lps):
            for name, side in sides.items():
                for epoch in book.busy_epochs:
                    calls += [(world.pool, f"{kind}{name}Request", (epoch, lp)) for kind in ("pending", "claimable")]
                    expected += [book.pending(side, lp, epoch), book.claimable(side, lp, epoch)[0]]
            for name, side, out in (
                ("Deposit", Side.DEPOSIT, 0),
                ("Mint", Side.DEPOSIT, 1),
                ("Redeem", Side.REDEEM, 0),
                ("Withdraw", Side.REDEEM, 1),
            ):
                calls.append((world.pool, f"max{name}", (lp,)))
                expected.append(book.claimable_total(side, lp)[out])
        assert batch_call(calls) == expected

        owed_money = owed_shares = 0
        for lp in (person.address for person in world.lps):
            shares, money = book.claimable_total(Side.DEPOSIT, lp)[1], book.claimable_total(Side.REDEEM, lp)[1]
            owed_money, owed_shares = owed_money + money, owed_shares + shares
            due = self.truth.shares.get(lp, Fraction(0))
            # A request loses less than a wei, and money below 1e-27 of its shares at every strike that it waits.
            assert due - self.requests[lp][0] <= self.claimed[lp][0] + shares <= due
            due = self.truth.paid(lp)
            slack = self.requests[lp][1] + Fraction(self.truth.strikes * 10**30, 10**27 * world.unit)
            assert due - slack <= self.claimed[lp][1] + money <= due
            waits = sum((entry.waiting for entry in self.truth.redemptions if entry.lp == lp), Fraction(0))
            mirrored = sum(book.pending(Side.REDEEM, lp, epoch) for epoch in book.busy_epochs)
            assert waits - self.requests[lp][1] - self.truth.strikes * 1000 <= mirrored <= waits
        refunds = sum(book.refundable(lp.address, epoch) for lp in world.lps for epoch in book.busy_epochs)
        assert sum(self.truth.refunds.values()) == refunds + self.refunded
        assert (owed_money + refunds) * world.unit <= world.ledger.call("claimed")
        world.check_ledger()


def test_random_lives_agree_with_mirror_and_reference(chain: LiquidityWorld) -> None:
    seen: dict[str, int] = {}
    for number in range(3):
        with chain.anvil.snapshot():
            chain.seed()
            life = Life(chain, f"{chain.whole} {number}")
            actions = [life.deposit] * 5 + [life.redeem] * 5 + [life.claim] * 7 + [life.strike] * 5
            actions += [life.move_markets] * 4 + [life.refund]
            for step in range(STEPS):
                life.cases.random.choice(actions)()
                if step % 10 == 9:
                    life.check()
            life.check()
            seen = {name: count + seen.get(name, 0) for name, count in life.seen.items()}
    assert all(seen.values()), seen
