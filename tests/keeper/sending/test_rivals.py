"""F7: a twin keeper, a hostile outbidder, and what happens when somebody else is faster."""

from __future__ import annotations

from tests.keeper.sending.stage import ARENA, ETHER, GWEI, TRAP, Keeper, Stage, intent, played
from tests.support.faults.kinds import Sends

from plimsoll.keeper.sending.fees import Fees
from plimsoll.keeper.sending.guards import GuardLimits
from plimsoll.keeper.sending.intent import Result, Settlement
from plimsoll.keeper.sending.options import SendingOptions
from plimsoll.keeper.sending.policy import Patience
from plimsoll.keeper.sending.signing import KeySigner

QUICK = SendingOptions(patience=Patience(replace_after=2, resend_after=1, give_up_after=20))


async def outbid(stage: Stage, key: object, number: int, fees: Fees, nonce: int) -> str:
    """A rival's transaction about an account, straight to the node."""
    signer = KeySigner(key, 31337)  # type: ignore[arg-type]
    signed = await signer.sign(nonce, fees, 100_000, ARENA, number.to_bytes(32, "big"), 0)
    return str(stage.chain.rpc.request("eth_sendRawTransaction", ["0x" + signed.raw.hex()]))


def reverts(stage: Stage, *keepers: Keeper) -> int:
    return sum(one["status"] == "0x0" for keeper in keepers for one in stage.mined(keeper))


@played
async def test_twins_waste_at_most_one_revert_for_each_account_and_do_not_loop(stage: Stage) -> None:
    one = await stage.keeper(QUICK, name="one")
    other = await stage.keeper(QUICK, name="other")
    contested = [intent(number, urgent=True) for number in range(8)]
    for _ in range(6):
        for keeper in (one, other):
            for number, wanted in enumerate(contested):
                # What a mirror says of the head.
                if not stage.is_liquidated(number) and not wanted.keys & keeper.manager.busy:
                    await keeper.manager.submit(wanted)
        await stage.mine()
    assert all(stage.is_liquidated(number) for number in range(8))
    assert reverts(stage, one, other) <= 8
    for keeper in (one, other):
        assert keeper.manager.in_flight() == []
        assert len(stage.mined(keeper)) <= 8
        lost = [settled for settled in keeper.settled if settled.settlement is Settlement.REVERTED]
        assert {settled.cause for settled in lost} <= {"lost race"}
        assert not keeper.manager.guards.tripped
        assert keeper.manager.guards.paused(stage.header().number) == {}


@played
async def test_a_hostile_outbidder_makes_the_keeper_pay_no_more_than_the_worth(stage: Stage) -> None:
    keeper = await stage.keeper(QUICK)
    rival = stage.key()
    stage.proxy.sends = Sends.HOLD
    worth = 2 * 10**14
    await keeper.sends(intent(1, worth_wei=worth, urgent=True))
    for _ in range(8):
        await stage.mine()
    offered = [Fees(sent.max_fee, sent.tip) for sent in stage.proxy.sent]
    limit = keeper.manager._fleet.terms(intent(1, worth_wei=worth)).break_even()
    assert max(fees.max_fee for fees in offered) <= limit
    await outbid(stage, rival, 1, Fees(10 * limit, 9 * limit), 0)
    stage.proxy.sends = Sends.PASS
    stage.proxy.release()
    await stage.mine()
    (settled,) = keeper.settled
    assert (settled.settlement, settled.cause) == (Settlement.REVERTED, "lost race")
    assert "NothingOnSale" in settled.reason
    for _ in range(4):
        outcome = await keeper.manager.submit(intent(1, worth_wei=worth, urgent=True))
        assert outcome.result is Result.TRIED
        await stage.mine()
    assert reverts(stage, keeper) == 1
    assert settled.cost_wei < worth


@played
async def test_somebody_faster_is_answered_by_cancelling_if_that_is_cheaper(stage: Stage) -> None:
    keeper = await stage.keeper(QUICK)
    rival = stage.key()
    stage.proxy.sends = Sends.HOLD
    await keeper.sends(intent(1))
    await outbid(stage, rival, 1, Fees(5 * GWEI, 2 * GWEI), 0)
    await stage.mine()
    keeper.manager.revalue("liquidate:1@1", 0)
    await stage.mine()
    assert [flight.is_cancel for flight in keeper.manager.in_flight()] == [True]
    stage.proxy.sends = Sends.PASS
    stage.proxy.release()
    await stage.mine()
    (settled,) = keeper.settled
    assert settled.settlement is Settlement.CANCELLED
    assert settled.gas_used == 21_000
    assert reverts(stage, keeper) == 0


@played
async def test_what_is_withdrawn_is_cancelled(stage: Stage) -> None:
    keeper = await stage.keeper(QUICK)
    stage.proxy.sends = Sends.HOLD
    await keeper.sends(intent(1))
    keeper.manager.withdraw("liquidate:1@1")
    await stage.mine()
    stage.proxy.sends = Sends.PASS
    stage.proxy.release()
    await stage.mine()
    assert [settled.settlement for settled in keeper.settled] == [Settlement.CANCELLED]
    await keeper.sends(intent(1))
    await stage.mine()
    assert stage.is_liquidated(1), "it was withdrawn, not forbidden"


@played
async def test_somebody_faster_is_left_alone_where_cancelling_is_dearer(stage: Stage) -> None:
    keeper = await stage.keeper(QUICK)
    stage.proxy.sends = Sends.HOLD
    await keeper.sends(intent(1, expected_gas=22_000))
    keeper.manager.revalue("liquidate:1@1", 0)
    await stage.mine(2)
    assert [flight.is_cancel for flight in keeper.manager.in_flight()] == [False]


@played
async def test_twins_with_one_key_share_the_nonces_without_a_fight(stage: Stage) -> None:
    one = await stage.keeper(QUICK, name="one")
    twin = await stage.keeper(QUICK, name="twin", key=one.key)
    for number in range(4):
        await one.manager.submit(intent(number))
        await twin.manager.submit(intent(number + 10))
        await stage.mine()
    await stage.mine(4)
    done = [number for number in (*range(4), *range(10, 14)) if stage.is_liquidated(number)]
    assert done == [*range(4), *range(10, 14)]
    assert len(stage.mined(one)) == 8
    assert len(stage.proxy.sent) < 40
    assert one.manager.in_flight() == twin.manager.in_flight() == []


@played
async def test_unexpected_reverts_pause_the_job_and_then_stop_everything(stage: Stage) -> None:
    limits = GuardLimits(max_reverts=3, job_reverts=2, probe_after=5)
    keeper = await stage.keeper(SendingOptions(limits=limits, patience=QUICK.patience))
    stage.chain.rpc.request("anvil_setStorageAt", [TRAP, "0x0", "0x" + "00" * 31 + "01"])
    for number in (1, 2):
        await keeper.sends(intent(number, to=TRAP))
        await stage.mine()
    assert {settled.cause for settled in keeper.settled} == {"our bug"}
    assert (await keeper.manager.submit(intent(3))).result is Result.BLOCKED
    await keeper.sends(intent(3, job="orders"))
    await stage.mine()
    assert keeper.settled[-1].settlement is Settlement.LANDED
    await stage.mine(5)
    for number in (4, 5, 6):
        await keeper.sends(intent(number, to=TRAP, job=f"job {number}"))
        await stage.mine()
    assert keeper.manager.guards.tripped
    outcome = await keeper.manager.submit(intent(7, job="orders"))
    assert (outcome.result, "in a row reverted" in outcome.reason) == (Result.BLOCKED, True)
    again = await stage.restart(keeper)
    assert again.manager.guards.tripped, "a restart forgets nothing"
    again.manager.guards.reset()
    await again.sends(intent(7, job="orders"))


@played
async def test_the_budget_of_an_hour_holds_over_a_restart_and_comes_back(stage: Stage) -> None:
    keeper = await stage.keeper(QUICK)
    await keeper.sends(intent(1))
    await stage.mine()
    spent = keeper.manager.spent
    assert spent == keeper.settled[0].cost_wei
    tight = SendingOptions(limits=GuardLimits(gas_budget=spent + 1), patience=QUICK.patience)
    keeper = await stage.restart(keeper, tight)
    outcome = await keeper.manager.submit(intent(2))
    assert (outcome.result, "budget" in outcome.reason) == (Result.BLOCKED, True)
    head = stage.header().time
    stage.chain.set_next_timestamp(head + 3_700)
    await stage.mine()
    outcome = await keeper.manager.submit(intent(2))
    assert "budget" in outcome.reason, "one transaction may cost more than the whole budget"
    keeper = await stage.restart(keeper, SendingOptions(limits=GuardLimits(gas_budget=ETHER // 1000)))
    await keeper.sends(intent(2))
