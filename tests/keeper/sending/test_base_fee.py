"""F6: the base fee twenty times as high, and back. Worth decides what is done about it."""

from __future__ import annotations

from tests.keeper.sending.stage import ETHER, GWEI, Keeper, Stage, intent, played

from plimsoll.keeper.sending.intent import Result, Settlement
from plimsoll.keeper.sending.options import SendingOptions
from plimsoll.keeper.sending.policy import Patience
from plimsoll.keeper.sending.value import Objective

QUICK = SendingOptions(patience=Patience(replace_after=2, resend_after=1, give_up_after=30))
CHEAP = 3 * 10**14
"""Worth that pays for gas at 1 gwei and not at 20."""
DEAR = ETHER // 10


async def spike(stage: Stage, gwei: int = 20) -> None:
    """A block of that base fee; the next one's is an eighth lower, since it is empty."""
    stage.set_base_fee(gwei * GWEI)
    await stage.mine()
    assert stage.header().base_fee == gwei * GWEI


def caps(keeper: Keeper) -> list[int]:
    return [flight.max_fee for flight in keeper.manager.in_flight()]


@played
async def test_what_is_worth_it_follows_a_spike_and_lands_in_it(stage: Stage) -> None:
    keeper = await stage.keeper(QUICK)
    await keeper.sends(intent(1, worth_wei=DEAR))
    await spike(stage)
    assert keeper.settled == []
    assert caps(keeper)[0] > 17 * GWEI
    await stage.mine()
    (settled,) = keeper.settled
    assert settled.settlement is Settlement.LANDED
    assert settled.cost_wei < DEAR * 9 // 10


@played
async def test_what_is_not_worth_it_waits_and_lands_when_the_fee_is_back(stage: Stage) -> None:
    keeper = await stage.keeper(QUICK)
    (outcome,) = await keeper.sends(intent(1, worth_wei=CHEAP))
    before = caps(keeper)
    await spike(stage)
    await stage.mine(3)
    assert caps(keeper) == before, "nothing is paid above its worth"
    stage.set_base_fee(GWEI)
    await stage.mine(2)
    (settled,) = keeper.settled
    assert (settled.settlement, settled.tx_hash) == (Settlement.LANDED, outcome.tx_hash)
    assert settled.cost_wei < CHEAP


@played
async def test_nothing_is_begun_at_a_price_above_its_worth(stage: Stage) -> None:
    keeper = await stage.keeper(QUICK)
    await spike(stage)
    outcome = await keeper.manager.submit(intent(1, worth_wei=CHEAP))
    assert outcome.result is Result.UNPROFITABLE
    assert outcome.valuation is not None
    assert outcome.valuation.value < 0
    assert stage.proxy.total_sends == 0
    stage.set_base_fee(GWEI)
    await stage.mine()
    await keeper.sends(intent(1, worth_wei=CHEAP))


@played
async def test_a_worthier_intent_takes_the_nonce_of_one_that_a_spike_has_stuck(stage: Stage) -> None:
    keeper = await stage.keeper(QUICK)
    await keeper.sends(intent(1, worth_wei=CHEAP), intent(2, worth_wei=CHEAP))
    await spike(stage)
    assert keeper.settled == []
    (dear,) = await keeper.sends(intent(3, worth_wei=DEAR))
    assert dear.nonce == 0
    assert (await keeper.manager.submit(intent(1, worth_wei=CHEAP))).result is Result.BUSY
    await stage.mine()
    ends = {settled.intent.key: settled.settlement for settled in keeper.settled}
    assert ends == {"liquidate:3@1": Settlement.LANDED, "liquidate:1@1": Settlement.REPLACED}
    assert not stage.is_liquidated(1)
    stage.set_base_fee(GWEI)
    await stage.mine(2)
    assert stage.is_liquidated(2), "handed over again, since Anvil forgets what cannot pay its base fee"
    await keeper.sends(intent(1, worth_wei=CHEAP))
    await stage.mine()
    assert stage.is_liquidated(1)


@played
async def test_a_higher_worth_of_the_same_thing_replaces_what_is_stuck(stage: Stage) -> None:
    keeper = await stage.keeper(QUICK)
    await keeper.sends(intent(1, worth_wei=CHEAP))
    await spike(stage)
    (again,) = await keeper.sends(intent(1, version=2, worth_wei=DEAR))
    assert again.nonce == 0
    await stage.mine()
    ends = {settled.intent.key: settled.settlement for settled in keeper.settled}
    assert ends == {"liquidate:1@2": Settlement.LANDED, "liquidate:1@1": Settlement.REPLACED}


@played
async def test_more_worth_raises_what_is_under_way(stage: Stage) -> None:
    keeper = await stage.keeper(QUICK)
    await keeper.sends(intent(1, worth_wei=CHEAP))
    await spike(stage)
    keeper.manager.revalue("liquidate:1@1", DEAR)
    await stage.mine(2)
    assert [settled.settlement for settled in keeper.settled] == [Settlement.LANDED]


@played
async def test_what_is_too_late_is_cancelled_only_where_that_is_cheaper_than_landing(stage: Stage) -> None:
    keeper = await stage.keeper(QUICK)
    deadline = stage.header().number + 1
    stage.set_base_fee(2 * GWEI)
    await keeper.sends(intent(1, worth_wei=CHEAP, deadline_block=deadline))
    await spike(stage)
    await stage.mine()
    assert not any(flight.is_cancel for flight in keeper.manager.in_flight()), "it costs nothing where it is"
    stage.set_base_fee(GWEI)
    stage.chain.rpc.request("anvil_dropAllTransactions")
    await stage.mine()
    assert [flight.is_cancel for flight in keeper.manager.in_flight()] == [True]
    await stage.mine()
    assert [settled.settlement for settled in keeper.settled] == [Settlement.CANCELLED]


@played
async def test_a_stuck_one_that_is_too_late_makes_way_for_those_behind_it(stage: Stage) -> None:
    keeper = await stage.keeper(QUICK)
    deadline = stage.header().number + 1
    await keeper.sends(intent(1, worth_wei=CHEAP, deadline_block=deadline), intent(2, worth_wei=DEAR))
    await spike(stage)
    await stage.mine()
    assert [settled.settlement for settled in keeper.settled] == [Settlement.CANCELLED, Settlement.LANDED]


@played
async def test_for_solvency_a_loss_is_accepted_up_to_the_budget(stage: Stage) -> None:
    options = SendingOptions(objective=Objective.SOLVENCY, patience=QUICK.patience)
    keeper = await stage.keeper(options)
    await spike(stage)
    threatens = intent(1, worth_wei=CHEAP, bad_debt_wei=ETHER)
    (outcome,) = await keeper.sends(threatens)
    assert outcome.valuation is not None
    assert outcome.valuation.terms.allowance == options.limits.solvency_budget
    await stage.mine()
    (settled,) = keeper.settled
    assert settled.cost_wei > CHEAP
    lost = keeper.manager.guards.spending.lost(0)
    assert lost == settled.cost_wei - CHEAP * 9 // 10
    left = keeper.manager._fleet.terms(intent(2, bad_debt_wei=ETHER)).allowance
    assert left == options.limits.solvency_budget - lost


@played
async def test_a_duty_costs_no_more_than_its_limit(stage: Stage) -> None:
    keeper = await stage.keeper(QUICK)
    limit = QUICK.limits.duty_wei
    await keeper.sends(intent(1, worth_wei=None))
    await stage.mine()
    assert 0 < keeper.settled[0].cost_wei < limit
    await spike(stage, 300)
    outcome = await keeper.manager.submit(intent(2, worth_wei=None))
    assert outcome.result is Result.UNPROFITABLE
