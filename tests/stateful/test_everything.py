"""Everything that a person can do, in any order, on specification and chain at once.

After each step the outcome (with the exact error), every storage word that should have changed, and every invariant
are compared. At the end all of storage is, and then everybody leaves (INV-40).

Invariants with code in `plimsoll.fuzz.invariants`: INV-01, INV-02, INV-03, INV-04, INV-05, INV-06, INV-07,
INV-08, INV-09, INV-11, INV-12, INV-13, INV-14, INV-15, INV-16, INV-20, INV-22, INV-23, INV-24, INV-25,
INV-26, INV-27, INV-28, INV-29, INV-32, INV-33, INV-36, INV-37, INV-38, INV-39.

Somebody who has nothing tries random selectors with random call data, and changes nothing (INV-32). In the worlds of 2,
6 and 8 decimals tokens take fees, refuse holders or refuse everything (INV-35); in that of 18 they call back at every
transfer, and whatever they call while the lock is held changes nothing (INV-34).
"""

from __future__ import annotations

import pytest
from hypothesis.stateful import run_state_machine_as_test
from tests.support.machine import machine
from tests.support.worlds import DECIMALS, examples

from plimsoll.fuzz.invariants.closing import CLOSED


@pytest.mark.parametrize("decimals", DECIMALS)
def test_specification_and_chain_agree_whatever_is_done(decimals: int) -> None:
    made = machine(decimals)
    run_state_machine_as_test(made, settings=examples(14))
    # A run without trades and liquidations would have shown nothing.
    closed = sum(made.seen[f"liquidate: {one.name}"] for one in CLOSED)
    assert made.seen["execute_orders: FILLED"] >= 20, made.seen
    assert closed >= 1, made.seen
