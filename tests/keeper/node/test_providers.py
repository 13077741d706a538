"""Several nodes as one: who is read, who is not, and who comes next."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any, TypeVar

import pytest
from tests.support.faults.kinds import TransportFaults
from tests.support.faults.proxy import FaultProxy

from plimsoll.chain.anvil import Anvil
from plimsoll.chain.errors import NodeUnavailable, RpcError
from plimsoll.keeper.node.errors import NoProviderError
from plimsoll.keeper.node.headers import Header
from plimsoll.keeper.node.providers import Identity, Providers

T = TypeVar("T")
Pair = tuple[FaultProxy, FaultProxy]


@pytest.fixture(scope="module")
def chain() -> Iterator[Anvil]:
    with Anvil(base_fee=10**9, timestamp=1_750_000_000, block_interval=1) as anvil:
        anvil.mine(5)
        yield anvil


@pytest.fixture
def pair(chain: Anvil) -> Iterator[Pair]:
    with ExitStack() as stack:
        stack.enter_context(chain.snapshot())
        yield (stack.enter_context(FaultProxy(chain.url)), stack.enter_context(FaultProxy(chain.url)))


def identity(chain: Anvil) -> Identity:
    return Identity(31337, 2, chain.rpc.request("eth_getBlockByNumber", ["0x2", False])["hash"])


def use(chain: Anvil, pair: Sequence[FaultProxy], work: Callable[[Providers], Awaitable[T]], **options: Any) -> T:
    options.setdefault("timeout", 0.4)

    async def run() -> T:
        providers = Providers([proxy.url for proxy in pair], identity=identity(chain), **options)
        try:
            return await work(providers)
        finally:
            await providers.close()

    return asyncio.run(run())


def states(providers: Providers) -> list[str]:
    return [view.state for view in providers.status()]


def test_the_first_node_is_read_while_it_is_well(chain: Anvil, pair: Pair) -> None:
    async def work(providers: Providers) -> Header:
        head = await providers.look()
        for _ in range(20):
            await providers.request("eth_blockNumber")
        assert states(providers) == ["ok", "ok"]
        assert [view.used for view in providers.status()] == [True, False]
        assert providers.wrong() == []
        assert providers.switches == 0
        return head

    assert use(chain, pair, work).number == chain.block_number()
    assert pair[0].counts["eth_blockNumber"] == 20
    assert pair[1].counts["eth_blockNumber"] == 0


def test_one_node_alone_is_enough(chain: Anvil, pair: Pair) -> None:
    async def work(providers: Providers) -> Any:
        await providers.look()
        return await providers.batch([("eth_chainId", ()), ("eth_nonsense", ())])

    first, second = use(chain, pair[:1], work)
    assert first == "0x7a69"
    assert isinstance(second, RpcError)
    with pytest.raises(NoProviderError):
        Providers([])


def test_a_node_that_is_down_is_passed_over_and_comes_back(chain: Anvil, pair: Pair) -> None:
    async def work(providers: Providers) -> None:
        await providers.look()
        pair[0].down = True
        assert await providers.request("eth_chainId") == "0x7a69"
        assert states(providers) == ["failing", "ok"]
        head = await providers.look()
        assert head.number == chain.block_number()
        assert [view.used for view in providers.status()] == [False, True]
        pair[0].heal()
        await providers.look()
        assert states(providers) == ["ok", "ok"]
        pair[1].down = True
        assert await providers.request("eth_chainId") == "0x7a69"
        await providers.look()
        assert [view.used for view in providers.status()] == [True, False]

    use(chain, pair, work)


def test_a_lagging_node_is_not_read(chain: Anvil, pair: Pair) -> None:
    async def work(providers: Providers) -> None:
        pair[0].lag = 3
        head = await providers.look()
        assert head.number == chain.block_number()
        assert states(providers) == ["lagging", "ok"]
        before = pair[0].counts["eth_getBalance"]
        for _ in range(5):
            await providers.request("eth_getBalance", ["0x" + "11" * 20, "latest"])
        assert pair[0].counts["eth_getBalance"] == before
        pair[0].lag = 2
        await providers.look()
        assert states(providers) == ["ok", "ok"]
        # within the limit it is, but the better head is preferred
        assert [view.used for view in providers.status()] == [False, True]

    use(chain, pair, work)


def test_a_late_node_is_not_believed_only_because_the_better_one_failed(chain: Anvil, pair: Pair) -> None:
    async def work(providers: Providers) -> None:
        await providers.look()
        await asyncio.to_thread(pair[1].freeze)
        await asyncio.to_thread(chain.mine, 5)
        await providers.look()
        pair[0].down = True
        with pytest.raises(NoProviderError, match="is behind"):
            await providers.look()
        with pytest.raises((NoProviderError, NodeUnavailable)):
            await providers.request("eth_chainId")
        await asyncio.sleep(0.3)
        head = await providers.look()
        assert head.number == chain.block_number() - 5
        assert await providers.request("eth_chainId") == "0x7a69"

    use(chain, pair, work, silence=0.3)


def test_a_block_that_one_node_lacks_is_asked_of_the_other(chain: Anvil, pair: Pair) -> None:
    async def work(providers: Providers) -> None:
        await providers.look()
        pair[0].lag = 1
        newest = chain.rpc.request("eth_getBlockByNumber", ["latest", False])["hash"]
        assert (await providers.request("eth_getBlockByHash", [newest, False]))["hash"] == newest
        logs, block = await providers.batch(
            [("eth_getLogs", [{"blockHash": newest}]), ("eth_getBlockByHash", [newest, False])]
        )
        assert (logs, block["hash"]) == ([], newest)
        assert await providers.request("eth_getBlockByHash", ["0x" + "12" * 32, False]) is None
        with pytest.raises(RpcError, match="unknown block"):
            await providers.request("eth_getLogs", [{"blockHash": "0x" + "12" * 32}])

    use(chain, pair, work)


def test_a_node_of_another_chain_is_never_read(chain: Anvil, pair: Pair) -> None:
    async def work(providers: Providers) -> None:
        pair[0].chain_id = 1
        await providers.look()
        assert states(providers) == ["wrong chain", "ok"]
        assert "is of chain 1, not 31337" in providers.wrong()[0]
        assert len(providers.takers()) == 1
        assert len(await providers.call_all("eth_blockNumber", [])) == 1
        pair[1].chain_id = 1
        pair[1].down = True
        with pytest.raises((NodeUnavailable, NoProviderError)):
            await providers.request("eth_chainId")
        pair[1].down = False
        with pytest.raises(NoProviderError, match="is of chain 1"):
            await providers.look()
        assert len(providers.wrong()) == 2
        pair[0].heal()
        await providers.look()
        assert states(providers) == ["ok", "wrong chain"]

    use(chain, pair, work)
    assert pair[0].counts["eth_blockNumber"] == 0


def test_another_instance_of_the_same_chain_is_not_read_either(chain: Anvil, pair: Pair) -> None:
    with Anvil(timestamp=1_700_000_000) as other, FaultProxy(other.url) as foreign:
        other.mine(20)

        async def work(providers: Providers) -> None:
            head = await providers.look()
            assert head.number == chain.block_number()
            assert states(providers) == ["wrong chain", "ok"]
            assert "another instance" in providers.wrong()[0]

        use(chain, (foreign, pair[1]), work)


def test_a_node_behind_the_deployment_is_not_called_wrong(chain: Anvil, pair: Pair) -> None:
    async def work(providers: Providers) -> None:
        pair[0].frozen = 1
        await providers.look()
        assert states(providers) == ["failing", "ok"]
        assert providers.wrong() == []

    use(chain, pair, work)


def test_a_node_that_hangs_delays_nobody(chain: Anvil, pair: Pair) -> None:
    async def work(providers: Providers) -> float:
        await providers.look()
        pair[1].transport = TransportFaults(timeout=1.0)
        began = time.monotonic()
        for _ in range(3):
            await providers.look()
        return time.monotonic() - began

    assert use(chain, pair, work, timeout=5.0) < 2.0


def test_the_slower_node_is_left_when_the_other_is_much_better(chain: Anvil, pair: Pair) -> None:
    async def work(providers: Providers) -> None:
        await providers.look()
        pair[0].delay = 0.4
        for _ in range(8):
            await providers.look()
        assert [view.used for view in providers.status()] == [False, True]
        assert providers.switches == 1

    use(chain, pair, work, timeout=5.0)


def test_a_send_is_given_to_one_node_once(chain: Anvil, pair: Pair) -> None:
    async def work(providers: Providers) -> None:
        await providers.look()
        pair[0].transport = TransportFaults(server_error=1.0, methods=frozenset({"eth_sendTransaction"}))
        with pytest.raises(NodeUnavailable) as caught:
            await providers.request("eth_sendTransaction", [{}])
        assert caught.value.sent
        assert pair[1].total_sends == 0
        pair[0].transport = TransportFaults(rate_limited=1.0)
        await providers.request("eth_sendTransaction", [{}])
        assert pair[1].total_sends == 1

    use(chain, pair, work)


def test_everyone_is_told_of_a_transaction(chain: Anvil, pair: Pair) -> None:
    async def work(providers: Providers) -> list[tuple[str, Any]]:
        pair[1].transport = TransportFaults(cut=1.0, methods=frozenset({"eth_gasPrice"}))
        return await providers.call_all("eth_gasPrice", [])

    (first, price), (second, error) = use(chain, pair, work)
    assert (first, second) == (pair[0].url, pair[1].url)
    assert int(price, 16) > 0
    assert isinstance(error, NodeUnavailable)


def test_silence_is_measured(chain: Anvil, pair: Pair) -> None:
    async def work(providers: Providers) -> None:
        await providers.look()
        await asyncio.sleep(0.25)
        await providers.look()
        assert providers.quiet >= 0.25
        assert states(providers) == ["silent", "silent"]
        await asyncio.to_thread(chain.mine)
        await providers.look()
        assert providers.quiet < 0.2
        assert states(providers) == ["ok", "ok"]

    use(chain, pair, work, silence=0.2)
