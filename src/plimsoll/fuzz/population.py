"""Who acts in an example, and what there is to choose from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from plimsoll.fuzz.choices import Choices
from plimsoll.fuzz.session import Step
from plimsoll.model.engine.actions import Action, Result
from plimsoll.model.engine.state import State, account_id

__all__ = ["Cast", "Population", "Take"]

Take = Callable[[Step], Result]
SECONDS = (0, 1, 1, 2, 3, 5, 12, 12, 30, 60, 300, 900, 3600, 4000, 21_600, 86_400)
LONG = (86_400, 604_800, 2_592_000)
MANY = 2**256 - 1
HUGE = (2**112, 2**127, 2**128 - 1, 2**128, 2**255, MANY)
OFTEN = 12
"""What should seldom be done happens once in so many cases."""


@dataclass(frozen=True, slots=True)
class Cast:
    """Who acts; addresses as numbers. `hostile` names the mock that stands for a token, by the token's address."""

    owner: int
    guardian: int
    thief: int
    traders: Sequence[int]
    lps: Sequence[int]
    keepers: Sequence[int]
    hostile: Mapping[int, str] = field(default_factory=dict)

    @property
    def everybody(self) -> Sequence[int]:
        """All of them."""
        return (*self.traders, *self.lps, *self.keepers, self.thief, self.guardian, self.owner)


class Population:
    """What every kind of step needs: a state to aim at, choices, and somebody to take the step.

    :param take: takes a step in the model (and, sooner or later, on the chain) and gives its result.
    """

    def __init__(self, cast: Cast, state: State, take: Take, choices: Choices) -> None:
        self.cast = cast
        self.state = state
        self._take = take
        self._c = choices
        self.time = state.time
        self._base_fee = 0
        self._pools = sorted(state.pools)
        self._markets = sorted(state.markets)

    steps = 0
    """Steps taken so far."""

    def resume(self, choices: Choices) -> None:
        """Goes on with other choices, from where it is."""
        self._c = choices

    # ── taking steps ───────────────────────────────────────────────────────

    def take(self, name: str, caller: int, *args: object, wait: int | None = None) -> Result:
        """Takes an action after a wait (seconds; None: a chosen one)."""
        if wait is None:
            wait = self._c.pick(SECONDS)
            if wait == 86_400 and self._c.one_in(4):
                wait = self._c.pick(LONG)
        self.time += wait
        self.steps += 1
        result = self._take(Step(Action(name, caller, args), self.time, self._base_fee))
        self.state = result.state
        return result

    # ── things to choose from ──────────────────────────────────────────────

    def _account(self, pool: int | None = None) -> int:
        """An account of a trader, rarely one of somebody else."""
        c = self._c
        owner = c.pick(self.cast.everybody) if c.one_in(OFTEN) else c.pick(self.cast.traders)
        return account_id(owner, pool if pool is not None else c.pick(self._pools), c.below(2))

    def _used_account(self) -> int:
        """An account that has something."""
        used = [one for one in self.state.accounts if self.state.accounts[one].version]
        return self._c.pick(used) if used and not self._c.one_in(OFTEN) else self._account()

    def _keeper_account(self, pool: int) -> int:
        c = self._c
        where = c.pick(self._pools) if c.one_in(6) else pool
        return account_id(c.pick(self.cast.keepers), where, 0)

    def _tokens(self, pool: int) -> list[int]:
        kinds = self.state.pool_terms[pool].settlement.collateral_count
        return [self.state.pool_terms[pool].token] + [
            self.state.collaterals[pool, index].token for index in range(kinds)
        ]

    def _amount(self, boundary: int, most: int | None = None) -> int:
        """Around a boundary, log-uniform, or absurd."""
        c = self._c
        kind = c.below(16)
        if kind < 7:
            return c.around(boundary)
        if kind < 9:
            return boundary
        if kind == 9:
            return c.pick((0, 1, *HUGE))
        return c.log_uniform(most if most is not None else max(2 * boundary, 10))

    def _price(self, market: int) -> int:
        asset = self.state.market_terms[market].margin.asset
        return self.state.asset_states[asset].price
