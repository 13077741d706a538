"""Everybody leaves: whatever state an example ended in, at the prices it ended with, with all helping.

What outside the protocol is broken is mended (feeds, tokens, sequencer, pauses). Then orders end, positions close or
are liquidated, collateral on sale is bought, debts are repaid, money and shares leave. What is left afterwards must be
dust: `leftovers` gives one line for whatever is more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from plimsoll.errors import PlimsollError
from plimsoll.fuzz.population import MANY, Cast, Take
from plimsoll.fuzz.session import Step, show
from plimsoll.model.engine import liquidity
from plimsoll.model.engine.actions import Action, Result
from plimsoll.model.engine.books import load_market, load_pool
from plimsoll.model.engine.draft import Draft
from plimsoll.model.engine.ledger import bits_of, cash_of, size_of
from plimsoll.model.engine.lp_state import LpState
from plimsoll.model.engine.orders import OrderResult
from plimsoll.model.engine.parameters import PoolParams
from plimsoll.model.engine.state import State, account_id, market_id, owner_of, pool_of
from plimsoll.model.pool import Side
from plimsoll.units import WAD, div_up

__all__ = ["StuckError", "WindDown", "leftovers"]

ROUNDS = 8
"""How often closing, liquidating and selling is tried; each frees the next."""
ORDER_LIFE = 600
LONGEST_ORDER = 3601
DAY = 86_400
LARGE_NAV = 10**10 * WAD
"""A reference NAV that no market's limits are too wide for."""


class StuckError(PlimsollError, AssertionError):
    """Somebody cannot leave."""


class WindDown:
    """Takes the steps.

    :param take: takes a step in the model (and on the chain) and gives its result.
    """

    def __init__(self, cast: Cast, state: State, take: Take) -> None:
        self._cast = cast
        self._take = take
        self._time = state.time
        self.state = state
        self._prices = {key: one.price for key, one in state.asset_states.items()}

    def run(self) -> State:
        """Lets everybody leave; gives the state after that.

        :raises StuckError: they cannot.
        """
        self._mend()
        self._end_orders()
        for _ in range(ROUNDS):
            self._publish(1)
            self._liquidate()
            self._buy()
            self._close()
            self._repay()
            if self._is_flat():
                break
        else:
            raise StuckError("positions, debts or sales stay: " + "; ".join(self._open()))
        self._empty_pools()
        for account in self.state.accounts:
            self._withdraw(account)
        self._claim()
        return self.state

    # ── taking steps ───────────────────────────────────────────────────────

    def _try(self, name: str, caller: int, *args: object, wait: int = 0) -> Result:
        self._time += wait
        result = self._take(Step(Action(name, caller, args), self._time))
        self.state = result.state
        return result

    def _do(self, name: str, caller: int, *args: object, wait: int = 0) -> Result:
        """As `_try`, but it must go through."""
        result = self._try(name, caller, *args, wait=wait)
        if result.refusal is not None:
            step = Step(Action(name, caller, args), self._time)
            raise StuckError(f"{show(step)} is refused: {result.refusal}")
        return result

    def _publish(self, wait: int) -> None:
        """Every feed publishes the price that the example ended with."""
        self._time += wait
        for asset, one in sorted(self.state.assets.items()):
            for feed in (one.feed, one.secondary):
                source = self.state.feeds.get(feed)
                if source is not None and self._prices[asset]:
                    answer = self._prices[asset] // 10 ** (18 - source.decimals)
                    self._do("push_round", self._cast.owner, feed, answer, self._time)

    # ── outside, and orders ────────────────────────────────────────────────

    def _mend(self) -> None:
        s, owner = self.state, self.state.owner
        for feed, source in s.feeds.items():
            if not source.answers:
                self._do("set_feed_answers", owner, feed, True)
        for token, kind in s.tokens.items():
            for holder in sorted(kind.blacklist):
                self._do("blacklist", owner, token, holder, False)
            if kind.fee_bps:
                self._do("set_transfer_fee", owner, token, 0)
            if kind.refuses:
                self._do("set_token_refuses", owner, token, False)
        if s.sequencer.feed:
            self._do("set_sequencer_answers", owner, True)
            self._do("set_sequencer_status", owner, False, max(self._time - DAY, 1))
        for pool, terms in s.pool_terms.items():
            if terms.risk.pause_flags:
                self._do("set_pause", owner, pool, 0)
        # Longer than any grace, and long enough for the averages of prices to arrive.
        for _ in range(4):
            self._publish(DAY // 4)
            for market in s.markets:
                self._do("accrue", owner, market)

    def _end_orders(self) -> None:
        self._time += LONGEST_ORDER
        for queue in list(self.state.queues.values()):
            for number, (order, _) in enumerate(queue.orders):
                if number % 2:
                    self._do("cancel_order", owner_of(order.account), order)
                else:
                    keeper = self._keeper(pool_of(order.account))
                    result = self._do("expire_orders", owner_of(keeper), ((order, None),), keeper)
                    if result.value[0][0] is not OrderResult.EXPIRED:
                        raise StuckError(f"{order} is {result.value[0]}, not expired")

    def _keeper(self, pool: int) -> int:
        return account_id(self._cast.keepers[0], pool)

    # ── accounts ───────────────────────────────────────────────────────────

    def _liquidate(self) -> None:
        for account, a in list(self.state.accounts.items()):
            if a.markets or a.raw_cash < 0 or account in self.state.sales:
                keeper = self._keeper(pool_of(account))
                self._do("liquidate", owner_of(keeper), (account,), keeper)

    def _buy(self) -> None:
        """Buys all that is on sale, when it is cheapest."""
        if not self.state.sales:
            return
        self._publish(max(terms.liquidation.sale_seconds for terms in self.state.pool_terms.values()))
        buyer = self._cast.keepers[-1]
        for account in list(self.state.sales):
            pool = pool_of(account)
            for index in bits_of(self.state.accounts[account].collaterals):
                if account not in self.state.sales:
                    break
                token = self.state.collaterals[pool, index].token
                result = self._try("buy_collateral", buyer, account, token, MANY, MANY)
                if result.refusal is not None and result.refusal.name == "ERC20InsufficientBalance":
                    self._do("mint_token", buyer, self.state.pool_terms[pool].token, buyer, result.refusal.values[-1])
                    self._do("buy_collateral", buyer, account, token, MANY, MANY)

    def _close(self) -> None:
        for account, index in list(self.state.positions):
            market = market_id(pool_of(account), index)
            d = Draft(self.state)
            m = load_market(d, market)
            position = self.state.positions.get((account, index))
            if position is None:
                continue
            size = size_of(d, m, position)
            if m.settled or size == 0:
                self._do("close_settled", self._cast.keepers[0], market, (account,))
            else:
                self._reduce(account, market, size)

    def _reduce(self, account: int, market: int, size: int) -> None:
        """Closes a position by an order; its owner pays in what the order lacks."""
        pool, owner = pool_of(account), owner_of(account)
        rules, unit = self.state.rules[market], self.state.pool_terms[pool].settlement.unit
        fee = div_up(rules.min_keeper_fee, unit) * unit
        self._govern(pool, keeper_floor=fee)
        limit = 0 if size > 0 else MANY
        for _ in range(3):
            expiry = self._time + ORDER_LIFE
            placed = self._try("place_order", owner, account, market, -2 * size, limit, expiry, fee, True, 0)
            if placed.refusal is not None:
                if placed.refusal.name != "InsufficientMargin":
                    raise StuckError(f"account {account:#x} cannot close {size} of {market:#x}: {placed.refusal}")
                self._top_up(account, placed.refusal.values[1] - placed.refusal.values[0])
                continue
            (order, _), *_ = self.state.queues[account, market].orders
            self._publish(rules.settlement_delay)
            keeper = self._keeper(pool)
            result, reason = self._do("execute_orders", owner_of(keeper), ((order, None),), keeper).value[0]
            if result is OrderResult.FILLED:
                return
            if result is not OrderResult.CANCELLED or reason[0] != "InsufficientMargin":
                raise StuckError(f"account {account:#x} cannot close {size} of {market:#x}: {result.name} {reason}")
            self._top_up(account, max(reason[1][1] - reason[1][0], 1))
        # Below the line meanwhile: the next round liquidates it.

    def _govern(self, pool: int, **least: int) -> None:
        """Governance raises parameters of a pool that nobody could leave with: the largest keeper fee below the least
        that orders ask for, and no room at all between price and average."""
        params = PoolParams.of(self.state.pool_terms[pool])
        low = {name: value for name, value in least.items() if getattr(params, name) < value}
        if not low:
            return
        changed = self._try("set_pool", self.state.owner, pool, replace(params, **low))
        if changed.refusal is not None:
            # Prices that rose make limits too wide for the NAV that they are made for.
            self._try("set_pool", self.state.owner, pool, replace(params, reference_nav=LARGE_NAV, **low))

    def _top_up(self, account: int, lacking: int) -> None:
        pool, owner = pool_of(account), owner_of(account)
        terms = self.state.pool_terms[pool]
        amount = div_up(lacking, terms.settlement.unit) + 1
        if self.state.balances.get((terms.token, owner), 0) < amount:
            self._do("mint_token", owner, terms.token, owner, amount)
        self._do("deposit", owner, account, terms.token, amount)

    def _repay(self) -> None:
        for account, a in list(self.state.accounts.items()):
            if a.raw_cash >= 0 or a.markets or account in self.state.sales:
                continue
            d = Draft(self.state)
            debt = -cash_of(a, load_pool(d, pool_of(account)))
            self._top_up(account, debt)

    def _is_flat(self) -> bool:
        return not any(True for _ in self._open())

    def _open(self) -> Iterator[str]:
        for account, a in self.state.accounts.items():
            if a.markets or a.raw_cash < 0 or account in self.state.sales:
                yield f"{account:#x}: {a}"

    def _withdraw(self, account: int) -> None:
        pool, owner = pool_of(account), owner_of(account)
        for index in bits_of(self.state.accounts[account].collaterals):
            token = self.state.collaterals[pool, index].token
            self._do("withdraw", owner, account, token, self.state.collateral[account, index], owner)
        terms = self.state.pool_terms[pool]
        amount = self.state.accounts[account].raw_cash // terms.settlement.unit
        if not amount:
            return
        result = self._try("withdraw", owner, account, terms.token, amount, owner)
        if result.refusal is None:
            return
        if result.refusal.name == "InsufficientPoolLiquidity" and load_pool(self._now(), pool).nav < 0:
            # Winners were paid before a loss was known, and the pool lacks it. What is there goes to who comes first.
            amount = result.refusal.values[0] // terms.settlement.unit
        if amount:
            self._do("withdraw", owner, account, terms.token, amount, owner)

    def _claim(self) -> None:
        """Everybody's claims. Those of a share token belong to its controllers."""
        tokens = {int(one.address) for one in self.state.lps.values()}
        for (pool, token, owner), amount in list(self.state.claims.items()):
            terms = self.state.pool_terms[pool]
            if owner not in tokens and amount >= (terms.settlement.unit if token == terms.token else 1):
                self._do("claim", owner, pool, token, owner)

    # ── liquidity ──────────────────────────────────────────────────────────

    def _empty_pools(self) -> None:
        for market in self.state.markets:
            # What may not be opened any more needs no capital.
            self._do("lower_caps", self.state.owner, market, 0, 0)
        for pool in self.state.lps:
            self._govern(pool, lp_gap_ppm=1)
            self._strike(pool)
            self._collect(pool)
            for holder in self._cast.everybody:
                shares = self.state.lps[pool].balances.get(holder, 0)
                if shares:
                    self._do("request_redeem", holder, pool, shares, holder, holder)
            self._strike(pool)
            self._collect(pool)
            if self.state.pools[pool].fees:
                self._do("sweep_fees", self.state.owner, pool, self.state.owner)

    def _strike(self, pool: int) -> None:
        """Waits for the epoch's end and strikes what is due."""
        one = self.state.lps[pool]
        epoch = 1 + (self._time - one.start) // one.epoch_length
        self._publish(one.start + epoch * one.epoch_length + one.lp_delay - self._time)
        for _ in range(ROUNDS):
            if not liquidity.can_strike(self._now(), pool):
                return
            self._do("strike", self._cast.keepers[0], pool, self._keeper(pool))

    def _now(self) -> Draft:
        d = Draft(self.state)
        d.time = self._time
        return d

    def _collect(self, pool: int) -> None:
        for person in self._cast.everybody:
            for name, most in (("lp_deposit", liquidity.max_deposit), ("lp_redeem", liquidity.max_redeem)):
                amount = most(self._now(), pool, person)
                if amount:
                    self._do(name, person, pool, amount, person, person)
            for epoch in list(self.state.lps[pool].book.requests.get((Side.DEPOSIT, person), ())):
                if liquidity.refundable_deposit_request(self._now(), pool, epoch, person):
                    self._do("claim_refund", person, pool, epoch, person, person)


# ── what is left ─────────────────────────────────────────────────────────────


def leftovers(s: State) -> Iterator[str]:
    """What is more than dust after everybody left, except money of accounts that a pool with a negative NAV lacks."""
    for name in ("positions", "collateral", "sales"):
        if getattr(s, name):
            yield f"{name} stay: {getattr(s, name)}"
    for key, queue in s.queues.items():
        if queue.orders:
            yield f"orders of {key} stay"
    for pool, p in s.pools.items():
        terms = s.pool_terms[pool]
        unit, held = terms.settlement.unit, s.held.get((pool, terms.token), 0)
        if p.escrow or s.lp_escrow.get(pool, 0) or p.scaled_debt or p.fees or s.open_sales.get(pool, 0):
            yield f"pool {pool}: fees, debts or sales stay: {p}"
        cash = sum(a.raw_cash for account, a in s.accounts.items() if pool_of(account) == pool)
        owners = sum(1 for account in s.accounts if pool_of(account) == pool)
        yield from _claims_left(s, pool)
        payable = held - s.claim_totals.get((pool, terms.token), 0) - p.insurance - s.junior.get(pool, 0)
        nav = payable - cash - p.loss_sum
        if cash > owners * (unit - 1) + max(-nav, 0):
            yield f"pool {pool}: {owners} accounts keep {cash}"
        # What a closed epoch owes is rounded up once, what each of its positions gets is rounded down.
        rounding = owners * (unit + len(s.epoch_ends))
        if nav >= 0:
            yield from _shares_left(s.lps[pool], pool, nav, unit)
        elif -nav > cash + rounding:
            yield f"pool {pool}: NAV is {nav}, its accounts have {cash}"
        elif payable > rounding:
            yield f"pool {pool}: {payable} stay while NAV is {nav}"


def _claims_left(s: State, pool: int) -> Iterator[str]:
    terms = s.pool_terms[pool]
    book, share = s.lps[pool].book, s.lps[pool].address
    requests = sum(len(one) for (side, _), one in book.requests.items() if side is Side.REDEEM)
    # Each request is paid by each strike in whole native units, rounded down.
    rounding = 1 + requests * (len(book.strikes) + 1)
    for (where, token, owner), amount in s.claims.items():
        unit = terms.settlement.unit if token == terms.token else 1
        if where == pool and amount >= unit * (rounding if owner == share else 1):
            yield f"pool {pool}: a claim of {amount} of {token:#x} stays with {owner:#x}"


def _shares_left(lp: LpState, pool: int, nav: int, unit: int) -> Iterator[str]:
    """NAV belongs to the dead deposit, to its part of what came after, and to shares worth less than a native unit."""
    dead = lp.balances.get(liquidity.DEAD, 0)
    rest = lp.supply - dead
    worth = rest * nav // lp.supply
    # Each strike rounds shares down as well as money, and a share may be worth more than a native unit.
    if worth > (unit + nav // lp.supply) * (2 + len(lp.book.strikes)):
        yield f"pool {pool}: {rest} shares of {lp.supply} stay, worth {worth}"
