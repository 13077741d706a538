"""One leads; who lost the lease, or slept through it, neither writes nor passes the guard. On every database alike."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from tests.keeper.storage.examples import Open, entry, header, take

from plimsoll.keeper.errors import ConfigurationError
from plimsoll.keeper.rows import Kind
from plimsoll.keeper.storage.errors import LeaseLostError
from plimsoll.keeper.storage.lease import Grant
from plimsoll.keeper.storage.repository import Repository

SHORT, LONG = 0.5, 2.0
"""Periods, seconds: one that is waited out, one that a busy machine does not exceed by itself."""


def led(repository: Repository, owner: str, ttl: float = 60) -> Grant:
    """The grant that must be given."""
    grant = repository.lease.acquire(owner, ttl)
    assert grant is not None
    return grant


def at_last(attempt: Callable[[], Grant | None], within: float) -> Grant:
    """Tries until a grant is given."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        grant = attempt()
        if grant is not None:
            return grant
        time.sleep(0.02)
    raise AssertionError(f"no grant within {within} s")


def test_one_of_two_leads(opened: Open) -> None:
    one, two = opened(shared=True), opened(shared=True)
    assert one.lease.holder() is None
    grant = led(one, "one")
    assert two.lease.acquire("two", 60) is None
    holder = two.lease.holder()
    assert holder is not None
    assert (holder.epoch, holder.owner) == (grant.epoch, "one")
    assert 50 < holder.remaining <= 60
    assert 50 < one.lease.remaining() < 60
    assert two.lease.remaining() == 0
    one.lease.guard(grant.epoch)
    with pytest.raises(LeaseLostError, match="holds no lease"):
        two.lease.guard(grant.epoch)


def test_a_released_lease_is_taken_over_at_once(opened: Open) -> None:
    one, two = opened(shared=True), opened(shared=True)
    first = led(one, "one")
    one.lease.release()
    one.lease.release()
    second = led(two, "two")
    assert second.epoch > first.epoch
    with pytest.raises(LeaseLostError):
        one.lease.guard(first.epoch)


def test_a_silent_leader_is_replaced_within_two_periods(opened: Open) -> None:
    one, two = opened(shared=True), opened(shared=True)
    first = led(one, "one", SHORT)
    second = at_last(lambda: two.lease.acquire("two", SHORT), 2 * SHORT)
    assert second.epoch > first.epoch


def test_a_leader_that_renews_stays(opened: Open) -> None:
    one, two = opened(shared=True), opened(shared=True)
    grant = led(one, "one", LONG)
    end = time.monotonic() + 1.5 * LONG
    while time.monotonic() < end:
        time.sleep(LONG / 10)
        one.lease.renew()
        assert two.lease.acquire("two", LONG) is None
        one.lease.guard(grant.epoch)


def test_a_leader_stops_by_its_own_clock_before_anyone_can_take_over(opened: Open) -> None:
    one = opened(shared=True)
    grant = led(one, "one", 60)
    asleep = grant.until
    one.lease.clock = lambda: asleep
    with pytest.raises(LeaseLostError, match="ran out"):
        one.lease.guard(grant.epoch)
    holder = one.lease.holder()
    assert holder is not None
    assert holder.remaining > 0


def test_a_replaced_leader_writes_nothing(opened: Open) -> None:
    one, two = opened(shared=True), opened(shared=True)
    first = led(one, "one", SHORT)
    number = one.journal.add(entry(1, first.epoch))
    take(one, 1, 5)
    second = at_last(lambda: two.lease.acquire("two", 60), 2 * SHORT)
    state = two.state_hash()
    attempts: list[Callable[[], object]] = [
        lambda: one.journal.add(entry(2, first.epoch)),
        lambda: one.journal.add(entry(2, second.epoch)),
        lambda: one.journal.set(number, "landed", 5),
        lambda: one.journal.reorged(0),
        lambda: one.journal.prune(999),
        lambda: one.memory.set("a", 1),
        lambda: one.save_block(header(6), [(Kind.POOL, b"\0\1", b"x")]),
        lambda: one.save_chunk(header(6), []),
        lambda: one.undo_to(2),
        lambda: one.begin_snapshot(header(6)),
        lambda: one.reset(),
        lambda: one.lease.renew(),
        lambda: one.lease.guard(first.epoch),
        lambda: one.lease.guard(second.epoch),
    ]
    for attempt in attempts:
        with pytest.raises(LeaseLostError):
            attempt()
    assert two.state_hash() == state
    assert [known.status for known in two.journal.recent(9)] == ["intended"]
    two.journal.set(two.journal.recent(1)[0].id, "landed", 5)
    two.lease.guard(second.epoch)


def test_a_lease_that_ran_out_takes_no_entry_even_if_nobody_took_over(opened: Open) -> None:
    one = opened(shared=True)
    grant = led(one, "one", SHORT)
    time.sleep(SHORT * 1.1)
    with pytest.raises(LeaseLostError, match="ran out"):
        one.journal.add(entry(1, grant.epoch))
    one.lease.renew()
    one.journal.add(entry(1, grant.epoch))


def test_with_high_availability_only_the_leader_writes(opened: Open) -> None:
    one = opened(shared=True)
    with pytest.raises(LeaseLostError, match="acquire the lease first"):
        take(one, 1, 1)
    led(one, "one")
    take(one, 1, 1)


def test_the_only_process_does_not_wait_for_one_that_ended(opened: Open) -> None:
    first = opened()
    before = led(first, "killed", 3_600)
    first.close()
    again = opened()
    after = led(again, "started again", 3_600)
    assert after.epoch > before.epoch
    again.journal.add(entry(1, after.epoch))


def test_every_acquisition_begins_an_epoch(repository: Repository) -> None:
    first, second = led(repository, "me"), led(repository, "me")
    assert second.epoch == first.epoch + 1
    with pytest.raises(LeaseLostError, match="is over"):
        repository.lease.guard(first.epoch)
    with pytest.raises(LeaseLostError):
        repository.journal.add(entry(1, first.epoch))


def test_a_lease_needs_an_owner_and_a_length(repository: Repository) -> None:
    with pytest.raises(ConfigurationError):
        repository.lease.acquire("", 5)
    with pytest.raises(ConfigurationError):
        repository.lease.acquire("me", 0)
