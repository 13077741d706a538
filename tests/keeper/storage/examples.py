"""Blocks, entries and histories that the tests of the storage share; everything follows from the numbers given."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256

from plimsoll.keeper.node.headers import Header
from plimsoll.keeper.rows import Kind, Row
from plimsoll.keeper.storage.journal import JournalEntry
from plimsoll.keeper.storage.repository import Repository

Open = Callable[..., Repository]
"""Opens the database of a test, with the options of `open_repository`."""
IDENTITY = "31337:0xgenesis:0xclearinghouse"
ACCOUNTS = [bytes([number]) * 32 for number in range(40)]


def header(number: int, fork: str = "", parent_fork: str = "") -> Header:
    """A block of a fork; its parent is of `parent_fork`."""
    return Header(
        number,
        block_hash(number, fork),
        block_hash(number - 1, parent_fork),
        1_000 + number,
        7,
        21_000,
        30_000_000,
        BLOOM,
    )


BLOOM = bytes(range(256))


def block_hash(number: int, fork: str = "") -> str:
    """Hash of a block of a fork."""
    return "0x" + sha256(f"{fork}:{number}".encode()).hexdigest()


def block_rows(number: int, fork: str = "") -> list[Row]:
    """What a block changes: accounts several times over, positions that come and go, now and then a pool."""
    dice = random.Random(f"{fork}:{number}")
    rows: list[Row] = []
    for _ in range(dice.randrange(12)):
        account = dice.choice(ACCOUNTS)
        rows.append((Kind.ACCOUNT, account, dice.randbytes(32)))
        key = account + bytes([dice.randrange(3)])
        rows.append((Kind.POSITION, key, None if dice.random() < 0.4 else dice.randbytes(32)))
    if dice.random() < 0.2:
        rows.append((Kind.POOL, b"\0\1", dice.randbytes(64)))
    return rows


def take(repository: Repository, first: int, last: int, fork: str = "") -> None:
    """Saves blocks of a fork whose first parent is what is there."""
    for number in range(first, last + 1):
        head = repository.head()
        taken = header(number, fork)
        if head is not None:
            taken = replace(taken, parent=head.hash)
        repository.save_block(taken, block_rows(number, fork))


def table(repository: Repository) -> dict[tuple[int, bytes], bytes]:
    """All rows by kind and key."""
    return {(kind, key): value for kind, key, value in repository.rows()}


def entry(number: int, epoch: int, sender: str = "0xkeeper", status: str = "intended") -> JournalEntry:
    """A transaction whose fees do not fit in 64 bits."""
    return JournalEntry(
        id=0,
        intent=f"liquidate:{number // 2}",
        sender=sender,
        nonce=number,
        raw=bytes([number % 256]) * 100,
        tx_hash="0x" + sha256(f"{sender}:{number}".encode()).hexdigest(),
        max_fee=10**20 + number,
        tip=10**9,
        gas=400_000,
        to="0xclearinghouse",
        data=b"\0\xff'\"\\%s?",
        value_wei=-(10**19),
        status=status,
        block=None,
        created_block=100 + number,
        detail='{"why": "équité < MM"}',
        epoch=epoch,
    )
