"""Where the follower puts rows: the mirror, and the search over it when everything is read again."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Sequence

from plimsoll.keeper.book.mirror import Mirror
from plimsoll.keeper.book.search import Search
from plimsoll.keeper.rows import Row

__all__ = ["MirrorSink"]


class MirrorSink:
    """Keeps mirror and search the objects that they are, whatever happens to their contents."""

    def __init__(self, mirror: Mirror, search: Search) -> None:
        self._mirror = mirror
        self._search = search

    def apply(self, rows: Sequence[Row]) -> None:
        """Takes the rows of the next blocks.

        :raises VersionGapError: an account's version does not follow the one before.
        """
        self._mirror.apply(rows)

    def revert(self, rows: Sequence[Row]) -> None:
        """Takes old values back."""
        self._mirror.revert(rows)

    def reload(self, rows: Iterable[tuple[int, bytes, bytes]]) -> None:
        """Forgets everything but the decimals of tokens, and takes these rows."""
        decimals = dict(self._mirror.decimals)
        Mirror.__init__(self._mirror)
        self._mirror.decimals.update(decimals)
        # Millions of small objects that all stay: looking for garbage among them costs a quarter of the time.
        collects = gc.isenabled()
        gc.disable()
        try:
            self._mirror.load(rows)
        finally:
            if collects:
                gc.enable()
        Search.__init__(self._search, self._mirror)
