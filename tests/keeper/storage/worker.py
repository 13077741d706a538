"""A process that follows a made-up chain into a database, to be killed at any moment and started again."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.process import BaseProcess

from tests.keeper.storage.examples import IDENTITY, block_hash, block_rows, entry, header

from plimsoll.keeper.storage.opening import open_repository
from plimsoll.keeper.storage.repository import Repository

EVERY = 9
"""Every so many blocks the chain first goes a wrong way for three."""


Start = Callable[..., BaseProcess]
"""Runs a function in a process of its own, which the end of the test kills."""


def start(target: Callable[..., None], *values: object) -> BaseProcess:
    """Runs a function in a process of its own; whoever starts it must kill it."""
    process = multiprocessing.get_context("fork").Process(target=_quietly, args=(target, *values), daemon=True)
    process.start()
    return process


def _quietly(target: Callable[..., None], *values: object) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    target(*values)


def follow(place: str | None, last: int, ready: int | None = None) -> Repository:
    """Goes on from what is there to block `last`; writes a byte to `ready` when it begins."""
    repository = open_repository(place, IDENTITY)
    grant = repository.lease.acquire(f"process {os.getpid()}", 60)
    assert grant is not None
    if ready is not None:
        os.write(ready, b".")
    back_to_the_chain(repository)
    head = repository.head()
    for number in range(1 if head is None else head.number + 1, last + 1):
        if number % EVERY == 0:
            _wrong_way(repository, number)
        repository.save_block(header(number), block_rows(number))
        _send(repository, number, grant.epoch)
    return repository


def follow_for_ever(place: str, ready: int) -> None:
    """To be killed."""
    follow(place, 10**9, ready)


def back_to_the_chain(repository: Repository) -> None:
    """Undoes the blocks that are not of the chain, and journals what the last process died too early for."""
    ring = repository.headers()
    for taken in reversed(ring):
        if taken.hash == block_hash(taken.number):
            repository.undo_to(taken.number)
            grant = repository.lease.grant
            assert grant is not None
            _send(repository, taken.number, grant.epoch)
            return
    if ring:
        repository.reset()


def _wrong_way(repository: Repository, number: int) -> None:
    for wrong in range(number, number + 3):
        taken = header(wrong, "wrong", "wrong")
        if wrong == number:
            taken = replace(taken, parent=block_hash(number - 1))
        repository.save_block(taken, block_rows(wrong, "wrong"))
    repository.undo_to(number - 1)


def _send(repository: Repository, number: int, epoch: int) -> None:
    if number % 4 == 0:
        identifier = repository.journal.add(entry(number, epoch))
        repository.journal.set(identifier, "landed", number, spent=number, time=number)
