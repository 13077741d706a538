"""Legs as floats: from exact words to `fixed`, `size` and `demand`, which hold at any price.

A position of r shares with entry w, in a side with scale A and offset C, is worth r·(A·(P − F) + C − w), so `size` is
r·A and `fixed` is r·(C − w); its requirement is n·(a + b·n)·P with n = |r·A|, so `demand` is n·(a + b·n). In a closed
epoch it is worth r·(C_end − w) whatever prices are. A balance has the size b·w^M, a debt minus its scaled amount.
`fixed` is lowered by the margin of error that `cells` explains.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from plimsoll.keeper.book.cells import EPSILON, TINY, Cells
from plimsoll.keeper.book.columns import COLLATERAL, DEBT, NONE, Floats, Index
from plimsoll.keeper.book.mirror import Mirror

__all__ = ["HOPELESS", "account_cash", "make_legs"]

HOPELESS = -1e270
"""What makes an account a candidate whatever else it holds: it is to be valued exactly."""
TWO_64 = 2.0**64
LOW_40, LOW_48 = np.uint64((1 << 40) - 1), np.uint64((1 << 48) - 1)
DUST = 1e-17
"""Sizes that may be nothing once rounded down, units."""
Words = npt.NDArray[np.uint64]
Bools = npt.NDArray[np.bool_]


def _split(words: npt.NDArray[np.uint8]) -> list[Words]:
    """Four numbers of 64 bits of each word, the highest first."""
    parts = np.ascontiguousarray(words).view(">u8").astype(np.uint64)
    return [parts[:, i] for i in range(4)]


def _magnitude(high: Words, low: Words, bits: int) -> tuple[Floats, Bools]:
    """Magnitude and sign of numbers in two's complement: `bits` in `high`, 64 in `low`."""
    negative = (high >> np.uint64(bits - 1)).astype(bool)
    mask = np.uint64((1 << bits) - 1)
    low = np.where(negative, ~low + np.uint64(1), low)
    high = np.where(negative, (~high + (low == 0)) & mask, high)
    return high * TWO_64 + low, negative


def account_cash(words: npt.NDArray[np.uint8]) -> tuple[Floats, Bools, Words]:
    """Magnitude of the cash of accounts (settlement units), whether it is negative, and their bitmaps: markets up to
    31, collateral from bit 32 on; a market beyond is bit 63."""
    _, w1, w2, w3 = _split(words)
    magnitude, negative = _magnitude(w2 & LOW_48, w3, 48)
    # Bits 112 … 167 are markets, 168 … 183 collateral.
    markets = w2 >> np.uint64(48) | (w1 & LOW_40) << np.uint64(16)
    kinds = w1 >> np.uint64(40) & np.uint64(0xFFFF)
    beyond = (markets >> np.uint64(32) != 0).astype(np.uint64)
    held = markets & np.uint64(0xFFFFFFFF) | kinds << np.uint64(32) | beyond << np.uint64(63)
    return magnitude / 1e18, negative, held


def make_legs(mirror: Mirror, cells: Cells, legs: Index) -> None:
    """Writes cell and floats of legs."""
    columns = mirror.legs
    code = columns.code[legs]
    w0, w1, w2, w3 = _split(columns.words[legs])
    position = code < COLLATERAL
    plain = (w2 * TWO_64 + w3) + (w1 * TWO_64 + w0 * TWO_64 * TWO_64) * TWO_64
    shares, negative = _magnitude(w2 & LOW_40, w3, 40)
    short = negative & position | (code == DEBT)
    cell = cells.number(mirror.accounts.pool[columns.account[legs]], code, short)
    known = cell != NONE
    safe = np.where(known, cell, 0)
    shapes = np.array([shape if shape is not None else (0.0,) * 7 for shape in cells.shapes])
    scale, offset, base, slope = (shapes[:, i][safe] for i in range(4))
    # Positions.
    low = w2 >> np.uint64(40) | w1 << np.uint64(24)
    high = w1 >> np.uint64(40) | (w0 & LOW_40) << np.uint64(24)
    entry, below = _magnitude(high, low, 64)
    entry = np.where(below, -entry, entry) / 1e24
    shares = np.where(negative, -shares, shares) / 1e18
    event = (w0 >> np.uint64(40)).astype(np.int64)
    size = shares * scale
    closed, end, lost = _closed(mirror, cells, safe, event, position & known)
    size[closed] = 0.0
    offset = np.where(closed, end, offset)
    demand = np.abs(size) * (base + slope * np.abs(size) + 1e-18)
    fixed = shares * (offset - entry) - EPSILON * np.abs(shares) * (np.abs(offset) + np.abs(entry))
    lost |= position & ~closed & (np.abs(size) < DUST) & (shares != 0)
    # Balances and debts.
    other = ~position
    held = np.where(code == DEBT, -plain / 1e18, plain * scale)
    size[other], demand[other], fixed[other] = held[other], 0.0, 0.0
    lost |= ~known
    size[lost], demand[lost] = 0.0, 0.0
    columns.cell[legs] = safe
    columns.size[legs] = size
    columns.demand[legs] = demand
    columns.fixed[legs] = np.where(lost, HOPELESS, fixed - TINY)


def _closed(
    mirror: Mirror, cells: Cells, cell: npt.NDArray[np.int32], event: npt.NDArray[np.int64], of: Bools
) -> tuple[Bools, Floats, Bools]:
    """Which positions are of a closed epoch, the unit value at its end, and which name an event that is not known."""
    closed, lost = np.zeros(len(cell), bool), np.zeros(len(cell), bool)
    end = np.zeros(len(cell))
    events = np.array([shape[5] if shape is not None else 0 for shape in cells.shapes])
    # Before a side's first event, and for those that have seen its last one, the epoch is the present one.
    behind = np.flatnonzero(of & (event != events[cell]))
    if not len(behind):
        return closed, end, lost
    seen = cell[behind].astype(np.int64) << 24 | event[behind]
    for one in np.unique(seen):
        number, at = int(one) & 0xFFFFFF, int(one) >> 24
        pool, code, short = cells.names[at]
        market, shape = pool << 8 | code, cells.shapes[at]
        which = behind[seen == one]
        epoch = 0
        if number:
            told = mirror.events.get((market, not short, number))
            if told is None:
                lost[which] = True
                continue
            epoch = told.epoch
        if shape is None or epoch != shape[4]:
            final = mirror.epoch_ends.get((market, not short, epoch))
            if final is None:
                lost[which] = True
                continue
            closed[which], end[which] = True, final / 10**24
    return closed, end, lost
