"""LiquidityPool: authority, the one lock, claims in pieces, attacks, and the standards it says it follows."""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterator
from typing import Any

import pytest
from eth_account import Account
from eth_utils.crypto import keccak
from tests.support.liquidity import DAY, DEAD, POOL_ID, REWARD, LiquidityWorld, account_id, liquidity_world
from tests.support.reverts import reverts_with

from plimsoll.chain.abi import FunctionAbi
from plimsoll.chain.errors import ContractRevert
from plimsoll.units import WAD

ZERO = "0x" + "00" * 20
# Views that are right while the lock is held: fixed when the pool was deployed, or ERC-20 balances and counters.
STEADY = {
    *("CLEARINGHOUSE", "DEAD", "DOMAIN_SEPARATOR", "EPOCH_LENGTH", "LARGEST_DELAY", "LARGEST_EPOCH", "LARGEST_REWARD"),
    *("LARGEST_SHARE_PRICE", "LEAST_SHARE_PRICE", "LEAST_TIME", "LP_DELAY", "MIN_DEPOSIT", "POOL_ID", "START"),
    *("allowance", "asset", "balanceOf", "canStrike", "currentEpoch", "decimals", "eip712Domain", "epochState"),
    *("isOperator", "minSharePrice", "name", "nonces", "owner", "pendingOwner", "queueState", "share", "strikeReward"),
    *("strikeTime", "supportsInterface", "symbol", "totalSupply"),
}


@pytest.fixture(scope="module", params=[2, 6, 18], ids=lambda d: f"{d}_decimals")
def chain(request: pytest.FixtureRequest) -> Iterator[LiquidityWorld]:
    with liquidity_world(request.param) as world:
        world.seed()
        yield world


@pytest.fixture
def world(chain: LiquidityWorld) -> Iterator[LiquidityWorld]:
    with chain.anvil.snapshot():
        yield chain
        chain.check_ledger()


def dummy(kind: str, self_address: str) -> Any:
    """A value of an ABI type that gets past checks of zero and of authority."""
    if kind == "address":
        return self_address
    if kind.startswith("bytes"):
        return b"\x01" * int(kind[5:])
    return True if kind == "bool" else 10**6 if kind == "uint256" else 1


# ── authority ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_nobody_can_spend_another_ones_allowance_on_the_clearinghouse(world: LiquidityWorld) -> None:
    """INV-32."""
    victim, thief = world.lps[:2]
    for controller in (victim, thief):
        with reverts_with("NotAuthorised", victim.address, thief.address):
            world.pool.transact("requestDeposit", world.whole, controller.address, victim.address, sender=thief)


def test_nobody_can_make_requests_for_a_controller_who_did_not_ask(world: LiquidityWorld) -> None:
    victim, giver = world.lps[:2]
    shares = world.enter(giver, 10 * world.whole)
    for fn, amount in (("requestDeposit", world.whole), ("requestRedeem", shares)):
        with reverts_with("NotAuthorised", victim.address, giver.address):
            world.pool.transact(fn, amount, victim.address, giver.address, sender=giver)


@pytest.mark.parametrize("fn", ["deposit", "mint", "redeem", "withdraw"])
def test_only_controller_and_operator_can_claim(world: LiquidityWorld, fn: str) -> None:
    """INV-32."""
    lp, friend = world.lps[:2]
    shares = world.enter(lp, 10 * world.whole)
    world.request_redeem(lp, shares)
    world.request_deposit(lp, 10 * world.whole)
    world.strike()
    amount = {"deposit": 10 * world.whole, "mint": 10 * WAD, "redeem": shares, "withdraw": 10 * world.whole}[fn]
    signature = f"{fn}(uint256,address,address)"
    with reverts_with("NotAuthorised", lp.address, friend.address):
        world.pool.transact(signature, amount, friend.address, lp.address, sender=friend)
    event = world.pool.transact("setOperator", friend.address, True, sender=lp).event("OperatorSet")
    assert event.args == {"controller": lp.address, "operator": friend.address, "approved": True}
    with reverts_with("ClaimExceeds", amount + 1, amount):
        world.pool.transact(signature, amount + 1, friend.address, lp.address, sender=friend)
    enters = fn in ("deposit", "mint")
    before = world.shares(friend) if enters else world.money(friend)
    receipt = world.pool.transact(signature, amount, friend.address, lp.address, sender=friend)
    if enters:
        assert world.shares(friend) - before == 10 * WAD
        assert receipt.event("Deposit").args == {
            "sender": lp.address,
            "owner": friend.address,
            "assets": 10 * world.whole,
            "shares": 10 * WAD,
        }
    else:
        assert world.money(friend) - before == 10 * world.whole
        assert receipt.event("Withdraw").args == {
            "sender": friend.address,
            "receiver": friend.address,
            "owner": lp.address,
            "assets": 10 * world.whole,
            "shares": shares,
        }
    world.pool.transact("setOperator", friend.address, False, sender=lp)
    with reverts_with("NotAuthorised", lp.address, friend.address):
        world.pool.transact(signature, 1, friend.address, lp.address, sender=friend)


def test_an_operator_requests_for_the_owner_and_an_allowance_suffices_to_redeem(world: LiquidityWorld) -> None:
    lp, friend = world.lps[:2]
    world.pool.transact("setOperator", friend.address, True, sender=lp)
    world.pool.transact("requestDeposit", 10 * world.whole, lp.address, lp.address, sender=friend)
    world.strike()
    world.take_shares(lp)
    world.pool.transact("requestRedeem", WAD, lp.address, lp.address, sender=friend)
    world.pool.transact("setOperator", friend.address, False, sender=lp)
    with reverts_with("ERC20InsufficientAllowance", friend.address, 0, WAD):
        world.pool.transact("requestRedeem", WAD, friend.address, lp.address, sender=friend)
    world.pool.transact("approve", friend.address, 3 * WAD, sender=lp)
    request = world.pool.transact("requestRedeem", WAD, friend.address, lp.address, sender=friend)
    assert request.event("RedeemRequest")["owner"] == lp.address
    assert world.pool.call("allowance", lp.address, friend.address) == 2 * WAD
    world.strike()
    assert world.take_money(friend) == world.whole


def test_only_the_owner_changes_terms_and_only_within_bounds(world: LiquidityWorld) -> None:
    with reverts_with("OwnableUnauthorizedAccount", world.lps[0].address):
        world.pool.transact("setTerms", 10**15, 0, sender=world.lps[0])
    for price in (10**15 - 1, WAD + 1):
        with reverts_with("MinSharePriceOutOfRange", price, 10**15, WAD):
            world.pool.transact("setTerms", price, 0, sender=world.owner)
    with reverts_with("StrikeRewardOutOfRange", 1000 * WAD + 1, 1000 * WAD):
        world.pool.transact("setTerms", WAD, 1000 * WAD + 1, sender=world.owner)
    world.pool.transact("setTerms", WAD, 1000 * WAD, sender=world.owner)
    assert (world.pool.call("minSharePrice"), world.pool.call("strikeReward")) == (WAD, 1000 * WAD)


def test_the_constructor_refuses_terms_out_of_range(world: LiquidityWorld) -> None:
    least = max(world.whole // 100, 1)
    for name, error, low, high in (
        ("epochLength", "EpochLengthOutOfRange", 3600, 30 * DAY),
        ("lpDelay", "LpDelayOutOfRange", 3600, 7 * DAY),
        ("minDeposit", "MinDepositOutOfRange", least, 1000 * world.whole),
        ("minSharePrice", "MinSharePriceOutOfRange", 10**15, WAD),
    ):
        for value in (low - 1, high + 1):
            with reverts_with(error, value, low, high):
                world.deploy_pool(**{name: value})
        for value in (low, high):
            world.deploy_pool(**{name: value})


def test_a_signature_can_stand_for_an_approval(world: LiquidityWorld) -> None:
    holder, spender = Account.create("holder"), world.lps[0].address
    domain = dict(zip(("name", "version"), ("Plimsoll Majors LP", "1"), strict=True))
    domain |= {"chainId": 31337, "verifyingContract": world.pool.address}
    fields = {"owner": "address", "spender": "address", "value": "uint256", "nonce": "uint256", "deadline": "uint256"}
    message = {"owner": holder.address, "spender": spender, "value": 7, "nonce": 0, "deadline": 2**40}
    types = {"Permit": [{"name": name, "type": kind} for name, kind in fields.items()]}
    signed = Account.sign_typed_data(holder.key, domain, types, message)
    words = [part.to_bytes(32, "big") for part in (signed.r, signed.s)]
    args = (holder.address, spender, 7, 2**40, signed.v, *words)
    world.pool.transact("permit", *args, sender=world.keeper)
    assert world.pool.call("allowance", holder.address, spender) == 7
    with reverts_with("ERC2612InvalidSigner", ...):
        world.pool.transact("permit", *args, sender=world.keeper)


# ── the one lock ────────────────────────────────────────────────────────────────────────────────────────────────────


def functions(world: LiquidityWorld, caller: str) -> dict[str, tuple[str, str]]:
    """Signature → (state mutability, call data) of every function; `caller` is every address in the call data."""
    found = {}
    for item in world.pool.abi:
        if item["type"] == "function":
            function = FunctionAbi.of(item)
            data = function.encode([dummy(part["type"], caller) for part in item["inputs"]])
            found[function.signature] = (item["stateMutability"], data)
    return found


def test_nothing_changes_state_and_nothing_is_valued_while_the_lock_is_held(world: LiquidityWorld) -> None:
    """INV-34."""
    refused, answered = dict[str, str](), set[str]()
    for signature, (mutability, data) in functions(world, world.ledger.address).items():
        if mutability == "pure":
            continue
        try:
            world.ledger.transact("callLocked", world.pool.address, data, sender=world.keeper)
        except ContractRevert as error:
            refused[signature] = error.name
        else:
            assert mutability == "view", signature
            answered.add(signature.split("(")[0])
    assert answered == STEADY - {"supportsInterface"}
    assert set(refused.values()) == {"Locked"}, refused
    assert len(refused) > 30


@pytest.mark.parametrize("moment", ["requestDeposit", "redeem", "claimRefund"])
def test_a_token_that_calls_back_finds_every_door_closed(world: LiquidityWorld, moment: str) -> None:
    """INV-34."""
    lp = world.lps[0]
    shares = world.enter(lp, 10 * world.whole)
    world.request_redeem(lp, shares)
    world.strike()
    if moment == "claimRefund":
        world.set_markets(unrealised=-100 * WAD)
        request = world.request_deposit(lp, world.whole)
        world.strike()
    calls: dict[str, tuple[Any, ...]] = {
        "requestDeposit": (world.whole, lp.address, lp.address),
        "redeem": (shares // 2, lp.address, lp.address),
        "claimRefund": (request, lp.address, lp.address) if moment == "claimRefund" else (),
    }
    doors = [data for mutability, data in functions(world, world.token.address).values() if mutability == "nonpayable"]
    assert len(doors) == 20
    locked = keccak(text="Locked()")[:4]
    for data in doors:
        with world.anvil.snapshot():
            world.token.transact("setHook", world.pool.address, data)
            world.pool.transact(moment, *calls[moment], sender=lp)
            assert world.token.call("calls") == 1
            assert not world.token.call("succeeded")
            assert world.token.call("returned") == locked


# ── claims in pieces, and dust ──────────────────────────────────────────────────────────────────────────────────────


def test_claiming_one_unit_at_a_time_gains_nothing_and_loses_nothing(world: LiquidityWorld) -> None:
    lp = world.lps[0]
    world.enter(world.lps[1], 100 * world.whole)
    world.gain(37 * world.whole)
    world.request_deposit(lp, world.whole)
    minted = world.strike()["minted"]
    for i in range(12):
        fn, amount = (("deposit", 1), ("mint", 1), ("mint", minted // 20), ("deposit", world.whole // 30))[i % 4]
        world.pool.transact(f"{fn}(uint256,address)", amount, lp.address, sender=lp)
        got, left = world.shares(lp), world.pool.call("maxMint", lp.address)
        assert got + left == minted
    world.take_shares(lp)
    assert world.shares(lp) == minted
    world.request_redeem(lp, minted)
    paid = world.strike()["paid"]
    before, due = world.money(lp), world.pool.call("maxWithdraw", lp.address)
    assert paid - 1 <= due <= paid <= world.whole
    for i in range(12):
        fn, amount = (("redeem", 1), ("withdraw", 1), ("redeem", minted // 20), ("withdraw", world.whole // 30))[i % 4]
        world.pool.transact(fn, amount, lp.address, lp.address, sender=lp)
        assert world.money(lp) - before + world.pool.call("maxWithdraw", lp.address) == due
    world.take_money(lp)
    assert world.money(lp) - before == due


def test_one_wei_of_shares_again_and_again_gets_nothing(world: LiquidityWorld) -> None:
    lp = world.lps[0]
    shares = world.enter(lp, 10 * world.whole)
    before = world.money(lp)
    for _ in range(4):
        for _ in range(3):
            world.request_redeem(lp, 1)
        world.strike()
    assert world.money(lp) + world.pool.call("maxWithdraw", lp.address) - before <= 4 * 3
    assert world.pool.call("convertToAssets", shares) <= 10 * world.whole
    assert world.cash() >= 11 * WAD - 12 * world.unit


def test_requests_of_many_epochs_are_claimed_oldest_first(world: LiquidityWorld) -> None:
    lp = world.lps[0]
    requests = [world.request_deposit(lp, world.whole)]
    world.strike()
    world.gain(2 * world.whole)  # 2 shares, 4 units: the price is 2
    requests.append(world.request_deposit(lp, world.whole))
    world.strike()
    assert world.pool.call("maxMint", lp.address) == WAD + WAD // 2
    world.pool.transact("deposit(uint256,address)", world.whole + world.whole // 2, lp.address, sender=lp)
    assert world.shares(lp) == WAD + WAD // 4
    left = [world.pool.call("claimableDepositRequest", request, lp.address) for request in requests]
    assert left == [0, world.whole // 2]


def test_more_epochs_than_one_strike_takes_are_struck_by_the_next_call(world: LiquidityWorld) -> None:
    lp = world.lps[0]
    first = world.epoch()
    for _ in range(67):
        world.request_deposit(lp, world.whole)
        world.anvil.advance(DAY)
    world.to_strike(first + 66)
    event = world.strike_now()
    assert (event["deposited"], event["throughEpoch"]) == (64 * world.whole, first + 63)
    event = world.strike_now()
    assert event["deposited"] == 3 * world.whole
    assert event["throughEpoch"] >= first + 66
    assert world.take_shares(lp) == 67 * WAD


# ── attacks ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_donations_change_nothing(world: LiquidityWorld) -> None:
    lp, giver = world.lps[:2]
    shares = world.enter(lp, 10 * world.whole)
    before = [world.pool.call(fn, *args) for fn, args in (("totalAssets", ()), ("convertToAssets", (shares,)))]
    for target in (world.pool, world.ledger):
        with world.anvil.snapshot():
            world.token.transact("transfer", target.address, 10**6 * world.whole, sender=giver)
            after = [world.pool.call(fn, *args) for fn, args in (("totalAssets", ()), ("convertToAssets", (shares,)))]
            assert after == before
            world.request_redeem(lp, shares)
            assert world.strike()["paid"] == 10 * world.whole


@pytest.mark.parametrize("gift", [1, 10**3, 10**6, 10**10])
def test_inflating_the_price_before_a_victim_enters_does_not_pay(world: LiquidityWorld, gift: int) -> None:
    """INV-21."""
    attacker, victim = world.lps[:2]
    start, brought = world.money(attacker), 3 * world.whole
    stake = world.enter(attacker, world.whole)
    world.token.transact("transfer", world.market.address, gift * world.whole, sender=attacker)
    world.gain(gift * world.whole)
    world.request_deposit(victim, brought)
    world.strike()
    theirs = world.take_shares(victim)
    for lp, shares in ((attacker, stake), (victim, theirs)):
        world.request_redeem(lp, shares)
    world.strike()
    back = [world.take_money(lp) for lp in (attacker, victim)]
    assert world.money(attacker) <= start
    assert back[1] >= brought * 9999 // 10_000 - 2
    assert world.shares(DEAD) == WAD


def test_the_reward_is_at_most_what_fees_hold_and_is_paid_once_per_epoch(world: LiquidityWorld) -> None:
    keeper = account_id(world.keeper.address)
    world.ledger.transact("fundFees", 3 * world.whole, sender=world.market)
    for expected in (REWARD, WAD, 0):
        world.request_deposit(world.lps[0], world.whole)
        before = world.ledger.call("paidTo", keeper)
        assert world.strike()["reward"] == expected
        assert world.ledger.call("paidTo", keeper) - before == expected
        with reverts_with("NothingToStrike", ...):
            world.strike_now()


# ── views and standards ─────────────────────────────────────────────────────────────────────────────────────────────


def test_views_of_value_follow_the_nav(world: LiquidityWorld) -> None:
    """INV-20."""
    world.enter(world.lps[0], 99 * world.whole)
    assert world.pool.call("convertToShares", world.whole) == WAD
    world.set_markets(unrealised=-50 * WAD - 1)
    assert world.pool.call("totalAssets") == (50 * WAD - 1) // world.unit
    assert world.pool.call("convertToAssets", 100 * WAD) == (50 * WAD - 1) // world.unit
    assert 2 * WAD - 2000 <= world.pool.call("convertToShares", world.whole) <= 2 * WAD + 1
    world.set_markets(unrealised=-200 * WAD)
    assert world.pool.call("totalAssets") == 0
    assert world.pool.call("convertToAssets", WAD) == 0
    assert world.pool.call("convertToShares", world.whole) == 0


def test_previews_are_refused_and_the_standards_are_named(world: LiquidityWorld) -> None:
    for kind in ("Deposit", "Mint", "Withdraw", "Redeem"):
        with reverts_with("PreviewNotSupported"):
            world.pool.call(f"preview{kind}", 1)
    assert world.pool.call("share") == world.pool.address
    assert world.pool.call("asset") == world.token.address
    assert (world.pool.call("decimals"), world.pool.call("POOL_ID")) == (18, POOL_ID)
    pair, triple = "(uint256,address)", "(uint256,address,address)"
    kinds = ("Deposit", "Mint", "Withdraw", "Redeem")
    standards = [
        ["supportsInterface(bytes4)"],
        ["setOperator(address,bool)", "isOperator(address,address)"],
        [
            *("asset()", "share()", "totalAssets()", "convertToShares(uint256)", "convertToAssets(uint256)"),
            *(f"max{kind}(address)" for kind in kinds),
            *(f"preview{kind}(uint256)" for kind in kinds),
            *(f"deposit{pair}", f"mint{pair}", f"withdraw{triple}", f"redeem{triple}"),
        ],
        [
            *(f"requestDeposit{triple}", f"pendingDepositRequest{pair}", f"claimableDepositRequest{pair}"),
            *(f"deposit{triple}", f"mint{triple}"),
        ],
        [f"requestRedeem{triple}", f"pendingRedeemRequest{pair}", f"claimableRedeemRequest{pair}"],
    ]
    for signatures in standards:
        selectors = [int.from_bytes(world.pool.function(text).selector, "big") for text in signatures]
        assert world.pool.call("supportsInterface", functools.reduce(operator.xor, selectors).to_bytes(4, "big"))
    assert not world.pool.call("supportsInterface", b"\xff" * 4)
