"""The invariants that a replay watches: for each the least room that was left, and when."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from plimsoll.risk.records import InvariantRecord

__all__ = ["STATEMENTS", "Invariants"]

WEI = "wei"
NATIVE = "native units"
SIZE = "1e-18 units of size"

STATEMENTS: dict[str, tuple[str, str]] = {
    "INV-01": ("every token balance covers what the pools' ledgers say; each ledger adds up exactly", NATIVE),
    "INV-02": ("money in the ledger is exactly the sum of its terms; pools owe at least what traders have won", WEI),
    "INV-03": ("shares of a side are the sum of its positions; open interest and skew stay below caps", SIZE),
    "INV-04": ("entry sums are those of the positions; a side's profit covers that of its positions", WEI),
    "INV-06": ("the funding rate stays within its bound", "1e-18 a second"),
    "INV-07": ("borrow indices never fall, no stored time falls or lies ahead", "1e-18 of index, s"),
    "INV-12": ("only accounts below the line are liquidated", WEI),
    "INV-13": ("an account below the line is liquidated within 2 blocks", "blocks"),
    "INV-14": ("a liquidation that leaves positions leaves a better health; sizes only shrink", "1e-18 of health"),
    "INV-15": ("what is left of a position after a trade or liquidation is nothing or the least notional", WEI),
    "INV-16": ("a reward is at most its cap, and the penalty plus the insurance allowance", WEI),
    "INV-20": ("striking an epoch does not lower the value of a share", WEI),
    "INV-23": ("after LPs were paid, the pool's cash covers the reserve", WEI),
    "INV-24": ("bad debt is the sum of its layers, and none is touched before the one above is empty", WEI),
    "INV-25": ("deleveraging shrinks the side of the skew, and the skew does not turn", SIZE),
    "INV-26": ("insurance is never negative and pays only bad debt and keeper allowances", WEI),
    "INV-27": ("orders are filled at valid prices, within the execution window", "s"),
    "INV-29": ("every order ends once, and a fill respects its limit and reduce-only", "orders"),
    "INV-30": ("an order is filled at the first price published at or after its price time", "orders"),
    "INV-38": ("collateral stays below its cap", NATIVE),
    "INV-40": ("at static prices everybody can close, repay, redeem and leave, and only dust remains", NATIVE),
}
"""Statement and unit of the slack, by id. A replay reports those that it met an occasion to check."""


@dataclass(slots=True)
class Worst:
    slack: int
    step: int
    what: str


class Invariants:
    """Collects slacks: how far each check was from failing; negative is a failure."""

    def __init__(self) -> None:
        self.step = 0
        self._worst: dict[str, Worst] = {}

    def note(self, name: str, slack: int, what: str = "") -> None:
        """Takes the slack of one check of an invariant; `what` says of what, for a failure."""
        worst = self._worst.get(name)
        if worst is None or slack < worst.slack:
            self._worst[name] = Worst(slack, self.step, what)

    def holds(self, name: str, truth: bool, what: str = "") -> None:
        """Takes the outcome of a check that is only true or false."""
        self.note(name, 0 if truth else -1, what)

    def records(self) -> Iterable[InvariantRecord]:
        """Every invariant that was checked, in the order of ids. The statement of one that failed says what failed."""
        for name in sorted(self._worst):
            worst, (statement, unit) = self._worst[name], STATEMENTS[name]
            statement += f". Failed: {worst.what}" if worst.slack < 0 else ""
            yield InvariantRecord(name, statement, worst.slack >= 0, worst.slack, worst.step, unit)
