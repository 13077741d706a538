"""Two pools on one Clearinghouse: nothing that happens to one moves the other by a wei."""

from __future__ import annotations

import pytest
from tests.support.core import traded
from tests.support.protocol import LiquidationResult, Protocol
from tests.support.reverts import reverts_with

from plimsoll.chain.errors import Revert
from plimsoll.units import WAD


def test_wiping_out_one_pool_leaves_the_other_to_the_wei(protocol: Protocol) -> None:
    """INV-11."""
    p = protocol
    long, short, bystander = (p.account(actor, "longtail") for actor in (p.trader, p.other_trader, p.lp))
    major = p.account(p.trader)
    p.deposit(major, 5_000)
    traded(p, major, "ETH", 2)
    p.deposit(long, 90_000)
    p.deposit(short, 40_000)
    p.deposit(bystander, 100)
    for account, size in ((long, 1_900), (long, 90), (short, -1_900)):
        traded(p, account, "SOL", size, *([long, short]))
    other = p.ledger("majors")
    nav, view = p.nav("majors"), p.lens.call("maxTrade", major, p.market("ETH"), True)
    words = {name: p.reader.word("poolConfigs_", 1, name) for name in ("risk", "settlement", "liquidity")}
    # the price of SOL explodes: the shorts lose far more than they have, winners take the pool
    for price in (130, 260, 900, 3_000):
        p.set_price("SOL", price)
        p.clearinghouse.transact("accrue", p.market("SOL"), sender=p.attacker)
    done = p.liquidate(short, keeper=p.account(p.keeper, "longtail"))
    assert done.results == [LiquidationResult.BAD_DEBT]
    assert p.nav("longtail") <= 0 or p.ledger("longtail").insurance == 0
    p.trade(long, "SOL", -1_990, reduce_only=True)
    assert p.ledger("longtail").cash < 5_000_000 * WAD
    assert p.ledger("majors") == other
    assert p.nav("majors") == nav
    assert words == {name: p.reader.word("poolConfigs_", 1, name) for name in words}
    p.publish("ETH", "BTC")
    # trading and withdrawing there is as it was; the limits have moved by seconds of funding alone
    assert abs(p.lens.call("maxTrade", major, p.market("ETH"), True) - view) <= view // 10**6
    p.withdraw(major, 1_000)
    traded(p, major, "ETH", -2, reduce_only=True)
    p.assert_identity()


def test_a_winner_cannot_be_paid_with_the_tokens_of_the_other_pool(protocol: Protocol) -> None:
    """All tokens lie at one address, but each pool pays from what it holds."""
    p = protocol
    winner, usdc = p.account(p.trader, "longtail"), p.tokens["USDC"]
    p.deposit(winner, 1_000)
    held = p.ledger("longtail").held
    # a ledger that is wrong by far: the account has more cash than its pool holds of the token
    slot = p.reader.slots.at("accounts_", winner)
    word = p.reader.word("accounts_", winner) + 2 * held
    p.rpc.request("anvil_setStorageAt", [p.clearinghouse.address, hex(slot), "0x" + word.to_bytes(32, "big").hex()])
    balance = usdc.call("balanceOf", p.clearinghouse.address)
    assert balance * 10**12 > 2 * held
    wanted = held // 10**12 + 1
    with pytest.raises(Revert, match=r"overflow|InsufficientPoolLiquidity"):
        p.clearinghouse.transact("withdraw", winner, usdc.address, wanted, p.trader, sender=p.trader)
    assert usdc.call("balanceOf", p.clearinghouse.address) == balance


def test_collateral_of_one_pool_is_unknown_in_the_other(protocol: Protocol) -> None:
    p = protocol
    weth = p.tokens["WETH"].address
    p.deposit(p.account(p.lp), 3, token="WETH")
    thief = p.account(p.attacker, "longtail")
    for fn, args in (
        ("withdraw", (thief, weth, 1, p.attacker)),
        ("transfer", (thief, p.account(p.attacker, "longtail", 1), weth, 1)),
    ):
        with reverts_with("UnknownToken", 2, weth):
            p.clearinghouse.call(fn, *args, sender=p.attacker)
    with reverts_with("NothingToClaim", 2, weth, p.attacker):
        p.clearinghouse.call("claim", 2, weth, p.attacker, sender=p.attacker)


def test_donations_change_nothing(protocol: Protocol) -> None:
    """INV-01: tokens and ether sent to any contract: no ledger, price of a share or limit moves."""
    p = protocol
    account = p.account(p.trader)
    p.deposit(account, 5_000)
    traded(p, account, "ETH", 2)
    lp = p.pools["majors"].lp
    before = [p.ledger("majors"), p.ledger("longtail"), lp.call("totalAssets"), lp.call("convertToAssets", 10**18)]
    contracts = [entry.address for entry in p.deployment.book.contracts.values()]
    for address in contracts:
        for token in p.tokens.values():
            token.transact("mint", address, 10**12, sender=p.attacker)
        p.anvil.set_balance(address, 10**18)
    after = [p.ledger("majors"), p.ledger("longtail"), lp.call("totalAssets"), lp.call("convertToAssets", 10**18)]
    assert before == after
    with reverts_with("NothingToClaim", 1, p.tokens["USDC"].address, p.attacker):
        p.clearinghouse.call("claim", 1, p.tokens["USDC"].address, p.attacker, sender=p.attacker)
    p.deposit(account, 1)
    p.withdraw(account, 1)
    assert p.lp_redeem(p.lp, 10**21) > 0
    traded(p, account, "ETH", -2)
    p.assert_identity()
