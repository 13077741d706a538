"""Steps of LPs, of governance, and of a thief."""

from __future__ import annotations

from plimsoll.fuzz.trading import Trading
from plimsoll.model.engine.state import account_id
from plimsoll.units import NANO, WAD

__all__ = ["Governing"]


BASE_FEES = (0, 0, 10**9, 10**9, 30 * 10**9, 500 * 10**9)


class Governing(Trading):
    """Liquidity epochs, roles, theft."""

    # ── liquidity ──────────────────────────────────────────────────────────

    def request_lp(self) -> None:
        """Asks to put money in, or take it out."""
        c, s = self._c, self.state
        pool, lp = c.pick(sorted(s.lps)), c.pick(self.cast.lps)
        one = s.lps[pool]
        if c.one_in(2):
            amount = self._amount(one.min_deposit, 10**7 * 10 ** s.tokens[one.asset].decimals)
            self.take("request_deposit", lp, pool, amount, lp, lp if not c.one_in(16) else self.cast.lps[0])
        else:
            shares = one.balances.get(lp, 0)
            self.take("request_redeem", lp, pool, self._amount(shares * (1 + c.byte()) // 256), lp, lp)

    def strike(self) -> None:
        """Strikes the epochs that are due; often after waiting for them, with fresh prices."""
        c, s = self._c, self.state
        pool = c.pick(sorted(s.lps))
        if c.below(4):
            one = s.lps[pool]
            epoch = 1 + (self.time - one.start) // one.epoch_length
            due = one.start + epoch * one.epoch_length + one.lp_delay
            if due - self.time < 40 * 86_400:
                wait: int | None = max(due - self.time, 0)
                for asset in sorted(s.assets):
                    self._move(asset, c.pick((0, 0, 0, 2, -2, 10)), wait)
                    wait = 0
        self.take("strike", c.pick(self.cast.keepers), pool, self._keeper_account(pool), wait=c.pick((0, 0, 1)))

    def claim_lp(self) -> None:
        """Claims shares or money of requests that were struck."""
        c, s = self._c, self.state
        pool, lp = c.pick(sorted(s.lps)), c.pick(self.cast.lps)
        name = c.pick(("lp_deposit", "lp_mint", "lp_redeem", "lp_withdraw", "claim_refund", "lp_transfer"))
        most = s.lps[pool].balances.get(lp, 0)
        if name == "claim_refund":
            self.take(name, lp, pool, c.below(8), lp, lp)
        elif name == "lp_transfer":
            self.take(name, lp, pool, c.pick(self.cast.lps), self._amount(most))
        else:
            self.take(name, lp, pool, self._amount(most, 10**15), lp, lp)

    # ── roles ──────────────────────────────────────────────────────────────

    def _ruler(self) -> int:
        c = self._c
        return c.pick((self.cast.owner, self.cast.owner, self.cast.guardian, self.cast.thief))

    def pause(self) -> None:
        """Sets or lifts pauses; now and then the guardian tries to lift one."""
        c = self._c
        paused = [pool for pool in self._pools if self.state.pool_terms[pool].risk.pause_flags]
        if paused and c.one_in(3):
            self.take("set_pause", self.cast.guardian, c.pick(paused), c.pick((0, 1, 2)))
        elif c.one_in(2):
            self.take("set_pause", self._ruler(), c.pick(self._pools), c.pick((0, 0, 0, 1, 2, 4, 7, 8)))
        else:
            self.take("set_reduce_only", self._ruler(), c.pick(self._markets), c.below(3) == 2)

    def lower_caps(self) -> None:
        """Lowers caps."""
        c = self._c
        market = c.pick(self._markets)
        limits = self.state.market_terms[market].limits
        oi = c.around(limits.oi_cap) // NANO * NANO
        skew = c.around(limits.skew_cap) // NANO * NANO
        self.take("lower_caps", self._ruler(), market, oi, skew)

    def govern(self) -> None:
        """Fees, settlement, roles."""
        c = self._c
        kind = c.below(6)
        if kind < 3:
            self.take("sweep_fees", self._ruler(), c.pick(self._pools), self.cast.owner)
        elif kind == 3:
            market = c.pick(self._markets)
            self.take("settle_market", self._ruler(), market, c.around(self._price(market)))
        elif kind == 4:
            self.take("set_guardian", self._ruler(), self.cast.guardian)
        else:
            pool = c.pick(sorted(self.state.lps))
            self.take("set_terms", self._ruler(), pool, c.pick((10**15, 10**17, 10**18, 0)), c.around(WAD))

    def steal(self) -> None:
        """The thief tries what he may not."""
        c, thief, s = self._c, self.cast.thief, self.state
        victim = self._used_account()
        pool = victim >> 80 & 0xFFFF
        token = self._tokens(pool)[0] if pool in s.pools else 0
        kind = c.below(6)
        if kind == 0:
            self.take("withdraw", thief, victim, token, self._amount(self._held(victim, token)), thief)
        elif kind == 1:
            self.take("transfer", thief, victim, account_id(thief, pool, 0), token, 1 + c.number(4))
        elif kind == 2:
            self.take("request_redeem", thief, c.pick(sorted(s.lps)), 1 + c.number(8), thief, c.pick(self.cast.lps))
        elif kind == 3:
            self.take("lp_redeem", thief, c.pick(sorted(s.lps)), 1 + c.number(4), thief, c.pick(self.cast.lps))
        elif kind == 4:
            self.take("take_ownership", thief)
        else:
            self.take("claim", thief, pool, token, thief)

    def change_base_fee(self) -> None:
        """Gas becomes dearer or cheaper."""
        self._base_fee = self._c.pick(BASE_FEES)
