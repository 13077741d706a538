"""The premium: what skew costs, that it does not depend on the path, and that it comes back."""

from __future__ import annotations

import random

from tests.support.core import traded
from tests.support.protocol import Protocol

from plimsoll.model.pricing import premium
from plimsoll.units import WAD

BAND_PPM = 200


def band(price: int, size: int) -> int:
    """What the half band costs on its own, before premium moves it."""
    return abs(size) * price // WAD * BAND_PPM // 10**6


def test_premium_outstanding_is_what_was_paid(protocol: Protocol) -> None:
    p = protocol
    account = p.account(p.trader)
    p.deposit(account, 1_000_000)
    paid = 0
    for size in (100, 250, -50, -600, 40):
        done = traded(p, account, "ETH", size)
        m = done.mirror.markets[p.market("ETH")]
        change = done.expected.cost - band(2_000 * WAD, done.expected.size_delta)
        paid += change
        outstanding = premium(2_000 * WAD, m.skew, m.trade.skew_scale)
        assert outstanding == m.premium
        # the band also widens the premium, by two bp of it and always against the trader
        assert 0 <= paid - outstanding <= outstanding * 2 // 1_000 + WAD // 50
    assert p.position_word(account, "ETH").shares == -260 * WAD
    p.assert_identity()


def test_premium_does_not_depend_on_the_path(protocol: Protocol) -> None:
    """Any way from skew 0 to 60 ETH pays the same premium; without a band, to a wei per fill."""
    p = protocol
    account, other = p.account(p.trader), p.account(p.other_trader)
    config = p.hub.call("assetConfig", 1)._asdict() | {"bandPpm": 0}
    p.hub.transact("setAsset", 1, config, sender=p.owner)
    p.deposit(account, 1_000_000)
    p.deposit(other, 1_000_000)
    rng = random.Random("paths")
    expected = None
    for _ in range(4):
        steps = [rng.randrange(-40, 60) or 7 for _ in range(3)]
        steps.append(60 - sum(steps))
        with p.snapshot():
            fills = [
                traded(p, account if index % 2 else other, "ETH", step, other if index % 2 else account)
                for index, step in enumerate(steps)
                if step
            ]
            total = sum(one.expected.cost for one in fills)
        m = fills[-1].mirror.markets[p.market("ETH")]
        expected = premium(2_000 * WAD, 60 * WAD, m.trade.skew_scale)
        assert m.skew == 60 * WAD
        assert expected - 1 <= total <= expected + len(fills)


def test_premium_of_one_market_is_not_of_another(protocol: Protocol) -> None:
    p = protocol
    account = p.account(p.trader)
    p.deposit(account, 1_000_000)
    first = traded(p, account, "ETH", 500).mirror
    second = traded(p, account, "BTC", 20).mirror
    eth, btc = p.market("ETH"), p.market("BTC")
    assert first.markets[btc].premium == 0
    assert second.markets[eth].premium == first.markets[eth].premium > 0
    assert second.markets[btc].premium > 0
    m = second.markets[eth]
    assert m.premium == premium(m.price, m.skew, m.trade.skew_scale)


def test_a_rising_price_raises_the_premium_outstanding(protocol: Protocol) -> None:
    """The market owes the premium at its newest price, whoever pokes it."""
    p = protocol
    account = p.account(p.trader)
    p.deposit(account, 1_000_000)
    before = traded(p, account, "ETH", 500).mirror.markets[p.market("ETH")]
    p.set_price("ETH", 2_200)
    p.clearinghouse.transact("accrue", p.market("ETH"), sender=p.attacker)
    loss = p.reader.market_loss(p.market("ETH"))
    assert loss > 500 * 200 * WAD - WAD
    scale = before.trade.skew_scale
    assert premium(2_200 * WAD, 500 * WAD, scale) * 10 == premium(2_000 * WAD, 500 * WAD, scale) * 11
    p.assert_identity()
