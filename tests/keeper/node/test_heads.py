"""Hints of new heads: fast while the socket lives, opened again however it ends, and never waited for alone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator

import pytest
from tests.support.faults.proxy import FaultProxy

from plimsoll.chain.anvil import Anvil
from plimsoll.keeper.node.heads import Heads

Work = Callable[[Heads], Awaitable[None]]


@pytest.fixture(scope="module")
def chain() -> Iterator[Anvil]:
    with Anvil() as anvil:
        yield anvil


@pytest.fixture
def proxy(chain: Anvil) -> Iterator[FaultProxy]:
    with FaultProxy(chain.url) as proxy:
        yield proxy


def use(work: Work, *urls: str, heartbeat: float = 15.0) -> None:
    async def run() -> None:
        heads = Heads(urls, heartbeat=heartbeat)
        heads.start()
        try:
            await work(heads)
        finally:
            await heads.close()

    asyncio.run(run())


async def connected(heads: Heads, times: int) -> None:
    """Waits until a socket has been opened so often."""
    async with asyncio.timeout(8):
        while not (heads.status[0].connected and heads.status[0].connections >= times):
            await asyncio.sleep(0.01)


async def hinted(heads: Heads, chain: Anvil) -> None:
    """A block wakes whoever waits."""
    began = time.monotonic()
    waiting = asyncio.ensure_future(heads.wait(8))
    await asyncio.sleep(0)
    await asyncio.to_thread(chain.mine)
    assert await waiting
    assert time.monotonic() - began < 4


def test_a_new_head_wakes_whoever_waits(chain: Anvil, proxy: FaultProxy) -> None:
    async def work(heads: Heads) -> None:
        await connected(heads, 1)
        for _ in range(5):
            await hinted(heads, chain)
        assert heads.status[0].hints == 5
        assert not await heads.wait(0.05), "a hint wakes once"

    use(work, proxy.ws_url)


def test_without_a_socket_time_goes_by(chain: Anvil) -> None:
    async def work(heads: Heads) -> None:
        began = time.monotonic()
        assert not await heads.wait(0.1)
        assert 0.08 < time.monotonic() - began < 1
        heads.saw("0x12")

    use(work)
    use(work, "ws://user:secret@127.0.0.1:1/key")


def test_a_polite_farewell_and_a_cut_are_followed_by_a_new_connection(chain: Anvil, proxy: FaultProxy) -> None:
    async def work(heads: Heads) -> None:
        await connected(heads, 1)
        await hinted(heads, chain)
        for count, end in enumerate((proxy.close_sockets_politely, proxy.reset_sockets) * 2, start=2):
            await asyncio.to_thread(end)
            await connected(heads, count)
            await hinted(heads, chain)

    use(work, proxy.ws_url)


def test_a_socket_that_goes_dark_is_noticed_by_its_silence(chain: Anvil, proxy: FaultProxy) -> None:
    async def work(heads: Heads) -> None:
        await connected(heads, 1)
        proxy.sockets.black_hole = True
        async with asyncio.timeout(8):
            while heads.status[0].connected:
                await asyncio.sleep(0.02)
        proxy.heal()
        await connected(heads, 2)
        await hinted(heads, chain)

    use(work, proxy.ws_url, heartbeat=0.4)


def test_a_socket_that_misses_heads_is_opened_again(chain: Anvil, proxy: FaultProxy) -> None:
    async def work(heads: Heads) -> None:
        await connected(heads, 1)
        proxy.sockets.black_hole = True
        for number in range(6):
            heads.saw(f"0x{number}")
            heads.saw(f"0x{number}")
        async with asyncio.timeout(8):
            while heads.status[0].connected:
                await asyncio.sleep(0.02)
        proxy.heal()
        await connected(heads, 2)
        await hinted(heads, chain)

    use(work, proxy.ws_url)


def test_a_refused_socket_is_tried_again_and_told_without_secrets(chain: Anvil, proxy: FaultProxy) -> None:
    proxy.sockets.refuse = True

    async def work(heads: Heads) -> None:
        async with asyncio.timeout(8):
            while proxy.counts["websocket"] < 3:
                await asyncio.sleep(0.02)
        assert not heads.status[0].connected
        assert heads.status[0].problem
        for text in (heads.status[0].name, heads.status[0].problem):
            assert "secret" not in text
        proxy.heal()
        await connected(heads, 1)

    use(work, f"{proxy.ws_url.replace('ws://', 'ws://user:secret@')}/key")


def test_many_sockets_wake_alike(chain: Anvil, proxy: FaultProxy) -> None:
    async def work(heads: Heads) -> None:
        await connected(heads, 1)
        await hinted(heads, chain)

    use(work, proxy.ws_url, "ws://127.0.0.1:1")
