"""What goes wrong in a soak, each for some blocks. Names begin with the number in docs/keeper-faults.md."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.bench.soak.fleet import Fleet
from tests.bench.soak.world import World
from tests.support.faults.chain import reorg
from tests.support.faults.proxy import FaultProxy, Sends, TransportFaults, WebSocketFaults

__all__ = ["FAULTS", "Fault", "Scene"]

GWEI = 10**9
HIGH = 10 * GWEI
CALM = GWEI // 10
"""Base fee below which a leap counts as over."""
WORDS = ("already known", "nonce too low", "replacement transaction underpriced", "transaction underpriced", "busy")
OLDER_EVERY = 40


@dataclass
class Scene:
    """Everything that can be harmed."""

    world: World
    proxies: tuple[FaultProxy, FaultProxy]
    fleet: Fleet
    rng: random.Random
    down: bool = False
    """No node runs."""
    saved: Path | None = None
    older: Path | None = None
    lock: sqlite3.Connection | None = None
    restarted_at: int = 0
    """Block of the world at which the node was started last."""

    def remember(self) -> None:
        """Saves the state now and then, to come back with it."""
        if self.world.blocks % OLDER_EVERY == 0 and not self.down:
            self.older = self.world.node.save()

    def base_fee(self) -> int:
        """Of the latest block."""
        return int(self.world.anvil.rpc.request("eth_getBlockByNumber", ["latest", False])["baseFeePerGas"], 16)


Step = Callable[[Scene], None]


def _nothing(scene: Scene) -> None:
    del scene


@dataclass(frozen=True)
class Fault:
    """One way to fail.

    :param blocks: for how many it lasts, at least and at most.
    :param harmless: the keeper must keep up all the same, so that these blocks count as healthy.
    :param over: whether what remains of it has passed; until then the blocks after it are not healthy.
    """

    name: str
    begin: Step
    end: Step = _nothing
    blocks: tuple[int, int] = (3, 10)
    harmless: bool = False
    over: Callable[[Scene], bool] = lambda _: True


def _proxies(change: Callable[[FaultProxy], None]) -> Step:
    def step(scene: Scene) -> None:
        for proxy in scene.proxies:
            change(proxy)

    return step


def _first(change: Callable[[FaultProxy], None]) -> Step:
    return lambda scene: change(scene.proxies[0])


def _set(name: str, value: object) -> Callable[[FaultProxy], None]:
    return lambda proxy: setattr(proxy, name, value)


def _fail(proxy: FaultProxy) -> None:
    proxy.transport = TransportFaults.all_kinds(0.3)


def _heal(proxy: FaultProxy) -> None:
    proxy.transport = TransportFaults()


def _sockets(scene: Scene) -> None:
    for proxy in scene.proxies:
        kind = scene.rng.randrange(3)
        if kind == 0:
            proxy.close_sockets_politely()
        elif kind == 1:
            proxy.reset_sockets()
        else:
            proxy.sockets = WebSocketFaults(black_hole=True)


def _node_dies(scene: Scene) -> None:
    scene.saved = scene.world.node.save()
    _power_off(scene)


def _power_off(scene: Scene) -> None:
    scene.world.node.kill()
    scene.down = True
    for proxy in scene.proxies:
        # A pool ends with its node.
        proxy.drop_held()
        proxy.mempool.clear()


def _same_state(scene: Scene) -> None:
    _power_on(scene, scene.saved)


def _older_state(scene: Scene) -> None:
    _power_on(scene, scene.older if scene.older is not None else scene.saved)
    scene.older = None


def _power_on(scene: Scene, state: Path | None) -> None:
    scene.world.restarted(scene.world.node.restart(state))
    scene.restarted_at = scene.world.blocks
    scene.down = False


def _reorg(scene: Scene) -> None:
    # A node can go back only to states that it has seen itself.
    most = scene.world.blocks - scene.restarted_at - 2
    if most > 0:
        reorg(scene.world.anvil, min(scene.rng.choice((1, 1, 2, 3, 5, 8, 13, 21, 34, 64)), most))
    for proxy in scene.proxies:
        proxy.mempool.clear()


def _drop_held(proxy: FaultProxy) -> None:
    proxy.drop_held()
    proxy.sends = Sends.PASS


def _release(proxy: FaultProxy) -> None:
    proxy.sends = Sends.PASS
    proxy.release()


def _words(scene: Scene) -> None:
    for proxy in scene.proxies:
        proxy.send_errors += [scene.rng.choice(WORDS) for _ in range(4)]


def _no_words(proxy: FaultProxy) -> None:
    proxy.send_errors.clear()


def _lose(proxy: FaultProxy) -> None:
    proxy.lose_answers = 2


def _leap(scene: Scene) -> None:
    scene.world.anvil.set_base_fee(max(20 * scene.base_fee(), HIGH))


def _bad_price(kind: str) -> Step:
    def step(scene: Scene) -> None:
        world = scene.world
        world.quiet = True
        if kind == "zero":
            world.push(0)
        elif kind == "future":
            world.push(world.cents, ahead=3_000)
        elif kind == "stale":
            world.anvil.advance(70 * 60)
        else:
            world.push(world.cents * scene.rng.choice((75, 125)) // 100)

    return step


def _good_prices(scene: Scene) -> None:
    world = scene.world
    world.quiet = False
    for name in ("BTC", "SOL"):
        world.publish(name)


def _after_the_future(scene: Scene) -> None:
    # A round that comes earlier than the one before is none; time must pass first.
    scene.world.anvil.advance(3_100)
    _good_prices(scene)


def _lock(scene: Scene) -> None:
    scene.lock = sqlite3.connect(scene.fleet.database, isolation_level=None, timeout=5, check_same_thread=False)
    scene.lock.execute("BEGIN IMMEDIATE")


def _unlock(scene: Scene) -> None:
    if scene.lock is not None:
        scene.lock.execute("ROLLBACK")
        scene.lock.close()
        scene.lock = None


def _kill_leader(scene: Scene) -> None:
    name = scene.fleet.leader
    if name is not None:
        scene.fleet.kill(name)


def _kill_any(scene: Scene) -> None:
    scene.fleet.kill(scene.rng.choice(sorted(scene.fleet.processes)))


def _kill_both(scene: Scene) -> None:
    for name in sorted(scene.fleet.processes):
        scene.fleet.kill(name)


def _pause_leader(scene: Scene) -> None:
    name = scene.fleet.leader
    if name is not None:
        scene.fleet.pause(name)


def _led(scene: Scene) -> bool:
    return scene.fleet.leader is not None


FAULTS: tuple[Fault, ...] = (
    Fault("F1 a third of all answers broken", _proxies(_fail), _proxies(_heal), (6, 15)),
    Fault("F1 slow answers", _proxies(_set("delay", 0.4)), _proxies(_set("delay", 0.0)), (5, 10)),
    Fault("F2 sockets", _sockets, _proxies(lambda p: setattr(p, "sockets", WebSocketFaults())), harmless=True),
    Fault("F3 node restarted", _node_dies, _same_state, (2, 6)),
    Fault("F3 node restarted, older", _node_dies, _older_state, (2, 6)),
    Fault("F4 reorganisation", _reorg, blocks=(1, 2)),
    Fault("F5 held, then dropped", _proxies(_set("sends", Sends.HOLD)), _proxies(_drop_held)),
    Fault("F5 held, then mined", _proxies(_set("sends", Sends.HOLD)), _proxies(_release)),
    Fault("F5 dropped", _proxies(_set("sends", Sends.DROP)), _proxies(_set("sends", Sends.PASS))),
    Fault("F5 refused with any words", _words, _proxies(_no_words)),
    Fault("F5 answers to sends lost", _proxies(_lose), _proxies(_set("lose_answers", 0))),
    Fault("F6 base fee leaps", _leap, blocks=(5, 6), over=lambda scene: scene.base_fee() < CALM),
    Fault("F7 a twin", lambda s: s.fleet.hire_rival(), lambda s: s.fleet.dismiss_rival(), (15, 30), harmless=True),
    Fault("F8 price of zero", _bad_price("zero"), _good_prices, (2, 6)),
    Fault("F8 price from the future", _bad_price("future"), _after_the_future, (2, 6)),
    Fault("F8 stale price", _bad_price("stale"), _good_prices, (2, 6)),
    Fault("F8 gap of a quarter", _bad_price("gap"), _good_prices, (2, 4)),
    Fault("F10 a node lags", _first(_set("lag", 5)), _first(_set("lag", 0)), harmless=True),
    Fault("F10 a node stands still", _first(lambda p: p.freeze()), _first(_set("frozen", None))),
    Fault("F10 a node of another chain", _first(_set("chain_id", 1)), _first(_set("chain_id", None))),
    Fault("F11 database locked", _lock, _unlock, (2, 6)),
    Fault("F12 leader killed", _kill_leader, blocks=(1, 2), over=_led),
    Fault("F12 any killed", _kill_any, blocks=(1, 2), over=_led),
    Fault("F12 both killed", _kill_both, blocks=(1, 2), over=_led),
    Fault("F12 leader stopped", _pause_leader, lambda s: s.fleet.resume(), (3, 15), over=_led),
    Fault("F13 a burst of orders", lambda s: s.world.burst(40), blocks=(1, 2)),
)
