"""Metrics, health and status over HTTP: `/metrics`, `/livez`, `/readyz`, `/status`. Read-only, without secrets."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from aiohttp import web

from plimsoll.keeper.errors import ConfigurationError
from plimsoll.keeper.operations.config import ServerConfig
from plimsoll.keeper.operations.status import KeeperStatus, status_to_json
from plimsoll.keeper.operations.telemetry import CONTENT_TYPE, Telemetry

__all__ = ["OperatorServer"]

UNAVAILABLE = 503
GRACE = 1.0


class OperatorServer:
    """Serves one keeper in the event loop of its service: when that is stuck, no probe is answered.

    :param status: the judged status at the moment of asking.
    """

    def __init__(self, config: ServerConfig, telemetry: Telemetry, status: Callable[[], KeeperStatus]) -> None:
        self._config = config
        self._telemetry = telemetry
        self._status = status
        self._runner: web.AppRunner | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        host = self._config.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def host_and_port(self) -> str:
        """As `url`, without the scheme."""
        return self.url.removeprefix("http://")

    async def start(self) -> None:
        """Listens from now on.

        :raises ConfigurationError: the address cannot be had.
        """
        application = web.Application()
        application.router.add_get("/", self._index)
        application.router.add_get("/metrics", self._metrics)
        application.router.add_get("/livez", self._live)
        application.router.add_get("/readyz", self._ready)
        application.router.add_get("/status", self._show)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=GRACE)
        await runner.setup()
        host, port = self._config.host, self._config.port
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            await runner.cleanup()
            raise ConfigurationError(
                f"{host}:{port} cannot be listened on ({error.strerror or error}); another keeper may use it: "
                "set server.port to another one, or to 0 for any"
            ) from None
        self._runner = runner
        self.port = int(runner.addresses[0][1])

    async def stop(self) -> None:
        """Stops listening; does nothing if it does not."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _index(self, request: web.Request) -> web.Response:
        return web.Response(text="plimsoll keeper: /metrics /livez /readyz /status\n")

    async def _metrics(self, request: web.Request) -> web.Response:
        return web.Response(body=self._telemetry.exposition(), headers={"Content-Type": CONTENT_TYPE})

    async def _live(self, request: web.Request) -> web.Response:
        found = self._status().readiness
        return _json({"live": found.live, "reasons": list(found.reasons)}, found.live)

    async def _ready(self, request: web.Request) -> web.Response:
        found = self._status().readiness
        return _json({"ready": found.ready, "reasons": list(found.reasons)}, found.ready)

    async def _show(self, request: web.Request) -> web.Response:
        return _json(status_to_json(self._status()), True)


def _json(document: dict[str, Any], good: bool) -> web.Response:
    text = json.dumps(document, ensure_ascii=False)
    return web.Response(text=text + "\n", content_type="application/json", status=200 if good else UNAVAILABLE)
