"""The search for the largest amount that passes gives what trying every amount would give, in few tries."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.fuzz.search import AIMED, Lack, lacking, largest

Shape = Callable[[int], Lack]
SHAPES: dict[str, Shape] = {
    "unknown": lambda beyond: ("a", 0),
    "a line": lambda beyond: ("a", 3 * beyond),
    "a curve": lambda beyond: ("a", beyond + beyond * beyond // 10**12),
    "steps": lambda beyond: ("a", beyond // 1000 + 1),
    "bent the other way": lambda beyond: ("a", 10**9 + beyond // 7),
    "two limits": lambda beyond: ("a", beyond) if beyond < 10**9 else ("b", 2 * beyond - 10**9),
}


def tried(high: int, most: int, shape: Shape) -> tuple[int, int]:
    """What is found, and how many tries it took."""
    tries = 0

    def lack(amount: int) -> Lack | None:
        nonlocal tries
        tries += 1
        return None if amount <= most else shape(amount - most)

    return largest(high, lack), tries


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@given(high=st.integers(1, 2**90), part=st.integers(0, 2**64), low=st.booleans())
def test_the_largest_amount_is_found(shape: Shape, high: int, part: int, low: bool) -> None:
    most = part % high if low else high * part >> 64
    found, tries = tried(high, most, shape)
    assert found == min(most, high - 1)
    assert tries <= AIMED + high.bit_length()


@pytest.mark.parametrize("shape", ["a line", "steps", "two limits"])
def test_what_is_told_saves_tries(shape: str) -> None:
    assert tried(2**60, 123_456_789_012, SHAPES[shape])[1] <= 15


def test_when_nothing_passes_few_tries_tell() -> None:
    assert tried(2**60, 0, SHAPES["unknown"]) == (0, 2)


def test_errors_say_how_much_is_lacking() -> None:
    assert lacking("InsufficientMargin", (5, 12)) == ("InsufficientMargin", 7)
    assert lacking("UtilisationLimit", (12, 5)) == ("UtilisationLimit", 7)
    assert lacking("BorrowPaused", (1,)) == ("BorrowPaused", 0)
