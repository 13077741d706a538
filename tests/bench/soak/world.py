"""The chain of a soak: a deployed system, a crowd that keeps coming, and prices that walk and jump.

Blocks are mined by command, one each second, so that nothing happens between a step and the next.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from plimsoll.chain.anvil import Anvil
from plimsoll.deploy.book import book_path
from plimsoll.deploy.deploy import deploy
from plimsoll.deploy.deployment import handles
from plimsoll.deploy.parameters import Parameters
from plimsoll.model.words import AccountId
from plimsoll.units import WAD
from tests.support.crowd import gather
from tests.support.faults.chain import RestartableNode
from tests.support.protocol import NO_LIMIT, Protocol

__all__ = ["START", "World", "build_world"]

ROOT = Path(__file__).resolve().parents[3]
START = 1_750_000_000
DAY = 86_400
FIRST = 200_000
"""ETH at the start, cents."""
WALK_PPM = 1_500
"""Widest usual step of a price, up or down."""
JUMP_PPM = 60_000
JUMP_EVERY = 25
"""Blocks between two jumps, on average."""
PULL = 150
"""One part in that many of the way back to the first price is taken in each block."""
OTHERS_EVERY = 300
NEWCOMERS = 40
"""Of a hundred blocks, how many bring a new account."""
SEND_GAS = 600_000
NO_CLIENT = bytes(32)


@dataclass
class World:
    """What happens when nothing fails.

    :param quiet: nobody publishes a price of ETH.
    :param most: accounts at which nobody comes any more.
    """

    node: RestartableNode
    protocol: Protocol
    network: Path
    rng: random.Random
    most: int
    accounts: list[bytes] = field(default_factory=list)
    cents: int = FIRST
    quiet: bool = False
    blocks: int = 0
    sub: int = 100_000

    @property
    def anvil(self) -> Anvil:
        """The node that runs now."""
        return self.protocol.anvil

    def block(self) -> None:
        """One block: perhaps a newcomer, a price, and whatever waits in the pool."""
        self.blocks += 1
        if self.rng.randrange(100) < NEWCOMERS and len(self.accounts) < self.most:
            self.come()
        if not self.quiet:
            self.walk()
            self.push(self.cents)
        if self.blocks % OTHERS_EVERY == 1:
            for name in ("BTC", "SOL"):
                self.publish(name)
        self.anvil.mine()

    def walk(self) -> None:
        """The next price of ETH."""
        ppm = self.rng.randint(-WALK_PPM, WALK_PPM)
        if self.rng.randrange(JUMP_EVERY) == 0:
            ppm += self.rng.choice((-1, -1, 1)) * self.rng.randint(JUMP_PPM // 3, JUMP_PPM)
        self.cents += self.cents * ppm // 1_000_000 + (FIRST - self.cents) // PULL

    def push(self, cents: int, ahead: int = 0) -> None:
        """A round of ETH's feed, published in the next block."""
        feed, time = self.protocol.feeds["ETH"], self.protocol.now() + 1 + ahead
        feed.submit("push", cents * 10**6, time, sender=self.protocol.deployer, gas=SEND_GAS)

    def publish(self, name: str) -> None:
        """The first price of another asset again."""
        decimals = self.protocol.deployment.parameters.assets[name].feed_decimals
        answer = self.protocol.prices[name] // 10 ** (18 - decimals)
        time = self.protocol.now() + 1
        self.protocol.feeds[name].submit("push", answer, time, sender=self.protocol.deployer, gas=SEND_GAS)

    def come(self) -> None:
        """A new account deposits and places an order, which the keeper is to fill."""
        protocol, self.sub = self.protocol, self.sub + 1
        account = AccountId(protocol.trader, protocol.pools["majors"].id, self.sub).to_bytes()
        worth = self.rng.randint(500, 5_000)
        deposit = worth * 1_000 // self.rng.randint(4_000, 6_400) + 1
        size = worth * WAD // self.cents * 100 // 10**12 * 10**12 * self.rng.choice((1, 1, -1))
        coin, market = protocol.tokens["USDC"], protocol.market("ETH")
        bound = NO_LIMIT if size > 0 else 0
        fee = int(protocol.order_book.call("rulesOf", market).minKeeperFee)
        house, book = protocol.clearinghouse, protocol.order_book
        house.submit("deposit", account, coin.address, deposit * 10**6, sender=protocol.trader, gas=SEND_GAS)
        until = protocol.now() + 600
        values = (account, market, size, bound, until, fee, False, NO_CLIENT)
        book.submit("placeOrder", *values, sender=protocol.trader, gas=SEND_GAS)
        self.accounts.append(account)

    def burst(self, number: int) -> None:
        """Many newcomers at once, and a fall of the price soon after."""
        for _ in range(number):
            self.come()
        self.cents -= self.cents * JUMP_PPM // 1_000_000

    def restarted(self, anvil: Anvil) -> None:
        """The node is another process of the same chain."""
        known = self.protocol.deployment
        prices = self.protocol.prices
        self.protocol = Protocol(anvil, handles(anvil.rpc, known.parameters, known.book, known.artifacts))
        self.protocol.prices = prices
        anvil.set_automine(False)

    def below(self) -> list[bytes]:
        """Accounts below the line, by the chain's own view."""
        found: list[bytes] = []
        for start in range(0, len(self.accounts), 200):
            page = self.accounts[start : start + 200]
            equity, required, _ = self.protocol.lens.call("healthBatch", page)
            found += [account for account, e, r in zip(page, equity, required, strict=True) if e < r]
        return found

    def liquidatable(self, accounts: Sequence[bytes]) -> list[bytes]:
        """Those of them that a call would act upon now."""
        house, paid = self.protocol.clearinghouse, self.protocol.account(self.protocol.keeper)
        codes = house.call("liquidate", list(accounts), paid, sender=self.protocol.keeper)
        return [account for account, code in zip(accounts, codes, strict=True) if code in (1, 2, 3, 4)]


def build_world(node: RestartableNode, folder: Path, accounts: int, seed: int) -> World:
    """Deploys, fills the pools, and opens the first positions."""
    network = folder / "local.yaml"
    shutil.copy(ROOT / "deployments" / "local.yaml", network)
    anvil = node.anvil
    protocol = Protocol(anvil, deploy(anvil.sender(0), Parameters.load(network), book=book_path(network)))
    protocol.publish()
    protocol.lp_deposit(protocol.lp, "20_000_000", "majors")
    protocol.lp_deposit(protocol.lp, "5_000_000", "longtail")
    crowd = gather(protocol, accounts, leverage=(7.0, 14.0), notional=(500, 5_000), short=0.2, seed=seed)
    protocol.mint("USDC", protocol.trader, 100_000_000)
    protocol.approve("USDC", protocol.trader)
    anvil.set_automine(False)
    return World(node, protocol, network, random.Random(seed), 3 * accounts + 50, crowd.accounts)
