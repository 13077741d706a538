"""Thousands of accounts below the line after one price: how fast the keeper gets through, against what blocks can hold.

Usage: make keeper-flood, or python -m tests.bench.keeper_flood [--accounts N] [--gas-limit N]

A crowd is opened with real transactions, one price puts all of it below the line, and the chain mines a block after
each pass of the keeper. Printed are liquidations per block and per second, the order by shortfall, and the number of
blocks beside the least that the gas of all liquidations fills. Exit code 1 when more than two blocks more were needed,
when an account is left, or when an account with a larger shortfall waited for one with a smaller.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from plimsoll.chain.anvil import Anvil
from plimsoll.deploy.deploy import deploy
from plimsoll.deploy.parameters import Parameters
from plimsoll.keeper.book.exact import confirm
from plimsoll.keeper.operations.keystore import Identity
from plimsoll.keeper.operations.load import load_config
from plimsoll.keeper.service.stepped import SteppedKeeper
from plimsoll.units import WAD, div_up
from tests.support.crowd import gather
from tests.support.protocol import Protocol

__all__ = ["main"]

ROOT = Path(__file__).resolve().parents[2]
START = 1_750_000_000
FALLEN = "1_840"
SLACK = 2
"""Blocks that the keeper may need beyond what the gas of its liquidations fills."""


def main() -> int:
    """Runs the flood."""
    parser = argparse.ArgumentParser(description="A flood of liquidations")
    parser.add_argument("--accounts", type=int, default=20_000)
    parser.add_argument("--gas-limit", type=int, default=30_000_000)
    options = parser.parse_args()
    with Anvil(timestamp=START, block_interval=1, keep_states=64, extra=("--order", "fifo")) as anvil:
        protocol = Protocol(anvil, deploy(anvil.sender(0), Parameters.load(ROOT / "deployments" / "local.yaml")))
        protocol.publish()
        protocol.lp_deposit(protocol.lp, "20_000_000", "majors")
        begun = time.perf_counter()
        crowd = gather(protocol, options.accounts, leverage=(11.0, 15.0))
        print(f"{len(crowd.members):,} accounts opened in {time.perf_counter() - begun:.0f} s", flush=True)
        anvil.rpc.request("evm_setBlockGasLimit", [hex(options.gas_limit)])
        return flood(protocol, options.accounts, options.gas_limit)


def flood(protocol: Protocol, accounts: int, gas_limit: int) -> int:
    """From the price to the last liquidation."""
    anvil = protocol.anvil
    choices = {
        "node.providers": str(anvil.ipc_path),
        "objective": "solvency",
        "sending.solvency_budget": "100000",
        "sending.max_in_flight": "64",
        "audit.every": "0",
    }
    who = Identity(protocol.keeper, unlocked=True)
    with SteppedKeeper(load_config(None, overrides=choices), protocol.deployment, who) as keeper:
        begun = time.perf_counter()
        keeper.tick()
        print(f"caught up in {time.perf_counter() - begun:.1f} s", flush=True)
        anvil.set_automine(False)
        number = protocol.deployment.parameters.assets["ETH"].feed_decimals
        answer = int(FALLEN) * 10**number
        protocol.feeds["ETH"].submit("push", answer, protocol.now() + 1, sender=protocol.deployer, gas=200_000)
        anvil.mine()
        priced = anvil.block_number()
        begun = time.perf_counter()
        shortfalls: dict[bytes, int] = {}
        per_pass: list[float] = []
        while True:
            passed = time.perf_counter()
            ticked = keeper.tick()
            per_pass.append(time.perf_counter() - passed)
            if not shortfalls:
                passes = keeper.parts.passes
                assert passes.observations is not None
                rows = keeper.parts.search.candidates(passes.observations)
                found = confirm(passes.mirror, passes.mirror.ids(rows.tolist()), passes.observations)
                shortfalls = {one.account: one.shortfall for one in found if one.below}
                print(f"{len(shortfalls):,} accounts below the line", flush=True)
            if not ticked.hashes and not keeper.parts.passes.manager.in_flight():
                break
            anvil.mine()
        seconds = time.perf_counter() - begun
        anvil.mine()
        return judge(protocol, priced, shortfalls, gas_limit, seconds, per_pass)


def judge(
    protocol: Protocol,
    priced: int,
    shortfalls: dict[bytes, int],
    gas_limit: int,
    seconds: float,
    per_pass: list[float],
) -> int:
    """Reads what happened, prints it, and says whether it was good."""
    house, head = protocol.clearinghouse, protocol.anvil.block_number()
    wanted = {"address": house.address, "fromBlock": hex(priced + 1), "toBlock": hex(head)}
    events = house.events.decode_all(protocol.rpc.request("eth_getLogs", [wanted]))
    done = [(event.block_number, event["account"]) for event in events if event.name == "Liquidated"]
    blocks: dict[int, int] = {}
    for block, _ in done:
        blocks[block] = blocks.get(block, 0) + 1
    gas = 0
    for number in blocks:
        for receipt in protocol.rpc.request("eth_getBlockReceipts", [hex(number)]):
            gas += int(receipt["gasUsed"], 16)
    least = div_up(gas, gas_limit)
    late = disorder(done, shortfalls)
    left = len(shortfalls) - len({account for _, account in done})
    needed = max(blocks, default=priced) - priced
    print(f"{len(done):,} liquidations in {needed} blocks of {gas_limit / 1e6:.0f}M gas, {seconds:.1f} s in all")
    print(f"least number of blocks for their {gas / 1e6:,.0f}M gas: {least}")
    print(f"per block: {max(blocks.values(), default=0)} at most, {len(done) / max(needed, 1):.0f} on average")
    print(f"per second: {len(done) / seconds:.0f}; gas per liquidation: {gas // max(len(done), 1):,}")
    print(f"pass: median {sorted(per_pass)[len(per_pass) // 2]:.2f} s, longest {max(per_pass):.2f} s")
    print(f"largest shortfall ${max(shortfalls.values(), default=0) / WAD:.2f}; out of order by blocks: {late}")
    good = needed <= least + SLACK and left == 0 and late == 0
    print("as it should be" if good else f"NOT as it should be: {left} left, {needed} blocks for {least}, {late} late")
    return 0 if good else 1


def disorder(done: list[tuple[int, bytes]], shortfalls: dict[bytes, int]) -> int:
    """Accounts whose liquidation came in a later block than that of one with a smaller shortfall, a block's size
    aside."""
    order = sorted(shortfalls, key=lambda account: (-shortfalls[account], account))
    place = {account: at for at, account in enumerate(order)}
    first: dict[bytes, int] = {}
    for block, account in done:
        first.setdefault(account, block)
    size = max((list(first.values()).count(block) for block in set(first.values())), default=0)
    late = 0
    latest_place = -1
    for block in sorted(set(first.values())):
        places = [place[account] for account, at in first.items() if at == block and account in place]
        late += sum(one + size < latest_place for one in places)
        latest_place = max([latest_place, *places])
    return late


if __name__ == "__main__":
    sys.exit(main())
