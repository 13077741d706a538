"""`reverts_with`: the exact error, with the exact arguments, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import EllipsisType
from typing import Any

from plimsoll.chain.errors import ContractRevert, PlimsollError, Revert

__all__ = ["Caught", "reverts_with"]


class Caught:
    """Filled when the block ends: the error that was raised."""

    error: ContractRevert


@contextmanager
def reverts_with(name: str, *args: Any | EllipsisType, **named: Any) -> Iterator[Caught]:
    """Passes only if the block reverts with the custom error `name` and exactly these arguments.

    Give the arguments in order or by name, all of them; a single `...` accepts any. A panic, a bare revert, a string
    revert, an error that does not decode, another error, or no revert at all fail the test.
    """
    caught = Caught()
    wanted = _shown(name, args, named)
    try:
        yield caught
    except ContractRevert as error:
        caught.error = error
        if error.name != name:
            raise AssertionError(f"expected {wanted}, reverted with {error}") from error
        if not _same(error, args, named):
            raise AssertionError(f"expected {wanted}, the arguments differ: {error}") from error
        return
    except Revert as error:
        raise AssertionError(f"expected {wanted}, got {type(error).__name__}: {error}") from error
    except PlimsollError as error:
        raise AssertionError(f"expected {wanted}, but the call did not reach the contract: {error}") from error
    raise AssertionError(f"expected {wanted}, nothing reverted")


def _same(error: ContractRevert, args: tuple[Any, ...], named: dict[str, Any]) -> bool:
    if args == (...,) and not named:
        return True
    if args and named:
        raise TypeError("give the arguments of the error in order or by name, not both")
    return error.arguments == named if named else error.values == args


def _shown(name: str, args: tuple[Any, ...], named: dict[str, Any]) -> str:
    parts = ["…" if arg is ... else str(arg) for arg in args] + [f"{key}={value}" for key, value in named.items()]
    return f"{name}({', '.join(parts)})"
