"""The engine's share token: request → strike → claim with a ledger that is a few numbers, and its own refusals."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from plimsoll.model.engine import liquidity, solvency
from plimsoll.model.engine.draft import Draft, Refusal
from plimsoll.model.engine.lp_state import LpState
from plimsoll.model.engine.state import State, account_id
from plimsoll.model.pool import PoolBook, Side
from plimsoll.units import WAD

START = 1_700_000_000
DAY, HOUR = 86_400, 3600
POOL, TOKEN, ASSET = 1, 0x70CE, 0xA55E7
ALICE, BOB, CAROL, OWNER = 0xA, 0xB, 0xC, 0xD
USDC = 10**6
UNIT = 10**12
KEEPER = account_id(BOB, POOL)


@dataclass
class Ledger:
    """Stands in for the Clearinghouse: V, what may leave, fees, and the calls that it got."""

    nav: int = 0
    payable: int = 2**100
    fees: int = 0
    calls: list[Any] = field(default_factory=list)

    def lp_deposit(self, d: Draft, pool: int, owner: int, amount: int) -> None:
        self.calls.append(("deposit", owner, amount))

    def lp_strike(self, d: Draft, pool: int) -> solvency.StrikeState:
        return solvency.StrikeState(self.nav, self.nav, self.payable, self.fees)

    def lp_settle(
        self, d: Draft, pool: int, deposited: int, refunded: int, redeemed: int, reward: int, keeper: int
    ) -> None:
        self.nav += deposited - redeemed
        self.calls.append(("settle", deposited, refunded, redeemed, reward, keeper))

    def lp_claim(self, d: Draft, pool: int, to: int, amount: int) -> None:
        self.calls.append(("claim", to, amount))

    def pool_nav(self, d: Draft, pool: int) -> int:
        return self.nav


@pytest.fixture
def ledger(monkeypatch: pytest.MonkeyPatch) -> Ledger:
    one = Ledger()
    for name in ("lp_deposit", "lp_strike", "lp_settle", "lp_claim", "pool_nav"):
        monkeypatch.setattr(solvency, name, getattr(one, name))
    return one


@pytest.fixture
def d() -> Draft:
    lp = LpState(
        address=TOKEN,
        pool=POOL,
        asset=ASSET,
        unit=UNIT,
        start=START,
        epoch_length=DAY,
        lp_delay=HOUR,
        min_deposit=USDC,
        min_share_price=WAD // 10,
        strike_reward=WAD,
        owner=OWNER,
    )
    return Draft(State(time=START, lps={POOL: lp}))


@contextmanager
def refused(name: str, *values: Any) -> Iterator[None]:
    with pytest.raises(Refusal) as caught:
        yield
    assert (caught.value.name, caught.value.values) == (name, values)


def shares(d: Draft, holder: int) -> int:
    return int(d.lps[POOL].balances.get(holder, 0))


def struck(d: Draft, epoch: int) -> None:
    d.time = liquidity.strike_time(d, POOL, epoch)
    liquidity.strike(d, BOB, POOL, KEEPER)


def test_seed(d: Draft, ledger: Ledger) -> None:
    ledger.nav = 5 * WAD
    with refused("BelowMinDeposit", USDC - 1, USDC):
        liquidity.seed(d, ALICE, POOL, USDC - 1)
    liquidity.seed(d, ALICE, POOL, 10 * USDC)
    assert d.lps[POOL].supply == shares(d, liquidity.DEAD) == 15 * WAD
    assert ledger.calls == [
        ("deposit", ALICE, 10 * USDC),
        ("settle", 10 * WAD, 0, 0, 0, account_id(ALICE, POOL)),
    ]
    with refused("AlreadySeeded"):
        liquidity.seed(d, ALICE, POOL, 0)


def test_a_pool_in_debt_is_not_seeded(d: Draft, ledger: Ledger) -> None:
    ledger.nav = -1
    with refused("NegativeNav", -1):
        liquidity.seed(d, ALICE, POOL, USDC)


def test_request_strike_claim(d: Draft, ledger: Ledger) -> None:
    with refused("NotAuthorised", BOB, ALICE):
        liquidity.request_deposit(d, ALICE, POOL, 0, CAROL, BOB)
    with refused("NotAuthorised", CAROL, ALICE):
        liquidity.request_deposit(d, ALICE, POOL, 0, CAROL, ALICE)
    with refused("BelowMinDeposit", 0, USDC):
        liquidity.request_deposit(d, ALICE, POOL, 0, ALICE, ALICE)
    with refused("NotSeeded"):
        liquidity.request_deposit(d, ALICE, POOL, USDC, ALICE, ALICE)
    liquidity.seed(d, ALICE, POOL, 100 * USDC)
    before = d.mark()
    assert liquidity.request_deposit(d, ALICE, POOL, 30 * USDC, ALICE, ALICE) == 1
    assert liquidity.request_deposit(d, BOB, POOL, 10 * USDC, BOB, BOB) == 1
    assert before["lps"][POOL].book == PoolBook()
    assert liquidity.pending_deposit_request(d, POOL, 1, ALICE) == 30 * USDC
    d.time = START + DAY + HOUR - 1
    assert not liquidity.can_strike(d, POOL)
    with refused("NothingToStrike", START + DAY + HOUR):
        liquidity.strike(d, BOB, POOL, KEEPER)

    ledger.nav, ledger.fees = 200 * WAD, WAD // 2
    struck(d, 1)
    assert ledger.calls[-1] == ("settle", 40 * WAD, 0, 0, WAD // 2, KEEPER)
    assert (d.lps[POOL].supply, shares(d, TOKEN)) == (120 * WAD, 20 * WAD)
    assert liquidity.max_deposit(d, POOL, ALICE) == liquidity.claimable_deposit_request(d, POOL, 1, ALICE) == 30 * USDC
    assert liquidity.max_mint(d, POOL, ALICE) == 15 * WAD
    with refused("ZeroAmount"):
        liquidity.deposit(d, ALICE, POOL, 0, TOKEN, ALICE)
    with refused("ClaimExceeds", 31 * USDC, 30 * USDC):
        liquidity.deposit(d, ALICE, POOL, 31 * USDC, TOKEN, ALICE)
    with refused("ERC20InvalidReceiver", TOKEN):
        liquidity.deposit(d, ALICE, POOL, 1, TOKEN, ALICE)
    with refused("ERC20InvalidReceiver", 0):
        liquidity.mint(d, ALICE, POOL, 1, 0, ALICE)
    assert liquidity.deposit(d, ALICE, POOL, 10 * USDC, ALICE, ALICE) == 5 * WAD
    assert liquidity.mint(d, ALICE, POOL, 10 * WAD, CAROL, ALICE) == 20 * USDC
    assert (shares(d, ALICE), shares(d, CAROL), shares(d, TOKEN)) == (5 * WAD, 10 * WAD, 5 * WAD)
    with refused("NothingToStrike", START + 2 * DAY + HOUR):
        liquidity.strike(d, BOB, POOL, KEEPER)


def test_leaving_in_parts(d: Draft, ledger: Ledger) -> None:
    liquidity.seed(d, ALICE, POOL, 100 * USDC)
    liquidity.request_deposit(d, ALICE, POOL, 100 * USDC, ALICE, ALICE)
    struck(d, 1)
    liquidity.deposit(d, ALICE, POOL, 100 * USDC, ALICE, ALICE)
    with refused("ZeroAmount"):
        liquidity.request_redeem(d, ALICE, POOL, 0, ALICE, BOB)
    with refused("ERC20InsufficientAllowance", BOB, 0, 1):
        liquidity.request_redeem(d, BOB, POOL, 1, BOB, ALICE)
    with refused("ERC20InsufficientBalance", ALICE, 100 * WAD, 100 * WAD + 1):
        liquidity.request_redeem(d, ALICE, POOL, 100 * WAD + 1, ALICE, ALICE)
    liquidity.approve(d, ALICE, POOL, BOB, 50 * WAD)
    epoch = liquidity.request_redeem(d, BOB, POOL, 20 * WAD, BOB, ALICE)
    assert d.lps[POOL].allowances == {(ALICE, BOB): 30 * WAD}
    liquidity.request_redeem(d, ALICE, POOL, 60 * WAD, ALICE, ALICE)
    ledger.payable = 40 * WAD + 1
    struck(d, epoch)
    assert ledger.calls[-1] == ("settle", 0, 0, 40 * WAD, 0, KEEPER)
    assert (d.lps[POOL].supply, shares(d, TOKEN), shares(d, ALICE)) == (160 * WAD, 40 * WAD, 20 * WAD)
    assert liquidity.pending_redeem_request(d, POOL, epoch, BOB) == 10 * WAD
    assert liquidity.claimable_redeem_request(d, POOL, epoch, BOB) == liquidity.max_redeem(d, POOL, BOB) == 10 * WAD
    with refused("ZeroAddress"):
        liquidity.redeem(d, BOB, POOL, 5 * WAD, 0, BOB)
    assert liquidity.redeem(d, BOB, POOL, 5 * WAD, CAROL, BOB) == 5 * USDC
    assert ledger.calls[-1] == ("claim", CAROL, 5 * USDC)
    assert liquidity.withdraw(d, BOB, POOL, 5 * USDC, BOB, BOB) == 5 * WAD
    assert liquidity.max_withdraw(d, POOL, BOB) == 0
    calls = len(ledger.calls)
    assert liquidity.redeem(d, ALICE, POOL, 1, ALICE, ALICE) == 0
    assert len(ledger.calls) == calls


def test_refused_deposits_go_back(d: Draft, ledger: Ledger) -> None:
    liquidity.seed(d, ALICE, POOL, 100 * USDC)
    liquidity.request_deposit(d, ALICE, POOL, 7 * USDC, ALICE, ALICE)
    ledger.nav = 0
    assert liquidity.convert_to_shares(d, POOL, USDC) == 0
    struck(d, 1)
    assert ledger.calls[-1] == ("settle", 0, 7 * WAD, 0, 0, KEEPER)
    assert liquidity.refundable_deposit_request(d, POOL, 1, ALICE) == 7 * USDC
    with refused("NothingToRefund", 2, ALICE):
        liquidity.claim_refund(d, ALICE, POOL, 2, ALICE, ALICE)
    assert liquidity.claim_refund(d, ALICE, POOL, 1, CAROL, ALICE) == 7 * USDC
    assert ledger.calls[-1] == ("claim", CAROL, 7 * USDC)
    with refused("NothingToRefund", 1, ALICE):
        liquidity.claim_refund(d, ALICE, POOL, 1, CAROL, ALICE)


def test_widths(d: Draft, ledger: Ledger) -> None:
    liquidity.seed(d, ALICE, POOL, USDC)
    with refused("UintTooLarge", 2**128, 128):
        liquidity.request_deposit(d, ALICE, POOL, 2**128, ALICE, ALICE)
    liquidity.request_deposit(d, ALICE, POOL, 2**127, ALICE, ALICE)
    with refused("UintTooLarge", 2**128, 128):
        liquidity.request_deposit(d, ALICE, POOL, 2**127, ALICE, ALICE)
    with refused("Panic", 0x11):
        liquidity.request_deposit(d, ALICE, POOL, 2**256 - 1, ALICE, ALICE)
    with refused("Panic", 0x11):
        liquidity.convert_to_shares(d, POOL, 2**255)
    assert liquidity.total_assets(d, POOL) == liquidity.convert_to_assets(d, POOL, WAD) == USDC
    assert liquidity.convert_to_shares(d, POOL, USDC) == WAD


def test_the_token(d: Draft) -> None:
    d.put("lps", POOL, replace(d.lps[POOL], balances={ALICE: 10}, supply=10))
    for to, name, values in (
        (TOKEN, "ERC20InvalidReceiver", (TOKEN,)),
        (0, "ERC20InvalidReceiver", (0,)),
        (BOB, "ERC20InsufficientBalance", (ALICE, 10, 11)),
    ):
        with refused(name, *values):
            liquidity.transfer(d, ALICE, POOL, to, 11)
    with refused("ERC20InvalidSpender", 0):
        liquidity.approve(d, ALICE, POOL, 0, 1)
    with refused("ERC20InsufficientAllowance", BOB, 0, 1):
        liquidity.transfer_from(d, BOB, POOL, ALICE, 0, 1)
    with refused("ERC20InvalidApprover", 0):
        liquidity.transfer_from(d, BOB, POOL, 0, BOB, 0)
    liquidity.approve(d, ALICE, POOL, BOB, 2**256 - 1)
    liquidity.transfer_from(d, BOB, POOL, ALICE, CAROL, 4)
    liquidity.transfer(d, ALICE, POOL, ALICE, 6)
    liquidity.transfer(d, ALICE, POOL, BOB, 6)
    assert d.lps[POOL].balances == {BOB: 6, CAROL: 4}
    assert d.lps[POOL].allowances == {(ALICE, BOB): 2**256 - 1}


def test_operators_terms_and_owner(d: Draft, ledger: Ledger) -> None:
    liquidity.seed(d, ALICE, POOL, USDC)
    liquidity.set_operator(d, ALICE, POOL, BOB, True)
    liquidity.request_deposit(d, BOB, POOL, USDC, BOB, ALICE)
    liquidity.set_operator(d, ALICE, POOL, BOB, False)
    with refused("NotAuthorised", ALICE, BOB):
        liquidity.request_deposit(d, BOB, POOL, USDC, BOB, ALICE)
    with refused("OwnableUnauthorizedAccount", ALICE):
        liquidity.set_terms(d, ALICE, POOL, 0, 0)
    with refused("MinSharePriceOutOfRange", 10**15 - 1, 10**15, 10**18):
        liquidity.set_terms(d, OWNER, POOL, 10**15 - 1, 2**255)
    with refused("StrikeRewardOutOfRange", 1000 * WAD + 1, 1000 * WAD):
        liquidity.set_terms(d, OWNER, POOL, 10**15, 1000 * WAD + 1)
    liquidity.set_terms(d, OWNER, POOL, 10**15, 1000 * WAD)
    liquidity.transfer_ownership(d, OWNER, POOL, ALICE)
    with refused("OwnableUnauthorizedAccount", BOB):
        liquidity.accept_ownership(d, BOB, POOL)
    liquidity.accept_ownership(d, ALICE, POOL)
    liquidity.renounce_ownership(d, ALICE, POOL)
    assert (d.lps[POOL].owner, d.lps[POOL].pending_owner, d.lps[POOL].strike_reward) == (0, 0, 1000 * WAD)


def test_a_clone_of_the_book_shares_nothing_that_changes() -> None:
    book = PoolBook()
    book.record(Side.DEPOSIT, ALICE, 1, 10)
    book.record(Side.REDEEM, ALICE, 1, 10)
    book.collect(1)
    book.settle(10, 20, 10, 5, 5)
    copy, same = book.clone(), book.clone()
    copy.take(Side.DEPOSIT, ALICE, 5, wanted_out=False)
    copy.take(Side.REDEEM, ALICE, 5, wanted_out=False)
    copy.record(Side.DEPOSIT, ALICE, 2, 1)
    copy.record(Side.DEPOSIT, BOB, 2, 1)
    copy.collect(2)
    copy.settle(2, 0, 5, 5, 5)
    copy.take_refund(BOB, 2)
    assert book == same
    assert copy != same
