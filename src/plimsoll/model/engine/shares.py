"""A share token itself: balances, allowances, operators, its owner. Shares are WAD; a person is an address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from plimsoll.model.engine.draft import Draft, require
from plimsoll.model.engine.lp_state import LpState

__all__ = [
    "accept_ownership",
    "approve",
    "changed",
    "lp_of",
    "may_act_for",
    "moved",
    "only",
    "renounce_ownership",
    "set_operator",
    "set_terms",
    "spent",
    "transfer",
    "transfer_from",
    "transfer_ownership",
]

LEAST_SHARE_PRICE = 10**15
LARGEST_SHARE_PRICE = 10**18
LARGEST_REWARD = 1000 * 10**18
MAX_256 = 2**256 - 1
Key = TypeVar("Key")


# ── the token ────────────────────────────────────────────────────────────────


def transfer(d: Draft, caller: int, pool: int, to: int, amount: int) -> bool:
    """Moves the caller's shares. The token refuses shares that are sent to itself: they would be lost."""
    lp = lp_of(d, pool)
    require(to != lp.address, "ERC20InvalidReceiver", to)
    d.put("lps", pool, replace(lp, balances=moved(lp.balances, caller, to, amount)))
    return True


def transfer_from(d: Draft, caller: int, pool: int, source: int, to: int, amount: int) -> bool:
    """Moves shares of `source` out of the caller's allowance."""
    lp = lp_of(d, pool)
    require(to != lp.address, "ERC20InvalidReceiver", to)
    allowances = spent(lp, source, caller, amount)
    balances = moved(lp.balances, source, to, amount)
    d.put("lps", pool, replace(lp, allowances=allowances, balances=balances))
    return True


def approve(d: Draft, caller: int, pool: int, spender: int, amount: int) -> bool:
    """Sets an allowance; 2^256 − 1 is never used up."""
    lp = lp_of(d, pool)
    require(caller != 0, "ERC20InvalidApprover", 0)
    require(spender != 0, "ERC20InvalidSpender", 0)
    d.put("lps", pool, replace(lp, allowances=changed(lp.allowances, (caller, spender), amount)))
    return True


def set_operator(d: Draft, caller: int, pool: int, operator: int, approved: bool) -> bool:
    """Lets somebody act for the caller, or no longer."""
    lp = lp_of(d, pool)
    pair = frozenset(((caller, operator),))
    d.put("lps", pool, replace(lp, operators=lp.operators | pair if approved else lp.operators - pair))
    return True


def spent(lp: LpState, owner: int, spender: int, amount: int) -> Mapping[tuple[int, int], int]:
    """The allowances after one was used."""
    allowed = lp.allowances.get((owner, spender), 0)
    if allowed == MAX_256:
        return lp.allowances
    require(allowed >= amount, "ERC20InsufficientAllowance", spender, allowed, amount)
    require(owner != 0, "ERC20InvalidApprover", 0)
    require(spender != 0, "ERC20InvalidSpender", 0)
    return changed(lp.allowances, (owner, spender), allowed - amount)


def moved(balances: Mapping[int, int], source: int, to: int, amount: int) -> Mapping[int, int]:
    """The balances after a transfer."""
    require(source != 0, "ERC20InvalidSender", 0)
    require(to != 0, "ERC20InvalidReceiver", 0)
    balance = balances.get(source, 0)
    require(balance >= amount, "ERC20InsufficientBalance", source, balance, amount)
    left = changed(balances, source, balance - amount)
    return changed(left, to, left.get(to, 0) + amount)


# ── the owner ────────────────────────────────────────────────────────────────


def set_terms(d: Draft, caller: int, pool: int, min_share_price: int, strike_reward: int) -> None:
    """Sets the share price below which deposits are refused, and what a strike pays; WAD."""
    lp = _owned(d, caller, pool)
    fair = LEAST_SHARE_PRICE <= min_share_price <= LARGEST_SHARE_PRICE
    require(fair, "MinSharePriceOutOfRange", min_share_price, LEAST_SHARE_PRICE, LARGEST_SHARE_PRICE)
    require(strike_reward <= LARGEST_REWARD, "StrikeRewardOutOfRange", strike_reward, LARGEST_REWARD)
    d.put("lps", pool, replace(lp, min_share_price=min_share_price, strike_reward=strike_reward))


def transfer_ownership(d: Draft, caller: int, pool: int, new_owner: int) -> None:
    """Offers the token to somebody; 0 takes the offer back."""
    d.put("lps", pool, replace(_owned(d, caller, pool), pending_owner=new_owner))


def accept_ownership(d: Draft, caller: int, pool: int) -> None:
    """Takes the token that was offered."""
    lp = lp_of(d, pool)
    require(lp.pending_owner == caller, "OwnableUnauthorizedAccount", caller)
    d.put("lps", pool, replace(lp, owner=caller, pending_owner=0))


def renounce_ownership(d: Draft, caller: int, pool: int) -> None:
    """Leaves the token without an owner."""
    d.put("lps", pool, replace(_owned(d, caller, pool), owner=0, pending_owner=0))


# ── shared ───────────────────────────────────────────────────────────────────


def lp_of(d: Draft, pool: int) -> LpState:
    """The share token of a pool."""
    lp: LpState = d.lps[pool]
    return lp


def _owned(d: Draft, caller: int, pool: int) -> LpState:
    lp = lp_of(d, pool)
    require(lp.owner == caller, "OwnableUnauthorizedAccount", caller)
    return lp


def may_act_for(lp: LpState, account: int, caller: int) -> bool:
    """Whether the caller is somebody, or his operator."""
    return caller == account or (account, caller) in lp.operators


def only(lp: LpState, account: int, caller: int) -> None:
    """Refuses who may not act for somebody."""
    require(may_act_for(lp, account, caller), "NotAuthorised", account, caller)


def changed(table: Mapping[Key, int], key: Key, value: int) -> dict[Key, int]:
    """The table with another entry; an entry of 0 is left out."""
    copy = dict(table)
    if value:
        copy[key] = value
    else:
        copy.pop(key, None)
    return copy
