"""Sets what the chain does not have yet: assets, pools, markets, collateral, LP tokens, roles. Sends nothing twice."""

from __future__ import annotations

from collections.abc import Mapping

from plimsoll.chain.contract import Contract
from plimsoll.deploy.create import Creator, DeployError
from plimsoll.deploy.deployment import clearinghouse_abi
from plimsoll.deploy.parameters import Asset, Parameters, Pool
from plimsoll.deploy.storage import StorageSlots, load_words
from plimsoll.deploy.structs import (
    asset_config,
    collateral_params,
    market_id,
    market_params,
    native,
    order_rules,
    pool_params,
)
from plimsoll.model.word import ZERO_ADDRESS
from plimsoll.model.words import PoolMoneyWord, PoolSettlementWord
from plimsoll.units import format_units

__all__ = ["Configurator"]


class Configurator:
    """Brings a created system to its parameters."""

    def __init__(self, creator: Creator, parameters: Parameters, contracts: Mapping[str, Contract]) -> None:
        self.creator = creator
        self.parameters = parameters
        self.contracts = contracts
        self.hub = contracts["hub"]
        self.order_book = contracts["order_book"]
        core = contracts["clearinghouse"]
        self.clearinghouse = Contract(
            core.rpc,
            core.address,
            clearinghouse_abi(creator.artifacts),
            errors=creator.errors,
            events=creator.events,
            sender=creator.sender,
            name="clearinghouse",
        )
        self.slots = StorageSlots(creator.artifacts.artifact("Clearinghouse"))

    def run(self) -> None:
        """Everything in order."""
        self._sources()
        for name, asset in self.parameters.assets.items():
            self._asset(name, asset)
        for name, pool in self.parameters.pools.items():
            for market in pool.markets.values():
                self._refresh(market.asset)
            self._pool(name, pool)
            self._markets(name, pool)
            self._collateral(name, pool)
            self._seed(name, pool)
            self._insurance(name, pool)
        self._roles()

    # ── oracle ─────────────────────────────────────────────────────────────

    def _sources(self) -> None:
        sequencer = self.parameters.sequencer
        wanted = (sequencer.feed, sequencer.grace.value) if sequencer is not None else (ZERO_ADDRESS, 0)
        if tuple(self.hub.call("sequencer")) != wanted:
            self._say(f"hub: sequencer feed {wanted[0]}, grace {wanted[1]} s")
            self.hub.transact("setSequencer", *wanted)
        pyth = self.parameters.pyth or ZERO_ADDRESS
        if self.hub.call("pyth") != pyth:
            self._say(f"hub: Pyth at {pyth}")
            self.hub.transact("setPyth", pyth)

    def _asset(self, name: str, asset: Asset) -> None:
        if asset.id in self.hub.call("listedAssets"):
            return
        self._refresh(name)
        feed = self.contracts.get(f"feed:{name}")
        source = feed.address if feed is not None else self.parameters.pyth or ZERO_ADDRESS
        self._say(f"hub: asset {asset.id} {name}")
        self.hub.transact("listAsset", asset.id, asset_config(asset, source))

    def _refresh(self, name: str) -> None:
        """Lets a settable feed publish its price again when it is old, or for the first time."""
        entry = self.creator.book.contracts.get(f"feed:{name}")
        if entry is None or not entry.mock:
            return
        feed = self.contracts[f"feed:{name}"]
        asset = self.parameters.assets[name]
        answer, updated = asset.price.value // 10 ** (18 - asset.feed_decimals), 0
        if feed.call("latestRound"):
            _, answer, _, updated, _ = feed.call("latestRoundData")
        now = int(feed.rpc.request("eth_getBlockByNumber", ["latest", False])["timestamp"], 16)
        if now - updated > asset.max_age.value // 2:
            feed.transact("push", answer, now)

    # ── pools ──────────────────────────────────────────────────────────────

    def _word(self, variable: str, *path: int | str) -> int:
        return load_words(self.clearinghouse, [self.slots.at(variable, *path)])[0]

    def _settlement(self, pool: Pool) -> PoolSettlementWord:
        return PoolSettlementWord.unpack(self._word("poolConfigs_", pool.id, "settlement"))

    def _pool(self, name: str, pool: Pool) -> None:
        if self._settlement(pool).token == ZERO_ADDRESS:
            self._say(f"pool {pool.id} {name}")
            token = self.contracts[f"token:{pool.settlement}"].address
            self.clearinghouse.transact("createPool", pool.id, pool_params(self.parameters, pool, token))
        lp = self.contracts[f"pool:{name}"]
        if not self._word("isPeer_", lp.address):
            self._say(f"pool {pool.id} {name}: LP token {pool.liquidity.symbol}")
            self.clearinghouse.transact("setShareToken", pool.id, lp.address)

    def _markets(self, name: str, pool: Pool) -> None:
        listed = self._settlement(pool).market_count
        for index, (symbol, market) in enumerate(pool.markets.items()):
            number = market_id(pool.id, index)
            asset = self.parameters.assets[market.asset]
            if index >= listed:
                self._say(f"pool {pool.id} {name}: market {number} {symbol}")
                params = market_params(self.parameters, market)
                self.clearinghouse.transact("listMarket", pool.id, params, asset.price.value, asset.tolerance.value)
            if not self.order_book.call("rulesOf", number).asset:
                self.order_book.transact("setMarket", number, order_rules(self.parameters, market))

    def _collateral(self, name: str, pool: Pool) -> None:
        for symbol, item in pool.collateral.items():
            token = self.contracts[f"token:{symbol}"].address
            if self._word("collateralIndex_", pool.id, token):
                continue
            self._refresh(item.asset)
            self._say(f"pool {pool.id} {name}: collateral {symbol}")
            self.clearinghouse.transact(
                "listCollateral", pool.id, collateral_params(self.parameters, symbol, item, token)
            )

    def _seed(self, name: str, pool: Pool) -> None:
        lp = self.contracts[f"pool:{name}"]
        if lp.call("totalSupply"):
            return
        amount = native(pool.liquidity.seed.value, self.parameters.tokens[pool.settlement].decimals)
        self._provide(pool, amount, f"the dead deposit of pool {name}")
        self._say(f"pool {pool.id} {name}: dead deposit")
        lp.transact("seed", amount)

    def _insurance(self, name: str, pool: Pool) -> None:
        step = f"insurance:{name}"
        funded = PoolMoneyWord.unpack(self._word("pools_", pool.id, "money")).insurance
        if not pool.insurance.value or funded or self.creator.done(step):
            return
        amount = native(pool.insurance.value, self.parameters.tokens[pool.settlement].decimals)
        self._provide(pool, amount, f"the insurance of pool {name}")
        self._say(f"pool {pool.id} {name}: insurance")
        self.clearinghouse.transact("fundInsurance", pool.id, amount)
        self.creator.finish(step)

    def _provide(self, pool: Pool, amount: int, purpose: str) -> None:
        """The deployer has `amount` (native units) of the settlement token and lets the Clearinghouse take it."""
        token = self.contracts[f"token:{pool.settlement}"]
        deployer = self.creator.sender.address
        held = token.call("balanceOf", deployer)
        if held < amount and self.creator.book.contracts[f"token:{pool.settlement}"].mock:
            token.transact("mint", deployer, amount - held)
            held = amount
        if held < amount:
            decimals = self.parameters.tokens[pool.settlement].decimals
            raise DeployError(
                f"the deployer {deployer} has {format_units(held, decimals)} {pool.settlement} and needs "
                f"{format_units(amount, decimals)} for {purpose}; send it and run deploy again"
            )
        if token.call("allowance", deployer, self.clearinghouse.address) < amount:
            token.transact("approve", self.clearinghouse.address, amount)

    # ── roles ──────────────────────────────────────────────────────────────

    def _roles(self) -> None:
        deployer = self.creator.sender.address
        guardian = self.parameters.roles.guardian or ZERO_ADDRESS
        if self.clearinghouse.call("guardian") != guardian:
            self._say(f"guardian: {guardian}")
            self.clearinghouse.transact("setGuardian", guardian)
        owner = self.parameters.roles.owner
        if owner is None or owner == deployer:
            return
        own = [self.hub, self.order_book, *(self.contracts[f"pool:{name}"] for name in self.parameters.pools)]
        for contract, offer in [(self.clearinghouse, "offerOwnership"), *((one, "transferOwnership") for one in own)]:
            if contract.call("owner") == deployer and contract.call("pendingOwner") != owner:
                self._say(f"{contract.name}: ownership offered to {owner}, who must accept it")
                contract.transact(offer, owner)

    def _say(self, text: str) -> None:
        self.creator.progress(text)
