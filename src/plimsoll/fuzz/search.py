"""The largest amount that passes, in few tries: each try is an action of the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence

__all__ = ["Lack", "lacking", "largest"]

Lack = tuple[str, int]
"""Which limit an amount is beyond, and by how much, in any unit; 0 when nobody knows."""
AIMED = 48
"""Tries before the rest is halving."""
LESS = frozenset(("InsufficientMargin", "InsufficientPoolLiquidity", "InsufficientBalance"))
"""Errors that say how much there is, then how much is needed."""
MORE = frozenset(("UtilisationLimit", "PositionTooLarge", "OpenInterestCap", "SkewCap"))
"""Errors that say how much there would be, then how much may be."""


def lacking(name: str, values: Sequence[int]) -> Lack:
    """How far beyond its limit an action was that was refused with this error."""
    if name in LESS:
        return name, values[1] - values[0]
    if name in MORE:
        return name, values[0] - values[1]
    return name, 0


def largest(high: int, lack: Callable[[int], Lack | None]) -> int:
    """The largest amount below `high` that passes. Zero does, and whatever is less than what passes.

    Where two tries are beyond the same limit the next one is at the end of the line through them; should it pass, what
    is beyond it is looked at in growing steps. Where nothing is known the distance is halved.

    :param lack: what an amount lacks, None if it passes.
    """
    low, guess, step = 0, high // 2, 0
    last: tuple[int, Lack] | None = None
    for tries in range(1, AIMED + high.bit_length() + 1):
        if high - low <= 1:
            break
        if tries > AIMED or not low < guess < high:
            guess, step = (low + high) // 2, 0
        found = lack(guess)
        if found is None:
            low = guess
            guess, step = low + step, 4 * step
            continue
        high, step = guess, 0
        if found[1] <= 0:
            # Perhaps it is not the amount that is wrong.
            guess = 1 if low == 0 else high
        elif last is None or last[1][0] != found[0]:
            guess = high - max((high - low) // 16, 1)
        elif last[1][1] > found[1]:
            guess, step = high - -(-found[1] * (last[0] - high) // (last[1][1] - found[1])), 1
            if guess <= low:
                guess, step = low + 1, 0
        else:
            guess = high
        last = high, found
    return low
