"""The chain of a contest: a crowd of accounts, saved once, and for each keeper a node that mines every second."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from plimsoll.deploy.deploy import deploy
from plimsoll.deploy.deployment import handles
from plimsoll.deploy.parameters import Parameters
from tests.support.crowd import gather
from tests.support.faults.chain import RestartableNode
from tests.support.protocol import Protocol

__all__ = ["Scene", "Setting", "build_scene"]

ROOT = Path(__file__).resolve().parents[3]
START = 1_750_000_000
BASE_FEE = 50_000_000
"""Wei, as on a busy L2."""
GAS_LIMIT = 30_000_000
PRICE = 2_000


@dataclass(frozen=True, slots=True)
class Setting:
    """What every contestant finds.

    :param steps: price of ETH after each step, $, `pause` blocks apart.
    """

    accounts: int = 150
    leverage: tuple[float, float] = (8.0, 19.0)
    steps: tuple[int, ...] = (1_900, 1_860, 1_820, 1_790)
    pause: int = 10
    seed: int = 7


class Scene:
    """A saved chain with a crowd, of which nodes can be started again and again."""

    def __init__(self, setting: Setting, node: RestartableNode, state: Path, protocol: Protocol) -> None:
        self.setting = setting
        self._node = node
        self._state = state
        self._known = protocol.deployment
        self.accounts: Sequence[bytes] = ()

    @contextmanager
    def node(self) -> Iterator[Protocol]:
        """A fresh node of the saved chain, which mines a block every second."""
        anvil = self._node.restart(self._state)
        try:
            anvil.set_block_interval(1)
            anvil.rpc.request("evm_setBlockGasLimit", [hex(GAS_LIMIT)])
            anvil.rpc.request("anvil_setNextBlockBaseFeePerGas", [hex(BASE_FEE)])
            anvil.mine(2)
            anvil.rpc.request("evm_setIntervalMining", [1])
            known = self._known
            yield Protocol(anvil, handles(anvil.rpc, known.parameters, known.book, known.artifacts))
        finally:
            self._node.kill()


@contextmanager
def build_scene(setting: Setting) -> Iterator[Scene]:
    """Deploys, fills the pool, opens the crowd's positions, and saves the chain."""
    options = {"timestamp": START, "block_interval": 1, "keep_states": 64, "extra": ("--order", "fifo")}
    node = RestartableNode(**options)
    with node:
        parameters = Parameters.load(ROOT / "deployments" / "local.yaml")
        protocol = Protocol(node.anvil, deploy(node.anvil.sender(0), parameters))
        protocol.publish()
        protocol.lp_deposit(protocol.lp, "20_000_000", "majors")
        crowd = gather(
            protocol, setting.accounts, leverage=setting.leverage, notional=(2_000, 20_000), seed=setting.seed
        )
        protocol.publish()
        state = node.save()
        node.kill()
        scene = Scene(setting, node, state, protocol)
        scene.accounts = crowd.accounts
        yield scene
