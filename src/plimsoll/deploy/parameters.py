"""Parameters of a network: the pydantic models of `deployments/<network>.yaml`.

Every number that somebody chose is `{value: …, why: "…"}`; facts (ids, addresses, decimals, names) stand alone.
Quantities are held as the integers that contracts take, see `quantities`; amounts in `$` are WAD.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, ValidationError, model_validator

from plimsoll.chain.abi import address_of
from plimsoll.deploy.document import Document, ParameterError
from plimsoll.deploy.quantities import (
    AnnualRate,
    Bytes32,
    Count,
    DailyRate,
    DailyVelocity,
    Money,
    Ppm,
    Seconds,
    Tokens,
    Volatility,
)

__all__ = [
    "Asset",
    "Collateral",
    "Liquidity",
    "Market",
    "Orders",
    "ParameterError",
    "Parameters",
    "Pool",
    "Roles",
    "Secondary",
    "Sequencer",
    "Stated",
    "Token",
]

T = TypeVar("T")
LEAST_REASON = 10


def _address(value: Any) -> str:
    """A checksummed address; an unquoted one has been read as text, never as a number."""
    try:
        return address_of(value)
    except Exception:
        raise ValueError(f"{value!r} is not an address; write 0x and 40 hex digits") from None


Address = Annotated[str, BeforeValidator(_address)]


class Model(BaseModel):
    """Frozen, and knows no other keys than its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Stated(Model, Generic[T]):
    """A chosen value with its reason."""

    value: T
    why: Annotated[str, Field(min_length=LEAST_REASON)]


class Roles(Model):
    """Who governs. Without an owner the deployer stays owner; a named one must accept each ownership."""

    owner: Address | None = None
    guardian: Address | None = None


class Token(Model):
    """A token. On a local chain one without an address is deployed as a mock."""

    name: str
    decimals: Count
    address: Address | None = None


class Secondary(Model):
    """The feed that a price is compared with."""

    feed: Address
    max_age: Stated[Seconds]
    max_deviation: Stated[Ppm]
    timeout: Stated[Seconds]


class Asset(Model):
    """Where a price comes from. On a local chain a chainlink asset without a feed gets a settable one."""

    id: Count
    kind: Literal["chainlink", "pyth", "fixed"]
    feed: Address | None = None
    feed_decimals: Count = 8
    pyth_id: Bytes32 | None = None
    price: Stated[Money]
    """Listing price: start price of settable feeds, and what turns limits in $ into units."""
    tolerance: Stated[Ppm]
    """How far the feed may be from the listing price when a market is listed."""
    max_age: Stated[Seconds]
    deviation: Stated[Ppm]
    """Move at which the feed publishes before its heartbeat."""
    latency: Stated[Seconds]
    band: Stated[Ppm]
    max_uncertainty: Stated[Ppm]
    ema_time: Stated[Seconds]
    bound_base: Stated[Ppm]
    bound_per_hour: Stated[Ppm]
    bound_cap: Stated[Ppm]
    secondary: Secondary | None = None


class Sequencer(Model):
    """Uptime feed of an L2 sequencer."""

    feed: Address
    grace: Stated[Seconds]


class Orders(Model):
    """How orders of a market are handled."""

    settlement_delay: Stated[Seconds]
    cancel_margin: Stated[Seconds]
    exec_window: Stated[Seconds]
    min_keeper_fee: Stated[Money]


class Market(Model):
    """A perpetual market. Sizes in $ become units at the listing price of its asset."""

    asset: str
    initial_margin: Stated[Ppm]
    initial_margin_at_max: Stated[Ppm]
    maintenance_margin: Stated[Ppm]
    maintenance_margin_at_max: Stated[Ppm]
    max_position: Stated[Money]
    penalty: Stated[Ppm]
    reward_rate: Stated[Ppm]
    vol_cap: Stated[Ppm]
    reference_volatility: Stated[Volatility]
    depth: Stated[Money]
    oi_cap: Stated[Money]
    skew_cap: Stated[Money]
    maker_fee: Stated[Ppm]
    taker_fee: Stated[Ppm]
    max_half_band: Stated[Ppm]
    max_funding: Stated[DailyRate]
    funding_velocity: Stated[DailyVelocity]
    dead_band: Stated[Ppm]
    nav_multiple: Stated[Ppm]
    move: Stated[Ppm]
    gap: Stated[Ppm]
    orders: Orders


class Collateral(Model):
    """A token that counts as margin at a haircut."""

    asset: str
    weight_initial: Stated[Ppm]
    weight_maintenance: Stated[Ppm]
    cap: Stated[Tokens]
    move: Stated[Ppm]


class Liquidity(Model):
    """The LP token of a pool."""

    name: str
    symbol: str
    epoch_length: Stated[Seconds]
    lp_delay: Stated[Seconds]
    min_deposit: Stated[Money]
    min_share_price: Stated[Money]
    strike_reward: Stated[Money]
    seed: Stated[Money]


class Interest(Model):
    """Borrow curve on utilisation: base + slope1·min(u, kink) + slope2·max(u − kink, 0)."""

    base: Stated[AnnualRate]
    slope1: Stated[AnnualRate]
    slope2: Stated[AnnualRate]
    kink: Stated[Ppm]


class Pool(Model):
    """An isolated margin universe."""

    id: Count
    settlement: str
    reference_nav: Stated[Money]
    keeper_floor: Stated[Money]
    min_notional: Stated[Money]
    profit_weight: Stated[Ppm]
    insurance_share: Stated[Ppm]
    lp_share: Stated[Ppm]
    adl_trigger: Stated[Ppm]
    adl_target: Stated[Ppm]
    target_health: Stated[Ppm]
    reward_max: Stated[Money]
    gas_units: Stated[Count]
    l1_fee: Stated[Money]
    gas_asset: str | None = None
    grace_health: Stated[Ppm]
    discount_max: Stated[Ppm]
    sale_time: Stated[Seconds]
    max_markets: Stated[Count]
    max_collaterals: Stated[Count]
    utilisation_limit: Stated[Ppm]
    interest: Interest
    reserve_factor: Stated[Ppm]
    lp_gap: Stated[Ppm]
    insurance: Stated[Money]
    liquidity: Liquidity
    markets: dict[str, Market]
    collateral: dict[str, Collateral] = {}


class Parameters(Model):
    """Everything that one network is deployed with."""

    network: str
    chain_id: Count
    roles: Roles = Roles()
    clock_skew: Stated[Seconds]
    sequencer: Sequencer | None = None
    pyth: Address | None = None
    tokens: dict[str, Token]
    assets: dict[str, Asset]
    pools: dict[str, Pool]

    _source: Document = PrivateAttr()

    @classmethod
    def load(cls, path: Path, overrides: Mapping[str, Any] | None = None) -> Parameters:
        """The parameters in a file, with values at dotted paths replaced (see `Document.with_values`).

        :raises ParameterError: one line per mistake, each with its place.
        """
        return cls.of(Document.read(path).with_values(overrides or {}))

    @classmethod
    def of(cls, document: Document) -> Parameters:
        """The parameters in a document.

        :raises ParameterError: one line per mistake, each with its place.
        """
        try:
            found = cls.model_validate(document.data)
        except ValidationError as error:
            raise ParameterError("\n".join(_readable(document, item) for item in error.errors())) from None
        found._source = document
        return found

    @property
    def source(self) -> Document:
        """Where they were read."""
        return self._source

    @property
    def configuration_hash(self) -> str:
        """Changes with every value, not with reasons, comments or order of lines."""
        values = self.model_dump(mode="json")
        text = json.dumps(_without_reasons(values), sort_keys=True, separators=(",", ":"))
        return "0x" + hashlib.sha256(text.encode()).hexdigest()

    @model_validator(mode="after")
    def _names_resolve(self) -> Self:
        problems: list[str] = []
        for kind, entries in (("assets", self.assets), ("pools", self.pools)):
            ids = [entry.id for entry in entries.values()]
            problems += [f"{kind}: id {one} is used twice" for one in sorted({i for i in ids if ids.count(i) > 1})]
        for name, pool in self.pools.items():
            at = f"pools.{name}"
            if pool.settlement not in self.tokens:
                problems.append(f"{at}.settlement: {pool.settlement} is none of tokens: {', '.join(self.tokens)}")
            users = [(f"{at}.markets.{key}.asset", market.asset) for key, market in pool.markets.items()]
            users += [(f"{at}.collateral.{key}.asset", item.asset) for key, item in pool.collateral.items()]
            users += [(f"{at}.gas_asset", pool.gas_asset)] if pool.gas_asset is not None else []
            problems += [
                f"{where}: {asset} is none of assets: {', '.join(self.assets)}"
                for where, asset in users
                if asset not in self.assets
            ]
            problems += [
                f"{at}.collateral.{key}: it is none of tokens: {', '.join(self.tokens)}"
                for key in pool.collateral
                if key not in self.tokens
            ]
        if problems:
            raise ValueError("\n".join(problems))
        return self


def _without_reasons(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_reasons(item) for key, item in value.items() if key != "why"}
    return value


def _readable(document: Document, item: Any) -> str:
    at = ".".join(str(part) for part in item["loc"])
    text = str(item["msg"]).removeprefix("Value error, ")
    if item["type"] == "missing":
        extra = ' (with its reason: {value: …, why: "…"})' if item["loc"][-1] not in ("value", "why") else ""
        return f"{document.where(at)}: {at} is missing; add it{extra if _is_stated(item) else ''}"
    if item["type"] == "extra_forbidden":
        return f"{document.where(at)}: {at} is unknown; remove it or correct its name"
    if not at:
        return "\n".join(f"{document.where(line.partition(':')[0])}: {line}" for line in text.splitlines())
    return f"{document.where(at)}: {at}: {text}"


def _is_stated(item: Any) -> bool:
    return item["loc"][-1] not in ("id", "asset", "settlement", "name", "symbol", "decimals", "feed", "kind")
