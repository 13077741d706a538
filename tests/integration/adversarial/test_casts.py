"""Amounts beyond 2^255 in every unsigned argument, and signed extremes: no cast turns one into a gain."""

from __future__ import annotations

import pytest
from tests.integration.test_pauses_roles import blank, functions
from tests.integration.test_setters import market_of, pool_of
from tests.support.core import everything, traded
from tests.support.protocol import OrderResult, Protocol

from plimsoll.chain.errors import ContractRevert, Revert
from plimsoll.units import WAD

HUGE = (2**255, 2**255 + 1, 2**256 - 2, 2**256 - 1, 2**256 - 10**18, 2**128, 2**112, 2**111)


@pytest.fixture
def rich(protocol: Protocol) -> tuple[Protocol, bytes]:
    """A trader with cash, collateral, a position and a claim; infinite approvals."""
    p = protocol
    account = p.account(p.trader)
    p.deposit(account, 10_000)
    p.deposit(account, 2, token="WETH")
    traded(p, account, "ETH", 2)
    for token in p.tokens:
        p.mint(token, p.trader, 1_000)
        p.approve(token, p.trader)
    return p, account


def test_no_amount_is_too_large_to_be_refused(rich: tuple[Protocol, bytes]) -> None:
    """INV-39: every function of a trader, each token, huge amounts: a named refusal, and nothing has moved."""
    p, account = rich
    other, before = p.account(p.trader, sub=1), everything(p)
    usdc, weth = p.tokens["USDC"].address, p.tokens["WETH"].address
    panics = []
    for amount in HUGE:
        for token in (usdc, weth):
            calls = [
                ("deposit", (account, token, amount)),
                ("withdraw", (account, token, amount, p.trader)),
                ("transfer", (account, other, token, amount)),
                ("buyCollateral", (account, token, amount, amount, b"")),
                ("depositWithPermit", (account, token, amount, amount, 27, bytes(32), bytes(32))),
            ]
            if token == usdc:
                calls.append(("fundInsurance", (1, amount)))
            for fn, args in calls:
                kind = refusal(p, fn, args)
                assert kind in {"ContractRevert", "Panic"}, f"{fn}{args}: {kind}"
                if kind == "Panic":
                    panics.append(fn)
    # withdrawals never panic, whatever is asked; a deposit of what no token has may
    assert "withdraw" not in panics
    assert "transfer" not in panics
    assert everything(p) == before


def refusal(p: Protocol, fn: str, args: tuple[object, ...]) -> str:
    """The kind of error, empty when there is none."""
    try:
        p.clearinghouse.call(fn, *args, sender=p.trader)
    except Revert as error:
        return type(error).__name__
    return ""


@pytest.mark.parametrize("size", [-(2**255), 2**255 - 1, -(2**128), 2**128, 2**112, -(2**104)])
@pytest.mark.parametrize("reduce_only", [False, True])
def test_orders_of_any_size_end(rich: tuple[Protocol, bytes], size: int, reduce_only: bool) -> None:
    """An order of an absurd size neither fills nor stays for ever, and blocks no later one."""
    p, account = rich
    market = p.market("ETH")
    fee = WAD // 10
    arguments = (account, market, size, 2**256 - 1 if size > 0 else 0, p.now() + 61, fee, reduce_only, bytes(32))
    before = p.position_word(account, "ETH")
    placed = p.order_book.transact("placeOrder", *arguments, sender=p.trader).event("OrderPlaced").args
    order = {key: value for key, value in placed.items() if key != "priceTime"}
    p.anvil.advance(6)
    p.publish("ETH")
    results, _ = p.execute(order)
    closes = reduce_only and size < 0
    if results == [OrderResult.FILLED]:
        assert closes
        assert p.account_word(account).markets == 0
        return
    assert p.position_word(account, "ETH") == before
    if results[0] is not OrderResult.CANCELLED:
        p.warp(100)
        assert p.execute(order)[0] == [OrderResult.EXPIRED]
    traded(p, account, "ETH", -2, reduce_only=True)
    p.assert_identity()


def test_numbers_of_orders_beyond_their_range(rich: tuple[Protocol, bytes]) -> None:
    p, account = rich
    market, fine = p.market("ETH"), WAD // 10
    before = everything(p)
    for limit, expiry, fee in (
        (2**256 - 1, 2**256 - 1, fine),
        (2**255, p.now() + 100, 2**256 - 1),
        (0, p.now() + 100, 2**255),
        (0, 2**255, 2**128),
    ):
        for size in (WAD, -WAD):
            with pytest.raises(ContractRevert):
                p.order_book.call(
                    "placeOrder", account, market, size, limit, expiry, fee, False, bytes(32), sender=p.trader
                )
    assert everything(p) == before


def test_parameters_beyond_their_fields(protocol: Protocol) -> None:
    """INV-33: every number of every setter at 2^256 − 1 and 2^255: refused, nothing stored."""
    p = protocol
    parts = ("risk", "liquidation", "settlement", "interest", "liquidity")
    before = p.reader.words([("poolConfigs_", 1, part) for part in parts])
    markets = p.reader.words([("marketConfigs_", 256, part) for part in ("margin", "trade", "limits")])
    for huge in (2**256 - 1, 2**255, 2**255 - 2**255 % 10**9):
        for name, value in pool_of(p).items():
            if isinstance(value, int):
                with pytest.raises(Revert):
                    p.clearinghouse.call("setPool", 1, pool_of(p, **{name: huge}), sender=p.owner)
        for name, value in market_of(p).items():
            if isinstance(value, int):
                with pytest.raises(Revert):
                    p.clearinghouse.call("setMarket", 256, market_of(p, **{name: huge}), sender=p.owner)
    assert p.reader.words([("poolConfigs_", 1, part) for part in parts]) == before
    assert p.reader.words([("marketConfigs_", 256, part) for part in ("margin", "trade", "limits")]) == markets


def test_huge_numbers_in_every_argument_of_everybody(protocol: Protocol) -> None:
    """INV-11: all unsigned arguments of all functions at once: an outsider changes nothing."""
    p = protocol
    before = everything(p)
    for huge in (2**255, 2**256 - 1):
        for name, item in functions(p).items():
            arguments = []
            for entry in item["inputs"]:
                kind = entry["type"]
                fits = kind.startswith("uint") and int(kind[4:] or 256)
                arguments.append(min(huge, 2 ** int(fits) - 1) if fits else blank(entry))
            if name in {"liquidate", "multicall"}:
                continue
            with pytest.raises(Revert):
                p.clearinghouse.transact(name, *arguments, sender=p.attacker)
    assert everything(p) == before
