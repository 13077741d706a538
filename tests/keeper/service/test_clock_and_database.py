"""The service beside a clock that leaps, and on a database that refuses for a while."""

from __future__ import annotations

import sqlite3
import time
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from tests.keeper.service.conftest import Hire
from tests.keeper.service.stage import FALLEN, is_below, leveraged, ordered, rounds
from tests.support.faults.proxy import FaultProxy
from tests.support.keepers import Employed
from tests.support.protocol import Protocol
from tests.support.running import Running

from plimsoll.keeper.operations.status import Phase
from plimsoll.keeper.storage.errors import DatabaseFullError

LEAP = 600


def test_f9_a_wall_clock_that_leaps_changes_no_byte_of_what_is_sent(
    protocol: Protocol, hire: Hire, monkeypatch: pytest.MonkeyPatch
) -> None:
    leveraged(protocol)
    plain, real = [], time.time
    for leaps in ((0,), (LEAP,), (-LEAP,), (LEAP, -LEAP, 0)):
        turn = cycle(leaps)
        monkeypatch.setattr(time, "time", lambda turn=turn: real() + next(turn))
        with protocol.snapshot(), FaultProxy(protocol.anvil.url) as proxy:
            ordered(protocol)
            keeper = hire(through=proxy)
            keeper.tick()
            protocol.set_price("ETH", FALLEN)
            rounds(protocol, 3, keeper)
            plain.append([one.hash for one in proxy.sent])
            keeper.close()
    assert len(plain[0]) >= 2
    assert plain == [plain[0]] * len(plain)


def test_f11_a_locked_database_is_waited_for_and_nothing_is_lost(protocol: Protocol, tmp_path: Path) -> None:
    path = tmp_path / "keeper.sqlite"
    account = leveraged(protocol)
    with FaultProxy(protocol.anvil.url) as proxy:
        # A lease so short that it runs out meanwhile: nobody else can have taken it.
        options: dict[str, Any] = {"database": path, "ha.lease": "1"}
        with Running(protocol.deployment, proxy.url, **options) as running:
            running.wait_to_follow()
            other = sqlite3.connect(path, isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            protocol.set_price("ETH", FALLEN)
            running.wait_for(lambda: running.said("next try in"))
            assert proxy.sent == [], "what cannot be written down is not sent"
            other.execute("ROLLBACK")
            other.close()
            running.wait_for(lambda: not is_below(protocol, account))
            running.wait_for(lambda: sum(running.total.liquidated.values()) == 1)
            assert running.said("the database takes what is written again")
        assert running.error is None
        assert len(proxy.sent) == 1


def fill(protocol: Protocol, keeper: Employed) -> None:
    """Gives a keeper ever new accounts to write down."""
    for turn in range(40):
        for sub in range(3):
            protocol.deposit(protocol.account(protocol.lp, sub=3 * turn + sub), "1")
        keeper.tick(collect=False)


def test_f11_on_a_full_disk_nothing_is_sent_and_later_everything_is(
    protocol: Protocol, proxy: FaultProxy, hire: Hire, tmp_path: Path
) -> None:
    account = leveraged(protocol)
    keeper = hire(database=tmp_path / "keeper.sqlite")
    keeper.tick()
    database = keeper.keeper.parts.repository.journal._database
    pages = database.query("PRAGMA page_count")[0][0]
    database.run(f"PRAGMA max_page_count = {pages}")
    protocol.set_price("ETH", FALLEN)
    with pytest.raises(DatabaseFullError) as caught:
        fill(protocol, keeper)
    assert caught.value.passes
    sent = len(proxy.sent)
    with pytest.raises(DatabaseFullError):
        keeper.tick(collect=False)
    assert len(proxy.sent) == sent
    database.run("PRAGMA max_page_count = 1000000")
    rounds(protocol, 4, keeper)
    assert not is_below(protocol, account)
    assert keeper.keeper.status().halts == ()
    assert keeper.keeper.parts.auditor.status.mismatches == 0


def test_a_standby_outlives_a_leader_that_holds_the_database_itself(
    protocol: Protocol, hire: Hire, proxy: FaultProxy, tmp_path: Path
) -> None:
    """As one that was stopped inside a write."""
    path = tmp_path / "keeper.sqlite"
    leader = hire(database=path, **{"ha.enabled": True, "ha.lease": 60})
    leader.tick()
    options: dict[str, Any] = {"database": path, "ha.enabled": True, "ha.lease": 1}
    with Running(protocol.deployment, proxy.url, **options) as standby:
        standby.wait_for(lambda: standby.service.phase is Phase.STANDBY)
        writer = sqlite3.connect(path, isolation_level=None)
        writer.execute("BEGIN IMMEDIATE")
        standby.wait_for(lambda: standby.said("trying again"))
        assert standby.service.phase is Phase.STANDBY
        writer.execute("ROLLBACK")
        writer.close()
        leader.close()
        standby.wait_to_follow()
    assert standby.error is None
