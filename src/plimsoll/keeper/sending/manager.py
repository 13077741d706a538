"""The transaction manager: what is decided goes in, what became of it comes out.

Everything that is handed to a node is in the journal before. Every new block, every reorganisation and every intent is
told to the manager by its owner; it starts nothing by itself. One manager per set of senders, under one lease.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace

from plimsoll.chain.receipt import ErrorRegistry
from plimsoll.keeper.node.headers import Header
from plimsoll.keeper.sending.adopt import adopt
from plimsoll.keeper.sending.confirm import find_receipts, read_state
from plimsoll.keeper.sending.course import Course
from plimsoll.keeper.sending.desk import Desk, Report, silent
from plimsoll.keeper.sending.fleet import Fleet
from plimsoll.keeper.sending.guards import HOUR, Guards
from plimsoll.keeper.sending.intent import InFlight, Intent, Outcome, Result, Settled
from plimsoll.keeper.sending.options import SendingOptions
from plimsoll.keeper.sending.ports import UNREADABLE, Fence, JournalPort, Node, Signer
from plimsoll.keeper.sending.routes import Routes
from plimsoll.keeper.sending.settle import Settler

__all__ = ["TransactionManager"]

TRIES = 4
"""How often one intent is signed anew when nonces turn out to be used, or fees too low."""
MISSING_LOOKS = 2
"""Blocks in a row in which none of our receipts is found before a used nonce counts as not ours."""


class TransactionManager:
    """Sends, follows, replaces, cancels and sends again.

    :param node: for reading; transactions go by the routes.
    :param journal: where each transaction is written before it is handed over.
    :param fence: the lease; without it nothing is handed over.
    :param signers: at least one; the lanes of intents.
    :param errors: decodes reverts, to tell a lost race from a mistake.
    :param report: is told every step, with the id of its decision.
    """

    def __init__(
        self,
        node: Node,
        journal: JournalPort,
        fence: Fence,
        signers: Sequence[Signer],
        routes: Routes,
        options: SendingOptions | None = None,
        *,
        errors: ErrorRegistry | None = None,
        report: Report = silent,
    ) -> None:
        self.options = options if options is not None else SendingOptions()
        self._node = node
        self._journal = journal
        self._report = report
        self._desk = Desk(journal, fence, routes, report)
        self._fleet = Fleet(node, journal, self._desk, signers, self.options, report)
        self._settler = Settler(self._fleet, self._desk, node, errors, report)
        self._course = Course(self._fleet, self._settler, report)
        self._ring: dict[int, Header] = {}
        self._missing: dict[tuple[str, int], int] = {}
        self._lock = asyncio.Lock()
        self._closing = False

    # ── what can be asked ──────────────────────────────────────────────────

    @property
    def guards(self) -> Guards:
        """Budgets and breakers. `guards.tripped` says that going on is unsafe; `guards.reset()` closes breakers."""
        return self._fleet.guards

    @property
    def busy(self) -> frozenset[str]:
        """Keys of intents, and of the things they are about, that must not be decided about now."""
        under_way = self._fleet.under_way()
        return frozenset(under_way) | frozenset(key for intent in under_way.values() for key in intent.keys)

    @property
    def spent(self) -> int:
        """Wei that transactions cost in the last hour of chain time."""
        return self._journal.spent_since(self._fleet.head.time - HOUR)

    @property
    def balances(self) -> dict[str, int]:
        """Wei, by sender, at the last block that could be read."""
        return {sender: state.balance for sender, state in self._fleet.states.items()}

    @property
    def tip(self) -> int:
        """Wei per gas that the node proposed as tip at the last block, or the one of the options."""
        fixed = self.options.fees.tip
        return self._fleet.tip if fixed is None else fixed

    def in_flight(self) -> list[InFlight]:
        """What is under way, by sender and nonce."""
        block = self._fleet.head.number
        found = []
        for lane in self._fleet.lanes.values():
            for slot in lane.open:
                live, intent = slot.live, slot.live.intent
                worth = self._fleet.worths.get(intent.key, intent.worth_wei)
                found.append(
                    InFlight(
                        lane.sender,
                        slot.nonce,
                        intent.key,
                        intent.job,
                        live.tx_hash,
                        live.entry,
                        live.fees.max_fee,
                        live.fees.tip,
                        live.gas,
                        worth,
                        len(slot.attempts),
                        block - slot.since,
                        live.cancels,
                        intent.trace,
                    )
                )
        return found

    def failed(self, marks: Iterable[str]) -> frozenset[str]:
        """Those of the marks that failed and are not tried again as they are."""
        return self.guards.tried.among(marks, -1, self._fleet.head.number)

    def note_failed(self, marks: Iterable[str]) -> None:
        """Marks whose simulation failed: not tried again until they change."""
        self.guards.tried.note(marks)

    # ── what is told ───────────────────────────────────────────────────────

    async def start(self, header: Header) -> list[Settled]:
        """Takes over what the journal says is under way: settles what landed meanwhile, hands over the rest again,
        fills gaps between nonces. To be called once, before anything else.

        :param header: the head; it must have been taken in by whoever decides.
        :raises LeaseLostError: another process leads.
        :raises RpcError, NodeUnavailable: the chain cannot be read.
        """
        async with self._lock:
            self._enter(header)
            if self.options.dry_run:
                await self._read(header)
                return []
            adopt(self._journal, self._fleet.lanes, self.guards, header, self.options.ring)
            await self._read(header)
            for lane in self._fleet.lanes.values():
                pending = self._fleet.states[lane.sender].pending
                if pending > lane.next_nonce():
                    self._report("foreign", {"sender": lane.sender, "nonce": lane.next_nonce(), "pending": pending})
                    lane.floor = pending
            settled: list[Settled] = []
            await self._confirm(header, settled)
            settled += await self._course.steps(again=True)
            await self._course.fill_gaps()
            return settled

    async def submit(self, intent: Intent) -> Outcome:
        """Sends an intent, or says why not. In a dry run nothing is signed, written or handed over.

        The caller has simulated the exact call at the head. Nothing is sent below its worth, beside a transaction about
        the same, or past a guard.

        :raises LeaseLostError: another process leads.
        """
        outcome: Outcome | None = None
        for _ in range(TRIES):
            async with self._lock:
                if self._closing:
                    return Outcome(intent.key, Result.BLOCKED, "the keeper is closing", trace=intent.trace)
                berth = self._fleet.plan(intent)
                if isinstance(berth, Outcome):
                    return berth
                valuation = berth.valuation
                if self.options.dry_run:
                    reason = "a dry run sends nothing"
                    return Outcome(intent.key, Result.WOULD_SEND, reason, valuation, berth.fees, trace=intent.trace)
                attempt = await self._fleet.sign(berth.lane, intent, berth.nonce, berth.fees)
                self.guards.probes(intent.job)
            answer = await self._fleet.hand_over(attempt)
            async with self._lock:
                outcome = await self._fleet.take(berth.lane, attempt, answer)
            if outcome is None or not outcome.under_way:
                self.guards.excused(intent.job)
            if outcome is not None:
                return replace(outcome, valuation=valuation)
        return Outcome(intent.key, Result.REFUSED, "no node takes it, whatever it pays", trace=intent.trace)

    async def on_block(self, header: Header, *, act: bool = True) -> list[Settled]:
        """A new block, in order; a reorganisation is told by `on_reorg` before. Finds what landed, and for what did not
        decides whether to wait, pay more, cancel or hand it over again.

        A node that cannot be read now is reported as `unread` and asked again with the next block.

        :param act: False for a block that is known not to be the last: only what landed is looked at.
        :raises LeaseLostError: another process leads.
        """
        settled: list[Settled] = []
        async with self._lock:
            await self._fit_in(header)
            self._enter(header)
            try:
                await self._read(header)
                if self.options.dry_run:
                    return []
                await self._confirm(header, settled)
                if act:
                    settled += await self._course.steps()
                    await self._course.fill_gaps()
            except UNREADABLE as error:
                self._report("unread", {"block": header.number, "error": str(error)})
        return settled

    async def on_reorg(self, to: int) -> list[str]:
        """Blocks above that number are gone. What landed in them is handed over again as it was.

        :return: keys of the intents that are under way again.
        :raises LeaseLostError: another process leads.
        """
        async with self._lock:
            return await self._roll_back(to)

    def revalue(self, key: str, worth_wei: int | None) -> None:
        """An intent under way is worth something else now: 0 if somebody was faster. Acted upon at the next block:
        paid more within its worth, cancelled if landing costs more than cancelling, or left."""
        self._fleet.worths[key] = worth_wei

    def withdraw(self, key: str) -> None:
        """An intent under way is not wanted any more, whatever it was worth. Acted upon at the next block."""
        self._fleet.withdrawn.add(key)

    async def cancel(self, entry: int) -> Outcome | None:
        """Cancels the transaction of a journal entry now, whatever that costs within the ceiling; None if it is not
        under way.

        :raises LeaseLostError: another process leads.
        """
        async with self._lock:
            for lane in self._fleet.lanes.values():
                for slot in lane.open:
                    if any(attempt.entry == entry for attempt in slot.attempts):
                        fees = self._course.cancel_fees(lane, slot.nonce)
                        if fees is None:
                            key = slot.live.intent.key
                            return Outcome(key, Result.BLOCKED, "cancelling it would cost more than the ceiling")
                        self._fleet.withdrawn.add(slot.live.intent.key)
                        return await self._course.replace(lane, slot, fees, cancels=True)
        return None

    async def close(self) -> None:
        """Accepts nothing any more. What is being handed over is finished and in the journal when this returns."""
        self._closing = True
        while self._fleet.in_hand:
            await asyncio.sleep(0.01)
        async with self._lock:
            self._report("closed", {"in_flight": len(self._fleet.under_way())})

    # ── blocks ─────────────────────────────────────────────────────────────

    async def _fit_in(self, header: Header) -> None:
        """A block that does not follow what was told before, without a word of a reorganisation: everything that it
        may have undone is open again, and the receipts tell what is not."""
        same, parent = self._ring.get(header.number), self._ring.get(header.number - 1)
        to = None
        if parent is not None and parent.hash != header.parent:
            to = min(self._ring) - 1
        elif any(number > header.number for number in self._ring) or (same is not None and same.hash != header.hash):
            to = header.number - 1
        if to is not None:
            self._report("disorder", {"block": header.number, "from": to + 1})
            await self._roll_back(to)

    def _enter(self, header: Header) -> None:
        self._fleet.head = header
        self._ring[header.number] = header
        for number in [number for number in self._ring if number <= header.number - self.options.ring]:
            del self._ring[number]
        self.guards.spending.forget(header.time - HOUR)
        for lane in self._fleet.lanes.values():
            lane.forget(header.number - self.options.ring)

    async def _read(self, header: Header) -> None:
        """Nonces, balances and the usual tip at a block."""
        states, tip = await read_state(self._node, list(self._fleet.lanes), header)
        self._fleet.states, self._fleet.tip = states, tip
        for sender, state in states.items():
            lane = self._fleet.lanes[sender]
            lane.advance(state.nonce)
            lane.floor = max(state.nonce, min(lane.floor, state.pending))
            for nonce in [nonce for nonce in lane.outbid if lane.slot(nonce) is None]:
                del lane.outbid[nonce]

    async def _confirm(self, header: Header, settled: list[Settled]) -> None:
        """Closes the slots whose nonces the chain has used, and adds what became of them."""
        hashes = {number: known.hash for number, known in self._ring.items()}
        for lane in self._fleet.lanes.values():
            for found in await find_receipts(self._node, lane, header, hashes):
                place = lane.sender, found.slot.nonce
                if found.receipt is not None:
                    of = self._ring.get(found.receipt.block, header)
                    settled += await self._settler.mined(lane, found.slot, found.receipt, of.time)
                    self._missing.pop(place, None)
                    continue
                self._missing[place] = self._missing.get(place, 0) + 1
                if self._missing[place] >= MISSING_LOOKS:
                    del self._missing[place]
                    self._report("foreign", {"sender": lane.sender, "nonce": found.slot.nonce})
                    reason = f"nonce {found.slot.nonce} was used by a transaction that is not ours"
                    settled += self._settler.foreign(lane, found.slot, header.number, reason)

    async def _roll_back(self, to: int) -> list[str]:
        was = self._fleet.head.number
        for number in [number for number in self._ring if number > to]:
            del self._ring[number]
        if to in self._ring:
            self._fleet.head = self._ring[to]
        if self.options.dry_run:
            return []
        self._journal.reorged(to)
        self.guards.spending.undo(to)
        keys: list[str] = []
        for lane in self._fleet.lanes.values():
            for slot in lane.reopen(to, was):
                for attempt in slot.attempts:
                    self._desk.mark(attempt, "broadcast")
                for intent in slot.intents.values():
                    self.guards.tried.forget(intent.tries)
                    keys.append(intent.key)
                lane.advance(min(lane.nonce, slot.nonce))
            again = [slot.live for slot in lane.open if slot.nonce >= lane.nonce and self._fleet.is_wanted(slot)]
            for attempt in again:
                self._report("again", {"intent": attempt.intent.key, "nonce": attempt.nonce, "tx": attempt.tx_hash})
            answers = await asyncio.gather(*(self._fleet.hand_over(attempt) for attempt in again))
            for attempt, answer in zip(again, answers, strict=True):
                await self._fleet.take(lane, attempt, answer)
        return keys
