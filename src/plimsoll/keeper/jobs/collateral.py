"""Buys collateral on sale, ends sales of accounts that have recovered, and sweeps dust."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from plimsoll.chain.contract import Call
from plimsoll.chain.errors import Revert
from plimsoll.keeper.actions import Action, Liquidate
from plimsoll.keeper.book.records import pool_of
from plimsoll.keeper.decide import Offer, Sale, Snapshot, is_dust, recoveries, sales
from plimsoll.keeper.jobs.base import Moment, sale_price

__all__ = ["CollateralSales"]


class CollateralSales:
    """Looks at every account on sale through the Lens; without a sale it asks nothing."""

    name = "collateral"

    async def decide(self, moment: Moment) -> Sequence[Action]:
        """Ends of sales first, then liquidations of dust, then purchases, the largest debt first."""
        if not moment.mirror.sales:
            return []
        found, funds = await self._read(moment)
        snapshot = Snapshot(block=moment.head.number, time=moment.head.time, sales=found, funds=funds, busy=moment.busy)
        limits = moment.options.limits
        dust: dict[int, list[bytes]] = {}
        for sale in found:
            free = ("account", sale.account) not in moment.busy
            if sale.equity_initial < 0 and free and is_dust(sale):
                dust.setdefault(pool_of(sale.account), []).append(sale.account)
        swept = [Liquidate(pool, tuple(accounts)) for pool, accounts in dust.items()]
        return [*recoveries(snapshot, limits), *swept, *sales(snapshot, limits)]

    async def _read(self, moment: Moment) -> tuple[tuple[Sale, ...], dict[int, int]]:
        """Accounts on sale, and what may be spent on their collateral by pool, WAD."""
        mirror, target = moment.mirror, moment.chain.target
        accounts = list(mirror.sales)
        pools = sorted({pool_of(account) for account in accounts})
        listed = {pool: [c for (p, _), c in mirror.collaterals.items() if p == pool] for pool in pools}
        settlements = {pool: mirror.pool_terms[pool].settlement for pool in pools}
        calls: list[Call] = [(target.lens, "account", [account]) for account in accounts]
        calls += [(target.token(settlements[pool].token), "balanceOf", [moment.keeper]) for pool in pools]
        answers = iter(await moment.chain.ask(calls, moment.head))
        views = {account: next(answers) for account in accounts}
        funds: dict[int, int] = {}
        for pool in pools:
            balance = next(answers)
            held = 0 if isinstance(balance, Revert) else balance * 10 ** (18 - settlements[pool].decimals)
            funds[pool] = max(held - moment.options.reserve, 0)
        found = [
            self._sale(account, view, listed[pool_of(account)], moment)
            for account, view in views.items()
            if not isinstance(view, Revert)
        ]
        return tuple(found), funds

    def _sale(self, account: bytes, view: Any, listed: Iterable[Any], moment: Moment) -> Sale:
        pool = pool_of(account)
        terms = {item.terms.token.lower(): item.terms for item in listed}
        prices = _prices({item.asset for item in terms.values()}, moment)
        rules = moment.mirror.pool_terms[pool]
        offers = []
        for held in view.collaterals:
            known = terms[held.token.lower()]
            offers.append(
                Offer(
                    token=held.token,
                    balance=held.balance,
                    decimals=known.decimals,
                    price=prices[known.asset],
                    weight_initial_ppm=known.weight_initial_ppm,
                )
            )
        return Sale(
            account=account,
            start=view.saleStart,
            equity_initial=view.equityInitial,
            offers=tuple(offers),
            discount_max_ppm=rules.liquidation.discount_max_ppm,
            sale_seconds=rules.liquidation.sale_seconds,
            keeper_floor=rules.risk.keeper_floor,
            gas_price=moment.gas_cost(pool, 1),
        )


def _prices(assets: Iterable[int], moment: Moment) -> Mapping[int, int]:
    known = moment.observations.assets
    return {asset: sale_price(known[asset][0]) if asset in known else 0 for asset in assets}
