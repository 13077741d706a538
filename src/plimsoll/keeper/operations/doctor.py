"""Examines everything that a keeper of a configuration needs, and says for each failure what to do about it."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import time
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path

from eth_utils.crypto import keccak

from plimsoll.chain.contract import batch_call
from plimsoll.chain.errors import PlimsollError
from plimsoll.chain.rpc import Rpc
from plimsoll.commands.options import parameters_path
from plimsoll.deploy.book import Book, book_path
from plimsoll.deploy.deployment import Deployment, is_local, open_deployment
from plimsoll.deploy.doctor import Finding, State
from plimsoll.deploy.parameters import Parameters
from plimsoll.keeper.operations import doctor_node, figures
from plimsoll.keeper.operations.assemble import database_path
from plimsoll.keeper.operations.config import KeeperConfig
from plimsoll.keeper.operations.keystore import NOBODY, Identity, identify, is_private
from plimsoll.keeper.operations.redact import Redactor, shown_url
from plimsoll.keeper.storage.opening import open_repository
from plimsoll.keeper.storage.repository import Repository
from plimsoll.keeper.storage.sqlite import FileLock
from plimsoll.model.oracle import PriceFlags
from plimsoll.model.oracle_words import Spot

__all__ = ["examine"]

GOOD, NOTE, BAD = State.GOOD, State.NOTE, State.BAD
LEAST_FREE_BYTES = 1 << 30
ONE_TRANSACTION_GAS = 1_000_000
DEPLOY = "run `plimsoll deploy`, or name another network"
RUNNING_SECONDS = 2.0


def examine(
    config: KeeperConfig,
    environment: Mapping[str, str],
    *,
    ask: Callable[[str], str] | None = None,
    now: Callable[[], float] = time.time,
) -> list[Finding]:
    """All checks, in the order in which their fixes are to be applied. Nothing is sent and nothing is changed."""
    hide = Redactor()
    checks = _Checks(config, environment, ask, now, hide)
    return [Finding(one.state, one.what, hide.text(one.found), hide.text(one.fix)) for one in checks.run()]


class _Checks:
    """One examination. What a check finds out is there for those after it."""

    def __init__(
        self,
        config: KeeperConfig,
        environment: Mapping[str, str],
        ask: Callable[[str], str] | None,
        now: Callable[[], float],
        hide: Redactor,
    ) -> None:
        self.config = config
        self.environment = environment
        self.ask = ask
        self.now = now
        self.hide = hide
        self.chain_id = 0
        self.book: Book | None = None
        self.deployment: Deployment | None = None
        self.identity: Identity | None = None
        self.path: Path | None = None
        self.reachable = ""

    def run(self) -> list[Finding]:
        findings = self._network()
        if self.path is None:
            return findings
        findings += self._nodes()
        for name, check in (
            ("contracts", self._contracts),
            ("oracle", self._oracle),
            ("key", self._key),
            ("balance", self._balance),
            ("database", self._database),
            ("server", self._server),
        ):
            try:
                findings += check()
            except PlimsollError as error:
                findings.append(Finding(BAD, name, str(error), "correct what the line says and run this again"))
        return findings

    def _network(self) -> list[Finding]:
        try:
            self.path = parameters_path(self.config.network)
            parameters = Parameters.load(self.path)
            self.chain_id = parameters.chain_id
            self.book = Book.read(book_path(self.path))
        except PlimsollError as error:
            self.path = None
            return [Finding(BAD, "network", str(error), "name a network with --network")]
        if self.book is None:
            return [Finding(BAD, "network", f"{book_path(self.path).name} does not exist", DEPLOY)]
        if not self.book.complete:
            return [Finding(BAD, "network", "the deployment was interrupted", "run `plimsoll deploy` again")]
        return [Finding(GOOD, "network", f"{self.book.network}, chain {self.chain_id}")]

    def _nodes(self) -> list[Finding]:
        node, findings, views = self.config.node, [], []
        for url in node.providers:
            found, view = doctor_node.examine_node(url, self.book, self.chain_id, node.timeout, self.now())
            findings += found
            if view is not None:
                views.append(view)
                self.reachable = self.reachable or url
        findings += doctor_node.apart(views, node.max_lag)
        findings += doctor_node.examine_heads(node.heads, node.timeout)
        if self.reachable:
            findings.append(doctor_node.clock(self.reachable, node.timeout, self.now))
        return findings

    def _rpc(self) -> Rpc | None:
        return Rpc.connect(self.reachable, timeout=self.config.node.timeout) if self.reachable else None

    def _contracts(self) -> list[Finding]:
        rpc = self._rpc()
        if rpc is None or self.book is None or self.path is None:
            return []
        entries = list(self.book.contracts.items())
        codes = rpc.batch([("eth_getCode", [entry.address, "latest"]) for _, entry in entries])
        wrong = []
        for (name, entry), code in zip(entries, codes, strict=True):
            if isinstance(code, Exception):
                raise code
            if "0x" + keccak(bytes.fromhex(code[2:])).hex() != entry.code_hash:
                wrong.append(f"{name} at {entry.address}" + (" (no code)" if code == "0x" else ""))
        if wrong:
            return [Finding(BAD, "contracts", f"other code than was deployed: {', '.join(wrong)}", DEPLOY)]
        self.deployment = open_deployment(rpc, self.path)
        return [Finding(GOOD, "contracts", f"{len(entries)} with the code that was deployed")]

    def _oracle(self) -> list[Finding]:
        deployment = self.deployment
        if deployment is None:
            return []
        head = deployment.rpc.request("eth_getBlockByNumber", ["latest", False])
        assets = deployment.parameters.assets
        answers = batch_call([(deployment.hub, "peek", [asset.id]) for asset in assets.values()])
        findings = []
        for (name, asset), answer in zip(assets.items(), answers, strict=True):
            what = f"oracle {name}"
            if isinstance(answer, Exception):
                fix = "look at the feed in the network's file; nothing that holds the asset can be valued"
                findings.append(Finding(BAD, what, f"refuses: {answer}", fix))
                continue
            spot = Spot.unpack(answer[0])
            age = int(head["timestamp"], 16) - spot.publish_time
            flags = [str(flag.name).lower().replace("_", " ") for flag in PriceFlags(spot.flags)]
            text = f"{figures.money(spot.price)}, {figures.age(max(age, 0))} old" + "".join(f", {f}" for f in flags)
            if spot.flags & PriceFlags.INVALID:
                fix = f"the feed must publish (at most {asset.max_age.value} s old): nothing is decided on it meanwhile"
                findings.append(Finding(BAD, what, text, fix))
            elif flags:
                fix = "liquidations go by the bounds that docs/protocol.md states for such a price"
                findings.append(Finding(NOTE, what, text, fix))
            else:
                findings.append(Finding(GOOD, what, text))
        return findings

    def _key(self) -> list[Finding]:
        rpc, key = self._rpc(), self.config.key
        if rpc is None:
            return []
        self.identity = identify(
            key,
            int(rpc.request("eth_chainId"), 16),
            dry_run=self.config.dry_run,
            local=is_local(rpc),
            local_accounts=lambda: [str(account) for account in rpc.request("eth_accounts")],
            environment=self.environment,
            ask=self.ask,
            redactor=self.hide,
        )
        if not self.identity.can_send:
            text = "nobody: a dry run is all that is possible"
            return [Finding(NOTE, "key", text, "give --keystore FILE to send")]
        how = "unlocked in the node" if self.identity.unlocked else "unlocked here"
        findings = [Finding(GOOD, "key", f"{self.identity.address}, {how}")]
        for file in (key.keystore, key.password_file):
            if file is not None and not is_private(file):
                findings.append(Finding(NOTE, "key", f"others may read {file}", f"chmod 600 {file}"))
        return findings

    def _balance(self) -> list[Finding]:
        rpc, identity = self._rpc(), self.identity
        if rpc is None or identity is None or identity.address == NOBODY:
            return []
        address = identity.address
        answers = rpc.batch(
            [
                ("eth_getBalance", [address, "latest"]),
                ("eth_getTransactionCount", [address, "latest"]),
                ("eth_getTransactionCount", [address, "pending"]),
                ("eth_gasPrice", []),
            ]
        )
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        balance, latest, pending, price = (int(answer, 16) for answer in answers)
        least = max(self.config.sending.min_balance, ONE_TRANSACTION_GAS * price)
        text = f"{figures.ether(balance)}, enough for {balance // max(ONE_TRANSACTION_GAS * price, 1):,} transactions"
        poor = balance < least and not self.config.dry_run
        fix = f"send ether to {address}: at least {figures.ether(least)}" if poor else ""
        findings = [Finding(BAD if poor else GOOD, "balance", text, fix)]
        if pending > latest:
            fix = "a keeper takes them up from its journal at the start, or cancels what it does not know"
            text = f"next {latest}, {pending - latest} under way"
            findings.append(Finding(NOTE, "nonces", text, fix))
        else:
            findings.append(Finding(GOOD, "nonces", f"next {latest}, none under way"))
        return findings

    def _database(self) -> list[Finding]:
        if self.book is None or self.identity is None:
            return []
        where = database_path(self.config, self.book.network, self.identity.address)
        shown = shown_url(where)
        if "://" not in where:
            path = Path(where)
            findings = [_disk(path)]
            if not path.exists():
                return [*findings, Finding(GOOD, "database", f"{shown} does not exist yet: it is made at the start")]
        else:
            findings = []
        repository = open_repository(where, None, read_only=True)
        try:
            return [*findings, *_kept(repository, shown), *self._lease(repository, where)]
        finally:
            repository.close()

    def _lease(self, repository: Repository, where: str) -> list[Finding]:
        holder = repository.lease.holder()
        if holder is not None and holder.remaining > 0:
            text = f"{holder.owner} leads in epoch {holder.epoch} for {figures.age(holder.remaining)} more"
            if self.config.ha.enabled:
                return [Finding(GOOD, "lease", text)]
            fix = "stop it before another is started, or set ha.enabled in both"
            return [Finding(NOTE, "lease", text, fix)]
        if "://" not in where and _in_use(Path(where)):
            return [Finding(NOTE, "lease", "another process uses the database", "stop it before another is started")]
        return [Finding(GOOD, "lease", "free")]

    def _server(self) -> list[Finding]:
        server = self.config.server
        if not server.enabled:
            return [Finding(NOTE, "server", "off: no metrics and no probes", "set server.enabled, or give --serve")]
        if server.port == 0:
            return [Finding(GOOD, "server", "takes any free port")]
        family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((server.host, server.port))
            except OSError as error:
                if _keeper_answers(server.host, server.port):
                    return [Finding(NOTE, "server", f"a keeper runs at {server.host}:{server.port}", "`keeper status`")]
                fix = "set server.port to another one"
                return [Finding(BAD, "server", f"{server.host}:{server.port}: {error.strerror}", fix)]
        return [Finding(GOOD, "server", f"{server.host}:{server.port} is free")]


def _kept(repository: Repository, shown: str) -> list[Finding]:
    head, waiting = repository.head(), len(repository.journal.open())
    at = f"at block {head.number}" if head is not None else "empty"
    text = f"{shown}, {at}" + (f", {waiting} transactions not final" if waiting else "")
    return [Finding(GOOD, "database", text)]


def _disk(path: Path) -> Finding:
    folder = path.parent
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE_BYTES:
        fix = "free at least 1 GiB: when the disk is full the keeper cannot write its journal and sends nothing"
        return Finding(BAD, "disk", f"{free >> 20} MiB free", fix)
    return Finding(GOOD, "disk", f"{free >> 30} GiB free")


def _in_use(path: Path) -> bool:
    try:
        FileLock(path, shared=False).close()
    except PlimsollError:
        return True
    return False


def _keeper_answers(host: str, port: int) -> bool:
    shown = f"[{host}]" if ":" in host else host
    with (
        contextlib.suppress(OSError, ValueError),
        urllib.request.urlopen(f"http://{shown}:{port}/status", timeout=RUNNING_SECONDS) as answer,
    ):
        return "phase" in json.loads(answer.read())
    return False
