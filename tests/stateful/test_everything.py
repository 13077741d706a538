"""Everything that a person can do, in any order, on specification and chain at once.

After each step the outcome (with the exact error), every storage word that should have changed, and every invariant
are compared. At the end all of storage is, and then everybody leaves.
"""

from __future__ import annotations

import pytest
from hypothesis.stateful import run_state_machine_as_test
from tests.support.machine import machine
from tests.support.worlds import DECIMALS, examples


@pytest.mark.parametrize("decimals", DECIMALS)
def test_specification_and_chain_agree_whatever_is_done(decimals: int) -> None:
    run_state_machine_as_test(machine(decimals), settings=examples(12))
