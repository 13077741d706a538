"""Hints that a new head is there, by WebSocket. They only hasten the next look, which comes anyway.

A socket may be refused, cut, closed politely or go dark without a sign: it is opened again, for ever, and nothing ever
waits for it alone.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from plimsoll.keeper.node.rpc import pause_before

__all__ = ["HeadSocketStatus", "Heads"]

SUBSCRIBE = {"jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["newHeads"]}
HEARTBEAT = 15.0
ANSWER_WITHIN = 10.0
MISSED = 3
"""Heads found by looking that a socket did not tell, before it is taken for dead."""


@dataclass(slots=True)
class HeadSocketStatus:
    """One socket. `name` is its address without secrets."""

    name: str
    connected: bool = False
    connections: int = 0
    hints: int = 0
    problem: str = ""


class Heads:
    """Sockets to any number of nodes; without any, `wait` only waits.

    :param urls: `ws://` or `wss://` addresses.
    :param heartbeat: seconds between pings; an answer that takes half as long ends the connection.
    """

    def __init__(self, urls: Sequence[str] = (), *, heartbeat: float = HEARTBEAT) -> None:
        self._urls = tuple(urls)
        self._heartbeat = heartbeat
        self._hint = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._open: dict[int, aiohttp.ClientWebSocketResponse] = {}
        self._missed = [0] * len(self._urls)
        self._last = ""
        self.status = [HeadSocketStatus(_shown(url)) for url in self._urls]

    def start(self) -> None:
        """Begins to connect, in the running loop."""
        self._tasks = [asyncio.ensure_future(self._keep(index)) for index in range(len(self._urls))]

    async def close(self) -> None:
        """Ends all connections."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def wait(self, seconds: float) -> bool:
        """Waits for so long, or until a head is told of; true if one was."""
        try:
            async with asyncio.timeout(seconds):
                await self._hint.wait()
        except TimeoutError:
            return False
        self._hint.clear()
        return True

    def saw(self, digest: str) -> None:
        """Says which head a look has found: a socket that misses several in a row is opened again."""
        if digest == self._last:
            return
        self._last = digest
        for index, socket in list(self._open.items()):
            self._missed[index] += 1
            if self._missed[index] > MISSED:
                self._tasks.append(asyncio.ensure_future(_drop(socket)))
        self._tasks = [task for task in self._tasks if not task.done()]

    async def _keep(self, index: int) -> None:
        """Keeps one socket open."""
        status = self.status[index]
        attempt = 0
        while True:
            before = status.hints
            try:
                await self._listen(index, status)
                status.problem = "closed by the node"
            except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
                # The text of an error may quote the address.
                status.problem = type(error).__name__
            finally:
                status.connected = False
                self._open.pop(index, None)
            attempt = 0 if status.hints > before else attempt + 1
            await asyncio.sleep(pause_before(min(attempt, 8)))

    async def _listen(self, index: int, status: HeadSocketStatus) -> None:
        """Hints until the connection ends."""
        async with aiohttp.ClientSession() as session:
            async with asyncio.timeout(ANSWER_WITHIN):
                socket = await session.ws_connect(self._urls[index], heartbeat=self._heartbeat)
            try:
                await socket.send_json(SUBSCRIBE)
                answer = _document(await socket.receive(timeout=ANSWER_WITHIN))
                if "result" not in answer:
                    raise ValueError("the subscription was refused")
                status.connected, status.problem = True, ""
                status.connections += 1
                self._open[index] = socket
                self._missed[index] = 0
                async for message in socket:
                    if _document(message).get("method") == "eth_subscription":
                        status.hints += 1
                        self._missed[index] = 0
                        self._hint.set()
            finally:
                self._open.pop(index, None)
                await _drop(socket)


async def _drop(socket: aiohttp.ClientWebSocketResponse) -> None:
    """Ends a connection without waiting for the other side's farewell for long."""
    try:
        async with asyncio.timeout(1.0):
            await socket.close()
    except (TimeoutError, aiohttp.ClientError, OSError):
        pass


def _document(message: aiohttp.WSMessage) -> dict[str, Any]:
    if message.type is not aiohttp.WSMsgType.TEXT:
        raise ValueError(f"a message of kind {message.type}")
    document = json.loads(message.data)
    if not isinstance(document, dict):
        raise ValueError("a message that is no object")
    return document


def _shown(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")
