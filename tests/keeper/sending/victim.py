"""A process that sends one intent after the other until it is killed: `victim.py URL DATABASE KEY`."""

from __future__ import annotations

import asyncio
import sys
from itertools import count
from pathlib import Path

from eth_account import Account

from plimsoll.keeper.node.headers import Header
from plimsoll.keeper.node.rpc import Rpc
from plimsoll.keeper.sending.intent import Intent
from plimsoll.keeper.sending.manager import TransactionManager
from plimsoll.keeper.sending.ports import LeaseFence
from plimsoll.keeper.sending.routes import Routes
from plimsoll.keeper.sending.signing import KeySigner
from plimsoll.keeper.storage.files import SqliteRepository

ARENA = "0x00000000000000000000000000000000000A7E4a"


async def main(url: str, path: str, key: str) -> None:
    repository = SqliteRepository(Path(path), "arena")
    assert repository.lease.acquire(f"victim {count()}", 600) is not None
    rpc = Rpc(url)
    signer = KeySigner(Account.from_key(key), 31337)
    manager = TransactionManager(rpc, repository.journal, LeaseFence(repository.lease), [signer], Routes([rpc]))

    async def header(tag: str) -> Header:
        return Header.of(await rpc.request("eth_getBlockByNumber", [tag, False]))

    head = await header("latest")
    await manager.start(head)
    print("started", flush=True)
    # What is decided comes from the chain alone, as in a keeper without a memory of its own.
    for number in count():
        slot = await rpc.request("eth_getStorageAt", [ARENA, hex(number), "latest"])
        if int(slot, 16):
            continue
        intent = Intent(
            f"liquidate:{number}@1", "liquidate", ARENA, number.to_bytes(32, "big"), 100_000, 10**16, 50_000
        )
        await manager.submit(intent)
        newest = await header("latest")
        for missed in range(head.number + 1, newest.number + 1):
            await manager.on_block(await header(hex(missed)))
        head = newest


asyncio.run(main(*sys.argv[1:]))
