"""The intervals that a query asserts of its terms."""

from __future__ import annotations

from abc import ABC, abstractmethod

import z3
from tools.prove.terms import Expr, Term, contains, split_extension


class Ranges(ABC):
    """Collects intervals, by term and by whether they are those of the signed reading."""

    def __init__(self) -> None:
        self.ranges: dict[tuple[int, bool], tuple[int, int]] = {}
        self.keep: list[Expr] = []  # an id is used again once its expression is gone

    @abstractmethod
    def term(self, e: Expr) -> Term:
        """An integer congruent to the term."""

    @abstractmethod
    def unsigned(self, e: Expr) -> Term:
        """The unsigned reading of the term."""

    @abstractmethod
    def signed(self, e: Expr) -> Term:
        """The signed reading of the term."""

    def learn(self, e: Expr) -> None:
        """Takes intervals from a conjunct: comparisons with constants, and words that extend fewer bits."""
        if z3.is_and(e):
            for child in e.children():
                self.learn(child)
            return
        positive = True
        while z3.is_not(e):
            e, positive = e.arg(0), not positive
        kind = e.decl().kind() if z3.is_app(e) else None
        if z3.is_or(e) and not positive:
            for child in e.children():
                self.learn(z3.Not(child))
            return
        if z3.is_eq(e) and positive and z3.is_bv(e.arg(0)):
            self._learn_extension(e.arg(0), e.arg(1))
            self._learn_extension(e.arg(1), e.arg(0))
            return
        if z3.is_eq(e) and z3.is_bv(e.arg(0)):
            for zero, other in ((e.arg(0), e.arg(1)), (e.arg(1), e.arg(0))):
                if z3.is_bv_value(zero) and zero.as_long() == 0:
                    self._narrow(other, False, 1, (1 << other.size()) - 1)
            return
        swap = {
            z3.Z3_OP_UGEQ: z3.Z3_OP_ULEQ,
            z3.Z3_OP_UGT: z3.Z3_OP_ULT,
            z3.Z3_OP_SGEQ: z3.Z3_OP_SLEQ,
            z3.Z3_OP_SGT: z3.Z3_OP_SLT,
        }
        if kind in swap:
            left, right, kind = e.arg(1), e.arg(0), swap[kind]
        elif kind in swap.values():
            left, right = e.arg(0), e.arg(1)
        else:
            return
        strict = kind in (z3.Z3_OP_ULT, z3.Z3_OP_SLT)
        if not positive:  # not (l <= r) is r < l
            left, right, strict = right, left, not strict
        signed = kind in (z3.Z3_OP_SLEQ, z3.Z3_OP_SLT)
        read = self.signed if signed else self.unsigned
        least, most = read(left), read(right)
        gap = 1 if strict else 0
        self._narrow(left, signed, least.low, most.high - gap)
        self._narrow(right, signed, least.low + gap, most.high)

    def _learn_extension(self, whole: Expr, parts: Expr) -> None:
        if z3.is_bv_value(whole) or z3.is_bv_value(parts):
            return
        term = self.term(parts) if not contains(parts, whole) else self._extension(parts)
        if term is not None:
            width = whole.size()
            if term.low >= 0 and term.high < 1 << width:
                self._narrow(whole, False, term.low, term.high)
            elif term.low >= -(1 << (width - 1)) and term.high < 1 << (width - 1):
                self._narrow(whole, True, term.low, term.high)

    def _extension(self, parts: Expr) -> Term | None:
        """The range of a word that is fewer bits, extended by zeros or by their sign."""
        pair = split_extension(parts)
        if pair is None:
            return None
        low_bits, by_sign = pair
        width = low_bits.size()
        if by_sign:
            return Term(None, -(1 << (width - 1)), (1 << (width - 1)) - 1)
        return Term(None, 0, (1 << width) - 1)

    def _narrow(self, e: Expr, signed: bool, low: int, high: int) -> None:
        if z3.is_bv_value(e):
            return
        self.keep.append(e)
        key = (e.get_id(), signed)
        known = self.ranges.get(key)
        if known is not None:
            low, high = max(low, known[0]), min(high, known[1])
        if low <= high:
            self.ranges[key] = (low, high)
