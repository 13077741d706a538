"""What an operator decides: limits of the decisions, and how the keeper works."""

from __future__ import annotations

from dataclasses import dataclass, field

from plimsoll.units import WAD

__all__ = ["Limits", "Options"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What decisions go by. Money WAD, times in seconds.

    :param batch_gas: most gas of one transaction.
    :param order_gas: gas set aside for one order of a batch.
    :param account_gas: gas set aside for one account of a liquidation, positions aside.
    :param position_gas: gas set aside for each of its positions.
    :param min_discount_ppm: least discount at which collateral is bought.
    :param min_profit: least that a purchase must bring beyond its gas, at the oracle's price.
    :param purchase_gas: gas that a purchase is reckoned to cost.
    :param accrue_every: longest time without accrual of a market with open interest; 0 leaves it to others.
    :param clear_unpaid: also clears expired orders whose fee returns to the trader.
    :param push_gas: gas set aside for one signed price.
    :param min_claim: least worth of a claim that is taken, WAD.
    """

    batch_gas: int = 12_000_000
    order_gas: int = 250_000
    account_gas: int = 100_000
    position_gas: int = 100_000
    min_discount_ppm: int = 10_000
    min_profit: int = WAD // 50
    purchase_gas: int = 300_000
    accrue_every: int = 3_600
    clear_unpaid: bool = True
    push_gas: int = 150_000
    min_claim: int = WAD


@dataclass(frozen=True, slots=True)
class Options:
    """How the keeper works.

    :param dry_run: decides and simulates everything, sends nothing.
    :param sub_account: number of the keeper's own account in each pool, which rewards are credited to.
    :param reserve: settlement asset, WAD, that is never spent on collateral.
    :param push_after: seconds after which signed prices of open markets are brought on chain alone; 0: never.
    :param claim_for: LPs who made the keeper an operator of their shares, whose paid redemptions it takes for them.
    """

    limits: Limits = field(default_factory=Limits)
    dry_run: bool = False
    sub_account: int = 0
    reserve: int = 0
    push_after: int = 0
    claim_for: tuple[str, ...] = ()
