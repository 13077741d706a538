"""What is done at a new head about everything that no block has taken: wait, pay more, cancel, hand over again."""

from __future__ import annotations

import asyncio

from plimsoll.keeper.sending.desk import Report, gap_intent
from plimsoll.keeper.sending.fees import Fees, raised
from plimsoll.keeper.sending.fleet import Fleet
from plimsoll.keeper.sending.intent import Outcome, Settled
from plimsoll.keeper.sending.lanes import Lane, Slot
from plimsoll.keeper.sending.policy import Cancel, Keep, Raise, Situation, cancel_limit, cancel_offer, next_step
from plimsoll.keeper.sending.settle import Settler

__all__ = ["Course"]


class Course:
    """Keeps the open slots of all lanes moving."""

    def __init__(self, fleet: Fleet, settler: Settler, report: Report) -> None:
        self._fleet = fleet
        self._settler = settler
        self._report = report

    async def steps(self, *, again: bool = False) -> list[Settled]:
        """One step for each open slot; with `again` everything that is wanted is handed over again.

        :return: what is given up because it could not be handed over in time.
        """
        settled: list[Settled] = []
        work = []
        for lane in self._fleet.lanes.values():
            waiting = [slot for slot in lane.open if slot.nonce >= lane.nonce]
            for place, slot in enumerate(waiting):
                if slot.live.entry in self._fleet.in_hand:
                    continue
                wanted = self._fleet.is_wanted(slot)
                if not wanted and not any(attempt.sent for attempt in slot.attempts):
                    settled += self._settler.unsent(lane, slot, "it could not be handed over in time")
                    continue
                work.append(self._step(lane, slot, wanted, place == 0, place + 1 < len(waiting), again))
        for outcome in await asyncio.gather(*work, return_exceptions=True):
            if outcome is not None:
                raise outcome
        return settled

    async def _step(self, lane: Lane, slot: Slot, wanted: bool, first: bool, blocks: bool, again: bool) -> None:
        fleet, intent = self._fleet, slot.live.intent
        floor = lane.to_beat(slot.nonce)
        assert floor is not None, "an open slot has fees"
        if not slot.live.fees.can_land(fleet.next_base_fee):
            lane.idle[slot.nonce] = fleet.head.number
        offered = max(slot.live.block, lane.outbid.get(slot.nonce, (floor, 0))[1], lane.idle.get(slot.nonce, 0))
        now = Situation(
            fleet.head.number,
            fleet.next_base_fee,
            fleet.tip,
            floor,
            offered,
            fleet.terms(intent),
            wanted,
            first,
            blocks,
            intent.urgent,
        )
        step = next_step(slot, now, self._fleet.options.fees, self._fleet.options.patience)
        if isinstance(step, Raise | Cancel):
            await self.replace(lane, slot, step.fees, cancels=isinstance(step, Cancel) or slot.live.cancels)
        elif not isinstance(step, Keep) or (again and wanted):
            turn = (fleet.head.number - slot.live.block) // max(self._fleet.options.patience.replace_after, 1)
            answer = await fleet.hand_over(slot.live, turn)
            await fleet.take(lane, slot.live, answer)

    async def replace(self, lane: Lane, slot: Slot, fees: Fees, *, cancels: bool) -> Outcome | None:
        """Signs the same call, or a cancellation, at higher fees, and hands it over."""
        intent = slot.live.intent
        self._report(
            "cancelling" if cancels else "raising",
            {
                "intent": intent.key,
                "trace": intent.trace,
                "nonce": slot.nonce,
                "max_fee": fees.max_fee,
                "tip": fees.tip,
            },
        )
        attempt = await self._fleet.sign(lane, intent, slot.nonce, fees, cancels=cancels)
        answer = await self._fleet.hand_over(attempt, len(slot.attempts))
        return await self._fleet.take(lane, attempt, answer)

    async def fill_gaps(self) -> None:
        """Free nonces below taken ones are taken by transfers of nothing, or what is behind them could never land."""
        for lane in self._fleet.lanes.values():
            for nonce in lane.gaps():
                fees = self.cancel_fees(lane, nonce)
                if fees is None:
                    continue
                self._report("gap", {"sender": lane.sender, "nonce": nonce})
                attempt = await self._fleet.sign(lane, gap_intent(lane.sender, nonce), nonce, fees, cancels=True)
                await self._fleet.take(lane, attempt, await self._fleet.hand_over(attempt))

    def cancel_fees(self, lane: Lane, nonce: int) -> Fees | None:
        """What a cancellation at a nonce must offer; None: more than the ceiling allows."""
        policy = self._fleet.options.fees
        fresh, floor = cancel_offer(self._fleet.next_base_fee, self._fleet.tip, policy), lane.to_beat(nonce)
        return fresh if floor is None else raised(floor, fresh, cancel_limit(policy))
