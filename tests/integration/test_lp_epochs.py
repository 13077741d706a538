"""Liquidity epochs on the real ledger: one NAV for all, the reserve, the exit cap, refusals."""

from __future__ import annotations

import pytest
from tests.support.caller import Caller, call_data, error_name
from tests.support.core import change, traded
from tests.support.ledger_mirror import PoolMirror
from tests.support.protocol import Protocol
from tests.support.reverts import reverts_with

from plimsoll.chain.signer import UnlockedSender
from plimsoll.model import pool as pool_math
from plimsoll.model.config_words import PoolLiquidityWord
from plimsoll.units import PPM, WAD, div_up, mul_div_up, positive_part

UNIT = 10**12


def state_of(p: Protocol, mirror: PoolMirror) -> tuple[int, int, int]:
    """navEntry, navExit and payable of a strike in the block that the mirror has seen."""
    word = PoolLiquidityWord.unpack(p.reader.word("poolConfigs_", mirror.id, "liquidity"))
    risk = mirror.risk
    for m in mirror.markets.values():
        mirror.reprice(m)
    exit_nav, notional, needed = mirror.nav, 0, 0
    for m in mirror.markets.values():
        for one in (m.long, m.short):
            gain = positive_part(-m.side_profit(one))
            exit_nav -= positive_part(gain - one.interest * m.price // WAD * m.margin.im_base_ppm // PPM)
        notional += div_up((m.long.interest + m.short.interest) * m.price, WAD)
        open_loss = positive_part(m.open_profit(m.long) + m.open_profit(m.short))
        cap = mul_div_up(div_up(m.limits.oi_cap * m.price, WAD), PPM, m.limits.nav_multiple_ppm)
        needed = max(needed, mul_div_up(open_loss, PPM, risk.adl_target_ppm), cap)
    reserve = div_up(notional * word.reserve_factor_ppm, PPM)
    liquid = positive_part(mirror.cash - mirror.total_debt)
    return mirror.nav, exit_nav, min(positive_part(liquid - reserve), positive_part(mirror.nav - needed))


def struck(p: Protocol, mirror: PoolMirror, pool: str = "majors") -> dict[str, int]:
    """Strikes the due epoch and compares every number with the mirror's."""
    lp = p.pools[pool].lp
    supply, (waiting, through, _) = lp.call("totalSupply"), lp.call("queueState")
    epoch = lp.call("currentEpoch") - 1
    # requests of the last epoch; the tests strike every epoch
    deposits, redeems, _ = lp.call("epochState", epoch)
    assert through < epoch
    receipt = lp.transact("strike", p.account(p.keeper, pool), sender=p.keeper)
    mirror.see()
    entry, exit_nav, payable = state_of(p, mirror)
    event = receipt.event("EpochStruck").args
    smallest = lp.call("MIN_DEPOSIT") * UNIT
    shares = pool_math.minted(deposits * UNIT, entry, supply, lp.call("minSharePrice"), smallest) if deposits else 0
    burnt, paid = pool_math.redeemed(waiting + redeems, exit_nav, supply, payable, UNIT)
    kept = deposits if shares else 0
    reward = min(lp.call("strikeReward"), mirror.fees) if deposits + paid else 0
    names = ("navEntry", "navExit", "deposited", "refunded", "minted", "burnt", "paid", "waiting", "reward")
    values = (entry, exit_nav, kept, deposits - kept, shares, burnt, paid, waiting + redeems - burnt, reward)
    assert {name: event[name] for name in names} == dict(zip(names, values, strict=True))
    assert lp.call("totalSupply") == supply + shares - burnt
    return {name: event[name] for name in names}


def wait(p: Protocol, pool: str = "majors") -> PoolMirror:
    """Until the running epoch may be struck."""
    lp = p.pools[pool].lp
    p.warp_to(lp.call("strikeTime", lp.call("currentEpoch")))
    every = p.reader.accounts(p.pools[pool])
    return PoolMirror.read(p, *every, pool=pool)


def request(p: Protocol, actor: str, dollars: int, pool: str = "majors") -> None:
    """Asks for a deposit."""
    lp = p.pools[pool].lp
    units = p.mint("USDC", actor, dollars)
    p.approve("USDC", actor, units)
    lp.transact("requestDeposit", units, actor, actor, sender=actor)


def test_a_deposit_waits_in_escrow_and_joins_at_the_next_strike(protocol: Protocol) -> None:
    p = protocol
    account, lp = p.account(p.trader), p.pools["majors"].lp
    p.deposit(account, 50_000)
    traded(p, account, "ETH", 100)
    nav = p.nav()
    with change(p, p.other_lp) as seen:
        request(p, p.other_lp, 1_000_000)
    assert seen.terms == {"held": 1_000_000 * WAD, "lp_escrow": 1_000_000 * WAD}
    assert p.nav() == nav
    assert lp.call("totalAssets") == nav // UNIT
    mirror = wait(p)
    with change(p) as seen:
        done = struck(p, mirror)
    assert (done["deposited"], done["refunded"]) == (10**12, 0)
    assert seen.terms["lp_escrow"] == -1_000_000 * WAD
    assert seen.terms["cash"] == 1_000_000 * WAD
    assert seen.terms.get("fees", 0) == -done["reward"]
    lp.transact("deposit", 10**12, p.other_lp, p.other_lp, sender=p.other_lp)
    assert lp.call("balanceOf", p.other_lp) == done["minted"]
    value = lp.call("convertToAssets", done["minted"])
    assert 10**12 - 2 <= value <= 10**12


def test_all_of_an_epoch_get_one_price_and_one_fraction(protocol: Protocol) -> None:
    p = protocol
    account, lp = p.account(p.trader), p.pools["majors"].lp
    p.deposit(account, 2_000_000)
    traded(p, account, "ETH", 2_400)
    traded(p, account, "BTC", -120)
    p.lp_deposit(p.other_lp, 5_000_000)
    shares = {actor: lp.call("balanceOf", actor) for actor in (p.lp, p.other_lp)}
    for actor, amount in shares.items():
        lp.transact("requestRedeem", amount, actor, actor, sender=actor)
    mirror = wait(p)
    done = struck(p, mirror)
    # not all can be paid: oiCap·P ≤ m·NAV keeps $10M in the pool
    assert 0 < done["burnt"] < sum(shares.values())
    got = {}
    for actor, amount in shares.items():
        part = lp.call("maxRedeem", actor)
        assert abs(part * sum(shares.values()) - amount * done["burnt"]) <= 2 * sum(shares.values())
        before = p.balance("USDC", actor)
        lp.transact("redeem", part, actor, actor, sender=actor)
        got[actor] = p.balance("USDC", actor) - before
    # what rounding leaves of a claim is less than a native unit each
    assert done["paid"] - 2 <= sum(got.values()) <= done["paid"]
    ratio = got[p.lp] * shares[p.other_lp] - got[p.other_lp] * shares[p.lp]
    assert abs(ratio) <= 2 * max(shares.values())
    p.assert_identity()


def test_exit_counts_only_what_losers_can_pay(protocol: Protocol) -> None:
    """INV-23: traders are down by more than their margin: who leaves does not take the part that nobody will pay."""
    p = protocol
    account, lp = p.account(p.trader), p.pools["majors"].lp
    p.deposit(account, 300_000)
    traded(p, account, "ETH", 2_000)
    lp.transact("requestRedeem", lp.call("balanceOf", p.lp) // 10, p.lp, p.lp, sender=p.lp)
    # the fall is days ago for the average, so that the strike is not refused, and nobody liquidated
    p.set_price("ETH", 1_700)
    p.hub.transact("observe", 1, sender=p.attacker)
    mirror = wait(p)
    done = struck(p, mirror)
    m = mirror.markets[p.market("ETH")]
    margin = m.long.interest * m.price // WAD * m.margin.im_base_ppm // PPM
    gain = -m.side_profit(m.long)
    assert gain > 590_000 * WAD
    assert done["navEntry"] - done["navExit"] == gain - margin > 400_000 * WAD
    p.assert_identity()


@pytest.mark.parametrize("move", [1_880, 2_120])
def test_a_strike_waits_while_the_price_runs_away(protocol: Protocol, move: int) -> None:
    p = protocol
    lp = p.pools["majors"].lp
    request(p, p.other_lp, 1_000)
    wait(p)
    p.hub.transact("observe", 1, sender=p.attacker)
    p.set_price("ETH", move)
    p.hub.transact("observe", 1, sender=p.attacker)
    ema = p.hub.call("assetState", 1)[1]
    with reverts_with("LpGap", 1, move * WAD, ema):
        lp.call("strike", p.account(p.keeper), sender=p.keeper)
    p.warp(7_200)
    lp.transact("strike", p.account(p.keeper), sender=p.keeper)
    p.assert_identity()


def test_a_strike_needs_every_price(protocol: Protocol) -> None:
    p = protocol
    lp = p.pools["majors"].lp
    request(p, p.other_lp, 1_000)
    wait(p)
    p.feeds["BTC"].transact("push", 0, p.now() + 1, sender=p.deployer)
    with reverts_with("PriceRefused", 2, 1):
        lp.transact("strike", p.account(p.keeper), sender=p.keeper)
    # the other pool does not care
    lp.transact("requestRedeem", 1, p.lp, p.lp, sender=p.lp)
    request(p, p.other_lp, 1_000, "longtail")
    tail = p.pools["longtail"].lp
    p.warp_to(tail.call("strikeTime", tail.call("currentEpoch")), publish=False)
    p.publish("SOL")
    tail.transact("strike", p.account(p.keeper, "longtail"), sender=p.keeper)
    p.assert_identity()


def test_the_pause_of_deposits_stops_deposits_only(protocol: Protocol) -> None:
    p = protocol
    lp = p.pools["majors"].lp
    p.clearinghouse.transact("setPause", 1, 2, sender=p.guardian)
    p.mint("USDC", p.other_lp, 100)
    p.approve("USDC", p.other_lp)
    with reverts_with("LpDepositPaused", 1):
        lp.transact("requestDeposit", 10**8, p.other_lp, p.other_lp, sender=p.other_lp)
    assert p.lp_redeem(p.lp, 10**21) > 0
    p.assert_identity()


def test_the_reserve_and_the_borrowers_bound_what_is_paid(protocol: Protocol) -> None:
    """INV-23: liquid = V − D, never V: what is lent out cannot be paid."""
    p = protocol
    account, lp = p.account(p.trader), p.pools["majors"].lp
    p.deposit(account, 4_990, token="WETH")
    p.withdraw(account, 7_900_000)
    trader = p.account(p.other_trader)
    p.deposit(trader, 1_000_000)
    traded(p, trader, "ETH", 1_000)
    lp.transact("requestRedeem", lp.call("balanceOf", p.lp), p.lp, p.lp, sender=p.lp)
    mirror = wait(p)
    done = struck(p, mirror)
    after = PoolMirror.read(p, pool="majors")
    assert done["paid"] * UNIT <= mirror.cash - mirror.total_debt
    assert after.nav >= 10_000_000 * WAD - UNIT
    assert done["waiting"] > 0
    p.assert_identity()


def test_a_round_trip_at_one_price_never_pays(protocol: Protocol) -> None:
    """INV-18."""
    p = protocol
    account = p.account(p.trader)
    p.deposit(account, 100_000)
    traded(p, account, "ETH", 200)
    for dollars in (10, 777, 1_000_000):
        nav, supply = p.nav(), p.pools["majors"].lp.call("totalSupply")
        shares = p.lp_deposit(p.other_lp, dollars)
        got = p.lp_redeem(p.other_lp, shares)
        # funding runs for the days between, in favour of the pool
        profit = (p.nav() - nav) * shares // supply // UNIT
        assert got <= dollars * 10**6 + max(profit, 0) + 1
    p.assert_identity()


def test_rights_on_the_ledger_belong_to_the_registered_token(protocol: Protocol) -> None:
    p = protocol
    house, tail = p.clearinghouse, p.pools["longtail"].lp
    calls: list[tuple[str, tuple[object, ...]]] = [
        ("lpDeposit", (1, p.lp, 1)),
        ("lpStrike", (1,)),
        ("lpSettle", (1, 0, 0, 0, 0, bytes(32))),
        ("lpClaim", (1, p.lp, 1)),
        ("reserveFee", (p.account(p.lp), 256, p.lp, 10**12, False)),
        ("releaseFee", (p.account(p.lp), 0, False, False, p.account(p.lp))),
    ]
    for fn, args in calls:
        with reverts_with("NotLocked"):
            house.call(fn, *args, sender=tail.address)
    with reverts_with("NotPeer", p.attacker):
        house.call("lock", sender=p.attacker)
    # a peer that holds the lock, but of another pool
    caller = Caller(p, tail.address)
    caller.load(call_data(house, "lock"), *(call_data(house, fn, *args) for fn, args in calls))
    UnlockedSender(p.rpc, p.attacker).send(tail.address)
    first, *rest = caller.answers()
    assert first is not None
    assert first.succeeded
    assert [error_name(p, answer) for answer in rest if answer] == ["NotPeer"] * len(calls)
