"""Programs of calls for the book of LPs, and what it must answer by the specification."""

from __future__ import annotations

import random
from collections.abc import Iterator

from tests.mutants.calls import Call, refusal
from tests.mutants.calls import call as _call
from tests.mutants.calls import words as _words

from plimsoll.model.pool import ClaimExceedsError, PoolBook, Side

__all__ = ["programs"]

WIDE = 2**128


def programs(count: int, steps: int) -> list[list[Call]]:
    """Random programs, and those that reach the width of a word or the least payment."""
    chances = [random.Random(f"book {number}") for number in range(count)]
    wide = [list(_wide(side)) for side in Side]
    return [*(list(_book(chance, steps)) for chance in chances), *wide, list(_wide_shares()), list(_least_growth())]


def _book(chance: random.Random, steps: int) -> Iterator[Call]:
    book = PoolBook()
    yield Call(_call("begin()"), b"")
    people, epoch, ready = (11, 12, 13), 1, 0
    large = chance.choice((100, 10**9, 10**24, 10**37))
    crowd = chance.randrange(6) == 0
    for _ in range(steps):
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
        near = max(book.struck_through + chance.randrange(-1, 4), 0)
        yield Call(_call("isDue(uint256)", near), _words(book.is_due(near)))
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
    except ClaimExceedsError as error:
        yield refusal(data, "ClaimExceeds(uint256,uint256)", error.wanted, error.claimable)


def _record(side: Side, who: int, epoch: int, amount: int) -> bytes:
    return _call("record(uint8,address,uint256,uint256)", side.value, who, epoch, amount)


def _settle(*args: int) -> bytes:
    return _call(f"settle({','.join(['uint256'] * 6)})", *args)


def _wide(side: Side) -> Iterator[Call]:
    """Requests up to the width of the totals of an epoch, and of two epochs beyond that of a strike."""
    yield Call(_call("begin()"), b"")
    yield Call(_record(side, 11, 1, WIDE - 2), b"")
    yield refusal(_record(side, 12, 1, 2), "UintTooLarge(uint256,uint256)", WIDE, 128)
    yield Call(_record(side, 12, 1, 1), b"")
    yield Call(_record(side, 13, 2, 1), b"")
    deposited, waiting = (WIDE, 0) if side is Side.DEPOSIT else (0, WIDE)
    yield Call(_call("collect(uint256)", 2), _words(1, deposited, waiting))
    yield refusal(_settle(1, deposited, 1, waiting, 0, 0), "UintTooLarge(uint256,uint256)", WIDE, 128)
    deposited, waiting = max(deposited - 1, 0), max(waiting - 1, 0)
    yield Call(_settle(1, deposited, 1, waiting, 0, 0), _words(waiting))
    least, settled = (0, (1, 0)) if side is Side.DEPOSIT else (1, (0, 0))
    yield Call(_call("pending(uint8,address,uint256)", side.value, 13, 2), _words(least))
    yield Call(_call("claimable(uint8,address,uint256)", side.value, 13, 2), _words(*settled))


def _wide_shares() -> Iterator[Call]:
    """As many shares for a deposit as their word holds."""
    yield Call(_call("begin()"), b"")
    yield Call(_record(Side.DEPOSIT, 11, 1, 1), b"")
    yield Call(_call("collect(uint256)", 1), _words(1, 1, 0))
    yield refusal(_settle(1, 1, WIDE, 0, 0, 0), "UintTooLarge(uint256,uint256)", WIDE, 128)
    yield Call(_settle(1, 1, WIDE - 1, 0, 0, 0), _words(0))
    yield Call(_call("claimable(uint8,address,uint256)", 0, 11, 1), _words(1, WIDE - 1))


def _least_growth() -> Iterator[Call]:
    """A payment by which the sum per share grows by one."""
    book = PoolBook()
    yield Call(_call("begin()"), b"")
    for number, amount, burnt, paid in ((1, 10**30, 10**30 - 10**10, 10**9), (2, 10**34, 1, 2)):
        book.record(Side.REDEEM, 10 + number, number, amount)
        yield Call(_record(Side.REDEEM, 10 + number, number, amount), b"")
        _, waiting = book.collect(number)
        yield Call(_call("collect(uint256)", number), _words(number, 0, waiting))
        book.settle(0, 0, waiting, burnt, paid)
        yield Call(_settle(number, 0, 0, waiting, burnt, paid), _words(book.queue.shares))
    settled = book.claimable(Side.REDEEM, 12, 2)
    assert settled[1] == 1, "the sum has grown by one"
    yield Call(_call("claimable(uint8,address,uint256)", 1, 12, 2), _words(*settled))
