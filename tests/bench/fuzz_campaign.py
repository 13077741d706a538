"""Checked actions a second of the differential fuzzer, model and comparison included, on one core: `make bench-fuzz`.

Whole examples are measured, from bytes to the last comparison. The best of several rounds counts, because the machine
may do other things meanwhile; processor time is shown beside it, which other programs do not lengthen.
"""

from __future__ import annotations

import argparse
import time

from plimsoll.fuzz.campaign import Campaign, Check
from plimsoll.fuzz.generator import BULK, FULL, Mix

__all__ = ["main"]

CHECKS: tuple[tuple[Check, str, Mix, str], ...] = (
    ("action", "full", FULL, "all that changed compared, every invariant checked, after each action"),
    ("example", "full", FULL, "outcome of each action; storage and identities once per example"),
    ("example", "bulk", BULK, "the same, with fewer of the steps that take many tries in the model"),
)


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--actions", type=int, default=20_000, help="in each round")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(f"{'check':8} {'mix':5} {'a second':>9} {'by processor time':>18}  what")
    for check, name, mix, text in CHECKS:
        campaign = Campaign(check=check, mix=mix)
        campaign.run(0, actions=1_000)
        best = best_cpu = 0.0
        for number in range(options.rounds):
            start, cpu = time.perf_counter(), time.process_time()
            report = campaign.run(number, actions=options.actions)
            best = max(best, report.actions / (time.perf_counter() - start))
            best_cpu = max(best_cpu, report.actions / (time.process_time() - cpu))
            if report.failures:
                raise SystemExit(report.failures[0].message)
        print(f"{check:8} {name:5} {best:9,.0f} {best_cpu:18,.0f}  {text}")


if __name__ == "__main__":
    main()
