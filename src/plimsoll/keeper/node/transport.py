"""How documents get to a node and back: HTTP(S) with kept-alive connections, or a unix socket. For asyncio."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import aiohttp

from plimsoll.chain.errors import NodeTimeout, NodeUnavailable
from plimsoll.chain.rpc import FIX_PROTOCOL, FIX_START, FIX_TIMEOUT
from plimsoll.keeper.node.errors import RateLimitedError

__all__ = ["HttpTransport", "IpcTransport", "Transport", "transport_to"]

CHUNK = 1 << 18
TOO_MANY_REQUESTS = 429


class Transport(Protocol):
    """Connections to one node. `exchange` raises `NodeUnavailable`; the next exchange connects again."""

    @property
    def address(self) -> str:
        """Where the node is, without secrets."""

    async def exchange(self, payload: bytes, timeout: float) -> Any:
        """Sends a JSON document and returns the decoded answer, within `timeout` seconds."""

    async def close(self) -> None:
        """Drops all connections."""


class HttpTransport:
    """HTTP or HTTPS.

    :param connections: at most that many at a time; further requests wait.
    :raises NodeUnavailable: the address is not one.
    """

    def __init__(self, url: str, *, connections: int = 8) -> None:
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError:
            raise NodeUnavailable(parts.hostname or "…", "the port is not a number", "give http://host:port") from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise NodeUnavailable(f"{parts.scheme}://…", "not an http(s) URL", "give http://host:port or a socket path")
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        self._address = f"{parts.scheme}://{host}" + (f":{port}" if port else "")
        self._url = self._address + (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._headers = {"Content-Type": "application/json"}
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
            self._headers["Authorization"] = "Basic " + base64.b64encode(pair).decode()
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    @property
    def address(self) -> str:
        """Scheme, host and port: path, query and user often are secrets."""
        return self._address

    async def exchange(self, payload: bytes, timeout: float) -> Any:
        """Sends a JSON document and returns the decoded answer, within `timeout` seconds."""
        session = self._opened()
        limit = aiohttp.ClientTimeout(total=timeout)
        try:
            async with session.post(self._url, data=payload, timeout=limit) as response:
                body = await response.read()
                status, reason, headers = response.status, response.reason, response.headers
        except TimeoutError as error:
            raise NodeTimeout(self._address, f"no answer within {timeout:g} s", FIX_TIMEOUT, sent=True) from error
        except aiohttp.ClientConnectorError as error:
            text = error.strerror or "no connection"
            raise NodeUnavailable(self._address, text, FIX_START) from None
        except (aiohttp.ClientError, OSError) as error:
            # The text of an error may quote the URL.
            what = f"the connection broke ({type(error).__name__})"
            raise NodeUnavailable(self._address, what, FIX_START, sent=True) from None
        if status == TOO_MANY_REQUESTS:
            raise RateLimitedError(self._address, f"HTTP {status}", _seconds(headers.get("Retry-After")))
        if status >= 500:
            fix = "wait and try again, or use another node"
            raise NodeUnavailable(self._address, f"HTTP {status} {reason}", fix, sent=True)
        try:
            answer = json.loads(body)
        except ValueError:
            answer = None
        if not isinstance(answer, dict | list):
            text = f"the answer is not JSON-RPC (HTTP {status} {reason})"
            raise NodeUnavailable(self._address, text, FIX_PROTOCOL, sent=True)
        return answer

    async def close(self) -> None:
        """Drops all connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            connector = aiohttp.TCPConnector(limit=self._connections, keepalive_timeout=60)
            self._session = aiohttp.ClientSession(connector=connector, headers=self._headers)
        return self._session


class IpcTransport:
    """A unix socket on which documents follow each other, as nodes offer it.

    :param connections: at most that many at a time; further requests wait.
    """

    def __init__(self, path: str, *, connections: int = 4) -> None:
        self._path = path
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._places = asyncio.Semaphore(connections)

    @property
    def address(self) -> str:
        """The path of the socket."""
        return self._path

    async def exchange(self, payload: bytes, timeout: float) -> Any:
        """Sends a JSON document and returns the decoded answer, within `timeout` seconds."""
        sent = False
        try:
            async with asyncio.timeout(timeout), self._places:
                reader, writer = await self._connection()
                try:
                    writer.write(payload)
                    sent = True
                    await writer.drain()
                    answer = await self._receive(reader)
                except BaseException:
                    # An answer may still come: nobody else must read it.
                    writer.close()
                    raise
                self._idle.append((reader, writer))
                return answer
        except TimeoutError as error:
            raise NodeTimeout(self._path, f"no answer within {timeout:g} s", FIX_TIMEOUT, sent=sent) from error
        except OSError as error:
            text = f"the connection broke ({error})" if sent else error.strerror or str(error)
            raise NodeUnavailable(self._path, text, FIX_START, sent=sent) from error

    async def close(self) -> None:
        """Drops all connections."""
        idle, self._idle = self._idle, []
        for _, writer in idle:
            writer.close()

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof() and not writer.is_closing():
                return reader, writer
            writer.close()
        return await asyncio.open_unix_connection(self._path, limit=2 * CHUNK)

    async def _receive(self, reader: asyncio.StreamReader) -> Any:
        chunks: list[bytes] = []
        while True:
            chunk = await reader.read(CHUNK)
            if not chunk:
                raise ConnectionResetError("closed by the node")
            chunks.append(chunk)
            # Most nodes end a document with a line feed; for others a closing bracket may be the end.
            if chunk[-1:] in b"\n}]":
                document = b"".join(chunks)
                try:
                    return json.loads(document)
                except ValueError:
                    if chunk.endswith(b"\n"):
                        raise NodeUnavailable(self._path, "the answer is not JSON", FIX_PROTOCOL, sent=True) from None
                    chunks = [document]


def transport_to(url_or_path: str, *, connections: int = 8) -> HttpTransport | IpcTransport:
    """The transport for `http(s)://…` or the path of a unix socket; connects at the first exchange.

    :raises NodeUnavailable: it is neither.
    """
    if "://" not in url_or_path:
        return IpcTransport(url_or_path, connections=connections)
    return HttpTransport(url_or_path, connections=connections)


def _seconds(header: str | None) -> float:
    """What `Retry-After` asks for, 0 if it does not give seconds."""
    try:
        return max(float(header or 0), 0.0)
    except ValueError:
        return 0.0
