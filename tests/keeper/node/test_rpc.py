"""The JSON-RPC client: answers, refusals, broken answers, and what is sent how often."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from plimsoll.chain.anvil import Anvil
from plimsoll.chain.errors import NodeTimeout, NodeUnavailable, RpcError
from plimsoll.keeper.node.errors import RateLimitedError
from plimsoll.keeper.node.rpc import Rpc, pause_before

Reply = Callable[[Any], Any]
SEND = "eth_sendRawTransaction"


@asynccontextmanager
async def node(*replies: Reply) -> AsyncIterator[tuple[str, list[Any]]]:
    """A node that gives these replies one after the other, the last for ever; its address and what it was asked."""
    asked: list[Any] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        body = await request.json()
        asked.append(body)
        found = replies[min(len(asked), len(replies)) - 1](body)
        if isinstance(found, Awaitable):
            found = await found
        return found if isinstance(found, web.StreamResponse) else web.json_response(found)

    app = web.Application()
    app.router.add_post("/{tail:.*}", handle)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.05)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        yield f"http://user:secret@127.0.0.1:{port}/key", asked
    finally:
        await runner.cleanup()


def good(body: Any) -> Any:
    def one(request: dict[str, Any]) -> dict[str, Any]:
        return {"jsonrpc": "2.0", "id": request["id"], "result": request["method"]}

    return [one(request) for request in body] if isinstance(body, list) else one(body)


def refused(code: int, message: str) -> Reply:
    return lambda body: {
        "jsonrpc": "2.0",
        "id": body["id"],
        "error": {"code": code, "message": message, "data": "0x12"},
    }


def status(code: int, text: str = "no", **headers: str) -> Reply:
    return lambda body: web.Response(status=code, text=text, headers=headers)


def cut(body: Any) -> web.Response:
    return web.Response(text=json.dumps(good(body))[:-5], content_type="application/json")


async def hang(body: Any) -> Any:
    await asyncio.sleep(5)


def ask(method: str, *replies: Reply, **options: Any) -> tuple[Any, int]:
    """The result or the error, and how often the node was asked."""

    async def run() -> tuple[Any, int]:
        async with node(*replies) as (url, asked), Rpc(url, **options) as rpc:
            try:
                return await rpc.request(method), len(asked)
            except (NodeUnavailable, RpcError) as error:
                return error, len(asked)

    return asyncio.run(run())


def test_a_result_is_given() -> None:
    assert ask("eth_blockNumber", good) == ("eth_blockNumber", 1)


@pytest.mark.parametrize(
    "broken", [status(500), status(429), status(503), cut, hang], ids=["500", "429", "503", "cut", "hang"]
)
def test_a_read_is_tried_again_when_the_answer_is_broken(broken: Reply) -> None:
    assert ask("eth_call", broken, broken, good, timeout=0.1) == ("eth_call", 3)
    error, asked = ask("eth_call", broken, timeout=0.1, retries=1)
    assert isinstance(error, NodeUnavailable)
    assert asked == 2


@pytest.mark.parametrize(
    ("broken", "kind"), [(status(500), NodeUnavailable), (cut, NodeUnavailable), (hang, NodeTimeout)]
)
def test_a_send_is_never_repeated_on_its_own(broken: Reply, kind: type[NodeUnavailable]) -> None:
    error, asked = ask(SEND, broken, good, timeout=0.1)
    assert isinstance(error, kind)
    assert error.sent
    assert asked == 1


def test_a_send_that_was_refused_at_the_door_is_tried_again() -> None:
    assert ask(SEND, status(429), good) == (SEND, 2)


def test_a_refusal_is_an_error_and_is_not_repeated() -> None:
    error, asked = ask("eth_call", refused(3, "execution reverted"))
    assert isinstance(error, RpcError)
    assert (error.code, error.message, error.data, error.method, asked) == (
        3,
        "execution reverted",
        "0x12",
        "eth_call",
        1,
    )


def test_a_rate_limit_told_as_an_error_of_the_protocol_is_known_too() -> None:
    error, asked = ask("eth_call", refused(-32005, "daily request limit exceeded"), retries=1)
    assert isinstance(error, RateLimitedError)
    assert asked == 2
    error, _ = ask("eth_call", status(429, **{"Retry-After": "7"}), retries=0)
    assert isinstance(error, RateLimitedError)
    assert error.retry_after == 7


def test_an_answer_to_another_question_is_refused() -> None:
    def other(body: Any) -> Any:
        return {"id": body["id"] + 1, "result": 1}

    for wrong in (other, lambda _: [], lambda body: {"id": body["id"]}):
        error, _ = ask("eth_call", wrong, retries=0)
        assert isinstance(error, NodeUnavailable)
        assert "does not belong" in error.reason


def test_a_batch_keeps_its_order_and_its_refusals() -> None:
    def mixed(body: Any) -> Any:
        answers = good(body)
        answers[1] = refused(-32000, "no such block")(body[1])
        return answers[::-1]

    async def run() -> list[Any]:
        async with node(mixed) as (url, _), Rpc(url) as rpc:
            return await rpc.batch([("eth_chainId", ()), ("eth_call", ()), ("eth_gasPrice", ())])

    first, second, third = asyncio.run(run())
    assert (first, third) == ("eth_chainId", "eth_gasPrice")
    assert isinstance(second, RpcError)


def test_long_batches_are_sent_in_parts() -> None:
    async def run() -> tuple[list[Any], list[int]]:
        async with node(good) as (url, asked), Rpc(url, chunk=4) as rpc:
            return await rpc.batch([("eth_chainId", ())] * 10), [len(body) for body in asked]

    results, parts = asyncio.run(run())
    assert results == ["eth_chainId"] * 10
    assert parts == [4, 4, 2]


def test_a_batch_that_sends_is_not_repeated() -> None:
    async def run(*requests: tuple[str, tuple[()]]) -> int:
        async with node(cut) as (url, asked), Rpc(url, retries=1) as rpc:
            with pytest.raises(NodeUnavailable):
                await rpc.batch(requests)
            return len(asked)

    assert asyncio.run(run(("eth_chainId", ()), ("eth_call", ()))) == 2
    assert asyncio.run(run(("eth_chainId", ()), (SEND, ()))) == 1


def test_secrets_of_an_address_are_never_shown() -> None:
    async def run() -> None:
        async with node(status(500)) as (url, _), Rpc(url, retries=0) as rpc:
            with pytest.raises(NodeUnavailable) as caught:
                await rpc.request("eth_call")
            for text in (rpc.address, str(caught.value)):
                assert "secret" not in text
                assert "key" not in text

    asyncio.run(run())
    for wrong in ("ftp://user:secret@host", "http://user:secret@host:port/key", "http://"):
        with pytest.raises(NodeUnavailable) as caught:
            Rpc(wrong)
        assert "secret" not in str(caught.value)


def test_nobody_at_home_is_told_at_once() -> None:
    error, _ = ask_at("http://127.0.0.1:1")
    assert isinstance(error, NodeUnavailable)
    assert not error.sent
    error, _ = ask_at("/nowhere/node.ipc")
    assert isinstance(error, NodeUnavailable)
    assert not error.sent


def ask_at(address: str) -> tuple[Any, str]:
    async def run() -> tuple[Any, str]:
        async with Rpc(address, retries=0) as rpc:
            try:
                return await rpc.request("eth_chainId"), rpc.address
            except NodeUnavailable as error:
                return error, rpc.address

    return asyncio.run(run())


def test_a_real_node_answers_over_both_ways(tmp_path: Path) -> None:
    async def run(address: str) -> list[Any]:
        async with Rpc(address) as rpc:
            single = await rpc.request("eth_chainId")
            many = await asyncio.gather(*(rpc.request("eth_blockNumber") for _ in range(20)))
            batch = await rpc.batch([("eth_chainId", ()), ("eth_nonsense", ())])
            long = await rpc.request("eth_call", [{"to": "0x" + "44" * 20, "data": "0x" + "00" * 600_000}, "latest"])
            with pytest.raises(NodeTimeout):
                await rpc.request("eth_chainId", timeout=1e-6)
            return [single, set(many), batch[0], type(batch[1]), long, await rpc.request("eth_chainId")]

    with Anvil(extra=("--memory-limit", "1000000000")) as anvil:
        for address in (anvil.url, str(anvil.ipc_path)):
            assert asyncio.run(run(address)) == ["0x7a69", {"0x0"}, "0x7a69", RpcError, "0x", "0x7a69"]


def test_pauses_grow_differ_and_end() -> None:
    assert len({pause_before(0) for _ in range(20)}) > 10
    assert 0.02 < pause_before(0) < 0.08
    assert all(pause_before(n) <= 3 for n in range(200))
