"""What a replay hands to its report: samples over time, events and totals, all in integers.

Prices, sizes and money are WAD integers (1e18 = one unit; money in units of the settlement asset); health is WAD, 1e18
at the line below which an account is liquidated; gas is in gas units; times are unix seconds; a step is one push of
prices.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "ClosedPosition",
    "GasUse",
    "HealthSample",
    "InvariantRecord",
    "LiquidationRecord",
    "MarketSample",
    "OrderCounts",
    "PoolResult",
    "PoolSample",
    "PriceRange",
    "ReplayReport",
    "WindDown",
]


@dataclass(frozen=True, slots=True)
class PriceRange:
    """The prices of one symbol that were replayed: where from, how many bars, and how far they moved."""

    symbol: str
    source: str
    bars: int
    gaps: int
    start_time: int
    end_time: int
    first: int
    lowest: int
    highest: int
    last: int


@dataclass(frozen=True, slots=True)
class MarketSample:
    """One market after a step. `funding_rate` is the fraction per day that longs pay to shorts (negative: the reverse).

    `long_size` and `short_size` are open interest in units of the underlying, both positive.
    """

    step: int
    time: int
    market: str
    price: int
    funding_rate: int
    long_size: int
    short_size: int


@dataclass(frozen=True, slots=True)
class PoolSample:
    """One pool after a step."""

    step: int
    time: int
    pool: str
    nav: int
    insurance: int


@dataclass(frozen=True, slots=True)
class HealthSample:
    """Health of every account that has a requirement after a step, in any order."""

    step: int
    time: int
    healths: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ClosedPosition:
    """The part of one position that a liquidation closed: signed size (> 0 was long) at the oracle's price."""

    market: str
    size: int
    price: int

    @property
    def notional(self) -> int:
        """Value of what was closed, rounded down."""
        return abs(self.size) * self.price // 10**18


@dataclass(frozen=True, slots=True)
class LiquidationRecord:
    """One account liquidated once. `full` is true when no position is left.

    `health` is what the account had before; `blocks_unhealthy` counts the blocks from the first with a valid price at
    which it could have been liquidated to the one in which it was.
    """

    step: int
    time: int
    block: int
    account: str
    full: bool
    health: int
    closed: tuple[ClosedPosition, ...]
    penalty: int
    reward: int
    bad_debt: int
    blocks_unhealthy: int


@dataclass(frozen=True, slots=True)
class GasUse:
    """Gas of every transaction of one kind."""

    action: str
    used: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class InvariantRecord:
    """One invariant over the whole replay.

    `worst_slack` is the least room that was left before it would have failed, in `unit`; negative when it failed.
    """

    id: str
    statement: str
    ok: bool
    worst_slack: int
    at_step: int
    unit: str = "wei"


@dataclass(frozen=True, slots=True)
class OrderCounts:
    placed: int
    filled: int
    cancelled: int
    expired: int


@dataclass(frozen=True, slots=True)
class PoolResult:
    """A pool before the first trade and after everyone closed."""

    pool: str
    nav_start: int
    nav_end: int
    insurance_start: int
    insurance_end: int


@dataclass(frozen=True, slots=True)
class WindDown:
    """The end: everyone closes and leaves. `stuck` names what could not leave; `residue_wei` is what nobody owns."""

    residue_wei: int
    stuck: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """A whole replay. `seconds` is how long it took; no quantity of the chain is a float.

    `keeper_seconds`, one for each account that the keeper sent to be liquidated: from its first look at the block with
    the price to the hand-over of the transaction, by this machine's clock.
    """

    seed: int
    threshold_bps: int | None
    prices: tuple[PriceRange, ...]
    steps: int
    blocks: int
    accounts: int
    lps: int
    orders: OrderCounts
    liquidations: tuple[LiquidationRecord, ...]
    collateral_sales: int
    bad_debt: int
    deleveragings: int
    traders_pnl: int
    keeper_reward: int
    keeper_gas: int
    max_blocks_unhealthy: int
    pools: tuple[PoolResult, ...]
    invariants: tuple[InvariantRecord, ...]
    wind_down: WindDown
    gas: tuple[GasUse, ...]
    market_samples: tuple[MarketSample, ...]
    pool_samples: tuple[PoolSample, ...]
    health_samples: tuple[HealthSample, ...]
    seconds: float
    keeper_seconds: tuple[float, ...] = ()
