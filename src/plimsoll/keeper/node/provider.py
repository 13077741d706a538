"""One node among several: which chain it is on, how well it answers, and where its head is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypeVar

from plimsoll.chain.errors import NodeUnavailable, RpcError
from plimsoll.keeper.node.errors import BadAnswerError
from plimsoll.keeper.node.headers import Header
from plimsoll.keeper.node.rpc import Rpc

__all__ = ["Identity", "Provider", "ProviderView"]

T = TypeVar("T")
WEIGHT = 0.2
"""Of the latest request in the averages of latency and errors."""
ERROR_COST = 20.0
"""By how many times a node that always fails is worse than one of the same latency that never does."""
QUICKEST = 0.05
"""Seconds below which latencies make no difference."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What a chain must be: its id, and a block that it has. No block: any chain of that id."""

    chain_id: int
    block: int | None = None
    block_hash: str = ""


@dataclass(frozen=True, slots=True)
class ProviderView:
    """A node for operators. `state` is one of ok, lagging, silent, wrong chain, failing."""

    name: str
    state: str
    head: int
    lag_blocks: int
    latency_seconds: float
    error_ratio: float
    used: bool


class Provider:
    """A node with its record."""

    def __init__(self, rpc: Rpc, identity: Identity | None) -> None:
        self.rpc = rpc
        self.head: Header | None = None
        self.wrong = ""
        """Why it is not of this chain; empty if it is, or if that is not known."""
        self.problem = ""
        """What it failed with last; empty if it answered."""
        self.latency = 0.0
        self.errors = 0.0
        self._identity = identity
        self._checked = False
        self._changed = time.monotonic()
        self._failing_since = 0.0
        self._looking: asyncio.Task[bool] | None = None

    @property
    def number(self) -> int:
        """Of its head; 0 if it never told one."""
        return 0 if self.head is None else self.head.number

    @property
    def answers(self) -> bool:
        """Whether its latest request was answered."""
        return not self.problem

    @property
    def failing(self) -> float:
        """Seconds for which it has not answered; 0 if it does."""
        return time.monotonic() - self._failing_since if self.problem else 0.0

    @property
    def score(self) -> float:
        """Lower is better: seconds, made longer by errors."""
        return max(self.latency, QUICKEST) * (1.0 + ERROR_COST * self.errors)

    async def measured(self, work: Awaitable[T]) -> T:
        """The result, with time and outcome entered into the record. A refusal is an answer too."""
        began = time.monotonic()
        try:
            result = await work
        except NodeUnavailable as error:
            self._failed(error.reason)
            raise
        except RpcError:
            self._answered(began)
            raise
        self._answered(began)
        return result

    async def check(self) -> None:
        """Makes sure, at first and after every failure, that the node is of this chain: `wrong` tells.

        :raises NodeUnavailable: it does not answer, or nonsense (`BadAnswerError`).
        :raises RpcError: it refuses.
        """
        if self._checked:
            return
        identity = self._identity
        if identity is not None:
            block = hex(identity.block) if identity.block is not None else "latest"
            requests = [("eth_chainId", ()), ("eth_getBlockByNumber", (block, False))]
            chain, raw = await self.measured(self.rpc.batch(requests))
            for answer in (chain, raw):
                if isinstance(answer, RpcError):
                    raise answer
            self.wrong = ""
            if int(chain, 16) != identity.chain_id:
                self.wrong = f"is of chain {int(chain, 16)}, not {identity.chain_id}"
            elif identity.block is not None:
                if raw is None:
                    raise BadAnswerError(f"{self.rpc.address} does not have block {identity.block} yet")
                if Header.of(raw).hash != identity.block_hash.lower():
                    self.wrong = f"is of another instance of chain {identity.chain_id}"
        self._checked = not self.wrong

    def distrust(self) -> None:
        """Counts as if it had failed for long, until it has answered for long."""
        self.errors = 1.0

    async def look(self) -> bool:
        """Asks for the head; true if the node told it. Only one such request is under way at a time."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.ensure_future(self._look())
        return await asyncio.shield(self._looking)

    async def close(self) -> None:
        """Drops all connections."""
        if self._looking is not None and not self._looking.done():
            self._looking.cancel()
        self._looking = None
        await self.rpc.close()

    def view(self, top: int, max_lag: int, silence: float, *, used: bool) -> ProviderView:
        """For operators; `top` is the best head of all."""
        lag = max(top - self.number, 0)
        if self.wrong:
            state = "wrong chain"
        elif not self.answers:
            state = "failing"
        elif self.head is None or lag > max_lag:
            state = "lagging"
        else:
            state = "silent" if time.monotonic() - self._changed > silence else "ok"
        return ProviderView(self.rpc.address, state, self.number, lag, self.latency, self.errors, used)

    async def _look(self) -> bool:
        try:
            await self.check()
            if self.wrong:
                return False
            raw = await self.measured(self.rpc.request("eth_getBlockByNumber", ["latest", False]))
            if not isinstance(raw, dict):
                raise BadAnswerError("tells no head")
            head = Header.of(raw)
        except (RpcError, BadAnswerError) as error:
            self._failed(str(error))
            return False
        except NodeUnavailable:
            return False
        if self.head is None or head.hash != self.head.hash:
            self._changed = time.monotonic()
        self.head = head
        return True

    def _answered(self, began: float) -> None:
        self.problem = ""
        seconds = time.monotonic() - began
        self.latency = seconds if self.latency == 0 else self.latency + WEIGHT * (seconds - self.latency)
        self.errors -= WEIGHT * self.errors

    def _failed(self, reason: str) -> None:
        """After a failure anything may answer at the address."""
        if not self.problem:
            self._failing_since = time.monotonic()
        self.problem = reason
        self.errors += WEIGHT * (1.0 - self.errors)
        self._checked = False
