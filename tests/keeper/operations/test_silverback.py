"""The Silverback bot on a local chain: it looks at the keeper, outlives it, and holds nothing of it."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from dataclasses import replace
from pathlib import Path

from tests.keeper.operations.examples import busy_status, counted

from plimsoll.chain.anvil import Anvil
from plimsoll.keeper.operations.config import ServerConfig
from plimsoll.keeper.operations.server import OperatorServer
from plimsoll.keeper.operations.status import HeadStatus

ROOT = Path(__file__).resolve().parents[3]
SOURCE = ROOT / "bots" / "keeper.py"
RUNNER = "tests.keeper.operations.eager_runner:EagerRunner"
COLORS = re.compile(r"\x1b\[[0-9;]*m")


def hosted(anvil: Anvil, folder: Path) -> tuple[int | None, str]:
    """Exit code and output of the bot, which keeps its files in a folder, beside a keeper whose head is block 3."""
    status = replace(busy_status(), head=HeadStatus(number=3))

    async def work() -> tuple[int | None, str]:
        server = OperatorServer(ServerConfig(enabled=True, port=0), counted(), lambda: status)
        await server.start()
        environment = {
            **os.environ,
            "APE_DATA_FOLDER": str(folder / ".ape"),
            "PYTHONPATH": str(ROOT),
            "PLIMSOLL_KEEPER_URL": server.url,
            "PLIMSOLL_RPC": anvil.url,
            "PLIMSOLL_KEEPER__NETWORK": str(ROOT / "deployments" / "nowhere.yaml"),
        }
        try:
            process = await asyncio.create_subprocess_exec(
                str(Path(sys.executable).with_name("silverback")),
                *("run", "bots.keeper:bot", "--network", f"ethereum:local:{anvil.url}", "--runner", RUNNER),
                cwd=folder,
                env=environment,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            output, _ = await asyncio.wait_for(process.communicate(), 240)
            return process.returncode, COLORS.sub("", output.decode())
        finally:
            await server.stop()

    return asyncio.run(work())


def test_the_bot_tells_what_the_keeper_says_and_outlives_it(tmp_path: Path) -> None:
    with Anvil() as anvil:
        anvil.mine(5)
        code, output = hosted(anvil, tmp_path)
    assert code == 0, output
    assert "keeper of base (chain 8453) at http://127.0.0.1:" in output
    alive, gone = re.findall(r"look - Metrics collected\n((?:  keeper_.*\n)+)", output)
    for line in ("keeper_up: True", "keeper_blocks_behind_this_node: 2", "keeper_liquidatable_accounts: 1"):
        assert line in alive
    assert gone.split() == ["keeper_up:", "False", "keeper_ready:", "False"]
    assert "1 accounts are below the line" in output
    assert "nowhere.yaml does not exist" in output
    assert output.count("keeper_problems: 1") == 2
    assert "Traceback" not in output


def test_the_bot_is_thin_and_says_what_it_does_not_do() -> None:
    text = SOURCE.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    assert "What it does not do" in text
    for part in ("sending", "journal", "signer", "keystore", "mirror", "on_(", "signer_required"):
        assert part not in text
