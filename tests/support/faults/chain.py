"""What a chain can suffer, on Anvil: reorganisations, a node that dies and comes back older, leaps of the base fee."""

from __future__ import annotations

import gzip
import json
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from plimsoll.chain.anvil import Anvil
from plimsoll.chain.signer import wait_for_receipt

__all__ = ["RestartableNode", "leap_base_fee", "reorg", "transactions_of"]

PUT_BACK_FIELDS = ("from", "to", "value", "gas", "maxFeePerGas", "maxPriorityFeePerGas")


def transactions_of(anvil: Anvil, first: int, last: int) -> list[dict[str, Any]]:
    """The transactions of a range of blocks, in order, as the node tells them."""
    blocks = anvil.rpc.batch([("eth_getBlockByNumber", [hex(number), True]) for number in range(first, last + 1)])
    return [transaction for block in blocks for transaction in block["transactions"]]


def reorg(
    anvil: Anvil,
    depth: int,
    *,
    put_back: Callable[[dict[str, Any]], bool] = lambda _: False,
    longer: int = 1,
) -> list[dict[str, Any]]:
    """Replaces the last `depth` blocks by as many others and `longer` more; the node must keep enough states.

    Transactions are lost, as Anvil loses them, save those that `put_back` chooses: they land in one of the new blocks,
    sent anew by senders that the node has unlocked. Returns the transactions that were in the replaced blocks.
    """
    head = anvil.block_number()
    lost = transactions_of(anvil, head - depth + 1, head)
    old = anvil.rpc.request("eth_getBlockByNumber", [hex(head), False])["hash"]
    anvil.rpc.request("anvil_reorg", [depth, []])
    assert anvil.rpc.request("eth_getBlockByNumber", [hex(head), False])["hash"] != old, "the chain did not change"
    for transaction in filter(put_back, lost):
        fields = {name: transaction[name] for name in PUT_BACK_FIELDS if transaction.get(name) is not None}
        digest = anvil.rpc.request("eth_sendTransaction", [{**fields, "data": transaction["input"]}])
        wait_for_receipt(anvil.rpc, digest)
    if longer:
        anvil.mine(longer)
    return lost


def leap_base_fee(anvil: Anvil, factor: int = 20) -> int:
    """The next block's base fee becomes that many times the latest; returns it. Later blocks move by the usual rule."""
    latest = int(anvil.rpc.request("eth_getBlockByNumber", ["latest", False])["baseFeePerGas"], 16)
    anvil.set_base_fee(latest * factor)
    return latest * factor


class RestartableNode:
    """An Anvil at one address that can be killed and started again, with its latest saved state or an older one.

    :param options: of `Anvil`.
    """

    def __init__(self, **options: Any) -> None:
        self._options = options
        self._folder = tempfile.TemporaryDirectory(prefix="plimsoll-node-")
        self._saved = 0
        self._times: dict[Path, int] = {}
        """Of the latest block in each saved state."""
        self._port = _free_port()
        self.anvil = Anvil(port=self._port, **options)

    @property
    def url(self) -> str:
        """HTTP address, always the same."""
        return f"http://127.0.0.1:{self._port}"

    def save(self) -> Path:
        """Writes the state, blocks included, for `restart`."""
        state = json.loads(gzip.decompress(bytes.fromhex(self.anvil.rpc.request("anvil_dumpState", [])[2:])))
        # A node that was restarted has a second first block, which one it shows after loading is left to chance.
        first = self.anvil.rpc.request("eth_getBlockByNumber", ["0x0", False])["timestamp"]
        headers = [block["header"] for block in state["blocks"]]
        keep = [int(header["number"], 16) > 0 or header["timestamp"] == first for header in headers]
        state["blocks"] = [block for block, kept in zip(state["blocks"], keep, strict=True) if kept]
        self._saved += 1
        path = Path(self._folder.name) / f"state-{self._saved}.json"
        path.write_text(json.dumps(state))
        self._times[path] = self.anvil.now()
        return path

    def kill(self) -> None:
        """Ends the process without warning."""
        self.anvil.stop()

    def restart(self, state: Path | None = None) -> Anvil:
        """Starts the node again, with a saved state or from nothing."""
        extra = (*self._options.get("extra", ()), *(() if state is None else ("--load-state", str(state))))
        # chain time goes on where it stopped
        options = {**self._options, "extra": extra}
        if state is not None:
            options["timestamp"] = self._times[state]
        self.anvil = Anvil(port=self._port, **options).start()
        return self.anvil

    def __enter__(self) -> Self:
        self.anvil.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.anvil.stop()
        self._folder.cleanup()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
