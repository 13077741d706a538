"""A proxy in front of a node (HTTP and WebSocket) that fails in the ways nodes fail, when a test says so.

It runs in a thread of its own; everything public may be set and read from any other. Without a fault it passes requests
on, counts them by method, and applies geth's rules to raw transactions (Anvil's are laxer).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import threading
from collections import Counter
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, TypeVar

from aiohttp import ClientError, ClientSession, ClientWebSocketResponse, WSMsgType, web

from tests.support.faults.kinds import Sends, TransportFaults, WebSocketFaults
from tests.support.faults.mempool import Mempool, PooledTransaction

__all__ = ["SENDS", "FaultProxy", "Sends", "TransportFaults", "WebSocketFaults"]

T = TypeVar("T")
SENDS = ("eth_sendRawTransaction", "eth_sendTransaction", "eth_sendRawTransactionSync", "eth_sendTransactionSync")
"""Methods that send."""
HEAD_TAGS = ("latest", "pending", None)
REFUSED = -32000
BODY_LIMIT = 1 << 28


@dataclass(slots=True)
class FaultProxy:
    """Used as a context manager.

    :param upstream: HTTP address of the node.
    """

    upstream: str
    seed: int = 0
    transport: TransportFaults = field(default_factory=TransportFaults)
    sockets: WebSocketFaults = field(default_factory=WebSocketFaults)
    down: bool = False
    """Connections are dropped without an answer."""
    delay: float = 0.0
    """Seconds that every answer takes longer."""
    lag: int = 0
    """Blocks by which the head is behind; later blocks are not known."""
    frozen: int | None = None
    """Number above which no block is known, as of a node that stopped following."""
    chain_id: int | None = None
    """What the node says its chain is."""
    hide_logs: bool = False
    """`eth_getLogs` finds nothing."""
    hide_receipts: bool = False
    """`eth_getBlockReceipts` and `eth_getTransactionReceipt` leave logs out."""
    sends: Sends = Sends.PASS
    geth_rules: bool = True
    send_errors: list[str] = field(default_factory=list)
    """Words with which the next raw transactions are refused, one each; "" lets one pass."""
    lose_answers: int = 0
    """That many raw transactions reach the node, and the sender gets no answer."""
    counts: Counter[str] = field(default_factory=Counter)
    """Requests by method, batched or not."""
    failed: Counter[str] = field(default_factory=Counter)
    """Documents that failed by kind."""
    sent: list[PooledTransaction] = field(default_factory=list)
    """Raw transactions in the order in which they came, refused ones included."""
    mempool: Mempool = field(default_factory=Mempool)
    port: int = 0
    _held: list[PooledTransaction] = field(default_factory=list)
    _websockets: dict[web.WebSocketResponse, web.Request] = field(default_factory=dict)
    _random: random.Random = field(default_factory=random.Random)
    _loop: asyncio.AbstractEventLoop | None = None
    _thread: threading.Thread | None = None
    _session: ClientSession | None = None
    _runner: web.AppRunner | None = None

    # ── for tests ──────────────────────────────────────────────────────────

    @property
    def url(self) -> str:
        """HTTP address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        """WebSocket address."""
        return f"ws://127.0.0.1:{self.port}"

    @property
    def total_sends(self) -> int:
        """How often anything was sent: 0 after a dry run."""
        return sum(self.counts[method] for method in SENDS)

    @property
    def connected_sockets(self) -> int:
        """Open WebSockets."""
        return len(self._websockets)

    def heal(self) -> None:
        """No faults from now on; what is held stays held."""
        self.transport, self.sockets = TransportFaults(), WebSocketFaults()
        self.down, self.delay, self.lag, self.frozen, self.chain_id = False, 0.0, 0, None, None
        self.hide_logs = self.hide_receipts = False
        self.sends, self.lose_answers = Sends.PASS, 0
        self.send_errors.clear()

    def freeze(self) -> None:
        """The head stays where it is now."""
        self.frozen = int(self._run(self._ask("eth_blockNumber", []))["result"], 16)

    def release(self) -> list[dict[str, Any]]:
        """Gives held transactions to the node, in order; its answers."""
        held, self._held = self._held, []
        return [self._run(self._ask("eth_sendRawTransaction", [one.raw])) for one in held]

    def drop_held(self) -> None:
        """Forgets held transactions."""
        for one in self._held:
            self.mempool.forget(one)
        self._held = []

    def close_sockets_politely(self) -> None:
        """Closes all WebSockets with the code of a server that goes away."""
        self._run(self._close_sockets())

    def reset_sockets(self) -> None:
        """Cuts all WebSockets off."""
        self._run(self._abort_sockets())

    def __enter__(self) -> Self:
        self._random.seed(self.seed)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)
        self._thread.start()
        self._run(self._start())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._loop is not None
        assert self._thread is not None
        self._run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    # ── serving ────────────────────────────────────────────────────────────

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        assert self._loop is not None, "use `with FaultProxy(…) as proxy:`"
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    async def _start(self) -> None:
        self._session = ClientSession()
        app = web.Application(client_max_size=BODY_LIMIT)
        app.router.add_route("*", "/{tail:.*}", self._serve)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.05)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = self._runner.addresses[0][1]

    async def _stop(self) -> None:
        assert self._runner is not None
        assert self._session is not None
        await self._abort_sockets()
        await self._runner.cleanup()
        await self._session.close()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._serve_socket(request)
        if self.down:
            return self._cut_off(request)
        document = await request.json()
        requests = document if isinstance(document, list) else [document]
        for one in requests:
            self.counts[one["method"]] += 1
        if self.delay:
            await asyncio.sleep(self.delay)
        fault = self._draw([one["method"] for one in requests])
        if fault is not None:
            self.failed[fault] += 1
        if fault == "timeout":
            await asyncio.sleep(3600)
        if fault == "rate_limited":
            return web.Response(status=429, text="slow down", headers={"Retry-After": "0"})
        if fault == "server_error":
            return web.Response(status=503, text="busy")
        answers = [await self._answer(one) for one in requests]
        if None in answers:
            return self._cut_off(request)
        text = json.dumps(answers if isinstance(document, list) else answers[0])
        if fault == "cut":
            text = text[: len(text) // 2]
        return web.Response(text=text, content_type="application/json")

    def _draw(self, methods: Sequence[str]) -> str | None:
        """Which way a document fails, if it does."""
        faults = self.transport
        if faults.methods is not None and faults.methods.isdisjoint(methods):
            return None
        drawn = self._random.random()
        for kind in ("timeout", "rate_limited", "server_error", "cut"):
            drawn -= getattr(faults, kind)
            if drawn < 0:
                return kind
        return None

    def _cut_off(self, request: web.Request) -> web.Response:
        if request.transport is not None:
            request.transport.abort()
        return web.Response()

    # ── one request ────────────────────────────────────────────────────────

    async def _answer(self, request: dict[str, Any]) -> dict[str, Any] | None:
        """The answer; None if the sender must not get one."""
        method, params = request["method"], request.get("params", [])
        if method == "eth_sendRawTransaction":
            answer = await self._send(params[0])
            if self.lose_answers > 0:
                self.lose_answers -= 1
                return None
        else:
            answer = await self._read(method, params)
        return {"jsonrpc": "2.0", "id": request.get("id"), **answer}

    async def _ask(self, method: str, params: list[Any]) -> dict[str, Any]:
        """Result or error of the node."""
        assert self._session is not None
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        try:
            async with self._session.post(self.upstream, json=body) as response:
                answer = json.loads(await response.read())
        except (ClientError, OSError) as error:
            return _error(f"the node behind the proxy does not answer: {error}")
        return {key: answer[key] for key in ("result", "error") if key in answer}

    async def _read(self, method: str, params: list[Any]) -> dict[str, Any]:
        if self.chain_id is not None and method in ("eth_chainId", "net_version"):
            return {"result": hex(self.chain_id) if method == "eth_chainId" else str(self.chain_id)}
        if method == "eth_getTransactionByHash":
            held = next((one for one in self._held if one.hash == params[0].lower()), None)
            if held is not None:
                return {"result": held.json()}
        if method == "eth_getTransactionCount" and len(params) > 1 and params[1] == "pending":
            return await self._pending_nonce(params)
        if self.hide_logs and method == "eth_getLogs":
            return {"result": []}
        if self.hide_receipts and method in ("eth_getBlockReceipts", "eth_getTransactionReceipt"):
            return _without_logs(await self._ask(method, params))
        if self.lag or self.frozen is not None:
            return await self._late(method, params)
        return await self._ask(method, params)

    async def _pending_nonce(self, params: list[Any]) -> dict[str, Any]:
        answer = await self._ask("eth_getTransactionCount", params)
        if "result" in answer:
            nonce = int(answer["result"], 16)
            held = {one.nonce for one in self._held if one.sender == params[0].lower()}
            while nonce in held:
                nonce += 1
            answer = {"result": hex(nonce)}
        return answer

    async def _send(self, raw: str) -> dict[str, Any]:
        transaction = PooledTransaction.of(raw)
        self.sent.append(transaction)
        words = self.send_errors.pop(0) if self.send_errors else ""
        if words:
            return _error(words)
        if self.geth_rules:
            count = await self._ask("eth_getTransactionCount", [transaction.sender, "latest"])
            if "result" not in count:
                return count
            refusal = self.mempool.refusal(transaction, int(count["result"], 16))
            if refusal is not None:
                return _error(refusal)
        if self.sends is Sends.DROP:
            self.mempool.forget(transaction)
            return {"result": transaction.hash}
        if self.sends is Sends.HOLD:
            key = (transaction.sender, transaction.nonce)
            self._held = [one for one in self._held if (one.sender, one.nonce) != key] + [transaction]
            return {"result": transaction.hash}
        answer = await self._ask("eth_sendRawTransaction", [raw])
        if "error" in answer:
            self.mempool.forget(transaction)
        return answer

    # ── a head that is behind ──────────────────────────────────────────────

    async def _late(self, method: str, params: list[Any]) -> dict[str, Any]:
        """As a node that has not seen the latest blocks."""
        head = int((await self._ask("eth_blockNumber", []))["result"], 16) - self.lag
        if self.frozen is not None:
            head = min(head, self.frozen)
        if method == "eth_blockNumber":
            return {"result": hex(head)}
        if method == "eth_getBlockByNumber":
            number = head if params[0] in HEAD_TAGS else params[0]
            if isinstance(number, str) and number.startswith("0x"):
                number = int(number, 16)
            if isinstance(number, int) and number > head:
                return {"result": None}
            return await self._ask(method, [hex(number) if isinstance(number, int) else number, *params[1:]])
        known = [await self._ask("eth_getBlockByHash", [digest, False]) for digest in _hashes(params)]
        for block in known:
            if block.get("result") is not None and int(block["result"]["number"], 16) > head:
                return {"result": None} if method == "eth_getBlockByHash" else _error("unknown block")
        if method == "eth_getLogs" and "blockHash" not in params[0]:
            end = params[0].get("toBlock", "latest")
            if end not in HEAD_TAGS and int(end, 16) > head:
                return _error("block range extends beyond current head block")
            return await self._ask(method, [{**params[0], "toBlock": hex(head) if end in HEAD_TAGS else end}])
        return await self._ask(method, [hex(head) if one == "latest" else one for one in params])

    # ── WebSockets ─────────────────────────────────────────────────────────

    async def _serve_socket(self, request: web.Request) -> web.StreamResponse:
        assert self._session is not None
        self.counts["websocket"] += 1
        if self.sockets.refuse or self.down:
            return web.Response(status=503, text="busy")
        client = web.WebSocketResponse(autoping=False)
        await client.prepare(request)
        self._websockets[client] = request
        try:
            async with self._session.ws_connect(self.upstream.replace("http", "ws", 1)) as node:
                done, pending = await asyncio.wait(
                    [asyncio.ensure_future(self._pump(client, node)), asyncio.ensure_future(self._pump(node, client))],
                    return_when=asyncio.FIRST_COMPLETED,
                )
                for task in (*done, *pending):
                    task.cancel()
        except (ClientError, OSError):
            await client.close(code=1011)
        finally:
            self._websockets.pop(client, None)
        return client

    async def _pump(
        self,
        source: web.WebSocketResponse | ClientWebSocketResponse,
        target: web.WebSocketResponse | ClientWebSocketResponse,
    ) -> None:
        async for message in source:
            if self.sockets.black_hole:
                continue
            with contextlib.suppress(ClientError, OSError):
                if message.type is WSMsgType.TEXT:
                    await target.send_str(message.data)
                elif message.type is WSMsgType.PING:
                    await source.pong(message.data)

    async def _close_sockets(self) -> None:
        for socket in list(self._websockets):
            await asyncio.wait_for(socket.close(code=1001, message=b"going away"), 5)

    async def _abort_sockets(self) -> None:
        for request in list(self._websockets.values()):
            if request.transport is not None:
                request.transport.abort()


def _error(message: str) -> dict[str, Any]:
    return {"error": {"code": REFUSED, "message": message}}


def _without_logs(answer: dict[str, Any]) -> dict[str, Any]:
    found = answer.get("result")
    if isinstance(found, list):
        return {"result": [{**receipt, "logs": []} for receipt in found]}
    return {"result": {**found, "logs": []}} if isinstance(found, dict) else answer


def _hashes(params: Sequence[Any]) -> list[str]:
    """Block hashes that a request is about."""
    found = [one for one in params if isinstance(one, str) and len(one) == 66]
    return found + [one["blockHash"] for one in params if isinstance(one, dict) and "blockHash" in one]
