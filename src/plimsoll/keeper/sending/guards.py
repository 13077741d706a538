"""What keeps the keeper from ruining itself: budgets, breakers, a floor under the balance, and no second useless try.

All time is chain time or blocks. Pure but for the memory of what happened; the manager feeds it from the journal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from plimsoll.keeper.sending.fees import Fees
from plimsoll.keeper.sending.intent import Intent

__all__ = ["HOUR", "Breaker", "GuardLimits", "Guards", "Spending", "Tried"]

HOUR = 3_600
FIRST_PAUSE = 5
"""Blocks without another try after a first failure that may pass."""
MOST_DOUBLINGS = 7


@dataclass(frozen=True, slots=True)
class GuardLimits:
    """Wei, per hour of chain time where it says so; None: no limit.

    :param gas_budget: most that gas may cost in an hour, `job_budgets` of single jobs.
    :param solvency_budget: most that the objective `solvency` may lose on purpose in an hour.
    :param duty_wei: most that one transaction without a known worth may cost.
    :param min_balance: a sender below it begins nothing.
    :param max_reverts: so many unexpected reverts in a row, and nothing is sent any more.
    :param job_reverts: so many of one job in a row, and it pauses.
    :param probe_after: blocks after which a paused job may try once.
    :param max_in_flight: open nonces of one sender.
    """

    gas_budget: int | None = None
    job_budgets: Mapping[str, int] = field(default_factory=dict)
    solvency_budget: int = 10**17
    duty_wei: int = 10**16
    min_balance: int = 0
    max_reverts: int = 5
    job_reverts: int = 3
    probe_after: int = 25
    max_in_flight: int = 16


@dataclass(frozen=True, slots=True)
class Breaker:
    """Opens after so many failures in a row. `opened` is the block at which it did."""

    limit: int
    failures: int = 0
    opened: int | None = None

    def failed(self, block: int) -> Breaker:
        """One more in a row."""
        failures = self.failures + 1
        return replace(self, failures=failures, opened=block if failures >= self.limit else None)

    def succeeded(self) -> Breaker:
        """Closed again."""
        return Breaker(self.limit)

    def allows(self, block: int, probe_after: int | None) -> bool:
        """Whether a try is allowed; after `probe_after` blocks one is, if that is not None."""
        return self.opened is None or (probe_after is not None and block - self.opened >= probe_after)


class Spending:
    """What transactions of an hour cost, by job."""

    def __init__(self) -> None:
        self._items: dict[int, tuple[int, int, str, int, int]] = {}

    def add(self, entry: int, block: int, time: int, job: str, cost: int, loss: int) -> None:
        """A transaction of the journal that landed; `loss` is what it was expected to lose."""
        self._items[entry] = (block, time, job, cost, loss)

    def undo(self, above: int) -> None:
        """Blocks above that number are gone."""
        self._items = {entry: item for entry, item in self._items.items() if item[0] <= above}

    def forget(self, before: int) -> None:
        """Drops what is older than that time."""
        self._items = {entry: item for entry, item in self._items.items() if item[1] >= before}

    def of_job(self, job: str, since: int) -> int:
        """Cost of a job."""
        return sum(item[3] for item in self._items.values() if item[1] >= since and item[2] == job)

    def lost(self, since: int) -> int:
        """What was lost on purpose."""
        return sum(item[4] for item in self._items.values() if item[1] >= since)


@dataclass(frozen=True, slots=True)
class Failure:
    """What is known of a mark that failed: how often, in which range of fees (None: whatever the fee), until when
    (block, None: for good)."""

    times: int
    fee_bucket: int | None
    until: int | None

    def holds(self, fee_bucket: int, block: int) -> bool:
        """Whether another try makes no sense now."""
        return self.fee_bucket in (None, fee_bucket) and (self.until is None or block < self.until)


class Tried:
    """Marks of what failed: tried again only when the mark, the range of the fee, or enough blocks have changed."""

    def __init__(self, most: int = 100_000) -> None:
        self._marks: dict[str, Failure] = {}
        self._most = most

    def note(self, marks: Iterable[str], fee_bucket: int | None = None) -> None:
        """A try failed and will fail for as long as the mark is the same; with a bucket, because of what gas cost."""
        for mark in marks:
            self._put(mark, Failure(self._times(mark), fee_bucket, None))

    def pause(self, marks: Iterable[str], block: int) -> None:
        """A try failed at a block, and later ones may not: after 5 blocks, then 10, 20, … up to 640."""
        for mark in marks:
            times = self._times(mark)
            self._put(mark, Failure(times, None, block + FIRST_PAUSE * (1 << min(times - 1, MOST_DOUBLINGS))))

    def forget(self, marks: Iterable[str]) -> None:
        """They may be tried again, as after a reorg or a success."""
        for mark in marks:
            self._marks.pop(mark, None)

    def among(self, marks: Iterable[str], fee_bucket: int, block: int) -> frozenset[str]:
        """Those that are not to be tried now."""
        return frozenset(
            mark for mark in marks if (known := self._marks.get(mark)) is not None and known.holds(fee_bucket, block)
        )

    def _times(self, mark: str) -> int:
        known = self._marks.get(mark)
        return 1 if known is None else known.times + 1

    def _put(self, mark: str, failure: Failure) -> None:
        self._marks.pop(mark, None)
        self._marks[mark] = failure
        while len(self._marks) > self._most:
            del self._marks[next(iter(self._marks))]


class Guards:
    """All guards together. `refuses` says why something is not sent."""

    def __init__(self, limits: GuardLimits) -> None:
        self.limits = limits
        self.all = Breaker(limits.max_reverts)
        self.jobs: dict[str, Breaker] = {}
        self.spending = Spending()
        self.tried = Tried()
        self._probing: set[str] = set()

    @property
    def tripped(self) -> bool:
        """Whether so many transactions reverted in a row that going on is unsafe."""
        return self.all.opened is not None

    def paused(self, block: int) -> dict[str, int]:
        """Jobs that pause, with the number of their failures."""
        return {
            job: breaker.failures
            for job, breaker in self.jobs.items()
            if not breaker.allows(block, self.limits.probe_after)
        }

    def refuses(
        self,
        intent: Intent,
        fees: Fees,
        *,
        block: int,
        time: int,
        balance: int,
        reserved: int,
        in_flight: int,
        pending_cost: int,
        spent: int,
    ) -> str:
        """Why an intent is not sent now, empty if it may be.

        :param balance: of the sender; `reserved` is the most that what is under way can take of it.
        :param pending_cost: what is under way is likely to cost, `spent` what the last hour did.
        """
        limits = self.limits
        if self.tripped:
            return f"{self.all.failures} transactions in a row reverted although their simulation passed"
        breaker = self.jobs.get(intent.job)
        if breaker is not None and not self._may_probe(intent.job, breaker, block):
            return f"{breaker.failures} transactions of {intent.job} in a row reverted; it pauses"
        if in_flight >= limits.max_in_flight:
            return f"{in_flight} transactions are under way already"
        needed = intent.gas * fees.max_fee + intent.value_wei
        if balance < limits.min_balance:
            return f"the balance of {balance} wei is below the least of {limits.min_balance}; send ether to the sender"
        if balance - reserved < needed:
            return f"{needed} wei are needed and {max(balance - reserved, 0)} are free; send ether to the sender"
        cost = intent.likely_gas * fees.max_fee + intent.value_wei
        if limits.gas_budget is not None and spent + pending_cost + cost > limits.gas_budget:
            return f"the budget of {limits.gas_budget} wei an hour is used up: {spent} spent, {pending_cost} under way"
        budget = limits.job_budgets.get(intent.job)
        if budget is not None:
            used = self.spending.of_job(intent.job, time - HOUR)
            if used + cost > budget:
                return f"the budget of {intent.job}, {budget} wei an hour, is used up: {used} spent"
        return ""

    def probes(self, job: str) -> None:
        """A transaction of the job is handed over; of a paused one no second one follows before its end is known."""
        breaker = self.jobs.get(job)
        if breaker is not None and breaker.opened is not None:
            self._probing.add(job)

    def succeeded(self, job: str) -> None:
        """A transaction landed and did what it should."""
        self.all = self.all.succeeded()
        self.jobs.pop(job, None)
        self._probing.discard(job)

    def failed(self, job: str, block: int) -> None:
        """One reverted, and neither a race nor the price explains it."""
        self.all = self.all.failed(block)
        self.jobs[job] = self.jobs.get(job, Breaker(self.limits.job_reverts)).failed(block)
        self._probing.discard(job)

    def excused(self, job: str) -> None:
        """One ended without saying anything about the job: a lost race, a cancellation."""
        self._probing.discard(job)

    def reset(self) -> None:
        """Closes all breakers, as an operator may after looking."""
        self.all, self.jobs = self.all.succeeded(), {}
        self._probing.clear()

    def _may_probe(self, job: str, breaker: Breaker, block: int) -> bool:
        if not breaker.allows(block, self.limits.probe_after):
            return False
        return breaker.opened is None or job not in self._probing
