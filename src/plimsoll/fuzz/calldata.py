"""Actions of the model as calls of the contracts: where they go, their call data, what they return or how they fail."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from eth_utils.crypto import keccak

from plimsoll.fuzz.driver import Outcome
from plimsoll.fuzz.encode import Entry
from plimsoll.fuzz.world import World
from plimsoll.model.engine.actions import Action, Result
from plimsoll.model.engine.draft import Refusal
from plimsoll.model.engine.state import Order

__all__ = ["Translator"]

Args = Sequence[Any]
UNCOMPARED = frozenset(("lp_transfer", "lp_approve", "set_operator", "approve_token", "give_token", "push_round"))
"""Calls whose return value says nothing."""
PANIC = bytes.fromhex("4e487b71")


@lru_cache(maxsize=1 << 12)
def address(number: int) -> str:
    """An address as calls take it."""
    return f"0x{number:040x}"


def id32(number: int) -> bytes:
    """An account id as calls take it."""
    return number.to_bytes(32, "big")


def order_fields(order: Order) -> tuple[Any, ...]:
    """The struct that the order book takes."""
    return (
        id32(order.account),
        order.market,
        order.id,
        order.placed_at,
        order.size_delta,
        order.limit_price,
        order.expiry,
        order.keeper_fee,
        order.reduce_only,
        id32(order.client_id),
    )


def hint_bytes(hint: Any) -> bytes:
    """A hint for the order's price: nothing (the newest round), or round and claimed last round of the phase before."""
    if not hint:
        return b""
    return b"".join(number.to_bytes(32, "big") for number in hint)


def _items(items: Args) -> list[tuple[Any, ...]]:
    return [(order_fields(order), hint_bytes(hint)) for order, hint in items]


LEDGER: Mapping[str, tuple[str, Callable[..., tuple[Any, ...]]]] = {
    "deposit": ("deposit", lambda account, token, amount: (id32(account), token, amount)),
    "withdraw": ("withdraw", lambda account, token, amount, to: (id32(account), token, amount, to)),
    "transfer": ("transfer", lambda source, to, token, amount: (id32(source), id32(to), token, amount)),
    "accrue": ("accrue", lambda market: (market,)),
    "liquidate": ("liquidate", lambda accounts, keeper: ([id32(one) for one in accounts], id32(keeper))),
    "buy_collateral": (
        "buyCollateral",
        lambda account, token, amount, price: (id32(account), token, amount, price, b""),
    ),
    "deleverage": ("deleverage", lambda market: (market,)),
    "close_settled": ("closeSettled", lambda market, accounts: (market, [id32(one) for one in accounts])),
    "fund_insurance": ("fundInsurance", lambda pool, amount: (pool, amount)),
    "claim": ("claim", lambda pool, token, to: (pool, token, to)),
    "set_pause": ("setPause", lambda pool, flags: (pool, flags)),
    "set_reduce_only": ("setReduceOnly", lambda market, on: (market, on)),
    "lower_caps": ("lowerCaps", lambda market, oi, skew: (market, oi, skew)),
    "settle_market": ("settleMarket", lambda market, price: (market, price)),
    "sweep_fees": ("sweepFees", lambda pool, to: (pool, to)),
    "offer_ownership": ("offerOwnership", lambda to: (to,)),
    "take_ownership": ("takeOwnership", lambda: ()),
    "set_guardian": ("setGuardian", lambda to: (to,)),
    "set_pool": ("setPool", lambda pool, params: (pool, params.to_struct())),
    "set_market": ("setMarket", lambda market, params: (market, params.to_struct())),
    "set_collateral": ("setCollateral", lambda pool, params: (pool, params.to_struct())),
}
"""Entry points of the Clearinghouse: name there, and arguments as its ABI takes them."""

BOOK: Mapping[str, tuple[str, Callable[..., tuple[Any, ...]]]] = {
    "place_order": (
        "placeOrder",
        lambda account, market, size, limit, expiry, fee, reduce, client: (
            id32(account),
            market,
            size,
            limit,
            expiry,
            fee,
            reduce,
            id32(client),
        ),
    ),
    "cancel_order": ("cancelOrder", lambda order: (order_fields(order),)),
    "execute_orders": ("executeOrders", lambda items, keeper: (_items(items), id32(keeper))),
    "expire_orders": ("expireOrders", lambda items, keeper: (_items(items), id32(keeper))),
}

SHARES: Mapping[str, tuple[str, Callable[..., tuple[Any, ...]]]] = {
    "request_deposit": ("requestDeposit", lambda assets, to, owner: (assets, to, owner)),
    "request_redeem": ("requestRedeem", lambda shares, to, owner: (shares, to, owner)),
    "seed": ("seed", lambda assets: (assets,)),
    "strike": ("strike", lambda keeper: (id32(keeper),)),
    "lp_deposit": (
        "deposit(uint256,address,address)",
        lambda assets, to, controller: (assets, to, controller),
    ),
    "lp_mint": (
        "mint(uint256,address,address)",
        lambda shares, to, controller: (shares, to, controller),
    ),
    "lp_redeem": ("redeem", lambda shares, to, controller: (shares, to, controller)),
    "lp_withdraw": ("withdraw", lambda assets, to, controller: (assets, to, controller)),
    "claim_refund": ("claimRefund", lambda epoch, to, controller: (epoch, to, controller)),
    "lp_transfer": ("transfer", lambda to, amount: (to, amount)),
    "lp_approve": ("approve", lambda spender, amount: (spender, amount)),
    "set_operator": ("setOperator", lambda operator, approved: (operator, approved)),
    "set_terms": ("setTerms", lambda price, reward: (price, reward)),
}
"""Entry points of a share token; the model's first argument is the pool."""

TOKENS: Mapping[str, tuple[str, Callable[..., tuple[Any, ...]]]] = {
    "mint_token": ("mint", lambda to, amount: (to, amount)),
    "approve_token": ("approve", lambda spender, amount: (spender, amount)),
    "give_token": ("transfer", lambda to, amount: (to, amount)),
    "blacklist": ("setBlacklisted", lambda holder, listed: (holder, listed)),
    "set_transfer_fee": ("setFeeBps", lambda bps: (bps,)),
    "set_token_refuses": ("setMode", lambda refuses: (3 if refuses else 0,)),
}
"""Calls of a token; the model's first argument is its address."""

FEEDS: Mapping[str, tuple[str, Callable[..., tuple[Any, ...]]]] = {
    "push_round": ("push", lambda answer, updated: (answer, updated)),
    "set_feed_answers": ("setMode", lambda answers: (0 if answers else 1,)),
}
"""Calls of a feed; the model's first argument is its address."""

UPTIME: Mapping[str, tuple[str, Callable[..., tuple[Any, ...]]]] = {
    "set_sequencer_status": ("set", lambda down, since: (int(down), since)),
    "set_sequencer_answers": ("setBroken", lambda answers: (not answers,)),
}
"""Calls of the uptime feed of the sequencer."""

CALLS: Mapping[str, tuple[str | None, str, Callable[..., tuple[Any, ...]]]] = {
    name: (contract, fn, translate)
    for contract, table in (
        ("clearinghouse", LEDGER),
        ("order_book", BOOK),
        ("sequencer", UPTIME),
        (None, SHARES),
        (None, TOKENS),
        (None, FEEDS),
    )
    for name, (fn, translate) in table.items()
}
"""All of these by the action: the contract, None where the first argument says it, name there, and arguments."""


class Translator:
    """Actions as calls of one world's contracts."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._names = {int(contract.address, 16): name for name, contract in world.contracts.items()}
        self._entries: dict[tuple[str, int | None], Entry] = {}
        self._pools = {pool.id: f"pool:{name}" for name, pool in world.deployment.pools.items()}
        self._errors: dict[str, list[bytes]] = {}
        for contract in world.artifacts:
            for item in contract.abi:
                if item["type"] == "error":
                    selector = _selector(item)
                    known = self._errors.setdefault(item["name"], [])
                    if selector not in known:
                        known.append(selector)

    def entry(self, action: Action) -> tuple[Entry, tuple[Any, ...]]:
        """The function that an action calls, and its arguments."""
        name, args = action.name, action.args
        if name == "multicall":
            inner = [self.data(Action(one, action.caller, values)) for one, values in args[0]]
            return self._world.entry("clearinghouse", "multicall"), (inner,)
        if name not in CALLS:
            raise KeyError(f"no contract function stands for {name}")
        contract, fn, translate = CALLS[name]
        of = args[0] if contract is None else None
        entry = self._entries.get((name, of))
        if entry is None:
            if of is not None:
                contract = self._pools[of] if name in SHARES else self._names[of]
            entry = self._entries[name, of] = self._world.entry(str(contract), fn)
        return entry, translate(*(args if of is None else args[1:]))

    def data(self, action: Action) -> bytes:
        """Call data of an action."""
        entry, args = self.entry(action)
        return entry(*args)

    def disagreement(self, action: Action, result: Result, outcome: Outcome) -> str | None:
        """What chain and model say differently of one action; None when they agree."""
        if result.refusal is None:
            if not outcome.success:
                return f"the model does it, the chain refuses: {outcome.error}"
            if action.name == "multicall":
                return None
            expected = _returned(action.name, result.value)
            if expected is not None and outcome.output != expected:
                return f"the model returns {result.value}, the chain 0x{outcome.output.hex()}"
            return None
        if outcome.success:
            return f"the chain does it, the model refuses: {result.refusal}"
        if outcome.halt is None and outcome.output in self._refusals(result.refusal):
            return None
        return f"the model refuses with {result.refusal}, the chain with {outcome.error}"

    def _refusals(self, refusal: Refusal) -> list[bytes]:
        body = b"".join((int(value) % 2**256).to_bytes(32, "big") for value in refusal.values)
        if refusal.name == "Panic":
            return [PANIC + body]
        return [selector + body for selector in self._errors.get(refusal.name, ())]


def _returned(name: str, value: Any) -> bytes | None:
    """Return data for a value of the model, None where it is not compared."""
    if name in UNCOMPARED:
        return None
    if value is None:
        return b""
    if name in ("execute_orders", "expire_orders"):
        value = [int(one[0]) for one in value]
    if isinstance(value, list):
        words = [32, len(value), *(int(one) for one in value)]
    elif isinstance(value, tuple):
        words = [int(one) for one in value]
    else:
        words = [int(value)]
    return b"".join((word % 2**256).to_bytes(32, "big") for word in words)


def _selector(item: Mapping[str, Any]) -> bytes:
    return keccak(text=f"{item['name']}({','.join(one['type'] for one in item['inputs'])})")[:4]
