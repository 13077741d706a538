"""Why the book cannot answer."""

from __future__ import annotations

from plimsoll.keeper.errors import KeeperError

__all__ = ["BookError"]


class BookError(KeeperError):
    """Something that the book needs is not in it: a log is missing, or the oracle was not asked about an asset."""
