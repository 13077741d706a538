"""A LiquidityPool on a mock ledger, on a chain of its own whose time the tests set, with its mirror beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from plimsoll.chain.anvil import Anvil
from plimsoll.chain.artifacts import Artifacts, compile_contracts
from plimsoll.chain.contract import Contract, deploy
from plimsoll.chain.receipt import ErrorRegistry, Receipt
from plimsoll.chain.signer import UnlockedSender
from plimsoll.units import WAD

__all__ = ["DAY", "DEAD", "DELAY", "POOL_ID", "REWARD", "LiquidityWorld", "account_id", "liquidity_world"]

START = 1_700_000_000
DAY = 86_400
DELAY = 2 * 3600
POOL_ID = 3
DEAD = "0x000000000000000000000000000000000000dEaD"
REWARD = 2 * WAD
FLOOR = WAD // 100

CONTRACTS = ("contracts/LiquidityPool.sol", "contracts/mocks/MockLedger.sol", "contracts/mocks/HookToken.sol")


def account_id(owner: str, pool: int = POOL_ID, sub: int = 0) -> bytes:
    """The id of an account."""
    return bytes.fromhex(owner[2:]) + pool.to_bytes(2, "big") + sub.to_bytes(10, "big")


class LiquidityWorld:
    """Token, ledger and pool. Amounts of money are native units unless a name says WAD; `whole` is one settlement unit.

    `lps` are funded and have approved the ledger. `market` makes the pool gain and lose.
    """

    def __init__(self, anvil: Anvil, artifacts: Artifacts, decimals: int) -> None:
        self.anvil = anvil
        self.artifacts = artifacts
        self.whole = 10**decimals
        self.unit = 10 ** (18 - decimals)
        self.owner, self.market, self.keeper = (anvil.sender(i) for i in range(3))
        self.lps = [anvil.sender(i) for i in range(3, 8)]
        self.errors = ErrorRegistry()
        self.token = self._deploy("HookToken", "Dollar", "USD", decimals)
        self.ledger = self._deploy("MockLedger", self.token.address, self.unit)
        self.pool = self.deploy_pool()
        self.ledger.transact("setShareToken", self.pool.address)
        for person in (self.owner, self.market, *self.lps):
            self.token.transact("mint", person.address, 10**12 * self.whole)
            self.token.transact("approve", self.ledger.address, 2**256 - 1, sender=person)

    def _deploy(self, name: str, *args: Any) -> Contract:
        return deploy(self.artifacts.artifact(name), *args, sender=self.owner, errors=self.errors)

    def deploy_pool(self, **changes: int) -> Contract:
        """Another pool on the same ledger, with changes to its terms."""
        terms = {
            "epochLength": DAY,
            "lpDelay": DELAY,
            "minDeposit": self.whole,
            "minSharePrice": FLOOR,
            "strikeReward": REWARD,
        } | changes
        names = ("Plimsoll Majors LP", "pLP")
        addresses = (self.token.address, self.owner.address)
        return self._deploy("LiquidityPool", self.ledger.address, POOL_ID, *addresses, *names, terms)

    # ── time ──

    def epoch(self) -> int:
        """The running epoch."""
        return int(self.pool.call("currentEpoch"))

    def to_strike(self, epoch: int | None = None) -> None:
        """Moves to the first second in which the running (or that) epoch may be struck."""
        time = self.pool.call("strikeTime", epoch if epoch is not None else self.epoch())
        self.anvil.set_next_timestamp(time)
        self.anvil.mine()

    # ── actions ──

    def seed(self, assets: int | None = None) -> Receipt:
        """The dead deposit, one whole unit unless given."""
        return self.pool.transact("seed", assets or self.whole, sender=self.owner)

    def request_deposit(self, lp: UnlockedSender, assets: int) -> int:
        """For himself; returns the request id."""
        receipt = self.pool.transact("requestDeposit", assets, lp.address, lp.address, sender=lp)
        return int(receipt.event("DepositRequest")["requestId"])

    def request_redeem(self, lp: UnlockedSender, shares: int) -> int:
        """For himself; returns the request id."""
        receipt = self.pool.transact("requestRedeem", shares, lp.address, lp.address, sender=lp)
        return int(receipt.event("RedeemRequest")["requestId"])

    def strike(self) -> dict[str, Any]:
        """Moves to the strike of the running epoch and strikes; gives the arguments of its event."""
        self.to_strike()
        return self.strike_now()

    def strike_now(self) -> dict[str, Any]:
        """Strikes at once."""
        receipt = self.pool.transact("strike", account_id(self.keeper.address), sender=self.keeper)
        return receipt.event("EpochStruck").args

    def take_shares(self, lp: UnlockedSender) -> int:
        """Claims all shares that wait; returns how many."""
        assets = self.pool.call("maxDeposit", lp.address)
        before = self.shares(lp)
        self.pool.transact("deposit(uint256,address)", assets, lp.address, sender=lp)
        return self.shares(lp) - before

    def take_money(self, lp: UnlockedSender) -> int:
        """Claims all money that waits; returns how much."""
        before = self.money(lp)
        self.pool.transact("redeem", self.pool.call("maxRedeem", lp.address), lp.address, lp.address, sender=lp)
        return self.money(lp) - before

    def enter(self, lp: UnlockedSender, assets: int) -> int:
        """Request, strike, claim; returns the shares."""
        self.request_deposit(lp, assets)
        self.strike()
        return self.take_shares(lp)

    def gain(self, assets: int) -> None:
        """Traders lose to the pool."""
        self.ledger.transact("gain", assets, sender=self.market)

    def lose(self, assets: int) -> None:
        """Traders win from the pool."""
        self.ledger.transact("lose", assets, sender=self.market)

    def set_markets(self, *, unrealised: int = 0, uncollectable: int = 0, payable_: int = 2**128 - 1) -> None:
        """What markets would decide, WAD."""
        self.ledger.transact("setMarkets", unrealised, uncollectable, payable_)

    # ── views ──

    def shares(self, holder: Any) -> int:
        """Share balance of an address or a sender."""
        return int(self.pool.call("balanceOf", getattr(holder, "address", holder)))

    def money(self, holder: Any) -> int:
        """Token balance."""
        return int(self.token.call("balanceOf", getattr(holder, "address", holder)))

    def supply(self) -> int:
        """All shares."""
        return int(self.pool.call("totalSupply"))

    def cash(self) -> int:
        """V of the ledger, WAD."""
        return int(self.ledger.call("cash"))

    def check_ledger(self) -> None:
        """Tokens are exactly the buckets, and the pool holds every share it owes."""
        buckets = sum(int(self.ledger.call(name)) for name in ("cash", "escrow", "claimed", "fees"))
        paid = int(self.ledger.call("paidTo", account_id(self.keeper.address)))
        assert self.money(self.ledger) * self.unit == buckets + paid
        assert self.money(self.pool) == 0
        owed = self.pool.call("queueState").waiting
        for lp in self.lps:
            owed += self.pool.call("maxMint", lp.address)
        for epoch in range(self.pool.call("queueState").through + 1, self.epoch() + 1):
            owed += self.pool.call("epochState", epoch).redeems
        assert self.shares(self.pool) >= owed


@contextmanager
def liquidity_world(decimals: int) -> Iterator[LiquidityWorld]:
    """A chain with the world on it."""
    artifacts = compile_contracts(only=CONTRACTS, quiet=True)
    with Anvil(timestamp=START, block_interval=1) as anvil:
        yield LiquidityWorld(anvil, artifacts, decimals)
