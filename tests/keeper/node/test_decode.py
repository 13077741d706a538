"""Rows cut out of logs by hand are those that the ABI decoder gives, for every event that tells state."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from tests.keeper.node.conftest import History, decoder_of

from plimsoll.chain.abi import EventAbi
from plimsoll.chain.receipt import Event
from plimsoll.chain.stored import with_words
from plimsoll.keeper.node.decode import Decoder
from plimsoll.keeper.node.errors import IncompleteLogsError, UndecodableLogError
from plimsoll.keeper.node.layout import LayoutError, layouts
from plimsoll.keeper.rows import Kind, Row, collateral_key, market_key, order_key, pool_key, position_key, side_key

LOW = (1 << 256) - 1
PLACED = ("placedAt", "sizeDelta", "limitPrice", "expiry", "keeperFee", "reduceOnly", "clientId", "priceTime")


# ── the slow way ─────────────────────────────────────────────────────────────


def words(*values: Any) -> bytes:
    """Values as ABI words."""
    parts = []
    for value in values:
        if isinstance(value, bytes):
            parts.append(value.rjust(32, b"\0"))
        else:
            number = int(value, 16) if isinstance(value, str) else int(value)
            parts.append((number & LOW).to_bytes(32, "big"))
    return b"".join(parts)


def or_gone(value: int) -> bytes | None:
    return words(value) if value else None


class Reference:
    """Rows of decoded events."""

    def __init__(self, owners: Sequence[str]) -> None:
        self.owners = owners
        self.money: dict[int, int] = {}

    def rows(self, events: Sequence[Event]) -> list[Row]:
        found: list[Row] = []
        for event in with_words(events):
            found += self.of(event.name, event.args)
        return found

    def of(self, name: str, a: Mapping[str, Any]) -> list[Row]:
        market = market_key(a["market"]) if "market" in a else b""
        pool = pool_key(a["pool"]) if "pool" in a else b""
        if name in ("Filled", "OrderCancelled", "OrderExpired"):
            return [(Kind.ORDER, order_key(a["account"], a["market"], a["id"]), None)]
        if name == "AccountSet":
            return [(Kind.ACCOUNT, a["account"], words(a["word"]))]
        if name == "PositionSet":
            return [(Kind.POSITION, position_key(a["account"], a["market"] & 0xFF), or_gone(a["word"]))]
        if name == "CollateralSet":
            return [(Kind.COLLATERAL, collateral_key(a["account"], a["index"]), or_gone(a["balance"]))]
        if name == "SaleSet":
            return [(Kind.SALE, a["account"], or_gone(a["startedAt"]))]
        if name == "OrderPlaced":
            key = order_key(a["account"], a["market"], a["id"])
            return [(Kind.ORDER, key, words(*(a[part] for part in PLACED)))]
        if name == "MarketSet":
            parts = (a["funding"], a["sides"], a["longEntrySum"], a["shortEntrySum"])
            return [(Kind.MARKET, market, words(*parts))]
        if name == "OpenEntrySumsSet":
            return [(Kind.OPEN_SUMS, market, words(a["longOpenEntrySum"], a["shortOpenEntrySum"], a["owed"]))]
        if name == "SideEventSet":
            return [(Kind.SIDE_EVENT, side_key(a["market"], a["long"], a["number"]), words(a["word"]))]
        if name == "EpochClosed":
            return [(Kind.EPOCH_END, side_key(a["market"], a["long"], a["epoch"]), words(a["endValue"]))]
        if name == "PoolSet":
            self.money[a["pool"]] = a["money"]
            return [(Kind.POOL, pool, words(a["money"], a["dues"]))]
        if name == "DuesSet":
            return [(Kind.POOL, pool, words(self.money[a["pool"]], a["dues"]))]
        if name == "DebtSet":
            return [(Kind.DEBT, pool, words(a["debt"]))]
        if name == "PoolConfigured":
            return [(Kind.POOL_CONFIG, pool, words(*a["params"]))]
        if name == "MarketConfigured":
            return [(Kind.MARKET_CONFIG, market, words(*a["params"]))]
        if name == "CollateralConfigured":
            return [(Kind.COLLATERAL_CONFIG, pool + bytes([a["index"]]), words(*a["params"]))]
        if name == "ShareTokenConfigured":
            return [(Kind.SHARE_TOKEN, pool, words(a["token"]))]
        if name == "MarketRulesSet":
            return [(Kind.ORDER_RULES, market, words(*a["rules"]))]
        if name == "MarketFlagsSet":
            return [(Kind.MARKET_FLAGS, market, words(a["flags"]))]
        if name == "PauseSet":
            return [(Kind.PAUSE, pool, words(a["flags"]))]
        if name == "ClaimSet" and a["owner"] in self.owners:
            key = pool + bytes.fromhex(a["token"][2:]) + bytes.fromhex(a["owner"][2:])
            return [(Kind.CLAIM, key, or_gone(a["claim"]))]
        return []


def topic(past: History, name: str) -> str:
    abi = [*past.protocol.clearinghouse.abi, *past.protocol.order_book.abi]
    return "0x" + EventAbi.of(next(i for i in abi if i["type"] == "event" and i["name"] == name)).selector.hex()


# ── tests ────────────────────────────────────────────────────────────────────


def test_rows_cut_by_hand_are_those_of_the_abi_decoder(past: History) -> None:
    p = past.protocol
    owners = (p.attacker, p.keeper)
    expected = Reference(owners).rows(p.deployment.events.decode_all(past.logs))
    decoder = decoder_of(p, owners)
    rows = decoder.rows(past.logs)
    assert rows == expected
    assert {kind for kind, _, _ in rows} == set(Kind), "the history has a row of every kind"


def test_the_history_has_every_event_that_tells_state(past: History) -> None:
    seen = {(log["address"], bytes.fromhex(log["topics"][0][2:])) for log in past.logs}
    told = decoder_of(past.protocol).state_topics
    missing = {(address, one) for address, topics in told.items() for one in topics} - seen
    assert missing == set()


def test_block_by_block_gives_the_same_rows_as_all_at_once(past: History) -> None:
    decoder = decoder_of(past.protocol)
    found: list[Row] = []
    blocks: dict[str, list[dict[str, Any]]] = {}
    for log in past.logs:
        blocks.setdefault(log["blockNumber"], []).append(log)
    for logs in blocks.values():
        rows = decoder.rows(logs)
        assert rows == decoder.rows(logs), "reading changes nothing"
        decoder.take(rows)
        found += rows
    assert found == decoder_of(past.protocol).rows(past.logs)


def test_claims_of_others_are_left_out(past: History) -> None:
    kinds = [kind for kind, _, _ in decoder_of(past.protocol).rows(past.logs)]
    assert Kind.CLAIM not in kinds


def test_a_fee_reserved_needs_the_money_of_its_pool(past: History) -> None:
    reserved = [log for log in past.logs if log["topics"][0] == topic(past, "FeeReserved")]
    decoder = decoder_of(past.protocol)
    with pytest.raises(IncompleteLogsError, match="pool 2 took a fee before it was set up"):
        decoder.rows(reserved[:1])
    money, dues = b"\x01" * 32, b"\x02" * 32
    decoder.take([(Kind.POOL, pool_key(2), money + dues)])
    _, row = decoder.rows(reserved[:1])
    assert row[:2] == (Kind.POOL, pool_key(2))
    assert row[2] is not None
    assert row[2][:32] == money
    assert row[2][32:] == bytes.fromhex(reserved[0]["data"][2:])[32:]
    decoder.take([(Kind.POOL, pool_key(2), None)])
    with pytest.raises(IncompleteLogsError):
        decoder.rows(reserved[:1])


def spoil(log: dict[str, Any], **parts: Any) -> dict[str, Any]:
    return {**log, **parts}


def test_what_does_not_fit_the_abi_is_refused(past: History) -> None:
    decoder = decoder_of(past.protocol)
    placed = next(log for log in past.logs if log["topics"][0] == topic(past, "OrderPlaced"))
    first, account, market, number = placed["topics"]
    large = "0x" + "11" * 32
    wrong = [
        spoil(placed, topics=[]),
        spoil(placed, topics=[large, account, market, number]),
        spoil(placed, topics=[first, account, market]),
        spoil(placed, topics=[first, account, large, number]),
        spoil(placed, topics=[first, account, market, large]),
        spoil(placed, topics=[first, account[:-2], market, number]),
        spoil(placed, data=placed["data"][:-2]),
        spoil(placed, data=placed["data"] + "00" * 32),
        spoil(placed, data="0xzz"),
        spoil(placed, data=None),
    ]
    assert len(decoder.rows([placed])) == 1
    for log in wrong:
        with pytest.raises(UndecodableLogError):
            decoder.rows([log])
    with pytest.raises(IncompleteLogsError, match="was not asked for"):
        decoder.rows([spoil(placed, address="0x" + "12" * 20)])


def test_checksummed_addresses_are_known_too(past: History) -> None:
    house = past.protocol.clearinghouse.address
    decoder = decoder_of(past.protocol)
    logs = [log for log in past.logs if log["address"] == house.lower()]
    assert decoder.rows([spoil(log, address=house) for log in logs]) == decoder.rows(logs)


def test_an_abi_without_an_event_of_ours_is_refused(past: History) -> None:
    house, book = past.protocol.clearinghouse, past.protocol.order_book
    abi = [item for item in house.abi if item.get("name") != "Filled"]
    with pytest.raises(UndecodableLogError, match="no Filled"):
        Decoder((house.address, abi), (book.address, book.abi))


def test_where_arguments_lie_is_read_from_the_abi() -> None:
    def param(name: str, kind: str, indexed: bool = False, **more: Any) -> dict[str, Any]:
        return {"name": name, "type": kind, "indexed": indexed, **more}

    pair = [param("low", "int128"), param("high", "uint256")]
    inputs = [
        param("a", "uint16", True),
        param("b", "bool"),
        param("c", "tuple", components=pair),
        param("d", "bytes32"),
    ]
    event = {"type": "event", "name": "Told", "inputs": inputs}
    told = layouts([event, event])["Told"]
    assert (told.count, told.size, told.indexed("a")) == (2, 128, 1)
    assert (told.at("c.high"), told.run("b", "c.low", "c.high")) == (slice(64, 96), slice(0, 96))
    for wrong in (lambda: told.at("a"), lambda: told.indexed("b"), lambda: told.run("b", "d")):
        with pytest.raises(LayoutError):
            wrong()
    assert layouts([{**event, "inputs": [param("x", "bytes"), param("y", "uint256[]")]}])["Told"].size is None
    assert layouts([{**event, "anonymous": True}]) == {}
    with pytest.raises(LayoutError, match="two events Told"):
        layouts([event, {**event, "inputs": inputs[1:]}])


def test_five_thousand_logs_are_read_in_a_moment(past: History) -> None:
    filled = [log for log in past.logs if log["topics"][0] == topic(past, "Filled")]
    answer = json.dumps((filled * 5_000)[:5_000])
    decoder = decoder_of(past.protocol)
    best = 1e9
    for _ in range(3):
        began = time.process_time()
        rows = decoder.rows(json.loads(answer))
        best = min(best, time.process_time() - began)
    assert len(rows) >= 5 * 5_000
    assert best < 0.3, f"{best * 1000:.0f} ms of processor time"
