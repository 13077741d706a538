"""The search misses no account that is below its line, whatever happened, and names hardly any other."""

from __future__ import annotations

from collections import Counter

import numpy as np
from tests.support.verdicts import Feeder, drive, mirror_of, observe_all

from plimsoll.fuzz.session import Session, Step
from plimsoll.keeper.book import Search, confirm


def test_no_account_below_its_line_is_missed(session: Session) -> None:
    seen: Counter[str] = Counter()
    searches: dict[int, Search] = {}

    def compare(feeder: Feeder, step: Step) -> None:
        mirror = feeder.mirror
        search = searches.get(id(mirror))
        if search is None:
            searches.clear()
            search = searches[id(mirror)] = Search(mirror)
        for wait in (0, 7, 4_000):
            observations = observe_all(session.state, step.time + wait)
            found = set(mirror.ids(search.candidates(observations)))
            below = {one.account for one in confirm(mirror, mirror.accounts.ids, observations) if one.below}
            assert below <= found
            if feeder.steps % 7 == 0:
                fresh = Search(mirror_of(session.state))
                assert found == set(fresh.mirror.ids(fresh.candidates(observations)))
            seen["below"] += len(below)
            seen["named"] += len(found)

    feeder = Feeder(session, compare)
    for number in range(4):
        drive(feeder, 5, number)
    assert seen["below"] > 5
    # The others are healthy by deviating sources only, or cannot be valued.
    assert seen["named"] < 1.5 * seen["below"], seen


def test_standing_is_that_of_the_exact_verdicts(session: Session) -> None:
    seen: Counter[str] = Counter()

    def compare(feeder: Feeder, step: Step) -> None:
        if feeder.steps % 5:
            return
        mirror = feeder.mirror
        observations = observe_all(session.state, step.time)
        standing = Search(mirror).standing(observations)
        verdicts = confirm(mirror, mirror.ids(standing.rows), observations)
        for verdict, equity, required in zip(verdicts, standing.equity, standing.required, strict=True):
            if verdict.deviated or verdict.unreadable:
                continue
            assert np.isclose(equity, verdict.equity / 1e18, rtol=1e-9, atol=1e-3)
            assert np.isclose(required, verdict.required / 1e18, rtol=1e-9, atol=1e-3) or not verdict.required
            seen["compared"] += 1

    feeder = Feeder(session, compare)
    for number in range(8):
        drive(feeder, 6, number)
    assert seen["compared"] > 50
