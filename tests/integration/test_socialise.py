"""The waterfall to its end: insurance, junior tranche, pool, and then the winners."""

from __future__ import annotations

from fractions import Fraction

import pytest
from tests.support.core import change, liquidated, traded
from tests.support.ledger_mirror import PoolMirror
from tests.support.protocol import LiquidationResult, Protocol
from tests.support.reverts import reverts_with

from plimsoll.units import UNIT, WAD

R = LiquidationResult
POOL, MARKET = "longtail", "SOL"


def leave(p: Protocol, *, nav: int, insurance: int, junior: int = 0) -> None:
    """Sets V, insurance and the junior tranche (dollars), and what is held with them."""
    usdc, ledger = p.tokens["USDC"].address, p.ledger(POOL)
    p.mint("USDC", p.clearinghouse.address, 10_000_000)
    cash = nav * WAD + ledger.loss_sum
    moved = cash - ledger.cash + insurance * WAD - ledger.insurance + junior * WAD - ledger.junior
    words = {
        ("pools_", 2, "money"): cash % (1 << 104) | insurance * WAD << 104,
        ("pools_", 2, "junior"): p.reader.word("pools_", 2, "junior") - ledger.junior + junior * WAD,
        ("held_", 2, usdc): ledger.held + moved,
    }
    for path, word in words.items():
        slot = p.reader.slots.at(str(path[0]), *path[1:])
        p.rpc.request("anvil_setStorageAt", [p.clearinghouse.address, hex(slot), "0x" + word.to_bytes(32, "big").hex()])
    p.assert_identity()


def scene(
    p: Protocol, *, winners: tuple[int, ...] = (-300, -150), loser: int = 500
) -> tuple[bytes, list[bytes], bytes]:
    """A loser who is about to owe much more than he has, winners against him, and a flat account."""
    lost, flat = p.account(p.other_trader, POOL), p.account(p.other_trader, POOL, sub=5)
    others = [p.account(p.trader, POOL, sub=sub) for sub in range(len(winners))]
    p.deposit(lost, 7_500)
    p.deposit(flat, 1_234)
    traded(p, lost, MARKET, 500)
    for account, size in zip(others, winners, strict=True):
        p.deposit(account, 20_000)
        traded(p, account, MARKET, size, *others, lost)
    return lost, others, flat


@pytest.mark.parametrize(
    ("insurance", "junior", "nav"),
    [(50_000, 0, 1_000_000), (1_000, 0, 1_000_000), (0, 0, 1_000_000), (1_000, 2_000, 1_000_000), (1_000, 50_000, 0)],
)
def test_layers_are_used_one_after_the_other(protocol: Protocol, insurance: int, junior: int, nav: int) -> None:
    """INV-13, INV-24."""
    p = protocol
    lost, others, flat = scene(p)
    leave(p, nav=nav, insurance=insurance, junior=junior)
    p.set_price(MARKET, 60)
    with change(p, pool=POOL) as seen:
        done, closing, _ = liquidated(p, lost, *others, flat)
    assert done.results == [R.BAD_DEBT]
    event = done.receipt.event("BadDebt").args
    assert closing.bad_debt == (event["fromInsurance"], event["fromJunior"], event["fromPool"])
    assert event["amount"] == sum(closing.bad_debt)
    assert event["amount"] > 12_000 * WAD
    kept = p.ledger(POOL)
    if event["fromJunior"]:
        assert event["fromInsurance"] >= insurance * WAD - closing.reward
    if event["fromPool"]:
        assert kept.junior == 0
    assert p.account_word(lost).raw_cash == 0
    assert p.account_word(flat).raw_cash == 1_234 * WAD
    assert "held" not in seen.terms


@pytest.mark.parametrize("nav", [0, 100, 2_000])
def test_what_the_pool_cannot_bear_is_taken_from_the_winners(protocol: Protocol, nav: int) -> None:
    """INV-24: C −= d/R: every winner of a side pays by shares, at most what the side has won; a flat account pays
    nothing."""
    p = protocol
    lost, others, flat = scene(p)
    p.set_price(MARKET, 60)
    p.clearinghouse.transact("accrue", p.market(MARKET), sender=p.attacker)
    leave(p, nav=nav, insurance=0)
    before = PoolMirror.read(p, lost, *others, flat, pool=POOL)
    done, closing, after = liquidated(p, lost, *others, flat)
    before.see()
    event = done.receipt.event("Socialised").args
    assert event["pool"] == 2
    market = p.market(MARKET)
    old, new = before.markets[market], after.markets[market]
    assert closing.bad_debt is not None
    assert 0 < event["taken"] <= event["deficit"]
    assert after.nav >= event["taken"] - event["deficit"]
    assert 0 <= after.nav - (event["taken"] - event["deficit"]) <= 2
    for one in others:
        position = before.accounts[one].positions[0]
        was = before.value_of(old, position, 60 * WAD)[1]
        now = after.value_of(new, position, 60 * WAD)[1]
        share = Fraction(event["taken"] * abs(position.shares), old.short.shares)
        tolerance = 2 + Fraction(2 * abs(position.shares), UNIT)
        assert 0 <= was - now - share + tolerance <= 2 * tolerance
        assert after.value_of(new, position, 60 * WAD)[0] == position.shares
    assert p.account_word(flat).raw_cash == 1_234 * WAD
    assert p.nav(POOL) >= 0
    p.assert_identity()


def test_no_winner_no_socialisation_and_the_pool_halts(protocol: Protocol) -> None:
    p = protocol
    lost, _, flat = scene(p, winners=())
    p.set_price(MARKET, 60)
    p.clearinghouse.transact("accrue", p.market(MARKET), sender=p.attacker)
    # without winners V itself must be short: the pool owes more than it has
    leave(p, nav=12_000, insurance=0)
    done, _, after = liquidated(p, lost, flat)
    assert done.results == [R.BAD_DEBT]
    assert done.receipt.named("Socialised") == []
    assert after.nav < 0
    order, _ = p.place(flat, MARKET, 1)
    p.warp_to(p.price_time(order))
    results, receipt = p.execute(order)
    reason = p.deployment.errors.decode(receipt.event("OrderSkipped")["reason"])
    assert (int(results[0]), getattr(reason, "name", "")) == (9, "PoolInsolvent")
    ledger = p.ledger(POOL)
    reserved = ledger.insurance + ledger.fees + ledger.escrow + ledger.junior + ledger.lp_escrow + ledger.claims
    free = ledger.held - reserved
    assert 0 < free < 1_000 * WAD
    with p.snapshot():
        p.warp_to(order["expiry"] + 1)
        p.execute(order)
        with reverts_with("InsufficientPoolLiquidity", ...):
            p.withdraw(flat, 1_000)
        p.withdraw(flat, free // WAD)
        p.assert_identity()


def test_profit_of_an_insolvent_pool_is_not_credited_in_full(protocol: Protocol) -> None:
    """A winner who closes while NAV is negative gets what is left after socialisation, not his whole profit."""
    p = protocol
    lost, others, _ = scene(p)
    p.set_price(MARKET, 60)
    p.clearinghouse.transact("accrue", p.market(MARKET), sender=p.attacker)
    leave(p, nav=-3_000, insurance=0)
    mirror = PoolMirror.read(p, *others, pool=POOL)
    full = mirror.value_of(mirror.markets[p.market(MARKET)], mirror.accounts[others[0]].positions[0], 60 * WAD)[1]
    done = traded(p, others[0], MARKET, 300, lost, *others, reduce_only=True)
    assert full - 2_100 * WAD < done.expected.profit < full - 1_900 * WAD
    assert done.receipt.named("Socialised")
    assert p.nav(POOL) >= 0
    p.assert_identity()


def test_new_positions_after_socialisation_owe_nothing_of_it(protocol: Protocol) -> None:
    p = protocol
    lost, others, flat = scene(p)
    p.set_price(MARKET, 60)
    p.clearinghouse.transact("accrue", p.market(MARKET), sender=p.attacker)
    leave(p, nav=0, insurance=0)
    liquidated(p, lost, *others, flat)
    leave(p, nav=3_000_000, insurance=0)
    opened = traded(p, flat, MARKET, -10, *others)
    closed = traded(p, flat, MARKET, 10, *others)
    assert opened.expected.profit == 0
    assert abs(closed.expected.profit) < WAD // 10**3
    for one in others:
        traded(p, one, MARKET, 500, *others, reduce_only=True)
    for part in ("sides", "longEntrySum", "shortEntrySum"):
        word = p.reader.word("markets_", p.market(MARKET), part)
        assert (word & ((1 << 208) - 1) if part == "sides" else word) == 0
    p.assert_identity()
