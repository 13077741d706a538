"""`withdraw`: refusals in the order of the code, every balance that moves, events."""

from __future__ import annotations

from tests.support.core import change, traded
from tests.support.ledger_mirror import PoolMirror
from tests.support.protocol import Protocol
from tests.support.reverts import reverts_with

from plimsoll.model.words import AccountId, PoolSettlementWord
from plimsoll.units import PPM, WAD

UNIT = 10**12
NOBODY = "0x" + "0" * 40


def test_withdraw_reverts_in_order(protocol: Protocol) -> None:
    p = protocol
    usdc, weth = (p.tokens[name].address for name in ("USDC", "WETH"))
    account, nowhere = p.account(p.trader), AccountId(p.trader, 9, 0).to_bytes()

    def attempt(account: bytes, token: str, amount: int, to: str, sender: str = p.trader) -> None:
        p.clearinghouse.call("withdraw", account, token, amount, to, sender=sender)

    with reverts_with("ZeroAmount"):
        attempt(nowhere, usdc, 0, NOBODY, p.attacker)
    with reverts_with("ZeroAddress"):
        attempt(nowhere, usdc, 1, NOBODY, p.attacker)
    with reverts_with("NotAccountOwner", nowhere, p.attacker):
        attempt(nowhere, usdc, 1, p.attacker, p.attacker)
    with reverts_with("UnknownPool", 9):
        attempt(nowhere, usdc, 1, p.trader)
    p.deposit(account, 1_000)
    p.deposit(account, 2, token="WETH")
    order, _ = p.place(account, "ETH", "0.1")
    for token in (usdc, weth, p.trader):
        with reverts_with("OrdersPending", account, 1):
            attempt(account, token, 1, p.trader)
    p.order_book.transact("cancelOrder", order, sender=p.trader)
    with reverts_with("UnknownToken", 1, p.trader):
        attempt(account, p.trader, 1, p.trader)
    with reverts_with("InsufficientBalance", 2 * WAD, 2 * WAD + 1):
        attempt(account, weth, 2 * WAD + 1, p.trader)
    assert p.account_word(account).raw_cash == 1_000 * WAD


def test_withdraw_beyond_initial_margin_reverts_with_both_sides(protocol: Protocol) -> None:
    """INV-09."""
    p = protocol
    usdc, account = p.tokens["USDC"].address, p.account(p.trader)
    p.deposit(account, 1_000)
    with reverts_with("InsufficientMargin", -UNIT, 0):
        p.withdraw(account, "1000.000001")
    traded(p, account, "ETH", 5)
    mirror = PoolMirror.read(p, account)
    mirror.see()
    equity, required = mirror.initial(account)
    least = -(-(equity - required + 1) // UNIT)
    mirror.add_cash(account, -least * UNIT)
    equity, required = mirror.initial(account)
    assert equity < required <= equity + UNIT
    # a call is run at the time of the latest block, for which the mirror accrued
    with reverts_with("InsufficientMargin", equity, required):
        p.clearinghouse.call("withdraw", account, usdc, least, p.trader, sender=p.trader)
    # one second of funding is far below a native unit here: one unit less always passes
    p.clearinghouse.transact("withdraw", account, usdc, least - 2, p.trader, sender=p.trader)
    with reverts_with("InsufficientMargin", ...):
        p.withdraw(account, "0.000003")
    p.assert_identity()


def test_profit_and_collateral_count_as_the_design_says(protocol: Protocol) -> None:
    """Unrealised profit backs no withdrawal; collateral counts at the worse of spot and average."""
    p = protocol
    account = p.account(p.trader)
    p.deposit(account, 400)
    p.deposit(account, 1, token="WETH")
    traded(p, account, "ETH", 5)
    p.set_price("ETH", 2_400)
    mirror = PoolMirror.read(p, account)
    mirror.see()
    m = mirror.markets[p.market("ETH")]
    _, profit = mirror.value_of(m, mirror.accounts[account].positions[0], mirror.spots[1].price)
    assert profit > 1_990 * WAD
    assert mirror.trends[1].ema < mirror.spots[1].price
    equity, required = mirror.initial(account)
    value = mirror.trends[1].ema * 800_000 // PPM
    assert equity == mirror.cash_of(account) + value
    with reverts_with("InsufficientMargin", equity - 900 * WAD, required):
        p.clearinghouse.call(
            "withdraw", account, p.tokens["USDC"].address, p.native("USDC", 900), p.trader, sender=p.trader
        )


def test_withdraw_flat(protocol: Protocol) -> None:
    p = protocol
    account = p.account(p.trader)
    p.deposit(account, 1_000)
    p.deposit(account, 1, token="WETH")
    with change(p, p.trader, p.other_trader) as seen:
        receipt = p.withdraw(account, "300.5", to=p.other_trader)
    units = p.native("USDC", "300.5")
    assert seen.terms == {"held": -units * UNIT, "positive_cash": -units * UNIT}
    assert seen.wallets == {("USDC", p.other_trader): units, ("USDC", p.clearinghouse.address): -units}
    assert receipt.event("Withdrawn").args == {
        "account": account,
        "token": p.tokens["USDC"].address,
        "amount": units,
        "to": p.other_trader,
        "word": p.account_word(account).pack(),
        "held": p.ledger().held,
    }
    with change(p, p.trader) as seen:
        p.withdraw(account, 1, token="WETH")
    assert seen.terms == {}
    assert seen.collateral == {p.tokens["WETH"].address: -WAD}
    word = p.account_word(account)
    assert (word.collaterals, word.raw_cash) == (0, 1_000 * WAD - units * UNIT)


def test_withdraw_with_positions_checks_and_remembers_the_prices(protocol: Protocol) -> None:
    p = protocol
    account = p.account(p.trader)
    p.deposit(account, 10_000)
    traded(p, account, "ETH", 5)
    traded(p, account, "BTC", "-0.1")
    p.publish("ETH")
    newest = p.now()
    with change(p, p.trader) as seen:
        p.withdraw(account, 5_000)
    assert seen.terms == {"held": -5_000 * WAD, "positive_cash": -5_000 * WAD}
    assert p.account_word(account).last_check == newest


def test_withdraw_into_debt_and_its_limits(protocol: Protocol) -> None:
    p = protocol
    account = p.account(p.trader)
    p.deposit(account, 20, token="WETH")
    before = p.ledger()
    mirror = PoolMirror.read(p, account)
    with change(p, p.trader) as seen:
        p.withdraw(account, 20_000)
    mirror.see()
    mirror.add_cash(account, -20_000 * WAD)
    assert mirror.differences() == []
    assert seen.terms == {"held": -20_000 * WAD, "debt": 20_000 * WAD}
    assert seen.wallets == {("USDC", p.trader): 20_000 * 10**6, ("USDC", p.clearinghouse.address): -20_000 * 10**6}
    assert p.ledger().cash == before.cash
    p.clearinghouse.transact("setPause", 1, 4, sender=p.guardian)
    with reverts_with("BorrowPaused", 1):
        p.withdraw(account, 1)
    p.clearinghouse.transact("setPause", 1, 0, sender=p.owner)
    # the limit of utilisation: half of V
    p.deposit(account, 4_900, token="WETH")
    p.deposit(account, 200, token="WBTC")
    limit_ppm = PoolSettlementWord.unpack(p.reader.word("poolConfigs_", 1, "settlement")).utilisation_limit_ppm
    mirror = PoolMirror.read(p, account)
    p.anvil.mine()
    mirror.see()
    mirror.add_cash(account, -11_000_000 * WAD)
    limit = mirror.cash * limit_ppm // PPM
    with reverts_with("UtilisationLimit", mirror.total_debt, limit):
        amount = p.native("USDC", 11_000_000)
        p.clearinghouse.call("withdraw", account, p.tokens["USDC"].address, amount, p.trader, sender=p.trader)
    p.withdraw(account, 9_900_000)
    p.assert_identity()


def test_nobody_is_paid_out_of_somebody_elses_bucket(protocol: Protocol) -> None:
    """While V is lent out, a winner gets only what is not insurance, fees, escrow or claims."""
    p = protocol
    winner, borrower, usdc = p.account(p.trader), p.account(p.other_trader), p.tokens["USDC"].address
    p.deposit(winner, 1_000)
    p.deposit(borrower, 4_990, token="WETH")
    p.withdraw(borrower, 7_000_000)
    # a profit of $15M, as a fill would book it: from V to the account
    profit = 15_000_000 * WAD
    write(p, ("accounts_", winner), p.reader.word("accounts_", winner) + profit)
    write(p, ("pools_", 1, "money"), p.reader.word("pools_", 1, "money") - profit)
    p.assert_identity()
    ledger = p.ledger()
    reserved = ledger.insurance + ledger.fees + ledger.escrow + ledger.junior + ledger.lp_escrow + ledger.claims
    free = ledger.held - reserved
    assert free < profit
    wanted = free // UNIT + 1
    with reverts_with("InsufficientPoolLiquidity", free, wanted * UNIT):
        p.clearinghouse.transact("withdraw", winner, usdc, wanted, p.trader, sender=p.trader)
    p.clearinghouse.transact("withdraw", winner, usdc, wanted - 1, p.trader, sender=p.trader)
    assert p.ledger().held == reserved + free - (wanted - 1) * UNIT
    p.assert_identity()


def write(p: Protocol, path: tuple[object, ...], word: int) -> None:
    """Writes a word of the Clearinghouse's storage."""
    slot = p.reader.slots.at(str(path[0]), *path[1:])
    p.rpc.request("anvil_setStorageAt", [p.clearinghouse.address, hex(slot), "0x" + word.to_bytes(32, "big").hex()])


def test_withdraw_refuses_prices_that_an_increase_does_not_tolerate(protocol: Protocol) -> None:
    """INV-27."""
    p = protocol
    account = p.account(p.trader)
    p.deposit(account, 5_000)
    traded(p, account, "ETH", 1)
    p.warp(4_000, publish=False)
    with reverts_with("PriceRefused", 1, 1):
        p.withdraw(account, 1)
    p.publish("ETH")
    p.withdraw(account, 1)


def test_invalid_collateral_counts_nothing_and_blocks_nothing(protocol: Protocol) -> None:
    p = protocol
    account = p.account(p.trader)
    p.deposit(account, 1_000)
    p.deposit(account, 1, token="WETH")
    p.warp(4_000, publish=False)
    with reverts_with("PriceRefused", 1, 1):
        p.withdraw(account, 1_001)
    p.withdraw(account, 1, token="WETH")
    p.withdraw(account, 1_000)
    assert p.account_word(account).raw_cash == 0
