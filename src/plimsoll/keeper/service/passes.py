"""One pass: the chain is followed to the head, prices are looked at, every job decides, and what pays is sent."""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from plimsoll.chain.errors import NodeUnavailable, RpcError
from plimsoll.keeper.actions import Action, BuyCollateral, ExecuteOrders, Key, Liquidate, PushPrices
from plimsoll.keeper.book.mirror import Mirror
from plimsoll.keeper.book.observations import Observations
from plimsoll.keeper.decide import Health
from plimsoll.keeper.errors import HeadMovedError, KeeperError, UnsafeStateError
from plimsoll.keeper.jobs.base import Job, Moment
from plimsoll.keeper.jobs.liquidation import Liquidation
from plimsoll.keeper.node.errors import NoProviderError
from plimsoll.keeper.node.follower import Follower
from plimsoll.keeper.node.headers import Header, next_base_fee
from plimsoll.keeper.node.steps import BlockTaken, ChunkTaken, Reorged
from plimsoll.keeper.operations.log import DecisionLog
from plimsoll.keeper.operations.ports import Decision
from plimsoll.keeper.operations.status import OracleStatus
from plimsoll.keeper.operations.telemetry import Telemetry
from plimsoll.keeper.options import Options
from plimsoll.keeper.sending.intent import Settled
from plimsoll.keeper.sending.manager import TransactionManager
from plimsoll.keeper.service.breaker import JobBreaker
from plimsoll.keeper.service.chain import Chain
from plimsoll.keeper.service.dispatch import Dispatcher
from plimsoll.keeper.service.names import key_of
from plimsoll.keeper.service.prices import PriceGate, observe
from plimsoll.keeper.storage.errors import LeaseLostError, StorageError

__all__ = ["NODE_ERRORS", "Passed", "Passes"]

MANY = 100
"""Blocks taken at once that are worth a line."""
NODE_ERRORS = (NodeUnavailable, NoProviderError, HeadMovedError)
"""Not a job's doing: the pass is given up and tried again."""


@dataclass(slots=True)
class Passed:
    """What one pass did."""

    head: Header
    blocks: int = 0
    logs: int = 0
    reorged: bool = False
    decisions: list[Decision] = field(default_factory=list)
    seconds: float = 0.0


class Passes:
    """Makes passes. Everything it needs is made by the service.

    :param jobs: in the order in which they decide.
    """

    def __init__(
        self,
        chain: Chain,
        mirror: Mirror,
        follower: Follower,
        manager: TransactionManager,
        dispatcher: Dispatcher,
        jobs: Sequence[Job],
        breakers: Mapping[str, JobBreaker],
        gate: PriceGate,
        options: Options,
        keeper: str,
        log: DecisionLog,
        telemetry: Telemetry,
    ) -> None:
        self.chain = chain
        self.mirror = mirror
        self.follower = follower
        self.manager = manager
        self.dispatcher = dispatcher
        self.jobs = tuple(jobs)
        self.breakers = dict(breakers)
        self.gate = gate
        self.options = options
        self.keeper = keeper
        self.halts: list[str] = []
        """Why nothing is sent although the service runs."""
        self.observations: Observations | None = None
        self.oracles: tuple[OracleStatus, ...] = ()
        self.liquidatable = 0
        self.candidates = 0
        self.settled: list[Settled] = []
        """Transactions that came to an end, until somebody counts and removes them."""
        self._log = log
        self._telemetry = telemetry
        self._started = False
        self._decided = ""

    async def run(self, head: Header) -> Passed:
        """One pass at `head`.

        :raises HeadMovedError, NodeUnavailable, NoProviderError: the chain cannot be read now; try again.
        :raises KeeperError: going on is not possible, or not safe.
        """
        begun = self.dispatcher.begun = time.perf_counter()
        passed = await self.follow(head)
        if head.hash == self._decided:
            passed.seconds = time.perf_counter() - begun
            return passed
        seen = await observe(self.chain, self.mirror, head)
        self.observations = seen
        blocked, self.oracles = self.gate.look(head, seen)
        for asset, reason in blocked.items():
            self._log.once(("price", asset), "price", f"nothing new is decided on asset {asset}: {reason}")
        usable = Observations(seen.time, {asset: one for asset, one in seen.assets.items() if asset not in blocked})
        self.dispatcher.blocked = ""
        for job in self.jobs:
            await self._job(job, usable, passed)
            if isinstance(job, Liquidation):
                self._reconsider(frozenset(one.account for one in job.below))
        self._log.forget_others()
        self._decided = head.hash
        passed.seconds = time.perf_counter() - begun
        return passed

    def again(self) -> None:
        """Decides at the same head once more, as after a failure of the node."""
        self._decided = ""

    # ── the chain ──────────────────────────────────────────────────────────

    async def follow(self, head: Header) -> Passed:
        """Brings mirror and manager to the head, without deciding anything.

        :raises HeadMovedError, NodeUnavailable, NoProviderError: the chain cannot be read now; try again.
        """
        passed = Passed(head)
        mark = time.perf_counter()
        async for step in self.follower.follow(head):
            if isinstance(step, BlockTaken):
                passed.blocks += 1
                passed.logs += len(step.logs)
                commit = self.follower.stats.commit_seconds
                took = max(time.perf_counter() - mark - commit, 0.0)
                self._telemetry.block_taken(len(step.logs), len(step.rows), took, commit)
                if self._started:
                    last = step.header.number == head.number
                    self.settled += await self.manager.on_block(step.header, act=last)
                mark = time.perf_counter()
            elif isinstance(step, ChunkTaken):
                passed.blocks += step.blocks
                passed.logs += step.logs
                if step.blocks >= MANY:
                    self._log.info("catching up", f"logs up to block {step.header.number} are in", logs=step.logs)
            elif isinstance(step, Reorged):
                passed.reorged = True
                self._telemetry.reorg(step.depth)
                self._log.warn("reorg", f"{step.depth} blocks above {step.to.number} are gone", depth=step.depth)
                self.gate.rolled_back(step.to.number)
                if step.to.number <= self.chain.target.first_block:
                    await self._same_chain()
                if self._started:
                    await self.manager.on_reorg(step.to.number)
            else:
                passed.reorged = True
                self._telemetry.resync("gap")
                self._log.warn("rebuild", f"{step.reason}; reading all logs again")
                await self._same_chain()
        reached = self.follower.head
        if reached is None or reached.hash != head.hash:
            raise HeadMovedError(f"block {head.number} was not reached")
        if not self._started:
            self.settled += await self.manager.start(head)
            await self.dispatcher.begin(head)
            self._started = True
        return passed

    async def _same_chain(self) -> None:
        """Makes sure that a history which goes back so far is not that of a chain that was reset.

        :raises UnsafeStateError: it is.
        """
        target = self.chain.target
        wanted: list[tuple[str, list[object]]] = [
            ("eth_getBlockByNumber", [hex(target.first_block), False]),
            ("eth_getCode", [target.clearinghouse.address, "latest"]),
        ]
        first, code = await self.chain.rpc.batch(wanted)
        if isinstance(first, RpcError) or isinstance(code, RpcError):
            raise HeadMovedError("the node does not say whether it is still the same chain")
        if first is None or (str(first["hash"]).lower() == target.first_block_hash.lower() and code != "0x"):
            return
        raise UnsafeStateError(
            f"the node is of another instance of chain {target.chain_id}: not the chain that {target.network} was "
            "deployed on (was it reset?); name another node, or run `plimsoll deploy`, and start the keeper again"
        )

    # ── jobs ───────────────────────────────────────────────────────────────

    async def _job(self, job: Job, seen: Observations, passed: Passed) -> None:
        """Lets one job decide and act. Its failure is its own."""
        head, breaker = passed.head, self.breakers[job.name]
        if not breaker.allows(head.number):
            return
        try:
            moment = self._moment(head, seen)
            actions = await job.decide(moment)
            below: Mapping[bytes, Health] = {one.account: one for one in getattr(job, "below", ())}
            if any(isinstance(action, Liquidate | PushPrices) for action in actions):
                self.dispatcher.known = below or self.dispatcher.known
            if isinstance(job, Liquidation):
                self.liquidatable, self.candidates = len(below), job.candidates
            if self.halts:
                return
            passed.decisions += await self.dispatcher.carry_out(job.name, actions, moment)
        except (LeaseLostError, UnsafeStateError, StorageError, *NODE_ERRORS):
            raise
        except Exception as error:
            self._failed(job, breaker, head, error)
            return
        breaker.succeeded()

    def _reconsider(self, below: frozenset[bytes]) -> None:
        """Tells the manager what transactions under way are still worth: others may have been faster."""
        under_way = {one.key: one for one in self.manager.in_flight()}
        for key, action in self.dispatcher.actions.items():
            known = under_way.get(key)
            if known is None:
                continue
            left, all_of = self._left(action, below)
            if left == 0:
                self.manager.withdraw(key)
            elif left < all_of and known.worth_wei is not None:
                share = self.dispatcher.worths.get(key, known.worth_wei) * left // all_of
                self.manager.revalue(key, min(share, known.worth_wei))

    def _left(self, action: Action, below: frozenset[bytes]) -> tuple[int, int]:
        """How many of the things that a transaction is about are still to be done, and how many there were."""
        if isinstance(action, Liquidate):
            return sum(account in below for account in action.accounts), len(action.accounts)
        if isinstance(action, ExecuteOrders):
            return sum(item.order.key in self.mirror.orders for item in action.items), len(action.items)
        if isinstance(action, BuyCollateral):
            return int(action.account in self.mirror.sales), 1
        return 1, 1

    def _failed(self, job: Job, breaker: JobBreaker, head: Header, error: Exception) -> None:
        expected = isinstance(error, KeeperError) or type(error).__module__.startswith("plimsoll")
        reason = str(error) if expected else f"{type(error).__name__}: {error}"
        fields = {} if expected else {"trace": "".join(traceback.format_exception(error))[-2_000:]}
        opened = breaker.failed(head.number, reason)
        self._telemetry.job_failed(job.name)
        self._log.error("job", f"{job.name} failed ({breaker.failures} in a row): {reason}", job=job.name, **fields)
        if opened:
            self._telemetry.breaker_opened(job.name)
            pause = breaker.pause_blocks
            self._log.error("breaker", f"{job.name} is left alone for {pause} blocks; the others go on", job=job.name)

    def _moment(self, head: Header, seen: Observations) -> Moment:
        return Moment(
            head=head,
            mirror=self.mirror,
            observations=seen,
            chain=self.chain,
            options=self.options,
            keeper=self.keeper,
            gas_price=next_base_fee(head) + self.manager.tip,
            busy=self.busy(),
            poisons=self.dispatcher.poisons,
        )

    def busy(self) -> frozenset[Key]:
        """Things that a transaction is under way for."""
        return frozenset(key_of(name) for name in self.manager.busy if name.startswith("["))
