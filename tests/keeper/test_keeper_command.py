"""`plimsoll keeper run`: what it says, and what it ends with."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.keeper.conftest import ROOT, START
from tests.support.protocol import Protocol

from plimsoll.chain.anvil import Anvil
from plimsoll.chain.rpc import Rpc
from plimsoll.commands.keeper import command
from plimsoll.deploy.book import book_path
from plimsoll.deploy.deploy import deploy
from plimsoll.deploy.parameters import Parameters

# The second account of anvil's well-known mnemonic; worthless anywhere else.
KEY = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"
ADDRESS = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"


class Shop:
    """A deployment whose parameters and addresses are in a folder of their own."""

    def __init__(self, protocol: Protocol, path: Path) -> None:
        self.protocol = protocol
        self.path = path
        self.url = protocol.anvil.url

    def arguments(self, *more: str) -> list[str]:
        return ["run", "--network", str(self.path), "--rpc", self.url, "--db", str(self.path.with_suffix(".db")), *more]

    def due_order(self, sub: int = 0) -> bytes:
        protocol = self.protocol
        account = protocol.account(protocol.trader, sub=sub)
        protocol.deposit(account, "1000")
        order, _ = protocol.place(account, "ETH", "1")
        protocol.anvil.advance(max(protocol.price_time(order) - protocol.now(), 1))
        protocol.publish("ETH")
        return account

    def size(self, account: bytes) -> int:
        return self.protocol.position_word(account, "ETH").shares


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A deployed system with a written address book. For `shop` only."""
    path = tmp_path_factory.mktemp("network") / "local.yaml"
    shutil.copy(ROOT / "deployments" / "local.yaml", path)
    with Anvil(timestamp=START, block_interval=1) as anvil:
        protocol = Protocol(anvil, deploy(anvil.sender(0), Parameters.load(path), book=book_path(path)))
        protocol.publish()
        protocol.lp_deposit(protocol.lp, "1_000_000")
        yield Shop(protocol, path)


@pytest.fixture
def shop(opened: Shop) -> Iterator[Shop]:
    """The deployed system; what a test does to it is undone, and keepers begin without a database."""
    with opened.protocol.snapshot():
        yield opened
    for file in opened.path.parent.glob("*.db*"):
        file.unlink()


Run = tuple[int, list[str], list[str]]


def run(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> Run:
    """Exit code, lines on standard output, lines on standard error."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        command.main(arguments, standalone_mode=False)
    captured = capsys.readouterr()
    code = ended.value.code
    assert isinstance(code, int)
    return code, captured.out.splitlines(), captured.err.splitlines()


def test_once_works_off_what_is_due_and_ends(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    account = shop.due_order()
    code, out, err = run(capsys, shop.arguments("--once"))
    assert (code, err, shop.size(account)) == (0, [], 10**18)
    assert [line.split()[3].rstrip(":") for line in out] == ["start", "orders", "landed", "stop"]
    assert "orders: 1 filled, 0 cancelled, 0 expired" in out[-1]


def test_a_private_key_from_the_environment_sends(
    shop: Shop, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    account = shop.due_order()
    monkeypatch.setenv("KEEPER_KEY", KEY)
    code, out, err = run(capsys, shop.arguments("--once", "--key-env", "KEEPER_KEY", "--json-logs"))
    assert (code, err, shop.size(account)) == (0, [], 10**18)
    records = [json.loads(line) for line in out]
    assert [record["event"] for record in records] == ["start", "orders", "landed", "stop"]
    assert all({"time", "level", "message"} <= record.keys() for record in records)
    assert ADDRESS in records[0]["message"]
    assert KEY[2:] not in "".join(out + err)
    assert shop.protocol.account_word(shop.protocol.account(ADDRESS)).raw_cash == 10**17


def test_a_dry_run_leaves_the_chain_alone(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    account = shop.due_order()
    block = shop.protocol.anvil.block_number()
    code, out, err = run(capsys, shop.arguments("--once", "--dry-run"))
    assert (code, err, shop.size(account)) == (0, [], 0)
    assert any("would be sent (dry run)" in line for line in out)
    assert shop.protocol.anvil.block_number() == block


def test_without_an_address_book_it_says_what_to_run(
    shop: Shop, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "local.yaml"
    shutil.copy(shop.path, path)
    code, out, err = run(capsys, ["run", "--network", str(path), "--rpc", shop.url, "--once"])
    assert (code, out, len(err)) == (2, [], 1)
    assert "local.addresses.json does not exist" in err[0]
    assert "run `plimsoll deploy` first" in err[0]


def test_another_chain_id_is_refused(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    with Anvil(chain_id=1234) as other:
        code, _, err = run(capsys, ["run", "--network", str(shop.path), "--rpc", other.url, "--once"])
    assert (code, len(err)) == (2, 1)
    assert "is for chain 31337" in err[0]
    assert "runs chain 1234" in err[0]


def test_a_reset_chain_is_refused_at_the_start(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    with Anvil(timestamp=START + 5) as other:
        other.mine(20)
        code, _, err = run(capsys, ["run", "--network", str(shop.path), "--rpc", other.url, "--once"])
    assert (code, len(err)) == (2, 1)
    assert "belongs to another chain" in err[0]


def test_a_node_that_is_not_there_is_one_line(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["run", "--network", str(shop.path), "--rpc", "http://127.0.0.1:9", "--once"]
    code, _, err = run(capsys, arguments)
    assert (code, len(err)) == (2, 1)
    assert "no answer from the node at http://127.0.0.1:9" in err[0]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--key-env", "NO_SUCH_VARIABLE"], "variable NO_SUCH_VARIABLE is not set"),
        (["--key-env", "A", "--unlocked", ADDRESS], "--key-env, --unlocked and --keystore exclude each other"),
        (["--unlocked", "0x12"], "'0x12' is not an address"),
        (["--min-discount", "120"], "--min-discount 120 is no discount"),
        (["--reserve", "much"], "'much' is not a number"),
        (["--network", "nowhere"], "nowhere.yaml does not exist; known networks: "),
    ],
)
def test_wrong_options_are_one_line(shop: Shop, capsys: pytest.CaptureFixture[str], more: list[str], said: str) -> None:
    code, out, err = run(capsys, shop.arguments("--once", *more))
    assert (code, out, len(err)) == (2, [], 1), err
    assert said in err[0]


def test_a_database_in_use_is_one_line(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    process = start(shop)
    try:
        code, _, err = run(capsys, shop.arguments("--once"))
    finally:
        stop(process)
    assert (code, len(err)) == (2, 1)
    assert "another keeper uses" in err[0]


def test_without_ether_it_ends_with_unsafe_state(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    account = shop.due_order()
    poor = shop.protocol.attacker
    shop.protocol.anvil.set_balance(poor, 1)
    code, out, err = run(capsys, shop.arguments("--once", "--unlocked", poor))
    assert (code, shop.size(account), len(err)) == (3, 0, 1)
    assert "send ether to the sender" in err[0]
    assert any("blocked" in line for line in out)


# ── as a process ───────────────────────────────────────────────────────────


def start(shop: Shop, *more: str, network: Path | None = None) -> subprocess.Popen[str]:
    """A keeper in a process of its own, which has begun to work."""
    arguments = [sys.executable, "-m", "plimsoll", "keeper", *shop.arguments("--poll", "0.05", *more)]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        arguments, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert " start: " in line or '"start"' in line, process.communicate(timeout=10)
    return process


def stop(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def wait_for(what: Any) -> None:
    deadline = time.monotonic() + 60
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_it_follows_the_chain_until_sigterm_and_two_do_not_disturb_each_other(shop: Shop) -> None:
    one = start(shop)
    two = start(shop, "--unlocked", shop.protocol.attacker, "--db", str(shop.path.with_suffix(".twin.db")))
    try:
        accounts = [shop.due_order(sub) for sub in range(3)]
        wait_for(lambda: all(shop.size(account) for account in accounts))
    finally:
        ends = [stop(process) for process in (one, two)]
    assert [code for code, _, _ in ends] == [0, 0]
    assert [err for _, _, err in ends] == ["", ""]
    stops = [out.splitlines()[-1] for _, out, _ in ends]
    assert sum(int(line.split("orders: ")[1].split()[0]) for line in stops) == 3
    assert all("0 reverts" in line for line in stops)


def test_a_chain_reset_while_it_runs_ends_it_with_unsafe_state(tmp_path: Path) -> None:
    path = tmp_path / "local.yaml"
    shutil.copy(ROOT / "deployments" / "local.yaml", path)
    with Anvil(timestamp=START) as anvil:
        port = anvil.port
        protocol = Protocol(anvil, deploy(anvil.sender(0), Parameters.load(path), book=book_path(path)))
        process = start(Shop(protocol, path))
    assert process.stdout is not None
    while "next try in" not in (line := process.stdout.readline()):
        assert line, process.communicate(timeout=10)
    with Anvil(timestamp=START + 100, port=port):
        out, err = process.communicate(timeout=60)
    assert process.returncode == 3, (out, err)
    assert "is of another instance of chain 31337" in err
    assert len(err.splitlines()) == 1


def test_the_shown_address_is_without_secrets() -> None:
    assert Rpc.connect("https://user:secret@node.example/v2/key").address == "https://node.example"
