"""An Anvil process of our own: found, started on a free port and a unix socket, and never left behind."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from plimsoll.chain.abi import address_of, checksum
from plimsoll.chain.errors import AnvilError, NodeUnavailable, RpcError
from plimsoll.chain.rpc import Rpc
from plimsoll.chain.signer import DEV_GAS, UnlockedSender

__all__ = ["Anvil", "find_anvil"]

# The kernels' limit for the path of a unix socket is 104 (macOS) or 108 bytes, the final zero included.
SOCKET_PATH_LIMIT = 100
PR_SET_PDEATHSIG = 1
START_ATTEMPTS = 5
ETHER = 10**18


def find_anvil(root: Path | None = None) -> Path:
    """The anvil executable: from `node_modules` of the repository, else from PATH.

    npm puts a Node wrapper in front; the executable behind it is preferred, since killing a wrapper leaves its child.

    :raises AnvilError: there is none.
    """
    candidates: list[Path] = []
    for folder in [root] if root is not None else _roots():
        candidates += [_native(folder / "node_modules"), folder / "node_modules" / ".bin" / "anvil"]
    on_path = shutil.which("anvil")
    if on_path is not None:
        packages = [parent for parent in Path(on_path).resolve().parents if parent.name == "node_modules"]
        candidates += [*map(_native, packages), Path(on_path)]
    for candidate in candidates:
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return candidate
    raise AnvilError("anvil was not found in node_modules or on PATH; run `make setup`")


class Anvil:
    """A local development chain, used as a context manager.

    :param block_time: seconds between blocks; None mines a block per transaction.
    :param automine: False mines only by `mine`; then use `submit` and `receipt_of` of contracts.
    :param block_interval: seconds of chain time from block to block, whatever the clock says; None follows the clock.
    :param timestamp: unix time of the genesis block.
    :param base_fee: base fee of the first block in wei (0 stays 0); it then moves by the usual rule.
    :param state: file loaded at the start, if it exists, and written at the end.
    :param keep_states: number of recent historic states to keep, 0 for none: only the latest block can be asked.
    :param extra: further command line options.
    """

    def __init__(
        self,
        *,
        chain_id: int = 31337,
        accounts: int = 10,
        balance_ether: int = 10_000,
        block_time: int | None = None,
        automine: bool = True,
        block_interval: int | None = None,
        timestamp: int | None = None,
        base_fee: int | None = None,
        gas_price: int | None = None,
        gas_limit: int | None = None,
        hardfork: str = "cancun",
        state: Path | None = None,
        keep_states: int = 0,
        port: int | None = None,
        timeout: float = 60.0,
        binary: Path | None = None,
        extra: Sequence[str] = (),
    ) -> None:
        options: list[tuple[str, object | None]] = [
            ("--chain-id", chain_id),
            ("--accounts", accounts),
            ("--balance", balance_ether),
            ("--block-time", block_time),
            ("--timestamp", timestamp),
            ("--block-base-fee-per-gas", base_fee),
            ("--gas-price", gas_price),
            ("--gas-limit", gas_limit),
            ("--hardfork", hardfork),
            ("--state", state),
        ]
        self._options = ["--auto-impersonate", "--quiet"]
        for flag, value in options:
            if value is not None:
                self._options += [flag, str(value)]
        self._options += ["--prune-history", str(keep_states)] if keep_states else ["--prune-history"]
        self._options += ([] if automine else ["--no-mining"]) + list(extra)
        self._fixed_port = port
        self._binary = binary
        self._timeout = timeout
        self._writes_state = state is not None
        self._block_interval = block_interval
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: Path | None = None
        self._rpc: Rpc | None = None
        self._accounts: list[str] = []
        self._next_base_fees: dict[str, str] = {}
        self.port = 0

    @property
    def rpc(self) -> Rpc:
        """The client over the unix socket."""
        if self._rpc is None:
            raise AnvilError("anvil is not running; use `with Anvil() as anvil:` or call start()")
        return self._rpc

    @property
    def url(self) -> str:
        """The HTTP address, for other processes."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def ipc_path(self) -> Path:
        """The unix socket."""
        return Path(self.rpc.address)

    @property
    def pid(self) -> int:
        """Process id of anvil."""
        if self._process is None:
            raise AnvilError("anvil is not running; use `with Anvil() as anvil:` or call start()")
        return self._process.pid

    @property
    def accounts(self) -> list[str]:
        """Checksummed addresses of the funded, unlocked accounts."""
        return list(self._accounts)

    def start(self) -> Self:
        """Starts the process and waits until it answers.

        :raises AnvilError: it is missing, or it did not start.
        """
        if self._process is not None:
            raise AnvilError("anvil is already running; stop() it first or use a second Anvil")
        binary = self._binary if self._binary is not None else find_anvil()
        self._folder = _socket_folder()
        atexit.register(self.stop)
        try:
            for attempt in range(1, START_ATTEMPTS + 1):
                problem = self._launch(binary, self._folder)
                if problem is None:
                    break
                if "in use" not in problem or self._fixed_port is not None or attempt == START_ATTEMPTS:
                    raise AnvilError(f"anvil did not start: {problem}")
            self._accounts = [checksum(address) for address in self.rpc.request("eth_accounts")]
            if self._block_interval is not None:
                self.set_block_interval(self._block_interval)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Ends the process and removes its socket. Safe to call at any time."""
        atexit.unregister(self.stop)
        if self._rpc is not None:
            self._rpc.close()
            self._rpc = None
        self._end_process()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def sender(self, index: int = 0, *, default_gas: int | None = DEV_GAS) -> UnlockedSender:
        """The funded account of that index."""
        return UnlockedSender(self.rpc, self._accounts[index], default_gas=default_gas, timeout=self._timeout)

    def impersonate(self, address: object, *, balance: int | None = ETHER) -> UnlockedSender:
        """A sender for any address, contracts included; `balance` in wei pays its gas, None leaves it as it is."""
        sender = UnlockedSender(self.rpc, address_of(address), timeout=self._timeout)
        if balance is not None:
            self.set_balance(sender.address, balance)
        return sender

    def set_balance(self, address: object, wei: int) -> None:
        """Sets the native balance of an address."""
        self.rpc.request("anvil_setBalance", [address_of(address), hex(wei)])

    def set_base_fee(self, wei: int) -> None:
        """Sets the base fee of the next block."""
        self.rpc.request("anvil_setNextBlockBaseFeePerGas", [hex(wei)])

    def block_number(self) -> int:
        """Number of the latest block."""
        return int(self.rpc.request("eth_blockNumber"), 16)

    def now(self) -> int:
        """Unix time of the latest block."""
        return int(self.rpc.request("eth_getBlockByNumber", ["latest", False])["timestamp"], 16)

    def set_next_timestamp(self, timestamp: int) -> None:
        """Fixes the time of the next block.

        :raises AnvilError: it lies before the latest block.
        """
        try:
            self.rpc.request("evm_setNextBlockTimestamp", [timestamp])
        except RpcError as error:
            raise AnvilError(f"the next block cannot be at {timestamp}, the latest is at {self.now()}") from error

    def set_block_interval(self, seconds: int) -> None:
        """From now on each block is that many seconds after the one before (explicit timestamps aside)."""
        self.rpc.request("anvil_setBlockTimestampInterval", [seconds])

    def mine(self, blocks: int = 1, interval: int | None = None) -> None:
        """Mines blocks, with `interval` each that many seconds of chain time after the one before."""
        if interval is None:
            self.rpc.request("anvil_mine", [hex(blocks)])
            return
        timestamp = self.now()
        for _ in range(blocks):
            timestamp += interval
            self.set_next_timestamp(timestamp)
            self.rpc.request("evm_mine")

    def advance(self, seconds: int) -> int:
        """Mines one block that many seconds after the latest, and returns its time."""
        timestamp = self.now() + seconds
        self.set_next_timestamp(timestamp)
        self.mine()
        return timestamp

    def set_automine(self, on: bool) -> None:
        """Turns mining a block per transaction on or off."""
        self.rpc.request("evm_setAutomine", [on])

    def take_snapshot(self) -> str:
        """Remembers the state and returns its id."""
        snapshot = str(self.rpc.request("evm_snapshot"))
        self._next_base_fees[snapshot] = str(
            self.rpc.request("eth_feeHistory", ["0x1", "latest", []])["baseFeePerGas"][-1]
        )
        return snapshot

    def revert(self, snapshot: str) -> None:
        """Goes back to a remembered state, the base fee of the next block included; each id works once.

        Transactions that wait to be mined are dropped: left in the pool they would shift the next nonce.

        :raises AnvilError: the id is unknown or used.
        """
        self._settle_pool()
        if self.rpc.request("evm_revert", [snapshot]) is not True:
            raise AnvilError(f"snapshot {snapshot} is unknown or already used; take a new one")
        self.rpc.request("anvil_dropAllTransactions")
        base_fee = self._next_base_fees.pop(snapshot, None)
        if base_fee is not None:
            self.rpc.request("anvil_setNextBlockBaseFeePerGas", [base_fee])

    def _settle_pool(self) -> None:
        """Waits until no mined transaction is left in the pool, as it must be before `evm_revert`.

        Anvil answers for a mined block before it has taken the block's transactions out of its pool. What is sent after
        a revert with the same sender and nonce would be taken out in their place, and never be mined.

        :raises AnvilError: a mined transaction stays in the pool for ten seconds.
        """
        deadline = time.monotonic() + 10
        while int(self.rpc.request("txpool_status")["pending"], 16) and self._mined_in_pool():
            if time.monotonic() > deadline:
                raise AnvilError("the node keeps mined transactions in its pool; restart it")

    def _mined_in_pool(self) -> bool:
        waiting = self.rpc.request("txpool_content")["pending"].values()
        hashes = [transaction["hash"] for nonces in waiting for transaction in nonces.values()]
        return any(self.rpc.request("eth_getTransactionReceipt", [tx_hash]) is not None for tx_hash in hashes)

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """Restores the state at the end of the block, also after an exception, which passes through unchanged."""
        taken = self.take_snapshot()
        try:
            yield
        except BaseException as error:
            try:
                self.revert(taken)
            except (NodeUnavailable, AnvilError, RpcError) as failure:
                error.add_note(f"and the snapshot could not be restored: {failure}")
            raise
        self.revert(taken)

    def _launch(self, binary: Path, folder: Path) -> str | None:
        """Starts once; None when it answers, else what it said."""
        self.port = self._fixed_port if self._fixed_port is not None else _free_port()
        path, log = folder / "anvil.ipc", folder / "anvil.log"
        command = [str(binary), "--host", "127.0.0.1", "--port", str(self.port), "--ipc", str(path), *self._options]
        with log.open("wb") as output:
            try:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,  # Ctrl-C reaches us, and we end anvil after our own clean-up
                    preexec_fn=_die_with_parent(os.getpid()),
                )
            except OSError as error:
                return f"{binary} cannot be run ({error.strerror}); run `make setup`"
        deadline = time.monotonic() + self._timeout
        rpc = Rpc.connect(path, timeout=self._timeout)
        while time.monotonic() < deadline:
            code = self._process.poll()
            if code is not None:
                self._process = None
                return log.read_text(errors="replace").strip() or f"exit code {code}"
            try:
                rpc.request("web3_clientVersion")
            except NodeUnavailable:
                time.sleep(0.005)
                continue
            self._rpc = rpc
            return None
        self._end_process()
        return f"no answer within {self._timeout:g} s"

    def _end_process(self) -> None:
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        if self._writes_state:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(30)
                return
        # The process leads a group of its own, which also holds the child of a wrapper.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _native(node_modules: Path) -> Path:
    """Where npm puts the executable for this machine."""
    system = platform.system().lower()
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return node_modules / "@foundry-rs" / f"anvil-{system}-{machine}" / "bin" / "anvil"


def _roots() -> list[Path]:
    """Folders that may be the repository: around the working directory, then around this package."""
    starts = (Path.cwd(), Path(__file__).resolve().parent)
    found = [folder for start in starts for folder in (start, *start.parents) if (folder / "ape-config.yaml").is_file()]
    return list(dict.fromkeys(found))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _socket_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="plimsoll-"))
    if len(str(folder / "anvil.ipc").encode()) > SOCKET_PATH_LIMIT:
        folder.rmdir()
        folder = Path(tempfile.mkdtemp(prefix="plimsoll-", dir="/tmp"))
    return folder


def _die_with_parent(parent: int) -> Callable[[], None] | None:
    """For Linux: runs in the child before exec, so that the kernel kills it when the thread that started it ends."""
    if not sys.platform.startswith("linux"):
        return None
    prctl: Any = ctypes.CDLL(None, use_errno=True).prctl

    def prepare() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return prepare
