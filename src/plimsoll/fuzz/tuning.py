"""Steps of governance that change parameters: one field at a time, around the boundary of what is accepted."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeAlias

from plimsoll.fuzz.governing import Governing
from plimsoll.fuzz.population import HUGE
from plimsoll.model.engine.actions import Action, apply
from plimsoll.model.engine.parameters import ADDRESSES, CollateralParams, MarketParams, PoolParams
from plimsoll.units import NANO, PPM

__all__ = ["Tuning"]

Params: TypeAlias = PoolParams | MarketParams | CollateralParams
EDGES = (0, 1, 100, PPM // 20, PPM // 2, PPM - 1, PPM, PPM + 1, 2 * PPM, 2**16, 2**32 - 1, 2**64 - 1, *HUGE)
"""Where a field may cease to fit its word, or a share to be one."""
FAR = 2**192
ADDRESS_BITS = 160


class Tuning(Governing):
    """Parameters of pools, markets and collateral."""

    def set_pool(self) -> None:
        """Changes one parameter of a pool."""
        pool = self._c.pick(self._pools)
        self._tune("set_pool", pool, PoolParams.of(self.state.pool_terms[pool]))

    def set_market(self) -> None:
        """Changes one parameter of a market."""
        market = self._c.pick(self._markets)
        self._tune("set_market", market, MarketParams.of(self.state.market_terms[market]))

    def set_collateral(self) -> None:
        """Changes one parameter of a collateral token."""
        kinds = sorted(self.state.collaterals)
        if kinds:
            key = self._c.pick(kinds)
            params = CollateralParams.of(self.state.collaterals[key], self._c.pick((0, 12_000, 15_000)))
            self._tune("set_collateral", key[0], params)

    # ── inside ─────────────────────────────────────────────────────────────

    def _tune(self, name: str, where: int, params: Params) -> None:
        c = self._c
        field = c.pick([one.name for one in dataclasses.fields(params)])
        present: int = getattr(params, field)
        kind = c.below(8)
        if kind < 2:
            value = c.around(present)
        elif kind == 2:
            value = present * c.pick((1, 3, 8, 0)) // 2
        elif kind == 3:
            value = c.pick(EDGES)
        else:
            value = c.around(self._edge(name, where, params, field))
        # Amounts are kept in whole 1e-9.
        if value > NANO * PPM and c.below(8):
            value = value // NANO * NANO
        if field in ADDRESSES:
            value %= 2**ADDRESS_BITS
        changed = _with(params, field, value % 2**256)
        self.take(name, self.cast.owner if c.below(8) else self._ruler(), where, changed)

    def _edge(self, name: str, where: int, params: Params, field: str) -> int:
        """The last value that is accepted on the way from the present one to something very large, or to zero."""
        present: int = getattr(params, field)
        upwards = bool(self._c.below(2))
        if not self._accepted(name, where, params, field, present):
            return present
        good, bad = present, FAR if upwards else -1
        while abs(bad - good) > 1:
            # By orders of magnitude first: what is accepted lies near the present value more often than not.
            far = upwards and bad > 4 * good + 4
            middle = 2 * good + 1 if far else (good + bad) // 2
            middle = middle // NANO * NANO if abs(bad - good) > 4 * NANO else middle
            middle = middle if min(good, bad) < middle < max(good, bad) else (good + bad) // 2
            if self._accepted(name, where, params, field, middle):
                good = middle
            elif abs(bad - good) <= 2 * NANO and good % NANO == 0 and middle % NANO:
                return good
            else:
                bad = middle
        return good

    def _accepted(self, name: str, where: int, params: Params, field: str, value: int) -> bool:
        action = Action(name, self.state.owner, (where, _with(params, field, value)))
        return apply(self.state, action, self.time).refusal is None


def _with(params: Params, field: str, value: int) -> Params:
    changes: dict[str, Any] = {field: value}
    return dataclasses.replace(params, **changes)
