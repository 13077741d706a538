"""All lanes with what they share: head, worth of intents, guards. Plans where an intent goes, and takes it there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from plimsoll.keeper.node.headers import Header, next_base_fee
from plimsoll.keeper.sending.answers import Answer, Verdict
from plimsoll.keeper.sending.confirm import GWEI, State
from plimsoll.keeper.sending.desk import Desk, Report
from plimsoll.keeper.sending.fees import Fees, bucket, first_offer, raised
from plimsoll.keeper.sending.guards import HOUR, Guards
from plimsoll.keeper.sending.intent import Intent, Outcome, Result
from plimsoll.keeper.sending.lanes import Attempt, Lane, Slot
from plimsoll.keeper.sending.options import SendingOptions
from plimsoll.keeper.sending.ports import UNREADABLE, JournalPort, Node, Signer
from plimsoll.keeper.sending.value import Objective, Terms, Valuation
from plimsoll.units import PPM, mul_div_down

__all__ = ["Berth", "Fleet"]


@dataclass(frozen=True, slots=True)
class Berth:
    """Where an intent goes, and at which fees."""

    signer: Signer
    lane: Lane
    nonce: int
    fees: Fees
    valuation: Valuation


class Fleet:
    """The lanes of all senders."""

    def __init__(
        self,
        node: Node,
        journal: JournalPort,
        desk: Desk,
        signers: Sequence[Signer],
        options: SendingOptions,
        report: Report,
    ) -> None:
        self.options = options
        self.signers = list(signers)
        self.lanes = {signer.address: Lane(signer.address, 0) for signer in signers}
        self.states: dict[str, State] = {}
        self.guards = Guards(options.limits)
        self.tip = GWEI
        self.worths: dict[str, int | None] = {}
        self.withdrawn: set[str] = set()
        self.in_hand: set[int] = set()
        self._node = node
        self._journal = journal
        self._desk = desk
        self._report = report
        self._head: Header | None = None
        self._next_base_fee = 0

    @property
    def head(self) -> Header:
        """The block that is built upon."""
        assert self._head is not None, "nothing is decided before the first head"
        return self._head

    @head.setter
    def head(self, header: Header) -> None:
        self._head = header
        self._next_base_fee = next_base_fee(header)

    @property
    def next_base_fee(self) -> int:
        """Of the block after the head, wei."""
        return self._next_base_fee

    # ── worth ──────────────────────────────────────────────────────────────

    def terms(self, intent: Intent) -> Terms:
        """What an intent is worth as far as is known now."""
        worth = self.worths.get(intent.key, intent.worth_wei)
        allowance = self.options.limits.duty_wei if worth is None else 0
        if self.options.objective is Objective.SOLVENCY and intent.bad_debt_wei:
            left = self.options.limits.solvency_budget - self.guards.spending.lost(self.head.time - HOUR)
            left -= self._pending_loss(intent.key)
            allowance += max(min(mul_div_down(intent.bad_debt_wei, intent.land_ppm, PPM), left), 0)
        revert_gas = intent.likely_gas if intent.revert_gas is None else intent.revert_gas
        return Terms(
            worth or 0, intent.land_ppm, intent.likely_gas, intent.value_wei, intent.revert_ppm, revert_gas, allowance
        )

    def limit(self, terms: Terms) -> int:
        """The highest cap for an intent of these terms, −1 if there is none."""
        ceiling = self.options.fees.ceiling
        return terms.break_even() if ceiling is None else min(terms.break_even(), ceiling)

    def under_way(self) -> dict[str, Intent]:
        """Intents that may still land, by key."""
        return {key: intent for lane in self.lanes.values() for key, intent in lane.under_way().items()}

    def is_wanted(self, slot: Slot) -> bool:
        """Whether the live transaction of a slot should land in the next block."""
        intent = slot.live.intent
        if intent.key in self.withdrawn or intent.is_over(self.head.number, self.head.time):
            return False
        later = (other for lane in self.lanes.values() for other in lane.open if other != slot)
        return not any(other.live.intent.key == intent.key and other.live.entry > slot.live.entry for other in later)

    # ── plan ───────────────────────────────────────────────────────────────

    def plan(self, intent: Intent) -> Berth | Outcome:
        """Where an intent would go, or why it goes nowhere."""

        def no(result: Result, reason: str, valuation: Valuation | None = None) -> Outcome:
            return Outcome(intent.key, result, reason, valuation, trace=intent.trace)

        if intent.is_over(self.head.number, self.head.time):
            return no(Result.BLOCKED, "it is too late")
        signer = self.signers[intent.lane % len(self.signers)]
        lane = self.lanes[signer.address]
        about = self._about(intent)
        stuck = lane.stuck(self.next_base_fee)
        if about and (stuck is None or about != [stuck]):
            return no(Result.BUSY, f"a transaction about the same is under way at nonce {about[0].nonce}")
        failed = self.guards.tried.among(intent.tries, bucket(self.next_base_fee), self.head.number)
        if failed:
            reason = f"failed before, and nothing changed: {', '.join(sorted(failed)[:3])}"
            return Outcome(intent.key, Result.TRIED, reason, blocked=failed, trace=intent.trace)
        terms = self.terms(intent)
        policy, limit = self.options.fees, self.limit(terms)
        fees = first_offer(policy, self.next_base_fee, self.tip, limit, urgent=intent.urgent)
        if fees is None:
            tip = policy.tip if policy.tip is not None else self.tip
            valuation = terms.at(self.next_base_fee, tip)
            reason = f"worth {valuation.value} wei at the next base fee; gas may cost {limit}"
            return no(Result.UNPROFITABLE, reason, valuation)
        nonce = lane.next_nonce() if stuck is None else stuck.nonce
        beaten = lane.to_beat(nonce)
        if beaten is not None:
            outbidding = raised(beaten, fees, limit)
            if outbidding is None:
                reason = f"nonce {nonce} is held at {beaten.max_fee} wei, and outbidding that is not worth it"
                return no(Result.UNPROFITABLE, reason, terms.at(self.next_base_fee, fees.tip))
            fees = outbidding
        valuation = terms.at(self.next_base_fee, fees.tip)
        refusal = self._refusal(intent, lane, fees, stuck)
        if refusal:
            return no(Result.BLOCKED, refusal, valuation)
        return Berth(signer, lane, nonce, fees, valuation)

    def _about(self, intent: Intent) -> list[Slot]:
        """Open slots that concern the same."""
        return [
            slot
            for lane in self.lanes.values()
            for slot in lane.open
            if any(key == intent.key or known.keys & intent.keys for key, known in slot.intents.items())
        ]

    def _refusal(self, intent: Intent, lane: Lane, fees: Fees, replaced: Slot | None) -> str:
        state = self.states[lane.sender]
        open_slots = [slot for slot in lane.open if slot is not replaced]
        return self.guards.refuses(
            intent,
            fees,
            block=self.head.number,
            time=self.head.time,
            balance=state.balance,
            reserved=sum(self.most(slot) for slot in open_slots),
            in_flight=len(open_slots),
            pending_cost=sum(self.likely(slot) for one in self.lanes.values() for slot in one.open),
            spent=self._journal.spent_since(self.head.time - HOUR),
        )

    @staticmethod
    def most(slot: Slot) -> int:
        """The most that a nonce can take from the balance."""
        return max(a.gas * a.fees.max_fee + (0 if a.cancels else a.intent.value_wei) for a in slot.attempts)

    @staticmethod
    def likely(slot: Slot) -> int:
        """What a nonce is likely to cost at its cap."""
        live = slot.live
        gas = live.gas if live.cancels else live.intent.likely_gas
        return gas * live.fees.max_fee + (0 if live.cancels else live.intent.value_wei)

    def _pending_loss(self, but: str) -> int:
        """What is under way may lose on purpose."""
        loss = 0
        for lane in self.lanes.values():
            for slot in lane.open:
                intent = slot.live.intent
                if intent.bad_debt_wei and intent.key != but and not slot.live.cancels:
                    reward = mul_div_down(self.worths.get(intent.key, intent.worth_wei) or 0, intent.land_ppm, PPM)
                    loss += max(self.likely(slot) - reward, 0)
        return loss

    # ── act ────────────────────────────────────────────────────────────────

    async def sign(self, lane: Lane, intent: Intent, nonce: int, fees: Fees, *, cancels: bool = False) -> Attempt:
        """Signs, writes to the journal, and takes the nonce.

        :raises LeaseLostError: another process leads.
        """
        signer = next(signer for signer in self.signers if signer.address == lane.sender)
        attempt = await self._desk.write(signer, intent, nonce, fees, self.head.number, cancels=cancels)
        lane.add(attempt)
        return attempt

    async def hand_over(self, attempt: Attempt, turn: int = 0) -> Answer:
        """Broadcasts, under the lease.

        :raises LeaseLostError: it is not held.
        """
        self.in_hand.add(attempt.entry)
        try:
            return await self._desk.broadcast(attempt, turn)
        finally:
            self.in_hand.discard(attempt.entry)

    async def take(self, lane: Lane, attempt: Attempt, answer: Answer) -> Outcome | None:
        """Draws the consequences of an answer. None: the transaction was dropped, and another try makes sense."""
        intent = attempt.intent

        def told(result: Result, reason: str = "") -> Outcome:
            return Outcome(
                intent.key,
                result,
                reason,
                None,
                attempt.fees,
                attempt.tx_hash,
                attempt.nonce,
                attempt.entry,
                trace=intent.trace,
            )

        verdict = answer.verdict
        if answer.may_be_live:
            if not attempt.sent:
                self._desk.mark(attempt, "broadcast")
                lane.mark_sent(attempt.entry)
            return told(Result.SENT, answer.text)
        if verdict in (Verdict.UNREACHED, Verdict.LIMITED):
            return told(Result.WAITING, answer.text)
        if attempt.sent:
            # Some pool had it before; what one node says now does not undo that.
            return told(Result.SENT, answer.text)
        if verdict is Verdict.NONCE_TOO_LOW:
            return await self._nonce_used(lane, attempt, told(Result.WAITING, answer.text))
        slot = lane.slot(attempt.nonce)
        alone = slot is not None and len(slot.attempts) == 1
        self._desk.mark(attempt, "abandoned")
        lane.drop(attempt.entry)
        if verdict is Verdict.REPLACEMENT_UNDERPRICED and alone:
            pending = await self._pending(lane.sender)
            if pending > attempt.nonce:
                self._report("foreign", {"sender": lane.sender, "nonce": attempt.nonce, "pending": pending})
                lane.floor = max(lane.floor, pending)
                return None
        if verdict in (Verdict.REPLACEMENT_UNDERPRICED, Verdict.UNDERPRICED):
            lane.refused(attempt.nonce, attempt.fees, self.head.number)
            return None
        if verdict is Verdict.NO_FUNDS:
            return told(Result.BLOCKED, answer.text)
        self.guards.tried.pause(intent.tries, self.head.number)
        return told(Result.REFUSED, answer.text)

    async def _pending(self, sender: str) -> int:
        """The next nonce with what the pool holds; 0 if it cannot be read."""
        try:
            return int(await self._node.request("eth_getTransactionCount", [sender, "pending"]), 16)
        except UNREADABLE:
            return 0

    async def _nonce_used(self, lane: Lane, attempt: Attempt, waiting: Outcome) -> Outcome | None:
        """A node says that a block used the nonce: by whom?"""
        slot = lane.slot(attempt.nonce)
        hashes = [one.tx_hash for one in slot.attempts] if slot is not None else []
        calls = [("eth_getTransactionCount", [lane.sender, "latest"])]
        calls += [("eth_getTransactionReceipt", [tx_hash]) for tx_hash in hashes]
        try:
            count, *receipts = await self._node.batch(calls)
        except UNREADABLE:
            return waiting
        if isinstance(count, Exception) or int(count, 16) <= attempt.nonce or any(receipts):
            # The node contradicts itself, or one of ours landed: the blocks will tell.
            return waiting
        self._desk.mark(attempt, "abandoned")
        lane.drop(attempt.entry)
        lane.floor = max(lane.floor, int(count, 16))
        self._report("foreign", {"sender": lane.sender, "nonce": attempt.nonce, "next": int(count, 16)})
        return None
