"""Takes what pools owe: the keeper's own claims, and redemptions of LPs who made the keeper their operator."""

from __future__ import annotations

from collections.abc import Sequence

from plimsoll.chain.contract import Call
from plimsoll.chain.errors import Revert
from plimsoll.keeper.actions import Action, Claim
from plimsoll.keeper.jobs.base import Moment
from plimsoll.model.word import checksum
from plimsoll.units import mul_div_down

__all__ = ["Claims"]


class Claims:
    """Looks at claims that the logs tell of, and at the shares of the LPs in `Options.claim_for`.

    A claim of another token than the settlement asset is valued at its oracle price. What is worth less than
    `Limits.min_claim`, or than the gas to take it, stays.
    """

    name = "claims"

    async def decide(self, moment: Moment) -> Sequence[Action]:
        """Claims worth taking."""
        return [*await self._own(moment), *await self._redemptions(moment)]

    async def _own(self, moment: Moment) -> list[Action]:
        found: list[Action] = []
        for (pool, token, owner), amount in moment.mirror.claims.items():
            if owner != int(moment.keeper, 16):
                continue
            action = Claim(pool, checksum(token), amount)
            if self._worth(pool, token, amount, moment) >= self._least(pool, moment) and _free(action, moment):
                found.append(action)
        return found

    async def _redemptions(self, moment: Moment) -> list[Action]:
        owners, shares, target = moment.options.claim_for, moment.mirror.shares, moment.chain.target
        asked = [(pool, owner) for pool in sorted(shares) for owner in owners]
        calls: list[Call] = []
        for pool, owner in asked:
            token = target.share(shares[pool])
            calls += [(token, "isOperator", [owner, moment.keeper]), (token, "maxRedeem", [owner])]
            calls += [(token, "maxWithdraw", [owner])]
        answers = iter(await moment.chain.ask(calls, moment.head))
        found: list[Action] = []
        for pool, owner in asked:
            allowed, amount, assets = next(answers), next(answers), next(answers)
            if any(isinstance(one, Revert) for one in (allowed, amount, assets)) or not allowed or not amount:
                continue
            action = Claim(pool, shares[pool], amount, owner)
            unit = 10 ** (18 - moment.mirror.pool_terms[pool].settlement.decimals)
            if assets * unit >= self._least(pool, moment) and _free(action, moment):
                found.append(action)
        return found

    def _worth(self, pool: int, token: int, amount: int, moment: Moment) -> int:
        """WAD of the settlement asset, rounded down; the ledger keeps claims of that asset in WAD."""
        mirror = moment.mirror
        if token == mirror.pool_terms[pool].token:
            return amount
        for (owner_pool, _), item in mirror.collaterals.items():
            if owner_pool == pool and item.token == token:
                known = moment.observations.assets.get(item.terms.asset)
                return mul_div_down(amount, known[0].price, 10**item.terms.decimals) if known is not None else 0
        return 0

    def _least(self, pool: int, moment: Moment) -> int:
        limits = moment.options.limits
        return max(limits.min_claim, moment.gas_cost(pool, limits.purchase_gas))


def _free(action: Claim, moment: Moment) -> bool:
    return not any(key in moment.busy for key in action.keys)
