"""A service killed at random points while the chain goes on: its state must be that of one that was left alone."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.bench.soak.watch import mismatches, nonce_problems, open_entries
from tests.bench.soak.worker import options
from tests.bench.soak.world import START, World, build_world
from tests.support.faults.chain import RestartableNode, reorg
from tests.support.faults.proxy import FaultProxy
from tests.support.keepers import Employed, employed
from tests.support.running import Running, signer

__all__ = ["killed_often"]

ROOT = Path(__file__).resolve().parents[3]
LONGEST = 1.0
"""Seconds between two blocks of a run at most."""
REORG_EVERY = 12
LAST_BLOCKS = 60


class Worker:
    """The process that forks runs of the service."""

    def __init__(self, url: str, network: Path, database: Path, lines: Path) -> None:
        arguments = [sys.executable, "-m", "tests.bench.soak.worker", url, str(network), str(database), str(lines)]
        self._process = subprocess.Popen(
            arguments, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        self._run = 0

    def start(self) -> None:
        """A new run."""
        self._run = int(self._asked("go"))

    def kill(self) -> None:
        """SIGKILL to it."""
        os.kill(self._run, signal.SIGKILL)
        self._run = 0
        self._asked("reap")

    def close(self) -> None:
        """Ends everything."""
        if self._run:
            self.kill()
        self._process.kill()
        self._process.wait(30)

    def _asked(self, line: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the worker has ended"
        return answer.strip()


def killed_often(folder: Path, kills: int, seed: int, accounts: int = 40) -> int:
    """Kills so often, compares, prints, and gives the exit code."""
    rng, database, lines = random.Random(seed), folder / "killed.sqlite", folder / "killed.log"
    node = RestartableNode(timestamp=START, block_interval=1, keep_states=128, extra=("--order", "fifo"))
    with node, FaultProxy(node.url, seed=seed) as proxy:
        world = build_world(node, folder, accounts, seed)
        alone = employed(world.protocol, signer(), [], dry_run=True, **options(node.url))
        worker = Worker(proxy.url, world.network, database, lines)
        in_flight = reorgs = 0
        begun = time.perf_counter()
        try:
            for turn in range(1, kills + 1):
                sent = len(proxy.sent)
                worker.start()
                for _ in range(rng.randint(1, 3)):
                    world.block()
                    time.sleep(rng.random() * LONGEST)
                worker.kill()
                in_flight += len(proxy.sent) > sent
                if turn % REORG_EVERY == 0:
                    reorg(world.anvil, rng.randint(1, 6))
                    proxy.mempool.clear()
                    reorgs += 1
                alone.tick(collect=False)
        finally:
            worker.close()
        seconds = time.perf_counter() - begun
        print(f"{kills} kills in {seconds:.0f} s, {in_flight} of them after a send, {reorgs} reorganisations between")
        return compared(world, proxy, database, lines, alone)


def compared(world: World, proxy: FaultProxy, database: Path, lines: Path, alone: Employed) -> int:
    """Lets a last run finish, and compares what it leaves with the keeper that was left alone."""
    protocol = world.protocol
    choices = options(proxy.url)
    with Running(protocol.deployment, proxy.url, database=database, **choices) as last:
        last.wait_to_follow()
        for _ in range(LAST_BLOCKS):
            world.push(world.cents)
            world.anvil.mine()
            last.wait_for(lambda: last.followed == world.anvil.block_number())
            below = world.below()
            settled = not last.status.in_flight and not (below and world.liquidatable(below))
            if settled and not nonce_problems(protocol, protocol.keeper):
                break
        assert last.service.parts is not None
        killed_state = last.service.parts.repository.state_hash()
    alone.tick(collect=False)
    same = killed_state == alone.keeper.parts.repository.state_hash()
    alone.close()
    gaps = nonce_problems(protocol, protocol.keeper)
    unfinished = open_entries(protocol, database, protocol.keeper)
    differing = mismatches(protocol, database)
    nonces = {one.nonce for one in proxy.sent}
    text = lines.read_text(encoding="utf-8")
    ended = [line for line in text.splitlines() if "ended by itself" in line]
    count = text.count(" landed: ") + sum(" landed: " in f" {line}" for line in last.lines)
    print(f"state after all kills equals that of a keeper left alone: {'yes' if same else 'NO'}")
    print(f"transactions: {len(nonces)} nonces, {len(proxy.sent)} hand-overs, {count} landings told")
    print(f"nonce gaps: {len(gaps)}; without an end in the journal: {unfinished}; words that differ: {len(differing)}")
    print(f"runs that ended by themselves: {len(ended)}")
    for line in (*gaps, *differing[:5], *ended[:5]):
        print(f"  ! {line}")
    good = same and not (gaps or unfinished or differing or ended) and last.error is None
    print("as it should be" if good else "NOT as it should be")
    return 0 if good else 1
