"""Several nodes as one: each is checked, measured and scored, and only those that keep up are read.

A node is read only while it is on the right chain and at most a few blocks behind the best. What it fails to answer the
next one is asked, and only what was not handed over yet, if it changes something.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from plimsoll.chain.errors import NodeUnavailable, RpcError
from plimsoll.chain.rpc import is_read
from plimsoll.keeper.node.errors import NoProviderError
from plimsoll.keeper.node.headers import Header
from plimsoll.keeper.node.provider import Identity, Provider, ProviderView
from plimsoll.keeper.node.rpc import Request, Rpc, pause_before

__all__ = ["Identity", "ProviderView", "Providers"]

T = TypeVar("T")
BETTER = 2.0
"""How many times better another node must be before it replaces one that works."""
GRACE = 0.25
"""Seconds for which the others are waited for when one has told its head."""
GONE = ("unknown block", "not found", "missing trie node", "beyond current head", "unsupported block", "out of range")
NO_METHOD = -32601
OF_A_BLOCK = frozenset({"eth_getBlockByHash", "eth_getBlockByNumber", "eth_getBlockReceipts"})
"""Methods whose empty answer may mean that this node does not have the block, and another one has."""


class Providers:
    """One or more nodes. It is a `Client`; nodes come in order of preference.

    :param identity: what the nodes' chain must be; None takes any.
    :param timeout: seconds for one attempt.
    :param max_lag: blocks that a node may be behind the best one and still be read.
    :param silence: seconds without a new head after which a node counts as silent.
    :param rounds: how often all nodes are tried before a request is given up.
    """

    def __init__(
        self,
        nodes: Iterable[str | Rpc],
        *,
        identity: Identity | None = None,
        timeout: float = 10.0,
        max_lag: int = 2,
        silence: float = 30.0,
        rounds: int = 3,
    ) -> None:
        rpcs = [node if isinstance(node, Rpc) else Rpc(node, timeout=timeout, retries=0) for node in nodes]
        if not rpcs:
            raise NoProviderError("no node is named")
        self._all = [Provider(rpc, identity) for rpc in rpcs]
        self._used = self._all[0]
        self._max_lag = max_lag
        self._silence = silence
        self._rounds = rounds
        self._best: Header | None = None
        self._least = 0
        """Number of the best head: nodes without it are asked last."""
        self._moved = time.monotonic()
        self.switches = 0
        """How often another node was taken instead of the one that was read."""

    # ── as a client ────────────────────────────────────────────────────────

    @property
    def address(self) -> str:
        """Of the node that is read, without secrets."""
        return self._used.rpc.address

    async def request(self, method: str, params: Sequence[Any] = (), *, timeout: float | None = None) -> Any:
        """The result of one request.

        :raises RpcError: the node answered with an error.
        :raises NodeUnavailable: no node answered.
        :raises NoProviderError: no node is fit to be asked.
        """

        async def ask(rpc: Rpc) -> Any:
            return await rpc.request(method, params, timeout=timeout)

        return await self._ask(ask, is_read(method), lambda answer: answer is None and method in OF_A_BLOCK)

    async def batch(self, requests: Iterable[Request], *, timeout: float | None = None) -> list[Any]:
        """Results in order, all of one node; a request that failed gives its `RpcError` in place of a result.

        :raises NodeUnavailable: no node answered.
        :raises NoProviderError: no node is fit to be asked.
        """
        listed = list(requests)

        async def ask(rpc: Rpc) -> list[Any]:
            return await rpc.batch(listed, timeout=timeout)

        def lacking(answers: list[Any]) -> bool:
            pairs = zip(listed, answers, strict=True)
            return any((one is None and method in OF_A_BLOCK) or _elsewhere(one) for (method, _), one in pairs)

        return await self._ask(ask, all(is_read(method) for method, _ in listed), lacking)

    async def call_all(self, method: str, params: Sequence[Any]) -> list[tuple[str, Any]]:
        """Asks every node on the right chain at once: its address, and its result or its error."""

        async def one(provider: Provider) -> tuple[str, Any]:
            try:
                await provider.check()
                return provider.rpc.address, await provider.measured(provider.rpc.request(method, params))
            except (NodeUnavailable, RpcError) as error:
                return provider.rpc.address, error

        return list(await asyncio.gather(*(one(provider) for provider in self._all if not provider.wrong)))

    def distrust(self) -> None:
        """Says that the last answer cannot be true: the other nodes are preferred for a while."""
        self._used.distrust()
        self._choose()

    async def close(self) -> None:
        """Drops all connections."""
        for provider in self._all:
            await provider.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # ── heads ──────────────────────────────────────────────────────────────

    async def look(self) -> Header:
        """The best head, after every node has been asked for its own; nodes that do not answer are not waited for.

        :raises NoProviderError: none told one.
        """
        tasks = {asyncio.ensure_future(provider.look()) for provider in self._all}
        grace: float | None = None
        while tasks:
            done, tasks = await asyncio.wait(tasks, timeout=grace, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                break
            if any(task.result() for task in done):
                grace = GRACE
        right = [one for one in self._all if one.head and one.answers and not one.wrong and not self._lags(one)]
        if not right:
            raise NoProviderError("no node tells a head: " + "; ".join(self._reasons()))
        self._least = max(provider.number for provider in right)
        self._choose()
        head = self._used.head
        assert head is not None
        if self._best is None or head.hash != self._best.hash:
            self._moved = time.monotonic()
        self._best = head
        return head

    @property
    def best(self) -> Header | None:
        """The head that `look` told last."""
        return self._best

    @property
    def quiet(self) -> float:
        """Seconds since the best head last changed."""
        return time.monotonic() - self._moved

    def takers(self) -> list[Rpc]:
        """Nodes that take transactions: those on the right chain, the best first."""
        return [provider.rpc for provider in self._ordered() if not provider.wrong]

    def wrong(self) -> list[str]:
        """Why nodes are not of this chain; as many lines as nodes if none is."""
        return [f"{provider.rpc.address}: {provider.wrong}" for provider in self._all if provider.wrong]

    def status(self) -> tuple[ProviderView, ...]:
        """For operators."""
        top = self._top()
        return tuple(
            provider.view(top, self._max_lag, self._silence, used=provider is self._used) for provider in self._all
        )

    # ── choosing ───────────────────────────────────────────────────────────

    def _top(self) -> int:
        """Number of the best head, for a while also of a node that does not answer any more."""
        heads = (one.number for one in self._all if not one.wrong and one.failing <= self._silence)
        return max(heads, default=0)

    def _lags(self, provider: Provider) -> bool:
        return provider.head is not None and provider.number + self._max_lag < self._top()

    def _ordered(self) -> list[Provider]:
        """All nodes, the best first: answering, keeping up, having the best head, then by score."""

        def rank(provider: Provider) -> tuple[bool, bool, bool, float]:
            score = provider.score / (BETTER if provider is self._used else 1.0)
            return not provider.answers, self._lags(provider), provider.number < self._least, score

        return sorted(self._all, key=rank)

    def _choose(self) -> None:
        best = next((provider for provider in self._ordered() if not provider.wrong), self._used)
        if best is not self._used:
            self._used = best
            self.switches += 1

    def _reasons(self) -> list[str]:
        return [f"{provider.rpc.address} {provider.wrong or provider.problem or 'is behind'}" for provider in self._all]

    async def _ask(self, ask: Callable[[Rpc], Awaitable[T]], repeatable: bool, lacking: Callable[[T], bool]) -> T:
        """Asks one node after the other until one has an answer."""
        failure: NodeUnavailable | None = None
        refusal: RpcError | None = None
        for attempt in range(self._rounds):
            if attempt:
                await asyncio.sleep(pause_before(attempt - 1))
            empty: list[T] = []
            for provider in self._ordered():
                if not await self._fit(provider):
                    continue
                try:
                    answer = await provider.measured(ask(provider.rpc))
                except NodeUnavailable as error:
                    failure = error
                    if error.sent and not repeatable:
                        raise
                    continue
                except RpcError as error:
                    if not repeatable or not _elsewhere(error):
                        raise
                    refusal = error
                    continue
                if not lacking(answer):
                    if provider is not self._used and not self._used.answers:
                        self._choose()
                    return answer
                empty.append(answer)
            if empty:
                return empty[0]
            if refusal is not None:
                raise refusal
        if failure is not None:
            raise failure
        raise NoProviderError("no node can be read: " + "; ".join(self._reasons()))

    async def _fit(self, provider: Provider) -> bool:
        """Whether a node may be read now; one that failed is checked again first."""
        if self._lags(provider):
            return False
        try:
            await provider.check()
        except (NodeUnavailable, RpcError):
            return False
        return not provider.wrong


def _elsewhere(answer: object) -> bool:
    """Whether a refusal may be this node's own: it lacks the block, or the method."""
    if not isinstance(answer, RpcError):
        return False
    return answer.code == NO_METHOD or any(text in answer.message.lower() for text in GONE)
