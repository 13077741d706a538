"""Pyth in front of a deployed system: an asset whose price comes from signed updates instead of a feed."""

from __future__ import annotations

from dataclasses import dataclass

from plimsoll.chain.artifacts import compile_contracts
from plimsoll.chain.contract import Contract, deploy
from plimsoll.units import WAD, parse_units
from tests.support.protocol import Amount, Protocol

__all__ = ["FEE", "PythAsset", "move_to_pyth"]

FEE = 7
"""wei for each update"""
PYTH_KIND = 2
EXPO = -8
UNIT = 10**10
"""WAD to Pyth's units of 1e-8"""


@dataclass(frozen=True, slots=True)
class PythAsset:
    """One asset priced by Pyth, and the two mocks: the SDK's own and the strict one in front of it."""

    protocol: Protocol
    asset: str
    feed_id: bytes
    sdk: Contract
    strict: Contract

    def update(self, price: Amount, time: int, *, previous: int | None = None, conf: Amount = "0.01") -> bytes:
        """A signed update: a price ± conf, published at `time`, the one before at `previous` (a second earlier)."""
        raw, band = parse_units(str(price)) // UNIT, parse_units(str(conf)) // UNIT
        before = time - 1 if previous is None else previous
        data: bytes = self.sdk.call("createPriceFeedUpdateData", self.feed_id, raw, band, EXPO, raw, band, time, before)
        return data

    def publish(self, price: Amount) -> int:
        """Puts a price on chain through the hub, in the block of its publication; gives its time."""
        protocol = self.protocol
        time = protocol.now() + 1
        data = self.update(price, time)
        protocol.hub.transact("updatePyth", [data], value=FEE, sender=protocol.keeper)
        protocol.prices[self.asset] = parse_units(str(price)) // WAD * WAD
        return time


def move_to_pyth(protocol: Protocol, asset: str = "ETH") -> PythAsset:
    """Lists an asset of a deployed system on Pyth, at the price it has."""
    artifacts = compile_contracts(None, only=["contracts/mocks/StrictPyth.sol"], quiet=True)
    sender = protocol.anvil.sender(0)
    sdk = deploy(artifacts.artifact("SdkMockPyth"), 3600, FEE, sender=sender)
    strict = deploy(artifacts.artifact("StrictPyth"), sdk.address, sender=sender)
    feed_id = asset.encode().ljust(32, b"\0")
    found = PythAsset(protocol, asset, feed_id, sdk, strict)
    hub, number = protocol.hub, protocol.deployment.parameters.assets[asset].id
    hub.transact("setPyth", strict.address, sender=protocol.owner)
    found.publish(protocol.prices[asset] // WAD)
    config = hub.call("assetConfig", number)._asdict()
    nothing = {"secondary": "0x" + "0" * 40, "minAnswer": 0, "maxAnswer": 0, "bandPpm": 0}
    config |= nothing | {"kind": PYTH_KIND, "feed": strict.address, "pythId": feed_id}
    hub.transact("setAsset", number, config, sender=protocol.owner)
    return found
