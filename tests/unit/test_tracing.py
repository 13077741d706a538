"""The coverage of contracts gives every step to the right contract, and every error to the one that raised it."""

from __future__ import annotations

from typing import Any

import pytest
from eth_account import Account
from tests.support.tracing import attribute, frames, raised, unsigned

A, B, C = "0xa", "0xb", "0xc"


def steps(*found: tuple[int, int, str]) -> list[dict[str, Any]]:
    return [{"depth": depth, "pc": pc, "op": op} for depth, pc, op in found]


def call(to: str, *calls: dict[str, Any], gas: str = "0x1") -> dict[str, Any]:
    return {"type": "CALL", "to": to, "gasUsed": gas, "calls": list(calls)}


# a calls b, which calls an address without code, then c; after that a calls c
LOGS = steps(
    (1, 0, "PUSH1"),
    (1, 2, "CALL"),
    (2, 10, "STATICCALL"),
    (2, 11, "DELEGATECALL"),
    (3, 20, "RETURN"),
    (2, 12, "RETURN"),
    (1, 3, "CALL"),
    (2, 21, "STOP"),
    (1, 4, "STOP"),
)
EXPECTED = [(A, {0, 2, 3, 4}), (B, {10, 11, 12}), (C, {20}), (C, {21})]


@pytest.mark.parametrize("shown", [True, False])
def test_steps_belong_to_the_called_contract(shown: bool) -> None:
    without_code = [call("0x4", gas="0x0")] if shown else []
    tree = call(A, call(B, *without_code, call(C)), call(C))
    found = [(one["to"], pcs) for one, pcs in attribute(frames(LOGS), tree) if pcs]
    assert found == EXPECTED


def test_what_does_not_fit_is_left_out() -> None:
    tree = call(A, call(B, call(C), call(C), call(C)), call(C))
    found = [(one["to"], pcs) for one, pcs in attribute(frames(LOGS), tree)]
    assert found == [EXPECTED[0], EXPECTED[1], EXPECTED[3]]


def test_a_signed_transaction_becomes_a_call() -> None:
    key = "0x" + "11" * 32
    fields = {"to": "0x" + "22" * 20, "data": "0x1234", "gas": 99, "value": 7, "nonce": 0, "chainId": 1}
    signed = Account.sign_transaction(fields | {"maxFeePerGas": 1, "maxPriorityFeePerGas": 1}, key)
    assert unsigned("0x" + bytes(signed.raw_transaction).hex()) == {
        "from": Account.from_key(key).address,
        "to": "0x" + "22" * 20,
        "data": "0x1234",
        "gas": "0x63",
        "value": "0x7",
    }


def test_an_error_is_of_the_contract_that_raised_it() -> None:
    inner = call(B) | {"error": "Reverted", "output": "0x11223344" + "00" * 32}
    assert raised(inner) == "11223344"
    assert raised(call(A, inner) | {"error": "Reverted", "output": "0x11223344"}) == ""
    assert raised(call(A, inner) | {"error": "Reverted", "output": "0x55667788"}) == "55667788"
    assert raised(call(A, inner)) == ""
