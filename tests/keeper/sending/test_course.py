"""The ordinary course: sent, in the journal before, landed, settled."""

from __future__ import annotations

from tests.keeper.sending.stage import Stage, intent, played

from plimsoll.keeper.sending.intent import Result, Settlement


@played
async def test_an_intent_is_sent_lands_and_is_settled(stage: Stage) -> None:
    keeper = await stage.keeper()
    (outcome,) = await keeper.sends(intent(1))
    assert outcome.valuation is not None
    assert outcome.valuation.value > 0
    assert keeper.statuses() == [(0, "broadcast")]
    assert keeper.manager.busy == {"liquidate:1@1", "account:1"}
    await stage.mine()
    assert stage.is_liquidated(1)
    (settled,) = keeper.settled
    assert (settled.settlement, settled.tx_hash, settled.nonce) == (Settlement.LANDED, outcome.tx_hash, 0)
    assert settled.cost_wei == keeper.manager.spent > 0
    assert keeper.manager.busy == frozenset()
    assert keeper.statuses() == [(0, "landed")]


@played
async def test_several_are_under_way_in_order(stage: Stage) -> None:
    keeper = await stage.keeper()
    outcomes = await keeper.sends(*(intent(number) for number in range(5)))
    assert [outcome.nonce for outcome in outcomes] == [0, 1, 2, 3, 4]
    again = await keeper.manager.submit(intent(3))
    assert again.result is Result.BUSY
    other = await keeper.manager.submit(intent(3, version=2))
    assert other.result is Result.BUSY
    await stage.mine()
    assert [settled.settlement for settled in keeper.settled] == [Settlement.LANDED] * 5
    assert all(stage.is_liquidated(number) for number in range(5))
