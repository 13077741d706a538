"""Random histories: intents, blocks, spikes, pools that lose and refuse, strangers, reorganisations, kills.

Whatever happens: no intent is in the pool twice, none is acted upon twice, nothing is offered above its worth, nothing
arrives at a node that the journal does not hold, and in the end no nonce is left open.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.keeper.sending.pretend import GWEI, PretendChain, PretendSigner, Raw

from plimsoll.keeper.sending.fees import Fees
from plimsoll.keeper.sending.intent import Intent, Settled, Settlement
from plimsoll.keeper.sending.manager import TransactionManager
from plimsoll.keeper.sending.options import SendingOptions
from plimsoll.keeper.sending.policy import Patience
from plimsoll.keeper.sending.ports import LeaseFence
from plimsoll.keeper.sending.routes import Routes
from plimsoll.keeper.storage.files import SqliteRepository

T = TypeVar("T")
ME = "0x00000000000000000000000000000000000000Aa"
ARENA = "0x00000000000000000000000000000000000000Bb"
OPTIONS = SendingOptions(patience=Patience(replace_after=2, resend_after=1, give_up_after=8))
WORTHS = st.sampled_from([10**14, 13 * 10**13, 2 * 10**14, 10**16])
"""The first is worth no gas at all, the next two a raise or two."""
FAULTS = st.sampled_from(
    [
        "drop",
        "lose",
        "silent",
        "already known",
        "nonce too low",
        "transaction underpriced",
        "replacement transaction underpriced",
        "txpool is full",
        "insufficient funds for gas * price + value",
        "internal error",
    ]
)


class Killed(BaseException):
    """The process ends here."""


class DeadlyRoutes(Routes):
    """Ends the process before or after a transaction is handed over."""

    dies = ""

    async def send(self, raw: bytes, route: str | None = None, attempt: int = 0) -> Any:
        if self.dies == "before":
            raise Killed
        answer = await super().send(raw, route, attempt)
        if self.dies == "after":
            raise Killed
        return answer


class Histories(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.chain = PretendChain(received=self._received)
        self.repository = SqliteRepository(None, "histories")
        self.worth: dict[str, int] = {}
        self.versions: Counter[int] = Counter()
        self.strangers: set[str] = set()
        self.told = self.chain.head
        self._start()

    def teardown(self) -> None:
        self.chain.faults.clear()
        self.chain.base_fee = GWEI
        self.routes.dies = ""
        for _ in range(12):
            self.mine(True)
        assert self.manager.in_flight() == [], "every nonce comes to an end"
        assert self.repository.journal.open() == []
        assert self.manager.busy == frozenset()
        self.nothing_is_twice()
        landed = {entry.data.hex() for entry in self.repository.journal.recent(1_000) if entry.status == "landed"}
        assert landed - {""} == set(self.chain.successes()), "the journal knows what landed, and nothing else"
        self.repository.close()
        self.loop.close()

    # ── what happens ───────────────────────────────────────────────────────

    @rule(number=st.integers(0, 5), worth=WORTHS, urgent=st.booleans(), late=st.none() | st.integers(1, 4))
    def submit(self, number: int, worth: int, urgent: bool, late: int | None) -> None:
        key = f"{number}@{self.versions[number]}"
        self.worth[key] = max(self.worth[key], worth) if key in self.manager.busy else worth
        intent = Intent(
            key=key,
            job="liquidate",
            to=ARENA,
            data=key.encode(),
            gas=100_000,
            expected_gas=50_000,
            worth_wei=worth,
            keys=frozenset([f"account:{number}"]),
            marks=frozenset([key]),
            urgent=urgent,
            deadline_block=None if late is None else self.told.number + late,
        )
        self._do(self.manager.submit(intent))

    @rule(number=st.integers(0, 5), worth=WORTHS, blocks=st.integers(1, 9))
    def submit_and_wait(self, number: int, worth: int, blocks: int) -> None:
        """What is sent finds no place in the next blocks."""
        self.submit(number, worth, False, None)
        self.mine_nothing(blocks)

    @rule(takes=st.booleans())
    def mine(self, takes: bool) -> None:
        self.chain.mine(takes)
        self._tell()

    @rule(blocks=st.integers(2, 9))
    def mine_nothing(self, blocks: int) -> None:
        for _ in range(blocks):
            self.mine(False)

    @rule(gwei=st.sampled_from([1, 2, 20]))
    def base_fee(self, gwei: int) -> None:
        self.chain.base_fee = gwei * GWEI

    @rule(faults=st.lists(FAULTS, min_size=1, max_size=4))
    def pool_fails(self, faults: list[str]) -> None:
        self.chain.faults.extend(faults)

    @rule()
    def pool_forgets(self) -> None:
        self.chain.pool.clear()

    @rule(ahead=st.integers(0, 2), lands=st.booleans())
    def stranger(self, ahead: int, lands: bool) -> None:
        """Somebody else sends with our key, and outbids us."""
        nonce = self.chain.nonce(ME) + ahead
        raw = Raw(ME, nonce, Fees(50 * GWEI, 5 * GWEI), 21_000, "", f"0x{len(self.strangers):064x}")
        self.chain.pool[ME, nonce] = raw
        self.strangers.add(raw.hash)
        if lands:
            self.mine(True)

    @rule(depth=st.integers(1, 3), put_back=st.booleans(), longer=st.integers(0, 2), takes=st.booleans())
    def reorg(self, depth: int, put_back: bool, longer: int, takes: bool) -> None:
        if len(self.chain.blocks) <= depth:
            return
        to = self.chain.reorg(depth, put_back)
        for number in range(6):
            done = {bytes.fromhex(data).decode() for data in self.chain.successes()}
            while self.versions[number] and f"{number}@{self.versions[number] - 1}" not in done:
                self.versions[number] -= 1
        self._do(self.manager.on_reorg(to))
        self.told = self.chain.head
        for _ in range(depth + longer):
            self.mine(takes)

    @rule(dies=st.sampled_from(["", "before", "after"]), number=st.integers(0, 5))
    def restart(self, dies: str, number: int) -> None:
        self.routes.dies = dies
        if dies:
            self.submit(number, 10**16, False, None)
        self._start()

    @precondition(lambda self: self.manager.in_flight())
    @rule(data=st.data(), worth=st.sampled_from([None, 0, 10**16]))
    def worth_changes(self, data: st.DataObject, worth: int | None) -> None:
        flight = data.draw(st.sampled_from(self.manager.in_flight()))
        if worth is None:
            self.manager.withdraw(flight.key)
        elif flight.job != "gap":
            self.worth[flight.key] = max(self.worth[flight.key], worth)
            self.manager.revalue(flight.key, worth)

    @precondition(lambda self: self.manager.in_flight())
    @rule(data=st.data())
    def operator_cancels(self, data: st.DataObject) -> None:
        flight = data.draw(st.sampled_from(self.manager.in_flight()))
        self._do(self.manager.cancel(flight.entry))

    # ── what must hold ─────────────────────────────────────────────────────

    @invariant()
    def nothing_is_twice(self) -> None:
        waiting = Counter(raw.data for raw in self.chain.pool.values() if raw.data)
        assert not waiting or max(waiting.values()) == 1, f"an intent is in the pool twice: {waiting}"
        done = Counter(self.chain.successes())
        assert not done or max(done.values()) == 1

    @invariant()
    def each_intent_is_live_at_one_nonce(self) -> None:
        live = Counter(flight.key for flight in self.manager.in_flight() if not flight.is_cancel)
        assert not live or max(live.values()) == 1, f"an intent is live twice: {live}"

    @invariant()
    def nonces_have_no_gaps_that_last(self) -> None:
        for lane in self.manager._fleet.lanes.values():
            assert lane.next_nonce() >= lane.nonce

    def _received(self, raw: Raw) -> None:
        """The journal holds it already, and it offers no more than the intent is worth."""
        entry = self.repository.journal.by_hash(raw.hash)
        assert entry is not None, "it is handed over before it is in the journal"
        assert entry.status not in ("landed", "reverted"), "what ended is not handed over again"
        if raw.data:
            key = bytes.fromhex(raw.data).decode()
            limit = self.worth[key] * 9 // 10 * 10**6 // (50_000 * 10**6 + 50_000 * 50_000)
            assert raw.fees.max_fee <= limit, f"{raw.fees} is above the worth of {key}, {limit}"

    def _start(self) -> None:
        self.repository.lease.acquire("histories", 10**6)
        self.routes = DeadlyRoutes([self.chain])
        self.manager = TransactionManager(
            self.chain,
            self.repository.journal,
            LeaseFence(self.repository.lease),
            [PretendSigner(ME)],
            self.routes,
            OPTIONS,
        )
        self._settle(self._do(self.manager.start(self.told)))

    def _tell(self) -> None:
        self.told = self.chain.head
        self._settle(self._do(self.manager.on_block(self.told)))

    def _settle(self, settled: list[Settled] | None) -> None:
        for one in settled or []:
            if one.settlement is Settlement.LANDED and one.intent.job != "gap":
                number, version = map(int, one.intent.key.split("@"))
                self.versions[number] = max(self.versions[number], version + 1)

    def _do(self, work: Coroutine[Any, Any, T]) -> T | None:
        try:
            return self.loop.run_until_complete(work)
        except Killed:
            return None


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=50, stateful_step_count=40)
