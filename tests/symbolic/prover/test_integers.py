"""The integer translation is sound: whatever is true of some bit-vectors is satisfiable over the integers."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import z3
from tools.prove.integers import Translation

WIDTH = 8
MASK = (1 << WIDTH) - 1
DIVIDE = z3.Function("f_evm_bvudiv_8", *[z3.BitVecSort(WIDTH)] * 3)
DIVIDE_SIGNED = z3.Function("f_evm_bvsdiv_8", *[z3.BitVecSort(WIDTH)] * 3)
REMAINDER = z3.Function("f_evm_bvurem_8", *[z3.BitVecSort(WIDTH)] * 3)


def signed(x: int) -> int:
    return x - (1 << WIDTH) if x >> (WIDTH - 1) else x


def toward_zero(a: int, b: int) -> int:
    quotient = abs(a) // abs(b)
    return quotient if (a < 0) == (b < 0) else -quotient


def grow(draw: random.Random, leaves: list[tuple[Any, int]], depth: int) -> tuple[Any, int]:
    """A random term and its value."""
    if depth == 0 or draw.random() < 0.15:
        if draw.random() < 0.25:
            number = draw.choice([0, 1, 2, 3, 15, 127, 128, 254, 255])
            return z3.BitVecVal(number, WIDTH), number
        return draw.choice(leaves)
    a, x = grow(draw, leaves, depth - 1)
    b, y = grow(draw, leaves, depth - 1)
    x, y = x & MASK, y & MASK
    shift = draw.randrange(WIDTH)
    low = draw.randrange(1, WIDTH)
    part = z3.Extract(low - 1, 0, a)
    top = z3.Extract(low - 1, low - 1, a)
    x_low = x & ((1 << low) - 1)
    x_low_signed = x_low - (1 << low) if x_low >> (low - 1) else x_low
    mask = ((1 << low) - 1) << (shift % (WIDTH - low + 1))
    choices: list[Callable[[], tuple[Any, int]]] = [
        lambda: (a + b, x + y),
        lambda: (a - b, x - y),
        lambda: (a * b, x * y),
        lambda: (-a, -x),
        lambda: (~a, ~x),
        lambda: (DIVIDE(a, b), x // y if y else 0),
        lambda: (DIVIDE(a * b, a), (x * y & MASK) // x if x else 0),
        lambda: (z3.If(b == 0, z3.BitVecVal(0, WIDTH), z3.UDiv(a, b)), x // y if y else 0),
        lambda: (REMAINDER(a, b), x % y if y else 0),
        lambda: (DIVIDE_SIGNED(a, b), toward_zero(signed(x), signed(y)) if y else 0),
        lambda: (DIVIDE_SIGNED(a * b, b), toward_zero(signed(x * y & MASK), signed(y)) if y else 0),
        lambda: (z3.If(z3.ULE(a, b), a, b), min(x, y)),
        lambda: (z3.If(a <= b, a, b), x if signed(x) <= signed(y) else y),
        lambda: (a << shift, x << shift),
        lambda: (z3.LShR(a, shift), x >> shift),
        lambda: (a >> shift, signed(x) >> shift),
        lambda: (a & mask, x & mask),
        lambda: (z3.ZeroExt(WIDTH - low, part), x_low),
        lambda: (z3.SignExt(WIDTH - low, part), x_low_signed),
        lambda: (z3.Concat(*[top] * (WIDTH - low), part), x_low_signed),
        lambda: (z3.Concat(part, z3.Extract(WIDTH - 1, low, a)), (x_low << (WIDTH - low)) | (x >> low)),
    ]
    return draw.choice(choices)()


def facts(draw: random.Random, leaves: list[tuple[Any, int]]) -> list[Any]:
    """True statements with random terms: bounds, comparisons, equalities."""
    found = []
    for _ in range(4):
        a, x = grow(draw, leaves, 3)
        x &= MASK
        b, y = grow(draw, leaves, 2)
        y &= MASK
        pairs = [
            (z3.ULE(a, b), x <= y),
            (z3.ULT(a, b), x < y),
            (a <= b, signed(x) <= signed(y)),
            (a < b, signed(x) < signed(y)),
            (z3.UGE(a, z3.BitVecVal(y, WIDTH)), x >= y),
            (a >= z3.BitVecVal(y, WIDTH), signed(x) >= signed(y)),
            (z3.ULT(a, z3.BitVecVal(y, WIDTH)), x < y),
            (a == b, x == y),
            (b == 0, y == 0),
            (z3.And(b != 0, z3.ULE(DIVIDE(a, b) * b, a)), y != 0),
            (a == z3.BitVecVal(x, WIDTH), True),
        ]
        statement, true = draw.choice(pairs)
        found.append(statement if true else z3.Not(statement))
    return found


@pytest.mark.parametrize("seed", range(400))
def test_true_facts_stay_satisfiable(seed: int) -> None:
    draw = random.Random(seed)
    leaves = []
    for name in "uvw":
        number = draw.choice([draw.randrange(1 << WIDTH), draw.choice([0, 1, 127, 128, 255])])
        leaves.append((z3.BitVec(name, WIDTH), number))
    statements = facts(draw, leaves)
    fixed = [leaf == z3.BitVecVal(number, WIDTH) for leaf, number in leaves]
    # learning intervals from the facts must agree with the values, given last and not as intervals
    translation = Translation([*statements, z3.And(*[z3.Not(z3.Not(z3.Or(fact, fact))) for fact in fixed])])
    solver = z3.Solver()
    solver.set("timeout", 1_000)
    solver.add(*translation.constraints)
    assert solver.check() != z3.unsat


def test_what_is_false_is_found() -> None:
    a, b = z3.BitVecs("a b", 256)
    bounded = [z3.ULT(a, z3.BitVecVal(1 << 100, 256)), z3.ULT(b, z3.BitVecVal(1 << 100, 256)), a != 0]
    divide = z3.Function("f_evm_bvudiv_256", *[z3.BitVecSort(256)] * 3)
    translation = Translation([*bounded, divide(a * b, a) != b])
    solver = z3.Solver()
    solver.add(*translation.constraints)
    assert solver.check() == z3.unsat
