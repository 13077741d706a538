"""What is offered for gas: caps from the exact next base fee, replacements by the rule of geth's pool. Wei per gas.

A transaction in the pool is replaced only by one whose tip *and* cap are both higher by 10 %; all raises here are by
12.5 %, rounded up, so that no node's rounding stands in the way.
"""

from __future__ import annotations

from dataclasses import dataclass

from plimsoll.units import PPM, div_up, mul_div_down

__all__ = ["CANCEL_GAS", "FeePolicy", "Fees", "bucket", "first_offer", "raised", "worst_base_fee"]

CANCEL_GAS = 21_000
"""Gas of a transfer of nothing to oneself, which takes the nonce away from another transaction."""


@dataclass(frozen=True, slots=True)
class Fees:
    """Cap and tip of a transaction, 0 ≤ tip ≤ cap."""

    max_fee: int
    tip: int

    def __post_init__(self) -> None:
        if not 0 <= self.tip <= self.max_fee:
            raise ValueError(f"the tip {self.tip} is not between 0 and the cap {self.max_fee}")

    def price(self, base_fee: int) -> int:
        """What a unit of gas costs in a block of that base fee."""
        return min(self.max_fee, base_fee + self.tip)

    def can_land(self, base_fee: int) -> bool:
        """Whether a block of that base fee may include it."""
        return self.max_fee >= base_fee

    def replaces(self, other: Fees) -> bool:
        """Whether geth's pool takes it in place of the other: both higher, by 10 % at least."""
        higher = self.max_fee > other.max_fee and self.tip > other.tip
        return higher and self.max_fee >= other.max_fee * 110 // 100 and self.tip >= other.tip * 110 // 100


@dataclass(frozen=True, slots=True)
class FeePolicy:
    """How much is offered.

    :param ceiling: cap of the cap whatever the worth; None: the expected value alone caps it.
    :param tip: priority fee of a first offer; None: what the node proposes.
    :param bid_ppm: share of what is to be gained that an urgent intent offers as tip.
    :param safety: blocks for which the cap lets the base fee rise as fast as it can.
    """

    ceiling: int | None = None
    tip: int | None = None
    bid_ppm: int = 100_000
    safety: int = 3


def worst_base_fee(next_base_fee: int, blocks: int) -> int:
    """The highest base fee that many blocks after the next: each block can raise it by an eighth, at least by 1."""
    fee = next_base_fee
    for _ in range(blocks):
        fee += max(fee // 8, 1)
    return fee


def _bump(fee: int) -> int:
    """12.5 % more, rounded up, at least 1 more."""
    return max(div_up(fee * 9, 8), fee + 1)


def bucket(base_fee: int) -> int:
    """Number of a range of base fees, each a quarter of a power of two wide: fees of one bucket differ by < 25 %."""
    bits = base_fee.bit_length()
    return base_fee if bits <= 3 else bits * 4 + (base_fee >> (bits - 3)) - 4


def first_offer(
    policy: FeePolicy, next_base_fee: int, proposed_tip: int, break_even: int, *, urgent: bool = False
) -> Fees | None:
    """Fees of a new transaction, never above the break-even price; None if the next block is not to be had for it."""
    limit = break_even if policy.ceiling is None else min(break_even, policy.ceiling)
    surplus = limit - next_base_fee
    if surplus < 0:
        return None
    tip = policy.tip if policy.tip is not None else proposed_tip
    if urgent:
        tip = max(tip, mul_div_down(surplus, policy.bid_ppm, PPM))
    if tip > surplus:
        return None
    cap = min(worst_base_fee(next_base_fee, policy.safety) + tip, limit)
    return Fees(cap, tip)


def raised(old: Fees, fresh: Fees | None, limit: int | None) -> Fees | None:
    """Fees that replace the old ones: both 12.5 % higher or more, as a new offer would be if that is more.

    :param fresh: what would be offered now for a new transaction.
    :param limit: highest cap; None: no limit.
    :return: None if the limit forbids it.
    """
    tip, cap = _bump(old.tip), _bump(old.max_fee)
    if fresh is not None:
        tip, cap = max(tip, fresh.tip), max(cap, fresh.max_fee)
    return Fees(cap, tip) if limit is None or cap <= limit else None
