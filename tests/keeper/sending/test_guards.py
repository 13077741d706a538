"""Budgets, breakers and memory of failures."""

from __future__ import annotations

from typing import Any

import pytest
from tests.keeper.sending.stage import ETHER, GWEI, intent

from plimsoll.keeper.sending.fees import Fees
from plimsoll.keeper.sending.guards import GuardLimits, Guards, Tried

FEES = Fees(10 * GWEI, GWEI)
"""With them the intent costs 0.0005 ether, 0.001 at most."""


def refuses(guards: Guards, **now: Any) -> str:
    usual = {
        "block": 100,
        "time": 10_000,
        "balance": ETHER,
        "reserved": 0,
        "in_flight": 0,
        "pending_cost": 0,
        "spent": 0,
    }
    return guards.refuses(intent(1), FEES, **(usual | now))


@pytest.mark.parametrize(
    ("limits", "now", "reason"),
    [
        (GuardLimits(min_balance=2 * ETHER), {}, "below the least"),
        (GuardLimits(), {"balance": 10**15 - 1}, "are free; send ether"),
        (GuardLimits(), {"balance": ETHER, "reserved": ETHER - 10**15 + 1}, "are free; send ether"),
        (GuardLimits(gas_budget=10**15), {"spent": 5 * 10**14 + 1}, "budget of 1000000000000000 wei an hour"),
        (GuardLimits(gas_budget=10**15), {"pending_cost": 5 * 10**14 + 1}, "under way"),
        (GuardLimits(job_budgets={"liquidate": 10**14}), {}, "budget of liquidate"),
        (GuardLimits(max_in_flight=3), {"in_flight": 3}, "3 transactions are under way"),
    ],
)
def test_a_limit_refuses_and_says_what_to_do(limits: GuardLimits, now: dict[str, int], reason: str) -> None:
    assert reason in refuses(Guards(limits), **now)


@pytest.mark.parametrize(
    ("limits", "now"),
    [
        (GuardLimits(), {"balance": 10**15}),
        (GuardLimits(gas_budget=10**15), {"spent": 5 * 10**14}),
        (GuardLimits(job_budgets={"liquidate": 5 * 10**14}), {}),
        (GuardLimits(max_in_flight=3), {"in_flight": 2}),
    ],
)
def test_at_its_limit_it_is_sent(limits: GuardLimits, now: dict[str, int]) -> None:
    assert refuses(Guards(limits), **now) == ""


def test_a_job_that_keeps_failing_pauses_and_may_probe_later() -> None:
    guards = Guards(GuardLimits(max_reverts=100, job_reverts=3, probe_after=10))
    for block in (50, 51, 52):
        assert refuses(guards, block=block) == ""
        guards.failed("liquidate", block)
    assert "it pauses" in refuses(guards, block=61)
    assert guards.paused(61) == {"liquidate": 3}
    assert refuses(guards, block=62) == ""
    guards.probes("liquidate")
    assert "it pauses" in refuses(guards, block=62), "one probe at a time"
    guards.failed("liquidate", 63)
    assert "it pauses" in refuses(guards, block=72)
    assert refuses(guards, block=73) == ""
    guards.succeeded("liquidate")
    assert guards.paused(73) == {}


def test_failures_of_all_jobs_in_a_row_stop_everything_until_reset() -> None:
    guards = Guards(GuardLimits(max_reverts=3, job_reverts=100))
    guards.failed("liquidate", 1)
    guards.succeeded("orders")
    for job in ("strike", "orders", "liquidate"):
        assert not guards.tripped
        guards.failed(job, 2)
    assert guards.tripped
    assert "3 transactions in a row reverted" in refuses(guards, block=10**9)
    guards.reset()
    assert refuses(guards) == ""


def test_a_lost_race_is_no_failure() -> None:
    guards = Guards(GuardLimits(max_reverts=1))
    guards.excused("liquidate")
    assert not guards.tripped


def test_what_was_spent_is_forgotten_after_an_hour_and_undone_by_a_reorg() -> None:
    guards = Guards(GuardLimits())
    spending = guards.spending
    spending.add(1, 10, 1_000, "liquidate", 5, 0)
    spending.add(2, 20, 2_000, "liquidate", 7, 3)
    spending.add(3, 21, 2_100, "orders", 11, 0)
    assert (spending.of_job("liquidate", 0), spending.of_job("liquidate", 1_001), spending.lost(0)) == (12, 7, 3)
    spending.undo(20)
    assert spending.of_job("orders", 0) == 0
    spending.forget(2_000)
    assert spending.of_job("liquidate", 0) == 7


def test_what_failed_is_not_tried_again_before_its_mark_or_fee_changes() -> None:
    tried = Tried(most=3)
    tried.note(["a@1"])
    tried.note(["b@1"], fee_bucket=7)
    assert tried.among(["a@1", "b@1", "c@1"], 7, 10**6) == {"a@1", "b@1"}
    assert tried.among(["a@1", "b@1"], 8, 1) == {"a@1"}
    assert tried.among(["a@2"], 7, 1) == frozenset()
    tried.forget(["a@1"])
    assert tried.among(["a@1"], 7, 1) == frozenset()
    tried.note(["d", "e", "f"])
    assert tried.among(["b@1"], 7, 1) == frozenset(), "the oldest are forgotten first"


def test_what_may_pass_is_tried_again_after_ever_more_blocks() -> None:
    tried = Tried()
    block, pauses = 100, []
    for _ in range(10):
        tried.pause(["a"], block)
        start = block
        while tried.among(["a"], 7, block):
            block += 1
        pauses.append(block - start)
    assert pauses == [5, 10, 20, 40, 80, 160, 320, 640, 640, 640]
