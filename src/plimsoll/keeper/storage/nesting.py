"""Transactions inside transactions are part of the outermost one; both databases do it this way."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from threading import RLock

from plimsoll.keeper.storage.errors import StorageError

__all__ = ["Nesting"]


class Nesting:
    """Counts how deep the thread that holds `lock` is in transactions, and ends the outermost one."""

    def __init__(self) -> None:
        self.lock = RLock()
        self._depth = 0
        self._durable = False

    def transaction(self, *, durable: bool = False) -> AbstractContextManager[None]:
        """Commits at its end, rolls back after an exception; see `Database.transaction`."""
        return self._transaction(durable)

    @property
    def inside(self) -> bool:
        """A transaction is under way."""
        return self._depth > 0

    @abstractmethod
    def _begin(self, durable: bool) -> None: ...

    @abstractmethod
    def _commit(self) -> None: ...

    @abstractmethod
    def _roll_back(self) -> None:
        """Must not raise for a transaction that the database has ended already."""

    @contextmanager
    def _transaction(self, durable: bool) -> Iterator[None]:
        with self.lock:
            if self._depth:
                if durable and not self._durable:
                    raise StorageError("a durable transaction inside one that is not")
                self._depth += 1
                try:
                    yield
                finally:
                    self._depth -= 1
                return
            self._begin(durable)
            self._depth, self._durable = 1, durable
            try:
                yield
                self._commit()
            except BaseException:
                self._roll_back()
                raise
            finally:
                self._depth = 0
