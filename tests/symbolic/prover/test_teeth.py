"""Properties can fail: seeded bugs refute them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.symbolic.prover.mutants import GROUPS
from tools.prove.properties import ROOT, Property, all_properties
from tools.prove.run import build, run_contract

COPIED = ("contracts", "tests/symbolic", "foundry.toml")
LINKED = ("node_modules", "tools")
LEAST_PART = 3


def by_name() -> dict[str, Property]:
    return {f"{item.contract}.{item.name}": item for item in all_properties()}


def mutated(number: int) -> Path:
    """A copy of what is proved, with the bugs of a group."""
    copy = ROOT / "build" / "prove" / "mutants" / str(number)
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir(parents=True)
    for name in COPIED:
        source = ROOT / name
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, copy / name)
        else:
            shutil.copy(source, copy / name)
    for name in LINKED:
        (copy / name).symlink_to(ROOT / name)
    for mutant in GROUPS[number]:
        path = copy / "contracts" / mutant.file
        text = path.read_text(encoding="utf-8")
        assert text.count(mutant.old) == 1, f"{mutant.file} has no single: {mutant.old}"
        path.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
    return copy


@pytest.mark.parametrize("number", range(len(GROUPS)))
def test_seeded_bugs_refute_their_properties(number: int) -> None:
    known = by_name()
    wanted = [known[name] for mutant in GROUPS[number] for name in mutant.refutes]
    copy = mutated(number)
    for folder in sorted({item.folder for item in wanted}):
        build(folder, copy)
    ends: dict[str, str] = {}
    for contract in sorted({item.contract for item in wanted}):
        items = [item for item in wanted if item.contract == contract]
        ends |= {f"{contract}.{r.property.name}": r.end for r in run_contract(contract, items, copy, 60)}
    assert {name: end for name, end in ends.items() if end != "REFUTED"} == {}


def test_a_third_of_the_properties_is_seen_to_fail() -> None:
    refuted = {name for group in GROUPS for mutant in group for name in mutant.refutes}
    assert refuted <= by_name().keys()
    assert len(refuted) * LEAST_PART >= len([item for item in all_properties() if not item.open])
