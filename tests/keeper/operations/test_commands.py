"""`plimsoll keeper run|status|simulate|bench|tx|config|key` against a local chain."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from prometheus_client.parser import text_string_to_metric_families
from tests.keeper.operations.conftest import ADDRESS, KEY, ROOT, Run, Site
from tests.keeper.operations.examples import busy_status, fetch

from plimsoll.keeper.node.rpc import Rpc
from plimsoll.keeper.operations import keystore
from plimsoll.keeper.operations.config import ServerConfig
from plimsoll.keeper.operations.server import OperatorServer
from plimsoll.keeper.operations.status import status_from_json
from plimsoll.keeper.operations.telemetry import Telemetry
from plimsoll.keeper.sending.desk import Desk, silent
from plimsoll.keeper.sending.fees import Fees
from plimsoll.keeper.sending.intent import Intent
from plimsoll.keeper.sending.ports import LeaseFence
from plimsoll.keeper.sending.routes import Routes
from plimsoll.keeper.sending.signing import KeySigner
from plimsoll.keeper.storage.opening import open_repository
from plimsoll.keeper.target import Target

GWEI = 10**9

# ── journal ────────────────────────────────────────────────────────────────


def sent_by_a_keeper_that_is_gone(site: Site) -> str:
    """A transaction that no block takes, in journal and pool; its hash."""

    async def work() -> str:
        repository = open_repository(site.database, Target.of(site.deployment.rpc, site.deployment).identity)
        try:
            grant = repository.lease.acquire("gone", 60)
            assert grant is not None
            signer = KeySigner(Account.from_key(KEY), 31337)
            async with Rpc(site.anvil.url) as node:
                desk = Desk(repository.journal, LeaseFence(repository.lease), Routes([node]), silent)
                intent = Intent(
                    "liquidate:0xabc:7", "liquidation", ADDRESS, b"\x01", 50_000, 10**15, trace="a1b2c3d4e5f6"
                )
                nonce = int(await node.request("eth_getTransactionCount", [ADDRESS, "latest"]), 16)
                attempt = await desk.write(signer, intent, nonce, Fees(5 * GWEI, GWEI), site.anvil.block_number())
                await desk.broadcast(attempt)
                desk.mark(attempt, "broadcast")
                return attempt.tx_hash
        finally:
            repository.lease.release()
            repository.close()

    return asyncio.run(work())


def test_tx_lists_and_shows_the_journal(site: Site, run: Callable[..., Run]) -> None:
    site.anvil.set_automine(False)
    tx_hash = sent_by_a_keeper_that_is_gone(site)
    code, out, err = run("tx", *site.options("--json"))
    (entry,) = json.loads(out)
    assert (code, err, entry["tx_hash"], entry["status"]) == (0, "", tx_hash, "broadcast")
    assert (entry["id"], entry["job"], entry["max_fee_wei"]) == ("a1b2c3d4e5f6", "liquidation", "5000000000")
    for wanted in ("1", tx_hash, "liquidate:0xabc:7", "a1b2c3d4e5f6"):
        code, out, err = run("tx", *site.options("--json"), "show", wanted)
        assert (code, err, json.loads(out)[0]["tx_hash"]) == (0, "", tx_hash)
    code, out, _ = run("tx", *site.options(), "--open")
    assert "a1b2c3d4e5f6 liquidation broadcast" in out
    code, out, _ = run("tx", *site.options(), "show", "1")
    assert f"tx_hash  {tx_hash}" in out


def test_tx_cancel_takes_a_transaction_back(site: Site, run: Callable[..., Run]) -> None:
    site.anvil.set_automine(False)
    tx_hash = sent_by_a_keeper_that_is_gone(site)
    config = site.path.with_name("keeper.yaml")
    config.write_text("key: {key_env: KEEPER_KEY}\n")
    code, out, err = run("tx", "--config", str(config), *site.options("--json"), "cancel", "1", "--yes")
    assert (code, err) == (0, "")
    done = json.loads(out)
    assert done["answer"] == "accepted"
    assert int(done["max_fee_wei"]) >= 5 * GWEI * 9 // 8
    assert int(done["tip_wei"]) >= GWEI * 9 // 8
    site.anvil.mine()
    rpc = site.anvil.rpc
    assert rpc.request("eth_getTransactionReceipt", [tx_hash]) is None
    mined = rpc.request("eth_getTransactionByHash", [done["tx_hash"]])
    assert (mined["to"].lower(), mined["value"], mined["blockNumber"] is None) == (ADDRESS.lower(), "0x0", False)
    code, out, _ = run("tx", *site.options("--json"), "show", "1")
    assert [one["cancels"] for one in json.loads(out)] == [False, True]
    code, _, err = run("tx", "--config", str(config), *site.options(), "cancel", "1", "--yes")
    assert (code, "is used: a block holds it" in err) == (2, True)


@pytest.mark.parametrize(
    ("entry", "said"), [("9", "the journal has no entry 9"), ("1", "is of " + ADDRESS + "; give its key")]
)
def test_tx_cancel_refuses_in_one_line(site: Site, run: Callable[..., Run], entry: str, said: str) -> None:
    site.anvil.set_automine(False)
    sent_by_a_keeper_that_is_gone(site)
    code, out, err = run("tx", *site.options(), "cancel", entry, "--yes")
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert said in err


def test_tx_cancel_refuses_while_a_keeper_uses_the_database(site: Site, run: Callable[..., Run]) -> None:
    sent_by_a_keeper_that_is_gone(site)
    repository = open_repository(site.database, Target.of(site.deployment.rpc, site.deployment).identity)
    try:
        code, _, err = run("tx", *site.options(), "cancel", "1", "--yes")
    finally:
        repository.close()
    assert (code, "another keeper uses" in err) == (2, True)


# ── status ─────────────────────────────────────────────────────────────────


def test_status_of_a_running_keeper(site: Site, run: Callable[..., Run]) -> None:
    async def work(*arguments: str) -> Run:
        server = OperatorServer(ServerConfig(enabled=True, port=0), Telemetry(), busy_status)
        await server.start()
        try:
            return await asyncio.to_thread(run, "status", "--url", server.url, *arguments)
        finally:
            await server.stop()

    code, out, err = asyncio.run(work("--json"))
    assert (code, err) == (3, "")  # it was not judged: not ready
    assert json.loads(out)["head"]["number"] == 18_231_004
    code, out, err = asyncio.run(work())
    assert (code, err) == (3, "")
    assert "next liquidations" in out


def test_status_without_a_keeper_reads_its_database(site: Site, run: Callable[..., Run]) -> None:
    tx_hash = sent_by_a_keeper_that_is_gone(site)
    nobody = "http://127.0.0.1:9"
    code, out, err = run("status", *site.options("--url", nobody, "--json"))
    found = json.loads(out)
    assert (code, err, found["running"], found["recent"][0]["tx_hash"]) == (2, "", False, tx_hash)
    code, out, _ = run("status", *site.options("--url", nobody))
    assert out.startswith(f"no keeper answers at {nobody}; its database says:")
    assert "1 transactions not final" in out


def test_status_with_neither_is_one_line(site: Site, run: Callable[..., Run]) -> None:
    code, out, err = run("status", *site.options("--url", "http://127.0.0.1:9"))
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert "no keeper answers at http://127.0.0.1:9" in err


# ── the service behind the commands ────────────────────────────────────────


def test_simulate_decides_and_sends_nothing(site: Site, run: Callable[..., Run]) -> None:
    before = site.anvil.block_number()
    code, out, err = run("simulate", *site.options("--json"))
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert (found["block"], found["blocked"]) == (before, "")
    assert isinstance(found["decisions"], list)
    assert site.anvil.block_number() == before
    assert not site.database.exists(), "the keeper's own database is left alone"
    code, out, err = run("simulate", *site.options())
    assert (code, err, out.splitlines()[0].endswith("nothing is sent")) == (0, "", True)


def test_a_running_keeper_serves_what_dashboard_and_probes_need_and_ends_in_time(site: Site) -> None:
    arguments = ["run", *site.options("--serve", "127.0.0.1:0", "--poll", "0.1", "--json")]
    process = subprocess.Popen(
        [sys.executable, "-m", "plimsoll", "keeper", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        assert first["event"] == "serving"
        url = f"http://127.0.0.1:{first['port']}"
        deadline = time.monotonic() + 60
        while True:
            code, text = fetch(f"{url}/readyz")
            if code == 200:
                break
            assert time.monotonic() < deadline, text
            time.sleep(0.1)
        status = status_from_json(json.loads(fetch(f"{url}/status")[1]))
        exposed = {
            sample.name
            for family in text_string_to_metric_families(fetch(f"{url}/metrics")[1])
            for sample in family.samples
        }
        assert fetch(f"{url}/livez")[0] == 200
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
        took = time.monotonic() - begun
    finally:
        process.kill()
    assert (process.returncode, err) == (0, ""), (out, took)
    assert took < 10
    assert status.head.number == site.anvil.block_number()
    assert (status.versions.network, status.phase.value, status.balance_wei > 0) == ("local", "following", True)
    assert {"plimsoll_keeper_ready", "plimsoll_keeper_head_block", "plimsoll_keeper_provider_up"} <= exposed
    events = [json.loads(line)["event"] for line in out.splitlines()]
    assert (events[0], events[-1]) == ("start", "stop")


def test_bench_measures_a_small_crowd(run: Callable[..., Run]) -> None:
    code, out, err = run("bench", "--accounts", "1000", "--markets", "4", "--ticks", "10", "--events", "800", "--json")
    found = json.loads(out)
    assert (code, found["markets"], found["events"]) == (0, 4, 800)
    assert found["accounts"] > 0
    assert found["tick"]["p99"] > 0
    assert err.startswith("… writing a database\n")


# ── config and key ─────────────────────────────────────────────────────────


def test_config_prints_what_would_be_used(run: Callable[..., Run], tmp_path: Path) -> None:
    file = tmp_path / "keeper.yaml"
    file.write_text("sending: {gas_budget: 0.1}\n")
    code, out, err = run("config", "--config", str(file), "--rpc", "https://u:hunter2@a.example/KEY", "--json")
    found: dict[str, Any] = json.loads(out)
    assert (code, err) == (0, "")
    assert (found["sending"]["gas_budget"], found["node"]["providers"]) == ("0.1 ETH", ["https://a.example"])
    code, out, _ = run("config")
    assert out.startswith("network: local\n")


def test_a_wrong_key_of_the_configuration_is_one_line(run: Callable[..., Run], tmp_path: Path) -> None:
    file = tmp_path / "keeper.yaml"
    file.write_text("sending: {gas_bugdet: 0.1}\n")
    code, out, err = run("doctor", "--config", str(file))
    assert (code, out) == (2, "")
    assert "sending.gas_bugdet is no key of the configuration; did you mean sending.gas_budget?" in err


def test_key_new_writes_an_encrypted_key(
    run: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keystore, "SCRYPT_COST", 2)
    monkeypatch.setenv("PLIMSOLL_PASSWORD", "correct horse")
    code, out, err = run("key", "new", str(tmp_path / "key.json"))
    assert (code, err) == (0, "")
    assert keystore.unlock(tmp_path / "key.json", "correct horse").address == out.strip()
    code, _, err = run("key", "new", str(tmp_path / "key.json"))
    assert (code, "exists; name another file" in err) == (2, True)
