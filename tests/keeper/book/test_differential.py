"""A small run of the differential command: exact verdicts and search against the contracts, at the line too."""

from __future__ import annotations

from tests.bench.keeper_verdicts import Differential

from plimsoll.fuzz.session import Session


def test_verdicts_are_those_of_the_contracts(session: Session) -> None:
    differential = Differential(session, seed=3)
    differential.run(4_000)
    assert differential.missed == []
    assert differential.mismatches == []
    assert differential.seen["below"] > 500
    assert differential.seen["within 2 wei of the line"] > 500
    assert differential.seen["in debt"] > 100
    assert differential.seen["positions behind by an event"] > 20
