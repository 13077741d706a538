"""How long a block of many logs takes the keeper: `python -m tests.bench.keeper_ingestion --logs 5000`.

A fill of a real chain is told again for as many accounts as there are logs, by the raw JSON of a node: from that to
rows, to the mirror, and to the candidates. In one thread; by the clock, and by the processor.
"""

from __future__ import annotations

import argparse
import gc
import json
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise

from plimsoll.fuzz.driver import Log
from plimsoll.fuzz.prepare import Setting
from plimsoll.fuzz.session import Session, Step
from plimsoll.fuzz.world import World
from plimsoll.keeper.book import Search
from plimsoll.keeper.node.layout import layouts
from plimsoll.model.engine.actions import Result
from tests.support.verdicts import Feeder, drive, observe_all

__all__ = ["main"]


class _Found(Exception):
    """A fill happened."""


def main() -> None:
    """Prints times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--logs", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with World.open(Setting(), "revm") as world:
        session = Session(world)
        layout = layouts(world.deployment.clearinghouse.abi)["Filled"]
        fills: list[Log] = []

        class Watched(Feeder):
            """Stops at the first fill."""

            def take(self, step: Step) -> Result:
                """Looks at the logs of the step before it is taken."""
                with self.session.world.driver.isolated():
                    outcome = self.session.send(step)
                fills.extend(log for log in outcome.logs if "0x" + log.topics[0].hex() == layout.topic)
                if fills:
                    raise _Found
                return super().take(step)

        feeder = Watched(session, lambda _feeder, _step: None)
        with suppress(_Found):
            drive(feeder, 1, 0)
        account, keeper = layout.at("words.account"), layout.at("words.keeper")
        place = layout.indexed("account")
        best: dict[str, tuple[float, float]] = {}
        for _ in range(options.rounds):
            text = json.dumps({"result": list(_logs(fills[0], options.logs, place, account, keeper))})
            feeder.begin()
            search = Search(feeder.mirror)
            observations = observe_all(session.start, session.start.time + 60)
            search.candidates(observations)
            gc.collect()
            marks = [(time.perf_counter(), time.thread_time())]
            logs = json.loads(text)["result"]
            marks.append((time.perf_counter(), time.thread_time()))
            rows = feeder.decoder.rows(logs)
            marks.append((time.perf_counter(), time.thread_time()))
            feeder.mirror.apply(rows)
            marks.append((time.perf_counter(), time.thread_time()))
            search.candidates(observations)
            marks.append((time.perf_counter(), time.thread_time()))
            for name, (a, b) in zip(("JSON", "rows", "mirror", "candidates"), pairwise(marks), strict=True):
                spent = b[0] - a[0], b[1] - a[1]
                best[name] = min(best.get(name, spent), spent, key=lambda one: one[1])
    print(f"{options.logs:,} fills, {len(rows):,} rows; best of {options.rounds} rounds, milliseconds")
    for name, (clock, cpu) in best.items():
        print(f"{name:12} {clock * 1e3:8.1f} by the clock {cpu * 1e3:8.1f} by the processor")
    print(f"{'together':12} {'':21} {sum(cpu for _, cpu in best.values()) * 1e3:8.1f}")


def _logs(fill: Log, count: int, place: int, account: slice, keeper: slice) -> Iterator[dict[str, object]]:
    """The log of a fill, told of other accounts, each at its first version and paying no keeper."""
    word = bytearray(fill.data[account])
    word[5:9] = (1).to_bytes(4, "big")
    data = bytearray(fill.data)
    data[account], data[keeper] = word, bytes(32)
    pool = fill.topics[place][20:22]
    for number in range(count):
        topics = ["0x" + topic.hex() for topic in fill.topics]
        topics[place] = "0x" + ((0xF111 + number).to_bytes(20, "big") + pool + bytes(10)).hex()
        yield {
            "address": fill.address,
            "topics": topics,
            "data": "0x" + data.hex(),
            "blockNumber": "0x10",
            "blockHash": f"0x{number:064x}",
            "transactionHash": f"0x{number:064x}",
            "transactionIndex": hex(number),
            "logIndex": hex(number),
            "removed": False,
        }


if __name__ == "__main__":
    main()
