"""Bad feeds: no shield against liquidation, no way to choose a price; sequencer, grace, cool-off."""

from __future__ import annotations

from typing import Any

import pytest
from tests.integration.test_setters import market_of
from tests.support.core import due, liquidated, refusal, traded
from tests.support.ledger_mirror import PoolMirror
from tests.support.mirror_actions import health
from tests.support.protocol import LiquidationResult, OrderResult, Protocol
from tests.support.reverts import reverts_with

from plimsoll.chain.contract import Contract, deploy
from plimsoll.deploy.deployment import deployed_contracts
from plimsoll.units import PPM, WAD, mul_div_up

R = LiquidationResult


def below(p: Protocol, *, cash: int = 1_900) -> bytes:
    """Long 10 ETH and 0.25 BTC, healthy at the start."""
    account = p.account(p.trader)
    p.deposit(account, cash)
    traded(p, account, "ETH", 10)
    traded(p, account, "BTC", "0.25")
    return account


def kill(p: Protocol, symbol: str) -> None:
    """The feed answers nonsense from now on."""
    p.feeds[symbol].transact("push", 0, p.now() + 1, sender=p.deployer)


# ── invalid ────────────────────────────────────────────────────────────────


def test_an_invalid_feed_is_no_shield(protocol: Protocol) -> None:
    """INV-13: the invalid leg counts at its most favourable bound and needs no margin; the other leg is closed."""
    p = protocol
    account = below(p)
    kill(p, "BTC")
    p.set_price("ETH", 1_780)
    mirror = PoolMirror.read(p, account)
    mirror.see()
    legs, equity, required = health(mirror, account)
    btc = next(leg for leg in legs if leg.market.id == p.market("BTC"))
    assert not btc.closable
    assert btc.price == mul_div_up(mirror.spots[2].price, PPM + mirror.trends[2].bound_ppm, PPM)
    assert mirror.trends[2].bound_ppm >= 10_000
    assert (btc.requirement, equity < required) == (0, True)
    done, closing, _ = liquidated(p, account)
    assert list(closing.closed) == [p.market("ETH")]
    assert done.results[0] in {R.PARTIAL, R.FULL}
    assert p.position_word(account, "BTC").shares == WAD // 4
    p.assert_identity()


def test_healthy_within_the_bound_is_left_alone(protocol: Protocol) -> None:
    """INV-12."""
    p = protocol
    account = below(p, cash=1_900)
    p.set_price("ETH", 1_862)
    with p.snapshot():
        assert p.liquidate(account).results != [R.HEALTHY]
    kill(p, "BTC")
    p.set_price("ETH", 1_862)
    mirror = PoolMirror.read(p, account)
    p.anvil.mine()
    mirror.see()
    _, equity, required = health(mirror, account)
    assert equity >= required
    assert p.liquidate(account).results == [R.HEALTHY]


@pytest.mark.parametrize("cash", [700, 2_500])
def test_an_account_only_in_a_dead_market(protocol: Protocol, cash: int) -> None:
    """Nothing can be closed: it is refused by name, not by accident, and not closed at a guess."""
    p = protocol
    account = p.account(p.trader)
    p.deposit(account, cash)
    traded(p, account, "BTC", "0.5" if cash == 2_500 else "0.15")
    kill(p, "BTC")
    assert p.liquidate(account).results == [R.HEALTHY]
    slot = p.reader.slots.at("accounts_", account)
    word = p.reader.word("accounts_", account)
    poorer = word - 100_000 * WAD
    raw = (word & (1 << 112) - 1) - 100_000 * WAD
    poorer = word & ~((1 << 112) - 1) | raw % (1 << 112)
    p.rpc.request("anvil_setStorageAt", [p.clearinghouse.address, hex(slot), "0x" + poorer.to_bytes(32, "big").hex()])
    assert p.liquidate(account).results == [R.PRICE_REFUSED]
    assert p.position_word(account, "BTC").shares > 0


def test_invalid_collateral_counts_high_in_liquidation_and_nothing_in_withdrawal(protocol: Protocol) -> None:
    p = protocol
    account = p.account(p.trader)
    p.deposit(account, 300)
    p.deposit(account, 1, token="WETH")
    traded(p, account, "BTC", "0.5")
    kill(p, "ETH")
    p.set_price("BTC", 37_100)
    mirror = PoolMirror.read(p, account)
    p.anvil.mine()
    mirror.see()
    _, equity, required = health(mirror, account)
    results = p.liquidate(account).results
    assert (results == [R.HEALTHY]) == (equity >= required)
    with reverts_with("PriceRefused", 1, 1):
        p.withdraw(account, 1)


# ── deviated ───────────────────────────────────────────────────────────────


def second_source(p: Protocol, price: int) -> Contract:
    """Gives ETH a secondary feed."""
    feed = deploy(p.deployment.artifacts.artifact("MockAggregator"), 8, sender=p.anvil.sender(0))
    feed.transact("push", price * 10**8, p.now() + 1, sender=p.deployer)
    values = p.hub.call("assetConfig", 1)._asdict() | {
        "secondary": feed.address,
        "secondaryMaxAge": 80_000,
        "maxDeviationPpm": 20_000,
        "deviationTimeout": 900,
    }
    p.hub.transact("setAsset", 1, values, sender=p.owner)
    return feed


@pytest.mark.parametrize(
    ("primary", "secondary", "size"), [(1_900, 1_990, 10), (1_990, 1_900, 10), (2_100, 2_000, -10)]
)
def test_while_sources_deviate_both_must_agree_on_liquidation(
    protocol: Protocol, primary: int, secondary: int, size: int
) -> None:
    p = protocol
    account = p.account(p.trader)
    p.deposit(account, 1_000)
    traded(p, account, "ETH", size)
    feed = second_source(p, secondary)
    p.set_price("ETH", primary)
    assert p.liquidate(account).results == [R.HEALTHY]
    worse = 1_920 if size > 0 else 2_080
    feed.transact("push", worse * 10**8, p.now() + 1, sender=p.deployer)
    p.set_price("ETH", 1_870 if size > 0 else 2_130)
    mirror = PoolMirror.read(p, account)
    done = p.liquidate(account)
    assert done.results[0] in {R.FULL, R.PARTIAL}
    # it closes at the better of both for the account
    event = done.receipt.named("PositionLiquidated")[0]
    assert event["price"] == worse * WAD
    assert mirror.accounts[account].word.markets == 1
    p.assert_identity()


def test_after_the_timeout_the_primary_alone_decides(protocol: Protocol) -> None:
    p = protocol
    account = p.account(p.trader)
    p.deposit(account, 1_000)
    traded(p, account, "ETH", 10)
    second_source(p, 2_000)
    p.set_price("ETH", 1_930)
    assert p.liquidate(account).results == [R.HEALTHY]
    p.anvil.advance(901)
    p.publish("ETH")
    done, closing, _ = liquidated(p, account)
    assert done.results[0] in {R.FULL, R.PARTIAL}
    assert done.receipt.named("PositionLiquidated")[0]["price"] == 1_930 * WAD
    assert closing.equity < closing.maintenance


def test_a_reduction_happens_at_the_worse_of_both_and_nothing_else_does(protocol: Protocol) -> None:
    p = protocol
    account = p.account(p.trader)
    p.deposit(account, 3_000)
    traded(p, account, "ETH", 10)
    second_source(p, 1_900)
    done = traded(p, account, "ETH", -4, price="2000", reduce_only=True)
    assert done.expected.fill_price < 1_901 * WAD
    order, _ = p.place(p.account(p.trader, sub=0), "ETH", -1, reduce_only=True)
    due(p, order)
    p.execute(order)
    with reverts_with("PriceRefused", 1, 4):
        p.withdraw(account, 1)
    with reverts_with("PriceRefused", 1, 4):
        p.place(account, "ETH", 1)


# ── sequencer ──────────────────────────────────────────────────────────────


@pytest.fixture
def uptime(protocol: Protocol) -> Contract:
    """A sequencer feed with a grace of 20 minutes, up for long."""
    p = protocol
    feed = deploy(deployed_contracts().artifact("MockSequencerFeed"), p.now() - 10**6, sender=p.anvil.sender(0))
    p.hub.transact("setSequencer", feed.address, 1_200, sender=p.owner)
    return feed


def states(feed: Contract, p: Protocol, state: str) -> None:
    """Down, or up again for a minute, or long enough."""
    since = {"down": 100, "grace": 60, "up": 1_300}[state]
    feed.transact("set", int(state == "down"), p.now() - since, sender=p.deployer)


@pytest.mark.parametrize("state", ["down", "grace", "up"])
def test_sequencer_and_grace(protocol: Protocol, uptime: Contract, state: str) -> None:
    """INV-28: no liquidation unless equity < graceHealth·MM, no risk increase; deposits, and closes once up."""
    p = protocol
    below_line, deep = p.account(p.trader), p.account(p.other_trader)
    p.deposit(below_line, 1_000)
    traded(p, below_line, "ETH", 10)
    p.deposit(deep, 770 + 80)
    traded(p, deep, "ETH", 10)
    states(uptime, p, state)
    p.set_price("ETH", 1_952)
    done = p.liquidate(below_line, deep)
    assert done.results[0] == (R.PARTIAL if state == "up" else R.GRACE)
    with p.snapshot():
        p.set_price("ETH", 1_925)
        final = p.liquidate(deep).results[0]
    # below half its maintenance margin no grace protects it
    assert final in ({R.FULL, R.BAD_DEBT} if state != "up" else {R.FULL, R.BAD_DEBT, R.PARTIAL})
    p.deposit(below_line, 2_000)
    flags = {"down": 8, "grace": 16}
    if state == "up":
        p.withdraw(below_line, 1)
        p.order_book.transact("cancelOrder", p.place(below_line, "ETH", "0.1")[0], sender=p.trader)
    else:
        with reverts_with("PriceRefused", 1, flags[state]):
            p.withdraw(below_line, 1)
        with reverts_with("PriceRefused", 1, flags[state]):
            p.place(below_line, "ETH", "0.1")
    order, _ = p.place(below_line, "ETH", -2, reduce_only=True)
    due(p, order)
    if state == "down":
        assert refusal(p, order) == (OrderResult.REFUSED, ("PriceRefused", (1, 8)))
    else:
        assert p.execute(order)[0] == [OrderResult.FILLED]
    p.assert_identity()


def test_grace_ends_by_itself(protocol: Protocol, uptime: Contract) -> None:
    """INV-28."""
    p = protocol
    account = p.account(p.trader)
    p.deposit(account, 1_000)
    traded(p, account, "ETH", 10)
    states(uptime, p, "grace")
    p.set_price("ETH", 1_950)
    assert p.liquidate(account).results == [R.GRACE]
    p.anvil.advance(1_200)
    p.publish("ETH")
    assert p.liquidate(account).results[0] in {R.PARTIAL, R.FULL}


# ── cool-off ───────────────────────────────────────────────────────────────


def test_no_liquidation_at_the_prices_of_the_last_check(protocol: Protocol) -> None:
    """INV-13: an account that passed a check is safe until some price is published after it, whatever else changes."""
    p = protocol
    account = p.account(p.trader)
    p.deposit(account, 1_000)
    traded(p, account, "ETH", 10)
    # parameters tighten at once: the account is below the line at the very price it was checked at
    harsher: dict[str, Any] = {"mmBasePpm": 60_000, "imBasePpm": 100_000}
    p.clearinghouse.transact("setMarket", 256, market_of(p, **harsher), sender=p.owner)
    equity, required, newest = (values[0] for values in p.lens.call("healthBatch", [account]))
    assert equity < required
    assert newest == p.account_word(account).last_check
    assert p.liquidate(account).results == [R.COOL_OFF]
    # another market's price does not count for an account that is not in it
    p.publish("BTC")
    assert p.liquidate(account).results == [R.COOL_OFF]
    p.publish("ETH")
    assert p.liquidate(account).results[0] in {R.PARTIAL, R.FULL}


def test_the_check_of_a_fill_does_not_cover_the_latest_price(protocol: Protocol) -> None:
    """Filled at its own price, liquidatable at a newer one that was there already."""
    p = protocol
    account = p.account(p.trader)
    p.deposit(account, 1_000)
    done = traded(p, account, "ETH", 10, price="2000", latest="1940")
    assert p.account_word(account).last_check < done.mirror.spots[1].publish_time
    assert p.liquidate(account).results[0] in {R.PARTIAL, R.FULL}


def test_a_margin_check_cannot_be_repeated_as_a_shield(protocol: Protocol) -> None:
    """INV-13: who is below IM passes no check, so lastCheck stays."""
    p = protocol
    account = p.account(p.trader)
    p.deposit(account, 1_000)
    p.deposit(account, "0.01", token="WETH")
    traded(p, account, "ETH", 10)
    p.set_price("ETH", 1_940)
    stamp = p.account_word(account).last_check
    for act in (
        lambda: p.withdraw(account, "0.000001"),
        lambda: p.withdraw(account, "0.000000000000000001", token="WETH"),
        lambda: p.place(account, "ETH", "0.1"),
        lambda: p.clearinghouse.transact(
            "transfer", account, p.account(p.trader, sub=1), p.tokens["USDC"].address, 1, sender=p.trader
        ),
    ):
        with reverts_with("InsufficientMargin", ...):
            act()
    p.deposit(account, "0.000001")
    assert p.account_word(account).last_check == stamp
    assert p.liquidate(account).results[0] in {R.PARTIAL, R.FULL}
