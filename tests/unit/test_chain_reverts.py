"""`reverts_with` fails whenever anything but the exact error with the exact arguments comes out."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.support.reverts import reverts_with

from plimsoll.chain.errors import (
    BareRevert,
    ContractRevert,
    EvmHalt,
    NodeUnavailable,
    Panic,
    PlimsollError,
    StringRevert,
    UnknownRevert,
)

MARGIN = ContractRevert("InsufficientMargin", {"equity": -5, "required": 7}, "InsufficientMargin(int256,uint256)", b"")


def raising(error: BaseException | None) -> Callable[[], None]:
    def act() -> None:
        if error is not None:
            raise error

    return act


def test_passes_on_the_exact_error() -> None:
    with reverts_with("InsufficientMargin", -5, 7) as caught:
        raising(MARGIN)()
    assert caught.error is MARGIN
    with reverts_with("InsufficientMargin", equity=-5, required=7):
        raising(MARGIN)()
    with reverts_with("InsufficientMargin", ...):
        raising(MARGIN)()
    with reverts_with("Nothing"):
        raising(ContractRevert("Nothing", {}, "Nothing()", b""))()


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (None, "nothing reverted"),
        (Panic(0x11), r"got Panic: Panic\(0x11\)"),
        (BareRevert(), "got BareRevert"),
        (StringRevert("InsufficientMargin"), "got StringRevert"),
        (UnknownRevert(b"\x01\x02\x03\x04"), "got UnknownRevert"),
        (EvmHalt("out of gas"), "got EvmHalt"),
        (ContractRevert("Other", {"equity": -5, "required": 7}, "Other(int256,uint256)", b""), "reverted with Other"),
        (NodeUnavailable("there", "gone", "start it"), "did not reach the contract"),
        (PlimsollError("InsufficientMargin"), "did not reach the contract"),
    ],
)
def test_fails_on_anything_else(error: BaseException | None, message: str) -> None:
    with (
        pytest.raises(AssertionError, match=rf"expected InsufficientMargin\(-5, 7\), .*{message}"),
        reverts_with("InsufficientMargin", -5, 7),
    ):
        raising(error)()


@pytest.mark.parametrize("args", [(), (-5,), (-5, 8), (7, -5), (-5, 7, 0), (..., ...)])
def test_fails_on_other_arguments(args: tuple[object, ...]) -> None:
    with pytest.raises(AssertionError, match="arguments differ"), reverts_with("InsufficientMargin", *args):
        raising(MARGIN)()


@pytest.mark.parametrize("named", [{"equity": -5}, {"equity": -5, "required": 8}, {"equity": -5, "needed": 7}])
def test_fails_on_other_named_arguments(named: dict[str, int]) -> None:
    with pytest.raises(AssertionError, match="arguments differ"), reverts_with("InsufficientMargin", **named):
        raising(MARGIN)()


def test_leaves_other_exceptions_alone() -> None:
    with pytest.raises(ZeroDivisionError), reverts_with("InsufficientMargin", -5, 7):
        raising(ZeroDivisionError())()
