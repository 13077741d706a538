"""Steps of money: deposits, withdrawals, transfers, claims, gifts, several calls in one."""

from __future__ import annotations

from plimsoll.fuzz.population import Population
from plimsoll.model.engine.state import account_id, owner_of
from plimsoll.units import WAD

__all__ = ["Money"]


class Money(Population):
    """What goes in and out of accounts."""

    # ── money ──────────────────────────────────────────────────────────────

    def _deposit(self, account: int, wait: int | None = None) -> None:
        c, s = self._c, self.state
        pool = account >> 80 & 0xFFFF
        tokens = self._tokens(pool)
        token = tokens[0] if c.below(3) else c.pick(tokens)
        decimals = s.tokens[token].decimals
        whole = 10**decimals
        kind = c.below(10)
        amount = whole * (1 + c.number(2)) // (1 if token == tokens[0] else 1000) + 1
        if kind == 0:
            amount = self._amount(whole)
        elif kind == 1:
            kinds = [one.cap for (where, _), one in s.collaterals.items() if where == pool and one.token == token]
            amount = c.around(kinds[0]) if kinds else c.log_uniform(10**9 * whole)
        caller = owner_of(account) if not c.one_in(8) else c.pick(self.cast.everybody)
        self.take("deposit", caller, account, token, amount, wait=wait)

    def deposit(self) -> None:
        """Tops up an account, one's own or another's, with any token."""
        c = self._c
        account = self._used_account() if c.one_in(2) else self._account()
        if c.one_in(40):
            account = c.pick((account_id(0, 1), account_id(self.cast.thief, 0x7777)))
            self.take("deposit", self.cast.thief, account, self._tokens(self._pools[0])[0], 1)
            return
        self._deposit(account)

    def _held(self, account: int, token: int) -> int:
        """Native units of a token in an account."""
        s, pool = self.state, account >> 80 & 0xFFFF
        if pool not in s.pools:
            return 0
        a = s.accounts.get(account)
        if token == s.pool_terms[pool].token:
            return max(a.raw_cash, 0) // s.pool_terms[pool].settlement.unit if a else 0
        for (where, index), one in s.collaterals.items():
            if where == pool and one.token == token:
                return s.collateral.get((account, index), 0)
        return 0

    def withdraw(self) -> None:
        """Takes out around what there is, or around what margin allows, or borrows."""
        c = self._c
        account = self._used_account()
        token = c.pick(self._tokens(account >> 80 & 0xFFFF))
        held = self._held(account, token)
        amount = self._amount(held * (1 + c.byte()) // 256 if c.one_in(2) else held, 10**15)
        caller = owner_of(account) if not c.one_in(16) else self.cast.thief
        to = caller if not c.one_in(16) else c.pick((0, self.state.clearinghouse, self.cast.thief))
        self.take("withdraw", caller, account, token, amount, to)

    def transfer(self) -> None:
        """Moves tokens between sub-accounts."""
        c = self._c
        account = self._used_account()
        pool = account >> 80 & 0xFFFF
        to = account ^ 1 if not c.one_in(8) else self._account(None if c.one_in(2) else pool)
        token = c.pick(self._tokens(pool))
        amount = self._amount(self._held(account, token))
        caller = owner_of(account) if not c.one_in(16) else self.cast.thief
        self.take("transfer", caller, account, to, token, amount)

    def claim(self) -> None:
        """Pays out a claim."""
        c, s = self._c, self.state
        people = self.cast.everybody
        open_claims = [key for key, amount in s.claims.items() if amount and key[2] in people]
        if open_claims and not c.one_in(6):
            pool, token, owner = c.pick(open_claims)
        else:
            pool, owner = c.pick(self._pools), c.pick(self.cast.everybody)
            token = c.pick(self._tokens(pool))
        self.take("claim", owner, pool, token, owner if not c.one_in(24) else 0)

    def fund_insurance(self) -> None:
        """Gives to a pool's insurance."""
        pool = self._c.pick(self._pools)
        unit = self.state.pool_terms[pool].settlement.unit
        self.take("fund_insurance", self._c.pick(self.cast.lps), pool, self._amount(100 * WAD // unit))

    def donate(self) -> None:
        """Sends tokens to a contract for nothing."""
        c = self._c
        token = c.pick(self._tokens(c.pick(self._pools)))
        self.take(
            "give_token", c.pick(self.cast.everybody), token, self.state.clearinghouse, self._amount(10**6, 10**20)
        )

    def multicall(self) -> None:
        """Several calls of the Clearinghouse in one."""
        c = self._c
        account = self._used_account()
        owner, token = owner_of(account), self._tokens(account >> 80 & 0xFFFF)[0]
        amount = self._amount(self._held(account, token))
        calls = [
            ("deposit", (account, token, 1 + c.number(3))),
            ("withdraw", (account, token, amount, owner)),
            ("transfer", (account, account ^ 1, token, amount)),
            ("accrue", (c.pick(self._markets),)),
            ("liquidate", ((account,), account)),
        ]
        chosen = tuple(c.pick(calls) for _ in range(1 + c.below(4)))
        self.take("multicall", owner, chosen)
