"""Anvil is started, driven, and never left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from plimsoll.chain import anvil as anvil_module
from plimsoll.chain.anvil import Anvil, find_anvil
from plimsoll.chain.errors import AnvilError, NodeUnavailable, PlimsollError
from plimsoll.chain.rpc import Rpc

GENESIS = 1_700_000_000


@pytest.fixture(scope="module")
def chain() -> Iterator[Anvil]:
    with Anvil(timestamp=GENESIS, block_interval=3, base_fee=0) as anvil:
        yield anvil


@pytest.fixture
def anvil(chain: Anvil) -> Iterator[Anvil]:
    with chain.snapshot():
        yield chain


def alive(pid: int) -> bool:
    """True while the process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until_gone(pid: int) -> bool:
    deadline = time.monotonic() + 5
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not alive(pid)


def test_answers_over_socket_and_http(anvil: Anvil) -> None:
    with Rpc.connect(anvil.url) as http:
        assert http.request("eth_chainId") == anvil.rpc.request("eth_chainId") == hex(31337)
    assert len(anvil.accounts) == 10
    assert anvil.now() == GENESIS


def test_options_reach_the_node() -> None:
    with Anvil(chain_id=7, accounts=2, base_fee=10**9, gas_limit=17_000_000, balance_ether=5) as anvil:
        block = anvil.rpc.request("eth_getBlockByNumber", ["latest", False])
        assert anvil.rpc.request("eth_chainId") == "0x7"
        assert len(anvil.accounts) == 2
        assert int(block["gasLimit"], 16) == 17_000_000
        assert int(block["baseFeePerGas"], 16) == 10**9
        assert int(anvil.rpc.request("eth_getBalance", [anvil.accounts[0], "latest"]), 16) == 5 * 10**18


def test_time_moves_only_as_told(anvil: Anvil) -> None:
    start, number = anvil.now(), anvil.block_number()
    anvil.mine()
    assert anvil.now() == start + 3
    anvil.mine(4, interval=10)
    assert (anvil.now(), anvil.block_number()) == (start + 43, number + 5)
    anvil.set_next_timestamp(start + 1000)
    anvil.mine()
    assert anvil.advance(50) == anvil.now() == start + 1050
    with pytest.raises(AnvilError, match=f"cannot be at {start}, the latest is at {start + 1050}"):
        anvil.set_next_timestamp(start)


def test_snapshot_restores_state_and_time(anvil: Anvil) -> None:
    before = (anvil.now(), anvil.block_number())
    with anvil.snapshot():
        anvil.set_balance("0x" + "11" * 20, 5)
        anvil.advance(500)
        assert anvil.rpc.request("eth_getBalance", ["0x" + "11" * 20, "latest"]) == "0x5"
    assert (anvil.now(), anvil.block_number()) == before
    assert anvil.rpc.request("eth_getBalance", ["0x" + "11" * 20, "latest"]) == "0x0"
    anvil.mine()
    assert anvil.now() == before[0] + 3


def test_snapshot_restores_the_next_base_fee_and_drops_waiting_transactions() -> None:
    with Anvil(base_fee=10**9) as anvil:

        def next_base_fee() -> int:
            return int(anvil.rpc.request("eth_getBlockByNumber", ["pending", False])["baseFeePerGas"], 16)

        anvil.mine(2)
        before = next_base_fee()
        with anvil.snapshot():
            anvil.set_base_fee(5 * 10**9)
            anvil.mine(3)
            anvil.set_automine(False)
            anvil.sender().submit("0x" + "33" * 20, value=7)
        assert next_base_fee() == before
        anvil.mine()
        assert anvil.rpc.request("eth_getBalance", ["0x" + "33" * 20, "latest"]) == "0x0"
        assert anvil.rpc.request("eth_getTransactionCount", [anvil.accounts[0], "pending"]) == "0x0"


def test_snapshot_restores_and_raises_again(anvil: Anvil) -> None:
    before = anvil.block_number()
    failure = AssertionError("from inside")

    def fail_inside() -> None:
        with anvil.snapshot():
            anvil.mine()
            raise failure

    with pytest.raises(AssertionError) as caught:
        fail_inside()
    assert caught.value is failure
    assert anvil.block_number() == before


def test_a_snapshot_serves_once(anvil: Anvil) -> None:
    taken = anvil.take_snapshot()
    anvil.revert(taken)
    with pytest.raises(AnvilError, match="already used"):
        anvil.revert(taken)


def test_what_is_sent_after_a_revert_is_mined_at_once(anvil: Anvil) -> None:
    # Anvil takes a mined transaction out of its pool a little later, by sender and nonce.
    transaction = {"from": anvil.accounts[1], "to": "0x" + "33" * 20, "gas": "0x7530"}
    for _ in range(400):
        with anvil.snapshot():
            assert anvil.rpc.request("eth_sendTransactionSync", [transaction])["status"] == "0x1"


def test_impersonated_addresses_send(anvil: Anvil) -> None:
    sender = anvil.impersonate("0x" + "22" * 20, balance=10**18)
    receipt = sender.send("0x" + "33" * 20, value=7)
    assert receipt.succeeded
    assert receipt.sender == "0x" + "22" * 20
    assert anvil.rpc.request("eth_getBalance", ["0x" + "33" * 20, "latest"]) == "0x7"


def test_base_fee_of_the_next_block(anvil: Anvil) -> None:
    anvil.set_base_fee(123_456)
    anvil.mine()
    assert int(anvil.rpc.request("eth_getBlockByNumber", ["latest", False])["baseFeePerGas"], 16) == 123_456


def test_a_killed_node_is_unavailable_and_keeps_the_first_error() -> None:
    def kill_and_fail(anvil: Anvil) -> None:
        with anvil.snapshot():
            os.kill(anvil.pid, signal.SIGKILL)
            assert wait_until_gone(anvil.pid)
            raise ValueError("first")

    with Anvil() as anvil:
        path = str(anvil.ipc_path)
        with pytest.raises(ValueError, match="first") as caught:
            kill_and_fail(anvil)
        assert "could not be restored" in caught.value.__notes__[0]
        with pytest.raises(NodeUnavailable, match=f"{path}: .*start the node"):
            anvil.mine()
    assert not Path(path).exists()


def test_nothing_is_left_after_an_exception() -> None:
    anvil = Anvil()
    seen: list[tuple[int, Path]] = []

    def interrupt_inside() -> None:
        with anvil:
            seen.append((anvil.pid, anvil.ipc_path.parent))
            assert alive(anvil.pid)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupt_inside()
    pid, folder = seen[0]
    assert not alive(pid)
    assert not folder.exists()
    with pytest.raises(AnvilError, match="not running"):
        anvil.now()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_is_left_when_the_parent_dies(how: signal.Signals) -> None:
    program = (
        "import time; from plimsoll.chain.anvil import Anvil\n"
        "with Anvil() as anvil:\n    print(anvil.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent, parent.stdout:
        pid = int(parent.stdout.readline())
        assert alive(pid)
        parent.send_signal(how)
        parent.wait(5)
    assert wait_until_gone(pid)


def test_an_exit_without_stop_ends_anvil_and_removes_its_folder() -> None:
    program = (
        "from plimsoll.chain.anvil import Anvil\n"
        "anvil = Anvil().start(); print(anvil.pid, anvil.ipc_path.parent, anvil.ipc_path.exists())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    pid, folder, existed = done.stdout.split()
    assert existed == "True"
    assert wait_until_gone(int(pid))
    assert not Path(folder).exists()


def test_a_taken_port_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        busy = taken.getsockname()[1]
        free = anvil_module._free_port
        offered = iter([busy])
        monkeypatch.setattr(anvil_module, "_free_port", lambda: next(offered, None) or free())
        with Anvil() as anvil:
            assert anvil.port != busy
        with pytest.raises(AnvilError, match="in use"):
            Anvil(port=busy).start()


def test_state_is_kept_in_a_file(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    for expected in (0, 9):
        with Anvil(state=state) as anvil:
            assert int(anvil.rpc.request("eth_getBalance", ["0x" + "44" * 20, "latest"]), 16) == expected
            anvil.set_balance("0x" + "44" * 20, 9)
            anvil.mine()


def test_a_long_temporary_folder_is_avoided(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / ("x" * 120)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    with Anvil() as anvil:
        assert len(str(anvil.ipc_path)) < 104
        assert anvil.block_number() == 0


def test_a_missing_anvil_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AnvilError, match="run `make setup`"):
        find_anvil(tmp_path)


def test_the_executable_behind_the_wrapper_is_preferred(tmp_path: Path) -> None:
    wrapper = tmp_path / "node_modules" / ".bin" / "anvil"
    native = anvil_module._native(tmp_path / "node_modules")
    for path in (wrapper, native):
        path.parent.mkdir(parents=True)
        path.write_text("#!/bin/sh\nexit 3\n")
        path.chmod(0o755)
    assert find_anvil(tmp_path) == native
    native.unlink()
    assert find_anvil(tmp_path) == wrapper
    with pytest.raises(AnvilError, match="did not start: exit code 3"):
        Anvil(binary=wrapper).start()


def test_every_error_has_one_root() -> None:
    assert issubclass(AnvilError, PlimsollError)
    assert issubclass(NodeUnavailable, PlimsollError)
