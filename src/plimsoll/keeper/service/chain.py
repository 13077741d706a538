"""Calls of the deployment's contracts at one block, named by its hash, many in one round trip."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any, Protocol

from eth_utils.crypto import keccak

from plimsoll.chain.contract import Call, call_requests, call_results
from plimsoll.chain.errors import PlimsollError, Revert, RpcError
from plimsoll.keeper.errors import HeadMovedError
from plimsoll.keeper.node.headers import Header
from plimsoll.keeper.target import Target

__all__ = ["Caller", "Chain"]

UPDATE_FEE = keccak(b"getUpdateFee(bytes[])")[:4]


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
        return self._answered(call_results(calls, await self.rpc.batch(call_requests(calls, block=block))), head)

    def _answered(self, answers: list[Any], head: Header) -> list[Any]:
        for answer in answers:
            if isinstance(answer, RpcError):
                # Nodes without old states refuse a block as soon as there is a newer one.
                raise HeadMovedError(f"block {head.number} cannot be read any more: {answer}") from answer
            if isinstance(answer, PlimsollError) and not isinstance(answer, Revert):
                raise answer
        return answers

    async def update_fees(self, hints: Sequence[bytes], head: Header) -> dict[bytes, int]:
        """What Pyth takes for each of these signed updates, wei; nothing for what it does not understand.

        :param hints: as `OracleHub.firstAfter` takes them: an encoded `bytes[]`.
        """
        if not hints:
            return {}
        (pyth,) = await self.ask([(self.target.hub, "pyth", [])], head)
        if isinstance(pyth, Revert):
            return {}
        block = {"blockHash": head.hash}
        calls = [{"to": pyth, "data": "0x" + (UPDATE_FEE + hint).hex()} for hint in hints]
        answers = await self.rpc.batch([("eth_call", [call, block]) for call in calls])
        return {
            hint: int(answer, 16)
            for hint, answer in zip(hints, answers, strict=True)
            if isinstance(answer, str) and len(answer) > 2
        }

    async def ask_paid(self, calls: Sequence[tuple[Call, int]], sender: str, head: Header) -> list[Any]:
        """As `ask`, for functions that take ether: from a sender who has it, with so many wei each."""
        plain = [call for call, _ in calls]
        requests = call_requests(plain, block={"blockHash": head.hash})
        for (_, params), (_, value) in zip(requests, calls, strict=True):
            if value:
                params[0] |= {"from": sender, "value": hex(value)}
        return self._answered(call_results(plain, await self.rpc.batch(requests)), head) if plain else []
