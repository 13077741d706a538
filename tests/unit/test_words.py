"""The one-word records: every field at its extremes, and one beyond them, in Python and on chain."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.harness import Harness
from tests.support.records import CONFIG, IDS, STATE, beyond, examples, record

from plimsoll.chain.artifacts import repository_root
from plimsoll.chain.errors import ContractRevert
from plimsoll.model import words
from plimsoll.model.word import Word, WordError, layout

LIBRARIES = ["Cast", "FixedMath", "FundingMath", "PricingMath", "SideMath", "MarginMath", "InterestMath"]
LIBRARIES += ["LiquidationMath"]
# Words that a function of the contracts packs from all their fields in this order.
PACKED = [name for name in STATE if name != "AccountWord"] + ["Spot", "Trend", "SecondaryWord", "StateWord"]
PACKED += ["QueueWord", "RulesWord"]
# Words that name all their values when one does not fit; the others name the value and its bits.
OWN_ERROR = {"Spot": "SpotOutOfRange", "Trend": "TrendOutOfRange", "StateWord": "StateOutOfRange"}
OFF_CHAIN = {"sub", "tag"}


def harness_of(name: str, state_words: Harness, config_words: Harness) -> Harness:
    return config_words if name in CONFIG else state_words


def snake(name: str) -> str:
    spelled = {"rMax": "r_max", "vMax": "v_max", "l1Fee": "l1_fee"}
    return spelled.get(name, re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower())


def test_every_function_of_the_libraries_is_within_reach(
    maths: Harness, state_words: Harness, config_words: Harness
) -> None:
    """A function added to a library or word type without a test entry point is found here."""
    entries = {item["name"] for harness in (maths, state_words, config_words) for item in harness.contract.abi}
    outputs = {
        output["name"]
        for harness in (state_words, config_words)
        for item in harness.contract.abi
        for output in item.get("outputs", [])
    } | {"priceTime"}
    root = repository_root() / "contracts"
    missing = []
    for path in [*root.glob("types/*.sol"), *(root / "libraries" / f"{name}.sol" for name in LIBRARIES)]:
        for library, body in re.findall(r"^library (\w+) \{\n(.*?)^\}", path.read_text(), re.DOTALL | re.MULTILINE):
            for fn in re.findall(r"function (\w+)\(", body):
                names = {fn, f"{fn}{library.removesuffix('Lib')}"}
                if not names & (entries | outputs):
                    missing.append(f"{library}.{fn}")
    assert missing == []


def test_every_record_is_tested() -> None:
    declared = {name for name in words.__all__ if isinstance(getattr(words, name), type)}
    records = {name for name in declared if issubclass(getattr(words, name), Word)} - {"Word"}
    assert records == {*STATE, *CONFIG, *IDS}


@pytest.mark.parametrize("name", [*STATE, *CONFIG, *IDS])
def test_fields_do_not_overlap_and_fit_the_word(name: str) -> None:
    taken = 0
    for place in layout(record(name)):
        mask = (1 << place.bits) - 1 << place.shift
        assert mask < 1 << 256
        assert taken & mask == 0, f"{name}.{place.name} overlaps another field"
        taken |= mask


@pytest.mark.parametrize("name", [*STATE, *CONFIG, *IDS])
def test_every_field_round_trips_at_its_extremes(name: str) -> None:
    """INV-39."""
    for one in examples(name):
        assert type(one).unpack(one.pack()) == one


@pytest.mark.parametrize("name", [*STATE, *CONFIG, *IDS])
def test_one_beyond_a_field_is_refused(name: str) -> None:
    """INV-39."""
    kind = record(name)
    for place in layout(kind):
        if place.address:
            for bad in ("0x" + "f" * 41, "0x12", "", 0, None):
                with pytest.raises(WordError):
                    kind(**{place.name: bad}).pack()
            continue
        for value in beyond(place):
            with pytest.raises(WordError, match=place.name):
                kind(**{place.name: value}).pack()
        for bad in (1.0 * place.scale, "1", None):
            with pytest.raises(WordError):
                kind(**{place.name: bad}).pack()
        if place.scale > 1:
            with pytest.raises(WordError, match="multiple"):
                kind(**{place.name: place.scale + 1}).pack()


@pytest.mark.parametrize("name", [*STATE, *CONFIG, *IDS])
def test_accessors_on_chain_read_every_field(name: str, state_words: Harness, config_words: Harness) -> None:
    harness = harness_of(name, state_words, config_words)
    listed = examples(name)
    fields = {place.name for place in layout(record(name))}
    results = harness.many(f"unpack{name}", [(one.pack(),) for one in listed])
    for one, result in zip(listed, results, strict=True):
        values = result._asdict() if hasattr(result, "_asdict") else {"priceTime": result}
        read = {snake(key): value for key, value in values.items()}
        derived = read.keys() - fields
        assert fields - read.keys() <= OFF_CHAIN, "a field has no accessor on chain"
        for key in read.keys() & fields:
            assert read[key] == getattr(one, key), f"{name}.{key}"
        for key in derived:
            assert read[key] == getattr(one, key), f"{name}.{key} (derived)"


@pytest.mark.parametrize("name", PACKED)
def test_packing_on_chain_gives_the_same_word(name: str, state_words: Harness, config_words: Harness) -> None:
    harness = harness_of(name, state_words, config_words)
    kind = record(name)
    fn = f"pack{name}"

    def mirror(*values: Any) -> int:
        return kind(*values).pack()

    rows = [tuple(getattr(one, place.name) for place in layout(kind)) for one in examples(name)]
    harness.check(fn, mirror, rows)
    for index, place in enumerate(layout(kind)):
        if place.address or place.name == "head":
            continue
        for value in beyond(place):
            if value < 0 and not place.signed:
                continue
            zero = [words.ZERO_ADDRESS if p.address else 0 for p in layout(kind)]
            values = (*zero[:index], value, *zero[index + 1 :])
            (result,) = harness.many(fn, [values])
            assert isinstance(result, ContractRevert), f"{name} took {place.name} = {value}"
            if name in OWN_ERROR:
                assert result.name == OWN_ERROR[name]
                assert result.values[index] == value
            else:
                assert result.name == ("IntOutOfRange" if place.signed else "UintTooLarge")
                assert result.values == (value // place.scale, place.bits)


@given(st.integers(0, 2**256 - 1), st.sampled_from([*STATE, *CONFIG]))
def test_any_word_unpacks_and_packs_to_its_fields(word: int, name: str) -> None:
    """INV-39."""
    kind = record(name)
    mask = 0
    for place in layout(kind):
        mask |= (1 << place.bits) - 1 << place.shift
    one = kind.unpack(word)
    if any(p.most is not None and getattr(one, p.name) > p.most for p in layout(kind)):
        with pytest.raises(WordError):
            one.pack()
    else:
        assert one.pack() == word & mask
