"""Liquidation and collateral sales, on a chain."""

from __future__ import annotations

import pytest
from tests.keeper.conftest import Employ
from tests.support.protocol import Protocol

from plimsoll.keeper.errors import UnsafeStateError
from plimsoll.keeper.sending.fees import Fees
from plimsoll.keeper.sending.ports import Signed
from plimsoll.keeper.sending.signing import UnlockedSigner
from plimsoll.model.words import AccountWord, PositionWord
from plimsoll.units import WAD


def long_eth(protocol: Protocol, sub: int, cash: str, size: str = "8", pool: str = "majors") -> bytes:
    account = protocol.account(protocol.trader, pool, sub)
    protocol.deposit(account, cash)
    protocol.trade(account, "ETH" if pool == "majors" else "SOL", size)
    return account


def corrupt(protocol: Protocol, word: int, variable: str, *path: object) -> None:
    """Writes a storage word that the protocol would never write."""
    slot = protocol.reader.slots.at(variable, *path)
    address = protocol.clearinghouse.address
    protocol.rpc.request("anvil_setStorageAt", [address, f"0x{slot:064x}", f"0x{word:064x}"])
    protocol.anvil.mine()


def is_below(protocol: Protocol, account: bytes) -> bool:
    equity, required, _ = protocol.lens.call("healthBatch", [account])
    return bool(equity[0] < required[0])


NO_AUDIT = {"audit.every": 0}
"""For what is changed behind the back of the logs."""


def test_a_batch_liquidates_the_unhealthy_and_leaves_the_healthy(protocol: Protocol, employ: Employ) -> None:
    weak = [long_eth(protocol, sub, "1000") for sub in range(4)]
    strong = [long_eth(protocol, sub, "5000") for sub in range(4, 7)]
    keeper = employ()
    assert keeper.tick().planned == 0
    protocol.set_price("ETH", "1900")
    untouched = {account: protocol.account_word(account) for account in strong}
    report = keeper.tick()
    assert dict(report.liquidated) == {"Partial": 4}
    assert (len(report.hashes), report.reverts, report.refused) == (1, 0, 0)
    assert report.rewards > 0
    assert protocol.account_word(protocol.account(protocol.keeper)).raw_cash >= report.rewards
    assert [is_below(protocol, account) for account in weak + strong] == [False] * 7
    assert {account: protocol.account_word(account) for account in strong} == untouched
    assert keeper.tick().planned == 0
    protocol.assert_identity()


def test_bad_debt_is_cleared_and_pools_go_in_separate_batches(protocol: Protocol, employ: Employ) -> None:
    long_eth(protocol, 0, "1000")
    long_eth(protocol, 0, "1000", "50", "longtail")
    protocol.set_price("ETH", "1500")
    protocol.set_price("SOL", "60")
    report = employ().tick()
    assert dict(report.liquidated) == {"BadDebt": 2}
    assert len(report.hashes) == 2
    protocol.assert_identity()


def test_batches_keep_to_the_gas_limit(protocol: Protocol, employ: Employ) -> None:
    for sub in range(11):
        long_eth(protocol, sub, "1000")
    protocol.set_price("ETH", "1900")
    report = employ(batch_gas=1_000_000).tick()
    assert (dict(report.liquidated), len(report.hashes)) == ({"Partial": 11}, 3)


def test_a_poisoned_account_does_not_shield_the_others(protocol: Protocol, employ: Employ, lines: list[str]) -> None:
    accounts = [long_eth(protocol, sub, "1000") for sub in range(6)]
    poisoned = accounts[2]
    position = protocol.position_word(poisoned, "ETH")
    # More shares than its whole side: its health can be told, closing it cannot be done.
    word = PositionWord(position.shares * 100, position.entry, position.last_event).pack()
    corrupt(protocol, word, "positions_", poisoned, 0)
    protocol.set_price("ETH", "1900")
    keeper = employ(**NO_AUDIT)
    report = keeper.tick()
    assert dict(report.liquidated) == {"Partial": 5}
    assert (report.refused, report.reverts) == (1, 0)
    assert is_below(protocol, poisoned)
    assert any("is not liquidated: Panic(0x11)" in line for line in lines), lines
    protocol.anvil.mine()
    again = keeper.tick()
    assert (again.planned, again.refused) == (0, 0), "not tried again at the same prices"
    protocol.set_price("ETH", "1899")
    assert keeper.tick().refused == 1


def test_an_account_that_the_contracts_cannot_value_does_not_shield_the_others(
    protocol: Protocol, employ: Employ, lines: list[str]
) -> None:
    accounts = [long_eth(protocol, sub, "1000") for sub in range(5)]
    broken = protocol.account_word(accounts[3])
    word = AccountWord(broken.raw_cash, broken.markets | 1 << 7, 0, broken.version, broken.last_check, 0).pack()
    corrupt(protocol, word, "accounts_", accounts[3])
    protocol.set_price("ETH", "1900")
    report = employ(**NO_AUDIT).tick()
    assert dict(report.liquidated) == {"Partial": 4}
    assert any("is not liquidated: UnknownMarket" in line for line in lines)


def test_an_account_that_differs_from_the_chain_stops_all_sending(
    protocol: Protocol, employ: Employ, lines: list[str]
) -> None:
    account = long_eth(protocol, 0, "1000")
    keeper = employ()
    keeper.tick()
    word = protocol.account_word(account)
    wrong = AccountWord(word.raw_cash + 1, word.markets, word.collaterals, word.version, word.last_check, 0).pack()
    corrupt(protocol, wrong, "accounts_", account)
    protocol.anvil.mine()
    keeper.tick()
    assert any("accounts differ from the chain at block" in line for line in lines), lines
    protocol.set_price("ETH", "1900")
    report = keeper.tick()
    assert (report.planned, report.hashes) == (0, [])
    assert is_below(protocol, account)
    assert keeper.keeper.status().halts != ()


# ── collateral on sale ─────────────────────────────────────────────────────


def under_water(protocol: Protocol, employ: Employ, sub: int = 0) -> bytes:
    """An account with 5 WETH and a debt of about $9,600 whose collateral has just gone on sale."""
    account = protocol.account(protocol.trader, sub=sub)
    protocol.deposit(account, "5", "WETH")
    protocol.trade(account, "BTC", "2")
    protocol.set_price("BTC", "35200")
    report = employ().tick()
    assert dict(report.liquidated) == {"SaleStarted": 1}
    return account


def test_collateral_is_bought_at_a_discount(protocol: Protocol, employ: Employ, lines: list[str]) -> None:
    account = under_water(protocol, employ)
    protocol.mint("USDC", protocol.keeper, "20_000")
    keeper = employ(min_discount="4 %")
    assert keeper.tick().planned == 0
    assert any("bought from a discount of 4 % on" in line for line in lines)
    protocol.warp(460)
    report = keeper.tick() + keeper.tick()
    assert (report.sales, report.reverts, len(report.hashes)) == (1, 0, 2), "an approval and a purchase"
    bought, paid = protocol.balance("WETH", protocol.keeper), 20_000 * 10**6 - protocol.balance("USDC", protocol.keeper)
    assert bought > 4 * WAD
    assert paid * 10**12 < bought * 2000 * 96 // 100 + 10**12
    assert 0 <= bought * 2000 - paid * 10**12 - report.sale_profit <= bought * 2000 // 100
    protocol.assert_identity()
    assert keeper.tick().planned == 0
    assert account not in keeper.mirror.sales, "the least amount that ends the sale was bought"


def test_the_reserve_is_never_spent(protocol: Protocol, employ: Employ) -> None:
    under_water(protocol, employ)
    protocol.mint("USDC", protocol.keeper, "5_000")
    keeper = employ(reserve="3000")
    protocol.warp(600)
    report = keeper.tick() + keeper.tick()
    assert report.sales == 1
    assert 3_000 * 10**6 <= protocol.balance("USDC", protocol.keeper) < 3_001 * 10**6
    protocol.warp(10)
    assert keeper.tick().planned == 0, "what is left is not worth a transaction"


def test_without_funds_the_sale_waits(protocol: Protocol, employ: Employ, lines: list[str]) -> None:
    under_water(protocol, employ)
    keeper = employ()
    protocol.warp(600)
    assert (keeper.tick().planned, keeper.tick().hashes) == (0, [])
    assert any("nothing may be spent" in line for line in lines)


def test_a_dry_run_approves_and_buys_nothing(protocol: Protocol, employ: Employ) -> None:
    under_water(protocol, employ)
    protocol.mint("USDC", protocol.keeper, "20_000")
    protocol.warp(600)
    block = protocol.anvil.block_number()
    report = employ(dry_run=True).tick()
    assert (report.simulated, report.hashes, protocol.anvil.block_number()) == (1, [], block)


def test_with_manual_mining_the_purchase_follows_the_approval(protocol: Protocol, employ: Employ) -> None:
    under_water(protocol, employ)
    protocol.mint("USDC", protocol.keeper, "20_000")
    protocol.warp(600)
    protocol.anvil.set_automine(False)
    try:
        keeper = employ()
        approved = keeper.tick()
        assert (len(approved.hashes), approved.refused) == (1, 0)
        protocol.anvil.mine()
        assert len(keeper.tick().hashes) == 1
        protocol.anvil.mine()
        assert keeper.tick().sales == 1
    finally:
        protocol.anvil.set_automine(True)


def test_a_recovered_account_is_taken_off_sale(protocol: Protocol, employ: Employ) -> None:
    account = under_water(protocol, employ)
    keeper = employ()
    for _ in range(12):  # the moving average follows: collateral counts at the lower of both
        protocol.warp(600, publish=False)
        protocol.set_price("ETH", "3000")
        protocol.clearinghouse.transact("accrue", protocol.market("ETH"), sender=protocol.attacker)
    report = keeper.tick()
    assert (report.planned, report.reverts, len(report.hashes)) == (1, 0, 1)
    keeper.tick()
    assert keeper.mirror.sales == {}
    assert protocol.lens.call("account", account).saleStart == 0


def test_an_account_that_repaid_its_debt_is_taken_off_sale(protocol: Protocol, employ: Employ) -> None:
    account = under_water(protocol, employ)
    keeper = employ()
    protocol.deposit(account, "20_000")
    report = keeper.tick()
    assert (report.planned, report.reverts, len(report.hashes)) == (1, 0, 1)
    assert protocol.lens.call("account", account).saleStart == 0
    assert protocol.lens.call("pool", 1).openSales == 0


def test_collateral_that_nobody_would_buy_ends_as_bad_debt(protocol: Protocol, employ: Employ) -> None:
    account = under_water(protocol, employ)
    keeper = employ()
    # All but $0.4 of the collateral is sold to somebody else.
    protocol.mint("USDC", protocol.attacker, "20_000")
    protocol.approve("USDC", protocol.attacker)
    protocol.warp(900)
    token = protocol.tokens["WETH"].address
    sold = 5 * WAD - 2 * WAD // 10_000
    arguments = (account, token, sold, 2**255, b"")
    protocol.clearinghouse.transact("buyCollateral", *arguments, sender=protocol.attacker)
    report = keeper.tick()
    assert (dict(report.liquidated), report.sales, report.reverts) == ({"BadDebt": 1}, 0, 0)
    assert protocol.claim_of(protocol.keeper, token="WETH") == 2 * WAD // 10_000
    assert keeper.tick().planned == 0
    assert keeper.mirror.sales == {}
    protocol.assert_identity()


def test_without_ether_nothing_is_sent_until_it_comes(protocol: Protocol, employ: Employ, lines: list[str]) -> None:
    long_eth(protocol, 0, "1000")
    keeper = employ()
    keeper.tick()
    protocol.anvil.set_balance(protocol.keeper, 10**9)
    protocol.set_price("ETH", "1900")
    report = keeper.tick()
    assert report.hashes == []
    assert "wei are needed and 1000000000 are free; send ether to the sender" in report.blocked
    assert sum("blocked" in line for line in lines) == 1
    protocol.anvil.set_balance(protocol.keeper, 10**18)
    protocol.anvil.mine()
    report = keeper.tick()
    assert (report.blocked, dict(report.liquidated)) == ("", {"Partial": 1})


def test_transactions_that_keep_reverting_stop_the_keeper(
    protocol: Protocol, employ: Employ, monkeypatch: pytest.MonkeyPatch
) -> None:
    long_eth(protocol, 0, "1000")
    sign = UnlockedSigner.sign

    async def starving(
        self: UnlockedSigner, nonce: int, fees: Fees, gas: int, to: str, data: bytes, wei: int
    ) -> Signed:
        return await sign(self, nonce, fees, 100_000, to, data, wei)

    monkeypatch.setattr(UnlockedSigner, "sign", starving)
    keeper = employ(max_reverts=3)
    for price in ("1900", "1899"):
        protocol.set_price("ETH", price)
        report = keeper.tick()
        assert (report.reverts, report.liquidated) == (1, {})
    protocol.set_price("ETH", "1898")
    keeper.tick()
    with pytest.raises(UnsafeStateError, match="3 transactions in a row reverted although their simulation passed"):
        keeper.tick()


@pytest.mark.parametrize("sub", [0, 5])
def test_rewards_go_to_the_chosen_sub_account(protocol: Protocol, employ: Employ, sub: int) -> None:
    long_eth(protocol, 0, "1000")
    protocol.set_price("ETH", "1900")
    report = employ(sub_account=sub).tick()
    assert protocol.account_word(protocol.account(protocol.keeper, sub=sub)).raw_cash >= report.rewards > 0
