"""The world is what its setting says, on both backends, and starts from disk."""

from __future__ import annotations

import dataclasses
import time

import pytest
from tests.fuzz_driver.conftest import BACKENDS

from plimsoll.chain.errors import AbiError, Revert
from plimsoll.fuzz import prepare as preparation
from plimsoll.fuzz import revm
from plimsoll.fuzz.driver import FuzzError
from plimsoll.fuzz.prepare import Prepared, Setting, prepare
from plimsoll.fuzz.world import Backend, World
from plimsoll.model.words import AccountWord, PoolMoneyWord
from plimsoll.units import WAD


def test_actors_are_funded_and_pools_have_capital(world: World) -> None:
    for actor in world.actors.everybody:
        assert world.driver.balance(actor) == 10_000 * 10**18
        assert world.ask("token:WETH", "balanceOf", actor) == 10**9 * 10**18
        assert world.ask("token:USDC", "allowance", actor, world.address("clearinghouse")) > 10**50
    assert len(set(world.actors.everybody)) == len(world.actors.everybody)
    for name, pool in world.deployment.pools.items():
        capital = world.deployment.parameters.pools[name].reference_nav.value
        assert PoolMoneyWord.unpack(world.word("pools_", pool.id, "money")).cash >= capital
        assert world.ask(f"pool:{name}", "balanceOf", world.actors.lps[0]) > 0


def test_handles_read_the_state_of_the_driver(world: World) -> None:
    trader = world.actors.traders[0]
    account = world.account(trader)
    deployment = world.deployment
    call = world.call(
        "clearinghouse", "deposit", account, world.token("USDC"), 10**6, sender=trader, at=world.driver.time
    )
    before = deployment.tokens["USDC"].call("balanceOf", trader)
    world.driver.step(call)
    assert before - deployment.tokens["USDC"].call("balanceOf", trader) == 10**6
    assert deployment.clearinghouse.call("poolNav", 1) == world.ask("clearinghouse", "poolNav", 1)
    with pytest.raises(Revert, match="NotPeer"):
        deployment.clearinghouse.call("lock")
    with pytest.raises(Revert, match="NotPeer"):
        world.ask("clearinghouse", "lock")
    with pytest.raises(Exception, match="use the driver"):
        deployment.clearinghouse.transact("lock", sender=trader)


def test_mistakes_in_names_are_explained(world: World) -> None:
    with pytest.raises(FuzzError, match="no contract is called house"):
        world.address("house")
    with pytest.raises(AbiError, match="has 2 functions deposit; name one"):
        world.entry("pool:majors", "deposit")
    with pytest.raises(AbiError, match="has 0 functions deposits"):
        world.entry("clearinghouse", "deposits")
    assert len(world.entry("pool:majors", "deposit(uint256,address,address)").abi.input_names) == 3


def test_call_data_is_that_of_the_contract_handles(world: World) -> None:
    order = {
        "account": b"\x01" * 32,
        "market": 257,
        "id": 3,
        "placedAt": 4,
        "sizeDelta": -5,
        "limitPrice": 6,
        "expiry": 7,
        "keeperFee": 8,
        "reduceOnly": True,
        "clientId": b"\x02" * 32,
    }
    items = [{"order": order, "hint": b"abc"}, {"order": list(order.values()), "hint": b"x" * 64}]
    arguments = {
        ("order_book", "executeOrders"): (items, b"\x03" * 32),
        ("order_book", "cancelOrder"): (order,),
        ("clearinghouse", "liquidate"): ([b"\x04" * 32, b"\x05" * 32], b"\x03" * 32),
        ("clearinghouse", "multicall"): ([b"", b"abcd"],),
        ("clearinghouse", "withdraw"): (b"\x01" * 32, world.token("USDC"), 2**256 - 1, world.actors.thief.lower()),
    }
    for (contract, fn), values in arguments.items():
        expected = world.contracts[contract].encode(fn, *values)
        assert "0x" + world.entry(contract, fn)(*values).hex() == expected


@pytest.mark.parametrize("market", [-1, 1 << 24, "257", b"\x01", None])
def test_values_that_do_not_fit_are_refused(world: World, market: object) -> None:
    pending = world.entry("order_book", "pending")
    account = world.account(world.actors.thief)
    with pytest.raises(AbiError, match="pending"):
        pending(account, market)


@pytest.mark.parametrize("arguments", [(b"\x01" * 31, 257), ("0x", 257), (257,), (b"\x01" * 32, 257, 0)])
def test_arguments_that_do_not_fit_are_refused(world: World, arguments: tuple[object, ...]) -> None:
    with pytest.raises(AbiError):
        world.entry("order_book", "pending")(*arguments)


@pytest.mark.parametrize("decimals", [2, 6, 8, 18])
@pytest.mark.parametrize("backend", BACKENDS)
def test_decimals_of_the_settlement_token_can_be_chosen(backend: Backend, decimals: int) -> None:
    with World.open(Setting(settlement_decimals=decimals), backend) as world:
        trader = world.actors.traders[0]
        account, token = world.account(trader), world.token("USDC")
        assert world.ask("token:USDC", "decimals") == decimals
        call = world.call("clearinghouse", "deposit", account, token, 1, sender=trader, at=world.driver.time)
        assert world.driver.step(call).success
        word = AccountWord.unpack(world.word("accounts_", account))
        assert word.raw_cash == 10 ** (18 - decimals)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_hook_token_calls_out(backend: Backend) -> None:
    with World.open(Setting(token_contracts={"USDC": "HookToken"}), backend) as world:
        trader, thief = world.actors.traders[0], world.actors.thief
        account, token, at = world.account(trader), world.token("USDC"), world.driver.time
        inner = world.entry("clearinghouse", "accrue")(world.market("ETH"))
        hook = world.call("token:USDC", "setHook", world.address("clearinghouse"), inner, sender=thief, at=at)
        assert world.driver.step(hook).success
        deposit = world.call("clearinghouse", "deposit", account, token, 10**6, sender=trader, at=at)
        assert world.driver.step(deposit).success
        assert world.ask("token:USDC", "calls") == 1
        assert not world.ask("token:USDC", "succeeded")
        reason = world.errors.decode(world.ask("token:USDC", "returned"))
        assert "Locked" in str(reason)
        assert AccountWord.unpack(world.word("accounts_", account)).raw_cash == WAD


def test_a_state_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    setting = Setting(traders=3)
    first = prepare(setting)

    def never(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(preparation, "_build", never)
    begun = time.perf_counter()
    second = prepare(setting)
    assert time.perf_counter() - begun < 2
    assert second.state == first.state
    assert second.book == first.book
    with pytest.raises(AssertionError):
        prepare(dataclasses.replace(setting, traders=5), cached=False)


def test_without_pyrevm_its_backend_is_refused(monkeypatch: pytest.MonkeyPatch, prepared: Prepared) -> None:
    monkeypatch.setattr(revm, "pyrevm", None)
    with pytest.raises(FuzzError, match="install the extra `fuzz`"):
        World(Setting(), prepared, "revm")


def test_an_unknown_backend_is_refused(world: World) -> None:
    with pytest.raises(FuzzError, match="use anvil or revm"):
        World.open(backend="geth")  # type: ignore[arg-type]
