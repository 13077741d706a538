"""Jobs that fail, accounts that spoil a batch, and passes that must send nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from tests.keeper.service.conftest import Hire
from tests.keeper.service.stage import FALLEN, is_below, leveraged, ordered, rounds
from tests.support.faults.proxy import FaultProxy
from tests.support.protocol import Protocol

from plimsoll.chain.contract import Call
from plimsoll.keeper.actions import Action
from plimsoll.keeper.jobs.base import Moment
from plimsoll.keeper.node.headers import Header
from plimsoll.keeper.service.breaker import JobBreaker
from plimsoll.model.words import PositionWord


class Broken:
    """A job with a mistake in it, until it is mended."""

    name = "broken"

    def __init__(self) -> None:
        self.mended = False
        self.tried = 0

    async def decide(self, moment: Moment) -> Sequence[Action]:
        """Raises."""
        self.tried += 1
        if not self.mended:
            raise ZeroDivisionError(f"at block {moment.head.number}")
        return []


def test_k48_a_job_that_raises_does_not_stop_the_others_and_its_breaker_opens(
    protocol: Protocol, hire: Hire, lines: list[str]
) -> None:
    account = leveraged(protocol)
    keeper, broken = hire(), Broken()
    keeper.tick()
    passes = keeper.keeper.parts.passes
    passes.jobs = (broken, *passes.jobs)
    passes.breakers["broken"] = JobBreaker("broken", limit=3, pause_blocks=6)
    protocol.set_price("ETH", FALLEN)
    order = ordered(protocol)
    rounds(protocol, 3, keeper)
    assert not is_below(protocol, account)
    assert protocol.position_word(order, "ETH").shares == 10**18
    rounds(protocol, 2, keeper)
    assert broken.tried == 3
    (breaker,) = [one for one in keeper.keeper.status().breakers if one.name == "broken"]
    assert (breaker.open, breaker.failures) == (True, 3)
    assert any("broken failed (3 in a row): ZeroDivisionError" in line for line in lines)
    assert any("broken is left alone for 6 blocks; the others go on" in line for line in lines)
    broken.mended = True
    rounds(protocol, 7, keeper)
    (breaker,) = [one for one in keeper.keeper.status().breakers if one.name == "broken"]
    assert (breaker.open, breaker.failures) == (False, 0)
    assert broken.tried > 3


def test_f14_one_poisoned_account_shields_nobody(protocol: Protocol, proxy: FaultProxy, hire: Hire) -> None:
    accounts = [leveraged(protocol, sub) for sub in range(5)]
    poisoned = accounts[2]
    position = protocol.position_word(poisoned, "ETH")
    # More shares than its whole side: its health can be told, closing it cannot be done.
    word = PositionWord(position.shares * 100, position.entry, position.last_event).pack()
    slot = protocol.reader.slots.at("positions_", poisoned, 0)
    address = protocol.clearinghouse.address
    protocol.rpc.request("anvil_setStorageAt", [address, f"0x{slot:064x}", f"0x{word:064x}"])
    protocol.set_price("ETH", FALLEN)
    keeper = hire(**{"audit.every": 0})
    report = keeper.tick()
    assert (sum(report.liquidated.values()), report.reverts) == (4, 0)
    assert [is_below(protocol, one) for one in accounts] == [one == poisoned for one in accounts]
    sends = len(proxy.sent)
    rounds(protocol, 5, keeper)
    assert len(proxy.sent) == sends, "not tried again as it is"


def test_a_dry_run_decides_everything_and_sends_nothing(
    protocol: Protocol, proxy: FaultProxy, hire: Hire, lines: list[str]
) -> None:
    account, order = leveraged(protocol), ordered(protocol)
    protocol.set_price("ETH", FALLEN)
    keeper = hire(dry_run=True)
    report = keeper.tick()
    assert report.simulated >= 2
    rounds(protocol, 3, keeper)
    assert proxy.total_sends == 0
    assert proxy.counts["eth_call"] > 0
    assert is_below(protocol, account)
    assert protocol.position_word(order, "ETH").shares == 0
    said = [line for line in lines if "would be sent (dry run)" in line]
    assert {line.split()[1] for line in said} >= {"liquidate:", "orders:"}


@pytest.mark.parametrize("lies", [1, 9])
def test_an_audit_believes_a_difference_that_it_reads_twice(
    protocol: Protocol, hire: Hire, lines: list[str], monkeypatch: pytest.MonkeyPatch, lies: int
) -> None:
    leveraged(protocol)
    keeper = hire()
    keeper.tick()
    chain, left = keeper.keeper.parts.passes.chain, [lies]
    ask = chain.ask

    async def lying(calls: Sequence[Call], head: Header) -> list[Any]:
        answers = await ask(calls, head)
        if calls and calls[0][1] == "healthBatch" and left[0]:
            left[0] -= 1
            equity, required, newest = answers[0]
            answers[0] = ([one + 1 for one in equity], required, newest)
        return answers

    monkeypatch.setattr(chain, "ask", lying)
    protocol.anvil.mine()
    keeper.tick()
    halted = keeper.keeper.status().halts
    assert bool(halted) == (lies > 1)
    assert any("the node contradicted itself" in line for line in lines) == (lies == 1)
    assert (keeper.keeper.status().audit.mismatches > 0) == (lies > 1)
