"""The coverage of contracts gives every step to the right contract, and every error to the one that raised it."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.tracing import attribute, frames, nested, raised

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


def test_a_flat_trace_becomes_a_tree() -> None:
    def flat(to: str, *place: int) -> dict[str, Any]:
        return {"type": "call", "action": {"to": to}, "result": {"gasUsed": "0x1"}, "traceAddress": list(place)}

    tree = nested([flat(A), flat(B, 0), flat(C, 0, 0), flat(C, 1)])
    assert [one["to"] for one in tree["calls"]] == [B, C]
    assert [one["to"] for one in tree["calls"][0]["calls"]] == [C]
    assert tree["error"] is None


def test_an_error_is_of_the_contract_that_raised_it() -> None:
    inner = call(B) | {"error": "Reverted", "output": "0x11223344" + "00" * 32}
    assert raised(inner) == "11223344"
    assert raised(call(A, inner) | {"error": "Reverted", "output": "0x11223344"}) == ""
    assert raised(call(A, inner) | {"error": "Reverted", "output": "0x55667788"}) == "55667788"
    assert raised(call(A, inner)) == ""
