"""A hypothesis machine over specification and chain. Its rules are the steps of `plimsoll.fuzz.generator`: each draws
bytes, and the generator makes a step of them, so that the machine and campaigns share one population."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, ClassVar

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from plimsoll.fuzz.campaign import cast_of, outcomes
from plimsoll.fuzz.choices import Choices
from plimsoll.fuzz.replay_script import Example, run, save, script
from plimsoll.fuzz.session import Step, Stray
from plimsoll.fuzz.strangers import Strangers
from plimsoll.fuzz.wind_down import WindDown, leftovers
from plimsoll.fuzz.world import World
from plimsoll.model.engine.actions import Result
from tests.support.coalition import Careful
from tests.support.worlds import SETTINGS, session_of

__all__ = ["RULES", "Everything", "machine"]

REGRESSIONS = Path(__file__).resolve().parents[1] / "stateful" / "regressions"
POPULATION = 8
RULES = (
    "settle_in",
    "trade",
    "place",
    "execute",
    "cancel",
    "expire",
    "move_price",
    "crash",
    "deviate",
    "break_feed",
    "sequencer",
    "liquidate",
    "buy_collateral",
    "deleverage",
    "deposit",
    "withdraw",
    "transfer",
    "claim",
    "multicall",
    "accrue",
    "close_settled",
    "fund_insurance",
    "donate",
    "misbehave",
    "request_lp",
    "strike",
    "claim_lp",
    "pause",
    "lower_caps",
    "govern",
    "set_pool",
    "set_market",
    "set_collateral",
    "steal",
    "change_base_fee",
)
"""Steps of the generator that a rule stands for."""
WAITS = (0, 1, 59, 60, 3600, 3601, 21_600, 86_400, 604_800, 2_592_000)


class Everything(RuleBasedStateMachine):
    """Specification and chain side by side; at the end everybody leaves. `machine` adds the rules."""

    decimals = 6
    seen: ClassVar[Counter[str]] = Counter()
    """How often each action ended in which way."""

    def __init__(self) -> None:
        super().__init__()
        self.session = session_of(self.decimals)
        self.world: World = self.session.world
        self.snapshot = self.world.driver.snapshot()
        self.session.state = self.session.start
        self.cast = cast_of(self.world)
        self.generator = Careful(self.cast, self.session.start, self.take, Choices(b""))
        self.strangers = Strangers(self.world)
        self.steps: list[Step | Stray] = []
        self.failed = False
        self.hooked = False

    def take(self, step: Step) -> Result:
        """Takes a step on both, compares, and checks every invariant."""
        result = self._run(step)
        assert result is not None
        self.seen.update(outcomes(step.action.name, result))
        return result

    def stray(self, call: Stray) -> None:
        """Takes a call that must change nothing that the specification describes."""
        self._run(call)

    def unhook(self) -> None:
        """Tokens call nothing any more: outside a call of the protocol a hook may do what everybody may."""
        if self.hooked:
            for name in self.world.setting.token_contracts:
                entry = self.world.entry(f"token:{name}", "setHook")
                data = entry("0x" + "0" * 40, b"")
                self.stray(Stray(self.cast.owner, int(entry.address, 16), data, self.generator.time))
        self.hooked = False

    def _run(self, one: Step | Stray) -> Result | None:
        self.steps.append(one)
        result: Result | None = self._guarded(lambda: run(self.session, one))
        return result

    def _guarded(self, action: Callable[[], Any]) -> Any:
        """Runs something; when it fails the example is kept as a regression and printed as a script."""
        try:
            return action()
        except Exception as error:
            if not self.failed:
                self.failed = True
                title = str(error).splitlines()[0][:200]
                example = Example(title, SETTINGS[self.decimals], tuple(self.steps))
                save(example, REGRESSIONS / f"found_by_{type(self).__name__.lower()}.json")
                note(script(example))
            raise

    def teardown(self) -> None:
        """All of storage is compared, then everybody leaves, and what is left is dust."""
        try:
            if not self.failed:
                self._guarded(self._end)
        finally:
            self.world.driver.revert(self.snapshot)
            self.session.state = self.session.start

    def _end(self) -> None:
        self.session.settle()
        end = WindDown(self.cast, self.session.state, self.take).run()
        self.session.settle()
        left = list(leftovers(end))
        assert not left, "\n".join(left)


def _step(name: str) -> Callable[[Everything, bytes], None]:
    def body(self: Everything, data: bytes) -> None:
        self.generator.resume(Choices(data))
        if name == "donate":
            self.unhook()
        getattr(self.generator, name)()

    body.__name__ = name
    return body


def populate(self: Everything, data: bytes) -> None:
    """Before anything else: some positions."""
    self.generator.resume(Choices(data * 4))
    for _ in range(POPULATION):
        self.generator.settle_in()


def wait(self: Everything, data: bytes) -> None:
    """Time passes, up to a month."""
    c = Choices(data)
    market = c.pick(sorted(self.session.state.markets))
    self.generator.resume(c)
    self.generator.take("accrue", self.cast.owner, market, wait=c.pick(WAITS))


def thief(self: Everything, data: bytes) -> None:
    """Somebody who has nothing tries random selectors with random call data."""
    self.stray(self.strangers.theft(self.session.state, self.generator.time, Choices(data)))


def hook(self: Everything, data: bytes) -> None:
    """A token calls back at every transfer from now on."""
    c = Choices(data)
    token = c.pick(sorted(self.cast.hostile))
    name = next(name for name, one in self.world.deployment.tokens.items() if int(one.address, 16) == token)
    entry = self.world.entry(f"token:{name}", "setHook")
    self.stray(self.strangers.hook(entry, self.cast.owner, self.session.state, self.generator.time, c))
    self.hooked = True


def machine(decimals: int) -> type[Everything]:
    """The machine of the world with so many decimals."""
    steps = {name: _step(name) for name in RULES} | {"wait": wait, "thief": thief}
    if "HookToken" in SETTINGS[decimals].token_contracts.values():
        steps["hook"] = hook
    # Bytes that hypothesis draws itself are mostly zero, and a step of zeros is mostly refused.
    data = st.integers(0, 2**64 - 1).map(lambda seed: Random(seed).randbytes(80))
    rules: dict[str, Any] = {name: rule(data=data)(step) for name, step in steps.items()}
    rules["populate"] = initialize(data=data)(populate)
    return type(f"Everything{decimals}", (Everything,), {"decimals": decimals, "seen": Counter(), **rules})
