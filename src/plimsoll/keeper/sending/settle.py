"""The end of a nonce: journal, guards, and what is told about each intent that was signed for it."""

from __future__ import annotations

from plimsoll.chain.errors import Revert, RpcError
from plimsoll.chain.receipt import ErrorRegistry
from plimsoll.keeper.sending.confirm import Receipt
from plimsoll.keeper.sending.desk import Desk, Report
from plimsoll.keeper.sending.fleet import Fleet
from plimsoll.keeper.sending.intent import Settled, Settlement
from plimsoll.keeper.sending.lanes import Attempt, Lane, Slot
from plimsoll.keeper.sending.ports import Node
from plimsoll.keeper.sending.simulate import Call, Cause, cause_of
from plimsoll.keeper.sending.value import Objective

__all__ = ["Settler"]


class Settler:
    """Closes slots."""

    def __init__(self, fleet: Fleet, desk: Desk, node: Node, errors: ErrorRegistry | None, report: Report) -> None:
        self._report = report
        self._fleet = fleet
        self._desk = desk
        self._node = node
        self._errors = errors if errors is not None else ErrorRegistry()

    async def mined(self, lane: Lane, slot: Slot, receipt: Receipt, time: int) -> list[Settled]:
        """One of ours used the nonce. `time` is the block's."""
        winner = slot.by_hash(receipt.tx_hash)
        intent = winner.intent
        cause, reason = (None, "") if receipt.ok else await self._cause(lane.sender, winner, receipt)
        paid = receipt.cost + (intent.value_wei if receipt.ok and not winner.cancels else 0)
        loss = 0
        if intent.bad_debt_wei and self._fleet.options.objective is Objective.SOLVENCY and not winner.cancels:
            loss = max(paid - self._fleet.terms(intent).expected_reward, 0)
        facts = {"loss": loss, "cause": cause.value if cause is not None else ""}
        self._desk.ended(winner, receipt.ok, receipt.block, time, paid, **facts)
        for attempt in slot.attempts:
            if attempt != winner:
                mine = attempt.intent.key == intent.key and winner.cancels
                self._desk.mark(attempt, "cancelled" if mine and not attempt.cancels else "replaced")
        self._fleet.guards.spending.add(winner.entry, receipt.block, time, intent.job, paid, loss)
        self._judge(winner, receipt, cause)
        lane.settle(slot.nonce, winner.tx_hash, receipt.block)
        told = []
        for key, other in slot.intents.items():
            if key != intent.key:
                told.append(Settled(other, Settlement.REPLACED, slot.nonce, winner.tx_hash, receipt.block))
                continue
            ended = Settlement.LANDED if receipt.ok else Settlement.REVERTED
            told.append(
                Settled(
                    other,
                    Settlement.CANCELLED if winner.cancels else ended,
                    slot.nonce,
                    winner.tx_hash,
                    receipt.block,
                    receipt.gas_used,
                    paid,
                    cause.value if cause is not None else "",
                    reason,
                )
            )
        self._forget(slot)
        return [self._tell(one) for one in told]

    def foreign(self, lane: Lane, slot: Slot, block: int, reason: str) -> list[Settled]:
        """A transaction that is not ours used the nonce."""
        for attempt in slot.attempts:
            self._desk.mark(attempt, "abandoned")
            self._fleet.guards.excused(attempt.intent.job)
        lane.settle(slot.nonce, "", block)
        self._forget(slot)
        return self._abandoned(slot, block, reason)

    def unsent(self, lane: Lane, slot: Slot, reason: str) -> list[Settled]:
        """Nothing of the slot ever left this process, and nothing of it is wanted any more."""
        for attempt in slot.attempts:
            self._desk.mark(attempt, "abandoned")
            self._fleet.guards.excused(attempt.intent.job)
            lane.drop(attempt.entry)
        self._forget(slot)
        return self._abandoned(slot, None, reason)

    def _abandoned(self, slot: Slot, block: int | None, reason: str) -> list[Settled]:
        return [
            self._tell(Settled(intent, Settlement.ABANDONED, slot.nonce, "", block, reason=reason))
            for intent in slot.intents.values()
        ]

    def _judge(self, winner: Attempt, receipt: Receipt, cause: Cause | None) -> None:
        """What it says about the job, and about another try."""
        guards, intent = self._fleet.guards, winner.intent
        if winner.cancels:
            guards.excused(intent.job)
        elif receipt.ok:
            guards.succeeded(intent.job)
            guards.tried.forget(intent.tries)
        else:
            if cause is Cause.LOST_RACE and intent.marks:
                # What somebody else has done cannot be done again in the same version, whatever it pays.
                guards.tried.note(intent.marks)
            else:
                guards.tried.pause(intent.tries, receipt.block)
            if cause is not None and cause.is_innocent:
                guards.excused(intent.job)
            else:
                guards.failed(intent.job, receipt.block)

    def _forget(self, slot: Slot) -> None:
        for key in slot.intents:
            self._fleet.worths.pop(key, None)
            self._fleet.withdrawn.discard(key)

    async def _cause(self, sender: str, winner: Attempt, receipt: Receipt) -> tuple[Cause, str]:
        """Whose doing a revert is: the same call on top of its block tells, what was in its way being there still."""
        intent = winner.intent
        call = Call(sender, intent.to, intent.data, intent.gas, intent.value_wei).fields()
        try:
            await self._node.request("eth_call", [call, {"blockHash": receipt.block_hash}])
        except RpcError as error:
            revert: Revert | None = self._errors.from_rpc(error)
            if revert is None:
                return Cause.OUR_BUG, f"its cause cannot be read: {error.message}"
            return cause_of(revert), str(revert)
        if receipt.gas_used >= intent.gas:
            return Cause.OUR_BUG, "it ran out of gas"
        return Cause.OUR_BUG, "on top of its block the same call succeeds"

    def _tell(self, settled: Settled) -> Settled:
        """Reports the end of an intent."""
        self._report(
            settled.settlement.value,
            {
                "intent": settled.intent.key,
                "job": settled.intent.job,
                "trace": settled.intent.trace,
                "nonce": settled.nonce,
                "tx": settled.tx_hash,
                "block": settled.block,
                "gas": settled.gas_used,
                "cost": settled.cost_wei,
                "cause": settled.cause,
                "reason": settled.reason,
            },
        )
        return settled
