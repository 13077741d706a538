"""LiquidityPool on a mock ledger: requests, strikes, claims, and who may do what, for 2, 6, 8 and 18 decimals."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import pytest
from tests.support.liquidity import DAY, DEAD, DELAY, POOL_ID, REWARD, LiquidityWorld, account_id, liquidity_world
from tests.support.reverts import reverts_with

from plimsoll.model.pool import MIN_SHARES
from plimsoll.units import WAD


@pytest.fixture(scope="module", params=[2, 6, 8, 18], ids=lambda d: f"{d}_decimals")
def chain(request: pytest.FixtureRequest) -> Iterator[LiquidityWorld]:
    with liquidity_world(request.param) as world:
        world.seed()
        yield world


@pytest.fixture
def world(chain: LiquidityWorld) -> Iterator[LiquidityWorld]:
    with chain.anvil.snapshot():
        yield chain
        chain.check_ledger()


# ── entering ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_seed_gives_its_shares_to_nobody(world: LiquidityWorld) -> None:
    assert world.shares(DEAD) == world.supply() == WAD
    assert world.cash() == WAD
    with reverts_with("AlreadySeeded"):
        world.seed()


def test_seed_comes_first_and_takes_a_nav_that_is_there_at_the_price_one(world: LiquidityWorld) -> None:
    fresh = world.deploy_pool()
    world.ledger.transact("setShareToken", fresh.address)
    lp = world.lps[0]
    with reverts_with("NotSeeded"):
        fresh.transact("requestDeposit", world.whole, lp.address, lp.address, sender=lp)
    with reverts_with("BelowMinDeposit", world.whole - 1, world.whole):
        fresh.transact("seed", world.whole - 1, sender=world.owner)
    assert fresh.call("convertToShares", 0) == 0
    event = fresh.transact("seed", 2 * world.whole, sender=world.owner).event("Seeded")
    assert event.args == {"caller": world.owner.address, "assets": 2 * world.whole, "shares": 3 * WAD}
    world.ledger.transact("setShareToken", world.pool.address)


def test_first_deposit_gets_one_share_per_unit(world: LiquidityWorld) -> None:
    lp, amount = world.lps[0], 1000 * world.whole + 1
    before = world.money(lp)
    request = world.request_deposit(lp, amount)
    assert before - world.money(lp) == amount
    assert world.ledger.call("escrow") == amount * world.unit
    assert world.pool.call("totalAssets") == world.whole
    assert world.pool.call("pendingDepositRequest", request, lp.address) == amount
    assert world.pool.call("maxDeposit", lp.address) == 0
    event = world.strike()
    assert event["minted"] == amount * world.unit
    assert (event["deposited"], event["refunded"], event["navEntry"]) == (amount, 0, WAD)
    assert world.pool.call("pendingDepositRequest", request, lp.address) == 0
    assert world.pool.call("claimableDepositRequest", request, lp.address) == amount
    assert world.pool.call("maxMint", lp.address) == amount * world.unit
    assert world.take_shares(lp) == amount * world.unit
    assert world.pool.call("totalAssets") == amount + world.whole
    assert world.pool.call("convertToAssets", amount * world.unit) == amount


def test_requests_are_struck_after_the_epoch_and_the_delay_and_not_before(world: LiquidityWorld) -> None:
    """INV-23."""
    request = world.request_deposit(world.lps[0], world.whole)
    due = world.pool.call("strikeTime", request)
    assert due == world.pool.call("START") + request * DAY + DELAY
    assert not world.pool.call("canStrike")
    keeper = account_id(world.keeper.address)
    world.anvil.set_next_timestamp(due - 1)
    with reverts_with("NothingToStrike", due):
        world.pool.transact("strike", keeper, sender=world.keeper)
    world.anvil.set_next_timestamp(due)
    world.pool.transact("strike", keeper, sender=world.keeper)
    with reverts_with("NothingToStrike", due + DAY):
        world.pool.transact("strike", keeper, sender=world.keeper)
    assert not world.pool.call("canStrike")


def test_a_strike_without_any_request_is_refused(world: LiquidityWorld) -> None:
    epoch = world.epoch()
    world.to_strike()
    with reverts_with("NothingToStrike", world.pool.call("strikeTime", epoch + 1)):
        world.strike_now()


def test_entry_and_exit_are_at_their_own_nav(world: LiquidityWorld) -> None:
    old, new = world.lps[:2]
    shares = world.enter(old, 99 * world.whole)
    world.gain(60 * world.whole)
    world.set_markets(unrealised=40 * WAD, uncollectable=50 * WAD)
    world.request_deposit(new, 100 * world.whole)
    world.request_redeem(old, shares)
    event = world.strike()
    assert (event["navEntry"], event["navExit"]) == (200 * WAD, 150 * WAD)
    assert event["minted"] == 50 * WAD
    assert event["burnt"] == shares
    # The virtual shares cost less than 1e-15 of it, the last native unit may be rounded off.
    worth = Fraction(99 * 150 * world.whole, 100)
    assert worth - worth / 10**15 - 1 <= event["paid"] <= worth
    assert event["paid"] - 1 <= world.take_money(old) <= event["paid"]
    assert world.take_shares(new) == 50 * WAD


def test_small_requests_zero_amounts_and_pauses_are_refused(world: LiquidityWorld) -> None:
    lp = world.lps[0]
    with reverts_with("BelowMinDeposit", world.whole - 1, world.whole):
        world.request_deposit(lp, world.whole - 1)
    with reverts_with("ZeroAmount"):
        world.request_redeem(lp, 0)
    for claim in ("deposit(uint256,address)", "mint(uint256,address)"):
        with reverts_with("ZeroAmount"):
            world.pool.transact(claim, 0, lp.address, sender=lp)
    for claim in ("redeem", "withdraw"):
        with reverts_with("ClaimExceeds", 1, 0):
            world.pool.transact(claim, 1, lp.address, lp.address, sender=lp)
    with reverts_with("ERC20InsufficientBalance", lp.address, 0, 1):
        world.request_redeem(lp, 1)
    world.ledger.transact("setRefusals", True, False)
    with reverts_with("LpDepositPaused", POOL_ID):
        world.request_deposit(lp, world.whole)


def test_the_clearinghouse_needs_the_allowance_not_the_pool(world: LiquidityWorld) -> None:
    lp = world.lps[0]
    world.token.transact("approve", world.ledger.address, 0, sender=lp)
    world.token.transact("approve", world.pool.address, 2**256 - 1, sender=lp)
    with reverts_with("ERC20InsufficientAllowance", world.ledger.address, 0, world.whole):
        world.request_deposit(lp, world.whole)


def test_a_strike_waits_while_the_pool_cannot_be_valued(world: LiquidityWorld) -> None:
    world.request_deposit(world.lps[0], world.whole)
    world.to_strike()
    world.ledger.transact("setRefusals", False, True)
    with reverts_with("PriceRefused", 1, 1):
        world.strike_now()
    world.ledger.transact("setRefusals", False, False)
    assert world.strike_now()["deposited"] == world.whole


# ── refused deposits ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("nav", ["negative", "zero", "below_the_floor"])
def test_refused_deposits_come_back_and_redemptions_wait(world: LiquidityWorld, nav: str) -> None:
    old, new, stranger = world.lps[:3]
    shares = world.enter(old, 99 * world.whole)
    unrealised = {"negative": -101 * WAD, "zero": -100 * WAD, "below_the_floor": -99 * WAD - 1}[nav]
    world.set_markets(unrealised=unrealised)
    amount = 7 * world.whole
    request = world.request_deposit(new, amount)
    world.request_redeem(old, shares)
    event = world.strike()
    assert (event["deposited"], event["refunded"], event["minted"]) == (0, amount, 0)
    if nav == "below_the_floor":
        assert event["paid"] > 0
    else:
        assert (event["burnt"], event["paid"], event["waiting"]) == (0, 0, shares)
        assert world.pool.call("pendingRedeemRequest", request, old.address) == shares
    assert world.pool.call("maxDeposit", new.address) == world.pool.call("maxMint", new.address) == 0
    assert world.pool.call("pendingDepositRequest", request, new.address) == 0
    assert world.pool.call("refundableDepositRequest", request, new.address) == amount
    with reverts_with("NotAuthorised", new.address, stranger.address):
        world.pool.transact("claimRefund", request, stranger.address, new.address, sender=stranger)
    before = world.money(new)
    world.pool.transact("claimRefund", request, new.address, new.address, sender=new)
    assert world.money(new) - before == amount
    with reverts_with("NothingToRefund", request, new.address):
        world.pool.transact("claimRefund", request, new.address, new.address, sender=new)
    # A later request of the same person is not held up by the refused one.
    world.set_markets()
    again = world.request_deposit(new, amount)
    world.strike()
    assert world.pool.call("claimableDepositRequest", again, new.address) == amount
    assert world.take_shares(new) > 0


def test_a_share_at_the_floor_is_not_refused(world: LiquidityWorld) -> None:
    world.enter(world.lps[0], 99 * world.whole)
    world.set_markets(unrealised=-99 * WAD)
    world.request_deposit(world.lps[1], world.whole)
    assert world.strike()["minted"] * (WAD + 1000) <= WAD * (100 * WAD + 1000)
    assert world.take_shares(world.lps[1]) > 99 * WAD


def test_a_share_too_dear_for_the_smallest_request_sends_the_money_back(world: LiquidityWorld) -> None:
    """Where somebody would get almost no shares, nobody loses anything."""
    lp = world.lps[0]
    dearest = WAD * WAD // MIN_SHARES
    for nav, refused in ((dearest, False), (2 * dearest, True)):
        world.set_markets(unrealised=nav - world.cash())
        request = world.request_deposit(lp, world.whole)
        event = world.strike()
        assert (event["refunded"] != 0) == refused
        assert event["minted"] == (0 if refused else MIN_SHARES)
        world.set_markets()
    assert world.pool.call("refundableDepositRequest", request, lp.address) == world.whole


# ── leaving ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_epoch_with_only_redemptions_pays_all_when_all_may_leave(world: LiquidityWorld) -> None:
    lp = world.lps[0]
    shares = world.enter(lp, 500 * world.whole)
    request = world.request_redeem(lp, shares)
    assert world.shares(lp) == 0
    assert world.supply() == shares + WAD
    event = world.strike()
    assert (event["burnt"], event["paid"], event["waiting"]) == (shares, 500 * world.whole, 0)
    assert world.supply() == WAD
    assert world.pool.call("claimableRedeemRequest", request, lp.address) == shares
    assert world.pool.call("maxWithdraw", lp.address) == 500 * world.whole
    assert world.take_money(lp) == 500 * world.whole
    assert world.pool.call("maxRedeem", lp.address) == 0


def test_nothing_payable_burns_nothing_pays_no_reward_and_waits_for_the_next_epoch(world: LiquidityWorld) -> None:
    lp = world.lps[0]
    world.ledger.transact("fundFees", 5 * world.whole, sender=world.market)
    shares = world.enter(lp, 100 * world.whole)
    world.set_markets(payable_=0)
    request = world.request_redeem(lp, shares)
    event = world.strike()
    assert (event["burnt"], event["paid"], event["waiting"], event["reward"]) == (0, 0, shares, 0)
    assert world.pool.call("pendingRedeemRequest", request, lp.address) == shares
    world.set_markets()
    with reverts_with("NothingToStrike", ...):
        world.strike_now()
    event = world.strike()
    assert (event["burnt"], event["paid"], event["reward"]) == (shares, 100 * world.whole, REWARD)
    assert world.take_money(lp) == 100 * world.whole


def test_all_requests_of_an_epoch_get_one_fraction_and_the_rest_is_struck_with_later_ones(
    world: LiquidityWorld,
) -> None:
    one, two, late = world.lps[:3]
    for lp, amount in ((one, 100), (two, 300), (late, 400)):
        world.request_deposit(lp, amount * world.whole)
    world.strike()
    shares = [world.take_shares(lp) for lp in (one, two, late)]
    first = world.request_redeem(one, shares[0])
    world.request_redeem(two, shares[1])
    world.set_markets(payable_=100 * WAD)
    assert world.strike()["paid"] == 100 * world.whole
    for lp, amount in ((one, 100), (two, 300)):
        assert world.pool.call("pendingRedeemRequest", first, lp.address) == amount * WAD * 3 // 4
        assert world.pool.call("claimableRedeemRequest", first, lp.address) == amount * WAD // 4
        assert world.pool.call("maxWithdraw", lp.address) == amount * world.whole // 4
    second = world.request_redeem(late, shares[2])
    world.gain(701 * world.whole)  # 701 shares, the dead one included, are worth 2 each now
    world.set_markets(payable_=700 * WAD)
    event = world.strike()
    assert event["paid"] == 700 * world.whole
    tiny = 1000 * 800  # what the virtual shares cost, in wei
    assert 350 * WAD <= event["burnt"] <= 350 * WAD + tiny
    for request, lp, waited, paid in ((first, one, 75, 100), (first, two, 225, 300), (second, late, 400, 400)):
        left = world.pool.call("pendingRedeemRequest", request, lp.address)
        assert waited * WAD // 2 - tiny <= left <= waited * WAD // 2
        assert paid * world.whole - 1 <= world.pool.call("maxWithdraw", lp.address) <= paid * world.whole
    world.set_markets()
    world.strike()
    taken = [world.take_money(lp) for lp in (one, two, late)]
    for money, whole in zip(taken, (175, 525, 800), strict=True):
        assert whole * world.whole * (1 - Fraction(1, 10**14)) - 3 <= money <= whole * world.whole
    assert world.pool.call("queueState").waiting == 0


def test_deposit_and_redemption_in_one_epoch_do_not_touch_each_other(world: LiquidityWorld) -> None:
    old, new = world.lps[:2]
    shares = world.enter(old, 100 * world.whole)
    world.request_redeem(old, shares // 2)
    world.request_deposit(old, 10 * world.whole)
    world.request_deposit(new, 40 * world.whole)
    event = world.strike()
    assert (event["deposited"], event["minted"]) == (50 * world.whole, 50 * WAD)
    assert (event["burnt"], event["paid"]) == (50 * WAD, 50 * world.whole)
    assert world.take_money(old) == 50 * world.whole
    assert (world.take_shares(old), world.take_shares(new)) == (10 * WAD, 40 * WAD)


def test_shares_move_freely_while_others_of_the_same_holder_wait(world: LiquidityWorld) -> None:
    lp, friend = world.lps[:2]
    shares = world.enter(lp, 100 * world.whole)
    world.request_redeem(lp, shares // 4)
    world.pool.transact("transfer", friend.address, shares // 2, sender=lp)
    with reverts_with("ERC20InsufficientBalance", lp.address, shares // 4, shares // 2):
        world.pool.transact("transfer", friend.address, shares // 2, sender=lp)
    with reverts_with("ERC20InvalidReceiver", world.pool.address):
        world.pool.transact("transfer", world.pool.address, 1, sender=lp)
    world.request_redeem(friend, shares // 2)
    world.strike()
    assert (world.take_money(lp), world.take_money(friend)) == (25 * world.whole, 50 * world.whole)
    assert world.shares(lp) == shares // 4


def test_epochs_that_nobody_struck_are_struck_together_at_one_price(world: LiquidityWorld) -> None:
    one, two, three = world.lps[:3]
    shares = world.enter(three, 100 * world.whole)
    first = world.request_deposit(one, 10 * world.whole)
    world.to_strike()
    second = world.request_deposit(two, 10 * world.whole)
    world.request_redeem(three, shares)
    assert second == first + 1
    world.gain(101 * world.whole)
    event = world.strike()
    assert event["throughEpoch"] == second
    assert event["minted"] == 10 * WAD
    assert world.pool.call("epochState", first).number == world.pool.call("epochState", second).number == 2
    assert world.take_shares(one) == world.take_shares(two) == 5 * WAD
    assert 0 <= 200 * world.whole - world.take_money(three) <= 1 + world.whole // 10**12


def test_a_strike_of_the_past_leaves_requests_of_the_running_epoch_alone(world: LiquidityWorld) -> None:
    one, two = world.lps[:2]
    world.request_deposit(one, 10 * world.whole)
    world.to_strike()
    running = world.request_deposit(two, 10 * world.whole)
    assert world.strike_now()["deposited"] == 10 * world.whole
    assert world.pool.call("pendingDepositRequest", running, two.address) == 10 * world.whole
    world.strike()
    assert world.take_shares(two) == 10 * WAD
