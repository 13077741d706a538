"""The mirror row by row: versions without gaps, what is taken back, what is refused."""

from __future__ import annotations

import dataclasses

import pytest
from tests.support.book_rows import account_word, position_word, rows_of, word
from tests.support.verdicts import mirror_of

from plimsoll.fuzz.session import Session
from plimsoll.keeper.book import BookError, Mirror
from plimsoll.keeper.book.records import Order, OrderRules
from plimsoll.keeper.errors import VersionGapError
from plimsoll.keeper.rows import Kind, Row, collateral_key, order_key, position_key
from plimsoll.model.engine.parameters import CollateralParams, MarketParams, PoolParams
from plimsoll.model.engine.state import Account, Position, account_id

OWNER = 0xABCD
ACCOUNT = account_id(OWNER, 1).to_bytes(32, "big")


def account_row(version: int, cash: int = 5, markets: int = 0) -> Row:
    return Kind.ACCOUNT, ACCOUNT, account_word(Account(raw_cash=cash, markets=markets, version=version))


def position_row(index: int, shares: int) -> Row:
    value = position_word(Position(shares, 10**24, 0)) if shares else None
    return Kind.POSITION, position_key(ACCOUNT, index), value


def test_versions_that_follow_are_taken_within_a_block() -> None:
    mirror = Mirror()
    mirror.apply([account_row(1), account_row(2, 7), account_row(3, -9)])
    assert mirror.account(ACCOUNT).raw_cash == -9
    assert mirror.account(ACCOUNT).version == 3


@pytest.mark.parametrize("version", [0, 1, 3, 2**32 - 1])
def test_a_gap_of_versions_is_refused(version: int) -> None:
    mirror = Mirror()
    mirror.apply([account_row(1)])
    with pytest.raises(VersionGapError, match=f"at version {version}, 2 was expected"):
        mirror.apply([account_row(version)])


def test_the_version_wraps_after_its_last_number() -> None:
    mirror = Mirror()
    mirror.load([(Kind.ACCOUNT, ACCOUNT, account_word(Account(version=2**32 - 1)))])
    mirror.apply([account_row(0)])
    assert mirror.account(ACCOUNT).version == 0


def test_an_account_that_is_said_to_be_gone_is_refused_but_can_be_undone() -> None:
    mirror = Mirror()
    mirror.apply([account_row(1)])
    with pytest.raises(VersionGapError):
        mirror.apply([(Kind.ACCOUNT, ACCOUNT, None)])
    mirror.revert([(Kind.ACCOUNT, ACCOUNT, None)])
    assert list(mirror.rows()) == []
    mirror.apply([account_row(1)])


def test_what_is_reverted_is_as_before(session: Session) -> None:
    mirror = mirror_of(session.start)
    before = sorted(mirror.rows())
    known = {(kind, key): value for kind, key, value in before}
    rows: list[Row] = [account_row(1, markets=3), position_row(0, 5), position_row(1, -5), position_row(0, 7)]
    rows += [(Kind.COLLATERAL, collateral_key(ACCOUNT, 0), word(77)), (Kind.SALE, ACCOUNT, word(1))]
    mirror.apply(rows)
    assert sorted(mirror.positions(ACCOUNT)) == [0, 1]
    assert mirror.balances(ACCOUNT) == {0: 77}
    assert mirror.sales == {ACCOUNT: 1}
    mirror.revert([(kind, key, known.get((kind, key))) for kind, key, _ in reversed(rows)])
    assert sorted(mirror.rows()) == before
    assert mirror.sales == {}


def test_legs_come_and_go_in_any_order_and_their_places_are_used_again() -> None:
    mirror = Mirror()
    mirror.apply([account_row(1)])
    for round_ in range(50):
        mirror.apply([position_row(index, round_ + index + 1) for index in (3, 0, 31, 7)])
        assert {i: p.shares for i, p in mirror.positions(ACCOUNT).items()} == {
            index: round_ + index + 1 for index in (0, 3, 7, 31)
        }
        for index in ((0, 3, 7, 31), (31, 7, 3, 0), (7, 31, 0, 3))[round_ % 3]:
            mirror.apply([position_row(index, 0)])
        assert mirror.positions(ACCOUNT) == {}
        assert (mirror.known, mirror.open_positions) == (1, 0)
    assert mirror.legs.count == 4
    mirror.apply([position_row(3, 1), (Kind.COLLATERAL, collateral_key(ACCOUNT, 0), word(77))])
    assert (mirror.known, mirror.open_positions) == (1, 1)


def test_what_an_account_owes_is_a_leg_that_nobody_sees() -> None:
    mirror = Mirror()
    mirror.apply([account_row(1, -7), position_row(2, 5)])
    assert (mirror.legs.used, mirror.open_positions) == (2, 1)
    assert {kind for kind, _, _ in mirror.rows()} == {Kind.ACCOUNT, Kind.POSITION}
    loaded = Mirror()
    loaded.load(mirror.rows())
    assert (loaded.legs.used, loaded.open_positions) == (2, 1)
    mirror.apply([account_row(2, 0)])
    assert mirror.legs.used == 1


def test_what_is_loaded_at_once_is_what_comes_one_by_one(session: Session) -> None:
    rows = list(rows_of(session.start))
    loaded, reverted = Mirror(), Mirror()
    loaded.load(reversed(rows))
    reverted.revert(rows)
    assert sorted(loaded.rows()) == sorted(reverted.rows())
    assert loaded.markets == reverted.markets
    assert loaded.pool_terms == reverted.pool_terms
    assert loaded.unknown_tokens() == reverted.unknown_tokens() != []


def test_a_mirror_is_loaded_once() -> None:
    mirror = Mirror()
    mirror.apply([account_row(1)])
    with pytest.raises(BookError, match="load into a new one"):
        mirror.load([])


def test_a_row_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(BookError, match="kind 99"):
        Mirror().apply([(99, b"", b"")])


def test_orders_wait_in_queues_until_they_end() -> None:
    mirror = Mirror()

    def placed(number: int) -> Row:
        fields = (10 + number, -5, 6, 7, 8, 1, 9, 12 + number)
        return Kind.ORDER, order_key(ACCOUNT, 0x0102, number), b"".join(map(word, fields))

    mirror.apply([placed(2), placed(1)])
    first = Order(ACCOUNT, 0x0102, 1, 11, -5, 6, 7, 8, True, word(9), 13)
    assert mirror.queues() == [[first, dataclasses.replace(first, id=2, placed_at=12, price_time=14)]]
    mirror.apply([(Kind.ORDER, order_key(ACCOUNT, 0x0102, 1), None)])
    assert list(mirror.orders) == [(ACCOUNT, 0x0102, 2)]


@pytest.mark.parametrize(
    ("contract", "event", "struct", "record"),
    [
        ("Clearinghouse", "PoolConfigured", "params", PoolParams),
        ("Clearinghouse", "MarketConfigured", "params", MarketParams),
        ("Clearinghouse", "CollateralConfigured", "params", CollateralParams),
        ("OrderBook", "MarketRulesSet", "rules", OrderRules),
    ],
)
def test_records_have_the_fields_of_the_contracts_in_their_order(
    session: Session, contract: str, event: str, struct: str, record: type
) -> None:
    world = session.world.deployment
    abi = {"Clearinghouse": world.clearinghouse, "OrderBook": world.order_book}[contract].abi
    (item,) = [one for one in abi if one["type"] == "event" and one["name"] == event]
    (fields,) = [one["components"] for one in item["inputs"] if one["name"] == struct]
    names = [field.name.replace("_", "").lower() for field in dataclasses.fields(record)]
    assert names == [one["name"].lower() for one in fields]
