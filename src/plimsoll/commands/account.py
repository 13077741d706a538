"""`plimsoll account`"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from plimsoll.chain.abi import address_of
from plimsoll.chain.contract import batch_call
from plimsoll.chain.errors import PlimsollError, Revert
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
from plimsoll.deploy.deployment import Deployment, open_deployment
from plimsoll.keeper.book.mirror import Mirror
from plimsoll.keeper.book.records import Order
from plimsoll.keeper.node.headers import Header
from plimsoll.keeper.target import Target
from plimsoll.model.oracle import PriceFlags
from plimsoll.model.words import AccountId
from plimsoll.units import format_units

__all__ = ["UnknownAccountError", "accounts_of", "command"]

INFINITE = 2**256 - 1
NO_LIMIT = (0, INFINITE)
Document = dict[str, Any]


class UnknownAccountError(PlimsollError):
    """The text names no account, or one that was never used."""


@click.command(name="account")
@click.argument("account", metavar="ID|ADDRESS")
@network_option
@rpc_option
@click.option("--json", "as_json", is_flag=True, help="Print exact numbers as JSON and nothing else.")
def command(account: str, network: str, rpc: str, as_json: bool) -> None:
    """Show an account: positions, margin, liquidation prices, collateral, pending orders.

    ID is the number of one account (0x and 64 hex digits); ADDRESS shows all accounts that an owner has ever used.
    Everything is read at one block. JSON numbers are exact decimal text, ratios are fractions of 1; health is null
    without a margin requirement, leverage is null when there is exposure and no equity. Exit code 2 with one line when
    there is nothing to show: no node, another chain, not deployed, unknown account.
    """
    with one_line_errors("account"):
        wanted = _parse(account)
        deployment = open_deployment(connect(rpc), parameters_path(network))
        found = at_head(deployment.rpc, lambda head: accounts_of(deployment, wanted, head))
        if as_json:
            click.echo(json.dumps(found, indent=2, ensure_ascii=False))
        else:
            _print(found)


def _parse(text: str) -> bytes:
    """20 bytes of an address or 32 of an account id.

    :raises UnknownAccountError: it is neither.
    """
    if re.fullmatch(r"0x([0-9a-fA-F]{40}|[0-9a-fA-F]{64})", text):
        return bytes.fromhex(text[2:])
    raise UnknownAccountError(
        f"{text!r} is no account; give its id (0x and 64 hex digits) or its owner's address (0x and 40)"
    )


def accounts_of(deployment: Deployment, wanted: bytes, head: Header) -> Document:
    """One account (32 bytes) or all of an owner (20 bytes) at a block as exact decimal text.

    :raises UnknownAccountError: there is none.
    :raises PlimsollError: a call failed.
    """
    target = Target.of(deployment.rpc, deployment)
    mirror = history(target, head)
    ids = sorted(account for account in mirror.accounts.rows if account.startswith(wanted))
    if not ids:
        where = f"on {deployment.book.network} (chain {deployment.book.chain_id})"
        if len(wanted) == 32:
            raise UnknownAccountError(f"account 0x{wanted.hex()} was never used {where}; check the id and --network")
        owner = address_of("0x" + wanted.hex())
        raise UnknownAccountError(f"{owner} has never used an account {where}; check the address and --network")
    views = answers([(deployment.lens, "account", [account]) for account in ids], head)
    reader = _Reader(deployment, target, mirror, head)
    return {
        "network": deployment.book.network,
        "chain_id": deployment.book.chain_id,
        "block": head.number,
        "time": head.time,
        "accounts": [reader.document(account, view) for account, view in zip(ids, views, strict=True)],
    }


class _Reader:
    def __init__(self, deployment: Deployment, target: Target, mirror: Mirror, head: Header) -> None:
        self._deployment = deployment
        self._target = target
        self._mirror = mirror
        self._head = head
        decimals = {name: token.decimals for name, token in deployment.parameters.tokens.items()}
        self._tokens = {token.address: (name, decimals[name]) for name, token in deployment.tokens.items()}

    def document(self, account: bytes, view: Any) -> Document:
        parts = AccountId.unpack(int.from_bytes(account, "big"))
        return {
            "id": "0x" + account.hex(),
            "owner": parts.owner,
            "pool": self._target.name(parts.pool),
            "sub_account": str(parts.sub),
            "cash": format_units(view.cash),
            "equity": format_units(view.equityMaintenance),
            "maintenance_margin": format_units(view.maintenance),
            "health": None if view.health == INFINITE else format_units(view.health),
            "liquidatable": view.liquidatable,
            "equity_initial": format_units(view.equityInitial),
            "initial_margin": format_units(view.initial),
            "free_collateral": format_units(view.free),
            "leverage": None if view.leverage == INFINITE else format_units(view.leverage),
            "on_sale_since": view.saleStart or None,
            "version": view.version,
            "positions": self._positions(account, view.positions),
            "collateral": [self._collateral(item) for item in view.collaterals],
            "orders": [self._order(order) for queue in self._queues(account) for order in queue],
        }

    def _positions(self, account: bytes, positions: Sequence[Any]) -> list[Document]:
        lens = self._deployment.lens
        calls = [(lens, "liquidationPrice", [account, position.market]) for position in positions]
        prices = batch_call(calls, block=self._head.number)
        return [
            {
                "market": self._target.name(position.market),
                "size": format_units(position.size),
                "price": format_units(position.price),
                "price_flags": flag_names(PriceFlags(position.flags)),
                "profit": format_units(position.profit),
                "initial_margin": format_units(position.initial),
                "maintenance_margin": format_units(position.maintenance),
                "liquidation": _liquidation(price),
            }
            for position, price in zip(positions, prices, strict=True)
        ]

    def _collateral(self, view: Any) -> Document:
        name, decimals = self._token(view.token)
        return {
            "token": name,
            "address": view.token,
            "balance": format_units(view.balance, decimals),
            "value_initial": format_units(view.valueInitial),
            "value_maintenance": format_units(view.valueMaintenance),
            "price_flags": flag_names(PriceFlags(view.flags)),
        }

    def _token(self, address: str) -> tuple[str, int]:
        """Name and decimals; one that the parameters file does not know is asked for its decimals."""
        if address not in self._tokens:
            self._tokens[address] = (address, int(self._target.token(address).call("decimals")))
        return self._tokens[address]

    def _queues(self, account: bytes) -> list[list[Order]]:
        return [queue for queue in self._mirror.queues() if queue[0].account == account]

    def _order(self, order: Order) -> Document:
        return {
            "market": self._target.name(order.market),
            "id": order.id,
            "size": format_units(order.size_delta),
            "limit_price": None if order.limit_price in NO_LIMIT else format_units(order.limit_price),
            "reduce_only": order.reduce_only,
            "keeper_fee": format_units(order.keeper_fee),
            "placed_at": order.placed_at,
            "price_time": order.price_time,
            "expiry": order.expiry,
        }


def _liquidation(answer: Any) -> Document:
    """The price at which the account falls, and on which side of it; `price` is null when no price does it."""
    if isinstance(answer, Revert):
        return {"price": None, "side": None, "error": str(answer)}
    if isinstance(answer, PlimsollError):
        raise answer
    if not answer.exists:
        return {"price": None, "side": None}
    return {"price": format_units(answer.price), "side": "at or below" if answer.below else "at or above"}


def _print(found: Document) -> None:
    out = console()
    out.print(f"{found['network']}, chain {found['chain_id']}, block {found['block']}, time {found['time']}")
    for account in found["accounts"]:
        _print_account(out, account)


def _print_account(out: Console, account: Document) -> None:
    health, leverage = account["health"], account["leverage"]
    state = "LIQUIDATABLE" if account["liquidatable"] else "safe"
    if account["on_sale_since"] is not None:
        state += f", collateral on sale since {account['on_sale_since']}"
    out.print()
    out.print(f"{account['owner']}, pool {account['pool']}, sub-account {account['sub_account']}: {state}")
    out.print(account["id"], soft_wrap=True)
    sums = Table()
    row = [
        ("health", "–" if health is None else percent(health)),
        ("equity", short(account["equity"])),
        ("maintenance margin", short(account["maintenance_margin"])),
        ("initial equity", short(account["equity_initial"])),
        ("initial margin", short(account["initial_margin"])),
        ("free collateral", short(account["free_collateral"])),
        ("leverage", "∞" if leverage is None else short(leverage) + "×"),
        ("cash", short(account["cash"])),
    ]
    for title, _ in row:
        sums.add_column(title, justify="right")
    sums.add_row(*(text for _, text in row))
    out.print(sums)
    if account["positions"]:
        out.print(_positions_table(account["positions"]))
    if account["collateral"]:
        out.print(_collateral_table(account["collateral"]))
    if account["orders"]:
        out.print(_orders_table(account["orders"]))


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(first, title=title, title_justify="left")
    for other in others:
        table.add_column(other, justify="right")
    return table


def _positions_table(positions: Sequence[Document]) -> Table:
    titles = ("size", "price", "profit", "initial margin", "maintenance margin", "liquidated", "price flags")
    table = _table("Positions", "market", *titles)
    for position in positions:
        liquidation = position["liquidation"]
        falls = "never" if liquidation["price"] is None else f"{liquidation['side']} {short(liquidation['price'])}"
        table.add_row(
            position["market"],
            short(position["size"], 4),
            short(position["price"]),
            *(short(position[key]) for key in ("profit", "initial_margin", "maintenance_margin")),
            "cannot be told" if "error" in liquidation else falls,
            joined(position["price_flags"]),
        )
    return table


def _collateral_table(items: Sequence[Document]) -> Table:
    table = _table("Collateral", "token", "balance", "value initial", "value maintenance", "price flags")
    for item in items:
        values = (short(item["value_initial"]), short(item["value_maintenance"]))
        table.add_row(item["token"], short(item["balance"], 6), *values, joined(item["price_flags"]))
    return table


def _orders_table(orders: Sequence[Document]) -> Table:
    table = _table("Pending orders", "market", "id", "size", "limit", "keeper fee", "price time", "expiry", "kind")
    for order in orders:
        table.add_row(
            order["market"],
            str(order["id"]),
            short(order["size"], 4),
            "none" if order["limit_price"] is None else short(order["limit_price"]),
            short(order["keeper_fee"]),
            str(order["price_time"]),
            str(order["expiry"]),
            "reduce only" if order["reduce_only"] else "",
        )
    return table
