"""Keepers side by side on the same crash: time from price to last liquidation, bad debt, requests, gas.

Usage: make keeper-side-by-side, or python -m tests.bench.keeper_side_by_side [--accounts N] [--delay MS]
[--only NAME …] [--seconds N] [--out FOLDER]

Each keeper gets a node of its own with the same saved chain, through a proxy that counts its requests and delays each
answer by --delay milliseconds, as a node in another house does. Blocks come every second and hold 30M gas. The price of
ETH falls in steps; the same accounts fall below the line at each. A table goes to standard output, the table and a
picture to the folder.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from plimsoll.chain.contract import batch_call
from plimsoll.keeper.report import LIQUIDATION_RESULTS
from plimsoll.units import WAD
from tests.bench.contest.contestants import KINDS, Contestant, keeper_key
from tests.bench.contest.stage import Scene, Setting, build_scene
from tests.support.faults.proxy import FaultProxy
from tests.support.protocol import Protocol

__all__ = ["main"]

FOLDER = Path("build", "side-by-side")
COLOURS = {"plain": "#b2182b", "multicall": "#ef8a62", "plimsoll": "#2166ac"}


@dataclass(slots=True)
class Result:
    """What one keeper did. Seconds are of blocks, from the block with the first fallen price.

    :param last: seconds from the last fall of the price to the last liquidation.
    :param times: seconds from the first fall after which each liquidation landed, in order.
    :param delays: seconds from the latest fall before it to each liquidation, in order of size.
    :param falls: seconds from the first fall to each.
    :param left: accounts still below the line at the end.
    :param bad_debt: booked, and negative equity that is left, $.
    """

    name: str
    text: str
    liquidations: int = 0
    last: float | None = None
    times: list[int] = field(default_factory=list)
    delays: list[int] = field(default_factory=list)
    falls: list[int] = field(default_factory=list)
    results: Counter[str] = field(default_factory=Counter)
    left: int = 0
    bad_debt: float = 0.0
    requests: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    transactions: int = 0
    gas: int = 0
    seconds: float = 0.0


def main() -> int:
    """Runs the contest."""
    parser = argparse.ArgumentParser(description="Keepers side by side")
    parser.add_argument("--accounts", type=int, default=Setting().accounts)
    parser.add_argument("--delay", type=float, default=20.0, help="milliseconds added to every answer of the node")
    parser.add_argument("--seconds", type=int, default=240, help="longest time for each keeper, blocks of a second")
    parser.add_argument("--only", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--out", type=Path, default=FOLDER)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    setting = Setting(accounts=options.accounts)
    print(f"building a chain with {setting.accounts} leveraged accounts …", flush=True)
    found = []
    with build_scene(setting) as scene:
        for name in options.only:
            print(f"{name}: {KINDS[name].text} …", flush=True)
            found.append(run(scene, KINDS[name](), options.delay / 1000, options.seconds))
            print(row(found[-1]), flush=True)
    print("\n" + table(found, setting, options.delay))
    known = {"setting": asdict(setting), "delay_ms": options.delay, "results": [document(one) for one in found]}
    (options.out / "results.json").write_text(json.dumps(known), encoding="utf-8")
    draw(found, setting, options.delay, options.out / "side-by-side.png")
    print(f"picture: {options.out / 'side-by-side.png'}")
    return 0


def run(scene: Scene, contestant: Contestant, delay: float, longest: int) -> Result:
    """One keeper, from the first price to the last liquidation."""
    result = Result(contestant.name, contestant.text)
    with scene.node() as protocol, FaultProxy(protocol.anvil.url) as proxy:
        proxy.delay = delay
        contestant.start(proxy.url, protocol.deployment, scene.accounts)
        proxy.counts.clear()
        begun = time.monotonic()
        falls = crash(scene, protocol, longest)
        result.seconds = time.monotonic() - begun
        result.requests, result.calls = sum(proxy.counts.values()), Counter(proxy.counts)
        contestant.stop()
        protocol.rpc.request("evm_setIntervalMining", [0])
        count(result, protocol, falls, scene)
    return result


def crash(scene: Scene, protocol: Protocol, longest: int) -> list[int]:
    """Lets prices fall, and waits until nobody is below the line or time is up; the block of each price."""
    falls = []
    for step, price in enumerate(scene.setting.steps):
        number = push(protocol, price)
        falls.append(number)
        last = step == len(scene.setting.steps) - 1
        wait_until(protocol, number + (1 if last else scene.setting.pause))
    while below(protocol, scene) and protocol.anvil.block_number() < falls[0] + longest:
        time.sleep(0.5)
    return falls


def push(protocol: Protocol, price: int) -> int:
    """Publishes a price of ETH in the next block; that block's number."""
    feed, head = protocol.feeds["ETH"], protocol.anvil.block_number()
    decimals = protocol.deployment.parameters.assets["ETH"].feed_decimals
    sent = feed.submit("push", price * 10**decimals, protocol.now() + 1, sender=protocol.deployer, gas=200_000)
    while (receipt := feed.receipt_of(sent)) is None:
        time.sleep(0.02)
    assert receipt.block_number > head
    return receipt.block_number


def wait_until(protocol: Protocol, number: int) -> None:
    """Until the chain has that block."""
    while protocol.anvil.block_number() < number:
        time.sleep(0.05)


def below(protocol: Protocol, scene: Scene) -> list[tuple[int, int]]:
    """Equity and requirement of every account below the line."""
    pages = [list(scene.accounts[start : start + 100]) for start in range(0, len(scene.accounts), 100)]
    found = []
    for answer in batch_call([(protocol.lens, "healthBatch", [page]) for page in pages]):
        found += [(e, r) for e, r in zip(answer.equity, answer.required, strict=True) if e < r]
    return found


def count(result: Result, protocol: Protocol, falls: list[int], scene: Scene) -> None:
    """Reads from the chain what happened since the first price."""
    result.falls = [fall - falls[0] for fall in falls]
    first, house, head = falls[0], protocol.clearinghouse, protocol.anvil.block_number()
    wanted = {"address": house.address, "fromBlock": hex(first), "toBlock": "latest"}
    logs = protocol.rpc.request("eth_getLogs", [wanted])
    known = set(scene.accounts)
    for event in house.events.decode_all(logs):
        if event.name == "Liquidated" and event["account"] in known:
            result.times.append(event.block_number - first)
            result.delays.append(event.block_number - max(fall for fall in falls if fall <= event.block_number))
            result.results[LIQUIDATION_RESULTS[event["result"]]] += 1
        elif event.name == "BadDebt":
            result.bad_debt += event["amount"] / WAD
    result.times.sort()
    result.delays.sort()
    result.liquidations = len(result.times)
    result.last = float(first + result.times[-1] - falls[-1]) if result.times else None
    left = below(protocol, scene)
    result.left = len(left)
    result.bad_debt += sum(max(-equity, 0) for equity, _ in left) / WAD
    keeper = str(keeper_key().address).lower()
    numbers = range(first, head + 1)
    receipts: list[dict[str, Any]] = []
    for block in protocol.rpc.batch([("eth_getBlockReceipts", [hex(number)]) for number in numbers]):
        receipts += [receipt for receipt in block if receipt["from"].lower() == keeper]
    result.transactions = len(receipts)
    result.gas = sum(int(receipt["gasUsed"], 16) for receipt in receipts)


def document(one: Result) -> dict[str, Any]:
    """A result as JSON has it."""
    fields = {name: getattr(one, name) for name in one.__slots__}
    return fields | {"results": dict(one.results), "calls": dict(one.calls)}


HEAD = """\
| keeper | liquidations | last price → last liquidation, s | median after a fall, s | still below | bad debt, $ | \
requests | transactions | gas per liquidation |
|---|---|---|---|---|---|---|---|---|"""


def row(one: Result) -> str:
    """A line of the table."""
    median = one.delays[len(one.delays) // 2] if one.delays else 0
    last = f"{one.last:.0f}" if one.last is not None and not one.left else f"> {one.last or 0:.0f}"
    each = one.gas // max(one.liquidations, 1)
    return (
        f"| {one.name} | {one.liquidations} | {last} | {median} | {one.left} | {one.bad_debt:,.0f} | "
        f"{one.requests:,} | {one.transactions} | {each:,} |"
    )


def table(found: list[Result], setting: Setting, delay: float) -> str:
    """Everything, as Markdown."""
    steps = " → ".join(str(step) for step in setting.steps)
    lines = [
        f"{setting.accounts} accounts, ETH 2000 → {steps} $ with {setting.pause} blocks between, blocks of 1 s and "
        f"30M gas, {delay:g} ms added to every answer",
        "",
        HEAD,
        *map(row, found),
    ]
    return "\n".join(lines)


def draw(found: list[Result], setting: Setting, delay: float, path: Path) -> None:
    """Accounts dealt with over time, and bad debt."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), gridspec_kw={"width_ratios": [3, 1]})
    for at in found[-1].falls:
        left.axvline(at, color="#cccccc", linewidth=1, zorder=0)
    for one in found:
        steps = [0, *one.times, *([one.times[-1]] if one.times else [])]
        left.step(
            steps, [*range(len(one.times) + 1), len(one.times)], where="post", color=COLOURS[one.name], label=one.name
        )
        if one.left and one.times:
            left.plot(one.times[-1], len(one.times), "x", color=COLOURS[one.name])
    left.set_xlabel("seconds since the first fallen price (grey: further falls)")
    left.set_ylabel("liquidations")
    left.set_title(f"{setting.accounts} accounts, {delay:g} ms to the node, blocks of a second", fontsize=10)
    left.legend(frameon=False)
    names = [one.name for one in found]
    right.bar(names, [one.bad_debt for one in found], color=[COLOURS[name] for name in names])
    right.set_title("bad debt, $", fontsize=10)
    right.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    for axis in (left, right):
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    sys.exit(main())
