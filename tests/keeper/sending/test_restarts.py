"""Reorganisations, processes that are killed, nonces with gaps, dry runs, and who may send at all."""

from __future__ import annotations

from typing import Any

import pytest
from tests.keeper.sending.stage import ARENA, CHAIN_ID, GWEI, TRAP, Keeper, Stage, intent, played
from tests.support.faults.kinds import Sends

from plimsoll.chain.errors import NodeUnavailable
from plimsoll.keeper.node.rpc import Rpc
from plimsoll.keeper.sending.answers import Answer
from plimsoll.keeper.sending.fees import FeePolicy, Fees
from plimsoll.keeper.sending.intent import Result, Settlement
from plimsoll.keeper.sending.options import SendingOptions
from plimsoll.keeper.sending.policy import Patience
from plimsoll.keeper.sending.routes import Routes
from plimsoll.keeper.sending.signing import KeySigner, UnlockedSigner
from plimsoll.keeper.storage.errors import LeaseLostError

QUICK = SendingOptions(patience=Patience(replace_after=3, resend_after=1, give_up_after=20))


class Killed(BaseException):
    """The process ends here."""


def kill_before_broadcast(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    async def die(*_: object) -> Answer:
        raise Killed

    monkeypatch.setattr(keeper.routes, "send", die)


def kill_after_broadcast(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    send = keeper.routes.send

    async def die(*arguments: Any) -> Answer:
        await send(*arguments)
        raise Killed

    monkeypatch.setattr(keeper.routes, "send", die)


@played
async def test_what_landed_and_was_reorganised_away_is_sent_again_as_it_was(stage: Stage) -> None:
    keeper = await stage.keeper(QUICK)
    outcomes = await keeper.sends(intent(1), intent(2))
    await stage.mine(2)
    assert [settled.settlement for settled in keeper.settled] == [Settlement.LANDED] * 2
    spent = keeper.manager.spent
    keeper.settled.clear()
    await stage.reorg(2)
    assert not stage.is_liquidated(1)
    assert keeper.manager.spent == 0
    assert keeper.manager.busy >= {"liquidate:1@1", "liquidate:2@1"}
    await stage.mine()
    assert [settled.tx_hash for settled in keeper.settled] == [outcome.tx_hash for outcome in outcomes]
    assert stage.is_liquidated(1)
    assert len(keeper.journal()) == 2
    assert keeper.manager.spent == pytest.approx(spent, rel=0.5)


@pytest.mark.parametrize("depth", [1, 5, 30])
@played
async def test_a_reorganisation_of_any_depth_ends_with_each_landed_once(stage: Stage, depth: int) -> None:
    keeper = await stage.keeper(QUICK)
    for number in range(4):
        await keeper.sends(intent(number))
        await stage.mine(depth // 4 + 1)
    await stage.reorg(min(depth, 4 * (depth // 4 + 1)))
    await stage.mine(3)
    assert all(stage.is_liquidated(number) for number in range(4))
    assert [one["status"] for one in stage.mined(keeper)] == ["0x1"] * 4
    assert keeper.manager.in_flight() == []


@played
async def test_a_reorganisation_during_a_send_loses_nothing(stage: Stage) -> None:
    keeper = await stage.keeper(QUICK)
    await keeper.sends(intent(1))
    await stage.mine()
    await keeper.sends(intent(2))
    await stage.reorg(1)
    await keeper.sends(intent(3))
    await stage.mine(2)
    assert [number for number in (1, 2, 3) if stage.is_liquidated(number)] == [1, 2, 3]
    assert stage.nonce(keeper) == 3


@played
async def test_a_restart_after_blocks_were_rolled_back_sends_again(stage: Stage) -> None:
    keeper = await stage.keeper(QUICK)
    (outcome,) = await keeper.sends(intent(1))
    await stage.mine()
    number = stage.header().number
    stage.chain.rpc.request("anvil_reorg", [1, []])
    stage.proxy.mempool.clear()
    # The blocks were undone in the database, and the process ended before the manager was told.
    keeper.repository.journal.reorged(number - 1)
    keeper = await stage.restart(keeper)
    await stage.mine()
    assert [settled.tx_hash for settled in keeper.settled] == [outcome.tx_hash]


@played
async def test_killed_between_journal_and_broadcast_it_is_sent_once_as_it_was(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = await stage.keeper(QUICK)
    kill_before_broadcast(keeper, monkeypatch)
    with pytest.raises(Killed):
        await keeper.manager.submit(intent(1))
    assert stage.proxy.total_sends == 0
    (entry,) = keeper.journal()
    assert (entry.status, entry.nonce) == ("intended", 0)
    keeper = await stage.restart(keeper)
    assert {sent.hash for sent in stage.proxy.sent} == {entry.tx_hash}
    assert (await keeper.manager.submit(intent(1))).result is Result.BUSY
    await stage.mine()
    assert [settled.tx_hash for settled in keeper.settled] == [entry.tx_hash]
    assert keeper.settled[0].intent == intent(1)
    assert len(keeper.journal()) == 1


@played
async def test_killed_after_broadcast_it_is_found_where_it_landed(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = await stage.keeper(QUICK)
    kill_after_broadcast(keeper, monkeypatch)
    with pytest.raises(Killed):
        await keeper.manager.submit(intent(1))
    await stage.mine(tell=False)
    keeper = await stage.restart(keeper)
    assert [settled.settlement for settled in keeper.settled] == [Settlement.LANDED]
    assert len(stage.mined(keeper)) == 1
    assert keeper.manager.in_flight() == []


@played
async def test_killed_while_replacing_both_are_known_after_the_restart(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = await stage.keeper(QUICK)
    stage.proxy.sends = Sends.HOLD
    await keeper.sends(intent(1))
    await stage.mine(2)
    kill_before_broadcast(keeper, monkeypatch)
    with pytest.raises(Killed):
        await stage.mine()
    assert keeper.statuses() == [(0, "broadcast"), (0, "intended")]
    stage.proxy.sends = Sends.PASS
    stage.proxy.release()
    await stage.mine(tell=False)
    keeper = await stage.restart(keeper)
    assert keeper.statuses() == [(0, "landed"), (0, "replaced")]
    assert [settled.settlement for settled in keeper.settled] == [Settlement.LANDED]


@played
async def test_too_late_after_a_restart_it_is_cancelled(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    keeper = await stage.keeper(QUICK)
    kill_before_broadcast(keeper, monkeypatch)
    with pytest.raises(Killed):
        await keeper.manager.submit(intent(1, deadline_block=stage.header().number + 1))
    await stage.mine(3, tell=False)
    keeper = await stage.restart(keeper)
    await stage.mine()
    assert [settled.settlement for settled in keeper.settled] == [Settlement.CANCELLED]
    assert not stage.is_liquidated(1)


@played
async def test_a_gap_between_nonces_is_filled_at_the_start(stage: Stage) -> None:
    keeper = await stage.keeper(QUICK)
    stage.proxy.sends = Sends.HOLD
    await keeper.sends(intent(1), intent(2), intent(3))
    stage.proxy.drop_held()
    stage.proxy.sends = Sends.PASS
    # The first entry is lost, as if the journal had been restored from a copy.
    keeper.repository.journal.set(1, "abandoned")
    keeper = await stage.restart(keeper)
    await stage.mine()
    assert stage.nonce(keeper) == 3
    assert not stage.is_liquidated(1)
    assert stage.is_liquidated(2)
    assert stage.is_liquidated(3)
    (gap,) = (settled for settled in keeper.settled if settled.intent.job == "gap")
    assert (gap.nonce, gap.settlement) == (0, Settlement.CANCELLED)


@played
async def test_pending_transactions_of_a_stranger_are_left_alone_at_the_start(stage: Stage) -> None:
    key = stage.key()
    for nonce in range(2):
        signed = await KeySigner(key, CHAIN_ID).sign(nonce, Fees(5 * GWEI, GWEI), 21_000, key.address, b"", 0)
        stage.chain.rpc.request("eth_sendRawTransaction", ["0x" + signed.raw.hex()])
    keeper = await stage.keeper(QUICK, key=key)
    (outcome,) = await keeper.sends(intent(1))
    assert outcome.nonce == 2
    stage.chain.rpc.request("anvil_dropAllTransactions")
    stage.proxy.mempool.clear()
    await stage.mine(3)
    assert stage.is_liquidated(1), "the gap that a stranger's dropped transactions leave is filled"


@played
async def test_a_dry_run_decides_everything_and_sends_nothing(stage: Stage) -> None:
    options = SendingOptions(dry_run=True, patience=QUICK.patience)
    keeper = await stage.keeper(options)
    for number in range(3):
        outcome = await keeper.manager.submit(intent(number))
        assert outcome.result is Result.WOULD_SEND
        assert outcome.valuation is not None
        assert outcome.valuation.value > 0
        assert outcome.tx_hash is None
        await stage.mine()
    poor = await keeper.manager.submit(intent(9, worth_wei=1))
    assert poor.result is Result.UNPROFITABLE
    assert keeper.journal() == []
    assert stage.proxy.total_sends == 0
    assert not {name for name in stage.proxy.counts if "send" in name.lower()}


@played
async def test_a_dry_run_on_a_journal_with_work_leaves_it_alone(stage: Stage) -> None:
    keeper = await stage.keeper(QUICK)
    stage.proxy.sends = Sends.HOLD
    await keeper.sends(intent(1))
    sent = stage.proxy.total_sends
    keeper = await stage.restart(keeper, SendingOptions(dry_run=True))
    await stage.mine(3)
    assert keeper.statuses() == [(0, "broadcast")]
    assert stage.proxy.total_sends == sent


@played
async def test_without_the_lease_nothing_leaves(stage: Stage) -> None:
    keeper = await stage.keeper(QUICK)
    keeper.repository.lease.acquire("somebody else", 600)
    grant = keeper.repository.lease.grant
    assert grant is not None
    await keeper.sends(intent(1))
    keeper.repository.lease.release()
    with pytest.raises(LeaseLostError):
        await keeper.manager.submit(intent(2))
    assert len({sent.hash for sent in stage.proxy.sent}) == 1


@played
async def test_a_leader_that_was_paused_between_journal_and_broadcast_sends_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = await stage.keeper(QUICK)
    add = keeper.repository.journal.add

    def paused(entry: Any) -> int:
        written = add(entry)
        lease = keeper.repository.lease
        monkeypatch.setattr(lease, "clock", lambda: lease.grant.until)
        return written

    monkeypatch.setattr(keeper.repository.journal, "add", paused)
    with pytest.raises(LeaseLostError):
        await keeper.manager.submit(intent(1))
    assert stage.proxy.total_sends == 0
    assert keeper.statuses() == [(0, "intended")]


@pytest.mark.parametrize("deeper", [0, 2])
@played
async def test_a_reorganisation_that_nobody_told_of_is_survived(stage: Stage, deeper: int) -> None:
    keeper = await stage.keeper(QUICK)
    await keeper.sends(intent(1))
    await stage.mine()
    await keeper.sends(intent(2))
    await stage.mine(3 + deeper)
    stage.chain.rpc.request("anvil_reorg", [4 + deeper, []])
    stage.proxy.mempool.clear()
    if deeper:
        stage.chain.mine()
    await stage.tell()
    assert len(keeper.named("disorder")) == 1
    await stage.mine(3)
    assert stage.is_liquidated(1)
    assert stage.is_liquidated(2)
    assert stage.nonce(keeper) == 2
    assert keeper.manager.in_flight() == []


@played
async def test_the_same_block_may_be_told_twice(stage: Stage) -> None:
    keeper = await stage.keeper(QUICK)
    await keeper.sends(intent(1))
    await stage.mine()
    await stage.tell()
    assert len(keeper.settled) == 1
    assert keeper.named("disorder") == []


@played
async def test_a_start_that_fails_may_be_repeated(stage: Stage) -> None:
    keeper = await stage.keeper(QUICK)
    stage.chain.rpc.request("anvil_setStorageAt", [TRAP, "0x0", f"0x{1:064x}"])
    await keeper.sends(intent(1, to=TRAP))
    await stage.mine()
    await keeper.sends(intent(2))
    keeper = await stage.restart(keeper, start=False)
    stage.proxy.down = True
    for _ in range(3):
        with pytest.raises(NodeUnavailable):
            await keeper.start()
    stage.proxy.down = False
    await keeper.start()
    assert keeper.manager.guards.all.failures == 1
    await stage.mine()
    assert stage.is_liquidated(2)


@played
async def test_closing_finishes_what_is_in_hand_and_takes_no_more(stage: Stage) -> None:
    keeper = await stage.keeper(QUICK)
    await keeper.sends(intent(1))
    await keeper.manager.close()
    assert (await keeper.manager.submit(intent(2))).result is Result.BLOCKED
    assert keeper.statuses() == [(0, "broadcast")]


@played
async def test_an_operator_cancels_a_transaction(stage: Stage) -> None:
    keeper = await stage.keeper(QUICK)
    (outcome,) = await keeper.sends(intent(1))
    assert outcome.entry is not None
    cancelled = await keeper.manager.cancel(outcome.entry)
    assert cancelled is not None
    assert cancelled.result is Result.SENT
    assert await keeper.manager.cancel(999) is None
    await stage.mine()
    assert [settled.settlement for settled in keeper.settled] == [Settlement.CANCELLED]
    assert not stage.is_liquidated(1)


@played
async def test_a_ceiling_leaves_room_to_cancel(stage: Stage) -> None:
    options = SendingOptions(fees=FeePolicy(ceiling=3 * GWEI), patience=QUICK.patience)
    keeper = await stage.keeper(options)
    (outcome,) = await keeper.sends(intent(1, urgent=True))
    assert outcome.entry is not None
    cancelled = await keeper.manager.cancel(outcome.entry)
    assert cancelled is not None
    assert cancelled.result is Result.SENT


@played
async def test_routes_lead_to_private_nodes_first_and_to_all_later(stage: Stage) -> None:
    keeper = await stage.keeper(SendingOptions(patience=Patience(replace_after=1, resend_after=1, give_up_after=20)))
    private = Rpc(stage.proxy.url)
    straight = Rpc(stage.chain.url)
    routes = Routes([straight], [private], ("private", "public"))
    keeper.manager._desk._routes = routes
    stage.proxy.sends = Sends.DROP
    await keeper.sends(intent(1))
    assert len(stage.proxy.sent) == 1
    await stage.mine(2)
    assert stage.is_liquidated(1), "what the private node dropped went by the public one"
    await private.close()
    await straight.close()


@played
async def test_multi_send_needs_one_node_that_takes_it(stage: Stage) -> None:
    keeper = await stage.keeper(QUICK)
    straight = Rpc(stage.chain.url)
    keeper.manager._desk._routes = Routes([keeper.rpc, straight], order=("multi",))
    stage.proxy.send_errors[:] = ["internal error"]
    await keeper.sends(intent(1))
    await stage.mine()
    assert stage.is_liquidated(1)
    await straight.close()


@played
async def test_an_unlocked_account_of_a_development_node_signs_too(stage: Stage) -> None:
    keeper = await stage.keeper(QUICK)
    signer = UnlockedSigner(keeper.rpc, stage.chain.rpc.request("eth_accounts")[3], CHAIN_ID)
    signed = await signer.sign(0, Fees(3 * GWEI, GWEI), 100_000, ARENA, (5).to_bytes(32, "big"), 0)
    assert stage.chain.rpc.request("eth_sendRawTransaction", ["0x" + signed.raw.hex()]) == signed.tx_hash
    await stage.mine()
    assert stage.is_liquidated(5)
