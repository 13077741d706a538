"""Rows and headers as the tables hold them: their fields, the bytes of a block's old values, and the sums that tell
whether what is read is what was written.

The sum of a set of rows is the sum of a 32-bit CRC of each: it does not depend on their order, follows a change without
reading the others, and misses a damaged row once in 2^32.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Any
from zlib import crc32

from plimsoll.keeper.node.headers import Header
from plimsoll.keeper.rows import Row
from plimsoll.keeper.storage.database import Key, RawRow

__all__ = [
    "check_of",
    "header_fields",
    "header_of",
    "last_values",
    "pack",
    "row_sum",
    "rows_sum",
    "split_rows",
    "unpack",
]

_HEAD = struct.Struct(">BHi")
_GONE = -1


def pack(old: Iterable[tuple[Key, bytes | None]]) -> bytes:
    """Keys and what they held, None if nothing."""
    parts: list[bytes] = []
    for (kind, key), value in old:
        parts.append(_HEAD.pack(kind, len(key), _GONE if value is None else len(value)))
        parts.append(key)
        if value is not None:
            parts.append(value)
    return b"".join(parts)


def unpack(data: bytes) -> list[Row]:
    """The rows that `pack` took.

    :raises ValueError: the bytes are not of `pack`.
    """
    rows: list[Row] = []
    at, end = 0, len(data)
    while at < end:
        if at + _HEAD.size > end:
            raise ValueError("cut short")
        kind, key_length, length = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        key = data[at : at + key_length]
        at += key_length
        value = None
        if length != _GONE:
            value = data[at : at + length]
            at += length
        if at > end or length < _GONE:
            raise ValueError("cut short")
        rows.append((kind, key, value))
    return rows


def row_sum(kind: int, key: bytes, value: bytes) -> int:
    """A row's part of the sum."""
    return crc32(value, crc32(key, kind))


def rows_sum(rows: Sequence[RawRow]) -> int:
    """Sum of many rows, fast."""
    if not rows:
        return 0
    kinds, keys, values = zip(*rows, strict=True)
    return sum(map(crc32, values, map(crc32, keys, kinds)))


def check_of(*fields: object) -> int:
    """CRC of a record's fields; bytes count with their length, the others as they are written."""
    crc = crc32(repr([len(field) if type(field) is bytes else field for field in fields]).encode())
    for field in fields:
        if type(field) is bytes:
            crc = crc32(field, crc)
    return crc


def last_values(rows: Iterable[Row]) -> dict[Key, bytes | None]:
    """What the rows come to: the last value of each."""
    return {(int(kind), key): value for kind, key, value in rows}


def split_rows(new: dict[Key, bytes | None]) -> tuple[list[RawRow], list[Key]]:
    """Rows to write, and rows to remove."""
    written = [(*key, value) for key, value in new.items() if value is not None]
    return written, [key for key, value in new.items() if value is None]


def header_fields(header: Header) -> tuple[object, ...]:
    """Columns of a header, in the order of its table."""
    return (
        header.number,
        header.hash,
        header.parent,
        header.time,
        str(header.base_fee),
        header.gas_used,
        header.gas_limit,
        header.logs_bloom,
    )


def header_of(row: tuple[Any, ...]) -> Header:
    """The header of these columns."""
    return Header(row[0], row[1], row[2], row[3], int(row[4]), row[5], row[6], row[7])
