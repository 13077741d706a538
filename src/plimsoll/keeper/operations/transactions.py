"""Takes a transaction back that no block takes."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from plimsoll.keeper.errors import ConfigurationError
from plimsoll.keeper.node.headers import Header, next_base_fee
from plimsoll.keeper.node.rpc import Rpc
from plimsoll.keeper.operations.assemble import answering, find_identity
from plimsoll.keeper.operations.config import KeeperConfig
from plimsoll.keeper.operations.journal import find
from plimsoll.keeper.operations.redact import Redactor
from plimsoll.keeper.sending.desk import Desk, adopted, silent
from plimsoll.keeper.sending.fees import Fees, raised, worst_base_fee
from plimsoll.keeper.sending.ports import LeaseFence, Signer
from plimsoll.keeper.sending.routes import MULTI, PRIVATE, Routes
from plimsoll.keeper.sending.signing import KeySigner, UnlockedSigner
from plimsoll.keeper.storage.journal import FINAL, JournalEntry
from plimsoll.keeper.storage.opening import open_repository
from plimsoll.keeper.storage.repository import Repository

__all__ = ["Cancelled", "cancel"]

LEASE_SECONDS = 60.0
LEAST_TIP = 10**9


@dataclass(frozen=True, slots=True)
class Cancelled:
    """A transfer of nothing that was sent in a transaction's place."""

    tx_hash: str
    nonce: int
    max_fee_wei: int
    tip_wei: int
    answer: str
    text: str


async def cancel(
    config: KeeperConfig,
    where: str,
    wanted: str,
    environment: Mapping[str, str],
    redactor: Redactor,
) -> Cancelled:
    """Sends a transfer of nothing with the nonce of an entry, paid enough to take its place, through the journal.

    No keeper may use the database meanwhile. The next one takes the transfer up and follows it.

    :raises ConfigurationError: there is no such entry, it is final, another sender's, or a keeper is running.
    """
    repository = open_repository(where, None)
    try:
        found = find(repository, wanted)
        if found.status in FINAL:
            raise ConfigurationError(f"entry {found.id} is {found.status}: there is nothing to cancel")
        first, plain = answering(config)
        identity = find_identity(plain, config, environment, redactor)
        if identity.address != found.sender:
            raise ConfigurationError(
                f"entry {found.id} is of {found.sender}; give its key, not that of {identity.address}"
            )
        grant = repository.lease.acquire(f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}", LEASE_SECONDS)
        if grant is None:
            raise ConfigurationError("another keeper leads on this database; stop it first")
        try:
            chain_id = int(plain.request("eth_chainId"), 16)
            async with AsyncExitStack() as stack:
                # What answers is asked; what is sent goes to all.
                urls = sorted(config.node.providers, key=lambda url: url != first)
                nodes = [await stack.enter_async_context(Rpc(url)) for url in urls]
                private = [await stack.enter_async_context(Rpc(config.node.private))] if config.node.private else []
                signer: Signer = (
                    KeySigner(identity.account, chain_id)
                    if identity.account is not None
                    else UnlockedSigner(nodes[0], identity.address, chain_id)
                )
                order = (PRIVATE,) if private and config.sending.routes == (PRIVATE,) else (MULTI,)
                routes = Routes(nodes, private, order)
                desk = Desk(repository.journal, LeaseFence(repository.lease), routes, silent)
                return await _replaced(repository, desk, signer, nodes[0], found)
        finally:
            repository.lease.release()
    finally:
        repository.close()


async def _replaced(repository: Repository, desk: Desk, signer: Signer, node: Rpc, found: JournalEntry) -> Cancelled:
    used = int(await node.request("eth_getTransactionCount", [found.sender, "latest"]), 16)
    if used > found.nonce:
        raise ConfigurationError(f"nonce {found.nonce} is used: a block holds it, or what took its place")
    head = Header.of(await node.request("eth_getBlockByNumber", ["latest", False]))
    rivals = [one for one in repository.journal.by_nonce(found.sender, found.nonce) if one.status not in FINAL]
    fees = _above(rivals, next_base_fee(head))
    attempt = await desk.write(signer, adopted(found, {}).intent, found.nonce, fees, head.number, cancels=True)
    answer = await desk.broadcast(attempt)
    desk.mark(attempt, "broadcast")
    return Cancelled(attempt.tx_hash, attempt.nonce, fees.max_fee, fees.tip, answer.verdict.name.lower(), answer.text)


def _above(rivals: Sequence[JournalEntry], next_fee: int) -> Fees:
    """Fees that replace every rival and can land in the next blocks."""
    old = Fees(max(one.max_fee for one in rivals), max(one.tip for one in rivals))
    tip = max(LEAST_TIP, old.tip)
    fees = raised(old, Fees(worst_base_fee(next_fee, 3) + tip, tip), None)
    assert fees is not None, "without a limit there always are higher fees"
    return fees
