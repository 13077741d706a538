"""A follower at work for tests: on a real node, with a real database, and a mirror that is a dictionary."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from tests.keeper.node.conftest import decoder_of
from tests.support.core import due
from tests.support.protocol import Protocol

from plimsoll.chain.errors import NodeUnavailable, RpcError
from plimsoll.keeper.errors import VersionGapError
from plimsoll.keeper.node.decode import Decoder
from plimsoll.keeper.node.errors import HeadMovedError, NoProviderError
from plimsoll.keeper.node.follower import Follower
from plimsoll.keeper.node.providers import Identity, Providers
from plimsoll.keeper.node.rpc import Client, Request, Rpc
from plimsoll.keeper.node.steps import Step
from plimsoll.keeper.rows import Kind, Row
from plimsoll.keeper.storage.opening import open_repository

__all__ = ["Between", "DictSink", "Following", "busy", "contents", "kinds"]

Change = Callable[[str, Sequence[Any], Any], Any]


class DictSink:
    """Rows by kind and key; versions of accounts must follow each other."""

    def __init__(self) -> None:
        self.rows: dict[tuple[int, bytes], bytes] = {}
        self.reloads = 0

    def apply(self, rows: Sequence[Row]) -> None:
        for kind, key, value in rows:
            if kind == Kind.ACCOUNT:
                assert value is not None
                before = _version(self.rows.get((kind, key), bytes(32)))
                if _version(value) != before + 1:
                    raise VersionGapError(f"account {key.hex()} went from version {before} to {_version(value)}")
            self._put(kind, key, value)

    def revert(self, rows: Sequence[Row]) -> None:
        for kind, key, value in rows:
            self._put(kind, key, value)

    def reload(self, rows: Iterable[tuple[int, bytes, bytes]]) -> None:
        self.reloads += 1
        self.rows = {(kind, key): value for kind, key, value in rows}

    def _put(self, kind: int, key: bytes, value: bytes | None) -> None:
        if value is None:
            self.rows.pop((kind, key), None)
        else:
            self.rows[kind, key] = value


def _version(word: bytes) -> int:
    return int.from_bytes(word, "big") >> 184 & 0xFFFFFFFF


class Between:
    """Stands between a follower and its node: sees every request, and may change the answers."""

    def __init__(self, client: Client, change: Change | None = None) -> None:
        self._client = client
        self.change = change
        self.seen: list[Request] = []

    async def request(self, method: str, params: Sequence[Any] = (), *, timeout: float | None = None) -> Any:
        self.seen.append((method, params))
        return self._changed(method, params, await self._client.request(method, params, timeout=timeout))

    async def batch(self, requests: Iterable[Request], *, timeout: float | None = None) -> list[Any]:
        listed = list(requests)
        self.seen += listed
        answers = await self._client.batch(listed, timeout=timeout)
        return [self._changed(*request, answer) for request, answer in zip(listed, answers, strict=True)]

    def distrust(self) -> None:
        self._client.distrust()

    def _changed(self, method: str, params: Sequence[Any], answer: Any) -> Any:
        if self.change is None:
            return answer
        answer = self.change(method, params, answer)
        if isinstance(answer, Exception) and not (method == "eth_getLogs" and isinstance(answer, RpcError)):
            raise answer
        return answer

    def asked(self, method: str) -> list[Any]:
        """First parameters of the requests of a method."""
        return [params[0] for name, params in self.seen if name == method]


class Following:
    """A follower that is called from tests without asyncio.

    :param path: the database; None: in memory.
    :param shared: other processes use it too.
    """

    def __init__(
        self,
        protocol: Protocol,
        path: Path | None = None,
        *,
        urls: Sequence[str] = (),
        timeout: float = 2.0,
        shared: bool = False,
        **options: Any,
    ) -> None:
        self.protocol = protocol
        book = protocol.deployment.book
        identity = Identity(book.chain_id, book.first_block, book.first_block_hash)
        nodes = [Rpc(url, timeout=timeout, retries=0) for url in urls or [str(protocol.anvil.ipc_path)]]
        self.rpc = Providers(nodes, identity=identity, silence=1.0)
        self.client = Between(self.rpc)
        self.decoder: Decoder = decoder_of(protocol)
        self.repository = open_repository(path, "test", shared=shared)
        self.sink = DictSink()
        options.setdefault("first_block", book.first_block)
        self.follower = Follower(self.client, self.repository, self.decoder, sink=self.sink, **options)

    def run(self, *, until: Callable[[Step], bool] = lambda _: False) -> list[Step]:
        """Follows to the nodes' head, or until a step of that kind is done; the steps."""

        async def work() -> list[Step]:
            async with self.rpc:
                return await self.once(until)

        return asyncio.run(work())

    async def once(self, until: Callable[[Step], bool] = lambda _: False) -> list[Step]:
        """As `run`, inside a loop."""
        steps: list[Step] = []
        async for step in self.follower.follow(await self.rpc.look()):
            steps.append(step)
            if until(step):
                break
        return steps

    def try_run(self) -> list[Step]:
        """As `run`, with nothing done where the nodes fail."""
        try:
            return self.run()
        except (HeadMovedError, NodeUnavailable, NoProviderError, RpcError):
            return []

    def check(self) -> None:
        """Database and mirror say the same, and it is what a follower that begins now would say."""
        assert contents(self) == self.sink.rows
        fresh = Following(self.protocol, first_block=self.follower._first)
        fresh.run()
        assert fresh.sink.rows == self.sink.rows
        assert fresh.repository.state_hash() == self.repository.state_hash()
        fresh.close()

    def close(self) -> None:
        self.repository.close()


def contents(following: Following) -> dict[tuple[int, bytes], bytes]:
    """All rows of the database."""
    return {(kind, key): value for kind, key, value in following.repository.rows()}


def busy(p: Protocol, sub: int = 0) -> None:
    """A deposit, a trade, and a price."""
    account = p.account(p.trader, sub=sub)
    p.deposit(account, 5_000)
    order, _ = p.place(account, "ETH", "1")
    due(p, order)
    p.execute(order)


def kinds(steps: list[Step]) -> list[str]:
    """Names of steps, those in a row once."""
    names = [type(step).__name__ for step in steps]
    return [name for i, name in enumerate(names) if i == 0 or names[i - 1] != name]
