"""Runs library functions on a chain in batches, and makes cases for them.

`Harness.check` compares a function of the contracts with its mirror in Python for all cases, bit for bit.
`Cases` draws integers so that sizes of all magnitudes, and the edges of a range, are common.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from plimsoll.chain.contract import Contract
from plimsoll.chain.errors import Revert

__all__ = ["Case", "Cases", "Harness", "word"]

Case = tuple[Any, ...]
Number = int
"""`int` inside `Cases`, which has a method of that name."""
WORD = 1 << 256


class Harness:
    """A deployed harness contract: entry points that take and give one-word values, and `many`."""

    def __init__(self, contract: Contract, *, chunk: int = 1500) -> None:
        self.contract = contract
        self._chunk = chunk

    def many(self, fn: str, cases: Sequence[Case]) -> list[Any]:
        """Results of `fn` for all cases: a value, a named tuple of several, or the `Revert`."""
        function = self.contract.function(fn)
        calls = [function.selector + b"".join(map(word, case)) for case in cases]
        results: list[Any] = []
        for start in range(0, len(calls), self._chunk):
            for outcome in self.contract.call("many", calls[start : start + self._chunk]):
                if outcome.ok:
                    results.append(function.decode(outcome.data))
                else:
                    results.append(self.contract.errors.decode(outcome.data))
        assert len(results) == len(cases)
        return results

    def one(self, fn: str, *case: Any) -> Any:
        """The result of `fn`; raises its `Revert`."""
        return self.contract.call(fn, *case)

    def check(self, fn: str, mirror: Callable[..., Any], cases: Iterable[Case]) -> list[Any]:
        """Asserts that chain and mirror give the same for every case; gives the results."""
        listed = list(cases)
        assert listed, f"there is no case for {fn}"
        results = self.many(fn, listed)
        wrong = []
        for case, result in zip(listed, results, strict=True):
            expected = mirror(*case)
            if isinstance(result, Revert) or result != expected:
                wrong.append(f"{fn}{case}: chain {result}, Python {expected}")
        assert not wrong, f"{len(wrong)} of {len(listed)} differ, first:\n" + "\n".join(wrong[:5])
        return results


def word(value: Any) -> bytes:
    """One argument in call data."""
    if isinstance(value, bytes):
        return value.ljust(32, b"\0")
    number = int(value, 16) if isinstance(value, str) else int(value)
    assert -(WORD >> 1) <= number < WORD
    return (number % WORD).to_bytes(32, "big")


class Cases:
    """A repeatable stream of integers."""

    def __init__(self, seed: str) -> None:
        self.random = random.Random(seed)

    def uint(self, high: Number, low: Number = 0) -> Number:
        """In [low, high]: mostly of a random bit length, now and then an edge, or a power of ten."""
        assert low <= high
        kind = self.random.randrange(16)
        if kind == 0:
            return high - self.random.randrange(min(3, high - low + 1))
        if kind == 1:
            return low + self.random.randrange(min(3, high - low + 1))
        if kind == 2:
            value = 10 ** self.random.randrange(len(str(high)))
        else:
            value = self.random.getrandbits(self.random.randrange(1, high.bit_length() + 1)) if high else 0
        return value if low <= value <= high else self.random.randint(low, high)

    def int(self, high: Number) -> Number:
        """In [−high, high], as `uint` with a random sign."""
        value = self.uint(high)
        return -value if self.random.getrandbits(1) else value

    def near(self, *values: Number, low: Number = 0, reach: Number = 3) -> Number:
        """One of the values or close to it, not below `low`."""
        return max(self.random.choice(values) + self.random.randint(-reach, reach), low)

    def flag(self) -> bool:
        """True or false."""
        return bool(self.random.getrandbits(1))
