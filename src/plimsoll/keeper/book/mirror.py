"""The deployment as its logs tell it, row by row: everything that a decision needs and that is not a price.

Rows come from the decoder of logs or from the database; the mirror does no I/O. Exact words stay exact: the columns
beside them serve the search for candidates only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from plimsoll.keeper.book.columns import COLLATERAL, DEBT, AccountColumns, LegColumns
from plimsoll.keeper.book.errors import BookError
from plimsoll.keeper.book.records import Order
from plimsoll.keeper.book.registry import Registry
from plimsoll.keeper.errors import VersionGapError
from plimsoll.keeper.log import show_account
from plimsoll.keeper.rows import Kind, Row
from plimsoll.model.words import AccountWord, PositionWord

__all__ = ["Mirror"]

VERSIONS = 1 << 32
NOTHING = bytes(32)
ACCOUNT, POSITION, BALANCE = int(Kind.ACCOUNT), int(Kind.POSITION), int(Kind.COLLATERAL)
VERSION = slice(5, 9)
"""Bytes of the version in an account word."""
SIGN, CASH = 18, slice(18, 32)
"""Byte that holds the sign of the cash in an account word, and bytes of the cash."""


class Mirror(Registry):
    """Accounts, positions and balances beside the small tables of `Registry`."""

    def __init__(self) -> None:
        super().__init__()
        self.accounts = AccountColumns()
        self.legs = LegColumns()
        self.changed: set[int] = set()
        """Rows of accounts that changed since they were last evaluated; the evaluator empties it."""
        self.fresh = False
        """Whether all accounts are new to the evaluator; it takes this back."""
        self.revision = 0
        """Grows with every change."""

    # ── rows ───────────────────────────────────────────────────────────────

    def load(self, rows: Iterable[tuple[int, bytes, bytes]]) -> None:
        """Takes the rows of a database, in any order; before anything else.

        :raises BookError: the mirror is not empty.
        """
        if self.accounts.rows or self.markets or self.pools:
            raise BookError("the mirror holds something already; load into a new one")
        self.revision += 1
        ids: list[bytes] = []
        words: list[bytes] = []
        keys: list[bytes] = []
        held: list[bytes] = []
        balances: list[tuple[bytes, bytes]] = []
        for kind, key, value in rows:
            if kind == POSITION:
                keys.append(key)
                held.append(value)
            elif kind == ACCOUNT:
                ids.append(key)
                words.append(value)
            elif kind == BALANCE:
                balances.append((key, value))
            else:
                self.put(kind, key, value)
        self.accounts.load(ids, _stack(words))
        # What accounts owe is a leg like what they hold.
        debts = [(account, _debt(word)) for account, word in zip(ids, words, strict=True) if word[SIGN] & 0x80]
        del ids, words
        row = self.accounts.row
        parts = ((keys, 0), ([key for key, _ in balances], COLLATERAL))
        owners = [row(key[:32]) for part, _ in parts for key in part] + [row(account) for account, _ in debts]
        codes = [base + key[32] for part, base in parts for key in part] + [DEBT] * len(debts)
        held += [value for _, value in (*balances, *debts)]
        self.legs.load(self.accounts, np.array(owners, np.int32), np.array(codes, np.int16), _stack(held))
        self.changed.clear()
        self.fresh = True

    def apply(self, rows: Sequence[Row]) -> None:
        """Takes the rows of the next block, in the order of its logs.

        :raises VersionGapError: an account's version does not follow the one before: a log is missing. Part of the rows
            has been taken, so the mirror is to be loaded anew.
        """
        self._take(rows, checked=True)

    def revert(self, rows: Sequence[Row]) -> None:
        """Takes old values back, as the database's undo tells them."""
        self._take(rows, checked=False)

    def _take(self, rows: Sequence[Row], *, checked: bool) -> None:
        self.revision += 1
        accounts, legs, changed = self.accounts, self.legs, self.changed
        others: dict[tuple[int, bytes], bytes | None] = {}
        for kind, key, value in rows:
            if kind == ACCOUNT:
                row = accounts.row(key)
                changed.add(row)
                if checked:
                    self._check_version(key, row, value)
                if value is None:
                    value = NOTHING
                if value[SIGN] & 0x80:
                    legs.put(accounts, row, DEBT, _debt(value))
                elif accounts.word(row)[SIGN] & 0x80:
                    legs.drop(accounts, row, DEBT)
                accounts.set_word(row, value)
            elif kind in (POSITION, BALANCE):
                row = accounts.row(key[:32])
                changed.add(row)
                code = key[32] if kind == POSITION else COLLATERAL + key[32]
                if value is None or value == NOTHING:
                    legs.drop(accounts, row, code)
                else:
                    legs.put(accounts, row, code, value)
            else:
                # Of what changes with every fill only the last counts.
                others[kind, key] = value
        for (kind, key), value in others.items():
            self.put(kind, key, value)

    def _check_version(self, account: bytes, row: int, value: bytes | None) -> None:
        if value is None:
            raise VersionGapError(f"account {show_account(account)} is said to be gone; accounts never go")
        version = int.from_bytes(value[VERSION], "big")
        expected = (int.from_bytes(self.accounts.word(row)[VERSION], "big") + 1) % VERSIONS
        if version != expected:
            raise VersionGapError(
                f"account {show_account(account)} is at version {version}, {expected} was expected: a log is missing"
            )

    # ── reading ────────────────────────────────────────────────────────────

    def account(self, account: bytes) -> AccountWord:
        """The word of an account; zero if it was never written."""
        row = self.accounts.rows.get(account)
        return AccountWord() if row is None else AccountWord.unpack(int.from_bytes(self.accounts.word(row), "big"))

    def positions(self, account: bytes) -> dict[int, PositionWord]:
        """Positions of an account by market index."""
        held = {code: word for code, word in self._held(account) if code < COLLATERAL}
        return {index: PositionWord.unpack(held[index]) for index in sorted(held)}

    def balances(self, account: bytes) -> dict[int, int]:
        """Collateral of an account by collateral index, native units."""
        return {code - COLLATERAL: word for code, word in sorted(self._held(account)) if code >= COLLATERAL}

    def _held(self, account: bytes) -> list[tuple[int, int]]:
        row = self.accounts.rows.get(account)
        if row is None:
            return []
        word = self.legs.word
        held = self.legs.of(self.accounts, row)
        return [(code, int.from_bytes(word(leg), "big")) for code, leg in held if code != DEBT]

    def queues(self) -> list[list[Order]]:
        """Pending orders by account and market, each queue in the order of execution."""
        found: dict[tuple[bytes, int], list[Order]] = {}
        for order in self.orders.values():
            found.setdefault((order.account, order.market), []).append(order)
        for queue in found.values():
            queue.sort(key=lambda order: order.id)
        return list(found.values())

    @property
    def known(self) -> int:
        """How many accounts there are."""
        return len(self.accounts.rows)

    @property
    def open_positions(self) -> int:
        """How many positions there are."""
        return int(np.count_nonzero(self.legs.code[: self.legs.count] < COLLATERAL))

    def ids(self, rows: Iterable[int]) -> list[bytes]:
        """The accounts in these rows."""
        known = self.accounts.ids
        return [known[row] for row in rows]

    def rows(self) -> Iterator[tuple[int, bytes, bytes]]:
        """Accounts, positions and balances as rows, for comparison with the database or the chain."""
        accounts, legs = self.accounts, self.legs
        for account, row in accounts.rows.items():
            word = accounts.word(row)
            if word != NOTHING:
                yield ACCOUNT, account, word
            for code, leg in legs.of(accounts, row):
                if code == DEBT:
                    continue
                kind, index = (POSITION, code) if code < COLLATERAL else (BALANCE, code - COLLATERAL)
                yield kind, account + bytes([index]), legs.word(leg)

    def assets(self) -> set[int]:
        """Every asset that the hub is to be asked about: of markets, collateral and gas."""
        found = {terms.margin.asset for terms in self.market_terms.values()}
        found |= {one.terms.asset for one in self.collaterals.values()}
        found |= {terms.liquidation.gas_asset for terms in self.pool_terms.values()}
        return found - {0}


def _debt(word: bytes) -> bytes:
    """Scaled debt of an account word with negative cash, as a word."""
    return ((1 << 112) - int.from_bytes(word[CASH], "big")).to_bytes(32, "big")


def _stack(words: Sequence[bytes]) -> npt.NDArray[np.uint8]:
    return np.frombuffer(b"".join(words), np.uint8).reshape(-1, 32)
