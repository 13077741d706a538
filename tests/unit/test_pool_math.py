"""PoolMath against exact rationals: price of a share, what an epoch mints and pays, the queue of redemptions."""

from __future__ import annotations

from fractions import Fraction

import pytest
from tests.support.harness import Case, Cases, Harness

from plimsoll.chain.anvil import Anvil
from plimsoll.chain.artifacts import compile_contracts
from plimsoll.chain.contract import deploy
from plimsoll.model import pool
from plimsoll.model.pool import MIN_SHARES, QUEUE_ONE, QUEUE_SCALE, VIRTUAL, Mark, Queue
from plimsoll.units import WAD

COUNT = 2000
MONEY = 10**31
SHARES = 10**34
UINT128 = 2**128 - 1


@pytest.fixture(scope="session")
def harness(harness_chain: Anvil) -> Harness:
    artifacts = compile_contracts(only=("contracts/mocks/harness/PoolMathHarness.sol",), quiet=True)
    return Harness(deploy(artifacts.artifact("PoolMathHarness"), sender=harness_chain.sender()))


def state(cases: Cases) -> tuple[int, int]:
    """(NAV, supply), both positive; often at and around the price 1, where the formulas branch."""
    supply = cases.uint(SHARES, 1)
    nav = cases.near(supply, low=1) if cases.random.randrange(3) == 0 else cases.uint(MONEY, 1)
    return nav, supply


# ── the price of a share ────────────────────────────────────────────────────────────────────────────────────────────


def test_entering_rounds_shares_down_at_no_better_than_the_fair_price(harness: Harness) -> None:
    cases = Cases("shares")
    rows = [(cases.uint(MONEY), *state(cases)) for _ in range(COUNT)]
    for (assets, nav, supply), shares in zip(rows, harness.check("sharesDown", pool.shares_down, rows), strict=True):
        exact = assets / max(Fraction(nav, supply), Fraction(nav + VIRTUAL, supply + VIRTUAL))
        assert exact - 1 < shares <= exact <= Fraction(assets * supply, nav)


def test_leaving_rounds_money_down_at_no_better_than_the_fair_price(harness: Harness) -> None:
    cases = Cases("assets")
    rows = [(cases.uint(SHARES), *state(cases)) for _ in range(COUNT)]
    for (shares, nav, supply), assets in zip(rows, harness.check("assetsDown", pool.assets_down, rows), strict=True):
        exact = shares * min(Fraction(nav, supply), Fraction(nav + VIRTUAL, supply + VIRTUAL))
        assert exact - 1 < assets <= exact <= Fraction(shares * nav, supply)


def test_shares_up_is_the_least_number_that_is_worth_the_money(harness: Harness) -> None:
    cases = Cases("inverse")
    rows = [(cases.uint(MONEY, 1), *state(cases)) for _ in range(COUNT)]
    for (assets, nav, supply), shares in zip(rows, harness.check("sharesUp", pool.shares_up, rows), strict=True):
        assert pool.assets_down(shares, nav, supply) >= assets
        assert pool.assets_down(shares - 1, nav, supply) < assets


def test_without_supply_a_share_costs_one_when_nav_is_zero(harness: Harness) -> None:
    rows = [(assets, 0, 0) for assets in (0, 1, WAD, MONEY)]
    assert harness.check("sharesDown", pool.shares_down, rows) == [row[0] for row in rows]
    assert harness.check("assetsDown", pool.assets_down, rows) == [row[0] for row in rows]
    assert harness.check("assetsDown", pool.assets_down, [(WAD, 0, 1), (WAD, 0, WAD)]) == [0, 0]


def test_coming_and_going_never_profits_nor_lowers_the_price_for_the_others() -> None:
    """INV-18, INV-20."""
    cases = Cases("round trip")
    for _ in range(COUNT):
        nav, supply = state(cases)
        assets = cases.uint(MONEY, 1)
        shares = pool.shares_down(assets, nav, supply)
        assert (nav + assets) * supply >= nav * (supply + shares)
        back = pool.assets_down(shares, nav + assets, supply + shares)
        assert back <= assets
        assert (nav + assets - back) * supply >= nav * supply


# ── what an epoch mints ─────────────────────────────────────────────────────────────────────────────────────────────


def test_minted_refuses_exactly_what_it_should(harness: Harness) -> None:
    """INV-21."""
    cases = Cases("minted")
    rows: list[Case] = []
    for _ in range(COUNT):
        nav, supply = state(cases)
        smallest = 10 ** cases.random.randint(16, 21)
        price = nav * WAD // supply
        floor = cases.near(price, low=10**15) if cases.flag() else 10 ** cases.random.randint(15, 18)
        rows.append((smallest + cases.uint(MONEY), nav * cases.random.choice((1, 1, -1)), supply, floor, smallest))
    refusals = {"nav": 0, "floor": 0, "dear": 0, "width": 0, "none": 0}
    for row, shares in zip(rows, harness.check("minted", pool.minted, rows), strict=True):
        deposited, nav, supply, floor, smallest = row
        unchecked = pool.shares_down(deposited, nav, supply) if nav > 0 else 0
        if nav <= 0:
            why = "nav"
        elif nav * WAD // supply < floor:
            why = "floor"
        elif supply + unchecked > UINT128:
            why = "width"
        elif smallest * unchecked // deposited < MIN_SHARES:
            why = "dear"
        else:
            why = "none"
        refusals[why] += 1
        assert shares == (unchecked if why == "none" else 0)
        if shares:
            # Whoever asked for the smallest amount loses at most 1e-4 to rounding (and to the virtual shares, 1e-12).
            mine = smallest * shares // deposited
            fair = Fraction(smallest) / max(Fraction(nav, supply), Fraction(nav + VIRTUAL, supply + VIRTUAL))
            assert mine >= fair * (1 - Fraction(1, 10_000))
    assert all(refusals[why] > 20 for why in ("nav", "floor", "dear", "none")), refusals


def test_minted_never_exceeds_the_width_of_its_slot(harness: Harness) -> None:
    supply = UINT128 - 10**30
    rows = [(deposited, supply, supply, 10**15, WAD) for deposited in (10**29, 10**30, 10**30 + 1)]
    assert harness.check("minted", pool.minted, rows) == [10**29, 10**30, 0]


def test_inflating_the_price_costs_the_attacker_and_spares_the_victim() -> None:
    """INV-21: a dead deposit, the attacker's deposit, a gift to NAV as large as one likes, then a victim; then all
    leave."""
    cases = Cases("inflation")
    entered = 0
    for _ in range(COUNT):
        smallest = 10 ** cases.random.randint(16, 21)
        dead = smallest + cases.uint(10**24)
        stake, gift, brought = smallest + cases.uint(10**26), cases.uint(10**32), smallest + cases.uint(10**26)
        nav = supply = dead
        mine = pool.minted(stake, nav, supply, 10**15, smallest)
        assert mine > 0
        nav, supply = nav + stake + gift, supply + mine
        shares = pool.minted(brought, nav, supply, 10**15, smallest)
        if shares == 0:
            continue  # refused: the victim gets everything back
        entered += 1
        nav, supply = nav + brought, supply + shares
        victim = pool.assets_down(shares, nav, supply)
        attacker = pool.assets_down(mine, nav, supply)
        assert brought - victim <= Fraction(brought, 10_000)
        assert attacker <= stake + gift
    assert entered > COUNT // 2


# ── what an epoch pays ──────────────────────────────────────────────────────────────────────────────────────────────


def test_redeemed_pays_no_more_than_shares_are_worth_nor_than_may_leave(harness: Harness) -> None:
    cases = Cases("redeemed")
    rows: list[Case] = []
    for _ in range(COUNT):
        nav, supply = state(cases)
        waiting = cases.uint(supply)
        worth = waiting * nav // supply
        most = cases.near(worth, worth // 2) if cases.flag() else cases.uint(MONEY)
        unit = 10 ** cases.random.choice([0, 10, 12, 16])
        rows.append((waiting, nav if cases.random.randrange(8) else -nav, supply, most, unit))
    kinds = {"all": 0, "part": 0, "nothing": 0}
    results = harness.check("redeemed", pool.redeemed, rows)
    for (waiting, nav, supply, most, unit), (burnt, paid) in zip(rows, results, strict=True):
        assert 0 <= burnt <= waiting
        assert paid * unit <= most
        assert (burnt == 0) == (paid == 0)
        assert paid * unit * supply <= burnt * max(nav, 0)
        due = pool.assets_down(waiting, nav, supply) // unit if nav > 0 else 0
        assert paid == min(due, most // unit)
        if paid == due != 0:
            assert burnt == waiting
        elif 0 < burnt < waiting:
            assert pool.assets_down(burnt - 1, nav, supply) < paid * unit
            assert (waiting - burnt) * QUEUE_SCALE >= waiting
        kinds["nothing" if burnt == 0 else "all" if burnt == waiting else "part"] += 1
    assert all(count > 100 for count in kinds.values()), kinds


# ── the queue ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_queue_functions_agree_with_the_mirror(harness: Harness) -> None:
    cases = Cases("queue")
    pays: list[Case] = []
    waits: list[Case] = []
    sums: list[Case] = []
    for _ in range(COUNT):
        shares = cases.uint(UINT128, 1)
        left = cases.uint(shares)
        if left * QUEUE_SCALE < shares:
            left = 0
        product = cases.uint(QUEUE_ONE, QUEUE_SCALE)
        number, scale = cases.uint(2**32, 1), cases.uint(2**16)
        pays.append((product, shares, number, scale, shares - left, cases.uint(shares * 10**10)))
        behind = cases.random.choice([0, 0, 0, 1, 1, 2, 5])
        then = product if behind == 0 and cases.flag() else cases.uint(QUEUE_ONE, QUEUE_SCALE)
        later = number + (cases.random.randrange(6) == 0)
        now = min(product, then) if behind == 0 else product
        waits.append((shares, max(product, then) if behind == 0 else then, number, scale, now, later, scale + behind))
        start = cases.uint(10**60)
        sums.append((shares, then, start, start + cases.uint(10**60), cases.uint(10**60)))

    def paid_queue(product: int, shares: int, number: int, scale: int, burnt: int, paid: int) -> tuple[int, ...]:
        after, growth = pool.pay(Queue(product, shares, number, scale), burnt, paid)
        return after.product, after.shares, after.round, after.scale, growth

    results = harness.check("pay", paid_queue, pays)
    assert all(QUEUE_SCALE <= product <= QUEUE_ONE for product, *_ in results)
    assert {after[3] - before[3] for before, after in zip(pays, results, strict=True) if after[2] == before[2]} == {
        0,
        1,
    }
    harness.check(
        "waitingOf",
        lambda s, mp, mr, ms, p, r, c: pool.waiting_of(s, Mark(mp, 0, mr, ms), Queue(p, 0, r, c)),
        waits,
    )
    harness.check("paidFor", lambda s, mp, m, a, b: pool.paid_for(s, Mark(mp, m, 1, 0), a, b), sums)


@pytest.mark.parametrize("hardest", [1, 3, 9, 12], ids=lambda n: f"pays_down_to_1e-{n}")
def test_queue_pays_every_member_its_part_and_never_more_than_there_is(hardest: int) -> None:
    """Random histories against a loop over all members in exact rationals."""
    cases = Cases(f"history {hardest}")
    for _ in range(12):
        queue, sums = Queue(), dict[tuple[int, int], int]()
        members: list[tuple[int, Mark, int]] = []
        left: list[Fraction] = []
        got: list[Fraction] = []
        total = 0
        dearest = Fraction(0)
        for step in range(60):
            key = (queue.round, queue.scale)
            mark = Mark(queue.product, sums.get(key, 0), *key)
            joining = [cases.uint(10**30, 1) for _ in range(cases.random.randrange(3))]
            members += [(shares, mark, step) for shares in joining]
            left += [Fraction(shares) for shares in joining]
            got += [Fraction(0)] * len(joining)
            waiting = queue.shares + sum(joining)
            if waiting == 0:
                continue
            rest = waiting // 10 ** cases.random.randint(0, hardest) if cases.random.randrange(10) else 0
            burnt = waiting if rest * QUEUE_SCALE < waiting else waiting - rest
            paid = cases.uint(2 * burnt) if burnt else 0
            total += paid
            dearest = max(dearest, Fraction(paid, max(burnt, 1)))
            queue, growth = pool.pay(Queue(queue.product, waiting, *key), burnt, paid)
            sums[key] = sums.get(key, 0) + growth
            for i, part in enumerate(left):
                got[i] += part * paid / waiting
                left[i] -= part * burnt / waiting
            waits = [pool.waiting_of(shares, mark, queue) for shares, mark, _ in members]
            paids = [
                pool.paid_for(s, m, sums.get((m.round, m.scale), 0), sums.get((m.round, m.scale + 1), 0))
                for s, m, _ in members
            ]
            assert sum(waits) <= queue.shares
            assert sum(paids) <= total
            for i, (shares, _, since) in enumerate(members):
                # Each strike rounds `product` and the sum once, each by less than 1e-27 of the shares.
                slack = Fraction(shares * (step - since + 3), QUEUE_SCALE)
                assert left[i] - 1 - slack <= waits[i] <= left[i]
                assert got[i] - 1 - slack * (1 + 2 * dearest) <= paids[i] <= got[i]
