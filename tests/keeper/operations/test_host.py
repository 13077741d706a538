"""Signals, ends and exit codes around a service that follows a script."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
import urllib.request
from typing import Any

import pytest
from tests.keeper.operations.examples import FakeService

from plimsoll.chain.errors import NodeUnavailable
from plimsoll.commands.keeper import guarded
from plimsoll.keeper.errors import ConfigurationError, KeeperError, UnsafeStateError
from plimsoll.keeper.operations.config import KeeperConfig
from plimsoll.keeper.operations.host import host
from plimsoll.keeper.operations.load import load_config
from plimsoll.keeper.operations.log import DecisionLog
from plimsoll.keeper.operations.ports import PassReport
from plimsoll.keeper.operations.telemetry import Telemetry
from plimsoll.keeper.storage.errors import LeaseLostError


def hosted(service: FakeService, config: KeeperConfig | None = None, **more: Any) -> tuple[PassReport, list[str]]:
    lines: list[str] = []
    chosen = config if config is not None else KeeperConfig()
    log = DecisionLog(lambda line: lines.append(line[20:]))
    return asyncio.run(host(service, chosen, log, Telemetry(), **more)), lines


def kill(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_service_finish(number: int) -> None:
    service = FakeService(stubborn=0.05)
    service.on_start = lambda: kill(number)
    assert hosted(service)[1] == []
    assert service.finished


def test_a_service_that_does_not_end_is_given_up() -> None:
    service = FakeService(stubborn=60)
    service.on_start = lambda: kill(signal.SIGTERM)
    begun = time.monotonic()
    _, lines = hosted(service, grace=0.1)
    assert time.monotonic() - begun < 5
    assert not service.finished
    assert "not finished in time; what is in the journal is taken up again" in lines[0]


def test_a_second_signal_does_not_wait() -> None:
    service = FakeService(stubborn=60)

    def twice() -> None:
        kill(signal.SIGTERM)
        asyncio.get_running_loop().call_later(0.1, kill, signal.SIGTERM)

    service.on_start = twice
    begun = time.monotonic()
    hosted(service)
    assert time.monotonic() - begun < 5


def test_handlers_of_signals_are_given_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    service = FakeService()
    service.on_start = lambda: kill(signal.SIGTERM)
    hosted(service)
    assert signal.getsignal(signal.SIGTERM) == before


def test_once_gives_the_report_of_its_pass() -> None:
    report, _ = hosted(FakeService(), once=True)
    assert (report.block, report.summary) == (7, "1 decision")


def test_what_stops_the_service_is_raised() -> None:
    with pytest.raises(UnsafeStateError, match="another chain"):
        hosted(FakeService(fails=UnsafeStateError("another chain")))


def test_the_server_tells_the_judged_status_while_the_service_runs() -> None:
    service = FakeService()
    config = load_config(overrides={"server.enabled": "true", "server.port": "0"})
    answers: list[Any] = []

    def ask(url: str) -> None:
        def work() -> None:
            with urllib.request.urlopen(f"{url}/status", timeout=5) as answer:
                answers.append(json.loads(answer.read()))
            kill(signal.SIGTERM)

        asyncio.get_running_loop().run_in_executor(None, work)

    _, lines = hosted(service, config, listening=ask)
    assert answers[0]["readiness"] == {"live": True, "ready": True, "reasons": []}
    assert lines[0].startswith("INFO  serving: metrics, health and status at 127.0.0.1:")


def test_a_port_in_use_is_a_wrong_configuration() -> None:
    config = load_config(overrides={"server.enabled": "true", "server.port": "0"})
    refused: list[str] = []

    def again(url: str) -> None:
        port = url.rpartition(":")[2]
        taken = load_config(overrides={"server.enabled": "true", "server.port": port})

        async def second() -> None:
            with pytest.raises(ConfigurationError) as error:
                await host(FakeService(), taken, DecisionLog(lambda _: None), Telemetry(), once=True)
            refused.append(str(error.value))
            kill(signal.SIGTERM)

        tasks.append(asyncio.get_running_loop().create_task(second()))

    tasks: list[asyncio.Task[None]] = []
    hosted(FakeService(), config, listening=again)
    assert "cannot be listened on" in refused[0]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError("x"), 2),
        (NodeUnavailable("http://a", "silent", "start it"), 2),
        (UnsafeStateError("x"), 3),
        (LeaseLostError("x"), 4),
        (KeeperError("x"), 5),
        (RuntimeError("x"), 5),
    ],
)
def test_exit_codes(error: Exception, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> PassReport:
        raise error

    assert guarded(fail, once=False) == code
    assert capsys.readouterr().err.splitlines()[-1].startswith("plimsoll keeper: ")


def test_a_pass_that_was_blocked_ends_with_unsafe_state(capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(lambda: PassReport(blocked="no ether"), once=True) == 3
    assert guarded(lambda: PassReport(blocked="no ether"), once=False) == 0
    assert guarded(lambda: PassReport(), once=True) == 0


def test_a_mistake_of_the_program_shows_its_trace_without_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> PassReport:
        raise RuntimeError("https://user:hunter2@a.example/KEY broke")

    assert guarded(fail, once=False, json_errors=True) == 5
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert "hunter2" not in err
    assert json.loads(err.splitlines()[-1])["exit_code"] == 5
