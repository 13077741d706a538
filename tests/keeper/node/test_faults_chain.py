"""Following while the chain itself changes: reorganisations of every depth, and nodes that die and come back."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.keeper.node.following import Following, busy, kinds
from tests.keeper.node.test_faults_nodes import follow
from tests.support.faults.chain import RestartableNode, leap_base_fee, reorg
from tests.support.faults.proxy import FaultProxy
from tests.support.protocol import Protocol

from plimsoll.chain.anvil import Anvil
from plimsoll.deploy.deploy import deploy
from plimsoll.deploy.deployment import handles
from plimsoll.deploy.parameters import Parameters
from plimsoll.keeper.node.headers import Header, next_base_fee
from plimsoll.keeper.node.steps import BlockTaken, Reorged

ROOT = Path(__file__).resolve().parents[3]
START = 1_750_000_000
OPTIONS: dict[str, Any] = {"timestamp": START, "block_interval": 1, "keep_states": 400}


def system(anvil: Anvil) -> Protocol:
    """A deployed system on a chain that can be reorganised."""
    protocol = Protocol(anvil, deploy(anvil.sender(0), Parameters.load(ROOT / "deployments" / "local.yaml")))
    protocol.publish()
    protocol.lp_deposit(protocol.lp, "20_000_000", "majors")
    return protocol


@pytest.fixture(scope="module")
def deep() -> Iterator[Protocol]:
    with Anvil(**OPTIONS) as anvil:
        yield system(anvil)


def accrue(p: Protocol, count: int) -> None:
    """So many blocks with one log or more each."""
    for _ in range(count):
        p.clearinghouse.transact("accrue", p.market("ETH"), sender=p.keeper)


@pytest.mark.parametrize("depth", [1, 2, 3, 7, 16, 33, 64])
def test_f4_a_reorganisation_of_that_depth(deep: Protocol, depth: int) -> None:
    p = deep
    p.anvil.mine(65)
    following = Following(p)
    following.run()
    accrue(p, min(depth, 5))
    p.anvil.mine(max(depth - 5, 1))
    following.run()
    lost = reorg(p.anvil, depth)
    steps = following.run()
    assert kinds(steps) == ["Reorged", "BlockTaken"]
    assert isinstance(steps[0], Reorged)
    assert steps[0].depth == depth
    assert len(steps) == 1 + depth + 1
    told = {digest for step in steps if isinstance(step, BlockTaken) for digest in step.transactions}
    assert told.isdisjoint(transaction["hash"] for transaction in lost)
    following.check()
    following.close()


def test_f4_transactions_put_back_land_elsewhere(deep: Protocol) -> None:
    p = deep
    p.anvil.mine(65)
    following = Following(p)
    account = p.account(p.other_trader, sub=5)
    p.deposit(account, 1_000)
    following.run()
    p.clearinghouse.transact(
        "withdraw", account, p.tokens["USDC"].address, 10**6, p.other_trader, sender=p.other_trader
    )
    accrue(p, 3)
    following.run()
    reorg(p.anvil, 4, put_back=lambda transaction: int(transaction["transactionIndex"], 16) == 0)
    steps = following.run()
    assert kinds(steps) == ["Reorged", "BlockTaken"]
    assert p.account_word(account).version == 2
    following.check()
    following.close()


def test_f4_many_reorganisations_in_a_row_through_a_failing_node(deep: Protocol, tmp_path: Path) -> None:
    p, chance = deep, random.Random("reorganisations")
    p.anvil.mine(65)
    with FaultProxy(p.anvil.url) as proxy:
        proxy.transport.server_error = proxy.transport.cut = 0.1
        following = Following(p, tmp_path / "db", urls=[proxy.url])
        follow(following, tries=100)
        for turn in range(8):
            busy(p, sub=turn)
            if turn % 3 == 0:
                # a restart in between
                following.close()
                following = Following(p, tmp_path / "db", urls=[proxy.url])
            follow(following, tries=100)
            reorg(p.anvil, chance.randrange(1, 12), longer=chance.randrange(0, 3))
            follow(following, tries=100)
        assert following.follower.stats.resyncs == 0
        following.check()
        following.close()


def test_f4_an_interrupted_reorganisation_is_finished_after_a_restart(deep: Protocol, tmp_path: Path) -> None:
    p = deep
    p.anvil.mine(65)
    following = Following(p, tmp_path / "db")
    following.run()
    accrue(p, 10)
    following.run()
    reorg(p.anvil, 9, longer=5)
    for expected in ("Reorged", "BlockTaken", "BlockTaken"):
        assert kinds(following.run(until=lambda _: True)) == [expected]
        following.close()
        following = Following(p, tmp_path / "db")
    following.run()
    following.check()
    following.close()


def test_f3_a_node_that_dies_and_comes_back_is_followed_on() -> None:
    with RestartableNode(**OPTIONS) as node:
        p = system(node.anvil)
        p.anvil.mine(65)
        following = Following(p, urls=[node.url], timeout=1.0)
        busy(p)
        following.run()
        same = node.save()
        node.kill()
        for _ in range(3):
            assert following.try_run() == []
        p = revived(p, node, same)
        following.protocol = p
        assert following.run() == []
        busy(p, sub=1)
        assert kinds(following.run()) == ["BlockTaken"]
        older = node.save()
        accrue(p, 5)
        following.run()
        node.kill()
        assert following.try_run() == []
        p = revived(p, node, older)
        following.protocol = p
        # an older state of the same chain: believed when it says so again and again, or when it goes another way
        assert kinds([step for _ in range(3) for step in following.run()]) == ["Reorged"]
        busy(p, sub=2)
        assert kinds(following.run()) == ["BlockTaken"]
        following.check()
        node.kill()
        p = revived(p, node, older)
        following.protocol = p
        p.anvil.mine(3)
        assert kinds(following.run()) == ["Reorged", "BlockTaken"]
        assert following.follower.stats.resyncs == 0
        following.check()
        following.close()


def revived(p: Protocol, node: RestartableNode, state: Path) -> Protocol:
    """The same system behind the node that was started again."""
    anvil = node.restart(state)
    return Protocol(anvil, handles(anvil.rpc, p.deployment.parameters, p.deployment.book, p.deployment.artifacts))


def test_f6_the_base_fee_leaps_and_every_next_one_is_foretold(deep: Protocol) -> None:
    anvil = deep.anvil
    anvil.set_base_fee(10**9)
    anvil.mine()
    before = Header.of(anvil.rpc.request("eth_getBlockByNumber", ["latest", False])).base_fee
    assert leap_base_fee(anvil) == 20 * before
    anvil.mine(40)
    head = anvil.block_number()
    headers = [
        Header.of(anvil.rpc.request("eth_getBlockByNumber", [hex(number), False]))
        for number in range(head - 39, head + 1)
    ]
    assert headers[0].base_fee == 20 * before
    assert [next_base_fee(header) for header in headers[:-1]] == [header.base_fee for header in headers[1:]]
