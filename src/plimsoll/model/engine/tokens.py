"""Movements of tokens, the last step of every action."""

from __future__ import annotations

from plimsoll.model.engine.draft import Draft, Refusal, require

__all__ = ["approve", "balance_of", "move", "pull", "push"]

INFINITE = 2**256 - 1
BPS = 10_000


def balance_of(d: Draft, token: int, holder: int) -> int:
    """Native units."""
    balance: int = d.balances.get((token, holder), 0)
    return balance


def approve(d: Draft, token: int, owner: int, spender: int, amount: int) -> None:
    """Sets an allowance, native units; 2^256 − 1 is never used up."""
    d.put("allowances", (token, owner, spender), amount)


def pull(d: Draft, token: int, owner: int, amount: int) -> None:
    """Pulls `amount` from `owner` into the Clearinghouse and requires that exactly this much arrives."""
    me = d.clearinghouse
    require(not d.tokens[token].refuses, "Refused")
    allowed = d.allowances.get((token, owner, me), 0)
    if allowed < amount:
        raise Refusal("ERC20InsufficientAllowance", me, allowed, amount)
    if allowed != INFINITE:
        d.put("allowances", (token, owner, me), allowed - amount)
    before = balance_of(d, token, me)
    move(d, token, owner, me, amount)
    received = balance_of(d, token, me) - before
    require(received == amount, "UnexpectedAmount", token, amount, received)


def push(d: Draft, token: int, to: int, amount: int) -> None:
    """Sends `amount` of the Clearinghouse's tokens to `to`."""
    require(not d.tokens[token].refuses, "Refused")
    if to == 0:
        raise Refusal("ERC20InvalidReceiver", 0)
    move(d, token, d.clearinghouse, to, amount)


def move(d: Draft, token: int, source: int, to: int, amount: int) -> None:
    """A transfer, as the token performs it."""
    kind = d.tokens[token]
    require(not kind.refuses, "Refused")
    if kind.blacklist:
        for holder in (source, to):
            require(holder not in kind.blacklist, "Blacklisted", holder)
    balances = d.own("balances")
    if kind.fee_bps:
        require(amount * kind.fee_bps + BPS - 1 <= INFINITE, "Panic", 0x11)
        fee = -(-amount * kind.fee_bps // BPS)
        _debit(balances, token, source, fee)
        amount -= fee
    _debit(balances, token, source, amount)
    balances[token, to] = balances.get((token, to), 0) + amount


def _debit(balances: dict[tuple[int, int], int], token: int, source: int, amount: int) -> None:
    balance = balances.get((token, source), 0)
    require(balance >= amount, "ERC20InsufficientBalance", source, balance, amount)
    balances[token, source] = balance - amount
