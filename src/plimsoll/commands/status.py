"""`plimsoll status`"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import click
from rich.table import Table

from plimsoll.commands.options import connect, network_option, parameters_path, rpc_option
from plimsoll.commands.show import (
    answers,
    at_head,
    console,
    flag_names,
    history,
    joined,
    one_line_errors,
    percent,
    short,
)
from plimsoll.deploy.deployment import Deployment, PoolHandles, open_deployment
from plimsoll.deploy.storage import StorageSlots
from plimsoll.keeper.book.mirror import Mirror
from plimsoll.keeper.node.headers import Header
from plimsoll.keeper.target import Target
from plimsoll.model.oracle import PriceFlags
from plimsoll.model.words import MarginWord, MarketFlags, Pause, PoolRiskWord
from plimsoll.units import format_units

__all__ = ["command", "status_of"]

DAY = 86_400
YEAR = 365 * DAY
Document = dict[str, Any]


@click.command(name="status")
@network_option
@rpc_option
@click.option("--json", "as_json", is_flag=True, help="Print exact numbers as JSON and nothing else.")
def command(network: str, rpc: str, as_json: bool) -> None:
    """Show pools, markets and orders of a deployment.

    Everything is read at one block. Money is in the pool's settlement asset, sizes are in units of the market's asset;
    a positive funding rate is paid by longs. JSON numbers are exact decimal text, ratios and rates are fractions of 1.
    Exit code 2 with one line when there is nothing to show: no node, another chain, not deployed.
    """
    with one_line_errors("status"):
        deployment = open_deployment(connect(rpc), parameters_path(network))
        found = at_head(deployment.rpc, lambda head: status_of(deployment, head))
        if as_json:
            click.echo(json.dumps(found, indent=2, ensure_ascii=False))
        else:
            _print(found)


def status_of(deployment: Deployment, head: Header) -> Document:
    """All pools at a block as exact decimal text.

    :raises PlimsollError: a call failed.
    """
    target = Target.of(deployment.rpc, deployment)
    mirror = history(target, head)
    pools = deployment.pools
    views = answers([(deployment.lens, "pool", [pool.id]) for pool in pools.values()], head)
    return {
        "network": deployment.book.network,
        "chain_id": deployment.book.chain_id,
        "block": head.number,
        "time": head.time,
        "pools": {
            name: _pool(deployment, target, pool, view, mirror, head)
            for (name, pool), view in zip(pools.items(), views, strict=True)
        },
    }


def _pool(
    deployment: Deployment, target: Target, pool: PoolHandles, view: Any, mirror: Mirror, head: Header
) -> Document:
    slots = StorageSlots(deployment.artifacts.artifact("Clearinghouse"))
    numbers = [market.market for market in view.markets]
    paths = [("poolConfigs_", pool.id, "risk"), *(("marketConfigs_", number, "margin") for number in numbers)]
    wanted = [slots.at(*path).to_bytes(32, "big") for path in paths]
    words = answers([(deployment.clearinghouse, "load", [wanted])], head)[0]
    risk, *margins = (int.from_bytes(word, "big") for word in words)
    pending = Counter(order.market for order in mirror.orders.values())
    return {
        "id": pool.id,
        "settlement": pool.settlement.name,
        "lp_token": pool.lp.address,
        "nav": format_units(view.nav),
        "cash": format_units(view.cash),
        "debt": format_units(view.debt),
        "liquid": format_units(view.liquid),
        "utilisation": format_units(view.utilisation),
        "borrow_rate_per_year": format_units(view.borrowRate * YEAR),
        "insurance": format_units(view.insurance),
        "junior": format_units(view.junior),
        "fees": format_units(view.fees),
        "escrow": format_units(view.escrow),
        "lp_escrow": format_units(view.lpEscrow),
        "claims": format_units(view.claims),
        "open_sales": view.openSales,
        "accounts": sum(int.from_bytes(account[20:22], "big") == pool.id for account in mirror.accounts.rows),
        "paused": flag_names(Pause(PoolRiskWord.unpack(risk).pause_flags)),
        "markets": {
            target.name(market.market).rpartition("/")[2]: _market(market, MarginWord.unpack(margin).flags, pending)
            for market, margin in zip(view.markets, margins, strict=True)
        },
    }


def _market(view: Any, flags: int, pending: Mapping[int, int]) -> Document:
    return {
        "id": view.market,
        "price": format_units(view.price),
        "price_flags": flag_names(PriceFlags(view.flags)),
        "flags": flag_names(MarketFlags(flags)),
        "long_interest": format_units(view.longInterest),
        "short_interest": format_units(view.shortInterest),
        "skew": format_units(view.skew),
        "funding_rate_per_day": format_units(view.fundingRate * DAY),
        "premium": format_units(view.premium),
        "average_price": format_units(view.ema),
        "pending_orders": pending.get(view.market, 0),
    }


def _print(found: Document) -> None:
    out = console()
    out.print(f"{found['network']}, chain {found['chain_id']}, block {found['block']}, time {found['time']}")
    pools = Table("pool", title="Pools", title_justify="left")
    for title in ("NAV", "cash", "debt", "utilisation", "insurance", "fees", "escrow", "accounts", "sales"):
        pools.add_column(title, justify="right")
    pools.add_column("paused")
    markets = Table("market", title="Markets", title_justify="left")
    for title in ("price", "long interest", "short interest", "skew", "funding a day", "orders"):
        markets.add_column(title, justify="right")
    markets.add_column("flags")
    for name, pool in found["pools"].items():
        pools.add_row(
            name,
            *(short(pool[key]) for key in ("nav", "cash", "debt")),
            percent(pool["utilisation"]),
            *(short(pool[key]) for key in ("insurance", "fees", "escrow")),
            str(pool["accounts"]),
            str(pool["open_sales"]),
            joined(pool["paused"]),
        )
        for key, market in pool["markets"].items():
            shown = [flag for flag in market["flags"] if flag != "listed"]
            shown += [f"price {flag}" for flag in market["price_flags"]]
            markets.add_row(
                f"{name}/{key}",
                short(market["price"]),
                *(short(market[side], 4) for side in ("long_interest", "short_interest", "skew")),
                percent(market["funding_rate_per_day"], 4),
                str(market["pending_orders"]),
                joined(shown),
            )
    out.print(pools)
    out.print(markets)
