"""Symbolic properties say what they state and within which bounds, and docs/verification.md lists each of them."""

from __future__ import annotations

import json
from pathlib import Path

from tools.prove import document, properties
from tools.prove.records import Records, fingerprint, imports, source

from tests.conventions.repository import ROOT


def test_properties_are_found_by_file_and_by_contract() -> None:
    found = properties.all_properties()
    assert len(found) >= 40
    assert len({(item.contract, item.name) for item in found}) == len(found)
    assert {item.folder for item in found} == {"libraries", "modules"}


def test_every_property_has_a_statement_and_a_bound() -> None:
    wrong = [item.name for item in properties.all_properties() if not item.statement or not item.bound]
    assert wrong == []


def test_every_check_function_is_a_property() -> None:
    for path in sorted(properties.FOLDER.glob("*/*.t.sol")):
        source = path.read_text(encoding="utf-8")
        assert len(properties.read(source)) == source.count("function check_"), path.name


def test_the_document_lists_every_property_as_it_is() -> None:
    text = " ".join((ROOT / "docs" / "verification.md").read_text(encoding="utf-8").split())
    for item in properties.all_properties():
        head = " ".join(" ".join(document.entry(item, 0)).split()).rpartition(" *0.0 s*")[0]
        assert head in text, f"{item.name}: run make prove ARGS=--document"


def test_every_property_has_a_fingerprint_of_its_own() -> None:
    found = properties.all_properties()
    assert len({fingerprint(item) for item in found}) == len(found)


def test_a_proof_depends_on_what_its_file_imports_and_on_nothing_else() -> None:
    names = {path.name for path in imports(source("HealthProofs", "modules"))}
    assert {"LiquidationModule.sol", "Ledger.sol", "SideMath.sol", "FixedMath.sol", "Symbolic.sol"} < names
    assert not {"SolvencyModule.sol", "OrderBook.sol"} & names
    assert [path.name for path in imports(source("FundingProofs", "libraries"))] == [
        "Cast.sol",
        "FixedMath.sol",
        "FundingMath.sol",
        "Symbolic.sol",
    ]


def test_a_proof_is_on_record_only_for_the_code_that_was_proved(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    one, other = properties.all_properties()[:2]
    Records(path).add(one, 1.5)
    assert Records(path).seconds(one) == 1.5
    assert Records(path).seconds(other) is None
    kept = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({name: ["another code", 1.5] for name in kept}), encoding="utf-8")
    assert Records(path).seconds(one) is None
    Records(path).drop(one)
    assert json.loads(path.read_text(encoding="utf-8")) == {}
