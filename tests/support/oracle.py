"""An OracleHub with feeds on a chain of its own, whose time the tests set."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from plimsoll.chain.anvil import Anvil
from plimsoll.chain.artifacts import Artifacts, compile_contracts
from plimsoll.chain.contract import Contract, deploy
from plimsoll.chain.receipt import Receipt
from plimsoll.chain.signer import Sender
from plimsoll.model.oracle_words import Spot, Trend

__all__ = ["ETH", "NO_MAX", "START", "ZERO", "Observation", "OracleWorld", "oracle_world"]

START = 1_700_000_000
ZERO = "0x" + "0" * 40
NO_MAX = (1 << 128) - 1
ETH = 1
"""Id of the asset that most tests list."""

CONTRACTS = (
    "contracts/OracleHub.sol",
    "contracts/mocks/ChainlinkShape.sol",
    "contracts/mocks/MockAggregator.sol",
    "contracts/mocks/MockSequencerFeed.sol",
    "contracts/mocks/MultiRead.sol",
    "contracts/mocks/StrictPyth.sol",
)


class Observation(NamedTuple):
    """Both words that a read of the hub gives, decoded."""

    spot: Spot
    trend: Trend


class OracleWorld:
    """Chain, hub and helpers. The account `owner` owns the hub, `stranger` has no role."""

    def __init__(self, anvil: Anvil, artifacts: Artifacts) -> None:
        self.anvil = anvil
        self.artifacts = artifacts
        self.owner = anvil.sender(0)
        self.stranger = anvil.sender(1)
        self.hub = self.deploy("OracleHub", self.owner.address)

    def deploy(self, name: str, *args: Any, sender: Sender | None = None) -> Contract:
        """A contract of the repository, in a block one second later."""
        return deploy(self.artifacts.artifact(name), *args, sender=sender or self.owner)

    def feed(self, decimals: int = 8) -> Contract:
        """A settable feed without a proxy."""
        return self.deploy("MockAggregator", decimals)

    def now(self) -> int:
        """Time of the latest block, at which calls are answered."""
        return self.anvil.now()

    def warp(self, seconds: int) -> int:
        """Mines a block that many seconds later and returns its time."""
        return self.anvil.advance(seconds)

    def at(self, seconds: int) -> int:
        """Fixes the next block to that many seconds later and returns its time."""
        time = self.anvil.now() + seconds
        self.anvil.set_next_timestamp(time)
        return time

    def push(self, feed: Contract, answer: int, *, after: int = 1) -> int:
        """Publishes a round at the time of its block, `after` seconds later; returns that time."""
        time = self.at(after)
        feed.transact("push", answer, time)
        return time

    def config(self, feed: Contract | str = ZERO, **changes: Any) -> dict[str, Any]:
        """A valid configuration of a Chainlink feed, with changes."""
        values: dict[str, Any] = {
            "kind": 1,
            "feed": feed if isinstance(feed, str) else feed.address,
            "secondary": ZERO,
            "pythId": bytes(32),
            "fixedPrice": 0,
            "minAnswer": 0,
            "maxAnswer": 0,
            "maxAge": 3600,
            "bandPpm": 1500,
            "maxUncertaintyPpm": 20_000,
            "secondaryMaxAge": 7200,
            "maxDeviationPpm": 20_000,
            "deviationTimeout": 900,
            "tau": 1800,
            "boundBasePpm": 50_000,
            "boundPerHourPpm": 100_000,
            "boundCapPpm": 400_000,
            "latency": 30,
        }
        assert changes.keys() <= values.keys()
        return values | changes

    def list_asset(self, asset: int, config: dict[str, Any], sender: Sender | None = None) -> Receipt:
        """Lists an asset."""
        return self.hub.transact("listAsset", asset, config, sender=sender)

    def peek(self, asset: int = ETH) -> Observation:
        """What the hub says now, without writing."""
        return self._decoded(self.hub.call("peek", asset))

    def would_observe(self, asset: int = ETH) -> Observation:
        """What `observe` would return now."""
        return self._decoded(self.hub.call("observe", asset))

    def observe(self, asset: int = ETH, *, after: int = 1) -> Receipt:
        """Observes in a block that many seconds later."""
        self.at(after)
        return self.hub.transact("observe", asset)

    def first_after(self, asset: int, not_before: int, hint: bytes = b"", *, value: int = 0) -> Spot:
        """The admissible price, by a call at the time of the latest block."""
        return Spot.unpack(self.hub.call("firstAfter", asset, not_before, hint, sender=self.owner, value=value))

    def state(self, asset: int = ETH) -> tuple[int, int, int, int, int]:
        """Stored price, average, variance, time, start of the deviation."""
        price, ema, variance, time, since = self.hub.call("assetState", asset)
        return price, ema, variance, time, since

    @staticmethod
    def _decoded(words: Any) -> Observation:
        return Observation(Spot.unpack(words[0]), Trend.unpack(words[1]))


@contextmanager
def oracle_world() -> Iterator[OracleWorld]:
    """A chain with a hub; blocks are one second apart unless a test fixes their time."""
    artifacts = compile_contracts(only=CONTRACTS, quiet=True)
    with Anvil(timestamp=START, base_fee=0, gas_price=0, block_interval=1) as anvil:
        yield OracleWorld(anvil, artifacts)
