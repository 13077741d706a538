"""A third pool whose settlement asset, or whose collateral, is a token that misbehaves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from plimsoll.chain.artifacts import compile_contracts
from plimsoll.chain.contract import Contract, deploy
from plimsoll.deploy.structs import market_params, order_rules, pool_params, pool_terms
from plimsoll.model.words import AccountId
from plimsoll.units import WAD
from tests.support.protocol import Protocol

__all__ = ["HostilePool", "hostile_pool"]

POOL = 3
MARKET = POOL << 8
TOKENS = ("HookToken", "BlacklistToken", "FeeOnTransferToken", "LyingToken", "RebasingToken")


@dataclass(frozen=True, slots=True)
class HostilePool:
    """Pool 3 with one market on ETH, its LP token, and its two tokens."""

    p: Protocol
    settlement: Contract
    collateral: Contract
    lp: Contract

    def account(self, actor: str, sub: int = 0) -> bytes:
        """An account of the pool."""
        return AccountId(actor, POOL, sub).to_bytes()

    def fund(self, token: Contract, actor: str, amount: int) -> None:
        """Mints native units and approves the Clearinghouse."""
        token.transact("mint", actor, amount, sender=self.p.deployer)
        token.transact("approve", self.p.clearinghouse.address, 2**256 - 1, sender=actor)

    def deposit(self, account: bytes, token: Contract, amount: int) -> None:
        """Mints and deposits as the owner."""
        owner = self.p.owner_of(account)
        self.fund(token, owner, amount)
        self.p.clearinghouse.transact("deposit", account, token.address, amount, sender=owner)

    def held(self, token: Contract) -> int:
        """What the pool's ledger holds, as stored."""
        return self.p.reader.word("held_", POOL, token.address)


def token(p: Protocol, kind: str, decimals: int, *more: Any) -> Contract:
    """A hostile token."""
    artifacts = compile_contracts(only=[f"contracts/mocks/{name}.sol" for name in TOKENS], quiet=True)
    return deploy(
        artifacts.artifact(kind), kind, kind, decimals, *more, sender=p.anvil.sender(0), errors=p.deployment.errors
    )


def hostile_pool(p: Protocol, settlement: str, collateral: str, *more: Any) -> HostilePool:
    """Creates it; `more` are further constructor arguments of the collateral token."""
    params = p.deployment.parameters
    values = params.pools["longtail"]
    paid, extra = token(p, settlement, 6), token(p, collateral, 18, *more)
    house, book = p.clearinghouse, p.order_book
    house.transact("createPool", POOL, pool_params(params, values, paid.address), sender=p.owner)
    market = market_params(params, values.markets["SOL"]) | {
        "asset": 1,
        "skewScale": 50_000 * WAD,
        "oiCap": 500 * WAD,
        "skewCap": 250 * WAD,
        "maxPosition": 100 * WAD,
    }
    house.transact("listMarket", POOL, market, 2_000 * WAD, 500_000, sender=p.owner)
    item = {"token": extra.address, "asset": 1, "weightInitialPpm": 800_000, "weightMaintenancePpm": 880_000}
    house.transact("listCollateral", POOL, item | {"cap": 10**24, "movePpm": 15_000}, sender=p.owner)
    terms = pool_terms(values.liquidity, 6)
    lp = deploy(
        p.deployment.artifacts.artifact("LiquidityPool"),
        house.address,
        POOL,
        paid.address,
        p.owner,
        "Hostile",
        "HOST",
        terms,
        sender=p.anvil.sender(0),
        errors=p.deployment.errors,
        events=p.deployment.events,
    )
    house.transact("setShareToken", POOL, lp.address, sender=p.owner)
    rules = order_rules(params, values.markets["SOL"]) | {"asset": 1}
    book.transact("setMarket", MARKET, rules, sender=p.owner)
    world = HostilePool(p, paid, extra, lp)
    world.fund(paid, p.lp, 10**13)
    lp.transact("seed", 10**7, sender=p.lp)
    lp.transact("requestDeposit", 9 * 10**12, p.lp, p.lp, sender=p.lp)
    p.warp_to(lp.call("strikeTime", lp.call("currentEpoch")))
    lp.transact("strike", world.account(p.keeper), sender=p.keeper)
    lp.transact("deposit", 9 * 10**12, p.lp, p.lp, sender=p.lp)
    return world
