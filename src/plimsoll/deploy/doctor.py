"""What a run needs of this machine: programs, packages, compiler, anvil, ports, node."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from urllib.parse import urlsplit

from plimsoll.chain.anvil import Anvil, find_anvil
from plimsoll.chain.artifacts import SHIM, SOLC_VERSION, repository_root
from plimsoll.chain.rpc import Rpc
from plimsoll.deploy.book import Book, book_path
from plimsoll.deploy.checks import check
from plimsoll.deploy.deployment import block_hash, chain_id, is_local
from plimsoll.deploy.parameters import Parameters
from plimsoll.errors import PlimsollError

__all__ = ["Finding", "State", "examine"]

SETUP = "run `make setup`"
PROGRAM_SECONDS = 30
NODE_SECONDS = 5.0
LEAST_NODE = 20
LEAST_FREE_BYTES = 1 << 30


class State(Enum):
    """How a check ended. A note does not hinder a local run."""

    GOOD = 0
    NOTE = 1
    BAD = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """One check, with its fix unless it is good."""

    state: State
    what: str
    found: str
    fix: str = ""


def examine(rpc: str) -> list[Finding]:
    """All checks in the order in which their fixes are to be applied."""
    findings = [_guarded("Python", _python), _guarded("Node.js", _node_program)]
    try:
        root = repository_root()
    except PlimsollError as error:
        return [*findings, Finding(State.BAD, "repository", str(error), "run the command inside a clone")]
    findings.append(Finding(State.GOOD, "repository", str(root)))
    findings += _packages(root)
    findings.append(_guarded("compiler", lambda: _compiler(root)))
    findings.append(_guarded("anvil", lambda: _anvil(root)))
    findings.append(_guarded("disk", lambda: _disk(root)))
    findings += [_guarded(path.name, lambda path=path: _parameters(path)) for path in _files(root)]  # type: ignore[misc]
    return [*findings, *_node(rpc, root)]


def _guarded(what: str, check_one: Callable[[], Finding]) -> Finding:
    """A check that fails by surprise is a finding, too."""
    try:
        return check_one()
    except PlimsollError as error:
        return Finding(State.BAD, what, "; ".join(str(error).splitlines()), SETUP)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        return Finding(State.BAD, what, f"{type(error).__name__}: {error}", SETUP)


def _python() -> Finding:
    version = platform.python_version()
    if (3, 11) <= sys.version_info[:2] < (3, 13):
        return Finding(State.GOOD, "Python", version)
    return Finding(State.BAD, "Python", version, "use 3.11 or 3.12: make setup PYTHON=python3.12")


def _node_program() -> Finding:
    program = shutil.which("node")
    if program is None:
        return Finding(State.BAD, "Node.js", "missing", f"install Node.js {LEAST_NODE} or newer")
    version = _output([program, "--version"]).lstrip("v")
    if int(version.split(".")[0]) < LEAST_NODE:
        return Finding(State.BAD, "Node.js", version, f"install Node.js {LEAST_NODE} or newer")
    return Finding(State.GOOD, "Node.js", version)


def _packages(root: Path) -> list[Finding]:
    """Installed Python packages against the lock file."""
    lock = root / "requirements.lock"
    text = lock.read_text(encoding="utf-8") if lock.exists() else ""
    # A line with a marker behind `;` is for another platform or version of Python.
    wanted = dict(re.findall(r"^([A-Za-z0-9_.-]+)==([^\s;\\]+) *\\?$", text, re.M))
    wrong = []
    for name, version in wanted.items():
        try:
            found = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found = "missing"
        if found != version:
            wrong.append(f"{name} {found} instead of {version}")
    stray = ", ".join(wrong[:5]) + (f" and {len(wrong) - 5} more" if len(wrong) > 5 else "")
    if not wanted:
        return [Finding(State.BAD, "Python packages", f"{lock} is missing or empty", "restore it from the repository")]
    if wrong:
        return [Finding(State.NOTE, "Python packages", stray, f"{SETUP} for the versions that were tested together")]
    return [Finding(State.GOOD, "Python packages", f"{len(wanted)} as locked")]


def _compiler(root: Path) -> Finding:
    text = _output([str(root / SHIM), "--version"])
    if SOLC_VERSION not in text:
        return Finding(State.BAD, "compiler", text or "no answer", SETUP)
    return Finding(State.GOOD, "compiler", f"solc {SOLC_VERSION}")


def _anvil(root: Path) -> Finding:
    """Starts one, which also shows that a port and a socket can be had."""
    version = _output([str(find_anvil(root)), "--version"]).splitlines()[0]
    with Anvil() as anvil:
        anvil.block_number()
        return Finding(State.GOOD, "anvil", f"{version}; started on port {anvil.port}")


def _disk(root: Path) -> Finding:
    free = shutil.disk_usage(root).free
    if free < LEAST_FREE_BYTES:
        return Finding(
            State.BAD, "disk", f"{free >> 20} MiB free", "free at least 1 GiB; `make clean` removes what was built"
        )
    return Finding(State.GOOD, "disk", f"{free >> 30} GiB free")


def _files(root: Path) -> list[Path]:
    return sorted((root / "deployments").glob("*.yaml"))


def _parameters(path: Path) -> Finding:
    try:
        parameters = Parameters.load(path)
        check(parameters)
    except PlimsollError as error:
        lines = str(error).splitlines()
        more = f" and {len(lines) - 1} more" if len(lines) > 1 else ""
        return Finding(
            State.BAD, path.name, lines[0] + more, f"correct it; plimsoll deploy --network {path} --check-only"
        )
    markets = sum(len(pool.markets) for pool in parameters.pools.values())
    return Finding(State.GOOD, path.name, f"{len(parameters.pools)} pools, {markets} markets, every inequality holds")


def _node(address: str, root: Path) -> list[Finding]:
    """The node that other commands would use, and whether the local book belongs to it."""
    client = Rpc.connect(address, timeout=NODE_SECONDS)
    try:
        version = str(client.request("web3_clientVersion"))
        chain, local = chain_id(client), is_local(client)
    except PlimsollError:
        return [_absent(client.address, address)]
    findings = [Finding(State.GOOD, "node", f"{version}, chain {chain}, at {client.address}")]
    for path in _files(root):
        try:
            book = Book.read(book_path(path))
        except PlimsollError as error:
            findings.append(Finding(State.BAD, book_path(path).name, str(error), "restore it, or move it away"))
            continue
        if book is None or book.chain_id != chain:
            continue
        if block_hash(client, book.first_block) != book.first_block_hash:
            fix = f"run `plimsoll deploy --network {path.stem}`" if local else "name the right node with --rpc"
            findings.append(Finding(State.NOTE, book_path(path).name, "belongs to another chain than the node's", fix))
        elif not book.complete:
            fix = f"run `plimsoll deploy --network {path.stem}` again"
            findings.append(Finding(State.NOTE, book_path(path).name, "the deployment was interrupted", fix))
        else:
            findings.append(Finding(State.GOOD, book_path(path).name, f"deployed in block {book.first_block}"))
    return findings


def _absent(shown: str, address: str) -> Finding:
    parts = urlsplit(address)
    taken = False
    if parts.scheme in ("http", "https") and parts.hostname is not None:
        with socket.socket() as probe:
            probe.settimeout(1)
            taken = probe.connect_ex((parts.hostname, parts.port or (443 if parts.scheme == "https" else 80))) == 0
    if taken:
        return Finding(State.NOTE, "node", f"something at {shown} answers, but is no node", "name another with --rpc")
    fix = "start one with `.venv/bin/anvil`, or name one with --rpc; `plimsoll replay` starts its own"
    return Finding(State.NOTE, "node", f"none at {shown}", fix)


def _output(command: list[str]) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=PROGRAM_SECONDS, check=True, stdin=subprocess.DEVNULL
    )
    return done.stdout.strip()
