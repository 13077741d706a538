"""Where each entry of a model `State` lies in the contracts' storage, and the words it should have there.

`Cells.of(state, table, key)` gives (contract address, slot, mask, value) for one entry of one table; `changes` lists
the entries in which two states differ. Together they say what storage must look like after an action, word by word.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple
from functools import lru_cache
from itertools import compress
from operator import is_not, itemgetter
from typing import Any, NamedTuple

from eth_utils.crypto import keccak

from plimsoll.chain.artifacts import Artifact, Artifacts
from plimsoll.model.engine.state import NO_ACCOUNT, NO_POSITION, Collateral, Event, Market, Order, Pool, Queue, State
from plimsoll.model.order_words import OrderWord
from plimsoll.model.words import (
    AccountWord,
    DebtWord,
    EventWord,
    FundingWord,
    PoolDuesWord,
    PoolFlags,
    PoolMoneyWord,
    PositionWord,
    SidesWord,
    StateWord,
)

__all__ = ["Cell", "Cells", "Layout", "changes", "hash_order"]

FULL = 2**256 - 1
TABLES = (
    "accounts",
    "positions",
    "collateral",
    "sales",
    "markets",
    "market_terms",
    "events",
    "epoch_ends",
    "pools",
    "pool_terms",
    "junior",
    "lp_escrow",
    "open_sales",
    "collaterals",
    "held",
    "claims",
    "claim_totals",
    "asset_states",
    "deviated_since",
    "rules",
    "queues",
    "balances",
    "allowances",
    "lps",
)
"""Tables that are compared word by word; feeds are the tests' own."""
SCALARS = ("owner", "pending_owner", "guardian")
_tables, _scalars = itemgetter(*TABLES), itemgetter(*SCALARS)
SINCE_SHIFT = 220


class Cell(NamedTuple):
    """One word: where it is, which bits count, and what they should be."""

    address: str
    slot: int
    mask: int
    value: int


class Layout:
    """Slots and fields of one contract by the names of its variables."""

    def __init__(self, artifact: Artifact) -> None:
        self._types: Mapping[str, Any] = artifact.storage_layout["types"] or {}
        self._variables = {entry["label"]: entry for entry in artifact.storage_layout["storage"]}
        self._known: dict[tuple[Any, ...], tuple[int, int, int]] = {}
        self.name = artifact.name

    def place(self, *where: Any) -> tuple[int, int, int]:
        """(slot, shift, bits) of a value: its variable, then keys and indices (int) and members (names)."""
        known = self._known.get(where)
        if known is None:
            known = self._known[where] = self._find(*where)
        return known

    def _find(self, variable: str, *path: Any) -> tuple[int, int, int]:
        entry = self._variables[variable]
        slot, shift, kind = int(entry["slot"]), 8 * int(entry["offset"]), entry["type"]
        for step in path:
            layout = self._types[kind]
            if layout["encoding"] == "mapping":
                slot, shift = _mapped(step, slot), 0
                kind = layout["value"]
            elif layout["encoding"] == "dynamic_array":
                slot, shift = int.from_bytes(keccak(slot.to_bytes(32, "big")), "big") + step, 0
                kind = layout["base"]
            elif "members" in layout:
                member = next(item for item in layout["members"] if item["label"] == step)
                slot, shift, kind = slot + int(member["slot"]), 8 * int(member["offset"]), member["type"]
            else:
                slot, shift = slot + int(step), 0
                kind = layout["base"]
        return slot, shift, 8 * min(int(self._types[kind]["numberOfBytes"]), 32)

    def slot(self, variable: str, *path: Any) -> int:
        """The slot alone."""
        return self.place(variable, *path)[0]


@lru_cache(maxsize=1 << 16)
def _mapped(key: int, slot: int) -> int:
    return int.from_bytes(keccak((key % 2**256).to_bytes(32, "big") + slot.to_bytes(32, "big")), "big")


@lru_cache(maxsize=1 << 12)
def hash_order(order: Order) -> int:
    """keccak256 of the ABI encoding of all parameters."""
    words = (
        order.account,
        order.market,
        order.id,
        order.placed_at,
        order.size_delta,
        order.limit_price,
        order.expiry,
        order.keeper_fee,
        int(order.reduce_only),
        order.client_id,
    )
    return int.from_bytes(keccak(b"".join((word % 2**256).to_bytes(32, "big") for word in words)), "big")


def changes(old: State, new: State) -> list[tuple[str, Any]]:
    """(table, key) of every entry that differs; scalars have the key None."""
    found: list[tuple[str, Any]] = []
    olds, news = old.__dict__, new.__dict__
    for table in compress(TABLES, map(is_not, _tables(olds), _tables(news))):
        before, after = olds[table], news[table]
        get = before.get
        keys = [key for key, value in after.items() if get(key) is not value]
        found += [(table, key) for key in keys]
        if len(before) + sum(key not in before for key in keys) != len(after):
            found += [(table, key) for key in before if key not in after]
    if _scalars(olds) != _scalars(news):
        found += [(name, None) for name in SCALARS if olds[name] != news[name]]
    return found


class Cells:
    """Storage of one deployment.

    :param addresses: by contract: Clearinghouse, OrderBook, OracleHub.
    """

    def __init__(self, artifacts: Artifacts, addresses: Mapping[str, str]) -> None:
        self._ledger = Layout(artifacts.artifact("Clearinghouse"))
        self._book = Layout(artifacts.artifact("OrderBook"))
        self._hub = Layout(artifacts.artifact("OracleHub"))
        self._token = Layout(artifacts.artifact("MockToken"))
        self._share = Layout(artifacts.artifact("LiquidityPool"))
        self._at = addresses["Clearinghouse"]
        self._book_at = addresses["OrderBook"]
        self._hub_at = addresses["OracleHub"]
        self._slots: dict[tuple[str, Any], Any] = {}

    def of(self, state: State, table: str, key: Any) -> list[Cell]:
        """The words of one entry, as they should be in `state`; an entry that is not there is all zero."""
        found: list[Cell] = getattr(self, f"_{table}")(state, key)
        return found

    def _slot(self, table: str, key: Any, *path: Any) -> int:
        """A slot of the Clearinghouse, remembered."""
        slot = self._slots.get((table, key))
        if slot is None:
            slot = self._slots[table, key] = self._ledger.slot(*path)
        found: int = slot
        return found

    def _word(self, table: str, key: Any, value: int, *path: Any) -> list[Cell]:
        return [Cell(self._at, self._slot(table, key, *path), FULL, value % 2**256)]

    # ── the ledger ─────────────────────────────────────────────────────────

    def _accounts(self, state: State, key: int) -> list[Cell]:
        a = state.accounts.get(key, NO_ACCOUNT)
        word = AccountWord(a.raw_cash, a.markets, a.collaterals, a.version, a.last_check, a.pending_orders).pack()
        return self._word("accounts", key, word, "accounts_", key)

    def _positions(self, state: State, key: tuple[int, int]) -> list[Cell]:
        p = state.positions.get(key, NO_POSITION)
        word = PositionWord(p.shares, p.entry, p.last_event).pack()
        return self._word("positions", key, word, "positions_", *key)

    def _collateral(self, state: State, key: tuple[int, int]) -> list[Cell]:
        return self._word("collateral", key, state.collateral.get(key, 0), "collateral_", *key)

    def _sales(self, state: State, key: int) -> list[Cell]:
        return self._word("sales", key, state.sales.get(key, 0), "saleStart_", key)

    def _markets(self, state: State, key: int) -> list[Cell]:
        m = state.markets.get(key, Market())
        long, short = m.long, m.short
        words = {
            "funding": FundingWord(m.index, m.rate, m.time, m.price).pack(),
            "sides": SidesWord(long.shares, short.shares, long.events, short.events).pack(),
            "longEntrySum": long.entry_sum,
            "shortEntrySum": short.entry_sum,
            "longOpenEntrySum": long.open_entry_sum,
            "shortOpenEntrySum": short.open_entry_sum,
            "owed": m.owed,
        }
        return self._members("markets", key, "markets_", words)

    def _market_terms(self, state: State, key: int) -> list[Cell]:
        terms = state.market_terms[key]
        words = {"margin": terms.margin.pack(), "trade": terms.trade.pack(), "limits": terms.limits.pack()}
        return self._members("market_terms", key, "marketConfigs_", words)

    def _events(self, state: State, key: tuple[int, bool, int]) -> list[Cell]:
        e = state.events.get(key, Event(0))
        market, long, number = key
        word = EventWord(e.scale, e.offset, e.epoch).pack()
        return self._word("events", key, word, "events_", market, int(long), number)

    def _epoch_ends(self, state: State, key: tuple[int, bool, int]) -> list[Cell]:
        market, long, epoch = key
        return self._word("epoch_ends", key, state.epoch_ends.get(key, 0), "epochEnds_", market, int(long), epoch)

    def _pools(self, state: State, key: int) -> list[Cell]:
        p = state.pools.get(key, Pool(borrow_index=0))
        clear = PoolFlags.CLEAR if p.scaled_debt == 0 and p.cash >= 0 else 0
        flags = PoolFlags.OPEN | clear if p.borrow_index else 0
        words = {
            "money": PoolMoneyWord(p.cash, p.insurance).pack(),
            "dues": PoolDuesWord(p.fees, p.loss_sum, p.escrow, flags).pack(),
            "debt": DebtWord(p.scaled_debt, p.borrow_index, p.debt_time).pack(),
        }
        return self._members("pools", key, "pools_", words)

    def _pool_terms(self, state: State, key: int) -> list[Cell]:
        terms = state.pool_terms[key]
        words = {
            "risk": terms.risk.pack(),
            "liquidation": terms.liquidation.pack(),
            "settlement": terms.settlement.pack(),
            "interest": terms.interest.pack(),
            "liquidity": terms.liquidity.pack(),
        }
        return self._members("pool_terms", key, "poolConfigs_", words)

    def _members(self, table: str, key: int, variable: str, words: Mapping[str, int]) -> list[Cell]:
        slots = self._slots.get((table, key))
        if slots is None:
            slots = self._slots[table, key] = [self._ledger.slot(variable, key, name) for name in words]
        return [Cell(self._at, slot, FULL, word % 2**256) for slot, word in zip(slots, words.values(), strict=True)]

    def _junior(self, state: State, key: int) -> list[Cell]:
        return self._part("junior", key, state.junior.get(key, 0))

    def _lp_escrow(self, state: State, key: int) -> list[Cell]:
        return self._part("lpEscrow", key, state.lp_escrow.get(key, 0))

    def _part(self, member: str, key: int, value: int) -> list[Cell]:
        slot, shift, bits = self._ledger.place("pools_", key, member)
        return [Cell(self._at, slot, (1 << bits) - 1 << shift, value << shift)]

    def _open_sales(self, state: State, key: int) -> list[Cell]:
        return self._word("open_sales", key, state.open_sales.get(key, 0), "pools_", key, "openSales")

    def _collaterals(self, state: State, key: tuple[int, int]) -> list[Cell]:
        one: Collateral = state.collaterals[key]
        found = self._word("collaterals", key, one.terms.pack(), "collateralConfigs_", *key)
        return found + self._word("caps", key, one.cap, "collateralCaps_", *key)

    def _held(self, state: State, key: tuple[int, int]) -> list[Cell]:
        return self._word("held", key, state.held.get(key, 0), "held_", *key)

    def _claims(self, state: State, key: tuple[int, int, int]) -> list[Cell]:
        return self._word("claims", key, state.claims.get(key, 0), "claims_", *key)

    def _claim_totals(self, state: State, key: tuple[int, int]) -> list[Cell]:
        return self._word("claim_totals", key, state.claim_totals.get(key, 0), "claimTotals_", *key)

    def _owner(self, state: State, key: None) -> list[Cell]:
        return self._word("owner", key, state.owner, "owner_")

    def _pending_owner(self, state: State, key: None) -> list[Cell]:
        return self._word("pending_owner", key, state.pending_owner, "pendingOwner_")

    def _guardian(self, state: State, key: None) -> list[Cell]:
        return self._word("guardian", key, state.guardian, "guardian_")

    # ── prices, orders, tokens ─────────────────────────────────────────────

    def _asset_states(self, state: State, key: int) -> list[Cell]:
        s = state.asset_states[key]
        return [
            Cell(
                self._hub_at, self._hub.slot("_states", key), FULL, StateWord(s.price, s.ema, s.variance, s.time).pack()
            )
        ]

    def _deviated_since(self, state: State, key: int) -> list[Cell]:
        value = state.deviated_since.get(key, 0)
        slot = self._hub.slot("_secondaries", key)
        return [Cell(self._hub_at, slot, 0xFFFFFFFF << SINCE_SHIFT, value << SINCE_SHIFT)]

    def _rules(self, state: State, key: int) -> list[Cell]:
        return [Cell(self._book_at, self._book.slot("_rules", key), FULL, state.rules[key].pack())]

    def _queues(self, state: State, key: tuple[int, int]) -> list[Cell]:
        """Counters and the head; the others lie in a ring whose first place is not part of the model."""
        queue = state.queues.get(key, Queue())
        slot = self._book.slot("_queues", *key, "word")
        mask, value = 0xF_FFFFFFFF, queue.last_id | len(queue.orders) << 32
        if queue.orders:
            order, price_time = queue.orders[0]
            mask |= FULL >> 40 << 40
            value |= OrderWord.of(hash_order(order), price_time).pack()
        return [Cell(self._book_at, slot, mask, value)]

    def _balances(self, state: State, key: tuple[int, int]) -> list[Cell]:
        token, holder = key
        return [Cell(_address(token), self._token.slot("_balances", holder), FULL, state.balances.get(key, 0))]

    def _allowances(self, state: State, key: tuple[int, int, int]) -> list[Cell]:
        token, owner, spender = key
        slot = self._token.slot("_allowances", owner, spender)
        return [Cell(_address(token), slot, FULL, state.allowances.get(key, 0))]

    # ── share tokens ───────────────────────────────────────────────────────

    def _lps(self, state: State, key: int) -> list[Cell]:
        """Everything of a share token but its allowances and operators."""
        lp = state.lps[key]
        at, book, layout = _address(lp.address), lp.book, self._share
        found: list[Cell] = []

        def add(value: int, *path: Any) -> None:
            slot, shift, bits = layout.place(*path)
            found.append(Cell(at, slot, (1 << bits) - 1 << shift, value << shift))

        add(lp.supply, "_totalSupply")
        add(lp.min_share_price, "minSharePrice")
        add(lp.strike_reward, "strikeReward")
        for holder, balance in lp.balances.items():
            add(balance, "_balances", holder)
        add(book.struck_through, "_book", "struckThrough")
        add(len(book.strikes), "_book", "strikeCount")
        add(book.next_busy, "_book", "nextBusy")
        add(len(book.busy_epochs), "_book", "busyEpochs")
        for name, value in zip(("product", "shares", "round", "scale"), astuple(book.queue), strict=True):
            add(value, "_book", "queue", name)
        for number, epoch in book.epochs.items():
            for name, value in zip(("deposits", "redeems", "strike"), astuple(epoch), strict=True):
                add(value, "_book", "epochs", number, name)
        for number, strike in enumerate(book.strikes, 1):
            add(strike.deposited, "_book", "strikes", number, "deposited")
            add(strike.minted, "_book", "strikes", number, "minted")
            for name, value in zip(("product", "sum", "round", "scale"), astuple(strike.entry), strict=True):
                add(value, "_book", "strikes", number, "entry", name)
        for (turn, scale), total in book.sums.items():
            add(total, "_book", "sums", turn, scale)
        for (direction, controller), requests in book.requests.items():
            where = ("_book", "requests", direction.value, int(controller))
            add(book.heads.get((direction, controller), 0), *where, "head")
            add(len(requests), *where, "epochs")
            for number, request in requests.items():
                for name, value in zip(("amount", "claimedIn", "claimedOut"), astuple(request), strict=True):
                    add(value, *where, "byEpoch", number, name)
        return found


@lru_cache(maxsize=1 << 10)
def _address(number: int) -> str:
    return f"0x{number:040x}"
