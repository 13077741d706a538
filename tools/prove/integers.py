"""Bit-vector queries as integer arithmetic, exactly.

Multiplication and division of 256-bit words are hopeless for bit-blasting beyond some 20 bits; over the integers most
rounding properties are short. Every bit-vector term becomes an integer expression that is congruent to it modulo
2^width, with an interval. Sums and products stay unreduced, because congruence survives them; only where a comparison,
a division or a shift needs the unsigned or the signed reading is the expression reduced, and usually its interval shows
that nothing has to be done. Intervals start from the ranges that the query itself asserts.

What has no translation becomes a fresh variable, which only weakens the query: `unsat` of the translation is `unsat` of
the query. A model of the translation is a candidate only; `candidate` gives it back for checking against the query.
"""

from __future__ import annotations

from collections.abc import Callable

import z3
from tools.prove.ranges import Ranges
from tools.prove.terms import Expr, Term, constant, normal, split_extension


class Translation(Ranges):
    """One query: `assertions` over bit-vectors become `constraints` over integers."""

    def __init__(self, assertions: list[Expr]) -> None:
        super().__init__()
        self.constraints: list[Expr] = []
        self.leaves: dict[int, tuple[Expr, Expr]] = {}
        self._assertions = assertions
        self._terms: dict[int, Term] = {}
        self._bools: dict[int, Expr] = {}
        self._divisions: dict[tuple[str, str], tuple[Expr, Expr]] = {}
        self._products: dict[str, list[tuple[Expr, Expr]]] = {}
        self._quotients: dict[str, list[tuple[Expr, Expr, Term, Term]]] = {}
        self._fresh = 0
        for _ in range(3):  # each pass sharpens the intervals that the next one starts from
            self._reset()
            before = dict(self.ranges)
            for assertion in assertions:
                self.learn(assertion)
            if before == self.ranges:
                break
        self._reset()
        for assertion in assertions:
            self.constraints.append(self.boolean(assertion))

    def _reset(self) -> None:
        self.constraints = []
        self.leaves = {}
        self._terms = {}
        self._bools = {}
        self._divisions = {}
        self._products = {}
        self._quotients = {}
        self._fresh = 0

    # ── terms ──────────────────────────────────────────────────────────────

    def term(self, e: Expr) -> Term:
        key = e.get_id()
        if key not in self._terms:
            self.keep.append(e)
            found = self._translate(e)
            self._terms[key] = self._within(e, found)
        return self._terms[key]

    def _within(self, e: Expr, found: Term) -> Term:
        """Applies the asserted ranges of a term where its expression reads the same way, and asserts them."""
        half = 1 << (e.size() - 1)
        word = self.ranges.get((e.get_id(), False))
        sign = self.ranges.get((e.get_id(), True))
        low, high = found.low, found.high
        if low >= 0 and high < 2 * half:
            known = [word, sign if sign and sign[0] >= 0 else None]
        elif low >= -half and high < half:
            known = [sign, word if word and word[1] < half else None]
        else:
            return found
        for pair in known:
            if pair:
                low, high = max(low, pair[0]), min(high, pair[1])
        if (low, high) == (found.low, found.high) or low > high:
            return found
        self.constraints += [found.value >= low, found.value <= high]
        return Term(found.value, low, high)

    def unsigned(self, e: Expr) -> Term:
        return self._reduced(self.term(e), 0, e.size())

    def signed(self, e: Expr) -> Term:
        return self._reduced(self.term(e), -(1 << (e.size() - 1)), e.size())

    def _reduced(self, t: Term, start: int, width: int) -> Term:
        """The number congruent to `t` modulo 2^width in [start, start + 2^width)."""
        size = 1 << width
        turns = (t.low - start) // size
        if turns == (t.high - start) // size:
            if turns == 0:
                return t
            return Term(t.value - turns * size, t.low - turns * size, t.high - turns * size)
        if (t.high - start) // size == turns + 1:
            edge = start + (turns + 1) * size
            value = z3.If(t.value >= edge, t.value - (turns + 1) * size, t.value - turns * size)
            return Term(value, start, start + size - 1)
        reduced, turn = self._variable("mod"), self._variable("turn")
        self.constraints += [t.value == turn * size + reduced, reduced >= start, reduced < start + size]
        return Term(reduced, start, start + size - 1)

    def _variable(self, name: str) -> Expr:
        self._fresh += 1
        return z3.Int(f"{name}!{self._fresh}")

    def _leaf(self, e: Expr) -> Term:
        half = 1 << (e.size() - 1)
        low, high = self.ranges.get((e.get_id(), True), (0, 2 * half - 1))
        if low >= 0:
            low, high = 0, 2 * half - 1
        variable = z3.Int(f"leaf!{e.get_id()}")
        self.leaves[e.get_id()] = (e, variable)
        self.constraints += [variable >= low, variable <= high]
        return Term(variable, low, high)

    def _translate(self, e: Expr) -> Term:
        if z3.is_bv_value(e):
            return constant(e.as_long())
        kind = e.decl().kind()
        name = e.decl().name()
        width = e.size()
        args = e.children()
        if kind == z3.Z3_OP_ITE:
            return self._if(e)
        if kind == z3.Z3_OP_BADD:
            return self._fold(args, self._add, width)
        if kind == z3.Z3_OP_BSUB:
            return self._fold(args, lambda a, b: Term(a.value - b.value, a.low - b.high, a.high - b.low))
        if kind == z3.Z3_OP_BNEG:
            t = self.term(args[0])
            return Term(-t.value, -t.high, -t.low)
        if kind == z3.Z3_OP_BNOT:
            t = self.term(args[0])
            return Term(-t.value - 1, -t.high - 1, -t.low - 1)
        if kind == z3.Z3_OP_BMUL or name.startswith("f_evm_bvmul"):
            return self._fold(args, self._multiply, width)
        if kind in (z3.Z3_OP_BUDIV, z3.Z3_OP_BUDIV_I) or name.startswith("f_evm_bvudiv"):
            return self._divide(e, name.startswith("f_evm"))[0]
        if kind in (z3.Z3_OP_BUREM, z3.Z3_OP_BUREM_I) or name.startswith("f_evm_bvurem"):
            return self._divide(e, name.startswith("f_evm"))[1]
        if kind in (z3.Z3_OP_BSDIV, z3.Z3_OP_BSDIV_I) or name.startswith("f_evm_bvsdiv"):
            return self._divide_signed(e, name.startswith("f_evm"))
        if kind == z3.Z3_OP_CONCAT:
            return self._concat(e)
        if kind == z3.Z3_OP_ZERO_EXT:
            return self.unsigned(args[0])
        if kind == z3.Z3_OP_SIGN_EXT:
            return self.signed(args[0])
        if kind == z3.Z3_OP_EXTRACT:
            return self._extract(e)
        if kind == z3.Z3_OP_BSHL and z3.is_bv_value(args[1]) and args[1].as_long() < width:
            return self._multiply(self.term(args[0]), constant(1 << args[1].as_long()), width)
        if kind == z3.Z3_OP_BLSHR and z3.is_bv_value(args[1]) and args[1].as_long() < width:
            return self._quotient(self.unsigned(args[0]), 1 << args[1].as_long())[0]
        if kind == z3.Z3_OP_BASHR and z3.is_bv_value(args[1]) and args[1].as_long() < width:
            return self._quotient(self.signed(args[0]), 1 << args[1].as_long())[0]
        if kind == z3.Z3_OP_BAND and len(args) == 2:
            return self._mask(e)
        return self._leaf(e)

    def _fold(self, args: list[Expr], step: Callable[..., Term], *more: int) -> Term:
        result = self.term(args[0])
        for arg in args[1:]:
            result = step(result, self.term(arg), *more)
        return result

    def _add(self, a: Term, b: Term, width: int) -> Term:
        a, b = (self._near_zero(t, width) for t in (a, b))
        return Term(a.value + b.value, a.low + b.low, a.high + b.high)

    def _times_divisor(self, a: Term, b: Term) -> Term | None:
        """(q + c)·d with q = ⌊n/d⌋ is n − r + c·d, which needs no product and has better bounds."""
        divisor = normal(b.value).sexpr()
        for q, r, n, d in self._quotients.get(divisor, []):
            rest = normal(a.value - q)
            if z3.is_int_value(rest):
                more = rest.as_long()
                parts = (more * d.low, more * d.high)
                low = n.low - d.high + 1 + min(parts)
                return Term(n.value - r + more * d.value, max(low, 0) if more >= 0 else low, n.high + max(parts))
        return None

    def _multiply(self, a: Term, b: Term, width: int) -> Term:
        # A constant near 2^width is a small negative number.
        a, b = (self._near_zero(t, width) for t in (a, b))
        corners = [x * y for x in (a.low, a.high) for y in (b.low, b.high)]
        product = a.value * b.value
        if a.low != a.high and b.low != b.high:
            known = self._times_divisor(a, b) or self._times_divisor(b, a)
            if known is not None:
                self._products.setdefault(normal(known.value).sexpr(), []).append((a.value, b.value))
                return known
            self._products.setdefault(normal(product).sexpr(), []).append((a.value, b.value))
        return Term(product, min(corners), max(corners))

    @staticmethod
    def _near_zero(t: Term, width: int) -> Term:
        if t.low == t.high and t.low >= 1 << (width - 1):
            return constant(t.low - (1 << width))
        return t

    def _if(self, e: Expr) -> Term:
        condition, yes, no = e.children()
        # the division of the EVM: zero when the divisor is zero
        if z3.is_bv_value(yes) and yes.as_long() == 0 and z3.is_eq(condition):
            divisor = condition.arg(1) if z3.is_bv_value(condition.arg(0)) else condition.arg(0)
            kind = no.decl().kind()
            if kind in (z3.Z3_OP_BUDIV, z3.Z3_OP_BUDIV_I) and z3.eq(no.arg(1), divisor):
                return self._divide(no, True)[0]
            if kind in (z3.Z3_OP_BUREM, z3.Z3_OP_BUREM_I) and z3.eq(no.arg(1), divisor):
                return self._divide(no, True)[1]
            if kind in (z3.Z3_OP_BSDIV, z3.Z3_OP_BSDIV_I) and z3.eq(no.arg(1), divisor):
                return self._divide_signed(no, True)
        c = self.boolean(condition)
        if z3.is_true(c):
            return self.term(yes)
        if z3.is_false(c):
            return self.term(no)
        a, b = self.term(yes), self.term(no)
        return Term(z3.If(c, a.value, b.value), min(a.low, b.low), max(a.high, b.high))

    def _quotient(self, n: Term, divisor: int) -> tuple[Term, Term]:
        """Floor division by a positive constant."""
        if n.low // divisor == n.high // divisor:
            q = n.low // divisor
            return constant(q), Term(n.value - q * divisor, n.low - q * divisor, n.high - q * divisor)
        key = (normal(n.value).sexpr(), str(divisor))
        if key not in self._divisions:
            q, r = self._variable("quot"), self._variable("rem")
            self._divisions[key] = (q, r)
            self.constraints += [n.value == q * divisor + r, r >= 0, r < divisor]
            self.constraints += [q >= n.low // divisor, q <= n.high // divisor]
        q, r = self._divisions[key]
        return Term(q, n.low // divisor, n.high // divisor), Term(r, 0, divisor - 1)

    def _divide(self, e: Expr, zero_gives_zero: bool) -> tuple[Term, Term]:
        n, d = self.unsigned(e.arg(0)), self.unsigned(e.arg(1))
        if d.low == d.high and d.low > 0:
            return self._quotient(n, d.low)
        if d.low <= 0 and not zero_gives_zero:
            leaf = self._leaf(e)
            return leaf, leaf
        n_value, d_value = normal(n.value), normal(d.value)
        key = (n_value.sexpr(), d_value.sexpr())
        most = n.high // max(d.low, 1)
        if key not in self._divisions:
            q, r = self._variable("quot"), self._variable("rem")
            self._divisions[key] = (q, r)
            exact = [n.value == q * d.value + r, r >= 0, r < d.value]
            exact += self._known_factor(n_value, key[1], q, r)
            bounds = [q >= n.low // d.high if d.high else q >= 0, q <= most]
            if d.low > 0:
                self.constraints += exact + bounds
                self._quotients.setdefault(key[1], []).append((q, r, n, d))
            else:
                self.constraints.append(z3.If(d.value == 0, z3.And(q == 0, r == 0), z3.And(*exact, *bounds)))
        q, r = self._divisions[key]
        least = n.low // d.high if d.low > 0 else 0
        return Term(q, least, most), Term(r, 0, max(d.high - 1, 0))

    def _divide_signed(self, e: Expr, zero_gives_zero: bool) -> Term:
        """Division that rounds toward zero. The one overflow, −2^(w−1)/−1, comes out right modulo 2^w."""
        n, d = self.signed(e.arg(0)), self.signed(e.arg(1))
        if d.low <= 0 <= d.high and not zero_gives_zero:
            return self._leaf(e)
        n_value, d_value = normal(n.value), normal(d.value)
        key = ("signed " + n_value.sexpr(), d_value.sexpr())
        most = max(abs(n.low), abs(n.high))
        if key not in self._divisions:
            q, r = self._variable("quot"), self._variable("rem")
            self._divisions[key] = (q, r)
            size = z3.If(d.value >= 0, d.value, -d.value)
            exact = [n.value == q * d.value + r, z3.If(n.value >= 0, r >= 0, r <= 0), r < size, -r < size]
            exact += self._known_factor(n_value, key[1], q, r)
            nonzero = z3.And(*exact, q >= -most, q <= most)
            self.constraints.append(z3.If(d.value == 0, z3.And(q == 0, r == 0), nonzero))
        return Term(self._divisions[key][0], -most, most)

    def _known_factor(self, product: Expr, divisor: str, q: Expr, r: Expr) -> list[Expr]:
        """(a·b)/a is b."""
        for a, b in self._products.get(product.sexpr(), []):
            for factor, other in ((a, b), (b, a)):
                if normal(factor).sexpr() == divisor:
                    return [q == other, r == 0]
        return []

    def _concat(self, e: Expr) -> Term:
        pair = split_extension(e)
        if pair is not None:
            low_bits, by_sign = pair
            return self.signed(low_bits) if by_sign else self.unsigned(low_bits)
        result = self.unsigned(e.arg(0))
        for part in e.children()[1:]:
            low = self.unsigned(part)
            size = 1 << part.size()
            result = Term(result.value * size + low.value, result.low * size + low.low, result.high * size + low.high)
        return result

    def _extract(self, e: Expr) -> Term:
        high, low = e.params()
        if low == 0:
            return self.term(e.arg(0))  # congruent modulo fewer bits
        source = e.arg(0)
        if high == source.size() - 1:
            return self._quotient(self.unsigned(source), 1 << low)[0]
        t = self._quotient(self.unsigned(source), 1 << low)[0]
        return self._reduced(t, 0, high - low + 1)

    def _mask(self, e: Expr) -> Term:
        for mask, other in ((e.arg(0), e.arg(1)), (e.arg(1), e.arg(0))):
            if z3.is_bv_value(mask):
                number = mask.as_long()
                if number & (number + 1) == 0:
                    return self._reduced(self.term(other), 0, number.bit_length())
                shift = (number & -number).bit_length() - 1
                if (number >> shift) & ((number >> shift) + 1) == 0:
                    part = self._quotient(self.unsigned(other), 1 << shift)[0]
                    part = self._reduced(part, 0, (number >> shift).bit_length())
                    return Term(part.value * (1 << shift), part.low << shift, part.high << shift)
        return self._leaf(e)

    # ── conditions ─────────────────────────────────────────────────────────

    def boolean(self, e: Expr) -> Expr:
        key = e.get_id()
        if key not in self._bools:
            self.keep.append(e)
            self._bools[key] = self._condition(e)
        return self._bools[key]

    def _condition(self, e: Expr) -> Expr:
        if z3.is_true(e) or z3.is_false(e):
            return e
        kind = e.decl().kind()
        args = e.children()
        if kind in (z3.Z3_OP_AND, z3.Z3_OP_OR, z3.Z3_OP_NOT, z3.Z3_OP_XOR, z3.Z3_OP_IMPLIES) or (
            kind in (z3.Z3_OP_ITE, z3.Z3_OP_EQ, z3.Z3_OP_DISTINCT) and all(z3.is_bool(a) for a in args)
        ):
            return e.decl()(*[self.boolean(a) for a in args])
        if kind in (z3.Z3_OP_EQ, z3.Z3_OP_DISTINCT) and all(z3.is_bv(a) for a in args) and len(args) == 2:
            equal = self._equal(args[0], args[1])
            return equal if kind == z3.Z3_OP_EQ else z3.Not(equal)
        compare: dict[int, tuple[bool, Callable[[Expr, Expr], Expr]]] = {
            z3.Z3_OP_ULEQ: (False, lambda a, b: a <= b),
            z3.Z3_OP_ULT: (False, lambda a, b: a < b),
            z3.Z3_OP_UGEQ: (False, lambda a, b: a >= b),
            z3.Z3_OP_UGT: (False, lambda a, b: a > b),
            z3.Z3_OP_SLEQ: (True, lambda a, b: a <= b),
            z3.Z3_OP_SLT: (True, lambda a, b: a < b),
            z3.Z3_OP_SGEQ: (True, lambda a, b: a >= b),
            z3.Z3_OP_SGT: (True, lambda a, b: a > b),
        }
        if kind in compare:
            signed, operator = compare[kind]
            read = self.signed if signed else self.unsigned
            return operator(read(args[0]).value, read(args[1]).value)
        return z3.Bool(f"unknown!{e.get_id()}")

    def _equal(self, left: Expr, right: Expr) -> Expr:
        a, b = self.term(left), self.term(right)
        width = left.size()
        a, b = self._near_zero(a, width), self._near_zero(b, width)
        if max(a.high, b.high) - min(a.low, b.low) < 1 << width:
            return a.value == b.value
        a, b = self.unsigned(left), self.unsigned(right)
        return a.value == b.value

    # ── models ─────────────────────────────────────────────────────────────

    def candidate(self, model: Expr) -> list[tuple[Expr, Expr]]:
        """What the model of the translation says about the leaves, as bit-vector values."""
        found = []
        for e, variable in self.leaves.values():
            number = model.eval(variable, model_completion=True).as_long()
            found.append((e, z3.BitVecVal(number, e.size())))
        return found
