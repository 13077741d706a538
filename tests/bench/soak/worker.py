"""Runs a keeper's service again and again, each time in a fork, so that a start costs little: for kills.

Reads lines from standard input: `go` starts a run and answers with its process number, `reap` waits for its end.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from plimsoll.chain.rpc import Rpc
from plimsoll.deploy.deployment import Deployment, open_deployment
from plimsoll.keeper.operations.log import DecisionLog
from plimsoll.keeper.operations.telemetry import Telemetry
from plimsoll.keeper.service.build import build
from tests.support.keepers import config_of
from tests.support.running import signer

__all__ = ["main", "options"]


def options(url: str) -> dict[str, Any]:
    """Of the configuration of every run."""
    return {"node.providers": url, "node.poll": "0.05", "node.timeout": 5, "audit.every": 3}


def main(url: str, network: str, database: str, lines: str) -> None:
    """Serves until standard input ends."""
    rpc = Rpc.connect(url, timeout=30)
    deployment = open_deployment(rpc, Path(network))
    signer()  # derives the key once for all forks
    rpc.close()
    for line in sys.stdin:
        if line.strip() == "reap":
            os.wait()
            print("reaped", flush=True)
            continue
        pid = os.fork()
        if pid == 0:
            work(deployment, url, database, lines)
            os._exit(0)
        print(pid, flush=True)


def work(deployment: Deployment, url: str, database: str, lines: str) -> None:
    """One run, until it is killed."""
    with Path(lines).open("a", encoding="utf-8") as log_file:

        def write(line: str) -> None:
            log_file.write(line + "\n")
            log_file.flush()

        log = DecisionLog(write)
        service = build(config_of(options(url)), deployment, signer(), database, log, Telemetry())
        try:
            asyncio.run(service.run(asyncio.Event()))
        except Exception as error:
            write(f"ended by itself: {type(error).__name__}: {error}")


if __name__ == "__main__":
    main(*sys.argv[1:])
