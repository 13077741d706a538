"""Every action that a person can take, by name, and `apply`, which takes it.

Names are those of the contracts' functions in snake case; where two contracts have the same name, the share token's
has the prefix `lp_`. Arguments are those of the contract in its order, addresses and ids as numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from plimsoll.model.engine import accounts, admin, liquidation, liquidity, orders, outside, sale, solvency
from plimsoll.model.engine.draft import Draft, Refusal
from plimsoll.model.engine.state import State

__all__ = ["ACTIONS", "Action", "Result", "apply"]


@dataclass(frozen=True, slots=True)
class Action:
    """A call: who makes it, of what, with which arguments."""

    name: str
    caller: int
    args: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """The state afterwards, and either what the action returned or why it was refused (the state then only grew
    older)."""

    state: State
    value: Any = None
    refusal: Refusal | None = None


def _anyone(function: Callable[..., Any]) -> Callable[..., Any]:
    """An action that does not ask who the caller is."""

    def call(d: Draft, caller: int, *args: Any) -> Any:
        del caller
        return function(d, *args)

    return call


def _multicall(d: Draft, caller: int, calls: tuple[tuple[str, tuple[Any, ...]], ...]) -> list[Any]:
    """Several calls of the Clearinghouse in one, each with a lock of its own; refused with the first refusal."""
    return [ACTIONS[name](d, caller, *args) for name, args in calls]


ACTIONS: Mapping[str, Callable[..., Any]] = {
    "deposit": accounts.deposit,
    "withdraw": accounts.withdraw,
    "transfer": accounts.transfer,
    "accrue": _anyone(accounts.accrue),
    "multicall": _multicall,
    "liquidate": _anyone(liquidation.liquidate),
    "buy_collateral": sale.buy_collateral,
    "deleverage": _anyone(solvency.deleverage),
    "close_settled": _anyone(solvency.close_settled),
    "fund_insurance": solvency.fund_insurance,
    "claim": solvency.claim,
    "place_order": orders.place_order,
    "cancel_order": orders.cancel_order,
    "execute_orders": _anyone(orders.execute_orders),
    "expire_orders": _anyone(orders.expire_orders),
    "request_deposit": liquidity.request_deposit,
    "request_redeem": liquidity.request_redeem,
    "seed": liquidity.seed,
    "strike": liquidity.strike,
    "lp_deposit": liquidity.deposit,
    "lp_mint": liquidity.mint,
    "lp_redeem": liquidity.redeem,
    "lp_withdraw": liquidity.withdraw,
    "claim_refund": liquidity.claim_refund,
    "lp_transfer": liquidity.transfer,
    "lp_approve": liquidity.approve,
    "set_operator": liquidity.set_operator,
    "set_terms": liquidity.set_terms,
    "set_pool": admin.set_pool,
    "set_market": admin.set_market,
    "set_collateral": admin.set_collateral,
    "set_pause": admin.set_pause,
    "set_reduce_only": admin.set_reduce_only,
    "lower_caps": admin.lower_caps,
    "settle_market": admin.settle_market,
    "sweep_fees": admin.sweep_fees,
    "offer_ownership": admin.offer_ownership,
    "take_ownership": admin.take_ownership,
    "set_guardian": admin.set_guardian,
    "push_round": outside.push_round,
    "set_feed_answers": outside.set_feed_answers,
    "set_sequencer_status": outside.set_sequencer_status,
    "set_sequencer_answers": outside.set_sequencer_answers,
    "set_transfer_fee": outside.set_transfer_fee,
    "set_token_refuses": outside.set_token_refuses,
    "mint_token": outside.mint_token,
    "approve_token": outside.approve_token,
    "give_token": outside.give_token,
    "blacklist": outside.blacklist,
}


def apply(state: State, action: Action, time: int | None = None, base_fee: int | None = None) -> Result:
    """Takes an action in a block of its own.

    :param time: of the block, seconds, not before the state's; None: the same.
    :param base_fee: of the block, wei per gas; None: the same.
    """
    d = _later(state, time, base_fee)
    try:
        value = ACTIONS[action.name](d, action.caller, *action.args)
    except Refusal as refused:
        return Result(_later(state, time, base_fee).release(), None, refused)
    return Result(d.release(), value)


def _later(state: State, time: int | None, base_fee: int | None) -> Draft:
    """A draft of the state in another block."""
    d = Draft(state)
    if time is not None:
        d.time = time
    if base_fee is not None:
        d.base_fee = base_fee
    return d
