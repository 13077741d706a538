"""What a node's answer to a raw transaction means. Nodes agree on the words, hardly on the codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from plimsoll.chain.errors import NodeUnavailable, RpcError
from plimsoll.keeper.node.errors import NoProviderError

__all__ = ["Answer", "Verdict", "classify", "combine"]


class Verdict(IntEnum):
    """The best of several answers is the lowest."""

    ACCEPTED = 0
    """In the pool of a node, now or already."""
    UNKNOWN = 1
    """No answer came, and the transaction may have arrived: it must be treated as if it had."""
    NONCE_TOO_LOW = 2
    """A block used the nonce."""
    REPLACEMENT_UNDERPRICED = 3
    """The pool holds another transaction with this nonce that is not outbid."""
    UNDERPRICED = 4
    """Below the least that the node takes."""
    NO_FUNDS = 5
    """The sender cannot pay for it."""
    LIMITED = 6
    """Too many requests, or a full pool: later."""
    UNREACHED = 7
    """The request did not leave."""
    REJECTED = 8
    """Anything else: the transaction will never be taken as it is."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A verdict, with the node's words."""

    verdict: Verdict
    text: str = ""

    @property
    def may_be_live(self) -> bool:
        """Whether some node has it, or may have it."""
        return self.verdict in (Verdict.ACCEPTED, Verdict.UNKNOWN)


WORDS: Sequence[tuple[Verdict, tuple[str, ...]]] = (
    (Verdict.ACCEPTED, ("already known", "already imported", "known transaction", "already exists", "alreadyknown")),
    (
        Verdict.REPLACEMENT_UNDERPRICED,
        ("replacement transaction underpriced", "replacement fee too low", "replacement"),
    ),
    (Verdict.NONCE_TOO_LOW, ("nonce too low", "nonce is too low", "oldnonce", "invalid nonce", "nonce has already")),
    (Verdict.NO_FUNDS, ("insufficient funds", "insufficient balance", "insufficientfunds", "insufficient ma")),
    (
        Verdict.UNDERPRICED,
        ("underpriced", "fee too low", "feetoolow", "less than block base fee", "below minimum", "tip too low"),
    ),
    (
        Verdict.LIMITED,
        (
            "rate limit",
            "too many requests",
            "limit exceeded",
            "request limit",
            "txpool is full",
            "transaction pool is full",
            "in-flight transaction limit",
            "exceeds the limit of",
            "capacity exceeded",
            "timeout",
        ),
    ),
)
LIMIT_CODES = frozenset({-32005, 429})


def classify(outcome: object) -> Answer:
    """From what a request came to: the node's result, or the error that was raised.

    :raises TypeError: the error is none of a node's.
    """
    if isinstance(outcome, NodeUnavailable):
        return Answer(Verdict.UNKNOWN if outcome.sent else Verdict.UNREACHED, outcome.reason)
    if isinstance(outcome, NoProviderError):
        return Answer(Verdict.UNREACHED, str(outcome))
    if isinstance(outcome, RpcError):
        words = outcome.message.lower()
        for verdict, parts in WORDS:
            if any(part in words for part in parts):
                return Answer(verdict, outcome.message)
        return Answer(Verdict.LIMITED if outcome.code in LIMIT_CODES else Verdict.REJECTED, outcome.message)
    if isinstance(outcome, BaseException):
        raise TypeError(f"no answer of a node: {outcome!r}") from outcome
    return Answer(Verdict.ACCEPTED)


def combine(answers: Sequence[Answer]) -> Answer:
    """What the answers of several nodes to one transaction come to: the best, since one pool is enough."""
    return min(answers, key=lambda answer: answer.verdict)
