"""Batches: a code per account, nothing disturbs the others, calling more often earns nothing."""

from __future__ import annotations

from tests.support.core import change, everything, traded
from tests.support.protocol import LiquidationResult, Protocol

from plimsoll.model.words import AccountId
from plimsoll.units import WAD

R = LiquidationResult


def test_one_batch_with_every_kind(protocol: Protocol) -> None:
    p = protocol
    healthy, partial, full, broke = (p.account(p.trader, sub=sub) for sub in range(4))
    sale, nothing = p.account(p.other_trader), p.account(p.other_trader, sub=9)
    nowhere = AccountId(p.trader, 77, 0).to_bytes()
    for account, cash in ((healthy, 3_000), (partial, 1_250), (full, 925), (broke, 850)):
        p.deposit(account, cash)
        traded(p, account, "ETH", 10)
    p.deposit(sale, 500)
    p.deposit(sale, "0.3", token="WETH")
    traded(p, sale, "ETH", 10)
    p.set_price("ETH", 1_911)
    accounts = [healthy, partial, full, broke, sale, nothing, nowhere, partial, full]
    with change(p) as seen:
        done = p.liquidate(*accounts)
    assert done.results == [
        R.HEALTHY,
        R.PARTIAL,
        R.FULL,
        R.BAD_DEBT,
        R.FULL,
        R.HEALTHY,
        R.HEALTHY,
        R.HEALTHY,
        R.HEALTHY,
    ]
    assert "held" not in seen.terms
    liquidations = done.receipt.named("Liquidated")
    assert [event["account"] for event in liquidations] == [partial, full, broke, sale]
    assert [event["result"] for event in liquidations] == [R.PARTIAL, R.FULL, R.BAD_DEBT, R.FULL]


def test_a_batch_equals_single_calls(protocol: Protocol) -> None:
    p = protocol
    accounts = [p.account(p.trader, sub=sub) for sub in range(3)]
    for number, account in enumerate(accounts):
        p.deposit(account, 1_000 + 40 * number)
        traded(p, account, "ETH", 10 - 2 * number)
    p.set_price("ETH", 1_935)
    at = p.now() + 20
    words = []
    for parts in ([accounts], [[one] for one in accounts], [accounts[:1], accounts[1:]]):
        with p.snapshot():
            for part in parts:
                p.anvil.set_block_interval(0)
                p.anvil.set_next_timestamp(at)
                p.liquidate(*part)
            p.anvil.set_block_interval(1)
            words.append([p.account_word(one).raw_cash for one in (*accounts, p.account(p.keeper))])
            p.assert_identity()
    assert words[0] == words[1] == words[2]


def test_healthy_accounts_cost_and_change_nothing(protocol: Protocol) -> None:
    """INV-11, INV-12, INV-16."""
    p = protocol
    account = p.account(p.trader)
    p.deposit(account, 3_000)
    traded(p, account, "ETH", 10)
    p.publish()
    before = everything(p)
    done = p.liquidate(account, account)
    assert done.results == [R.HEALTHY, R.HEALTHY]
    assert done.receipt.named("AccountSet") == []
    assert everything(p) == before


def test_a_second_call_at_the_same_price_earns_nothing(protocol: Protocol) -> None:
    """INV-16."""
    p = protocol
    account, keeper = p.account(p.trader), p.account(p.keeper)
    p.deposit(account, 1_000)
    traded(p, account, "ETH", 10)
    p.set_price("ETH", 1_955)
    p.liquidate(account)
    paid = p.account_word(keeper).raw_cash
    assert p.liquidate(account).results == [R.HEALTHY]
    assert p.account_word(keeper).raw_cash == paid
    assert paid > WAD // 10


def test_accounts_of_both_pools_in_one_batch(protocol: Protocol) -> None:
    p = protocol
    one, two = p.account(p.trader), p.account(p.trader, "longtail")
    p.deposit(one, 1_000)
    traded(p, one, "ETH", 10)
    p.deposit(two, 300)
    traded(p, two, "SOL", 20)
    p.set_price("ETH", 1_950)
    p.set_price("SOL", 92)
    keeper = p.account(p.keeper)
    done = p.liquidate(one, two, keeper=keeper)
    assert R.HEALTHY not in done.results
    assert p.claim_of(p.keeper, "longtail") > 0
    p.assert_identity()


def test_an_empty_batch_is_nothing(protocol: Protocol) -> None:
    assert protocol.clearinghouse.call("liquidate", [], bytes(32), sender=protocol.keeper) == []
