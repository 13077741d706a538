"""The client against a node that answers, breaks, lies or is not there."""

from __future__ import annotations

import contextlib
import json
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from plimsoll.chain.errors import NodeTimeout, NodeUnavailable, RpcError
from plimsoll.chain.rpc import Rpc, is_read

Answer = Callable[[list[bytes]], bytes | None]


class FakeNode:
    """Answers each request with what the script says; None drops the connection after the request was read."""

    def __init__(self, listener: socket.socket, script: Answer) -> None:
        self.requests: list[bytes] = []
        self.hang_up_after = 0
        self.hung_up = threading.Event()
        self._half_closed: socket.socket | None = None
        self._listener, self._script = listener, script
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            # A client that gave up has closed its end: the next connection is served.
            with connection, contextlib.suppress(BrokenPipeError, ConnectionResetError):
                while data := connection.recv(1 << 16):
                    # http.client sends the headers before a body that does not fit the same segment.
                    if data.startswith(b"POST") and data.endswith(b"\r\n\r\n"):
                        data += connection.recv(1 << 16)
                    self.requests.append(data)
                    answer = self._script(self.requests)
                    if answer is None:
                        break
                    connection.sendall(answer)
                    if len(self.requests) == self.hang_up_after:
                        # Half closed: what the client still sends gets lost without an error, as over a long line.
                        connection.shutdown(socket.SHUT_WR)
                        self._half_closed = connection.dup()
                        self.hung_up.set()
                        break


NodeOf = Callable[[Answer], AbstractContextManager[tuple[Rpc, FakeNode]]]


@contextmanager
def unix_node(script: Answer, timeout: float = 5) -> Iterator[tuple[Rpc, FakeNode]]:
    with tempfile.TemporaryDirectory(prefix="pl-", dir="/tmp") as folder, socket.socket(socket.AF_UNIX) as listener:
        path = str(Path(folder) / "node.ipc")
        listener.bind(path)
        listener.listen()
        node = FakeNode(listener, script)
        with Rpc.connect(path, timeout=timeout) as rpc:
            yield rpc, node


@contextmanager
def http_node(script: Answer, timeout: float = 5) -> Iterator[tuple[Rpc, FakeNode]]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        node = FakeNode(listener, script)
        with Rpc.connect(f"http://127.0.0.1:{listener.getsockname()[1]}/v3/secret-key", timeout=timeout) as rpc:
            yield rpc, node


def result(requests: list[bytes], value: str = "0x1") -> bytes:
    number = json.loads(requests[-1][requests[-1].index(b"{") :])["id"]
    return json.dumps({"jsonrpc": "2.0", "id": number, "result": value}).encode() + b"\n"


def http(body: bytes, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def test_no_socket_names_the_path_and_the_fix() -> None:
    with pytest.raises(NodeUnavailable, match=r"/tmp/no-such\.ipc: .*; start the node") as caught:
        Rpc.connect("/tmp/no-such.ipc").request("eth_chainId")
    assert not caught.value.sent


def test_refused_port_names_the_address() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(NodeUnavailable, match=rf"http://127\.0\.0\.1:{port}: Connection refused; start the node"):
        Rpc.connect(f"http://127.0.0.1:{port}").request("eth_chainId")


@pytest.mark.parametrize("address", ["ws://host:1", "http://", "http://host:port"])
def test_unusable_addresses_are_refused(address: str) -> None:
    with pytest.raises(NodeUnavailable, match="give http://"):
        Rpc.connect(address)


def test_errors_of_the_node_keep_code_message_and_data() -> None:
    def script(requests: list[bytes]) -> bytes:
        number = json.loads(requests[-1])["id"]
        error = {"code": 3, "message": "execution reverted", "data": "0x1234"}
        return json.dumps({"id": number, "error": error}).encode() + b"\n"

    with (
        unix_node(script) as (rpc, _),
        pytest.raises(RpcError, match=r"eth_call .*execution reverted \(code 3\)") as caught,
    ):
        rpc.request("eth_call", [{}, "latest"])
    assert (caught.value.code, caught.value.message, caught.value.data) == (3, "execution reverted", "0x1234")


def test_large_answers_arrive_in_pieces() -> None:
    text = "0x" + "ab" * 2_000_000
    with unix_node(lambda requests: result(requests, text)) as (rpc, _):
        assert rpc.request("eth_getCode", ["0x", "latest"]) == text


def test_answers_without_line_feed_are_understood() -> None:
    with unix_node(lambda requests: result(requests, '}"]').rstrip()) as (rpc, _):
        assert rpc.request("eth_chainId") == '}"]'


@pytest.mark.parametrize(("node_of", "wrap"), [(unix_node, bytes), (http_node, http)])
def test_reads_are_repeated_once_after_a_dropped_connection(node_of: NodeOf, wrap: Callable[[bytes], bytes]) -> None:
    with node_of(lambda requests: None if len(requests) == 1 else wrap(result(requests))) as (rpc, node):
        assert rpc.request("eth_blockNumber") == "0x1"
        assert len(node.requests) == 2
    with node_of(lambda _: None) as (rpc, node):
        with pytest.raises(NodeUnavailable, match="connection broke"):
            rpc.request("eth_blockNumber")
        assert len(node.requests) == 2


@pytest.mark.parametrize("node_of", [unix_node, http_node])
def test_sends_are_never_repeated(node_of: NodeOf) -> None:
    with node_of(lambda _: None) as (rpc, node):
        with pytest.raises(NodeUnavailable) as caught:
            rpc.request("eth_sendTransaction", [{}])
        assert caught.value.sent
        assert len(node.requests) == 1


@pytest.mark.parametrize(("node_of", "wrap"), [(unix_node, bytes), (http_node, http)])
def test_a_connection_closed_while_idle_is_replaced_before_sending(
    node_of: NodeOf, wrap: Callable[[bytes], bytes]
) -> None:
    with node_of(lambda requests: wrap(result(requests))) as (rpc, node):
        node.hang_up_after = 1
        assert rpc.request("eth_sendTransaction", [{}]) == "0x1"
        assert node.hung_up.wait(2)
        assert rpc.request("eth_sendTransaction", [{}]) == "0x1"
        assert len(node.requests) == 2


def test_a_timeout_is_told_apart_and_leaves_no_late_answer() -> None:
    release = threading.Event()

    def script(requests: list[bytes]) -> bytes:
        if len(requests) == 1:
            release.wait(2)
        return result(requests, f"answer {len(requests)}")

    with unix_node(script, timeout=0.1) as (rpc, _):
        with pytest.raises(NodeTimeout, match=r"no answer within 0\.1 s") as caught:
            rpc.request("eth_blockNumber")
        assert caught.value.sent
        release.set()
        assert rpc.request("eth_blockNumber") == "answer 2"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (http(b"slow down", "429 Too Many Requests"), "HTTP 429 .*try again"),
        (http(b"oops", "502 Bad Gateway"), "HTTP 502"),
        (http(b"<html>", "200 OK"), "not JSON-RPC"),
        (http(b"", "401 Unauthorized"), "HTTP 401"),
    ],
)
def test_http_failures_are_readable_and_hide_the_key(answer: bytes, message: str) -> None:
    with http_node(lambda requests: answer) as (rpc, _), pytest.raises(NodeUnavailable, match=message) as caught:
        rpc.request("eth_chainId")
    assert "secret-key" not in str(caught.value) + repr(rpc)


def test_an_answer_to_another_request_is_refused() -> None:
    with (
        unix_node(lambda requests: b'{"id": 99, "result": "0x1"}\n') as (rpc, _),
        pytest.raises(NodeUnavailable, match="does not belong"),
    ):
        rpc.request("eth_chainId")


def test_batches_keep_order_and_hold_errors_in_place() -> None:
    def script(requests: list[bytes]) -> bytes:
        documents = json.loads(requests[-1])
        answers = [{"id": d["id"], "result": d["params"][0]} for d in documents]
        answers[1] = {"id": documents[1]["id"], "error": {"code": -1, "message": "no"}}
        return json.dumps(answers[::-1]).encode() + b"\n"

    with unix_node(script) as (rpc, node):
        results = rpc.batch([("eth_call", [i]) for i in range(5)], chunk=3)
        assert [r if not isinstance(r, RpcError) else r.message for r in results] == [0, "no", 2, 3, "no"]
        assert len(node.requests) == 2
        assert rpc.batch([]) == []


def test_which_requests_count_as_reads() -> None:
    assert all(map(is_read, ["eth_call", "eth_getLogs", "eth_chainId", "debug_traceTransaction", "net_version"]))
    sends = ["eth_sendTransaction", "eth_sendRawTransaction", "evm_mine", "evm_snapshot", "eth_getFilterChanges"]
    assert not any(map(is_read, sends))
