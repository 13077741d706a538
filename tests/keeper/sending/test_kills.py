"""SIGKILL at random moments: nothing is done twice, nothing is forgotten. `PLIMSOLL_KILLS` sets how often."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

from tests.keeper.sending.stage import Stage, played

VICTIM = Path(__file__).with_name("victim.py")
KILLS = int(os.environ.get("PLIMSOLL_KILLS", "2"))


@played
async def test_killed_at_random_moments_nothing_is_done_twice_or_forgotten(stage: Stage) -> None:
    key = stage.key()
    database = stage.folder / "keeper.sqlite"
    moments = random.Random(7)
    for _ in range(KILLS):
        process = subprocess.Popen(
            [sys.executable, str(VICTIM), stage.proxy.url, str(database), "0x" + bytes(key.key).hex()],
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"started\n"
        end = time.monotonic() + moments.uniform(0.02, 0.6)
        while time.monotonic() < end:
            stage.chain.mine()
            time.sleep(moments.uniform(0, 0.05))
        process.kill()
        process.wait()
        process.stdout.close()
    keeper = await stage.keeper(key=key)
    await stage.mine(3)
    journal = keeper.journal()
    assert keeper.manager.in_flight() == []
    assert len(journal) >= KILLS
    assert {entry.status for entry in journal} <= {"landed", "replaced"}
    received = {sent.hash for sent in stage.proxy.sent}
    assert received == {entry.tx_hash for entry in journal}, "what was handed over is in the journal, and the reverse"
    mined = stage.mined(keeper)
    assert [one["status"] for one in mined] == ["0x1"] * len(mined), "no account was tried twice"
    intents = [entry.intent for entry in journal if entry.status == "landed"]
    assert len(intents) == len(set(intents)) == len(mined)
    assert stage.nonce(keeper) == len(mined)
