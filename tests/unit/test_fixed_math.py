"""FixedMath and Cast against exact rationals, and the units of amounts."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.harness import Case, Cases, Harness
from tests.support.reverts import reverts_with

from plimsoll import units
from plimsoll.chain.errors import ContractRevert, Panic
from plimsoll.units import UnitsError, format_units, parse_units

UINT = 2**256 - 1
INT = 2**255 - 1
COUNT = 2000


def triples(seed: str, signed: bool) -> list[Case]:
    """(a, b, d) whose quotient fits a signed word."""
    cases = Cases(seed)
    found: list[Case] = []
    while len(found) < COUNT:
        a = cases.int(INT) if signed else cases.uint(UINT)
        b, d = cases.uint(UINT), cases.uint(UINT, 1)
        if cases.random.randrange(4) == 0:
            a = cases.near(a // d * d, low=-INT if signed else 0)
        if abs(a) <= (INT if signed else UINT) and abs(a) * b // d < INT:
            found.append((a, b, d))
    return found


@pytest.mark.parametrize(
    ("fn", "mirror", "signed", "ground"),
    [
        ("mulDivDown", units.mul_div_down, False, math.floor),
        ("mulDivUp", units.mul_div_up, False, math.ceil),
        ("mulDivFloor", units.mul_div_floor, True, math.floor),
        ("mulDivCeil", units.mul_div_ceil, True, math.ceil),
    ],
)
def test_product_over_divisor_rounds_as_named(maths: Harness, fn: str, mirror, signed: bool, ground) -> None:
    """INV-39."""
    cases = triples(fn, signed)
    for (a, b, d), result in zip(cases, maths.check(fn, mirror, cases), strict=True):
        assert result == ground(Fraction(a * b, d))
    products = [abs(a) * b for a, b, _ in cases]
    assert any(product > UINT for product in products), "the 512-bit path was not taken"
    assert any(product % d for product, (_, _, d) in zip(products, cases, strict=True))


@pytest.mark.parametrize(
    ("fn", "mirror", "signed", "ground"),
    [
        ("divUp", units.div_up, False, math.ceil),
        ("divFloor", units.div_floor, True, math.floor),
        ("divCeil", units.div_ceil, True, math.ceil),
    ],
)
def test_quotient_rounds_as_named(maths: Harness, fn: str, mirror, signed: bool, ground) -> None:
    """INV-39."""
    cases = [(a, d) for a, _, d in triples(fn, signed)]
    cases += [(a, d) for a in (-7, -6, -1, 0, 1, 6, 7, INT, -INT) for d in (1, 2, 3, 2**255, UINT) if signed or a >= 0]
    for (a, d), result in zip(cases, maths.check(fn, mirror, cases), strict=True):
        assert result == ground(Fraction(a, d))


@pytest.mark.parametrize(("fn", "mirror"), [("sqrtDown", units.sqrt_down), ("sqrtUp", units.sqrt_up)])
def test_square_root_rounds_as_named(maths: Harness, fn: str, mirror) -> None:
    """INV-39."""
    cases = Cases(fn)
    roots = [cases.uint(2**128 - 1) for _ in range(COUNT // 2)]
    values = [min(max(root * root + step, 0), UINT) for root in roots for step in (-1, 0, 1)] + [0, 1, 2, 3, UINT]
    for value, result in zip(values, maths.check(fn, mirror, [(v,) for v in values]), strict=True):
        if fn == "sqrtDown":
            assert result**2 <= value < (result + 1) ** 2
        else:
            assert max(result - 1, 0) ** 2 < value <= result**2 or value == result == 0


def test_small_functions_are_pythons_own(maths: Harness) -> None:
    cases = Cases("small")
    pairs = [(cases.uint(UINT), cases.uint(UINT)) for _ in range(500)]
    signed = [(cases.int(INT),) for _ in range(500)] + [(0,), (INT,), (-INT,)]
    maths.check("min", min, pairs)
    maths.check("max", max, pairs)
    maths.check("abs", abs, signed)
    maths.check("positivePart", units.positive_part, [*signed, (-INT - 1,)])


def test_results_that_do_not_fit_revert_instead_of_wrapping(maths: Harness) -> None:
    """INV-39."""
    for fn in ("mulDivDown", "mulDivUp"):
        with pytest.raises(Panic):
            maths.one(fn, UINT, 2, 1)
        with pytest.raises(Panic):
            maths.one(fn, 1, 1, 0)
    for fn in ("mulDivFloor", "mulDivCeil"):
        with reverts_with("UintTooLarge", INT + 1, 255):
            maths.one(fn, 2**254, 2, 1)
        with reverts_with("UintTooLarge", INT + 1, 255):
            maths.one(fn, -(2**254), 2, 1)
        assert maths.one(fn, INT, 1, 1) == INT
        assert maths.one(fn, -INT, 1, 1) == -INT
    for fn in ("divFloor", "divCeil"):
        with pytest.raises(Panic):
            maths.one(fn, 1, 0)
    with pytest.raises(Panic):
        maths.one("abs", -INT - 1)


def test_casts_give_what_fits_and_name_what_does_not(maths: Harness) -> None:
    """INV-39."""
    for bits in (1, 5, 8, 24, 40, 88, 104, 128, 255):
        assert maths.one("checkUint", 2**bits - 1, bits) == 2**bits - 1
        with reverts_with("UintTooLarge", 2**bits, bits):
            maths.one("checkUint", 2**bits, bits)
        high = 2 ** (bits - 1)
        assert maths.one("checkInt", high - 1, bits) == high - 1
        assert maths.one("checkInt", -high, bits) == -high
        with reverts_with("IntOutOfRange", high, bits):
            maths.one("checkInt", high, bits)
        with reverts_with("IntOutOfRange", -high - 1, bits):
            maths.one("checkInt", -high - 1, bits)
    assert maths.one("toInt", INT) == INT
    with reverts_with("UintTooLarge", INT + 1, 255):
        maths.one("toInt", INT + 1)
    assert maths.one("checkUint", UINT, 256) == UINT


def test_a_batch_reports_reverts_beside_results(maths: Harness) -> None:
    good, bad = maths.many("checkUint", [(1, 1), (2, 1)])
    assert good == 1
    assert isinstance(bad, ContractRevert)
    assert bad.values == (2, 1)
    with pytest.raises(AssertionError, match="1 of 1 differ"):
        maths.check("checkUint", lambda value, bits: value, [(2, 1)])
    with pytest.raises(AssertionError, match="1 of 1 differ"):
        maths.check("checkUint", lambda value, bits: value + 1, [(1, 1)])


@given(st.integers(-(10**60), 10**60), st.integers(0, 77))
def test_formatted_amounts_parse_to_themselves(value: int, decimals: int) -> None:
    text = format_units(value, decimals)
    assert parse_units(text, decimals) == value
    assert Fraction(text) * 10**decimals == value


def test_amounts_are_parsed_exactly_or_refused() -> None:
    assert parse_units("1.5", 6) == 1_500_000
    assert parse_units("1_000", 2) == 100_000
    assert parse_units("-0.000001", 6) == -1
    assert parse_units("1e-18") == 1
    assert parse_units(3) == 3 * units.WAD
    assert parse_units(Decimal("12.50"), 1) == 125
    assert format_units(1_500_000, 6) == "1.5"
    assert format_units(-1, 2) == "-0.01"
    assert format_units(7, 0) == "7"
    for text, decimals in (
        ("0.01", 1),
        ("1e-19", 18),
        ("abc", 6),
        ("", 6),
        ("NaN", 6),
        ("inf", 6),
        ("1e500", 6),
        ("1", 78),
    ):
        with pytest.raises(UnitsError):
            parse_units(text, decimals)
    for value in (1.5, True, None):
        with pytest.raises(TypeError):
            parse_units(value)  # type: ignore[arg-type]
    with pytest.raises(UnitsError):
        format_units(1, -1)
