"""What another process writes into the database, for one that stands by: read often, it is little each time.

A block is kept with what its rows were before it, so the keys of all rows that changed are known; their values are read
as they are now. A block that was rolled back meanwhile is undone the same way: its keys were remembered.
"""

from __future__ import annotations

from plimsoll.keeper.node.headers import Header
from plimsoll.keeper.rows import Row
from plimsoll.keeper.storage.database import Key
from plimsoll.keeper.storage.repository import RING, Repository

__all__ = ["Changes"]

TRIES = 5
"""How often the database may change between two of our queries."""


class Changes:
    """Changes since a block that the reader has taken."""

    def __init__(self, repository: Repository, taken: Header) -> None:
        self._repository = repository
        self._known: dict[str, tuple[Key, ...]] = {taken.hash: ()}
        """Hashes of the last blocks taken, oldest first, with the keys of the rows that each changed."""

    def take(self) -> tuple[Header, list[Row]] | None:
        """The block that the database is at, and the present values of all rows that changed since the last call.

        None if that cannot be told: the ring does not reach back so far, it began anew, or it never stood still.
        """
        for _ in range(TRIES):
            found = self._repository.blocks_after(self._known)
            if found is None:
                return None
            common, blocks = found
            if blocks and blocks[0][0].parent != common:
                # It was rolled back, and replaced, between the two queries for them.
                continue
            hashes = list(self._known)
            gone = hashes[hashes.index(common) + 1 :]
            keys = dict.fromkeys(key for name in gone for key in self._known[name])
            new = {header.hash: tuple((int(kind), key) for kind, key, _ in old) for header, old in blocks}
            for changed in new.values():
                keys.update(dict.fromkeys(changed))
            values = self._repository.values(list(keys)) if keys else {}
            head = self._repository.head()
            if head is not None and head.hash == (blocks[-1][0].hash if blocks else common):
                break
        else:
            return None
        for name in gone:
            del self._known[name]
        self._known.update(new)
        for name in list(self._known)[:-RING]:
            del self._known[name]
        return head, [(kind, key, values.get((kind, key))) for kind, key in keys]
