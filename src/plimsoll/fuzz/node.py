"""Lets contract handles read a driver's state as if it were a node: `deployment.lens.call(…)` works on any backend."""

from __future__ import annotations

import json
from typing import Any

from plimsoll.chain.rpc import Rpc
from plimsoll.fuzz.driver import Driver, FuzzError

__all__ = ["DriverNode", "rpc_of"]


class DriverNode:
    """Answers the requests that change nothing. Those that would are refused: a driver makes calls by `step`."""

    def __init__(self, chain_id: int) -> None:
        self.chain_id = chain_id
        self.driver: Driver | None = None
        """Whose state is read; set before the first request."""

    @property
    def address(self) -> str:
        """A name for messages."""
        return f"the driver {self.driver.name}" if self.driver is not None else "no driver"

    def exchange(self, payload: bytes) -> Any:
        """Answers a JSON-RPC document."""
        document = json.loads(payload)
        return [self._answer(one) for one in document] if isinstance(document, list) else self._answer(document)

    def close(self) -> None:
        """There is no connection."""

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        head = {"jsonrpc": "2.0", "id": request["id"]}
        if self.driver is None:
            raise FuzzError("the world has no driver yet")
        method, params = request["method"], request["params"]
        if method == "eth_call":
            return head | self._call(self.driver, params[0])
        found = _read(self.driver, method, params, self.chain_id)
        if found is None:
            return head | {"error": {"code": -32601, "message": f"{method} is not for reading; use the driver"}}
        return head | {"result": found}

    def _call(self, driver: Driver, fields: dict[str, str]) -> dict[str, Any]:
        outcome = driver.view(
            fields["to"],
            bytes.fromhex(fields.get("data", "0x")[2:]),
            sender=fields.get("from", "0x" + "0" * 40),
            value=int(fields.get("value", "0x0"), 16),
        )
        if outcome.success:
            return {"result": "0x" + outcome.output.hex()}
        if outcome.halt is not None:
            return {"error": {"code": -32003, "message": f"EVM error {outcome.halt}"}}
        return {"error": {"code": 3, "message": "execution reverted", "data": "0x" + outcome.output.hex()}}


def rpc_of(node: DriverNode) -> Rpc:
    """A client of it."""
    return Rpc(node)


def _read(driver: Driver, method: str, params: list[Any], chain_id: int) -> Any:
    if method == "eth_chainId":
        return hex(chain_id)
    if method == "eth_blockNumber":
        return hex(driver.number)
    if method == "eth_getBlockByNumber":
        return {"number": hex(driver.number), "timestamp": hex(driver.time)}
    if method == "eth_getBalance":
        return hex(driver.balance(params[0]))
    if method == "eth_getCode":
        return "0x" + driver.code(params[0]).hex()
    if method == "eth_getStorageAt":
        return f"0x{driver.words(params[0], [int(params[1], 16)])[0]:064x}"
    return "plimsoll-fuzz" if method == "web3_clientVersion" else None
