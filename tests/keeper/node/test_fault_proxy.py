"""The proxy that makes faults: without one it changes nothing, with one it fails as real nodes do."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount
from tests.support.faults.kinds import Sends, TransportFaults
from tests.support.faults.proxy import FaultProxy

from plimsoll.chain.anvil import Anvil
from plimsoll.chain.errors import NodeUnavailable, RpcError
from plimsoll.chain.rpc import Rpc
from plimsoll.chain.signer import wait_for_receipt

GWEI = 10**9


@pytest.fixture(scope="module")
def chain() -> Iterator[Anvil]:
    with Anvil(base_fee=GWEI) as anvil:
        yield anvil


@pytest.fixture
def proxy(chain: Anvil) -> Iterator[FaultProxy]:
    with chain.snapshot(), FaultProxy(chain.url) as proxy:
        yield proxy


@pytest.fixture
def signer(chain: Anvil, proxy: FaultProxy) -> LocalAccount:
    account: LocalAccount = Account.from_key("0x" + "5a" * 32)
    chain.set_balance(account.address, 10**20)
    return account


def raw(signer: LocalAccount, nonce: int = 0, fee: int = 10, tip: int = 1, value: int = 1) -> str:
    """A transfer; fees in gwei."""
    fields = {"chainId": 31337, "type": 2, "nonce": nonce, "gas": 21_000, "to": "0x" + "77" * 20, "value": value}
    fields |= {"maxFeePerGas": fee * GWEI // 10, "maxPriorityFeePerGas": tip * GWEI // 10}
    return "0x" + bytes(signer.sign_transaction(fields).raw_transaction).hex()


def send(proxy: FaultProxy, text: str) -> str:
    """The hash, or the words of the refusal."""
    try:
        return str(Rpc.connect(proxy.url).request("eth_sendRawTransaction", [text]))
    except RpcError as error:
        return error.message


def test_without_faults_everything_passes_and_is_counted(proxy: FaultProxy, chain: Anvil, signer: LocalAccount) -> None:
    rpc = Rpc.connect(proxy.url)
    methods = [("eth_chainId", []), ("eth_getBlockByNumber", ["latest", True]), ("eth_nonsense", [])]
    straight, through = chain.rpc.batch(methods), rpc.batch(methods)
    assert through[:2] == straight[:2]
    assert isinstance(through[2], RpcError)
    assert proxy.counts == {"eth_chainId": 1, "eth_getBlockByNumber": 1, "eth_nonsense": 1}
    assert proxy.total_sends == 0
    digest = send(proxy, raw(signer, fee=20))
    assert wait_for_receipt(chain.rpc, digest).succeeded
    assert (proxy.total_sends, proxy.sent[0].hash, proxy.sent[0].sender) == (1, digest, signer.address.lower())


def test_replacements_follow_the_rule_of_geth(proxy: FaultProxy, chain: Anvil, signer: LocalAccount) -> None:
    proxy.sends = Sends.HOLD
    first = send(proxy, raw(signer, fee=100, tip=10))
    assert first.startswith("0x")
    assert send(proxy, raw(signer, fee=100, tip=10)) == "already known"
    for fee, tip in ((109, 20), (200, 10), (110, 10), (109, 11)):
        assert send(proxy, raw(signer, fee=fee, tip=tip)) == "replacement transaction underpriced"
    second = send(proxy, raw(signer, fee=110, tip=11))
    assert second.startswith("0x")
    assert second != first
    assert [answer["result"] for answer in proxy.release()] == [second]
    wait_for_receipt(chain.rpc, second)
    assert send(proxy, raw(signer, fee=200, tip=20)) == "nonce too low: next nonce 1, tx nonce 0"


def test_held_transactions_are_known_but_not_mined(proxy: FaultProxy, chain: Anvil, signer: LocalAccount) -> None:
    proxy.sends = Sends.HOLD
    rpc = Rpc.connect(proxy.url)
    digests = [send(proxy, raw(signer, nonce, fee=50)) for nonce in (0, 1, 3)]
    assert rpc.request("eth_getTransactionByHash", [digests[1]])["nonce"] == "0x1"
    assert rpc.request("eth_getTransactionReceipt", [digests[1]]) is None
    assert rpc.request("eth_getTransactionCount", [signer.address, "pending"]) == "0x2"
    assert rpc.request("eth_getTransactionCount", [signer.address, "latest"]) == "0x0"
    proxy.drop_held()
    assert rpc.request("eth_getTransactionByHash", [digests[1]]) is None
    assert rpc.request("eth_getTransactionCount", [signer.address, "pending"]) == "0x0"
    assert chain.rpc.request("eth_getTransactionCount", [signer.address, "pending"]) == "0x0"


def test_transactions_can_be_dropped_refused_or_unanswered(
    proxy: FaultProxy, chain: Anvil, signer: LocalAccount
) -> None:
    proxy.sends = Sends.DROP
    digest = send(proxy, raw(signer, fee=50))
    assert chain.rpc.request("eth_getTransactionByHash", [digest]) is None
    proxy.sends = Sends.PASS
    proxy.send_errors += ["nonce too low", "insufficient funds for gas * price + value"]
    assert send(proxy, raw(signer, fee=50)) == "nonce too low"
    assert send(proxy, raw(signer, fee=50)).startswith("insufficient funds")
    proxy.lose_answers = 1
    with pytest.raises(NodeUnavailable):
        send(proxy, raw(signer, fee=50))
    assert wait_for_receipt(chain.rpc, digest).succeeded


def test_a_lagging_node_does_not_know_the_latest_blocks(proxy: FaultProxy, chain: Anvil) -> None:
    rpc = Rpc.connect(proxy.url)
    chain.mine(10)
    head = chain.block_number()
    proxy.lag = 3
    assert rpc.request("eth_blockNumber") == hex(head - 3)
    assert rpc.request("eth_getBlockByNumber", ["latest", False])["number"] == hex(head - 3)
    assert rpc.request("eth_getBlockByNumber", [hex(head - 2), False]) is None
    newest = chain.rpc.request("eth_getBlockByNumber", [hex(head), False])["hash"]
    assert rpc.request("eth_getBlockByHash", [newest, False]) is None
    with pytest.raises(RpcError, match="unknown block"):
        rpc.request("eth_getLogs", [{"blockHash": newest}])
    proxy.heal()
    proxy.freeze()
    chain.mine(2)
    assert rpc.request("eth_blockNumber") == hex(head)
    proxy.heal()
    assert rpc.request("eth_blockNumber") == hex(head + 2)


def test_a_wrong_chain_says_so(proxy: FaultProxy) -> None:
    proxy.chain_id = 5
    assert Rpc.connect(proxy.url).batch([("eth_chainId", []), ("net_version", [])]) == ["0x5", "5"]


def test_documents_fail_at_the_rate_that_was_asked_for(proxy: FaultProxy) -> None:
    proxy.transport = TransportFaults(rate_limited=0.1, server_error=0.1, cut=0.1)

    async def one(session: aiohttp.ClientSession) -> str:
        body = {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []}
        async with session.post(proxy.url, json=body) as response:
            text = await response.text()
            return str(response.status) if response.status != 200 else "good" if text.endswith("}") else "cut"

    async def run() -> list[str]:
        async with aiohttp.ClientSession() as session:
            return [await one(session) for _ in range(300)]

    found = asyncio.run(run())
    for kind in ("429", "503", "cut"):
        assert 10 < found.count(kind) < 60
    assert found.count("good") > 180
    assert sum(proxy.failed.values()) == 300 - found.count("good")


def test_a_node_that_is_down_answers_nothing(proxy: FaultProxy) -> None:
    proxy.down = True
    with pytest.raises(NodeUnavailable):
        Rpc.connect(proxy.url).request("eth_chainId")
    proxy.heal()
    assert Rpc.connect(proxy.url).request("eth_chainId") == "0x7a69"


def test_websockets_pass_close_politely_break_and_go_dark(proxy: FaultProxy, chain: Anvil) -> None:
    subscribe = {"jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["newHeads"]}

    async def subscribed(session: aiohttp.ClientSession) -> aiohttp.ClientWebSocketResponse:
        socket = await session.ws_connect(proxy.ws_url)
        await socket.send_json(subscribe)
        assert "result" in await socket.receive_json()
        await asyncio.to_thread(chain.mine)
        assert (await socket.receive_json())["params"]["result"]["number"]
        return socket

    async def run() -> list[Any]:
        found: list[Any] = []
        async with aiohttp.ClientSession() as session:
            socket = await subscribed(session)
            await asyncio.to_thread(proxy.close_sockets_politely)
            found.append((await socket.receive()).data)
            socket = await subscribed(session)
            await asyncio.to_thread(proxy.reset_sockets)
            found.append((await socket.receive(timeout=5)).type)
            socket = await subscribed(session)
            proxy.sockets.black_hole = True
            await asyncio.to_thread(chain.mine)
            with pytest.raises(TimeoutError):
                await socket.receive(timeout=0.2)
            proxy.sockets.refuse = True
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await session.ws_connect(proxy.ws_url)
            await socket.close()
        return found

    code, kind = asyncio.run(run())
    assert code == 1001
    assert kind in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
