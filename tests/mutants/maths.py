"""What the maths libraries must answer, by the specification: calls of their harnesses and the words they give.

Cases of pure functions are those that the unit tests compare (kept by `recorder`), for the oracle random ones, and the
edges of each formula. The order queue and the book of LPs are driven by random programs beside the specification, the
book also to the widths of its words.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path

from tests.mutants.book import programs
from tests.mutants.calls import Call
from tests.mutants.calls import call as _call
from tests.mutants.calls import words as _words
from tests.mutants.edges import edges
from tests.mutants.recorder import CASES
from tests.support.harness import Cases

from plimsoll.model import oracle

__all__ = ["LIBRARIES", "Call", "Library", "programs_of"]

MATHS = "contracts/mocks/harness/MathHarness.sol"
POOL = "contracts/mocks/harness/PoolMathHarness.sol"
ORACLE = "contracts/mocks/harness/OracleMathHarness.sol"
QUEUE = "contracts/mocks/harness/QueueHarness.sol"
BOOK = "contracts/mocks/harness/BookHarness.sol"
COUNT = 1500
PROGRAMS = 24
STEPS = 120
PRICE = 2**87 - 1
EMPTY_QUEUE = """
    function emptyQueue() external pure returns (uint256, uint256, uint256, uint256) {
        Queue memory q = PoolMath.emptyQueue();
        return (q.product, q.shares, q.round, q.scale);
    }
"""


@dataclass(frozen=True, slots=True)
class Library:
    """A library, and the harness that it is called through; whether that needs the IR pipeline.

    :param more: functions that the harness has here besides its own.
    """

    name: str
    harness: str
    via_ir: bool = False
    more: str = ""

    @property
    def file(self) -> str:
        """Path of its file."""
        return f"contracts/libraries/{self.name}.sol"


LIBRARIES = (
    *(
        Library(f"{name}Math", MATHS)
        for name in ("Fixed", "Funding", "Interest", "Liquidation", "Margin", "Pricing", "Side")
    ),
    Library("PoolMath", POOL, more=EMPTY_QUEUE),
    Library("EmaMath", ORACLE),
    Library("OrderQueue", QUEUE),
    Library("PoolBook", BOOK, via_ir=True),
)


def programs_of(library: Library, root: Path) -> list[list[Call]]:
    """Sequences of calls, each of which begins with a fresh contract."""
    if library.name == "OrderQueue":
        return [list(_queue(random.Random(f"queue {number}"))) for number in range(PROGRAMS)]
    if library.name == "PoolBook":
        return programs(PROGRAMS, STEPS)
    if library.name == "EmaMath":
        return [_mixed([*(list(_compared(*row)) for row in _oracle()), *edges(library.name)])]
    text = (root / library.harness).read_text(encoding="utf-8")
    known = json.loads((root / CASES).read_text(encoding="utf-8"))
    rows = []
    for fn, cases in known.items():
        at = text.find(f"function {fn}(")
        if at >= 0 and f"{library.name}." in text[at : text.index("\n    }", at)]:
            rows.append([Call(bytes.fromhex(data), bytes.fromhex(answer)) for data, answer in cases])
    return [_mixed([*rows, *edges(library.name)])]


def _mixed(rows: Sequence[Sequence[Call]]) -> list[Call]:
    """The functions in turn, so that a difference shows early."""
    return [one for one in chain.from_iterable(zip_longest(*rows)) if one is not None]


# ── the oracle ───────────────────────────────────────────────────────────────


def _oracle() -> Iterator[tuple[str, Callable[..., int], Callable[[Cases], tuple[int, ...]]]]:
    def weight(cases: Cases) -> int:
        return oracle.one_minus_exp(cases.uint(10**5), cases.uint(2**17 - 1, 1))

    def returns(cases: Cases) -> tuple[int, int]:
        price = cases.uint(PRICE, 1)
        return (cases.near(price, price * 11 // 10) if cases.flag() else cases.uint(PRICE)), price

    def variance(cases: Cases) -> tuple[int, int, int, int]:
        squared = oracle.squared_return(*returns(cases))
        return cases.uint(oracle.MAX_VARIANCE), squared, weight(cases), cases.uint(10**6)

    def bound(cases: Cases) -> tuple[int, int, int, int]:
        return cases.uint(10**6), cases.uint(10**6), cases.uint(10**6), cases.uint(10**6)

    yield "oneMinusExp", oracle.one_minus_exp, lambda cases: (cases.uint(2**32 - 1), cases.uint(2**17 - 1, 1))
    yield "foldEma", oracle.fold_ema, lambda cases: (cases.uint(PRICE), cases.uint(PRICE), weight(cases))
    yield "squaredReturn", oracle.squared_return, returns
    yield "foldVariance", oracle.fold_variance, variance
    yield "boundPpm", oracle.bound_ppm, bound


def _compared(fn: str, mirror: Callable[..., int], draw: Callable[[Cases], tuple[int, ...]]) -> Iterator[Call]:
    cases = Cases(fn)
    for _ in range(COUNT):
        args = draw(cases)
        yield Call(_call(f"{fn}({','.join(['uint256'] * len(args))})", *args), _words(mirror(*args)))


# ── the queue of orders ──────────────────────────────────────────────────────


def _queue(chance: random.Random) -> Iterator[Call]:
    waiting: list[tuple[int, int]] = []
    last, gone = 0, 0
    for _ in range(STEPS):
        kind = chance.randrange(4)
        if kind < 2 and len(waiting) < 8:
            last += 1
            tag, time = chance.getrandbits(256), chance.getrandbits(32)
            waiting.append((tag, time))
            yield Call(_call("append(bytes32,uint256,uint256)", tag, time, last), b"")
        elif kind == 2 and waiting:
            gone = waiting.pop(0)[0]
            yield Call(_call("removeHead()"), b"")
        elif kind == 3 and waiting:
            gone = waiting.pop()[0]
            yield Call(_call("removeLast()"), b"")
        yield Call(_call("counters()"), _words(last, len(waiting)))
        for place, (tag, time) in enumerate(waiting):
            word = tag >> 72 << 72 | time << 40
            yield Call(_call("get(uint256)", place), _words(word))
            yield Call(_call("position(bytes32)", tag), _words(place + 1))
        yield Call(_call("position(bytes32)", gone or chance.getrandbits(256)), _words(0))
