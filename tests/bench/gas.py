"""What each action costs, in gas of the whole transaction, under pinned conditions.

Feeds have the storage and call pattern of Chainlink's proxy and aggregator; the base fee is 1 gwei; the newest round is
the hint; the keeper's and the recipient's accounts exist; others hold positions on both sides of each market; tokens
are OpenZeppelin ERC-20s. Every action is measured from the same state, alone in its block, and undone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from plimsoll.chain.anvil import Anvil
from plimsoll.chain.artifacts import Artifacts
from plimsoll.chain.contract import deploy as create
from plimsoll.chain.receipt import Receipt
from plimsoll.deploy.deploy import deploy
from plimsoll.deploy.parameters import Parameters
from tests.bench.trace import Cost, trace
from tests.support.protocol import Protocol

__all__ = ["SCENARIOS", "TARGETS", "explain", "measure"]

START = 1_750_000_000
GWEI = 10**9
MARKETS = ("ETH", "BTC", "SOL")
LONG_AGO = 5
FULL_FALL = "1918"
"""At this price of ETH the accounts of the crowd are closed whole and end with a little left."""

TARGETS = {
    "deposit_first": 76_000,
    "deposit_repeat": 57_000,
    "withdraw_flat": 57_000,
    "withdraw_one_position": 93_000,
    "place_order": 65_000,
    "execute_open": 134_000,
    "execute_increase": 117_000,
    "execute_reduce": 116_000,
    "execute_close": 111_000,
    "execute_further_open": 57_000,
    "execute_further_increase": 42_000,
    "liquidate_one_full": 114_000,
    "liquidate_one_partial": 120_000,
    "liquidate_three_positions": 235_000,
    "liquidate_each_further_account": 25_000,
    "open_each_other_position_held": 34_000,
}
"""What each action should cost at most."""

Scenario = Callable[["Bench"], Cost]


class Bench:
    """The system under the pinned conditions, and how each action is measured."""

    def __init__(self, protocol: Protocol, *, traced: bool = False) -> None:
        self.p = protocol
        self.traced = traced
        self.trader = protocol.account(protocol.trader)
        self.other = protocol.account(protocol.other_trader)

    def cost(self, receipt: Receipt) -> Cost:
        """What a transaction cost."""
        return trace(self.p.rpc, receipt, self.p.hub.address) if self.traced else Cost(receipt.gas_used)

    def trade(self, account: bytes, market: str, size: int, *, reduce_only: bool = False) -> None:
        """A whole trade in a market of the majors pool."""
        self.p.trade(account, self.p.deployment.market(market, "majors"), size, reduce_only=reduce_only)

    def prepare(self) -> None:
        """Accounts with a history: the state that every scenario starts from."""
        p = self.p
        p.publish()
        p.deposit(p.account(p.keeper), 1000)
        for holder, side in ((p.attacker, 1), (p.other_lp, -1)):
            p.deposit(p.account(holder), 200_000)
            for market, size in (("ETH", 3), ("BTC", 1), ("SOL", 20)):
                self.trade(p.account(holder), market, side * size)
        for account in (self.trader, self.other):
            p.deposit(account, 50_000)
            for _ in range(LONG_AGO):  # orders and positions that have come and gone
                self.trade(account, "ETH", 1)
                self.trade(account, "ETH", -1, reduce_only=True)
        p.withdraw(self.other, 1)  # the recipient of withdrawals holds the token already

    def order(self, account: bytes, size: int, market: str = "ETH", reduce_only: bool = False) -> dict[str, Any]:
        """Places an order and lets its price be published."""
        return self.due([(account, market, size, reduce_only)])[0]

    def due(self, wanted: list[tuple[bytes, str, int, bool]]) -> list[dict[str, Any]]:
        """Places orders and lets their prices be published."""
        p = self.p
        placed = [
            p.place(account, p.deployment.market(market, "majors"), size, reduce_only=only)[0]
            for account, market, size, only in wanted
        ]
        p.anvil.advance(max(p.price_time(order) for order in placed) - p.now())
        p.publish(*MARKETS)
        return placed

    def execution(self, *orders: dict[str, Any]) -> Cost:
        """Cost of executing orders in one transaction."""
        results, receipt = self.p.execute(*orders)
        assert {result.name for result in results} == {"FILLED"}, results
        return self.cost(receipt)

    def liquidation(self, *accounts: bytes, expect: str) -> Cost:
        """Cost of liquidating accounts in one transaction."""
        done = self.p.liquidate(*accounts)
        assert {result.name for result in done.results} == {expect}, done.results
        return self.cost(done.receipt)

    def crowd(self, count: int) -> list[bytes]:
        """Accounts of one trader with one leveraged position each."""
        p = self.p
        accounts = [p.account(p.trader, sub=100 + i) for i in range(count)]
        for account in accounts:
            p.deposit(account, 1_500)
            self.trade(account, "ETH", 15)
        return accounts


def _deposit_first(b: Bench) -> Cost:
    return b.cost(b.p.deposit(b.p.account(b.p.trader, sub=7), 1000))


def _deposit_repeat(b: Bench) -> Cost:
    return b.cost(b.p.deposit(b.trader, 1000))


def _withdraw_flat(b: Bench) -> Cost:
    return b.cost(b.p.withdraw(b.other, 1000))


def _withdraw_one_position(b: Bench) -> Cost:
    b.trade(b.other, "ETH", 10)
    return b.cost(b.p.withdraw(b.other, 1000))


def _place_first(b: Bench) -> Cost:
    fresh = b.p.account(b.p.trader, sub=8)
    b.p.deposit(fresh, 1000)
    return b.cost(b.p.place(fresh, "ETH", 1)[1])


def _place(b: Bench) -> Cost:
    return b.cost(b.p.place(b.trader, "ETH", 10)[1])


def _open(b: Bench) -> Cost:
    return b.execution(b.order(b.trader, 10))


def _after_open(size: int, reduce_only: bool) -> Scenario:
    def run(b: Bench) -> Cost:
        b.trade(b.trader, "ETH", 10)
        return b.execution(b.order(b.trader, size, reduce_only=reduce_only))

    return run


def _further(opened: bool) -> Scenario:
    def run(b: Bench) -> Cost:
        accounts = (b.trader, b.other)
        if opened:
            for account in accounts:
                b.trade(account, "ETH", 10)
        orders = b.due([(account, "ETH", 10, False) for account in accounts])
        with b.p.snapshot():
            alone = b.execution(orders[0])
        return b.execution(*orders) - alone

    return run


def _open_with(others: int) -> Scenario:
    def run(b: Bench) -> Cost:
        for market in MARKETS[1 : 1 + others]:
            b.trade(b.trader, market, 1)
        return b.execution(b.order(b.trader, 10))

    return run


def _each_other_position(b: Bench) -> Cost:
    with b.p.snapshot():
        none = _open_with(0)(b)
    return (_open_with(2)(b) - none) // 2


def _liquidate(fall: str, expect: str) -> Scenario:
    def run(b: Bench) -> Cost:
        (account,) = b.crowd(1)
        b.p.set_price("ETH", fall)
        return b.liquidation(account, expect=expect)

    return run


def _liquidate_three(b: Bench) -> Cost:
    p = b.p
    account = p.account(p.trader, sub=9)
    p.deposit(account, 4_000)
    for market, size in (("ETH", 10), ("BTC", 1), ("SOL", 20)):
        b.trade(account, market, size)
    for market in MARKETS:
        p.set_price(market, str(p.prices[market] * 96 // 100 // 10**18))
    p.set_price("ETH", str(p.prices["ETH"] * 75 // 100 // 10**18))
    done = p.liquidate(account)
    assert len(done.receipt.named("PositionLiquidated")) == len(MARKETS), done.results
    return b.cost(done.receipt)


def _liquidate_further(b: Bench) -> Cost:
    accounts = b.crowd(10)
    b.p.set_price("ETH", FULL_FALL)
    with b.p.snapshot():
        alone = b.liquidation(accounts[0], expect="FULL")
    return (b.liquidation(*accounts, expect="FULL") - alone) // (len(accounts) - 1)


SCENARIOS: dict[str, Scenario] = {
    "deposit_first": _deposit_first,
    "deposit_repeat": _deposit_repeat,
    "withdraw_flat": _withdraw_flat,
    "withdraw_one_position": _withdraw_one_position,
    "place_order_first": _place_first,
    "place_order": _place,
    "execute_open": _open,
    "execute_increase": _after_open(5, False),
    "execute_reduce": _after_open(-5, True),
    "execute_close": _after_open(-10, True),
    "execute_further_open": _further(False),
    "execute_further_increase": _further(True),
    "liquidate_one_full": _liquidate(FULL_FALL, "FULL"),
    "liquidate_one_partial": _liquidate("1955", "PARTIAL"),
    "liquidate_three_positions": _liquidate_three,
    "liquidate_each_further_account": _liquidate_further,
    "open_each_other_position_held": _each_other_position,
}


def measure(root: Path, artifacts: Artifacts, *, sequencer: bool, say: Callable[[str], None]) -> dict[str, int]:
    """Gas per scenario, on a fresh chain; with `sequencer` the hub reads an L2 sequencer feed as well."""
    found = {}
    with _bench(root, artifacts, sequencer=sequencer, traced=False) as bench:
        for name, scenario in SCENARIOS.items():
            say(f"{name}{' (sequencer)' if sequencer else ''}")
            with bench.p.snapshot():
                found[name] = scenario(bench).gas
    return found


def explain(root: Path, artifacts: Artifacts, names: Sequence[str]) -> dict[str, Cost]:
    """What the gas of scenarios is spent on, by trace."""
    found = {}
    with _bench(root, artifacts, sequencer=False, traced=True) as bench:
        for name in names:
            with bench.p.snapshot():
                found[name] = SCENARIOS[name](bench)
    return found


@contextmanager
def _bench(root: Path, artifacts: Artifacts, *, sequencer: bool, traced: bool) -> Iterator[Bench]:
    """The deployed system with a history, on a chain of its own."""
    extra = ("--steps-tracing",) if traced else ()
    with Anvil(timestamp=START, block_interval=1, base_fee=GWEI, accounts=10, extra=extra) as anvil:
        protocol = Protocol(anvil, deploy(anvil.sender(0), _parameters(root, artifacts, anvil, sequencer)))
        anvil.set_base_fee(GWEI)
        protocol.publish()
        protocol.lp_deposit(protocol.lp, "20_000_000", "majors")
        bench = Bench(protocol, traced=traced)
        bench.prepare()
        yield bench


def _parameters(root: Path, artifacts: Artifacts, anvil: Anvil, sequencer: bool) -> Parameters:
    """The local network's parameters with Chainlink-shaped feeds and a third market in the majors pool."""
    path = root / "deployments" / "local.yaml"
    plain = Parameters.load(path)
    overrides: dict[str, Any] = {}
    sender = anvil.sender(0)
    for symbol, asset in plain.assets.items():
        scale = 10 ** int(asset.feed_decimals)
        aggregator = create(
            artifacts.artifact("ChainlinkShapeAggregator"),
            int(asset.feed_decimals),
            1,
            10**12 * scale,
            False,
            sender=sender,
        )
        proxy = create(artifacts.artifact("ChainlinkShapeProxy"), aggregator.address, sender=sender)
        aggregator.transact("addAccess", proxy.address, sender=sender)
        time = anvil.now() + 1
        anvil.set_next_timestamp(time)
        proxy.transact("push", asset.price.value * scale // 10**18, time, sender=sender)
        overrides[f"assets.{symbol}.feed"] = proxy.address
    market = plain.source.data["pools"]["longtail"]["markets"]["SOL"]
    overrides["pools.majors.markets.SOL"] = market
    if sequencer:
        feed = create(artifacts.artifact("MockSequencerFeed"), anvil.now() - 86_400, sender=sender)
        overrides["sequencer"] = {"feed": feed.address, "grace": {"value": "30 min", "why": "as on an L2"}}
    return Parameters.load(path, overrides)
