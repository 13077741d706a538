"""What nodes say about raw transactions."""

from __future__ import annotations

import pytest

from plimsoll.chain.errors import NodeTimeout, NodeUnavailable, RpcError
from plimsoll.keeper.node.errors import RateLimitedError
from plimsoll.keeper.sending.answers import Answer, Verdict, classify, combine

WORDS = [
    ("already known", Verdict.ACCEPTED),
    ("AlreadyKnown", Verdict.ACCEPTED),
    ("transaction already imported", Verdict.ACCEPTED),
    ("nonce too low: next nonce 5, tx nonce 4", Verdict.NONCE_TOO_LOW),
    ("OldNonce", Verdict.NONCE_TOO_LOW),
    ("replacement transaction underpriced", Verdict.REPLACEMENT_UNDERPRICED),
    ("transaction underpriced: tip needed 25000000000, tip permitted 1", Verdict.UNDERPRICED),
    ("max fee per gas less than block base fee: address 0x00", Verdict.UNDERPRICED),
    ("FeeTooLow, MaxFeePerGas too low", Verdict.UNDERPRICED),
    ("insufficient funds for gas * price + value: balance 0", Verdict.NO_FUNDS),
    ("Insufficient funds for gas * price + value", Verdict.NO_FUNDS),
    ("txpool is full", Verdict.LIMITED),
    ("intrinsic gas too low", Verdict.REJECTED),
    ("exceeds block gas limit", Verdict.REJECTED),
    ("invalid sender", Verdict.REJECTED),
    ("gapped-nonce tx from delegated accounts", Verdict.REJECTED),
]


@pytest.mark.parametrize(("text", "verdict"), WORDS)
def test_words_of_nodes_are_understood(text: str, verdict: Verdict) -> None:
    assert classify(RpcError(-32000, text)).verdict is verdict


def test_silence_after_handing_over_may_mean_that_it_arrived() -> None:
    assert classify(NodeTimeout("node", "timeout", "wait", sent=True)) == Answer(Verdict.UNKNOWN, "timeout")
    assert classify(NodeUnavailable("node", "refused", "wait")).verdict is Verdict.UNREACHED
    assert classify(RateLimitedError("node", "429", 0)).verdict is Verdict.UNREACHED
    assert classify(RpcError(-32005, "slow down")).verdict is Verdict.LIMITED
    assert classify("0x" + "11" * 32).may_be_live


def test_what_is_no_answer_is_not_taken_for_one() -> None:
    with pytest.raises(TypeError, match="no answer of a node"):
        classify(KeyError("raw"))


def test_one_pool_that_takes_it_is_enough() -> None:
    refused, silent = Answer(Verdict.UNDERPRICED, "a"), Answer(Verdict.UNKNOWN, "b")
    assert combine([refused, silent]) == silent
    assert combine([refused, silent, Answer(Verdict.ACCEPTED)]).verdict is Verdict.ACCEPTED
    assert combine([Answer(Verdict.REJECTED), refused]) == refused
