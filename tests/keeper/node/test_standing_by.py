"""One follower writes the database, another keeps its mirror up by reading it, and takes over."""

from __future__ import annotations

from pathlib import Path

from tests.keeper.node.following import Following, busy, kinds
from tests.support.protocol import Protocol


def test_who_stands_by_keeps_up_and_takes_over_without_loading(protocol: Protocol, tmp_path: Path) -> None:
    leader, other = (Following(protocol, tmp_path / "db", shared=True) for _ in range(2))
    other.follower.stand_by()
    assert (other.follower.head, other.sink.rows) == (None, {})
    lease = leader.repository.lease
    assert lease.acquire("one", 3600.0) is not None
    leader.run()
    other.follower.stand_by()
    for sub in range(3):
        with protocol.snapshot():
            # Blocks that another history replaces.
            busy(protocol, sub)
            leader.run()
            other.follower.stand_by()
            assert other.sink.rows == leader.sink.rows
        busy(protocol, sub + 3)
        leader.run()
        if sub != 1:
            other.follower.stand_by()
            assert other.follower.head == leader.follower.head
            assert other.sink.rows == leader.sink.rows
    busy(protocol, 9)
    lease.release()
    assert other.repository.lease.acquire("two", 3600.0) is not None
    other.follower.stand_by()
    assert kinds(other.run()) == ["BlockTaken"]
    assert other.sink.reloads == 1
    other.check()
    leader.close()
    other.close()
