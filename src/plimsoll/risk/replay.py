"""Lives through a path of prices on a chain of its own, with a crowd of traders, LPs and the real keeper.

A step is one tick of the path: owners act on what the last block showed, the feeds publish, the block is mined at the
tick's time, and the keeper looks at it and acts in the block a second later. Times are those of the files, so funding
and interest accrue as they would have.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from plimsoll.chain.anvil import Anvil
from plimsoll.deploy.deploy import deploy
from plimsoll.deploy.deployment import Deployment, deployed_contracts
from plimsoll.deploy.parameters import Parameters
from plimsoll.keeper.operations.keystore import Identity
from plimsoll.keeper.operations.load import load_config
from plimsoll.keeper.service.stepped import SteppedKeeper
from plimsoll.risk import agents
from plimsoll.risk.agents import Act, Habit, Move, Provider, Trader, View
from plimsoll.risk.paths import Tick, Walk, walk
from plimsoll.risk.prices import PriceSeries
from plimsoll.risk.probe import PoolReading
from plimsoll.risk.records import (
    GasUse,
    HealthSample,
    MarketSample,
    OrderCounts,
    PoolResult,
    PoolSample,
    ReplayReport,
    WindDown,
)
from plimsoll.risk.report import price_range
from plimsoll.risk.scene import NO_HEALTH, NO_LIMIT, Scene
from plimsoll.risk.setting import Settings, fitted_parameters
from plimsoll.risk.stage import Stage
from plimsoll.risk.winddown import wind_down
from plimsoll.units import WAD

__all__ = ["Progress", "replay"]

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""

DAY = 86_400
DEPLOYMENT_SECONDS = 600
SETTLED = 3_000
"""Chain time between the opening of the pools and the first tick."""
SAMPLES = 500
WALLET = 10
"""Owners have this many times their deposit, for margin they may add."""
KEEPER_ACCOUNT = 5
"""Which of the node's accounts keeps."""
KEPT_STATES = 64
"""The keeper reads blocks by their hash, also some that are not the latest any more."""
KEEPER_FUNDS = 5_000_000 * WAD


def replay(
    series: Sequence[PriceSeries],
    settings: Settings,
    parameters_file: Path,
    progress: Progress = lambda _what, _done, _total: None,
) -> ReplayReport:
    """Replays bars of some symbols, all on one chain of their own, and reports.

    :raises PathError: the series make no path.
    :raises ReplayError: the settings do not fit.
    :raises ParameterError: the parameters break an inequality at these prices.
    """
    started = time.monotonic()
    path = walk(series, threshold_bps=settings.threshold_bps, gaps=settings.gaps)
    parameters = fitted_parameters(parameters_file, path[0].prices)
    progress("compiling", 0, 1)
    artifacts = deployed_contracts()
    epoch = max(p.liquidity.epoch_length.value + p.liquidity.lp_delay.value for p in parameters.pools.values())
    genesis = path[0].time - epoch - DEPLOYMENT_SECONDS - SETTLED
    with Anvil(timestamp=genesis, block_interval=1, keep_states=KEPT_STATES, extra=("--order", "fifo")) as anvil:
        progress("deploying", 0, 1)
        deployment = deploy(anvil.sender(0), parameters, artifacts=artifacts)
        with _keeper(anvil, deployment) as keeper:
            run = Replay(anvil, deployment, settings, path, progress, keeper)
            run.prepare()
            run.live()
            leaving = run.leave()
            return run.report(series, leaving, time.monotonic() - started)


def _keeper(anvil: Anvil, deployment: Deployment) -> SteppedKeeper:
    """The keeper as operators run it, its database in memory. It is for the pools: what they lose it may cost."""
    choices = {
        "node.providers": str(anvil.ipc_path),
        "objective": "solvency",
        "sending.solvency_budget": "1000",
        "sending.tip": "0",
        "sending.max_in_flight": "64",
        "audit.every": "100",
    }
    config = load_config(None, overrides=choices)
    return SteppedKeeper(config, deployment, Identity(anvil.accounts[KEEPER_ACCOUNT], unlocked=True))


class Replay:
    """One replay on a deployed system."""

    def __init__(
        self,
        anvil: Anvil,
        deployment: Deployment,
        settings: Settings,
        path: Walk,
        progress: Progress,
        keeper: SteppedKeeper,
    ) -> None:
        self.deployment = deployment
        self.parameters: Parameters = deployment.parameters
        self.settings = settings
        self.path = path
        self.progress = progress
        self.steps = len(path)
        self.stage = Stage(anvil, deployment)
        self.stage.roomy(True)
        keeper_address = anvil.accounts[KEEPER_ACCOUNT]
        self.keeper = keeper
        crowd = agents.traders(deployment, path[0].prices, settings.accounts, settings.seed, self.steps)
        providers = [
            Provider(
                f"{pool.name} LP {number}",
                agents.actor_address(f"lp {pool.name}", settings.seed, number),
                pool.name,
                self.parameters.pools[pool.name].reference_nav.value // settings.lps,
            )
            for pool in deployment.pools.values()
            for number in range(settings.lps)
        ]
        self.scene = Scene(self.stage, deployment, self.keeper, keeper_address, crowd, providers)
        self.source = random.Random(f"plimsoll replay {settings.seed}")
        self.market_samples: list[MarketSample] = []
        self.pool_samples: list[PoolSample] = []
        self.health_samples: list[HealthSample] = []
        self._start: Mapping[str, PoolReading] = self.scene.pools
        self._given: dict[tuple[str, str], int] = {}

    # ── before ─────────────────────────────────────────────────────────────

    def prepare(self) -> None:
        """LPs fill the pools, traders fill their accounts."""
        scene, stage, house = self.scene, self.stage, self.deployment.clearinghouse
        owners = [trader.owner for trader in scene.traders] + [provider.owner for provider in scene.providers]
        stage.fund([*owners, scene.keeper_address])
        first = self.path[0]
        scene.block(stage.time + 1, first.prices)
        for provider in scene.providers:
            token = self.deployment.pools[provider.pool].settlement
            units = scene.native(scene.settlement(provider.pool), provider.stake)
            stage.queue("mint", provider.owner, token, "mint", provider.owner, units * 2)
            stage.queue("approve", provider.owner, token, "approve", house.address, NO_LIMIT)
            lp = self.deployment.pools[provider.pool].lp
            terms = (units, provider.owner, provider.owner)
            stage.queue("request deposit", provider.owner, lp, "requestDeposit", *terms)
        for trader in scene.traders:
            self._fill_wallet(trader)
        for pool in self.deployment.pools.values():
            units = scene.native(scene.settlement(pool.name), KEEPER_FUNDS)
            stage.queue("mint", stage.publisher, pool.settlement, "mint", scene.keeper_address, units)
        scene.block(stage.time + 1)
        lps = [pool.lp for pool in self.deployment.pools.values()]
        scene.rest(max(scene.ask([(lp, "strikeTime", [1]) for lp in lps])) + 5)
        scene.claim_liquidity(self.deployment.pools)
        for trader in scene.traders:
            self._deposit(trader, trader.deposit)
            if trader.collateral is not None:
                name, units = trader.collateral
                address = self.deployment.tokens[name].address
                stage.queue("deposit", trader.owner, house, "deposit", trader.account, address, units)
        scene.block(stage.time + 1, first.prices)
        scene.rest(first.time - 60)
        scene.settle()
        self._start = scene.pools
        scene.invariants.step = 0
        scene.check_books()

    def _fill_wallet(self, trader: Trader) -> None:
        stage, name = self.stage, self.scene.settlement(trader.pool)
        given = [(name, self.scene.native(name, trader.deposit * WALLET))]
        if trader.collateral is not None:
            given.append(trader.collateral)
        for token_name, units in given:
            token = self.deployment.tokens[token_name]
            self._given[trader.name, token_name] = units
            stage.queue("mint", trader.owner, token, "mint", trader.owner, units)
            stage.queue("approve", trader.owner, token, "approve", self.deployment.clearinghouse.address, NO_LIMIT)

    # ── the path ───────────────────────────────────────────────────────────

    def live(self) -> None:
        """Walks the whole path."""
        scene = self.scene
        every = max(self.steps // SAMPLES, 1)
        self._owners_act(0, self.path[0])
        scene.block(self.path[0].time - 30)
        self.stage.roomy(False)
        for step, tick in enumerate(self.path, 1):
            scene.invariants.step = step
            if step > 1:
                self._owners_act(step, tick)
            self._providers_act(step)
            scene.block(tick.time, tick.prices)
            if step % every == 0 or step == self.steps:
                self._sample_health(step)
            scene.work()
            scene.settle()
            if step % every == 0 or step == self.steps:
                self._sample(step)
            if step % self.settings.check_every == 0 or step == self.steps:
                scene.check_books()
            self.progress("replaying", step, self.steps)

    def leave(self) -> WindDown:
        """The wind-down."""
        self.scene.invariants.step = self.steps
        self.progress("winding down", 0, 1)
        found = wind_down(self.scene)
        self.progress("winding down", 1, 1)
        return found

    def _owners_act(self, step: int, tick: Tick) -> None:
        scene = self.scene
        for trader in scene.traders:
            word = scene.watcher.accounts.get(trader.account)
            if word is None:
                continue
            required = scene.health.get(trader.account, NO_HEALTH).required
            sizes = scene.sizes(trader) if word.markets else {}
            pending = scene.watcher.pending[trader.account] > 0
            view = View(step, self.steps, scene.prices, scene.equity(trader), required, word.raw_cash, sizes, pending)
            for act in agents.decide(trader, view, self.source):
                self._do(trader, act, max(tick.time, self.stage.time + 1) if step else self.stage.time + 1)

    def _do(self, trader: Trader, act: Act, now: int) -> None:
        stage = self.stage
        if act.move is Move.DEPOSIT:
            self._deposit(trader, act.amount)
        elif act.move is Move.WITHDRAW:
            handles = self.deployment.pools[trader.pool]
            units = act.amount // 10 ** (18 - handles.decimals)
            label = "borrow" if trader.habit is Habit.BORROWER else "withdraw"
            house, token = self.deployment.clearinghouse, handles.settlement.address
            stage.queue(label, trader.owner, house, "withdraw", trader.account, token, units, trader.owner)
        else:
            pool, name = self.deployment.market_name(act.market)
            fee = self.parameters.pools[pool].markets[name].orders.min_keeper_fee.value
            limit = act.limit_price if act.limit_price is not None else NO_LIMIT if act.amount > 0 else 0
            terms = (
                trader.account,
                act.market,
                act.amount,
                limit,
                now + act.expiry,
                fee,
                act.reduce_only,
                bytes(32),
            )
            stage.queue("place order", trader.owner, self.deployment.order_book, "placeOrder", *terms)

    def _deposit(self, trader: Trader, amount: int) -> None:
        handles = self.deployment.pools[trader.pool]
        units = self.scene.native(self.scene.settlement(trader.pool), amount)
        terms = (trader.account, handles.settlement.address, units)
        self.stage.queue("deposit", trader.owner, self.deployment.clearinghouse, "deposit", *terms)

    def _providers_act(self, step: int) -> None:
        scene = self.scene
        if scene.struck:
            scene.claim_liquidity(set(scene.struck))
        for provider in scene.providers:
            wish = agents.provider_wish(provider, self.steps, self.source)
            lp = self.deployment.pools[provider.pool].lp
            if wish > 0:
                units = scene.native(scene.settlement(provider.pool), wish)
                terms = (units, provider.owner, provider.owner)
                self.stage.queue("request deposit", provider.owner, lp, "requestDeposit", *terms)
            elif wish < 0:
                shares = lp.call("balanceOf", provider.owner) * -wish // 100
                if shares:
                    terms = (shares, provider.owner, provider.owner)
                    self.stage.queue("request redeem", provider.owner, lp, "requestRedeem", *terms)

    # ── what is reported ───────────────────────────────────────────────────

    def _sample(self, step: int) -> None:
        scene, now = self.scene, self.stage.time
        for name, pool in self.deployment.pools.items():
            view = scene.pools[name].view
            for market, sample in zip(pool.markets, view.markets, strict=True):
                self.market_samples.append(
                    MarketSample(
                        step,
                        now,
                        market,
                        sample.price,
                        sample.fundingRate * DAY,
                        sample.longInterest,
                        sample.shortInterest,
                    )
                )
            self.pool_samples.append(PoolSample(step, now, name, view.nav, view.insurance))

    def _sample_health(self, step: int) -> None:
        """When prices have moved and the keeper has not acted yet."""
        healths = [h.equity * WAD // h.required for h in self.scene.health.values() if h.required]
        self.health_samples.append(HealthSample(step, self.stage.time, tuple(healths)))

    def traders_profit(self) -> int:
        """What traders took out beyond what they put in, WAD; collateral at the last price."""
        total = 0
        prices = self.scene.prices
        for trader in self.scene.traders:
            for (name, token_name), given in self._given.items():
                if name != trader.name:
                    continue
                gained = self.deployment.tokens[token_name].call("balanceOf", trader.owner) - given
                decimals = self.parameters.tokens[token_name].decimals
                collateral = self.parameters.pools[trader.pool].collateral.get(token_name)
                price = prices[collateral.asset] if collateral is not None else WAD
                total += gained * price // 10**decimals
        for pool, units in self.scene.brought.items():
            total -= units * 10 ** (18 - self.deployment.pools[pool].decimals)
        return total

    def report(self, series: Sequence[PriceSeries], leaving: WindDown, seconds: float) -> ReplayReport:
        """Everything that was counted."""
        scene, counts = self.scene, self.scene.watcher.counts
        return ReplayReport(
            seed=self.settings.seed,
            threshold_bps=None if self.settings.gaps else self.settings.threshold_bps,
            prices=tuple(price_range(one) for one in series),
            steps=self.steps,
            blocks=self.stage.blocks,
            accounts=len(scene.traders),
            lps=len(scene.providers),
            orders=OrderCounts(counts.placed, counts.filled, counts.cancelled, counts.expired),
            liquidations=tuple(scene.watcher.liquidations),
            collateral_sales=counts.sales,
            bad_debt=counts.bad_debt,
            deleveragings=counts.deleveragings,
            traders_pnl=self.traders_profit(),
            keeper_reward=counts.keeper_reward,
            keeper_gas=counts.keeper_gas,
            max_blocks_unhealthy=scene.longest.blocks,
            pools=tuple(self._pool_results()),
            invariants=tuple(scene.invariants.records()),
            wind_down=leaving,
            gas=tuple(
                GasUse(label, tuple(used)) for label, used in sorted(scene.watcher.gas.items()) if label != "push"
            ),
            market_samples=tuple(self.market_samples),
            pool_samples=tuple(self.pool_samples),
            health_samples=tuple(self.health_samples),
            seconds=seconds,
            keeper_seconds=self._keeper_seconds(),
        )

    def _keeper_seconds(self) -> tuple[float, ...]:
        """For each account that the keeper sent to be liquidated, how long that took it."""
        handed_over = self.keeper.parts.passes.dispatcher.handed_over
        return tuple(seconds for job, many, seconds in handed_over if job == "liquidation" for _ in range(many))

    def _pool_results(self) -> Sequence[PoolResult]:
        last = {sample.pool: sample for sample in self.pool_samples}
        return [
            PoolResult(name, start.view.nav, last[name].nav, start.view.insurance, last[name].insurance)
            for name, start in self._start.items()
        ]
