"""How transactions are sent, in one place."""

from __future__ import annotations

from dataclasses import dataclass, field

from plimsoll.keeper.sending.fees import FeePolicy
from plimsoll.keeper.sending.guards import GuardLimits
from plimsoll.keeper.sending.policy import Patience
from plimsoll.keeper.sending.value import Objective

__all__ = ["SendingOptions"]


@dataclass(frozen=True, slots=True)
class SendingOptions:
    """What an operator decides about sending.

    :param dry_run: everything is decided, nothing signed, written or sent.
    :param ring: blocks that a reorg may go back.
    """

    objective: Objective = Objective.PROFIT
    fees: FeePolicy = field(default_factory=FeePolicy)
    patience: Patience = field(default_factory=Patience)
    limits: GuardLimits = field(default_factory=GuardLimits)
    dry_run: bool = False
    ring: int = 256
