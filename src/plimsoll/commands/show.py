"""What the commands that show something share: one block for all reads, exact numbers as text, errors in one line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import ROUND_DOWN, Context, Decimal
from enum import IntFlag
from typing import Any, TypeVar

import click
from rich.console import Console

from plimsoll.chain.contract import Contract, batch_call
from plimsoll.chain.errors import PlimsollError, RpcError
from plimsoll.chain.rpc import Rpc
from plimsoll.keeper.book.mirror import Mirror
from plimsoll.keeper.errors import HeadMovedError
from plimsoll.keeper.node.decode import Decoder
from plimsoll.keeper.node.headers import Header
from plimsoll.keeper.operations.sections import NodeConfig
from plimsoll.keeper.target import Target

__all__ = [
    "EXIT_NO_ANSWER",
    "answers",
    "at_head",
    "console",
    "flag_names",
    "history",
    "joined",
    "one_line_errors",
    "percent",
    "short",
]

EXIT_NO_ANSWER = 2
ATTEMPTS = 3
WIDTH_OF_FILES = 160
EXACT = Context(prec=200)
T = TypeVar("T")


@contextmanager
def one_line_errors(command: str) -> Iterator[None]:
    """Ends the process with exit code 2 and one line on standard error when something cannot be shown."""
    try:
        yield
    except PlimsollError as error:
        click.echo(f"plimsoll {command}: {error}", err=True)
        sys.exit(EXIT_NO_ANSWER)


def at_head(rpc: Rpc, read: Callable[[Header], T]) -> T:
    """What `read` gives for the latest block; once more when the chain goes on meanwhile and old states are not kept.

    :raises PlimsollError: what `read` raised.
    """
    for left in reversed(range(ATTEMPTS)):
        head = Header.of(rpc.request("eth_getBlockByNumber", ["latest", False]))
        try:
            return read(head)
        except (HeadMovedError, RpcError):
            if not left or int(rpc.request("eth_blockNumber"), 16) == head.number:
                raise
    raise AssertionError("the last attempt returns or raises")


def answers(calls: Sequence[tuple[Contract, str, Sequence[Any]]], head: Header) -> list[Any]:
    """Results of calls at a block, in one round trip.

    :raises PlimsollError: the first call that failed.
    """
    found = batch_call(calls, block=head.number)
    for answer in found:
        if isinstance(answer, PlimsollError):
            raise answer
    return found


def history(target: Target, head: Header) -> Mirror:
    """All accounts and pending orders at a block, from the logs since the deployment began."""
    house, book = target.clearinghouse, target.order_book
    decoder, mirror = Decoder((house.address, house.abi), (book.address, book.abi)), Mirror()
    start, chunk = target.first_block, NodeConfig().log_chunk
    while start <= head.number:
        end = min(start + chunk - 1, head.number)
        wanted = {"address": list(decoder.addresses), "fromBlock": hex(start), "toBlock": hex(end)}
        try:
            logs = target.rpc.request("eth_getLogs", [wanted])
        except RpcError:
            if end == start:
                raise
            # Nodes limit the blocks of a question or the logs of an answer.
            chunk = max((end - start + 1) // 2, 1)
            continue
        rows = decoder.rows(logs)
        decoder.take(rows)
        mirror.apply(rows)
        start = end + 1
    return mirror


def short(exact: str, places: int = 2) -> str:
    """Exact decimal text for a table: so many places, cut toward zero, thousands set apart."""
    return f"{Decimal(exact).quantize(Decimal(1).scaleb(-places), ROUND_DOWN, EXACT):,f}"


def percent(exact: str, places: int = 2) -> str:
    """A ratio in exact decimal text as per cent, cut toward zero."""
    return short(f"{EXACT.multiply(Decimal(exact), Decimal(100)):f}", places) + " %"


def flag_names(flags: IntFlag) -> list[str]:
    """Names of the flags that are set, in lower case; bits without a name as one number."""
    unnamed = int(flags) & ~sum(int(flag) for flag in type(flags))
    return [str(flag.name).lower() for flag in flags] + ([hex(unnamed)] if unnamed else [])


def joined(names: Sequence[str], empty: str = "–") -> str:
    """Names for a table."""
    return ", ".join(name.replace("_", " ") for name in names) or empty


def console() -> Console:
    """Where tables go: as wide as the terminal, and wide enough for all columns in a file or a pipe."""
    return Console(width=None if sys.stdout.isatty() else WIDTH_OF_FILES, highlight=False)
