"""F5: transactions that are never mined, dropped, already known, too low in nonce or fee. Anvil behind geth's rules."""

from __future__ import annotations

from itertools import pairwise

import pytest
from tests.keeper.sending.stage import GWEI, Stage, intent, played
from tests.support.faults.kinds import Sends, TransportFaults

from plimsoll.keeper.sending.fees import FeePolicy, Fees
from plimsoll.keeper.sending.guards import GuardLimits
from plimsoll.keeper.sending.intent import Result, Settlement
from plimsoll.keeper.sending.options import SendingOptions
from plimsoll.keeper.sending.policy import Patience

QUICK = SendingOptions(patience=Patience(replace_after=2, resend_after=1, give_up_after=9))


def fees_of(stage: Stage) -> list[Fees]:
    """Of all raw transactions that came to the proxy, each once, in order."""
    found: dict[str, Fees] = {one.hash: Fees(one.max_fee, one.tip) for one in stage.proxy.sent}
    return list(found.values())


@played
async def test_what_is_never_mined_is_paid_more_by_the_rule_of_geth_then_cancelled(stage: Stage) -> None:
    keeper = await stage.keeper(QUICK)
    stage.proxy.sends = Sends.HOLD
    await keeper.sends(intent(1))
    await stage.mine(9)
    offered = fees_of(stage)
    assert len(offered) >= 4
    assert all(new.replaces(old) for old, new in pairwise(offered))
    limit = keeper.manager._fleet.terms(intent(1)).break_even()
    assert all(fees.max_fee <= limit for fees in offered[:-1])
    assert [flight.is_cancel for flight in keeper.manager.in_flight()] == [True]
    stage.proxy.sends = Sends.PASS
    stage.proxy.release()
    await stage.mine()
    assert [settled.settlement for settled in keeper.settled] == [Settlement.CANCELLED]
    assert not stage.is_liquidated(1)
    assert {status for _, status in keeper.statuses()} == {"cancelled", "landed"}
    assert len(stage.mined(keeper)) == 1


@played
async def test_what_pools_dropped_is_handed_over_again_as_it_was(stage: Stage) -> None:
    keeper = await stage.keeper(QUICK)
    stage.proxy.sends = Sends.DROP
    (outcome,) = await keeper.sends(intent(1))
    stage.proxy.sends = Sends.PASS
    await stage.mine(2)
    assert {one.hash for one in stage.proxy.sent} == {outcome.tx_hash}
    assert [settled.tx_hash for settled in keeper.settled] == [outcome.tx_hash]
    assert stage.is_liquidated(1)


@played
async def test_already_known_means_that_it_is_under_way(stage: Stage) -> None:
    keeper = await stage.keeper(QUICK)
    stage.proxy.send_errors[:] = ["already known"]
    await keeper.sends(intent(1))
    await stage.mine(2)
    assert [settled.settlement for settled in keeper.settled] == [Settlement.LANDED]


@played
async def test_an_answer_that_is_lost_may_mean_that_it_arrived(stage: Stage) -> None:
    keeper = await stage.keeper(QUICK)
    stage.proxy.lose_answers = 1
    (outcome,) = await keeper.sends(intent(1))
    await stage.mine()
    assert [(settled.settlement, settled.tx_hash) for settled in keeper.settled] == [
        (Settlement.LANDED, outcome.tx_hash)
    ]
    assert len(keeper.journal()) == 1


@played
async def test_a_nonce_that_a_stranger_used_is_given_up_and_the_next_one_taken(stage: Stage) -> None:
    keeper = await stage.keeper(QUICK)
    twin = await stage.keeper(key=keeper.key, name="twin", straight=True)
    await twin.sends(intent(7))
    await stage.mine(tell=False)
    (outcome,) = await keeper.sends(intent(1))
    assert outcome.nonce == 1
    assert keeper.statuses() == [(0, "abandoned"), (1, "broadcast")]
    await stage.mine()
    assert [settled.settlement for settled in keeper.settled] == [Settlement.LANDED]
    assert [one["status"] for one in stage.mined(keeper)] == ["0x1", "0x1"]


@played
async def test_nonce_too_low_from_a_node_that_contradicts_itself_changes_nothing(stage: Stage) -> None:
    keeper = await stage.keeper(QUICK)
    stage.proxy.send_errors[:] = ["nonce too low"]
    outcome = await keeper.manager.submit(intent(1))
    assert (outcome.result, outcome.nonce) == (Result.WAITING, 0)
    await stage.mine(2)
    assert [(settled.settlement, settled.nonce) for settled in keeper.settled] == [(Settlement.LANDED, 0)]
    assert len(keeper.journal()) == 1


@played
async def test_a_pending_transaction_that_is_not_ours_keeps_its_nonce(stage: Stage) -> None:
    keeper = await stage.keeper(QUICK)
    twin = await stage.keeper(key=keeper.key, name="twin", straight=True)
    (theirs,) = await twin.sends(intent(7, urgent=True))
    assert theirs.fees is not None
    stage.proxy.send_errors[:] = ["replacement transaction underpriced"]
    (outcome,) = await keeper.sends(intent(1))
    assert outcome.nonce == 1
    await stage.mine()
    assert stage.is_liquidated(7)
    assert stage.is_liquidated(1)
    assert [settled.nonce for settled in keeper.settled] == [1]


@played
async def test_underpriced_offers_more_within_the_worth(stage: Stage) -> None:
    keeper = await stage.keeper(QUICK)
    stage.proxy.send_errors[:] = ["transaction underpriced", "transaction underpriced"]
    (outcome,) = await keeper.sends(intent(1))
    offered = fees_of(stage)
    assert len(offered) == 3
    assert all(new.replaces(old) for old, new in pairwise(offered))
    assert {one.nonce for one in stage.proxy.sent} == {0}
    assert keeper.statuses() == [(0, "abandoned"), (0, "abandoned"), (0, "broadcast")]
    await stage.mine()
    assert [settled.tx_hash for settled in keeper.settled] == [outcome.tx_hash]


@played
async def test_what_stays_underpriced_is_refused_and_leaves_no_gap(stage: Stage) -> None:
    keeper = await stage.keeper(QUICK)
    stage.proxy.send_errors[:] = ["transaction underpriced"] * 4
    outcome = await keeper.manager.submit(intent(1))
    assert outcome.result is Result.REFUSED
    assert keeper.manager.in_flight() == []
    await stage.mine()
    (outcome,) = await keeper.sends(intent(2))
    assert outcome.nonce == 0
    await stage.mine()
    assert stage.is_liquidated(2)


@played
async def test_a_raise_that_a_pool_finds_too_low_is_raised_from_there(stage: Stage) -> None:
    keeper = await stage.keeper(QUICK)
    stage.proxy.sends = Sends.HOLD
    await keeper.sends(intent(1))
    await stage.mine(1)
    stage.proxy.send_errors[:] = ["replacement transaction underpriced"]
    await stage.mine(1)
    refused = fees_of(stage)[-1]
    await stage.mine(2)
    higher = fees_of(stage)[-1]
    assert higher.replaces(refused)
    assert [flight.nonce for flight in keeper.manager.in_flight()] == [0]


@played
async def test_no_ether_blocks_and_says_so(stage: Stage) -> None:
    keeper = await stage.keeper(QUICK)
    stage.proxy.send_errors[:] = ["insufficient funds for gas * price + value"]
    outcome = await keeper.manager.submit(intent(1))
    assert (outcome.result, outcome.reason) == (Result.BLOCKED, "insufficient funds for gas * price + value")
    assert keeper.manager.in_flight() == []
    stage.chain.set_balance(keeper.key.address, 10**14)
    await stage.mine()
    outcome = await keeper.manager.submit(intent(2))
    assert outcome.result is Result.BLOCKED
    assert "send ether" in outcome.reason
    assert stage.proxy.total_sends == 1


@played
async def test_what_no_node_takes_is_not_tried_again_at_once(stage: Stage) -> None:
    keeper = await stage.keeper(QUICK)
    stage.proxy.send_errors[:] = ["intrinsic gas too low"]
    outcome = await keeper.manager.submit(intent(1))
    assert outcome.result is Result.REFUSED
    again = await keeper.manager.submit(intent(1))
    assert (again.result, again.blocked) == (Result.TRIED, {"account:1@1"})
    await keeper.sends(intent(1, version=2))


@played
async def test_a_gap_left_by_a_refusal_is_taken_by_the_next_intent(stage: Stage) -> None:
    keeper = await stage.keeper(QUICK)
    stage.proxy.sends = Sends.HOLD
    keeper.manager._fleet.lanes[keeper.key.address].floor = 1
    await keeper.sends(intent(2))
    keeper.manager._fleet.lanes[keeper.key.address].floor = 0
    (outcome,) = await keeper.sends(intent(1))
    assert outcome.nonce == 0
    assert sorted(one.nonce for one in stage.proxy.sent) == [0, 1]


@played
async def test_without_a_node_it_waits_in_the_journal_and_leaves_as_soon_as_one_answers(stage: Stage) -> None:
    keeper = await stage.keeper(QUICK)
    stage.proxy.transport = TransportFaults(rate_limited=1.0, methods=frozenset(["eth_sendRawTransaction"]))
    outcome = await keeper.manager.submit(intent(1))
    assert outcome.result is Result.WAITING
    assert keeper.statuses() == [(0, "intended")]
    await stage.mine()
    stage.proxy.heal()
    await stage.mine(2)
    assert [settled.settlement for settled in keeper.settled] == [Settlement.LANDED]


@played
async def test_what_never_left_is_given_up_when_it_is_too_late(stage: Stage) -> None:
    keeper = await stage.keeper(QUICK)
    stage.proxy.transport = TransportFaults(rate_limited=1.0, methods=frozenset(["eth_sendRawTransaction"]))
    deadline = stage.header().number + 2
    await keeper.manager.submit(intent(1, deadline_block=deadline))
    await stage.mine(2)
    assert [settled.settlement for settled in keeper.settled] == [Settlement.ABANDONED]
    assert keeper.manager.in_flight() == []
    stage.proxy.heal()
    (outcome,) = await keeper.sends(intent(2))
    assert outcome.nonce == 0


@played
async def test_a_node_that_cannot_be_read_for_a_while_loses_nothing(stage: Stage) -> None:
    keeper = await stage.keeper(QUICK)
    await keeper.sends(intent(1))
    stage.proxy.down = True
    await stage.mine(2)
    assert keeper.settled == []
    assert len(keeper.named("unread")) == 2
    stage.proxy.down = False
    await stage.mine()
    assert [settled.settlement for settled in keeper.settled] == [Settlement.LANDED]


@played
async def test_with_a_third_of_all_requests_failing_everything_lands_once(stage: Stage) -> None:
    keeper = await stage.keeper(QUICK)
    stage.proxy.transport = TransportFaults(rate_limited=0.1, server_error=0.1, cut=0.1)
    for number in range(6):
        outcome = await keeper.manager.submit(intent(number))
        assert outcome.under_way
        await stage.mine()
    stage.proxy.heal()
    await stage.mine(3)
    ended = [(settled.intent.key, settled.settlement) for settled in keeper.settled]
    assert sorted(ended) == [(f"liquidate:{number}@1", Settlement.LANDED) for number in range(6)]
    assert [one["status"] for one in stage.mined(keeper)] == ["0x1"] * 6


@pytest.mark.parametrize("ceiling", [3 * GWEI, None])
@played
async def test_raises_never_exceed_ceiling_or_worth(stage: Stage, ceiling: int | None) -> None:
    options = SendingOptions(
        fees=FeePolicy(ceiling=ceiling),
        patience=Patience(replace_after=1, resend_after=1, give_up_after=100),
        limits=GuardLimits(),
    )
    keeper = await stage.keeper(options)
    stage.proxy.sends = Sends.HOLD
    one = intent(1, worth_wei=5 * 10**14)
    await keeper.sends(one)
    limit = min(keeper.manager._fleet.terms(one).break_even(), ceiling or 10**18)
    await stage.mine(15)
    offered = fees_of(stage)
    assert len(offered) > 2
    assert max(fees.max_fee for fees in offered) <= limit
    assert offered[-1].max_fee * 9 // 8 + 1 >= limit, "it goes as far as it may"
