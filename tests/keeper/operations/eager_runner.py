"""A runner of Silverback that does not wait for the minute, for tests: every scheduled task runs once while the keeper
answers and once when it does not any more; then the bot is stopped."""

from __future__ import annotations

import asyncio
from typing import Any

import bots.keeper
from silverback.runner import PollingRunner
from silverback.types import utc_now

NOBODY = "http://127.0.0.1:9"


class EagerRunner(PollingRunner):
    """Runs what is scheduled at once."""

    async def _cron_tasks(self, cron_tasks: list[Any]) -> None:
        for url in (bots.keeper.URL, NOBODY):
            bots.keeper.URL = url
            for task in cron_tasks:
                await self.run_task(task, utc_now())
        # What the metrics set off is still to run.
        await asyncio.sleep(0.5)
        self.shutdown_event.set()
