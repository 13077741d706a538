"""Orders, on a chain: filled in time, cleared when late, left alone when neither is possible."""

from __future__ import annotations

from typing import Any

from tests.keeper.conftest import Employ
from tests.support.protocol import Protocol

from plimsoll.keeper.operations.keystore import Identity
from plimsoll.keeper.report import TickReport
from plimsoll.units import WAD

FEE = WAD // 10


def to_price_time(protocol: Protocol, order: dict[str, Any], seconds: int = 1) -> None:
    """The latest block becomes one some seconds after the order's price time."""
    protocol.anvil.advance(protocol.price_time(order) + seconds - protocol.now())


def pending(protocol: Protocol, account: bytes, market: str = "ETH") -> int:
    return int(protocol.order_book.call("pending", account, protocol.market(market)).count)


def keeper_cash(protocol: Protocol, pool: str = "majors") -> int:
    return protocol.account_word(protocol.account(protocol.keeper, pool)).raw_cash


def test_a_due_order_is_filled_and_pays_the_keeper(protocol: Protocol, employ: Employ, lines: list[str]) -> None:
    keeper, account = employ(), protocol.account(protocol.trader)
    protocol.deposit(account, "1000")
    order, _ = protocol.place(account, "ETH", "1")
    before = keeper_cash(protocol)
    assert keeper.tick().planned == 0
    to_price_time(protocol, order)
    assert keeper.tick().planned == 0, "its price is not published yet"
    protocol.publish("ETH")
    report = keeper.tick()
    assert (report.executed, report.rewards, report.reverts, len(report.hashes)) == (1, FEE, 0, 1)
    assert report.gas_used > 100_000
    assert protocol.position_word(account, "ETH").shares == WAD
    assert keeper_cash(protocol) - before == FEE
    assert [line.split(":")[0] for line in lines] == ["INFO  orders", "INFO  landed"]
    assert keeper.tick().planned == 0
    assert keeper.mirror.orders == {}
    protocol.assert_identity()


def test_orders_of_both_pools_and_of_one_queue_are_filled_in_one_pass(protocol: Protocol, employ: Employ) -> None:
    majors, tail = protocol.account(protocol.trader), protocol.account(protocol.trader, "longtail")
    protocol.deposit(majors, "10_000")
    protocol.deposit(tail, "10_000")
    protocol.place(majors, "ETH", "1")
    protocol.place(majors, "ETH", "2")
    protocol.place(majors, "BTC", "-0.1")
    last, _ = protocol.place(tail, "SOL", "20")
    to_price_time(protocol, last)
    protocol.publish()
    report = employ().tick()
    assert (report.executed, len(report.hashes)) == (4, 2)
    assert protocol.position_word(majors, "ETH").shares == 3 * WAD
    assert keeper_cash(protocol, "longtail") == FEE


def test_a_later_round_needs_a_search(protocol: Protocol, employ: Employ) -> None:
    account = protocol.account(protocol.trader)
    protocol.deposit(account, "1000")
    order, _ = protocol.place(account, "ETH", "1")
    to_price_time(protocol, order)
    protocol.set_price("ETH", "2001")
    protocol.set_price("ETH", "2002")
    protocol.set_price("ETH", "2003")
    report = employ().tick()
    assert report.executed == 1
    filled = protocol.rpc.request("eth_getTransactionReceipt", [report.hashes[0]])
    [event] = [e for e in protocol.deployment.events.decode_all(filled["logs"]) if e.name == "Filled"]
    assert event["spot"] & (1 << 88) - 1 == 2001 * WAD


def test_a_late_order_is_cleared_for_its_fee(protocol: Protocol, employ: Employ) -> None:
    account = protocol.account(protocol.trader)
    protocol.deposit(account, "1000")
    order, _ = protocol.place(account, "ETH", "1")
    to_price_time(protocol, order)
    protocol.publish("ETH")
    protocol.anvil.advance(31)
    report = employ().tick()
    assert (report.expired, report.executed, report.rewards) == (1, 0, FEE)
    assert pending(protocol, account) == 0


def test_an_expired_order_without_a_price_returns_its_fee(protocol: Protocol, employ: Employ) -> None:
    account = protocol.account(protocol.trader)
    protocol.deposit(account, "1000")
    protocol.place(account, "ETH", "1", expiry=61)
    protocol.anvil.advance(61)
    report = employ().tick()
    assert (report.expired, report.rewards) == (1, 0)
    assert protocol.account_word(account).raw_cash == 1000 * WAD
    assert protocol.account_word(account).pending_orders == 0


def test_an_order_that_its_trader_cannot_pay_is_cancelled_for_its_fee(protocol: Protocol, employ: Employ) -> None:
    account = protocol.account(protocol.trader)
    protocol.deposit(account, "1000")
    order, _ = protocol.place(account, "ETH", "100")
    to_price_time(protocol, order)
    protocol.publish("ETH")
    report = employ().tick()
    assert (report.cancelled, report.executed, report.rewards) == (1, 0, FEE)


def test_an_order_beyond_its_limit_stays_and_does_not_disturb_others(
    protocol: Protocol, employ: Employ, lines: list[str]
) -> None:
    keeper = employ()
    limited, open_ = protocol.account(protocol.trader), protocol.account(protocol.other_trader)
    protocol.deposit(limited, "1000")
    protocol.deposit(open_, "1000")
    protocol.place(limited, "ETH", "1", limit="1990")
    order, _ = protocol.place(open_, "ETH", "1")
    to_price_time(protocol, order)
    protocol.publish("ETH")
    report = keeper.tick()
    assert (report.executed, report.refused, report.reverts) == (1, 1, 0)
    assert pending(protocol, limited) == 1
    protocol.anvil.mine()
    report = keeper.tick()
    assert (report.executed, report.refused, report.hashes) == (0, 1, [])
    assert sum("stays as it is: Refused" in line for line in lines) == 1, "said once"
    protocol.anvil.advance(40)
    assert keeper.tick().expired == 1


def test_a_dry_run_sends_nothing(protocol: Protocol, employ: Employ, lines: list[str]) -> None:
    keeper, account = employ(dry_run=True), protocol.account(protocol.trader)
    protocol.deposit(account, "1000")
    order, _ = protocol.place(account, "ETH", "9")
    to_price_time(protocol, order)
    protocol.publish("ETH")
    block, nonce = (
        protocol.anvil.block_number(),
        protocol.rpc.request("eth_getTransactionCount", [protocol.keeper, "latest"]),
    )
    methods: list[str] = []
    exchange = protocol.rpc.transport.exchange

    def watched(payload: bytes) -> Any:
        methods.append(payload.decode())
        return exchange(payload)

    protocol.rpc.transport.exchange = watched  # type: ignore[method-assign]
    try:
        report = keeper.tick()
    finally:
        protocol.rpc.transport.exchange = exchange  # type: ignore[method-assign]
    assert (report.planned, report.simulated, report.hashes) == (1, 1, [])
    assert not any("eth_send" in method for method in methods)
    assert any("executeOrders" in line or "would be sent (dry run)" in line for line in lines)
    assert protocol.anvil.block_number() == block
    assert protocol.rpc.request("eth_getTransactionCount", [protocol.keeper, "latest"]) == nonce


def test_with_manual_mining_transactions_are_counted_when_they_land(protocol: Protocol, employ: Employ) -> None:
    accounts = [protocol.account(protocol.trader, sub=i) for i in range(3)]
    for account in accounts:
        protocol.deposit(account, "1000")
    orders = [protocol.place(account, "ETH", "1")[0] for account in accounts]
    to_price_time(protocol, orders[-1])
    protocol.publish("ETH")
    protocol.anvil.set_automine(False)
    try:
        keeper = employ()
        sent = keeper.tick()
        assert (len(sent.hashes), sent.executed, len(keeper.in_flight)) == (1, 0, 1)
        again = keeper.tick()
        assert (again.planned, again.hashes) == (0, []), "nothing is sent twice"
        protocol.anvil.mine()
        landed = keeper.collect()
        assert (landed.executed, landed.rewards, keeper.in_flight) == (3, 3 * FEE, ())
        assert (sent + again + landed).executed == 3
        assert keeper.tick().planned == 0
    finally:
        protocol.anvil.set_automine(True)


def test_a_transaction_that_the_node_forgot_is_sent_again(protocol: Protocol, employ: Employ) -> None:
    account = protocol.account(protocol.trader)
    protocol.deposit(account, "1000")
    order, _ = protocol.place(account, "ETH", "1")
    to_price_time(protocol, order)
    protocol.publish("ETH")
    protocol.anvil.set_automine(False)
    try:
        keeper = employ()
        assert len(keeper.tick().hashes) == 1
        protocol.rpc.request("anvil_dropAllTransactions")
        total = TickReport()
        for _ in range(4):
            protocol.anvil.mine()
            total += keeper.tick(collect=False)
        assert (total.executed, total.reverts, total.hashes, keeper.in_flight) == (1, 0, [], ())
    finally:
        protocol.anvil.set_automine(True)


def test_two_keepers_do_not_disturb_each_other(protocol: Protocol, employ: Employ) -> None:
    one, two = employ(), employ(who=Identity(protocol.attacker, unlocked=True))
    account = protocol.account(protocol.trader)
    protocol.deposit(account, "1000")
    order, _ = protocol.place(account, "ETH", "1")
    to_price_time(protocol, order)
    protocol.publish("ETH")
    protocol.anvil.set_automine(False)
    try:
        first, second = one.tick(), two.tick()
        assert (len(first.hashes), len(second.hashes)) == (1, 1)
        protocol.anvil.mine()
        total = one.tick() + two.tick()
        assert (total.executed, total.reverts, total.planned) == (1, 0, 0)
    finally:
        protocol.anvil.set_automine(True)
