"""The service beside another keeper, and with prices that are old, absent, wild or disputed."""

from __future__ import annotations

import pytest
from tests.integration.adversarial.test_feeds import second_source
from tests.keeper.service.conftest import Hire
from tests.keeper.service.stage import FALLEN, is_below, leveraged, liquidations, next_nonce, rounds
from tests.support.faults.proxy import FaultProxy
from tests.support.protocol import Protocol
from tests.support.running import KEEPER, RIVAL

DAY = 86_400


def test_f7_twins_share_the_work_and_waste_one_revert_for_each_account_at_most(
    protocol: Protocol, proxy: FaultProxy, hire: Hire
) -> None:
    accounts = [leveraged(protocol, sub) for sub in range(3)]
    with FaultProxy(protocol.anvil.url) as other:
        one, two = hire(key=KEEPER), hire(key=RIVAL, through=other)
        one.tick()
        two.tick()
        protocol.set_price("ETH", FALLEN)
        since = protocol.anvil.block_number()
        protocol.anvil.set_automine(False)
        try:
            rounds(protocol, 6, one, two)
            sends = len(proxy.sent) + len(other.sent)
            rounds(protocol, 6, one, two)
        finally:
            protocol.anvil.set_automine(True)
        assert len(proxy.sent) + len(other.sent) == sends, "nobody goes on"
        assert sends <= 1 + len(accounts)
    assert not any(is_below(protocol, account) for account in accounts)
    assert sorted(event["account"] for event in liquidations(protocol, since)) == sorted(accounts)
    wasted = one.keeper.total.reverts + two.keeper.total.reverts
    assert wasted <= len(accounts)
    assert one.in_flight == two.in_flight == ()


def push(protocol: Protocol, dollars: str, *, ahead: int = 0) -> None:
    """A round of ETH's feed whose time lies `ahead` seconds after its block's."""
    time = protocol.now() + 1
    protocol.anvil.set_next_timestamp(time)
    answer = int(float(dollars) * 10**8)
    protocol.feeds["ETH"].transact("push", answer, time + ahead, sender=protocol.deployer)


@pytest.mark.parametrize("bad", ["stale", "future", "zero"])
def test_f8_nothing_is_liquidated_at_a_price_that_cannot_be_used_and_it_goes_on_with_the_next(
    protocol: Protocol, proxy: FaultProxy, hire: Hire, bad: str
) -> None:
    account = leveraged(protocol)
    keeper = hire()
    keeper.tick()
    nonce = next_nonce(protocol, protocol.keeper)
    if bad == "stale":
        push(protocol, "1900")
        protocol.anvil.advance(DAY)
    elif bad == "future":
        push(protocol, "1900", ahead=3_600)
    else:
        push(protocol, "0")
    keeper.tick()
    protocol.anvil.mine()
    keeper.tick()
    (eth,) = [one for one in keeper.keeper.status().oracles if one.asset == "ETH"]
    assert "INVALID" in eth.flags or eth.blocked, eth
    sent = [one.data[:10] for one in proxy.sent]
    selector = protocol.clearinghouse.encode("liquidate", [account], account)[:10]
    assert selector not in sent
    protocol.anvil.advance(3_700)
    protocol.set_price("BTC", "40000")
    protocol.set_price("SOL", "100")
    protocol.set_price("ETH", FALLEN)
    rounds(protocol, 3, keeper)
    assert not is_below(protocol, account)
    assert next_nonce(protocol, protocol.keeper) > nonce
    assert keeper.keeper.status().halts == ()


def test_f8_a_gap_of_forty_percent_is_acted_upon_at_once(protocol: Protocol, hire: Hire) -> None:
    accounts = [leveraged(protocol, sub) for sub in range(4)]
    keeper = hire()
    keeper.tick()
    protocol.set_price("ETH", "1200")
    report = keeper.tick()
    assert dict(report.liquidated) == {"BadDebt": 4}
    assert not any(is_below(protocol, account) for account in accounts)
    protocol.assert_identity()


def test_f8_while_sources_disagree_the_verdict_is_that_of_the_contracts(protocol: Protocol, hire: Hire) -> None:
    account = leveraged(protocol)
    second_source(protocol, 2_000)
    keeper = hire()
    keeper.tick()
    protocol.set_price("ETH", FALLEN)
    keeper.tick()
    (eth,) = [one for one in keeper.keeper.status().oracles if one.asset == "ETH"]
    assert "DEVIATED" in eth.flags
    # The account's side of two prices counts; the audit compares both verdicts in each block.
    assert keeper.keeper.status().audit.mismatches == 0
    assert keeper.keeper.status().audit.total_accounts > 0
    below = is_below(protocol, account)
    rounds(protocol, 2, keeper)
    assert (account in {one["account"] for one in liquidations(protocol, 0)}) == below
    assert not is_below(protocol, account)
