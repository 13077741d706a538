"""Examples: sequences of steps that a population of traders, LPs, keepers, governance and a thief could take.

Amounts are constructed around the model's own boundaries (what is held, what margin allows, caps, least notionals) or
are log-uniform from 1 wei. Each choice comes from the bytes of the example; the state is the model's, so a choice can
aim.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from plimsoll.fuzz.choices import Choices
from plimsoll.fuzz.population import Cast, Take
from plimsoll.fuzz.rare import Rare
from plimsoll.model.engine.state import State

__all__ = ["BULK", "FULL", "Cast", "Generator", "Mix"]

Mix = Mapping[str, int]
"""How often each method of the generator is chosen, in proportion."""
FULL: Mix = {
    "trade": 24,
    "place": 10,
    "execute": 8,
    "cancel": 3,
    "expire": 3,
    "move_price": 16,
    "crash": 12,
    "liquidate": 10,
    "buy_collateral": 8,
    "deposit": 12,
    "withdraw": 10,
    "transfer": 4,
    "claim": 3,
    "deleverage": 3,
    "accrue": 3,
    "close_settled": 2,
    "fund_insurance": 2,
    "request_lp": 5,
    "strike": 5,
    "claim_lp": 5,
    "pause": 3,
    "lower_caps": 2,
    "govern": 1,
    "steal": 3,
    "donate": 2,
    "break_feed": 2,
    "multicall": 2,
    "change_base_fee": 2,
    "set_pool": 2,
    "set_market": 3,
    "set_collateral": 2,
    "squeeze": 6,
    "reduce": 3,
    "rally": 3,
    "cycle": 4,
    "borrow": 4,
    "brink": 3,
    "drain": 1,
    "edge": 3,
    "recheck": 2,
    "overrun": 1,
    "outdate": 1,
    "refuse": 1,
    "strand": 1,
}
BULK: Mix = {
    **FULL,
    "trade": 15,
    "place": 5,
    "move_price": 32,
    "crash": 20,
    "strike": 8,
    "cycle": 6,
    "borrow": 10,
    "edge": 0,
    "brink": 1,
    "drain": 0,
    "set_pool": 1,
    "set_market": 1,
    "set_collateral": 1,
    "recheck": 1,
}
"""For many actions in little time: fewer steps that look for the largest amount that passes, which takes many tries in
the model, and more moves of prices with what follows them. Every kind of action occurs."""


class Generator(Rare):
    """Decodes one example from bytes.

    :param mix: how often each kind of step is chosen.
    """

    def __init__(self, cast: Cast, state: State, take: Take, choices: Choices, mix: Mix = FULL) -> None:
        super().__init__(cast, state, take, choices)
        self._mix = mix
        self._menu = self._weighted()

    def run(self, most: int) -> int:
        """Takes steps until the bytes are used up, or at least `most` of them; gives their number."""
        while not self._c.done and self.steps < most:
            self._c.pick(self._menu)()
        return self.steps

    def _weighted(self) -> list[Callable[[], object]]:
        menu: list[Callable[[], object]] = []
        for name, weight in self._mix.items():
            menu += [getattr(self, name)] * weight
        for weight, choice in self._troubles():
            menu += [choice] * weight
        return menu

    def _troubles(self) -> Iterator[tuple[int, Callable[[], object]]]:
        """What can go wrong in this world."""
        if any(one.secondary for one in self.state.assets.values()):
            yield 6, self.deviate
            yield 3, self.second_source
            yield 2, self.outlast
        if self.state.sequencer.feed:
            yield 3, self.sequencer
            yield 3, self.change_sequencer
            yield 1, self.come_up
        if self.cast.hostile:
            yield 4, self.misbehave
