"""Moves of the core tests: each does something on chain, repeats it in the mirror, and compares every word."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from plimsoll.chain.receipt import Receipt
from plimsoll.model.oracle_words import Spot
from plimsoll.units import parse_units
from tests.support import mirror_actions
from tests.support.ledger_mirror import PoolMirror
from tests.support.mirror_actions import Closing, Filling
from tests.support.protocol import Amount, Liquidation, OrderResult, Protocol

__all__ = [
    "TERMS",
    "Change",
    "Mirrored",
    "change",
    "due",
    "everything",
    "liquidated",
    "reason_of",
    "refusal",
    "setting",
    "traded",
]

TERMS = (
    "held",
    "positive_cash",
    "debt",
    "cash",
    "insurance",
    "junior",
    "fees",
    "escrow",
    "lp_escrow",
    "claims",
    "loss_sum",
)


@dataclass(slots=True)
class Change:
    """What a block of calls did to the terms of a pool's ledger (WAD) and to wallets (native units); zeros left out."""

    terms: dict[str, int] = field(default_factory=dict)
    wallets: dict[tuple[str, str], int] = field(default_factory=dict)
    collateral: dict[str, int] = field(default_factory=dict)


@contextmanager
def change(p: Protocol, *wallets: str, pool: str = "majors") -> Iterator[Change]:
    """Fills in a `Change` when the block ends, after checking every identity of every pool."""
    found = Change()
    owners = (*wallets, p.clearinghouse.address)
    before, held = p.ledger(pool), {(t, o): p.balance(t, o) for t in p.tokens for o in owners}
    yield found
    p.assert_identity()
    after = p.ledger(pool)
    for term in TERMS:
        if getattr(after, term) != getattr(before, term):
            found.terms[term] = getattr(after, term) - getattr(before, term)
    for key, balance in held.items():
        if p.balance(*key) != balance:
            found.wallets[key] = p.balance(*key) - balance
    for token, amount in before.collateral_held.items():
        if after.collateral_held[token] != amount:
            found.collateral[token] = after.collateral_held[token] - amount


@dataclass(frozen=True, slots=True)
class Mirrored:
    """A fill on chain that equals the mirror's, which is left as it was right after the fill."""

    expected: Filling
    mirror: PoolMirror
    order: dict[str, Any]
    receipt: Receipt


def due(p: Protocol, order: dict[str, Any], price: Amount | None = None) -> None:
    """Waits for the order's price time and lets its feed publish."""
    p.anvil.advance(max(p.price_time(order) - p.now() - 1, 1))
    asset = p.asset_of(order["market"])
    if price is not None:
        p.prices[asset] = parse_units(price)
    p.publish(asset)


def traded(
    p: Protocol,
    account: bytes,
    market: str,
    size: Amount,
    *others: bytes,
    price: Amount | None = None,
    latest: Amount | None = None,
    reduce_only: bool = False,
    keeper: bytes | None = None,
) -> Mirrored:
    """Places and executes an order; chain and mirror must agree on every word and on the event.

    :param others: further accounts to load, whose positions must not change.
    :param latest: published after the order's own price and before it is executed.
    """
    pool = p.pool_of(account).name
    paid = keeper if keeper is not None else p.account(p.keeper, pool)
    order, _ = p.place(account, market, size, reduce_only=reduce_only)
    due(p, order, price)
    own = p.price_time(order)
    mirror = PoolMirror.read(p, account, *_of_pool(p, paid, pool), *others, pool=pool)
    asset = p.deployment.parameters.assets[p.asset_of(market)].id
    own_spot: Spot | None = None
    hint = b""
    if latest is not None:
        round_id, before = p.hub.call("searchRound", asset, own)
        hint = round_id.to_bytes(32, "big") + before.to_bytes(32, "big")
        own_spot = mirror_spot(p, asset, own, hint)
        p.set_price(p.asset_of(market), latest)
    results, receipt = p.execute(order, keeper=paid, hint=hint)
    skipped = receipt.named("OrderSkipped") + receipt.named("OrderCancelled")
    assert results == [OrderResult.FILLED], [str(p.deployment.errors.decode(e["reason"])) for e in skipped]
    mirror.see()
    expected = mirror_actions.fill(
        mirror,
        account,
        p.market(market),
        parse_units(size),
        reduce_only=reduce_only,
        keeper=paid,
        keeper_fee=order["keeperFee"],
        order=own_spot,
    )
    assert mirror.differences() == []
    event = receipt.event("Filled")
    told = {name: value for name, value in event.args.items() if name not in ("spot", "words")}
    assert told == {
        "account": account,
        "market": p.market(market),
        "keeper": paid,
        "id": order["id"],
        "sizeDelta": expected.size_delta,
        "sizeAfter": expected.size_after,
        "fillPrice": expected.fill_price,
        "profit": expected.profit,
        "cost": expected.cost,
        "fee": expected.fee,
    }
    return Mirrored(expected, mirror, order, receipt)


def _of_pool(p: Protocol, account: bytes, pool: str) -> tuple[bytes, ...]:
    """The keeper's account if the pool credits it; otherwise its owner gets a claim."""
    return (account,) if int.from_bytes(account[20:22], "big") == p.pools[pool].id else ()


def mirror_spot(p: Protocol, asset: int, not_before: int, hint: bytes) -> Spot:
    """The order's price as the hub gives it."""
    return Spot.unpack(p.hub.call("firstAfter", asset, not_before, hint))


def liquidated(
    p: Protocol, account: bytes, *others: bytes, keeper: bytes | None = None, secondary: bool = False, base_fee: int = 0
) -> tuple[Liquidation, Closing, PoolMirror]:
    """Liquidates one account with positions; chain and mirror must agree on every word and on the event."""
    pool = p.pool_of(account).name
    paid = keeper if keeper is not None else p.account(p.keeper, pool)
    mirror = PoolMirror.read(p, account, *_of_pool(p, paid, pool), *others, pool=pool)
    if base_fee:
        p.anvil.set_base_fee(base_fee)
    done = p.liquidate(account, keeper=paid)
    mirror.see()
    expected = mirror_actions.liquidate(mirror, account, paid, secondary=secondary, base_fee=base_fee)
    assert mirror.differences() == []
    event = done.receipt.event("Liquidated")
    told = {name: value for name, value in event.args.items() if name not in ("word", "keeperWord")}
    assert told == {
        "account": account,
        "keeper": paid,
        "result": int(done.results[0]),
        "equity": expected.equity,
        "maintenance": expected.maintenance,
        "charged": expected.charged,
        "reward": expected.reward,
    }
    return done, expected, mirror


def refusal(p: Protocol, order: dict[str, Any], **options: Any) -> tuple[OrderResult, Any]:
    """Executes an order that is not filled: its result, and the decoded error of the Clearinghouse."""
    results, receipt = p.execute(order, **options)
    events = receipt.named("OrderSkipped") + receipt.named("OrderCancelled")
    return results[0], reason_of(p, events[0]["reason"])


def reason_of(p: Protocol, data: bytes) -> Any:
    """A revert reason as (name, arguments)."""
    error = p.deployment.errors.decode(data)
    return (getattr(error, "name", type(error).__name__), getattr(error, "values", ()))


def everything(p: Protocol) -> dict[str, Any]:
    """All terms of all pools and every account, to show that nothing changed."""
    return {name: p.ledger(name) for name in p.pools}


def setting(p: Protocol, pool: str = "majors") -> PoolMirror:
    """The pool's configuration (and state) without accounts."""
    return PoolMirror.read(p, pool=pool)
