"""Both backends keep the promises of `Driver`."""

from __future__ import annotations

import pytest
from eth_utils.address import to_checksum_address

from plimsoll.fuzz.driver import MOST_SNAPSHOTS, Call, FuzzError, Outcome, Read
from plimsoll.fuzz.world import World
from plimsoll.model.words import AccountWord
from plimsoll.units import WAD

ANYBODY = "0x" + "ab" * 20
PROBE = "0x" + "cd" * 20
# Returns number, time, base fee, caller, value and gas price of the message.
ENVIRONMENT = bytes.fromhex("435f52426020524860405233606052346080523a60a05260c05ff3")
# Returns the transient word 0 and then sets it to 1; stores 7 in slot 3; copies memory by MCOPY.
TRANSIENT = bytes.fromhex("5f5c5f5260015f5d600760035560205f60405e60205ff3")
INVALID = b"\xfe"
# Copies the call data to memory and reverts with it.
ECHO_REVERT = bytes.fromhex("365f5f37365ffd")
STOP = b"\x00"


def numbers(outcome: Outcome) -> list[int]:
    """The return data as words."""
    return [int.from_bytes(outcome.output[at : at + 32], "big") for at in range(0, len(outcome.output), 32)]


def deposit(world: World, amount: int = 10**9, after: int = 1) -> Call:
    """The first trader deposits USDC."""
    trader = world.actors.traders[0]
    account = world.account(trader)
    at = world.driver.time + after
    return world.call("clearinghouse", "deposit", account, world.token("USDC"), amount, sender=trader, at=at)


def withdraw(world: World, amount: int, after: int = 1) -> Call:
    """The first trader withdraws USDC."""
    trader = world.actors.traders[0]
    account, at = world.account(trader), world.driver.time + after
    return world.call("clearinghouse", "withdraw", account, world.token("USDC"), amount, trader, sender=trader, at=at)


def cash(world: World) -> int:
    """Cash of the first trader, WAD."""
    return AccountWord.unpack(world.word("accounts_", world.account(world.actors.traders[0]))).raw_cash


def test_a_step_succeeds_and_its_state_stays(world: World) -> None:
    outcome = world.driver.step(deposit(world))
    assert outcome.success
    assert outcome.error is None
    assert outcome.failure is None
    assert outcome.output == b""
    assert outcome.gas_used > 21_000
    assert cash(world) == 1_000 * WAD


def test_a_step_gives_what_was_returned(world: World) -> None:
    entry = world.entry("feed:ETH", "push")
    latest = world.ask("feed:ETH", "latestRound")
    outcome = world.driver.step(world.publish("ETH", 2_001 * WAD, world.driver.time + 1))
    assert entry.result(outcome.output) == latest + 1


def test_events_are_decoded(world: World) -> None:
    outcome = world.driver.step(deposit(world))
    (event,) = outcome.named("Deposited")
    trader = world.actors.traders[0]
    account = world.account(trader)
    assert list(event.args.values())[:4] == [trader, account, world.token("USDC"), 10**9]
    word = AccountWord.unpack(event["word"])
    assert (word.raw_cash, word.version) == (1_000 * WAD, 1)
    assert event.address == world.address("clearinghouse")
    assert outcome.logs[event.log_index].address == world.address("clearinghouse").lower()
    assert [one.name for one in outcome.events][-1] == "Transfer"


def test_a_revert_is_decoded(world: World) -> None:
    outcome = world.driver.step(withdraw(world, 5 * 10**6))
    assert not outcome.success
    assert outcome.failure == ("InsufficientMargin", (-5 * WAD, 0))
    assert outcome.logs == ()
    assert outcome.halt is None


def test_other_failures_are_told_apart(world: World) -> None:
    driver = world.driver
    plain = Call(ANYBODY, PROBE, b"", driver.time)
    driver.set_code(PROBE, ECHO_REVERT)
    panic = bytes.fromhex("4e487b71") + (17).to_bytes(32, "big")
    calls = [plain._replace(data=data) for data in (b"", panic, b"\x12\x34\x56\x78")]
    for call in calls:
        driver.queue(call)
    queued = driver.flush()
    stepped = [driver.step(call) for call in calls]
    for outcomes in (queued, stepped):
        kinds = [outcome.failure[0] for outcome in outcomes if outcome.failure]
        assert kinds == ["BareRevert", "Panic", "UnknownRevert"]
        assert [outcome.output for outcome in outcomes] == [call.data for call in calls]


def test_a_halt_is_no_revert(world: World) -> None:
    driver = world.driver
    driver.set_code(PROBE, INVALID)
    call = Call(ANYBODY, PROBE, b"", driver.time)
    driver.queue(call)
    for outcome in (*driver.flush(), driver.step(call), driver.view(PROBE, b"")):
        assert not outcome.success
        assert outcome.halt is not None
        assert outcome.failure == ("EvmHalt", ())
        assert outcome.gas_used == call.gas


def test_what_a_sender_cannot_afford_fails_alone(world: World) -> None:
    driver = world.driver
    driver.set_balance(ANYBODY, 5)
    call = Call(ANYBODY, PROBE, b"", driver.time, 3)
    read = world.read(("pools_", 1))
    for _ in range(3):
        driver.queue(call, read)
    outcomes = driver.flush()
    assert [outcome.success for outcome in outcomes] == [True, False, False]
    assert outcomes[1].failure == ("EvmHalt", ())
    assert len({outcome.words for outcome in outcomes}) == 1
    assert [driver.step(call).success for _ in range(2)] == [True, False]
    assert (driver.balance(ANYBODY), driver.balance(PROBE)) == (2, 3)


@pytest.mark.parametrize("base_fee", [0, 12_345_678_901])
def test_a_call_carries_its_block_and_value(world: World, base_fee: int) -> None:
    driver = world.driver
    driver.set_code(PROBE, ENVIRONMENT)
    driver.set_balance(ANYBODY, 10)
    call = Call(ANYBODY, PROBE, b"", driver.time + 77, 2, driver.number + 5, base_fee)
    expected = [call.number, call.timestamp, base_fee, int(ANYBODY, 16), 2]
    driver.queue(call)
    assert numbers(driver.flush()[0])[:5] == expected
    assert numbers(driver.step(call))[:5] == expected
    assert (driver.time, driver.number) == (call.timestamp, call.number)
    assert driver.balance(ANYBODY) == 8
    seen = numbers(driver.view(PROBE, b"", sender=ANYBODY, timestamp=driver.time + 9, base_fee=base_fee, value=1))
    assert seen[:5] == [driver.number + 1, driver.time + 9, base_fee, int(ANYBODY, 16), 1]
    assert driver.balance(ANYBODY) == 8


def test_without_a_number_each_call_is_the_next_block(world: World) -> None:
    driver = world.driver
    driver.set_code(PROBE, ENVIRONMENT)
    first = driver.number
    for seconds in (0, 0, 5):
        driver.queue(Call(ANYBODY, PROBE, b"", driver.time + seconds))
    assert [numbers(outcome)[0] - first for outcome in driver.flush(keep=True)] == [1, 2, 3]
    assert numbers(driver.step(Call(ANYBODY, PROBE, b"", driver.time)))[0] == first + 4


def test_time_does_not_go_back(world: World) -> None:
    driver = world.driver
    early = Call(ANYBODY, PROBE, b"", driver.time - 1)
    with pytest.raises(FuzzError, match="time does not go back"):
        driver.step(early)
    driver.queue(early._replace(timestamp=driver.time + 10))
    driver.queue(early._replace(timestamp=driver.time + 9))
    with pytest.raises(FuzzError, match="time does not go back"):
        driver.flush()
    assert driver.flush() == []
    with pytest.raises(FuzzError, match="numbers grow"):
        driver.step(Call(ANYBODY, PROBE, b"", driver.time, number=driver.number))
    with pytest.raises(FuzzError, match="may not even pay"):
        driver.step(Call(ANYBODY, PROBE, b"", driver.time, gas=20_999))


def test_a_step_waits_for_queued_calls(world: World) -> None:
    world.driver.queue(deposit(world))
    with pytest.raises(FuzzError, match="flush them"):
        world.driver.step(deposit(world))


def test_a_flush_carries_the_state_and_gives_it_back(world: World) -> None:
    driver = world.driver
    time, number = driver.time, driver.number
    read = world.read(("accounts_", world.account(world.actors.traders[0])))
    assert driver.queue(deposit(world), read) == 0
    assert driver.queue(withdraw(world, 4 * 10**8, 2), read) == 1
    assert driver.queue(withdraw(world, 7 * 10**8, 3), read) == 2
    outcomes = driver.flush()
    assert [outcome.success for outcome in outcomes] == [True, True, False]
    assert [AccountWord.unpack(outcome.words[0]).raw_cash // WAD for outcome in outcomes] == [1_000, 600, 600]
    assert cash(world) == 0
    assert (driver.time, driver.number) == (time, number)


def test_a_flush_may_keep_the_state(world: World) -> None:
    driver = world.driver
    number = driver.number
    read = world.read(("accounts_", world.account(world.actors.traders[0])))
    driver.queue(deposit(world), read)
    driver.queue(withdraw(world, 4 * 10**8, 2), read)
    last = driver._queue[-1][0].timestamp
    outcomes = driver.flush(keep=True)
    assert [AccountWord.unpack(outcome.words[0]).raw_cash // WAD for outcome in outcomes] == [1_000, 600]
    assert cash(world) == 600 * WAD
    assert (driver.time, driver.number) == (last, number + 2)


def test_words_of_several_contracts_are_read_in_order(world: World) -> None:
    driver = world.driver
    driver.set_code(PROBE, TRANSIENT)
    ours = world.read(("pools_", 1), whole=True)
    probe = Read(PROBE, (3, 4))
    call = Call(ANYBODY, PROBE, b"", driver.time)
    driver.queue(deposit(world), probe, ours, probe)
    driver.queue(call._replace(timestamp=driver.time + 1), ours, probe)
    driver.queue(deposit(world, after=2), probe)
    first, second, third = driver.flush()
    stored = driver.words(ours.address, ours.slots)
    assert len(stored) > 1
    assert any(stored)
    assert first.words == (0, 0, *stored, 0, 0)
    assert second.words == (*stored, 7, 0)
    assert third.words == (7, 0)
    assert third.success
    driver.set_code(ANYBODY, ENVIRONMENT)
    for _ in range(3):
        driver.queue(Call(world.actors.thief, ANYBODY, b"", driver.time), probe)
    assert [numbers(outcome)[0] - driver.number for outcome in driver.flush()] == [1, 2, 3]
    assert driver.words(PROBE, [3, 4]) == (0, 0)
    driver.step(call)
    assert driver.words(PROBE, [4, 3]) == (0, 7)


def test_transient_storage_ends_with_each_call(world: World) -> None:
    driver = world.driver
    driver.set_code(PROBE, TRANSIENT)
    call = Call(ANYBODY, PROBE, b"", driver.time)
    for _ in range(2):
        driver.queue(call)
    outcomes = [*driver.flush(), driver.step(call), driver.step(call), driver.view(PROBE, b"")]
    assert [numbers(outcome) for outcome in outcomes] == [[0]] * 5


def test_snapshots_nest_and_work_once(world: World) -> None:
    driver = world.driver
    outer = driver.snapshot()
    driver.step(deposit(world))
    inner, time = driver.snapshot(), driver.time
    driver.step(deposit(world, after=100))
    driver.set_balance(ANYBODY, 7)
    driver.set_code(PROBE, STOP)
    assert cash(world) == 2_000 * WAD
    driver.revert(inner)
    assert cash(world) == 1_000 * WAD
    assert (driver.time, driver.balance(ANYBODY), driver.code(PROBE)) == (time, 0, b"")
    with pytest.raises(FuzzError, match="used up"):
        driver.revert(inner)
    later = driver.snapshot()
    driver.revert(outer)
    assert cash(world) == 0
    with pytest.raises(FuzzError, match="used up"):
        driver.revert(later)
    assert driver.step(deposit(world)).success


def test_ether_given_and_sent_is_taken_back(world: World) -> None:
    driver = world.driver
    driver.set_balance(ANYBODY, 100)
    with driver.isolated():
        driver.step(Call(ANYBODY, PROBE, b"", driver.time, 60))
        driver.set_balance(ANYBODY, 1_000)
        driver.step(Call(ANYBODY, PROBE, b"", driver.time, 500))
        assert (driver.balance(ANYBODY), driver.balance(PROBE)) == (500, 560)
    assert (driver.balance(ANYBODY), driver.balance(PROBE)) == (100, 0)


def test_isolation_restores_after_an_exception(world: World) -> None:
    def fail() -> None:
        with world.driver.isolated():
            world.driver.step(deposit(world))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert cash(world) == 0


def test_thousands_of_snapshots_do_no_harm(world: World) -> None:
    driver = world.driver
    for _ in range(1_500):
        driver.revert(driver.snapshot())
    first = driver.snapshot()
    for _ in range(MOST_SNAPSHOTS - len(driver._snapshots)):
        driver.snapshot()
    with pytest.raises(FuzzError, match="snapshots are waiting"):
        driver.snapshot()
    driver.revert(first)
    assert driver.step(deposit(world)).success


def test_code_that_was_set_is_undone_at_every_level(world: World) -> None:
    driver = world.driver
    call = Call(ANYBODY, PROBE, b"", driver.time)
    with driver.isolated():
        driver.set_code(PROBE, INVALID)
        with driver.isolated():
            driver.set_code(PROBE, STOP)
            assert driver.step(call).success
        assert driver.code(PROBE) == INVALID
        assert not driver.step(call).success
        with driver.isolated():
            driver.step(deposit(world))
        assert not driver.step(call).success
    assert driver.code(PROBE) == b""
    assert driver.step(call).success


def test_the_base_fee_leaves_code_as_it_is(world: World) -> None:
    driver = world.driver
    driver.set_code(PROBE, ENVIRONMENT)
    assert driver.code(PROBE) == ENVIRONMENT


def test_contracts_can_be_senders(world: World) -> None:
    driver = world.driver
    house = world.address("order_book")
    call = world.call("clearinghouse", "lock", sender=house, at=driver.time)
    refused = world.call("clearinghouse", "lock", sender=ANYBODY, at=driver.time)
    code = driver.code(house)
    driver.queue(call)
    driver.queue(refused)
    locked, unpeered = driver.flush()
    assert locked.success
    assert unpeered.failure == ("NotPeer", (to_checksum_address(ANYBODY),))
    assert driver.step(call).success
    assert driver.code(house) == code
    assert not world.ask("clearinghouse", "isLocked")
