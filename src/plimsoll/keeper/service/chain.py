"""Calls of the deployment's contracts at one block, named by its hash, many in one round trip."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any, Protocol

from plimsoll.chain.contract import Call, call_requests, call_results
from plimsoll.chain.errors import PlimsollError, Revert, RpcError
from plimsoll.keeper.errors import HeadMovedError
from plimsoll.keeper.node.headers import Header
from plimsoll.keeper.target import Target

__all__ = ["Caller", "Chain"]


class Caller(Protocol):
    """A client of a node, or of several."""

    def request(self, method: str, params: Sequence[Any] = ()) -> Awaitable[Any]:
        """The result of one request; an error of the node is raised as `RpcError`."""

    def batch(self, requests: Sequence[tuple[str, Sequence[Any]]]) -> Awaitable[list[Any]]:
        """Results of many requests, an `RpcError` in place of what failed."""


class Chain:
    """Reads through one client; the state is that after a block, so that all answers belong together."""

    def __init__(self, rpc: Caller, target: Target) -> None:
        self.rpc = rpc
        self.target = target

    async def ask(self, calls: Sequence[Call], head: Header) -> list[Any]:
        """Results of calls at a block, a `Revert` in place of what the EVM refused.

        :raises HeadMovedError: the node does not answer for that block any more.
        """
        if not calls:
            return []
        block = {"blockHash": head.hash}
        answers = call_results(calls, await self.rpc.batch(call_requests(calls, block=block)))
        for answer in answers:
            if isinstance(answer, RpcError):
                # Nodes without old states refuse a block as soon as there is a newer one.
                raise HeadMovedError(f"block {head.number} cannot be read any more: {answer}") from answer
            if isinstance(answer, PlimsollError) and not isinstance(answer, Revert):
                raise answer
        return answers
