"""Examples: sequences of steps that a population of traders, LPs, keepers, governance and a thief could take.

Amounts are constructed around the model's own boundaries (what is held, what margin allows, caps, least notionals) or
are log-uniform from 1 wei. Each choice comes from the bytes of the example; the state is the model's, so a choice can
aim.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from plimsoll.fuzz.choices import Choices
from plimsoll.fuzz.population import Cast, Take
from plimsoll.fuzz.rare import Rare
from plimsoll.model.engine.state import State

__all__ = ["Cast", "Generator"]


class Generator(Rare):
    """Decodes one example from bytes."""

    def __init__(self, cast: Cast, state: State, take: Take, choices: Choices) -> None:
        super().__init__(cast, state, take, choices)
        self._menu = self._weighted()

    def run(self, most: int) -> int:
        """Takes steps until the bytes are used up, or at least `most` of them; gives their number."""
        while not self._c.done and self.steps < most:
            self._c.pick(self._menu)()
        return self.steps

    def _weighted(self) -> list[Callable[[], object]]:
        menu: list[Callable[[], object]] = []
        for weight, choice in (
            (24, self.trade),
            (10, self.place),
            (8, self.execute),
            (3, self.cancel),
            (3, self.expire),
            (16, self.move_price),
            (12, self.crash),
            (10, self.liquidate),
            (8, self.buy_collateral),
            (12, self.deposit),
            (10, self.withdraw),
            (4, self.transfer),
            (3, self.claim),
            (3, self.deleverage),
            (3, self.accrue),
            (2, self.close_settled),
            (2, self.fund_insurance),
            (5, self.request_lp),
            (5, self.strike),
            (5, self.claim_lp),
            (3, self.pause),
            (2, self.lower_caps),
            (1, self.govern),
            (3, self.steal),
            (2, self.donate),
            (2, self.break_feed),
            (2, self.multicall),
            (2, self.change_base_fee),
            (2, self.set_pool),
            (3, self.set_market),
            (2, self.set_collateral),
            (6, self.squeeze),
            (3, self.reduce),
            (3, self.rally),
            (4, self.cycle),
            (4, self.borrow),
            (3, self.brink),
            (1, self.drain),
            (3, self.edge),
            (2, self.recheck),
            (1, self.overrun),
            (1, self.outdate),
            (1, self.refuse),
            (1, self.strand),
            *self._troubles(),
        ):
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
