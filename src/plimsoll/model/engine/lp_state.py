"""State of a liquidity pool's share token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from plimsoll.model.pool import PoolBook

__all__ = ["LpState"]


@dataclass(frozen=True, slots=True)
class LpState:
    """Share token of one pool. Shares are WAD; `min_deposit` is native; times are seconds. `book` is never changed in
    place: take a `clone` of it first."""

    address: int
    pool: int
    asset: int
    unit: int
    """WAD per native unit of the settlement asset"""
    start: int
    epoch_length: int
    lp_delay: int
    min_deposit: int
    min_share_price: int
    strike_reward: int
    owner: int = 0
    pending_owner: int = 0
    supply: int = 0
    balances: Mapping[int, int] = field(default_factory=dict)
    allowances: Mapping[tuple[int, int], int] = field(default_factory=dict)
    """(owner, spender)"""
    operators: frozenset[tuple[int, int]] = frozenset()
    """(controller, operator)"""
    book: PoolBook = field(default_factory=PoolBook)
