"""Examines nodes: the right chain, what they must be able to answer, how fresh and how far apart they are."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp

from plimsoll.chain.errors import PlimsollError, RpcError
from plimsoll.chain.rpc import Rpc
from plimsoll.deploy.book import Book
from plimsoll.deploy.doctor import Finding, State
from plimsoll.keeper.operations import figures
from plimsoll.keeper.operations.keystore import DEVELOPMENT_CHAINS
from plimsoll.keeper.operations.redact import shown_url

__all__ = ["NodeView", "apart", "clock", "examine_heads", "examine_node"]

PROBES = 3
SLOW_SECONDS = 0.5
OLD_SECONDS = 120
FUTURE_SECONDS = 15
SKEW_SECONDS = 30
NOWHERE = "0x" + "0" * 40
GOOD, NOTE, BAD = State.GOOD, State.NOTE, State.BAD


@dataclass(frozen=True, slots=True)
class NodeView:
    """What a node says of the chain."""

    name: str
    head: int
    head_hash: str
    time: int
    base_fee: int
    chain_id: int


def examine_node(
    url: str, book: Book | None, chain_id: int, timeout: float, now: float
) -> tuple[list[Finding], NodeView | None]:
    """Findings on one provider, and its view of the chain if it has a usable one."""
    what = f"node {shown_url(url)}"
    try:
        client = Rpc.connect(url, timeout=timeout)
        version = str(client.request("web3_clientVersion"))
        found_chain = int(client.request("eth_chainId"), 16)
        pace = _pace(client)
        head = client.request("eth_getBlockByNumber", ["latest", False])
    except PlimsollError as error:
        fix = "start the node, or correct node.providers; name a second provider to live through this"
        return [Finding(BAD, what, str(error), fix)], None
    view = NodeView(
        shown_url(url),
        int(head["number"], 16),
        str(head["hash"]),
        int(head["timestamp"], 16),
        int(head.get("baseFeePerGas") or "0x0", 16),
        found_chain,
    )
    slow = pace > SLOW_SECONDS
    fix = "use a node nearer to this machine: every block costs a few round trips" if slow else ""
    findings = [
        Finding(NOTE if slow else GOOD, what, f"{version}, chain {found_chain}, answers in {pace * 1000:.0f} ms", fix)
    ]
    if found_chain != chain_id:
        text = f"runs chain {found_chain}, the deployment is on chain {chain_id}"
        return [*findings, Finding(BAD, f"{what}: chain", text, "name another node, or another network")], None
    if book is not None:
        findings.append(_instance(client, what, book))
    findings += _features(client, what, head)
    findings.append(_age(what, view, now))
    return findings, view


def apart(views: Sequence[NodeView], allowed: int) -> list[Finding]:
    """How far the providers are behind the best one."""
    if len(views) < 2:
        fix = "name a second provider: with one, its silence is the keeper's"
        return [Finding(NOTE, "providers", f"{len(views)} usable", fix)]
    best = max(view.head for view in views)
    findings = []
    for view in views:
        lag = best - view.head
        if lag > allowed:
            fix = "replace it: a provider so far behind is not read"
            findings.append(Finding(NOTE, "providers", f"{view.name} is {lag} blocks behind the best one", fix))
    return findings or [Finding(GOOD, "providers", f"{len(views)}, at most {allowed} blocks apart")]


def examine_heads(urls: Sequence[str], timeout: float) -> list[Finding]:
    """Whether the WebSocket addresses announce heads. They only hasten the next look: none of this is a failure."""
    if not urls:
        fix = "name a WebSocket address in node.heads to see new blocks sooner than node.poll"
        return [Finding(NOTE, "heads", "none: new blocks are found by polling alone", fix)]
    return [asyncio.run(_subscribed(url, timeout)) for url in urls]


def clock(url: str, timeout: float, now: Callable[[], float] = time.time) -> Finding:
    """This machine's clock against the provider's, which is taken from its HTTP answers."""
    what = "clock"
    if not url.startswith(("http://", "https://")):
        return Finding(GOOD, what, "the node is on this machine")
    try:
        theirs, ours = asyncio.run(_date(url, timeout, now))
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return Finding(NOTE, what, f"the provider tells no time ({type(error).__name__})", "compare it with `date -u`")
    skew = ours - theirs
    if abs(skew) <= SKEW_SECONDS:
        return Finding(GOOD, what, f"within {abs(skew):.0f} s of the provider's")
    fix = "synchronise it (NTP); decisions go by chain time, but the times in logs are wrong"
    return Finding(NOTE, what, f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the provider's", fix)


def _pace(client: Rpc) -> float:
    taken = []
    for _ in range(PROBES):
        begun = time.perf_counter()
        client.request("eth_blockNumber")
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken)


def _instance(client: Rpc, what: str, book: Book) -> Finding:
    first = client.request("eth_getBlockByNumber", [hex(book.first_block), False])
    if first is None:
        text = f"has no block {book.first_block}, on which the deployment began"
        return Finding(BAD, f"{what}: history", text, "wait until it is synchronised, or name another node")
    if first["hash"] != book.first_block_hash:
        text = f"is another instance of chain {book.chain_id} than the one that was deployed on (was it reset?)"
        return Finding(BAD, f"{what}: history", text, "run `plimsoll deploy` again, or name the right node")
    return Finding(GOOD, f"{what}: history", f"has block {book.first_block}, on which the deployment began")


def _features(client: Rpc, what: str, head: Mapping[str, Any]) -> list[Finding]:
    """What the keeper cannot do without, and what it can."""
    by_hash = {"blockHash": head["hash"]}
    call = [{"to": NOWHERE, "data": "0x"}, by_hash]
    needed: list[tuple[str, str, list[Any]]] = [
        ("blocks by hash", "eth_getBlockByHash", [head["hash"], False]),
        ("logs by block hash", "eth_getLogs", [by_hash | {"address": NOWHERE}]),
        ("calls at a block hash", "eth_call", call),
    ]
    missing = [name for name, method, params in needed if not _answers(client, method, params)]
    try:
        if len(client.batch([("eth_chainId", []), ("eth_blockNumber", [])])) != 2:
            missing.append("batches")
    except PlimsollError:
        missing.append("batches")
    if head.get("baseFeePerGas") is None:
        missing.append("a base fee (EIP-1559)")
    if "logsBloom" not in head:
        missing.append("the logs bloom of blocks")
    findings = []
    if missing:
        fix = "name another provider: these are used for every block"
        findings.append(Finding(BAD, f"{what}: features", f"does not have {', '.join(missing)}", fix))
    else:
        names = ", ".join(name for name, _, _ in needed)
        findings.append(Finding(GOOD, f"{what}: features", f"{names}, batches"))
    if not _answers(client, "eth_maxPriorityFeePerGas", []):
        fix = "set sending.tip"
        findings.append(Finding(NOTE, f"{what}: fees", "proposes no priority fee", fix))
    return findings


def _answers(client: Rpc, method: str, params: list[Any]) -> bool:
    try:
        return client.request(method, params) is not None
    except RpcError:
        return False


def _age(what: str, view: NodeView, now: float) -> Finding:
    age, name = now - view.time, f"{what}: head"
    text = f"block {view.head}, {figures.age(max(age, 0))} old, base fee {figures.fee(view.base_fee)}"
    if view.chain_id in DEVELOPMENT_CHAINS:
        return Finding(GOOD, name, text)
    if age > OLD_SECONDS:
        return Finding(BAD, name, text, "wait until the node is synchronised, or name another one")
    if age < -FUTURE_SECONDS:
        text = f"block {view.head} is {-age:.0f} s in the future"
        return Finding(NOTE, name, text, "synchronise this machine's clock (NTP)")
    return Finding(GOOD, name, text)


async def _subscribed(url: str, timeout: float) -> Finding:
    what = f"heads {shown_url(url)}"
    request = {"jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["newHeads"]}
    fix = "correct node.heads; without it new blocks are found by polling alone"
    try:
        async with asyncio.timeout(timeout), aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
            await socket.send_json(request)
            answer = await socket.receive_json()
    except (aiohttp.ClientError, OSError, TypeError, ValueError) as error:
        return Finding(NOTE, what, f"no subscription ({type(error).__name__})", fix)
    if not isinstance(answer, dict) or "result" not in answer:
        return Finding(NOTE, what, "refuses to announce heads", fix)
    return Finding(GOOD, what, "announces heads")


async def _date(url: str, timeout: float, now: Callable[[], float]) -> tuple[float, float]:
    """The provider's time and ours at the same moment, seconds.

    :raises ValueError: its answers carry no time.
    """
    limit = aiohttp.ClientTimeout(total=timeout)
    payload = {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []}
    async with aiohttp.ClientSession(timeout=limit) as session:
        before = now()
        async with session.post(url, json=payload) as answer:
            date, after = answer.headers.get("Date"), now()
    if date is None:
        raise ValueError("no Date header")
    return parsedate_to_datetime(date).timestamp(), (before + after) / 2
