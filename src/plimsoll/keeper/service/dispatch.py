"""From decisions to transactions: simulates each exact call on top of the block it was decided on, values it, and hands
what acts and pays to the transaction manager."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from plimsoll.chain.errors import Revert
from plimsoll.keeper.actions import (
    Action,
    BuyCollateral,
    Claim,
    ExecuteOrders,
    Liquidate,
    OrderItem,
    PushPrices,
    Wait,
)
from plimsoll.keeper.decide import Health
from plimsoll.keeper.jobs.base import Moment
from plimsoll.keeper.jobs.price_source import as_hint
from plimsoll.keeper.log import show_account
from plimsoll.keeper.node.headers import Header
from plimsoll.keeper.operations.log import DecisionLog
from plimsoll.keeper.operations.ports import Decision, decision_id
from plimsoll.keeper.operations.telemetry import Telemetry
from plimsoll.keeper.report import LIQUIDATION_RESULTS, ORDER_RESULTS
from plimsoll.keeper.sending.intent import Intent, Outcome, Result
from plimsoll.keeper.sending.simulate import Call, Dropped, Fitted, Simulated, Simulator, Way, cause_of, fit
from plimsoll.keeper.service.calls import CallData, Calls, show_order
from plimsoll.keeper.service.names import digest, name_of
from plimsoll.keeper.service.telling import Teller
from plimsoll.units import PPM, WAD, div_up, mul_div_down, mul_div_up

__all__ = ["Dispatcher", "Manager"]

ENDED = frozenset({0, 1, 2})
"""Codes of orders that came to an end: filled, cancelled, expired."""
ACTED = frozenset({1, 2, 3, 4})
"""Codes of accounts that something was done about: partial, full, sale started, bad debt."""
GAS_RESERVE_PPM = 1_200_000
"""Gas that a transaction is given for what its simulation used: state may have moved when it is mined."""
GAS_RESERVE = 120_000
ORDER_LAPSES = 60
"""Seconds after its simulation in which a batch of orders must land; later its price window has passed."""
MOST_KEPT = 100_000
ROUND_HINT = 64
"""Bytes of the longest hint that leads to a round of a feed; a longer one is a signed update."""


class Manager(Protocol):
    """What takes transactions over; `plimsoll.keeper.sending.manager.TransactionManager` is one."""

    async def submit(self, intent: Intent) -> Outcome:
        """Sends it, or says why not."""


class Dispatcher:
    """Carries out the decisions of one pass. A failure of one job says nothing about another's.

    :param actions: by the key of their intent; what was sent, for counting when it lands.
    """

    def __init__(
        self,
        calls: Calls,
        simulator: Simulator,
        manager: Manager,
        log: DecisionLog,
        telemetry: Telemetry,
        keeper: str,
    ) -> None:
        self._calls = calls
        self._simulator = simulator
        self._manager = manager
        self._log = log
        self._telemetry = telemetry
        self._teller = Teller(log, telemetry)
        self._keeper = keeper
        self.actions: dict[str, Action] = {}
        self.sent_at: dict[str, int] = {}
        """Head when an intent was handed over, by key."""
        self.worths: dict[str, int] = {}
        """What intents were worth when they were handed over, wei, by key."""
        self.known: Mapping[bytes, Health] = {}
        """What this pass has confirmed about accounts below the line."""
        self.poisons: dict[bytes, tuple[int, int]] = {}
        """Accounts whose liquidation reverted alone: version and newest price at which it did."""
        self.blocked = ""
        self.begun = 0.0
        """When the pass began, `time.perf_counter`."""
        self.handed_over: list[tuple[str, int, float]] = []
        """For each transaction of the last passes: job, things acted on, seconds from the beginning of its pass."""

    async def begin(self, head: Header) -> None:
        """Finds out how the node simulates best.

        :raises NodeUnavailable: it does not answer.
        """
        way = await self._simulator.probe(head.hash)
        if way is Way.PLAIN:
            self._log.warn("simulation", "the node simulates only at the time of its last block, not of the next one")

    async def carry_out(self, job: str, actions: Sequence[Action], moment: Moment) -> list[Decision]:
        """One decision after the other; what is blocked ends the job for this pass.

        :raises NodeUnavailable, RpcError: the node failed.
        """
        made: list[Decision] = []
        for action in actions:
            if isinstance(action, Wait):
                made.append(self._teller.wait(job, action))
            elif isinstance(action, ExecuteOrders):
                made += await self._orders(job, action, moment)
            elif isinstance(action, Liquidate):
                made += await self._liquidate(job, action, moment)
            elif isinstance(action, PushPrices):
                made += await self._push(job, action, moment)
            elif isinstance(action, BuyCollateral):
                made += await self._buy(job, action, moment)
            else:
                call = self._calls.claim(action) if isinstance(action, Claim) else self._single(action, moment)
                made += await self._one(job, action, call, moment, self._worth_of(action, moment))
            if made and made[-1].outcome == "blocked":
                break
        return made

    def _single(self, action: Any, moment: Moment) -> CallData:
        return self._calls.single(action, moment.mirror)

    # ── batches ────────────────────────────────────────────────────────────

    async def _orders(self, job: str, action: ExecuteOrders, moment: Moment) -> list[Decision]:
        value = await self._update_fees([item.hint for item in action.items], moment)

        def call(items: Sequence[OrderItem]) -> CallData:
            return self._calls.orders(action.pool, items, sum(value.get(item.hint, 0) for item in items))

        fitted, dropped = await self._fit(job, action.items, call, moment, lambda _, code: code in ENDED)
        made = []
        for one in dropped:
            reason = str(one.revert) if one.revert is not None else ORDER_RESULTS[one.code or 0]
            made.append(
                self._teller.refuse(job, one.item.key, f"{show_order(one.item)} stays as it is: {reason}", one.revert)
            )
        for batch in fitted:
            items = tuple(batch.items)
            # Clearing what pays nothing is a duty: its fee goes back to the trader.
            reward = sum(item.order.keeper_fee for item in items if item.paid)
            made.append(
                await self._submit(
                    job,
                    ExecuteOrders(action.pool, items),
                    call(items),
                    moment,
                    batch.simulated,
                    worth=self._wei(reward, action.pool, moment) if reward else None,
                    deadline_time=moment.head.time + ORDER_LAPSES,
                    marks=frozenset(f"{name_of(item.key)}:{item.late}" for item in items),
                )
            )
        return made

    async def _liquidate(self, job: str, action: Liquidate, moment: Moment) -> list[Decision]:
        known = self.known

        def call(accounts: Sequence[bytes]) -> CallData:
            return self._calls.liquidate(action.pool, accounts, moment.mirror)

        fitted, dropped = await self._fit(job, action.accounts, call, moment, lambda _, code: code in ACTED)
        made = [self._spare(job, one, known) for one in dropped]
        for batch in fitted:
            accounts = tuple(batch.items)
            # Writing off what is left of an account pays nothing, and is a duty.
            rewards = await self._rewards(accounts, moment)
            made.append(
                await self._submit(
                    job,
                    Liquidate(action.pool, accounts),
                    call(accounts),
                    moment,
                    batch.simulated,
                    worth=self._wei(rewards, action.pool, moment) if rewards else None,
                    bad_debt=self._wei(_shortfall(accounts, known), action.pool, moment) or 0,
                    urgent=True,
                    marks=frozenset(_mark(account, known) for account in accounts),
                )
            )
        return made

    async def _push(self, job: str, action: PushPrices, moment: Moment) -> list[Decision]:
        value = sum((await self._update_fees([as_hint(action.updates)], moment)).values())
        known = self.known
        worth: int | None = None
        if not action.accounts:
            return await self._one(job, action, self._calls.push(action, (), moment.mirror, value), moment, worth)

        def call(accounts: Sequence[bytes]) -> CallData:
            return self._calls.push(action, accounts, moment.mirror, value)

        fitted, dropped = await self._fit(job, action.accounts, call, moment, lambda _, code: code in ACTED)
        made = [self._spare(job, one, known) for one in dropped]
        priced = digest([update.hex() for update in action.updates])
        for batch in fitted:
            accounts = tuple(batch.items)
            # The reward at the new price is not to be had from a view; what the contracts pay at least is.
            floor = moment.mirror.pool_terms[action.pool].risk.keeper_floor * len(accounts)
            made.append(
                await self._submit(
                    job,
                    PushPrices(action.pool, action.updates, accounts),
                    call(accounts),
                    moment,
                    batch.simulated,
                    worth=self._wei(floor, action.pool, moment),
                    urgent=True,
                    marks=frozenset(f"push:{account.hex()}:{priced}" for account in accounts),
                )
            )
        return made

    async def _fit(
        self, job: str, items: Sequence[Any], call: Any, moment: Moment, acts: Any
    ) -> tuple[list[Fitted[Any]], list[Dropped[Any]]]:
        async def run(part: Sequence[Any]) -> Simulated:
            return await self._simulate(job, call(part), moment)

        def codes(simulated: Simulated) -> Sequence[int]:
            data = call(items[:1])
            found: Sequence[int] = data.contract.function(data.fn).decode(simulated.output)
            return found

        return await fit(items, run, codes, acts)

    # ── one by one ─────────────────────────────────────────────────────────

    async def _buy(self, job: str, action: BuyCollateral, moment: Moment) -> list[Decision]:
        """A purchase; before the first one the Clearinghouse is allowed to take the price."""
        target = moment.chain.target
        settlement = moment.mirror.pool_terms[action.pool].settlement
        token = target.token(settlement.token)
        house = target.clearinghouse.address
        asked = [(token, "allowance", [self._keeper, house]), (token, "balanceOf", [self._keeper])]
        allowed, balance = await moment.chain.ask(asked, moment.head)
        call = self._calls.buy(action)
        if isinstance(allowed, Revert) or isinstance(balance, Revert):
            return [
                self._teller.refuse(job, ("sale", action.account), f"{call.text}: {settlement.token} cannot be read")
            ]
        if allowed >= div_up(action.cost, 10 ** (18 - settlement.decimals)):
            # One that only ends a sale is a duty: its worth to the pool is no money of the keeper.
            pays = action.profit >= moment.options.limits.min_profit
            worth = self._wei(action.profit + action.gas, action.pool, moment) if pays else None
            return await self._one(job, action, call, moment, worth)
        return await self._one(job, action, self._calls.approve(token, balance), moment, None)

    async def _one(self, job: str, action: Action, call: CallData, moment: Moment, worth: int | None) -> list[Decision]:
        simulated = await self._simulate(job, call, moment)
        if simulated.revert is not None:
            key = ("refused", *[part for key in action.keys for part in key])
            return [self._teller.refuse(job, key, f"{call.event} {call.text}: {simulated.revert}", simulated.revert)]
        return [await self._submit(job, action, call, moment, simulated, worth=worth)]

    # ── simulate, value, send ──────────────────────────────────────────────

    async def _simulate(self, job: str, call: CallData, moment: Moment) -> Simulated:
        asked = Call(self._keeper, call.contract.address, call.data, call.gas, call.value)
        result: list[Simulated] = []
        cause = "passed"

        def timed(seconds: float) -> None:
            self._telemetry.simulated(job, cause, seconds)

        with self._telemetry.timed(timed):
            result = await self._simulator.run([asked], moment.head.hash)
            if result[0].revert is not None:
                cause = str(cause_of(result[0].revert))
        return result[0]

    async def _submit(
        self,
        job: str,
        action: Action,
        call: CallData,
        moment: Moment,
        simulated: Simulated,
        *,
        worth: int | None,
        bad_debt: int = 0,
        urgent: bool = False,
        deadline_time: int | None = None,
        marks: frozenset[str] = frozenset(),
    ) -> Decision:
        names = frozenset(name_of(key) for key in action.keys)
        key = f"{call.event}:{digest([*names, *marks, call.data.hex()])}"
        trace = decision_id(job, key)
        gas = call.gas
        if simulated.gas_used is not None:
            # A limit far above the need would keep other transactions out of the block.
            gas = min(gas, mul_div_up(simulated.gas_used, GAS_RESERVE_PPM, PPM) + GAS_RESERVE)
        intent = Intent(
            key=key,
            job=job,
            to=call.contract.address,
            data=call.data,
            gas=gas,
            worth_wei=worth,
            expected_gas=simulated.gas_used,
            value_wei=call.value,
            bad_debt_wei=bad_debt,
            keys=names,
            marks=marks,
            deadline_time=deadline_time,
            urgent=urgent,
            trace=trace,
        )
        outcome = await self._manager.submit(intent)
        if outcome.under_way:
            self.actions[key] = action
            self.sent_at[key] = moment.head.number
            if worth is not None:
                self.worths[key] = worth
            since = time.perf_counter() - self.begun
            self.handed_over.append((job, len(names), since))
            del self.handed_over[:-MOST_KEPT]
            self._telemetry.sent(job, intent.route or "usual", since)
        if outcome.result is Result.BLOCKED:
            self.blocked = outcome.reason
        return self._teller.told(job, trace, call, outcome, moment.head.number)

    # ── what is not sent ───────────────────────────────────────────────────

    def _spare(self, job: str, one: Dropped[bytes], known: Mapping[bytes, Health]) -> Decision:
        """An account that is not liquidated; one that spoils a batch is poison until it or its price changes."""
        reason = str(one.revert) if one.revert is not None else LIQUIDATION_RESULTS[one.code or 0]
        if one.revert is not None and one.item in known:
            health = known[one.item]
            self.poisons[one.item] = (health.version, health.newest)
        text = f"{show_account(one.item)} is not liquidated: {reason}"
        return self._teller.refuse(job, ("account", one.item), text, one.revert)

    # ── money ──────────────────────────────────────────────────────────────

    async def _rewards(self, accounts: Sequence[bytes], moment: Moment) -> int:
        """What the contracts would pay for these accounts, WAD, as their own preview says."""
        asked = [(moment.chain.target.lens, "previewLiquidation", [list(accounts)])]
        (answer,) = await moment.chain.ask(asked, moment.head)
        return 0 if isinstance(answer, Revert) else sum(answer.rewards)

    async def _update_fees(self, hints: Sequence[bytes], moment: Moment) -> dict[bytes, int]:
        """What Pyth takes for each hint that carries an update, wei."""
        wanted = [hint for hint in dict.fromkeys(hints) if len(hint) > ROUND_HINT]
        return await moment.chain.update_fees(wanted, moment.head)

    def _wei(self, amount: int, pool: int, moment: Moment) -> int | None:
        """WAD of a settlement asset in wei, rounded down; None for a pool that has no price of ether."""
        price = moment.gas_asset_price(pool)
        return mul_div_down(max(amount, 0), WAD, price) if price else None

    def _worth_of(self, action: Action, moment: Moment) -> int | None:
        if isinstance(action, Claim) and not action.controller:
            token = moment.mirror.pool_terms[action.pool].settlement.token
            return self._wei(action.amount, action.pool, moment) if action.token.lower() == token.lower() else None
        return None


def _shortfall(accounts: Sequence[bytes], known: Mapping[bytes, Health]) -> int:
    """MM − equity of all, WAD: what a further move of that size would make bad debt."""
    return sum(max(known[one].required - known[one].equity, 0) for one in accounts if one in known)


def _mark(account: bytes, known: Mapping[bytes, Health]) -> str:
    """Changes when another try makes sense: with the account's version or the newest price it is valued at."""
    health = known.get(account)
    return f"{account.hex()}:{health.version}:{health.newest}" if health is not None else account.hex()
