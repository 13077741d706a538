"""A deployed system on a chain of its own, with everybody in it, watched block by block."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from plimsoll.chain.contract import batch_call
from plimsoll.chain.errors import PlimsollError
from plimsoll.deploy.deployment import Deployment
from plimsoll.model.words import AccountId
from plimsoll.risk.agents import Provider, Trader
from plimsoll.risk.books import Books
from plimsoll.risk.checks import Checks, below_line
from plimsoll.risk.invariants import Invariants
from plimsoll.risk.probe import Health, PoolReading, Probe
from plimsoll.risk.report import MAX_BLOCKS_UNHEALTHY
from plimsoll.risk.stage import Block, Stage
from plimsoll.risk.watch import Watcher
from plimsoll.units import PPM, div_up

__all__ = ["NO_LIMIT", "Crew", "Scene", "Worked"]

NO_LIMIT = 2**256 - 1
NO_HEALTH = Health(0, 0, 0)
PASSES = 3
"""Blocks in a row that the keeper may fill before prices move again."""
IDENTITIES = (
    ("INV-01", "settlement ledger"),
    ("INV-01", "collateral ledgers"),
    ("INV-01", "token balances"),
    ("INV-03", "shares"),
    ("INV-04", "entry sums"),
    ("INV-04", "open entry sums"),
    ("INV-02", "scaled debt"),
    ("INV-02", "sum of losses"),
    ("INV-02", "pending sales"),
)
"""What the bits of `Lens.solvency` say, in order."""


class Worked(Protocol):
    """What a keeper's pass tells of itself."""

    @property
    def hashes(self) -> Sequence[str]:
        """Transactions that it sent."""


class Crew(Protocol):
    """A keeper: one pass reads the chain and sends what is to be done."""

    def tick(self) -> Worked:
        """One pass at the present head."""


@dataclass(slots=True)
class Longest:
    """The longest that an account was liquidatable, in blocks."""

    blocks: int = 0
    account: bytes = b""


class Scene:
    """Mines blocks, lets the keeper work, and checks after each block.

    :param keeper: who works between the blocks; its address is `keeper_address`.
    """

    def __init__(
        self,
        stage: Stage,
        deployment: Deployment,
        keeper: Crew,
        keeper_address: str,
        traders: Sequence[Trader],
        providers: Sequence[Provider],
    ) -> None:
        self.stage = stage
        self.deployment = deployment
        self.keeper = keeper
        self.keeper_address = keeper_address
        self.traders = traders
        self.providers = providers
        self.invariants = Invariants()
        self.checks = Checks(deployment, self.invariants)
        self.watcher = Watcher(deployment, keeper_address, self.checks)
        self.books = Books(deployment)
        self.keeper_accounts = [AccountId(keeper_address, pool.id, 0).to_bytes() for pool in deployment.pools.values()]
        accounts = [trader.account for trader in traders] + self.keeper_accounts
        self.probe = Probe(deployment, accounts)
        self.health: dict[bytes, Health] = {}
        """Of every account with a position or debt, at the latest block."""
        self.pools: dict[str, PoolReading] = self.probe.pools()
        """As it was when `settle` was last called."""
        self.prices: dict[str, int] = {}
        self.pushed: dict[str, int] = {}
        """Price of each symbol as the protocol reads it, and when it was last pushed."""
        self.longest = Longest()
        self.struck: set[str] = set()
        """Pools struck since their liquidity providers last looked."""
        self.brought: dict[str, int] = {}
        """Native units of settlement asset that owners of a pool's accounts were given beside what they began with."""
        self.last_share_price: dict[str, tuple[int, int]] = {}
        """NAV and supply of each pool before its last strike."""
        self._catch_up()

    # ── blocks ─────────────────────────────────────────────────────────────

    def block(self, time: int, prices: Mapping[str, int] | None = None) -> Block:
        """Mines what is queued, after `prices` were published, and checks everything that can be checked cheaply."""
        block = self.stage.mine(time, prices)
        for symbol, price in (prices or {}).items():
            self.prices[symbol] = self.stage.price_of(symbol, self.stage.answer_of(symbol, price))
            self.pushed[symbol] = block.time
            self.checks.published(symbol, block.time, self.prices[symbol])
        before = self.health
        known = len(self.watcher.liquidations)
        self.watcher.take(block, self.stage.labels)
        self.health = self.probe.health(self.watcher.exposed())
        for record in self.watcher.liquidations[known:]:
            account = bytes.fromhex(record.account[2:])
            parent, now = before.get(account, NO_HEALTH), self.health.get(account)
            self.checks.liquidated_below(account, parent.equity, parent.required)
            # Without one it closed the rest by an order in the same block.
            if not record.full and now is not None:
                self.checks.helped((parent.equity, parent.required), (now.equity, now.required), account)
        self._liveness()
        for strike in self.watcher.take_strikes():
            self.struck.add(strike.pool)
            supply = self.deployment.pools[strike.pool].lp.call("totalSupply")
            self.checks.share_price(strike, supply)
            self.last_share_price[strike.pool] = (strike.nav, supply - strike.minted + strike.burnt)
        return block

    def work(self) -> None:
        """Lets the keeper look at the last block; what it sends is mined a second later, and it looks at that too."""
        for _ in range(PASSES):
            if not self.keeper.tick().hashes:
                return
            self.block(self.stage.time + 1)

    def settle(self) -> None:
        """Asks the chain whether every identity holds, when nothing more happens before prices move."""
        self.pools = self.probe.pools()
        for name, reading in self.pools.items():
            for bit, (invariant, what) in enumerate(IDENTITIES):
                self.invariants.holds(invariant, bool(reading.solvency >> bit & 1), f"pool {name}: {what}")

    def rest(self, until: int) -> None:
        """Lets time pass at unchanged prices: every feed publishes before it is too old, and the keeper works."""
        while self.stage.time < until:
            oldest = {s: self.pushed[s] + self._max_age(s) // 2 for s in self.prices}
            time = max(min(until, *oldest.values()), self.stage.time + 1)
            due = {s: self.prices[s] for s in self.prices if time >= oldest[s] or time == until}
            self.block(time, due)
            self.work()
            self.settle()

    def claim_liquidity(self, pools: Iterable[str]) -> None:
        """Liquidity providers of these pools take shares, money and refunds that wait for them."""
        people = [one for one in self.providers if one.pool in set(pools)]
        handles = self.deployment.pools
        shares = self.ask([(handles[one.pool].lp, "maxDeposit", [one.owner]) for one in people])
        money = self.ask([(handles[one.pool].lp, "maxRedeem", [one.owner]) for one in people])
        for one, brought, paid in zip(people, shares, money, strict=True):
            lp = handles[one.pool].lp
            if brought:
                terms = (brought, one.owner, one.owner)
                self.stage.queue("take shares", one.owner, lp, "deposit(uint256,address,address)", *terms)
            if paid:
                self.stage.queue("redeem", one.owner, lp, "redeem", paid, one.owner, one.owner)
        self.struck -= set(pools)

    def check_books(self) -> None:
        """Reads the whole ledger."""
        self.books.check(self.watcher, self.invariants)

    # ── what is there ──────────────────────────────────────────────────────

    def native(self, token: str, amount: int) -> int:
        """Native units of a WAD amount, rounded up."""
        return div_up(amount, 10 ** (18 - self.deployment.parameters.tokens[token].decimals))

    def settlement(self, pool: str) -> str:
        """Name of a pool's settlement token."""
        return self.deployment.parameters.pools[pool].settlement

    def equity(self, trader: Trader) -> int:
        """equity^M of a trader; without position and debt it is cash, and collateral at its initial weight."""
        known = self.health.get(trader.account)
        if known is not None:
            return known.equity
        word = self.watcher.accounts.get(trader.account)
        total = word.raw_cash if word is not None else 0
        parameters = self.deployment.parameters
        for token, index in self.deployment.pools[trader.pool].collateral.items():
            balance = self.watcher.collateral.get((trader.account, index), 0)
            if balance:
                item = parameters.pools[trader.pool].collateral[token]
                value = balance * self.prices[item.asset] // 10 ** parameters.tokens[token].decimals
                total += value * item.weight_initial.value // PPM
        return total

    def sizes(self, trader: Trader) -> dict[int, int]:
        """Signed size of each position of a trader."""
        return {market: self.watcher.size(trader.account, market) for market, _ in trader.markets}

    def ask(self, calls: Iterable[tuple[object, str, Sequence[object]]]) -> list[int]:
        """Results of many calls, in one round trip.

        :raises PlimsollError: one of them failed.
        """
        answers = batch_call(calls)  # type: ignore[arg-type]
        for answer in answers:
            if isinstance(answer, PlimsollError):
                raise answer
        return answers

    # ── checks ─────────────────────────────────────────────────────────────

    def _liveness(self) -> None:
        below = set()
        for account, health in self.health.items():
            if health.equity >= health.required:
                continue
            word = self.watcher.accounts.get(account)
            if word is None or (account in self.watcher.sales and not word.markets):
                continue
            if below_line(health.equity, health.required, health.newest, word.last_check):
                below.add(account)
        streak, account = self.watcher.track(below)
        if streak > self.longest.blocks:
            self.longest = Longest(streak, account)
        self.invariants.note("INV-13", MAX_BLOCKS_UNHEALTHY - streak, f"0x{account.hex()}")

    def _catch_up(self) -> None:
        """Takes the words that the deployment wrote before anybody watched."""
        first = self.deployment.book.first_block
        query = {"fromBlock": hex(first), "toBlock": "latest", "address": self.deployment.clearinghouse.address}
        logs = self.deployment.rpc.request("eth_getLogs", [query])
        self.watcher.learn(self.deployment.events.decode_all(logs))

    def _max_age(self, symbol: str) -> int:
        return self.deployment.parameters.assets[symbol].max_age.value
