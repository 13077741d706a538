"""A lean JSON-RPC client over HTTP(S) or a unix socket, one persistent connection each. Not thread-safe.

A unix socket costs about a tenth of a millisecond a request; prefer it on the same machine.
"""

from __future__ import annotations

import base64
import http.client
import json
import select
import socket
import ssl
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self
from urllib.parse import urlsplit

from plimsoll.chain.errors import NodeTimeout, NodeUnavailable, RpcError

__all__ = ["HttpTransport", "IpcTransport", "Rpc", "Transport"]

FIX_START = "start the node, or correct the address"
FIX_TIMEOUT = "the node is overloaded or stuck; try again, or raise the timeout"
FIX_PROTOCOL = "check that the address belongs to an Ethereum JSON-RPC node"

# Requests that change nothing, and so may be repeated after a broken connection.
READ_PREFIXES = ("eth_get", "net_", "web3_", "debug_trace", "trace_", "txpool_")
READ_METHODS = frozenset(
    {
        "anvil_getAutomine",
        "anvil_nodeInfo",
        "eth_accounts",
        "eth_blockNumber",
        "eth_call",
        "eth_chainId",
        "eth_createAccessList",
        "eth_estimateGas",
        "eth_feeHistory",
        "eth_gasPrice",
        "eth_maxPriorityFeePerGas",
        "eth_simulateV1",
        "eth_syncing",
    }
)
STATEFUL_READS = frozenset({"eth_getFilterChanges"})


def is_read(method: str) -> bool:
    """True if repeating the request cannot change anything."""
    return method in READ_METHODS or (method.startswith(READ_PREFIXES) and method not in STATEFUL_READS)


class Transport(Protocol):
    """One connection. `exchange` raises `NodeUnavailable`, after which the next exchange reconnects."""

    @property
    def address(self) -> str:
        """Where the node is, without secrets."""

    def exchange(self, payload: bytes) -> Any:
        """Sends a JSON document and returns the decoded answer."""

    def close(self) -> None:
        """Drops the connection."""


class IpcTransport:
    """A unix socket."""

    def __init__(self, path: str | Path, timeout: float) -> None:
        self.path = str(path)
        self.timeout = timeout
        self._socket: socket.socket | None = None

    @property
    def address(self) -> str:
        """The path of the socket."""
        return self.path

    def exchange(self, payload: bytes) -> Any:
        """Sends a JSON document and returns the decoded answer."""
        connection = self._connected()
        sent = False
        try:
            connection.sendall(payload)
            sent = True
            return self._receive(connection)
        except TimeoutError as error:
            self.close()
            raise NodeTimeout(self.path, f"no answer within {self.timeout:g} s", FIX_TIMEOUT, sent=True) from error
        except OSError as error:
            self.close()
            raise NodeUnavailable(self.path, f"the connection broke ({error})", FIX_START, sent=sent) from error
        except BaseException:
            # Interrupted while an answer is under way: the next request must not read it.
            self.close()
            raise

    def close(self) -> None:
        """Drops the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _connected(self) -> socket.socket:
        if self._socket is not None:
            if not _is_stale(self._socket):
                return self._socket
            self.close()
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(self.timeout)
        try:
            connection.connect(self.path)
        except OSError as error:
            connection.close()
            raise _cannot_connect(self.path, error) from error
        self._socket = connection
        return connection

    def _receive(self, connection: socket.socket) -> Any:
        buffer = b""
        chunks: list[bytes] = []
        while True:
            chunk = connection.recv(1 << 18)
            if not chunk:
                raise ConnectionResetError("closed by the node")
            chunks.append(chunk)
            # Anvil, geth and reth end a message with a line feed; for others a closing bracket may be the end.
            if chunk[-1:] in b"\n}]":
                buffer = b"".join(chunks)
                try:
                    return json.loads(buffer)
                except ValueError:
                    if chunk.endswith(b"\n"):
                        self.close()
                        raise NodeUnavailable(self.path, "the answer is not JSON", FIX_PROTOCOL, sent=True) from None
                    chunks = [buffer]


class HttpTransport:
    """HTTP or HTTPS with a kept-alive connection."""

    def __init__(self, url: str, timeout: float) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise NodeUnavailable(url.partition("?")[0], "not an http(s) URL", "give http://host:port or a socket path")
        try:
            self._port = parts.port
        except ValueError:
            raise NodeUnavailable(parts.hostname, "the port is not a number", "give http://host:port") from None
        self.timeout = timeout
        self._host = parts.hostname
        self._secure = parts.scheme == "https"
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        # The path of a URL often holds an access key: it is not shown.
        self._address = f"{parts.scheme}://{self._host}" + (f":{self._port}" if self._port else "")
        self._headers = {"Content-Type": "application/json"}
        if parts.username is not None:
            pair = f"{parts.username}:{parts.password or ''}".encode()
            self._headers["Authorization"] = "Basic " + base64.b64encode(pair).decode()
        self._connection: http.client.HTTPConnection | None = None

    @property
    def address(self) -> str:
        """Scheme, host and port."""
        return self._address

    def exchange(self, payload: bytes) -> Any:
        """Sends a JSON document and returns the decoded answer."""
        connection = self._connected()
        sent = False
        try:
            connection.request("POST", self._path, payload, self._headers)
            sent = True
            response = connection.getresponse()
            body = response.read()
        except TimeoutError as error:
            self.close()
            raise NodeTimeout(self._address, f"no answer within {self.timeout:g} s", FIX_TIMEOUT, sent=True) from error
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise NodeUnavailable(self._address, f"the connection broke ({error})", FIX_START, sent=sent) from error
        except BaseException:
            self.close()
            raise
        try:
            answer = json.loads(body)
        except ValueError:
            answer = None
        if response.status == 429 or response.status >= 500:
            reason = f"HTTP {response.status} {response.reason}"
            raise NodeUnavailable(self._address, reason, "wait and try again, or use another node", sent=True)
        if not isinstance(answer, dict | list):
            reason = f"the answer is not JSON-RPC (HTTP {response.status} {response.reason})"
            raise NodeUnavailable(self._address, reason, FIX_PROTOCOL, sent=True)
        return answer

    def close(self) -> None:
        """Drops the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self) -> http.client.HTTPConnection:
        if self._connection is not None:
            if self._connection.sock is not None and not _is_stale(self._connection.sock):
                return self._connection
            self.close()
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = kind(self._host, self._port, timeout=self.timeout)
        try:
            connection.connect()
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            connection.close()
            raise _cannot_connect(self._address, error) from error
        self._connection = connection
        return connection


def _cannot_connect(address: str, error: OSError) -> NodeUnavailable:
    kind = NodeTimeout if isinstance(error, TimeoutError) else NodeUnavailable
    return kind(address, error.strerror or str(error), FIX_START)


def _is_stale(connection: socket.socket) -> bool:
    """True if an idle connection was closed by the node (or holds bytes nobody asked for)."""
    poller = select.poll()
    poller.register(connection, select.POLLIN | select.POLLHUP | select.POLLERR)
    if not poller.poll(0):
        return False
    if isinstance(connection, ssl.SSLSocket):
        # TLS may deliver session tickets between answers; only the end of the stream counts.
        try:
            return not socket.socket.recv(connection, 1, socket.MSG_PEEK)
        except OSError:
            return True
    return True


class Rpc:
    """JSON-RPC requests over one transport."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self._id = 0

    @classmethod
    def connect(cls, url_or_path: str | Path, *, timeout: float = 60.0) -> Rpc:
        """A client for `http(s)://…` or the path of a unix socket. The connection is made by the first request."""
        text = str(url_or_path)
        if "://" not in text:
            return cls(IpcTransport(text, timeout))
        if text.startswith(("http://", "https://")):
            return cls(HttpTransport(text, timeout))
        scheme = text.partition("://")[0]
        raise NodeUnavailable(f"{scheme}://…", "unsupported scheme", "give http://, https:// or the path of a socket")

    @property
    def address(self) -> str:
        """Where the node is, without secrets."""
        return self.transport.address

    def request(self, method: str, params: Sequence[Any] = ()) -> Any:
        """The result of one request. If the connection broke, the request is sent once more
        when it is a read or had not been handed over.

        :raises RpcError: the node answered with an error.
        :raises NodeUnavailable: the node did not answer; its subclass `NodeTimeout` when time ran out.
        """
        self._id += 1
        payload = json.dumps({"jsonrpc": "2.0", "id": self._id, "method": method, "params": list(params)}).encode()
        answer = self._exchange(payload, is_read(method))
        if not isinstance(answer, dict) or answer.get("id", self._id) not in (self._id, None):
            raise self._out_of_step()
        error = answer.get("error")
        if error is not None:
            raise _rpc_error(error, method)
        if "result" not in answer:
            raise self._out_of_step()
        return answer["result"]

    def batch(self, requests: Iterable[tuple[str, Sequence[Any]]], *, chunk: int = 500) -> list[Any]:
        """Results in the order of the requests; a request that failed gives its `RpcError` in place of a result.

        `chunk` bounds the requests sent in one document, since nodes limit the size of a body.
        """
        pending = list(requests)
        results: list[Any] = []
        for start in range(0, len(pending), chunk):
            results += self._batch(pending[start : start + chunk])
        return results

    def close(self) -> None:
        """Drops the connection; the next request makes a new one."""
        self.transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Rpc({self.address!r})"

    def _batch(self, requests: list[tuple[str, Sequence[Any]]]) -> list[Any]:
        first = self._id + 1
        self._id += len(requests)
        documents = [
            {"jsonrpc": "2.0", "id": first + i, "method": method, "params": list(params)}
            for i, (method, params) in enumerate(requests)
        ]
        repeatable = all(is_read(method) for method, _ in requests)
        answers = self._exchange(json.dumps(documents).encode(), repeatable)
        if isinstance(answers, dict) and answers.get("error") is not None:
            raise _rpc_error(answers["error"], "the batch")
        if not isinstance(answers, list):
            raise self._out_of_step()
        by_id = {answer.get("id"): answer for answer in answers if isinstance(answer, dict)}
        results: list[Any] = []
        for i, (method, _) in enumerate(requests):
            answer = by_id.get(first + i)
            if answer is None:
                raise self._out_of_step()
            error = answer.get("error")
            results.append(answer.get("result") if error is None else _rpc_error(error, method))
        return results

    def _exchange(self, payload: bytes, repeatable: bool) -> Any:
        try:
            return self.transport.exchange(payload)
        except NodeTimeout:
            raise
        except NodeUnavailable as error:
            dropped = isinstance(error.__cause__, OSError | http.client.HTTPException)
            if not dropped or (error.sent and not repeatable):
                raise
        return self.transport.exchange(payload)

    def _out_of_step(self) -> NodeUnavailable:
        self.close()
        return NodeUnavailable(self.address, "the answer does not belong to the request", FIX_PROTOCOL, sent=True)


def _rpc_error(error: Any, method: str) -> RpcError:
    if not isinstance(error, dict):
        return RpcError(0, str(error), None, method=method)
    code = error.get("code", 0)
    return RpcError(
        code if isinstance(code, int) else 0, str(error.get("message", "")), error.get("data"), method=method
    )
