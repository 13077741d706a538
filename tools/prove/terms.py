"""Integer terms that stand for bit-vectors, and questions about the shape of expressions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import z3

Expr = Any  # z3 has no types


@dataclass(frozen=True, slots=True)
class Term:
    """An integer expression congruent to a bit-vector, and the interval it lies in."""

    value: Expr
    low: int
    high: int


def constant(number: int) -> Term:
    return Term(z3.IntVal(number), number, number)


def normal(e: Expr) -> Expr:
    """A sum of products in a fixed order, so that equal polynomials are the same expression."""
    return z3.simplify(e, som=True, sort_sums=True)


def split_extension(e: Expr) -> tuple[Expr, bool] | None:
    """Whether a concatenation extends its last part: by zeros (False) or by copies of its sign (True)."""
    if not z3.is_app(e) or e.decl().kind() != z3.Z3_OP_CONCAT:
        return None
    *head, last = e.children()
    if all(z3.is_bv_value(part) and part.as_long() == 0 for part in head):
        return last, False
    source, top = last, last.size() - 1
    if last.decl().kind() == z3.Z3_OP_EXTRACT and last.params()[1] == 0:
        source, top = last.arg(0), last.params()[0]
    for part in head:
        if part.decl().kind() != z3.Z3_OP_EXTRACT or part.params() != [top, top]:
            return None
        if not (z3.eq(part.arg(0), source) or z3.eq(part.arg(0), last)):
            return None
    return last, True


def contains(e: Expr, part: Expr) -> bool:
    seen: set[int] = set()
    todo = [e]
    while todo:
        node = todo.pop()
        if node.get_id() in seen:
            continue
        seen.add(node.get_id())
        if z3.eq(node, part):
            return True
        todo += node.children()
    return False
