"""A state while an action works on it.

A `Draft` shares every table with the state it came from and copies one only when it is first written. `mark` and
`restore` undo what happened since, as a reverted call does. `freeze` gives the new state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plimsoll.model.engine.state import State

if TYPE_CHECKING:
    from plimsoll.model.engine.books import MarketBook, PoolBook
    from plimsoll.model.oracle_words import Spot, Trend

__all__ = ["Draft", "Refusal", "check_int", "check_uint", "require", "to_int"]

WORKING = ("_own", "prices", "pool_books", "market_books")
"""What a draft has beside the fields of its state."""


class Refusal(Exception):
    """An action is refused: name and arguments of the error, as the contract's ABI has them (addresses and ids as
    numbers)."""

    def __init__(self, name: str, *values: Any) -> None:
        super().__init__(name, values)
        self.name = name
        self.values = values

    def __str__(self) -> str:
        return f"{self.name}({', '.join(map(str, self.values))})"


def require(condition: bool, name: str, *values: Any) -> None:
    """Refuses with a named error unless the condition holds."""
    if not condition:
        raise Refusal(name, *values)


def check_uint(value: int, bits: int) -> int:
    """`value` if so many bits hold it; UintTooLarge otherwise. A negative number is an underflow, which panics."""
    if value < 0:
        raise Refusal("Panic", 0x11)
    if value >> bits:
        raise Refusal("UintTooLarge", value, bits)
    return value


def check_int(value: int, bits: int) -> int:
    """`value` if so many bits hold it with its sign; IntOutOfRange otherwise."""
    sign = value >> bits - 1
    if sign not in (0, -1):
        raise Refusal("IntOutOfRange", value, bits)
    return value


def to_int(value: int) -> int:
    """An unsigned number as a signed one; UintTooLarge from 2^255 on."""
    return check_uint(value, 255)


class Draft:
    """Writable view of a `State`; attributes are its fields.

    Beside the state it keeps what lives only during one call that holds the lock (prices that were read, pools and
    markets being worked on).
    """

    if TYPE_CHECKING:
        _own: set[str]
        prices: dict[int, tuple[Spot, Trend]]
        pool_books: dict[int, PoolBook]
        market_books: dict[int, MarketBook]

        def __getattr__(self, name: str) -> Any: ...
        def __setattr__(self, name: str, value: Any) -> None: ...

    def __init__(self, state: State) -> None:
        fields = state.__dict__.copy()
        fields["_own"] = set()
        fields["prices"], fields["pool_books"], fields["market_books"] = {}, {}, {}
        self.__dict__ = fields

    def own(self, table: str) -> Any:
        """The table, writable: copied when this draft shares it still."""
        fields = self.__dict__
        if table not in fields["_own"]:
            fields["_own"].add(table)
            fields[table] = fields[table].copy()
        return fields[table]

    def put(self, table: str, key: Any, value: Any) -> None:
        """Writes one entry of a table."""
        fields = self.__dict__
        if table in fields["_own"]:
            fields[table][key] = value
        else:
            self.own(table)[key] = value

    def drop(self, table: str, key: Any) -> None:
        """Removes one entry of a table; what is not there is left alone."""
        if key in self.__dict__[table]:
            self.own(table).pop(key)

    def begin(self) -> None:
        """Starts a call that holds the lock: no price has been read in it."""
        self.prices = {}
        self.pool_books = {}
        self.market_books = {}

    def mark(self) -> dict[str, Any]:
        """A point to come back to."""
        self._own.clear()
        return {**self.__dict__, "prices": dict(self.prices)}

    def restore(self, mark: dict[str, Any]) -> None:
        """Undoes everything since `mark`, books included; once."""
        self.__dict__.update(mark)
        self._own.clear()
        self.pool_books = {}
        self.market_books = {}

    def freeze(self) -> State:
        """The state as it is now. The draft shares its tables from then on, and is not written to any more."""
        return self._state(self.__dict__.copy())

    def release(self) -> State:
        """The state as it is now. It takes over what the draft holds, with which nothing can be done any more."""
        return self._state(self.__dict__)

    @staticmethod
    def _state(fields: dict[str, Any]) -> State:
        for name in WORKING:
            del fields[name]
        state = State.__new__(State)
        object.__setattr__(state, "__dict__", fields)
        return state
