"""Exact verdicts on a mirror fed by logs are the contracts' own, in every trouble that the fuzzer finds."""

from __future__ import annotations

from collections import Counter

from tests.support.book_rows import rows_of
from tests.support.verdicts import Feeder, ask_lens, drive, mirror_of, observe_all

from plimsoll.fuzz.session import Session, Step
from plimsoll.keeper.book import confirm
from plimsoll.keeper.book.mirror import Mirror
from plimsoll.keeper.rows import Kind


def exposed(mirror: Mirror) -> list[bytes]:
    """Accounts with a position or a debt."""
    found = []
    for account in mirror.accounts.ids:
        word = mirror.account(account)
        if word.markets or word.raw_cash < 0:
            found.append(account)
    return found


def test_confirm_equals_the_lens_to_the_wei(session: Session) -> None:
    seen: Counter[str] = Counter()

    def compare(feeder: Feeder, step: Step) -> None:
        accounts = exposed(feeder.mirror)
        for wait in (0, 7, 4_000):
            time = step.time + wait
            observations = observe_all(session.state, time)
            for verdict in confirm(feeder.mirror, accounts, observations):
                answer = ask_lens(session, [verdict.account], time)
                if answer is None:
                    assert verdict.unreadable
                    continue
                (mine,) = answer
                assert (verdict.equity, verdict.required, verdict.newest) == (mine.equity, mine.required, mine.newest)
                seen["below" if verdict.below else "healthy"] += 1
                seen["deviated"] += verdict.deviated
                seen["grace"] += verdict.grace

    feeder = Feeder(session, compare)
    for number in range(16):
        drive(feeder, 7, number)
    assert all(seen[name] for name in ("healthy", "below", "deviated", "grace")), seen


def test_rows_of_logs_leave_what_the_state_holds(session: Session) -> None:
    def compare(feeder: Feeder, _step: Step) -> None:
        loaded = mirror_of(session.state)
        mirror = feeder.mirror
        kinds = {Kind.ACCOUNT, Kind.POSITION, Kind.COLLATERAL}
        expected = {(kind, key): value for kind, key, value in rows_of(session.state) if kind in kinds}
        assert {(kind, key): value for kind, key, value in mirror.rows()} == expected
        for market, terms in loaded.market_terms.items():
            # Caps that the guardian lowered are in no row: the keeper does not use them.
            mine = mirror.market_terms[market]
            assert (mine.margin, mine.trade) == (terms.margin, terms.trade)
        for table in ("markets", "events", "epoch_ends", "pools", "pool_terms", "collaterals", "sales"):
            assert getattr(mirror, table) == getattr(loaded, table), table
        assert mirror.orders == loaded.orders

    feeder = Feeder(session, compare)
    for number in range(4):
        drive(feeder, 11, number)
    assert feeder.steps
