"""Liquidity: requests to enter and to leave, the strike that prices them, and claims; the token itself is in `shares`.

Shares are WAD; money is native units of the settlement asset unless a name says WAD. `pool` is the id of the pool; a
person is an address. The token holds shares (waiting redemptions, deposits not yet claimed) and no money.
"""

from __future__ import annotations

from dataclasses import replace

from plimsoll.model.engine import solvency
from plimsoll.model.engine.draft import Draft, Refusal, check_uint, require
from plimsoll.model.engine.lp_state import LpState
from plimsoll.model.engine.shares import (
    accept_ownership,
    approve,
    changed,
    lp_of,
    may_act_for,
    moved,
    only,
    renounce_ownership,
    set_operator,
    set_terms,
    spent,
    transfer,
    transfer_from,
    transfer_ownership,
)
from plimsoll.model.engine.state import account_id
from plimsoll.model.pool import ClaimExceedsError, PoolBook, Side, assets_down, minted, redeemed, shares_down

__all__ = [
    "DEAD",
    "accept_ownership",
    "approve",
    "can_strike",
    "claim_refund",
    "claimable_deposit_request",
    "claimable_redeem_request",
    "convert_to_assets",
    "convert_to_shares",
    "current_epoch",
    "deposit",
    "max_deposit",
    "max_mint",
    "max_redeem",
    "max_withdraw",
    "mint",
    "pending_deposit_request",
    "pending_redeem_request",
    "redeem",
    "refundable_deposit_request",
    "renounce_ownership",
    "request_deposit",
    "request_redeem",
    "seed",
    "set_operator",
    "set_terms",
    "strike",
    "strike_time",
    "total_assets",
    "transfer",
    "transfer_from",
    "transfer_ownership",
    "withdraw",
]

DEAD = 0xDEAD
"""Holds the shares of the dead deposit."""
MAX_256 = 2**256 - 1
OVERFLOW = 0x11


# ── requests ─────────────────────────────────────────────────────────────────


def request_deposit(d: Draft, caller: int, pool: int, assets: int, controller: int, owner: int) -> int:
    """Asks to enter with `assets`, pulled from `owner`; gives the running epoch. The caller must be `owner` and
    `controller`, or an operator of whichever it is not."""
    lp = lp_of(d, pool)
    only(lp, owner, caller)
    only(lp, controller, caller)
    d.begin()
    require(assets >= lp.min_deposit, "BelowMinDeposit", assets, lp.min_deposit)
    require(lp.supply != 0, "NotSeeded")
    epoch = _current_epoch(d, lp)
    book = _recorded(lp, Side.DEPOSIT, controller, epoch, assets)
    d.put("lps", pool, replace(lp, book=book))
    solvency.lp_deposit(d, pool, owner, assets)
    return epoch


def request_redeem(d: Draft, caller: int, pool: int, shares: int, controller: int, owner: int) -> int:
    """Asks to leave with `shares`, which move to the token at once; gives the running epoch. The caller must be `owner`
    or his operator, or have his allowance; and must be `controller` or his operator."""
    lp = lp_of(d, pool)
    only(lp, controller, caller)
    require(shares != 0, "ZeroAmount")
    allowances = lp.allowances if may_act_for(lp, owner, caller) else spent(lp, owner, caller, shares)
    balances = moved(lp.balances, owner, lp.address, shares)
    epoch = _current_epoch(d, lp)
    book = _recorded(lp, Side.REDEEM, controller, epoch, shares)
    d.put("lps", pool, replace(lp, allowances=allowances, balances=balances, book=book))
    return epoch


def _recorded(lp: LpState, side: Side, controller: int, epoch: int, amount: int) -> PoolBook:
    """The book with a request more."""
    totals = lp.book.epoch_of(epoch)
    total = (totals.deposits if side is Side.DEPOSIT else totals.redeems) + amount
    require(total <= MAX_256, "Panic", OVERFLOW)
    check_uint(total, 128)
    book = lp.book.clone()
    book.record(side, controller, epoch, amount)
    return book


# ── strike ───────────────────────────────────────────────────────────────────


def seed(d: Draft, caller: int, pool: int, assets: int) -> None:
    """Makes the dead deposit out of the caller's pocket, once. Its shares, and those for a NAV that is there, go
    to nobody at the price 1."""
    lp = lp_of(d, pool)
    d.begin()
    require(lp.supply == 0, "AlreadySeeded")
    require(assets >= lp.min_deposit, "BelowMinDeposit", assets, lp.min_deposit)
    solvency.lp_deposit(d, pool, caller, assets)
    nav = solvency.lp_strike(d, pool).nav_entry
    require(nav >= 0, "NegativeNav", nav)
    shares = _fits(_fits(assets * lp.unit) + nav)
    d.put("lps", pool, replace(lp, supply=shares, balances=changed(lp.balances, DEAD, shares)))
    solvency.lp_settle(d, pool, assets * lp.unit, 0, 0, 0, account_id(caller, pool))


def strike(d: Draft, caller: int, pool: int, keeper: int) -> None:
    """Strikes all epochs that are due, together, at one NAV and one payable fraction. Anyone may; `keeper` is the
    account that is paid when money moved."""
    del caller
    lp = lp_of(d, pool)
    d.begin()
    ready = _ready_through(d, lp)
    if not lp.book.is_due(ready):
        raise Refusal("NothingToStrike", _strike_time(lp, max(ready, lp.book.struck_through) + 1))
    book, unit, supply = lp.book.clone(), lp.unit, lp.supply
    deposited, waiting = book.collect(ready)
    state = solvency.lp_strike(d, pool)
    shares = 0
    if deposited:
        wanted = _fits(deposited * unit)
        shares = minted(wanted, state.nav_entry, supply, lp.min_share_price, lp.min_deposit * unit)
    burnt, paid = redeemed(waiting, state.nav_exit, supply, state.payable, unit)
    reward = min(lp.strike_reward, state.fees) if deposited + paid else 0
    for amount in (deposited, shares, waiting):
        check_uint(amount, 128)
    book.settle(deposited, shares, waiting, burnt, paid)
    held = lp.balances.get(lp.address, 0) + shares - burnt
    balances = changed(lp.balances, lp.address, held) if shares or burnt else lp.balances
    d.put("lps", pool, replace(lp, supply=supply + shares - burnt, balances=balances, book=book))
    taken, refunded = (deposited, 0) if shares else (0, deposited)
    solvency.lp_settle(d, pool, taken * unit, refunded * unit, paid * unit, reward, keeper)


# ── claims ───────────────────────────────────────────────────────────────────


def deposit(d: Draft, caller: int, pool: int, assets: int, receiver: int, controller: int) -> int:
    """Takes the shares of struck deposits that brought `assets`, oldest first, as the controller or his operator; gives
    the shares, rounded down. What rounding leaves stays with the request until its last claim."""
    _, shares = _give_shares(d, caller, pool, assets, receiver, controller, wanted_out=False)
    return shares


def mint(d: Draft, caller: int, pool: int, shares: int, receiver: int, controller: int) -> int:
    """As `deposit`, for exactly `shares`; gives what they cost."""
    assets, _ = _give_shares(d, caller, pool, shares, receiver, controller, wanted_out=True)
    return assets


def redeem(d: Draft, caller: int, pool: int, shares: int, receiver: int, controller: int) -> int:
    """Takes the money of `shares` that were paid, oldest first, as the controller or his operator; gives the money."""
    _, assets = _give_assets(d, caller, pool, shares, receiver, controller, wanted_out=False)
    return assets


def withdraw(d: Draft, caller: int, pool: int, assets: int, receiver: int, controller: int) -> int:
    """Takes exactly `assets` of the money of shares that were paid; gives the shares."""
    shares, _ = _give_assets(d, caller, pool, assets, receiver, controller, wanted_out=True)
    return shares


def claim_refund(d: Draft, caller: int, pool: int, request_id: int, receiver: int, controller: int) -> int:
    """Pays back a deposit request whose epoch refused deposits; gives the money."""
    lp = lp_of(d, pool)
    only(lp, controller, caller)
    d.begin()
    book = lp.book.clone()
    assets = book.take_refund(controller, request_id)
    require(assets != 0, "NothingToRefund", request_id, controller)
    d.put("lps", pool, replace(lp, book=book))
    solvency.lp_claim(d, pool, receiver, assets)
    return assets


def _give_shares(
    d: Draft, caller: int, pool: int, wanted: int, receiver: int, controller: int, *, wanted_out: bool
) -> tuple[int, int]:
    lp = lp_of(d, pool)
    book, assets, shares = _taken(lp, Side.DEPOSIT, caller, controller, wanted, wanted_out)
    require(receiver != lp.address, "ERC20InvalidReceiver", receiver)
    balances = moved(lp.balances, lp.address, receiver, shares)
    d.put("lps", pool, replace(lp, balances=balances, book=book))
    return assets, shares


def _give_assets(
    d: Draft, caller: int, pool: int, wanted: int, receiver: int, controller: int, *, wanted_out: bool
) -> tuple[int, int]:
    lp = lp_of(d, pool)
    book, shares, assets = _taken(lp, Side.REDEEM, caller, controller, wanted, wanted_out)
    d.begin()
    require(receiver != 0, "ZeroAddress")
    d.put("lps", pool, replace(lp, book=book))
    # Some shares of a request may be worth less than a native unit: their turn pays nothing, its last claim the rest.
    if assets:
        solvency.lp_claim(d, pool, receiver, assets)
    return shares, assets


def _taken(
    lp: LpState, side: Side, caller: int, controller: int, wanted: int, wanted_out: bool
) -> tuple[PoolBook, int, int]:
    """The book after a claim, what went in for it once, and what comes out."""
    only(lp, controller, caller)
    require(wanted != 0, "ZeroAmount")
    book = lp.book.clone()
    try:
        taken, given = book.take(side, controller, wanted, wanted_out=wanted_out)
    except ClaimExceedsError as error:
        raise Refusal("ClaimExceeds", error.wanted, error.claimable) from None
    return book, taken, given


# ── what requests have become ────────────────────────────────────────────────


def pending_deposit_request(d: Draft, pool: int, request_id: int, controller: int) -> int:
    """Money of a deposit request that is not struck yet."""
    return lp_of(d, pool).book.pending(Side.DEPOSIT, controller, request_id)


def claimable_deposit_request(d: Draft, pool: int, request_id: int, controller: int) -> int:
    """Money of a deposit request whose shares wait to be taken."""
    return lp_of(d, pool).book.claimable(Side.DEPOSIT, controller, request_id)[0]


def refundable_deposit_request(d: Draft, pool: int, request_id: int, controller: int) -> int:
    """Money that `claim_refund` would pay."""
    return lp_of(d, pool).book.refundable(controller, request_id)


def pending_redeem_request(d: Draft, pool: int, request_id: int, controller: int) -> int:
    """Shares of a redeem request that are not paid yet."""
    return lp_of(d, pool).book.pending(Side.REDEEM, controller, request_id)


def claimable_redeem_request(d: Draft, pool: int, request_id: int, controller: int) -> int:
    """Shares of a redeem request that are paid, and whose money waits to be taken."""
    return lp_of(d, pool).book.claimable(Side.REDEEM, controller, request_id)[0]


def max_deposit(d: Draft, pool: int, controller: int) -> int:
    """Money, at request, that `deposit` would take."""
    return lp_of(d, pool).book.claimable_total(Side.DEPOSIT, controller)[0]


def max_mint(d: Draft, pool: int, controller: int) -> int:
    """Shares that `mint` would take."""
    return lp_of(d, pool).book.claimable_total(Side.DEPOSIT, controller)[1]


def max_withdraw(d: Draft, pool: int, controller: int) -> int:
    """Money that `withdraw` would take."""
    return lp_of(d, pool).book.claimable_total(Side.REDEEM, controller)[1]


def max_redeem(d: Draft, pool: int, controller: int) -> int:
    """Shares that `redeem` would take."""
    return lp_of(d, pool).book.claimable_total(Side.REDEEM, controller)[0]


# ── value and epochs ─────────────────────────────────────────────────────────


def total_assets(d: Draft, pool: int) -> int:
    """NAV of the pool, at least 0, rounded down."""
    return _nav(d, pool) // lp_of(d, pool).unit


def convert_to_shares(d: Draft, pool: int, assets: int) -> int:
    """What `assets` would buy at the present NAV, rounded down; 0 while NAV ≤ 0, when deposits are refused."""
    lp, nav = lp_of(d, pool), _nav(d, pool)
    if nav == 0 and lp.supply != 0:
        return 0
    return _fits(shares_down(_fits(assets * lp.unit), nav, lp.supply))


def convert_to_assets(d: Draft, pool: int, shares: int) -> int:
    """What `shares` are worth at the present NAV, rounded down."""
    lp = lp_of(d, pool)
    return _fits(assets_down(shares, _nav(d, pool), lp.supply)) // lp.unit


def current_epoch(d: Draft, pool: int) -> int:
    """The running epoch, which a request made now belongs to."""
    return _current_epoch(d, lp_of(d, pool))


def strike_time(d: Draft, pool: int, epoch: int) -> int:
    """From when on `epoch` may be struck, seconds."""
    return _strike_time(lp_of(d, pool), epoch)


def can_strike(d: Draft, pool: int) -> bool:
    """Whether `strike` has something to do now; it may still be refused while the pool cannot be valued."""
    lp = lp_of(d, pool)
    return lp.book.is_due(_ready_through(d, lp))


def _fits(value: int) -> int:
    require(value <= MAX_256, "Panic", OVERFLOW)
    return value


def _nav(d: Draft, pool: int) -> int:
    return max(solvency.pool_nav(d, pool), 0)


def _current_epoch(d: Draft, lp: LpState) -> int:
    elapsed: int = d.time - lp.start
    return 1 + elapsed // lp.epoch_length


def _strike_time(lp: LpState, epoch: int) -> int:
    return lp.start + epoch * lp.epoch_length + lp.lp_delay


def _ready_through(d: Draft, lp: LpState) -> int:
    """The last epoch that ended at least the delay ago."""
    elapsed: int = d.time - lp.start - lp.lp_delay
    return max(elapsed, 0) // lp.epoch_length
