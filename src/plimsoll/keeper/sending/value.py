"""What a transaction is expected to bring: integers only, every term kept so that it can be logged.

    value = P(land)·reward − gas·price − oracle fee − P(revert)·revert gas·price + allowance
    price = next base fee + tip

The allowance is what may be lost on purpose: nothing under the objective `profit`, up to the bad debt that is prevented
and within a budget under `solvency`, and a fixed sum for duties, whose worth is not known. Rewards are rounded down and
costs up.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum

from plimsoll.units import PPM, mul_div_down, mul_div_up

__all__ = ["Objective", "Terms", "Valuation"]


class Objective(StrEnum):
    """What the keeper is for: its own profit, or the protocol's solvency up to a budget."""

    PROFIT = "profit"
    SOLVENCY = "solvency"


@dataclass(frozen=True, slots=True)
class Terms:
    """What does not depend on the price of gas. Money in wei, gas in units, chances in ppm."""

    reward: int
    land_ppm: int
    gas: int
    oracle_fee: int = 0
    revert_ppm: int = 0
    revert_gas: int = 0
    allowance: int = 0

    @property
    def expected_reward(self) -> int:
        """P(land)·reward, rounded down."""
        return mul_div_down(self.reward, self.land_ppm, PPM)

    def at(self, next_base_fee: int, tip: int) -> Valuation:
        """The value at a price of gas in wei."""
        price = next_base_fee + tip
        reward = self.expected_reward
        gas_cost = self.gas * price
        revert_cost = mul_div_up(self.revert_gas * price, self.revert_ppm, PPM)
        value = reward - gas_cost - self.oracle_fee - revert_cost + self.allowance
        return Valuation(self, next_base_fee, tip, reward, gas_cost, self.oracle_fee, revert_cost, value)

    def break_even(self) -> int:
        """The highest price of gas, wei, at which the value is not negative; −1 if it is negative at any."""
        margin = self.expected_reward + self.allowance - self.oracle_fee
        weight = self.gas * PPM + self.revert_gas * self.revert_ppm
        return mul_div_down(margin, PPM, weight) if margin >= 0 else -1


@dataclass(frozen=True, slots=True)
class Valuation:
    """Every term of the expected value at one price of gas, wei."""

    terms: Terms
    next_base_fee: int
    tip: int
    expected_reward: int
    gas_cost: int
    oracle_fee: int
    revert_cost: int
    value: int

    def shown(self) -> dict[str, int]:
        """All terms by name, for a line of the log."""
        own = {name: getattr(self, name) for name in self.__slots__ if name != "terms"}
        return asdict(self.terms) | own
