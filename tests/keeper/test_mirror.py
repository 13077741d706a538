"""What logs say, kept in memory and in a file; no chain."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from plimsoll.chain.receipt import Event
from plimsoll.keeper.errors import ConfigurationError, UnsafeStateError, VersionGapError
from plimsoll.keeper.mirror import Collateral, Mirror, OrderRules, PoolRules, Pulse
from plimsoll.keeper.store import Cursor, Store
from plimsoll.model.words import AccountId, AccountWord
from plimsoll.units import WAD

ACCOUNT = AccountId("0x" + "22" * 20, 1, 7).to_bytes()
OTHER = AccountId("0x" + "33" * 20, 1, 0).to_bytes()
MARKET = 1 << 8


def event(name: str, **args: Any) -> Event:
    return Event(name, args, "0x" + "44" * 20, 0, 12, "0x")


def account_set(version: int, account: bytes = ACCOUNT, **fields: int) -> Event:
    return event("AccountSet", account=account, word=AccountWord(version=version, **fields).pack())


def placed(number: int) -> Event:
    return event(
        "OrderPlaced",
        account=ACCOUNT,
        market=MARKET,
        id=number,
        placedAt=100,
        sizeDelta=-(2**90),
        limitPrice=2**255,
        expiry=700,
        keeperFee=10**17,
        reduceOnly=True,
        clientId=b"\x07" * 32,
        priceTime=105,
    )


def filled(number: int) -> Event:
    words = SimpleNamespace(
        account=AccountWord(version=1).pack(),
        keeper=0,
        position=1,
        funding=0,
        sides=0,
        longEntrySum=0,
        shortEntrySum=0,
        money=0,
        dues=0,
    )
    return event("Filled", account=ACCOUNT, market=MARKET, keeper=OTHER, id=number, words=words)


def test_versions_must_follow_each_other() -> None:
    mirror = Mirror()
    mirror.apply([account_set(1), account_set(2), account_set(1, OTHER)])
    assert mirror.account(ACCOUNT).version == 2
    with pytest.raises(VersionGapError, match="is at version 4 in block 12, 3 was expected"):
        mirror.apply([account_set(4)])


def test_versions_wrap() -> None:
    mirror = Mirror()
    mirror.accounts.put(ACCOUNT, AccountWord(version=2**32 - 1).pack())
    mirror.apply([account_set(0)])
    assert mirror.account(ACCOUNT).version == 0


def test_only_accounts_with_positions_or_debt_are_exposed() -> None:
    mirror = Mirror()
    mirror.apply([account_set(1, raw_cash=10**18, collaterals=3)])
    assert mirror.exposed() == []
    mirror.apply([account_set(2, raw_cash=-1)])
    assert mirror.exposed() == [ACCOUNT]
    mirror.apply([account_set(3, markets=1 << 55)])
    assert mirror.exposed() == [ACCOUNT]


def test_orders_come_and_go_and_queues_are_in_order() -> None:
    mirror = Mirror()
    mirror.apply([placed(2), placed(3), placed(1)])
    assert [[order.id for order in queue] for queue in mirror.queues()] == [[1, 2, 3]]
    for number, name in ((2, "OrderCancelled"), (3, "OrderExpired")):
        mirror.apply([event(name, account=ACCOUNT, market=MARKET, id=number)])
    mirror.apply([filled(1)])
    assert mirror.queues() == []


def test_sales_begin_and_end() -> None:
    mirror = Mirror()
    mirror.apply([event("SaleSet", account=ACCOUNT, startedAt=55)])
    assert mirror.sales == {ACCOUNT: 55}
    mirror.apply([event("SaleSet", account=ACCOUNT, startedAt=0)])
    assert mirror.sales == {}


def filled_mirror() -> Mirror:
    mirror = Mirror()
    mirror.apply([account_set(1, raw_cash=-(2**110)), placed(1), event("SaleSet", account=OTHER, startedAt=9)])
    mirror.pools.put(1, PoolRules("0x" + "55" * 20, 450_000, 80_000, 900, WAD // 2, 1))
    mirror.shares.put(1, "0x" + "66" * 20)
    mirror.collaterals.put((1, 0), Collateral("0x" + "77" * 20, 1, 800_000))
    mirror.markets.put(MARKET, 1)
    mirror.rules.put(MARKET, OrderRules(1, 30))
    mirror.pulses.put(MARKET, Pulse(99, True))
    return mirror


def same(one: Mirror, two: Mirror) -> bool:
    return [dict(table) for table in one.tables] == [dict(table) for table in two.tables]


def test_a_saved_mirror_comes_back_as_it_was(tmp_path: Path) -> None:
    mirror = filled_mirror()
    assert all(mirror.tables), "the example has a record of every kind"
    store = Store(tmp_path / "keeper.sqlite", "chain")
    store.save(mirror.take_changes(), Cursor(12, "0xabc"))
    mirror.apply([event("OrderExpired", account=ACCOUNT, market=MARKET, id=1), account_set(2)])
    store.save(mirror.take_changes(), Cursor(13, "0xabd"))
    assert mirror.take_changes() == []
    store.close()
    store = Store(tmp_path / "keeper.sqlite", "chain")
    cursor, rows = store.load()
    restored = Mirror()
    restored.restore(rows)
    assert cursor == Cursor(13, "0xabd")
    assert same(restored, mirror)
    assert restored.orders == {}
    store.close()


def test_orders_survive_with_every_digit(tmp_path: Path) -> None:
    mirror = filled_mirror()
    with_orders = Mirror()
    with_orders.restore((kind, key, value) for kind, key, value in mirror.take_changes() if value is not None)
    assert same(with_orders, mirror)
    assert with_orders.orders[ACCOUNT, MARKET, 1].struct() == mirror.orders[ACCOUNT, MARKET, 1].struct()


def test_a_file_of_another_deployment_is_emptied(tmp_path: Path) -> None:
    path = tmp_path / "keeper.sqlite"
    store = Store(path, "chain")
    store.save(filled_mirror().take_changes(), Cursor(12, "0xabc"))
    store.close()
    store = Store(path, "another")
    assert store.was_foreign
    assert store.load() == (None, [])
    store.close()


def test_one_keeper_at_a_time_uses_a_file(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "keeper.sqlite"
    store = Store(path, "chain")
    with pytest.raises(ConfigurationError, match=r"another keeper uses .*keeper\.sqlite; stop it"):
        Store(path, "chain")
    store.close()
    Store(path, "chain").close()


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "keeper.sqlite"
    path.write_bytes(b"no database, but long enough to be taken for one" * 100)
    with pytest.raises(ConfigurationError, match=r"keeper\.sqlite is no database of the keeper"):
        Store(path, "chain")


def test_a_failed_save_changes_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "keeper.sqlite", "chain")
    store.save([("account", "00", "1")], Cursor(1, "0x1"))
    broken: Any = [("account", "01", "1"), ("account", "02", object())]
    with pytest.raises(UnsafeStateError, match="cannot be written"):
        store.save(broken, Cursor(2, "0x2"))
    assert store.load() == (Cursor(1, "0x1"), [("account", "00", "1")])
    store.close()
