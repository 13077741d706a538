"""What the maths libraries must answer, by the specification: calls of their harnesses and the words they give.

Cases of pure functions are those that the unit tests compare (kept by `recorder`) and, for the oracle, random ones.
The order queue and the book of LPs are driven by random programs beside the specification.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, product, zip_longest
from pathlib import Path
from typing import Any

from eth_utils.crypto import keccak
from tests.mutants.recorder import CASES
from tests.support.harness import Cases

from plimsoll.model import funding, oracle
from plimsoll.model.pool import ClaimExceedsError, PoolBook, Side

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


@dataclass(frozen=True, slots=True)
class Call:
    """Call data and the answer; None for a refusal."""

    data: bytes
    answer: bytes | None


@dataclass(frozen=True, slots=True)
class Library:
    """A library, and the harness that it is called through; whether that needs the IR pipeline."""

    name: str
    harness: str
    via_ir: bool = False

    @property
    def file(self) -> str:
        """Path of its file."""
        return f"contracts/libraries/{self.name}.sol"


LIBRARIES = (
    *(
        Library(f"{name}Math", MATHS)
        for name in ("Fixed", "Funding", "Interest", "Liquidation", "Margin", "Pricing", "Side")
    ),
    Library("PoolMath", POOL),
    Library("EmaMath", ORACLE),
    Library("OrderQueue", QUEUE),
    Library("PoolBook", BOOK, via_ir=True),
)


def programs_of(library: Library, root: Path) -> list[list[Call]]:
    """Sequences of calls, each of which begins with a fresh contract."""
    if library.name == "OrderQueue":
        return [list(_queue(random.Random(f"queue {number}"))) for number in range(PROGRAMS)]
    if library.name == "PoolBook":
        return [list(_book(random.Random(f"book {number}"))) for number in range(PROGRAMS)]
    if library.name == "EmaMath":
        return [_mixed([list(_compared(*row)) for row in _oracle()])]
    text = (root / library.harness).read_text(encoding="utf-8")
    known = json.loads((root / CASES).read_text(encoding="utf-8"))
    rows = []
    for fn, cases in known.items():
        at = text.find(f"function {fn}(")
        if at >= 0 and f"{library.name}." in text[at : text.index("\n    }", at)]:
            rows.append([Call(bytes.fromhex(data), bytes.fromhex(answer)) for data, answer in cases])
    if library.name == "FundingMath":
        rows.append(list(_small_steps()))
    return [_mixed(rows)]


def _small_steps() -> Iterator[Call]:
    """Rates that are a step or two from their bound."""
    small = range(-2, 3)
    for args in product(small, small, small, (0, 1, 2, 5)):
        data = _call("integrate(int256,int256,int256,uint256)", *args)
        yield Call(data, _words(*funding.integrate(*args)))


def _mixed(rows: Sequence[Sequence[Call]]) -> list[Call]:
    """The functions in turn, so that a difference shows early."""
    return [one for one in chain.from_iterable(zip_longest(*rows)) if one is not None]


def _call(signature: str, *args: int) -> bytes:
    return keccak(text=signature)[:4] + b"".join((arg % 2**256).to_bytes(32, "big") for arg in args)


def _words(*values: Any) -> bytes:
    return b"".join((int(value) % 2**256).to_bytes(32, "big") for value in values)


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


# ── the book of LPs ──────────────────────────────────────────────────────────


def _book(chance: random.Random) -> Iterator[Call]:
    book = PoolBook()
    yield Call(_call("begin()"), b"")
    people, epoch, ready = (11, 12, 13), 1, 0
    large = chance.choice((100, 10**9, 10**24, 10**37))
    crowd = chance.randrange(6) == 0
    for _ in range(STEPS):
        kind = chance.randrange(10)
        side, who = chance.choice((Side.DEPOSIT, Side.REDEEM)), chance.choice(people)
        if kind < 4:
            epoch += chance.choice((0, 0, 0, 1, 2))
            amount = 1 + chance.randrange(large)
            book.record(side, who, epoch, amount)
            yield Call(_call("record(uint8,address,uint256,uint256)", side.value, who, epoch, amount), b"")
        elif kind == 4 and crowd:
            for _ in range(70):
                epoch += 1
                book.record(side, who, epoch, 5)
                yield Call(_call("record(uint8,address,uint256,uint256)", side.value, who, epoch, 5), b"")
        elif kind < 6:
            ready = max(ready, epoch - chance.choice((0, 1, 1, 2)))
            yield Call(_call("isDue(uint256)", ready), _words(book.is_due(ready)))
            if book.is_due(ready):
                yield from _strike(chance, book, ready)
                epoch = max(epoch, ready + 1)
        elif kind < 9:
            yield from _claim(chance, book, side, who)
        else:
            of = chance.randrange(1, epoch + 2)
            amount = book.take_refund(who, of)
            yield Call(_call("takeRefund(address,uint256)", who, of), _words(amount))
        of = chance.randrange(1, epoch + 2)
        asked = ("(uint8,address,uint256)", side.value, who, of)
        yield Call(_call(f"pending{asked[0]}", *asked[1:]), _words(book.pending(side, who, of)))
        yield Call(_call(f"claimable{asked[0]}", *asked[1:]), _words(*book.claimable(side, who, of)))
        total = book.claimable_total(side, who)
        yield Call(_call("claimableTotal(uint8,address)", side.value, who), _words(*total))
        yield Call(_call("refundable(address,uint256)", who, of), _words(book.refundable(who, of)))


def _strike(chance: random.Random, book: PoolBook, ready: int) -> Iterator[Call]:
    deposited, waiting = book.collect(ready)
    number = len(book.strikes) + 1
    yield Call(_call("collect(uint256)", ready), _words(number, deposited, waiting))
    shares = deposited * chance.choice((0, 1, 7)) // chance.choice((1, 3))
    burnt = waiting * chance.choice((0, 1, 100, 999, 1000, 1000)) // 1000
    if waiting > 10**28 and chance.randrange(4) == 0:
        burnt = waiting - waiting // 10**28
    paid = burnt * chance.choice((1, 2, 5)) // 3 if burnt else 0
    book.settle(deposited, shares, waiting, burnt, paid)
    args = (number, deposited, shares, waiting, burnt, paid)
    yield Call(_call(f"settle({','.join(['uint256'] * 6)})", *args), _words(book.queue.shares))


def _claim(chance: random.Random, book: PoolBook, side: Side, who: int) -> Iterator[Call]:
    total_in, total_out = book.claimable_total(side, who)
    out = chance.random() < 0.5
    most = total_out if out else total_in
    wanted = max(chance.choice((most, most, most // 2, most // 3, 1, most + 1)), 1)
    data = _call("take(uint8,address,uint256,bool)", side.value, who, wanted, out)
    try:
        yield Call(data, _words(*book.take(side, who, wanted, wanted_out=out)))
    except ClaimExceedsError:
        yield Call(data, None)
