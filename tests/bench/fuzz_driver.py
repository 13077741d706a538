"""Calls a second of each backend and route of the fuzz driver, on one core: `make bench-fuzz`.

An example is 50 calls, each in a block of its own, after which the state is what it was: deposits, withdrawals and
orders of many accounts. With words, those that a model would compare (15 of the Clearinghouse) are read after every
call. Call data is put together within the measured time. The best of several rounds counts, because the machine may do
other things meanwhile.
"""

from __future__ import annotations

import argparse
import gc
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from plimsoll.fuzz.driver import Call, Outcome, Read
from plimsoll.fuzz.world import Backend, World
from plimsoll.units import WAD

__all__ = ["main", "rates"]

BATCH = 50
"""Calls of one example."""
WORDS = 15
NO_CLIENT = bytes(32)


def script(world: World, count: int) -> list[tuple[Call, Read]]:
    """So many calls that succeed, and what to read after each."""
    deposit, place, withdraw = (
        world.entry(contract, fn)
        for contract, fn in (("clearinghouse", "deposit"), ("order_book", "placeOrder"), ("clearinghouse", "withdraw"))
    )
    token, market, start = world.token("USDC"), world.market("ETH"), world.driver.time + 1
    made = []
    for index in range(count):
        number = index // 3
        trader = world.actors.traders[number % len(world.actors.traders)]
        account = world.account(trader, sub=number // len(world.actors.traders))
        at = start + index
        arguments: tuple[Any, ...] = (account, token, 10**9)
        if index % 3 == 1:
            arguments = (account, token, 10**8, trader)
        elif index % 3 == 2:
            arguments = (account, market, WAD // 10, (1 << 256) - 1, at + 300, WAD // 10, False, NO_CLIENT)
        entry = (deposit, withdraw, place)[index % 3]
        made.append((Call(trader, entry.address, entry(*arguments), at), words(world, account)))
    return made


def words(world: World, account: bytes) -> Read:
    """15 words: of the account, the pool, the market, and of positions to make up the number."""
    places = [
        ("accounts_", account),
        ("pools_", 1),
        ("markets_", world.market("ETH")),
        ("held_", 1, world.token("USDC")),
    ]
    others = [("positions_", account, index) for index in range(WORDS)]
    found = world.read(*places, *others, whole=True)
    return Read(found.address, found.slots[:WORDS])


def rates(world: World, rounds: int, count: int) -> dict[str, float]:
    """Calls a second by route."""
    driver = world.driver

    def steps(reading: bool) -> list[Outcome]:
        found = []
        with driver.isolated():
            for call, read in script(world, BATCH):
                found.append(driver.step(call))
                if reading:
                    found[-1].words = driver.words(read.address, read.slots)
        return found

    def queue(reading: bool) -> list[Outcome]:
        for call, read in script(world, BATCH):
            driver.queue(call, read) if reading else driver.queue(call)
        return driver.flush()

    def logged() -> list[Outcome]:
        found = queue(True)
        assert all(outcome.logs for outcome in found)
        return found

    routes: dict[str, Callable[[], list[Outcome]]] = {
        "step": lambda: steps(False),
        "step, 15 words after each": lambda: steps(True),
        "queue": lambda: queue(False),
        "queue, 15 words after each": lambda: queue(True),
        "queue, 15 words and raw logs": logged,
    }
    return {name: max(_rate(route, count // BATCH) for _ in range(rounds)) for name, route in routes.items()}


def _rate(route: Callable[[], list[Outcome]], examples: int) -> float:
    gc.collect()
    begun = time.perf_counter()
    outcomes = [outcome for _ in range(examples) for outcome in route()]
    taken = time.perf_counter() - begun
    failed = [outcome for outcome in outcomes if not outcome.success]
    assert not failed, failed[0]
    return len(outcomes) / taken


def start_seconds(backend: Backend) -> float:
    """From nothing to a world, in a process of its own, with the state on disk."""
    code = f"from plimsoll.fuzz.world import World; World.open(backend={backend!r}).close()"
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - begun


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=1_000)
    options = parser.parse_args(arguments)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    for backend in ("revm", "anvil"):
        name: Backend = "revm" if backend == "revm" else "anvil"
        with World.open(backend=name) as world:
            print(f"{name}: starts in {min(start_seconds(name) for _ in range(3)):.2f} s")
            for route, rate in rates(world, options.rounds, options.calls).items():
                print(f"  {route:<30}{rate:>8,.0f} calls/s")


if __name__ == "__main__":
    main()
