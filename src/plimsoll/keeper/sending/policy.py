"""What is done about a transaction that no block has taken yet: from a slot, the head and the limits to a step."""

from __future__ import annotations

from dataclasses import dataclass

from plimsoll.keeper.sending.fees import CANCEL_GAS, FeePolicy, Fees, first_offer, raised
from plimsoll.keeper.sending.lanes import Slot
from plimsoll.keeper.sending.value import Terms

__all__ = [
    "Again",
    "Cancel",
    "Keep",
    "Patience",
    "Raise",
    "Situation",
    "Step",
    "cancel_limit",
    "cancel_offer",
    "next_step",
]


@dataclass(frozen=True, slots=True)
class Patience:
    """In blocks.

    :param replace_after: so long without landing, and more is offered.
    :param resend_after: so long, and the same transaction is handed over again, in case pools lost it.
    :param give_up_after: so long, and it is cancelled.
    """

    replace_after: int = 3
    resend_after: int = 2
    give_up_after: int = 50


@dataclass(frozen=True, slots=True)
class Situation:
    """What a step depends on beside the slot.

    :param floor: fees that a new transaction at the nonce must outbid.
    :param offered: head at which something new was last offered, or at which it last could not land for its fee.
    :param terms: worth of the live transaction's intent as it is known now.
    :param wanted: false if it is too late, withdrawn, or worth nothing any more.
    :param first: whether no nonce before it is open.
    :param blocks: whether transactions behind it wait for it.
    """

    block: int
    next_base_fee: int
    proposed_tip: int
    floor: Fees
    offered: int
    terms: Terms
    wanted: bool
    first: bool
    blocks: bool
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class Keep:
    """Nothing."""


@dataclass(frozen=True, slots=True)
class Again:
    """The same bytes are handed over again."""


@dataclass(frozen=True, slots=True)
class Raise:
    """The same call with higher fees."""

    fees: Fees


@dataclass(frozen=True, slots=True)
class Cancel:
    """A transfer of nothing to oneself in its place."""

    fees: Fees


Step = Keep | Again | Raise | Cancel


def next_step(slot: Slot, now: Situation, policy: FeePolicy, patience: Patience) -> Step:
    """What to do about an open slot at a new head."""
    live = slot.live
    age = now.block - now.offered
    if not live.sent:
        return Again()
    if live.cancels:
        return _push_cancel(slot, now, policy, patience)
    limit = now.terms.break_even()
    can_land = live.fees.can_land(now.next_base_fee)
    if not now.wanted or now.block - slot.since >= patience.give_up_after:
        return _cancel(slot, now, policy)
    if can_land and now.terms.at(now.next_base_fee, 0).value < 0:
        # Landing would cost more than it brings. What cannot land now costs nothing, and may be worth it later.
        return _cancel(slot, now, policy)
    late = now.first and age >= patience.replace_after
    if late or not can_land:
        highest = limit if policy.ceiling is None else min(limit, policy.ceiling)
        fresh = first_offer(policy, now.next_base_fee, now.proposed_tip, limit, urgent=now.urgent)
        fees = raised(now.floor, fresh, highest)
        if fees is not None and fees.can_land(now.next_base_fee):
            return Raise(fees)
    return Again() if age >= patience.resend_after else Keep()


def _cancel(slot: Slot, now: Situation, policy: FeePolicy) -> Step:
    """Cancels if that is cheaper than letting it land, or if others wait behind it; else leaves it."""
    live = slot.live
    fees = raised(now.floor, cancel_offer(now.next_base_fee, now.proposed_tip, policy), cancel_limit(policy))
    if fees is None:
        return Keep()
    if not live.fees.can_land(now.next_base_fee):
        # It costs nothing where it is.
        return Cancel(fees) if now.blocks and fees.can_land(now.next_base_fee) else Keep()
    landing = now.terms.gas * live.fees.price(now.next_base_fee)
    return Cancel(fees) if CANCEL_GAS * fees.price(now.next_base_fee) < landing else Keep()


def _push_cancel(slot: Slot, now: Situation, policy: FeePolicy, patience: Patience) -> Step:
    """A cancellation that does not land is paid more where others wait behind it, else handed over again."""
    age = now.block - now.offered
    if age >= patience.replace_after and now.blocks:
        fees = raised(now.floor, cancel_offer(now.next_base_fee, now.proposed_tip, policy), cancel_limit(policy))
        if fees is not None and fees.can_land(now.next_base_fee):
            return Raise(fees)
    return Again() if age >= patience.resend_after else Keep()


def cancel_offer(next_base_fee: int, proposed_tip: int, policy: FeePolicy) -> Fees:
    """What a cancellation offers if it replaces nothing: room for one block's rise."""
    tip = policy.tip if policy.tip is not None else proposed_tip
    cap = next_base_fee + max(next_base_fee // 8, 1) + tip
    limit = cancel_limit(policy)
    return Fees(cap, tip) if limit is None or cap <= limit else Fees(limit, min(tip, limit))


def cancel_limit(policy: FeePolicy) -> int | None:
    """Highest cap of a cancellation: a quarter above the ceiling, so that what is at the ceiling can be cancelled."""
    return None if policy.ceiling is None else policy.ceiling * 5 // 4 + 2
