"""Schedules and metrics of a keeper, hosted by Silverback.

    PLIMSOLL_KEEPER_URL=http://127.0.0.1:9464 silverback run bots.keeper:bot --network ethereum:mainnet:node

The keeper is a process of its own (`plimsoll keeper run --serve 127.0.0.1:9464`). This bot looks at it once a minute,
turns what it says into Silverback metrics, compares its head with that of the bot's own node, and runs the examination
of `plimsoll keeper doctor` once an hour.

What it does not do, on purpose: it holds no positions, nonces, keys or money, decides nothing and sends nothing; it
reads no logs and subscribes to nothing. Silverback does not fetch what it missed, does not notice that a WebSocket was
closed politely, loses events that come in bursts, and ends with exit code 0 after it halted. So nothing here depends
on an event, and nothing that the keeper does depends on this bot: stop it at any time. No task raises, because a few
exceptions in a row halt a bot.
"""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from datetime import datetime
from pathlib import Path
from typing import Any

from ape import chain
from ape.logging import logger
from silverback import SilverbackBot, StateSnapshot

from plimsoll.deploy.doctor import State
from plimsoll.errors import PlimsollError
from plimsoll.keeper.operations.doctor import examine
from plimsoll.keeper.operations.load import load_config
from plimsoll.keeper.operations.status import KeeperStatus, status_from_json

__all__ = ["bot"]

URL = os.environ.get("PLIMSOLL_KEEPER_URL", "http://127.0.0.1:9464").rstrip("/")
CONFIG = os.environ.get("PLIMSOLL_KEEPER_CONFIG")
SECONDS = 5.0
Metrics = dict[str, bool | int | float]

bot = SilverbackBot()


def ask() -> KeeperStatus | None:
    """The keeper's status, None if it does not answer."""
    try:
        with urllib.request.urlopen(f"{URL}/status", timeout=SECONDS) as answer:
            return status_from_json(json.loads(answer.read()))
    except (urllib.error.URLError, OSError, ValueError, PlimsollError) as error:
        logger.error(f"keeper at {URL}: no status ({type(error).__name__})")
        return None


def metrics(status: KeeperStatus | None) -> Metrics:
    """What Silverback records; display only, so amounts may be floats."""
    if status is None:
        return {"keeper_up": False, "keeper_ready": False}
    return {
        "keeper_up": True,
        "keeper_ready": status.readiness.ready,
        "keeper_head_block": status.head.number,
        "keeper_head_age_seconds": status.head.age_seconds,
        "keeper_blocks_behind_this_node": max(_height() - status.head.number, 0),
        "keeper_accounts": status.book.accounts,
        "keeper_liquidatable_accounts": status.book.liquidatable,
        "keeper_in_flight": len(status.in_flight),
        "keeper_oldest_in_flight_blocks": max((one.age_blocks for one in status.in_flight), default=0),
        "keeper_breakers_open": sum(one.open for one in status.breakers),
        "keeper_halts": len(status.halts),
        "keeper_balance_ether": status.balance_wei / 10**18,
    }


def _height() -> int:
    """Head of the bot's own node; 0 when it does not answer."""
    try:
        return int(chain.blocks.height)
    except Exception as error:  # ape's providers raise errors of many libraries
        logger.error(f"this node does not tell its head ({type(error).__name__})")
        return 0


@bot.on_startup()
def begin(state: StateSnapshot) -> None:
    """Says what is looked at. A keeper that is not there yet is no reason not to start."""
    status = ask()
    if status is not None:
        it = status.versions
        logger.success(f"keeper of {it.network} (chain {it.chain_id}) at {URL}: {status.phase.value}")


@bot.cron("* * * * *")
def look(time: datetime) -> Metrics:
    """Once a minute: the keeper's own words as metrics."""
    status = ask()
    if status is not None:
        for reason in status.readiness.reasons:
            logger.warning(f"keeper not ready: {reason}")
    return metrics(status)


@bot.cron("0 * * * *")
def inspect(time: datetime) -> Metrics:
    """Once an hour: the examination of `plimsoll keeper doctor`, with the fix of each failure in the log."""
    try:
        config = load_config(Path(CONFIG) if CONFIG else None, environment=dict(os.environ))
        findings = examine(config, os.environ)
    except (PlimsollError, OSError, ValueError) as error:
        logger.error(f"doctor: {error}")
        return {"keeper_problems": 1}
    bad: list[Any] = [one for one in findings if one.state is State.BAD]
    for one in bad:
        logger.error(f"doctor: {one.what}: {one.found}; fix: {one.fix}")
    return {"keeper_problems": len(bad)}


@bot.on_metric("keeper_liquidatable_accounts", gt=0)
def below_the_line(accounts: int) -> None:
    """Accounts below the line are the keeper's to liquidate; here they are only said."""
    logger.warning(f"{accounts} accounts are below the line")
