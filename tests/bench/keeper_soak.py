"""The keeper for an hour under all faults at random: real processes, one-second blocks, a crowd, prices that jump.

Usage: make keeper-soak, or python -m tests.bench.keeper_soak [--minutes M] [--seed S] [--accounts N] [--kills K]
[--out FOLDER]

A leader and a standby (`plimsoll keeper run --config …`) share a database and two nodes behind proxies. One fault
after the other begins at random, sometimes two at once. A block is healthy when no harmful fault is active and the last
one is `GRACE` blocks ago. Exit code 1 if an account stayed liquidatable for more than `LIMIT` healthy blocks, a nonce
gap or an open transaction remains, the database differs from the chain in a word, an audit found a difference, a
process ended with an unexpected code, or memory grew. With --kills, a service is killed at so many random points
instead, and its state is compared with that of one left alone. Faults that cannot be brought about from outside while
processes run (F9, a full or damaged disk, F14) are left to the tests that docs/keeper-faults.md names; the clock of the
chain is far from that of the machine all the time.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from tests.bench.soak.faults import FAULTS, Fault, Scene
from tests.bench.soak.fleet import EXPECTED, Fleet
from tests.bench.soak.kills import killed_often
from tests.bench.soak.watch import LIMIT, Watch, mismatches, nonce_problems, open_entries
from tests.bench.soak.world import START, build_world
from tests.support.faults.chain import RestartableNode
from tests.support.faults.proxy import FaultProxy

__all__ = ["main"]

GRACE = 6
"""Blocks after a fault in which a keeper may still recover: a lease, and the longest pause between two tries."""
QUIET = (3, 25)
"""Blocks between the beginnings of two faults."""
DRAIN = 90
"""Blocks without faults at the end, at most."""
GROWTH_PPM = 1_350_000
SPARE = 24 << 20
"""Bytes that a process may grow beyond that, allocators being what they are."""
MIB = 1 << 20


@dataclass
class Soak:
    """One run."""

    scene: Scene
    watch: Watch
    minutes: float
    rng: random.Random
    active: dict[Fault, int] = field(default_factory=dict)
    """Faults and the block in which each ends."""
    fading: list[Fault] = field(default_factory=list)
    hurt_at: int = 0
    done: Counter[str] = field(default_factory=Counter)

    def run(self) -> None:
        """From the first block to the last with faults."""
        begun, blocks = time.monotonic(), 0
        following = self.rng.randint(*QUIET)
        minute = 1
        with self._progress() as progress:
            task = progress.add_task("soak", total=self.minutes * 60)
            while time.monotonic() - begun < self.minutes * 60:
                started = time.monotonic()
                blocks += 1
                if blocks >= following:
                    self._begin(blocks)
                    following = blocks + self.rng.randint(*QUIET)
                self._end(blocks)
                self.step(blocks)
                progress.update(task, completed=time.monotonic() - begun)
                if time.monotonic() - begun >= 60 * minute:
                    self._tell(progress, minute)
                    minute += 1
                time.sleep(max(1.0 - (time.monotonic() - started), 0.0))
            self._tell(progress, minute)
        self._end(None)

    def step(self, block: int) -> None:
        """One block, unless no node runs, and a look at what it left."""
        scene = self.scene
        scene.fleet.tend()
        self.fading = [fault for fault in self.fading if scene.down or not fault.over(scene)]
        if any(not fault.harmless for fault in (*self.active, *self.fading)) or scene.fleet.leader is None:
            self.hurt_at = block
        if scene.down:
            return
        scene.world.block()
        scene.remember()
        self.watch.look(scene.world, healthy=block - self.hurt_at > GRACE)

    def drain(self) -> int:
        """Blocks without faults until nobody is below the line and nothing is under way; how many it took."""
        scene, quiet = self.scene, 0
        for block in range(1, DRAIN + 1):
            started = time.monotonic()
            scene.fleet.tend()
            # Prices stand still, so that what is below the line must come to an end.
            scene.world.push(scene.world.cents)
            scene.world.anvil.mine()
            below = scene.world.below()
            done = not (below and scene.world.liquidatable(below))
            keeper = scene.world.protocol.keeper
            quiet = quiet + 1 if done and not nonce_problems(scene.world.protocol, keeper) else 0
            if quiet > 5 and scene.fleet.leader is not None:
                return block
            time.sleep(max(1.0 - (time.monotonic() - started), 0.0))
        return DRAIN

    def _begin(self, block: int) -> None:
        if len(self.active) > 1 or self.scene.down:
            return
        taken = {fault.name[:3] for fault in self.active}
        fault = self.rng.choice([fault for fault in FAULTS if fault.name[:3] not in taken])
        fault.begin(self.scene)
        self.active[fault] = block + self.rng.randint(*fault.blocks)
        self.done[fault.name] += 1

    def _end(self, block: int | None) -> None:
        """Ends what has lasted long enough; None: everything."""
        if self.scene.down:
            # Nothing else can end before a node runs again.
            ends = sorted(self.active, key=lambda fault: not fault.name.startswith("F3"))
        else:
            ends = list(self.active)
        for fault in ends:
            if block is None or block >= self.active[fault]:
                if self.scene.down and not fault.name.startswith("F3"):
                    continue
                fault.end(self.scene)
                del self.active[fault]
                self.fading.append(fault)

    def _tell(self, progress: Progress, minute: int) -> None:
        progress.console.print(self._line(minute), highlight=False, soft_wrap=True)
        progress.console.file.flush()

    def _line(self, minute: int) -> str:
        fleet, world = self.scene.fleet, self.scene.world
        events: Counter[str] = sum((one.counts for one in fleet.processes.values()), Counter(fleet.events))
        leader = fleet.leader
        rss = fleet.processes[leader].rss // MIB if leader is not None else 0
        sent = sum(len({one.hash for one in proxy.sent}) for proxy in self.scene.proxies)
        return (
            f"minute {minute:3}: {world.blocks} blocks ({self.watch.healthy} healthy), {len(world.accounts)} accounts, "
            f"{sum(self.watch.waits.values())} fell and were dealt with, {self.watch.below} below, "
            f"{sum(self.done.values())} faults, {sent} transactions, "
            f"{events['landed']} landed, {events['reorg']} reorgs, leader {leader or '-'} {rss} MiB, "
            f"ended {sum(fleet.ends.values())}, missed {len(self.watch.missed)}"
        )

    def _progress(self) -> Progress:
        columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
        return Progress(*columns, disable=not sys.stdout.isatty())


def main(arguments: list[str] | None = None) -> int:
    """Runs the soak; the exit code."""
    parser = argparse.ArgumentParser(description="The keeper under all faults at random")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--accounts", type=int, default=100)
    parser.add_argument("--kills", type=int, default=0, help="kill a service so often instead")
    parser.add_argument("--out", type=Path, help="folder for logs and databases; else they are thrown away")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="plimsoll-soak-") as temporary:
        folder = options.out if options.out is not None else Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        if options.kills:
            return killed_often(folder, options.kills, options.seed)
        return soaked(folder, options.minutes, options.accounts, options.seed)


def soaked(folder: Path, minutes: float, accounts: int, seed: int) -> int:
    """One soak in a folder."""
    node = RestartableNode(timestamp=START, block_interval=1, keep_states=128, extra=("--order", "fifo"))
    with node, FaultProxy(node.url, seed=seed) as first, FaultProxy(node.url, seed=seed + 1) as second:
        world = build_world(node, folder, accounts, seed)
        print(f"{len(world.accounts)} accounts, seed {seed}, {minutes:g} minutes", flush=True)
        proxies = (first, second)
        fleet = Fleet(folder, world.network, proxies)
        rng = random.Random(seed)
        soak = Soak(Scene(world, proxies, fleet, rng), Watch(), minutes, rng)
        try:
            fleet.start("one")
            fleet.processes["one"].wait_to_lead(120)
            fleet.start("two")
            fleet.processes["two"].wait_to_stand_by()
            soak.run()
            return judge(soak)
        finally:
            fleet.destroy()


def judge(soak: Soak) -> int:
    """Lets everything come to rest, compares, prints, and says whether it was good."""
    scene, watch = soak.scene, soak.watch
    fleet, protocol = scene.fleet, scene.world.protocol
    for proxy in scene.proxies:
        proxy.heal()
    fleet.resume()
    rest = soak.drain()
    left = scene.world.liquidatable(below) if (below := scene.world.below()) else []
    gaps = nonce_problems(protocol, protocol.keeper)
    ends = fleet.end()
    differing = mismatches(protocol, fleet.database)
    unfinished = open_entries(protocol, fleet.database, protocol.keeper)
    slow = [one for one in ends if one[1] != 0 or one[2] > 10]
    grown = [(a, b) for a, b in fleet.growth() if b > a * GROWTH_PPM // 1_000_000 + SPARE]
    kinds: Counter[str] = Counter()
    for name, number in sorted(soak.done.items()):
        kinds[name[:3].strip()] += number
        print(f"  {number:4} × {name}")
    print(f"faults by kind: {', '.join(f'{kind} {number}' for kind, number in sorted(kinds.items(), key=_number))}")
    codes = ", ".join(f"{EXPECTED.get(code, code)}: {number}" for code, number in sorted(fleet.ends.items()))
    print(f"processes that ended: {codes}; unexpected: {fleet.unexpected or 0}")
    waits = ", ".join(f"{blocks}: {number}" for blocks, number in sorted(watch.waits.items()))
    print(f"accounts by healthy blocks that they waited: {waits or 'none fell'}")
    print(f"at rest after {rest} blocks without faults; still liquidatable: {len(left)}")
    print(f"missed liquidations (more than {LIMIT} of {watch.healthy} healthy blocks): {len(watch.missed)}")
    print(f"nonce gaps: {len(gaps)}; transactions without an end in the journal: {unfinished}")
    print(f"mismatches of database and chain: {len(differing)}; of audits while running: {len(fleet.audits)}")
    sizes = fleet.growth()
    widest = max(((b - a) // MIB for a, b in sizes), default=0)
    shown = f"{sizes[0][0] // MIB} MiB in the first, {sizes[-1][1] // MIB} MiB at the end" if sizes else "not measured"
    print(f"memory of processes: {shown}, growth of one at most {widest} MiB; too large: {len(grown)}")
    print(f"ends after SIGTERM: {', '.join(f'{name} {code} in {took:.1f} s' for name, code, took in ends)}")
    for text in (*gaps, *differing[:5], *fleet.audits[:3], *(account.hex() for account in list(watch.missed)[:5])):
        print(f"  ! {text}")
    good = not any((watch.missed, left, gaps, unfinished, differing, fleet.audits, fleet.unexpected, slow, grown))
    print("as it should be" if good else "NOT as it should be")
    return 0 if good else 1


def _number(item: tuple[str, int]) -> int:
    return int(item[0][1:])


if __name__ == "__main__":
    sys.exit(main())
