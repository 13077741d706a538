"""Raw logs of the Clearinghouse and the OrderBook to rows, by cutting words out of them.

Nothing is decoded to numbers: the words of an event are the words of storage. Where each of them lies is read from the
ABI once. Every log of the two contracts must be known: a log that does not fit is an error, never left out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from plimsoll.chain.abi import Abi
from plimsoll.keeper.node.errors import IncompleteLogsError, UndecodableLogError
from plimsoll.keeper.node.layout import EventLayout, layouts
from plimsoll.keeper.rows import Kind, Row

__all__ = ["Decoder", "RawLog"]

RawLog: TypeAlias = Mapping[str, Any]
"""A log as it comes from the node."""

Money: TypeAlias = dict[bytes, bytes]
"""Money word of each pool by its key."""
Writer: TypeAlias = Callable[[list[Row], Sequence[str], bytes, Money], None]
Maker: TypeAlias = Callable[[EventLayout], Writer]

ZERO = bytes(32)
ACCOUNT, POSITION, COLLATERAL, SALE, ORDER, MARKET = map(
    int, (Kind.ACCOUNT, Kind.POSITION, Kind.COLLATERAL, Kind.SALE, Kind.ORDER, Kind.MARKET)
)
POOL = int(Kind.POOL)


@dataclass(frozen=True, slots=True)
class _Known:
    """An event of one contract, and what to do with it; None: it tells no state."""

    name: str
    count: int
    size: int | None
    write: Writer | None


class Decoder:
    """Rows of the logs of one deployment.

    An event that tells only part of a row (`FeeReserved`: what is due of a pool, not its money) is completed from the
    rows taken before: `take` must be called with all rows that are kept, those of the database at the start and those
    undone included.

    :param owners: addresses whose claims are kept.
    """

    def __init__(
        self,
        clearinghouse: tuple[str, Abi],
        order_book: tuple[str, Abi],
        *,
        owners: Collection[str] = (),
    ) -> None:
        self.addresses = (clearinghouse[0].lower(), order_book[0].lower())
        """Of the two contracts, lower case: what logs are asked for."""
        watched = frozenset(bytes.fromhex(owner[2:]) for owner in owners)
        house, book = layouts(clearinghouse[1]), layouts(order_book[1])
        writers = {**_HOUSE, "ClaimSet": lambda layout: _claim(layout, watched)}
        self._known = {
            self.addresses[0]: _known(house, writers),
            self.addresses[1]: _known(book, _BOOK),
        }
        self.state_topics: dict[str, frozenset[bytes]] = {
            address: frozenset(bytes.fromhex(topic[2:]) for topic, one in known.items() if one.write is not None)
            for address, known in self._known.items()
        }
        """First topics of the events that tell state, by contract."""
        self._money: Money = {}

    def take(self, rows: Iterable[tuple[int, bytes, bytes | None]]) -> None:
        """Remembers what later logs leave out. Rows of other kinds are passed over."""
        for kind, key, value in rows:
            if kind == POOL:
                if value is None:
                    self._money.pop(key, None)
                else:
                    self._money[key] = value[:32]

    def forget(self) -> None:
        """Begins anew."""
        self._money.clear()

    def rows(self, logs: Iterable[RawLog]) -> list[Row]:
        """Rows of logs in their order; changes nothing here.

        :raises UndecodableLogError: a log of a contract of ours does not fit its ABI.
        :raises IncompleteLogsError: a log of another contract, or one that must follow logs that are not there.
        """
        rows: list[Row] = []
        money = dict(self._money)
        known = self._known
        from_hex = bytes.fromhex
        for log in logs:
            address, topics = log["address"], log["topics"]
            events = known.get(address) or known.get(address.lower())
            if events is None:
                raise IncompleteLogsError(f"a log of {address} came, which was not asked for")
            event = events.get(topics[0]) if topics else None
            if event is None:
                raise UndecodableLogError(
                    f"{_where(log)}: the ABI has no event {topics[0] if topics else '(anonymous)'}"
                )
            if event.write is None:
                continue
            try:
                data = from_hex(log["data"][2:])
                if len(topics) != event.count or (event.size is not None and len(data) != event.size):
                    raise ValueError(f"{len(topics)} topics and {len(data)} bytes")
                event.write(rows, topics, data, money)
            except (TypeError, ValueError, OverflowError) as error:
                raise UndecodableLogError(f"{_where(log)} does not fit {event.name}: {error}") from None
        return rows


def _where(log: RawLog) -> str:
    return f"log {log.get('logIndex')} of block {log.get('blockNumber')}"


def _known(events: Mapping[str, EventLayout], makers: Mapping[str, Maker]) -> dict[str, _Known]:
    missing = makers.keys() - events.keys()
    if missing:
        raise UndecodableLogError(
            f"the ABI has no {', '.join(sorted(missing))}; compile the contracts of the deployment"
        )
    found = {}
    for name, layout in events.items():
        maker = makers.get(name)
        found[layout.topic] = _Known(name, layout.count, layout.size, maker(layout) if maker is not None else None)
    return found


# ── parts of keys ────────────────────────────────────────────────────────────


def _tail(topic: str, length: int) -> bytes:
    """The last bytes of a topic whose other bytes must be zero."""
    raw = bytes.fromhex(topic[2:])
    if len(raw) != 32 or any(raw[:-length]):
        raise ValueError(f"topic {topic} is larger than {length} bytes")
    return raw[-length:]


def _number(word: bytes, length: int) -> bytes:
    """As `_tail`, of a word of the data."""
    if any(word[:-length]):
        raise ValueError(f"word 0x{word.hex()} is larger than {length} bytes")
    return word[-length:]


def _account(topic: str) -> bytes:
    raw = bytes.fromhex(topic[2:])
    if len(raw) != 32:
        raise ValueError(f"topic {topic} has no 32 bytes")
    return raw


# ── writers: what an event leaves behind ─────────────────────────────────────


def _account_word(layout: EventLayout) -> Writer:
    topic, word = layout.indexed("account"), layout.at("word")

    def write(rows: list[Row], topics: Sequence[str], data: bytes, money: Money) -> None:
        rows.append((ACCOUNT, _account(topics[topic]), data[word]))

    return write


def _fee_reserved(layout: EventLayout) -> Writer:
    topic, word, dues = layout.indexed("account"), layout.at("word"), layout.at("dues")

    def write(rows: list[Row], topics: Sequence[str], data: bytes, money: Money) -> None:
        account = _account(topics[topic])
        pool = account[20:22]
        held = money.get(pool)
        if held is None:
            raise IncompleteLogsError(f"pool {int.from_bytes(pool, 'big')} took a fee before it was set up")
        rows.append((ACCOUNT, account, data[word]))
        rows.append((POOL, pool, held + data[dues]))

    return write


def _filled(layout: EventLayout) -> Writer:
    account_topic, market_topic, keeper_topic = map(layout.indexed, ("account", "market", "keeper"))
    number, account_word, keeper_word = map(layout.at, ("id", "words.account", "words.keeper"))
    position = layout.at("words.position")
    parts = ("funding", "sides", "longEntrySum", "shortEntrySum")
    market_words = layout.run(*(f"words.{part}" for part in parts))
    pool_words = layout.run("words.money", "words.dues")

    def write(rows: list[Row], topics: Sequence[str], data: bytes, money: Money) -> None:
        account, market = _account(topics[account_topic]), _tail(topics[market_topic], 3)
        rows.append((ACCOUNT, account, data[account_word]))
        paid = data[keeper_word]
        if paid != ZERO:
            rows.append((ACCOUNT, _account(topics[keeper_topic]), paid))
        held = data[position]
        rows.append((POSITION, account + market[2:], held if held != ZERO else None))
        rows.append((MARKET, market, data[market_words]))
        pool, words = account[20:22], data[pool_words]
        money[pool] = words[:32]
        rows.append((POOL, pool, words))
        rows.append((ORDER, account + market + _number(data[number], 4), None))

    return write


def _position_liquidated(layout: EventLayout) -> Writer:
    account, market, word = layout.indexed("account"), layout.indexed("market"), layout.at("position")

    def write(rows: list[Row], topics: Sequence[str], data: bytes, money: Money) -> None:
        key = _account(topics[account]) + _tail(topics[market], 3)[2:]
        rows.append((POSITION, key, data[word] if data[word] != ZERO else None))

    return write


def _liquidated(layout: EventLayout) -> Writer:
    account, keeper = layout.indexed("account"), layout.indexed("keeper")
    word, keeper_word = layout.at("word"), layout.at("keeperWord")

    def write(rows: list[Row], topics: Sequence[str], data: bytes, money: Money) -> None:
        rows.append((ACCOUNT, _account(topics[account]), data[word]))
        if data[keeper_word] != ZERO:
            rows.append((ACCOUNT, _account(topics[keeper]), data[keeper_word]))

    return write


def _collateral(layout: EventLayout) -> Writer:
    account, index, balance = layout.indexed("account"), layout.indexed("index"), layout.at("balance")

    def write(rows: list[Row], topics: Sequence[str], data: bytes, money: Money) -> None:
        key = _account(topics[account]) + _tail(topics[index], 1)
        rows.append((COLLATERAL, key, data[balance] if data[balance] != ZERO else None))

    return write


def _sale(layout: EventLayout) -> Writer:
    account, since = layout.indexed("account"), layout.at("startedAt")

    def write(rows: list[Row], topics: Sequence[str], data: bytes, money: Money) -> None:
        rows.append((SALE, _account(topics[account]), data[since] if data[since] != ZERO else None))

    return write


def _pool_set(layout: EventLayout) -> Writer:
    pool, words = layout.indexed("pool"), layout.run("money", "dues")

    def write(rows: list[Row], topics: Sequence[str], data: bytes, money: Money) -> None:
        key, value = _tail(topics[pool], 2), data[words]
        money[key] = value[:32]
        rows.append((POOL, key, value))

    return write


def _of_key(kind: Kind, name: str, length: int, *parts: str) -> Maker:
    """A row keyed by one topic; its value are the named words, or all data."""
    number = int(kind)

    def make(layout: EventLayout) -> Writer:
        topic = layout.indexed(name)
        words = layout.run(*parts) if parts else slice(0, layout.size)

        def write(rows: list[Row], topics: Sequence[str], data: bytes, money: Money) -> None:
            rows.append((number, _tail(topics[topic], length), data[words]))

        return write

    return make


def _of_side(kind: Kind, numbered: str, part: str) -> Maker:
    """A row keyed by market, side and a number in the data."""

    def make(layout: EventLayout) -> Writer:
        market, long = layout.indexed("market"), layout.indexed("long")
        number, word = layout.at(numbered), layout.at(part)

        def write(rows: list[Row], topics: Sequence[str], data: bytes, money: Money) -> None:
            side = _tail(topics[long], 1)
            if side[0] > 1:
                raise ValueError(f"topic {topics[long]} is no bool")
            rows.append((int(kind), _tail(topics[market], 3) + side + _number(data[number], 4), data[word]))

        return write

    return make


def _collateral_configured(layout: EventLayout) -> Writer:
    pool, index = layout.indexed("pool"), layout.indexed("index")

    def write(rows: list[Row], topics: Sequence[str], data: bytes, money: Money) -> None:
        rows.append((int(Kind.COLLATERAL_CONFIG), _tail(topics[pool], 2) + _tail(topics[index], 1), data))

    return write


def _claim(layout: EventLayout, watched: frozenset[bytes]) -> Writer:
    pool, token, owner = map(layout.indexed, ("pool", "token", "owner"))
    claim = layout.at("claim")

    def write(rows: list[Row], topics: Sequence[str], data: bytes, money: Money) -> None:
        who = _tail(topics[owner], 20)
        if who in watched:
            key = _tail(topics[pool], 2) + _tail(topics[token], 20) + who
            rows.append((int(Kind.CLAIM), key, data[claim] if data[claim] != ZERO else None))

    return write


def _order_key(layout: EventLayout) -> Callable[[Sequence[str]], bytes]:
    account, market, number = map(layout.indexed, ("account", "market", "id"))
    return lambda topics: _account(topics[account]) + _tail(topics[market], 3) + _tail(topics[number], 4)


def _order_placed(layout: EventLayout) -> Writer:
    key = _order_key(layout)

    def write(rows: list[Row], topics: Sequence[str], data: bytes, money: Money) -> None:
        rows.append((ORDER, key(topics), data))

    return write


def _order_ended(layout: EventLayout) -> Writer:
    key = _order_key(layout)

    def write(rows: list[Row], topics: Sequence[str], data: bytes, money: Money) -> None:
        rows.append((ORDER, key(topics), None))

    return write


_HOUSE: Mapping[str, Maker] = {
    "AccountSet": _account_word,
    "CollateralConfigured": _collateral_configured,
    "CollateralSet": _collateral,
    "DebtSet": _of_key(Kind.DEBT, "pool", 2, "debt"),
    "Deposited": _account_word,
    "EpochClosed": _of_side(Kind.EPOCH_END, "epoch", "endValue"),
    "FeeReserved": _fee_reserved,
    "Filled": _filled,
    "Liquidated": _liquidated,
    "MarketConfigured": _of_key(Kind.MARKET_CONFIG, "market", 3),
    "MarketFlagsSet": _of_key(Kind.MARKET_FLAGS, "market", 3, "flags"),
    "MarketSet": _of_key(Kind.MARKET, "market", 3, "funding", "sides", "longEntrySum", "shortEntrySum"),
    "OpenEntrySumsSet": _of_key(Kind.OPEN_SUMS, "market", 3, "longOpenEntrySum", "shortOpenEntrySum", "owed"),
    "PauseSet": _of_key(Kind.PAUSE, "pool", 2, "flags"),
    "PoolConfigured": _of_key(Kind.POOL_CONFIG, "pool", 2),
    "PoolSet": _pool_set,
    "PositionLiquidated": _position_liquidated,
    "SaleSet": _sale,
    "ShareTokenConfigured": _of_key(Kind.SHARE_TOKEN, "pool", 2, "token"),
    "SideEventSet": _of_side(Kind.SIDE_EVENT, "number", "word"),
    "Withdrawn": _account_word,
}
_BOOK: Mapping[str, Maker] = {
    "MarketRulesSet": _of_key(Kind.ORDER_RULES, "market", 3),
    "OrderCancelled": _order_ended,
    "OrderExpired": _order_ended,
    "OrderPlaced": _order_placed,
}
