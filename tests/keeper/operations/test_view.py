"""The live view fits its screen and shows what matters at every width."""

from __future__ import annotations

import asyncio
import io
from dataclasses import replace

import pytest
from rich.console import Console
from tests.keeper.operations.examples import busy_status

from plimsoll.keeper.operations import figures
from plimsoll.keeper.operations.config import ReadinessConfig
from plimsoll.keeper.operations.health import judged
from plimsoll.keeper.operations.status import KeeperStatus
from plimsoll.keeper.operations.view import LiveView, render, shows_view

LINES = tuple(f"2026-01-01 10:00:{i:02} INFO  landed: liquidation in block {i} [a1b2c3d4e5f6]" for i in range(40))


def drawn(status: KeeperStatus, width: int, height: int, lines: tuple[str, ...] = LINES) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=False, color_system=None)
    with console.capture() as capture:
        console.print(render(status, lines, width, height))
    return capture.get().rstrip("\n").splitlines()


@pytest.mark.parametrize(("width", "height"), [(80, 24), (80, 40), (100, 30), (120, 30), (160, 45), (240, 60)])
def test_it_fits_the_screen(width: int, height: int) -> None:
    for status in (busy_status(), KeeperStatus(), judged(busy_status(), ReadinessConfig(max_lag=0))):
        found = drawn(status, width, height)
        assert len(found) <= height
        assert all(len(line) <= width for line in found)


@pytest.mark.parametrize(("width", "height"), [(80, 30), (160, 40)])
def test_what_matters_is_there(width: int, height: int) -> None:
    text = "\n".join(drawn(judged(busy_status(), ReadinessConfig()), width, height))
    for part in (
        "following  ready",
        "head 18,231,004 (1.4 s) · lag 0 · base fee 12.345 gwei · balance 1.23456 ETH",
        "1,000,000 accounts · 1,460,000 positions · 312 orders",
        "health <1: 1 · <1.05: 12 · <1.2: 230",
        "https://rpc.example.com",
        "lagging",
        "0x7000…79C8/1/0",
        "-0.12 %",
        "421",
        "25 gwei",
        "reverted: lost race",
        "breaker prices open: no answer, next try at block 18,231,050",
        "10:00:39 INFO  landed",
    ):
        assert part in text, part


def test_reasons_against_readiness_are_said() -> None:
    halted = judged(
        replace(busy_status(), halts=("audit: 3 accounts differ",), pass_age_seconds=500.0), ReadinessConfig()
    )
    text = "\n".join(drawn(halted, 80, 30))
    assert "not ready" in text
    assert text.count("audit: 3 accounts differ") == 1
    assert "no progress for 500 s" in text


def test_text_from_outside_is_no_markup() -> None:
    danger = replace(busy_status().dangers[0], account="[bold]x[/bold]")
    text = "\n".join(drawn(replace(busy_status(), dangers=(danger,)), 80, 30))
    assert "[bold]x" in text


def test_it_is_shown_where_it_can_be() -> None:
    assert shows_view("auto", terminal=True, json_lines=False)
    assert not shows_view("auto", terminal=False, json_lines=False)
    assert not shows_view("auto", terminal=True, json_lines=True)
    assert shows_view("on", terminal=False, json_lines=True)
    assert not shows_view("off", terminal=True, json_lines=False)


def test_it_draws_until_it_is_stopped() -> None:
    output = io.StringIO()
    console = Console(file=output, width=80, height=24, force_terminal=True)

    async def work() -> None:
        stop = asyncio.Event()
        asyncio.get_running_loop().call_later(0.1, stop.set)
        await LiveView(busy_status, lambda: LINES, console).run(stop)

    asyncio.run(asyncio.wait_for(work(), 10))
    assert "18,231,004" in output.getvalue()


@pytest.mark.parametrize(
    ("shown", "wanted"),
    [
        (figures.ether(1_234_567_890_123_456_789), "1.23456 ETH"),
        (figures.ether(-(10**17)), "-0.1 ETH"),
        (figures.ether(1_500_000_000), "1.5 gwei"),
        (figures.ether(0), "0 ETH"),
        (figures.money(-1), "-$0.00"),
        (figures.money(1_234_567 * 10**16), "$12,345.67"),
        (figures.distance(-1_200), "-0.12 %"),
        (figures.distance(12_345), "1.23 %"),
        (figures.age(0.44), "0.4 s"),
        (figures.age(119), "119 s"),
        (figures.age(121), "2 min"),
        (figures.age(200_000), "2 d"),
        (figures.short_hash("0x" + "ab" * 32), "0xabab…abab"),
    ],
)
def test_figures(shown: str, wanted: str) -> None:
    assert shown == wanted
