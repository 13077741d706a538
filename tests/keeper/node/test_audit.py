"""Rows are compared with the chain's own storage at one block, and every difference shows."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

import pytest
from tests.integration.test_events_rebuild import history
from tests.keeper.node.conftest import more
from tests.keeper.node.following import Following
from tests.support.protocol import Protocol

from plimsoll.keeper.node.audit import Auditor, Difference
from plimsoll.keeper.node.errors import HeadMovedError
from plimsoll.keeper.node.headers import Header
from plimsoll.keeper.rows import Kind

T = TypeVar("T")


@pytest.fixture
def following(protocol: Protocol) -> Iterator[Following]:
    history(protocol, "a")
    more(protocol)
    found = Following(protocol)
    found.run()
    yield found
    found.close()


def audit(following: Following, work: Callable[[Auditor, Header], Awaitable[T]]) -> T:
    artifact = following.protocol.deployment.artifacts.artifact("Clearinghouse")

    async def run() -> T:
        async with following.rpc:
            auditor = Auditor(following.rpc, following.protocol.clearinghouse.address, artifact)
            header = following.follower.head
            assert header is not None
            return await work(auditor, header)

    return asyncio.run(run())


def all_rows(following: Following) -> list[Difference]:
    rows = [(kind, key, value) for (kind, key), value in following.sink.rows.items()]
    return audit(following, lambda auditor, header: auditor.rows(rows, header))


def of_accounts(following: Following) -> list[Difference]:
    accounts = [key for kind, key in following.sink.rows if kind == Kind.ACCOUNT]

    def lookup(kind: int, key: bytes) -> bytes | None:
        return following.sink.rows.get((kind, key))

    return audit(following, lambda auditor, header: auditor.accounts(accounts, lookup, header))


def test_what_was_followed_is_what_is_stored(following: Following) -> None:
    kinds = {kind for kind, _ in following.sink.rows}
    assert {Kind.ACCOUNT, Kind.POSITION, Kind.COLLATERAL, Kind.MARKET, Kind.SIDE_EVENT, Kind.EPOCH_END} <= kinds
    assert all_rows(following) == []
    assert of_accounts(following) == []


def test_every_kind_of_difference_shows(following: Following) -> None:
    rows = following.sink.rows
    for kind in (Kind.ACCOUNT, Kind.POSITION, Kind.COLLATERAL, Kind.MARKET, Kind.POOL, Kind.DEBT, Kind.SIDE_EVENT):
        key = next(key for one, key in rows if one == kind)
        kept = rows[kind, key]
        rows[kind, key] = kept[:-1] + bytes([kept[-1] ^ 1])
        [difference] = all_rows(following)
        assert (difference.kind, difference.key) == (kind, key)
        assert "kept" in str(difference)
        if kind in (Kind.ACCOUNT, Kind.POSITION, Kind.COLLATERAL):
            assert [one.kind for one in of_accounts(following)] == [kind]
        rows[kind, key] = kept


def test_what_is_missing_here_shows_too(following: Following) -> None:
    rows = following.sink.rows
    for kind in (Kind.POSITION, Kind.COLLATERAL, Kind.ACCOUNT):
        key = next(key for one, key in rows if one == kind)
        kept = rows.pop((kind, key))
        assert all_rows(following) == []
        if kind is not Kind.ACCOUNT:
            [difference] = of_accounts(following)
            assert (difference.kind, difference.key, difference.theirs) == (kind, key, kept)
        rows[kind, key] = kept


def test_a_block_that_is_gone_cannot_be_audited(following: Following) -> None:
    lost = Header(7, "0x" + "12" * 32, "0x" + "13" * 32, 0, 0, 0, 1, bytes(256))
    rows = [(Kind.ACCOUNT, bytes(32), bytes(32))]
    with pytest.raises(HeadMovedError, match="storage at block 7 is not to be had"):
        audit(following, lambda auditor, _: auditor.rows(rows, lost))
