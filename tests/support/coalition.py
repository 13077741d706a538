"""What a group of people has, and steps that only its members take while no price moves."""

from __future__ import annotations

from collections.abc import Callable, Collection

from plimsoll.fuzz.choices import Choices
from plimsoll.fuzz.generator import Generator
from plimsoll.fuzz.population import MANY, Cast
from plimsoll.fuzz.session import Step
from plimsoll.fuzz.wind_down import WindDown
from plimsoll.model.engine.actions import Action, Result, apply
from plimsoll.model.engine.liquidity import DEAD
from plimsoll.model.engine.orders import OrderResult
from plimsoll.model.engine.state import Order, State, account_id, owner_of
from plimsoll.units import WAD

__all__ = ["Calm", "Careful", "Model", "Watched", "calm", "cash_of_all", "leave", "money", "shares_of", "wealth"]


LOOK = 6 * 3600
HONEST = 0xB0B


class Model:
    """The specification alone; keeps its steps."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.steps: list[Step] = []

    def take(self, step: Step) -> Result:
        """Takes a step."""
        self.steps.append(step)
        result = apply(self.state, step.action, step.time, step.base_fee)
        self.state = result.state
        return result

    def do(self, name: str, caller: int, *args: object, wait: int = 0) -> Result:
        """Takes an action `wait` seconds later; it must go through."""
        result = self.attempt(name, caller, *args, wait=wait)
        assert result.refusal is None, f"{name}: {result.refusal}"
        return result

    def attempt(self, name: str, caller: int, *args: object, wait: int = 0) -> Result:
        """Takes an action `wait` seconds later."""
        return self.take(Step(Action(name, caller, args), self.state.time + wait))

    def order(self, account: int, market: int, size: int, *, reduce_only: bool = False) -> Order:
        """Places an order for the least fee; gives it."""
        fee = self.state.rules[market].min_keeper_fee
        limit = 2**256 - 1 if size > 0 else 0
        expiry = self.state.time + 600
        self.do("place_order", owner_of(account), account, market, size, limit, expiry, fee, reduce_only, 0)
        order: Order = self.state.queues[account, market].orders[-1][0]
        return order

    def execute(self, keeper: int, *orders: Order) -> list[OrderResult]:
        """Lets the price of the newest order come, and executes all of them in one batch."""
        self.publish(self.state.rules[orders[-1].market].settlement_delay)
        items = tuple((order, None) for order in orders)
        return [one for one, _ in self.do("execute_orders", owner_of(keeper), items, keeper).value]

    def trade(self, account: int, market: int, size: int, keeper: int, *, reduce_only: bool = False) -> None:
        """An order that must be filled."""
        order = self.order(account, market, size, reduce_only=reduce_only)
        assert self.execute(keeper, order) == [OrderResult.FILLED]

    def publish(self, wait: int = 0) -> None:
        """Every feed says again what it said last, `wait` seconds later."""
        for key, one in sorted(self.state.assets.items()):
            for feed in (one.feed, one.secondary):
                source = self.state.feeds.get(feed)
                if source is not None:
                    answer = self.state.asset_states[key].price // 10 ** (18 - source.decimals)
                    time = self.state.time + wait
                    Model.take(self, Step(Action("push_round", self.state.owner, (feed, answer, time)), time))
                    wait = 0


class Watched(Model):
    """As `Model`, with feeds that keep their heartbeat and somebody honest who liquidates every few hours.

    Funding takes at most half of the base maintenance margin a day, so an account that is looked at this often cannot
    sink from its maintenance margin below zero. Nobody looking for a month is not part of the claim that no coalition
    gains: a trader could then owe more than he has to a pool that his friends own.
    """

    def take(self, step: Step) -> Result:
        """Takes a step after what happens before its time."""
        while self.state.time + LOOK < step.time:
            self.publish(LOOK)
            owing = tuple(key for key, a in self.state.accounts.items() if a.markets or a.raw_cash < 0)
            keeper = account_id(HONEST, 1)
            super().take(Step(Action("liquidate", HONEST, (owing, keeper)), self.state.time))
        return super().take(step)


class Careful(Generator):
    """Trades so that most orders fill."""

    def settle_in(self) -> None:
        """Opens with a part of what margin allows, closes, or turns."""
        c, s = self._c, self.state
        market = c.pick(sorted(s.markets))
        account = account_id(c.pick(self.cast.traders), market >> 8, c.below(2))
        owner, terms = owner_of(account), s.pool_terms[market >> 8]
        a = s.accounts.get(account)
        if a is None or a.raw_cash < 1000 * WAD:
            whole = 10 ** s.tokens[terms.token].decimals
            self.take("deposit", owner, account, terms.token, whole * c.pick((2_000, 20_000, 200_000)), wait=0)
        position = self.state.positions.get((account, market & 0xFF))
        if position is not None and c.below(3):
            size = -position.shares * (1 + c.byte()) // c.pick((64, 128, 256, 256))
        else:
            notional = self._cash_in(account) * (1 + c.byte()) // c.pick((10, 16, 40))
            size = notional * WAD // self._price(market) * c.pick((1, -1))
        if not size:
            return
        limit, fee = (MANY if size > 0 else 0), self.state.rules[market].min_keeper_fee
        order = (account, market, size, limit, self.time + 600, fee, position is not None and bool(c.below(2)), 0)
        if self.take("place_order", owner, *order, wait=0).refusal is None:
            rules = self.state.rules[market]
            self._move(self.state.market_terms[market].margin.asset, 0, rules.settlement_delay)
            self._execute(account, market, wait=c.pick((0, 1)))

    def _cash_in(self, account: int) -> int:
        a = self.state.accounts.get(account)
        return max(a.raw_cash, WAD) if a is not None else WAD


class Calm(Careful):
    """An example without moves of prices, without governance, and without gifts, which would hide a gain."""

    generous = False
    """Whether there are gifts."""

    def _move(self, asset: int, thousandths: int, wait: int | None, published: int | None = None) -> None:
        super()._move(asset, 0, wait, None)

    def _weighted(self) -> list[Callable[[], object]]:
        kept = (
            (40, self.settle_in),
            (6, self.trade),
            (8, self.place),
            (8, self.execute),
            (4, self.cancel),
            (3, self.expire),
            (6, self.move_price),
            (8, self.liquidate),
            (4, self.buy_collateral),
            (12, self.deposit),
            (12, self.withdraw),
            (4, self.transfer),
            (3, self.claim),
            (2, self.deleverage),
            (4, self.accrue),
            (int(self.generous), self.fund_insurance),
            (6, self.request_lp),
            (8, self.strike),
            (6, self.claim_lp),
            (int(self.generous), self.donate),
            (2, self.multicall),
            (1, self.change_base_fee),
        )
        return [choice for weight, choice in kept for _ in range(weight)]

    def move_price(self) -> None:
        """A feed says again what it said last."""
        self._move(self._c.pick(sorted(self.state.assets)), 0, None)


def wealth(s: State, people: Collection[int]) -> int:
    """Σ tokens in wallets and claims, at the stored prices of collateral, WAD of the settlement asset (rounded up:
    1e-18 of a native unit counts)."""
    total = 0
    values = {one.token: (s.asset_states[one.terms.asset].price, one.terms.decimals) for one in s.collaterals.values()}
    units = {terms.token: terms.settlement.unit for terms in s.pool_terms.values()}
    for (token, holder), amount in s.balances.items():
        if holder in people:
            total += _worth(token, amount * units.get(token, 1), values)
    for (_, token, owner), amount in s.claims.items():
        if owner in people:
            total += _worth(token, amount, values)
    return total


def cash_of_all(s: State, people: Collection[int]) -> int:
    """Σ cash of their accounts, debts (scaled) below zero, WAD."""
    return sum(a.raw_cash for account, a in s.accounts.items() if owner_of(account) in people)


def money(s: State, person: int) -> int:
    """Settlement assets of somebody in wallet, claims and accounts, WAD."""
    units = {terms.token: terms.settlement.unit for terms in s.pool_terms.values()}
    total = cash_of_all(s, {person})
    total += sum(s.balances.get((token, person), 0) * unit for token, unit in units.items())
    return total + sum(amount for (_, token, owner), amount in s.claims.items() if owner == person and token in units)


def _worth(token: int, amount: int, values: dict[int, tuple[int, int]]) -> int:
    if token not in values:
        return amount
    price, decimals = values[token]
    return amount * price // int(10**decimals)


def shares_of(s: State, people: Collection[int]) -> int:
    """What their shares are worth at NAV, WAD, rounded down; for a state without positions."""
    total = 0
    for pool, lp in s.lps.items():
        nav = s.pools[pool].cash - s.pools[pool].loss_sum
        total += sum(lp.balances.get(one, 0) for one in people if one != DEAD) * nav // lp.supply
    return total


def leave(cast: Cast, state: State) -> State:
    """The state after everybody closed, repaid, redeemed and left."""
    model = Watched(state)
    return WindDown(cast, state, model.take).run()


class Generous(Calm):
    """As `Calm`, with gifts."""

    generous = True


def calm(cast: Cast, model: Model, data: bytes, *, generous: bool = False, most: int = 150) -> None:
    """Plays an example at constant prices."""
    (Generous if generous else Calm)(cast, model.state, model.take, Choices(data)).run(most)
