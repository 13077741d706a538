"""Rows: what the keeper keeps of a deployment, in the form that logs, database and mirror share.

A row is a kind, a key and a value, all bytes; no value means that the row is gone. Keys are the identifiers as the
contracts write them, big-endian and of fixed length for a kind; values are the words of storage as the events tell them
(32 bytes each), or the data of the event where that is richer. No number is ever rounded on its way through here.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TypeAlias

__all__ = ["Kind", "Row", "collateral_key", "market_key", "order_key", "pool_key", "position_key", "side_key"]

Row: TypeAlias = tuple[int, bytes, bytes | None]
"""Kind, key, value; a value of None removes the row."""


class Kind(IntEnum):
    """Kinds of rows: key → value. `a` is an account (32 bytes), `m` a market (3), `p` a pool (2)."""

    ACCOUNT = 1
    """a → account word"""
    POSITION = 2
    """a, market index (1) → position word; gone when it is zero"""
    COLLATERAL = 3
    """a, collateral index (1) → balance in native units (32); gone when it is zero"""
    SALE = 4
    """a → when its collateral went on sale (32); gone when it ended"""
    ORDER = 5
    """a, m, id (4) → data of OrderPlaced; gone when the order ended"""
    MARKET = 6
    """m → funding word, sides word, Z of longs, Z of shorts (128)"""
    OPEN_SUMS = 7
    """m → Y of longs, Y of shorts, owed (96)"""
    SIDE_EVENT = 8
    """m, long (1), number (4) → event word"""
    EPOCH_END = 9
    """m, long (1), epoch (4) → unit value at its end (32)"""
    POOL = 10
    """p → money word, dues word (64)"""
    DEBT = 11
    """p → debt word"""
    POOL_CONFIG = 12
    """p → data of PoolConfigured"""
    MARKET_CONFIG = 13
    """m → data of MarketConfigured"""
    COLLATERAL_CONFIG = 14
    """p, collateral index (1) → data of CollateralConfigured"""
    SHARE_TOKEN = 15
    """p → address of the LP token (32)"""
    ORDER_RULES = 16
    """m → data of MarketRulesSet"""
    MARKET_FLAGS = 17
    """m → flags (32), as last told by MarketFlagsSet"""
    PAUSE = 18
    """p → pause flags (32), as last told by PauseSet"""
    CLAIM = 19
    """p, token (20), owner (20) → claim (32), only of owners the keeper watches; gone when it is zero"""


def pool_key(pool: int) -> bytes:
    """Key of a pool."""
    return pool.to_bytes(2, "big")


def market_key(market: int) -> bytes:
    """Key of a market."""
    return market.to_bytes(3, "big")


def position_key(account: bytes, index: int) -> bytes:
    """Key of a position by market index."""
    return account + index.to_bytes(1, "big")


def collateral_key(account: bytes, index: int) -> bytes:
    """Key of a collateral balance by collateral index."""
    return account + index.to_bytes(1, "big")


def order_key(account: bytes, market: int, number: int) -> bytes:
    """Key of a pending order."""
    return account + market.to_bytes(3, "big") + number.to_bytes(4, "big")


def side_key(market: int, long: bool, number: int) -> bytes:
    """Key of an event or an epoch of one side of a market."""
    return market.to_bytes(3, "big") + bytes([long]) + number.to_bytes(4, "big")
