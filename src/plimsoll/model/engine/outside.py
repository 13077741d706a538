"""What happens around the protocol: feeds publish or fail, tokens are minted, approved, given away, or misbehave."""

from __future__ import annotations

import dataclasses

from plimsoll.model.engine import tokens
from plimsoll.model.engine.draft import Draft, Refusal, require
from plimsoll.model.engine.feeds import Feed, Round, Sequencer
from plimsoll.model.engine.state import Token

__all__ = [
    "approve_token",
    "blacklist",
    "give_token",
    "mint_token",
    "push_round",
    "set_feed_answers",
    "set_sequencer_answers",
    "set_sequencer_status",
    "set_token_refuses",
    "set_transfer_fee",
]


def push_round(d: Draft, caller: int, feed: int, answer: int, updated_at: int) -> int:
    """A feed publishes its next round; gives its id."""
    del caller
    old: Feed = d.feeds[feed]
    number = old.latest + 1
    rounds = {**old.rounds, number: Round(answer, updated_at, number)}
    d.put("feeds", feed, Feed(old.decimals, rounds, number, old.answers, old.phase))
    return number


def set_feed_answers(d: Draft, caller: int, feed: int, answers: bool) -> None:
    """A feed begins or ceases to answer."""
    del caller
    d.put("feeds", feed, dataclasses.replace(d.feeds[feed], answers=answers))


def set_sequencer_status(d: Draft, caller: int, down: bool, since: int) -> None:
    """The uptime feed says that the sequencer is down, or up, since a time (seconds)."""
    del caller
    old: Sequencer = d.sequencer
    d.sequencer = Sequencer(old.feed, old.grace, old.answers, down, since)


def set_sequencer_answers(d: Draft, caller: int, answers: bool) -> None:
    """The uptime feed begins or ceases to answer."""
    del caller
    d.sequencer = dataclasses.replace(d.sequencer, answers=answers)


def mint_token(d: Draft, caller: int, token: int, to: int, amount: int) -> None:
    """A test token is minted, native units."""
    del caller
    d.put("balances", (token, to), tokens.balance_of(d, token, to) + amount)


def approve_token(d: Draft, caller: int, token: int, spender: int, amount: int) -> None:
    """An allowance is set, native units."""
    tokens.approve(d, token, caller, spender, amount)


def give_token(d: Draft, caller: int, token: int, to: int, amount: int) -> None:
    """A plain transfer, native units: a donation when `to` is a contract of the protocol."""
    require(to != 0, "ERC20InvalidReceiver", 0)
    tokens.move(d, token, caller, to, amount)


def blacklist(d: Draft, caller: int, token: int, holder: int, listed: bool) -> None:
    """A token refuses a holder from now on, or no longer."""
    del caller
    old = _token(d, token)
    holders = old.blacklist | {holder} if listed else old.blacklist - {holder}
    d.put("tokens", token, dataclasses.replace(old, blacklist=holders))


def set_transfer_fee(d: Draft, caller: int, token: int, bps: int) -> None:
    """A token takes a fee on transfers from now on, 1e-4."""
    del caller
    d.put("tokens", token, dataclasses.replace(_token(d, token), fee_bps=bps))


def set_token_refuses(d: Draft, caller: int, token: int, refuses: bool) -> None:
    """A token refuses every transfer from now on, or no longer."""
    del caller
    d.put("tokens", token, dataclasses.replace(_token(d, token), refuses=refuses))


def _token(d: Draft, token: int) -> Token:
    found: Token | None = d.tokens.get(token)
    if found is None:
        raise Refusal("UnknownToken", 0, token)
    return found
