"""The parameters of the executable specification against the setters of the contracts, at the edges of every field.

An edge is found, not listed: between values of a field that the specification answers differently, it is narrowed down
to the last value of the one answer and the first of the other. There the contracts have to change their answer too.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.protocol import Protocol

from plimsoll.chain.errors import ContractRevert, Panic
from plimsoll.deploy.structs import collateral_params, market_params, pool_params
from plimsoll.model import config_words as words
from plimsoll.model.engine import parameters as engine
from plimsoll.model.engine.draft import Refusal, require
from plimsoll.model.engine.parameters import CollateralParams, MarketParams, PoolParams
from plimsoll.model.engine.state import Collateral, MarketTerms, PoolTerms
from plimsoll.units import NANO, PPM

POOL, FRESH = 1, 3
HUGE = 2**256 - 1
AMOUNTS = frozenset(
    (
        *("keeper_floor", "min_notional", "reward_max", "l1_fee", "reference_nav"),
        *("skew_scale", "oi_cap", "skew_cap", "max_position"),
    )
)
LADDER = sorted({0, HUGE, *(PPM // 2 * n for n in range(1, 5)), *(3 * 2**n // 2 for n in range(100))})
Params = Any
"""`PoolParams`, `MarketParams` or `CollateralParams`."""
Outcome = tuple[str, tuple[Any, ...]]
"""Error and its arguments; or no name, and the words that are stored."""


@dataclass(frozen=True)
class Setter:
    """One setter: parameters to start from, what the specification makes of changed ones, what the contracts do."""

    base: Params
    model: Callable[[Any], tuple[Any, ...]]
    call: tuple[str, Callable[[Params], tuple[Any, ...]]]
    stored: list[tuple[Any, ...]]
    fixed: frozenset[str] = frozenset()

    @property
    def fields(self) -> list[str]:
        """Fields to change."""
        return [one.name for one in dataclasses.fields(self.base) if one.name not in self.fixed]

    def expected(self, q: Params) -> Outcome:
        """What the specification says."""
        try:
            return "", self.model(q)
        except Refusal as refusal:
            return refusal.name, refusal.values

    def found(self, p: Protocol, q: Params) -> Outcome:
        """What the contracts do; undone."""
        name, arguments = self.call
        try:
            p.clearinghouse.call(name, *arguments(q), sender=p.owner)
        except ContractRevert as error:
            return error.name, tuple(int(one, 16) if isinstance(one, str) else one for one in error.values)
        except Panic as error:
            return "Panic", (error.code,)
        with p.snapshot():
            p.clearinghouse.transact(name, *arguments(q), sender=p.owner)
            return "", tuple(p.reader.words(self.stored))

    def edges(self, field: str) -> list[int]:
        """Values of a field at which the answer changes, both sides of each; the ends, and what lies between units."""
        unit = NANO if field in AMOUNTS else 1
        most = HUGE // unit

        def answer(steps: int) -> str:
            return self.expected(dataclasses.replace(self.base, **{field: steps * unit}))[0]

        now = getattr(self.base, field) // unit
        found = {0, max(now - 1, 0), now, min(now + 1, most), most}
        ladder = sorted({min(step, most) for step in LADDER} | found)
        for low, high in pairwise(ladder):
            while answer(low) != answer(high):
                if high - low == 1:
                    found |= {low, high}
                    break
                middle = (low + high) // 2
                low, high = (low, middle) if answer(low) != answer(middle) else (middle, high)
        between = {now * unit + 1, HUGE} if unit != 1 else set()
        return sorted({step * unit for step in found} | between)


def parts(pool: int) -> list[tuple[Any, ...]]:
    """Words of a pool's terms, in the order of `PoolTerms`."""
    return [("poolConfigs_", pool, part.name) for part in dataclasses.fields(PoolTerms)]


def pool_words(terms: PoolTerms) -> tuple[int, ...]:
    """Its terms as words."""
    return tuple(getattr(terms, part.name).pack() for part in dataclasses.fields(terms))


def stored_pool(p: Protocol, pool: int) -> PoolTerms:
    """Terms of a pool on chain."""
    risk, liquidation, settlement, interest, liquidity = p.reader.words(parts(pool))
    return PoolTerms(
        words.PoolRiskWord.unpack(risk),
        words.PoolLiquidationWord.unpack(liquidation),
        words.PoolSettlementWord.unpack(settlement),
        words.PoolInterestWord.unpack(interest),
        words.PoolLiquidityWord.unpack(liquidity),
    )


def market_parts(market: int) -> list[tuple[Any, ...]]:
    """Words of a market's terms, in the order of `MarketTerms`."""
    return [("marketConfigs_", market, part.name) for part in dataclasses.fields(MarketTerms)]


def stored_market(p: Protocol, market: int) -> MarketTerms:
    """Terms of a market on chain."""
    margin, trade, limits = p.reader.words(market_parts(market))
    kinds: tuple[Any, ...] = (words.MarginWord, words.TradeWord, words.LimitsWord)
    return MarketTerms(*(kind.unpack(word) for kind, word in zip(kinds, (margin, trade, limits), strict=True)))


def stored_collateral(p: Protocol, pool: int, index: int) -> Collateral:
    """A collateral on chain."""
    word, cap = p.reader.words([("collateralConfigs_", pool, index), ("collateralCaps_", pool, index)])
    terms = words.CollateralWord.unpack(word)
    return Collateral(terms, int(terms.token, 16), cap)


def setters(p: Protocol) -> dict[str, Setter]:
    """The setters of the majors pool and its first market and collateral, and the creation of a pool."""
    params = p.deployment.parameters
    majors, usdc, weth = params.pools["majors"], p.tokens["USDC"].address, p.tokens["WETH"].address
    terms = stored_pool(p, POOL)
    eth, btc = (p.market(name) for name in ("ETH", "BTC"))
    market, other = stored_market(p, eth), stored_market(p, btc)
    price, other_price = (p.reader.funding(one).price for one in (eth, btc))
    items = [stored_collateral(p, POOL, index) for index in range(terms.settlement.collateral_count)]
    weights = [item.terms.weight_maintenance_ppm for item in items]

    listed = {asset.id for asset in params.assets.values()}

    def known(q: PoolParams) -> PoolParams:
        engine.check_pool(q)
        if q.gas_asset and q.gas_asset not in listed:
            raise Refusal("UnknownAsset", q.gas_asset)
        return q

    def set_pool(q: PoolParams) -> tuple[int, ...]:
        new = engine.pool_terms(known(q), terms)
        engine.check_together(new, [(market, price), (other, other_price)], weights)
        return pool_words(new)

    def create_pool(q: PoolParams) -> tuple[int, ...]:
        return pool_words(engine.pool_terms(known(q), engine.blank_terms(q.settlement_token, 6)))

    def set_market(q: MarketParams) -> tuple[int, ...]:
        require(q.asset == market.margin.asset, "UnknownMarket", eth)
        new = engine.market_terms(q, market.margin.flags)
        engine.check_together(terms, [(new, price), (other, other_price)], weights)
        return (new.margin.pack(), new.trade.pack(), new.limits.pack())

    def set_collateral(q: CollateralParams) -> tuple[int, ...]:
        require(q.asset == items[0].terms.asset, "UnknownToken", POOL, q.token)
        engine.check_collateral(q, terms.liquidation.discount_max_ppm)
        new = engine.collateral_terms(q, 18)
        return (new.terms.pack(), new.cap)

    pool = PoolParams.from_struct(pool_params(params, majors, usdc))
    token = frozenset(("settlement_token", "token"))
    return {
        "setPool": Setter(pool, set_pool, ("setPool", lambda q: (POOL, q.to_struct())), parts(POOL), token),
        "createPool": Setter(pool, create_pool, ("createPool", lambda q: (FRESH, q.to_struct())), parts(FRESH), token),
        "setMarket": Setter(
            MarketParams.from_struct(market_params(params, majors.markets["ETH"])),
            set_market,
            ("setMarket", lambda q: (eth, q.to_struct())),
            market_parts(eth),
        ),
        "setCollateral": Setter(
            CollateralParams.from_struct(collateral_params(params, "WETH", majors.collateral["WETH"], weth)),
            set_collateral,
            ("setCollateral", lambda q: (POOL, q.to_struct())),
            [("collateralConfigs_", POOL, 0), ("collateralCaps_", POOL, 0)],
            token,
        ),
    }


NAMES = ["setPool", "createPool", "setMarket", "setCollateral"]


def test_the_deployed_parameters_are_those_of_the_file(protocol: Protocol) -> None:
    p = protocol
    found = setters(p)
    assert PoolParams.of(stored_pool(p, POOL)) == found["setPool"].base
    assert MarketParams.of(stored_market(p, p.market("ETH"))) == found["setMarket"].base
    item, base = stored_collateral(p, POOL, 0), found["setCollateral"].base
    assert isinstance(base, CollateralParams)
    assert CollateralParams.of(item, base.move_ppm) == base


@pytest.mark.parametrize("name", NAMES)
def test_one_field_at_its_edges(protocol: Protocol, name: str) -> None:
    setter = setters(protocol)[name]
    seen = set()
    for field in setter.fields:
        for value in setter.edges(field):
            q = dataclasses.replace(setter.base, **{field: value})
            expected = setter.expected(q)
            assert setter.found(protocol, q) == expected, f"{field} = {value}"
            seen.add(expected[0])
    assert "" in seen
    assert len(seen) > 2


@pytest.mark.parametrize("name", NAMES)
def test_several_fields_at_their_edges(protocol: Protocol, name: str) -> None:
    """Which of several errors comes first, and what fields do to each other."""
    setter = setters(protocol)[name]
    edges = {field: setter.edges(field) for field in setter.fields}

    @given(st.data())
    def compare(data: st.DataObject) -> None:
        fields = data.draw(st.lists(st.sampled_from(setter.fields), min_size=2, max_size=3, unique=True))
        q = setter.base
        for field in fields:
            q = dataclasses.replace(q, **{field: data.draw(st.sampled_from(edges[field]), label=field)})
            # what an earlier change allows may move the edge
            again = (
                dataclasses.replace(setter, base=q).edges(field) if data.draw(st.booleans()) else [getattr(q, field)]
            )
            q = dataclasses.replace(q, **{field: data.draw(st.sampled_from(again), label=field)})
        assert setter.found(protocol, q) == setter.expected(q)

    compare()
