"""Compares a chain with the parameters: code, configuration, roles. Reads everything, changes nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eth_utils.crypto import keccak

from plimsoll.chain.artifacts import Artifact
from plimsoll.chain.contract import Contract
from plimsoll.deploy.deployment import Deployment, PoolHandles
from plimsoll.deploy.parameters import Asset, Market, Pool
from plimsoll.deploy.storage import StorageSlots, load_words
from plimsoll.deploy.structs import asset_config, collateral_params, market_params, order_rules, pool_params, pool_terms
from plimsoll.model.word import ZERO_ADDRESS, Word
from plimsoll.model.words import (
    CollateralWord,
    LimitsWord,
    MarginWord,
    MarketFlags,
    PoolInterestWord,
    PoolLiquidationWord,
    PoolLiquidityWord,
    PoolRiskWord,
    PoolSettlementWord,
    TradeWord,
)
from plimsoll.units import WAD

__all__ = ["Difference", "verify"]

PERCENT = WAD // 100
NO_CODE = "none"


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that the chain has otherwise than the file (or the compiled source) says."""

    where: str
    what: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.where} {self.what}: {self.expected} in the file, {self.found} on chain"


def verify(deployment: Deployment) -> list[Difference]:
    """Every difference between a deployment and its parameters, in the order of the file."""
    return list(_Verifier(deployment).run())


class _Verifier:
    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.parameters = deployment.parameters
        self.book = deployment.book
        self.slots = StorageSlots(deployment.artifacts.artifact("Clearinghouse"))
        self.address = {name: entry.address for name, entry in deployment.book.contracts.items()}

    def run(self) -> Iterator[Difference]:
        code = list(self._code())
        yield from code
        if any(item.found == NO_CODE for item in code):
            return  # what is not there cannot be asked
        yield from self._wiring()
        yield from self._roles()
        yield from self._hub()
        for name, pool in self.parameters.pools.items():
            yield from self._pool(name, pool)
        expected, found = self.parameters.configuration_hash, self.book.configuration
        yield from _compare("address book", "configuration hash", expected, found)

    # ── code and addresses ─────────────────────────────────────────────────

    def _code(self) -> Iterator[Difference]:
        names = list(self.book.contracts)
        requests = [("eth_getCode", [self.address[name], "latest"]) for name in names]
        for name, answer in zip(names, self.deployment.rpc.batch(requests), strict=True):
            if isinstance(answer, Exception):
                raise answer
            entry = self.book.contracts[name]
            code = bytes.fromhex(answer[2:])
            if not code:
                yield Difference(name, "code", entry.contract, NO_CODE)
                continue
            yield from _compare(name, "code hash", entry.code_hash, "0x" + keccak(code).hex())
            if self._is_ours(name):
                artifact = self.deployment.artifacts.artifact(entry.contract)
                same = _masked(artifact, code) == _masked(artifact, artifact.deployed_bytecode)
                yield from _compare(
                    name, "code", f"compiled {entry.contract}", "the same" if same else "other code", same
                )

    def _is_ours(self, name: str) -> bool:
        outside = {f"token:{key}" for key, token in self.parameters.tokens.items() if token.address is not None}
        outside |= {f"feed:{key}" for key, asset in self.parameters.assets.items() if asset.feed is not None}
        return name not in outside

    def _wiring(self) -> Iterator[Difference]:
        """What is fixed at creation: the addresses that contracts know each other by, and the clock skew."""
        peers = {"HUB": "hub", "ORDER_BOOK": "order_book", "CLEARINGHOUSE": "clearinghouse"}
        modules = {
            "LIQUIDATION_MODULE": "liquidation_module",
            "SOLVENCY_MODULE": "solvency_module",
            "ADMIN_MODULE": "admin_module",
            "VIEWS": "lens_views",
        }
        for name, entry in self.book.contracts.items():
            if not self._is_ours(name):
                continue
            artifact = self.deployment.artifacts.artifact(entry.contract)
            getters = {item["name"] for item in artifact.abi if item["type"] == "function" and not item["inputs"]}
            contract = Contract(self.deployment.rpc, entry.address, artifact.abi, name=name)
            for getter, peer in (peers | modules).items():
                if getter in getters:
                    yield from _compare(name, getter, self.address[peer], contract.call(getter))
        skew = self.parameters.clock_skew.value
        yield from _compare("order_book", "CLOCK_SKEW", skew, self.deployment.order_book.call("CLOCK_SKEW"))
        for name, token in self.parameters.tokens.items():
            found = self.deployment.tokens[name].call("decimals")
            yield from _compare(f"token:{name}", "decimals", token.decimals, found)

    def _roles(self) -> Iterator[Difference]:
        owner = self.parameters.roles.owner or self.book.deployer
        owned: dict[str, Contract] = {
            "clearinghouse": self.deployment.clearinghouse,
            "hub": self.deployment.hub,
            "order_book": self.deployment.order_book,
        }
        owned |= {f"pool:{name}": pool.lp for name, pool in self.deployment.pools.items()}
        for name, contract in owned.items():
            found, pending = contract.call("owner"), contract.call("pendingOwner")
            if found != owner:
                shown = f"{found}, offered to {pending}" if pending == owner else found
                yield Difference(name, "owner", owner, shown)
            elif pending != ZERO_ADDRESS:
                yield Difference(name, "pending owner", "none", pending)
        guardian = self.parameters.roles.guardian or ZERO_ADDRESS
        yield from _compare("clearinghouse", "guardian", guardian, self.deployment.clearinghouse.call("guardian"))

    # ── oracle ─────────────────────────────────────────────────────────────

    def _hub(self) -> Iterator[Difference]:
        hub = self.deployment.hub
        sequencer = self.parameters.sequencer
        feed, grace = hub.call("sequencer")
        yield from _compare("hub", "sequencer feed", sequencer.feed if sequencer else ZERO_ADDRESS, feed)
        yield from _compare("hub", "sequencer grace", sequencer.grace.value if sequencer else 0, grace)
        yield from _compare("hub", "pyth", self.parameters.pyth or ZERO_ADDRESS, hub.call("pyth"))
        listed = list(hub.call("listedAssets"))
        for name, asset in self.parameters.assets.items():
            if asset.id not in listed:
                yield Difference(f"asset {name}", "listed", f"as {asset.id}", "no")
                continue
            expected = asset_config(asset, self._source(name, asset))
            yield from _fields(f"asset {name}", expected, hub.call("assetConfig", asset.id))
            if asset.kind == "chainlink":
                decimals = hub.call("pinned", asset.id)[0]
                yield from _compare(f"asset {name}", "feed decimals", asset.feed_decimals, decimals)
        known = {asset.id for asset in self.parameters.assets.values()}
        for extra in sorted(set(listed) - known):
            yield Difference(f"asset {extra}", "listed", "no", "yes")

    def _source(self, name: str, asset: Asset) -> str:
        return self.address[f"feed:{name}"] if asset.kind == "chainlink" else self.parameters.pyth or ZERO_ADDRESS

    # ── pools ──────────────────────────────────────────────────────────────

    def _words(self, paths: Sequence[tuple[Any, ...]]) -> list[int]:
        return load_words(self.deployment.clearinghouse, [self.slots.at(path[0], *path[1:]) for path in paths])

    def _pool(self, name: str, pool: Pool) -> Iterator[Difference]:
        handles = self.deployment.pools[name]
        expected = self._pool_words(pool, handles)
        words = self._words([("poolConfigs_", pool.id, member) for member in expected])
        for word, found in zip(expected.values(), words, strict=True):
            yield from _word(f"pool {name}", word, found)
        for index, (key, market) in enumerate(pool.markets.items()):
            yield from self._market(f"market {name}/{key}", handles.markets[key], market)
            assert handles.markets[key] & 0xFF == index
        yield from self._collateral(name, pool)
        yield from self._liquidity(name, pool, handles)

    def _pool_words(self, pool: Pool, handles: PoolHandles) -> dict[str, Word]:
        q = pool_params(self.parameters, pool, handles.settlement.address)
        return {
            "settlement": PoolSettlementWord(
                token=handles.settlement.address,
                decimals=handles.decimals,
                market_count=len(pool.markets),
                collateral_count=len(pool.collateral),
                max_collaterals=q["maxCollaterals"],
                utilisation_limit_ppm=q["utilisationLimitPpm"],
            ),
            "risk": PoolRiskWord(
                keeper_floor=q["keeperFloor"],
                min_notional=q["minNotional"],
                profit_weight_ppm=q["profitWeightPpm"],
                insurance_share_ppm=q["insuranceSharePpm"],
                lp_share_ppm=q["lpSharePpm"],
                adl_trigger_ppm=q["adlTriggerPpm"],
                adl_target_ppm=q["adlTargetPpm"],
                max_markets=q["maxMarkets"],
                decimals=handles.decimals,
            ),
            "liquidation": PoolLiquidationWord(
                target_health_ppm=q["targetHealthPpm"],
                reward_max=q["rewardMax"],
                gas_units=q["gasUnits"],
                l1_fee=q["l1Fee"],
                gas_asset=q["gasAsset"],
                grace_health_ppm=q["graceHealthPpm"],
                discount_max_ppm=q["discountMaxPpm"],
                sale_seconds=q["saleSeconds"],
            ),
            "interest": PoolInterestWord(
                base=q["interestBase"],
                slope1=q["interestSlope1"],
                slope2=q["interestSlope2"],
                kink_ppm=q["interestKinkPpm"],
                reference_nav=q["referenceNav"],
            ),
            "liquidity": PoolLiquidityWord(
                share_token=handles.lp.address, reserve_factor_ppm=q["reserveFactorPpm"], lp_gap_ppm=q["lpGapPpm"]
            ),
        }

    def _market(self, where: str, number: int, market: Market) -> Iterator[Difference]:
        q = market_params(self.parameters, market)
        expected: dict[str, Word] = {
            "margin": MarginWord(
                im_base_ppm=q["imBasePpm"],
                mm_base_ppm=q["mmBasePpm"],
                penalty_ppm=q["penaltyPpm"],
                im_slope=q["imSlope"],
                mm_slope=q["mmSlope"],
                vol_cap=q["volCapPercent"] * PERCENT,
                asset=q["asset"],
                flags=MarketFlags.LISTED,
                reward_rate_ppm=q["rewardRatePpm"],
            ),
            "trade": TradeWord(
                skew_scale=q["skewScale"],
                r_max=q["rMax"],
                v_max=q["vMax"],
                dead_band_ppm=q["deadBandPpm"],
                maker_ppm=q["makerPpm"],
                taker_ppm=q["takerPpm"],
                sigma_ref=q["sigmaRef"],
                gap_ppm=q["gapPpm"],
            ),
            "limits": LimitsWord(
                oi_cap=q["oiCap"],
                skew_cap=q["skewCap"],
                max_position=q["maxPosition"],
                nav_multiple_ppm=q["navMultiplePpm"],
                half_band_ppm=q["halfBandPpm"],
                move_ppm=q["movePpm"],
            ),
        }
        words = self._words([("marketConfigs_", number, member) for member in expected])
        for word, found in zip(expected.values(), words, strict=True):
            yield from _word(where, word, found)
        rules = order_rules(self.parameters, market)
        yield from _fields(f"{where} orders", rules, self.deployment.order_book.call("rulesOf", number))

    def _collateral(self, name: str, pool: Pool) -> Iterator[Difference]:
        for index, (key, item) in enumerate(pool.collateral.items()):
            token = self.deployment.tokens[key]
            q = collateral_params(self.parameters, key, item, token.address)
            word, cap = self._words([("collateralConfigs_", pool.id, index), ("collateralCaps_", pool.id, index)])
            expected = CollateralWord(
                token=token.address,
                decimals=self.parameters.tokens[key].decimals,
                asset=q["asset"],
                weight_initial_ppm=q["weightInitialPpm"],
                weight_maintenance_ppm=q["weightMaintenancePpm"],
            )
            yield from _word(f"collateral {name}/{key}", expected, word)
            yield from _compare(f"collateral {name}/{key}", "cap", q["cap"], cap)

    def _liquidity(self, name: str, pool: Pool, handles: PoolHandles) -> Iterator[Difference]:
        terms = pool_terms(pool.liquidity, handles.decimals)
        expected = {
            "name": pool.liquidity.name,
            "symbol": pool.liquidity.symbol,
            "POOL_ID": pool.id,
            "asset": handles.settlement.address,
            "EPOCH_LENGTH": terms["epochLength"],
            "LP_DELAY": terms["lpDelay"],
            "MIN_DEPOSIT": terms["minDeposit"],
            "minSharePrice": terms["minSharePrice"],
            "strikeReward": terms["strikeReward"],
        }
        for getter, value in expected.items():
            yield from _compare(f"LP token {name}", getter, value, handles.lp.call(getter))
        peer = self._words([("isPeer_", handles.lp.address)])[0]
        yield from _compare(f"LP token {name}", "may take the lock", 1, peer)
        if not handles.lp.call("totalSupply"):
            yield Difference(f"LP token {name}", "dead deposit", "made", "missing")


def _compare(where: str, what: str, expected: Any, found: Any, same: bool | None = None) -> Iterator[Difference]:
    if not (expected == found if same is None else same):
        yield Difference(where, what, _shown(expected), _shown(found))


def _fields(where: str, expected: Mapping[str, Any], found: Any) -> Iterator[Difference]:
    for name, value in expected.items():
        yield from _compare(where, name, value, getattr(found, name))


def _word(where: str, expected: Word, found: int) -> Iterator[Difference]:
    """Field by field, and bits that belong to no field."""
    read = type(expected).unpack(found)
    for field in dataclasses.fields(expected):  # type: ignore[arg-type]
        yield from _compare(where, field.name, getattr(expected, field.name), getattr(read, field.name))
    if read.pack() != found:
        yield Difference(where, f"bits outside {type(expected).__name__}", "none", hex(found ^ read.pack()))


def _masked(artifact: Artifact, code: bytes) -> bytes:
    """Deployed code with its immutables blanked."""
    blank = bytearray(code)
    for spans in artifact.immutable_references.values():
        for span in spans:
            start, length = span["start"], span["length"]
            blank[start : start + length] = bytes(length)
    return bytes(blank)


def _shown(value: Any) -> str:
    return "0x" + value.hex() if isinstance(value, bytes) else str(int(value) if isinstance(value, int) else value)
