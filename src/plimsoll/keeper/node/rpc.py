"""JSON-RPC for asyncio: single requests and batches, time limits, and repeats of what may be repeated."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Protocol, Self, TypeAlias, TypeVar

from plimsoll.chain.errors import NodeUnavailable, RpcError
from plimsoll.chain.rpc import FIX_PROTOCOL, is_read
from plimsoll.keeper.node.errors import RateLimitedError
from plimsoll.keeper.node.transport import Transport, transport_to

__all__ = ["Client", "Request", "Rpc", "pause_before"]

T = TypeVar("T")
Request: TypeAlias = tuple[str, Sequence[Any]]
"""Method and parameters."""

FIRST_PAUSE = 0.05
LONGEST_PAUSE = 2.0
RATE_LIMITED = 429
RATE_LIMITS = ("rate limit", "too many requests", "request limit", "per second", "exceeded the quota")


class Client(Protocol):
    """Who answers requests: one node, or the best of several."""

    async def request(self, method: str, params: Sequence[Any] = (), *, timeout: float | None = None) -> Any:
        """The result of one request.

        :raises RpcError: the node answered with an error.
        :raises NodeUnavailable: no node answered.
        """

    async def batch(self, requests: Iterable[Request], *, timeout: float | None = None) -> list[Any]:
        """Results in order; a request that failed gives its `RpcError` in place of a result.

        :raises NodeUnavailable: no node answered.
        """

    def distrust(self) -> None:
        """Says that the last answer cannot be true: other nodes, if there are any, are preferred for a while."""


class Rpc:
    """One node.

    :param url_or_path: `http(s)://…` or the path of a unix socket.
    :param timeout: seconds for one attempt.
    :param retries: how often a read is tried again; what changes something is sent once only.
    :param chunk: most requests in one document.
    """

    def __init__(
        self,
        url_or_path: str,
        *,
        timeout: float = 10.0,
        retries: int = 2,
        connections: int = 8,
        chunk: int = 100,
        transport: Transport | None = None,
    ) -> None:
        self._transport = transport if transport is not None else transport_to(url_or_path, connections=connections)
        self.timeout = timeout
        self.retries = retries
        self.chunk = chunk
        self._ids = itertools.count(1)

    @property
    def address(self) -> str:
        """Where the node is, without secrets."""
        return self._transport.address

    async def request(self, method: str, params: Sequence[Any] = (), *, timeout: float | None = None) -> Any:
        """The result of one request.

        :raises RpcError: the node answered with an error.
        :raises NodeUnavailable: the node did not answer; its subclass `NodeTimeout` when time ran out.
        """
        number = next(self._ids)
        body = {"jsonrpc": "2.0", "id": number, "method": method, "params": list(params)}

        async def once() -> Any:
            answer = await self._transport.exchange(json.dumps(body).encode(), timeout or self.timeout)
            if not isinstance(answer, dict) or answer.get("id", number) not in (number, None):
                raise self._out_of_step()
            error = answer.get("error")
            if error is not None:
                raise self._refusal(error, method)
            if "result" not in answer:
                raise self._out_of_step()
            return answer["result"]

        return await self._repeated(once, is_read(method))

    async def batch(self, requests: Iterable[Request], *, timeout: float | None = None) -> list[Any]:
        """Results in order; a request that failed gives its `RpcError` in place of a result.

        :raises RpcError: the node refused the batch as such.
        :raises NodeUnavailable: the node did not answer.
        """
        pending = list(requests)
        results: list[Any] = []
        for start in range(0, len(pending), self.chunk):
            results += await self._batch(pending[start : start + self.chunk], timeout or self.timeout)
        return results

    def distrust(self) -> None:
        """Changes nothing: there is no other node."""

    async def close(self) -> None:
        """Drops all connections; the next request connects again."""
        await self._transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _batch(self, requests: Sequence[Request], timeout: float) -> list[Any]:
        numbers = [next(self._ids) for _ in requests]
        documents = [
            {"jsonrpc": "2.0", "id": number, "method": method, "params": list(params)}
            for number, (method, params) in zip(numbers, requests, strict=True)
        ]
        payload = json.dumps(documents).encode()

        async def once() -> list[Any]:
            answers = await self._transport.exchange(payload, timeout)
            if isinstance(answers, dict) and answers.get("error") is not None:
                raise self._refusal(answers["error"], "the batch")
            if not isinstance(answers, list):
                raise self._out_of_step()
            by_id = {answer.get("id"): answer for answer in answers if isinstance(answer, dict)}
            results: list[Any] = []
            for number, (method, _) in zip(numbers, requests, strict=True):
                answer = by_id.get(number)
                if answer is None or ("result" not in answer and answer.get("error") is None):
                    raise self._out_of_step()
                error = answer.get("error")
                if error is None:
                    results.append(answer["result"])
                    continue
                refusal = self._refusal(error, method)
                if isinstance(refusal, NodeUnavailable):
                    if repeatable:
                        raise refusal
                    refusal = RpcError(RATE_LIMITED, str(error), None, method=method)
                results.append(refusal)
            return results

        repeatable = all(is_read(method) for method, _ in requests)
        return await self._repeated(once, repeatable)

    async def _repeated(self, once: Callable[[], Awaitable[T]], repeatable: bool) -> T:
        """Tries again after a pause while the node does not answer; what changes something only if it was not sent."""
        for attempt in itertools.count():
            try:
                return await once()
            except NodeUnavailable as error:
                if attempt >= self.retries or (error.sent and not repeatable):
                    raise
                asked = error.retry_after if isinstance(error, RateLimitedError) else 0.0
            await asyncio.sleep(max(pause_before(attempt), min(asked, LONGEST_PAUSE)))
        raise AssertionError("unreachable: the loop returns or raises")

    def _refusal(self, error: Any, method: str) -> RpcError | NodeUnavailable:
        if not isinstance(error, dict):
            return RpcError(0, str(error), None, method=method)
        code, message = error.get("code", 0), str(error.get("message", ""))
        if code == RATE_LIMITED or any(text in message.lower() for text in RATE_LIMITS):
            return RateLimitedError(self.address, f"{method}: {message}", 0.0)
        return RpcError(code if isinstance(code, int) else 0, message, error.get("data"), method=method)

    def _out_of_step(self) -> NodeUnavailable:
        return NodeUnavailable(self.address, "the answer does not belong to the request", FIX_PROTOCOL, sent=True)


def pause_before(attempt: int) -> float:
    """Seconds before trying again after `attempt` repeats: doubled each time, and never the same for two keepers."""
    pause: float = min(FIRST_PAUSE * 2**attempt, LONGEST_PAUSE)
    return pause * random.uniform(0.5, 1.5)
